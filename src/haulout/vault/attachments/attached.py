"""What `remember` does with an attachment: its chunks, then its record, then its passages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import ConflictError, ErasedError, InputError
from haulout.log.attachment import Manifest, checked_media, checked_name
from haulout.log.journal import Stored
from haulout.log.memory import Content, Memory
from haulout.log.record import id_bytes
from haulout.vault import writing
from haulout.vault.arguments import Progress
from haulout.vault.attachments import passagewriting
from haulout.vault.attachments.cutting import Attach, Taken
from haulout.vault.attachments.passages import TextMeasure
from haulout.vault.attachments.sources import (
    Opened,
    Readable,
    Source,
    media_type,
    opened,
    read_full,
)
from haulout.vault.opening import Parts
from haulout.vault.writing import Written

_PIECE_BYTES: Final = 1024 * 1024


def remember_attached(
    parts: Parts,
    namespace: str,
    content: Content,
    op_id: str | None,
    given: tuple[Source, str | None],
    report: Progress | None,
) -> Memory:
    """Keep a memory with an attachment: its chunks first, then its record, then its passages.

    Args:
        parts: the vault; ``namespace``, ``content``, ``op_id``: of the memory.
        given: what is attached, and its name where the caller gives one.
        report: called with bytes done and their number, where it is known.
    """
    with opened(given[0]) as source:
        name = checked_name(source.name if given[1] is None else given[1])

        def whole(taken: Taken) -> Content:
            media = checked_media(media_type(name, is_text=taken.text > 0))
            manifest = Manifest(
                name, taken.size, taken.chunks, media, digest=taken.digest, text=taken.text
            )
            return msgspec.structs.replace(content, attachment=manifest)

        earlier = earlier_of(parts, op_id)
        if earlier is not None:
            asked = whole(looked_at(source.stream, report, source.size))
            written = _compared(parts, earlier, (namespace, asked), op_id)
        else:
            written = _attached(parts, namespace, whole, op_id, source, report)
    passagewriting.bring_up_to_date(parts, id_bytes(written.id))
    return written


def _attached(
    parts: Parts,
    namespace: str,
    whole: Callable[[Taken], Content],
    op_id: str | None,
    source: Opened,
    report: Progress | None,
) -> Memory:
    with Attach(parts, namespace) as attach:
        try:
            taken = attach.take(source.stream, report=report, total=source.size)
            content = whole(taken)

            def job(connection: Transaction) -> Memory:
                written = writing.remember(
                    connection, parts.journal, namespace, content, op_id, attach
                )
                return writing.as_memory(connection, written, op_id)

            memory: Memory = parts.database.write(job)
            if not memory.created:  # the same was attached under this ID meanwhile
                attach.let_go()
        except (InputError, ConflictError, ErasedError):
            attach.let_go()
            raise
    return memory


def earlier_of(parts: Parts, op_id: str | None) -> Stored | None:
    """The record that an operation ID has written, if it has."""
    if op_id is None:
        return None
    with parts.database.read() as connection:
        parts.journal.refresh_keys(connection)
        return writing.first_result(connection, parts.journal, op_id, None)[1]


def looked_at(stream: Readable, report: Progress | None, total: int | None) -> Taken:
    """What a stream holds, without keeping it."""
    digest, size, measure = hashlib.sha256(), 0, TextMeasure()
    while piece := read_full(stream, _PIECE_BYTES):
        digest.update(piece)
        measure.feed(piece)
        size += len(piece)
        if report:
            report(size, total)
    return Taken((), size, digest.digest(), measure.text)


def _compared(
    parts: Parts, earlier: Stored, asked: tuple[str, Content], op_id: str | None
) -> Memory:
    with parts.database.read() as connection:
        writing.require_same_attach(connection, parts.journal, earlier, asked, op_id)
        return writing.as_memory(connection, Written(earlier.num, created=False), op_id)
