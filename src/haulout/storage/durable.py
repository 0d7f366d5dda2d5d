"""The only place that writes ordinary files: whole or not at all, and durable on return.

The order of calls is the contract (as in Sunlight's durable package):

    write a temporary file beside the target   a crash leaves a stray `.name.tmp-*`
    fsync the file                             the same
    rename it over the target                  old or new content, never a mixture
    fsync the folder                           the new name survives a power cut

After a failed fsync nothing is retried: the page cache may have dropped the data while
calling it clean.

What a call costs, in fsyncs, which are what takes the time (about 8 ms each on a plain disk):
`write_file` and `replacing` two, or one where the caller syncs the folder itself; `remove_file`
one; `make_folder` one for each folder it makes, and one where it stands already.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from haulout.errors import DiskFullError, HauloutError, ReadOnlyError, StorageError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_NO_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700
_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows writes two bytes for a line's end
_REPLACE_TRIES = 20 if os.name == "nt" else 1
_REPLACE_PAUSE_S = 0.01


def storage_error(error: OSError, path: Path) -> HauloutError:
    """Our error for an operating system's, naming the path."""
    if error.errno in _NO_SPACE:
        return DiskFullError(f"There is no space left for {path.name}.")
    if error.errno in _NO_WRITE:
        return ReadOnlyError(f"{path} cannot be written ({error.strerror}).")
    return StorageError(f"{path} could not be written ({error.strerror or error}).")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(temporary: Path, target: Path) -> None:
    """Rename over the target. Windows refuses while someone reads it, which passes in moments."""
    for left in reversed(range(_REPLACE_TRIES)):
        try:
            os.replace(temporary, target)  # noqa: PTH105 - the crash tests stand in for `os`
        except PermissionError:
            if not left:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return


@contextmanager
def replacing(
    target: Path, *, staging: Path | None = None, sync_name: bool = True
) -> Generator[Path]:
    """Give a temporary path; put it in the target's place when the block ends well.

    For content that a library writes by name. The file is fsynced before it is renamed.

    Args:
        target: the file.
        staging: the folder of the temporary file, on the target's file system; the target's own
            folder where none is named.
        sync_name: False where the caller calls `sync_folder` for the target's folder before it
            tells anyone that the file is there.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: the target is as it was, unless it was the
            folder's fsync that failed: then the new file may stand, or may not after a power cut.
    """
    folder = target.parent if staging is None else staging
    temporary = folder / f".{target.name}.tmp-{secrets.token_hex(4)}"
    try:
        yield temporary
        handle = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        _replace(temporary, target)
        if sync_name:
            sync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(
    target: Path,
    parts: bytes | Iterable[bytes],
    mode: int = PRIVATE,
    *,
    staging: Path | None = None,
    sync_name: bool = True,
) -> None:
    """Write a file whole and durably, replacing what stood there.

    Args:
        target: the file; ``parts``: its bytes, or pieces of them in order.
        mode: permission bits; only the owner may read by default.
        staging, sync_name: as in `replacing`.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: as in `replacing`.
    """
    pieces = [parts] if isinstance(parts, bytes) else parts
    with replacing(target, staging=staging, sync_name=sync_name) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(handle, view) :]
        finally:
            os.close(handle)


def remove_file(target: Path, *, sync_name: bool = True) -> None:
    """Remove a file durably; that it is not there is no error.

    Args:
        target: the file.
        sync_name: as in `replacing`.

    Raises:
        ReadOnlyError, StorageError: it stands, unless it was the folder's fsync that failed.
    """
    try:
        target.unlink(missing_ok=True)
        if sync_name:
            sync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error


def make_folder(folder: Path) -> None:
    """Make a folder only its owner may enter, with its parents, durably.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: it could not be made.
    """
    try:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing or [folder]):
            place.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            sync_folder(place.parent)
    except OSError as error:
        raise storage_error(error, folder) from error
