"""`haulout get`, and IDs by their beginning."""

from __future__ import annotations

import pytest


def test_it_shows_the_words_and_what_is_known(mine, walnuts):
    shown = dict(mine("get", walnuts).rows)
    assert shown["text"] == "Ana is allergic to walnuts."
    assert (shown["speaker"], shown["namespace"], shown["id"]) == ("Ana", "default", walnuts)
    assert "Ana is allergic to walnuts." in mine("get", walnuts, terminal=True).out


def test_six_characters_of_an_id_are_enough(mine, walnuts):
    assert mine("get", walnuts[:6], "--json").json["id"] == walnuts
    run = mine("get", walnuts[:5])
    assert (run.code, "at least 6" in run.err) == (2, True)


@pytest.mark.parametrize(("given", "code"), [("zzzzzz", 2), ("0" * 26, 3), ("0" * 7, 3), ("", 2)])
def test_an_id_of_nothing_is_told_by_the_exit_code(mine, walnuts, given, code):
    assert mine("get", given).code == code


def test_what_was_erased_is_not_found(mine, walnuts):
    mine("forget", walnuts, "--yes")
    assert mine("get", walnuts).code == 3
