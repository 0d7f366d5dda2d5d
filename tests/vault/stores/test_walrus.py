"""A vault on Walrus: what is remote is there, is paid once, and stays while it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vault.onwalrus import (
    Calendar,
    named,
    paid_twice,
    publisher,
    remote_records,
    restored,
    row_of,
    with_walrus,
)
from vault.publishing import Crash, Fuse, digest, silent

from haulout import Vault
from haulout.errors import HauloutError, StoreRefusedError, StoreUnavailableError
from haulout.log import published
from haulout.redstuff import blob_id_text
from haulout.testing.walrus.network import LoopbackNetwork


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


def test_what_is_synced_comes_back_from_the_locator_with_the_same_digest_and_recall(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        for number in range(5):
            vault.remember(f"Memory {number} about walnuts.", tags=[f"t{number % 3}"])
            assert vault.sync().complete
        gone = vault.remember("A secret.")
        vault.sync()
        vault.forget(gone.id)
        assert vault.sync().complete
        assert len(network.ledger.payments) == 7
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert report.records == vault.stats().records
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
            for query in ("walnuts", "Memory 3"):
                assert twin.recall(query, explain=True) == vault.recall(query, explain=True)
            twin.remember("from the new machine")
            assert twin.sync().complete
            third, again = restored(locator_of(twin), words, tmp_path / "c")
            with third:
                assert again.complete
                assert digest(third, tmp_path) == digest(twin, tmp_path)


def test_a_small_publication_is_one_blob_and_its_head_stands_in_it(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        state = row_of(vault).state
        assert state.place is not None
        assert named(vault) == {blob_id_text(state.place.blob)}
        assert len(network.ledger.payments) == 1


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


@pytest.mark.parametrize("renewing", [False, True], ids=["sync", "renew"])
def test_a_crash_at_any_step_calls_nothing_remote_that_is_not_and_pays_nothing_twice(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar, *, renewing: bool
) -> None:
    # Packs of 20,000 bytes hold few memories, so that there are full ones to renew.
    vault, words = with_walrus(tmp_path / "a", network, calendar, pack_bytes=20_000)
    with vault:
        vault._remote.add("walrus", row_of(vault).settings)
        step, before = 0, 0
        while True:
            vault.remember_many([{"text": f"memory {step} {n} " + "x" * 400} for n in range(30)])
            if renewing:
                calendar.pass_days(14)
            stopped = crash_at(vault, step)
            crash_at(vault, step // 2)
            assert remote_records(vault) >= before
            before = remote_records(vault)
            if step % 4 == 0 and row_of(vault).state.number:
                vault._remote._keep_locator()
                twin, report = restored(locator_of(vault), words, tmp_path / f"b{step}")
                twin.close()
                assert report.complete
                assert report.records == before
            if not stopped:
                break
            vault.sync()
            assert remote_records(vault) == vault.stats().records
            step += 2 if not renewing else 3
        assert step > 12
        assert not paid_twice(network)
        assert any(one.what == "extend" for one in network.ledger.payments) == renewing
        vault.sync()
        assert all(network.ledger.certified(blob) for blob in named(vault))
        assert not list((tmp_path / "a" / "outbox").iterdir())


@pytest.mark.parametrize(
    "fault", ["dead", "lost_answers", "broke", "busy", "lie", "wrong_id", "dies_after_paying"]
)
def test_a_publisher_that_fails_is_paid_once_and_what_it_says_is_not_believed(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar, fault: str
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        for station in network.publishers:
            setattr(station.faults, fault, True)
        try:
            vault.sync()
        except HauloutError:
            assert remote_records(vault) == 0
        else:  # the work was done, and looking it up said so
            assert fault == "lost_answers"
        for station in network.publishers:
            station.faults.clear()
        assert vault.sync().complete
        assert remote_records(vault) == vault.stats().records
        assert not paid_twice(network)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        twin.close()
        assert report.complete


@pytest.mark.parametrize("fault", ["dead", "lie", "truncate", "lose", "equivocate"])
def test_a_restore_goes_around_an_aggregator_that_fails(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar, fault: str
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        setattr(network.aggregators[0].faults, fault, True)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_a_stalled_publisher_is_gone_on_with_when_it_answers_again(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(
        tmp_path / "a", network, calendar, publishers=network.urls.publishers[:1], put=0.5
    )
    with vault:
        vault.remember("one")
        network.publishers[0].faults.stall()
        with pytest.raises((StoreUnavailableError, StoreRefusedError)):
            vault.sync()
        assert remote_records(vault) == 0
        network.publishers[0].faults.release()
        assert vault.sync().complete
        assert not paid_twice(network)


def everything_stands(vault: Vault, network: LoopbackNetwork) -> bool:
    return all(network.ledger.certified(blob) for blob in named(vault))


def test_over_a_year_everything_named_stands_and_nothing_ends_unannounced(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar, pack_bytes=40_000)
    with vault:
        for number in range(54):
            vault.remember(f"week {number} " + "y" * 1500)
            calendar.pass_days(6.9)  # a vault that sleeps for longer than it keeps may lose
            assert vault._remote.sync(silent, force=False).complete
            assert everything_stands(vault, network)
            store = vault.stores().stores[0]
            assert store.ends_in_days is not None
            assert store.ends_in_days >= 7 - 0.01 or store.waiting
        assert network.ledger.epoch > 26
        assert any(one.what == "extend" for one in network.ledger.payments)
        assert not paid_twice(network)
        assert len(named(vault)) <= 20
        vault.sync()
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_a_vault_that_slept_while_everything_ended_is_written_again(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        calendar.pass_days(200)
        assert not everything_stands(vault, network)
        assert vault.sync().complete
        assert everything_stands(vault, network)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        twin.close()
        assert report.complete


def test_a_renewal_without_money_is_announced_and_made_up_for(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        first = vault.stores().stores[0]
        calendar.pass_days(26)
        for station in network.publishers:
            station.faults.broke = True
        with pytest.raises(HauloutError):
            vault.sync()
        store = vault.stores().stores[0]
        assert first.ends_in_days is not None
        assert store.ends_in_days is not None
        assert store.ends_in_days < 7 <= first.ends_in_days
        assert store.alarm
        assert not first.alarm
        for station in network.publishers:
            station.faults.clear()
        assert vault.sync().complete
        assert not vault.stores().stores[0].alarm


def test_a_blob_that_the_network_lost_is_written_again(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        row = row_of(vault)
        assert row.state.place is not None
        lost = row.state.place.blob
        vault._database.write(lambda tx: published.forget_blob(tx, row.number, lost))
        assert vault.sync().complete
        assert blob_id_text(lost) not in named(vault)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        twin.close()
        assert report.complete


def test_a_pack_that_is_gone_when_it_is_to_be_renewed_is_written_again(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar, pack_bytes=20_000)
    with vault:
        vault.remember_many([{"text": f"memory {n} " + "z" * 400} for n in range(60)])
        vault.sync()
        with vault._database.read() as connection:
            kept = published.blobs(connection, row_of(vault).number)
        lasting = [blob_id_text(one.blob) for one in kept if one.lasting]
        assert lasting
        for blob in lasting:
            for one in network.ledger.of_blob(blob):
                del network.ledger.objects[one.id]
        calendar.pass_days(4 * 14 - 5)
        assert vault.sync().complete
        assert not named(vault) & set(lasting)
        assert everything_stands(vault, network)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        twin.close()
        assert report.complete


def test_a_restored_vault_learns_when_what_it_took_over_ends(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault.sync()
        before = named(vault)
        twin, _ = restored(locator_of(vault), words, tmp_path / "b")
    with twin:
        twin.remember("two")
        assert twin.sync().complete
        row = row_of(twin)
        with twin._database.read() as connection:
            ends = {
                blob_id_text(one.blob): one.until for one in published.blobs(connection, row.number)
            }
        assert before <= set(ends)
        for blob, until in ends.items():
            assert until == max(one.end for one in network.ledger.of_blob(blob))


def test_what_waits_for_another_store_stays_in_the_outbox(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.add_volumes([str(tmp_path / "v0"), str(tmp_path / "v1")])
        vault.remember("one")
        for station in network.publishers:
            station.faults.dead = True
        assert not vault.sync().complete
        waiting = {one.name for one in (tmp_path / "a" / "outbox").iterdir()}
        vault.remember("two")
        assert not vault.sync().complete
        assert waiting <= {one.name for one in (tmp_path / "a" / "outbox").iterdir()}
        for station in network.publishers:
            station.faults.clear()
        assert vault.sync().complete
        assert len(network.ledger.payments) == 2


def test_after_a_forget_a_publication_and_the_ends_of_blobs_no_destroyed_key_is_anywhere(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar, pack_bytes=20_000)
    with vault:
        vault.remember_many([{"text": f"stays {n} " + "z" * 300} for n in range(60)])
        gone = vault.remember("goes")
        vault.sync()
        held = {blob_id_text(one.run.keys.blob) for one in row_of(vault).state.runs if one.run.keys}
        vault.forget(gone.id)
        vault.sync()
        for _ in range(3):
            calendar.pass_days(14)
            vault.sync()
            assert everything_stands(vault, network)
        assert held
        assert not any(network.ledger.registered(blob) for blob in held)


def test_a_publication_waits_for_its_cadence_unless_it_is_told_to_be_made(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, _ = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        vault.remember("one")
        vault._remote.sync(silent, force=False)
        vault.remember("two")
        vault._remote.sync(silent, force=False)
        assert row_of(vault).state.number == 1
        calendar.pass_days(2)
        vault._remote.sync(silent, force=False)
        assert row_of(vault).state.number == 2
        vault.remember("three")
        vault.sync()
        assert row_of(vault).state.number == 3
        assert vault.sync().complete
        assert len(network.ledger.payments) == 3


def test_attachments_travel_and_stay(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar)
    with vault:
        (tmp_path / "f").write_bytes(bytes(range(256)) * 600)
        memory = vault.remember("a file", attach=str(tmp_path / "f"))
        vault.sync()
        for _ in range(4):
            calendar.pass_days(10)
            vault.sync()
            assert everything_stands(vault, network)
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        with twin:
            assert report.complete
            with twin.attachment(memory.id) as stream:
                assert stream.read() == (tmp_path / "f").read_bytes()


def test_without_storage_nodes_a_publisher_tells_the_epoch(
    tmp_path: Path, network: LoopbackNetwork, calendar: Calendar
) -> None:
    vault, words = with_walrus(tmp_path / "a", network, calendar, nodes=())
    with vault:
        for number in range(12):
            vault.remember(f"memory {number}")
            assert vault.sync().complete
            assert everything_stands(vault, network)
            calendar.pass_days(5)
        assert not paid_twice(network)
        assert vault.sync().complete
        twin, report = restored(locator_of(vault), words, tmp_path / "b")
        twin.close()
        assert report.complete


@pytest.mark.full
def test_at_a_thousand_shards_a_vault_goes_out_and_comes_back(tmp_path: Path) -> None:
    with LoopbackNetwork(nodes=10, n_shards=1000, signatures=False) as network:
        vault, words = with_walrus(tmp_path / "a", network, Calendar(network))
        with vault:
            vault.remember_many([{"text": f"memory {n}"} for n in range(100)])
            assert vault.sync().complete
            twin, report = restored(locator_of(vault), words, tmp_path / "b")
            with twin:
                assert report.complete
                assert digest(twin, tmp_path) == digest(vault, tmp_path)
