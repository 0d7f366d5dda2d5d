"""What is told of states: intents, documents, limits and events as values for people and programs.

Pure but for the book that is read: each report is made of one moment of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from haulout.state import reserving
from haulout.state.events import Event, Kind
from haulout.state.recovery import tail

if TYPE_CHECKING:
    from haulout.state.book import Book
    from haulout.state.book import Document as Kept
    from haulout.state.intents import Intent
    from haulout.state.tape import Numbered

SHOWN: Final = 20
"""Final intents in a report, the newest; the journal has them all."""


class IntentReport(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was written down, as far as the journal knows it.

    Attributes:
        id: 32 hexadecimal digits; action: what is done; target: on what.
        role: "entry" or "exit"; status: "reserved", "accepted", "unknown", "absent", and for good
            "refused", "dropped", "cancelled" or "done".
        at: when it was written down; key: what decided it; payload: what is sent.
        cost: amounts by unit, decimal text; holds: units that stay held once it is done.
        closes: IDs whose held costs are given back then; epoch: of the lease it was written under.
        ref: the other side's own ID; filled: how much is done; spent: what it cost in the end.
        result: the other side's answer; why: in words; adopted: it was found there, not begun here.
        by: the app that began it; empty for the state's own agent.
    """

    id: str
    action: str
    role: str
    status: str
    at: datetime
    target: str = ""
    key: str | None = None
    payload: Any = None
    cost: dict[str, str] = {}
    holds: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    epoch: int = 0
    ref: str | None = None
    filled: str | None = None
    spent: dict[str, str] = {}
    result: Any = None
    why: str = ""
    adopted: bool = False
    by: str = ""


class ReservedIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What a reserve answers with.

    Attributes:
        fresh: whether it was written down now. Where it is False the key decided it before:
            nothing is sent again, and ``intent`` says what became of it.
        intent: it.
    """

    fresh: bool
    intent: IntentReport


class DocumentReport(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it stands.

    Attributes:
        name: its name; value: what it says; version: one more with each change.
        schema: the form it was written in; at: when; age_s: how many seconds ago that was.
    """

    name: str
    value: Any
    version: int
    schema: int
    at: datetime
    age_s: float


class LimitReport(msgspec.Struct, frozen=True, kw_only=True):
    """A limit in force: ``unit/per``, how much is allowed, how much is used, and whose it is."""

    name: str
    most: str
    used: str
    by: str


class LeaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The newest lease: who holds it, until when, and its number; ``lasts`` says whether still."""

    holder: str
    until: datetime
    epoch: int
    lasts: bool


class StateReport(msgspec.Struct, frozen=True, kw_only=True):
    """A state at a moment.

    Attributes:
        name: its name; at: when this was read; events: how many there are; newest_at: the newest.
        documents: what they say; journals: how many notes each has.
        open: intents without an end, oldest first; recent: the newest with one, newest first.
        limits: those in force; halted: "pause" or "flatten" where the owner said so.
        halted_at, halted_why: since when, and why; lease: the newest, where there was any.
        reasons: what forbids entries now; empty where nothing does.
    """

    name: str
    at: datetime
    events: int
    newest_at: datetime | None = None
    documents: tuple[DocumentReport, ...] = ()
    journals: dict[str, int] = {}
    open: tuple[IntentReport, ...] = ()
    recent: tuple[IntentReport, ...] = ()
    limits: tuple[LimitReport, ...] = ()
    halted: str = ""
    halted_at: datetime | None = None
    halted_why: str = ""
    lease: LeaseReport | None = None
    reasons: tuple[str, ...] = ()


class RecoveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent reads before its first action after a start, where it has no venue to ask.

    Attributes:
        state: its name; at: when this was read; events: how many the journal has.
        ready: whether nothing forbids entries.
        reasons: what does; stale: documents that are older than allowed.
        open: intents without an end: what became of each is for the agent to find out, and settle.
        documents: what they say, and how old they are; halted: what the owner said.
        others: the states that there are, where this one is not there yet.
    """

    state: str
    at: datetime
    events: int
    ready: bool
    reasons: tuple[str, ...] = ()
    open: tuple[IntentReport, ...] = ()
    documents: tuple[DocumentReport, ...] = ()
    stale: tuple[str, ...] = ()
    halted: str = ""
    others: tuple[str, ...] = ()


class StateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a state's journal.

    Attributes:
        number: grows from event to event; at: when, by the agent's clock; kind: such as "intent".
        epoch: of the lease it was written under; by: an app, "owner", or empty for the agent.
        what: its fields as docs/spec/state.md names them; IDs as text, JSON texts as values.
    """

    number: int
    at: datetime
    kind: str
    epoch: int
    by: str
    what: dict[str, Any]


class StatesChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner said, and the states that it was said of, by name."""

    action: str
    states: tuple[str, ...]


# ---------------------------------------------------------------------- made of a book


def moment(microseconds: int) -> datetime:
    """A time of a state's clock; what no calendar has becomes the last moment of it."""
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def intent_report(intent: Intent) -> IntentReport:
    """An intent as a value."""
    return IntentReport(
        id=intent.text, key=intent.key, action=intent.action, role=intent.role,
        target=intent.target, payload=intent.content(), cost=intent.cost, holds=intent.holds,
        closes=tuple(one.hex() for one in intent.closes), at=moment(intent.at), epoch=intent.epoch,
        status=intent.status, ref=intent.ref, filled=intent.filled, spent=intent.spent,
        result=intent.answer(), why=intent.why, adopted=intent.adopted, by=intent.by,
    )  # fmt: skip


def document_report(name: str, kept: Kept, now: int) -> DocumentReport:
    """A document as a value; it was not deleted."""
    return DocumentReport(
        name=name, value=msgspec.json.decode(kept.value or "null"), version=kept.version,
        schema=kept.schema, at=moment(kept.at), age_s=max(0, now - kept.at) / 1e6,
    )  # fmt: skip


def document_reports(book: Book, now: int) -> tuple[DocumentReport, ...]:
    """Every document that stands, by name."""
    return tuple(
        document_report(name, kept, now)
        for name, kept in sorted(book.documents.items())
        if kept.value is not None
    )


def reasons(book: Book, now: int) -> tuple[str, ...]:
    """Everything that forbids an entry now; an open question forbids it on its own target."""
    found = reserving.lost_lease(book, 0, now)
    if book.halted:
        why = f" ({book.halted_why})" if book.halted_why else ""
        found.append(f"the {book.halted_by} said {book.halted}{why}")
    found += [
        f"nobody knows what became of {tail(one.text)} ({one.action} {one.target}".rstrip() + ")"
        for one in book.open_intents()
        if one.is_unsettled and one.role == "entry"
    ]
    for one in book.in_force():
        used = book.used(one, now)
        if used >= Decimal(one.most):
            found.append(f"the limit {one.name} is {one.most}, of which {used:f} is used")
    return tuple(found)


def state_report(name: str, book: Book, now: int) -> StateReport:
    """A state as its book says."""
    lease = book.lease
    return StateReport(
        name=name, at=moment(now), events=book.events,
        newest_at=moment(book.at) if book.events else None,
        documents=document_reports(book, now),
        journals={name: one.notes for name, one in sorted(book.journals.items())},
        open=tuple(intent_report(one) for one in book.open_intents()),
        recent=tuple(intent_report(one) for one in reversed(book.recent[-SHOWN:])),
        limits=tuple(
            LimitReport(
                name=one.name, most=one.most, used=f"{book.used(one, now):f}",
                by="owner" if one.name in book.owner_limits else "agent",
            )
            for one in book.in_force()
        ),
        halted=book.halted, halted_at=moment(book.halted_at) if book.halted else None,
        halted_why=book.halted_why if book.halted else "",
        lease=LeaseReport(
            holder=lease.holder, until=moment(lease.until), epoch=lease.epoch,
            lasts=lease.until > now,
        ) if lease.epoch else None,
        reasons=reasons(book, now),
    )  # fmt: skip


def recovery_report(
    name: str,
    book: Book,
    now: int,
    max_age: timedelta | None = None,
    others: tuple[str, ...] = (),
) -> RecoveryReport:
    """What an agent reads first."""
    documents = document_reports(book, now)
    stale = tuple(one.name for one in documents if max_age and one.age_s > max_age.total_seconds())
    found = reasons(book, now)
    if stale:
        found += (f"too old: {', '.join(stale)}",)
    return RecoveryReport(
        state=name, at=moment(now), events=book.events, ready=not found, reasons=found,
        open=tuple(intent_report(one) for one in book.open_intents()),
        documents=documents, stale=stale, halted=book.halted, others=others,
    )  # fmt: skip


# ---------------------------------------------------------------------- made of events

_AS_TEXT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": bytes.hex,
    "tag": bytes.hex,
    "closes": lambda ids: [one.hex() for one in ids],
    "payload": msgspec.json.decode,
    "result": msgspec.json.decode,
    "value": msgspec.json.decode,
}
_KINDS: Final = frozenset(Kind)


def event_report(numbered: Numbered) -> StateEvent:
    """An event as a value; one of a kind that this code does not know has its number as kind."""
    number, event = numbered
    if event.kind not in _KINDS:
        return StateEvent(
            number=number, at=moment(event.at), kind=str(event.kind), epoch=event.epoch, by="",
            what={},
        )  # fmt: skip
    what = {
        name: _AS_TEXT[name](value) if name in _AS_TEXT else value
        for name, value in event.body.items()
        if name != "by"
    }
    return StateEvent(
        number=number, at=moment(event.at), kind=Kind(event.kind).name.lower(), epoch=event.epoch,
        by=_writer(event), what=what,
    )  # fmt: skip


def _writer(event: Event) -> str:
    by = str(event.body.get("by", "owner" if event.kind == Kind.OVERRIDE else ""))
    return "" if event.kind == Kind.LIMITS and by == "agent" else by
