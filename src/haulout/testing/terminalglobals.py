"""The global variables of a MetaTrader terminal, as its documentation describes them.

    terminal = TerminalGlobals(now=clock)
    terminal.set("level", 3)
    terminal.crash()            # the power, or the process: what was not flushed is lost
    terminal.get("level")       # None

Doubles only, names of at most 63 characters, deleted four weeks after they were last used,
written as the terminal closes in good order or by `flush`, temporary ones never. Written from the
documentation and compared with no terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from haulout.interchange.globalvariables import LIFETIME, NAME_LENGTH, Variable

_LIFETIME_US: Final = int(LIFETIME.total_seconds() * 1e6)


class TerminalGlobals:
    """A terminal's variables, in memory and on its disk.

    Args:
        now: microseconds since 1970 UTC.
    """

    def __init__(self, *, now: Callable[[], int]) -> None:
        self._now = now
        self._disk: dict[str, Variable] = {}
        self._memory: dict[str, Variable] = {}
        self._temporary: set[str] = set()

    def set(self, name: str, value: float) -> int:
        """``GlobalVariableSet``: when it was set in microseconds; 0 where the name is none."""
        if not 0 < len(name) <= NAME_LENGTH:
            return 0
        self._memory[name] = Variable(name, float(value), self._now())
        return self._now()

    def get(self, name: str) -> float | None:
        """``GlobalVariableGet``; None where there is none. Reading it is using it."""
        self._sweep()
        found = self._memory.get(name)
        if found is None:
            return None
        self._memory[name] = found._replace(at=self._now())
        return found.value

    def set_on_condition(self, name: str, value: float, check: float) -> bool:
        """``GlobalVariableSetOnCondition``: sets where it is ``check``, in one step."""
        self._sweep()
        found = self._memory.get(name)
        if found is None or found.value != check:
            return False
        return self.set(name, value) > 0

    def temp(self, name: str) -> bool:
        """``GlobalVariableTemp``: a new one that is written to no disk; false where it exists."""
        self._sweep()
        if name in self._memory or self.set(name, 0.0) == 0:
            return False
        self._temporary.add(name)
        return True

    def delete(self, name: str) -> bool:
        """``GlobalVariableDel``."""
        self._temporary.discard(name)
        return self._memory.pop(name, None) is not None

    def check(self, name: str) -> bool:
        """``GlobalVariableCheck``: whether there is one; looking is not using it."""
        self._sweep()
        return name in self._memory

    def all(self) -> list[Variable]:
        """Every variable, as an export script reads them."""
        self._sweep()
        return sorted(self._memory.values())

    def flush(self) -> None:
        """``GlobalVariablesFlush``: write all but the temporary ones."""
        self._sweep()
        self._disk = {
            name: one for name, one in self._memory.items() if name not in self._temporary
        }

    def restart(self) -> None:
        """The terminal closes in good order, and starts again."""
        self.flush()
        self.crash()

    def crash(self) -> None:
        """The terminal ends at once and starts again: what was not written is lost."""
        self._memory = dict(self._disk)
        self._temporary.clear()
        self._sweep()

    def _sweep(self) -> None:
        oldest = self._now() - _LIFETIME_US
        for name in [one.name for one in self._memory.values() if one.at < oldest]:
            self.delete(name)
