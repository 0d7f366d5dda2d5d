"""Passages as memories: what makes the words inside an attachment recallable.

`bring_up_to_date` compares the passages that stand with the newest version's text, and writes
what is missing, from the last passage on: after an attach that is all of them, after an append
the last one and what came. It may be cut off anywhere and called again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final, NamedTuple

from haulout.database.transaction import Transaction
from haulout.errors import ErasedError, NotFoundError
from haulout.log.attachment import Manifest, PassageOf
from haulout.log.clock import FOREVER
from haulout.log.memory import Content
from haulout.log.record import id_text
from haulout.vault import inspection, writing
from haulout.vault.attachments.chunkreading import opened_at
from haulout.vault.attachments.passages import ends
from haulout.vault.opening import Parts

KIND: Final = "passage"
_AT_ONCE: Final = 100
_READ_BYTES: Final = 64 * 1024


class _Standing(NamedTuple):
    """A passage that is there: its memory's ID, its first byte, how many it has."""

    id: bytes
    at: int
    size: int


class _Piece(NamedTuple):
    at: int
    text: str
    size: int


class _Todo(NamedTuple):
    """What the newest version of a memory asks for.

    Attributes:
        memory_id, namespace: the memory; ``num``: its newest version's number.
        version: that version's record ID; ``content``: what it says; ``manifest``: of its
            attachment.
        last: the last passage that begins in its text; ``beyond``: those that begin after it.
    """

    memory_id: bytes
    namespace: str
    num: int
    version: bytes
    content: Content
    manifest: Manifest
    last: _Standing | None
    beyond: list[_Standing]


def bring_up_to_date(parts: Parts, memory_id: bytes) -> None:
    """Make a memory's passages those of its newest attachment.

    Nothing is done for a memory without one, or one that is forgotten meanwhile.

    Raises:
        BlobMissingError, DamagedError: its text cannot be read; StorageError: it is not kept.
    """
    with suppress(NotFoundError, ErasedError):
        with parts.database.read() as connection:
            todo = _todo(connection, parts, memory_id)
        if todo is None:
            return
        if todo.beyond:
            parts.database.write(lambda connection: _take_away(connection, parts, todo))
        begin = 0 if todo.last is None else todo.last.at
        if begin >= todo.manifest.text or (
            todo.last is not None and begin + todo.last.size == todo.manifest.text
        ):
            return
        with opened_at(parts, memory_id) as stream:
            batch: list[_Piece] = []
            for piece in _pieces(stream, begin, todo.manifest.text):
                batch.append(piece)
                if len(batch) == _AT_ONCE:
                    if not _write(parts, todo, batch):
                        return
                    batch = []
            _write(parts, todo, batch)


def _todo(connection: Transaction, parts: Parts, memory_id: bytes) -> _Todo | None:
    journal = parts.journal
    place, now = writing.visible_place(connection, journal, memory_id)
    stored = journal.stored(connection, now.num)
    content = writing.content_of(connection, journal, now.num)
    if content.attachment is None:
        return None
    rows = connection.execute(
        "SELECT memory_id, passage_at, passage_size FROM version"
        " WHERE passage_of = ? AND recorded_until = ? AND hidden = 0 ORDER BY passage_at",
        (place.memory, FOREVER),
    ).fetchall()
    standing = [_Standing(*row) for row in rows]
    inside = [one for one in standing if one.at < content.attachment.text]
    (name,) = connection.execute(
        "SELECT name FROM namespace WHERE namespace = ?", (place.namespace,)
    ).fetchone()
    return _Todo(
        memory_id,
        name,
        now.num,
        stored.header.id,
        content,
        content.attachment,
        inside[-1] if inside else None,
        standing[len(inside) :],
    )


def _take_away(connection: Transaction, parts: Parts, todo: _Todo) -> None:
    """Erase passages of what an undo took off the attachment's end."""
    targets = [one.id for one in todo.beyond]
    writing.forget(connection, parts.journal, targets, "destroyed", None)
    inspection.note_pending_scrub(connection, parts.vault)


def _pieces(stream: BinaryIO, begin: int, end: int) -> Iterator[_Piece]:
    """The text from one byte to another as passages; blank ones left out."""
    stream.seek(begin)
    held, at = b"", begin
    while True:
        held += stream.read(min(_READ_BYTES, end - at - len(held)))
        last, start = at + len(held) >= end, 0
        for stop in ends(held, last=last):
            text = held[start:stop].decode()
            if text.strip():
                yield _Piece(at + start, text, stop - start)
            start = stop
        held, at = held[start:], at + start
        if last:
            return


def _write(parts: Parts, todo: _Todo, batch: list[_Piece]) -> bool:
    """Write some passages, unless the memory has gone on; whether it has not."""

    def job(connection: Transaction) -> bool:
        _, now = writing.visible_place(connection, parts.journal, todo.memory_id)
        if now.num != todo.num:
            return False  # whoever changed it writes the passages
        for piece in batch:
            with suppress(ErasedError):  # this passage was forgotten by its own ID
                _write_one(connection, parts, todo, piece)
        return True

    return not batch or parts.database.write(job)


def _write_one(connection: Transaction, parts: Parts, todo: _Todo, piece: _Piece) -> None:
    operation = f"\0passage\0{id_text(todo.version)}\0{piece.at}"
    place = PassageOf(todo.memory_id, piece.at, piece.size)
    if todo.last is not None and todo.last.at == piece.at:
        changes: dict[str, Any] = {"text": piece.text, "passage": place}
        if piece.size != todo.last.size:
            writing.update(connection, parts.journal, todo.last.id, changes, operation)
        return
    content = Content(
        text=piece.text,
        kind=KIND,
        tags=todo.content.tags,
        valid_from=todo.content.valid_from,
        valid_until=todo.content.valid_until,
        source=todo.manifest.name,
        passage=place,
    )
    writing.remember(connection, parts.journal, todo.namespace, content, operation)
