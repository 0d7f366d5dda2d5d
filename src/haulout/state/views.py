"""The state lane's views: made again from its records, and compared with them."""

from __future__ import annotations

from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, HauloutError
from haulout.log.journal import Journal, Stored
from haulout.log.record import Header
from haulout.state import book as books
from haulout.state.book import Book
from haulout.state.events import decode_event
from haulout.state.lane import STATE_TYPES, keep_book, note_event
from haulout.state.tape import subject_of


def rebuild(connection: Transaction, journal: Journal) -> int:
    """Make the lane's views again from its records; return how many events there are.

    Raises:
        DamagedError: an event cannot be read, or cannot follow those before it.
    """
    for view in ("state_event", "state_book", "operation"):
        connection.execute(f"DELETE FROM {view} WHERE vault = ?", (journal.vault,))  # noqa: S608 - our own words
    spaces, found, count = _spaces(connection, journal.vault), dict[int, Book](), 0
    for stored in journal.records(connection):
        if stored.header.operation:
            connection.execute(
                "INSERT INTO operation VALUES (?, ?, ?)",
                (journal.vault, stored.header.operation, stored.num),
            )
        if stored.header.type not in STATE_TYPES:
            continue
        event = decode_event(journal.open_payload(connection, stored))
        space = _space(connection, journal, stored.header, spaces)
        note_event(connection, journal.vault, stored.num, space, event)
        found.setdefault(space, Book()).fold(stored.num, event)
        count += 1
    for space, book in found.items():
        keep_book(connection, journal.vault, space, book)
    return count


def _spaces(connection: Transaction, vault: int) -> dict[bytes, int]:
    """The local numbers of all states, by the ID of their namespace."""
    rows = connection.execute("SELECT id, namespace FROM namespace WHERE vault = ?", (vault,))
    return dict(rows.fetchall())


def _space(
    connection: Transaction, journal: Journal, header: Header, known: dict[bytes, int]
) -> int:
    if header.namespace not in known:
        key = journal.namespace_key(connection, header.namespace, header.epoch)
        connection.execute(
            "INSERT INTO namespace (vault, id, name) VALUES (?, ?, ?)",
            (journal.vault, key.id, key.name),
        )
        known[header.namespace] = connection.last_insert_rowid()
    return known[header.namespace]


def differences(connection: Transaction, journal: Journal) -> list[str]:
    """What the lane's records hold that cannot be read, and what its views say otherwise.

    Every event is unsealed and folded; a snapshot must have the bytes of the book at its place.

    Returns:
        Each in words; nothing where all agree.
    """
    found: list[str] = []
    views = _Views(connection, journal)
    for stored in journal.records(connection):
        found += views.differ(stored)
    return found + views.left()


class _Views:
    """The lane's views, compared with its records one after the other."""

    def __init__(self, connection: Transaction, journal: Journal) -> None:
        self._connection, self._journal, vault = connection, journal, (journal.vault,)
        self._spaces = _spaces(connection, journal.vault)
        events = "SELECT num, namespace, subject FROM state_event WHERE vault = ?"
        rows = connection.execute(events, vault).fetchall()
        self._events = {num: (space, subject) for num, space, subject in rows}
        operations = "SELECT mac, num FROM operation WHERE vault = ?"
        self._operations = dict(connection.execute(operations, vault).fetchall())
        snapshots = "SELECT namespace, through, book FROM state_book WHERE vault = ?"
        rows = connection.execute(snapshots, vault).fetchall()
        # One of another version of this code is read past, here as elsewhere.
        self._kept = {one[0]: one[1:] for one in rows if books.opened(one[2]) is not None}
        self._books: dict[int, Book] = {}

    def differ(self, stored: Stored) -> list[str]:
        """What is wrong with one record or with what the views say of it."""
        header, where = stored.header, f"record {stored.header.sequence}"
        found: list[str] = []
        if header.operation and self._operations.pop(header.operation, None) != stored.num:
            found.append(f"the key of {where} is lost")
        if header.type not in STATE_TYPES:
            return found
        seen = self._events.pop(stored.num, None)
        try:
            event = decode_event(self._journal.open_payload(self._connection, stored))
        except HauloutError as error:
            return [*found, f"{where}: {error.message}"]
        space = self._spaces.get(header.namespace)
        if space is None or seen != (space, subject_of(event)):
            return [*found, f"the view of {where} differs from it"]
        book = self._books.setdefault(space, Book())
        try:
            book.fold(stored.num, event)
        except DamagedError as error:
            return [*found, f"{where}: {error.message}"]
        through, snapshot = self._kept.get(space, (0, b""))
        if through == stored.num:
            del self._kept[space]
            if book.snapshot() != snapshot:
                found.append(f"the snapshot at {where} is not what its events add up to")
        return found

    def left(self) -> list[str]:
        """What the views have that no record says."""
        found: list[str] = []
        if self._events or self._operations or self._kept:
            found.append("the views hold events, keys or snapshots that are of no record")
        return found
