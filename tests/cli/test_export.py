"""`haulout export`."""

from __future__ import annotations

import hashlib
import json


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
