"""Starting processes quickly, ending them by their own ID, and spreading work over cores."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
_SUITES = ("crowd", "erasure", "failures", "flips", "kills", "powercuts", "states")
_MODULES = ["numpy", "haulout.vault.vault", *(f"crash.{name}" for name in _SUITES)]


def _context() -> Any:
    # A server process that has imported everything and runs no thread forks each child.
    paths = [str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")]
    if paths[0] not in paths[2].split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    return context


@contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """Run ``target(connection, *arguments)`` in a process; end it by its ID on the way out."""
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        process.close()
        ours.close()


def received(connection: Connection) -> Iterator[Any]:
    """Everything a process sent until its end, which may come in the middle of a message."""
    try:
        while True:
            yield connection.recv()
    except (EOFError, ConnectionResetError):
        return


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for many small vaults, in memory where there is such a place."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="haulout-crash-", dir=base)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spread(
    function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], jobs: int = 1
) -> list[Any]:
    """``function`` of each of the arguments, on so many cores, with a line of progress."""
    if jobs == 1:
        return [function(*one) for one in arguments]
    started, results = time.monotonic(), []
    with ProcessPoolExecutor(jobs, mp_context=_context()) as pool:
        futures = [pool.submit(function, *one) for one in arguments]
        for done, future in enumerate(as_completed(futures), 1):
            results.append(future.result())
            if sys.stderr.isatty() or done % max(1, len(futures) // 4) == 0:
                line = f"    {done} of {len(futures)} parts, {time.monotonic() - started:.0f} s"
                sys.stderr.write(line + ("\r" if sys.stderr.isatty() else "\n"))
                sys.stderr.flush()
    return results


def parts(total: int, of: int) -> list[int]:
    """A total cut into portions of at most ``of``."""
    return [min(of, total - start) for start in range(0, total, of)]
