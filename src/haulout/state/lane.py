"""The state lane: a state's events as sealed, signed records in a database of their own.

A decision is made inside the write transaction, on a book that has every event of every process
before it, and its events are durable with it. The book lives here between two decisions; where a
transaction fails, it is thrown away and read again, since it may be ahead of the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, cast

from haulout.database.database import Database
from haulout.database.rightofway import RightOfWay
from haulout.database.transaction import Transaction
from haulout.errors import HauloutError
from haulout.log.journal import Journal
from haulout.log.keychain import NamespaceKey
from haulout.log.record import RecordType
from haulout.state import book as books
from haulout.state.book import Book
from haulout.state.events import (
    Event,
    Kind,
    decode_event,
    encode_event,
    record_type,
    require_form,
)
from haulout.state.tape import Answer, Decide, Numbered, Past, Sending, subject_of

_SNAPSHOT_EVENTS: Final = 500
"""A snapshot of the book follows so many events: reading 500 takes some 30 ms."""
_READ_AT_ONCE: Final = 500
STATE_TYPES: Final = frozenset({RecordType.STATE, RecordType.INTENT, RecordType.SETTLE})


class _Events:
    """Reads a state's events inside one transaction."""

    def __init__(self, connection: Transaction, journal: Journal, name: str, space: int) -> None:
        self._connection, self._journal = connection, journal
        self._name, self._space = name, space

    def _rows(self, where: str, *values: Any, most: int = -1) -> Iterator[Numbered]:
        rows = self._connection.execute(
            f"SELECT num FROM state_event WHERE vault = ? AND namespace = ? {where}"  # noqa: S608 - our own words
            " ORDER BY num LIMIT ?",
            (self._journal.vault, self._space, *values, most),
        ).fetchall()
        for (number,) in rows:
            yield Numbered(number, self.event(number))

    def event(self, number: int) -> Event:
        stored = self._journal.stored(self._connection, number)
        return decode_event(self._journal.open_payload(self._connection, stored))

    def after(self, number: int, most: int = -1) -> Iterator[Numbered]:
        return self._rows("AND num > ?", number, most=most)

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
        way: taken while an event is written.
    """

    def __init__(self, database: Database, journal: Journal, name: str, way: RightOfWay) -> None:
        self._database, self._journal, self.name = database, journal, name
        self.way: AbstractContextManager[object] = way
        self.sending = Sending()
        self._turn = threading.Lock()  # around the book
        self._book: Book | None = None
        self._snapshot_at = 0

    # ------------------------------------------------------------------ writing

    def transact(self, decide: Decide[Answer], *, patience: float | None = None) -> Answer:
        """Decide on the newest book and append what follows; durable when this returns."""
        job = self._job(decide)
        with self.way:
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
        require_form(event)
        operation = b""
        if event.kind == Kind.INTENT and "key" in event.body:
            operation = self._journal.keychain.operation_mac(f"{self.name}\0{event.body['key']}")
            if "adopted" in event.body and self._journal.operation(connection, operation):
                operation = b""  # open again: its key decided it the first time
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
        """Look at the newest book. A writer waits meanwhile: look briefly."""
        with self._database.read() as connection:
            space = self._known_space(connection)
            events = _Events(connection, self._journal, self.name, space or 0)
            if space is None:
                return look(Book(), events)
            newest = self._newest(connection, space)
            with self._turn:
                book = self._book
                if book is not None and book.through <= newest:
                    return look(self._current(connection, events, space), events)
            # Never read, or a writer has folded events that this moment does not see yet, which
            # are about to be durable: the book of this moment is read apart, and no writer waits.
            book, snapshot_at = self._folded(connection, events, space)
            answer = look(book, events)
            with self._turn:
                if self._book is None:
                    self._book, self._snapshot_at = book, snapshot_at
            return answer

    def look_back(self, look: Callable[[Past], Answer]) -> Answer:
        """Look at what happened, and not at the book: no writer waits meanwhile."""
        with self._database.read() as connection:
            space = self._known_space(connection)
            return look(_Events(connection, self._journal, self.name, space or 0))

    def history(self, after: int = 0) -> Iterator[Numbered]:
        """Every event after a number; whoever reads them may write meanwhile."""
        while True:
            with self._database.read() as connection:
                space = self._known_space(connection)
                events = _Events(connection, self._journal, self.name, space or 0)
                found = list(events.after(after, _READ_AT_ONCE))
            yield from found
            if len(found) < _READ_AT_ONCE:
                return
            after = found[-1].number

    def _known_space(self, connection: Transaction) -> int | None:
        row = connection.execute(
            "SELECT namespace FROM namespace WHERE vault = ? AND name = ?",
            (self._journal.vault, self.name),
        ).fetchone()
        return row[0] if row else None

    def _newest(self, connection: Transaction, space: int) -> int:
        row = connection.execute(  # max(num) would read every entry of the index: 36 us of 400
            "SELECT num FROM state_event WHERE vault = ? AND namespace = ?"
            " ORDER BY num DESC LIMIT 1",
            (self._journal.vault, space),
        ).fetchone()
        return row[0] if row else 0

    def _current(self, connection: Transaction, events: _Events, space: int) -> Book:
        """The book with every event that this transaction sees."""
        newest = self._newest(connection, space)
        book = self._book
        if book is None or book.through > newest:  # a transaction that was undone had folded in it
            self._book, self._snapshot_at = self._folded(connection, events, space)
            return self._book
        if book.through < newest:
            try:
                for number, event in events.after(book.through):
                    book.fold(number, event)
            except BaseException:
                self._book = None  # it has a part of them
                raise
        return book

    def _folded(self, connection: Transaction, events: _Events, space: int) -> tuple[Book, int]:
        """The book of this moment, and how many of its events its snapshot had."""
        row = connection.execute(
            "SELECT book FROM state_book WHERE vault = ? AND namespace = ?",
            (self._journal.vault, space),
        ).fetchone()
        book = (books.opened(row[0]) if row else None) or Book()
        snapshot_at = book.events
        for number, event in events.after(book.through):
            book.fold(number, event)
        return book, snapshot_at

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

        with suppress(HauloutError):  # the events are durable; a later one tries again
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
