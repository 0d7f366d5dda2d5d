"""The version table: what stands in it, what is listed from it, and what erasing leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from index.test_search import seal_all
from vault.making import BagEmbedder, moment, new_vault, world

from haulout import Vault
from haulout.index import memories
from haulout.testing.pages import vault_pages

RARE = "zyzzyva"  # in each place of a memory that can hold a word
EVERYWHERE: dict[str, Any] = {
    "text": f"text {RARE}one",
    "kind": f"{RARE}two",
    "speaker": f"{RARE}three",
    "session": f"{RARE}four",
    "source": f"{RARE}five",
    "tags": [f"{RARE}six"],
    "metadata": {f"{RARE}seven": f"{RARE}eight"},
    "occurred_at": moment(1_234_567_890_123_456),
}


def tables(vault: Vault) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with vault._database.read() as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}


def rows(vault: Vault) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for name, found in tables(vault).items():
        for row in found:
            yield name, row


def holds(row: tuple[Any, ...], word: str) -> bool:
    return any(
        word in value if isinstance(value, str) else word.encode() in value
        for value in row
        if isinstance(value, str | bytes)
    )


@pytest.mark.parametrize("sealed", [False, True], ids=["fresh", "sealed"])
@pytest.mark.parametrize("level", ["destroyed", "everywhere"])
@pytest.mark.parametrize("vector", [None, [1.0, 2.0]], ids=["queued", "given a vector"])
def test_forgetting_leaves_no_row_that_mentions_the_memory(
    level: Any, vector: Any, *, sealed: bool
) -> None:
    with Vault.ephemeral(world=world()) as vault:
        before = vault.remember("an innocent neighbour", session=f"{RARE}four"[-4:])
        memory = vault.remember(**EVERYWHERE, vector=vector)
        vault.update(memory.id, f"changed {RARE}nine", tags=[f"{RARE}ten"])
        vault.remember("another neighbour")
        if sealed:
            seal_all(vault)
        assert {name for name, row in rows(vault) if holds(row, RARE)} >= {"version"}
        nums = {row[0] for row in tables(vault)["version"] if holds(row, RARE)}
        assert len(nums) == 2
        receipt = vault.forget(memory.id, level=level)
        assert (receipt.memories, receipt.pending) == ((memory.id,), ())
        assert [name for name, row in rows(vault) if holds(row, RARE)] == []
        left = tables(vault)
        for name in ("version", "fresh", "embed_queue", "record_key"):
            assert [row for row in left[name] if row[0] in nums] == []
        assert [row for row in left["vector"] if row[3] in nums] == []
        assert {row[-1] for row in left["record"] if row[0] in nums} == {None}
        with vault._database.read() as connection:
            found = {num for _, _, num, _ in memories.lexical.every_posting(connection)}
        assert found & nums == set()
        assert nums == {row[0] for row in left["erased"]}  # numbers alone, for other processes
        assert vault.get(before.id).text == "an innocent neighbour"
        assert vault.check().sound


@pytest.mark.parametrize("sealed", [False, True], ids=["fresh", "sealed"])
def test_forgetting_leaves_no_byte_on_disk(tmp_path: Path, *, sealed: bool) -> None:
    vault, _ = new_vault(tmp_path / "v", embedder=BagEmbedder())
    vault.remember_many({"text": f"memory {n} of many " + "word " * 40} for n in range(200))
    memory = vault.remember(**EVERYWHERE)
    vault.update(memory.id, f"changed {RARE}nine")
    vault.catch_up()
    if sealed:
        seal_all(vault)

    def found() -> int:
        return sum(RARE.encode() in page.plain for page in vault_pages(tmp_path / "v"))

    assert found() > 0
    assert vault.forget(memory.id).pending == ()
    assert found() == 0
    assert all(page.authentic for page in vault_pages(tmp_path / "v"))
    assert vault.check().sound
    vault.close()
    assert found() == 0


def test_versions_are_counted_and_kept_in_order() -> None:
    with Vault.ephemeral() as vault:
        memory = vault.remember("one")
        for number, text in enumerate(["two", "three"], 2):
            assert vault.update(memory.id, text).version == number
        events = [event.memory.text for event in vault.history(memory.id) if event.memory]
        assert events == ["one", "two", "three"]
        assert vault.stats().versions == 3
        assert vault.stats().memories == 1


def test_more_versions_than_a_statement_takes_are_read_in_order() -> None:
    with Vault.ephemeral() as vault:
        kept = vault.remember_many({"text": f"memory {n}"} for n in range(1200))
        nums = [num for (num, *_), _ in zip(tables(vault)["version"], kept, strict=True)]
        with vault._database.read() as connection:
            found = memories.read(connection, nums[::-1])
        assert [memory.id for memory in found] == [memory.id for memory in kept[::-1]]
