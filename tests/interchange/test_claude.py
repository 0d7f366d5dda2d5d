"""Claude's export in all its forms: every rule of docs/spec/import.md for it, by name."""

from datetime import UTC, datetime

import pytest
from interchange import fixtures as fx
from interchange.fixtures import claude_conversation, claude_message, said, save

from haulout.errors import ImportFormatError
from haulout.interchange import detect, import_file


def import_conversations(tmp_path, shelf, *conversations: object):
    return import_file(save(tmp_path, "given", list(conversations)), shelf)


def test_2023_messages_of_text_alone(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.claude_2023()), shelf)
    assert (report.format, report.taken, report.conversations) == ("claude", 2, 1)
    assert dict(report.left_out) == {"no text": 1}
    assert report.files_unused == ["users.json"]
    assert shelf.by_text("They can.") == {
        "text": "They can.",
        "namespace": "default",
        "kind": "turn",
        "speaker": "assistant",
        "session": "claude:conversation-0",
        "occurred_at": datetime(2023, 8, 9, 10, 11, tzinfo=UTC),
        "source": "claude",
        "op_id": "import:claude:conversation-0/old1",
    }


def test_2025_blocks_and_projects_without_memories(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.claude_2025()), shelf)
    # 4 turns and 1 attachment, 2 turns in older spellings, 3 pieces of a project
    assert (report.taken, report.conversations) == (10, 2)
    assert dict(report.left_out) == fx.CLAUDE_LEFT_OUT
    assert not report.not_understood
    assert shelf.by_text("Written as one string.")["speaker"] == "user"
    assert shelf.by_text("Under another name.")["speaker"] == "assistant"
    assert shelf.by_text("Swarms in May.")["metadata"]["file_name"] == "may.md"


def test_a_later_form_adds_to_an_older_only_what_is_new(tmp_path, shelf):
    import_file(save(tmp_path, "a", fx.claude_2025()), shelf)
    report = import_file(save(tmp_path, "b", fx.claude_february()), shelf)
    assert (report.added, report.already_there, report.differing) == (3, 8, 0)  # the memories


def test_september_a_manifest_with_its_zips_beside_it(tmp_path, shelf):
    report = import_file(fx.save_claude(tmp_path, fx.claude_september()), shelf)
    assert (report.taken, report.conversations) == (11, 1)
    assert dict(report.left_out) == fx.CLAUDE_LEFT_OUT
    assert not report.problems


def test_february_one_zip(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.claude_february()), shelf)
    # 4 turns, 1 attachment, 3 sections of memory, 3 pieces of a project
    assert (report.format, report.taken, report.conversations) == ("claude", 11, 1)
    assert dict(report.left_out) == fx.CLAUDE_LEFT_OUT | {"an example by the maker": 3}
    assert report.files_unused == ["users.json"]


def test_may_one_file_a_project(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.claude_may()), shelf)
    assert report.taken == 11
    assert dict(report.left_out) == fx.CLAUDE_LEFT_OUT


OCTOBER_TAKEN = 13  # and two sections of a memory file
OCTOBER_LEFT_OUT = fx.CLAUDE_LEFT_OUT | {
    "its path is not safe": 1,
    "a second file of the same path": 1,
}


def test_october_a_manifest_with_its_zips_beside_it(tmp_path, shelf):
    path = fx.save_claude_october(tmp_path)
    save(tmp_path, "not-linked-000.zip", fx.claude_february())
    assert detect(path).name == "claude"
    report = import_file(path, shelf)
    assert report.taken == OCTOBER_TAKEN
    assert dict(report.left_out) == OCTOBER_LEFT_OUT
    assert not any("not beside" in problem.what for problem in report.problems)


def test_october_a_folder_of_zips(tmp_path, shelf):
    fx.save_claude_october(tmp_path / "export")
    report = import_file(tmp_path / "export", shelf)
    assert report.taken == OCTOBER_TAKEN
    assert "light_metadata-000.zip" in report.files_unused


def test_october_a_zip_of_zips(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.to_zip(fx.claude_archives())), shelf)
    assert report.taken == OCTOBER_TAKEN
    assert dict(report.left_out) == OCTOBER_LEFT_OUT


def test_all_forms_give_the_same_memories(tmp_path, shelf):
    import_file(save(tmp_path, "a", fx.claude_february()), shelf)
    held = len(shelf.items)
    report = import_file(fx.save_claude_october(tmp_path), shelf)
    assert report.differing == 0
    assert len(shelf.items) == held + 2  # the memory file is new in October


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ([claude_conversation()], 5),
        (fx.claude_memories(), 3),
        ([fx.claude_memories()], 3),
        (fx.claude_project(), 3),
    ],
)
def test_one_file_of_the_export_by_itself(tmp_path, shelf, value, taken):
    assert import_file(save(tmp_path, "x", value), shelf).taken == taken


def test_a_manifest_without_its_archives_says_what_to_do(tmp_path, shelf):
    path = save(tmp_path, "manifest.json", fx.claude_manifest(["conversations-000.zip"]))
    assert detect(path).name == "claude"
    with pytest.raises(ImportFormatError, match="beside it"):
        import_file(path, shelf)


def test_a_manifest_reports_the_archives_that_are_missing(tmp_path, shelf):
    path = fx.save_claude_october(tmp_path)
    (tmp_path / "projects-000.zip").unlink()
    report = import_file(path, shelf)
    assert [problem.position for problem in report.problems][:1] == ["projects-000.zip"]
    assert report.taken == OCTOBER_TAKEN - 3


def test_a_manifest_cannot_reach_out_of_its_folder(tmp_path, shelf):
    save(tmp_path, "conversations-000.zip", fx.claude_archives()["conversations-000.zip"])
    links = ["../conversations-000.zip", "/conversations-000.zip", "%2e%2e%2fx.zip"]
    path = save(tmp_path, "inner/manifest", fx.claude_manifest(links))
    with pytest.raises(ImportFormatError):
        import_file(path, shelf)


def test_links_whose_address_names_no_file_are_found_by_category(tmp_path, shelf):
    save(tmp_path, "conversations-000 (1).zip", fx.claude_archives()["conversations-000.zip"])
    manifest = {
        "data_files": [{"category": "conversations", "export_url": "https://example.org/d/1f3a"}]
    }
    assert import_file(save(tmp_path, "manifest", manifest), shelf).taken == 5


def test_turns_carry_speaker_session_time_and_title(tmp_path, shelf):
    import_conversations(tmp_path, shelf, claude_conversation())
    assert shelf.by_text("How do I winter a hive?") == {
        "text": "How do I winter a hive?",
        "namespace": "default",
        "kind": "turn",
        "speaker": "user",
        "session": "claude:conversation-1",
        "occurred_at": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
        "metadata": {"title": "Bees"},
        "source": "claude",
        "op_id": "import:claude:conversation-1/m0",
    }


def test_only_text_blocks_are_taken_and_the_rest_is_counted_by_type(tmp_path, shelf):
    report = import_conversations(tmp_path, shelf, claude_conversation())
    assert "Wrap it.\n\nFeed it." in shelf.texts()
    assert dict(report.parts_dropped) == {
        "injected_prompt_block": 1,
        "thinking": 1,
        "tool_use": 2,
        "tool_result": 1,
        "token_budget": 1,
        "file": 1,
    }


def test_the_old_text_field_serves_where_there_are_no_blocks(tmp_path, shelf):
    import_conversations(tmp_path, shelf, claude_conversation())
    assert "Written before blocks." in shelf.texts()


def test_an_unknown_block_type_or_sender_is_reported(tmp_path, shelf):
    odd = [claude_message(0, "human", {"type": "smell"}), claude_message(1, "herald", said("Hear"))]
    report = import_conversations(tmp_path, shelf, claude_conversation(chat_messages=odd))
    assert dict(report.not_understood) == {"block type: smell": 1, "sender: herald": 1}


def test_attachments_become_documents_of_their_own(tmp_path, shelf):
    report = import_conversations(tmp_path, shelf, claude_conversation())
    attached = shelf.by_text("Hive 3 weighs 31 kg.")
    assert attached["kind"] == "document"
    assert attached["metadata"] == {"title": "Bees", "file_name": "hive.txt"}
    assert attached["session"] == "claude:conversation-1"
    assert report.left_out["an attachment without text"] == 1


def test_a_branch_answered_anew_is_left_out(tmp_path, shelf):
    way = [
        claude_message(0, "human", said("ask"), parent_message_uuid="root"),
        claude_message(1, "assistant", said("first try"), parent_message_uuid="m0"),
        claude_message(2, "human", said("about the first try"), parent_message_uuid="m1"),
        claude_message(3, "assistant", said("second try"), parent_message_uuid="m0"),
    ]
    report = import_conversations(tmp_path, shelf, claude_conversation(chat_messages=way))
    assert shelf.texts() == ["ask", "second try"]
    assert dict(report.left_out) == {"on another branch": 2}


def test_the_current_leaf_chooses_the_branch_where_it_is_told(tmp_path, shelf):
    way = [
        claude_message(0, "human", said("ask"), parent_message_uuid="root"),
        claude_message(1, "assistant", said("first try"), parent_message_uuid="m0"),
        claude_message(2, "assistant", said("second try"), parent_message_uuid="m0"),
    ]
    given = claude_conversation(chat_messages=way, current_leaf_message_uuid="m1")
    import_conversations(tmp_path, shelf, given)
    assert shelf.texts() == ["ask", "first try"]


def test_parents_in_a_circle_end(tmp_path, shelf):
    way = [
        claude_message(0, "human", said("a"), parent_message_uuid="m1"),
        claude_message(1, "human", said("b"), parent_message_uuid="m0"),
        claude_message(2, "human", said("c"), parent_message_uuid="m0"),
        claude_message(3, "human", said("d"), parent_message_uuid="m3"),
    ]
    report = import_conversations(tmp_path, shelf, claude_conversation(chat_messages=way))
    assert report.seen == 4


def test_memory_texts_become_facts_by_section(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.claude_memories()), shelf)
    work = shelf.by_text("Work\nOdile keeps bees.")
    assert (work["kind"], work["metadata"]) == ("fact", {"path": "conversations"})
    assert shelf.by_text("The almanac is due in May.")["metadata"] == {"path": "project project-1"}


def test_memory_files_keep_path_and_time_and_their_paths_are_not_trusted(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", fx.claude_memories(files=True)), shelf)
    pears = shelf.by_text("Garden\npear trees")
    assert pears["metadata"] == {"path": "memories/garden.md"}
    assert pears["occurred_at"] == datetime(2026, 9, 30, 8, tzinfo=UTC)
    assert not {"root", "again"} & set(shelf.texts())
    assert [problem.position for problem in report.problems] == ["memory file 1", "memory file 2"]


def test_an_unchanged_memory_section_is_not_added_again(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.claude_memories()), shelf)
    changed = fx.claude_memories()
    changed["conversations_memory"] += "\n\n**Sea**\n\nShe sails."
    report = import_file(save(tmp_path, "x", changed), shelf)
    assert (report.added, report.already_there) == (1, 3)


def test_projects_give_description_instructions_and_documents(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.claude_project()), shelf)
    assert shelf.by_text("A year of bees")["kind"] == "note"
    assert shelf.by_text("Write plainly.")["kind"] == "preference"
    assert shelf.by_text("Swarms in May.")["metadata"] == {
        "project": "Almanac",
        "file_name": "may.md",
    }


def test_messages_without_ids_are_identified_by_place_and_words(tmp_path, shelf):
    way = [claude_message(0, "human", said("yes"), uuid=None) for _ in range(2)]
    given = claude_conversation(chat_messages=way)
    assert import_conversations(tmp_path, shelf, given).added == 2
    assert import_conversations(tmp_path, shelf, given).already_there == 2


def test_accounts_and_logins_are_never_read(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.claude_february()), shelf)
    assert not any("example.org" in text for text in shelf.texts())
