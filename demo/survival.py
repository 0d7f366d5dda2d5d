"""The chapter on bytes that survive: volumes lost and lying, healed, and a bare machine."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from stage import Stage

from haulout import Vault

_QUESTION = 'haulout recall "what should I not cook for Ana?" --limit 1'


def kit_words(printed: str) -> str:
    """The 24 words in order, from what `haulout init` prints in columns."""
    numbered = re.findall(r"\b(\d{1,2}) ([a-z]+)\b", printed)
    words = {int(number): word for number, word in numbered}
    return " ".join(words[number] for number in range(1, 25))


def bytes_that_survive(stage: Stage) -> None:
    """Spread, destroy, lie, restore, repair, destroy again."""
    stage.chapter(
        "Bytes that survive",
        "Five folders stand for five disks or buckets. Each memory is sealed, padded, cut into"
        " ten shards as on the Walrus network, and spread over them.",
    )
    stage.run("haulout volumes add disk1 disk2 disk3 disk4 disk5")
    stage.run("haulout sync")
    stage.run("haulout volumes status")
    with stage.unrecorded():
        stage.run("haulout locator --output locator.txt")
    digest = _digest(stage.vault)

    shutil.rmtree(stage.home / "disk2")
    lies = _lie(stage.home / "disk4")
    stage.claim(lies, f"disk2 is destroyed, and disk4 lies in each of its {lies} files")
    stage.run("haulout volumes status", expect=7)
    stage.run("haulout restore locator.txt --kit-file words.txt --vault bare")
    stage.claim(
        _digest(stage.home / "bare") == digest,
        "on a bare machine the 24 words and the locator bring every memory back",
    )
    found = stage.run(f"{_QUESTION} --vault bare")
    stage.claim("walnuts" in found, "and it recalls as before")

    mended = stage.run("haulout repair --deep --adopt disk2")
    stage.claim("disk4" in mended and "wrong" in mended, "repair needs no key, and names the liar")
    stage.run("haulout volumes status")
    shutil.rmtree(stage.home / "disk1")
    with stage.unrecorded():
        stage.run("haulout restore locator.txt --kit-file words.txt --vault bare2")
    stage.claim(
        _digest(stage.home / "bare2") == digest, "then disk1 is destroyed as well: nothing is lost"
    )


def _lie(volume: Path) -> int:
    """Change a byte in every shard that a volume holds; how many there are."""
    files = [path for path in (volume / "blobs").rglob("*") if path.is_file()]
    for path in files:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    return len(files)


def _digest(folder: Path) -> str:
    with Vault.open(folder, embedder="none") as vault:
        file = folder.with_name(f"{folder.name}.jsonl")
        digest = vault.export(file).digest
        file.unlink()
        return digest
