"""How long blobs are bought, when they are renewed or written again: pure arithmetic.

A store with epochs keeps a blob until one begins, and asks for money by the blob and the epoch
(docs/spec/publishing.md). The rule that all others serve:

    Whatever a newest head names, and the head, stays for `keep_days` after it was published.

Everything that one publication writes is one blob, bought for as few epochs as that takes. Once
the end of an epoch is closer than `keep_days`, the blobs that go with it are *due*: those that
are full and hold no key are renewed, and what stands in the others is written again together,
into full packs that are bought for long and one blob that is not. So a vault has as many
blobs as epochs have days, a few full packs, and one that begins an epoch; and a key that was
destroyed is gone with the blob that held it, because no such blob is ever renewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple, Protocol

import msgspec

MOST_EPOCHS = 53
"""Ahead of the current one, as Walrus sells them."""
_DAY = 86_400_000_000
_LIVE = 0.75
"""A pack less than this much of which is still named is written again instead of renewed."""
_WORTH = 16 * 1024 * 1024
"""The least that is worth a blob of its own that is bought for long.

In the blob that begins an epoch a MiB costs 4.5 units for two epochs of each one that it is
needed; in one of its own, 61 units and those 4.5 for a tenth more than it is needed: equal
where 2.4 * 4.5 x = 1.1 * (61 + 4.5 x), at 11 MiB; and what is written again may be less then."""


class Terms(NamedTuple):
    """What a store with epochs is used like.

    Attributes:
        epoch_days: how long an epoch is; ``keep_days``: see the module.
        long_epochs: for how many a full pack is bought.
        cadence_days, cadence_bytes: a publication is made when one waits for so long, or so much.
        vectors: whether computed vectors are sent, too.
    """

    epoch_days: float = 14.0
    keep_days: float = 7.0
    long_epochs: int = 4
    cadence_days: float = 2.0
    cadence_bytes: int = 2 * 1024 * 1024
    vectors: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What was seen of a store's epochs.

    Attributes:
        epoch: the newest one that was met; ``at``: when it was met last, microseconds.
        began: it did not begin before this, microseconds: it was met within its length.
    """

    epoch: int
    at: int
    began: int


class Now(NamedTuple):
    """Where a store stands in time.

    Attributes:
        epoch: the current one; ``left``: days that it lasts still, at the least.
    """

    epoch: int
    left: float


def see(seen: Seen | None, epoch: int | None, at: int, terms: Terms) -> Seen | None:
    """What is known after a store was asked for its epoch.

    Args:
        seen: what was known; ``epoch``: what it said, or None where nobody tells.
        at: when, microseconds; ``terms``: how long an epoch is.
    """
    if epoch is None or (seen is not None and epoch < seen.epoch):
        return seen
    length = int(terms.epoch_days * _DAY)
    began = at - length
    if seen is not None and epoch == seen.epoch:
        began = max(began, seen.began)
    elif seen is not None:
        passed = epoch - seen.epoch
        began = max(began, seen.began + passed * length, seen.at + (passed - 1) * length)
    return Seen(epoch=epoch, at=at if seen is None else max(at, seen.at), began=began)


def now(seen: Seen | None, at: int, terms: Terms) -> Now:
    """Where a store stands, as far as it is known; what is not known counts as the worst.

    An epoch that nobody told of since is taken to be over as soon as it may be.
    """
    if seen is None:
        return Now(0, 0.0)
    length = int(terms.epoch_days * _DAY)
    passed = 0
    if at > seen.at:
        passed = max(0, -((seen.began - at) // length) - 1)
    left = seen.began + (passed + 1) * length - at
    return Now(seen.epoch + passed, max(0.0, left / _DAY))


def remains(until: int, moment: Now, terms: Terms) -> float:
    """Days for which a blob stays at the least; 0 where it may be gone."""
    if until <= moment.epoch:
        return 0.0
    return moment.left + (until - 1 - moment.epoch) * terms.epoch_days


def is_due(until: int, moment: Now, terms: Terms) -> bool:
    """Whether a blob has ended, or ends sooner than what a head names may."""
    return until <= moment.epoch or remains(until, moment, terms) < terms.keep_days


def epochs(moment: Now, terms: Terms, *, lasting: bool) -> int:
    """For how many epochs, the current one counted, a blob is bought."""
    missing = max(0.0, terms.keep_days - moment.left)
    least = 1 + ceil(missing / terms.epoch_days)
    return min(MOST_EPOCHS, max(least, terms.long_epochs) if lasting else least)


class Kept(Protocol):
    """A blob that a store has."""

    @property
    def blob(self) -> bytes:
        """Its ID."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    @property
    def lasting(self) -> bool:
        """Whether no key stands in it."""
        ...

    @property
    def until(self) -> int | None:
        """The first epoch without it; None where that is not known."""
        ...


class Care(NamedTuple):
    """What has to be done so that everything named stays.

    Attributes:
        renew: blobs to be kept for longer as they are, with their sizes.
        again: blobs whose content is written again, and which end by themselves.
    """

    renew: Mapping[bytes, int]
    again: frozenset[bytes]


def care(
    blobs: Iterable[Kept],
    named: Mapping[bytes, int],
    moment: Now,
    terms: Terms,
    pack_bytes: int,
) -> Care:
    """What has to be done for the blobs of a store.

    Args:
        blobs: those that it has; ``named``: how many bytes of each are named and not erased.
        moment, terms: when, and how the store is used; ``pack_bytes``: the most of a pack.
    """
    renew: dict[bytes, int] = {}
    again: set[bytes] = set()
    for one in blobs:
        live = named.get(one.blob)
        if live is None or one.until is None or not is_due(one.until, moment, terms):
            continue
        standing = one.until > moment.epoch
        full = is_lasting(one.size, pack_bytes) and live >= _LIVE * one.size
        if standing and one.lasting and full:
            renew[one.blob] = one.size
        else:
            again.add(one.blob)
    return Care(renew, frozenset(again))


def is_lasting(size: int, pack_bytes: int) -> bool:
    """Whether so many bytes without a key are worth a blob of their own, bought for long."""
    return size >= min(_WORTH, pack_bytes * 3 // 4)


def publishes(waiting: int, since: float, terms: Terms) -> bool:
    """Whether a publication is made now.

    Args:
        waiting: bytes that are not published; ``since``: days since the last publication.
    """
    return waiting >= terms.cadence_bytes or (waiting > 0 and since >= terms.cadence_days)
