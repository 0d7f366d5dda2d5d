"""The book: everything a state's events add up to. Pure; docs/spec/state.md, "The fold".

A book is a function of its events alone: no clock, no randomness, no order of dictionaries
that the events do not give. A snapshot is a cache of it, with the number of its newest event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from haulout.errors import DamagedError, InputError
from haulout.state import limits
from haulout.state.events import Event, Kind, less, summed
from haulout.state.intents import NEXT, Intent, grown
from haulout.state.limits import MINUTE_US, Limit

BOOK_VERSION: Final = 2
_KEPT_MINUTES: Final = limits.LONGEST_S // 60 + 1440
"""Costs are kept for as many minutes as the longest limit has, and a day more. They are counted,
and not compared with a clock: one that stepped forward and back takes no cost away."""
HAPPENED: Final = frozenset({"done", "cancelled"})
"""How an intent ends that the venue took: carried out, in part, or stopped before that."""
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
        closed: intents that were closed before their own end was known: they hold nothing.
        limits: set by the agent; owner_limits: by the owner, who is right.
        halted: ``""``, ``pause`` or ``flatten``; halted_at, halted_why, halted_by: since when,
            why, and who said so: the owner or a recovery.
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
    closed: list[bytes] = []
    limits: dict[str, Limit] = {}
    owner_limits: dict[str, Limit | None] = {}
    halted: str = ""
    halted_at: int = 0
    halted_why: str = ""
    halted_by: str = "owner"
    lease: Lease = Lease()

    # ------------------------------------------------------------------ asking

    def open_intents(self) -> list[Intent]:
        """Intents that are not final, oldest first."""
        return sorted(self.intents.values(), key=lambda one: (one.at, one.id))

    def intent(self, intent_id: bytes) -> Intent | None:
        """An intent that is not final, or one of the newest final ones."""
        known = self.intents.get(intent_id)
        return known or next((one for one in reversed(self.recent) if one.id == intent_id), None)

    def in_force(self) -> list[Limit]:
        """The limits that hold, by name: the owner's before the agent's."""
        found: dict[str, Limit | None] = {**self.limits, **self.owner_limits}
        return [found[name] for name in sorted(found) if found[name] is not None]  # pyright: ignore[reportReturnType] no None is left

    def used(self, one: Limit, at: int, *, but: bytes = b"") -> Decimal:
        """How much of a limit is used at a moment (microseconds), not counting one intent."""
        pending = [intent.cost for intent in self.intents.values() if intent.id != but]
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

    What a final one spent is what the event says; otherwise its cost where it was done, also in
    part, and nothing where it was not.
    """
    status = body["status"]
    filled = grown(intent.filled, body.get("filled"))
    if status == "done" or (status == "cancelled" and filled not in {None, "0"}):
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
        try:
            found = None if most is None else limits.limit(name, most)
        except InputError as error:
            raise DamagedError(error.message) from error
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
    book.halted_by = event.body.get("by", "owner")


def _lease(book: Book, _number: int, event: Event) -> None:
    book.lease = Lease(event.body["holder"], event.body["until"], event.epoch)


def _tag(book: Book, _number: int, event: Event) -> None:
    book.tag = event.body["tag"]


def _intent(book: Book, _number: int, event: Event) -> None:
    body = event.body
    if body["id"] in book.intents:
        message = f"Intent {body['id'].hex()} was written down twice."
        raise DamagedError(message)
    if "adopted" in body:  # where it was given up for lost, it is open again
        book.recent = [one for one in book.recent if one.id != body["id"]]
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
        _settle_late(book, body)
        return
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
    _hold(book, after)
    if after.id in book.closed:
        book.closed.remove(after.id)
    if after.status == "done":
        for closed in after.closes:
            if closed in book.intents:
                book.closed.append(closed)
            book.held.pop(closed, None)


def _settle_late(book: Book, body: Mapping[str, Any]) -> None:
    """Take in what was filled and spent of an intent that has ended: fills come late, too."""
    place = next((at for at, one in enumerate(book.recent) if one.id == body["id"]), None)
    if place is None:
        return
    before = book.recent[place]
    after = grown_late(before, body)
    if after is None:
        return
    book.recent[place] = after
    more = {unit: less(most, before.spent.get(unit, "0")) for unit, most in after.spent.items()}
    _spend(book, before.at, {unit: one for unit, one in more.items() if one != "0"})
    if after.id in book.held or not any(unit in before.spent for unit in before.holds):
        _hold(book, after)  # what an exit has closed meanwhile is not held again


def grown_late(intent: Intent, body: Mapping[str, Any]) -> Intent | None:
    """An intent that ended, with more filled or spent than was known; None where it is no more."""
    if body["status"] != intent.status or intent.status not in HAPPENED:
        return None
    filled = grown(intent.filled, body.get("filled"))
    first = intent.filled in {None, "0"} and filled not in {None, "0"}
    given = {
        **(intent.cost if first and intent.status == "cancelled" else {}),
        **body.get("spent", {}),
    }
    spent = {
        unit: grown(intent.spent.get(unit), given.get(unit)) or "0"
        for unit in sorted({*intent.spent, *given})
    }
    if (filled, spent) == (intent.filled, intent.spent):
        return None
    return msgspec.structs.replace(intent, filled=filled, spent=spent)


def _hold(book: Book, intent: Intent) -> None:
    holds = {unit: intent.spent[unit] for unit in intent.holds if unit in intent.spent}
    if holds and intent.status in HAPPENED and intent.id not in book.closed:
        book.held[intent.id] = holds


def _spend(book: Book, at: int, costs: Mapping[str, str]) -> None:
    minute = at // MINUTE_US
    for unit, cost in costs.items():
        minutes = book.spent.setdefault(unit, {})
        minutes[minute] = summed(minutes.get(minute, "0"), cost)
        if len(minutes) > _KEPT_MINUTES:
            del minutes[min(minutes)]


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
