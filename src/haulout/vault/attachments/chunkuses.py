"""The uses of chunks as they follow from the log: folded for `rebuild`, compared by `check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from haulout.database.transaction import Transaction
from haulout.errors import BlobMissingError, DamagedError, HauloutError, VaultVersionError
from haulout.index import memories
from haulout.log import chunktable
from haulout.log.attachment import Chunk, Manifest
from haulout.log.chunktable import Row, Use
from haulout.log.journal import Journal
from haulout.log.memory import read_payload
from haulout.log.record import id_text
from haulout.vault.arguments import Progress
from haulout.vault.attachments import chunks
from haulout.vault.attachments.chunkfiles import FOLDER
from haulout.vault.attachments.chunks import Space
from haulout.vault.opening import Parts


def is_append(connection: Transaction, journal: Journal, num: int) -> bool:
    """Whether a version's record is an append."""
    stored = journal.stored(connection, num)
    return "append" in read_payload(journal.open_payload(connection, stored))[1]


def let_go(source: Transaction, target: Transaction, journal: Journal, memory: int) -> None:
    """End the uses of the version before an appended one that was just appended to as well.

    ``source`` holds the log, ``target`` the views; the newest version is folded already.
    """
    nums = memories.version_nums(target, memory)[-3:]
    if len(nums) == 3 and all(is_append(source, journal, num) for num in nums[1:]):  # noqa: PLR2004
        chunktable.release(target, journal.vault, Use.RECORD, nums[0])


class UsesFold:
    """Chunks and their uses, made of payloads and lists in the order of the log."""

    def __init__(self, target: Transaction, parts: Parts) -> None:
        self._target, self._parts = target, parts
        self._known: set[bytes] = set()
        self.unreadable: list[str] = []
        """What could not be opened: what it names is not known."""

    def record(self, space: Space, num: int, manifest: Manifest) -> None:
        """Take in what a record uses."""
        vault = self._parts.vault
        for chunk in manifest.chunks:
            number = chunktable.ensure(self._target, vault, space.number, chunk)
            chunktable.use(self._target, vault, Use.RECORD, num, number)
            if chunk.level:
                self._list(space, chunk, number)

    def _list(self, space: Space, chunk: Chunk, number: int) -> None:
        """Take in what a list names, all the way down. A list that went and came is read again."""
        vault = self._parts.vault
        if chunk.id in self._known and chunktable.names_any(self._target, number):
            return
        try:
            # Of those on this disk: a fold waits for no network.
            files = self._parts.files.here
            named = chunks.members(files, self._parts.vault_id, space.id, chunk)
        except (BlobMissingError, DamagedError, VaultVersionError) as error:
            self.unreadable.append(error.message)
            return
        self._known.add(chunk.id)
        self._target.execute(
            "DELETE FROM chunk_use WHERE kind = ? AND holder = ?", (int(Use.LIST), number)
        )
        for one in named:
            member = chunktable.ensure(self._target, vault, space.number, one)
            chunktable.use(self._target, vault, Use.LIST, number, member)
            if one.level:
                self._list(space, one, member)


class Rebuilding:
    """Around a fold into the tables that stand: no key goes before all is folded."""

    def __init__(self, connection: Transaction, parts: Parts) -> None:
        self._connection, self._parts = connection, parts
        self._hold = chunktable.begin(connection, parts.vault, parts.journal.now())
        connection.execute(
            "INSERT INTO chunk_use SELECT ?, ?, chunk, vault FROM chunk WHERE vault = ?",
            (int(Use.ATTACH), self._hold, parts.vault),
        )
        connection.execute(
            "DELETE FROM chunk_use WHERE kind = ? AND vault = ?", (int(Use.RECORD), parts.vault)
        )

    def done(self, fold: UsesFold) -> None:
        """Drop what the log does not use, unless a list could not be read."""
        if not fold.unreadable:
            chunktable.end(self._connection, self._parts.vault, self._hold)
            return
        self._connection.execute(
            "DELETE FROM chunk_use WHERE kind = ? AND holder = ?", (int(Use.ATTACH), self._hold)
        )
        self._connection.execute("DELETE FROM attach WHERE attach = ?", (self._hold,))


# ---------------------------------------------------------------------- checking

_CHUNKS = "SELECT id, namespace, level, size, key FROM chunk"
_USES = (
    "SELECT u.kind, CASE u.kind WHEN 0 THEN u.holder ELSE h.id END, c.id FROM chunk_use u"
    " JOIN chunk c ON c.chunk = u.chunk"
    " LEFT JOIN chunk h ON u.kind = 1 AND h.chunk = u.holder WHERE u.kind < 2"
)


def differences(connection: Transaction, expected: Transaction, fold: UsesFold) -> Iterator[str]:
    """How the tables of chunks differ from what the log says."""
    if fold.unreadable:
        return  # which are told as what they are
    under_way = connection.execute("SELECT 1 FROM attach").fetchone() is not None
    for what, sql in (("keys", _CHUNKS), ("uses", _USES)):
        stand = set(connection.execute(sql).fetchall())
        should = set(expected.execute(sql).fetchall())
        if should - stand or (stand - should and not under_way):
            yield f"the {what} of attachments' chunks differ from the log; run `haulout rebuild`"


class FilesChecked(NamedTuple):
    """What a look at every chunk's file found."""

    verified: int
    problems: tuple[str, ...]


def check_files(parts: Parts, report: Progress) -> FilesChecked:
    """Open every chunk in use under its key; nothing of it is kept in memory."""
    verified, problems, last = 0, list[str](), 0
    files = parts.files.here
    elsewhere = files is not parts.files  # and is fetched when it is read
    while True:
        with parts.database.read() as connection:
            spaces = chunks.spaces(connection, parts.vault)
            rows = chunktable.rows(connection, parts.vault, last)
            total = connection.execute("SELECT count(*) FROM chunk").fetchone()[0]
        for row in rows:
            if elsewhere and files.size(row.id) is None:
                continue
            problem = _problem(parts, spaces[row.namespace], row)
            if problem is None:
                verified += 1
            elif owner := _owner(parts, row):
                problems.append(f"{problem} It is part of {owner}.")
        if not rows:
            return FilesChecked(verified, tuple(problems))
        last = rows[-1].chunk
        report(verified + len(problems), total)


def _problem(parts: Parts, namespace: bytes, row: Row) -> str | None:
    try:
        chunks.verify(parts.files.here.read(row.id), parts.vault_id, namespace, row)
    except HauloutError as error:
        place = f"{FOLDER}/{row.id.hex()[:2]}/{row.id.hex()}: "
        return error.message if FOLDER in error.message else place + error.message
    return None


def _owner(parts: Parts, row: Row) -> str | None:
    """Which memory's attachment a chunk is of, in words; None where no record uses it now."""
    with parts.database.read() as connection:
        found = connection.execute(
            "WITH RECURSIVE up(kind, holder) AS ("
            " SELECT kind, holder FROM chunk_use WHERE chunk = ?"
            " UNION SELECT u.kind, u.holder FROM chunk_use u JOIN up ON up.kind = 1"
            "  AND u.chunk = up.holder)"
            " SELECT v.memory_id, json_extract(v.attachment, '$.name') FROM up"
            " JOIN version v ON v.num = up.holder WHERE up.kind = 0 LIMIT 1",
            (row.chunk,),
        ).fetchone()
    return None if found is None else f"{found[1]!r}, attached to memory {id_text(found[0])}"
