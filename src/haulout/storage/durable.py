"""The only place that writes ordinary files: whole or not at all, and durable on return.

The order of calls is the contract (as in Sunlight's durable package):

    write a temporary file beside the target   a crash leaves a stray `.name.tmp-*`
    fsync the file                             the same
    rename it over the target                  old or new content, never a mixture
    fsync the folder                           the new name survives a power cut

After a failed fsync nothing is retried: the page cache may have dropped the data while
calling it clean.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from haulout.errors import DiskFullError, HauloutError, ReadOnlyError, StorageError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_NO_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


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


@contextmanager
def replacing(target: Path) -> Generator[Path]:
    """Give a temporary path beside ``target``; put it in place when the block ends well.

    For content that a library writes by name. The file is fsynced before it is renamed.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: the target is as it was.
    """
    temporary = target.with_name(f".{target.name}.tmp-{secrets.token_hex(4)}")
    try:
        yield temporary
        handle = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, target)  # noqa: PTH105 - the crash tests stand in for `os`
        sync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(target: Path, parts: bytes | Iterable[bytes], mode: int = PRIVATE) -> None:
    """Write a file whole and durably, replacing what stood there.

    Args:
        target: the file; ``parts``: its bytes, or pieces of them in order.
        mode: permission bits; only the owner may read by default.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: the target is as it was.
    """
    pieces = [parts] if isinstance(parts, bytes) else parts
    with replacing(target) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(handle, view) :]
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder only its owner may enter, with its parents, durably.

    Raises:
        DiskFullError, ReadOnlyError, StorageError: it could not be made.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        sync_folder(folder.parent)
    except OSError as error:
        raise storage_error(error, folder) from error
