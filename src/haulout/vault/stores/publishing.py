"""Publishing: new records into a store, and then the heads that name them.

Both lanes go out together: what is new of memories and of states is one publication, with one
intent, and on Walrus one blob. Each lane has a head of its own, which changes where it does.
Nothing is written to the state lane's database, so that no order waits for a publication.

The order is segments, then key chunks, then the head, and each step may be the last one:

    packs in the outbox, the intent in the database    the next sync carries the intent on
    some packs with the store                          the same; a store takes none twice
    all packs, no head                                 the same; readers see the head before
    the head stands, the database does not know        the same head is found standing: done
    the database knows                                 blobs that no head names are left over,
                                                       and the next sync removes them

On Walrus the head stands in the last pack, so that the third and the fourth are one: the pack is
there or not. "Remote" is said of a record only after the last but one: its head stands, and the
store has confirmed every blob that the head names. docs/spec/publishing.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import msgspec

from haulout.crypto.section import Kind
from haulout.database.rightofway import RightOfWay
from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, VaultError
from haulout.log import head as heads
from haulout.log import lifetimes, published
from haulout.log.head import Ref
from haulout.log.published import Intent, Pack, Published, PublishedMap, StoreRow
from haulout.log.record import Lane
from haulout.vault.opening import Parts
from haulout.vault.stores.buying import Buying
from haulout.vault.stores.caring import Caring
from haulout.vault.stores.chunksending import ChunkSending, unchanged
from haulout.vault.stores.laneplan import MOST_RECORDS, LanePlan, Ready
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.packing import Packing
from haulout.vault.stores.sections import Sections, fresh
from haulout.vault.stores.store import Store

Report = Callable[[int, int | None], None]

_DAY = 86_400_000_000
STATES_EVERY = 60_000_000
"""Microseconds at the least between two publications of states to volumes in the background.

An agent writes all day: every 5 s, a bucket of ten shards would be asked for half a million
writes a day, and the agent's own orders would wait for the sealing; what of a minute may be lost,
its venue tells it again."""


class Publisher:
    """Publishes one vault's lanes to one store.

    Args:
        parts: the open vault; ``store``: where to; ``number``: the store's number in it.
        outbox: where packs wait.
        states: the state lane's database and journal; None where there is none that opens. What
            is published of it then stands.
    """

    def __init__(
        self, parts: Parts, store: Store, number: int, outbox: Outbox, states: Parts | None = None
    ) -> None:
        self._parts, self._store, self._number, self._outbox = parts, store, number, outbox
        self._states = states
        self._journal, self._database = parts.journal, parts.database
        for lane in self._lanes:
            with lane.database.read() as connection:  # keys that other processes brought in
                lane.journal.refresh_keys(connection)
        self._buying = Buying(parts, store, number)
        self._chunks = ChunkSending(parts, store, number, self._buying)

    @property
    def _lanes(self) -> list[Parts]:
        return [self._parts, *([self._states] if self._states else [])]

    def _row(self) -> StoreRow:
        with self._database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        return next(row for row in rows if row.number == self._number)

    def publish(self, report: Report, *, force: bool = True) -> int:
        """Publish everything there is; return the number of the newest memory that is remote.

        Args:
            report: called with bytes sent and their number.
            force: publish at once, where the store's terms would have it wait for more.

        Raises:
            ConflictError: another copy of this vault publishes under this device's name.
            StoreUnavailableError, StoreRefusedError, StorageError: what was begun goes on with
            the next call.
        """
        self._buying.look()
        row = self._resume(report)
        caring = Caring(self._parts, self._store, self._number, self._buying, self._states)
        again = caring.care(row.state)
        if force or again or self._is_time(row.state):
            upto = self._newest()  # chunks of what is recorded while they are sent come next time
            self._chunks.send(report, again)
            lanes = self._lanes if force or again else self._lanes_due(row.state)
            more = True
            while more:
                intent, more = self._intend(row.state, lanes, again, upto)
                if intent is not None:
                    self._carry_out(row.state, intent, report)
                    row = self._row()
        self._sweep(row.state)
        caring.raise_failure()
        return row.state.through

    def _lanes_due(self, state: Published) -> list[Parts]:
        """The lanes that a publication in the background has; states are in one of each minute.

        A restored copy takes the heads of both lanes over at once.
        """
        since = self._journal.now() - (state.states or Published()).at
        both = self._store.terms is not None or since >= STATES_EVERY or state.replaces
        return self._lanes if both else [self._parts]

    def _resume(self, report: Report) -> StoreRow:
        """Carry on what was begun; where its packs are gone from this disk, it begins anew."""
        row = self._row()
        if row.intent is None:
            return row
        there = {blob for blob, one in self._buying.blobs().items() if one.there}
        if all(pack.blob in there or self._waits(pack) for pack in row.intent.packs):
            self._carry_out(row.state, row.intent, report)
        else:
            self._database.write(lambda tx: published.give_up(tx, self._number))
        return self._row()

    def _waits(self, pack: Pack) -> bool:
        """Whether a pack's bytes are in the outbox, as they were written down."""
        if not self._outbox.has(pack.blob):
            return False
        return self._store.blob_id(self._outbox.get(pack.blob)) == pack.blob

    def _is_time(self, state: Published) -> bool:
        """Whether so much waits, or for so long, that a publication is made."""
        terms = self._store.terms
        if terms is None or not state.number:
            return True
        waiting = self._chunks.waiting()
        for lane in self._lanes:
            with lane.database.read() as connection:
                through = _of(state, lane).through
                new = fresh(connection, lane.vault, through, MOST_RECORDS)
                waiting += sum(size for _, size in new)
        since = (self._journal.now() - last_at(state)) / _DAY
        return lifetimes.publishes(waiting, since, terms)

    # ------------------------------------------------------------------ writing it down

    def _newest(self) -> int:
        """The number of the newest record."""
        with self._database.read() as connection:
            row = connection.execute("SELECT max(num) FROM record").fetchone()
        return (row[0] or 0) if row else 0

    def _intend(
        self, state: Published, lanes: Sequence[Parts], again: Collection[bytes], upto: int
    ) -> tuple[Intent | None, bool]:
        """Write the next publication down, if there is one; and whether another has to follow.

        Args:
            state: what stands; ``lanes``: those that it has, the memory lane first.
            again: blobs whose content is written again.
            upto: the newest record that may be named: all its chunks are with the store.
        """
        maps = self._chunks.maps()
        with ExitStack() as reads:
            plans = self._plans(reads, lanes, state, upto)
            ended = set(again)
            if self._store.terms is None:
                # Blobs go when they are told to: one whose keys were destroyed goes at once.
                ended = ended.union(*(plan.ending(again) for plan in plans))
            sections = self._sections()
            for plan in plans:
                plan.plan(ended, lambda tx, plan=plan: self._ready(plan, sections, tx))
            standing = unchanged(maps, state.chunks, ended)
            same_maps = len(standing) == len(maps) == len(state.chunks)
            due = [
                plan
                for plan in plans
                if self._is_due(plan, again)
                or (plan.lane is Lane.MEMORY and (again or not same_maps))
            ]
            if not due:
                return None, False
            publication = _Publication(
                self._store, self._outbox, sections, self._journal.now(), self._parts.way
            )
            for plan in due:
                publication.seal(plan)
            if due[0].lane is Lane.MEMORY:
                for number, content in maps:
                    publication.name_map(number, content, standing.get(number))
            intent = publication.intent(state, due)
        self._database.write(lambda tx: published.intend(tx, self._number, intent))
        return intent, any(plan.goes_on for plan in plans)

    def _plans(
        self, reads: ExitStack, lanes: Sequence[Parts], state: Published, upto: int
    ) -> list[LanePlan]:
        """What each lane publishes next; the memory lane's first."""
        found: list[LanePlan] = []
        for lane in lanes:
            connection = reads.enter_context(lane.database.read())
            bound = upto if lane is self._parts else None
            found.append(LanePlan(lane, connection, _of(state, lane), bound))
        return found

    def _is_due(self, plan: LanePlan, again: Collection[bytes]) -> bool:
        """Whether a lane needs another head."""
        moved = self._store.terms is None and plan.before.settings != self._store.settings()
        lost = not plan.before.named_here().isdisjoint(again)
        return plan.changes or lost or (moved and plan.through > 0)

    def _ready(self, plan: LanePlan, sections: Sections, connection: Transaction) -> Ready:
        terms = self._store.terms
        if plan.lane is not Lane.MEMORY or (terms is not None and not terms.vectors):
            return lambda _first, _last: ()
        return lambda first, last: sections.ready(connection, first, last)

    def _sections(self) -> Sections:
        keychain = self._journal.keychain
        return Sections(
            self._journal, keychain.user_secrets(), self._journal.entropy, self._parts.way
        )

    # ------------------------------------------------------------------ carrying it out

    def _carry_out(self, before: Published, intent: Intent, report: Report) -> None:
        swaps = _swaps(before, intent.after)
        self._require_whole(swaps)
        total = sum(pack.size for pack in intent.packs)
        total += sum(len(after.head) for _, _, after in swaps)
        sent = 0
        there = {blob for blob, one in self._buying.blobs().items() if one.there}
        for pack in self._parts.way.along(intent.packs):
            if pack.blob not in there:
                self._buying.put(pack.blob, self._outbox.get(pack.blob), lasting=pack.lasting)
            sent += pack.size
            report(sent, total)
        for lane, stood, after in self._parts.way.along(swaps):
            self._publish_head(lane, stood, after)
        self._database.write(lambda tx: published.done(tx, self._number, intent.after))
        self._outbox.keep_only(self._waiting())
        report(total, total)

    def _waiting(self) -> set[bytes]:
        """The packs of publications that are under way, of all stores."""
        with self._database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        return {pack.blob for row in rows if row.intent for pack in row.intent.packs}

    def _require_whole(self, swaps: Sequence[tuple[Lane, Published, Published]]) -> None:
        """Take over the heads of both lanes or of none: see first that the other went on with none.

        Raises:
            ConflictError: the device that this copy was restored from has published since.
        """
        replaced = [(one, after) for _, stood, after in swaps for one in stood.replaces]
        if len(replaced) < 2:  # noqa: PLR2004 - of one lane the swap itself tells
            return
        copies = self._store.heads()
        for (name, data), after in replaced:
            there = [copy.data for copy in copies if copy.name == name]
            newest = max(there, key=lambda one: self._genuine(one) or 0, default=data)
            if (self._genuine(newest) or 0) > (self._genuine(data) or 0) and newest != after.head:
                raise self._conflict()

    def _conflict(self) -> ConflictError:
        message = f"Another copy of this vault publishes to {self._store.name} as this device."
        return ConflictError(
            message,
            hint="One folder was copied to two machines, or the vault was restored elsewhere."
            " Go on with the newer copy; restore this machine from the kit.",
        )

    def _publish_head(self, lane: Lane, before: Published, after: Published) -> None:
        own = heads.head_name(self._parts.vault_id, self._parts.device.id, lane)
        try:
            for name, data in before.replaces:
                self._store.publish_head(name, after.head, data, self._genuine)
            self._store.publish_head(own, after.head, before.head or None, self._genuine)
        except ConflictError as error:
            raise self._conflict() from error

    def _genuine(self, data: bytes) -> int | None:
        """The number of a head that this vault's owner signed; None for any other bytes."""
        secrets = self._journal.keychain.user_secrets()
        try:
            return heads.open_head(data, self._parts.vault_id, secrets).number
        except VaultError:
            return None

    def _sweep(self, state: Published) -> None:
        """Remove what no head names any more, where the store removes anything."""
        named = state.named()
        with self._database.read() as connection:
            found = published.blobs(connection, self._number)
            chunks = {one.ref.blob for one in published.chunk_places(connection, self._number)}
        epoch = self._buying.now.epoch
        for one in self._parts.way.along(found):
            if one.blob in named or one.blob in chunks:
                continue
            ended = one.until is not None and one.until <= epoch
            if ended or self._store.delete(one.blob):
                self._buying.forget(one.blob)


class _Publication:
    """One publication in the making.

    Where blobs cost by the piece, the lanes share them. Elsewhere each lane has its own: what is
    written again for a key of one lane leaves the other as it is.

    Args:
        store: where to; ``outbox``: takes its packs; ``sections``: seals maps; ``clock``: when.
        way: given between two packs.
    """

    def __init__(
        self, store: Store, outbox: Outbox, sections: Sections, clock: int, way: RightOfWay
    ) -> None:
        self._store, self._outbox, self._sections, self._clock = store, outbox, sections, clock
        self._way = way
        self._packings: dict[Lane, Packing] = {}
        self._maps: list[tuple[int, bytes, PublishedMap | int]] = []

    def _packing(self, lane: Lane) -> Packing:
        if self._store.joined:
            lane = Lane.MEMORY
        return self._packings.setdefault(lane, Packing(self._store, self._outbox, self._way))

    def seal(self, plan: LanePlan) -> None:
        """Seal what a lane wants written."""
        plan.seal(self._sections.of(plan.journal), self._packing(plan.lane))

    def name_map(self, number: int, content: bytes, standing: PublishedMap | None) -> None:
        """Let the memory lane's head name a map of chunks, sealed anew where it does not stand."""
        if standing is not None:
            self._maps.append((number, content, standing))
            return
        data = self._sections.seal(Kind.CHUNK_MAP, content)
        self._maps.append((number, content, self._packing(Lane.MEMORY).add(data, lasting=False)))

    def _named_maps(self, refs: Mapping[int, Ref]) -> tuple[PublishedMap, ...]:
        return tuple(
            one
            if isinstance(one, PublishedMap)
            else PublishedMap(number, hashlib.sha256(content).digest(), refs[one])
            for number, content, one in self._maps
        )

    def intent(self, state: Published, due: Sequence[LanePlan]) -> Intent:
        """Make the heads, and say what is sent and what is published then."""
        packs: list[Pack] = []
        after: dict[Lane, Published] = {}
        if self._store.joined:
            made = [partial(self._head, plan) for plan in due]
            packed = self._packing(Lane.MEMORY).finish_with_heads(made)
            packs = packed.packs
            for plan, place, data in zip(due, packed.places, packed.heads, strict=True):
                after[plan.lane] = self._after(plan, packed.refs, data, place)
        else:
            for plan in due:
                more, refs = self._packing(plan.lane).finish()
                packs += more
                after[plan.lane] = self._after(plan, refs, self._head(plan, refs), None)
        memory = after.get(Lane.MEMORY, state)
        states = after.get(Lane.STATE, state.states)
        return Intent(packs=tuple(packs), after=msgspec.structs.replace(memory, states=states))

    def _head(self, plan: LanePlan, refs: Mapping[int, Ref]) -> bytes:
        maps = self._named_maps(refs) if plan.lane is Lane.MEMORY else ()
        return plan.head(self._store, self._clock, plan.runs(refs), [one.ref for one in maps])

    def _after(
        self, plan: LanePlan, refs: Mapping[int, Ref], data: bytes, place: Ref | None
    ) -> Published:
        return Published(
            number=plan.before.number + 1,
            head=data,
            place=place,
            through=plan.through,
            runs=plan.runs(refs),
            chunks=self._named_maps(refs) if plan.lane is Lane.MEMORY else (),
            at=self._clock,
            settings=self._store.settings(),
        )


def _of(state: Published, lane: Parts) -> Published:
    """What is published of a lane."""
    if lane.journal.lane is Lane.MEMORY:
        return state
    return state.states or Published()


def _swaps(before: Published, after: Published) -> list[tuple[Lane, Published, Published]]:
    """The heads that a publication changes: of which lane, what stood, and what follows."""
    pairs = [(Lane.MEMORY, before, after)]
    if after.states is not None:
        pairs.append((Lane.STATE, before.states or Published(), after.states))
    return [one for one in pairs if one[1].number != one[2].number]


def last_at(state: Published) -> int:
    """When a store was last published to, microseconds; 0 before that."""
    return max(state.at, state.states.at if state.states else 0)
