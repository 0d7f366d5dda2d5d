import errno
import os
from pathlib import Path

import pytest

from haulout import Vault
from haulout.errors import DiskFullError, StorageError, VaultClosedError
from haulout.storage.durable import write_file
from haulout.testing.disks import (
    Call,
    CountingDisk,
    Disk,
    FailingDisk,
    Mark,
    RecordingDisk,
    mounted,
)
from haulout.vault.opening import World


def names(disk: RecordingDisk) -> list[tuple[str, str]]:
    return [(event.kind, Path(event.path).name) for event in disk.events if isinstance(event, Call)]


def test_a_recording_has_every_change_of_an_ordinary_file_in_order(tmp_path: Path) -> None:
    disk = RecordingDisk()
    with mounted(disk, tmp_path):
        write_file(tmp_path / "file", [b"one", b"two"])
        disk.mark("done")
    kinds = [event.kind for event in disk.events if isinstance(event, Call)]
    assert kinds == ["open", "write", "write", "sync", "rename", "sync"]
    writes = [event for event in disk.events if isinstance(event, Call) and event.kind == "write"]
    assert [(write.offset, write.data) for write in writes] == [(0, b"one"), (3, b"two")]
    assert disk.events[-1] == Mark("done")
    assert names(disk)[-1] == ("sync", tmp_path.name)


def test_a_recording_has_every_write_of_a_vault_and_no_word_of_it(tmp_path: Path) -> None:
    disk = RecordingDisk()
    with mounted(disk, tmp_path) as vfs:
        vault, _ = Vault.create(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        with vault:
            before = len(disk.events)
            vault.remember("The walrus rests.")
            calls = names(disk)[before:]
    assert calls[-2:] == [("sync", "memory.db-wal"), ("write", "memory.lock")]
    written = b"".join(event.data for event in disk.events if isinstance(event, Call))
    assert len(written) > 50_000
    assert b"walrus" not in written


def test_only_what_lies_under_its_root_reaches_a_disk(tmp_path: Path) -> None:
    disk = CountingDisk()
    with mounted(disk, tmp_path / "here"):
        write_file(tmp_path / "elsewhere", b"data")
    assert not disk.calls
    assert os.open.__module__ == "posix"


@pytest.mark.parametrize(
    ("kind", "error"), [("open", StorageError), ("write", StorageError), ("sync", StorageError)]
)
def test_a_failing_disk_fails_one_call_of_an_ordinary_file(
    tmp_path: Path, kind: str, error: type[Exception]
) -> None:
    disk = FailingDisk({kind}, 1, errno.EIO)
    with mounted(disk, tmp_path):
        with pytest.raises(error, match="file"):
            write_file(tmp_path / "file", b"data")
        assert [call.kind for call in disk.failed] == [kind]
        write_file(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_a_full_disk_fails_for_ever(tmp_path: Path) -> None:
    with mounted(FailingDisk({"write"}, 2, errno.ENOSPC, forever=True), tmp_path):
        write_file(tmp_path / "one", b"data")
        for _ in range(3):
            with pytest.raises(DiskFullError, match="two"):
                write_file(tmp_path / "two", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_failed_sync_latches_the_vault_until_it_is_opened_anew(tmp_path: Path) -> None:
    with mounted(Disk(), tmp_path) as vfs:
        vault, _ = Vault.create(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        told = vault.remember("The walrus rests.")
        vault.close()
    with mounted(FailingDisk({"sync"}, 1, errno.EIO), tmp_path) as vfs:
        vault = Vault.open(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        with pytest.raises(StorageError, match=r"memory\.db"):
            vault.remember("The walrus dives.", op_id="dive")
        for attempt in (lambda: vault.remember("It swims."), lambda: vault.recall("walrus")):
            with pytest.raises(VaultClosedError, match=r"memory\.db"):
                attempt()
        vault.close()
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.check().sound
        assert vault.get(told.id).text == "The walrus rests."
        vault.remember("The walrus dives.", op_id="dive")
        assert len(vault.list().memories) == 2


class NoCheckpoints(Disk):
    """Refuses to sync the database file itself, which only checkpoints ask for."""

    def before(self, call: Call) -> None:
        if call.kind == "sync" and call.path.endswith("memory.db"):
            raise OSError(errno.EIO, "refused", call.path)


def test_a_failed_sync_while_an_erasure_is_finished_latches_the_vault_too(tmp_path: Path) -> None:
    with mounted(Disk(), tmp_path) as vfs:
        vault, _ = Vault.create(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        gone = vault.remember("The walrus rests.")
        vault.close()
    with mounted(NoCheckpoints(), tmp_path) as vfs:
        vault = Vault.open(tmp_path / "vault", embedder="none", world=World(vfs=vfs))
        (pending,) = vault.forget(gone.id, op_id="gone").pending
        assert "memory.db" in pending
        with pytest.raises(VaultClosedError, match=r"memory\.db"):
            vault.remember("It swims.")
        vault.close()
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.forget(gone.id, op_id="gone").pending == ()
        assert vault.check().sound
