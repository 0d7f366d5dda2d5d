"""Publishing: a lane's new records into a store, and then the head that names them.

The order is segments, then key chunks, then the head, and each step may be the last one:

    packs in the outbox, the intent in the database    the next sync carries the intent on
    some packs with the store                          the same; a store takes none twice
    all packs, no head                                 the same; readers see the head before
    the head stands, the database does not know        the same head is found standing: done
    the database knows                                 blobs that no head names are left over,
                                                       and the next sync removes them

"Remote" is said of a record only after the last but one: its head stands, and the store has
confirmed every blob that the head names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from haulout.crypto.section import Kind
from haulout.database.transaction import Transaction
from haulout.errors import ConflictError
from haulout.log import head as heads
from haulout.log import planning, published
from haulout.log.head import Head, Ref, Run, Tip
from haulout.log.keychain import fresh_wraps
from haulout.log.planning import Wanted
from haulout.log.published import Intent, Published, PublishedMap, PublishedRun, StoreRow
from haulout.log.record import GENESIS, Lane, record_hash
from haulout.vault.chunksending import ChunkSending, unchanged
from haulout.vault.opening import Parts
from haulout.vault.outbox import Outbox
from haulout.vault.packing import Packing
from haulout.vault.sections import Sections, erased, fresh
from haulout.vault.stores import Store

Report = Callable[[int, int | None], None]

MOST_RECORDS = 100_000
"""In one publication; what is left follows in the next one."""
_SEGMENT, _KEYS, _MAP = "/segment", "/keys", "/map"


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
        self._chunks = ChunkSending(parts, store, number)
        self._name = heads.head_name(parts.vault_id, parts.device.id, Lane.MEMORY)

    def _row(self) -> StoreRow:
        with self._database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        return next(row for row in rows if row.number == self._number)

    def publish(self, report: Report) -> int:
        """Publish everything there is; return the number of the newest record that is remote.

        Raises:
            ConflictError: another copy of this vault publishes under this device's name.
            StoreUnavailableError, StoreRefusedError, StorageError: what was begun goes on with
            the next call.
        """
        row = self._row()
        if row.intent is not None:
            self._carry_out(row.state, row.intent, report)
            row = self._row()
        self._chunks.send(report)
        more = True
        while more:
            intent, more = self._intend(row.state)
            if intent is not None:
                self._carry_out(row.state, intent, report)
                row = self._row()
        self._sweep(row.state)
        return row.state.through

    # ------------------------------------------------------------------ writing it down

    def _intend(self, state: Published) -> tuple[Intent | None, bool]:
        """Write the next publication down, if there is one; and whether another has to follow."""
        maps = self._chunks.maps()
        with self._database.read() as connection:
            new = fresh(connection, self._parts.vault, state.through, MOST_RECORDS)
            through = new[-1][0] if new else state.through
            gone = [num for num in erased(connection, self._parts.vault) if num <= through]
            ended = planning.ending(state.runs, gone, ())
            sections = self._sections()
            wanted = planning.with_vectors(
                planning.plan(state.runs, new, gone, ended),
                lambda first, last: sections.ready(connection, first, last),
                ended,
            )
            standing = unchanged(maps, state.chunks, ended)
            same_maps = len(standing) == len(maps) == len(state.chunks)
            if same_maps and not planning.changes(wanted):
                return None, False
            packing = Packing(self._store, self._outbox)
            places = self._seal(connection, sections, wanted, packing)
            for number, content in maps:
                if number not in standing:
                    data = sections.seal(Kind.CHUNK_MAP, content)
                    places[number, _MAP] = packing.add(data, lasting=False)
            packs, refs = packing.finish()
            found = {place: refs[number] for place, number in places.items()}
            after = self._with_head(
                connection,
                state,
                Contents(
                    runs=[_run(one, found, gone) for one in wanted],
                    maps=[
                        standing.get(number)
                        or PublishedMap(
                            number, hashlib.sha256(content).digest(), found[number, _MAP]
                        )
                        for number, content in maps
                    ],
                    through=through,
                ),
            )
        intent = Intent(packs=tuple(packs), after=after)
        self._database.write(lambda tx: published.intend(tx, self._number, intent))
        return intent, len(new) == MOST_RECORDS

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
                data = sections.vectors(connection, one.first, one.last, model)
                places[one.first, model] = packing.add(data, lasting=True)
        for one in wanted:
            keys = sections.keys(connection, one.first, one.last) if one.keys else None
            if keys is not None:
                places[one.first, _KEYS] = packing.add(keys, lasting=False)
        return places

    def _with_head(
        self, connection: Transaction, state: Published, contents: Contents
    ) -> Published:
        """What will be published: the contents, and the head that names them, signed and sealed."""
        keychain, device = self._journal.keychain, self._parts.device
        clock = self._journal.now()
        head = Head(
            vault=self._parts.vault_id,
            lane=Lane.MEMORY,
            device=device.id,
            number=state.number + 1,
            clock=clock,
            previous=heads.digest(state.head) if state.head else GENESIS,
            certificate=keychain.certificates[device.id],
            tips=_tips(connection, self._parts.vault, contents.through),
            runs=tuple(run.run for run in contents.runs),
            chunks=tuple(one.ref for one in contents.maps),
            stores=self._store.settings().encode(),
        )
        data = heads.seal_head(
            head,
            device,
            keychain.user_secrets(),
            fresh_wraps(head.vault, keychain.user_secrets(), keychain.kit_public),
            self._journal.entropy,
        )
        return Published(
            number=head.number,
            head=data,
            through=contents.through,
            runs=tuple(contents.runs),
            chunks=tuple(contents.maps),
            at=clock,
        )

    # ------------------------------------------------------------------ carrying it out

    def _carry_out(self, before: Published, intent: Intent, report: Report) -> None:
        total = sum(pack.bytes for pack in intent.packs) + len(intent.after.head)
        sent = 0
        with self._database.read() as connection:
            there = {one.blob for one in published.blobs(connection, self._number) if one.there}
        for pack in intent.packs:
            if pack.blob not in there:
                kept = self._store.put(self._outbox.get(pack.blob), lasting=pack.lasting)
                self._confirm(pack.blob, kept.until)
            sent += pack.bytes
            report(sent, total)
        self._publish_head(before, intent.after)
        self._database.write(lambda tx: published.done(tx, self._number, intent.after))
        self._outbox.keep_only(())
        report(total, total)

    def _confirm(self, blob: bytes, until: int | None) -> None:
        self._database.write(
            lambda connection: published.confirmed(connection, self._number, blob, until)
        )

    def _publish_head(self, before: Published, after: Published) -> None:
        try:
            for name, data in before.replaces:
                self._store.publish_head(name, after.head, data)
            self._store.publish_head(self._name, after.head, before.head or None)
        except ConflictError as error:
            message = f"Another copy of this vault publishes to {self._store.name} as this device."
            raise ConflictError(
                message,
                hint="One folder was copied to two machines, or the vault was restored elsewhere."
                " Go on with the newer copy; restore this machine from the kit.",
            ) from error

    def _sweep(self, state: Published) -> None:
        """Remove what no head names any more, where the store removes anything."""
        named = {ref.blob for run in state.runs for ref in _refs(run.run)}
        named |= {one.ref.blob for one in state.chunks}
        with self._database.read() as connection:
            found = published.blobs(connection, self._number)
            named |= {one.ref.blob for one in published.chunk_places(connection, self._number)}
        for one in found:
            if one.blob not in named and self._store.delete(one.blob):
                blob = one.blob
                self._database.write(
                    lambda tx, blob=blob: published.forget_blob(tx, self._number, blob)
                )


def _run(one: Wanted, found: Mapping[tuple[int, str], Ref], gone: Sequence[int]) -> PublishedRun:
    """A run as the head will name it."""
    base = one.base
    written = tuple(found[one.first, model] for model in one.models)
    if base is None:
        segment, records = found[one.first, _SEGMENT], one.last - one.first + 1
        vectors, models = written, one.models
    else:
        segment, records = base.run.segment, base.run.records
        vectors, models = (*base.run.vectors, *written), (*base.models, *one.models)
    keys = found.get((one.first, _KEYS))
    if not one.keys and base is not None:
        keys = base.run.keys
    dead = planning.erased_within(gone, one.first, one.last)
    return PublishedRun(one.first, one.last, Run(records, segment, keys, vectors), dead, models)


def _refs(run: Run) -> list[Ref]:
    return [run.segment, *run.vectors, *([run.keys] if run.keys is not None else [])]


def _tips(connection: Transaction, vault: int, through: int) -> tuple[Tip, ...]:
    rows = connection.execute(
        "SELECT device, sequence, header FROM record r WHERE vault = ?1 AND num <= ?2"
        " AND sequence = (SELECT max(sequence) FROM record WHERE vault = ?1 AND num <= ?2"
        "  AND device = r.device) ORDER BY device",
        (vault, through),
    ).fetchall()
    return tuple(Tip(device, sequence, record_hash(header)) for device, sequence, header in rows)
