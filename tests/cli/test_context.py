"""`haulout context`."""

from __future__ import annotations


def test_the_envelope_goes_to_a_pipe_exactly(mine, walnuts):
    run = mine("context", "dinner", "for", "Ana")
    assert run.out.startswith("<haulout-memories boundary=")
    assert "[1] Ana: Ana is allergic to walnuts." in run.out
    assert run.err == ""


def test_json_has_citations_and_tokens(mine, walnuts):
    packed = mine("context", "Ana", "--json").json
    assert packed["citations"][0]["id"] == walnuts
    assert 0 < packed["tokens"] <= 1000


def test_a_person_is_told_how_much_it_is(mine, walnuts):
    assert "1 memory" in mine("context", "Ana", terminal=True).err


def test_nothing_known_is_said_and_is_no_error(mine):
    run = mine("context", "Ana")
    assert (run.code, run.out, run.err) == (0, "", "Nothing was found.\n")


def test_a_question_and_a_budget_are_needed(mine):
    assert mine("context").code == 2
    assert mine("context", "x", "--budget", "0").code == 2
