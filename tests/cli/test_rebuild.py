"""`haulout rebuild`."""

from __future__ import annotations


def test_answers_are_the_same_afterwards(mine, walnuts):
    before = mine("recall", "walnuts", "--json").json
    run = mine("rebuild")
    assert (run.code, run.out) == (0, "Indexed 1 version.\n")
    assert mine("recall", "walnuts", "--json").json == before


def test_vectors_are_made_again_when_told(mine, walnuts):
    assert mine("rebuild", "--vectors", "--json").json == {"versions": 1, "embedded": 0}
