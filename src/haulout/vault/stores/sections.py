"""Sections of a run: records, record keys and vectors, read from the database and sealed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from haulout.crypto.keys import Entropy
from haulout.crypto.section import Kind, seal_section
from haulout.database.rightofway import RightOfWay
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.log.journal import Journal, Stored
from haulout.log.record import decode_header
from haulout.log.segment import (
    RECORD_OVERHEAD,
    SEGMENT_BYTES,
    Carried,
    encode_keys,
    encode_segment,
    encode_vectors,
    seal_codes,
)

_KEYED = (
    "FROM record r JOIN record_key k ON k.num = r.num WHERE r.vault = ? AND r.num BETWEEN ? AND ?"
)


_VECTOR_OVERHEAD = 24
"""What a record's vectors take in a section beside their own bytes: its ID, and lengths."""
_VECTOR_BYTES = SEGMENT_BYTES - 4096


class Sections:
    """Seals what a lane publishes.

    Args:
        journal: the lane; ``secrets``: user keys by generation; ``entropy``: random bytes.
        way: given between two records.
    """

    def __init__(
        self, journal: Journal, secrets: Mapping[int, bytes], entropy: Entropy, way: RightOfWay
    ) -> None:
        self._journal, self._secrets, self._entropy = journal, secrets, entropy
        self._way = way

    def of(self, journal: Journal) -> Sections:
        """The same for another lane."""
        return Sections(journal, self._secrets, self._entropy, self._way)

    def seal(self, kind: Kind, content: bytes) -> bytes:
        """Seal any content as a section of this vault."""
        return seal_section(self._secrets, kind, self._journal.vault_id, content, self._entropy)

    def _stored(self, connection: Transaction, first: int, last: int) -> list[Stored]:
        rows = connection.execute(
            "SELECT num, header, signature, payload FROM record"
            " WHERE vault = ? AND num BETWEEN ? AND ? ORDER BY num",
            (self._journal.vault, first, last),
        )
        return [
            Stored(num, decode_header(header), header, signature, payload)
            for num, header, signature, payload in self._way.along(rows)
        ]

    def segment(self, connection: Transaction, first: int, last: int) -> bytes:
        """The sealed segment of the records from ``first`` to ``last``.

        Raises:
            DamagedError: one of them is missing.
        """
        records = [
            Carried(stored.header, stored.header_bytes, stored.signature, stored.payload)
            for stored in self._stored(connection, first, last)
        ]
        if len(records) != last - first + 1:
            message = f"Of records number {first} to {last}, some are missing."
            raise DamagedError(message)
        return self.seal(Kind.SEGMENT, encode_segment(self._journal.lane, self._way.along(records)))

    def keys(self, connection: Transaction, first: int, last: int) -> bytes | None:
        """The sealed key chunk of a run; None where no key of it is left."""
        rows = connection.execute(
            f"SELECT r.id, k.wrap {_KEYED}", (self._journal.vault, first, last)
        ).fetchall()
        return self.seal(Kind.KEYS, encode_keys(self._way.along(rows))) if rows else None

    def vectors(
        self, connection: Transaction, first: int, last: int, model: str
    ) -> Iterator[bytes]:
        """The sealed vectors of a run and a model, each under its record's key.

        In as many sections as they need to be of a segment's size: a short text has more bytes of
        vectors than of words.
        """
        codes: defaultdict[int, list[bytes]] = defaultdict(list)
        for num, row in connection.execute(
            "SELECT v.num, v.codes FROM vector v JOIN model m ON m.model = v.model"
            " WHERE m.vault = ? AND m.name = ? AND v.num BETWEEN ? AND ? ORDER BY v.num, v.part",
            (self._journal.vault, model, first, last),
        ):
            codes[num].append(row)
        sealed: dict[bytes, bytes] = {}
        size = 0
        for num, parts in self._way.along(codes.items()):
            stored = self._journal.stored(connection, num)
            key = self._journal.record_key(connection, stored)
            box = seal_codes(key, stored.header.id, model, parts)
            if sealed and size + len(box) > _VECTOR_BYTES:
                yield self.seal(
                    Kind.VECTORS, encode_vectors(model, self._way.along(sealed.items()))
                )
                sealed, size = {}, 0
            sealed[stored.header.id] = box
            size += len(box) + _VECTOR_OVERHEAD
        yield self.seal(Kind.VECTORS, encode_vectors(model, self._way.along(sealed.items())))

    def ready(self, connection: Transaction, first: int, last: int) -> tuple[str, ...]:
        """The models of which no vector of a run is waited for, and there is one."""
        waiting = connection.execute(
            "SELECT 1 FROM embed_queue WHERE vault = ? AND num BETWEEN ? AND ? LIMIT 1",
            (self._journal.vault, first, last),
        ).fetchone()
        rows = connection.execute(
            "SELECT DISTINCT m.name FROM vector v JOIN model m ON m.model = v.model"
            " WHERE m.vault = ? AND v.num BETWEEN ? AND ? AND m.name NOT LIKE 'caller/%'"
            " ORDER BY m.name",
            (self._journal.vault, first, last),
        ).fetchall()
        return () if waiting else tuple(row[0] for row in rows)


def fresh(connection: Transaction, vault: int, through: int, most: int) -> list[tuple[int, int]]:
    """Number and size in a segment of the first ``most`` records after ``through``."""
    return connection.execute(
        "SELECT num, coalesce(length(payload), 0) + ? FROM record"
        " WHERE vault = ? AND num > ? ORDER BY num LIMIT ?",
        (RECORD_OVERHEAD, vault, through, most),
    ).fetchall()


def erased(connection: Transaction, vault: int) -> list[int]:
    """The numbers of all records that were erased, in order."""
    rows = connection.execute(
        "SELECT num FROM record WHERE vault = ? AND payload IS NULL ORDER BY num", (vault,)
    )
    return [row[0] for row in rows]
