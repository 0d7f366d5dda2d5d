"""The seam of attachments: which chunks are in use, and their sealed bytes, out and back in.

For whoever takes chunks elsewhere (a store, a backup) and brings them back:

    in_use       every chunk that a record or list uses, with its sealed size
    read_sealed  one chunk's sealed bytes by ID
    missing      those in use whose file is not here, or has another length
    put_sealed   one chunk's sealed bytes, verified under the key that the log gives
    settle       make durable what was put, once for all of it

A list of chunks names others, which are known once it is here: to bring everything back, put
what is `missing`, and ask again until nothing is put. Processes may write, read and remove files
at once; docs/spec/attachment.md says in which order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from haulout.crypto.chunk import OVERHEAD_BYTES, ChunkContext, open_chunk
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, NotFoundError, StorageError
from haulout.log import chunktable
from haulout.log.attachment import Chunk, decode_list
from haulout.log.chunktable import Row
from haulout.vault.attachments.chunkfiles import ChunkFiles, Kept
from haulout.vault.opening import Parts

_REMOVED_AT_ONCE = 64
_MANY = 16


class Space(NamedTuple):
    """A namespace: its local number, and its 16-byte ID."""

    number: int
    id: bytes


def spaces(connection: Transaction, vault: int) -> dict[int, bytes]:
    """The IDs of all namespaces, by local number."""
    return dict(
        connection.execute(
            "SELECT namespace, id FROM namespace WHERE vault = ?", (vault,)
        ).fetchall()
    )


def opened(files: ChunkFiles, vault_id: bytes, namespace: bytes, chunk: Chunk) -> bytes:
    """The content of a chunk that a manifest or list names.

    Raises:
        BlobMissingError: its file is missing; DamagedError, VaultVersionError: it does not open.
    """
    try:
        return _opened(files.read(chunk.id), vault_id, namespace, chunk)
    except DamagedError:
        if files.here is files:
            raise
        files.remove([chunk.id])  # this disk's copy; the next read fetches it
    return _opened(files.read(chunk.id), vault_id, namespace, chunk)


def verify(sealed: bytes, vault_id: bytes, namespace: bytes, row: Row) -> bytes:
    """The content of a chunk's sealed bytes, as its row says it must be.

    Raises:
        DamagedError, VaultVersionError: they are not its bytes.
    """
    chunk = Chunk(row.level, row.size, row.id, row.key)
    return _opened(sealed, vault_id, namespace, chunk)


def _opened(sealed: bytes, vault_id: bytes, namespace: bytes, chunk: Chunk) -> bytes:
    content = open_chunk(
        chunk.key, sealed, ChunkContext(vault_id, namespace, chunk.level, chunk.id)
    )
    if chunk.level == 0 and len(content) != chunk.size:
        message = f"Chunk {chunk.id.hex()} has {len(content)} bytes, not {chunk.size}."
        raise DamagedError(message)
    return content


def members(files: ChunkFiles, vault_id: bytes, namespace: bytes, chunk: Chunk) -> list[Chunk]:
    """The chunks that a list names. Raises as `opened`."""
    return decode_list(chunk.level, opened(files, vault_id, namespace, chunk))


# ---------------------------------------------------------------------- out and back in


def in_use(parts: Parts) -> Iterator[Kept]:
    """Every chunk that a record or list uses, by number, with the size of its sealed bytes."""
    with parts.database.read() as connection:
        found = [(row.id, row.size) for row in chunktable.rows_in_use(connection, parts.vault)]
    return (Kept(chunk, size + OVERHEAD_BYTES) for chunk, size in found)


def missing(parts: Parts) -> list[Kept]:
    """Chunks in use whose file is not here, or has another length than it should."""
    return [one for one in in_use(parts) if parts.files.size(one.id) != one.sealed]


def read_sealed(parts: Parts, chunk: bytes) -> bytes:
    """The sealed bytes of the chunk with an ID; whoever puts them somewhere need not open them.

    Raises:
        BlobMissingError: its file is missing; StorageError: it cannot be read.
    """
    return parts.files.read(chunk)


def put_sealed(parts: Parts, chunk: bytes, sealed: bytes) -> None:
    """Keep a chunk's sealed bytes, once they are verified; `settle` makes them durable.

    Raises:
        NotFoundError: nothing here names such a chunk (any more); nothing is written.
        DamagedError, VaultVersionError: these are not its bytes; nothing is written.
        DiskFullError, StorageError: they are not kept.
    """
    with parts.database.read() as connection:
        row = chunktable.row_of(connection, parts.vault, chunk)
        if row is None:
            message = f"No attachment of this vault has a chunk {chunk.hex()}."
            raise NotFoundError(message)
        namespace = spaces(connection, parts.vault)[row.namespace]
    content = verify(sealed, parts.vault_id, namespace, row)
    named = decode_list(row.level, content) if row.level else []
    parts.files.write(chunk, sealed)
    if named:
        parts.database.write(
            lambda connection: _learn(connection, parts.vault, row.namespace, row.chunk, named)
        )


def settle(parts: Parts) -> None:
    """Make durable the chunks that were put.

    Raises:
        StorageError: they may not be.
    """
    parts.files.settle()


def _learn(
    connection: Transaction, vault: int, namespace: int, holder: int, named: list[Chunk]
) -> None:
    """Take in what a list names."""
    for chunk in named:
        number = chunktable.ensure(connection, vault, namespace, chunk)
        chunktable.use(connection, vault, chunktable.Use.LIST, holder, number)


# ---------------------------------------------------------------------- files to remove


def sweep(parts: Parts) -> tuple[str, ...]:
    """Remove the files of chunks that nothing uses any more.

    Each few are removed inside a commit: no writer can have made a row for one meanwhile.

    Returns:
        what is still pending, in words.

    Raises:
        StorageError: a file could not be removed; a later sweep goes on.
    """

    def job(connection: Transaction) -> int | None:
        if chunktable.backup_is_under_way(connection, parts.vault, parts.journal.now()):
            return None if chunktable.gone(connection, parts.vault, 1) else 0
        found = chunktable.gone(connection, parts.vault, _REMOVED_AT_ONCE)
        parts.files.remove(found)
        chunktable.removed(connection, parts.vault, found)
        return len(found)

    while True:
        with parts.database.read() as connection:
            if not chunktable.gone(connection, parts.vault, 1):
                return ()
        if parts.database.write(job) is None:
            return ("a backup reads the attachments' files; `haulout check` removes them later",)


def sweep_when_many(parts: Parts) -> None:
    """Sweep once enough has come together to be worth a commit of its own."""
    with parts.database.read() as connection:
        few = len(chunktable.gone(connection, parts.vault, _MANY)) < _MANY
    if not few:
        with suppress(StorageError):  # `check` goes on with it
            sweep(parts)


def remove_strays(parts: Parts) -> int:
    """Remove files of which there is no row, and what interrupted writing left; how many."""
    strays = 0
    found: list[bytes] = []

    def job(connection: Transaction) -> int:
        unknown = [one for one in found if not chunktable.row_of(connection, parts.vault, one)]
        if chunktable.backup_is_under_way(connection, parts.vault, parts.journal.now()):
            return 0
        parts.files.remove(unknown)
        return len(unknown)

    for kept in parts.files.all():
        found.append(kept.id)
        if len(found) == _REMOVED_AT_ONCE:
            strays += parts.database.write(job)
            found.clear()
    if found:
        strays += parts.database.write(job)
    for path in parts.files.strays():
        path.unlink(missing_ok=True)
        strays += 1
    return strays
