"""Right of way: what somebody waits for goes before what nobody does, within one process.

All Python threads of a process share one interpreter, and one that computes keeps it for up to
5 ms. A write gives it back some ten times, at every statement and at the disk, so beside a
publication an order took 3 to 16 ms instead of 1 (benchmarks/order_path.py; a shorter
`sys.setswitchinterval` changed little). Work in the background therefore stops between two small
steps for as long as an order is being written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class RightOfWay:
    """Taken by what somebody waits for, as a context; given by what can wait.

    ``with way:`` around the one; ``way.give()`` between two steps of the other. One step is done
    between two orders that follow each other closely, so that neither starves.
    """

    longest_s = 0.02
    """How long a step waits at most: a disk that hangs stops nothing else."""

    def __init__(self) -> None:
        self._turn, self._passing = threading.Lock(), 0
        self._file = threading.Lock()
        self._free = threading.Event()
        self._free.set()

    def __enter__(self) -> None:
        with self._turn:
            self._passing += 1
            self._free.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._passing -= 1
            if not self._passing:
                self._free.set()

    def give(self) -> None:
        """Wait while anything passes, and go on one behind the other.

        A dozen threads that woke together would all be in the way of the next order.
        """
        if self._passing and self._file.acquire(timeout=self.longest_s):
            try:
                self._free.wait(self.longest_s)
            finally:
                self._file.release()

    def along(self, steps: Iterable[T]) -> Iterator[T]:
        """The same steps, giving way before each."""
        for step in steps:
            self.give()
            yield step
