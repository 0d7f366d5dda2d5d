"""Journals: what happened, note by note, and what it adds up to.

The notes are the truth. A snapshot of their sum spares reading them all again, and is never
used alone: what came after it is always folded in (a snapshot 12 bars old lost a fifth of what
memory is worth, in our source's own measurement).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from haulout.errors import ActionRefusedError, StorageError, VaultClosedError
from haulout.state.book import Book
from haulout.state.book import Journal as Kept
from haulout.state.events import Event, Kind, json_text, name_text
from haulout.state.secrets import refuse_secrets
from haulout.state.tape import Past, named

if TYPE_CHECKING:
    from haulout.state.writing import Writing

Sum = TypeVar("Sum")


class Journal(Generic[Sum]):
    """A journal of a state.

    Args:
        state: whose; name: its name.
        reducer: sum and note -> the next sum. It takes no time and no randomness but the note's.
        initial: the sum of no notes; both sum and notes are JSON's kinds of values.
        schema: one more whenever the reducer changes: older snapshots are then not used.
        every: a snapshot follows so many notes.
    """

    def __init__(
        self,
        state: Writing,
        name: str,
        reducer: Callable[[Sum, Any], Sum],
        initial: Sum,
        *,
        schema: int = 1,
        every: int = 100,
    ) -> None:
        self._state, self.name = state, name_text(name, "A journal's name")
        self._reducer, self._initial = reducer, json_text(initial, "A journal's initial sum")
        self._schema, self._every = schema, every
        self._turn = threading.Lock()  # around the sum
        self._number, self._notes = 0, 0
        self._sum: Sum = self._first()

    def _first(self) -> Sum:
        return msgspec.json.decode(self._initial)

    def note(self, value: Any, *, wait: bool = True) -> None:
        """Write down what happened.

        Args:
            value: JSON's kinds of values.
            wait: until it is durable; without, it follows in order and a crash may lose it.

        Raises:
            InputError: the value is no JSON, or a secret; ActionRefusedError: the lease was lost;
            StorageError: it is not kept.
        """
        refuse_secrets(value, self.name)
        text = json_text(value, f"A note of {self.name}")
        now, epoch = self._state.now(), self._state.epoch

        def decide(book: Book, _past: Past) -> tuple[list[Event], bool]:
            self._state.require_lease(book, now)
            kept = book.journals.get(self.name, Kept())
            event = Event(Kind.NOTE, now, epoch, {"journal": self.name, "value": text})
            return [event], kept.notes + 1 >= kept.through + self._every

        if not wait:
            self._state.tape.post(lambda book, past: (decide(book, past)[0], None))
        elif self._state.append(decide):
            # The note is kept: whoever heard otherwise would write it down twice.
            with suppress(StorageError, VaultClosedError, ActionRefusedError):
                self._snapshot()

    @property
    def value(self) -> Sum:
        """What the notes add up to."""
        with self._turn:
            self._fold()
            # A copy: whoever changes what they were given does not change the next sum.
            return msgspec.json.decode(self._text())

    def notes(self) -> list[Any]:
        """Every note, oldest first."""

        def look(past: Past) -> list[Any]:
            return [
                msgspec.json.decode(event.body["value"])
                for _, event in past.of(named(Kind.NOTE, self.name))
                if event.kind == Kind.NOTE
            ]

        return self._state.tape.look_back(look)

    def _text(self) -> str:
        return json_text(self._sum, f"The sum of {self.name}")

    def _kept(self) -> Kept:
        return self._state.tape.read(lambda book, _past: book.journals.get(self.name, Kept()))

    def _fold(self) -> None:
        """Take in what was noted since, from the newest snapshot on. Only what is durable."""
        kept = self._kept()
        if kept.value is not None and kept.schema == self._schema and kept.number > self._number:
            self._sum, self._notes = msgspec.json.decode(kept.value), kept.through
            self._number = kept.number
        try:
            self._state.tape.look_back(self._take)
        except BaseException:  # the reducer's: a sum may have half of a note
            self._sum, self._number, self._notes = self._first(), 0, 0
            raise

    def _take(self, past: Past) -> None:
        for number, event in past.of(named(Kind.NOTE, self.name), self._number):
            if event.kind == Kind.NOTE:
                self._sum = self._reducer(self._sum, msgspec.json.decode(event.body["value"]))
                self._notes += 1
            self._number = number

    def _snapshot(self) -> None:
        now, epoch = self._state.now(), self._state.epoch
        with self._turn:
            self._fold()
            notes = self._notes
            body = {
                "journal": self.name, "schema": self._schema, "through": notes,
                "value": self._text(),
            }  # fmt: skip

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if book.journals.get(self.name, Kept()).notes != notes:
                return [], None  # another was noted meanwhile: a later note tries again
            self._state.require_lease(book, now)
            return [Event(Kind.SNAPSHOT, now, epoch, body)], None

        self._state.append(decide)
