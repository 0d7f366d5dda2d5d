"""Replicas: the owner's answers as of a head, whole, never going back, never written to."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.making import BagEmbedder
from vault.onwalrus import Calendar, with_walrus
from vault.publishing import Crash, Fuse, Stopping, digest, restored, store_of, with_volumes
from vault.replicas import (
    DEEDS,
    QUERIES,
    Owner,
    answers,
    between,
    replica_of,
    same,
)

from haulout import Vault, operations
from haulout.database.connection import connect
from haulout.errors import (
    BlobMissingError,
    ConflictError,
    DamagedError,
    InputError,
    NotFoundError,
    ReadOnlyError,
    StoreUnavailableError,
    VaultExistsError,
    VaultLockedError,
)
from haulout.log import head as heads
from haulout.log.head import open_head
from haulout.log.keychain import fresh_wraps
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault import opening
from haulout.vault.replica import making as replicamaking
from haulout.vault.stores.store import HeadFound

CANARY = "zanzibarite"


def owned(folder: Path, seed: int = 1, deeds: int = 60) -> tuple[Vault, str, Owner]:
    """A vault with volumes in which much was done, synced."""
    vault, words = with_volumes(folder)
    owner = Owner(vault, seed)
    for _ in range(deeds):
        owner.do(owner.chance.choice(DEEDS))
    vault.sync()
    return vault, words, owner


def cut(_store: Any, *_given: Any) -> Any:
    """A store that nobody reaches."""
    raise StoreUnavailableError("The network is cut.")


# --- the same answers ------------------------------------------------------------------------


def test_a_replica_answers_as_the_owner_did_as_of_its_head(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a")
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        assert same(copy, vault, tmp_path)
        for _ in range(4):
            for _ in range(25):
                owner.do(owner.chance.choice(DEEDS))
            then, there = digest(vault, tmp_path), answers(vault)
            vault.sync()
            owner.do("remember")  # not published: not here
            found = copy.refresh()
            assert (found.changed, found.problems) == (True, ())
            assert (digest(copy, tmp_path), answers(copy)) == (then, there)
        assert copy.check().sound
        assert copy.check(remote=True).sound
        assert copy.rebuild() > 0
        assert answers(copy) == there


def test_equal_scores_stand_in_the_order_of_the_owner(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        for _ in range(9):
            vault.remember_many([{"text": "a red boat"} for _ in range(5)])
            vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:
            for number in range(40):
                vault.remember(f"a red boat{' and tea' * (number % 2)}")
                if number % 3 == 0:
                    vault.sync()
                    copy.refresh()
            vault.sync()
            copy.refresh()
            for limit in (3, 17, 80):
                asked = [v.recall("red boat", limit=limit, explain=True) for v in (vault, copy)]
                assert asked[0] == asked[1]
                assert len({row.score for row in asked[0]}) < len(asked[0])


def test_vectors_travel_and_nothing_that_is_stored_is_embedded_again(tmp_path: Path) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder=BagEmbedder())
    with vault:
        vault.add_volumes([f"memory:replica-vectors-{n}" for n in range(3)])
        owner = Owner(vault, 3)
        for _ in range(40):
            owner.do("remember")
        vault.catch_up()
        vault.sync()
        embedder = BagEmbedder()
        with replica_of(vault, kit.words, tmp_path / "r", embedder=embedder) as copy:
            assert copy.refreshed is not None
            assert copy.refreshed.vectors == 40
            for _ in range(20):
                owner.do(owner.chance.choice(["remember", "update", "forget"]))
            vault.sync()  # records travel first
            late = copy.refresh()
            vault.catch_up()
            vault.sync()  # and then their vectors
            assert (late.vectors, copy.refresh().vectors > 0) == (0, True)
            assert copy.stats().waiting == 0
            assert same(copy, vault, tmp_path)
            assert set(embedder.seen) <= {query for query in QUERIES if query}
            assert copy.check().sound


def test_what_is_erased_leaves_the_lists_of_near_vectors_which_are_made_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder=BagEmbedder())
    with vault:
        vault.add_volumes([f"memory:replica-lists-{n}" for n in range(3)])
        owner = Owner(vault, 3)
        ids = [vault.remember(f"{n} {owner._text()}").id for n in range(60)]
        vault.catch_up()
        vault.sync()
        monkeypatch.setattr("haulout.index.lists.DIVIDED_FROM", 40)
        with replica_of(vault, kit.words, tmp_path / "r") as copy:

            def listed() -> int:
                with copy._database.read() as connection:
                    (count,) = connection.execute("SELECT count(*) FROM division").fetchone()
                    assert count == 1
                    rows = connection.execute("SELECT nums FROM vector_list").fetchall()
                    return len({num for row in rows for num in memoryview(row[0]).cast("q")})

            assert listed() == 60
            vault.forget(ids[:5])
            vault.sync()
            copy.refresh()
            assert listed() == 55
            assert copy.check().sound
            for number in range(60):
                vault.remember(f"{number} {owner._text()}")
            vault.catch_up()
            vault.sync()
            copy.refresh()
            assert listed() == 115
            assert copy.check().sound


def test_a_vector_of_another_model_is_not_taken_for_this_one(tmp_path: Path) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder=BagEmbedder())
    with vault:
        vault.add_volumes([f"memory:replica-models-{n}" for n in range(3)])
        vault.remember("a red boat")
        vault.catch_up()
        vault.sync()
        other = BagEmbedder("bag-2", 16)
        with replica_of(vault, kit.words, tmp_path / "r", embedder=other) as copy:
            assert copy.recall("boat")[0].memory.text == "a red boat"
            vault.remember("a blue boat")
            vault.catch_up()
            vault.sync()
            assert copy.refresh().vectors == 0
            assert len(copy.recall("boat")) == 2
            assert copy.stats().vectors == 2


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    deeds=st.lists(st.sampled_from([*DEEDS, "sync", "refresh"]), min_size=4, max_size=30),
)
def test_after_any_deeds_and_syncs_a_refresh_gives_the_last_sync(
    seed: int, deeds: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vault, words = with_volumes(folder / "a")
        with vault:
            vault.sync()
            owner, synced = Owner(vault, seed), digest(vault, folder)
            here = synced
            with replica_of(vault, words, folder / "r") as copy:
                for deed in [*deeds, "sync", "refresh"]:
                    if deed == "sync":
                        vault.sync()
                        synced = digest(vault, folder)
                    elif deed == "refresh":
                        assert copy.refresh().problems == ()
                        here = synced
                    else:
                        owner.do(deed)
                    assert digest(copy, folder) == here
                assert answers(copy) == answers(vault)
                assert copy.check().sound


# --- a crash at any step ---------------------------------------------------------------------


def with_fuse(copy: Vault, fuse: Fuse) -> Any:
    """Let a replica's program end at a step: a call of a store, a job, or a statement of one."""

    class Burning(Stopping):
        def write(self, job: Any) -> Any:
            fuse.tick()
            answer = self._inner.write(lambda tx: job(Stopping(tx, fuse, "execute", "executemany")))
            fuse.tick()
            return answer

    parts = copy._parts
    database: Any = Burning(parts.database, fuse)
    copy._parts = dataclasses.replace(parts, database=database)
    ticking = {name: _ticking(name, fuse) for name in ("heads", "get", "close")}
    between(copy, **ticking)
    return parts


def _ticking(name: str, fuse: Fuse) -> Any:
    def call(store: Any, *given: Any) -> Any:
        fuse.tick()
        answer = getattr(store, name)(*given)
        fuse.tick()
        return answer

    return call


def test_a_crash_at_any_step_leaves_the_old_head_or_the_new_one_whole(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=25)
    with vault:
        replica_of(vault, words, tmp_path / "r").close()
        before = digest(vault, tmp_path)
        for deed in ("update", "forget", "remember", "hide", "attach", "forget"):
            owner.do(deed)
        vault.sync()
        after, step, seen = digest(vault, tmp_path), 0, list[str]()
        while True:
            shutil.rmtree(tmp_path / "c", ignore_errors=True)
            shutil.copytree(tmp_path / "r", tmp_path / "c")
            with Vault.open(tmp_path / "c", embedder="none") as copy:
                parts, stopped = with_fuse(copy, Fuse(step)), False
                try:
                    copy.refresh()
                except Crash:
                    stopped = True
                copy._parts = parts
            with Vault.open(tmp_path / "c", embedder="none") as copy:
                seen.append(digest(copy, tmp_path))
                assert seen[-1] in {before, after}
                assert copy.stats().head == (2 if seen[-1] == after else 1)
                if step % 5 == 0 or not stopped:
                    assert copy.check().sound
                    copy.refresh()
                    assert digest(copy, tmp_path) == after
            if not stopped:
                break
            step += 1 + step // 6
        assert seen == sorted(seen, key=[before, after].index)
        assert len(seen) > 15


def test_a_replica_whose_making_was_cut_short_is_no_vault_and_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=10)
    with vault:
        with monkeypatch.context() as patch:
            patch.setattr(replicamaking.Copying, "finish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                replica_of(vault, words, tmp_path / "r")
        assert not opening.exists(tmp_path / "r")
        with replica_of(vault, words, tmp_path / "r") as copy:
            assert same(copy, vault, tmp_path)
        with pytest.raises(VaultExistsError):
            replica_of(vault, words, tmp_path / "r")


def test_it_is_made_in_steps_that_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        for number in range(4):
            vault.remember_many([{"text": f"{n} " + "tea " * 60} for n in range(4**number * 4)])
            vault.sync()
        monkeypatch.setattr(replicamaking, "_STEP_BYTES", 20_000)
        told: list[tuple[int, int | None]] = []
        with replica_of(
            vault, words, tmp_path / "r", progress=lambda *given: told.append(given)
        ) as copy:
            assert same(copy, vault, tmp_path)
            assert copy.check().sound
            assert told[-1] == (copy.stats().records, copy.stats().records)
            assert told == sorted(told)


# --- what stores may not do ------------------------------------------------------------------


def test_a_store_that_goes_back_is_told_and_changes_nothing(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=10)
    with vault:
        store = store_of(vault)
        old = store.heads()
        store.close()
        with replica_of(vault, words, tmp_path / "r") as copy:
            for _ in range(2):
                owner.do("remember")
                vault.sync()
                copy.refresh()
            here, looked = digest(copy, tmp_path), copy.stats().refreshed_at
            between(copy, heads=lambda _store: old)
            with pytest.raises(ConflictError, match=r"only head 1 of .* older than head 3"):
                copy.refresh()
            assert (digest(copy, tmp_path), copy.stats().head) == (here, 3)
            assert copy.stats().refreshed_at == looked
            between(copy)
            assert copy.refresh().changed is False


def test_the_newest_of_several_copies_counts(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=10)
    with vault:
        store = store_of(vault)
        old = store.heads()
        store.close()
        with replica_of(vault, words, tmp_path / "r") as copy:
            owner.do("remember")
            vault.sync()
            between(copy, heads=lambda store: [*old, *store.heads(), *old])
            found = copy.refresh()
            assert (found.head, digest(copy, tmp_path)) == (2, digest(vault, tmp_path))
            assert any("older head (1)" in why for why in found.ignored)


def test_heads_of_others_and_wrong_bytes_change_nothing(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=10)
    foreign, _, _ = owned(tmp_path / "b", seed=2, deeds=5)
    with vault, foreign, replica_of(vault, words, tmp_path / "r") as copy:
        here, looked = digest(copy, tmp_path), copy.stats()
        theirs = store_of(foreign)
        heads = theirs.heads()
        theirs.close()
        owner.do("remember")
        owner.do("forget")
        vault.sync()

        def changed(store: Any, ref: Any) -> bytes:
            data = bytearray(store.get(ref))
            data[len(data) // 2] ^= 1
            return bytes(data)

        def torn(store: Any) -> list[Any]:
            return [one._replace(data=one.data[:-1]) for one in store.heads()]

        for instead, error in (
            ({"heads": lambda _store: heads}, NotFoundError),
            ({"heads": lambda _store: []}, NotFoundError),
            ({"heads": torn}, NotFoundError),
            ({"heads": cut}, StoreUnavailableError),
            ({"get": cut}, StoreUnavailableError),
            ({"get": changed}, DamagedError),
            ({"get": lambda *_: b""}, DamagedError),
        ):
            between(copy, **instead)
            with pytest.raises(error):
                copy.refresh()
            assert (digest(copy, tmp_path), copy.stats()) == (here, looked)
            assert copy.recall("tea") is not None
        between(copy)
        assert copy.refresh().changed
        assert same(copy, vault, tmp_path)


def test_with_the_network_cut_recall_goes_on(tmp_path: Path) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=20)
    with vault:
        replica_of(vault, words, tmp_path / "r").close()
        there = answers(vault)
    with Vault.open(tmp_path / "r", embedder="none") as copy:
        between(copy, heads=cut, get=cut)
        with pytest.raises(StoreUnavailableError, match="cut"):
            copy.refresh()
        assert answers(copy) == there


def test_a_blob_that_a_newer_head_removed_is_no_failure(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=10)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        owner.do("remember")
        vault.sync()
        synced = False

        def get(store: Any, ref: Any) -> bytes:
            nonlocal synced
            if not synced:
                synced = True
                owner.do("many")
                owner.do("forget")
                vault.sync()  # between the head that was read and what it names
                raise BlobMissingError("Removed.")
            return store.get(ref)

        between(copy, get=get)
        assert copy.refresh().head == 3
        assert digest(copy, tmp_path) == digest(vault, tmp_path)

        def gone(_store: Any, _ref: Any) -> bytes:
            raise BlobMissingError("Removed.")

        owner.do("remember")
        vault.sync()
        between(copy, get=gone)
        with pytest.raises(BlobMissingError):
            copy.refresh()


def test_a_restored_vault_is_followed_and_the_lost_device_is_the_past(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=20)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        owner.do("remember")
        vault.sync()
        copy.refresh()
        store = store_of(vault)
        old = store.heads()
        store.close()
        twin, _ = restored(vault, words, tmp_path / "b")
        with twin:
            other = Owner(twin, 9)
            for _ in range(12):
                other.do(other.chance.choice(DEEDS))
            twin.sync()
            assert copy.refresh().changed
            assert same(copy, twin, tmp_path)
            between(copy, heads=lambda _store: old)
            with pytest.raises(ConflictError, match="older"):
                copy.refresh()
            between(copy)
            other.do("remember")
            twin.sync()
            copy.refresh()
            assert same(copy, twin, tmp_path)
            assert copy.check().sound


def signed(vault: Vault, **changed: Any) -> HeadFound:
    """The newest head of a vault with something changed, signed by its own device."""
    store = store_of(vault)
    found = store.heads()[0]
    store.close()
    keys, parts = vault._journal.keychain, vault._parts
    secrets = keys.user_secrets()
    head = open_head(found.data, parts.vault_id, secrets)
    head = head._replace(number=head.number + 1, previous=heads.digest(found.data))
    head = head._replace(**changed)
    wraps = fresh_wraps(parts.vault_id, secrets, keys.kit_public)
    data = heads.seal_head(head, parts.device, secrets, wraps, parts.journal.entropy)
    return found._replace(data=data)


def test_a_head_is_taken_at_its_word_by_nobody_not_even_its_own_device(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=10)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        owner.do("remember")
        vault.sync()
        copy.refresh()
        here = digest(copy, tmp_path), copy.stats()
        store = store_of(vault)
        data = store.heads()[0].data
        store.close()
        head = open_head(data, vault._parts.vault_id, vault._journal.keychain.user_secrets())
        (tip,) = head.tips
        for found, error, why in (
            (signed(vault, tips=(tip._replace(sequence=tip.sequence + 1),)), DamagedError, "end"),
            (signed(vault, tips=(tip._replace(hash=bytes(32)),)), ConflictError, "go on"),
            (signed(vault, tips=()), ConflictError, "go on"),
            (signed(vault, previous=bytes([1]) * 32), ConflictError, "go on"),
            (signed(vault, number=head.number, previous=head.previous), ConflictError, "go on"),
            (signed(vault, number=head.number - 1, previous=bytes(32)), ConflictError, "go on"),
            (signed(vault, runs=head.runs[:-1]), DamagedError, "fewer"),
            (signed(vault, lane=7), NotFoundError, "No head"),
            (signed(vault, store=bytes([9]) * 16), NotFoundError, "No head"),
        ):
            between(copy, heads=lambda _store, found=found: [found])
            with pytest.raises(error, match=why):
                copy.refresh()
            assert (digest(copy, tmp_path), copy.stats()) == here
        between(copy, heads=lambda _store: [signed(vault)])
        assert copy.refresh().head == head.number + 1  # as the device would have signed it


# --- another history -------------------------------------------------------------------------


@pytest.fixture
def rewritten(tmp_path: Path) -> Any:
    """A replica of a vault whose owner went back to an older backup and went on from there."""
    vault, words, owner = owned(tmp_path / "a", deeds=20)
    with vault:
        vault.backup(tmp_path / "backup")
        for _ in range(10):
            owner.do("remember")
        vault.sync()
        copy = replica_of(vault, words, tmp_path / "r")
        locator = vault.locator()
    twin = Vault.restore(tmp_path / "backup", tmp_path / "b", kit=words, embedder="none")
    twin.remember("another life", namespace="new")
    twin.detach_volumes()
    twin.add_volumes([f"memory:rewritten-{tmp_path}-{n}" for n in range(3)])
    twin.sync()
    with twin, copy:
        yield copy, twin, locator


def test_a_head_that_lacks_what_is_here_is_refused_until_it_is_asked_for(
    rewritten: Any, tmp_path: Path
) -> None:
    copy, twin, _ = rewritten
    here = digest(copy, tmp_path)
    with pytest.raises(ConflictError, match="does not go on from what is here"):
        copy.refresh(twin.locator())
    assert (digest(copy, tmp_path), copy.refresh().changed) == (here, False)
    with Vault.open(tmp_path / "r", embedder="none") as beside:  # as another process has it open
        assert answers(beside) == answers(copy)
        found = copy.refresh(twin.locator(), anew=True)
        assert (found.changed, found.anew) == (True, True)
        assert same(copy, twin, tmp_path)
        assert answers(beside) == answers(twin)
        assert copy.check().sound
        assert [space for space in copy.namespaces() if space == "new"]
        twin.remember("and on")
        twin.forget(twin.recall("another life")[0].memory.id)
        twin.sync()
        assert copy.refresh().changed
        assert same(copy, twin, tmp_path)
        assert answers(beside) == answers(twin)
        assert copy.check().sound
    with Vault.open(tmp_path / "r", embedder="none") as copy:
        assert same(copy, twin, tmp_path)


@pytest.mark.parametrize("merged", [True, False], ids=["in one run", "in runs of their own"])
def test_a_device_that_signed_two_histories_is_refused_whichever_is_longer(
    tmp_path: Path, *, merged: bool
) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=20)
    vault.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with Vault.open(tmp_path / "a", embedder="none") as vault:
        vault.remember("one that is here alone")
        vault.sync()
        copy = replica_of(vault, words, tmp_path / "r")
    with Vault.open(tmp_path / "b", embedder="none") as twin, copy:
        here = digest(copy, tmp_path)
        twin.remember("one that the other has not")
        twin.detach_volumes()
        twin.add_volumes([f"memory:forked-{tmp_path}-{n}" for n in range(3)])
        if not merged:
            assert twin.stats().records == copy.stats().records
            twin.sync()  # a run that ends where the replica does
        twin.remember_many([{"text": f"{number} tea"} for number in range(30 if merged else 2)])
        twin.sync()
        assert len(twin._remote.rows()[0].state.runs) == (1 if merged else 2)
        with pytest.raises(ConflictError, match=r"lacks 1 of the \d+ records that are here"):
            copy.refresh(twin.locator())
        assert digest(copy, tmp_path) == here
        assert copy.refresh(twin.locator(), anew=True).anew
        assert same(copy, twin, tmp_path)
        assert copy.check().sound


def test_the_same_records_in_another_order_begin_the_copy_anew(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=20)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        # A replica in which two records changed places: what a head of another order looks like.
        def swap(connection: Any) -> None:
            (newest,) = connection.execute("SELECT max(num) FROM record").fetchone()
            for old, new in ((newest, 0), (newest - 1, newest), (0, newest - 1)):
                for table in ("record", "record_key"):
                    connection.execute(f"UPDATE {table} SET num = ? WHERE num = ?", (new, old))

        copy._database.write(swap)
        for _ in range(9):
            owner.do("many")  # so many that the run is merged with theirs
        vault.sync()
        assert copy.refresh().anew
        assert same(copy, vault, tmp_path)
        assert copy.check().sound


def test_a_locator_of_another_vault_or_none_is_refused(tmp_path: Path) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=3)
    other, _, _ = owned(tmp_path / "b", deeds=3)
    with vault, other, replica_of(vault, words, tmp_path / "r") as copy:
        with pytest.raises(InputError, match="another vault"):
            copy.refresh(other.locator())
        with pytest.raises(InputError, match="no locator"):
            copy.refresh("nothing")
        assert copy.refresh(vault.locator()).changed is False
        with pytest.raises(InputError, match="no replica"):
            vault.refresh()
        with pytest.raises(InputError, match="no replica"):
            vault.keep_fresh()
        with pytest.raises(InputError, match="locator"):
            Vault.replicate("nothing", tmp_path / "n", kit=words)


def test_volumes_that_moved_are_followed(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("a red boat")
        vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:
            vault.add_volumes([f"memory:moved-{tmp_path}"])
            vault.remember("tea")
            vault.sync()
            assert copy.refresh().changed
            assert same(copy, vault, tmp_path)
            assert len(copy.volumes().volumes) == 4


# --- erasure ---------------------------------------------------------------------------------


def everything_in(folder: Path, vault: Vault) -> str:
    """All rows of all tables of a vault's database, and the pages that are free."""
    connection = connect(folder / "memory.db", vault._parts.device.database)
    try:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        rows = [
            repr(connection.execute(f"SELECT * FROM {name}").fetchall())
            for (name,) in names.fetchall()
        ]
        assert connection.pragma("freelist_count") == 0
    finally:
        connection.close()
    return "\n".join(rows)


def test_what_was_forgotten_leaves_no_word_and_no_key_in_the_replica(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        kept = vault.remember("stays")
        gone = vault.remember(f"{CANARY} one")
        text = f"{CANARY} in a file\n".encode() * 400
        filed = vault.remember("a file", attach=text, attach_name="f.txt")
        vault.update(gone.id, f"{CANARY} two")
        vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:
            with copy.attachment(filed.id) as stream:
                assert stream.read() == text
            assert CANARY in everything_in(tmp_path / "r", copy)
            assert len([p for p in (tmp_path / "r/attachments").rglob("*") if p.is_file()]) == 1
            vault.forget([gone.id, filed.id])
            vault.sync()
            found = copy.refresh()
            assert found.erased >= 4
            assert CANARY not in everything_in(tmp_path / "r", copy)
            assert (tmp_path / "r/memory.db-wal").stat().st_size < 20_000  # begun anew since
            assert not [p for p in (tmp_path / "r/attachments").rglob("*") if p.is_file()]
            with copy._database.read() as connection:
                places = connection.execute("SELECT count(*) FROM remote_chunk").fetchone()
            assert places == (0,)
            assert copy.recall(CANARY) == []
            assert [one.id for one in copy.list().memories] == [kept.id]
            assert copy.history(gone.id)[-1].action == "erase"
            assert copy.check().sound
        for path in (tmp_path / "r").rglob("*"):
            assert not path.is_file() or CANARY.encode() not in path.read_bytes()


# --- read only -------------------------------------------------------------------------------

ANSWERED = {
    "recall", "context", "get", "attachment", "resolve", "list", "history", "namespaces", "stats",
    "export", "check", "rebuild", "catch_up", "stores", "locator", "volumes", "refresh", "walrus",
    "cost",
}  # fmt: skip
"""Operations that a replica carries out; all others are refused."""


def test_every_operation_that_writes_is_refused_as_read_only(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        one = vault.remember("one", op_id="one")
        vault.update(one.id, "changed", op_id="changing")
        log = vault.remember("log", attach=b"line\n", attach_name="log")
        hidden = vault.remember("hidden")
        vault.forget(hidden.id, level="hidden", op_id="hiding")
        vault.sync()
        given: dict[str, Any] = {
            "remember": {"text": "two"},
            "remember_many": {"items": [{"text": "two"}]},
            "append": {"id": log.id, "data": b"more"},
            "update": {"id": one.id, "text": "changed"},
            "forget": {"target": one.id},
            "undo": {"op_id": "hiding"},
            "backup": {"file": str(tmp_path / "backup")},
            "add_volumes": {"urls": (f"memory:more-{tmp_path}",)},
            "remove_volume": {"volume": vault.volumes().volumes[0].id},
            "set_walrus": dict.fromkeys(("publishers", "aggregators"), ("http://127.0.0.1:1",)),
            "show_state": {"state": "bots/btc"},
            "state_events": {"state": "bots/btc"},
            "reserve": {"action": "order"},
            "settle": {"intent": "0" * 32, "status": "done"},
            "get_document": {"name": "plan"},
            "set_document": {"name": "plan", "value": 1},
            "limit_states": {"states": "bots/btc", "limit": "usd/day", "most": "1"},
            **{f"{verb}_states": {"states": "bots/*"} for verb in ("pause", "flatten", "resume")},
        }
        with replica_of(vault, words, tmp_path / "r") as copy:
            before = digest(copy, tmp_path), copy.stats()
            refused = 0
            for kind in typing.get_args(operations.AnyOperation):
                verb = str(kind.__struct_config__.tag)
                if verb in ANSWERED:
                    continue
                operation = kind(**given.get(verb, {}))
                with pytest.raises(ReadOnlyError, match="replica"):
                    operations.execute(copy, operations.OWNER, operation)
                refused += 1
            assert refused >= 12
            for again in (
                lambda: copy.remember("one", op_id="one"),  # which was done, elsewhere
                lambda: copy.update(one.id, "changed", op_id="changing"),
                lambda: copy.forget(hidden.id, level="hidden", op_id="hiding"),
                lambda: copy.remember("new", attach=b"x", attach_name="x"),
                lambda: copy.forget({"text": "nothing"}),
                copy.keep_synced,
            ):
                with pytest.raises(ReadOnlyError, match="replica"):
                    again()
            assert (digest(copy, tmp_path), copy.stats()) == before
            assert not (tmp_path / "backup").exists()
        assert vault.volumes(ask=True).lost == 0
        assert vault.sync().complete


def test_a_replica_publishes_nothing_and_enrols_nobody(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=5)
    with vault:
        store = store_of(vault)
        there = sorted(one.data for one in store.heads())
        blobs = sorted(str(one.blob_id) for one in store.volumes.blobs())
        records = vault.stats().records
        with replica_of(vault, words, tmp_path / "r") as copy:
            copy.refresh()
            assert copy.stats().records == records
            with copy._database.read() as connection:
                copy._journal.refresh_keys(connection)
            assert copy._parts.device.id not in copy._journal.keychain.devices
        assert sorted(one.data for one in store.heads()) == there
        assert sorted(str(one.blob_id) for one in store.volumes.blobs()) == blobs
        store.close()
        owner.do("remember")
        assert vault.sync().complete


# --- the folder ------------------------------------------------------------------------------


def test_its_mark_says_what_it_is_and_its_words_are_not_kept(tmp_path: Path) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=5)
    with vault:
        replica_of(vault, words, tmp_path / "r", passphrase="sesame").close()
        mark = json.loads((tmp_path / "r" / "vault.json").read_text())
        assert mark == {"format": 1, "vault": vault.id, "replica": True}
        assert not vault.is_replica
        with pytest.raises(VaultLockedError):
            Vault.open(tmp_path / "r", embedder="none")
        with Vault.open(tmp_path / "r", passphrase="sesame", embedder="none") as copy:
            assert copy.is_replica
            assert copy.stats().path == str(tmp_path / "r")
            kit = everything_in(tmp_path / "r", copy)
            assert not any(f" {word} " in kit for word in words.split()[:3])
            assert same(copy, vault, tmp_path)
            with pytest.raises(ReadOnlyError):
                copy.remember("x")


def test_another_kit_makes_none(tmp_path: Path) -> None:
    vault, _, _ = owned(tmp_path / "a", deeds=3)
    other, words, _ = owned(tmp_path / "b", deeds=3)
    with vault, other:
        with pytest.raises((VaultLockedError, NotFoundError)):
            replica_of(vault, words, tmp_path / "r")
        assert not opening.exists(tmp_path / "r")
        with pytest.raises(InputError, match="bytes"):
            replica_of(other, words, tmp_path / "r", most_bytes=-1)


def test_a_note_that_is_damaged_is_said(tmp_path: Path) -> None:
    vault, words, _ = owned(tmp_path / "a", deeds=3)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        copy._database.write(
            lambda tx: tx.execute("UPDATE setting SET value = '[]' WHERE name = 'replica'")
        )
    with pytest.raises(DamagedError, match="replica"):
        Vault.open(tmp_path / "r", embedder="none")


# --- how old it is ---------------------------------------------------------------------------


def test_it_says_which_head_it_is_of_and_when_that_was_the_newest(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=3)
    with vault:
        assert (vault.stats().head, vault.stats().as_of) == (0, None)
        with replica_of(vault, words, tmp_path / "r") as copy:
            first = copy.stats()
            published = vault.stores().stores[0].published_at
            assert (first.head, first.as_of, first.durability) == (1, published, "remote")
            assert first.refreshed_at is not None
            assert published is not None
            assert first.refreshed_at >= published
            found = copy.refresh()
            assert (found.changed, found.as_of) == (False, published)
            assert copy.stats().refreshed_at == found.refreshed_at > first.refreshed_at
            owner.do("remember")
            vault.sync()
            copy.refresh()
            assert copy.stats().head == 2
            assert copy.stats().as_of == vault.stores().stores[0].published_at
            assert {one.durability for one in copy.list().memories} == {"remote"}


def test_in_the_background_it_is_refreshed_and_tells_what_came(tmp_path: Path) -> None:
    vault, words, owner = owned(tmp_path / "a", deeds=3)
    with vault, replica_of(vault, words, tmp_path / "r") as copy:
        told: list[Any] = []
        came = threading.Event()

        def hear(what: Any) -> None:
            told.append(what)
            came.set()

        between(copy, heads=cut)
        copy.keep_fresh(every=0.01, told=hear)
        assert came.wait(30)
        assert isinstance(told[-1], StoreUnavailableError)
        came.clear()
        between(copy)
        owner.do("remember")
        vault.sync()
        assert copy._background is not None
        copy._background.nudge()
        assert came.wait(30)
        assert told[-1].changed
        assert digest(copy, tmp_path) == digest(vault, tmp_path)


def test_attachments_are_read_while_a_refresh_waits_for_its_stores(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        one = vault.remember("file", attach=b"bytes", attach_name="x")
        vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:
            read: list[bytes] = []

            def reading() -> None:
                with copy.attachment(one.id) as stream:
                    read.append(stream.read())

            def heads_of(store: Any) -> Any:
                thread = threading.Thread(target=reading)
                thread.start()
                thread.join(30)
                return store.heads()

            between(copy, heads=heads_of)
            copy.refresh()
            assert read == [b"bytes"]


# --- attachments -----------------------------------------------------------------------------


def kept_in(copy: Vault) -> dict[bytes, int]:
    return {one.id: one.sealed for one in copy._parts.files.all()}


def test_attachments_come_when_they_are_read_and_stay_within_the_bound(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    data = [bytes([65 + n]) * 40_000 for n in range(6)]
    with vault:
        ids = [vault.remember(f"{n}", attach=d, attach_name="x").id for n, d in enumerate(data)]
        vault.sync()
        with replica_of(vault, words, tmp_path / "r", most_bytes=145_000) as copy:
            assert kept_in(copy) == {}
            gets = list[Any]()
            between(copy, get=lambda store, ref: gets.append(ref) or store.get(ref))

            def read(number: int) -> int:
                before = len(gets)
                with copy.attachment(ids[number]) as stream:
                    assert stream.read() == data[number]
                return len(gets) - before

            assert [read(0), read(0), read(1), read(0)] == [1, 0, 1, 0]
            assert [read(2), read(3)] == [1, 1]  # the bound is passed: 1 goes, and 0 was read since
            assert sum(kept_in(copy).values()) <= 145_000
            assert [read(0), read(3), read(1)] == [0, 0, 1]
            for number in range(6):
                read(number)
                assert sum(kept_in(copy).values()) <= 145_000
            between(copy, get=cut)
            assert read(5) == 0
            with pytest.raises(StoreUnavailableError), copy.attachment(ids[0]) as stream:
                stream.read()
            assert copy.check().sound


def test_a_chunk_that_rots_here_is_fetched_once_more_and_one_that_lies_is_not_kept(
    tmp_path: Path,
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        one = vault.remember("file", attach=b"bytes" * 100, attach_name="x")
        vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:

            def read() -> bytes:
                with copy.attachment(one.id) as stream:
                    return stream.read()

            def lying(store: Any, ref: Any) -> bytes:
                data = store.get(ref)
                return data[:-1] + bytes([data[-1] ^ 1])

            between(copy, get=lying)
            with pytest.raises(DamagedError):
                read()
            assert kept_in(copy) == {}
            between(copy)
            assert read() == b"bytes" * 100
            (chunk,) = kept_in(copy)
            path = tmp_path / "r/attachments" / chunk.hex()[:2] / chunk.hex()
            path.write_bytes(path.read_bytes()[:-1] + b"x")
            assert not copy.check().sound
            assert read() == b"bytes" * 100
            assert copy.check().sound
            path.write_bytes(b"rot")
            between(copy, get=cut)
            with pytest.raises(StoreUnavailableError):
                read()


def test_a_log_that_grows_is_readable_as_of_the_newest_head(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        log = vault.remember("log", attach=b"", attach_name="log.txt")
        vault.sync()
        whole, known = b"", b""
        with replica_of(vault, words, tmp_path / "r") as copy:
            for number in range(8):
                line = f"line {number} {CANARY}{number}\n".encode() * 900
                vault.append(log.id, line)
                whole += line
                if number % 2:
                    vault.sync()
                    copy.refresh()
                    known = whole
                with copy.attachment(log.id) as stream:
                    assert stream.read() == known
            assert copy.recall(f"{CANARY}7")[0].memory.passage is not None
            assert copy.check().sound
            assert answers(copy, (CANARY, "line 3")) == answers(vault, (CANARY, "line 3"))


def test_a_large_attachment_is_read_through_its_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("crypto.chunk", "log.attachment", "vault.attachments.cutting"):
        monkeypatch.setattr(f"haulout.{module}.FULL_BYTES", 2048)  # lists stand in for gigabytes
    vault, words = with_volumes(tmp_path / "a")
    data = b"".join(number.to_bytes(4, "big") for number in range(20_000))
    with vault:
        one = vault.remember("large", attach=data, attach_name="x")
        vault.sync()
        with replica_of(vault, words, tmp_path / "r") as copy:
            between(copy, get=cut)
            copy.rebuild()  # asks no store for what lists name
            between(copy)
            with copy.attachment(one.id) as stream:
                stream.seek(50_000)
                assert stream.read(4) == data[50_000:50_004]
                stream.seek(0)
                assert stream.read() == data
            assert copy.check().sound
            vault.forget(one.id)
            vault.sync()
            copy.refresh()
            assert kept_in(copy) == {}
            with copy._database.read() as connection:
                assert connection.execute("SELECT count(*) FROM chunk").fetchone() == (0,)


# --- Walrus ----------------------------------------------------------------------------------


def test_on_walrus_a_newer_locator_says_where_the_newest_head_is(tmp_path: Path) -> None:
    with LoopbackNetwork(
        nodes=4, n_shards=10, publishers=1, aggregators=1, signatures=False
    ) as network:
        calendar = Calendar(network)
        vault, words = with_walrus(tmp_path / "a", network, calendar)
        with vault:
            owner = Owner(vault, 5)
            for _ in range(12):
                owner.do(owner.chance.choice(DEEDS))
            file = vault.remember("file", attach=b"bytes" * 900, attach_name="x")
            vault.sync()
            first = vault.locator()
            with replica_of(vault, words, tmp_path / "r") as copy:
                assert same(copy, vault, tmp_path)
                for _ in range(12):
                    owner.do(owner.chance.choice(DEEDS))
                vault.sync()
                assert copy.refresh().changed is False  # the network has no list of heads
                assert copy.refresh(vault.locator()).changed
                assert same(copy, vault, tmp_path)
                with copy.attachment(file.id) as stream:
                    assert stream.read() == b"bytes" * 900
                with pytest.raises(ConflictError, match="older"):
                    copy.refresh(first)
                assert copy.refresh().changed is False
                assert copy.check().sound


# --- how much memory it takes ------------------------------------------------------------------

_MEASURED = """
import resource, sys
from haulout import Vault
with Vault.open(sys.argv[1], embedder="none") as copy:
    assert copy.refresh().records == int(sys.argv[2])
    for number in range(100):
        copy.recall(f"tea rent {number}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.full
def test_ten_thousand_memories_with_vectors_come_and_are_searched_within_256_megabytes(
    tmp_path: Path,
) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder=BagEmbedder(dimensions=384))
    with vault:
        vault.add_volumes([str(tmp_path / f"v{n}") for n in range(3)])
        vault.sync()
        Vault.replicate(vault.locator(), tmp_path / "r", kit=kit, embedder="none").close()
        owner = Owner(vault, 1)
        words = " ".join(owner._text() for _ in range(12))
        vault.remember_many([{"text": f"{n} {words}"} for n in range(10_000)])
        vault.catch_up()
        vault.sync()
        records = vault.stats().records - 2
    run = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path / "r"), str(records)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(run.stdout) < 256
    with Vault.open(tmp_path / "r", embedder="none") as copy:
        assert copy.stats().waiting == 0
