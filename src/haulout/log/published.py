"""What is published of a lane, store by store: the tables, and the values in them.

A publication is written down whole before its first byte leaves (`intend`), carried out, and
noted as done (`done`). Between the two a crash leaves an intent that the next sync carries on:
the same packs under the same blob IDs, which a store that has them already does not take twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from haulout.database.transaction import Transaction
from haulout.log.head import Ref, Run
from haulout.log.lifetimes import Seen

PUBLISHED_TABLES = """
CREATE TABLE store (
    store INTEGER PRIMARY KEY,
    vault INTEGER NOT NULL,
    kind TEXT NOT NULL,                -- volumes or walrus
    settings TEXT NOT NULL,            -- JSON: a volume layout, or a network's URLs; no secret
    state BLOB NOT NULL,               -- MessagePack: Published
    intent BLOB,                       -- MessagePack: Intent; NULL where nothing is under way
    seen BLOB                          -- MessagePack: lifetimes.Seen; NULL where it has no epochs
);
CREATE TABLE remote_blob (
    store INTEGER NOT NULL,
    blob BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    lasting INTEGER NOT NULL,          -- 1: segments, vectors, chunks; 0: keys, maps, heads
    there INTEGER NOT NULL,            -- 0: intended; 1: the store has confirmed it
    until INTEGER,                     -- first epoch without it; NULL: while the store stands
    attempt BLOB,                      -- what was written down before it was paid for; the store's
    PRIMARY KEY (store, blob)
) WITHOUT ROWID;
CREATE TABLE remote_chunk (
    store INTEGER NOT NULL,
    chunk BLOB NOT NULL,               -- an attachment chunk's ID
    blob BLOB NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest BLOB NOT NULL,
    map INTEGER NOT NULL,              -- which map of the head names it
    PRIMARY KEY (store, chunk)
) WITHOUT ROWID;
CREATE INDEX remote_chunk_blob ON remote_chunk (store, blob);
"""
"""The fourth step of the schema."""
_EXPECT = (
    "INSERT OR IGNORE INTO remote_blob (store, blob, bytes, lasting, there) VALUES (?, ?, ?, ?, 0)"
)


class Published(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one store holds, as its newest head says.

    Attributes:
        number: the head's number; 0 before the first.
        head: the head's bytes as stored; empty before the first.
        place: where a head stands that has no name, as on Walrus.
        through: the number of the newest record that is published.
        runs: every run with the numbers of its first and last record and its segment's size.
        chunks: the maps of attachment chunks.
        at: when, microseconds.
        replaces: name and bytes of another device's head that this copy was restored from; the
            first publication puts its own in that place, so that the other device goes on no more.
        settings: where the store was when the head was made, as the head says it.
        states: the same of the state lane, whose numbers are those of its own database; None
            before its first head. It has no chunks.
    """

    number: int = 0
    head: bytes = b""
    place: Ref | None = None
    through: int = 0
    runs: tuple[PublishedRun, ...] = ()
    chunks: tuple[PublishedMap, ...] = ()
    at: int = 0
    replaces: tuple[tuple[str, bytes], ...] = ()
    settings: str = ""
    states: Published | None = None

    def named(self) -> set[bytes]:
        """The blobs that hold what the heads of both lanes name, and heads that have no name.

        Those of attachment chunks are named by maps, and are not among them.
        """
        return self.named_here() | (self.states.named_here() if self.states else set())

    def named_here(self) -> set[bytes]:
        """The same of this lane alone."""
        refs = [*(one.ref for one in self.chunks), *([self.place] if self.place else [])]
        for one in self.runs:
            refs += [one.run.segment, *one.run.vectors, *([one.run.keys] if one.run.keys else [])]
        return {ref.blob for ref in refs}


class PublishedRun(NamedTuple):
    """A run, and which records of this copy it is made of.

    Attributes:
        first, last: numbers of its first and last record; it holds all between them.
        run: what the head says of it.
        erased: how many of its records had been erased when it was written.
        models: the models whose vectors are with it.
    """

    first: int
    last: int
    run: Run
    erased: int
    models: tuple[str, ...]


class PublishedMap(NamedTuple):
    """A map of attachment chunks: which of the store's it is, its content's SHA-256, its place."""

    number: int
    content: bytes
    ref: Ref


class Pack(NamedTuple):
    """One blob of a publication; its bytes wait in the vault's outbox under its ID.

    Attributes:
        blob: its 32-byte blob ID; ``size``: its bytes.
        lasting: whether what it holds lives as long as the vault, and no key stands in it.
    """

    blob: bytes
    size: int
    lasting: bool


class Intent(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A publication that is under way.

    Attributes:
        packs: its blobs, in the order in which they are sent.
        after: what is published once its head stands.
    """

    packs: tuple[Pack, ...]
    after: Published


class StoreRow(NamedTuple):
    """A store of the vault, as it is kept in the database."""

    number: int
    kind: str
    settings: str
    state: Published
    intent: Intent | None
    seen: Seen | None = None


def stores(connection: Transaction, vault: int) -> list[StoreRow]:
    """The stores of a vault, in the order they were added."""
    rows = connection.execute(
        "SELECT store, kind, settings, state, intent, seen FROM store WHERE vault = ?"
        " ORDER BY store",
        (vault,),
    ).fetchall()
    return [
        StoreRow(
            number,
            kind,
            settings,
            msgspec.msgpack.decode(state, type=Published),
            None if intent is None else msgspec.msgpack.decode(intent, type=Intent),
            None if seen is None else msgspec.msgpack.decode(seen, type=Seen),
        )
        for number, kind, settings, state, intent, seen in rows
    ]


def add_store(
    connection: Transaction, vault: int, kind: str, settings: str, state: Published
) -> int:
    """Add a store; return its number."""
    connection.execute(
        "INSERT INTO store (vault, kind, settings, state) VALUES (?, ?, ?, ?)",
        (vault, kind, settings, msgspec.msgpack.encode(state)),
    )
    return connection.last_insert_rowid()


def change_settings(connection: Transaction, store: int, settings: str) -> None:
    """Say anew where a store's bytes are."""
    connection.execute("UPDATE store SET settings = ? WHERE store = ?", (settings, store))


def learn(connection: Transaction, store: int, seen: Seen) -> None:
    """Note which epoch a store is in, and how long that is known."""
    connection.execute(
        "UPDATE store SET seen = ? WHERE store = ?", (msgspec.msgpack.encode(seen), store)
    )


def remove_store(connection: Transaction, store: int) -> None:
    """Forget a store and all that is known of it; its bytes stay where they are."""
    for table in ("store", "remote_blob", "remote_chunk"):
        connection.execute(f"DELETE FROM {table} WHERE store = ?", (store,))


def intend(connection: Transaction, store: int, intent: Intent) -> None:
    """Write a publication down before its first byte is sent."""
    connection.execute(
        "UPDATE store SET intent = ? WHERE store = ?", (msgspec.msgpack.encode(intent), store)
    )
    connection.executemany(
        _EXPECT, [(store, pack.blob, pack.size, int(pack.lasting)) for pack in intent.packs]
    )


def attempted(connection: Transaction, store: int, blob: bytes, attempt: bytes) -> None:
    """Note how a blob is about to be paid for."""
    connection.execute(
        "UPDATE remote_blob SET attempt = ? WHERE store = ? AND blob = ?", (attempt, store, blob)
    )


def confirmed(connection: Transaction, store: int, blob: bytes, until: int | None) -> None:
    """Note that a store has a blob, and until which epoch."""
    connection.execute(
        "UPDATE remote_blob SET there = 1, until = ?, attempt = NULL WHERE store = ? AND blob = ?",
        (until, store, blob),
    )


def give_up(connection: Transaction, store: int) -> None:
    """Let a publication go that cannot be carried on; what stands is what its head says."""
    connection.execute("UPDATE store SET intent = NULL WHERE store = ?", (store,))


def done(connection: Transaction, store: int, state: Published) -> None:
    """Note that a publication's head stands."""
    connection.execute(
        "UPDATE store SET state = ?, intent = NULL WHERE store = ?",
        (msgspec.msgpack.encode(state), store),
    )


class RemoteBlob(NamedTuple):
    """A blob that a store has, or was to have.

    Attributes:
        size: its bytes; 0 where it was taken over from another device.
        until: the first epoch without it; None where the store has no epochs, or where it was
            taken over from another device and the store was not asked yet.
        attempt: how it is being paid for; None where nothing is under way.
    """

    blob: bytes
    size: int
    lasting: bool
    there: bool
    until: int | None
    attempt: bytes | None = None


def blobs(connection: Transaction, store: int) -> list[RemoteBlob]:
    """Every blob that was sent to a store and not removed since."""
    rows = connection.execute(
        "SELECT blob, bytes, lasting, there, until, attempt FROM remote_blob WHERE store = ?",
        (store,),
    ).fetchall()
    return [RemoteBlob(a, b, bool(c), bool(d), e, f) for a, b, c, d, e, f in rows]


def inherit(connection: Transaction, store: int, found: Iterable[bytes]) -> None:
    """Take over blobs that another device published, to care for them from here on."""
    connection.executemany(
        "INSERT OR IGNORE INTO remote_blob (store, blob, bytes, lasting, there)"
        " VALUES (?, ?, 0, 1, 1)",
        [(store, blob) for blob in found],
    )


def forget_blob(connection: Transaction, store: int, blob: bytes) -> None:
    """Note that a blob is no longer in a store, or no longer ours to care for."""
    connection.execute("DELETE FROM remote_blob WHERE store = ? AND blob = ?", (store, blob))


# ---------------------------------------------------------------------- attachment chunks


CHUNKS_IN_A_MAP = 2048


class ChunkPlace(NamedTuple):
    """Where an attachment's chunk stands in a store, and which map names it."""

    chunk: bytes
    ref: Ref
    map: int


def intend_chunks(
    connection: Transaction, store: int, pack: Pack, places: Sequence[tuple[bytes, Ref]]
) -> None:
    """Write down a pack of chunks before its first byte is sent."""
    row = connection.execute(
        "SELECT max(map), count(*) FROM remote_chunk WHERE store = ?1 AND map ="
        " (SELECT max(map) FROM remote_chunk WHERE store = ?1)",
        (store,),
    ).fetchone()
    last, count = row if row and row[0] is not None else (0, 0)
    number = last + (count + len(places) > CHUNKS_IN_A_MAP and count > 0)
    connection.execute(_EXPECT, (store, pack.blob, pack.size, int(pack.lasting)))
    connection.executemany(
        "INSERT OR REPLACE INTO remote_chunk VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(store, chunk, *ref, number) for chunk, ref in places],
    )


def inherit_chunks(
    connection: Transaction, store: int, places: Iterable[tuple[bytes, Ref]], number: int
) -> None:
    """Take over what another device's map says."""
    connection.executemany(
        "INSERT OR REPLACE INTO remote_chunk VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(store, chunk, *ref, number) for chunk, ref in places],
    )


def chunk_places(connection: Transaction, store: int) -> list[ChunkPlace]:
    """Where each chunk stands in a store, or is to stand, in the order of maps and packs."""
    rows = connection.execute(
        "SELECT chunk, blob, offset, length, digest, map FROM remote_chunk WHERE store = ?"
        " ORDER BY map, blob, offset",
        (store,),
    ).fetchall()
    return [ChunkPlace(row[0], Ref(*row[1:5]), row[5]) for row in rows]


def chunk_place(connection: Transaction, store: int, chunk: bytes) -> Ref | None:
    """Where one chunk stands in a store; None where it does not."""
    row = connection.execute(
        "SELECT blob, offset, length, digest FROM remote_chunk WHERE store = ? AND chunk = ?",
        (store, chunk),
    ).fetchone()
    return Ref(*row) if row else None


def forget_chunks(connection: Transaction, store: int, chunks: Iterable[bytes]) -> None:
    """Note that chunks are published no more."""
    connection.executemany(
        "DELETE FROM remote_chunk WHERE store = ? AND chunk = ?", [(store, one) for one in chunks]
    )
