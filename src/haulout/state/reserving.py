"""May an action be begun? The decision behind `State.reserve` and `State.settle`.

Pure: it looks at the book and says which event follows, or why none does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from haulout.errors import ActionRefusedError, ConflictError, NotFoundError, OperationReusedError
from haulout.state import book as books
from haulout.state import limits
from haulout.state.book import Book
from haulout.state.events import Event, Kind
from haulout.state.intents import NEXT, Intent
from haulout.state.tape import Past


class Reserved(NamedTuple):
    """An intent that may be acted on; ``fresh`` is False where its key decided it before."""

    intent: Intent
    fresh: bool


def reserve(book: Book, past: Past, wanted: Intent, now: int) -> tuple[list[Event], Reserved]:
    """The event that writes an intent down.

    Args:
        book: the newest; past: what was before; wanted: the intent; now: microseconds.

    Raises:
        ActionRefusedError: nothing may be sent, and why; OperationReusedError: the key decided
        another action.
    """
    if wanted.key is not None and (known := past.keyed(wanted.key)) is not None:
        before = folded(book, past, known.body["id"])
        if not before.says_the_same(wanted):
            message = f"The key {wanted.key!r} decided another action, intent {before.text}."
            raise OperationReusedError(message, hint="Use a new key for a new decision.")
        return [], Reserved(before, fresh=False)
    reasons = forbidden(book, wanted, now)
    if reasons:
        message = f"{wanted.action} is refused: {'; '.join(reasons)}."
        raise ActionRefusedError(message)
    event = Event(Kind.INTENT, now, wanted.epoch, wanted.body())
    # As the journal has it: it was prepared a moment before it is written down.
    return [event], Reserved(msgspec.structs.replace(wanted, at=now), fresh=True)


def forbidden(book: Book, wanted: Intent, now: int) -> list[str]:
    """Every reason why an action may not be begun; none where it may."""
    reasons = lost_lease(book, wanted.epoch, now)
    if wanted.role == "exit":
        return reasons
    if book.halted:
        why = f" ({book.halted_why})" if book.halted_why else ""
        reasons.append(f"the owner said {book.halted}{why}")
    for one in book.pending_on(wanted.target, wanted.role):
        if one.id != wanted.id:
            reasons.append(f"nobody knows yet what became of intent {one.text} on the same target")
    for one in book.in_force():
        total = book.used(one, now)
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


def settle(
    book: Book, past: Past, intent_id: bytes, body: dict[str, Any], now: int, epoch: int
) -> tuple[list[Event], Intent]:
    """The event that says what became of an intent; none where it says nothing new.

    Raises:
        NotFoundError: there is no such intent; ConflictError: it ended otherwise.
    """
    before = folded(book, past, intent_id)
    if before.is_final:
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
