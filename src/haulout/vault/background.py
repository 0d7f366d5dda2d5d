"""Stores in the background: what any long-running process does for the vault it holds open.

A vault publishes, a replica is refreshed. One process at a time does (`Remote.turn`); which one
it is does not matter. A store that does not answer is tried again after 5 s, then after twice as
long each time, up to 5 minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from haulout.errors import HauloutError, StoreUnavailableError

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0

T = TypeVar("T")
Report = Callable[[int, int | None], None]


class Background(Generic[T]):
    """Does something again and again, until it is stopped.

    Args:
        turn: does it once, and gives what came of it, or None where there was nothing to do;
            what it is given to report to ends it where the program closes.
        every: seconds between two turns.
        told: hears what came of each and of each failure that differs from the one before.
    """

    def __init__(
        self,
        turn: Callable[[Report], T | None],
        every: float,
        told: Callable[[T | HauloutError], None],
    ) -> None:
        self._turn, self._every, self._told = turn, every, told
        self._wake, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="haulout-sync", daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """Take the next turn at once."""
        self._wake.set()

    def stop(self) -> None:
        """Let the turn under way finish, and end."""
        self._ended = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause, before = FIRST_PAUSE, ""
        while not self._ended:
            failure = self._once()
            if failure is None:
                pause, before, wait = FIRST_PAUSE, "", self._every
            else:
                if str(failure) != before:
                    self._told(failure)
                before, wait = str(failure), pause
                pause = min(2 * pause, LONGEST_PAUSE)
            self._wake.wait(wait)
            self._wake.clear()

    def _go_on(self, _done: int, _total: int | None) -> None:
        """Between two steps: end here where the program closes."""
        if self._ended:
            message = "The program ends; what was under way goes on with the next."
            raise StoreUnavailableError(message)

    def _once(self) -> HauloutError | None:
        """Take a turn; the error where it failed."""
        try:
            came = self._turn(self._go_on)
        except HauloutError as error:
            return error
        if came is not None:
            self._told(came)
        return None
