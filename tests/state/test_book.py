"""The book is a function of its events: from the beginning, from any snapshot, and told plainly."""

from __future__ import annotations

import decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state.desk import START, Clock, in_memory
from state.programs import PROGRAMS, Run, Step, book_of

from haulout.errors import DamagedError
from haulout.state.book import BOOK_VERSION, Book, opened
from haulout.state.events import Event, Kind, decode_event, encode_event
from haulout.state.tape import MemoryTape, Numbered, replayed

INTENT = Event(
    Kind.INTENT, START, 0, {"id": bytes(16), "action": "a", "role": "entry", "payload": "1"}
)


def settle(status: str, number: int = 0) -> Event:
    return Event(Kind.SETTLE, START, 0, {"id": bytes(15) + bytes([number]), "status": status})


@given(PROGRAMS, st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_the_book_from_any_snapshot_and_its_tail_is_the_book_from_the_beginning_byte_for_byte(
    steps: list[Step], at: int
) -> None:
    tape = MemoryTape("bots/btc")
    Run(tape).all(steps)
    events = [one._replace(number=one.number * 3) for one in tape.history()]  # numbers have gaps
    whole = book_of(events)
    snapshot = book_of(events[:at]).snapshot()
    assert book_of(events, snapshot).snapshot() == whole.snapshot()
    assert opened(whole.snapshot()) == whole


@given(PROGRAMS)
@settings(max_examples=80, deadline=None)
def test_replay_of_what_was_written_gives_the_same_book_in_any_decimal_context(
    steps: list[Step],
) -> None:
    tape = MemoryTape("bots/btc")
    Run(tape).all(steps)
    live = tape.read(lambda book, _past: book.snapshot())
    with decimal.localcontext() as context:
        context.prec = 2
        context.rounding = decimal.ROUND_UP
        again = [
            Numbered(number, decode_event(encode_event(event))) for number, event in tape.history()
        ]
        assert replayed(again).snapshot() == live
    other = MemoryTape("bots/btc", [event for _, event in again])
    assert other.read(lambda book, _past: book.snapshot()) == live


def test_s9_parameters_and_limits_are_restored_as_they_were_last_set() -> None:
    state = in_memory(Clock())
    state.document("parameters").set({"risk": "0.02"})
    state.document("parameters").set({"risk": "0.01"})
    state.limit("usd/day", 100)
    state.limit("usd/day", 50)
    after = in_memory(Clock(), "restart", events=[event for _, event in state.events()])
    assert after.document("parameters").get() == {"risk": "0.01"}
    assert after.document("parameters").read().version == 2  # pyright: ignore[reportOptionalMemberAccess]
    assert [one.most for one in after.tape.read(lambda book, _past: book.in_force())] == ["50"]


def test_a_snapshot_of_another_version_is_read_past() -> None:
    assert opened(Book(version=BOOK_VERSION + 1).snapshot()) is None
    assert opened(b"nonsense") is None
    assert opened(b"") is None


@pytest.mark.parametrize(
    "events",
    [
        [INTENT, INTENT],
        [INTENT, settle("accepted"), settle("dropped")],
        [INTENT, settle("accepted"), settle("unknown")],
        [Event(Kind.LIMITS, 1, 0, {"by": "owner", "limits": {"nonsense": "1"}})],
    ],
)
def test_an_event_that_cannot_follow_is_damage(events: list[Event]) -> None:
    with pytest.raises(DamagedError):
        MemoryTape("x", events)


def test_an_event_comes_after_those_before_it() -> None:
    book = Book()
    book.fold(5, INTENT)
    with pytest.raises(DamagedError):
        book.fold(5, settle("done"))


@pytest.mark.parametrize("status", ["refused", "dropped", "cancelled", "done"])
def test_a_report_that_comes_twice_changes_nothing(status: str) -> None:
    once = book_of([Numbered(1, INTENT), Numbered(2, settle(status))])
    twice = book_of([Numbered(1, INTENT), Numbered(2, settle(status)), Numbered(3, settle(status))])
    twice.through, twice.events = once.through, once.events
    assert twice == once


def test_of_the_final_intents_the_newest_200_are_kept_to_be_shown() -> None:
    book = Book()
    for number in range(250):
        body = {**INTENT.body, "id": bytes(15) + bytes([number])}
        book.fold(2 * number + 1, INTENT._replace(body=body))
        book.fold(2 * number + 2, settle("done", number))
    assert [one.id[-1] for one in book.recent] == list(range(50, 250))
    assert book.intents == {}


def test_a_snapshot_of_a_journal_that_counts_other_notes_is_not_used() -> None:
    note = Event(Kind.NOTE, 1, 0, {"journal": "x", "value": "1"})
    wrong = Event(Kind.SNAPSHOT, 1, 0, {"journal": "x", "schema": 1, "through": 2, "value": "9"})
    book = book_of([Numbered(1, note), Numbered(2, wrong)])
    assert (book.journals["x"].notes, book.journals["x"].value) == (1, None)
