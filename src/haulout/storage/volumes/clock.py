"""Time as a volume set needs it: what it is, and waiting until something comes or it is late."""

from __future__ import annotations

import time
from collections.abc import Collection
from threading import Condition
from typing import Protocol


class Clock(Protocol):
    """Real by default; tests move one by hand, so that none of them waits."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def wait(
        self, condition: Condition, seconds: float | None, waiting_for: Collection[str]
    ) -> None:
        """Wait until ``condition`` is notified or ``seconds`` have passed; waking early is fine.

        Args:
            condition: held by the caller; ``seconds``: None for as long as it takes.
            waiting_for: the volumes whose answers are due. A clock that is moved by hand moves
                once none of them is going to answer by itself.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def wait(
        self,
        condition: Condition,
        seconds: float | None,
        waiting_for: Collection[str],  # noqa: ARG002 - real time passes whoever is waited for
    ) -> None:
        """Wait until ``condition`` is notified or ``seconds`` have passed."""
        condition.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)
