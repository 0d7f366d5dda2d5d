"""A folder as a backend: one file an object, under the object's name.

    .haulout/format      says that this folder is a store: an empty mount point has none
    .haulout/swap.lock   held while a head is compared and swapped
    .haulout/staging/    files being written; what a crash leaves there is swept
    blobs/ab/…           objects and heads, each a file

No name begins with a dot, so what is Haulout's own is never listed. Folders stay when their last
object is deleted: to remove one while another process writes into it could cost that write.

What a call costs, in fsyncs: `put` two (the file, then its name), and one more for each folder on
the way that this instance sees for the first time; `swap_head` the same; `delete` one; reads and
listings none. A folder that another process has just made is synced here too, since that process
may not have come to it.

After a failed fsync of a folder its names may be in memory alone, and a second fsync would not
tell: this instance then answers nothing but `get`. Another instance begins with what the disk
shows.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    HauloutError,
    InputError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.backend import (
    Object,
    Versioned,
    checked_name,
    checked_prefix,
    checked_range,
    is_name,
)
from haulout.storage.durable import (
    PRIVATE_FOLDER,
    make_folder,
    remove_file,
    storage_error,
    sync_folder,
    write_file,
)
from haulout.storage.filelock import held

OWN: Final = ".haulout"
FORMAT: Final = b"haulout folder 1\n"
STRAY_AGE_S: Final = 3600.0
LOCK_PATIENCE_S: Final = 30.0
_MARK_BYTES: Final = 256
_READ_BYTES: Final = 1 << 20

_GONE: Final = {
    getattr(errno, name)
    for name in ("ENODEV", "ENXIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH")
    if hasattr(errno, name)
}
"""What reads and writes answer when a disk was unplugged or a network share is not reached."""

_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link could lead to a device that never ends
    | getattr(os, "O_NONBLOCK", 0)  # and opening a pipe could wait for ever
)


class FolderBackend:
    """Objects and heads as files under one folder. Safe among threads and processes.

    Args:
        path: the folder, which `create` has made.
        url: how to call it; ``file://`` and the path where none is given.
    """

    def __init__(self, path: Path | str, url: str | None = None) -> None:
        self._root = Path(path).absolute()
        own = self._root / OWN
        self._mark = own / "format"
        self._lock = own / "swap.lock"
        self._staging = own / "staging"
        self._url = self._root.as_uri() if url is None else url
        self._durable_folders: set[Path] = set()
        self._swept = False
        self._unsynced = False

    @classmethod
    def create(cls, path: Path | str, url: str | None = None) -> FolderBackend:
        """Make a store of a folder that is new or empty, or open the one that is there.

        Only this makes the mark by which the folder is known again. It is never made by the way:
        an unplugged disk leaves an empty mount point, which must not pass for an empty store.

        Raises:
            InputError: the folder holds other files.
            StorageError, or one of its children: it cannot be made or read.
        """
        backend = cls(path, url)
        root = backend._root
        make_folder(root)
        try:
            foreign = sorted(entry.name for entry in os.scandir(root) if is_name(entry.name))
            marked = backend._mark.exists()
        except OSError as error:
            raise backend._read_error(error, OWN) from error
        if not marked:
            if foreign:
                message = f"{root} holds other files, such as {foreign[0]}."
                raise InputError(message, hint="Choose an empty folder, or a new one.")
            make_folder(backend._mark.parent)
            write_file(backend._mark, FORMAT)
        backend._check()
        return backend

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``, whole and durable. See `Backend.put`."""
        target = self._path(name)
        self._check()
        self._ready_staging()
        self._write(target, data)
        self._check()  # a mount that ended meanwhile may have left it in the folder beneath

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name``, or a range of them. See `Backend.get`."""
        target = self._path(name)
        checked_range(start, length)
        try:
            handle = os.open(target, _OPEN)
            try:
                size = self._file_size(os.fstat(handle), name)
                end = size if length is None else min(size, start + length)
                return _read(handle, start, max(0, end - start))
            finally:
                os.close(handle)
        except OSError as error:
            raise self._read_error(error, name) from error

    def size(self, name: str) -> int:
        """How many bytes stand under ``name``. See `Backend.size`."""
        target = self._path(name)
        self._refuse_unsynced()
        try:
            return self._file_size(target.lstat(), name)
        except OSError as error:
            raise self._read_error(error, name) from error

    def delete(self, name: str) -> None:
        """Remove ``name``, durably. See `Backend.delete`."""
        target = self._path(name)
        self._check()
        try:
            self.size(name)
        except BlobMissingError:
            return
        with self._wording_writes():
            remove_file(target, sync_name=False)
            self._sync(target.parent)

    def list(self, prefix: str = "") -> Iterator[Object]:
        """Every name that begins with ``prefix``. See `Backend.list`."""
        checked_prefix(prefix)
        return self._listed(prefix)

    def read_head(self, name: str) -> Versioned | None:
        """The head under ``name``; its version is the hash of its bytes."""
        checked_name(name)
        self._refuse_unsynced()
        try:
            data = self.get(name)
        except BlobMissingError:
            return None
        return Versioned(data, version_of(data))

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Put a head in the place of the version that was read. See `Backend.swap_head`."""
        target = self._path(name)
        self._check()
        self._ready_staging()
        with self._swapping():
            standing = self.read_head(name)
            if (standing.version if standing else None) != version:
                message = f"Another head stands under {name} in {self._url}."
                raise ConflictError(message, hint="Read it again, then decide.")
            self._write(target, data)
            self._check()
        return version_of(data)

    def sweep(self, older_than_s: float = STRAY_AGE_S, now: float | None = None) -> int:
        """Remove what crashed writers left half-written; return how many files that were.

        Runs by itself before the first write of an instance.

        Args:
            older_than_s: seconds since a file was last written; a younger one may have a writer.
            now: seconds since 1970, by the clock that the file system goes by.
        """
        before = (time.time() if now is None else now) - older_than_s
        swept = 0
        with self._wording_writes():
            for entry in list(os.scandir(self._staging)):
                with suppress(FileNotFoundError):  # another process sweeps, or has just finished
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        remove_file(Path(entry.path), sync_name=False)
                        swept += 1
        return swept

    def close(self) -> None:
        """Nothing is held between two calls."""

    # ------------------------------------------------------------------ is it there?

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*checked_name(name).split("/"))

    def _check(self) -> None:
        """Refuse a folder that is not there, is none of ours, or did not sync.

        Raises:
            StoreUnavailableError: the mark is not there: the disk is unplugged, or never was it.
            StorageError: the mark is of another version, or a folder's fsync failed before.
        """
        self._refuse_unsynced()
        try:
            handle = os.open(self._mark, _OPEN)
            try:
                mark = _read(handle, 0, _MARK_BYTES)
            finally:
                os.close(handle)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._absent() from error
        except OSError as error:
            raise self._read_error(error, OWN) from error
        if mark != FORMAT:
            message = f"{self._root} was made by another version of Haulout."
            raise StorageError(message, hint="Use a version that knows it; nothing was changed.")

    def _absent(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self._root} is not there, or holds no store.",
            hint="Plug in or mount the disk; the first time, let the folder be made.",
        )

    def _refuse_unsynced(self) -> None:
        if self._unsynced:
            message = f"The disk of {self._root} failed while names were made durable."
            raise StorageError(message, hint="See to the disk, then open the folder again.")

    def _read_error(self, error: OSError, name: str) -> HauloutError:
        """Our error for an operating system's; a missing file is one only where the store is."""
        if error.errno in _GONE or not self._mark_stands():
            return self._absent()
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return BlobMissingError(f"{name} does not stand in {self._url}.")
        if isinstance(error, PermissionError):
            return StoreRefusedError(f"{name} in {self._url} may not be read ({error.strerror}).")
        return StorageError(f"{name} in {self._url} cannot be read ({error.strerror or error}).")

    def _mark_stands(self) -> bool:
        try:
            return self._mark.exists()
        except PermissionError:
            return True
        except OSError:
            return False

    def _file_size(self, status: os.stat_result, name: str) -> int:
        if stat.S_ISDIR(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "a folder of other names")
        if not stat.S_ISREG(status.st_mode):
            message = f"{name} in {self._url} is no plain file."
            raise StorageError(message)
        return status.st_size

    # ------------------------------------------------------------------ listing

    def _listed(self, prefix: str) -> Iterator[Object]:
        self._check()
        try:
            yield from self._below("", prefix)
        except OSError as error:
            raise self._read_error(error, prefix) from error
        self._check()  # a listing cut short by an unplugged disk is not one

    def _below(self, folder: str, prefix: str) -> Iterator[Object]:
        try:
            entries = list(os.scandir(self._root / folder))
        except FileNotFoundError:
            return  # deleted meanwhile, or all is gone, which the last check tells
        for entry in entries:
            name = f"{folder}{entry.name}"
            if not is_name(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                inner = f"{name}/"
                if inner.startswith(prefix) or prefix.startswith(inner):
                    yield from self._below(inner, prefix)
            elif name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield Object(name, size)

    # ------------------------------------------------------------------ writing

    def _write(self, target: Path, data: bytes) -> None:
        with self._wording_writes():
            self._ready_folder(target.parent)
            if target.is_dir():
                message = f"{target.relative_to(self._root)} is the folder of other names."
                raise InputError(message)
            write_file(target, data, staging=self._staging, sync_name=False)
            self._sync(target.parent)

    def _ready_folder(self, folder: Path) -> None:
        """Make the folders down to this one, each durable; those known to be so cost no fsync."""
        if folder == self._root:
            return
        if folder in self._durable_folders and folder.is_dir():  # nobody tidied it away
            return
        self._ready_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=PRIVATE_FOLDER)
        if not stat.S_ISDIR(folder.lstat().st_mode):  # nor a link that leads out of the store
            message = f"{folder.relative_to(self._root)} is no folder, and can hold no names."
            raise InputError(message)
        self._sync(folder.parent)
        self._durable_folders.add(folder)

    def _sync(self, folder: Path) -> None:
        """Make the names in a folder durable, or trust no name in this store from here on."""
        try:
            sync_folder(folder)
        except OSError as error:
            self._unsynced = True
            message = f"It is not known whether {folder} keeps its newest names ({error.strerror})."
            raise StorageError(message) from error

    @contextmanager
    def _wording_writes(self) -> Generator[None]:
        """Tell a disk that is gone from one that is full, read-only or failing."""
        try:
            yield
        except OSError as error:
            if error.errno in _GONE or not self._mark_stands():
                raise self._absent() from error
            raise storage_error(error, self._root) from error
        except StorageError as error:
            cause = error.__cause__
            gone = isinstance(cause, OSError) and cause.errno in _GONE
            if not self._unsynced and (gone or not self._mark_stands()):
                raise self._absent() from error
            raise

    @contextmanager
    def _swapping(self) -> Generator[None]:
        with self._wording_writes(), held(self._lock, patience_s=LOCK_PATIENCE_S):
            yield

    def _ready_staging(self) -> None:
        """Have a place to write in, which copying a store leaves out where it is empty."""
        if not self._staging.is_dir():
            with self._wording_writes():
                self._staging.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if not self._swept:
            self._swept = True
            self.sweep()


def version_of(data: bytes) -> str:
    """The version of a head in a folder: the SHA-256 of its bytes, as text."""
    return hashlib.sha256(data).hexdigest()


def _read(handle: int, start: int, length: int) -> bytes:
    """Read up to ``length`` bytes from ``start``; fewer where the file ends before."""
    os.lseek(handle, start, os.SEEK_SET)
    parts: list[bytes] = []
    while length and (part := os.read(handle, min(length, _READ_BYTES))):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
