"""`haulout recall`."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def stocked(mine):
    """A vault with three memories in two namespaces."""
    for text, namespace, at in (
        ("Ana is allergic to walnuts.", "home", "2026-01-01T00:00:00Z"),
        ("Walnuts fall in October.", "home/garden", "2026-02-01T00:00:00Z"),
        ("The invoice of the walnut desk is paid.", "work", "2026-03-01T00:00:00Z"),
    ):
        mine("remember", text, "-n", namespace, "--at", at, "--speaker", "Mira", "--tag", namespace)
    return mine


def test_in_a_pipe_each_memory_is_one_line_of_fields(stocked):
    run = stocked("recall", "who", "is", "allergic?")
    rank, when, who, where, text, memory_id = run.rows[0]
    assert (rank, when, who, where) == ("1", "2026-01-01", "Mira", "home")
    assert text == "Ana is allergic to walnuts."
    assert len(memory_id) == 26


def test_a_terminal_gets_a_table_with_short_ids(stocked):
    shown = re.sub(r"\x1b\[[\d;]*m", "", stocked("recall", "allergic", terminal=True).out)
    assert re.match(r"# +When +Who +Where +What +ID\s*\n1 +2026-01-01 +Mira +home", shown)
    assert re.search(r"walnuts\. +[0-9a-v]{8} *\n", shown)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-n", "home"], 1),
        (["-n", "home/**"], 2),
        (["--tag", "work"], 1),
        (["--since", "2026-02-01T00:00:00Z"], 2),
        (["--until", "2026-02-01T00:00:00Z"], 1),
        (["--filter", '{"namespace": {"ne": "work"}}'], 2),
        (["--limit", "1"], 1),
        (["--as-of", "2020-01-01T00:00:00Z"], 0),
    ],
)
def test_each_option_narrows_what_is_found(stocked, options, found):
    assert len(stocked("recall", "walnuts", *options).rows) == found


def test_without_a_question_the_newest_come_first(stocked):
    assert [row[3] for row in stocked("recall").rows] == ["work", "home/garden", "home"]


def test_explain_shows_addends_that_sum_to_the_score(stocked):
    item = stocked("recall", "allergic", "--explain", "--json").json[0]
    assert sum(item["why"].values()) == pytest.approx(item["score"])
    assert re.search(r"\d = words \d", stocked("recall", "allergic", "--explain").out)


def test_json_is_one_document_and_nothing_else(stocked):
    run = stocked("recall", "walnuts", "--json")
    assert [item["memory"]["text"][:3] for item in run.json][:1]
    assert run.err == ""
    assert stocked("--json", "recall", "walnuts").json == run.json


def test_recall_by_words_alone_is_said_once_to_a_person(stocked, monkeypatch):
    monkeypatch.setenv("HAULOUT_EMBEDDER", "auto")
    monkeypatch.setattr("haulout.index.models.find", lambda _folder: None)
    said = "Recalled by words alone"
    assert stocked("recall", "walnuts", terminal=True).err.count(said) == 1
    assert said not in stocked("recall", "walnuts").err


@pytest.mark.parametrize(
    "given", ["{", "[]", '{"kind": "a", "kind": "b"}', '{"n": NaN}', '{"kinds": 1}', "[" * 99_999]
)
def test_a_filter_that_is_none_is_refused(mine, given):
    assert mine("recall", "x", "--filter", given).code == 2


def test_what_could_act_on_a_terminal_is_shown_instead(mine):
    mine("remember", "-", stdin="red \x1b[31m title \x1b]0;x\x07 turned \u202e end")
    for terminal in (True, False):
        out = mine("recall", "title", terminal=terminal).out
        assert "\x1b[31m" not in out
        assert "\x07" not in out
        assert "\u202e" not in out
        assert "␛[31m" in out.replace("\n", "")
