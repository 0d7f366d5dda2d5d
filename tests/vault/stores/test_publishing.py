"""Publishing to volumes: what is remote is there, a crash loses and doubles nothing."""

from __future__ import annotations

import io
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from vault.making import BagEmbedder
from vault.publishing import (
    Crash,
    Fuse,
    burning,
    digest,
    publisher,
    restored,
    silent,
    store_of,
    with_volumes,
)

from haulout import Vault
from haulout.database.database import Database
from haulout.errors import BlobMissingError, ConflictError, NotFoundError
from haulout.log import published
from haulout.redstuff import blob_id_bytes
from haulout.vault import opening
from haulout.vault.stores.chunksending import ChunkSending
from haulout.vault.stores.taking import Taking
from haulout.vault.stores.volumestore import VolumeStore


def remote_records(vault: Vault) -> int:
    row = vault._remote.row("volumes")
    assert row is not None
    return sum(run.run.records for run in row.state.runs)


def test_what_is_synced_comes_back_with_the_same_digest_and_recall(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        for number in range(40):
            vault.remember(f"Memory {number} about walnuts.", tags=[f"t{number % 7}"])
        changed = vault.remember("Ana lives in Porto.")
        vault.update(changed.id, "Ana lives in Lisbon.")
        gone = vault.remember("A secret.")
        hidden = vault.remember("Not shown.")
        vault.forget(hidden.id, level="hidden")
        assert vault.sync().complete
        vault.forget(gone.id)
        assert vault.sync().complete
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert report.records == vault.stats().records
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
            for query in ("walnuts", "where does Ana live", "Memory 7"):
                assert twin.recall(query, explain=True) == vault.recall(query, explain=True)
            assert twin.check().sound


def test_nothing_new_is_no_publication(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        first = vault.sync().stores[0].head
        assert vault.sync().stores[0].head == first == 1


def test_small_runs_join_so_that_many_syncs_leave_few_segments(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        for number in range(60):
            vault.remember(f"memory {number}")
            vault.sync()
        row = vault._remote.row("volumes")
        assert row is not None
        runs = row.state.runs
        assert len(runs) <= 5
        assert [runs[0].first, *(run.last + 1 for run in runs[:-1])] == [r.first for r in runs]
        with vault._database.read() as connection:
            assert len(published.blobs(connection, row.number)) <= 2 * len(runs)


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
def test_a_crash_at_any_step_is_gone_on_with_and_never_calls_remote_what_is_not(
    tmp_path: Path, *, again: bool
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        last = vault.remember("first")
        vault.sync()
        step, before = 0, 0
        while True:
            vault.forget(last.id)
            last = vault.remember(f"memory {step}")
            stopped = crash_at(vault, step)
            if again:
                crash_at(vault, step // 2)
            # Whatever the database says is remote can be restored at this very moment.
            twin, report = restored(vault, words, tmp_path / f"b{step}")
            twin.close()
            assert report.complete
            assert report.records >= remote_records(vault) >= before
            before = remote_records(vault)
            if not stopped:
                break
            vault.sync()
            assert remote_records(vault) == vault.stats().records
            step += 1
        assert step > 15
        vault.sync()
        twin, report = restored(vault, words, tmp_path / "end")
        with twin:
            assert report.complete
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
        assert not list((tmp_path / "a" / "outbox").iterdir())


def test_what_no_head_names_is_removed_after_a_crash(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        for step in range(0, 30, 2):
            vault.remember(f"memory {step}")
            work, close = publisher(vault, Fuse(step))
            with pytest.raises(Crash):
                work.publish(silent)
            close()
        vault.sync()
        row = vault._remote.row("volumes")
        assert row is not None
        named = {
            ref.blob for run in row.state.runs for ref in (run.run.segment, run.run.keys) if ref
        }
        store = store_of(vault)
        try:
            standing = {blob_id_bytes(one.blob_id) for one in store.volumes.blobs()}
        finally:
            store.close()
        assert standing == named


def test_after_a_forget_no_store_holds_the_destroyed_key(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("stays")
        gone = vault.remember("goes")
        vault.sync()
        row = vault._remote.row("volumes")
        assert row is not None
        keys = row.state.runs[0].run.keys
        assert keys is not None
        vault.forget(gone.id)
        vault.sync()
        store = store_of(vault)
        try:
            with pytest.raises(BlobMissingError):
                store.get(keys)
        finally:
            store.close()
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert [memory.text for memory in twin.list().memories] == ["stays"]
            assert [event.action for event in twin.history(gone.id)] == [
                event.action for event in vault.history(gone.id)
            ]


def test_a_copy_of_the_folder_cannot_publish_beside_the_vault(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        vault.sync()
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    with Vault.open(tmp_path / "a", embedder="none") as vault:
        vault.remember("two")
        vault.sync()
    with Vault.open(tmp_path / "copy", embedder="none") as copy:
        copy.remember("another two")
        with pytest.raises(ConflictError, match="Another copy"):
            copy.sync()


def test_a_restored_vault_takes_over_and_the_lost_device_goes_on_no_more(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        vault.sync()
        twin, _ = restored(vault, words, tmp_path / "b")
        with twin:
            twin.remember("two")
            assert twin.sync().complete
            third, report = restored(twin, words, tmp_path / "c")
            with third:
                assert report.complete
                assert {memory.text for memory in third.list().memories} == {"one", "two"}
            vault.remember("from the lost machine")
            with pytest.raises(ConflictError):
                vault.sync()


def test_a_drill_leaves_the_store_and_the_vault_as_they_are(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        vault.sync()
        twin, _ = restored(vault, words, tmp_path / "b")
        twin.close()
        vault.remember("two")
        assert vault.sync().complete


def test_a_locator_needs_stores(tmp_path: Path) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault, pytest.raises(NotFoundError, match="no stores"):
        vault.locator()


def test_the_kit_of_another_vault_restores_nothing(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a")
    other, kit = Vault.create(tmp_path / "other", embedder="none")
    other.close()
    with vault:
        vault.remember("one")
        vault.sync()
        with pytest.raises(NotFoundError, match="No head of this vault"):
            Vault.restore(vault.locator(), tmp_path / "b", kit=kit.words)
        assert not (tmp_path / "b" / "vault.json").exists()


def test_an_old_locator_leads_to_where_the_volumes_moved(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a", count=4)
    with vault:
        vault.remember("one")
        vault.sync()
        old = vault.locator()
        first = vault.volumes().volumes[0].id
        vault.add_volumes([f"memory:moved-{tmp_path.name}"])
        vault.remove_volume(first)
        vault.remember("two")
        vault.sync()
        with Vault.restore(old, tmp_path / "b", kit=words, embedder="none") as twin:
            assert twin.restored is not None
            assert twin.restored.complete
            assert {memory.text for memory in twin.list().memories} == {"one", "two"}
            assert twin.volumes() == vault.volumes()


def test_a_change_of_the_volumes_alone_is_published(tmp_path: Path) -> None:
    vault, words = with_volumes(tmp_path / "a", count=4)
    with vault:
        vault.remember("one")
        vault.sync()
        old = vault.locator()
        vault.add_volumes([f"memory:more-{tmp_path.name}"])
        assert vault.sync().stores[0].head == 2
        with Vault.restore(old, tmp_path / "b", kit=words, embedder="none") as twin:
            assert twin.volumes() == vault.volumes()


def test_a_restored_copy_goes_on_with_the_numbers_of_the_head_that_it_replaces(
    tmp_path: Path,
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        for number in range(3):
            vault.remember(f"memory {number}")
            vault.sync()
        twin, _ = restored(vault, words, tmp_path / "b")
        with twin:
            twin.remember("after")
            assert twin.sync().stores[0].head == 4


@pytest.mark.parametrize("step", range(0, 26, 2))
def test_a_restore_that_crashes_can_be_made_again(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        for number in range(4):
            vault.remember(f"memory {number} " + "word " * number)
            vault.sync()
        fuse = Fuse(step)
        with monkeypatch.context() as patch:
            for owner, name in ((Database, "write"), (VolumeStore, "get"), (opening, "write_mark")):
                patch.setattr(owner, name, burning(getattr(owner, name), fuse))
            with suppress(Crash):
                restored(vault, words, tmp_path / "b")[0].close()
        if (tmp_path / "b" / "vault.json").exists():  # it was whole when the program ended
            with Vault.open(tmp_path / "b", embedder="none") as twin:
                assert digest(twin, tmp_path) == digest(vault, tmp_path)
            shutil.rmtree(tmp_path / "b")
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert twin.check().sound
            assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_an_attachment_that_is_kept_while_chunks_are_sent_is_not_called_remote_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("one")
        send = ChunkSending.send
        late: list[str] = []

        def and_then(sending: ChunkSending, *given: Any) -> None:
            send(sending, *given)
            if not late:
                late.append(vault.remember("a file", attach=io.BytesIO(b"bytes" * 100)).id)

        monkeypatch.setattr(ChunkSending, "send", and_then)
        vault.sync()
        assert vault.get(late[0]).durability == "local"
        assert vault.sync().complete
        assert vault.get(late[0]).durability == "remote"
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert twin.attachment(late[0]).read() == b"bytes" * 100


def test_short_memories_with_long_vectors_are_published_and_come_back_with_them(
    tmp_path: Path,
) -> None:
    """6,000 texts of a few letters make a segment of 1 MB, and 2.3 MB of vectors."""
    embedder = BagEmbedder(dimensions=384)
    vault, kit = Vault.create(tmp_path / "a", embedder=embedder)
    with vault:
        vault.add_volumes([f"memory:{tmp_path.name}-{number}" for number in range(3)])
        vault.remember_many([{"text": f"m {number}"} for number in range(6000)])
        vault.catch_up()
        assert vault.sync().complete
        row = vault._remote.row("volumes")
        assert row is not None
        assert max(len(run.models) for run in row.state.runs) > 1
        assert vault.sync().stores[0].head == 1  # all of them stand: nothing is written again
        with Vault.restore(vault.locator(), tmp_path / "b", kit=kit, embedder=embedder) as twin:
            assert twin.restored is not None
            assert twin.restored.vectors == 6000
            assert twin.recall("m 77", explain=True) == vault.recall("m 77", explain=True)


def test_a_restore_that_a_publication_overtakes_begins_again_with_the_newer_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("stays")
        gone = vault.remember("goes")
        vault.sync()
        fetch, overtaken = Taking.fetch_newest, list[int]()

        def overtake(taking: Taking, *given: Any) -> None:
            if not overtaken:  # the keys that the head names, which was just read, are removed now
                vault.forget(gone.id)
                overtaken.append(vault.sync().stores[0].head)
            fetch(taking, *given)

        monkeypatch.setattr(Taking, "fetch_newest", overtake)
        twin, report = restored(vault, words, tmp_path / "b")
        with twin:
            assert report.complete
            assert report.head == overtaken[0] == 2
            assert digest(twin, tmp_path) == digest(vault, tmp_path)
