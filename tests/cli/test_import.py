"""`haulout import`."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def notes(home):
    """A file of JSON Lines, one of which cannot be read."""
    lines = [json.dumps({"text": f"Note number {n}.", "speaker": "Mira"}) for n in range(3)]
    file = home / "notes.jsonl"
    file.write_text("\n".join([*lines, "{broken"]) + "\n")
    return file


def test_it_brings_in_and_reports_and_again_adds_nothing(mine, notes):
    run = mine("import", notes, "-n", "notes")
    assert run.code == 0
    assert run.out.startswith("Imported 3 memories")
    assert "Mira 3" in run.out
    assert "Warning" in run.err
    assert {row[3] for row in mine("list").rows} == {"notes"}
    assert mine("import", notes, "-n", "notes").out.startswith("Imported 0 memories")
    assert len(mine("list").rows) == 3


def test_a_dry_run_needs_no_vault_and_writes_nothing(haulout, notes, home):
    run = haulout("import", notes, "--dry-run")
    assert (run.code, run.out.startswith("Would import 3 memories")) == (0, True)
    assert not (home / "vault").exists()


def test_json_is_the_whole_report(mine, notes):
    report = mine("import", notes, "--json").json
    assert (report["added"], report["problems"]["count"], report["embedded"]) == (3, 1, 0)


def test_secrets_are_noticed_and_redacted_when_told(mine, home):
    key = "ghp_" + "a1B2" * 9
    (home / "s.jsonl").write_text(json.dumps({"text": f"my key is {key}"}) + "\n")
    assert "secrets noticed" in mine("import", "s.jsonl", "--dry-run").out
    mine("import", "s.jsonl", "--secrets", "redact")
    text = mine("list").rows[0][5]
    assert key not in text
    assert "[secret:" in text


def test_a_file_of_no_known_form_is_refused(mine, home):
    (home / "x.bin").write_bytes(bytes(range(256)))
    assert mine("import", "x.bin").code == 2
    assert mine("import", "missing.zip").code == 2


def test_what_waits_is_embedded_unless_told_otherwise(mine, notes, monkeypatch):
    import numpy as np

    class Embedder:
        model = "test/3"
        dimensions = 3

        def embed(self, texts):
            return np.ones((len(texts), 3), np.float32)

    monkeypatch.setattr("haulout.cli.session.Session.embedder", lambda _: Embedder())
    assert mine("import", notes, "--no-embed", "--json").json["embedded"] == 0
    assert mine("import", notes, "--json").json["embedded"] == 3


def test_progress_is_for_a_terminal_only(mine, notes):
    assert "Importing" not in mine("import", notes).err
    assert "Importing" in mine("import", notes, terminal=True).err
    assert "Importing" not in mine("import", notes, "--json", terminal=True).err


def test_standard_input_is_told_by_its_content_too(mine, notes):
    run = mine("import", "-", stdin=notes.read_bytes())
    assert (run.code, run.out.startswith("Imported 3 memories")) == (0, True)
    pasted = "## Personal\n[2026-01-02] - Mira sails.\n"
    assert mine("import", "-", "--json", stdin=pasted).json["form"] == "pasted memory"
    assert mine("import", "-", stdin="nothing of a known form").code == 2
