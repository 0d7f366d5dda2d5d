"""Copying what a head names into a replica: fetched first, then written in one transaction.

A publisher's runs hold its records by their local numbers, without gaps. A replica inserts them in
the same order and nothing else, so that both number them alike, up to a constant after a new
beginning. Runs are merged from head to head; the records in them never move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from haulout.crypto.section import Kind, open_section
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, VaultError
from haulout.index import lexical, lists
from haulout.log import chain, published
from haulout.log.chunkmap import decode_chunk_map
from haulout.log.head import Ref, Run
from haulout.log.journal import learn_keys
from haulout.log.keychain import Keychain
from haulout.log.published import Published, PublishedMap, PublishedRun, StoreRow
from haulout.log.record import Lane, record_hash
from haulout.log.segment import Carried, decode_keys, decode_segment, decode_vectors
from haulout.vault import inspection, writing
from haulout.vault.opening import Parts
from haulout.vault.stores.newesthead import Found
from haulout.vault.stores.taking import Taking

Report = Callable[[int, int | None], None]


class OtherHistoryError(Exception):
    """The records that a head begins with are not those that are here."""


class Part(NamedTuple):
    """A run of the head, and what of it is fetched.

    Attributes:
        first, last: local numbers of its records; ``run``: what the head says of it.
        segment: whether it has records that are not here.
        keys: whether its key chunk is another one than was taken before.
        vectors: sections that were not taken yet.
        models: of those that were, by digest.
    """

    first: int
    last: int
    run: Run
    segment: bool
    keys: bool
    vectors: tuple[Ref, ...]
    models: dict[bytes, str]


@dataclass(slots=True)
class Copied:
    """What came of it: records and vectors that are new, records erased, what cannot be folded."""

    records: int = 0
    erased: int = 0
    vectors: int = 0
    problems: list[str] = field(default_factory=list[str])

    def add(self, other: Copied) -> None:
        """Count another part's with this."""
        self.records += other.records
        self.erased += other.erased
        self.vectors += other.vectors
        self.problems += other.problems


class Copying:
    """Brings a replica from one head to another, or from nothing.

    Args:
        parts: the replica; ``found``: the head to come to.
        row: the store whose head is here, or that a new one is made from.
        state: of that row; None to begin anew, above all numbers that are here.
    """

    def __init__(self, parts: Parts, found: Found, row: StoreRow, state: Published | None) -> None:
        self._parts, self._found = parts, found
        with parts.database.read() as connection:
            rows = published.stores(connection, parts.vault)
            newest = connection.execute("SELECT max(num) FROM record").fetchone()[0] or 0
        self._before = row
        self.row = next(one for one in rows if one.kind == found.store.kind)
        self._anew = state is None
        self._state = state or Published()
        self._through = newest if state is None else state.through
        self._start = newest if state is None or not state.runs else state.runs[0].first - 1
        self._parts_of_head = list(self._planned())
        self._data: dict[bytes, bytes] = {}
        self._runs: list[PublishedRun] = []

    def _planned(self) -> Iterator[Part]:
        known = {(one.first, one.last): one for one in self._state.runs}
        last = self._start
        for run in self._found.head.runs:
            first, last = last + 1, last + run.records
            before = known.get((first, last))
            fresh = before is None or _digest(before.run.keys) != _digest(run.keys)
            models: dict[bytes, str] = {}
            if before is not None:
                pairs = zip(before.run.vectors, before.models, strict=True)
                models = {ref.digest: model for ref, model in pairs}
            vectors = tuple(ref for ref in run.vectors if ref.digest not in models)
            yield Part(first, last, run, last > self._through, fresh, vectors, models)

    # ------------------------------------------------------------------ fetching

    def fetch(self, report: Report, parts: Sequence[Part] | None = None) -> None:
        """Read what is not here from the store; verified, sealed as it is, and kept in memory.

        Args:
            report: called with records read and their number.
            parts: a group of `steps`, or none of the head for its maps alone; None for all.

        Raises:
            StorageError, CodingError: it cannot be had whole.
        """
        if parts is not None:
            self._data.clear()  # of the group before, which is written
        wanted: dict[Ref, int] = {}
        for part in self._parts_of_head if parts is None else parts:
            if part.segment:
                wanted[part.run.segment] = part.run.records
            if part.keys and part.run.keys is not None:
                wanted.setdefault(part.run.keys, 0)
            wanted |= dict.fromkeys(part.vectors, 0)
        if not parts:
            wanted |= dict.fromkeys(self._maps_to_read(), 0)
        total, done = sum(wanted.values()), 0
        for ref in sorted(wanted):  # those of one blob follow each other, which is then read once
            if ref.digest not in self._data:
                self._data[ref.digest] = self._found.store.get(ref)
            done += wanted[ref]
            report(done, total)

    def steps(self, most_bytes: int) -> Iterator[list[Part]]:
        """The parts of the head in groups of at most so many bytes, for a replica in the making."""
        group: list[Part] = []
        size = 0
        for part in self._parts_of_head:
            refs = [part.run.segment, *part.run.vectors]
            needed = sum(ref.length for ref in refs)
            if group and size + needed > most_bytes:
                yield group
                group, size = [], 0
            group.append(part)
            size += needed
        if group:
            yield group

    def _section(self, kind: Kind, ref: Ref) -> bytes:
        data = self._data[ref.digest]
        return open_section(self._found.secrets, kind, self._parts.vault_id, data)

    def _records(self, part: Part) -> list[Carried]:
        records = decode_segment(
            self._section(Kind.SEGMENT, part.run.segment), self._parts.vault_id
        )
        if len(records) != part.run.records or any(
            one.header.lane != Lane.MEMORY for one in records
        ):
            message = "A segment holds other records than its head says."
            raise DamagedError(message)
        return records

    def lacking(self) -> tuple[int, int]:
        """How many of the records that are here the head does not have, and how many are here."""
        there = {one.header.id for part in self._parts_of_head for one in self._records(part)}
        with self._parts.database.read() as connection:
            rows = connection.execute(
                "SELECT id FROM record WHERE vault = ?", (self._parts.vault,)
            ).fetchall()
        return sum(row[0] not in there for row in rows), len(rows)

    # ------------------------------------------------------------------ writing

    def write(self, connection: Transaction) -> Copied:
        """Insert, erase, fold, and note the head.

        Raises:
            OtherHistoryError: the head begins with other records than those that are here.
            DamagedError: a record, its place or its signature is not genuine.
        """
        self._runs = []
        if self._anew:
            self._empty(connection)
        before = _newest(connection)
        copied = self.write_some(connection, self._parts_of_head)
        self.finish(connection)
        if self._anew:
            self._end_numbers(connection, before)
        return copied

    def write_some(self, connection: Transaction, group: Sequence[Part]) -> Copied:
        """The same for a group of runs, after those before them; `finish` then notes the head."""
        parts, copied = self._parts, Copied()
        before = _newest(connection)
        taking = self._taking(connection)
        destroyed: list[int] = []
        for part in group:
            destroyed += self._take(connection, taking, part, before)
        newest = _newest(connection)
        copied.records, copied.erased = newest - before, len(destroyed)
        self._erase(connection, destroyed, newest)
        parts.journal.refresh_keys(connection)
        inspection.fold_new(connection, parts, before, copied.problems)
        for part in group:
            models = self._take_vectors(connection, taking, part, copied)
            self._runs.append(PublishedRun(part.first, part.last, part.run, 0, models))
        return copied

    def finish(self, connection: Transaction) -> None:
        """Note that the head is here, once all of its runs are."""
        head, copy = self._found.head, self._found.copy
        through = self._runs[-1].last if self._runs else self._start
        if _newest(connection) != through:
            message = "A head names fewer records than it says."
            raise DamagedError(message)
        for tip in head.tips:
            row = _end(connection, self._parts.vault, tip.device)
            if (row.sequence, row.hash) != (tip.sequence, tip.hash):
                message = "A head's records do not end where it says."
                raise DamagedError(message)
        state = Published(
            number=head.number,
            head=copy.data,
            place=copy.place,
            through=through,
            runs=tuple(self._runs),
            chunks=self._take_maps(connection),
            at=head.clock,
            settings=head.stores.decode("utf-8", "replace"),
        )
        if self._before.number != self.row.number:
            _forget_places(connection, self._before.number)
            published.done(connection, self._before.number, Published())
        published.done(connection, self.row.number, state)

    def _taking(self, connection: Transaction) -> Taking:
        device = self._parts.device
        keys = Keychain(self._parts.vault_id, device.id, device.agreement)
        keys.teach(self._found.secrets)
        learn_keys(connection, self._parts.vault, keys)
        ends = {one: _end(connection, self._parts.vault, one) for one in keys.devices}
        return Taking(self._parts, self._found.store, self._found.secrets, keys, ends)

    def _take(self, connection: Transaction, taking: Taking, part: Part, before: int) -> list[int]:
        """Insert what a run brings; the numbers of records here whose keys it has no more."""
        wraps: dict[bytes, bytes] = {}
        if part.keys and part.run.keys is not None:
            wraps = decode_keys(self._section(Kind.KEYS, part.run.keys))
        destroyed: list[int] = []
        if part.keys and part.first <= before:
            rows = connection.execute(
                "SELECT r.num, r.id FROM record r JOIN record_key k ON k.num = r.num"
                " WHERE r.vault = ? AND r.num BETWEEN ? AND ?",
                (self._parts.vault, part.first, min(part.last, before)),
            )
            destroyed = [num for num, name in rows.fetchall() if name not in wraps]
        if part.segment:
            records = self._records(part)
            known = max(0, min(before, part.last) - part.first + 1)
            self._require_same(connection, part.first, records[:known])
            if not self._anew:
                self._require_following(connection, records[known:])
            first, _, _ = taking.insert(connection, records[known:], wraps)
            if first != part.first + known:
                message = "Records of this replica are missing."
                raise DamagedError(message)
        return destroyed

    def _require_same(
        self, connection: Transaction, first: int, records: Sequence[Carried]
    ) -> None:
        rows = connection.execute(
            "SELECT header FROM record WHERE vault = ? AND num BETWEEN ? AND ? ORDER BY num",
            (self._parts.vault, first, first + len(records) - 1),
        ).fetchall()
        if [row[0] for row in rows] != [one.header_bytes for one in records]:
            message = "The newest head has other records in the place of those that are here."
            raise OtherHistoryError(message)

    def _require_following(self, connection: Transaction, records: Sequence[Carried]) -> None:
        """See that what comes of each device goes on from what is here of it."""
        seen: set[bytes] = set()
        for header in (one.header for one in records):
            if header.device not in seen:
                seen.add(header.device)
                end = _end(connection, self._parts.vault, header.device)
                if (header.sequence, header.previous) != (end.sequence + 1, end.hash):
                    message = "The newest head does not go on from the records that are here."
                    raise OtherHistoryError(message)

    def _erase(self, connection: Transaction, nums: Sequence[int], newest: int) -> None:
        """Destroy records whose keys are gone, and what the index holds of their memories."""
        parts, gone = self._parts, list[int]()
        for num in nums:
            row = connection.execute("SELECT memory FROM version WHERE num = ?", (num,)).fetchone()
            if row is not None:
                gone += writing.erase(connection, parts.journal, row[0], newest)
            parts.journal.destroy(connection, num)
        if gone:
            lists.remove(connection, parts.vault, gone)
        if nums:
            inspection.note_pending_scrub(connection, parts.vault)

    def _take_vectors(
        self, connection: Transaction, taking: Taking, part: Part, copied: Copied
    ) -> tuple[str, ...]:
        """Put in a run's vectors; the models of all its sections, in their order."""
        named: dict[bytes, str] = {}
        for ref in part.vectors:
            try:
                model, sealed = decode_vectors(self._section(Kind.VECTORS, ref))
                copied.vectors += taking.insert_vectors(connection, model, sealed)
                named[ref.digest] = model
            except VaultError as error:
                copied.problems.append(f"vectors: {error.message}")
                named[ref.digest] = ""
        return tuple((part.models | named)[ref.digest] for ref in part.run.vectors)

    # ------------------------------------------------------------------ attachments

    def _maps_to_read(self) -> list[Ref]:
        known = {one.ref.digest for one in self._state.chunks}
        return [ref for ref in self._found.head.chunks if ref.digest not in known]

    def _take_maps(self, connection: Transaction) -> tuple[PublishedMap, ...]:
        """Say anew where each chunk of an attachment stands; the maps of the head."""
        known = {one.ref.digest: one for one in self._state.chunks}
        stood: dict[int, list[tuple[bytes, Ref]]] = {}
        for one in published.chunk_places(connection, self._before.number):
            stood.setdefault(one.map, []).append((one.chunk, one.ref))
        maps: list[PublishedMap] = []
        named: list[list[tuple[bytes, Ref]]] = []
        for number, ref in enumerate(self._found.head.chunks):
            before = known.get(ref.digest)
            if before is not None:
                maps.append(PublishedMap(number, before.content, ref))
                named.append(stood.get(before.number, []))
                continue
            content = self._section(Kind.CHUNK_MAP, ref)
            maps.append(PublishedMap(number, hashlib.sha256(content).digest(), ref))
            named.append(list(decode_chunk_map(content).items()))
        _forget_places(connection, self._before.number)
        for number, places in enumerate(named):
            published.inherit_chunks(connection, self.row.number, places, number)
        return tuple(maps)

    # ------------------------------------------------------------------ beginning anew

    def _empty(self, connection: Transaction) -> None:
        """Take everything out; a row stays until the end, so that no number is used twice."""
        vault = self._parts.vault
        newest = _newest(connection)
        for (space,) in connection.execute("SELECT namespace FROM namespace").fetchall():
            lexical.touch(connection, vault, space)
        connection.execute(
            "INSERT OR REPLACE INTO erased SELECT num, vault, ? FROM version", (newest,)
        )
        connection.execute(
            "INSERT OR IGNORE INTO chunk_gone SELECT vault, id FROM chunk WHERE vault = ?", (vault,)
        )
        lists.abandon(connection, vault)
        for table in _EMPTIED:
            connection.execute(f"DELETE FROM {table} WHERE vault = ?", (vault,))
        connection.execute(
            "INSERT INTO record (num, vault, device, sequence, id, type, clock, header, signature)"
            " VALUES (?, ?, x'', 0, x'', 0, 0, x'', x'')",
            (newest, vault),
        )
        self._parts.journal.keychain.learned = newest
        inspection.note_pending_scrub(connection, vault)

    def _end_numbers(self, connection: Transaction, placeholder: int) -> None:
        """Let go of the row that kept the numbers, and tell caches of all that went."""
        vault = self._parts.vault
        connection.execute("DELETE FROM record WHERE num = ?", (placeholder,))
        connection.execute(
            "UPDATE erased SET changed = ? WHERE vault = ? AND num <= ?",
            (_newest(connection), vault, placeholder),
        )
        for (space,) in connection.execute("SELECT namespace FROM namespace").fetchall():
            lexical.touch(connection, vault, space)


_EMPTIED = (
    "record_key", "record", "operation", "namespace", "version", "fresh", "posting", "vector",
    "embed_queue", "chunk_use", "chunk", "attach",
)  # fmt: skip


def _newest(connection: Transaction) -> int:
    """The highest local number of a record."""
    return int(connection.execute("SELECT max(num) FROM record").fetchone()[0] or 0)


def _digest(ref: Ref | None) -> bytes:
    return b"" if ref is None else ref.digest


def _end(connection: Transaction, vault: int, device: bytes) -> chain.Tip:
    """Where a device's chain ends here."""
    row = connection.execute(
        "SELECT sequence, header, clock FROM record WHERE vault = ? AND device = ?"
        " ORDER BY sequence DESC LIMIT 1",
        (vault, device),
    ).fetchone()
    return chain.Tip(row[0], record_hash(row[1]), row[2]) if row else chain.EMPTY


def _forget_places(connection: Transaction, store: int) -> None:
    stood = [one.chunk for one in published.chunk_places(connection, store)]
    published.forget_chunks(connection, store, stood)
