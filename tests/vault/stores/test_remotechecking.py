"""`check(remote=True)`: whatever is wrong with what a store holds is found, by its name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from vault.making import BagEmbedder
from vault.publishing import store_of

from haulout import Vault
from haulout.errors import StoreUnavailableError
from haulout.log import published
from haulout.log.head import Ref
from haulout.storage.memory import MemoryBackend


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A vault whose stores hold a section of every kind."""
    made, _ = Vault.create(tmp_path / "a", embedder=BagEmbedder())
    with made:
        made.add_volumes([f"memory:{secrets.token_hex(8)}" for _ in range(3)])
        # The first run is so much larger that the next ones do not join it.
        for number, words in enumerate([20_000, 3, 3]):
            made.remember(f"Memory {number} " + "walnuts " * words)
            made.remember(f"File {number}", attach=bytes([number]) * 3000)
            made.catch_up()
            made.sync()
        yield made


def sections(vault: Vault) -> dict[str, Ref]:
    """Every section that the head names, by the name that a problem would have."""
    row = vault._remote.row("volumes")
    assert row is not None
    found: dict[str, Ref] = {}
    for number, one in enumerate(row.state.runs, 1):
        found[f"run {number}, segment"] = one.run.segment
        if one.run.keys is not None:
            found[f"run {number}, keys"] = one.run.keys
        for ref in one.run.vectors:
            found[f"run {number}, vectors"] = ref
    for one in row.state.chunks:
        found[f"map {one.number} of attachments"] = one.ref
    with vault._database.read() as connection:
        for place in published.chunk_places(connection, row.number):
            found[f"chunk {place.chunk.hex()}"] = place.ref
    return found


def names(problems: tuple[str, ...]) -> set[str]:
    """What problems are about: each begins with the store, then the part."""
    return {problem.partition(", ")[2].partition(": ")[0] for problem in problems}


@contextmanager
def instead(vault: Vault, of: Ref, answer: bytes | Exception) -> Iterator[None]:
    """A store that answers otherwise when it is asked for one section."""
    row = vault._remote.row("volumes")
    assert row is not None
    store: Any = vault._remote.store(row)
    inner = store.get

    def get(ref: Ref) -> bytes:
        if ref != of:
            return inner(ref)
        if isinstance(answer, Exception):
            raise answer
        return answer

    store.get = get
    try:
        yield
    finally:
        del store.get


def test_a_sound_store_is_read_back_whole(vault: Vault) -> None:
    told: list[tuple[int, int | None]] = []
    report = vault.check(remote=True, progress=lambda *given: told.append(given))
    expected = sections(vault)
    assert report.sound
    assert report.remote_sections == len(expected)
    assert report.remote_bytes == sum(ref.length for ref in expected.values())
    assert told[-1][0] == told[-1][1]
    kinds = {name.split(", ")[-1].split()[0] for name in expected}
    assert kinds == {"segment", "keys", "vectors", "map", "chunk"}


def test_without_stores_there_is_nothing_to_read_back(tmp_path: Path) -> None:
    made, _ = Vault.create(tmp_path / "a", embedder="none")
    with made:
        report = made.check(remote=True)
        assert (report.sound, report.remote_sections) == (True, 0)


def test_every_section_that_does_not_answer_is_named_and_nothing_else(vault: Vault) -> None:
    for name, ref in sections(vault).items():
        failure = StoreUnavailableError("Nobody answers.")
        with instead(vault, ref, failure):
            report = vault.check(remote=True)
        assert names(report.problems) == {name}
        assert "Nobody answers." in report.problems[0]
    assert vault.check(remote=True).sound


def test_every_section_with_a_changed_byte_is_named_and_nothing_else(vault: Vault) -> None:
    store = store_of(vault)
    try:
        good = {name: (ref, store.get(ref)) for name, ref in sections(vault).items()}
    finally:
        store.close()
    for name, (ref, data) in good.items():
        at = len(data) // 2
        bad = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with instead(vault, ref, bad):
            assert names(vault.check(remote=True).problems) == {name}


def test_a_section_in_the_place_of_another_is_named(vault: Vault) -> None:
    store = store_of(vault)
    try:
        good = {name: (ref, store.get(ref)) for name, ref in sections(vault).items()}
    finally:
        store.close()
    found = list(good.items())
    for (name, (ref, data)), (_, (_, other)) in zip(found, found[1:] + found[:1], strict=True):
        assert data != other
        with instead(vault, ref, other):
            assert name in names(vault.check(remote=True).problems)


def same_kind(left: str, right: str) -> bool:
    return (
        left != right
        and left.rpartition(", ")[2].split()[0] == right.rpartition(", ")[2].split()[0]
    )


def test_a_section_of_another_run_or_chunk_is_named(vault: Vault) -> None:
    """Each opens, and is of the right kind."""
    store = store_of(vault)
    try:
        good = {name: (ref, store.get(ref)) for name, ref in sections(vault).items()}
    finally:
        store.close()
    tried: set[str] = set()
    for name, (ref, _) in good.items():
        other = next((data for left, (_, data) in good.items() if same_kind(left, name)), None)
        if other is not None:
            tried.add(name.rpartition(", ")[2].split()[0])
            with instead(vault, ref, other):
                assert names(vault.check(remote=True).problems) == {name}
    assert tried == {"segment", "keys", "vectors", "chunk"}


def test_every_blob_that_is_lost_is_found_by_the_parts_that_stood_in_it(vault: Vault) -> None:
    expected = sections(vault)
    for blob in {ref.blob for ref in expected.values()}:
        kept = {
            backend: dict(backend._objects)
            for backend in MemoryBackend._named.values()
        }  # fmt: skip
        store = store_of(vault)
        try:
            assert store.delete(blob)
        finally:
            store.close()
        report = vault.check(remote=True)
        lost = {name for name, ref in expected.items() if ref.blob == blob}
        reported = names(report.problems)
        assert lost <= reported or any(name.startswith("map") for name in lost & reported)
        assert reported <= lost
        for backend, standing in kept.items():
            backend._objects = standing
    assert vault.check(remote=True).sound


def test_a_head_that_was_taken_away_or_put_back_is_found(vault: Vault) -> None:
    row = vault._remote.row("volumes")
    assert row is not None
    kept = {backend: dict(backend._objects) for backend in MemoryBackend._named.values()}
    vault.remember("a newer one")
    vault.sync()
    for backend, standing in kept.items():
        heads = {name: at for name, at in standing.items() if name.startswith("heads/")}
        backend._objects = {**backend._objects, **heads}
    report = vault.check(remote=True)
    assert [one for one in report.problems if "head" in one]


def test_a_record_that_is_not_in_the_log_here_is_found(vault: Vault) -> None:
    """A store with more than this log: its file was replaced by an older copy."""
    state = vault._remote.row("volumes")
    assert state is not None
    with vault._database.read() as connection:
        newest = connection.execute("SELECT max(num) FROM record").fetchone()[0]
    vault._database.write(
        lambda tx: tx.execute("UPDATE record SET signature = zeroblob(64) WHERE num = ?", (newest,))
    )
    report = vault.check(remote=True)
    last = f"run {len(state.state.runs)}, segment"
    assert last in names(report.problems)


def test_a_store_that_cannot_be_opened_is_a_finding(vault: Vault) -> None:
    vault._remote.add("walrus", '{"aggregators": ["http://127.0.0.1:9"], "connect": 0.1}')
    report = vault.check(remote=True)
    assert report.sound  # nothing was published there
    vault._remote.remove("walrus")
    row = vault._remote.row("volumes")
    assert row is not None
    for one in vault.volumes().volumes:
        MemoryBackend._named.pop(one.url.removeprefix("memory:"))
    vault._remote.close()
    report = vault.check(remote=True)
    assert names(report.problems) >= set(sections(vault)) - {
        name for name in sections(vault) if name.startswith("chunk")
    }
