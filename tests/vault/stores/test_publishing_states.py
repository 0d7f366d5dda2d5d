"""States of agents in stores: they go out with memories, come back whole, and hold nobody up."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vault.acting import act, book, folded, lane, published, records
from vault.making import Clock
from vault.publishing import (
    Crash,
    Fuse,
    digest,
    publisher,
    restored,
    silent,
    store_of,
    with_volumes,
)

from haulout import Vault
from haulout.database.lock import WriterLock
from haulout.errors import ConflictError, DamagedError, ReadOnlyError, StoreUnavailableError
from haulout.log.head import head_name
from haulout.log.record import Lane
from haulout.redstuff import blob_id_bytes
from haulout.storage.memory import MemoryBackend
from haulout.vault.opening import World
from haulout.vault.stores.publishing import STATES_EVERY
from haulout.vault.stores.volumestore import VolumeStore


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Vault, str]]:
    """A vault with volumes, a memory and an agent's state, all published; and its words."""
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("A memory.")
        act(vault)
        assert vault.sync().complete
        yield vault, words


def heads_of(vault: Vault) -> tuple[int, int]:
    """The numbers of the newest heads of memories and of states."""
    row = vault._remote.row("volumes")
    assert row is not None
    return row.state.number, row.state.states.number if row.state.states else 0


def volumes_of(vault: Vault) -> list[MemoryBackend]:
    """The volumes themselves."""
    store = store_of(vault)
    try:
        urls = [one.url for one in store.volumes.layout.volumes]
    finally:
        store.close()
    return [MemoryBackend.named(url.partition(":")[2]) for url in urls]


# --- what comes back ------------------------------------------------------------------------


def test_a_bare_machine_gets_every_state_back_with_the_bytes_of_its_book(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    act(vault, "mail/outbox", intents=2)
    vault.state("bots/btc").lease("one", 60)
    vault.state("bots/btc").pause("I am away")
    assert vault.sync().complete
    twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert report.complete
        assert (report.states, report.state_records) == (2, records(vault))
        assert twin.states() == vault.states() == ["bots/btc", "mail/outbox"]
        for name in twin.states():
            assert book(twin, name) == book(vault, name)
            assert list(twin.state(name).events()) == list(vault.state(name).events())
        state = twin.state("bots/btc")
        assert state.halted == "pause"
        assert state.tag() == vault.state("bots/btc").tag()
        assert [one.value for one in state.document("plan").history()] == [
            one.value for one in vault.state("bots/btc").document("plan").history()
        ]
        assert twin.check().sound
        assert twin.check(remote=True).sound
        assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_a_key_that_decided_an_intent_decides_no_second_one_on_another_machine(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    first = vault.state("bots/btc").reserve("order", {"n": 9}, key="signal-9").intent
    vault.sync()
    twin, _ = restored(vault, words, tmp_path / "b")
    with twin:
        again = twin.state("bots/btc").reserve("order", {"n": 9}, key="signal-9")
        assert (again.fresh, again.intent.id) == (False, first.id)


def test_the_new_machine_goes_on_with_a_device_of_its_own_that_others_believe(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    twin, _ = restored(vault, words, tmp_path / "b")
    with twin:
        twin.state("bots/btc").document("plan").set("changed here")
        assert twin.sync().complete
        assert heads_of(twin) == (2, 2)  # it goes on from the head that it was restored from
        devices = {one.header.device for one in _stored(twin)}
        assert devices == {vault._parts.device.id, twin._parts.device.id}
        third, report = restored(twin, words, tmp_path / "c")
        with third:
            assert report.complete
            assert third.state("bots/btc").get("plan") == "changed here"
            assert third.check().sound
        vault.state("bots/btc").document("plan").set("from the lost machine")
        with pytest.raises(ConflictError):
            vault.sync()


def test_the_new_machine_cares_for_the_blobs_of_states_and_sends_none_again(
    tmp_path: Path,
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        act(vault, intents=60)
        vault.sync()
        before = vault._remote.row("volumes")
        twin, _ = restored(vault, words, tmp_path / "b")
    with twin:
        twin.state("bots/btc").document("plan").set("changed here")
        assert twin.sync().complete
        after = twin._remote.row("volumes")
        assert before is not None
        assert after is not None
        assert before.state.states is not None
        assert after.state.states is not None
        kept = before.state.states.runs[0].run.segment
        assert after.state.states.runs[0].run.segment == kept
        act(twin, "bots/eth", intents=60)  # the runs are joined now, and the old blobs go
        twin.sync()
        newest = twin._remote.row("volumes")
        assert newest is not None
        store = store_of(twin)
        try:
            standing = {blob_id_bytes(one.blob_id) for one in store.volumes.blobs()}
        finally:
            store.close()
        assert standing == newest.state.named()
        assert kept.blob not in standing


def _stored(vault: Vault) -> list[Any]:
    parts = lane(vault)
    with parts.database.read() as connection:
        return list(parts.journal.records(connection))


def test_a_vault_without_states_publishes_and_restores_none(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        synced = vault.sync()
        assert synced.complete
        assert synced.stores[0].state_records == 0
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert report.states == 0
            assert twin.states() == []
            assert not (tmp_path / "b" / "state.db").exists()
            twin.state("bots/new").document("plan").set(1)
            assert twin.sync().complete


def test_a_replica_has_no_states_and_says_so(made: tuple[Vault, str], tmp_path: Path) -> None:
    vault, words = made
    with Vault.replicate(vault.locator(), tmp_path / "r", kit=words, embedder="none") as replica:
        for ask in (replica.states, lambda: replica.state("bots/btc")):
            with pytest.raises(ReadOnlyError, match="a replica has no states"):
                ask()
        assert replica.stats().states == 0
        assert replica.check().sound
        vault.state("bots/btc").document("plan").set("new")
        vault.sync()
        assert not replica.refresh().changed  # the memory lane's head is the same
        assert not (tmp_path / "r" / "state.db").exists()


def test_states_go_along_where_volumes_come_and_go(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a", count=4)
    with vault:
        act(vault)
        vault.sync()
        old = vault.locator()
        first, second = (one.id for one in vault.volumes().volumes[:2])
        vault.add_volumes([f"memory:more-{tmp_path.name}"])
        vault.remove_volume(first)
        vault.remove_volume(second)
        vault.sync()
        assert heads_of(vault) == (2, 2)  # both say where the volumes are now
        with Vault.restore(old, tmp_path / "b", kit=words, embedder="none") as twin:
            assert twin.restored is not None
            assert twin.restored.complete
            assert book(twin) == book(vault)
            assert twin.volumes() == vault.volumes()


# --- what is written ------------------------------------------------------------------------


def test_each_lane_has_a_head_that_changes_where_it_does(made: tuple[Vault, str]) -> None:
    vault, _ = made
    assert heads_of(vault) == (1, 1)
    vault.remember("another")
    vault.sync()
    assert heads_of(vault) == (2, 1)
    vault.state("bots/btc").document("plan").set("other")
    vault.sync()
    assert heads_of(vault) == (2, 2)
    vault.sync()
    assert heads_of(vault) == (2, 2)
    names = {
        head_name(vault._parts.vault_id, vault._parts.device.id, one)
        for one in (Lane.MEMORY, Lane.STATE)
    }
    store = store_of(vault)
    try:
        assert {one.name for one in store.heads()} == names
    finally:
        store.close()


def test_what_is_forgotten_is_written_anew_without_touching_what_states_are_in(
    made: tuple[Vault, str],
) -> None:
    vault, _ = made
    row = vault._remote.row("volumes")
    assert row is not None
    assert row.state.states is not None
    assert row.state.named_here().isdisjoint(row.state.states.named_here())
    vault.forget(vault.list().memories[0].id)
    vault.sync()
    after = vault._remote.row("volumes")
    assert after is not None
    assert after.state.states == row.state.states


def test_a_sync_tells_what_waits_of_states(made: tuple[Vault, str]) -> None:
    vault, _ = made
    act(vault, "bots/eth", intents=1)
    told = vault.stores()
    assert told.stores[0].waiting == 0
    assert told.stores[0].waiting_states > 10
    assert not told.complete
    done = vault.sync()
    assert done.complete
    assert done.stores[0].state_records == records(vault)


def test_a_publication_takes_no_turn_of_the_writers_of_states(made: tuple[Vault, str]) -> None:
    vault, _ = made
    vault.state("bots/btc").document("plan").set("new")
    assert vault.path is not None
    lock = WriterLock(vault.path / "state.lock")
    try:
        with lock.held():  # nobody can write a state now
            assert vault.sync().complete
    finally:
        lock.close()


def test_orders_go_on_while_a_store_hangs(
    made: tuple[Vault, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, _ = made
    state = vault.state("bots/btc")
    state.document("plan").set("new")
    asked, answer = threading.Event(), threading.Event()
    put = VolumeStore.put

    def hanging(store: VolumeStore, *given: Any) -> Any:
        asked.set()
        assert answer.wait(60)
        return put(store, *given)

    monkeypatch.setattr(VolumeStore, "put", hanging)
    syncing = threading.Thread(target=vault.sync)
    syncing.start()
    try:
        assert asked.wait(60)
        for number in range(20):
            assert state.reserve("order", {"n": number}, target=f"t/{number}").fresh
    finally:
        answer.set()
        syncing.join()
    assert vault.stores().stores[0].waiting_states == 20


def test_in_the_background_states_go_out_once_a_minute_and_memories_meanwhile(
    tmp_path: Path,
) -> None:
    clock = Clock(step=1)
    vault, _ = Vault.create(tmp_path / "a", embedder="none", world=World(now=clock))
    with vault:
        vault.add_volumes([f"memory:{tmp_path.name}-{number}" for number in range(3)])
        act(vault, intents=1)
        vault.sync()
        state = vault.state("bots/btc")
        state.document("plan").set(1)
        assert not vault._remote.waiting()
        clock.us += STATES_EVERY
        assert vault._remote.waiting()
        assert vault._new(silent) is not None
        assert published(vault) == records(vault)
        state.document("plan").set(2)
        assert not vault._remote.waiting()
        vault.remember("a memory")
        assert vault._remote.waiting()
        (told,) = vault._new(silent).stores  # pyright: ignore[reportOptionalMemberAccess]
        assert (told.waiting, told.waiting_states) == (0, 1)
        clock.us += STATES_EVERY // 2
        vault.remember("another")
        assert vault._new(silent) is not None
        clock.us += STATES_EVERY // 2
        assert vault._remote.waiting()  # memories that went out meanwhile put no state off
        vault.remember("one more")
        (told,) = vault._new(silent).stores  # pyright: ignore[reportOptionalMemberAccess]
        assert (told.waiting, told.waiting_states) == (0, 0)
        state.document("plan").set(3)
        vault.sync()  # asked for, it is not put off
        assert published(vault) == records(vault)


@pytest.mark.parametrize("source", ["stores", "backup"])
def test_a_restored_copy_takes_both_heads_over_with_its_first_publication_in_the_background(
    made: tuple[Vault, str], tmp_path: Path, source: str
) -> None:
    vault, words = made
    act(vault, intents=1)
    vault.sync()
    vault.backup(tmp_path / "backup")
    place = vault.locator() if source == "stores" else tmp_path / "backup"
    stood = heads_of(vault)
    # All of it within the minute in which states would wait.
    with Vault.restore(place, tmp_path / "b", kit=words, embedder="none") as twin:
        twin.state("bots/btc").document("plan").set("changed here")
        twin.remember("A memory of the new machine.")
        assert twin._new(silent) is not None
        assert heads_of(twin) == (stood[0] + 1, stood[1] + 1)
        vault.state("bots/btc").document("plan").set("changed there")
        with pytest.raises(ConflictError):
            vault.sync()


# --- crashes --------------------------------------------------------------------------------


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


@pytest.mark.parametrize("again", [False, True], ids=["gone on with", "crashed again"])
def test_a_crash_at_any_step_is_gone_on_with_and_calls_no_state_remote_that_is_not(
    tmp_path: Path, *, again: bool
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("first")
        state = act(vault, intents=1)
        vault.sync()
        step, before = 0, 0
        while True:
            if step % 2:  # every other time states alone
                vault.remember(f"memory {step}")
            state.reserve("order", {"n": step}, key=f"step-{step}", target=f"t/{step}")
            stopped = crash_at(vault, step)
            if again:
                crash_at(vault, step // 2)
            twin, report = restored(vault, words, tmp_path / f"b{step}")
            with twin:
                assert report.complete
                assert report.state_records >= published(vault) >= before
                keys = {one.event.body.get("key") for one in twin.state("bots/btc").events()}
                assert {f"step-{number}" for number in range(step)} <= keys
            before = published(vault)
            if not stopped:
                break
            vault.sync()
            assert published(vault) == records(vault)
            step += 1
        assert step > 15
        vault.sync()
        twin, report = restored(vault, words, tmp_path / "end")
        with twin:
            assert report.complete
            assert book(twin) == book(vault)
        assert not list((tmp_path / "a" / "outbox").iterdir())


@pytest.mark.parametrize("step", range(0, 44, 4))
def test_a_restore_that_crashes_among_states_can_be_made_again(
    made: tuple[Vault, str], tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.publishing import burning

    from haulout.database.database import Database
    from haulout.vault import opening

    vault, words = made
    fuse = Fuse(step)
    with monkeypatch.context() as patch:
        for owner, name in ((Database, "write"), (VolumeStore, "get"), (opening, "write_mark")):
            patch.setattr(owner, name, burning(getattr(owner, name), fuse))
        with suppress(Crash):
            restored(vault, words, tmp_path / "b")[0].close()
    if (tmp_path / "b" / "vault.json").exists():  # it was whole when the program ended
        with Vault.open(tmp_path / "b", embedder="none") as twin:
            assert folded(twin) == folded(vault)
        shutil.rmtree(tmp_path / "b")
    twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert report.complete
        assert twin.check().sound
        assert book(twin) == book(vault)


# --- what a store may do --------------------------------------------------------------------


def spoil(vault: Vault, blobs: set[bytes]) -> None:
    """Take blobs from every volume."""
    store = store_of(vault)
    try:
        for blob in blobs:
            store.delete(blob)
    finally:
        store.close()


def test_states_of_which_a_part_is_gone_are_left_out_by_name_and_cannot_be_begun_anew(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    row = vault._remote.row("volumes")
    assert row is not None
    assert row.state.states is not None
    spoil(vault, {row.state.states.runs[0].run.segment.blob})
    twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert not report.complete
        assert report.failed == 0
        assert len(report.failures) == 1
        assert report.failures[0].startswith("states: ")
        assert [one.text for one in twin.list().memories] == ["A memory."]
        for ask in (twin.states, lambda: twin.state("bots/btc"), lambda: twin.state("bots/new")):
            with pytest.raises(DamagedError, match="were not brought back"):
                ask()
        assert not (tmp_path / "b" / "state.db").exists()
        problems = twin.check().problems
        assert len(problems) == 1
        assert "were not brought back" in problems[0]
        twin.remember("life goes on")
        synced = twin.sync()
        assert "were not brought back" in synced.states_failure
        assert not synced.stores[0].failure
        assert not synced.stores[0].waiting


def test_a_head_of_states_that_every_volume_damaged_is_not_taken_for_none(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    name = head_name(vault._parts.vault_id, vault._parts.device.id, Lane.STATE)
    heads = VolumeStore.heads

    def damaged(store: VolumeStore) -> list[Any]:
        return [
            one._replace(data=one.data[:-1]) if one.name == name else one for one in heads(store)
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VolumeStore, "heads", damaged)
        twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert any(one.startswith("states: ") for one in report.failures)
        with pytest.raises(DamagedError):
            twin.state("bots/btc")


def test_a_store_that_withholds_the_head_of_states_is_told_by_what_memories_say(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    name = head_name(vault._parts.vault_id, vault._parts.device.id, Lane.STATE)
    heads = VolumeStore.heads
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            VolumeStore, "heads", lambda store: [one for one in heads(store) if one.name != name]
        )
        twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert report.failures == (
            "states: The vault had states, and its stores give no head of them.",
        )
        with pytest.raises(DamagedError, match="give no head of them"):
            twin.state("bots/btc")
        assert twin.check(remote=False).problems
        assert [one.text for one in twin.list().memories] == ["A memory."]


def test_of_an_old_and_a_new_head_of_states_the_new_one_is_taken(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    store = store_of(vault)
    try:
        old = store.heads()
    finally:
        store.close()
    vault.state("bots/btc").document("plan").set("new")
    vault.sync()
    heads = VolumeStore.heads
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VolumeStore, "heads", lambda store: [*old, *heads(store), *old])
        twin, _ = restored(vault, words, tmp_path / "b")
    with twin:
        assert twin.state("bots/btc").get("plan") == "new"


def test_a_segment_of_the_other_lane_is_not_taken_for_one_of_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulout.vault.stores.taking import Taking

    vault, words = with_volumes(tmp_path / "a")
    with vault:
        act(vault)
        while vault.stats().records < records(vault):
            vault.remember(f"memory {vault.stats().records}")
        vault.sync()
        row = vault._remote.row("volumes")
        assert row is not None
        assert row.state.states is not None
        theirs, ours = row.state.states.runs[0].run, row.state.runs[0].run
        assert theirs.records == ours.records  # nothing but their lane tells them apart
        section = Taking.section

        def other(taking: Taking, kind: Any, ref: Any) -> bytes:
            return section(taking, kind, ours.segment if ref == theirs.segment else ref)

        monkeypatch.setattr(Taking, "section", other)
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert "other records than its head says" in report.failures[0]


def test_records_that_do_not_end_where_their_head_says_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulout.vault.stores import laneplan

    tips = laneplan._tips

    def shorter(*given: Any) -> Any:  # as a device that signs what it does not send
        return tuple(one._replace(sequence=one.sequence + 1) for one in tips(*given))

    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("a memory")
        vault.sync()
        act(vault)
        monkeypatch.setattr(laneplan, "_tips", shorter)
        vault.sync()
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert any("do not end where" in one for one in report.failures)
            with pytest.raises(DamagedError):
                twin.state("bots/btc")


def test_a_publication_that_overtakes_a_restore_of_states_is_read_instead(
    made: tuple[Vault, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulout.vault.stores.taking import Taking

    vault, words = made
    fetch, overtaken = Taking.fetch_newest, list[int]()

    def overtake(taking: Taking, *given: Any) -> None:
        if taking._parts.journal.lane is Lane.STATE and not overtaken:
            act(vault, "bots/eth")
            vault.sync()  # the runs are joined, and the blobs of the old head are removed
            overtaken.append(heads_of(vault)[1])
        fetch(taking, *given)

    monkeypatch.setattr(Taking, "fetch_newest", overtake)
    twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert report.complete
        assert overtaken == [2]
        assert twin.states() == ["bots/btc", "bots/eth"]
        assert book(twin, "bots/eth") == book(vault, "bots/eth")


# --- one lane down --------------------------------------------------------------------------


def test_memories_are_published_while_the_state_lane_does_not_open(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        act(vault)
        vault.sync()
        kept = book(vault)
    right = (tmp_path / "a" / "state.db").read_bytes()
    (tmp_path / "a" / "state.db").write_bytes(b"\0" * 4096)
    with Vault.open(tmp_path / "a", embedder="none") as vault:
        vault.remember("life goes on")
        synced = vault.sync()
        assert "state.db" in synced.states_failure
        assert not synced.complete
        assert not synced.stores[0].failure
        assert vault.list().memories[0].durability == "remote"
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:  # what stood of states stands
            assert report.complete
            assert book(twin) == kept
    (tmp_path / "a" / "state.db").write_bytes(right)
    with Vault.open(tmp_path / "a", embedder="none") as vault:
        vault.state("bots/btc").document("plan").set("again")
        assert vault.sync().complete


def test_a_restore_of_states_from_a_store_that_does_not_answer_is_told(
    made: tuple[Vault, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = made

    def silent_store(_store: VolumeStore) -> list[Any]:
        raise StoreUnavailableError("It does not answer.")

    monkeypatch.setattr(VolumeStore, "state_heads", silent_store)
    twin, report = restored(vault, words, tmp_path / "b")
    with twin:
        assert report.failures == ("states: It does not answer.",)
        with pytest.raises(DamagedError, match="It does not answer"):
            twin.state("bots/btc")


def test_the_published_state_in_the_database_reads_back_with_and_without_states(
    made: tuple[Vault, str],
) -> None:
    """Rows written before there were states are read as they stand."""
    from haulout.log.published import Published

    vault, _ = made
    row = vault._remote.row("volumes")
    assert row is not None
    packed = msgspec.msgpack.encode(row.state)
    assert msgspec.msgpack.decode(packed, type=Published) == row.state
    fields = msgspec.msgpack.decode(packed)
    before = msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:-1]), type=Published)
    assert before == msgspec.structs.replace(row.state, states=None)


# --- from a backup --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 9], ids=["at rest", "in the middle of a publication"])
def test_a_vault_from_a_backup_takes_over_both_heads_of_the_device_that_made_it(
    made: tuple[Vault, str], tmp_path: Path, step: int | None
) -> None:
    vault, words = made
    if step is not None:
        vault.remember("under way")
        vault.state("bots/btc").document("plan").set("under way")
        assert crash_at(vault, step)
        row = vault._remote.row("volumes")
        assert row is not None
        assert row.intent is not None
    vault.backup(tmp_path / "file")
    twin = Vault.restore(tmp_path / "file", tmp_path / "b", kit=words, embedder="none")
    with twin:
        twin.remember("from the new machine")
        twin.state("bots/btc").document("plan").set("from the new machine")
        assert twin.sync().complete
        assert heads_of(twin) == (2, 2)
        third, report = restored(twin, words, tmp_path / "c")
        with third:
            assert report.complete
            assert third.state("bots/btc").get("plan") == "from the new machine"
            assert third.check().sound
    for change in (
        lambda: vault.remember("from the lost one"),
        lambda: vault.state("bots/btc").document("plan").set("from the lost one"),
    ):
        change()
        with pytest.raises(ConflictError):
            vault.sync()


def test_a_backup_that_its_own_device_has_published_beyond_is_told_and_overwrites_nothing(
    made: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = made
    vault.backup(tmp_path / "file")
    vault.state("bots/btc").document("plan").set("newer")
    vault.sync()
    twin = Vault.restore(tmp_path / "file", tmp_path / "b", kit=words, embedder="none")
    with twin:
        twin.state("bots/btc").document("plan").set("from the old state")
        with pytest.raises(ConflictError):
            twin.sync()
    vault.remember("It goes on with both lanes: neither head was taken from it.")
    vault.state("bots/btc").document("plan").set("newest")
    assert vault.sync().complete
    third, report = restored(vault, words, tmp_path / "c")
    with third:
        assert report.complete
        assert third.state("bots/btc").get("plan") == "newest"


# --- read back ------------------------------------------------------------------------------


def test_a_check_of_the_stores_reads_states_back_and_names_what_is_gone(
    made: tuple[Vault, str],
) -> None:
    vault, _ = made
    row = vault._remote.row("volumes")
    assert row is not None
    assert row.state.states is not None
    report = vault.check(remote=True)
    assert report.sound
    refs = [row.state.states.runs[0].run.segment, row.state.states.runs[0].run.keys]
    assert report.remote_sections == 4  # a segment and its keys of each lane
    assert None not in refs
    spoil(vault, {ref.blob for ref in refs if ref})
    problems = vault.check(remote=True).problems
    assert len(problems) == 2
    assert all("states, run 1" in one for one in problems)


def test_a_check_of_the_stores_misses_the_head_of_states(made: tuple[Vault, str]) -> None:
    vault, _ = made
    name = head_name(vault._parts.vault_id, vault._parts.device.id, Lane.STATE)
    heads = VolumeStore.heads
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            VolumeStore, "heads", lambda store: [one for one in heads(store) if one.name != name]
        )
        problems = vault.check(remote=True).problems
    assert len(problems) == 1
    assert "not there any more" in problems[0]
