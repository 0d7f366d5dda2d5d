"""The state lane: a state's events as sealed, signed records in a database of their own.

A decision is made inside the write transaction, on a book that has every event of every process
before it, and its events are durable with it. The book lives here between two decisions; where a
transaction fails, it is thrown away and read again, since it may be ahead of the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from haulout.database.database import Database
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.log.journal import Journal
from haulout.log.keychain import NamespaceKey
from haulout.log.record import RecordType
from haulout.state import book as books
from haulout.state.book import Book
from haulout.state.events import Event, Kind, decode_event, encode_event, record_type
from haulout.state.tape import Answer, Decide, Numbered, Past, subject_of

_SNAPSHOT_EVENTS: Final = 500
"""A snapshot of the book follows so many events: reading 500 takes some 30 ms."""
STATE_TYPES: Final = frozenset({RecordType.STATE, RecordType.INTENT, RecordType.SETTLE})


class _Events:
    """Reads a state's events inside one transaction."""

    def __init__(self, connection: Transaction, journal: Journal, name: str, space: int) -> None:
        self._connection, self._journal = connection, journal
        self._name, self._space = name, space

    def _rows(self, where: str, *values: Any) -> Iterator[Numbered]:
        rows = self._connection.execute(
            f"SELECT num FROM state_event WHERE vault = ? AND namespace = ? {where} ORDER BY num",  # noqa: S608 - our own words
            (self._journal.vault, self._space, *values),
        ).fetchall()
        for (number,) in rows:
            yield Numbered(number, self.event(number))

    def event(self, number: int) -> Event:
        stored = self._journal.stored(self._connection, number)
        return decode_event(self._journal.open_payload(self._connection, stored))

    def after(self, number: int) -> Iterator[Numbered]:
        return self._rows("AND num > ?", number)

    def of(self, subject: bytes, after: int = 0) -> Iterator[Numbered]:
        """The events about a subject, after a number."""
        return self._rows("AND subject = ? AND num > ?", subject, after)

    def keyed(self, key: str) -> Event | None:
        """The intent event that a key decided."""
        mac = self._journal.keychain.operation_mac(f"{self._name}\0{key}")
        number = self._journal.operation(self._connection, mac)
        return None if number is None else self.event(number)


class LaneTape:
    """One state's events in the state lane of a vault.

    Args:
        database, journal: the lane; name: the state's.
    """

    def __init__(self, database: Database, journal: Journal, name: str) -> None:
        self._database, self._journal, self.name = database, journal, name
        self._turn = threading.Lock()  # around the book
        self._book: Book | None = None
        self._snapshot_at = 0

    # ------------------------------------------------------------------ writing

    def transact(self, decide: Decide[Answer], *, patience: float | None = None) -> Answer:
        """Decide on the newest book and append what follows; durable when this returns."""
        job = self._job(decide)
        answer = self._database.write(job, patience=patience, undone=self._forget_book)
        self._keep_snapshot()
        return cast("Answer", answer)

    def post(self, decide: Decide[None]) -> None:
        """The same, in order, without waiting for it.

        A failure shows in the next `transact`: the database refuses after one, and a recovery
        asks the venue again for what was posted.
        """
        self._database.post(self._job(decide), undone=self._forget_book)

    def _job(self, decide: Decide[Answer]) -> Callable[[Transaction], Answer]:
        def job(connection: Transaction) -> Answer:
            with self._turn:
                space, key = self._journal.ensure_namespace(connection, self.name)
                events = _Events(connection, self._journal, self.name, space)
                book = self._current(connection, events, space)
                following, answer = decide(book, events)
                try:
                    for event in following:
                        book.fold(self._append(connection, key, space, event), event)
                except BaseException:
                    self._book = None
                    raise
                return answer

        return job

    def _append(self, connection: Transaction, key: NamespaceKey, space: int, event: Event) -> int:
        operation = b""
        if event.kind == Kind.INTENT and "key" in event.body:
            operation = self._journal.keychain.operation_mac(f"{self.name}\0{event.body['key']}")
        entry = self._journal.append(
            connection, record_type(event), encode_event(event), namespace=key, operation=operation
        )
        note_event(connection, self._journal.vault, entry.num, space, event)
        return entry.num

    def _forget_book(self) -> None:
        with self._turn:
            self._book = None

    # ------------------------------------------------------------------ reading

    def read(self, look: Callable[[Book, Past], Answer]) -> Answer:
        """Look at the newest book."""
        with self._database.read() as connection, self._turn:
            space = self._known_space(connection)
            if space is None:
                empty: Past = _Events(connection, self._journal, self.name, 0)
                return look(Book(), empty)
            events = _Events(connection, self._journal, self.name, space)
            # A writer may have folded events that this moment does not see yet: then the book is
            # ahead of it, by events that are about to be durable, and is read anew.
            return look(self._read_book(connection, events, space), events)

    def history(self, after: int = 0) -> Iterator[Numbered]:
        """Every event after a number."""
        with self._database.read() as connection:
            space = self._known_space(connection)
            if space is not None:
                events = _Events(connection, self._journal, self.name, space)
                yield from events.after(after)

    def _known_space(self, connection: Transaction) -> int | None:
        row = connection.execute(
            "SELECT namespace FROM namespace WHERE vault = ? AND name = ?",
            (self._journal.vault, self.name),
        ).fetchone()
        return row[0] if row else None

    def _newest(self, connection: Transaction, space: int) -> int:
        row = connection.execute(
            "SELECT max(num) FROM state_event WHERE vault = ? AND namespace = ?",
            (self._journal.vault, space),
        ).fetchone()
        return row[0] or 0

    def _read_book(self, connection: Transaction, events: _Events, space: int) -> Book:
        if self._book is not None and self._book.through > self._newest(connection, space):
            return self._folded(connection, events, space)
        return self._current(connection, events, space)

    def _current(self, connection: Transaction, events: _Events, space: int) -> Book:
        """The book with every event that this transaction sees."""
        if self._book is not None and self._book.through > self._newest(connection, space):
            self._book = None  # a transaction that was undone had folded into it
        if self._book is None:
            self._book = self._folded(connection, events, space)
            return self._book
        for number, event in events.after(self._book.through):
            self._book.fold(number, event)
        return self._book

    def _folded(self, connection: Transaction, events: _Events, space: int) -> Book:
        row = connection.execute(
            "SELECT book FROM state_book WHERE vault = ? AND namespace = ?",
            (self._journal.vault, space),
        ).fetchone()
        book = (books.opened(row[0]) if row else None) or Book()
        self._snapshot_at = book.events
        for number, event in events.after(book.through):
            book.fold(number, event)
        return book

    # ------------------------------------------------------------------ snapshots

    def _keep_snapshot(self) -> None:
        book = self._book
        if book is None or book.events < self._snapshot_at + _SNAPSHOT_EVENTS:
            return
        self._snapshot_at = book.events

        def job(connection: Transaction) -> None:
            with self._turn:
                space = self._known_space(connection)
                if self._book is not None and space is not None:
                    keep_book(connection, self._journal.vault, space, self._book)

        self._database.post(job)


def note_event(connection: Transaction, vault: int, number: int, space: int, event: Event) -> None:
    """Write down what a record of the lane is about."""
    connection.execute(
        "INSERT INTO state_event VALUES (?, ?, ?, ?)", (number, vault, space, subject_of(event))
    )


def keep_book(connection: Transaction, vault: int, space: int, book: Book) -> None:
    """Keep a snapshot of a state's book."""
    connection.execute(
        "INSERT INTO state_book VALUES (?, ?, ?, ?) ON CONFLICT (vault, namespace)"
        " DO UPDATE SET through = excluded.through, book = excluded.book",
        (vault, space, book.through, book.snapshot()),
    )


def state_names(connection: Transaction, vault: int) -> list[str]:
    """The names of all states, in order."""
    rows = connection.execute(
        "SELECT name FROM namespace WHERE vault = ? ORDER BY name", (vault,)
    ).fetchall()
    return [row[0] for row in rows]


def rebuild(connection: Transaction, journal: Journal) -> int:
    """Make the lane's views again from its records; return how many events there are.

    Raises:
        DamagedError: an event cannot be read, or cannot follow those before it.
    """
    connection.execute("DELETE FROM state_event WHERE vault = ?", (journal.vault,))
    connection.execute("DELETE FROM state_book WHERE vault = ?", (journal.vault,))
    connection.execute("DELETE FROM namespace WHERE vault = ?", (journal.vault,))
    spaces: dict[bytes, int] = {}
    found: dict[int, Book] = {}
    count = 0
    for stored in journal.records(connection):
        if stored.header.type not in STATE_TYPES:
            continue
        event = decode_event(journal.open_payload(connection, stored))
        space = _space(connection, journal, stored.header.namespace, stored.header.epoch, spaces)
        note_event(connection, journal.vault, stored.num, space, event)
        found.setdefault(space, Book()).fold(stored.num, event)
        count += 1
    for space, book in found.items():
        keep_book(connection, journal.vault, space, book)
    return count


def _space(
    connection: Transaction, journal: Journal, namespace: bytes, epoch: int, known: dict[bytes, int]
) -> int:
    if namespace not in known:
        key = journal.namespace_key(connection, namespace, epoch)
        connection.execute(
            "INSERT INTO namespace (vault, id, name) VALUES (?, ?, ?)",
            (journal.vault, key.id, key.name),
        )
        known[namespace] = connection.last_insert_rowid()
    return known[namespace]


def differences(connection: Transaction, journal: Journal) -> list[str]:
    """What the lane's views say otherwise than its records; empty when they agree."""
    found: list[str] = []
    rows = connection.execute(
        "SELECT b.namespace, n.name, b.book FROM state_book b"
        " JOIN namespace n ON n.namespace = b.namespace WHERE b.vault = ?",
        (journal.vault,),
    ).fetchall()
    for space, name, snapshot in rows:
        kept = books.opened(snapshot)
        if kept is None:
            continue  # of another version: it is read past
        book = Book()
        try:
            for number, event in _Events(connection, journal, name, space).after(0):
                if number > kept.through:
                    break
                book.fold(number, event)
        except DamagedError as error:
            found.append(f"state {name}: {error.message}")
            continue
        if book != kept:
            found.append(f"state {name}: its snapshot is not what its events add up to")
    return found
