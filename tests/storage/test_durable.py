"""Ordinary files: whole or not at all, durable on return, private."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import DiskFullError, HauloutError, ReadOnlyError, StorageError
from haulout.storage import durable
from haulout.storage.durable import make_folder, remove_file, replacing, write_file

CALLS = ("open", "write", "fsync", "replace")


def spied(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[[str, int], OSError | None] | None = None
) -> list[str]:
    """The calls that reach the disk, in order; the real ones run, unless ``fail`` has an error."""
    made: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            if fail and (error := fail(name, made.count(name))):
                raise error
            return real(*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(durable.os, name, wrap(name, getattr(os, name)))
    return made


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.binary(max_size=50), max_size=4), before=st.none() | st.binary())
def test_a_file_is_replaced_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], before: bytes | None
) -> None:
    target = tmp_path_factory.mktemp("durable") / "file"
    if before is not None:
        target.write_bytes(before)
    write_file(target, parts)
    assert target.read_bytes() == b"".join(parts)
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_the_calls_come_in_the_order_that_makes_them_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = spied(monkeypatch)
    write_file(tmp_path / "file", b"content")
    order = ["open", "write", "open", "fsync", "replace", "open", "fsync"]
    assert made == order  # the file's fsync, its new name, then the folder's fsync


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(durable.os, "write", lambda handle, data: real(handle, bytes(data[:3])))
    write_file(tmp_path / "file", b"ten bytes!")
    assert (tmp_path / "file").read_bytes() == b"ten bytes!"


FAILURES = [("open", 1), ("write", 1), ("open", 2), ("fsync", 1), ("replace", 1)]
ERRORS = [
    (errno.ENOSPC, DiskFullError),
    (errno.EROFS, ReadOnlyError),
    (errno.EACCES, ReadOnlyError),
    (errno.EIO, StorageError),
]


@pytest.mark.parametrize("place", FAILURES, ids=str)
@pytest.mark.parametrize(("number", "expected"), ERRORS, ids=lambda v: getattr(v, "__name__", v))
def test_a_failure_before_the_new_name_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, int],
    number: int,
    expected: type[HauloutError],
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    error = OSError(number, os.strerror(number))
    with monkeypatch.context() as patch:
        spied(patch, lambda name, count: error if (name, count) == place else None)
        with pytest.raises(HauloutError, match="file") as raised:
            write_file(target, b"new")
    assert type(raised.value) is expected
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_fsync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        made = spied(patch, lambda name, _: OSError(errno.EIO, "") if name == "fsync" else None)
        with pytest.raises(StorageError):
            write_file(tmp_path / "file", b"new")
    assert made.count("fsync") == 1


def test_content_that_fails_while_it_is_made_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def parts() -> Any:
        yield b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_file(target, parts())
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"new")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_files_and_folders_are_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    make_folder(folder)
    write_file(folder / "file", b"")
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        make_folder(tmp_path / "file")
    with pytest.raises(StorageError):
        write_file(tmp_path / "missing" / "file", b"")


def synced_folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose names are made durable from here on."""
    done: list[Path] = []
    real = durable.sync_folder

    def sync(folder: Path) -> None:
        done.append(folder)
        real(folder)

    monkeypatch.setattr(durable, "sync_folder", sync)
    return done


def test_the_temporary_file_may_lie_elsewhere_and_the_caller_may_sync_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = tmp_path / "staging"
    make_folder(staging)
    done = synced_folders(monkeypatch)
    with replacing(tmp_path / "a", staging=staging, sync_name=False) as temporary:
        assert temporary.parent == staging
        temporary.write_bytes(b"1")
    write_file(tmp_path / "b", b"2", staging=staging, sync_name=False)
    assert done == []
    write_file(tmp_path / "b", b"2", staging=staging)
    assert done == [tmp_path]
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "b").read_bytes() == b"2"
    assert list(staging.iterdir()) == []


def test_every_folder_that_is_made_is_named_durably_in_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = synced_folders(monkeypatch)
    make_folder(tmp_path / "a" / "b" / "c")
    assert done == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    done.clear()
    make_folder(tmp_path / "a" / "b" / "c")
    assert done == [tmp_path / "a" / "b"]


def test_a_file_is_removed_durably_and_its_absence_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "file", b"1")
    done = synced_folders(monkeypatch)
    remove_file(tmp_path / "file")
    assert done == [tmp_path]
    assert list(tmp_path.iterdir()) == []
    remove_file(tmp_path / "file", sync_name=False)
    assert done == [tmp_path]
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        remove_file(tmp_path / "folder")


def test_a_rename_that_windows_refuses_while_someone_reads_is_tried_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(durable, "_REPLACE_TRIES", 3)
    monkeypatch.setattr(durable.time, "sleep", pauses.append)
    busy = PermissionError(errno.EACCES, "The process cannot access the file")
    with monkeypatch.context() as patch:
        spied(patch, lambda name, count: busy if name == "replace" and count < 3 else None)
        write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(pauses) == 2
    spied(monkeypatch, lambda name, _: busy if name == "replace" else None)
    with pytest.raises(ReadOnlyError):
        write_file(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"new"
