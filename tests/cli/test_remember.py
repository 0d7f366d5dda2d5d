"""`haulout remember`."""

from __future__ import annotations

import pytest


def test_it_answers_with_the_id_in_a_pipe_and_with_words_on_a_terminal(mine):
    run = mine("remember", "The", "tide", "turns")
    assert (run.code, len(run.out.strip())) == (0, 26)
    assert mine("get", run.out.strip(), "--json").json["text"] == "The tide turns"
    assert mine("remember", "more", terminal=True).out.startswith("Remembered ")


def test_every_option_reaches_the_memory(mine):
    memory = mine(
        "remember", "Rent is 950", "-n", "home/flat", "--kind", "fact", "--speaker", "Bo",
        "--session", "s1", "--at", "2026-01-02T03:04:05Z", "--valid-from", "2026-01-01T00:00:00Z",
        "--valid-until", "2027-01-01T00:00:00+01:00", "--tag", "rent", "--tag", "flat",
        "--meta", "amount=950", "--meta", "city=Porto", "--meta", 'parts={"a": [1]}',
        "--source", "letter", "--op-id", "rent-1", "--json",
    ).json  # fmt: skip
    told = {name: memory[name] for name in ("namespace", "kind", "speaker", "session", "source")}
    assert list(told.values()) == ["home/flat", "fact", "Bo", "s1", "letter"]
    assert memory["occurred_at"] == "2026-01-02T03:04:05Z"
    assert memory["valid_until"] == "2026-12-31T23:00:00Z"
    assert memory["tags"] == ["rent", "flat"]
    assert memory["metadata"] == {"amount": 950, "city": "Porto", "parts": {"a": [1]}}
    assert (memory["op_id"], memory["created"]) == ("rent-1", True)


def test_standard_input_is_read_for_a_dash_and_for_a_pipe(mine):
    for arguments in (("remember", "-"), ("remember",)):
        run = mine(*arguments, "--json", stdin="Ünïcode\nover lines\n")
        assert run.json["text"] == "Ünïcode\nover lines"


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff\xfe", "not UTF-8"), (b"", "empty"), (b"x" * 1_048_577, "more than 1048576 bytes")],
)
def test_standard_input_that_is_no_memory_is_refused(mine, data, words):
    run = mine("remember", "-", stdin=data)
    assert (run.code, words in run.err) == (2, True)


def test_standard_input_of_the_largest_size_is_kept(mine):
    data = b"x" * 1_048_576 + b"\n"
    assert len(mine("remember", "-", "--json", stdin=data).json["text"]) == 1_048_576


def test_without_a_text_at_a_terminal_it_says_how(mine):
    assert mine("remember", terminal=True).code == 2


@pytest.mark.usefixtures("lisbon")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-05-08", "2024-05-07T23:00:00Z"),
        ("2024-01-08T14:30", "2024-01-08T14:30:00Z"),
        ("2024-05-08 14:30", "2024-05-08T13:30:00Z"),
    ],
)
def test_a_time_without_a_zone_is_read_in_the_local_one_and_that_is_said(mine, given, kept):
    run = mine("remember", "x", "--at", given)
    assert f"--at {given} is read as" in run.err
    assert mine("get", run.out.strip(), "--json").json["occurred_at"] == kept


@pytest.mark.parametrize("given", ["yesterday", "2024-13-01", "", "0001-01-01"])
def test_what_is_no_time_is_refused(mine, given):
    assert mine("remember", "x", "--at", given).code == 2


def test_the_same_operation_id_acts_once_and_another_text_is_a_conflict(mine):
    first = mine("remember", "x", "--op-id", "a").out
    assert mine("remember", "x", "--op-id", "a").out == first
    assert mine("remember", "y", "--op-id", "a").code == 4
    assert len(mine("list").rows) == 1


@pytest.mark.parametrize("entry", ["novalue", "=x"])
def test_metadata_that_is_no_entry_is_refused(mine, entry):
    assert mine("remember", "x", "--meta", entry).code == 2


def test_waiting_for_the_stores_says_that_they_have_it(spread):
    run = spread("remember", "far away", "--wait", "remote", terminal=True)
    assert (run.code, "Every store has it." in run.out) == (0, True)
    told = spread("remember", "farther", "--wait", "remote", "--json").json
    assert told["durability"] == "remote"
    assert spread("update", told["id"], "farthest", "--wait", "remote").code == 0


def test_what_a_store_does_not_take_stays_here_and_exits_with_7(spread, home):
    for name in ("v0", "v1", "v2"):
        (home / name).rename(home / f"{name}-away")
    run = spread("remember", "near", "--wait", "remote", "--json")
    assert (run.code, run.json["durability"]) == (7, "local")
    assert "NotRemoteWarning" in run.err
    assert "near" in spread("list").out


def test_without_stores_there_is_nothing_to_wait_for_and_nothing_is_kept(mine):
    run = mine("remember", "far away", "--wait", "remote")
    assert (run.code, "haulout volumes add" in run.err) == (2, True)
    assert mine("list").out == ""
