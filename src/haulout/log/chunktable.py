"""The tables of chunks: their keys, and what uses them (docs/spec/attachment.md).

A chunk is used by the records whose payloads name it, by the lists that name it, and by attaches
under way. When the last use ends, its row with its key goes in the same transaction, and its ID
is noted in `chunk_gone` until its file is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from haulout.crypto.keys import Entropy
from haulout.database.transaction import Transaction
from haulout.errors import ConflictError
from haulout.log.attachment import LIST_BYTES, Chunk

IDLE_US = 3_600_000_000
"""An attach that was not heard of for an hour is over."""


class Use(IntEnum):
    """What a use's holder is."""

    RECORD = 0
    LIST = 1
    ATTACH = 2


class Row(NamedTuple):
    """A chunk as the table has it.

    Attributes:
        chunk: its local number; ``namespace``: the namespace's local number.
        id, level, size, key: as in `log.attachment.Chunk`; size is that of its own content.
    """

    chunk: int
    namespace: int
    id: bytes
    level: int
    size: int
    key: bytes


_ROW = "SELECT c.chunk, c.namespace, c.id, c.level, c.size, c.key FROM chunk c"
_USED = f"EXISTS (SELECT 1 FROM chunk_use u WHERE u.chunk = c.chunk AND u.kind < {int(Use.ATTACH)})"


def content_size(chunk: Chunk) -> int:
    """How many bytes a chunk's own content has: a list's are always as many."""
    return LIST_BYTES if chunk.level else chunk.size


def row_of(connection: Transaction, vault: int, chunk: bytes) -> Row | None:
    """The row of the chunk with an ID."""
    found = connection.execute(f"{_ROW} WHERE c.vault = ? AND c.id = ?", (vault, chunk)).fetchone()
    return Row(*found) if found else None


def rows_in_use(connection: Transaction, vault: int) -> Iterator[Row]:
    """Every chunk that a record or list uses, by number."""
    found = connection.execute(f"{_ROW} WHERE c.vault = ? AND {_USED} ORDER BY c.chunk", (vault,))
    return (Row(*row) for row in found)


def rows(connection: Transaction, vault: int, after: int = 0, limit: int = 500) -> list[Row]:
    """Chunks with a higher number than ``after``, at most ``limit``, by number."""
    sql = f"{_ROW} WHERE c.vault = ? AND c.chunk > ? ORDER BY c.chunk LIMIT ?"
    return [Row(*row) for row in connection.execute(sql, (vault, after, limit)).fetchall()]


# ---------------------------------------------------------------------- uses


def ensure(connection: Transaction, vault: int, namespace: int, chunk: Chunk) -> int:
    """The number of a chunk's row, made where there is none."""
    row = row_of(connection, vault, chunk.id)
    if row is not None:
        return row.chunk
    connection.execute("DELETE FROM chunk_gone WHERE vault = ? AND id = ?", (vault, chunk.id))
    connection.execute(
        "INSERT INTO chunk (vault, namespace, id, level, size, key) VALUES (?, ?, ?, ?, ?, ?)",
        (vault, namespace, chunk.id, chunk.level, content_size(chunk), chunk.key),
    )
    return connection.last_insert_rowid()


def use(connection: Transaction, vault: int, kind: Use, holder: int, chunk: int) -> None:
    """Note that a holder uses a chunk."""
    connection.execute(
        "INSERT OR IGNORE INTO chunk_use VALUES (?, ?, ?, ?)", (int(kind), holder, chunk, vault)
    )


def use_by_record(connection: Transaction, vault: int, num: int, chunks: Sequence[Chunk]) -> None:
    """Note that a record names these chunks, all of which have rows.

    Raises:
        ConflictError: one has none: the attach that made them was taken for over.
    """
    for chunk in chunks:
        row = row_of(connection, vault, chunk.id)
        if row is None or row.key != chunk.key:
            raise _taken_for_over()
        use(connection, vault, Use.RECORD, num, row.chunk)


def names_any(connection: Transaction, chunk: int) -> bool:
    """Whether it is noted what the list with a row's number names."""
    row = connection.execute(
        "SELECT 1 FROM chunk_use WHERE kind = ? AND holder = ? LIMIT 1", (int(Use.LIST), chunk)
    ).fetchone()
    return row is not None


def used_by(connection: Transaction, kind: Use, holder: int) -> list[bytes]:
    """IDs of the chunks that a holder uses itself."""
    rows = connection.execute(
        "SELECT c.id FROM chunk_use u JOIN chunk c ON c.chunk = u.chunk"
        " WHERE u.kind = ? AND u.holder = ?",
        (int(kind), holder),
    )
    return [row[0] for row in rows]


def release(connection: Transaction, vault: int, kind: Use, holder: int) -> None:
    """End a holder's uses; what nothing uses any more goes, with its key."""
    held = connection.execute(
        "SELECT chunk FROM chunk_use WHERE kind = ? AND holder = ?", (int(kind), holder)
    ).fetchall()
    connection.execute("DELETE FROM chunk_use WHERE kind = ? AND holder = ?", (int(kind), holder))
    for (chunk,) in held:
        _drop_if_unused(connection, vault, chunk)


def _drop_if_unused(connection: Transaction, vault: int, chunk: int) -> None:
    used = connection.execute(
        "SELECT 1 FROM chunk_use WHERE chunk = ? LIMIT 1", (chunk,)
    ).fetchone()
    if used:
        return
    row = connection.execute("SELECT id, level FROM chunk WHERE chunk = ?", (chunk,)).fetchone()
    if row is None:
        return
    connection.execute("DELETE FROM chunk WHERE chunk = ?", (chunk,))
    connection.execute("INSERT OR IGNORE INTO chunk_gone VALUES (?, ?)", (vault, row[0]))
    if row[1]:
        release(connection, vault, Use.LIST, chunk)


# ---------------------------------------------------------------------- attaches under way


def begin(connection: Transaction, vault: int, now: int, *, backup: bool = False) -> int:
    """Note an attach, or a backup, that begins; the answer names it."""
    connection.execute(
        "INSERT INTO attach (vault, backup, moved) VALUES (?, ?, ?)", (vault, int(backup), now)
    )
    return connection.last_insert_rowid()


def moved(connection: Transaction, attach: int, now: int) -> None:
    """Note that an attach goes on.

    Raises:
        ConflictError: it was taken for over.
    """
    connection.execute("UPDATE attach SET moved = ? WHERE attach = ?", (now, attach))
    if not connection.changes():
        raise _taken_for_over()


def _taken_for_over() -> ConflictError:
    message = "Nothing was heard of this for an hour, so what it had written was cleared."
    return ConflictError(message, hint="Do it again.")


def take(
    connection: Transaction,
    vault: int,
    attach: int,
    namespace: int,
    wanted: Iterable[tuple[bytes, int, int]],
    entropy: Entropy,
) -> list[Row]:
    """The rows of chunks that an attach writes or finds: (ID, level, content's size) each."""
    taken: list[Row] = []
    for chunk, level, size in wanted:
        row = row_of(connection, vault, chunk)
        if row is None:
            key = entropy(32)
            number = ensure(connection, vault, namespace, Chunk(level, size, chunk, key))
            row = Row(number, namespace, chunk, level, size, key)
        use(connection, vault, Use.ATTACH, attach, row.chunk)
        taken.append(row)
    return taken


def take_list(
    connection: Transaction, vault: int, attach: int, made: int, members: Iterable[bytes]
) -> None:
    """Note what a list names, by the number of its row; it holds them in the attach's place.

    Raises:
        ConflictError: one of them has no row: the attach that made it was taken for over.
    """
    for member in members:
        row = row_of(connection, vault, member)
        if row is None:
            raise _taken_for_over()
        use(connection, vault, Use.LIST, made, row.chunk)
        connection.execute(
            "DELETE FROM chunk_use WHERE kind = ? AND holder = ? AND chunk = ?",
            (int(Use.ATTACH), attach, row.chunk),
        )


def end(connection: Transaction, vault: int, attach: int) -> None:
    """End an attach: what no record has taken over goes."""
    release(connection, vault, Use.ATTACH, attach)
    connection.execute("DELETE FROM attach WHERE attach = ?", (attach,))


def end_idle(connection: Transaction, vault: int, now: int) -> int:
    """End what was not heard of for an hour; say how many there were."""
    idle = connection.execute(
        "SELECT attach FROM attach WHERE vault = ? AND moved < ?", (vault, now - IDLE_US)
    ).fetchall()
    for (attach,) in idle:
        end(connection, vault, attach)
    return len(idle)


def end_all(connection: Transaction, vault: int) -> None:
    """End everything that was under way: in a copy of a database nothing is."""
    for (attach,) in connection.execute(
        "SELECT attach FROM attach WHERE vault = ?", (vault,)
    ).fetchall():
        end(connection, vault, attach)


def backup_is_under_way(connection: Transaction, vault: int, now: int) -> bool:
    """Whether files must stay for a backup that reads them."""
    row = connection.execute(
        "SELECT 1 FROM attach WHERE vault = ? AND backup = 1 AND moved >= ?", (vault, now - IDLE_US)
    ).fetchone()
    return row is not None


def held_by_attaches(connection: Transaction, vault: int, chunks: Iterable[bytes]) -> int:
    """How many of these chunks stand only because an attach under way uses them."""
    found = 0
    for chunk in chunks:
        row = row_of(connection, vault, chunk)
        if row is not None:
            used = connection.execute(
                f"SELECT 1 FROM chunk c WHERE c.chunk = ? AND {_USED}", (row.chunk,)
            ).fetchone()
            found += used is None
    return found


# ---------------------------------------------------------------------- files to remove


def gone(connection: Transaction, vault: int, limit: int) -> list[bytes]:
    """IDs of chunks whose files are still to be removed, at most ``limit``."""
    sql = "SELECT id FROM chunk_gone WHERE vault = ? LIMIT ?"
    return [row[0] for row in connection.execute(sql, (vault, limit)).fetchall()]


def removed(connection: Transaction, vault: int, chunks: Iterable[bytes]) -> None:
    """Note that files are removed."""
    connection.executemany(
        "DELETE FROM chunk_gone WHERE vault = ? AND id = ?", [(vault, chunk) for chunk in chunks]
    )
