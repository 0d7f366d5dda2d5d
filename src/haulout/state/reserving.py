"""May an action be begun? The decision behind `State.reserve` and `State.settle`.

Pure: it looks at the book and says which event follows, or why none does.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

import msgspec

from haulout.errors import ActionRefusedError, ConflictError, NotFoundError, OperationReusedError
from haulout.state import book as books
from haulout.state import limits
from haulout.state.book import Book
from haulout.state.events import Event, Kind
from haulout.state.intents import NEXT, Intent
from haulout.state.tape import Past

_NEGATIVE = frozenset({"absent", "refused", "dropped"})
"""What says that nothing happened, which whoever lost the lease cannot know any more."""


class Reserved(NamedTuple):
    """An intent that may be acted on.

    Attributes:
        intent: it; fresh: whether it was written down now, and not before under its key.
        pending: nothing was written; these are to be looked up at the venue first.
    """

    intent: Intent
    fresh: bool
    pending: tuple[Intent, ...] = ()


def reserve(
    book: Book, past: Past, wanted: Intent, now: int, asked: Container[bytes] | None = None
) -> tuple[list[Event], Reserved]:
    """The event that writes an intent down.

    Args:
        book: the newest; past: what was before; wanted: the intent; now: microseconds.
        asked: where given, an intent of the same role and target whose outcome is unknown, and
            which is not in it, is answered with instead of written over.

    Raises:
        ActionRefusedError: nothing may be sent, and why; OperationReusedError: the key, or the
        ID, decided another action.
    """
    before = _before(book, past, wanted)
    if before is not None:
        if not before.says_the_same(wanted):
            message = f"The key {wanted.key!r} decided another action, intent {before.text}."
            raise OperationReusedError(message, hint="Use a new key for a new decision.")
        return [], Reserved(before, fresh=False)
    if asked is not None:
        pending = book.pending_on(wanted.target, wanted.role)
        waiting = sorted(
            (one for one in pending if one.id not in asked), key=lambda one: (one.at, one.id)
        )
        if waiting:
            return [], Reserved(wanted, fresh=False, pending=tuple(waiting))
    reasons = forbidden(book, wanted, now, wanted.epoch)
    if reasons:
        message = f"{wanted.action} is refused: {'; '.join(reasons)}."
        raise ActionRefusedError(message)
    event = Event(Kind.INTENT, now, wanted.epoch, wanted.body())
    # As the journal has it: it was prepared a moment before it is written down.
    return [event], Reserved(msgspec.structs.replace(wanted, at=now), fresh=True)


def _before(book: Book, past: Past, wanted: Intent) -> Intent | None:
    """What was written down before under the key, or under the very ID.

    A prepared intent comes twice where its first writing was given up on, and was late.
    """
    if wanted.key is not None and (known := past.keyed(wanted.key)) is not None:
        return folded(book, past, known.body["id"])
    for _ in past.of(wanted.id):
        return folded(book, past, wanted.id)
    return None


def forbidden(book: Book, wanted: Intent, now: int, epoch: int) -> list[str]:
    """Every reason why an action may not be begun, or sent again; none where it may.

    Args:
        book: the newest; wanted: the intent, written down or not; now: microseconds.
        epoch: of who would send it.
    """
    reasons = lost_lease(book, epoch, now)
    if wanted.role == "exit":
        return reasons
    if book.halted:
        why = f" ({book.halted_why})" if book.halted_why else ""
        reasons.append(f"the {book.halted_by} said {book.halted}{why}")
    for one in book.pending_on(wanted.target, wanted.role):
        if one.id != wanted.id:
            reasons.append(f"nobody knows yet what became of intent {one.text} on the same target")
    for one in book.in_force():
        total = book.used(one, now, but=wanted.id)
        if limits.forbids(one, wanted.cost, total):
            more = f" and this costs {wanted.cost[one.unit]}" if one.unit in wanted.cost else ""
            reasons.append(f"the limit {one.name} is {one.most}, of which {total:f} is used{more}")
    return reasons


def lost_lease(book: Book, epoch: int, now: int) -> list[str]:
    """Why whoever writes under an epoch may not act."""
    lease = book.lease
    if epoch:
        if epoch != lease.epoch:
            return [f"lease {epoch} was followed by lease {lease.epoch} of {lease.holder}"]
        return [] if lease.until > now else ["the lease has run out"]
    return [f"{lease.holder} holds the lease"] if lease.until > now else []


def folded(book: Book, past: Past, intent_id: bytes) -> Intent:
    """An intent however old: from the book, or from its own events.

    Raises:
        NotFoundError: the journal has none of this ID.
    """
    known = book.intent(intent_id)
    if known is not None:
        return known
    alone = Book()
    for number, event in past.of(intent_id):
        alone.fold(number, event)
    known = alone.intent(intent_id)
    if known is None:
        message = f"There is no intent {intent_id.hex()} in this state."
        raise NotFoundError(message)
    return known


def send_again(
    book: Book, past: Past, intent_id: bytes, now: int, epoch: int
) -> tuple[list[Event], list[str]]:
    """The event that comes before a second sending, and why there is none: then it is dropped."""
    intent = folded(book, past, intent_id)
    if intent.is_final or intent.status == "accepted":
        return [], [f"intent {intent.text} is {intent.status}"]
    reasons = forbidden(book, intent, now, epoch)
    status, why = ("dropped", "; ".join(reasons)[:1000]) if reasons else ("unknown", "sent again")
    if reasons and 0 < epoch < book.lease.epoch:
        return [], reasons  # whoever holds the lease says what becomes of it
    return [
        Event(Kind.SETTLE, now, epoch, {"id": intent_id, "status": status, "why": why})
    ], reasons


def settle(
    book: Book, past: Past, intent_id: bytes, body: dict[str, Any], now: int, epoch: int
) -> tuple[list[Event], Intent]:
    """The event that says what became of an intent; none where it says nothing new.

    Raises:
        NotFoundError: there is no such intent; ConflictError: it ended otherwise;
        ActionRefusedError: it says that nothing happened, under a lease that was lost.
    """
    before = folded(book, past, intent_id)
    if 0 < epoch < book.lease.epoch and body["status"] in _NEGATIVE:
        message = f"Lease {epoch} was followed by lease {book.lease.epoch} of {book.lease.holder}."
        raise ActionRefusedError(message, hint="What became of it is for that one to say.")
    if before.is_final:
        late = books.grown_late(before, body) if before in book.recent else None
        if late is not None:
            return [Event(Kind.SETTLE, now, epoch, body)], late
        if body["status"] == before.status:
            return [], before
        message = f"Intent {before.text} is {before.status} for good, not {body['status']}."
        raise ConflictError(message, hint="Nothing was changed.")
    if body["status"] not in NEXT[before.status]:
        message = f"Intent {before.text} was {before.status} and cannot be {body['status']}."
        raise ConflictError(message, hint="Nothing was changed.")
    after = books.settled(before, body)
    if after == before:
        return [], before
    return [Event(Kind.SETTLE, now, epoch, body)], after
