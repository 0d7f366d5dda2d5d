"""Copilot's CSV: every rule of docs/spec/import.md for it, by name."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given as given_values
from hypothesis import strategies as st
from interchange import assistants as given
from interchange.fixtures import save

from haulout.errors import ImportFormatError
from haulout.interchange import csvrows, detect, import_file
from haulout.interchange.csvrows import cells, rows


def test_the_file_gives_its_turns_and_counts_the_rest(tmp_path, shelf):
    path = save(tmp_path, "x", given.COPILOT_CSV)
    assert detect(path).name == "copilot"
    report = import_file(path, shelf)
    said = [(item["speaker"], item["text"]) for item in shelf.items.values()]
    assert said == given.COPILOT_TURNS
    assert (report.seen, dict(report.left_out)) == (8, given.COPILOT_LEFT_OUT)
    assert (report.conversations, report.times_missing) == (2, 3)
    assert dict(report.not_understood) == {"author: Herald": 1, "value of the time": 1}


def test_both_sets_of_columns_mean_the_same(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.COPILOT_CSV), shelf)
    report = import_file(save(tmp_path, "y", given.COPILOT_OTHER_CSV), shelf)
    assert (report.added, report.already_there, report.differing) == (0, 2, 0)
    assert dict(report.not_understood) == {"column: region": 1}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_stand_in_any_order_and_behind_any_usual_mark(tmp_path, shelf, mark):
    lines = [["Message", "Author", "Time", "Conversation"], ["Hi", "human", "2026-01-01", "T"]]
    import_file(save(tmp_path, "x", "\n".join(map(mark.join, lines))), shelf)
    assert shelf.texts() == ["Hi"]


def test_turns_carry_speaker_session_time_and_title(tmp_path, shelf):
    import_file(save(tmp_path, "x", given.COPILOT_CSV), shelf)
    asked, answered = shelf.by_text("Write a poem"), shelf.by_text(given.COPILOT_TURNS[0][1])
    assert asked["speaker"] == "user"
    assert asked["session"] == answered["session"]
    assert asked["metadata"] == {"title": "Poems"}
    assert asked["occurred_at"] == datetime(2026, 4, 5, 6, 7, 9, tzinfo=UTC)
    assert shelf.by_text("Shorter")["occurred_at"] == datetime(2026, 4, 5, 18, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("4/5/2026 6:08:00 PM", "2026-04-05T18:08:00"),
        ("4/5/2026 12:08 AM", "2026-04-05T00:08:00"),
        ("4/15/2026 18:08:00", "2026-04-15T18:08:00"),
        ("4/15/2026 18:08:00 +02:00", "2026-04-15T16:08:00"),
        ("4/15/2026 18:08:00 -0330", "2026-04-15T21:38:00"),
        ("2026-04-05T18:08:00Z", "2026-04-05T18:08:00"),
    ],
)
def test_times_are_read_as_the_dashboard_writes_them(tmp_path, shelf, written, iso):
    content = f'Conversation,Time,Author,Message\nT,"{written}",Human,a\n'
    import_file(save(tmp_path, "x", content), shelf)
    assert shelf.by_text("a")["occurred_at"] == datetime.fromisoformat(iso).replace(tzinfo=UTC)


def test_a_newer_file_with_its_rows_first_adds_only_these(tmp_path, shelf):
    head, rest = given.COPILOT_CSV.split("\r\n", 1)
    import_file(save(tmp_path, "x", given.COPILOT_CSV), shelf)
    newer = f"{head}\r\nPoems,2026-09-09T00:00:00,Human,Again\r\nPoems,,Human,yes\r\n{rest}"
    report = import_file(save(tmp_path, "x", newer), shelf)
    assert (report.added, report.already_there) == (2, 6)  # the third "yes" is one more


def test_one_open_quote_at_the_end_keeps_every_row_before_and_after(tmp_path, shelf):
    content = 'Conversation,Time,Author,Message\nT,,AI,"b\nc"\nT,,Human,"open\nT,,Human,a\n'
    report = import_file(save(tmp_path, "x", content), shelf)
    assert shelf.texts() == ["b\nc", "a"]
    assert [problem.position for problem in report.problems] == ["line 4"]
    assert dict(report.left_out) == {"a broken row": 1}


def test_a_storm_of_quotes_ends(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr(csvrows, "ROW_BYTES_MAX", 5_000)
    content = "Conversation,Time,Author,Message\n" + 'T,,Human,"\n\n' + 'T,,Human,""\n' * 5_000
    report = import_file(save(tmp_path, "x", content), shelf)
    assert report.balanced()


def test_a_file_without_the_columns_is_refused(tmp_path):
    with pytest.raises(ImportFormatError):
        detect(save(tmp_path, "x", "Conversation,Time,Message\na,b,c\n"))


@given_values(
    table=st.lists(
        st.lists(st.text('ab",;\n ', max_size=5), min_size=2, max_size=4), min_size=1, max_size=5
    )
)
def test_any_table_is_read_as_pythons_csv_reads_it(table):
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    found = list(rows(io.BytesIO(written.getvalue().encode())))
    assert [cells(row.words) for row in found] == table
