"""Markdown notes and memory files."""

from datetime import UTC, datetime

import pytest
from interchange import fixtures as fx
from interchange.fixtures import save

from haulout.errors import ImportFormatError
from haulout.interchange import detect, import_file
from haulout.interchange.markdown import front_matter, sections


def test_sections_and_list_items_become_memories(tmp_path, shelf):
    report = import_file(save(tmp_path, "note", fx.MEMORY_MD), shelf)
    assert shelf.texts() == [
        "Coffee\nDark roast, no sugar.",
        "Coffee\nGrinds by hand\n  - a Comandante",
        "Coffee\nBought a scale",
        "Coffee\n```python\n# not a heading\n- not an item\n```",
        "Habits\nUp at six",
        "Habits\nReads *before* work",
        "Habits > 2026-05-06\nRan ten kilometres.",
    ]
    assert report.taken == 7


def test_front_matter_gives_title_tags_kind_and_date(tmp_path, shelf):
    import_file(save(tmp_path, "note", fx.MEMORY_MD), shelf)
    item = shelf.by_text("Coffee\nDark roast, no sugar.")
    assert item["metadata"] == {"path": "note", "title": "What I know of Tomas"}
    assert item["tags"] == ("tomas", "people")
    assert item["kind"] == "fact"  # metadata.type is user
    assert item["occurred_at"] == datetime(2026, 2, 3, tzinfo=UTC)


def test_the_nearest_date_counts(tmp_path, shelf):
    import_file(save(tmp_path, "note", fx.MEMORY_MD), shelf)
    dates = {item["text"]: item["occurred_at"].date().isoformat() for item in shelf.items.values()}
    assert dates["Coffee\nBought a scale"] == "2026-04-05"
    assert dates["Habits > 2026-05-06\nRan ten kilometres."] == "2026-05-06"
    import_file(save(tmp_path, "2026-07-08 walk.md", "# Walk\nTo the dunes."), shelf)
    assert shelf.by_text("Walk\nTo the dunes.")["occurred_at"] == datetime(2026, 7, 8, tzinfo=UTC)


def test_a_folder_takes_markdown_and_leaves_the_rest(tmp_path, shelf):
    for name, content in {
        "MEMORY.md": "- likes maps",
        "daily/2026-01-02.md": "Snow.",
        "CLAUDE.md": "# Rules\nUse tabs.",
        "script.py": "# not a heading",
        "data.md": b"\x00\x01",
        ".git/notes.md": "- hidden",
    }.items():
        save(tmp_path / "notes", name, content)
    report = import_file(tmp_path / "notes", shelf)
    assert sorted(shelf.texts()) == ["Rules\nUse tabs.", "Snow.", "likes maps"]
    assert shelf.by_text("likes maps")["kind"] == "fact"
    assert shelf.by_text("Rules\nUse tabs.")["tags"] == ("instructions",)
    assert report.files_unused == ["script.py"]
    assert [problem.file for problem in report.problems] == ["data.md"]


def test_a_zip_gives_what_its_folder_gives(tmp_path, shelf):
    save(tmp_path / "notes", "a/b.md", fx.MEMORY_MD)
    import_file(tmp_path / "notes", shelf)
    report = import_file(save(tmp_path, "x", fx.to_zip({"a/b.md": fx.MEMORY_MD.encode()})), shelf)
    assert (report.added, report.already_there) == (0, 7)


def test_moving_sections_about_adds_nothing_and_editing_one_adds_one(tmp_path, shelf):
    import_file(save(tmp_path, "n.md", "# A\none\n# B\ntwo"), shelf)
    assert import_file(save(tmp_path, "n.md", "# B\ntwo\n# A\none"), shelf).added == 0
    assert import_file(save(tmp_path, "n.md", "# B\ntwo\n# A\nuno"), shelf).added == 1


def test_a_pasted_memory_transfer_is_read_by_its_dated_lines():
    found = sections("## Preferences\n[2026-01-02] - Short answers\n[2026-02-03] - No emoji\n")
    assert [section.text for section in found] == [
        "Preferences\nShort answers",
        "Preferences\nNo emoji",
    ]
    assert [section.date.day for section in found if section.date] == [2, 3]


@pytest.mark.parametrize("content", ["", "only prose\n", b"\x89PNG\r\n\x1a\n\x00\x00", "1 2 3"])
def test_a_lone_file_without_a_mark_of_markdown_is_no_markdown(tmp_path, content):
    with pytest.raises(ImportFormatError, match="Understood are"):
        detect(save(tmp_path, "looks-like.md", content))


def test_front_matter_reads_lists_quotes_and_one_level_of_nesting():
    text = (
        "---\ntags:\n  - a\n  - 'b c'\nmetadata:\n  type: feedback\nx: \"y: z\"\n? odd\n---\nBody"
    )
    fields, body, line = front_matter(text)
    assert fields == {"tags": ["a", "b c"], "metadata.type": "feedback", "x": "y: z"}
    assert (body, line) == ("Body", 10)


def test_an_unclosed_front_matter_is_text():
    assert front_matter("---\na: b\n") == ({}, "---\na: b\n", 1)


def test_text_that_is_not_utf_8_is_read_and_told(tmp_path, shelf):
    report = import_file(save(tmp_path, "n.md", b"# A\ncaf\xe9"), shelf)
    assert shelf.texts() == ["A\ncaf\ufffd"]
    assert report.problems[0].position == "byte 7"


def test_utf_16_with_its_mark_is_read(tmp_path, shelf):
    save(tmp_path / "f", "n.md", "# A\ncafé".encode("utf-16"))
    save(tmp_path / "f", "m.md", "# B\nthé")
    import_file(tmp_path / "f", shelf)
    assert "B\nthé" in shelf.texts()
