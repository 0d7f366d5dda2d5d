"""The verbs of agent state: what they show, what they write, and what only the owner says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vault.bots import running_bot

from haulout import Vault
from haulout.errors import (
    ActionRefusedError,
    ConflictError,
    InputError,
    NotFoundError,
    OperationReusedError,
)
from haulout.state.events import Event
from haulout.state.tape import Numbered
from haulout.vault.statereports import SHOWN, event_report, moment

DAY_US = 86_400_000_000


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault.ephemeral() as found:
        yield found


# ------------------------------------------------------------------ looking


def test_looking_makes_no_state_and_says_which_there_are(vault: Vault) -> None:
    for look in (vault.show_state, vault.state_events, vault.pause_states):
        with pytest.raises(NotFoundError, match="no state 'bots/btc'"):
            look("bots/btc")
    with pytest.raises(NotFoundError, match="no state"):
        vault.settle("0" * 32, "done", state="bots/btc")
    with pytest.raises(NotFoundError, match="no state"):
        vault.get_document("plan", state="bots/btc")
    found = vault.recover("bots/btc")
    assert (found.events, found.ready, found.open, found.others) == (0, True, (), ())
    assert vault.states() == []
    vault.set_document("plan", 1, state="bots/eth")
    assert vault.recover("bots/btc").others == ("bots/eth",)
    assert vault.states() == ["bots/eth"]
    with pytest.raises(InputError):
        vault.recover("no//name")


def test_a_state_is_shown_with_all_that_an_owner_asks(vault: Vault) -> None:
    clock = [1_800_000_000_000_000]
    bot = vault.state("bots/btc", now=lambda: clock[0])
    bot.set("regime", {"calm": True})
    bot.set("gone", 1)
    bot.document("gone").delete()
    bot.journal("fills", lambda total, note: total + note, 0).note(3)
    bot.limit("usd/day", "100")
    bot.limit("trades/held", 2, by_owner=True)
    bot.charge("usd", "7.5", "a loss")
    bot.lease("bot-1", 600)
    done = bot.reserve("order", {"q": 1}, cost={"usd": "20", "trades": 1}, holds=["trades"])
    bot.settle(done.intent, "done", ref="V-1", filled="1", spent={"usd": "19"}, result={"ok": True})
    other = vault.state("bots/btc")
    assert other.epoch == 0
    found = vault.show_state("bots/btc")
    assert found.documents[0].value == {"calm": True}
    assert [one.name for one in found.documents] == ["regime"]
    assert found.journals == {"fills": 1}
    used = {one.name: (one.used, one.most, one.by) for one in found.limits}
    assert used["trades/held"] == ("1", "2", "owner")
    assert used["usd/day"][1:] == ("100", "agent")
    ended = found.recent[0]
    assert (ended.id, ended.status, ended.ref) == (done.intent.text, "done", "V-1")
    assert (ended.payload, ended.result, ended.spent["usd"]) == ({"q": 1}, {"ok": True}, "19")
    assert found.lease is not None
    assert (found.lease.holder, found.lease.epoch) == ("bot-1", 1)
    assert found.newest_at == moment(clock[0])
    assert found.events == len(vault.state_events("bots/btc"))


def test_what_a_limit_has_used_is_what_reserve_counts(vault: Vault) -> None:
    vault.limit_states("default", "usd/day", "100", create=True)
    first = vault.reserve("order", key="a", target="a", cost={"usd": "60.50"}).intent
    assert vault.show_state("default").limits[0].used == "60.5"
    assert vault.show_state("default").reasons == (
        f"nobody knows what became of …{first.id[-8:]} (order a)",
    )
    vault.settle(first.id, "accepted")
    assert vault.show_state("default").reasons == ()  # it is known, and still counts whole
    assert vault.show_state("default").limits[0].used == "60.5"
    vault.settle(first.id, "done", spent={"usd": "40"})
    assert vault.show_state("default").limits[0].used == "40"
    assert vault.show_state("default").reasons == ()
    vault.state("default").charge("usd", "60")
    assert vault.show_state("default").reasons == (
        "the limit usd/day is 100, of which 100 is used",
    )
    with pytest.raises(ActionRefusedError, match="usd/day"):
        vault.reserve("order", key="b", target="b", cost={"usd": "1"})


def test_reasons_are_those_for_which_an_entry_is_refused_and_none_for_an_exit(vault: Vault) -> None:
    vault.set_document("plan", 1)
    assert vault.show_state("default").reasons == ()
    vault.state("default").lease("bot-1", 600)
    assert vault.show_state("default").reasons == ("bot-1 holds the lease",)
    with pytest.raises(ActionRefusedError, match="bot-1 holds the lease"):
        vault.reserve("order")
    vault.state("late", now=lambda: 1_600_000_000_000_000).lease("bot-1", 600)
    late = vault.show_state("late").lease
    assert late is not None
    assert (late.holder, late.lasts, vault.show_state("late").reasons) == ("bot-1", False, ())
    paused = "other"
    vault.reserve("close", role="exit", state=paused)
    assert vault.show_state(paused).reasons == ()  # an open exit forbids no entry
    vault.pause_states(paused, why="holiday")
    assert vault.show_state(paused).reasons == ("the owner said pause (holiday)",)
    assert vault.show_state(paused).halted_why == "holiday"
    assert vault.reserve("close more", role="exit", state=paused).fresh
    vault.resume_states(paused)
    shown = vault.show_state(paused)
    assert (shown.reasons, shown.halted, shown.halted_at, shown.halted_why) == ((), "", None, "")


def test_only_the_newest_ended_intents_are_shown_newest_first(vault: Vault) -> None:
    for number in range(SHOWN + 5):
        made = vault.reserve("order", number, target=str(number))
        vault.settle(made.intent.id, "done")
    shown = vault.show_state("default").recent
    assert [one.payload for one in shown] == list(range(SHOWN + 4, 4, -1))


def test_a_recovery_names_what_is_too_old(vault: Vault) -> None:
    long_ago = vault.state("default", now=lambda: 1_600_000_000_000_000)
    long_ago.set("regime", "calm")
    vault.set_document("plan", "new")
    found = vault.recover(max_age=timedelta(hours=1))
    assert (found.stale, found.ready) == (("regime",), False)
    assert found.reasons == ("too old: regime",)
    assert {one.name for one in found.documents} == {"regime", "plan"}
    assert found.documents[1].age_s > 3600
    assert vault.recover().ready


# ------------------------------------------------------------------ acting


def test_the_same_key_gives_the_first_intent_again_and_its_end(vault: Vault) -> None:
    first = vault.reserve("book", {"for": 2}, key="k")
    assert first.fresh
    again = vault.reserve("book", {"for": 2}, key="k")
    assert (again.fresh, again.intent) == (False, first.intent)
    with pytest.raises(OperationReusedError):
        vault.reserve("book", {"for": 3}, key="k")
    settled = vault.settle(first.intent.id, "done", result={"table": 4})
    assert vault.reserve("book", {"for": 2}, key="k").intent == settled
    assert vault.reserve("book", {"for": 2}, key="k", state="other").fresh  # a key is of its state
    assert vault.settle(first.intent.id, "done") == settled
    with pytest.raises(ConflictError):
        vault.settle(first.intent.id, "refused")


def test_documents_are_compared_before_they_are_set_and_keep_their_schema(vault: Vault) -> None:
    assert vault.set_document("plan", {"n": 1}, expected=0) == 1
    with pytest.raises(ConflictError):
        vault.set_document("plan", {"n": 2}, expected=0)
    assert vault.set_document("plan", {"n": 2}, expected=1) == 2
    found = vault.get_document("plan")
    assert (found.value, found.version, found.schema) == ({"n": 2}, 2, 1)
    assert 0 <= found.age_s < 3600
    typed = vault.state("default").document("typed", schema=3)
    typed.set([1])
    vault.set_document("typed", [2])  # as its program reads it
    assert vault.get_document("typed").schema == 3
    assert typed.get() == [2]
    typed.delete()
    with pytest.raises(NotFoundError, match="no document 'typed'"):
        vault.get_document("typed")
    with pytest.raises(InputError, match="secret"):
        vault.set_document("keys", {"api_key": "abc"})


# ------------------------------------------------------------------ the journal


def test_the_journal_comes_in_order_a_page_at_a_time_as_plain_values(vault: Vault) -> None:
    made = vault.reserve("book", {"for": 2}, key="k", cost={"eur": 1}, closes=["ab" * 16])
    vault.settle(made.intent.id, "done", result=[1])
    vault.set_document("plan", {"n": 1})
    vault.limit_states("default", "eur/day", None)
    vault.pause_states("default", why="holiday")
    vault.state("default").limit("eur/day", 5)
    everything = vault.state_events("default")
    assert [one.kind for one in everything] == [
        "tag", "intent", "settle", "document", "limits", "override", "limits",
    ]  # fmt: skip
    assert [one.by for one in everything] == ["", "", "", "", "owner", "owner", ""]
    intent = everything[1]
    assert intent.what["id"] == made.intent.id
    assert intent.what["closes"] == ["ab" * 16]
    assert (intent.what["payload"], intent.at) == ({"for": 2}, made.intent.at)
    assert everything[2].what["result"] == [1]
    assert everything[3].what["value"] == {"n": 1}
    assert everything[5].what == {"action": "pause", "why": "holiday"}
    pages = vault.state_events("default", limit=3)
    pages += vault.state_events("default", after=pages[-1].number, limit=100)
    assert pages == everything
    assert vault.state_events("default", after=everything[-1].number) == []
    assert vault.state_events("default", limit=0) == []


def test_an_event_of_a_later_kind_is_told_by_its_number() -> None:
    told = event_report(Numbered(7, Event(99, 5, 0, {"x": b"\x00"})))
    assert (told.kind, told.number, told.what) == ("99", 7, {})


def test_a_time_beyond_every_calendar_is_the_last_there_is() -> None:
    assert moment(2**62) == datetime.max.replace(tzinfo=UTC)
    assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)


# ------------------------------------------------------------------ the owner's word


@pytest.mark.parametrize(
    ("pattern", "met"),
    [
        ("bots/btc", ["bots/btc"]),
        ("bots/*", ["bots/btc", "bots/eth"]),
        ("bots/**", ["bots/btc", "bots/eth"]),
        ("bot*", ["bots/btc", "bots/eth"]),
        ("*", ["bots/btc", "bots/eth", "old/bots/btc", "trips"]),
    ],
)
def test_the_owners_word_reaches_the_states_it_names_and_no_other(
    vault: Vault, pattern: str, met: list[str]
) -> None:
    for name in ("bots/eth", "trips", "bots/btc", "old/bots/btc"):
        vault.set_document("plan", 1, state=name)
    for verb, halted in (
        (vault.pause_states, "pause"), (vault.flatten_states, "flatten"), (vault.resume_states, ""),
    ):  # fmt: skip
        told = verb(pattern, why="so")
        assert told.states == tuple(met)
        assert [n for n in vault.states() if vault.state(n).halted == halted and halted] == (
            met if halted else []
        )
    told = vault.limit_states(pattern, "usd/day", "5")
    assert (told.action, told.states) == ("limit", tuple(met))
    limited = [name for name in vault.states() if vault.show_state(name).limits]
    assert limited == met


@pytest.mark.parametrize("pattern", ["", "bots", "bots/x*", "x*"])
def test_a_name_that_means_no_state_is_an_error_and_nothing_is_said(
    vault: Vault, pattern: str
) -> None:
    vault.set_document("plan", 1, state="bots/btc")
    for say in (vault.pause_states, vault.flatten_states, vault.resume_states):
        with pytest.raises(NotFoundError):
            say(pattern)
    with pytest.raises(NotFoundError):
        vault.limit_states(pattern, "usd/day", "5")
    assert [one.kind for one in vault.state_events("bots/btc")] == ["document"]


def test_a_star_stands_at_the_end_alone(vault: Vault) -> None:
    vault.set_document("plan", 1, state="bots/btc")
    with pytest.raises(InputError, match="not at its end"):
        vault.pause_states("*/btc")


def test_a_limit_may_be_set_for_an_agent_that_is_still_to_start(vault: Vault) -> None:
    with pytest.raises(NotFoundError):
        vault.limit_states("bots/new", "usd/day", "5")
    vault.limit_states("bots/new", "usd/day", "5", create=True)
    with pytest.raises(NotFoundError):
        vault.limit_states("others/*", "usd/day", "5", create=True)
    assert vault.states() == ["bots/new"]
    vault.state("bots/new").limit("usd/day", "1000")
    with pytest.raises(ActionRefusedError, match="usd/day is 5"):
        vault.reserve("order", state="bots/new", cost={"usd": 6})


def test_the_owner_speaks_and_settles_past_an_agents_lease(vault: Vault) -> None:
    bot = vault.state("bots/btc")
    bot.lease("bot-1", 600)
    made = bot.reserve("order")
    vault.pause_states("bots/btc")
    vault.limit_states("bots/btc", "usd/day", 5)
    assert vault.settle(made.intent.text, "refused", state="bots/btc", by="owner").why == ""
    with pytest.raises(ActionRefusedError, match="the owner said pause"):
        bot.reserve("order")
    assert vault.state_events("bots/btc")[-1].by == "owner"


def test_what_a_recovery_forbids_is_not_said_to_be_the_owners_word(vault: Vault) -> None:
    vault.state("bots/btc").pause("older than the venue", by="recovery")
    assert vault.state_events("bots/btc")[-1].by == "recovery"
    reason = "the recovery said pause (older than the venue)"
    assert vault.show_state("bots/btc").reasons == (reason,)
    with pytest.raises(ActionRefusedError) as refused:
        vault.reserve("order", state="bots/btc")
    assert reason in str(refused.value)
    vault.pause_states("bots/btc")
    assert vault.show_state("bots/btc").reasons == ("the owner said pause",)


# ------------------------------------------------------------------ another process


def test_what_the_owner_says_meets_a_running_bot_at_its_next_decision(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    with running_bot(tmp_path / "vault") as decide:
        assert decide("a").startswith("reserved")
        with Vault.open(tmp_path / "vault", embedder="none") as vault:
            vault.pause_states("bots/*", why="holiday")
            assert "the owner said pause (holiday)" in decide("b")
            assert decide("exit").startswith("reserved")
            vault.resume_states("bots/btc")
            assert decide("c").startswith("reserved")
            vault.limit_states("bots/btc", "usd/day", "3")
            assert "the limit usd/day is 3" in decide("d")
            open_now = vault.show_state("bots/btc").open
            vault.settle(open_now[0].id, "dropped", state="bots/btc", by="owner")
            assert decide("e").startswith("reserved")
            shown = vault.show_state("bots/btc")
            assert shown.lease is not None
            assert (shown.lease.holder, shown.lease.lasts) == ("bot-1", True)


def test_what_the_owner_says_while_a_bot_is_dead_meets_it_as_it_starts(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    with running_bot(tmp_path / "vault") as decide:
        assert decide("a").startswith("reserved")
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        vault.flatten_states("bots/btc")
    with running_bot(tmp_path / "vault") as decide:
        assert "the owner said flatten" in decide("b")
        assert decide("exit").startswith("reserved")
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert [one.target for one in vault.recover("bots/btc").open] == ["a", "exit"]


def test_a_thing_said_twice_at_once_by_two_processes_is_one(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    folder = tmp_path / "vault"
    with Vault.open(folder, embedder="none") as one, Vault.open(folder, embedder="none") as other:
        asked: dict[str, Any] = {"key": "k", "state": "trips"}
        assert one.reserve("book", **asked).fresh
        assert not other.reserve("book", **asked).fresh
        assert one.states() == other.states() == ["trips"]
