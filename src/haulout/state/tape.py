"""The tape: where a state's events are kept, in order. The port that `State` writes to.

`LaneTape` (haulout.state.lane) keeps them in the vault; `MemoryTape`, here, in memory: the twin
for backtests, with the same books and the same answers.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import NamedTuple, Protocol, TypeVar

from haulout.errors import HauloutError
from haulout.state import book as books
from haulout.state.book import Book
from haulout.state.events import Event, Kind, require_form

Answer = TypeVar("Answer")


class Numbered(NamedTuple):
    """An event and its number."""

    number: int
    event: Event


class Past(Protocol):
    """What a decision may look up beside the book."""

    def of(self, subject: bytes, after: int = 0) -> Iterator[Numbered]:
        """The events about a subject (see `subject_of`), after a number, in order."""
        ...

    def keyed(self, key: str) -> Event | None:
        """The intent event that a key decided, however long ago."""
        ...


Decide = Callable[[Book, Past], tuple[Sequence[Event], Answer]]
"""Looks at the book and says which events follow, and what to answer."""


class Sending:
    """Which intents a thread of this process is sending just now.

    While one is under way a venue may not show it yet, and whoever looked would take it for lost.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._threads: dict[bytes, tuple[int, int]] = {}  # by intent: whose, how often entered

    @contextmanager
    def turn(self, intent: bytes) -> Generator[bool]:
        """Hold an intent for the block, again and again in one thread; False where another does."""
        own = threading.get_ident()
        with self._turn:
            thread, depth = self._threads.get(intent, (own, 0))
            if thread == own:
                self._threads[intent] = own, depth + 1
        try:
            yield thread == own
        finally:
            if thread == own:
                with self._turn:
                    if depth:
                        self._threads[intent] = own, depth
                    else:
                        del self._threads[intent]

    def elsewhere(self, intent: bytes) -> bool:
        """Whether another thread is sending it."""
        thread, _ = self._threads.get(intent, (0, 0))
        return thread not in {0, threading.get_ident()}


class Tape(Protocol):
    """Events in order, durable before they are acknowledged."""

    name: str
    sending: Sending
    way: AbstractContextManager[object]
    """Held while somebody waits: what is done in the background stops meanwhile."""

    def transact(self, decide: Decide[Answer], *, patience: float | None = None) -> Answer:
        """Decide on the newest book and append what follows, in one transaction.

        Args:
            decide: called once, with every event before it folded in.
            patience: seconds to wait for the disk; None waits as long as it takes.

        Raises:
            StorageError: the events are not kept; with ``patience`` run out they may be later.
            HauloutError: whatever ``decide`` raised; nothing was appended.
        """
        ...

    def post(self, decide: Decide[None]) -> None:
        """The same, in order, without waiting for it. What ``decide`` raises is not heard of.

        Raises:
            VaultClosedError: the tape takes nothing more.
            StoreUnavailableError: too many wait already.
        """
        ...

    def read(self, look: Callable[[Book, Past], Answer]) -> Answer:
        """Look at the newest book; nothing is appended."""
        ...

    def look_back(self, look: Callable[[Past], Answer]) -> Answer:
        """Look at what happened, however long it takes: no writer waits meanwhile."""
        ...

    def history(self, after: int = 0) -> Iterator[Numbered]:
        """Every event after a number, in order."""
        ...


_SUBJECTS = {Kind.DOCUMENT: "name", Kind.NOTE: "journal", Kind.SNAPSHOT: "journal"}


def named(kind: Kind, name: str) -> bytes:
    """The subject of a document, or of a journal (notes and snapshots share it): 16 bytes."""
    letter = b"d" if kind == Kind.DOCUMENT else b"j"
    return hashlib.sha256(letter + name.encode()).digest()[:16]


def subject_of(event: Event) -> bytes | None:
    """What an event is about: an intent's ID, a document or a journal; None for the rest."""
    if event.kind in {Kind.INTENT, Kind.SETTLE}:
        return event.body["id"]
    field = _SUBJECTS.get(event.kind)  # pyright: ignore[reportArgumentType, reportCallIssue] any number
    return None if field is None else named(Kind(event.kind), event.body[field])


class MemoryTape:
    """Events in memory: for backtests and simulations, gone with the process.

    Args:
        name: the state's name.
        events: what happened before; a tape made of another's events has the same book.
    """

    def __init__(self, name: str, events: Sequence[Event] = ()) -> None:
        self.name, self.sending = name, Sending()
        self.way: AbstractContextManager[object] = nullcontext()
        self.events: list[Event] = []
        self._book = Book()
        self._keys: dict[str, int] = {}
        self._subjects: dict[bytes, list[int]] = {}
        self._turn = threading.RLock()
        for event in events:
            self._append(event)

    def _append(self, event: Event) -> None:
        number = len(self.events) + 1
        self._book.fold(number, event)
        self.events.append(event)
        subject = subject_of(event)
        if subject is not None:
            self._subjects.setdefault(subject, []).append(number)
        if event.kind == Kind.INTENT and "key" in event.body:
            self._keys.setdefault(event.body["key"], number)

    def of(self, subject: bytes, after: int = 0) -> Iterator[Numbered]:
        """The events about a subject, after a number."""
        for number in list(self._subjects.get(subject, ())):
            if number > after:
                yield Numbered(number, self.events[number - 1])

    def keyed(self, key: str) -> Event | None:
        """The intent event that a key decided."""
        number = self._keys.get(key)
        return None if number is None else self.events[number - 1]

    def transact(self, decide: Decide[Answer], *, patience: float | None = None) -> Answer:
        """Decide on the newest book and append what follows; there is no disk to wait for."""
        del patience
        with self._turn:
            events, answer = decide(self._book, self)
            for event in events:
                require_form(event)
            for event in events:
                self._append(event)
            return answer

    def post(self, decide: Decide[None]) -> None:
        """The same; it is done when this returns. What ``decide`` raises is not heard of either."""
        with suppress(HauloutError):
            self.transact(decide)

    def read(self, look: Callable[[Book, Past], Answer]) -> Answer:
        """Look at the newest book."""
        with self._turn:
            return look(self._book, self)

    def look_back(self, look: Callable[[Past], Answer]) -> Answer:
        """Look at what happened."""
        return look(self)

    def history(self, after: int = 0) -> Iterator[Numbered]:
        """Every event after a number."""
        for number, event in enumerate(self.events[after:], after + 1):
            yield Numbered(number, event)


def replayed(events: Sequence[Numbered]) -> Book:
    """The book of some events, folded from the beginning."""
    book = books.Book()
    for number, event in events:
        book.fold(number, event)
    return book
