"""The venue's clock: the machine's, or one that a test moves."""

from __future__ import annotations

import time


class Clock:
    """Microseconds since 1970 UTC.

    Args:
        start: where a virtual clock begins; None for the machine's own clock.
    """

    def __init__(self, start: int | None = None) -> None:
        self.virtual = start is not None
        self._at = start or 0
        self._offset = 0

    def now(self) -> int:
        """What time it is."""
        return (self._at if self.virtual else time.time_ns() // 1000) + self._offset

    def advance(self, seconds: float) -> int:
        """Let time pass; the machine's clock is stepped forward. Gives the new time."""
        self._offset += round(seconds * 1_000_000)
        return self.now()
