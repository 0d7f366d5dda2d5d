"""`haulout export`."""

from __future__ import annotations

import hashlib
import json

import pytest


def test_every_memory_is_a_line_and_the_digest_is_theirs(mine, walnuts, home):
    answer = mine("export", "out.jsonl", "--json").json
    lines = (home / "out.jsonl").read_bytes().splitlines(keepends=True)
    assert json.loads(lines[0])["id"] == walnuts
    assert hashlib.sha256(b"".join(lines[:-1])).hexdigest() == answer["digest"]


def test_a_file_that_is_there_is_kept_unless_told(mine, walnuts, home):
    (home / "out.jsonl").write_text("mine")
    run = mine("export", "out.jsonl")
    assert (run.code, (home / "out.jsonl").read_text()) == (4, "mine")
    assert mine("export", "out.jsonl", "--replace").code == 0


def test_a_person_is_told_that_it_is_in_the_open(mine, walnuts):
    assert "not encrypted" in mine("export", "out.jsonl").err


def test_what_was_exported_comes_back_in(mine, walnuts, home):
    mine("export", "out.jsonl")
    assert mine("--vault", home / "second", "init", "--yes").code == 0
    mine("--vault", home / "second", "import", "out.jsonl")
    texts = [row[5] for row in mine("--vault", home / "second", "list").rows]
    assert texts == ["Ana is allergic to walnuts."]


@pytest.fixture
def learned(mine):
    """Two memories that are true, and one of every sort that does not go out."""
    for words, *options in (
        ("Ana is allergic to walnuts.", "--kind", "fact", "--at", "2026-01-02"),
        ("Short answers.\n```\n## Personal\n```", "--kind", "preference", "--at", "2026-02-03"),
        ("What did I say?", "--kind", "turn"),
        ("Ana lives in Porto.", "--kind", "fact", "--valid-until", "2020-01-01"),
        ("Ana will move.", "--kind", "fact", "--valid-from", "2100-01-01"),
    ):
        assert mine("remember", words, *options).code == 0
    hidden = mine("remember", "Hidden.", "--kind", "fact").out.strip()
    mine("forget", hidden, "--level", "hidden", "--yes")
    changed = mine("remember", "Ana likes teal.", "--kind", "fact").out.strip()
    mine("update", changed, "Ana likes ochre.")


def test_transfer_text_goes_to_standard_output_and_its_report_to_standard_error(mine, learned):
    run = mine("export", "--as", "transfer", "-")
    assert run.code == 0
    assert run.out.startswith("````\n## Personal\n[2026-01-02] - Ana is allergic to walnuts.\n")
    assert run.out.endswith("````\nThis is all of it: 3 memories.\n")
    assert "Ana likes ochre." in run.out
    for words in ("What did I say?", "Porto", "will move", "Hidden", "teal"):
        assert words not in run.out
    for words in ("no longer true 1", "not true yet 1", "of the kind turn 1", "earlier versions 1"):
        assert words in run.err.replace("\n", " ")


def test_transfer_text_comes_back_through_standard_input_as_it_was(mine, learned, home):
    text = mine("export", "--as", "transfer", "-").out
    assert mine("--vault", home / "second", "init", "--yes").code == 0
    other = ("--vault", home / "second")
    report = mine(*other, "import", "-", "--json", stdin=text).json
    assert (report["form"], report["added"], report["left_out"]) == ("pasted memory", 3, {})
    assert mine(*other, "import", "-", "--json", stdin=text).json["added"] == 0
    assert mine(*other, "export", "--as", "transfer", "-").out == text


def test_transfer_text_to_a_file_keeps_what_is_there_and_json_counts_the_loss(mine, learned, home):
    answer = mine("export", "--as", "transfer", "out.md", "--json").json
    assert answer["memories"] == 3
    assert answer["left_out"] == {"no longer true": 1, "not true yet": 1, "of the kind turn": 1}
    assert answer["not_told"]["earlier versions"] == 1
    assert "walnuts" in (home / "out.md").read_text()
    assert "text" not in answer
    assert mine("export", "--as", "transfer", "out.md").code == 4
    assert mine("export", "--as", "transfer", "-", "--json").json["text"].startswith("````\n")


def test_transfer_text_can_hold_every_kind_and_one_namespace_alone(mine, learned):
    mine("remember", "Elsewhere.", "-n", "work")
    assert "What did I say?" in mine("export", "--as", "transfer", "-", "--every-kind").out
    assert mine("export", "--as", "transfer", "-", "-n", "work").out.count("] - ") == 1


def test_secrets_that_go_out_are_warned_of(mine):
    mine("remember", "my key is ghp_" + "a1B2" * 9)
    assert "GitHub token 1" in mine("export", "--as", "transfer", "-").err.replace("\n", " ")


def test_a_terminal_is_shown_what_it_must_not_obey(mine):
    mine("remember", "turned \u202e round")
    assert "\u202e" not in mine("export", "--as", "transfer", "-", terminal=True).out
    assert "\u202e" in mine("export", "--as", "transfer", "-").out


def test_json_lines_go_to_a_file_and_hold_everything(mine, walnuts):
    assert mine("export", "-").code == 2
    assert mine("export", "out.jsonl", "-n", "work").code == 2
