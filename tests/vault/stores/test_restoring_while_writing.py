"""A restore is valid at any moment, whoever writes and publishes meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from haulout import Vault
from haulout.errors import HauloutError
from haulout.vault.values import Synced

WRITER = """
import sys
from pathlib import Path
from haulout import Vault

folder, name = sys.argv[1:]
with Vault.open(folder, embedder="none") as vault:
    vault.keep_synced(every=0.05)
    number = 0
    while not (Path(folder) / "stop").exists():
        memory = vault.remember(f"{name} wrote {number}", tags=[name])
        if number % 7 == 3:
            vault.update(memory.id, f"{name} corrected {number}")
        if number % 11 == 5:
            vault.forget(memory.id, level="hidden" if number % 2 else "destroyed")
        number += 1
"""


def restores(folder: Path, words: str, *, times: int, seconds: float) -> list[int]:
    """Restore again and again while four processes write; how many records each brought back."""
    with Vault.open(folder, embedder="none") as vault:
        locator = vault.locator()
        vault.remember("the first")
        vault.sync()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), f"writer{n}"])
        for n in range(4)
    ]
    found: list[int] = []
    until = time.monotonic() + seconds
    try:
        while len(found) < times or time.monotonic() < until:
            place = folder.parent / f"twin{len(found)}"
            with Vault.restore(locator, place, kit=words, embedder="none") as twin:
                assert twin.restored is not None
                assert twin.restored.complete, twin.restored.failures
                assert twin.check().sound
                found.append(twin.restored.records)
            shutil.rmtree(place)
    finally:
        (folder / "stop").touch()
        for writer in writers:
            assert writer.wait(60) == 0
    return found


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[Path, str]:
    vault, kit = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        vault.add_volumes([str(tmp_path / f"volume{number}") for number in range(5)])
    return tmp_path / "a", kit.words


def test_restores_under_four_writers_are_valid_and_grow(volumes: tuple[Path, str]) -> None:
    found = restores(*volumes, times=3, seconds=0)
    assert found == sorted(found)


@pytest.mark.full
def test_restores_for_a_minute_under_four_writers_are_valid_and_grow(
    volumes: tuple[Path, str],
) -> None:
    found = restores(*volumes, times=12, seconds=60)
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_a_program_that_keeps_a_vault_synced_publishes_what_is_new(
    volumes: tuple[Path, str], tmp_path: Path
) -> None:
    folder, words = volumes
    done = threading.Event()

    def told(what: Synced | HauloutError) -> None:
        if isinstance(what, Synced) and what.stores[0].records == vault.stats().records > 3:
            done.set()

    with Vault.open(folder, embedder="none") as vault:
        vault.keep_synced(every=0.01, told=told)
        vault.remember("something new")
        assert done.wait(30)
        with Vault.restore(vault.locator(), tmp_path / "b", kit=words, embedder="none") as twin:
            assert [one.text for one in twin.list().memories] == ["something new"]
