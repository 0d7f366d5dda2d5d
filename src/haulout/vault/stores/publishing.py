"""Publishing: a lane's new records into a store, and then the head that names them.

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
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from haulout.crypto.section import Kind
from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, VaultError
from haulout.log import head as heads
from haulout.log import lifetimes, planning, published
from haulout.log.head import Head, Ref, Run, Tip
from haulout.log.keychain import fresh_wraps
from haulout.log.planning import Wanted
from haulout.log.published import Intent, Pack, Published, PublishedMap, PublishedRun, StoreRow
from haulout.log.record import GENESIS, Lane, record_hash
from haulout.vault.opening import Parts
from haulout.vault.stores.buying import Buying
from haulout.vault.stores.caring import Caring
from haulout.vault.stores.chunksending import ChunkSending, unchanged
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.packing import Packing
from haulout.vault.stores.sections import Sections, erased, fresh
from haulout.vault.stores.store import Store

Report = Callable[[int, int | None], None]

MOST_RECORDS = 100_000
"""In one publication; what is left follows in the next one."""
_SEGMENT, _KEYS, _MAP = "/segment", "/keys", "/map"
_PART = "\0"
"""Between a model's name and which of its sections it is."""
_DAY = 86_400_000_000


class Contents(NamedTuple):
    """What the next head names.

    Attributes:
        runs: all of them; ``maps``: all maps of attachment chunks.
        through: the number of the newest record among the runs.
    """

    runs: Sequence[PublishedRun]
    maps: Sequence[PublishedMap]
    through: int


class Publisher:
    """Publishes one vault's memory lane to one store.

    Args:
        parts: the open vault; ``store``: where to; ``number``: the store's number in it.
        outbox: where packs wait.
    """

    def __init__(self, parts: Parts, store: Store, number: int, outbox: Outbox) -> None:
        self._parts, self._store, self._number, self._outbox = parts, store, number, outbox
        self._journal, self._database = parts.journal, parts.database
        with parts.database.read() as connection:  # keys that other processes brought in
            self._journal.refresh_keys(connection)
        self._buying = Buying(parts, store, number)
        self._chunks = ChunkSending(parts, store, number, self._buying)
        self._name = heads.head_name(parts.vault_id, parts.device.id, Lane.MEMORY)

    def _row(self) -> StoreRow:
        with self._database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        return next(row for row in rows if row.number == self._number)

    def publish(self, report: Report, *, force: bool = True) -> int:
        """Publish everything there is; return the number of the newest record that is remote.

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
        caring = Caring(self._parts, self._store, self._number, self._buying)
        again = caring.care(row.state)
        if force or again or self._is_time(row.state):
            upto = self._newest()  # chunks of what is recorded while they are sent come next time
            self._chunks.send(report, again)
            more = True
            while more:
                intent, more = self._intend(row.state, again, upto)
                if intent is not None:
                    self._carry_out(row.state, intent, report)
                    row = self._row()
        self._sweep(row.state)
        caring.raise_failure()
        return row.state.through

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
        with self._database.read() as connection:
            new = fresh(connection, self._parts.vault, state.through, MOST_RECORDS)
        waiting = sum(size for _, size in new) + self._chunks.waiting()
        since = (self._journal.now() - state.at) / _DAY
        return lifetimes.publishes(waiting, since, terms)

    # ------------------------------------------------------------------ writing it down

    def _newest(self) -> int:
        """The number of the newest record."""
        with self._database.read() as connection:
            row = connection.execute("SELECT max(num) FROM record").fetchone()
        return (row[0] or 0) if row else 0

    def _intend(
        self, state: Published, again: Collection[bytes], upto: int
    ) -> tuple[Intent | None, bool]:
        """Write the next publication down, if there is one; and whether another has to follow.

        Args:
            state: what stands; ``again``: blobs whose content is written again.
            upto: the newest record that may be named: all its chunks are with the store.
        """
        maps = self._chunks.maps()
        with self._database.read() as connection:
            found = fresh(connection, self._parts.vault, state.through, MOST_RECORDS)
            new = [one for one in found if one[0] <= upto]
            through = new[-1][0] if new else state.through
            gone = [num for num in erased(connection, self._parts.vault) if num <= through]
            ended = set(again)
            if self._store.terms is None:
                # Blobs go when they are told to: one whose keys were destroyed goes at once.
                ended = planning.ending(state.runs, gone, again)
            sections = self._sections()
            wanted = planning.with_vectors(
                planning.plan(state.runs, new, gone, ended),
                lambda first, last: self._ready(sections, connection, first, last),
                ended,
            )
            standing = unchanged(maps, state.chunks, ended)
            same_maps = len(standing) == len(maps) == len(state.chunks)
            moved = self._store.terms is None and state.settings != self._store.settings()
            if same_maps and not again and not moved and not planning.changes(wanted):
                return None, False
            packing = Packing(self._store, self._outbox)
            places = self._seal(connection, sections, wanted, packing)
            for number, content in maps:
                if number not in standing:
                    data = sections.seal(Kind.CHUNK_MAP, content)
                    places[number, _MAP] = packing.add(data, lasting=False)

            def contents(refs: Mapping[int, Ref]) -> Contents:
                found = {place: refs[number] for place, number in places.items()}
                vectors = _vectors(found)
                runs = [_run(one, found, vectors[one.first], gone, ended) for one in wanted]
                named = [
                    standing.get(number)
                    or PublishedMap(number, hashlib.sha256(content).digest(), found[number, _MAP])
                    for number, content in maps
                ]
                return Contents(runs, named, through)

            packs, after = self._with_head(connection, state, packing, contents)
        intent = Intent(packs=tuple(packs), after=after)
        self._database.write(lambda tx: published.intend(tx, self._number, intent))
        return intent, len(new) == MOST_RECORDS

    def _ready(
        self, sections: Sections, connection: Transaction, first: int, last: int
    ) -> tuple[str, ...]:
        terms = self._store.terms
        if terms is not None and not terms.vectors:
            return ()
        return sections.ready(connection, first, last)

    def _sections(self) -> Sections:
        keychain = self._journal.keychain
        return Sections(self._journal, keychain.user_secrets(), self._journal.entropy)

    def _seal(
        self,
        connection: Transaction,
        sections: Sections,
        wanted: Sequence[Wanted],
        packing: Packing,
    ) -> dict[tuple[int, str], int]:
        """Seal what is wanted; the number of each section by its run and what it is."""
        places: dict[tuple[int, str], int] = {}
        for one in wanted:
            if one.base is None:
                data = sections.segment(connection, one.first, one.last)
                places[one.first, _SEGMENT] = packing.add(data, lasting=True)
            for model in one.models:
                parts = sections.vectors(connection, one.first, one.last, model)
                for part, data in enumerate(parts):
                    place = one.first, f"{model}{_PART}{part:04d}"
                    places[place] = packing.add(data, lasting=True)
        for one in wanted:
            keys = sections.keys(connection, one.first, one.last) if one.keys else None
            if keys is not None:
                places[one.first, _KEYS] = packing.add(keys, lasting=False)
        return places

    def _with_head(
        self,
        connection: Transaction,
        state: Published,
        packing: Packing,
        contents: Callable[[Mapping[int, Ref]], Contents],
    ) -> tuple[list[Pack], Published]:
        """The packs, and what will be published: their contents, and the head that names them."""
        clock = self._journal.now()
        place = None
        if self._store.joined:
            packed = packing.finish_with_head(
                lambda refs: self._head(connection, state, contents(refs), clock)
            )
            packs, place, data = packed.packs, packed.place, packed.head
            named = contents(packed.refs)
        else:
            packs, refs = packing.finish()
            named = contents(refs)
            data = self._head(connection, state, named, clock)
        after = Published(
            number=state.number + 1,
            head=data,
            place=place,
            through=named.through,
            runs=tuple(named.runs),
            chunks=tuple(named.maps),
            at=clock,
            settings=self._store.settings(),
        )
        return packs, after

    def _head(
        self, connection: Transaction, state: Published, contents: Contents, clock: int
    ) -> bytes:
        """The next head, signed and sealed."""
        keychain, device = self._journal.keychain, self._parts.device
        head = Head(
            vault=self._parts.vault_id,
            lane=Lane.MEMORY,
            device=device.id,
            number=state.number + 1,
            clock=clock,
            previous=_previous(state),
            certificate=keychain.certificates[device.id],
            tips=_tips(connection, self._parts.vault, contents.through),
            runs=tuple(run.run for run in contents.runs),
            chunks=tuple(one.ref for one in contents.maps),
            stores=self._store.settings().encode(),
            store=self._store.id,
        )
        return heads.seal_head(
            head,
            device,
            keychain.user_secrets(),
            fresh_wraps(head.vault, keychain.user_secrets(), keychain.kit_public),
            self._journal.entropy,
        )

    # ------------------------------------------------------------------ carrying it out

    def _carry_out(self, before: Published, intent: Intent, report: Report) -> None:
        total = sum(pack.size for pack in intent.packs) + len(intent.after.head)
        sent = 0
        there = {blob for blob, one in self._buying.blobs().items() if one.there}
        for pack in intent.packs:
            if pack.blob not in there:
                self._buying.put(pack.blob, self._outbox.get(pack.blob), lasting=pack.lasting)
            sent += pack.size
            report(sent, total)
        self._publish_head(before, intent.after)
        self._database.write(lambda tx: published.done(tx, self._number, intent.after))
        self._outbox.keep_only(self._waiting())
        report(total, total)

    def _waiting(self) -> set[bytes]:
        """The packs of publications that are under way, of all stores."""
        with self._database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        return {pack.blob for row in rows if row.intent for pack in row.intent.packs}

    def _publish_head(self, before: Published, after: Published) -> None:
        try:
            for name, data in before.replaces:
                self._store.publish_head(name, after.head, data, self._genuine)
            self._store.publish_head(self._name, after.head, before.head or None, self._genuine)
        except ConflictError as error:
            message = f"Another copy of this vault publishes to {self._store.name} as this device."
            raise ConflictError(
                message,
                hint="One folder was copied to two machines, or the vault was restored elsewhere."
                " Go on with the newer copy; restore this machine from the kit.",
            ) from error

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
        for one in found:
            if one.blob in named or one.blob in chunks:
                continue
            ended = one.until is not None and one.until <= epoch
            if ended or self._store.delete(one.blob):
                self._buying.forget(one.blob)


def _vectors(
    found: Mapping[tuple[int, str], Ref],
) -> defaultdict[int, list[tuple[str, Ref]]]:
    """The vector sections that were written, by the first record of their run: model and place."""
    by_run: defaultdict[int, list[tuple[str, Ref]]] = defaultdict(list)
    for (first, name), ref in sorted(found.items()):
        if _PART in name:
            by_run[first].append((name.partition(_PART)[0], ref))
    return by_run


def _run(
    one: Wanted,
    found: Mapping[tuple[int, str], Ref],
    written: Sequence[tuple[str, Ref]],
    gone: Sequence[int],
    ended: Collection[bytes],
) -> PublishedRun:
    """A run as the head will name it; what stands of it in blobs that ended is not named."""
    base = one.base
    if base is None:
        segment, records = found[one.first, _SEGMENT], one.last - one.first + 1
        named = [*written]
    else:
        segment, records = base.run.segment, base.run.records
        pairs = zip(base.models, base.run.vectors, strict=True)
        kept = [(model, ref) for model, ref in pairs if ref.blob not in ended]
        named = [*((model, ref) for model, ref in kept if model not in one.models), *written]
    models, vectors = tuple(model for model, _ in named), tuple(ref for _, ref in named)
    keys = found.get((one.first, _KEYS))
    if not one.keys and base is not None:
        keys = base.run.keys
    dead = planning.erased_within(gone, one.first, one.last)
    return PublishedRun(one.first, one.last, Run(records, segment, keys, vectors), dead, models)


def _previous(state: Published) -> bytes:
    """What the next head names as the one before it: a restored copy goes on from its source's."""
    before = state.head or next((data for _, data in state.replaces), b"")
    return heads.digest(before) if before else GENESIS


def _tips(connection: Transaction, vault: int, through: int) -> tuple[Tip, ...]:
    rows = connection.execute(
        "SELECT device, sequence, header FROM record r WHERE vault = ?1 AND num <= ?2"
        " AND sequence = (SELECT max(sequence) FROM record WHERE vault = ?1 AND num <= ?2"
        "  AND device = r.device) ORDER BY device",
        (vault, through),
    ).fetchall()
    return tuple(Tip(device, sequence, record_hash(header)) for device, sequence, header in rows)
