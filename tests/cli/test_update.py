"""`haulout update`."""

from __future__ import annotations


def test_new_words_make_a_new_version_and_the_rest_stays(mine, walnuts):
    run = mine("update", walnuts[:8], "Ana", "eats", "walnuts", "now.")
    assert run.out.strip() == walnuts
    memory = mine("get", walnuts, "--json").json
    assert (memory["text"], memory["speaker"], memory["version"]) == (
        "Ana eats walnuts now.", "Ana", 2,
    )  # fmt: skip


def test_options_change_and_clear_takes_away(mine, walnuts):
    mine("update", walnuts, "--tag", "health", "--kind", "fact", "--clear", "speaker")
    memory = mine("get", walnuts, "--json").json
    assert (memory["tags"], memory["kind"], memory["speaker"]) == (["health"], "fact", None)
    mine("update", walnuts, "--clear", "tags", "--clear", "kind")
    memory = mine("get", walnuts, "--json").json
    assert (memory["tags"], memory["kind"]) == ([], "note")


def test_words_come_from_standard_input_only_for_a_dash(mine, walnuts):
    mine("update", walnuts, "-", stdin="piped\n")
    assert mine("get", walnuts, "--json").json["text"] == "piped"
    mine("update", walnuts, "--kind", "fact", stdin="not this\n")
    assert mine("get", walnuts, "--json").json["text"] == "piped"


def test_nothing_to_change_is_a_mistake(mine, walnuts):
    assert mine("update", walnuts).code == 2


def test_what_is_not_there_is_not_found(mine):
    assert mine("update", "0" * 26, "x").code == 3


def test_a_person_is_told_how_to_take_it_back(mine, walnuts):
    run = mine("update", walnuts, "x", terminal=True)
    assert "version 2" in run.out
    assert "haulout undo" in run.err
