"""Gemini's history from Takeout and Workspace: every rule of docs/spec/import.md, by name."""

from datetime import UTC, datetime

import pytest
from interchange import assistants as given
from interchange.assistants import cell, page, record
from interchange.fixtures import save, to_json

from haulout.errors import ImportFormatError
from haulout.interchange import activities, detect, import_file
from haulout.interchange.htmltext import plain_text
from haulout.interchange.writtentime import written_time


def turns(shelf) -> list[tuple[str, str]]:
    return [(item["speaker"], item["text"]) for item in shelf.items.values()]


def import_records(tmp_path, shelf, *records: dict):
    return import_file(save(tmp_path, "given", list(records)), shelf)


@pytest.mark.parametrize(
    "content", [given.gemini_json(), given.gemini_page()], ids=["json", "html"]
)
def test_each_form_of_my_activity_gives_its_turns_and_counts_the_rest(tmp_path, shelf, content):
    path = save(tmp_path, "x", content)
    assert detect(path).name == "gemini"
    report = import_file(path, shelf)
    assert turns(shelf) == given.GEMINI_TURNS
    assert (report.seen, dict(report.left_out)) == (10, given.GEMINI_LEFT_OUT)
    assert dict(report.parts_dropped) == {"file": 1}
    assert not report.problems
    assert not report.not_understood


@pytest.mark.parametrize("html", [False, True])
def test_a_takeout_zip_takes_gemini_alone(tmp_path, shelf, html):
    report = import_file(save(tmp_path, "x", given.gemini_takeout(html=html)), shelf)
    assert turns(shelf) == given.GEMINI_TURNS
    assert sorted(report.files_unused) == [
        "Takeout/My Activity/Search/MyActivity.json",
        "Takeout/archive_browser.html",
    ]


def test_turns_carry_speaker_session_and_time(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.gemini_json()), shelf)
    item = shelf.by_text("Use a starter:\n\n1. Feed it\n2. Wait & see")
    assert item["op_id"].startswith("import:gemini:")
    assert item["op_id"].endswith("/response")
    del item["op_id"]
    assert item == {
        "text": "Use a starter:\n\n1. Feed it\n2. Wait & see",
        "namespace": "default",
        "kind": "turn",
        "speaker": "assistant",
        "session": "gemini:activity-20260304T083101",
        "occurred_at": datetime(2026, 3, 4, 8, 31, 1, 250_000, tzinfo=UTC),
        "source": "gemini",
    }


def test_the_page_and_the_json_of_one_history_add_nothing_to_each_other(tmp_path, shelf):
    import_file(save(tmp_path, "a", given.gemini_page()), shelf)
    report = import_file(save(tmp_path, "b", given.gemini_json()), shelf)
    assert (report.added, report.already_there) == (0, 5)


@pytest.mark.parametrize("verb", ["Created", "Used", "Added", "Gave"])
def test_what_was_created_used_added_or_given_is_no_prompt_even_with_html(tmp_path, shelf, verb):
    done = record(f"{verb} a thing", "2026-03-01T08:00:00Z", "<p>A thing.</p>")
    report = import_records(tmp_path, shelf, done)
    assert (report.taken, dict(report.left_out)) == (0, {"not a prompt": 1})


@pytest.mark.parametrize(("minutes", "sessions"), [(29, 1), (30, 2)])
def test_half_an_hour_of_silence_begins_a_session(tmp_path, shelf, minutes, sessions):
    import_records(
        tmp_path,
        shelf,
        record("Prompted b", f"2026-03-04T08:{minutes}:00Z"),
        record("Prompted a", "2026-03-04T08:00:00Z"),
    )
    assert len({item["session"] for item in shelf.items.values()}) == sessions


def test_a_session_keeps_its_name_as_it_grows(tmp_path, shelf):
    first = record("Prompted a", "2026-03-04T08:00:00Z")
    import_records(tmp_path, shelf, first)
    report = import_records(tmp_path, shelf, record("Prompted b", "2026-03-04T08:20:00Z"), first)
    assert (report.added, report.already_there, report.differing) == (1, 1, 0)


def test_older_details_tell_request_response_and_conversation(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", given.gemini_older()), shelf)
    assert turns(shelf) == [
        ("user", "And barley?"),
        ("assistant", "Less."),
        ("user", "Is rye hardy?"),
        ("assistant", "Yes, <so>."),
    ]
    assert {item["session"] for item in shelf.items.values()} == {"gemini:1a2b3c4d5e6f"}
    assert not report.left_out


@pytest.mark.parametrize(
    ("link", "session"),
    [
        ("https://bard.google.com/c/Ab3-9_x", "gemini:Ab3-9_x"),
        ("https://gemini.google.com/app/1a2b3c4d?hl=en", "gemini:1a2b3c4d"),
        ("https://gemini.google.com/", "gemini:activity-20260304T080000"),
    ],
)
def test_a_link_to_a_conversation_names_the_session(tmp_path, shelf, link, session):
    import_records(tmp_path, shelf, record("Prompted a", "2026-03-04T08:00:00Z", titleUrl=link))
    assert shelf.by_text("a")["session"] == session


def test_a_cell_of_the_page_may_link_to_its_conversation(tmp_path, shelf):
    link = '<a href="https://gemini.google.com/app/1a2b3c4d">Details</a>'
    content = page(cell("Prompted&nbsp;a", "Mar 4, 2026, 10:30:00 AM CET", link=link))
    import_file(save(tmp_path, "x", content), shelf)
    assert shelf.by_text("a")["session"] == "gemini:1a2b3c4d"


SLOVENE = [("Poziv", "Kako pečem kruh?"), ("Poziv", "Koliko časa?"), ("Poziv", "Hvala")]


def test_a_verb_of_another_language_is_what_stands_before_the_no_break_space(tmp_path, shelf):
    cells = [
        cell(f"{verb}&nbsp;{words}", f"{day}. nov. 2025, 01:34:47 CET", "<p>Da.</p>")
        for day, (verb, words) in enumerate(SLOVENE, 1)
    ]
    used = cell("Uporabljeno&nbsp;Gemini", "4. nov. 2025, 01:34:47 CET")
    content = page(*cells, used, title="Moja dejavnost")
    report = import_file(save(tmp_path, "x", content), shelf)
    assert [words for _, words in turns(shelf)][::2] == [words for _, words in SLOVENE]
    assert dict(report.left_out) == {"not a prompt": 1}
    assert shelf.by_text("Hvala")["occurred_at"] == datetime(2025, 11, 3, 0, 34, 47, tzinfo=UTC)


def test_a_verb_of_another_language_is_learned_from_most_titles(tmp_path, shelf):
    words = ["Wie backe ich Brot?", "Wie lange?", "Danke"]
    records = [
        record(f"Eingegebener Prompt: {said}", f"2026-03-0{day}T08:00:00Z", "<p>Ja.</p>")
        for day, said in enumerate(words, 1)
    ]
    import_records(tmp_path, shelf, *records, record("Verwendet: Gemini", "2026-03-09T08:00:00Z"))
    assert [said for _, said in turns(shelf)][::2] == words


def test_a_lone_title_of_an_unknown_language_is_kept_whole_and_told(tmp_path, shelf):
    report = import_records(
        tmp_path, shelf, record("Invite : bonjour", "2026-03-01T08:00:00Z", "<p>Salut.</p>")
    )
    assert turns(shelf)[0] == ("user", "Invite : bonjour")
    assert dict(report.not_understood) == {"verb of a prompt": 1}


def test_workspace_conversations_are_json_by_the_name_of_text(tmp_path, shelf):
    report = import_file(save(tmp_path, "x.txt", given.workspace_conversation()), shelf)
    assert turns(shelf) == given.WORKSPACE_TURNS
    assert dict(report.left_out) == given.WORKSPACE_LEFT_OUT
    assert dict(report.parts_dropped) == {"images": 1, "model_thoughts": 1}
    assert report.times_inferred == 2
    assert shelf.by_text("Is it ready?")["metadata"] == {"title": "Sourdough"}


def test_a_workspace_folder_gives_every_conversation(tmp_path, shelf):
    report = import_file(save(tmp_path, "x", given.workspace_zip()), shelf)
    assert (report.taken, report.conversations) == (6, 2)
    assert len({item["session"] for item in shelf.items.values()}) == 2


def test_a_workspace_conversation_that_was_renamed_and_grew_adds_only_what_is_new(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.workspace_conversation()), shelf)
    grown = given.workspace_conversation()
    grown["conversation_turns"].append({"user_turn": {"prompt": "Into the oven."}})
    report = import_file(save(tmp_path, "x", grown), shelf)
    assert (report.added, report.already_there) == (1, 3)


def test_a_cell_without_a_time_is_lost_alone(tmp_path, shelf):
    good = cell("Prompted&nbsp;a", "Mar 4, 2026, 10:30:00 AM CET")
    report = import_file(save(tmp_path, "x", page(good, cell("Prompted&nbsp;b", "soon"))), shelf)
    assert turns(shelf) == [("user", "a")]
    assert [problem.position for problem in report.problems] == ["cell 1"]


def test_a_cell_over_the_limit_is_lost_alone(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr(activities, "CELL_BYTES_MAX", 4096)
    monkeypatch.setattr(activities, "CHUNK_BYTES", 512)
    cells = [
        cell(f"Prompted&nbsp;{name}", f"Mar {day}, 2026, 10:30:00 AM CET", answer)
        for day, (name, answer) in enumerate([("a", ""), ("b", "x" * 9000), ("c", "")], 1)
    ]
    report = import_file(save(tmp_path, "x", page(*cells)), shelf)
    assert turns(shelf) == [("user", "a"), ("user", "c")]
    assert [problem.what for problem in report.problems] == ["larger than 4096 bytes"]


def test_a_zone_that_is_not_known_counts_as_utc_and_is_told(tmp_path, shelf):
    content = page(cell("Prompted&nbsp;a", "Mar 4, 2026, 10:30:00 AM XYZT"))
    report = import_file(save(tmp_path, "x", content), shelf)
    assert shelf.by_text("a")["occurred_at"] == datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
    assert dict(report.not_understood) == {"time zone: XYZT": 1}


def test_a_page_without_gemini_is_refused(tmp_path):
    content = page(cell("Watched&nbsp;a", "Mar 4, 2026, 10:30:00 AM CET", product="YouTube"))
    with pytest.raises(ImportFormatError):
        detect(save(tmp_path, "x", content))


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("Nov 2, 2026, 3:04:05\u202fPM CET", "2026-11-02T14:04:05"),
        ("Nov 2, 2026, 12:04:05 AM UTC", "2026-11-02T00:04:05"),
        ("2 Nov 2026, 15:04:05 GMT", "2026-11-02T15:04:05"),
        ("02.11.2026, 15:04:05 MEZ", "2026-11-02T14:04:05"),
        ("2 de nov. de 2026, 15:04:05 WET", "2026-11-02T15:04:05"),
        ("5 juil. 2026, 15:04:05 CEST", "2026-07-05T13:04:05"),
        ("5 juin 2026, 15:04:05 CEST", "2026-06-05T13:04:05"),
        ("5 août 2026 15:04:05 CEST", "2026-08-05T13:04:05"),
        ("2 mrt 2026 15:04:05 CET", "2026-03-02T14:04:05"),
        ("2026/11/02 15:04:05 JST", "2026-11-02T06:04:05"),
        ("2026年11月2日 15:04:05 JST", "2026-11-02T06:04:05"),
        ("2/11/2026, 15:04:05 GMT+5:30", "2026-11-02T09:34:05"),
        ("11/2/2026, 3:04:05 PM GMT-03:00", "2026-11-02T18:04:05"),
        ("2026-09-02T12:00:00Z", "2026-09-02T12:00:00"),
    ],
)
def test_times_are_read_as_they_are_written_in_many_languages(written, iso):
    found = written_time(written)
    assert found is not None
    assert found.when == datetime.fromisoformat(iso).replace(tzinfo=UTC)
    assert not found.unknown_zone


@pytest.mark.parametrize(
    "words", ["", "soon", "At 10:30:00 we met", "Version 2026 is out", "x" * 99]
)
def test_a_line_that_is_no_time_is_none(words):
    assert written_time(words) is None


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("plain  words", "plain words"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>d", "- a\n  - b\n- c\n\nd"),
        ("<pre><code>if a:\n    b</code></pre>", "```\nif a:\n    b\n```"),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
            "a | b\n1 | 2",
        ),
        ("<b>a</b> <i>b</i>&nbsp;c &lt;d&gt; &#x1F35E;", "a b c <d> \U0001f35e"),
        ("<script>alert('x')</script>a<style>b</style><!-- c -->", "a"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("<script>never closed", ""),
        ("<a href='javascript:x'>link</a>", "link"),
    ],
)
def test_html_becomes_the_text_that_a_person_sees(html, words):
    assert plain_text(html) == words


def test_a_file_of_records_with_one_that_is_broken_loses_it_alone(tmp_path, shelf):
    content = to_json(given.gemini_records()).replace(
        b'"title": "Prompted How', b'"title": Prompted'
    )
    report = import_file(save(tmp_path, "x", content), shelf)
    assert turns(shelf) == given.GEMINI_TURNS[2:]
    assert len(report.problems) == 1
