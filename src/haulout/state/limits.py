"""Limits: how much entries may cost in a unit, held at once or within a time. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from haulout.errors import InputError
from haulout.state.events import amount, name_text, total

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
SHORTEST_S: Final = 60
LONGEST_S: Final = 7 * 86_400
_NAME: Final = re.compile(r"(?P<unit>[^/=]+)/(?P<per>held|day|[0-9]{2,6})")


class Limit(msgspec.Struct, frozen=True):
    """At most so much of a unit: ``held`` at once, in a UTC ``day``, or in some seconds."""

    unit: str
    per: str
    most: str

    @property
    def name(self) -> str:
        """``unit/per``, as it is set."""
        return f"{self.unit}/{self.per}"

    def since(self, at: int) -> int:
        """From when on costs count at a moment, microseconds; costs are kept by the minute."""
        if self.per == "day":
            return at - at % DAY_US
        return at - int(self.per) * 1_000_000


def limit(name: str, most: object) -> Limit:
    """A limit from its name, such as ``usd/day``, ``trades/held`` or ``orders/60``.

    Raises:
        InputError: there is no such limit.
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] callers
    seconds = found["per"] if found else ""
    if found is None or (seconds.isdigit() and not SHORTEST_S <= int(seconds) <= LONGEST_S):
        message = f"{str(name)[:60]!r} is no limit."
        hint = "Name a unit and `held`, `day` or 60 to 604800 seconds: `usd/day`, `trades/held`."
        raise InputError(message, hint=hint)
    return Limit(
        name_text(found["unit"], "A unit"), found["per"], amount(most, f"The limit {name}")
    )


def used(
    one: Limit,
    at: int,
    pending: Iterable[Mapping[str, str]],
    held: Mapping[bytes, Mapping[str, str]],
    spent: Mapping[str, Mapping[int, str]],
) -> Decimal:
    """How much of a limit is used at a moment.

    Args:
        one: the limit; at: microseconds.
        pending: costs of intents that are not final: they count whole, whenever they began.
        held: costs that stay held; spent: costs and charges, by unit and minute.
    """
    unit = one.unit
    found = [cost[unit] for cost in pending if unit in cost]
    if one.per == "held":
        return total(*found, *(cost[unit] for cost in held.values() if unit in cost))
    first = one.since(at) // MINUTE_US
    minutes = spent.get(unit, {})
    return total(*found, *(cost for when, cost in minutes.items() if when >= first))


def forbids(one: Limit, cost: Mapping[str, str], used_up: Decimal) -> bool:
    """Whether a limit forbids an entry: it would pass it, or it is used up and not named."""
    if one.unit in cost:
        return total(used_up, cost[one.unit]) > Decimal(one.most)
    return used_up >= Decimal(one.most)
