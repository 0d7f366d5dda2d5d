"""MetaTrader's global variables of the terminal, as its documentation has them.

Doubles only; names of at most 63 characters; gone four weeks after they were last used; kept in
memory, and on disk once the terminal ends in order or a program flushes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NAME_LENGTH: Final = 63
KEPT_US: Final = 28 * 86_400_000_000


class GlobalVariables:
    """The variables of one terminal. ``now`` is its clock, in microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._live: dict[str, tuple[float, int]] = {}
        self._disk: dict[str, tuple[float, int]] = {}

    def set(self, name: str, value: float) -> bool:
        """Keep a number; False where the name is too long. A long integer loses its last digits."""
        if not name or len(name) > NAME_LENGTH:
            return False
        self._live[name] = (float(value), self._now())
        return True

    def get(self, name: str, default: float = 0.0) -> float:
        """A variable's value, which uses it."""
        found = self._live.get(name)
        if found is None or self._now() - found[1] > KEPT_US:
            self._live.pop(name, None)
            return default
        self._live[name] = (found[0], self._now())
        return found[0]

    def flush(self) -> None:
        """Write all of them to the disk."""
        self._disk = dict(self._live)

    def crash(self) -> None:
        """The terminal dies: what was not flushed is gone."""
        self._live = dict(self._disk)
