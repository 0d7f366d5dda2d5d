"""One writer at a time among processes, in a fair order, and the newest acknowledged number.

SQLite's own waiting starves: with eight writers in a hot loop some process got one commit in
four seconds (measured). Here a writer first queues at the turnstile, then takes the lock, then
leaves the turnstile: whoever just wrote must queue behind the one already waiting.

The lock file's content is the number of the newest acknowledged record with a digest. It is
written after the commit's fsync and before the caller is told, and needs no fsync of its own:
a power cut may only leave an older number. A database that ends before it has lost
acknowledged records, which SQLite alone would not notice when its write-ahead log is damaged.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from haulout.errors import ReadOnlyError, StorageError

_NUMBER_BYTES = 8
_DIGEST_BYTES = 8
_FILE_MODE = 0o600

if sys.platform == "win32":  # pragma: no cover - exercised on Windows only
    import msvcrt

    def _take(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        while True:
            with suppress(OSError):  # LK_LOCK gives up after ten tries of a second each
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
                return

    def _leave(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

    def _leave(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _open(path: Path) -> int:
    try:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        return os.open(path, flags, _FILE_MODE)
    except PermissionError as error:
        message = f"The lock file {path.name} cannot be opened for writing."
        raise ReadOnlyError(message) from error
    except OSError as error:
        message = f"The lock file {path.name} cannot be opened ({error.strerror})."
        raise StorageError(message) from error


class WriterLock:
    """The right to write one lane, held by one process (and thread) at a time."""

    def __init__(self, path: Path) -> None:
        self._threads = threading.Lock()  # a file's lock does not keep its own process out
        self._turnstile = _open(path.with_suffix(".turn"))
        self._lock = _open(path)

    @contextmanager
    def held(self) -> Generator[None]:
        """Wait for the lock, fairly, and hold it for the block."""
        with self._threads:
            _take(self._turnstile)
            try:
                _take(self._lock)
            finally:
                _leave(self._turnstile)
            try:
                yield
            finally:
                _leave(self._lock)

    def acknowledged(self) -> int:
        """The newest acknowledged number, or 0 where the file tells none (torn or new)."""
        os.lseek(self._lock, 0, os.SEEK_SET)
        data = os.read(self._lock, _NUMBER_BYTES + _DIGEST_BYTES)
        number, digest = data[:_NUMBER_BYTES], data[_NUMBER_BYTES:]
        if hashlib.sha256(number).digest()[:_DIGEST_BYTES] != digest:
            return 0
        return int.from_bytes(number, "big")

    def acknowledge(self, number: int) -> None:
        """Note that records up to ``number`` are durable. Call while holding the lock."""
        data = number.to_bytes(_NUMBER_BYTES, "big")
        os.lseek(self._lock, 0, os.SEEK_SET)
        os.write(self._lock, data + hashlib.sha256(data).digest()[:_DIGEST_BYTES])

    def close(self) -> None:
        """Give the file handles back."""
        os.close(self._turnstile)
        os.close(self._lock)
