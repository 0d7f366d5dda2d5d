"""Upkeep: check everything, rebuild the index, finish erasures, count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import apsw
import cbor2

from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, ErasedError, HauloutError, StorageError
from haulout.index import lexical, lists, memories, vectors
from haulout.index.schema import ATTACHMENT_COLUMNS, INDEX_TABLES
from haulout.log import chunktable
from haulout.log.clock import from_microseconds
from haulout.log.journal import Journal, Stored
from haulout.log.memory import Content, read_payload
from haulout.log.record import RecordType, id_text
from haulout.log.schema import CHUNK_TABLES
from haulout.vault.arguments import silent
from haulout.vault.attachments import chunks, chunkuses
from haulout.vault.attachments.chunks import Space
from haulout.vault.attachments.chunkuses import Rebuilding, UsesFold
from haulout.vault.chainchecking import ChainChecking
from haulout.vault.dividing import divide_where_due
from haulout.vault.opening import DATABASE, Parts
from haulout.vault.values import CheckReport, Stats

Report = Callable[[int, int | None], None]

_PENDING = "scrub pending"
_MOST_PROBLEMS = 50


# ---------------------------------------------------------------------- erasure


def note_pending_scrub(connection: Transaction, vault: int) -> None:
    """Note, with the forget itself, that freed pages and the write-ahead log must be cleared."""
    connection.execute(
        "INSERT OR REPLACE INTO setting SELECT ?, ?, max(num) FROM record", (vault, _PENDING)
    )


def _noted(connection: Transaction, vault: int) -> str | None:
    """Which forget is noted as pending: the number of its record."""
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = ?", (vault, _PENDING)
    ).fetchone()
    return row[0] if row else None


def scrub(parts: Parts, most_bytes: int | None) -> tuple[str, ...]:
    """Clear what forgets left in free space and in the write-ahead log.

    Args:
        parts: the vault; ``most_bytes``: leave a larger file for `check`, or None for any size.

    Returns:
        what is still pending, in words; empty when all is gone.
    """
    size = parts.database.size()
    if most_bytes is not None and size > most_bytes:
        return (f"{DATABASE} has {size} bytes; `haulout check` clears its free pages",)
    with parts.database.read() as connection:
        noted = _noted(connection, parts.vault)
    try:
        if not parts.database.scrub():
            return ("another process reads the old pages; `haulout check` clears them",)
        parts.database.write(  # but not the note of a forget that came meanwhile
            lambda connection: connection.execute(
                "DELETE FROM setting WHERE vault = ? AND name = ? AND value = ?",
                (parts.vault, _PENDING, noted),
            )
        )
    except StorageError as error:
        return (f"{error.message} `haulout check` clears the free pages",)
    return ()


def scrub_if_noted(parts: Parts, most_bytes: int | None) -> tuple[str, ...]:
    """As `scrub`, where something was noted as pending."""
    with parts.database.read() as connection:
        noted = _noted(connection, parts.vault)
    return () if noted is None else scrub(parts, most_bytes)


def _clear_pending(parts: Parts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Finish earlier forgets and broken-off attaches: what was cleared, what is still pending."""
    cleared, pending = _clear_chunks(parts)
    with parts.database.read() as connection:
        noted = _noted(connection, parts.vault)
    if noted is None:
        return cleared, pending
    left = scrub(parts, None)
    return (*cleared, *(() if left else ("free pages of erased memories",))), (*pending, *left)


def _clear_chunks(parts: Parts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """End attaches that were broken off, and remove files that nothing names."""

    def job(connection: Transaction) -> int:
        ended = chunktable.end_idle(connection, parts.vault, parts.journal.now())
        if ended and chunktable.gone(connection, parts.vault, 1):
            note_pending_scrub(connection, parts.vault)  # their keys are in free pages
        return ended

    try:
        ended: int = parts.database.write(job)
        pending = chunks.sweep(parts)
        strays = chunks.remove_strays(parts)
    except StorageError as error:
        return (), (f"{error.message} Files of attachments are left over",)
    cleared = (f"{ended} attaches that were broken off",) if ended else ()
    cleared += (f"{strays} stray files of attachments",) if strays else ()
    return cleared, pending


# ---------------------------------------------------------------------- replaying the log


def _replay(
    source: Transaction,
    target: Transaction,
    journal: Journal,
    uses: UsesFold,
    report: Report,
    after: int = 0,
) -> Iterator[tuple[Stored, str | None]]:
    """Fold every record into an empty index; yield each with what is wrong with it, if anything.

    ``source`` holds the log; ``target`` the index's tables, which may be the same connection;
    ``uses`` takes the chunks of attachments; records up to ``after`` are folded already.
    """
    (total,) = source.execute("SELECT count(*) FROM record WHERE num > ?", (after,)).fetchone()
    numbers = {
        namespace: number
        for number, namespace in source.execute("SELECT namespace, id FROM namespace").fetchall()
    }
    for done, stored in enumerate(journal.records(source, after), 1):
        problem = None
        try:
            _fold(source, target, journal, uses, stored, numbers)
        except ErasedError:
            pass  # destroyed on purpose: the forget record that did it comes later
        except (HauloutError, cbor2.CBORError, KeyError, TypeError, AssertionError) as error:
            problem = f"record {stored.header.sequence}: {error}"
        yield stored, problem
        if done % 500 == 0 or done == total:
            report(done, total)


def _fold(
    source: Transaction,
    target: Transaction,
    journal: Journal,
    uses: UsesFold,
    stored: Stored,
    numbers: dict[bytes, int],
) -> None:
    header, vault = stored.header, journal.vault
    entry = (stored.num, header.clock)
    if header.type == RecordType.MEMORY:
        content, _ = read_payload(journal.open_payload(source, stored))
        place = memories.Place(stored.num, header.id, numbers[header.namespace])
        passage_of = _passage_of(source, journal, content)
        memories.add(target, vault, place, entry, content, passage_of=passage_of)
        _fold_uses(uses, place, header.namespace, stored.num, content)
    elif header.type == RecordType.UPDATE:
        content, beside = read_payload(journal.open_payload(source, stored))
        memory = journal.find(source, beside["of"])
        assert memory is not None, "it updates a memory that is not in the log"
        now = memories.current(target, memory)
        place = memories.Place(memory, beside["of"], numbers[header.namespace])
        passage_of = _passage_of(source, journal, content)
        memories.add(target, vault, place, entry, content, now, passage_of)
        _fold_uses(uses, place, header.namespace, stored.num, content)
        if "append" in beside:
            chunkuses.let_go(source, target, journal, memory)
    elif header.type == RecordType.FORGET:
        fields = cast("dict[str, Any]", cbor2.loads(stored.payload or b""))
        for target_id in fields["targets"]:
            memory = journal.find(source, target_id)
            assert memory is not None, "it forgets a memory that is not in the log"
            for one in memories.with_passages(target, memory):
                if fields["level"] in {"hidden", "shown"}:
                    hidden = fields["level"] == "hidden"
                    memories.set_hidden(target, one, stored.num, hidden=hidden)
                else:
                    memories.erase(target, vault, one, stored.num)


def _passage_of(source: Transaction, journal: Journal, content: Content) -> int | None:
    if content.passage is None:
        return None
    memory = journal.find(source, content.passage.of)
    assert memory is not None, "it is a passage of a memory that is not in the log"
    return memory


def _fold_uses(
    uses: UsesFold, place: memories.Place, namespace: bytes, num: int, content: Content
) -> None:
    if content.attachment is not None:
        uses.record(Space(place.namespace, namespace), num, content.attachment)


def rebuild(
    parts: Parts, *, vectors: bool, progress: Report, problems: list[str] | None = None
) -> int:
    """Empty the index and fold the whole log into it again, in one transaction.

    The lists of near vectors follow: until they stand again, recalls compare every vector.

    Args:
        parts: the vault; ``vectors``: throw computed vectors away too; ``progress``: as named.
        problems: takes what cannot be folded, in words, where a part of the log is known to be
            lost; without it such a record is an error and the index stays as it was.
    """

    def job(connection: Transaction) -> int:
        parts.journal.refresh_keys(connection)
        lists.abandon(connection, parts.vault)
        _empty(connection, parts, drop_vectors=vectors)
        uses, rebuilding = UsesFold(connection, parts), Rebuilding(connection, parts)
        for _, problem in _replay(connection, connection, parts.journal, uses, progress):
            if problem and problems is None:
                message = f"{DATABASE}, {problem}"
                raise DamagedError(message)
            if problem and problems is not None:
                problems.append(problem)
        rebuilding.done(uses)
        _restore_erased(connection, parts.vault)
        lexical.note_analyzer(connection, parts.vault)
        for row in connection.execute("SELECT namespace FROM namespace").fetchall():
            lexical.seal_if_due(connection, parts.vault, row[0])
            lexical.touch(connection, parts.vault, row[0])
        _requeue(connection, parts)
        return int(connection.execute("SELECT count(*) FROM version").fetchone()[0])  # pyright: ignore[reportOptionalSubscript]

    versions: int = parts.database.write(job)
    divide_where_due(parts)
    with suppress(StorageError):  # `check` goes on with it
        chunks.sweep(parts)
    return versions


def fold_new(connection: Transaction, parts: Parts, after: int, problems: list[str]) -> None:
    """Fold records that another copy of the vault wrote into the index that stands.

    Args:
        connection: inside the write transaction that inserted them; ``parts``: the vault.
        after: number of the last record that is folded already.
        problems: takes what cannot be folded, in words.
    """
    _note_operations(connection, parts, after)
    uses = UsesFold(connection, parts)
    replayed = _replay(connection, connection, parts.journal, uses, silent, after)
    problems += [problem for _, problem in replayed if problem]
    for row in connection.execute("SELECT namespace FROM namespace").fetchall():
        lexical.seal_if_due(connection, parts.vault, row[0])
    _queue_new(connection, parts, after)


def rebuild_if_stale(parts: Parts) -> None:
    """Make the index again where another version's analyzer made it."""
    with parts.database.read() as connection:
        current = lexical.analyzer_is_current(connection, parts.vault)
    if not current:
        rebuild(parts, vectors=False, progress=lambda _done, _total: None)


def _empty(connection: Transaction, parts: Parts, *, drop_vectors: bool) -> None:
    tables = ["version", "erased", "fresh", "posting", "operation"]
    tables += ["vector", "embed_queue"] if drop_vectors else []
    for table in tables:
        connection.execute(f"DELETE FROM {table} WHERE vault = ?", (parts.vault,))
    _note_operations(connection, parts)


def _note_operations(connection: Transaction, parts: Parts, after: int = 0) -> None:
    """Note which record each operation ID wrote."""
    for stored in parts.journal.records(connection, after):
        if stored.header.operation:
            connection.execute(
                "INSERT INTO operation VALUES (?, ?, ?)",
                (parts.vault, stored.header.operation, stored.num),
            )


def _restore_erased(connection: Transaction, vault: int) -> None:
    """Erased versions leave a number behind, so that other processes drop them from memory."""
    connection.execute(
        "INSERT OR IGNORE INTO erased SELECT r.num, r.vault, (SELECT max(num) FROM record)"
        " FROM record r WHERE r.vault = ? AND r.payload IS NULL",
        (vault,),
    )


def _requeue(connection: Transaction, parts: Parts) -> None:
    """Keep vectors of versions that stand; give the others theirs again."""
    connection.execute(
        "DELETE FROM vector WHERE vault = ? AND num NOT IN (SELECT num FROM version)",
        (parts.vault,),
    )
    _queue_new(connection, parts, 0)


def _queue_new(connection: Transaction, parts: Parts, after: int) -> None:
    """Give versions after a number the vectors that callers gave, or queue them."""
    rows = connection.execute(
        "SELECT num FROM version WHERE vault = ? AND num > ?"
        " AND num NOT IN (SELECT num FROM vector) AND num NOT IN (SELECT num FROM embed_queue)",
        (parts.vault, after),
    ).fetchall()
    for (num,) in rows:
        stored = parts.journal.stored(connection, num)
        content, _ = read_payload(parts.journal.open_payload(connection, stored))
        memories.add_vector(connection, parts.vault, num, content.vector)


# ---------------------------------------------------------------------- checking


@dataclass(slots=True)
class _Findings:
    records: int = 0
    payloads: int = 0
    erased: int = 0
    versions: int = 0
    problems: list[str] = field(default_factory=list[str])

    def add(self, problem: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def check(parts: Parts, report: Report) -> CheckReport:
    """Verify the file, every record, and the view against a fresh fold of the log."""
    findings = _Findings()
    cleared, pending = _clear_pending(parts)
    try:
        for problem in parts.database.integrity():
            findings.add(f"{DATABASE}: {problem}")
        with parts.database.read() as connection:
            parts.journal.refresh_keys(connection)
            memory = apsw.Connection(":memory:")
            expected = cast("Transaction", memory)
            try:
                tables = INDEX_TABLES + CHUNK_TABLES + ATTACHMENT_COLUMNS
                expected.execute(tables).fetchall()
                uses = UsesFold(expected, parts)
                _check_records(connection, expected, parts, uses, findings, report)
                _compare_views(connection, expected, parts, findings)
                for num in _left_over(connection, expected):
                    findings.add(f"{DATABASE}: record number {num} was erased, but still says it.")
                for problem in chunkuses.differences(connection, expected, uses):
                    findings.add(f"{DATABASE}: {problem}.")
            finally:
                memory.close()
    except DamagedError as error:
        findings.add(error.message)
    files = chunkuses.check_files(parts, report)
    for problem in files.problems:
        findings.add(problem)
    return CheckReport(
        records=findings.records,
        payloads=findings.payloads,
        erased=findings.erased,
        versions=findings.versions,
        chunks=files.verified,
        problems=tuple(findings.problems),
        cleared=cleared,
        pending=pending,
    )


def _check_records(
    connection: Transaction,
    expected: Transaction,
    parts: Parts,
    uses: UsesFold,
    findings: _Findings,
    report: Report,
) -> None:
    checking = ChainChecking(connection, parts, DATABASE)
    for stored, problem in _replay(connection, expected, parts.journal, uses, report):
        if problem:
            findings.add(f"{DATABASE}, {problem}")
        for wrong in checking.problems(stored):
            findings.add(wrong)
        if stored.header.type == RecordType.FORGET and not problem:
            for survivor in _survivors(connection, parts.vault, stored):
                findings.add(f"{DATABASE}: memory {survivor} was erased, but is still there.")
    findings.records, findings.payloads = checking.records, checking.payloads
    findings.erased = checking.erased


def _survivors(connection: Transaction, vault: int, forget: Stored) -> Iterator[str]:
    """Memories that a forget erased and whose payload stands all the same."""
    fields = cast("dict[str, Any]", cbor2.loads(forget.payload or b""))
    for target in fields["targets"] if fields["level"] in {"destroyed", "everywhere"} else ():
        if connection.execute(
            "SELECT 1 FROM record WHERE vault = ? AND id = ? AND payload IS NOT NULL",
            (vault, target),
        ).fetchone():
            yield id_text(target)


def _left_over(connection: Transaction, expected: Transaction) -> list[int]:
    """Numbers of records whose payloads stand, though by the log what they say was erased."""
    standing = {row[0] for row in expected.execute("SELECT num FROM version")}
    said = connection.execute("SELECT num FROM record WHERE type IN (1, 2) AND payload IS NOT NULL")
    return sorted({row[0] for row in said} - standing)[:1]


def _compare_views(
    connection: Transaction, expected: Transaction, parts: Parts, findings: _Findings
) -> None:
    versions = "SELECT * FROM version ORDER BY num"
    found = connection.execute(versions)
    for row in expected.execute(versions):
        findings.versions += 1
        if next(found, None) != row:
            findings.add(f"{DATABASE}: the view of record number {row[0]} differs from the log.")
            return
    if next(found, None) is not None:
        findings.add(f"{DATABASE}: the view has versions that are not in the log.")
    if _fingerprint(connection) != _fingerprint(expected):
        findings.add(f"{DATABASE}: the word index differs from the log; run `haulout rebuild`.")
    stray = connection.execute(
        "SELECT (SELECT count(*) FROM vector WHERE num NOT IN (SELECT num FROM version)),"
        " (SELECT count(*) FROM version WHERE num NOT IN (SELECT num FROM vector)"
        "  AND num NOT IN (SELECT num FROM embed_queue))"
    ).fetchone()
    if stray != (0, 0):
        findings.add(f"{DATABASE}: vectors are missing or left over; run `haulout rebuild`.")
    for problem in lists.problems(connection, parts.vault):
        findings.add(f"{DATABASE}: {problem}.")
    operations = dict(connection.execute("SELECT mac, num FROM operation").fetchall())
    for stored in parts.journal.records(connection):
        operation = stored.header.operation
        if operation and operations.pop(operation, None) != stored.num:
            findings.add(f"{DATABASE}: an operation ID of record {stored.header.sequence} is lost.")
    if operations:
        findings.add(f"{DATABASE}: {len(operations)} operation IDs are of no record.")


def _fingerprint(connection: Transaction) -> int:
    """A sum over all postings, sealed or fresh, that does not depend on their order."""
    total = 0
    for namespace, term, num, count in lexical.every_posting(connection):
        total += hash((namespace, term, num, count))
    return total


# ---------------------------------------------------------------------- counting


def stats(connection: Transaction, parts: Parts, model: str | None) -> Stats:
    """The vault in figures."""

    def one(sql: str, *bindings: Any) -> Any:
        row = connection.execute(sql, bindings).fetchone()
        return row[0] if row else None

    standing = "FROM version v WHERE v.vault = ? AND v.hidden = 0 AND v.recorded_until = ?"
    current = f"{standing} AND v.passage_of IS NULL"
    attached = f"{standing} AND v.attachment IS NOT NULL"
    names = connection.execute(
        f"SELECT n.name, c.count FROM (SELECT v.namespace, count(*) AS count {current}"
        " GROUP BY v.namespace) c JOIN namespace n ON n.namespace = c.namespace ORDER BY n.name",
        (parts.vault, memories.FOREVER),
    ).fetchall()
    newest = one(f"SELECT max(v.created) {current}", parts.vault, memories.FOREVER)
    vectored = one(
        "SELECT count(DISTINCT w.num) FROM vector w JOIN model m ON m.model = w.model"
        " WHERE m.vault = ? AND m.name = ?",
        parts.vault,
        model or "",
    )
    return Stats(
        path=str(parts.folder) if parts.folder else None,
        memories=one(f"SELECT count(*) {current}", parts.vault, memories.FOREVER),
        attachments=one(f"SELECT count(*) {attached}", parts.vault, memories.FOREVER),
        attached_bytes=one(
            f"SELECT COALESCE(sum(json_extract(v.attachment, '$.size')), 0) {attached}",
            parts.vault,
            memories.FOREVER,
        ),
        passages=one(
            f"SELECT count(*) {standing} AND v.passage_of IS NOT NULL",
            parts.vault,
            memories.FOREVER,
        ),
        versions=one("SELECT count(*) FROM version WHERE vault = ?", parts.vault),
        records=one("SELECT count(*) FROM record WHERE vault = ?", parts.vault),
        namespaces=dict(names),
        bytes=parts.database.size(),
        model=model,
        vectors=vectored,
        waiting=vectors.waiting(connection, parts.vault),
        newest=None if newest is None else from_microseconds(newest),
    )
