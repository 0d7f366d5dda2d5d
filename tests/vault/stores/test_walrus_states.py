"""States of agents on Walrus: in the blob of the memories, paid once, and cared for like them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vault.acting import act, book, lane, published, records
from vault.making import new_vault
from vault.onwalrus import (
    Calendar,
    named,
    paid_twice,
    publisher,
    restored,
    row_of,
    with_walrus,
)
from vault.publishing import Crash, Fuse, digest, silent

from haulout import Vault
from haulout.errors import BlobMissingError, DamagedError
from haulout.log.head import Ref
from haulout.log.locator import decode
from haulout.redstuff import blob_id_text
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.stores.walrusstore import WalrusStore


@pytest.fixture
def network() -> Iterator[LoopbackNetwork]:
    with LoopbackNetwork(
        nodes=4, n_shards=10, publishers=2, aggregators=2, signatures=False
    ) as net:
        yield net


@pytest.fixture
def calendar(network: LoopbackNetwork) -> Calendar:
    return Calendar(network)


def locator_of(vault: Vault) -> str:
    assert vault.path is not None
    return (vault.path / "locator.txt").read_text("ascii")


def test_states_are_in_the_blob_of_the_memories_and_come_back_by_the_locator(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("a memory")
        act(vault)
        assert vault.sync().complete
        assert len(network.ledger.payments) == 1
        state = row_of(vault).state
        assert state.states is not None
        assert state.place is not None
        assert named(vault) == {blob_id_text(state.place.blob)}
        walrus = decode(locator_of(vault)).walrus
        assert walrus is not None
        assert (walrus.head, walrus.states) == (state.place, state.states.place)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert report.states == 1
            assert book(twin) == book(vault)
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
            twin.state("bots/btc").document("plan").set("from the new machine")
            assert twin.sync().complete
            third, again = restored(locator_of(twin), words, tmp_path / "c")
            with third:
                assert again.complete
                assert third.state("bots/btc").get("plan") == "from the new machine"
                assert third.check(remote=True).sound
                assert third.check().sound


def test_a_change_of_states_alone_is_one_blob_and_leaves_the_memories_head(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("a memory")
        act(vault)
        vault.sync()
        before = row_of(vault).state
        vault.state("bots/btc").document("plan").set("new")
        vault.sync()
        after = row_of(vault).state
        assert len(network.ledger.payments) == 2
        assert (after.number, after.place) == (before.number, before.place)
        assert after.states is not None
        assert after.states.number == 2
        assert vault.check(remote=True).sound
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert twin.state("bots/btc").get("plan") == "new"


def test_a_locator_of_a_vault_without_states_reads_as_before(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("a memory")
        vault.sync()
        walrus = decode(locator_of(vault)).walrus
        assert walrus is not None
        assert walrus.states is None
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert twin.states() == []


def test_states_whose_head_cannot_be_read_are_left_out_by_name(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("a memory")
        act(vault)
        vault.sync()
        state = row_of(vault).state
        assert state.states is not None
        lost, get = state.states.place, WalrusStore.get

        def without(store: WalrusStore, ref: Ref) -> bytes:
            if ref == lost:
                raise BlobMissingError("No node has it.")
            return get(store, ref)

        monkeypatch.setattr(WalrusStore, "get", without)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.failures == ("states: No node has it.",)
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
            with pytest.raises(DamagedError, match="were not brought back"):
                twin.state("bots/btc")


def crash_at(vault: Vault, step: int) -> bool:
    """Publish in a program that ends at a step; whether it got there."""
    work, close = publisher(vault, Fuse(step))
    try:
        work.publish(silent)
    except Crash:
        return True
    finally:
        close()
    return False


def test_a_crash_at_any_step_calls_no_state_remote_that_is_not_and_pays_nothing_twice(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar, pack_bytes=20_000)
    with vault:
        state = vault.state("bots/btc")
        step, before = 0, 0
        while True:
            for number in range(12):
                state.reserve(
                    "order", {"n": "x" * 900}, key=f"{step}-{number}", target="t", role="exit"
                )
            if step % 3 == 0:
                vault.remember(f"memory {step}")
            stopped = crash_at(vault, step)
            crash_at(vault, step // 2)
            assert published(vault, "walrus") >= before
            before = published(vault, "walrus")
            if step % 4 == 0 and row_of(vault).state.states:
                vault._remote._keep_locator()
                twin, report = restored(locator_of(vault), words, tmp_path / f"b{step}")
                twin.close()
                assert report.complete
                assert report.state_records == before
            if not stopped:
                break
            vault.sync()
            assert published(vault, "walrus") == records(vault)
            step += 2
        assert step > 12
        assert not paid_twice(network)
        vault.sync()
        assert all(network.ledger.certified(blob) for blob in named(vault))
        twin, report = restored(locator_of(vault), words, tmp_path / "end")
        with twin:
            assert report.complete
            assert book(twin) == book(vault)


@pytest.mark.parametrize("changing", ["memories", "states"])
def test_over_half_a_year_the_lane_that_rests_stands_like_the_one_that_changes(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar, changing: str
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar, pack_bytes=40_000)
    with vault:
        vault.remember("a memory that stays")
        act(vault)
        vault.sync()
        for number in range(26):
            if changing == "memories":
                vault.remember(f"week {number} " + "y" * 1500)
            else:
                vault.state("bots/btc").document("plan").set(f"week {number} " + "y" * 1500)
            calendar.pass_days(6.9)
            assert vault._remote.sync(silent, force=False).complete
            assert all(network.ledger.certified(blob) for blob in named(vault))
        assert not paid_twice(network)
        vault.sync()
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert book(twin) == book(vault)
            assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_the_cadence_counts_what_waits_of_both_lanes(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar, cadence_bytes=30_000)
    with vault:
        vault.remember("a memory")
        act(vault)
        vault.sync()
        state = vault.state("bots/btc")
        state.document("plan").set("x" * 20_000)
        assert not vault._remote.waiting()
        vault.remember("y" * 12_000)
        assert vault._remote.waiting()
        vault._remote.sync(silent, force=False)
        assert published(vault, "walrus") == records(vault)
        state.document("plan").set("z")
        assert not vault._remote.waiting()
        calendar.pass_days(2.1)
        assert vault._remote.waiting()


def test_what_a_vault_costs_counts_the_events_of_its_states(tmp_path: Path) -> None:
    vault, _ = new_vault(tmp_path / "a")
    with vault:
        vault.remember("a memory")
        before = vault.cost().memories
        act(vault)
        with lane(vault).database.read() as connection:
            (events,) = connection.execute("SELECT count(*) FROM state_event").fetchone()
        # Records of devices and keys have payloads, too, in both lanes.
        assert events < vault.cost().memories - before <= events + 4
