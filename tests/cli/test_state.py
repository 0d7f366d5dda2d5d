"""`haulout state`: list, show, journal, pause, flatten, resume, limit, resolve."""

from __future__ import annotations

import csv
import io
import json

import pytest
from vault.bots import running_bot

from haulout import Vault
from haulout.cli import state as cli


@pytest.fixture
def btc(mine, home):
    """A bot's state with a document, a limit, an order that is done and one that is not."""
    with Vault.open(embedder="none") as vault:
        bot = vault.state("bots/btc")
        bot.set("regime", {"calm": True})
        bot.journal("fills", lambda total, note: total + note, 0).note(3)
        bot.limit("usd/day", 100)
        done = bot.reserve("order", {"side": "buy"}, key="k1", target="BTC", cost={"usd": 40})
        bot.settle(done.intent, "done", ref="V-1", filled="0.5")
        return bot.reserve(
            "order", {"side": "buy"}, key="k2", target="BTC", cost={"usd": 30}
        ).intent


def reserved(state="bots/btc", **asked):
    from haulout.errors import ActionRefusedError

    with Vault.open(embedder="none") as vault:
        try:
            return vault.reserve("order", state=state, target="other", **asked).fresh
        except ActionRefusedError as error:
            return error.message


def test_the_list_tells_of_each_state_what_is_open_and_what_forbids(mine, btc):
    with Vault.open(embedder="none") as vault:
        vault.state("bots/eth").lease("bot-2", 600)
    run = mine("state", "list", terminal=True)
    assert run.code == 0
    for words in ("bots/btc", "bots/eth", "bot-2 until", "nobody knows"):
        assert words in run.out
    rows = mine("state", "list").rows
    assert [row[0] for row in rows] == ["bots/btc", "bots/eth"]
    assert rows[0][2] == "1"
    assert [one["name"] for one in mine("state", "list", "--json").json] == ["bots/btc", "bots/eth"]


def test_without_a_state_the_list_says_how_one_is_made(mine):
    assert "vault.state" in mine("state", "list", terminal=True).out
    assert mine("state", "list").out == ""
    assert mine("state", "list", "--json").json == []
    run = mine("state", "show", "bots/btc")
    assert (run.code, "haulout state list" in run.err) == (3, True)


def test_a_state_is_shown_and_exits_with_8_while_something_forbids_new_actions(mine, btc):
    run = mine("state", "show", "bots/btc", terminal=True)
    assert run.code == 8
    for words in (
        "regime", "version 1", "fills", "1 note", "70 of 100", "set by the agent", "V-1",
        "reserved", btc.text[-8:],
    ):  # fmt: skip
        assert words in run.out, words
    assert "No new actions: nobody knows" in run.err
    assert "haulout state resolve" in run.err
    told = mine("state", "show", "bots/btc", "--json")
    assert told.code == 8
    assert told.json["open"][0]["id"] == btc.text
    assert mine("state", "resolve", "bots/btc", btc.text, "dropped").code == 0
    assert mine("state", "show", "bots/btc").code == 0


@pytest.mark.parametrize(
    ("said", "halted"), [("pause", "the owner said pause (tired)"), ("flatten", "flatten (tired)")]
)
def test_a_halt_forbids_entries_until_resume_and_no_exit(mine, btc, said, halted):
    run = mine("state", said, "bots/*", "--why", "tired", terminal=True)
    assert (run.code, "bots/btc" in run.out) == (0, True)
    assert halted in reserved()
    assert reserved(role="exit") is True
    shown = mine("state", "show", "bots/btc", terminal=True)
    assert f"{said} since" in shown.out
    assert "tired" in shown.out
    assert mine("state", "resume", "bots/btc").out == "Resumed: bots/btc\n"
    assert reserved() is True


def test_a_limit_of_the_owner_holds_before_the_agents_and_may_be_lifted(mine, btc):
    mine("state", "limit", "bots/btc", "usd/day", "75")
    assert "usd/day is 75, of which 70 is used" in reserved(cost={"usd": 6})
    assert mine("state", "show", "bots/btc", "--json").json["limits"] == [
        {"name": "usd/day", "most": "75", "used": "70", "by": "owner"}
    ]
    run = mine("state", "limit", "bots/btc", "usd/day", "none")
    assert run.out == "Not limited in usd/day: bots/btc\n"
    assert reserved(cost={"usd": 600}) is True


def test_a_limit_for_an_agent_still_to_start_has_to_be_asked_for(mine):
    assert mine("state", "limit", "bots/new", "usd/day", "5").code == 3
    assert mine("state", "limit", "bots/new", "usd/day", "5", "--new").code == 0
    assert "usd/day is 5" in reserved("bots/new", cost={"usd": 6})


@pytest.mark.parametrize(
    "words", [("usd", "5"), ("usd/day", "much"), ("usd/day", "-5"), ("usd/5", "5")]
)
def test_what_is_no_limit_is_refused_and_nothing_is_said(mine, btc, words):
    before = mine("state", "journal", "bots/btc").out
    assert mine("state", "limit", "bots/btc", *words).code == 2
    assert mine("state", "journal", "bots/btc").out == before


@pytest.mark.parametrize("outcome", ["done", "cancelled", "refused", "dropped"])
def test_a_person_settles_what_is_unknown_by_the_end_of_its_id(mine, btc, outcome):
    ending = btc.text[-8:]
    run = mine(
        "state", "resolve", "bots/btc", f"…{ending}", outcome, "--why", "looked", "--ref", "9"
    )
    assert (run.code, outcome in run.out, ending in run.out) == (0, True, True)
    assert mine("state", "resolve", "bots/btc", ending, outcome).code == 0
    other = "dropped" if outcome != "dropped" else "done"
    assert mine("state", "resolve", "bots/btc", btc.text, other).code == 4
    last = mine("state", "journal", "bots/btc", "--json").json[-1]
    assert (last["kind"], last["by"]) == ("settle", "owner")
    assert last["what"] == {"id": btc.text, "status": outcome, "ref": "9", "why": "looked"}
    used = mine("state", "show", "bots/btc", "--json").json["limits"][0]["used"]
    assert used == ("70" if outcome == "done" else "40")


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("abc", 2, "too short"),
        ("0" * 8, 3, "ends with"),
        ("0" * 32, 3, "no intent"),
        ("x" * 32, 2, "not the ID of an intent"),
    ],
)
def test_what_means_no_intent_is_refused(mine, btc, given, code, says):
    run = mine("state", "resolve", "bots/btc", given, "done")
    assert (run.code, says in run.err) == (code, True)
    assert mine("state", "resolve", "bots/btc", given, "absent").code == 2


def test_the_beginning_of_an_id_which_all_of_a_state_share_means_none(mine, btc):
    assert mine("state", "resolve", "bots/btc", btc.text[:8], "done").code == 3
    assert mine("state", "resolve", "bots/btc", btc.text[4:-2], "done").code == 3


def test_an_ending_of_two_intents_is_no_ending(mine, btc, monkeypatch):
    monkeypatch.setattr(cli, "_LEAST_DIGITS", 0)
    run = mine("state", "resolve", "bots/btc", "", "done")
    assert (run.code, "2 intents" in run.err) == (2, True)


def test_the_journal_is_told_in_order_and_from_a_number_on(mine, btc):
    run = mine("state", "journal", "bots/btc", terminal=True)
    assert run.code == 0
    kinds = [row[2] for row in mine("state", "journal", "bots/btc").rows]
    assert kinds == ["document", "note", "limits", "tag", "intent", "settle", "intent"]
    told = mine("state", "journal", "bots/btc", "--json").json
    numbers = [one["number"] for one in told]
    assert numbers == sorted(numbers)
    later = mine("state", "journal", "bots/btc", "--json", "--after", numbers[-2]).json
    assert [one["number"] for one in later] == numbers[-1:]


def test_a_journal_longer_than_a_page_comes_whole(mine, btc, monkeypatch):
    monkeypatch.setattr(cli, "_PAGE", 2)
    assert len(mine("state", "journal", "bots/btc").rows) == 7
    monkeypatch.setattr(cli, "_PAGE", 7)
    assert len(mine("state", "journal", "bots/btc").rows) == 7


def test_a_csv_has_a_column_a_field_and_no_formula(mine, btc):
    with Vault.open(embedder="none") as vault:
        vault.reserve('=HYPERLINK("x")', ["a, b", 'c"'], state="bots/btc", target="@t", by="bot")
        vault.set_document("-name", -5, state="bots/btc")
    run = mine("state", "journal", "bots/btc", "--csv")
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert len(rows) == 9
    assert tuple(rows[0]) == cli._COLUMNS
    first = next(row for row in rows if row["intent"] == btc.text)
    assert (first["action"], first["target"], first["key"], first["role"]) == (
        "order", "BTC", "k2", "entry",
    )  # fmt: skip
    assert json.loads(first["cost"]) == {"usd": "30"}
    assert first["at"].endswith("+00:00")
    done = next(row for row in rows if row["kind"] == "settle")
    assert (done["status"], done["ref"], done["filled"]) == ("done", "V-1", "0.5")
    noted = next(row for row in rows if row["kind"] == "note")
    assert (noted["name"], noted["value"]) == ("fills", "3")
    limited = next(row for row in rows if row["kind"] == "limits")
    assert json.loads(limited["value"]) == {"usd/day": "100"}
    hostile = next(row for row in rows if row["by"] == "bot")
    assert hostile["action"] == '\'=HYPERLINK("x")'
    assert hostile["target"] == "'@t"
    assert json.loads(hostile["value"]) == ["a, b", 'c"']
    assert (rows[-1]["name"], rows[-1]["value"]) == ("'-name", "-5")  # a number is no formula
    assert mine("state", "journal", "bots/btc", "--csv", "--json").code == 2


def test_a_csv_has_what_a_charge_cost_and_how_long_a_lease_lasts(mine, btc):
    with Vault.open(embedder="none") as vault:
        bot = vault.state("bots/btc")
        bot.charge("usd", "1.50", "a fee")
        until = bot.now() + 600_000_000
        bot.lease("bot-1", 600)
    rows = list(csv.DictReader(io.StringIO(mine("state", "journal", "bots/btc", "--csv").out)))
    charge, lease = rows[-2:]
    assert (json.loads(charge["cost"]), charge["why"]) == ({"usd": "1.5"}, "a fee")
    assert (lease["name"], lease["epoch"]) == ("bot-1", "1")
    assert 0 <= int(lease["value"]) - until < 60_000_000


def test_what_others_wrote_reaches_no_terminal_as_a_command(mine):
    with Vault.open(embedder="none") as vault:
        made = vault.reserve("order", state="bots/btc", role="exit").intent
        vault.settle(made.id, "unknown", state="bots/btc", why="\x1b]0;owned\x07")
        vault.set_document("plan", "\x1b[31m\u202e", state="bots/btc")
        vault.pause_states("bots/btc", why="\x1b[2J")
    for verb in ("list", "show", "journal"):
        words = [] if verb == "list" else ["bots/btc"]
        for terminal in (True, False):
            run = mine("state", verb, *words, terminal=terminal)
            for character in ("\x1b]", "\x07", "\x1b[31m", "\x1b[2J", "\u202e"):
                assert character not in run.out + run.err


def test_it_works_while_an_agent_holds_the_state_and_its_lease(mine, btc):
    with Vault.open(embedder="none") as vault:
        bot = vault.state("bots/btc")
        with bot.lease("bot-1", 600):
            assert mine("state", "pause", "bots/btc").code == 0
            assert bot.halted == "pause"
            assert mine("state", "resolve", "bots/btc", btc.text, "done").code == 0
            assert bot.open_intents() == []
            assert "bot-1 until" in mine("state", "show", "bots/btc", terminal=True).out


def test_it_reaches_a_bot_in_a_process_of_its_own_at_its_next_decision(mine, home):
    with running_bot(home / "vault") as decide:
        assert decide("a").startswith("reserved")
        assert mine("state", "pause", "*", "--why", "holiday").out == "Paused: bots/btc\n"
        assert "the owner said pause (holiday)" in decide("b")
        assert decide("exit").startswith("reserved")
        mine("state", "flatten", "bots/btc")
        assert "flatten" in decide("c")
        mine("state", "resume", "bots/btc")
        mine("state", "limit", "bots/btc", "usd/day", "2")
        assert "usd/day is 2, of which 2 is used" in decide("d")
        ending = mine("state", "show", "bots/btc", "--json").json["open"][0]["id"][-8:]
        assert mine("state", "resolve", "bots/btc", ending, "refused").code == 0
        assert decide("e").startswith("reserved")
        assert mine("state", "show", "bots/btc", "--json").json["lease"]["lasts"]
    assert mine("state", "pause", "bots/btc").code == 0  # now it is dead
    with running_bot(home / "vault") as decide:
        assert "the owner said pause" in decide("f")
