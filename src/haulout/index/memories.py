"""The version table: every memory's versions as rows, folded from the log.

`add`, `supersede`, `hide`, `erase` are what records do to the view; the vault calls them in the
transaction that appends the record, and `rebuild` calls them again for every record in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.index import lexical, vectors
from haulout.index.columns import BEGINNING
from haulout.index.filter import compile_filter
from haulout.index.forms import asking, traits, word_form
from haulout.language.tokens import analyze
from haulout.log.clock import FOREVER, from_microseconds
from haulout.log.memory import (
    Attachment,
    Content,
    Manifest,
    Memory,
    Passage,
    as_datetime,
    checked_namespace,
)
from haulout.log.record import id_text

_COLUMNS = (
    "v.num, r.id, v.memory_id, n.name, v.text, v.kind, v.speaker, v.session, v.source, v.tags,"
    " v.metadata, v.occurred_at, v.valid_from, v.valid_until, v.created, v.recorded_from,"
    " v.version, v.attachment, v.passage_at, v.passage_size, p.id"
)
_FROM = (
    "FROM version v JOIN namespace n ON n.namespace = v.namespace JOIN record r ON r.num = v.num"
    " LEFT JOIN record p ON p.num = v.passage_of"
)
_read_attachment = msgspec.json.Decoder(Attachment).decode


class Place(NamedTuple):
    """Where a memory stands: its first version's num and ID, its namespace's number."""

    memory: int
    memory_id: bytes
    namespace: int


class Current(NamedTuple):
    """What a memory's newest version is, as far as an update needs it."""

    num: int
    version: int
    created: int
    hidden: bool


# ---------------------------------------------------------------------- what records do


def _seal_is_looked_at(num: int) -> bool:
    """One write in 64: counting the fresh rows each time would cost more than a late seal.

    The number is scrambled first (Fibonacci hashing), or two namespaces written in turn could
    leave one of them never looked at.
    """
    return (num * 0x9E3779B97F4A7C15 >> 58) & 63 == 0


def add(
    connection: Transaction,
    vault: int,
    place: Place,
    entry: tuple[int, int],
    content: Content,
    previous: Current | None = None,
    passage_of: int | None = None,
) -> None:
    """Take in a version: its row and its terms.

    Args:
        connection: inside a write transaction; ``vault``: its local number.
        place: where the memory stands.
        entry: the version's record number and clock.
        content: what it says; ``previous``: the version it supersedes, if any.
        passage_of: num of the memory whose attachment it is a passage of.
    """
    num, clock = entry
    occurred = as_datetime(content.occurred_at)
    terms = analyze(content.text)
    first_true = BEGINNING if previous is None else clock
    true_from = first_true if content.valid_from is None else content.valid_from
    connection.execute(
        "INSERT INTO version VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE("
        "(SELECT hidden FROM version WHERE memory = ? LIMIT 1), 0), ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            num,
            vault,
            place.namespace,
            place.memory,
            place.memory_id,
            1 if previous is None else previous.version + 1,
            content.text,
            content.kind,
            content.speaker,
            content.session,
            content.source,
            json.dumps(content.tags, ensure_ascii=False),
            content.metadata,
            content.occurred_at,
            content.valid_from,
            content.valid_until,
            clock if previous is None else previous.created,
            clock,
            FOREVER,
            true_from,
            FOREVER if content.valid_until is None else content.valid_until,
            FOREVER,
            passage_of,  # hidden with what it is a passage of
            len(terms),
            asking(content.text),
            int(traits(content.text)),
            num,
            None if content.attachment is None else _attached(content.attachment),
            passage_of,
            None if content.passage is None else content.passage.at,
            None if content.passage is None else content.passage.size,
        ),
    )
    if previous is not None:
        connection.execute(
            "UPDATE version SET recorded_until = ?, closed_at = ?, changed = ? WHERE num = ?",
            (clock, true_from, num, previous.num),
        )
    words = terms if occurred is None else analyze(word_form(content.text, occurred))
    lexical.add(connection, vault, place.namespace, num, lexical.counts_of(words))
    if _seal_is_looked_at(num):
        lexical.seal_if_due(connection, vault, place.namespace)


def _attached(manifest: Manifest) -> str:
    """What the view says of an attachment; where its chunks are stands in the payload."""
    attachment = Attachment(
        name=manifest.name,
        media_type=manifest.media,
        size=manifest.size,
        searchable=manifest.text,
    )
    return msgspec.json.encode(attachment).decode()


def add_vector(connection: Transaction, vault: int, num: int, vector: bytes | None) -> None:
    """Keep the vector a caller gave, or queue the version for the embedder."""
    if vector is None:
        connection.execute("INSERT OR IGNORE INTO embed_queue VALUES (?, ?)", (num, vault))
        return
    given = np.frombuffer(vector, "<f4")
    model = vectors.model_number(connection, vault, vectors.caller_model(len(given)))
    vectors.add(connection, vault, model, num, [given])


def set_hidden(connection: Transaction, memory: int, record: int, *, hidden: bool) -> None:
    """Hide all versions of a memory, or show them again."""
    connection.execute(
        "UPDATE version SET hidden = ?, changed = ? WHERE memory = ?",
        (int(hidden), record, memory),
    )


def erase(connection: Transaction, vault: int, memory: int, record: int) -> None:
    """Take every trace of a memory out of the index."""
    rows = connection.execute(
        "SELECT num, namespace, text, occurred_at FROM version WHERE memory = ?", (memory,)
    ).fetchall()
    for num, namespace, text, at in rows:
        occurred = None if at is None else from_microseconds(at)
        words = analyze(text if occurred is None else word_form(text, occurred))
        lexical.remove(connection, vault, namespace, num, words)
        vectors.remove(connection, num)
        connection.execute("INSERT INTO erased VALUES (?, ?, ?)", (num, vault, record))
    connection.execute("DELETE FROM version WHERE memory = ?", (memory,))


def with_passages(connection: Transaction, memory: int) -> list[int]:
    """A memory, and those that are passages of its attachment, which go where it goes."""
    rows = connection.execute(
        "SELECT DISTINCT memory FROM version WHERE passage_of = ? ORDER BY memory", (memory,)
    )
    return [memory, *(row[0] for row in rows)]


# ---------------------------------------------------------------------- reading


def place_of(connection: Transaction, vault: int, memory_id: bytes) -> Place | None:
    """Where the memory with an ID stands, or None."""
    row = connection.execute(
        "SELECT v.memory, v.memory_id, v.namespace FROM record r JOIN version v ON v.num = r.num"
        " WHERE r.vault = ? AND r.id = ? AND v.memory = v.num",
        (vault, memory_id),
    ).fetchone()
    return Place(*row) if row else None


def current(connection: Transaction, memory: int) -> Current:
    """The newest version of a memory that stands."""
    row = connection.execute(
        "SELECT num, version, created, hidden FROM version WHERE memory = ?"
        " ORDER BY version DESC LIMIT 1",
        (memory,),
    ).fetchone()
    assert row, "the caller found the memory in this transaction"
    return Current(row[0], row[1], row[2], bool(row[3]))


def version_nums(connection: Transaction, memory: int) -> list[int]:
    """The record numbers of all versions, oldest first."""
    rows = connection.execute(
        "SELECT num FROM version WHERE memory = ? ORDER BY version", (memory,)
    )
    return [row[0] for row in rows]


def _memory(row: Sequence[Any]) -> Memory:
    (_num, record_id, memory_id, namespace, text, kind, speaker, session, source, tags) = row[:10]
    metadata, occurred_at, valid_from, valid_until, created, recorded_from, version = row[10:17]
    attachment, passage_at, passage_size, passage_of = row[17:]
    return Memory(
        id=id_text(memory_id),
        text=text,
        namespace=namespace,
        kind=kind,
        speaker=speaker,
        session=session,
        occurred_at=as_datetime(occurred_at),
        valid_from=as_datetime(valid_from),
        valid_until=as_datetime(valid_until),
        tags=() if tags == "[]" else tuple(json.loads(tags)),
        metadata={} if metadata is None else json.loads(metadata),
        source=source,
        attachment=None if attachment is None else _read_attachment(attachment),
        passage=None
        if passage_of is None
        else Passage(of=id_text(passage_of), at=passage_at, size=passage_size),
        recorded_at=from_microseconds(created),
        updated_at=from_microseconds(recorded_from),
        version=version,
        op_id=id_text(record_id),
    )


def read(connection: Transaction, nums: Sequence[int]) -> list[Memory]:
    """The memories of some versions, in the order of their numbers given."""
    found: dict[int, Memory] = {}
    for start in range(0, len(nums), 500):
        part = nums[start : start + 500]
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE v.num IN ({marks})", part)
        found.update((row[0], _memory(row)) for row in rows)
    missing = [num for num in nums if num not in found]
    if missing:
        message = f"The view has no version of record number {missing[0]}."
        raise DamagedError(message)
    return [found[num] for num in nums]


def namespaces(connection: Transaction, vault: int, pattern: str | None) -> list[int]:
    """Local numbers of the namespaces that a name or pattern stands for, sorted.

    Args:
        connection: in a transaction; ``vault``: its local number.
        pattern: a name, a subtree such as ``work/**``, or None for all.
    """
    rows = connection.execute(
        "SELECT namespace, name FROM namespace WHERE vault = ? ORDER BY namespace", (vault,)
    ).fetchall()
    if pattern is None or pattern == "**":
        return [number for number, _ in rows]
    if isinstance(pattern, str) and pattern.endswith("/**"):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        base = checked_namespace(pattern.removesuffix("/**"))
        return [n for n, name in rows if name == base or name.startswith(base + "/")]
    wanted = checked_namespace(pattern)
    return [number for number, name in rows if name == wanted]


def matching(
    connection: Transaction,
    vault: int,
    namespaces: Sequence[int],
    conditions: Mapping[str, object] | None,
    *,
    before: int | None = None,
    limit: int | None = None,
    superseded: bool = False,
    passages: bool = False,
) -> list[int]:
    """Numbers of visible versions that meet a filter, newest memory first.

    Args:
        connection: in a read transaction.
        vault: its local number.
        namespaces: the only namespaces to look into.
        conditions: a filter (docs/spec/filter.md), or None for all.
        before: only memories recorded before this one's number (paging).
        limit: at most so many.
        superseded: look at older versions too (for `as_of`).
        passages: look at passages of attachments too.
    """
    marks = ",".join("?" * len(namespaces))
    sql = ["SELECT v.num FROM version v JOIN namespace n ON n.namespace = v.namespace"]
    sql.append(f"WHERE v.vault = ? AND v.hidden = 0 AND v.namespace IN ({marks})")
    bindings: list[Any] = [vault, *namespaces]
    if not superseded:
        sql.append("AND v.recorded_until = ?")
        bindings.append(FOREVER)
    if not passages:
        sql.append("AND v.passage_of IS NULL")
    if before is not None:
        sql.append("AND v.memory < ?")
        bindings.append(before)
    if conditions:
        predicate = compile_filter(conditions)
        sql.append(f"AND ({predicate.sql})")
        bindings.extend(predicate.bindings)
    sql.append("ORDER BY v.memory DESC")
    if limit is not None:
        sql.append("LIMIT ?")
        bindings.append(limit)
    return [row[0] for row in connection.execute(" ".join(sql), bindings)]
