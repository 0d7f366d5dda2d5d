"""Claude Code's transcripts: every rule of docs/spec/import.md for them, by name."""

from datetime import UTC, datetime
from time import process_time

import pytest
from interchange import agents
from interchange.agents import code_line, said_text, save_folder
from interchange.fixtures import Shelf, save, to_lines, to_zip

from haulout.interchange import detect, import_file


def import_lines(tmp_path, shelf, *lines: object):
    return import_file(save(tmp_path, "given", to_lines(lines)), shelf)


def test_one_transcript_gives_its_turns_and_counts_every_other_line(tmp_path, shelf):
    path = save(tmp_path, "x", to_lines(agents.claude_code_lines()))
    assert detect(path).name == "claude-code"
    report = import_file(path, shelf)
    said = [(item["speaker"], item["text"]) for item in shelf.items.values()]
    assert said == agents.CLAUDE_CODE_TURNS
    assert (report.form, report.seen, report.conversations) == ("Claude Code transcript", 25, 1)
    assert dict(report.left_out) == agents.CLAUDE_CODE_LEFT_OUT
    assert dict(report.not_understood) == {"line type: a-new-thing": 1}
    assert dict(report.parts_dropped) == {
        "thinking": 1,
        "tool_use": 2,
        "tool_result": 1,
        "image": 1,
    }
    assert not report.problems


def test_turns_carry_speaker_session_time_folder_and_model(tmp_path, shelf):
    import_file(save(tmp_path, "x", to_lines(agents.claude_code_lines())), shelf)
    assert shelf.by_text("18 mm at the root.") == {
        "text": "18 mm at the root.",
        "namespace": "default",
        "kind": "turn",
        "speaker": "assistant",
        "session": f"claude-code:{agents.SESSION}",
        "occurred_at": datetime(2026, 5, 6, 7, 8, 4, 500_000, tzinfo=UTC),
        "metadata": {"folder": "/home/nele/glider", "model": "claude-opus-5"},
        "source": "claude-code",
        "op_id": "import:claude-code:u4",
    }


def test_a_missing_time_is_that_of_the_line_before(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", to_lines(agents.claude_code_lines())), shelf)
    before = datetime(2026, 5, 6, 7, 8, 17, 500_000, tzinfo=UTC)
    assert shelf.by_text("Like this?")["occurred_at"] == before
    assert (report.times_inferred, report.times_missing) == (1, 0)


PROJECTS_TURNS = len(agents.CLAUDE_CODE_TURNS) + 1
PROJECTS_MEMORIES = 4  # two lines of MEMORY.md and two topics


def test_a_projects_folder_gives_transcripts_and_memories(tmp_path, shelf):
    folder = save_folder(tmp_path / "projects", agents.claude_code_projects())
    report = import_file(folder, shelf)
    assert report.form == "Claude Code transcripts and 3 memory files"
    kinds = [item["kind"] for item in shelf.items.values()]
    assert kinds.count("turn") == PROJECTS_TURNS
    assert len(kinds) == PROJECTS_TURNS + PROJECTS_MEMORIES
    assert report.files_unused == ["-home-nele-glider/notes.md", "-home-nele-glider/other.jsonl"]
    assert report.left_out["by a subagent"] == 2 + 2 + 1
    assert report.left_out["a link to a file that is read itself"] == 1


def test_a_zip_of_the_folder_gives_the_same(tmp_path, shelf):
    members = agents.claude_code_projects()
    import_file(save_folder(tmp_path / "projects", members), shelf)
    held = dict(shelf.items)
    report = import_file(save(tmp_path, "x", to_zip(members)), shelf)
    assert (report.added, report.differing, shelf.items) == (0, 0, held)


@pytest.mark.parametrize("root", ["", "-home-nele-glider"])
def test_memories_are_the_same_from_whichever_folder_they_are_imported(tmp_path, shelf, root):
    members = {f"projects/{n}": c for n, c in agents.claude_code_projects().items()}
    home = save_folder(tmp_path / ".claude", members)
    import_file(home, shelf)
    held = len(shelf.items)
    report = import_file(home / "projects" / root, shelf)
    assert (report.added, report.differing, len(shelf.items)) == (0, 0, held)


def test_the_kind_of_a_memory_is_the_one_its_front_matter_says(tmp_path, shelf):
    import_file(save_folder(tmp_path / "projects", agents.claude_code_projects()), shelf)
    about = shelf.by_text("Nele builds gliders in Quedlinburg.")
    assert about["kind"] == "fact"
    assert about["metadata"] == {
        "path": "-home-nele-glider/memory/about_nele.md",
        "title": "About Nele",
        "description": "who she is",
    }
    feedback = shelf.by_text("Run the wind tunnel twice.\n\n**Why:** it drifts.")
    assert feedback["kind"] == "preference"


def test_an_index_line_is_left_out_only_when_its_file_is_there(tmp_path, shelf):
    import_file(save_folder(tmp_path / "projects", agents.claude_code_projects()), shelf)
    texts = shelf.texts()
    assert "[Gone](gone.md) — was moved" in texts
    assert "Nele's shed is cold in winter" in texts
    assert not any("about_nele.md" in text for text in texts)


def test_the_persons_own_instructions_come_with_the_home_folder(tmp_path, shelf):
    members = {
        "CLAUDE.md": b"# Units\nMillimetres.\n\n@docs/more.md\n",
        "rules/style.md": b"- No tabs\n",
        "plugins/x/README.md": b"- of a plugin\n",
        "projects/p/s.jsonl": to_lines(agents.claude_code_lines()),
    }
    report = import_file(save_folder(tmp_path / ".claude", members), shelf)
    assert shelf.by_text("Units\nMillimetres.\n\n@docs/more.md")["tags"] == ("instructions",)
    assert shelf.by_text("No tabs")["kind"] == "preference"
    assert report.files_unused == ["plugins/x/README.md"]


def test_a_resumed_session_adds_only_what_it_goes_on_with(tmp_path, shelf):
    members = agents.claude_code_projects()
    first = {n: c for n, c in members.items() if n.endswith(f"{agents.SESSION}.jsonl")}
    import_file(save_folder(tmp_path / "a", first), shelf)
    report = import_file(save_folder(tmp_path / "b", members), shelf)
    assert (report.added, shelf.texts()[6]) == (1 + PROJECTS_MEMORIES, "And the tail?")


def test_a_transcript_that_grew_adds_only_what_is_new(tmp_path, shelf):
    lines = agents.claude_code_lines()
    import_lines(tmp_path, shelf, *lines)
    report = import_lines(tmp_path, shelf, *lines, code_line(50, "user", "One more thing."))
    assert (report.added, report.already_there) == (1, 6)


def test_a_line_still_being_written_is_lost_alone(tmp_path, shelf):
    content = to_lines(agents.claude_code_lines())[:-20]
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.added == 6
    assert report.problems[0].position == "line 25"


def test_lines_without_an_id_are_identified_by_session_time_and_words(tmp_path, shelf):
    lines = [code_line(n, "user", "yes", uuid=None) for n in range(2)]
    assert import_lines(tmp_path, shelf, *lines).added == 2
    assert import_lines(tmp_path, shelf, *lines).already_there == 2


def test_words_beside_a_result_of_a_tool_are_the_persons(tmp_path, shelf):
    content = [{"type": "tool_result", "content": "no"}, said_text("Stop, use glue.")]
    import_lines(tmp_path, shelf, code_line(0, "user", content, toolUseResult="denied"))
    assert shelf.texts() == ["Stop, use glue."]


def test_a_tag_of_the_program_inside_a_sentence_is_taken_out_and_an_open_one_is_text(
    tmp_path, shelf
):
    import_lines(
        tmp_path,
        shelf,
        code_line(0, "user", f"Before {agents.REMINDER}after"),
        code_line(1, "user", "What does <system-reminder> mean?"),
        code_line(2, "user", "Is 3 < 4 and <b>bold</b>?"),
    )
    assert shelf.texts() == [
        "Before after", "What does <system-reminder> mean?", "Is 3 < 4 and <b>bold</b>?",
    ]  # fmt: skip


def test_many_open_tags_take_time_in_proportion(tmp_path, shelf):
    words = "<skill><bash-input>" * 60_000
    started = process_time()
    import_lines(tmp_path, shelf, code_line(0, "user", words))
    assert process_time() - started < 5


def test_a_folder_of_two_agents_is_refused_and_each_is_named(tmp_path):
    members = agents.claude_code_projects() | agents.codex_folder()
    with pytest.raises(Exception, match="Claude Code transcripts and 3 memory files and Codex"):
        import_file(save_folder(tmp_path / "x", members), Shelf(), dry_run=True)
