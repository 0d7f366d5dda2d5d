"""An order goes before what nobody waits for: imports and publications stop between small steps."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haulout import Vault
from haulout.redstuff import encode
from haulout.state.acting import Actor
from haulout.testing.venue.simulated import SimulatedVenue
from haulout.vault.stores import sections, volumestore


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made, _ = Vault.create(tmp_path / "vault", embedder="none")
    with made:
        yield made


def counted(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time that something gives way in this vault."""
    given: list[int] = []
    monkeypatch.setattr(vault._parts.way, "give", lambda: given.append(1))
    return given


def act(vault: Vault, count: int) -> None:
    state = vault.state("bots/btc")
    for number in range(count):
        state.reserve("order", {"n": number}, target=f"t/{number}")


def test_while_an_event_is_written_the_way_is_taken(vault: Vault) -> None:
    way, found = vault._parts.way, list[int]()
    tape = vault.state("bots/btc").tape

    def decide(_book: Any, _past: Any) -> tuple[list[Any], None]:
        found.append(way._passing)
        return [], None

    tape.transact(decide)
    assert found == [1]
    assert way._passing == 0


def test_an_order_has_the_way_from_its_first_step_on(vault: Vault) -> None:
    """From the making of its ID: a publication took the interpreter before anything was written."""
    way, found = vault._parts.way, list[int]()
    state = vault.state("bots/btc")
    state.tag()
    entropy = state.entropy

    def watched(count: int) -> bytes:
        found.append(way._passing)
        return entropy(count)

    state.entropy = watched
    state.reserve("order", {"n": 1})
    actor = Actor(state, SimulatedVenue(prices={"BTC/USDT": "100"}), needs_recovery=False)
    actor.act("order", {"symbol": "BTC/USDT", "side": "buy", "amount": "1"}, target="t")
    assert len(found) == 2
    assert all(found)
    assert way._passing == 0


def test_an_order_that_fails_gives_the_way_back(vault: Vault) -> None:
    with pytest.raises(ZeroDivisionError):
        vault.state("bots/btc").tape.transact(lambda _book, _past: 1 // 0)  # type: ignore[return-value]
    assert vault._parts.way._passing == 0


def test_an_import_gives_way_before_each_memory_as_it_is_read_and_as_it_is_written(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = counted(vault, monkeypatch)
    vault.remember_many([{"text": f"Number {number}."} for number in range(700)])
    assert len(given) == 1400


def test_a_publication_gives_way_between_records_keys_packs_and_calls(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.remember_many([{"text": f"Number {number}."} for number in range(50)])
    act(vault, 50)
    given = Counter[str]()

    def give() -> None:
        frame = sys._getframe(1)
        while frame.f_code.co_name in {"along", "<listcomp>", "<dictcomp>"} and frame.f_back:
            frame = frame.f_back
        given[frame.f_code.co_name] += 1

    monkeypatch.setattr(vault._parts.way, "give", give)
    vault.add_volumes([str(tmp_path / f"volume-{number}") for number in range(3)])
    vault.sync()
    for each_record in ("_stored", "encode_segment", "_encoded_pairs"):
        assert given[each_record] >= 100, each_record
    for each_pack in ("_write", "_carry_out", "seal"):
        assert given[each_pack] >= 4, each_pack
    for each_shard in ("submit", "_timed", "next"):
        assert given[each_shard] >= 4 * 10, each_shard


def test_control_a_publication_of_nothing_gives_way_hardly_ever(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.add_volumes([str(tmp_path / f"volume-{number}") for number in range(3)])
    vault.sync()
    given = counted(vault, monkeypatch)
    vault.sync()
    assert len(given) < 10


def test_a_pack_of_a_publication_is_encoded_once(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[bytes] = []

    def counting(data: bytes, n_shards: int) -> Any:
        encoded.append(data)
        return encode(data, n_shards)

    monkeypatch.setattr(volumestore, "encode", counting)
    vault.add_volumes([str(tmp_path / f"volume-{number}") for number in range(3)])
    vault.remember("A memory.")
    act(vault, 3)
    vault.sync()
    assert len(encoded) == len(set(encoded)) >= 4  # segment and keys of either lane
    store = vault._remote.store(vault._remote.rows()[0])
    assert not store._encoded  # pyright: ignore[reportAttributeAccessIssue]


def test_packs_that_are_kept_encoded_are_few(tmp_path: Path, vault: Vault) -> None:
    vault.add_volumes([str(tmp_path / f"volume-{number}") for number in range(3)])
    store = vault._remote.store(vault._remote.rows()[0])
    size = volumestore.PACK_BYTES
    for number in range(4):
        store.blob_id(bytes([number]) * size)
        kept = store._encoded  # pyright: ignore[reportAttributeAccessIssue]
        assert sum(map(len, kept)) <= volumestore._ENCODED_BYTES
    assert len(kept) == 2


def test_what_was_erased_is_found_without_reading_every_record(vault: Vault) -> None:
    kept = vault.remember("A memory.")
    vault.remember("Another.")
    vault.forget(kept.id)
    act(vault, 1)
    for parts in (vault._parts, vault._states.parts()):
        with parts.database.read() as connection:
            plan = connection.execute(
                "EXPLAIN QUERY PLAN SELECT num FROM record WHERE vault = 1 AND payload IS NULL"
                " ORDER BY num"
            ).fetchall()
            found = sections.erased(connection, parts.vault)
        assert "record_erased" in str(plan)
        assert len(found) == (1 if parts is vault._parts else 0)
