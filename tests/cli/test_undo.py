"""`haulout undo`."""

from __future__ import annotations


def test_an_update_is_reversed_also_by_the_beginning_of_its_id(mine, walnuts):
    operation = mine("update", walnuts, "Changed.", "--json").json["op_id"]
    run = mine("undo", operation[:8])
    assert (run.code, walnuts in run.out) == (0, True)
    assert mine("get", walnuts, "--json").json["text"] == "Ana is allergic to walnuts."


def test_an_operation_id_of_ones_own_is_taken_as_it_is(mine):
    mine("remember", "x", "--op-id", "import1")
    assert mine("undo", "import1", "--json").json["level"] == "hidden"
    assert mine("list").out == ""


def test_what_stands_under_a_later_write_is_a_conflict(mine, walnuts):
    first = mine("update", walnuts, "One.", "--json").json["op_id"]
    mine("update", walnuts, "Two.")
    assert mine("undo", first).code == 4


def test_an_unknown_operation_is_not_found(mine, walnuts):
    assert mine("undo", "nope").code == 3
    assert mine("undo", "0" * 8).code == 3


def test_an_erasure_does_not_come_back(mine, walnuts):
    receipt = mine("forget", walnuts, "--yes", "--json").json
    assert mine("undo", receipt["op_id"]).code == 3
