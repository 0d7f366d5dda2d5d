"""Checking stores: everything that a head names is read back, verified, and opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from haulout.crypto.section import Kind, open_section
from haulout.errors import CodingError, DamagedError, ErasedError, StorageError, VaultError
from haulout.log import chunktable
from haulout.log.chunkmap import decode_chunk_map
from haulout.log.head import Ref, open_head
from haulout.log.published import Published
from haulout.log.segment import decode_keys, decode_segment, decode_vectors, open_codes
from haulout.vault.attachments import chunks
from haulout.vault.opening import Parts
from haulout.vault.stores.remote import Remote
from haulout.vault.stores.store import Store

Report = Callable[[int, int | None], None]
_MOST_PROBLEMS = 50
_READING = (StorageError, CodingError, VaultError)


class RemoteFindings(NamedTuple):
    """What reading everything back found.

    Attributes:
        sections: how many were read and opened; ``bytes``: in all.
        problems: each naming the store and the part.
    """

    sections: int
    bytes: int
    problems: tuple[str, ...]


class _Part(NamedTuple):
    """A section, and what it is of: a run's numbers of records, or a chunk's ID."""

    name: str
    kind: Kind
    ref: Ref
    records: int = 0
    first: int = 0
    last: int = 0
    chunk: bytes = b""


@dataclass(slots=True)
class _Findings:
    sections: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list[str])

    def add(self, problem: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


@dataclass(slots=True)
class _Checking:
    parts: Parts
    secrets: dict[int, bytes]
    found: _Findings

    def of(self, lane: Parts) -> _Checking:
        """The same findings, of another lane's records."""
        return _Checking(lane, self.secrets, self.found)

    def read(self, store: Store, part: _Part) -> bytes | None:
        """A section's content, or None with a problem noted."""
        try:
            data = store.get(part.ref)
            content = open_section(self.secrets, part.kind, self.parts.vault_id, data)
            if part.kind is Kind.SEGMENT:
                self._segment(content, part)
            elif part.kind is Kind.KEYS:
                self._keys(decode_keys(content), part)
            elif part.kind is Kind.VECTORS:
                self._vectors(*decode_vectors(content), part)
            elif part.kind is Kind.CHUNK:
                self._chunk(content, part)
        except _READING as error:
            self.found.add(f"{store.name}, {part.name}: {error.message}")
            return None
        self.found.sections += 1
        self.found.bytes += len(data)
        return content

    def _segment(self, content: bytes, part: _Part) -> None:
        """Compare a segment's records with those of the log here."""
        records = decode_segment(content, self.parts.vault_id)
        if len(records) != part.records:
            raise DamagedError(f"It holds {len(records)} records instead of {part.records}.")
        with self.parts.database.read() as connection:
            for carried in records:
                row = connection.execute(
                    "SELECT header, signature FROM record WHERE vault = ? AND id = ?",
                    (self.parts.vault, carried.header.id),
                ).fetchone()
                if row is None or tuple(row) != (carried.header_bytes, carried.signature):
                    raise DamagedError("A record differs from the log here, or is not in it.")

    def _keys(self, wraps: dict[bytes, bytes], part: _Part) -> None:
        """Compare a run's keys with those here; one that was destroyed since is no problem."""
        with self.parts.database.read() as connection:
            rows = connection.execute(
                "SELECT r.id, k.wrap FROM record r JOIN record_key k ON k.num = r.num"
                " WHERE r.vault = ? AND r.num BETWEEN ? AND ?",
                (self.parts.vault, part.first, part.last),
            )
            wrong = sum(wraps.get(record) != wrap for record, wrap in rows)
        if wrong:
            raise DamagedError(f"{wrong} keys differ from those here, or are not in it.")

    def _vectors(self, model: str, boxes: dict[bytes, bytes], part: _Part) -> None:
        """Open the vectors of a run's records, but for those that were erased since."""
        journal = self.parts.journal
        with self.parts.database.read() as connection:
            for record, box in boxes.items():
                num = journal.find(connection, record)
                if num is None or not part.first <= num <= part.last:
                    raise DamagedError("It has vectors of records of another run.")
                with suppress(ErasedError):
                    key = journal.record_key(connection, journal.stored(connection, num))
                    open_codes(key, record, model, box)

    def _chunk(self, sealed: bytes, part: _Part) -> None:
        """Open a chunk, unless nothing here uses it any more."""
        with self.parts.database.read() as connection:
            row = chunktable.row_of(connection, self.parts.vault, part.chunk)
            spaces = chunks.spaces(connection, self.parts.vault)
        if row is not None:
            chunks.verify(sealed, self.parts.vault_id, spaces[row.namespace], row)


def check_stores(
    parts: Parts, remote: Remote, report: Report, states: Parts | None = None
) -> RemoteFindings:
    """Read back everything that the vault's newest heads name.

    Args:
        parts: the open vault; ``remote``: its stores; ``report``: called with parts that are done.
        states: the state lane's database and journal; None where there is none that opens.

    Raises:
        NotFoundError: as `Remote.store` raises; problems of a store are findings.
    """
    with parts.database.read() as connection:
        parts.journal.refresh_keys(connection)
    checking = _Checking(parts, parts.journal.keychain.user_secrets(), _Findings())
    for row in remote.rows():
        try:
            store = remote.store(row)
        except (StorageError, VaultError) as error:
            checking.found.add(f"{row.kind}: {error.message}")
            continue
        _check_head(checking, store, row.state)
        todo = [(checking, part) for part in _parts(row.state)]
        if states is not None and row.state.states is not None:
            _check_head(checking, store, row.state.states)
            theirs = checking.of(states)
            todo += [(theirs, part) for part in _parts(row.state.states, "states, ")]
        for done, (lane, part) in enumerate(todo, 1):
            content = lane.read(store, part)
            if part.kind is Kind.CHUNK_MAP and content is not None:
                for chunk, ref in decode_chunk_map(content).items():
                    checking.read(
                        store, _Part(f"chunk {chunk.hex()}", Kind.CHUNK, ref, chunk=chunk)
                    )
            report(done, len(todo))
    found = checking.found
    return RemoteFindings(found.sections, found.bytes, tuple(found.problems))


def _check_head(checking: _Checking, store: Store, state: Published) -> None:
    """See that the head which this disk knows is among those that the store gives."""
    if not state.head:
        return
    try:
        if state.place is None:
            there = state.head in [copy.data for copy in store.heads()]
        else:  # it has no name: it is where it was put
            there = store.get(state.place) == state.head
        if not there:
            message = f"{store.name}: the head that was published is not there any more."
            checking.found.add(message)
        open_head(state.head, checking.parts.vault_id, checking.secrets)
    except _READING as error:
        checking.found.add(f"{store.name}, head: {error.message}")


def _parts(state: Published, of: str = "") -> Iterator[_Part]:
    """Every section that a store's head names."""
    for number, published in enumerate(state.runs, 1):
        run, name = published.run, f"{of}run {number}"
        yield _Part(f"{name}, segment", Kind.SEGMENT, run.segment, run.records)
        if run.keys is not None:
            yield _Part(
                f"{name}, keys", Kind.KEYS, run.keys, first=published.first, last=published.last
            )
        for ref in run.vectors:
            yield _Part(
                f"{name}, vectors", Kind.VECTORS, ref, first=published.first, last=published.last
            )
    for one in state.chunks:
        yield _Part(f"map {one.number} of attachments", Kind.CHUNK_MAP, one.ref)
