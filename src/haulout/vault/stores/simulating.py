"""A vault's life on Walrus, day by day, without a byte of it: what `cost` counts.

The planner is the one that publishes (`planning`, `lifetimes`, `packs`); only sizes are made up,
from what records, wraps and vectors take. Time begins with an epoch, of which only
that is known which a publisher knows. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from haulout.crypto.section import section_bytes
from haulout.log import lifetimes, planning
from haulout.log.head import Ref, Run
from haulout.log.lifetimes import Now, Seen, Terms
from haulout.log.packs import Pack, Packs
from haulout.log.planning import Wanted
from haulout.log.published import PublishedRun, RemoteBlob
from haulout.log.record import HASH_BYTES
from haulout.log.segment import RECORD_OVERHEAD

_PAYLOAD = 30
"""Of a sealed payload beside its text: nonce and tag, time, source and names of fields."""
_HEADER = 100
"""Of a record in a segment beside its payload, as far as it is not computed."""
_FORGET, _FORGOTTEN = 30, 17
"""The payload of a record that forgets, and what each forgotten memory adds to it."""
_WRAP = 80
"""Of a record in a key chunk."""
_VECTOR = 442
"""Of a memory in a vector section: 384 dimensions, one passage."""
_HEAD, _RUN, _RUN_VECTORS = 2600, 170, 80
"""Of a head: its wraps, certificate and settings; each run; each run's vectors."""
_MODEL = "model"
_DAY = 86_400_000_000
PUBLICATIONS, REWRITING, PACKS, RENEWALS = "publications", "rewriting", "packs", "renewals"


class Workload(NamedTuple):
    """What is written.

    Attributes:
        first: memories that are there on the first day; ``size``: bytes of text of each.
        daily: how many come every day; ``most``: how many there are at the most: from there on
            the oldest are forgotten each day, as many as come.
    """

    first: int
    size: int
    daily: int
    most: int


class Bought(NamedTuple):
    """A blob that was paid for.

    Attributes:
        day: when; ``size``: bytes before coding; ``epochs``: how many were bought.
        why: what it is: "publications", "rewriting" of what was due and holds keys, "packs" that
            are bought for long, or "renewals" of those.
    """

    day: int
    size: int
    epochs: int
    why: str


class Day(NamedTuple):
    """How the store stands in the evening of a day.

    Attributes:
        day: from 0; ``memories``: how many are alive; ``named``: bytes of blobs that the head
            names; ``blobs``: how many those are; ``paid``: those that are paid for and stand.
        slack: days until the first of what the head names may end.
    """

    day: int
    memories: int
    named: int
    blobs: int
    paid: int
    slack: float


class _Records:
    """Made-up records: their sizes, and which are erased. The oldest go first."""

    def __init__(self, size: int) -> None:
        self._payload = size + _PAYLOAD
        self._memories: list[int] = []
        self.erased: list[int] = []
        self._sums: list[int] = [0]

    def remember(self, count: int) -> None:
        first = self.newest + 1
        self._memories += range(first, first + count)
        steps = accumulate([self._payload] * count, initial=self._sums.pop())
        self._sums += steps

    def forget(self, count: int) -> None:
        """Forget the oldest memories, by a filter: one record names them."""
        if count:
            gone = len(self.erased)
            self.erased += self._memories[gone : gone + count]
            self._sums.append(self._sums[-1] + _FORGET + count * _FORGOTTEN)

    @property
    def newest(self) -> int:
        """The newest record's number; the first is 1."""
        return len(self._sums) - 1

    @property
    def alive(self) -> int:
        return len(self._memories) - len(self.erased)

    def fresh(self, through: int) -> list[tuple[int, int]]:
        return [
            (num + 1, RECORD_OVERHEAD + self._sums[num + 1] - self._sums[num])
            for num in range(through, self.newest)
        ]

    def _live(self, first: int, last: int) -> int:
        return last - first + 1 - planning.erased_within(self.erased, first, last)

    def segment(self, first: int, last: int) -> int:
        payloads = self._sums[last] - self._sums[first - 1]
        payloads -= planning.erased_within(self.erased, first, last) * self._payload
        return section_bytes(payloads + (last - first + 1) * _HEADER)

    def keys(self, first: int, last: int) -> int:
        live = self._live(first, last)
        return section_bytes(live * _WRAP) if live else 0

    def vectors(self, first: int, last: int) -> int:
        return section_bytes(self._live(first, last) * _VECTOR)


class Simulation:
    """One vault and its store.

    Args:
        workload: what is written; ``terms``: how the store is used; ``pack_bytes``: of a pack.
    """

    def __init__(self, workload: Workload, terms: Terms, pack_bytes: int) -> None:
        self._workload, self._terms, self._pack_bytes = workload, terms, pack_bytes
        self._records = _Records(workload.size)
        self._runs: list[PublishedRun] = []
        self._through, self._place = 0, b""
        self._blobs: dict[bytes, RemoteBlob] = {}
        self._published_on: int | None = None
        self._seen: Seen | None = None
        self.bought: list[Bought] = []

    def days(self, count: int) -> Iterator[Day]:
        """Let days pass; how it stands after each."""
        work, records = self._workload, self._records
        records.remember(work.first)
        for day in range(count):
            more = work.daily
            over = max(0, records.alive + more - work.most)
            records.remember(more)
            records.forget(min(over, records.alive - more))
            yield self._day(day)

    def _day(self, day: int) -> Day:
        epoch = int(day // self._terms.epoch_days)
        # As the publisher does: nobody tells it when an epoch began, and it looks once a day. No
        # look comes at the very moment at which something falls due, so each is a little later.
        at = day * (_DAY + 1)
        self._seen = lifetimes.see(self._seen, epoch, at, self._terms)
        moment = lifetimes.now(self._seen, at, self._terms)
        named = self._named()
        care = lifetimes.care(self._blobs.values(), named, moment, self._terms, self._pack_bytes)
        for blob, size in care.renew.items():
            self._buy(blob, size, day, moment, lasting=True, why=RENEWALS)
        new = self._records.fresh(self._through)
        if care.again or self._is_time(day, sum(size for _, size in new)):
            self._publish(day, moment, new, care.again)
        named = self._named()
        ends = [self._blobs[blob].until or 0 for blob in named]
        return Day(
            day=day,
            memories=self._records.alive,
            named=sum(self._blobs[blob].size for blob in named),
            blobs=len(named),
            paid=sum((one.until or 0) > epoch for one in self._blobs.values()),
            slack=min((lifetimes.remains(end, moment, self._terms) for end in ends), default=0.0),
        )

    def _is_time(self, day: int, waiting: int) -> bool:
        if self._published_on is None:
            return waiting > 0
        return lifetimes.publishes(waiting, day - self._published_on, self._terms)

    def _named(self) -> dict[bytes, int]:
        erased = self._records.erased
        return planning.live_bytes(self._runs, erased) | (
            {self._place: _HEAD} if self._place else {}
        )

    def _publish(
        self, day: int, moment: Now, new: Sequence[tuple[int, int]], again: Collection[bytes]
    ) -> None:
        models = (_MODEL,) if self._terms.vectors else ()
        wanted = planning.with_vectors(
            planning.plan(self._runs, new, self._records.erased, again),
            lambda _first, _last: models,
            again,
        )
        packs = Packs(self._pack_bytes)
        full: list[Pack] = []
        places: dict[tuple[int, str], tuple[int, int]] = {}

        def add(place: tuple[int, str], size: int, *, lasting: bool) -> None:
            number, closed = packs.add(size, lasting=lasting)
            full.extend(closed)
            places[place] = (number, size)

        for one in wanted:
            if one.base is None:
                size = self._records.segment(one.first, one.last)
                add((one.first, "segment"), size, lasting=True)
            for model in one.models:
                size = self._records.vectors(one.first, one.last)
                add((one.first, model), size, lasting=True)
        for one in wanted:
            size = self._records.keys(one.first, one.last) if one.keys else 0
            if size:
                add((one.first, "keys"), size, lasting=False)
        full += packs.join()
        head = section_bytes(_HEAD + len(wanted) * (_RUN + _RUN_VECTORS * len(models)))
        full += packs.make_room(head)
        add((0, "head"), head, lasting=False)
        full += packs.finish()
        refs = self._send(full, day, moment, places, REWRITING if again else PUBLICATIONS)
        self._runs = [self._run(one, refs, again) for one in wanted]
        self._place = refs[0, "head"].blob
        self._through, self._published_on = self._records.newest, day

    def _send(
        self,
        full: Sequence[Pack],
        day: int,
        moment: Now,
        places: dict[tuple[int, str], tuple[int, int]],
        why: str,
    ) -> dict[tuple[int, str], Ref]:
        where: dict[int, bytes] = {}
        for pack in full:
            blob = (len(self.bought) + 1).to_bytes(HASH_BYTES, "big")
            reason = PACKS if pack.lasting else why
            self._buy(blob, pack.size, day, moment, lasting=pack.lasting, why=reason)
            where |= dict.fromkeys(pack.sections, blob)
        return {place: Ref(where[number], 0, size, b"") for place, (number, size) in places.items()}

    def _buy(
        self, blob: bytes, size: int, day: int, moment: Now, *, lasting: bool, why: str
    ) -> None:
        count = lifetimes.epochs(moment, self._terms, lasting=lasting)
        until = moment.epoch + count
        standing = self._blobs[blob].until or 0 if why == RENEWALS else moment.epoch
        self.bought.append(Bought(day, size, until - standing, why))
        self._blobs[blob] = RemoteBlob(blob, size, lasting, there=True, until=until)

    def _run(
        self, one: Wanted, refs: dict[tuple[int, str], Ref], again: Collection[bytes]
    ) -> PublishedRun:
        written = tuple(refs[one.first, model] for model in one.models)
        base = one.base
        if base is None:
            run = Run(one.last - one.first + 1, refs[one.first, "segment"], None, written)
            models = one.models
        else:
            kept = [ref for ref in base.run.vectors if ref.blob not in again]
            run = base.run._replace(vectors=(*kept, *written))
            models = (_MODEL,) * len(run.vectors)
        if one.keys or base is None:
            run = run._replace(keys=refs.get((one.first, "keys")))
        dead = planning.erased_within(self._records.erased, one.first, one.last)
        return PublishedRun(one.first, one.last, run, dead, models)
