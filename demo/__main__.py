"""The whole of Haulout in a minute: `make demo`.

Everything happens in a temporary home folder; your own vault is neither read nor written. The
exit code is 0 when every claim held.

    python demo [--record FILE.svg]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import chat_export
import survival
from rich.text import Text
from stage import ClaimError, Stage

from haulout import Vault
from haulout.testing.pages import vault_pages

_HERE = Path(__file__).parent
_ACKNOWLEDGED_BEFORE_THE_KILL = 300


def a_vault_of_your_own(stage: Stage) -> None:
    """Make a vault."""
    stage.chapter(
        "A vault of your own",
        "`haulout init` makes an encrypted folder on this disk and shows, once, the 24 words that"
        " bring it back. No account, no server.",
    )
    with stage.unrecorded():  # words that must be kept secret, even of a vault that is gone
        printed = stage.run("haulout init --yes")
    (stage.home / "words.txt").write_text(survival.kit_words(printed))


def a_life_comes_in(stage: Stage) -> None:
    """Import a chat export, twice."""
    stage.chapter(
        "A life comes in",
        "Mira downloaded her ChatGPT history: two years of it, in a ZIP.",
    )
    messages = chat_export.write(stage.home / "chatgpt-export.zip")
    stage.run("haulout import chatgpt-export.zip")
    with Vault.open(stage.vault) as vault:
        stage.claim(
            vault.stats().memories == messages,
            f"all {messages} messages of the file are memories now",
        )
    with stage.unrecorded():
        stage.run("haulout import chatgpt-export.zip")
    with Vault.open(stage.vault) as vault:
        stage.claim(vault.stats().memories == messages, "importing it again added nothing")
    found = stage.run('haulout recall "what should I not cook for Ana?" --limit 2')
    stage.claim("walnuts" in found, "the right memory comes back, in Mira's own words")


def one_remembers_another_recalls(stage: Stage) -> None:
    """Two programs, one vault."""
    stage.chapter(
        "One program remembers, another recalls",
        "Two processes that know nothing of each other. This is the first:",
    )
    stage.code(_HERE / "remembers.py")
    stage.run("python remembers.py")
    stage.code(_HERE / "recalls.py")
    found = stage.run("python recalls.py")
    stage.claim("Ilko" in found, "what one program kept, the other found")


def one_assistant_is_told_another_knows(stage: Stage) -> None:
    """Two assistants, each with its own configuration."""
    stage.chapter(
        "One assistant is told, another knows",
        "`haulout connect` writes into each assistant's configuration how it starts Haulout. Here"
        " stand-ins start what it says there, over MCP, and call a tool as a model would.",
    )
    stage.run("haulout connect claude-code --yes")
    stage.run("haulout connect cursor --yes")
    told = "text=Mira wants no semicolons in her TypeScript."
    said = stage.run(f'python assistant.py ~/.claude.json remember "{told}"')
    stage.claim("(local)" in said, "Claude Code was told, and it is on this disk")
    asked = "query=how does Mira like her TypeScript?"
    said = stage.run(f'python assistant.py ~/.cursor/mcp.json recall limit=1 "{asked}"')
    stage.claim(
        "no semicolons" in said and '"source":"claude-code"' in said,
        "Cursor knows it, and from whom",
    )


def killed_in_the_middle(stage: Stage) -> None:
    """Kill a writer and count."""
    stage.chapter(
        "Killed in the middle of writing",
        "A third program writes from four threads, and reports each memory as it is"
        " acknowledged. It is killed while it does.",
    )
    stage.show(Text.assemble(("$ ", "green bold"), ("python killed.py &", "bold")))
    writer = subprocess.Popen(
        [sys.executable, str(_HERE / "killed.py")],
        env=dict(stage.environment), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout
    told: list[str] = []
    for line in writer.stdout:
        told.append(line.strip())
        if len(told) == _ACKNOWLEDGED_BEFORE_THE_KILL:
            writer.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    killed = writer.wait() != 0  # and what had reached the pipe before counts as acknowledged
    stage.show(Text.assemble(("$ ", "green bold"), (f"kill -9 {writer.pid}", "bold")))
    kept = _everything(stage, "tide")
    stage.claim(
        killed and len(told) >= _ACKNOWLEDGED_BEFORE_THE_KILL and set(told) <= kept,
        f"{len(told)} memories were acknowledged before the kill, and all of them are there",
    )
    under_way = len(kept - set(told))
    stage.claim(
        under_way <= 4, f"{under_way} more were on their way: whole, and not yet acknowledged"
    )
    checked = stage.run("haulout check")
    stage.claim("All is sound" in checked, "every hash, signature and index entry is right")


def _everything(stage: Stage, namespace: str) -> set[str]:
    found: set[str] = set()
    with Vault.open(stage.vault) as vault:
        page = vault.list(namespace=namespace, limit=1000)
        found.update(memory.id for memory in page.memories)
        while page.next:
            page = vault.list(namespace=namespace, limit=1000, after=page.next)
            found.update(memory.id for memory in page.memories)
    return found


def both_answers(stage: Stage) -> None:
    """Change a memory and ask for both moments."""
    stage.chapter(
        "What changes stays answerable",
        "Jonas gave the spare key to Petra. What is true now, and what did the vault know before?",
    )
    with Vault.open(stage.vault) as vault:
        found = vault.recall("who keeps the spare key of the boat?", limit=1)[0].memory
    before = datetime.now(UTC)
    time.sleep(0.001)  # the clock counts microseconds; the moment above is over
    stage.run(f'haulout update {found.id[:8]} "Petra keeps the spare key of the Meadowlark."')
    question = 'haulout recall "who keeps the spare key?" --limit 1'
    now = stage.run(question)
    then = stage.run(f"{question} --as-of {before:%Y-%m-%dT%H:%M:%S.%fZ}")
    stage.claim("Petra" in now, "now it is Petra")
    stage.claim("Jonas" in then and "Petra" not in then, "a moment ago it was Jonas")


def erased(stage: Stage) -> None:
    """Forget a word and look for it in every page."""
    word = chat_export.RARE_WORD
    stage.chapter(
        "Erased means erased",
        f"{word!r} must go. Every page of the database and of its write-ahead log is decrypted"
        " and searched for it, while another program has the vault open.",
    )
    with Vault.open(stage.vault) as reader:
        reader.remember("The first chapter of the novel is finished.")  # so that the log has frames
        found = len(reader.recall(word))
        pages, holding = _search(stage, word)
        stage.claim(
            holding and pages["memory.db-wal"],
            f"before: {len(holding)} of {_counted(pages)} hold it, such as {holding[0]}",
        )
        conditions = f'{{"text": {{"icontains": "{word.lower()}"}}}}'
        stage.run(f"haulout forget --filter '{conditions}' --yes")
        reader.remember("The novel has a new title.")
        pages, holding = _search(stage, word)
        stage.claim(
            not holding and pages["memory.db-wal"], f"after: none of {_counted(pages)} holds it"
        )
        left = [one for one in reader.recall(word) if word.lower() in one.memory.text.lower()]
        stage.claim(found > 0 and not left, "and the program that had it open recalls it no more")


def _counted(pages: Counter[str]) -> str:
    files = " and ".join(f"{count} in {file}" for file, count in pages.items())
    return f"{pages.total()} pages ({files})"


def _search(stage: Stage, word: str) -> tuple[Counter[str], list[str]]:
    """How many pages there are in each file, and those that hold the word or its stem."""
    sought = word[:9].lower().encode()  # shorter than any stem of it
    pages, holding = Counter[str](), list[str]()
    for page in vault_pages(stage.vault):
        stage.claim(page.authentic, f"page {page.number} of {page.file} decrypts", quiet=True)
        pages[page.file] += 1
        if sought in page.plain.lower():
            holding.append(f"page {page.number} of {page.file}")
    return pages, holding


CHAPTERS = (
    a_vault_of_your_own,
    a_life_comes_in,
    one_remembers_another_recalls,
    one_assistant_is_told_another_knows,
    killed_in_the_middle,
    both_answers,
    erased,
    survival.bytes_that_survive,
)

_NEXT = (
    ("haulout init", "your own vault"),
    ("haulout import chatgpt-export.zip", "your own history"),
    ("haulout connect claude-code", "your assistants"),
    ('haulout remember "Ana is allergic to walnuts."', "one thing"),
    ('haulout recall "what can\'t Ana eat?"', "and back"),
    ("haulout volumes add PLACE...", "disks, buckets"),
    ("haulout backup vault.haulout", "a sealed copy"),
    ("haulout --help", "the rest"),
)


def main() -> int:
    """Run all chapters; 0 when every claim held."""
    parser = argparse.ArgumentParser(prog="demo", description="The whole of Haulout in a minute.")
    parser.add_argument("--record", type=Path, metavar="FILE.svg", help="write what is shown")
    record: Path | None = parser.parse_args().record
    record = record and record.resolve()
    warnings.simplefilter("ignore")  # a temporary folder may lie in one that a cloud syncs
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="haulout-demo-") as home:
        os.chdir(home)
        stage = Stage(Path(home), record=record is not None)
        try:
            for chapter in CHAPTERS:
                chapter(stage)
        except ClaimError as error:
            stage.show(Text(f"The demo fails: {error}", "red bold"))
            return 1
        finally:
            os.chdir(_HERE)
    stage.show("")
    stage.show(
        Text(
            f"{stage.claims} claims, all held, in {time.monotonic() - began:.0f} seconds."
            " The temporary vault is gone.",
            "green bold",
        )
    )
    stage.show(Text("What you would type next:"))
    for command, words in _NEXT:
        stage.show(Text.assemble(f"  {command:<47}", (words, "dim")))
    if record:
        stage.save(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
