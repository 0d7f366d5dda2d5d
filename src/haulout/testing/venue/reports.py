"""What the venue tells by itself: reports of what happened, lost, doubled and out of order."""

from __future__ import annotations

from typing import NamedTuple

from haulout.testing.venue.faults import Faults
from haulout.testing.venue.orders import Fill, Order
from haulout.testing.venue.shown import Shown, shown


class Report(NamedTuple):
    """One report: what happened to which order, as it was then; and the fill, where it was one."""

    what: str
    order: Shown
    fill: Fill | None


class Reports:
    """Lets reports through, or not.

    Args:
        faults: ``drop_report``, ``reorder_report`` and ``duplicate_report``, at each report.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: list[Report] = []

    def passing(self, what: str, order: Order, fill: Fill | None) -> list[Report]:
        """Which reports go out now."""
        one = Report(what, shown(order), fill)
        faults, entry = self._faults, order.wanted.entry
        if faults.at("drop_report", "report", entry):
            return []
        if faults.at("reorder_report", "report", entry):
            self._held.append(one)
            return []
        twice = order.doubled or faults.at("duplicate_report", "report", entry) is not None
        out = [one, one] if twice else [one]
        out += self._held
        self._held = []
        return out
