"""JSON Lines: Haulout's own form, both ways, and chats."""

import json
from datetime import UTC, datetime
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from interchange import fixtures as fx
from interchange.fixtures import save, to_lines

from haulout.interchange import detect, import_file


def test_our_own_export_comes_back_as_it_was(tmp_path, shelf):
    path = save(tmp_path, "x", to_lines(fx.OWN_LINES))
    report = import_file(path, shelf, keep_namespaces=True)
    assert shelf.by_text("Review on Tuesdays.") == {
        "text": "Review on Tuesdays.",
        "namespace": "work/acme",
        "kind": "preference",
        "op_id": "import:jsonl:memory-1",
        "speaker": "user",
        "session": "s1",
        "occurred_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
        "tags": ("work",),
        "metadata": {"depth": {"two": 2}},
        "source": "cli",
    }
    assert dict(report.left_out) == {"no text": 1}
    assert import_file(path, shelf, keep_namespaces=True).already_there == 2


def test_a_file_chooses_its_namespaces_only_when_it_may(tmp_path, shelf):
    import_file(save(tmp_path, "x", to_lines(fx.OWN_LINES)), shelf, namespace="inbox")
    assert {item["namespace"] for item in shelf.items.values()} == {"inbox"}


def test_chat_lines_become_turns_of_one_session(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", to_lines(fx.CHAT_LINES)), shelf)
    assert shelf.texts() == ["yes", "Good.", "yes", "yes"]  # said three times, kept three times
    assert len({item["session"] for item in shelf.items.values()}) == 1
    assert dict(report.left_out) == {"by the system": 1, "no text": 1}
    assert dict(report.parts_dropped) == {"image": 1}
    assert dict(report.speakers) == {"user": 3, "assistant": 1}


def test_a_chat_that_grew_adds_only_its_new_lines(tmp_path, shelf):
    import_file(save(tmp_path, "x", to_lines(fx.CHAT_LINES)), shelf)
    longer = [*fx.CHAT_LINES, {"role": "assistant", "content": "Done."}]
    assert import_file(save(tmp_path, "x", to_lines(longer)), shelf).added == 1


def test_a_line_may_hold_a_whole_chat(tmp_path, shelf):
    lines = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"id": "c2", "messages": [{"role": "user", "content": "a"}]},
    ]
    report = import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    assert (report.conversations, report.taken) == (2, 3)
    assert shelf.by_text("b")["session"] != "jsonl:c2"


def test_a_broken_line_is_lost_alone_and_told(tmp_path, shelf):
    content = to_lines(fx.OWN_LINES[:2]) + b'{"text": "cut\n' + to_lines([{"text": "after"}, [1]])
    report = import_file(save(tmp_path, "x", content), shelf)
    assert shelf.texts() == ["Review on Tuesdays.", "No ID.", "after"]
    assert dict(report.left_out) == {"a broken line": 1, "not understood": 1}
    assert report.problems[0].position == "line 3"


def test_wrong_types_read_as_absent_and_are_told(tmp_path, shelf):
    odd = {
        "text": "x",
        "occurred_at": "soon",
        "tags": 7,
        "metadata": {"a": "b" * 70_000},
        "speaker": ["me"],
        "weight": 3,
    }
    report = import_file(save(tmp_path, "x", to_lines([odd])), shelf)
    assert shelf.by_text("x").keys() == {"text", "namespace", "kind", "op_id"}
    assert dict(report.not_understood) == {
        "value of occurred_at": 1,
        "metadata past the limits": 1,
        "field: weight": 1,
    }


def test_deep_metadata_is_left_out(tmp_path, shelf):
    deep: object = "x"
    for _ in range(200):
        deep = [deep]
    report = import_file(
        save(tmp_path, "x", to_lines([{"text": "x", "metadata": {"a": deep}}])), shelf
    )
    assert report.not_understood["metadata past the limits"] == 1


def test_a_line_over_the_limit_is_passed_over(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr("haulout.interchange.linestream.LINE_BYTES_MAX", 1000)
    lines = [{"text": "a"}, {"text": "b" * 2000}, {"text": "c"}]
    report = import_file(save(tmp_path, "x", to_lines(lines)), shelf)
    assert shelf.texts() == ["a", "c"]
    assert report.problems[0].what == "longer than 1000 bytes"


def test_only_a_line_feed_ends_a_line(tmp_path, shelf):
    import_file(save(tmp_path, "x", to_lines([{"text": "a\u2028b\x85c"}])), shelf)
    assert shelf.texts() == ["a\u2028b\x85c"]


def line(memory):
    """A line in the canonical form of docs/spec/export.md."""
    written = json.dumps(memory, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return written.encode() + b"\n"


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(words=text.filter(str.strip), metadata=st.dictionaries(text, text, max_size=3))
def test_what_is_written_is_read_again(tmp_path_factory, words, metadata):
    shelf = fx.Shelf()
    folder = tmp_path_factory.mktemp("x")
    path = save(folder, "x", line({"text": words, "metadata": metadata}))
    assert detect(path).name == "jsonl"
    import_file(path, shelf)
    (item,) = shelf.items.values()
    assert item["text"] == words
    assert item.get("metadata", {}) == metadata
    assert json.loads(path.read_bytes())["text"] == words


def exported(*memories: dict, last: dict | None = None) -> bytes:
    """What `haulout export` writes: lines, then their number and digest."""
    content = b"".join(map(line, memories))
    seal = {"haulout_export": 1, "memories": len(memories), "sha256": sha256(content).hexdigest()}
    return content + line(seal | (last or {}))


OWN = {"id": "a", "text": "x", "recorded_at": "2026-01-01T00:00:00Z", "version": 1}


def test_a_sealed_export_is_checked_against_its_last_line(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", exported(OWN, OWN | {"id": "b"})), shelf)
    assert (report.taken, report.seen, report.problem_count) == (2, 2, 0)
    assert not report.not_understood


def test_an_export_changed_since_is_told(tmp_path, shelf):
    content = exported(OWN).replace(b'"x"', b'"y"')
    report = import_file(save(tmp_path, "x", content), shelf)
    assert [problem.position for problem in report.problems] == ["line 2"]


def test_an_export_cut_short_is_told(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", line(OWN)), shelf)
    assert "cut short" in report.problems[0].what


def test_earlier_versions_in_an_export_are_counted_not_taken(tmp_path, shelf):
    memory = OWN | {"version": 2, "history": [OWN]}
    report = import_file(save(tmp_path, "x", exported(memory)), shelf)
    assert (report.taken, dict(report.parts_dropped)) == (1, {"earlier version": 1})


def test_names_keep_to_the_vaults_limits(tmp_path, shelf):
    names = {"speaker": "名" * 300, "session": "\U0001f43b" * 90, "tags": ["é" * 300, " ", "a "]}
    import_file(save(tmp_path, "x", to_lines([{"text": "x", "source": "€" * 900} | names])), shelf)
    assert shelf.by_text("x")["tags"] == ("é" * 127, "a ")
