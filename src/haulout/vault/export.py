"""Export: every memory as JSON Lines, in one canonical order, with one digest.

A line is a memory's newest version with sorted keys, raw UTF-8 and no spaces; older versions
stand in its ``history``, oldest first. Lines are ordered by when the memory was recorded, then
by ID. The last line counts the memories and gives the SHA-256 of all lines before it, newlines
included. Forgotten memories are not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import BlobMissingError, DamagedError
from haulout.index import memories
from haulout.log.memory import Memory
from haulout.storage.durable import write_file
from haulout.vault import writing
from haulout.vault.attachments.chunkreading import reading
from haulout.vault.opening import Parts
from haulout.vault.values import Exported

_encode = msgspec.json.Encoder(order="sorted").encode
_LOCAL_FIELDS = ("op_id", "durability", "created", "erased", "passage")
_PIECE = 1024 * 1024


def _fields(memory: Memory) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(memory)
    for name in _LOCAL_FIELDS:
        del fields[name]
    return {name: value for name, value in fields.items() if value not in (None, (), [], {})}


def _digest(connection: Transaction, parts: Parts, num: int) -> dict[str, str]:
    """SHA-256 of an attachment; nothing where its bytes are not here."""
    content = writing.content_of(connection, parts.journal, num)
    assert content.attachment is not None
    if content.attachment.digest is not None:
        return {"sha256": content.attachment.digest.hex()}
    space = parts.journal.stored(connection, num).header.namespace
    found = hashlib.sha256()
    try:
        with reading(parts, space, content.attachment) as stream:
            while piece := stream.read(_PIECE):
                found.update(piece)
    except (BlobMissingError, DamagedError):
        return {}
    return {"sha256": found.hexdigest()}


def lines(connection: Transaction, parts: Parts) -> Iterator[bytes]:
    """The lines of an export, without the last."""
    rows = connection.execute(
        "SELECT v.memory, group_concat(v.num) FROM (SELECT memory, num, created, memory_id"
        "  FROM version WHERE vault = ? AND hidden = 0 AND passage_of IS NULL"
        "  ORDER BY memory, version) v"
        " GROUP BY v.memory ORDER BY min(v.created), min(v.memory_id)",
        (parts.vault,),
    )
    for _, nums in rows:
        numbers = [int(num) for num in nums.split(",")]
        versions = memories.read(connection, numbers)
        fields = _fields(versions[-1])
        if versions[-1].attachment is not None:
            fields["attachment"] |= _digest(connection, parts, numbers[-1])
        if len(versions) > 1:
            fields["history"] = [_fields(version) for version in versions[:-1]]
        yield _encode(fields) + b"\n"


def write(connection: Transaction, parts: Parts, file: Path) -> Exported:
    """Write an export durably; the file is replaced whole or not at all."""
    digest, count, size = hashlib.sha256(), 0, 0

    def pieces() -> Iterator[bytes]:
        nonlocal count, size
        for line in lines(connection, parts):
            digest.update(line)
            count, size = count + 1, size + len(line)
            yield line
        last = {"haulout_export": 1, "memories": count, "sha256": digest.hexdigest()}
        line = _encode(last) + b"\n"
        size += len(line)
        yield line

    write_file(file, pieces())
    return Exported(path=str(file), memories=count, digest=digest.hexdigest(), bytes=size)
