"""Grok's export: every rule of docs/spec/import.md for it, by name."""

from datetime import UTC, datetime

from interchange import assistants as given
from interchange.assistants import response
from interchange.fixtures import save, to_json

from haulout.interchange import detect, import_file


def import_responses(tmp_path, shelf, *responses: dict):
    conversation = {"conversation": {"id": "g9", "title": "T"}, "responses": list(responses)}
    return import_file(save(tmp_path, "given", given.grok_document([conversation])), shelf)


def test_the_file_gives_its_turns_and_counts_the_rest(tmp_path, shelf):
    path = save(tmp_path, "x", given.grok_document())
    assert detect(path).name == "grok"
    report = import_file(path, shelf)
    said = [(item["speaker"], item["text"]) for item in shelf.items.values()]
    assert said == given.GROK_TURNS
    assert (report.seen, dict(report.left_out)) == (9, given.GROK_LEFT_OUT)
    assert (report.conversations, dict(report.parts_dropped)) == (2, {"file": 1})
    assert not report.problems


def test_a_zip_finds_it_deep_inside_and_reads_nothing_else(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", given.grok_zip()), shelf)
    assert (report.form, report.taken) == ("Grok data export", 5)
    assert report.files_unused_count == 2
    assert not any("example.org" in text for text in shelf.texts())


def test_turns_carry_speaker_session_time_title_and_model(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.grok_document()), shelf)
    assert shelf.by_text("At one.") == {
        "text": "At one.",
        "namespace": "default",
        "kind": "turn",
        "speaker": "assistant",
        "session": "grok:g1",
        "occurred_at": datetime(2026, 2, 2, 2, 40, 2, tzinfo=UTC),
        "metadata": {"title": "Tides", "model": "grok-5"},
        "source": "grok",
        "op_id": "import:grok:g1/r2",
    }


def test_every_way_to_write_a_date_is_read(tmp_path, shelf):
    when = datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
    ways = [
        {"$date": {"$numberLong": "1770000000000"}},
        {"$date": 1770000000000},
        {"$date": "2026-02-02T02:40:00Z"},
        "2026-02-02T02:40:00.000000Z",
        1770000000000,
        1770000000,
    ]
    responses = [
        response(n, "human", f"say {n}", create_time=way, parent_response_id=None)
        for n, way in enumerate(ways)
    ]
    import_responses(tmp_path, shelf, *responses)
    assert [item["occurred_at"] for item in shelf.items.values()] == [when] * len(ways)


def test_a_missing_time_is_that_of_the_response_before_else_of_the_conversation(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", given.grok_document()), shelf)
    assert shelf.by_text("Which knot?")["occurred_at"] == datetime(
        2026, 2, 3, 6, 26, 40, tzinfo=UTC
    )
    assert report.times_inferred == 1


def test_a_model_that_signs_with_its_name_is_the_assistant(tmp_path, shelf):
    import_responses(tmp_path, shelf, response(0, "Grok-5", "I am.", parent_response_id=None))
    assert shelf.by_text("I am.")["speaker"] == "assistant"


def test_ids_may_be_objects_or_missing(tmp_path, shelf):
    responses = [
        response(0, "human", "a", _id={"$oid": "65f0"}, parent_response_id=None),
        response(1, "human", "b", _id=None, parent_response_id={"$oid": "65f0"}),
    ]
    assert import_responses(tmp_path, shelf, *responses).added == 2
    assert "import:grok:g9/65f0" in shelf.items
    assert import_responses(tmp_path, shelf, *responses).already_there == 2


def test_a_newer_export_adds_only_what_is_new(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.grok_document()), shelf)
    newer = given.grok_conversations()
    newer[1]["conversation"]["modify_time"] = "2026-09-09T00:00:00Z"
    newer[1]["responses"].append(response(12, "human", "And then?", parent_response_id="r11"))
    report = import_file(save(tmp_path, "x", given.grok_document(newer)), shelf)
    assert (report.added, report.already_there, report.differing) == (1, 5, 0)


def test_a_broken_conversation_is_lost_alone(tmp_path, shelf):
    content = to_json(given.grok_document()).replace(b'"title": "Tides"', b'"title": Tides')
    report = import_file(save(tmp_path, "x", content), shelf)
    assert shelf.texts() == ["Which knot?", "A bowline."]
    assert len(report.problems) == 1


def test_telling_the_form_reads_no_more_than_a_beginning(tmp_path, monkeypatch):
    read = 0

    def count(self, more, so_far, member):
        nonlocal read
        read += more

    many = [
        {"conversation": {"id": f"g{n}"}, "responses": [response(n, "human", "x" * 1000)]}
        for n in range(3000)
    ]
    path = save(tmp_path, "x", given.grok_document(many))
    monkeypatch.setattr("haulout.interchange.archive._Meter.count", count)
    for limit in (
        "conversations.SNIFFED_BYTES_MAX",
        "linestream.LINE_BYTES_MAX",
        "claude.MANIFEST_BYTES_MAX",
    ):
        monkeypatch.setattr(f"haulout.interchange.{limit}", 300_000)
    assert detect(path).name == "grok"
    assert read < 4_000_000  # by all formats together, of three megabytes in one object
