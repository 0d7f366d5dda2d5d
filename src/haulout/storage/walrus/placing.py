"""Putting a blob on the network so that it is paid once, and believed only when it is seen there.

A publisher pays at every upload of a deletable blob, also of one that it certified a minute ago
(walrus.md §6.2; it looks up only permanent ones, and its own wallet only when told to). Whoever
repeats an upload whose answer was lost pays twice. So an upload is an `Attempt`: written down
before it is sent, looked up before it is repeated.

    look up          certified for long enough: done, nothing is paid
    write down       the attempt: what stood before, which publisher, when
    send             to that publisher
      not sent, 4xx  nothing was paid: the next publisher, a new attempt
      an answer      another blob's ID: the publisher lied
      silence, 5xx   look up: certified since: done; registered: paid, and not finished there
    confirm          storage nodes vouch for it, or an aggregator gives it back

While it is not known whether an attempt was paid, no other publisher is sent the blob: the call
ends with `StoreUnavailableError`, and the next one with the same attempt goes on: it looks up, and
asks the same publisher to finish what stands in its wallet (``reuse_resources``), which costs
nothing that was paid. Only when nothing is registered `settle_after` seconds later does an attempt
count as never done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from haulout.errors import (
    HauloutError,
    InputError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.storage.walrus.hedging import Fault, failure, fault_of
from haulout.storage.walrus.http import Answer, Silence, refusal
from haulout.storage.walrus.publisher import Publisher, Terms
from haulout.storage.walrus.standing import Standing
from haulout.storage.walrus.wire import Stored

_SERVER_ERROR: Final = 500
_AUTH_DOMAIN: Final = "auth."  # its refusals come before anything is paid, some with status 504


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that is about to be paid. Keep it until the blob is placed.

    Attributes:
        blob_id: text form; epochs: for how many it is bought.
        permanent: whether its object can be deleted.
        publisher: the URL that it is sent to.
        at: Unix seconds.
        epoch: the current one then; None where no storage node told.
        end_epoch, certified, registered: what stood before, for all that can be believed (see
            `Standing`): a node that makes up registrations must not hide a later one.
    """

    blob_id: str
    epochs: int
    permanent: bool
    publisher: str
    at: float
    epoch: int | None
    end_epoch: int | None
    certified: int
    registered: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A blob that stands on the network.

    Attributes:
        blob_id: text form; size: its bytes.
        end_epoch: the first epoch in which it is no longer kept, at the least. The end of a
            deletable blob is told by its publisher alone; where the blob was found standing, it
            is what follows from the attempt, or the next epoch, or 0 where nothing tells.
        object_id: of its object on the chain; None where it was found standing.
        cost: FROST, gas aside; 0 where nothing was paid in this call; None where not told.
        already: it stood there, and this call paid nothing.
        confirmed: somebody other than the publisher vouches for it.
        publisher: who was paid, empty where nobody was.
        faults: what other services did wrong on the way.
    """

    blob_id: str
    size: int
    end_epoch: int
    object_id: str | None = None
    cost: int | None = None
    already: bool = False
    confirmed: bool = False
    publisher: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be placed, and how it is sent to a publisher.

    Attributes:
        blob_id: text form, computed here; size: bytes of the blob.
        send: sends it with some terms; read: reads the answer to that.
        terms: how it is to be kept.
        renewing: what stands is to be kept for longer, so that it is no reason not to pay.
    """

    blob_id: str
    size: int
    send: Callable[[Publisher, Terms], Answer | Silence]
    read: Callable[[bytes, str], Stored]
    terms: Terms
    renewing: bool = False


@dataclass(slots=True)
class _Course:
    """How one call goes on.

    Attributes:
        publishers: who may be paid, in order; reuse: whether they look into their wallets first.
        resumed: the earlier attempt that is gone on with; what stood before it still counts.
        faults: what went wrong so far.
    """

    publishers: list[Publisher]
    reuse: bool
    resumed: Attempt | None = None
    faults: list[Fault] = field(default_factory=list[Fault])


@dataclass(frozen=True, slots=True)
class Placer:
    """Places parcels. Keeps no state of its own.

    Attributes:
        publishers: the preferred ones first.
        look_up: what stands of a blob; confirm: raises where it does not stand.
        now: Unix seconds; settle_after: see the module's head.
    """

    publishers: Sequence[Publisher]
    look_up: Callable[[str], Standing]
    confirm: Callable[[str], None]
    now: Callable[[], float]
    settle_after: float

    def place(
        self,
        parcel: Parcel,
        attempt: Attempt | None = None,
        write_down: Callable[[Attempt], None] = lambda _: None,
    ) -> Placed:
        """Place a parcel, or go on with an earlier attempt.

        Args:
            parcel: the blob; attempt: of an earlier call for the same blob that did not end well.
            write_down: is given each attempt before it is sent; when it returns, the attempt
                outlives a crash.

        Raises:
            StoreRefusedError, LimitError: every publisher wants something, or takes no such blob.
            StoreUnavailableError: it is not placed, or not known to be; see the module's head.
            WrongBytesError: a publisher answers about another blob; the message names it.
        """
        if attempt is not None and attempt.blob_id != parcel.blob_id:
            raise InputError("The attempt is another blob's.")
        standing = self.look_up(parcel.blob_id)
        if standing.invalid:
            message = f"The network holds blob {parcel.blob_id} for inconsistent."
            raise StoreRefusedError(message, hint="Nobody can read such a blob; store other bytes.")
        found = self._standing_already(parcel, standing, attempt)
        if found is not None:
            return found
        course = self._course(parcel, standing, attempt)
        while course.publishers:
            publisher = course.publishers.pop(0)
            if course.resumed is not None:
                sent = msgspec.structs.replace(course.resumed, at=self.now())
            else:
                sent = self._attempt(parcel, publisher, standing)
            write_down(sent)
            placed = self._send(parcel, publisher, sent, course)
            if placed is not None:
                return placed
        raise failure(f"A publisher for blob {parcel.blob_id}", course.faults)

    # ------------------------------------------------------------------ before

    def _standing_already(
        self, parcel: Parcel, standing: Standing, attempt: Attempt | None
    ) -> Placed | None:
        """The blob as it stands, where that is enough and nothing need be paid."""
        if not standing.certified:
            return None
        if attempt is not None and _succeeded(attempt, standing):
            return self._found(parcel, _least_end(attempt, standing))
        wanted = None if standing.epoch is None else standing.epoch + parcel.terms.epochs
        if standing.end_epoch is not None and wanted is not None and standing.end_epoch >= wanted:
            return self._found(parcel, standing.end_epoch)
        if parcel.renewing or parcel.terms.permanent:
            return None
        # Certified, and nobody tells for how long: it is not paid again unasked.
        next_epoch = 0 if standing.epoch is None else standing.epoch + 1
        return self._found(parcel, max(next_epoch, standing.end_epoch or 0))

    def _found(self, parcel: Parcel, end_epoch: int) -> Placed:
        return Placed(
            parcel.blob_id, parcel.size, end_epoch, cost=0, already=True, confirmed=True
        )  # fmt: skip

    def _course(self, parcel: Parcel, standing: Standing, attempt: Attempt | None) -> _Course:
        """Which publishers may be paid, given what is known of an earlier attempt."""
        everyone = list(self.publishers)
        if attempt is None:
            return _Course(everyone, parcel.renewing)
        same = [p for p in everyone if p.url == attempt.publisher]
        others = [p for p in everyone if p.url != attempt.publisher]
        settled = self.now() - attempt.at >= self.settle_after
        paid = standing.registered > attempt.registered or parcel.renewing
        if settled and standing.known and not paid:
            return _Course([*others, *same], reuse=False)
        if not same:
            message = f"It is not known whether {attempt.publisher} was paid for {parcel.blob_id}"
            hint = "Configure that publisher again, so that it can finish what it began."
            raise StoreUnavailableError(f"{message}, and it is no longer configured.", hint=hint)
        return _Course(same, reuse=True, resumed=attempt)

    def _attempt(self, parcel: Parcel, publisher: Publisher, standing: Standing) -> Attempt:
        return Attempt(
            blob_id=parcel.blob_id, epochs=parcel.terms.epochs, permanent=parcel.terms.permanent,
            publisher=publisher.url, at=self.now(), epoch=standing.epoch,
            end_epoch=standing.end_epoch, certified=standing.certified_deletable,
            registered=standing.surely_registered,
        )  # fmt: skip

    # ------------------------------------------------------------------ sending

    def _send(
        self, parcel: Parcel, publisher: Publisher, attempt: Attempt, course: _Course
    ) -> Placed | None:
        """Send once. None where nothing was paid, so that another publisher may be asked."""
        terms = replace(parcel.terms, reuse_resources=course.reuse)
        answer = parcel.send(publisher, terms)
        if isinstance(answer, Silence):
            course.faults.append(Fault(publisher.url, "unavailable", f"{answer.raised.message}"))
            if not answer.sent:
                return None
            return self._after_doubt(parcel, publisher, attempt, course, ended=False)
        if not answer.ok:
            course.faults.append(fault_of(publisher.url, refusal(answer)))
            if answer.status < _SERVER_ERROR or answer.error.domain.startswith(_AUTH_DOMAIN):
                return None
            return self._after_doubt(parcel, publisher, attempt, course, ended=True)
        try:
            stored = parcel.read(answer.body, publisher.url)
        except HauloutError as error:
            course.faults.append(fault_of(publisher.url, error))
            return self._after_doubt(parcel, publisher, attempt, course, ended=True)
        if stored.blob_id != parcel.blob_id:
            message = (
                f"{publisher.url} answers with blob {stored.blob_id[:60]!r}, "
                f"where {parcel.blob_id} was sent."
            )
            raise WrongBytesError(message)
        return self._confirmed(parcel, publisher, stored, course)

    def _confirmed(
        self, parcel: Parcel, publisher: Publisher, stored: Stored, course: _Course
    ) -> Placed:
        try:
            self.confirm(parcel.blob_id)
        except HauloutError as error:
            message = (
                f"{publisher.url} says that it stored {parcel.blob_id}, and nobody bears it out."
            )
            hint = f"Try again later. {error.message}"
            raise StoreUnavailableError(message, hint=hint) from error
        return Placed(
            parcel.blob_id, parcel.size, stored.end_epoch, stored.object_id, stored.cost,
            already=stored.already, confirmed=True, publisher=publisher.url,
            faults=tuple(course.faults),
        )  # fmt: skip

    def _after_doubt(
        self,
        parcel: Parcel,
        publisher: Publisher,
        attempt: Attempt,
        course: _Course,
        *,
        ended: bool,
    ) -> Placed | None:
        """After an upload of which it is not known whether it was paid: look, then decide."""
        said = course.faults[-1].words
        try:
            standing = self.look_up(parcel.blob_id)
        except HauloutError as error:
            raise _unknown(publisher, parcel, course) from error
        if _succeeded(attempt, standing):
            return Placed(
                parcel.blob_id, parcel.size, _least_end(attempt, standing), already=False,
                confirmed=True, publisher=publisher.url, faults=tuple(course.faults),
            )  # fmt: skip
        if standing.registered > attempt.registered:
            message = f"{publisher.url} paid for {parcel.blob_id} and did not finish. {said}"
            hint = "Try again: it goes on there, and what was paid is not paid again."
            raise StoreUnavailableError(message, hint=hint)
        if ended and standing.known and not parcel.renewing:
            return None  # it answered, so it is done with it, and nothing is registered
        raise _unknown(publisher, parcel, course)


def _succeeded(attempt: Attempt, standing: Standing) -> bool:
    """Whether more is certified than stood before the attempt, for at least as long."""
    if not standing.certified:
        return False
    if attempt.permanent:
        end = standing.end_epoch
        return end is not None and end > (attempt.end_epoch or 0) and (
            attempt.epoch is None or end >= attempt.epoch + attempt.epochs
        )  # fmt: skip
    fresh = attempt.registered == 0 and attempt.end_epoch is None and attempt.certified == 0
    return standing.certified_deletable > attempt.certified or fresh


def _least_end(attempt: Attempt, standing: Standing) -> int:
    """The end of storage that an attempt bought, at the least: it began in that epoch or later."""
    bought = 0 if attempt.epoch is None else attempt.epoch + attempt.epochs
    return max(bought, standing.end_epoch or 0)


def _unknown(publisher: Publisher, parcel: Parcel, course: _Course) -> HauloutError:
    last = course.faults[-1]
    message = f"It is not known whether {publisher.url} stored {parcel.blob_id}. {last.words}"
    if last.kind == "refused":
        return StoreRefusedError(message)
    hint = "Try again later with the same attempt: it is looked up before it is sent again."
    return StoreUnavailableError(message, hint=hint)
