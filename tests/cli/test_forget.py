"""`haulout forget`."""

from __future__ import annotations

import pytest


def test_an_id_is_erased_and_the_receipt_says_so_in_words(mine, walnuts):
    run = mine("forget", walnuts[:8], "--yes")
    assert run.code == 0
    assert "Erased: 1 memory, with all versions, from this disk." in run.out
    assert "Nothing is pending" in run.out
    assert mine("list").out == ""


def test_a_filter_erases_what_it_means_within_a_namespace(mine):
    for namespace in ("a", "b"):
        mine("remember", "note", "-n", namespace, "--kind", "fact")
    receipt = mine("forget", "--filter", '{"kind": "fact"}', "-n", "a", "--yes", "--json").json
    assert (len(receipt["memories"]), receipt["level"]) == (1, "destroyed")
    assert [row[3] for row in mine("list").rows] == ["b"]


@pytest.mark.parametrize(
    "conditions", ["{}", '{"AND": []}', '{"NOT": {"OR": []}}', '{"AND": [{}, {"OR": [{}]}]}']
)
def test_a_filter_that_names_no_field_is_refused_even_with_yes(mine, walnuts, conditions):
    run = mine("forget", "--filter", conditions, "--yes")
    assert (run.code, "--all" in run.err) == (2, True)
    assert len(mine("list").rows) == 1


def test_all_means_everything_or_all_of_a_subtree(mine):
    for namespace in ("a/x", "a/y", "b"):
        mine("remember", "note", "-n", namespace)
    assert len(mine("forget", "--all", "-n", "a/**", "--yes", "--json").json["memories"]) == 2
    assert len(mine("forget", "--all", "--yes", "--json").json["memories"]) == 1


def test_a_dry_run_shows_all_and_changes_nothing(mine, walnuts):
    run = mine("forget", "--all", "--dry-run")
    assert [row[0] for row in run.rows] == [walnuts]
    would = mine("forget", "--all", "--dry-run", "--json").json
    assert would == {"would_forget": [walnuts], "level": "destroyed"}
    assert len(mine("list").rows) == 1


def test_a_person_is_shown_how_much_and_asked(mine, monkeypatch):
    for n in range(7):
        mine("remember", f"note {n}", "--kind", "fact")
    asked = []

    def confirm(question, **_):
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("click.confirm", confirm)
    facts = ("forget", "--filter", '{"kind": "fact"}')
    refused = mine(*facts, terminal=True)
    assert (refused.code, len(mine("list").rows)) == (1, 7)
    assert "and 2 more" in refused.out
    assert "7 memories" in asked[0]
    assert mine(*facts, terminal=True).code == 0
    assert mine("list").out == ""


def test_without_a_terminal_it_wants_yes(mine, walnuts):
    run = mine("forget", walnuts)
    assert (run.code, "--yes" in run.err) == (2, True)
    assert len(mine("list").rows) == 1


def test_hidden_says_how_to_bring_it_back(mine, walnuts):
    run = mine("forget", walnuts, "--level", "hidden", "--yes")
    operation = run.out.split("haulout undo ")[1].strip()
    assert mine("get", walnuts).code == 3
    assert mine("undo", operation).code == 0
    assert mine("get", walnuts).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all", "--filter", '{"kind": "x"}'),
        ("0" * 26, "--all"),
        ("0" * 26, "-n", "a"),
        ("--namespace", "a"),
    ],
)
def test_exactly_one_of_ids_filter_and_all_is_needed(mine, arguments):
    assert mine("forget", *arguments, "--yes").code == 2


def test_a_filter_that_means_nothing_forgets_nothing(mine):
    run = mine("forget", "--filter", '{"kind": "x"}', "--yes")
    assert (run.code, "nothing was forgotten" in run.out) == (0, True)
