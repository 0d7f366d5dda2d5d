"""`haulout history`."""

from __future__ import annotations


def test_every_step_is_told_with_its_operation(mine, walnuts):
    mine("update", walnuts, "Changed.")
    mine("forget", walnuts, "--level", "hidden", "--yes")
    rows = mine("history", walnuts).rows
    assert [row[1] for row in rows] == ["remember", "update", "forget"]
    assert [row[2] for row in rows] == ["Ana is allergic to walnuts.", "Changed.", ""]
    assert all(len(row[3]) == 26 for row in rows)


def test_what_was_erased_has_a_history_without_words(mine, walnuts):
    mine("forget", walnuts, "--yes")
    events = mine("history", walnuts, "--json").json
    assert [event["action"] for event in events] == ["remember", "erase"]
    assert {event["memory"] for event in events} == {None}


def test_what_never_was_has_none(mine):
    assert mine("history", "0" * 26).code == 3
