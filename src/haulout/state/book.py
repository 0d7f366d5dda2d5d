"""The book: everything a state's events add up to. Pure; docs/spec/state.md, "The fold".

A book is a function of its events alone: no clock, no randomness, no order of dictionaries
that the events do not give. A snapshot is a cache of it, with the number of its newest event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from haulout.errors import DamagedError
from haulout.state import limits
from haulout.state.events import Event, Kind, amount
from haulout.state.intents import NEXT, Intent, grown
from haulout.state.limits import MINUTE_US, Limit

BOOK_VERSION: Final = 1
_KEPT_MINUTES: Final = limits.LONGEST_S // 60 + 1440
"""Costs are kept for the longest limit, and a day more."""
_RECENT: Final = 200
"""Final intents that are kept to be shown; the journal has them all."""


class Document(msgspec.Struct, frozen=True):
    """A document as it stands: version, the schema it was written under, when, JSON text."""

    version: int
    schema: int
    at: int
    value: str | None


class Journal(msgspec.Struct, frozen=True):
    """A journal of notes: how many there are, and the newest snapshot of their fold."""

    notes: int = 0
    through: int = 0
    schema: int = 0
    value: str | None = None
    number: int = 0
    """Number of the newest event that the snapshot covers."""


class Lease(msgspec.Struct, frozen=True):
    """Who may act, until when (microseconds by the agent's clock), under which epoch."""

    holder: str = ""
    until: int = 0
    epoch: int = 0


class Book(msgspec.Struct, kw_only=True):
    """A state, folded.

    Attributes:
        version: of this form; through: number of the newest event folded; events: how many.
        at: when the newest event was, by the agent's clock; tag: of the state's own intents.
        documents, journals: by name, deleted documents with their version.
        intents: those that are not final; recent: the newest final ones, oldest first.
        held: costs that stay held, by intent; spent: costs and charges by unit and minute.
        limits: set by the agent; owner_limits: by the owner, who is right.
        halted: ``""``, ``pause`` or ``flatten``; halted_at, halted_why: since when, and why.
        lease: the newest.
    """

    version: int = BOOK_VERSION
    through: int = 0
    events: int = 0
    at: int = 0
    tag: bytes = b""
    documents: dict[str, Document] = {}
    journals: dict[str, Journal] = {}
    intents: dict[bytes, Intent] = {}
    recent: list[Intent] = []
    held: dict[bytes, dict[str, str]] = {}
    spent: dict[str, dict[int, str]] = {}
    limits: dict[str, Limit] = {}
    owner_limits: dict[str, Limit | None] = {}
    halted: str = ""
    halted_at: int = 0
    halted_why: str = ""
    lease: Lease = Lease()

    # ------------------------------------------------------------------ asking

    def open_intents(self) -> list[Intent]:
        """Intents that are not final, oldest first."""
        return sorted(self.intents.values(), key=lambda one: (one.at, one.id))

    def intent(self, intent_id: bytes) -> Intent | None:
        """An intent that is not final, or one of the newest final ones."""
        known = self.intents.get(intent_id)
        return known or next((one for one in self.recent if one.id == intent_id), None)

    def in_force(self) -> list[Limit]:
        """The limits that hold, by name: the owner's before the agent's."""
        found: dict[str, Limit | None] = {**self.limits, **self.owner_limits}
        return [found[name] for name in sorted(found) if found[name] is not None]  # pyright: ignore[reportReturnType] no None is left

    def used(self, one: Limit, at: int) -> Decimal:
        """How much of a limit is used at a moment (microseconds)."""
        pending = {key: intent.cost for key, intent in self.intents.items()}
        return limits.used(one, at, pending, self.held, self.spent)

    def pending_on(self, target: str, role: str) -> list[Intent]:
        """Intents of a role on a target of which nobody knows whether they were done."""
        return [
            one
            for one in self.intents.values()
            if one.is_unsettled and (one.target, one.role) == (target, role)
        ]

    # ------------------------------------------------------------------ folding

    def fold(self, number: int, event: Event) -> None:
        """Take one event in.

        Args:
            number: grows from event to event; event: what happened.

        Raises:
            DamagedError: it cannot follow what stands; whoever appends makes sure that it can.
        """
        if number <= self.through:
            message = f"Event {number} of a state comes after event {self.through}."
            raise DamagedError(message)
        take = _FOLDS.get(event.kind)
        if take is not None:
            take(self, number, event)
        self.through, self.events, self.at = number, self.events + 1, max(self.at, event.at)

    # ------------------------------------------------------------------ snapshots

    def snapshot(self) -> bytes:
        """The book as bytes, to go on from."""
        return _ENCODER.encode(self)


def opened(data: bytes) -> Book | None:
    """A book from its snapshot; None where another version of this code wrote it."""
    try:
        book = _DECODER.decode(data)
    except msgspec.DecodeError:
        return None
    return book if book.version == BOOK_VERSION else None


def _ordered(costs: Mapping[str, str]) -> dict[str, str]:
    """In one order, whatever order a caller gave: a snapshot's bytes depend on it."""
    return dict(sorted(costs.items()))


def settled(intent: Intent, body: Mapping[str, Any]) -> Intent:
    """An intent after a settle event.

    What a final one spent is what the event says; otherwise its cost where it was done, and
    nothing where it was not.
    """
    status = body["status"]
    filled = grown(intent.filled, body.get("filled"))
    if status == "done":
        spent = _ordered({**intent.cost, **body.get("spent", {})})
    else:
        spent = _ordered(body.get("spent", {}))
    return msgspec.structs.replace(
        intent,
        status=status,
        ref=body.get("ref", intent.ref),
        filled=filled,
        spent=spent,
        result=body.get("result", intent.result),
        why=body.get("why", ""),
    )


def _document(book: Book, _number: int, event: Event) -> None:
    body = event.body
    book.documents[body["name"]] = Document(
        body["version"], body["schema"], event.at, body.get("value")
    )


def _note(book: Book, _number: int, event: Event) -> None:
    known = book.journals.get(event.body["journal"], Journal())
    book.journals[event.body["journal"]] = msgspec.structs.replace(known, notes=known.notes + 1)


def _snapshot(book: Book, number: int, event: Event) -> None:
    body = event.body
    known = book.journals.get(body["journal"], Journal())
    if body["through"] != known.notes:
        return  # of another number of notes: it covers none that could be told
    book.journals[body["journal"]] = Journal(
        known.notes, body["through"], body["schema"], body["value"], number
    )


def _limits(book: Book, _number: int, event: Event) -> None:
    by_owner = event.body["by"] == "owner"
    for name, most in event.body["limits"].items():
        found = None if most is None else limits.limit(name, most)
        if by_owner:
            book.owner_limits[name] = found
        elif found is None:
            book.limits.pop(name, None)
        else:
            book.limits[name] = found


def _charge(book: Book, _number: int, event: Event) -> None:
    _spend(book, event.at, {event.body["unit"]: event.body["amount"]})


def _override(book: Book, _number: int, event: Event) -> None:
    action = event.body["action"]
    book.halted = "" if action == "resume" else action
    book.halted_at, book.halted_why = event.at, event.body.get("why", "")


def _lease(book: Book, _number: int, event: Event) -> None:
    book.lease = Lease(event.body["holder"], event.body["until"], event.epoch)


def _tag(book: Book, _number: int, event: Event) -> None:
    book.tag = event.body["tag"]


def _intent(book: Book, _number: int, event: Event) -> None:
    body = event.body
    book.intents[body["id"]] = Intent(
        id=body["id"], key=body.get("key"), action=body["action"], role=body["role"],
        target=body.get("target", ""), payload=body["payload"],
        cost=_ordered(body.get("cost", {})), holds=tuple(body.get("holds", ())),
        closes=tuple(body.get("closes", ())), at=event.at, epoch=event.epoch,
        adopted=body.get("adopted", False), by=body.get("by", ""),
    )  # fmt: skip


def _settle(book: Book, _number: int, event: Event) -> None:
    body = event.body
    if body["status"] == "closed":
        book.held.pop(body["id"], None)
        return
    before = book.intents.get(body["id"])
    if before is None:
        return  # final before: a report that came twice
    if body["status"] not in NEXT[before.status]:
        message = f"Intent {before.text} was {before.status} and cannot be {body['status']}."
        raise DamagedError(message)
    after = settled(before, body)
    if not after.is_final:
        book.intents[after.id] = after
        return
    del book.intents[after.id]
    book.recent.append(after)
    del book.recent[:-_RECENT]
    _spend(book, before.at, after.spent)
    if after.status == "done":
        holds = {unit: after.spent[unit] for unit in after.holds if unit in after.spent}
        if holds:
            book.held[after.id] = holds
        for closed in after.closes:
            book.held.pop(closed, None)


def _spend(book: Book, at: int, costs: Mapping[str, str]) -> None:
    minute = at // MINUTE_US
    for unit, cost in costs.items():
        minutes = book.spent.setdefault(unit, {})
        minutes[minute] = amount(Decimal(minutes.get(minute, "0")) + Decimal(cost))
        for old in [when for when in minutes if when < minute - _KEPT_MINUTES]:
            del minutes[old]


_FOLDS: Final[Mapping[int, Callable[[Book, int, Event], None]]] = {
    Kind.DOCUMENT: _document,
    Kind.NOTE: _note,
    Kind.SNAPSHOT: _snapshot,
    Kind.LIMITS: _limits,
    Kind.CHARGE: _charge,
    Kind.OVERRIDE: _override,
    Kind.LEASE: _lease,
    Kind.TAG: _tag,
    Kind.INTENT: _intent,
    Kind.SETTLE: _settle,
}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Book)
