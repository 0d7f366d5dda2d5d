"""ChatGPT's export: every rule of docs/spec/import.md for it, by name."""

from datetime import UTC, datetime, timedelta

import pytest
from interchange import fixtures as fx
from interchange.fixtures import Shelf, chatgpt_conversation, message, save

from haulout.interchange import detect, import_file


def kinds(shelf: Shelf) -> dict[str, int]:
    counted: dict[str, int] = {}
    for item in shelf.items.values():
        counted[item["kind"]] = counted.get(item["kind"], 0) + 1
    return counted


def import_conversations(tmp_path, shelf, *conversations: object):
    return import_file(save(tmp_path, "given", list(conversations)), shelf)


@pytest.mark.parametrize(
    "content",
    [fx.chatgpt_zip(), fx.chatgpt_shards_zip(), fx.to_json(fx.chatgpt_conversations())],
    ids=["zip", "shards", "bare file"],
)
def test_every_container_gives_the_same_memories(tmp_path, shelf, content):
    path = save(tmp_path, "export.dat", content)  # the name says nothing
    assert detect(path).name == "chatgpt"
    report = import_file(path, shelf)
    assert kinds(shelf) == fx.CHATGPT_TAKEN
    assert dict(report.left_out) == fx.CHATGPT_LEFT_OUT
    assert (report.conversations, report.taken, report.added) == (3, 10, 10)
    assert not report.problems
    again = import_file(save(tmp_path, "later", fx.chatgpt_zip()), shelf)
    assert (again.added, again.already_there, again.differing) == (0, 10, 0)


def test_an_unpacked_folder_is_read_too(tmp_path, shelf):
    save(tmp_path, "export/conversations.json", fx.chatgpt_conversations())
    save(tmp_path, "export/user.json", {"email": "ilse@example.org"})
    report = import_file(tmp_path / "export", shelf)
    assert report.taken == 10
    assert list(report.files_used) == ["conversations.json"]
    assert report.files_unused == ["user.json"]


def test_turns_carry_speaker_session_time_and_title(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf)
    turn = shelf.by_text("I only drink white tea.")
    assert turn == {
        "text": "I only drink white tea.",
        "namespace": "default",
        "kind": "turn",
        "speaker": "user",
        "session": "chatgpt:conversation-tea",
        "occurred_at": datetime.fromtimestamp(fx.START, UTC),
        "metadata": {"title": "About tea"},
        "source": "chatgpt",
        "op_id": "import:chatgpt:conversation-tea/tea-1",
    }
    assert shelf.by_text("Noted: white tea.")["metadata"]["model"] == "gpt-5"


def test_only_the_current_branch_is_taken_and_the_others_are_counted(tmp_path, shelf):
    given = chatgpt_conversation(
        "x",
        [message("user", "first"), message("assistant", "kept")],
        branches={0: [message("assistant", "made anew"), message("user", "more")]},
    )
    report = import_conversations(tmp_path, shelf, given)
    assert shelf.texts() == ["first", "kept"]
    assert dict(report.left_out) == {"on another branch": 2}


def test_without_a_current_node_the_newest_branch_is_taken_and_told(tmp_path, shelf):
    given = chatgpt_conversation(
        "x",
        [message("user", "first", time=fx.START), message("assistant", "old", time=fx.START + 1)],
        branches={0: [message("assistant", "new", time=fx.START + 9)]},
        current_node=None,
    )
    report = import_conversations(tmp_path, shelf, given)
    assert shelf.texts() == ["first", "new"]
    assert "newest" in report.problems[0].what


def test_a_circle_of_parents_ends(tmp_path, shelf):
    given = chatgpt_conversation("x", [message("user", "a"), message("assistant", "b")])
    given["mapping"]["x-0"]["parent"] = "x-1"
    report = import_conversations(tmp_path, shelf, given)
    assert sorted(shelf.texts()) == ["a", "b"]
    assert report.seen == 2


def test_hidden_messages_are_left_out(tmp_path, shelf):
    hidden = message("user", "unseen", is_visually_hidden_from_conversation=True)
    report = import_conversations(tmp_path, shelf, chatgpt_conversation("x", [hidden]))
    assert not shelf.items
    assert dict(report.left_out) == {"hidden": 1}


def test_messages_of_weight_0_are_left_out(tmp_path, shelf):
    given = chatgpt_conversation("x", [message("user", "a", weight=0.0), message("user", "b")])
    report = import_conversations(tmp_path, shelf, given)
    assert shelf.texts() == ["b"]
    assert dict(report.left_out) == {"weight 0": 1}


def test_messages_to_a_recipient_other_than_all_are_left_out(tmp_path, shelf):
    given = chatgpt_conversation("x", [message("assistant", "code", recipient="python")])
    assert dict(import_conversations(tmp_path, shelf, given).left_out) == {"sent to a tool": 1}


@pytest.mark.parametrize("role", ["system", "tool"])
def test_system_and_tool_roles_are_left_out(tmp_path, shelf, role):
    given = chatgpt_conversation("x", [message(role, "words")])
    assert dict(import_conversations(tmp_path, shelf, given).left_out) == {f"by the {role}": 1}


def test_an_unknown_role_is_reported_as_not_understood(tmp_path, shelf):
    report = import_conversations(
        tmp_path, shelf, chatgpt_conversation("x", [message("oracle", "words")])
    )
    assert dict(report.not_understood) == {"role: oracle": 1}


def test_do_not_remember_is_honoured_for_the_whole_conversation(tmp_path, shelf):
    way = [message("user", "a"), message("assistant", "User likes a.", recipient="bio")]
    given = chatgpt_conversation("x", way, is_do_not_remember=True)
    report = import_conversations(tmp_path, shelf, given)
    assert not shelf.items
    assert dict(report.left_out) == {"marked do not remember": 2}


@pytest.mark.parametrize("missing", [None, 0, 0.0])
def test_a_missing_time_comes_from_the_message_before_else_the_conversation(
    tmp_path, shelf, missing
):
    way = [
        message("user", "first", time=missing),
        message("assistant", "second", time=fx.START + 5),
        message("user", "third", time=missing),
    ]
    report = import_conversations(tmp_path, shelf, chatgpt_conversation("x", way))
    start = datetime.fromtimestamp(fx.START, UTC)
    assert shelf.by_text("first")["occurred_at"] == start - timedelta(seconds=60)
    assert shelf.by_text("third")["occurred_at"] == start + timedelta(seconds=5)
    assert report.times_inferred == 2


def test_no_time_at_all_stays_unknown(tmp_path, shelf):
    given = chatgpt_conversation("x", [message("user", "a", time=None)], create_time=None)
    report = import_conversations(tmp_path, shelf, given)
    assert "occurred_at" not in shelf.by_text("a")
    assert (report.times_missing, report.times_inferred) == (1, 0)


def test_parts_may_be_strings_objects_and_null(tmp_path, shelf):
    spoken = {"content_type": "audio_transcription", "text": "said aloud", "direction": "in"}
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    content = {"content_type": "multimodal_text", "parts": ["one", None, spoken, picture]}
    given = chatgpt_conversation("x", [message("user", content=content)])
    report = import_conversations(tmp_path, shelf, given)
    assert shelf.texts() == ["one\nsaid aloud"]
    assert dict(report.parts_dropped) == {"image_asset_pointer": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "code", "execution_output", "thoughts", "reasoning_recap", "tether_quote",
        "tether_browsing_display", "system_error",
    ],
)  # fmt: skip
def test_content_types_that_are_not_speech_are_left_out(tmp_path, shelf, content_type):
    content = {"content_type": content_type, "text": "inner", "parts": ["inner"]}
    given = chatgpt_conversation("x", [message("assistant", content=content)])
    report = import_conversations(tmp_path, shelf, given)
    assert dict(report.left_out) == {f"not speech: {content_type}": 1}
    assert not report.not_understood


def test_an_unknown_content_type_is_reported_as_not_understood(tmp_path, shelf):
    content = {"content_type": "hologram", "parts": ["x"]}
    given = chatgpt_conversation("x", [message("assistant", content=content)])
    report = import_conversations(tmp_path, shelf, given)
    assert dict(report.left_out) == {"not understood": 1}
    assert dict(report.not_understood) == {"content type: hologram": 1}


def test_citation_marks_are_taken_out_of_the_words(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf)
    assert "Resorcinol glue." in shelf.texts()


def test_bio_messages_become_saved_memories(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf)
    saved = shelf.by_text("User prefers white tea.")
    assert saved["kind"] == "preference"
    assert saved["tags"] == ("saved-memory",)
    assert saved["metadata"]["signal"] == "bio"
    assert saved["session"] == "chatgpt:conversation-tea"


def test_model_editable_context_becomes_dated_facts(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf)
    assert shelf.by_text("Ilse has a dog.")["occurred_at"] == datetime(2025, 2, 3, tzinfo=UTC)
    moved = shelf.by_text("Ilse moved\nto Vlieland.")
    assert (moved["kind"], moved["metadata"]) == ("fact", {"signal": "model_editable_context"})


def test_user_editable_context_becomes_a_fact_and_a_preference(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf)
    assert shelf.by_text("Ilse builds boats in Vlieland.")["kind"] == "fact"
    assert shelf.by_text("Answer in short sentences.")["kind"] == "preference"


def test_the_users_own_words_are_preferred_to_the_wrapped_ones(tmp_path, shelf):
    context = message(
        content={"content_type": "user_editable_context", "user_profile": "wrapped"},
        user_context_message_data={"about_user_message": "plain", "about_model_message": "brief"},
    )
    import_conversations(tmp_path, shelf, chatgpt_conversation("x", [context]))
    assert sorted(shelf.texts()) == ["brief", "plain"]


def test_the_same_context_in_many_conversations_is_one_memory(tmp_path, shelf):
    context = fx.chatgpt_conversations()[2]["mapping"]["memory-0"]["message"]
    given = [chatgpt_conversation(name, [dict(context)]) for name in "abc"]
    report = import_conversations(tmp_path, shelf, *given)
    assert len(shelf.items) == 2
    assert dict(report.left_out) == {"repeated in the source": 4}


def test_memory_json_is_read_when_it_is_there(tmp_path, shelf):
    members = {
        "conversations.json": fx.chatgpt_conversations(),
        "memory.json": {
            "memories": ["Has two cats.", {"content": "Likes rye.", "created_at": START_TEXT}, {}]
        },
    }
    report = import_file(save(tmp_path, "x", fx.to_zip(members)), shelf)
    assert shelf.by_text("Has two cats.")["kind"] == "fact"
    assert shelf.by_text("Likes rye.")["kind"] == "preference"
    assert report.left_out["no text"] == 1


START_TEXT = "2025-10-09T08:53:20Z"


def test_conversations_and_messages_without_ids_keep_stable_ones(tmp_path, shelf):
    given = chatgpt_conversation("x", [message("user", "a")], conversation_id=None, id=None)
    del given["mapping"]["x-0"]["message"]["id"]
    first = import_conversations(tmp_path, shelf, given)
    assert first.added == 1
    assert import_conversations(tmp_path, shelf, given).already_there == 1


def test_a_newer_export_adds_only_what_is_new(tmp_path, shelf):
    way = [message("user", "a"), message("assistant", "b")]
    import_conversations(tmp_path, shelf, chatgpt_conversation("x", way))
    longer = chatgpt_conversation("x", [*way, message("user", "c")], update_time=fx.START + 9999)
    report = import_conversations(tmp_path, shelf, longer)
    assert (report.added, report.already_there) == (1, 2)


def test_a_conversation_renamed_since_keeps_what_was_imported_first(tmp_path, shelf):
    way = [message("user", "a"), message("assistant", "b")]
    import_conversations(tmp_path, shelf, chatgpt_conversation("x", way))
    renamed = chatgpt_conversation("x", [*way, message("user", "c")], title="Renamed")
    report = import_conversations(tmp_path, shelf, renamed)
    assert (report.added, report.already_there, report.differing) == (1, 2, 2)
    assert shelf.by_text("a")["metadata"] == {"title": "About x"}
