"""The import as a whole: batches, repeats, dry runs, refusals, and counts that add up."""

import io
import json
import tracemalloc

import pytest
from interchange import agents, assistants
from interchange import fixtures as fx
from interchange.fixtures import Shelf, chatgpt_conversation, message, save, to_lines

from haulout.errors import ErasedError, ImportFormatError, InputError, LimitError
from haulout.interchange import ADAPTERS, ImportedMemory, Limits, detect, import_file, importer
from haulout.interchange.records import PROBLEMS_LISTED_MAX

EXPORTS = {
    "chatgpt": fx.chatgpt_zip(),
    "chatgpt shards": fx.chatgpt_shards_zip(),
    "claude 2023": fx.claude_2023(),
    "claude 2025": fx.claude_2025(),
    "claude february": fx.claude_february(),
    "claude may": fx.claude_may(),
    "claude september": fx.to_zip(fx.claude_september()),
    "claude october": fx.to_zip(fx.claude_archives()),
    "gemini json": assistants.gemini_json(),
    "gemini page": assistants.gemini_page(),
    "gemini older": fx.to_json(assistants.gemini_older()),
    "gemini takeout": assistants.gemini_takeout(html=True),
    "gemini workspace": assistants.workspace_zip(),
    "grok": fx.to_json(assistants.grok_document()),
    "grok zip": assistants.grok_zip(),
    "copilot": assistants.COPILOT_CSV,
    "copilot other": assistants.COPILOT_OTHER_CSV,
    "pasted": fx.PASTED,
    "claude code": to_lines(agents.claude_code_lines()),
    "claude code projects": fx.to_zip(agents.claude_code_projects()),
    "codex": to_lines(agents.codex_lines()),
    "codex before": to_lines(agents.codex_lines_before()),
    "codex first": fx.to_json(agents.codex_document()),
    "codex folder": fx.to_zip(agents.codex_folder()),
    "markdown": fx.MEMORY_MD,
    "chat lines": to_lines(fx.CHAT_LINES),
    "own lines": to_lines(fx.OWN_LINES),
}
every_export = pytest.mark.parametrize("content", EXPORTS.values(), ids=EXPORTS.keys())


@every_export
def test_importing_twice_adds_nothing(tmp_path, shelf, content):
    path = save(tmp_path, "x", content)
    first = import_file(path, shelf)
    held = dict(shelf.items)
    second = import_file(path, shelf)
    assert shelf.items == held
    assert (second.added, second.already_there) == (0, first.added)
    assert first.added == first.taken == first.sent == len(held)


@every_export
def test_a_dry_run_reports_the_same_and_writes_nothing(tmp_path, shelf, content):
    path = save(tmp_path, "x", content)
    dry = import_file(path, shelf, dry_run=True).to_builtins()
    assert not shelf.batches
    real = import_file(path, shelf).to_builtins()
    assert real["added"] == dry["sent"]
    for name in ("dry_run", "added"):
        del dry[name], real[name]
    assert dry == real


@every_export
def test_the_counts_add_up_and_the_report_is_plain(tmp_path, shelf, content):
    report = import_file(save(tmp_path, "x", content), shelf)
    told = json.loads(json.dumps(report.to_builtins()))
    assert told["seen"] == told["taken"] + sum(told["left_out"].values())
    assert told["sent"] == told["added"] + told["already_there"] + told["erased"] + told["refused"]
    assert sum(told["speakers"].values()) <= told["taken"]
    times = [item["occurred_at"] for item in shelf.items.values() if "occurred_at" in item]
    if times:
        assert told["times"]["first"] == min(times).isoformat()
        assert told["times"]["last"] == max(times).isoformat()
    assert told["times"]["missing"] == len(shelf.items) - len(times)


@pytest.mark.parametrize("content", list(EXPORTS.values()), ids=list(EXPORTS.keys()))
def test_a_form_is_told_by_content_whatever_the_name(tmp_path, content):
    expected = detect(save(tmp_path, "right", content)).name
    for name in ("x.zip", "x.json", "conversations.json", "x.md", "x.jsonl", "x.png"):
        assert detect(save(tmp_path, name, content)).name == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01",
        b"{}",
        b"[]",
        b"[[]]",
        b'{"a": 1}',
        b"a,b\n1,2\n",
        b"PK\x05\x06" + b"\0" * 18,
    ],
)
def test_an_unknown_form_is_refused_naming_what_is_understood(tmp_path, content):
    with pytest.raises(ImportFormatError) as refused:
        detect(save(tmp_path, "conversations.json", content))
    for adapter in ADAPTERS:
        assert adapter.understands in refused.value.message


@every_export
def test_what_comes_in_through_a_stream_is_told_and_read_like_a_file(tmp_path, shelf, content):
    data = content if isinstance(content, bytes) else content.encode()
    path = save(tmp_path, "what was passed in", data)
    assert detect(io.BytesIO(data)).name == detect(path).name
    streamed = import_file(io.BytesIO(data), shelf).to_builtins()
    held = dict(shelf.items)
    shelf.items.clear()
    assert streamed == import_file(path, shelf).to_builtins()
    assert shelf.items == held


def test_a_stream_too_long_to_hold_says_to_save_it_first(shelf):
    with pytest.raises(LimitError, match="Save it as a file"):
        import_file(io.BytesIO(b"# a\n" * 1000), shelf, limits=Limits(stream_bytes_max=1000))


def test_two_forms_in_one_archive_are_refused(tmp_path):
    members = {
        "conversations.json": fx.chatgpt_conversations(),
        "memories.json": [fx.claude_memories()],
    }
    with pytest.raises(ImportFormatError, match="more than one format"):
        detect(save(tmp_path, "x", fx.to_zip(members)))


def test_a_form_is_found_behind_a_broken_first_conversation(tmp_path, shelf):
    content = b'[{"title": broken}, ' + fx.to_json(fx.chatgpt_conversations())[1:]
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.taken == 10
    assert report.problems[0].position == "element 0, byte 1"


def test_broken_json_in_one_conversation_loses_only_that_one(tmp_path, shelf):
    tea, boat, memory = map(fx.to_json, fx.chatgpt_conversations())
    for broken in (boat[:-1], boat[:-3] + b'"', boat.replace(b'"Which', b"Which")):
        shelf.items.clear()
        content = b"[" + b", ".join((tea, broken, memory)) + b"]"
        report = import_file(save(tmp_path, "x", content), shelf)
        assert report.conversations == 2, broken[-9:]
        assert report.taken == 6
        assert report.problems[0].position == f"element 1, byte {len(tea) + 3}"


def test_an_export_cut_short_keeps_what_is_whole(tmp_path, shelf):
    content = fx.to_json(fx.chatgpt_conversations())[:-40]
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.conversations == 2
    assert report.problem_count >= 1


def test_batches_are_bounded_by_count_and_by_size(tmp_path, shelf):
    way = [message("user", f"number {number}") for number in range(1201)]
    handled: list[int] = []
    path = save(tmp_path, "x", [chatgpt_conversation("x", way)])
    import_file(path, shelf, progress=handled.append)
    assert shelf.batches == [500, 500, 201]
    assert handled == [500, 1000, 1201]
    shelf.batches.clear()
    import_file(save(tmp_path, "y", to_lines([{"text": c * 900_000} for c in "abcdefghij"])), shelf)
    assert shelf.batches == [5, 5]


def test_the_namespace_is_the_callers(tmp_path, shelf):
    import_file(save(tmp_path, "x", fx.chatgpt_zip()), shelf, namespace="history/chatgpt")
    assert {item["namespace"] for item in shelf.items.values()} == {"history/chatgpt"}


def test_a_text_over_one_mebibyte_goes_in_parts_and_counts_once(tmp_path, shelf):
    text = "".join(f"line {number} é\n" for number in range(200_000))
    report = import_file(save(tmp_path, "x", to_lines([{"id": "long", "text": text}])), shelf)
    assert (report.taken, report.sent, report.added) == (1, 3, 3)
    assert "".join(shelf.texts()) == text
    assert all(item.endswith("\n") or item == shelf.texts()[-1] for item in shelf.texts())
    assert list(shelf.items) == [
        "import:jsonl:long", "import:jsonl:long/part-2", "import:jsonl:long/part-3",
    ]  # fmt: skip


def test_a_long_text_without_lines_is_cut_between_characters(tmp_path, shelf):
    text = "€" * 800_000
    import_file(save(tmp_path, "x", to_lines([{"text": text}])), shelf)
    assert "".join(shelf.texts()) == text


def test_what_was_erased_before_stays_out(tmp_path, shelf):
    path = save(tmp_path, "x", fx.chatgpt_zip())
    shelf.erased = {"import:chatgpt:conversation-tea/tea-1"}
    report = import_file(path, shelf)
    assert (report.erased, report.left_out["erased before"], report.taken) == (1, 1, 9)
    assert report.balanced()


def test_a_vault_that_raises_for_erased_ones_is_understood_too(tmp_path, shelf):
    def raising(items):
        if any(item["text"] == "I only drink white tea." for item in items):
            raise ErasedError("It was erased.")
        return shelf(items)

    report = import_file(save(tmp_path, "x", fx.chatgpt_zip()), raising)
    assert (report.erased, report.added) == (1, 9)


def test_results_without_attributes_count_as_added(tmp_path):
    report = import_file(save(tmp_path, "x", fx.chatgpt_zip()), lambda items: list(map(str, items)))
    assert report.added == 10


def test_an_item_the_vault_refuses_is_left_out_alone_and_told(tmp_path, shelf):
    way = [message("user", text) for text in ("a", "refuse me", "b")]
    report = import_file(save(tmp_path, "x", [chatgpt_conversation("x", way)]), shelf)
    assert shelf.texts() == ["a", "b"]
    assert dict(report.left_out) == {"refused by the vault": 1}
    assert report.problems[0].what == "refused by the vault: Not this one."
    assert report.balanced()


def test_a_call_the_vault_refuses_as_such_raises(tmp_path):
    def refusing(items):
        raise InputError("No such namespace.")

    way = [message("user", f"number {number}") for number in range(100)]
    with pytest.raises(InputError, match="No such namespace"):
        import_file(save(tmp_path, "x", [chatgpt_conversation("x", way)]), refusing)


def test_other_errors_of_the_vault_pass_through(tmp_path):
    def failing(items):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        import_file(save(tmp_path, "x", fx.chatgpt_zip()), failing)


def test_problems_are_counted_past_those_listed(tmp_path, shelf):
    content = b"{broken\n" * 500 + to_lines([{"text": "a"}]) * 1
    content = to_lines([{"text": "first"}]) * 20 + content
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.problem_count == 500
    assert len(report.problems) == PROBLEMS_LISTED_MAX
    assert report.left_out == {"a broken line": 500, "repeated in the source": 19}


def test_names_in_a_report_are_bounded(tmp_path, shelf):
    lines = [{"text": str(n), "speaker": f"s{n}", f"field{n}": 1} for n in range(1000)]
    report = import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    assert len(report.speakers) <= 201
    assert report.speakers.total() == 1000
    assert report.not_understood["(others)"] == 800


def test_a_memory_leaves_out_what_it_does_not_know():
    memory = ImportedMemory(op_id="import:x:1", text="t", kind="note", place="p")
    assert memory.to_item("n") == {
        "text": "t", "namespace": "n", "kind": "note", "op_id": "import:x:1",
    }  # fmt: skip


def test_memory_stays_bounded_while_a_large_export_streams(tmp_path, monkeypatch):
    """6 MB in 600 conversations: never more than a batch of them at a time."""
    monkeypatch.setattr(importer, "BATCH_BYTES", 256 * 1024)
    body = "It is 7 o'clock in a town by the sea. " * 260
    path = tmp_path / "x"
    with path.open("wb") as file:
        for number in range(600):
            one = chatgpt_conversation(f"n{number}", [message("user", body)])
            file.write((b"[" if number == 0 else b",") + fx.to_json(one))
        file.write(b"]")

    def forget(items):
        return []

    tracemalloc.start()
    try:
        report = import_file(path, forget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.taken == 600
    assert peak < 3 * 1024 * 1024  # a batch, what is read ahead, and no more


def test_repeats_are_watched_up_to_a_limit(tmp_path, shelf: Shelf, monkeypatch):
    monkeypatch.setattr(importer, "REPEATS_WATCHED_MAX", 1)
    lines = [{"text": "a"}, {"text": "b"}, {"text": "a"}, {"text": "b"}]
    report = import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    assert report.left_out == {"repeated in the source": 1}
    assert (report.added, report.already_there) == (2, 1)
