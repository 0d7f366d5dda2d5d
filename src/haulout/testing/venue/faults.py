"""What goes wrong, when, and how often. Data: the same list gives the same faults.

A fault that has its turn is used up, `count` times; `skip` lets the first calls pass, `chance`
draws from a generator seeded by the fault's own seed, so that one more fault changes no other.
"""

from __future__ import annotations

from random import Random
from typing import Final, Literal, get_args

import msgspec

from haulout.errors import InputError

Point = Literal[
    "cut_before_accept",
    "cut_after_accept",
    "error_before_accept",
    "error_after_accept",
    "busy",
    "refuse",
    "hang_before_accept",
    "hang_after_accept",
    "garbage_after_accept",
    "kill_before_accept",
    "kill_after_accept",
    "late_accept",
    "delayed_fill",
    "partial_fill",
    "stale",
    "duplicate_report",
    "drop_report",
    "reorder_report",
    "lookup_missing",
    "window",
]
"""Where a fault acts.

cut: the connection breaks. error: 5xx. busy: 429. refuse: no, for good. hang: no answer for
``seconds``. garbage: half an answer. kill: SIGKILL to the process that the client names.
late_accept: the connection breaks, and the order arrives ``seconds`` later. delayed_fill: a market
order fills ``seconds`` later. partial_fill: half of it fills. stale: reads do not show an order for
``seconds`` or ``reads``. duplicate/drop/reorder_report: of the user stream (duplicate: in lists of
trades as well). lookup_missing: no order is found by the client's ID. window: lists and look-ups
leave out what ended more than ``seconds`` ago, or all but the last ``reads``.
"""
POINTS: Final[tuple[str, ...]] = get_args(Point)
_BEFORE: Final = (
    "cut_before_accept", "error_before_accept", "busy", "refuse", "hang_before_accept",
    "kill_before_accept", "late_accept",
)  # fmt: skip
_AFTER: Final = (
    "cut_after_accept", "error_after_accept", "hang_after_accept", "garbage_after_accept",
    "kill_after_accept",
)  # fmt: skip
_REPORTS: Final = ("drop_report", "reorder_report")


class Fault(msgspec.Struct, kw_only=True):
    """One thing that goes wrong.

    Attributes:
        point: where; on: at which calls (``submit``, ``cancel``, ``replace``, ``find``, ``list``,
            ``positions``, ``report``, ``any``); empty: at reports for those that concern reports
            alone, at submissions for the rest.
        count: how often, -1 for always; skip: how many calls pass first.
        chance: of a hundred calls that are due, how many it meets; seed: of what is drawn.
        seconds, reads: how long, see `Point`; status: which 5xx.
        entry: only entries (True), only exits (False), or both.
    """

    point: Point
    on: str = ""
    count: int = 1
    skip: int = 0
    chance: int = 100
    seed: int = 0
    seconds: float = 1.0
    reads: int = 0
    status: int = 503
    entry: bool | None = None


class Armed:
    """A fault, and how much of it is left."""

    def __init__(self, fault: Fault) -> None:
        if fault.point not in POINTS:
            raise InputError(f"There is no fault {fault.point!r}.")
        self.fault = fault
        self.left, self.skip = fault.count, fault.skip
        self._random = Random(fault.seed)  # noqa: S311 - a schedule, no secret

    def due(self, call: str, entry: bool | None) -> bool:  # noqa: FBT001
        """Whether it meets this call; it is used up by it."""
        fault = self.fault
        on = fault.on or ("report" if fault.point in _REPORTS else "submit")
        if self.left == 0 or on not in {call, "any"}:
            return False
        if fault.entry is not None and fault.entry != entry:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self._random.randrange(100) >= fault.chance:
            return False
        self.left -= self.left > 0
        return True


class Faults:
    """The faults that are armed."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self.met: list[str] = []
        """The points at which a fault was met, in order."""

    def arm(self, fault: Fault) -> None:
        """Let something go wrong."""
        self._armed.append(Armed(fault))

    def clear(self) -> None:
        """End all faults."""
        self._armed.clear()

    def left(self) -> list[Fault]:
        """What is armed and not used up."""
        return [one.fault for one in self._armed if one.left]

    def before(self, call: str, entry: bool | None = None) -> Fault | None:  # noqa: FBT001
        """The fault that meets a call before anything is done."""
        return self._take(_BEFORE, call, entry)

    def after(self, call: str, entry: bool | None = None) -> Fault | None:  # noqa: FBT001
        """The fault that meets a call once it was done."""
        return self._take(_AFTER, call, entry)

    def at(self, point: str, call: str, entry: bool | None = None) -> Fault | None:  # noqa: FBT001
        """The fault of one kind that meets a call."""
        return self._take((point,), call, entry)

    def standing(self, point: str) -> Fault | None:
        """A fault that holds as long as it is armed, such as ``window``."""
        found = (one.fault for one in self._armed if one.fault.point == point and one.left)
        return next(found, None)

    def _take(self, points: tuple[str, ...], call: str, entry: bool | None) -> Fault | None:  # noqa: FBT001
        for armed in self._armed:
            if armed.fault.point in points and armed.due(call, entry):
                self.met.append(armed.fault.point)
                return armed.fault
        return None
