"""Leases: one active agent at a time, and what an older one may still do.

A lease narrows split brain and does not end it: a venue checks no epoch, and a process that is
stopped between its last check and the wire sends when it wakes. Leases are therefore short beside
what an order may take, and are checked last of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from haulout.errors import ActionRefusedError, ConflictError
from haulout.state.book import Book
from haulout.state.events import Event, Kind, name_text
from haulout.state.tape import Past

if TYPE_CHECKING:
    from haulout.state.writing import Writing


class HeldLease:
    """The right to act, while it lasts. Give it back with `release`, or use a ``with`` block.

    Args:
        state: whose, with the clock that only grows: a stepped wall clock lengthens no lease.
        holder: who; seconds: how long each time.
    """

    def __init__(self, state: Writing, holder: str, seconds: float) -> None:
        self._state, self.holder, self._seconds = state, name_text(holder, "A holder"), seconds
        self._monotonic = state.monotonic
        self.epoch = 0
        self._ends = 0.0

    def take(self) -> None:
        """Take the lease.

        Raises:
            ConflictError: another holds it, and until when; StorageError: it is not written.
        """
        now, begun = self._state.now(), self._monotonic()

        def decide(book: Book, _past: Past) -> tuple[list[Event], int]:
            lease = book.lease
            if lease.until > now and lease.holder != self.holder:
                left = (lease.until - now) / 1e6
                message = f"{lease.holder} acts for {self._state.name} for {left:.1f} seconds more."
                raise ConflictError(message, hint="Wait, or stop the other one first.")
            return [self._event(now, lease.epoch + 1)], lease.epoch + 1

        self.epoch = self._state.append(decide)
        self._ends = begun + self._seconds
        self._state.hold(self.epoch, self.is_valid)

    def renew(self) -> None:
        """Hold it for as long again, from now on.

        Raises:
            ActionRefusedError: another took it, or it ran out; StorageError: it is not written.
        """
        now, begun = self._state.now(), self._monotonic()

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if book.lease.epoch != self.epoch or book.lease.until <= now:
                message = f"The lease of {self.holder} on {self._state.name} was lost."
                raise ActionRefusedError(message, hint="Take it anew, recover, then go on.")
            return [self._event(now, self.epoch)], None

        self._state.append(decide)
        self._ends = begun + self._seconds

    def release(self) -> None:
        """Give it back; nothing happens where it was lost already."""
        now = self._state.now()

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if book.lease.epoch != self.epoch:
                return [], None
            body = {"holder": self.holder, "until": 0}
            return [Event(Kind.LEASE, now, self.epoch, body)], None

        self._state.append(decide)
        self._ends = 0.0
        if self._state.epoch == self.epoch:
            self._state.hold(0, None)

    def is_valid(self) -> bool:
        """Whether it still lasts, as far as this process knows. Check it just before sending."""
        return self._monotonic() < self._ends

    def _event(self, now: int, epoch: int) -> Event:
        until = now + round(self._seconds * 1e6)
        return Event(Kind.LEASE, now, epoch, {"holder": self.holder, "until": until})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
