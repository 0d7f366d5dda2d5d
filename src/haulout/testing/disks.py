"""Disks that record, fail or kill, put beneath a vault without its knowing.

`mounted(disk, root)` lets a `Disk` see every call that reaches a file under ``root``: those of
SQLite through a VFS beneath the cipher (so it sees encrypted pages, as a real disk does), and
those of ordinary files through stand-ins for `os.open`, `os.write`, `os.fsync` and their like.

    with mounted(FailingDisk({"sync"}, at=3, number=errno.EIO), folder) as vfs:
        vault, kit = Vault.create(folder / "vault", world=World(vfs=vfs))

A VFS written in Python has no shared memory, so such a vault is held by one process on one
connection. Mounts are per process; several may stand side by side, with roots of their own.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import apsw

Kind = Literal["open", "write", "sync", "truncate", "rename", "delete"]
_VFS = "haulout-shim"
_BASE_VFS = "win32" if os.name == "nt" else "unix"
_NAMES_ITS_FOLDER = (
    apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
)


class Call(NamedTuple):
    """One call that reaches the disk.

    Attributes:
        kind: what is done; a sync of a folder makes the names in it durable.
        path: the file or folder.
        offset: where a write begins, or the size after a truncate.
        data: what a write writes.
        target: a rename's new path.
        creates: whether an open makes the file.
        durable: whether a delete syncs the folder, too.
    """

    kind: Kind
    path: str
    offset: int = 0
    data: bytes = b""
    target: str = ""
    creates: bool = False
    durable: bool = False


class Disk:
    """A healthy disk: it sees every call and lets it through."""

    def before(self, call: Call) -> None:
        """Called before a call is carried out; an OSError raised here is the call's failure."""

    def after(self, call: Call) -> None:
        """Called once it was carried out."""


class CountingDisk(Disk):
    """Counts calls of each kind: how many places a failure can be put in."""

    def __init__(self) -> None:
        self.calls: dict[Kind, int] = {}

    def before(self, call: Call) -> None:
        """Count it."""
        self.calls[call.kind] = self.calls.get(call.kind, 0) + 1


class Mark(NamedTuple):
    """Something a program noted among the calls, such as an acknowledgement."""

    value: Any


class RecordingDisk(Disk):
    """Keeps every call that changes something, in order, with its data.

    Args:
        lies_about: tells the paths whose syncs this disk answers without doing them; the
            control of a power-cut test.
    """

    def __init__(self, lies_about: Callable[[str], bool] = lambda _path: False) -> None:
        self.events: list[Call | Mark] = []
        self._lies_about = lies_about

    def after(self, call: Call) -> None:
        """Keep it, unless it changed nothing."""
        if call.kind == "sync" and self._lies_about(call.path):
            return
        if call.kind != "open" or call.creates:
            self.events.append(call)

    def mark(self, value: Any) -> None:
        """Note something between two calls."""
        self.events.append(Mark(value))


class FailingDisk(Disk):
    """Makes the n-th call of some kinds fail, once or from then on.

    Args:
        kinds: which calls count; ``at``: the first to fail, from 1.
        number: the errno, such as `errno.EIO`; ``forever``: all later ones fail as well.

    Attributes:
        failed: the calls that were refused.
    """

    def __init__(
        self, kinds: Collection[Kind], at: int, number: int, *, forever: bool = False
    ) -> None:
        self._kinds, self._at, self._number, self._forever = kinds, at, number, forever
        self._seen = 0
        self._counting = threading.Lock()
        self.failed: list[Call] = []

    def before(self, call: Call) -> None:
        """Count it, and refuse it when its turn has come."""
        if call.kind not in self._kinds:
            return
        with self._counting:
            self._seen += 1
            fails = self._seen == self._at or (self._forever and self._seen > self._at)
        if fails:
            self.failed.append(call)
            raise OSError(self._number, os.strerror(self._number), call.path)


class KillingDisk(Disk):
    """Kills its own process with SIGKILL in place of the n-th call of some kinds."""

    def __init__(self, kinds: Collection[Kind], at: int) -> None:
        self._kinds, self._left = kinds, at

    def before(self, call: Call) -> None:
        """Count it, and end the process when its turn has come."""
        if call.kind in self._kinds:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


# ---------------------------------------------------------------------- mounting


class _Mount(NamedTuple):
    root: str
    disk: Disk


_mounts: list[_Mount] = []


def _absolute(path: Any) -> str:
    return os.path.abspath(str(path))  # noqa: PTH100 - text, as SQLite's calls bring it


def _disk_of(path: str | None) -> Disk | None:
    if path is None:
        return None
    for root, disk in reversed(_mounts):
        if path == root or path.startswith(root + os.sep):
            return disk
    return None


@contextmanager
def mounted(disk: Disk, root: str | os.PathLike[str]) -> Generator[str]:
    """Put a disk beneath everything under ``root``; yield the VFS name to open databases with."""
    _register()
    mount = _Mount(_absolute(root), disk)
    _mounts.append(mount)
    try:
        with _ordinary_files():
            yield f"multipleciphers-{_VFS}"
    finally:
        _mounts.remove(mount)


# ---------------------------------------------------------------------- SQLite's calls


_EXTENDED = {
    "open": apsw.SQLITE_CANTOPEN,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
}


def _ask(disk: Disk | None, call: Call) -> None:
    """Ask a disk before one of SQLite's calls; tell a refusal as SQLite's own VFS tells it."""
    if disk is None:
        return
    try:
        disk.before(call)
    except OSError as error:
        if call.kind == "write" and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            code = apsw.SQLITE_FULL
        else:
            code = _EXTENDED[call.kind]
        raise apsw.exception_for(code) from error


class _File(apsw.VFSFile):
    """A file of SQLite's, its changes shown to the disk it lies on."""

    def __init__(self, path: str | None, name: Any, flags: list[int]) -> None:
        self._path, self._disk = path or "", _disk_of(path)
        self._names_folder = bool(flags[0] & _NAMES_ITS_FOLDER) and bool(
            flags[0] & apsw.SQLITE_OPEN_CREATE
        )
        creates = path is not None and not os.path.exists(path)  # noqa: PTH110
        call = Call("open", self._path, creates=creates)
        _ask(self._disk, call)
        super().__init__(_BASE_VFS, name, flags)
        self._done(call)

    def _done(self, call: Call) -> None:
        if self._disk:
            self._disk.after(call)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's names
        call = Call("write", self._path, offset, bytes(data))
        _ask(self._disk, call)
        super().xWrite(data, offset)
        self._done(call)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        call = Call("truncate", self._path, newsize)
        _ask(self._disk, call)
        super().xTruncate(newsize)
        self._done(call)

    def xSync(self, flags: int) -> None:  # noqa: N802
        call = Call("sync", self._path)
        _ask(self._disk, call)
        super().xSync(flags)
        self._done(call)
        if self._names_folder:  # SQLite's unix VFS syncs the folder with a new log's first sync
            self._names_folder = False
            self._done(Call("sync", os.path.dirname(self._path)))  # noqa: PTH120


class _Shim(apsw.VFS):
    """Stands beneath the cipher's VFS and shows SQLite's calls to the mounted disks."""

    def __init__(self) -> None:
        super().__init__(_VFS, _BASE_VFS)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(name.filename() if isinstance(name, apsw.URIFilename) else name, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        disk, call = _disk_of(filename), Call("delete", filename, durable=syncdir)
        _ask(disk, call)
        super().xDelete(filename, syncdir)
        if disk:
            disk.after(call)


_registered: list[_Shim] = []


def _register() -> None:
    """Register the VFS once for good: the cipher's VFS above it keeps a pointer to it."""
    if not _registered:
        _registered.append(_Shim())


# ---------------------------------------------------------------------- ordinary files


class _Raw(io.FileIO):
    """A file opened by name for writing, its writes shown to the disk."""

    def __init__(self, disk: Disk, path: str, mode: str) -> None:
        self._call = Call("open", path, creates=not os.path.exists(path))  # noqa: PTH110
        self._disk = disk
        disk.before(self._call)
        super().__init__(path, mode)
        disk.after(self._call)

    def write(self, data: Any, /) -> int:
        call = Call("write", self._call.path, self.tell(), bytes(data))
        self._disk.before(call)
        written = super().write(data)
        self._disk.after(call._replace(data=call.data[:written]))
        return written


class _Ordinary:
    """Stand-ins for the calls of `os` and `io` by which Python writes files."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}
        self._open, self._close, self._write = os.open, os.close, os.write
        self._fsync, self._io_open = os.fsync, io.open

    def open(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        name = _absolute(path)
        disk = _disk_of(name)
        if disk is None:
            return self._open(path, flags, *more, **named)
        exists = os.path.exists(name)  # noqa: PTH110
        call = Call("open", name, creates=bool(flags & os.O_CREAT) and not exists)
        disk.before(call)
        handle = self._open(path, flags, *more, **named)
        self._paths[handle] = name
        disk.after(call)
        return handle

    def close(self, fd: int) -> None:
        self._paths.pop(fd, None)
        self._close(fd)

    def write(self, fd: int, data: Any, /) -> int:
        disk = _disk_of(self._paths.get(fd))
        if disk is None:
            return self._write(fd, data)
        call = Call("write", self._paths[fd], os.lseek(fd, 0, os.SEEK_CUR), bytes(data))
        disk.before(call)
        written = self._write(fd, data)
        disk.after(call._replace(data=call.data[:written]))
        return written

    def fsync(self, fd: int) -> None:
        disk = _disk_of(self._paths.get(fd))
        if disk is None:
            return self._fsync(fd)
        call = Call("sync", self._paths[fd])
        disk.before(call)
        self._fsync(fd)
        return disk.after(call)

    def io_open(self, file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        name = None if isinstance(file, int) else _absolute(file)
        disk = _disk_of(name)
        if disk is None or name is None:
            return self._io_open(file, mode, *more, **named)
        if "b" in mode and set(mode) & set("xwa+"):
            return io.BufferedWriter(_Raw(disk, name, mode))
        disk.before(Call("open", name))
        return self._io_open(file, mode, *more, **named)

    @staticmethod
    def naming(real: Callable[..., None], kind: Kind) -> Callable[..., None]:
        """A stand-in for `os.replace`, `os.rename` or `os.unlink`."""

        def stand_in(path: Any, *more: Any, **named: Any) -> None:
            name = _absolute(path)
            disk = _disk_of(name)
            target = _absolute(more[0]) if more else ""
            call = Call(kind, name, target=target)
            if disk:
                disk.before(call)
            real(path, *more, **named)
            if disk:
                disk.after(call)

        return stand_in


@contextmanager
def _ordinary_files() -> Generator[None]:
    calls = _Ordinary()
    with ExitStack() as stack:
        for module, name, stand_in in (
            (os, "open", calls.open),
            (os, "close", calls.close),
            (os, "write", calls.write),
            (os, "fsync", calls.fsync),
            (os, "replace", calls.naming(os.replace, "rename")),
            (os, "rename", calls.naming(os.rename, "rename")),
            (os, "unlink", calls.naming(os.unlink, "delete")),
            (io, "open", calls.io_open),
        ):
            stack.enter_context(patch.object(module, name, stand_in))
        yield
