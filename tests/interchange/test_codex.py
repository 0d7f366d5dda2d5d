"""Codex's rollouts in their three forms: every rule of docs/spec/import.md for them, by name."""

from datetime import UTC, datetime

import pytest
from interchange import agents
from interchange.agents import codex_line, codex_message, save_folder
from interchange.fixtures import save, to_json, to_lines

from haulout.interchange import detect, import_file

FORMS = {
    "now": (to_lines(agents.codex_lines()), agents.CODEX_LEFT_OUT),
    "before": (
        to_lines(agents.codex_lines_before()),
        agents.CODEX_ITEMS_LEFT_OUT | {"not speech: session_meta": 1, "not speech: state": 1},
    ),
    "first": (to_json(agents.codex_document()), agents.CODEX_ITEMS_LEFT_OUT),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_its_turns_and_counts_every_other_line(tmp_path, shelf, form):
    content, left_out = FORMS[form]
    path = save(tmp_path, "x", content)
    assert detect(path).name == "codex"
    report = import_file(path, shelf)
    said = [(item["speaker"], item["text"]) for item in shelf.items.values()]
    assert said == agents.CODEX_TURNS
    assert dict(report.left_out) == left_out
    assert dict(report.not_understood) == {"item type: hologram": 1}
    assert report.conversations == 1
    assert {item["session"] for item in shelf.items.values()} == {f"codex:{agents.ROLLOUT}"}


def test_turns_carry_their_own_time_the_folder_and_the_model(tmp_path, shelf):
    import_file(save(tmp_path, "x", to_lines(agents.codex_lines())), shelf)
    answer = shelf.by_text("With which material?")
    assert answer["occurred_at"] == datetime(2026, 6, 7, 8, 9, 16, 250_000, tzinfo=UTC)
    assert answer["metadata"] == {"folder": "/home/imre/boats", "model": "gpt-6-codex"}
    assert shelf.by_text("Oakum.")["metadata"] == {"folder": "/home/imre/boats"}


@pytest.mark.parametrize(("form", "began"), [("before", "2025-08-09"), ("first", "2025-04-20")])
def test_older_forms_take_the_time_of_their_session(tmp_path, shelf, form, began):
    report = import_file(save(tmp_path, "x", FORMS[form][0]), shelf)
    assert {item["occurred_at"].date().isoformat() for item in shelf.items.values()} == {began}
    assert report.times_inferred == 3


def test_a_folder_gives_rollouts_of_all_forms_memories_and_instructions(tmp_path, shelf):
    report = import_file(save_folder(tmp_path / ".codex", agents.codex_folder()), shelf)
    kinds = {item["text"]: item["kind"] for item in shelf.items.values() if item["kind"] != "turn"}
    assert kinds == {
        "Boats\nImre caulks with oakum": "fact",
        "User preferences\nShort answers": "preference",
        "User profile\nImre models boats.": "fact",
        "Hull\nThe hull model was caulked.": "note",
        "Style\nNo tabs.": "preference",
    }
    assert report.taken == 2 * 3 + 5
    assert report.conversations == 2
    assert report.left_out["raw material of the MEMORY.md beside it"] == 1
    assert report.files_unused == ["history.jsonl"]


def test_the_memories_folder_alone_gives_the_same_memories(tmp_path, shelf):
    folder = save_folder(tmp_path / ".codex", agents.codex_folder())
    report = import_file(folder / "memories", shelf)
    assert (report.format, report.added) == ("markdown", 4)
    assert import_file(folder, shelf).already_there == 4
    assert report.left_out == {"raw material of the MEMORY.md beside it": 1}


def test_raw_memories_are_taken_where_nothing_was_made_of_them(tmp_path, shelf):
    raw = {"raw_memories.md": agents.CODEX_MEMORIES["raw_memories.md"]}
    assert import_file(save_folder(tmp_path / "memories", raw), shelf).taken == 1


def test_a_rollout_that_grew_adds_only_what_is_new(tmp_path, shelf):
    lines = agents.codex_lines()
    import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    lines.append(codex_line(50, "response_item", codex_message("user", "Pitch it too.")))
    report = import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    assert (report.added, report.already_there) == (1, 3)


def test_a_file_without_its_session_takes_the_id_in_its_name(tmp_path, shelf):
    lines = agents.codex_lines()[2:]
    import_file(save(tmp_path, agents.ROLLOUT_NAME, to_lines(lines)), shelf)
    assert {item["session"] for item in shelf.items.values()} == {f"codex:{agents.ROLLOUT}"}


def test_saying_the_same_twice_stays_two_turns(tmp_path, shelf):
    twice = [codex_line(n, "response_item", codex_message("user", "Go on.")) for n in (1, 2)]
    assert import_file(save(tmp_path, "x", to_lines(twice)), shelf).added == 2
    older = [agents.codex_lines_before()[0], *[codex_message("user", "Go on.")] * 2]
    assert import_file(save(tmp_path, "y", to_lines(older)), shelf).added == 2
