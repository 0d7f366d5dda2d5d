"""Journals: a snapshot and its tail are the sum of all notes; a snapshot alone is stale."""

from __future__ import annotations

import threading
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state.desk import Clock, in_memory
from state.test_lane import fail_commits

from haulout import Vault
from haulout.errors import ActionRefusedError, DiskFullError, InputError
from haulout.state.events import Event, Kind
from haulout.state.journals import Journal
from haulout.state.state import State


def peak(total: list[int], note: int) -> list[int]:
    """A trailing stop's kind of sum: the newest, the highest and how many."""
    return [note, max(total[1], note), total[2] + 1]


def journal(state: State, every: int = 10, schema: int = 1) -> Journal[list[int]]:
    return state.journal("prices", peak, [0, 0, 0], every=every, schema=schema)


def whole(notes: list[int]) -> list[int]:
    total = [0, 0, 0]
    for note in notes:
        total = peak(total, note)
    return total


@given(st.lists(st.integers(-100, 100), max_size=60), st.integers(1, 12), st.integers(0, 60))
@settings(deadline=None)
def test_snapshot_and_tail_are_the_sum_of_all_notes(
    notes: list[int], every: int, read_at: int
) -> None:
    state = in_memory(Clock())
    kept = journal(state, every)
    for place, note in enumerate(notes):
        kept.note(note, wait=place % 3 > 0)
        if place == read_at:
            assert kept.value == whole(notes[: place + 1])
    assert kept.value == journal(state, every).value == journal(state, 3).value == whole(notes)
    assert kept.notes() == notes
    later = in_memory(Clock(), events=[event for _, event in state.events()])
    assert journal(later, every).value == whole(notes)


def test_a_snapshot_alone_is_stale_and_is_never_used_alone() -> None:
    state = in_memory(Clock())
    kept = journal(state, every=10)
    for note in range(1, 18):
        kept.note(note)
    snapshots = [event for _, event in state.events() if event.kind == Kind.SNAPSHOT]
    assert [one.body["value"] for one in snapshots] == ["[10,10,10]"]
    assert journal(state).value == [17, 17, 17]


def test_reading_goes_on_from_the_newest_snapshot(ephemeral: Vault) -> None:
    state = ephemeral.state("bots/journal")
    kept = journal(state, every=50)
    for note in range(120):
        kept.note(note)
    folded: list[int] = []

    def counting(total: list[int], note: int) -> list[int]:
        folded.append(note)
        return peak(total, note)

    assert state.journal("prices", counting, [0, 0, 0], every=50).value == whole(list(range(120)))
    assert folded == list(range(100, 120))


def test_a_reducer_of_another_schema_folds_all_notes_anew() -> None:
    state = in_memory(Clock())
    for note in range(25):
        journal(state).note(note)
    newer: Journal[int] = state.journal("prices", lambda total, note: total + note, 0, schema=2)
    assert newer.value == sum(range(25))
    for note in range(100):
        newer.note(note)
    assert journal(state).value[2] == 125  # and its snapshot is not the older one's


def test_whoever_changes_what_they_were_given_changes_no_sum() -> None:
    kept = journal(in_memory(Clock()))
    kept.note(5)
    kept.value.append(99)
    assert kept.value == [5, 5, 1]


def test_a_reducer_that_fails_half_way_leaves_no_half_of_a_note() -> None:
    state = in_memory(Clock())
    fails = True

    def reducer(total: list[int], note: int) -> list[int]:
        total.append(note)  # in place
        if fails and note == 2:
            raise RuntimeError(note)
        return total

    kept = state.journal("x", reducer, [], every=100)
    for note in (1, 2, 3):
        kept.note(note)
    with pytest.raises(RuntimeError):
        _ = kept.value
    fails = False
    assert kept.value == [1, 2, 3]


def test_a_reducer_may_read_the_state_it_belongs_to(vault: Vault) -> None:
    state = vault.state("bots/btc")
    state.document("factor").set(3)
    kept = state.journal("x", lambda total, note: total + note * state.document("factor").get(), 0)
    kept.note(2)
    assert kept.value == 6


def test_notes_that_a_full_disk_undid_are_in_no_sum(vault: Vault) -> None:
    state = vault.state("bots/btc")
    kept = state.journal("x", lambda total, note: total + note, 0, every=2)
    kept.note(1)
    heal = fail_commits(state, apsw.FullError("no space"))
    for _ in range(3):
        with pytest.raises(DiskFullError):
            kept.note(10)
    heal()
    kept.note(2)
    kept.note(3)
    assert (kept.value, kept.notes()) == (6, [1, 2, 3])
    assert state.journal("x", lambda total, note: total + note, 0).value == 6


def test_a_note_that_is_kept_is_not_called_lost_where_its_snapshot_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = journal(in_memory(Clock()), every=1)

    def full() -> None:
        message = "No space is left."
        raise DiskFullError(message)

    monkeypatch.setattr(kept, "_snapshot", full)
    kept.note(1)
    assert kept.notes() == [1]


def test_notes_of_many_threads_are_all_there(vault: Vault) -> None:
    state = vault.state("bots/btc")
    kept = [state.journal("x", lambda total, note: total + note, 0, every=7) for _ in range(4)]

    def work(place: int) -> None:
        for n in range(25):
            kept[place].note(n, wait=n % 5 == 0)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept[0].note(0)
    assert [one.value for one in kept] == [4 * sum(range(25))] * 4


@pytest.mark.parametrize("value", [float("inf"), object()])
def test_a_note_that_is_no_json_is_refused_at_once(value: Any) -> None:
    with pytest.raises(InputError):
        journal(in_memory(Clock())).note(value, wait=False)


def test_nothing_is_noted_under_a_lease_that_was_lost() -> None:
    clock = Clock()
    state = in_memory(clock)
    state.lease("a", 10)
    kept = journal(state)
    kept.note(1)
    clock.pass_by(11)
    with pytest.raises(ActionRefusedError):
        kept.note(2)
    kept.note(2, wait=False)  # nobody hears of it
    assert kept.notes() == [1]


def test_a_snapshot_that_others_overtook_is_left_out() -> None:
    state = in_memory(Clock())
    kept = journal(state, every=2)
    kept.note(1)
    fold = kept._fold

    def overtaken() -> None:
        fold()
        note = {"journal": "prices", "value": "7"}
        state.append(lambda _book, _past: ([Event(Kind.NOTE, 1, 0, note)], None))

    kept._fold = overtaken  # type: ignore[method-assign]
    kept.note(2)
    assert [event.kind for _, event in state.events()].count(Kind.SNAPSHOT) == 0
    assert journal(state).value == [7, 7, 3]
