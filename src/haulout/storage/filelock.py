"""One holder at a time of a lock file, among threads and processes, waiting a bounded time.

The lock is the operating system's on an open file, so it falls with the process that held it. The
file is opened anew each time: two threads of one process then keep each other out as two processes
do, and no handle is left to a forked child.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from haulout.errors import StoreUnavailableError

_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.05

if sys.platform == "win32":  # pragma: no cover - exercised on Windows only
    import msvcrt

    def _take(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # past the content, which stays readable
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _leave(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _leave(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def held(
    path: Path,
    *,
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[None]:
    """Hold a file's lock for the block.

    Args:
        path: the lock file; an empty one is made where there is none, its folder is not.
        patience_s: seconds to wait while someone else holds it.
        clock, sleep: monotonic seconds, and how to let them pass.

    Raises:
        StoreUnavailableError: someone else held it all that time; the block did not run.
        OSError: the file cannot be opened or locked.
    """
    # O_CREAT and no rename: two that make it at once must come to the same file.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _wait(handle, path, clock() + patience_s, clock, sleep)
        try:
            yield
        finally:
            _leave(handle)
    finally:
        os.close(handle)


def _wait(
    handle: int,
    path: Path,
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    pause = _PAUSE_S
    while True:
        try:
            _take(handle)
        except (BlockingIOError, PermissionError) as error:  # PermissionError: Windows's word
            if clock() >= until:
                message = f"Another program has held {path} all the while."
                raise StoreUnavailableError(message) from error
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        else:
            return
