"""The judge: the venue's ledger beside the journal, once everything is healthy again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self

from crash.trading.bot import LIMIT, WANTED

from haulout.state.events import Event, Kind
from haulout.state.state import State
from haulout.testing.venue.ledger import Entry, duplicates

_GONE = frozenset({"dropped", "refused", "absent"})


@dataclass
class Verdict:
    """What runs came to. ``wrong`` says what was lost, doubled or beyond a limit.

    Attributes:
        lost: intents that were acknowledged, or orders that the venue accepted, of which the
            journal does not say so; duplicates: accepted entries beyond one for a key.
        exits_twice: the same of exits, which are sent again where nothing else helps: no fault.
        violations: moments beyond a limit; unknown: intents that wait for a person.
        silences: entries that should have gone out and did not, of ``wanted``.
    """

    runs: int = 0
    lost: int = 0
    duplicates: int = 0
    exits_twice: int = 0
    violations: int = 0
    unknown: int = 0
    silent_runs: int = 0
    silences: int = 0
    wanted: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Verdict) -> Self:
        """Add another's runs."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self

    @property
    def bad(self) -> int:
        """What must be zero."""
        return self.lost + self.duplicates + self.violations

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "wrong"}
        found["wrong_silence_rate"] = round(self.silences / max(self.wanted, 1), 4)
        return found


def exceeded(entries: Iterable[Entry], most: int) -> list[str]:
    """Moments at which the bot held, or had open, more than its limit."""
    open_orders: dict[str, Decimal] = {}
    held, found = Decimal(), list[str]()
    for one in entries:
        if one.by != "client" or one.what == "refused":
            continue
        amount, sign = Decimal(one.amount), 1 if one.side == "buy" else -1
        if one.what == "accepted" and sign > 0:
            open_orders[one.order] = amount
            if held + sum(open_orders.values()) > most:
                found.append(f"order {one.order} ({one.key}) makes it more than {most}")
        elif one.what == "filled":
            held += sign * amount
            if sign > 0:
                open_orders[one.order] -= amount
        elif one.what == "cancelled":
            open_orders.pop(one.order, None)
    return found


def judge(
    entries: Sequence[Entry],
    state: State | None,
    acknowledged: Collection[bytes] = (),
    *,
    lowered: int | None = None,
    lowered_at: int = 0,
) -> Verdict:
    """Compare the venue's ledger with the journal.

    Args:
        entries: the ledger; state: the bot's in the end, None where it does not open any more.
        acknowledged: intents that were written down, as their caller was told.
        lowered: a lower limit, from the ledger's ``lowered_at``-th entry on.
    """
    verdict = Verdict(runs=1, wanted=len(WANTED))
    doubled = duplicates(entries)
    verdict.duplicates = sum(doubled.values())
    exits = Counter(one.key for one in entries if one.what == "accepted" and not one.entry)
    verdict.exits_twice = sum(count - 1 for key, count in exits.items() if key is not None)
    verdict.wrong += [f"{key} was accepted {more + 1} times" for key, more in doubled.items()]
    accepted = [one for one in entries if one.what == "accepted" and one.by == "client"]
    if state is not None:
        lost = _lost(accepted, state, acknowledged)
        verdict.lost, verdict.wrong = len(lost), verdict.wrong + lost
        verdict.unknown = sum(one.is_unsettled for one in state.open_intents())
    beyond = exceeded(entries, LIMIT)
    if lowered is not None:
        late = [one.order for one in entries[lowered_at:] if one.what == "accepted"]
        names = tuple(f"order {one} " for one in late)
        beyond += [one for one in exceeded(entries, lowered) if one.startswith(names)]
    verdict.violations, verdict.wrong = len(beyond), verdict.wrong + beyond
    silent = WANTED - {one.key for one in accepted}
    verdict.silences, verdict.silent_runs = len(silent), int(bool(silent))
    return verdict


def _lost(accepted: Sequence[Entry], state: State, acknowledged: Collection[bytes]) -> list[str]:
    events = [one.event for one in state.events()]
    written: dict[bytes, Event] = {}
    for one in events:
        if one.kind == Kind.INTENT:
            written.setdefault(one.body["id"], one)
    found = [
        f"intent {one.hex()} was acknowledged and is not there"
        for one in acknowledged
        if one not in written or "adopted" in written[one].body
    ]
    for one in accepted:
        known = bytes.fromhex(one.client) if one.client else b""
        if known not in written:
            found.append(f"{one.key} is at the venue and in no journal")
        elif (status := state.intent(known).status) in _GONE:
            found.append(f"{one.key} is at the venue, and {status} here")
    return found
