"""One session: what is counted, and what the state's own code does at each place it can break."""

from __future__ import annotations

import pytest
from trading.arms import ARMS
from trading.faults import PROFILES, Fault
from trading.session import M, Session, _duplicates
from trading.worlds import worlds

from haulout.errors import VenueRefusedError

SEED = 3
QUIET = Fault(*(0, False, "before", 0.0, *[False] * 6, 0.0, 0.0, 0.0))
WORLDS = worlds(SEED, range(24))


def lived(arm, world, *faults, venue="C", profile="rest"):
    at_once = {"restart_s": 0.0, "trip_s": 0.0}
    profiles = PROFILES[profile]._replace(venue=venue, keeps_text=1.0, **at_once)
    one = Session(world, ARMS[arm], profiles, list(faults), SEED)
    return one, one.run()


def total(arm, metric, fault, **how):
    return sum(lived(arm, one, fault, **how)[1].counts[M[metric]] for one in WORLDS)


LOST_ANSWER = QUIET._replace(bar=15, at_order=True, kind="after")
CRASHES = [
    QUIET._replace(bar=15, at_order=True, kind=f"crash{step}", outage=2.0, forgets=True)
    for step in range(4)
]


def test_s5_a_lost_answer_buys_twice_without_memory_and_once_with_it():
    assert total("session-bound", "ledger_duplicates", LOST_ANSWER) > 0
    assert total("persistent", "ledger_duplicates", LOST_ANSWER) == 0
    assert total("persistent", "deviations", LOST_ANSWER) == 0


@pytest.mark.parametrize("venue", ["A", "B", "C"])
@pytest.mark.parametrize("fault", CRASHES, ids=lambda one: one.kind)
def test_s5_a_crash_at_any_step_of_the_journal_doubles_nothing(venue, fault):
    for world in WORLDS[:8]:
        one, found = lived("persistent", world, fault, venue=venue)
        assert found.counts[M["ledger_duplicates"]] == 0
        assert one.bot.held == one.desk.units
        assert one.bot.memory.rules() == one.reference.rules()


@pytest.mark.parametrize("fault", CRASHES, ids=lambda one: one.kind)
def test_after_a_crash_nothing_is_reserved_that_nobody_settles(fault):
    for world in WORLDS[:8]:
        one, _ = lived("persistent", world, fault)
        assert [kept for kept in one.bot.state.open_intents() if kept.is_unsettled] == []


def test_s5_class_d_waits_for_a_person_and_says_so():
    lost = QUIET._replace(bar=15, at_order=True, kind="before", outage=1.0, person=20.0)
    silenced = total("persistent", "silenced", lost, venue="D")
    assert silenced > 0
    assert total("persistent", "ledger_duplicates", lost, venue="D") == 0
    assert total("persistent", "silenced", lost, venue="C") == 0


def test_s9_after_a_restart_what_the_user_set_is_in_force_with_memory_alone():
    restart = QUIET._replace(bar=60, outage=3.0, forgets=True)
    for world in WORLDS[:8]:
        for arm, same in (("persistent", True), ("reconcile-only", False)):
            one, _ = lived(arm, world, restart)
            assert (one.bot.memory.rules() == one.reference.rules()) is same


def test_s14_what_the_user_says_while_the_bot_is_dead_is_honoured():
    for world in WORLDS[:8]:
        told = world._replace(told={100: "pause"})
        dead = QUIET._replace(bar=95, outage=10.0, forgets=True)
        one, _ = lived("persistent", told, dead)
        assert one.bot.state.halted == "pause"
        assert not [fill for fill in one.desk.ledger if fill.bar >= 106 and fill.side == "buy"]


def test_an_old_process_that_runs_on_is_fenced_by_the_lease():
    split = QUIET._replace(bar=40, outage=1.0, forgets=True, split=True)
    assert total("persistent", "deviations", split, profile="cloud") == 0
    assert total("persistent", "ledger_duplicates", split, profile="cloud") == 0


def test_memory_that_is_down_lets_no_entry_pass_where_it_is_safe():
    down = QUIET._replace(bar=30, outage=1.0, forgets=True, memory_down=True, memory_back=300.0)
    for world in WORLDS:
        one, _ = lived("down-failsafe", world, down)
        assert not [fill for fill in one.desk.ledger if 31 < fill.bar < 331 and fill.side == "buy"]
    assert total("down-failsafe", "silenced", down) > 0
    assert total("down-defaults", "limit_breaks", down) > total(
        "down-failsafe", "limit_breaks", down
    )


def test_state_that_stays_at_a_provider_is_gone_after_a_switch_and_not_before():
    stays = QUIET._replace(bar=60, outage=2.0, forgets=True)
    assert total("server-side", "deviations", stays) == 0
    assert total("server-side", "deviations", stays._replace(switch=True)) > 0


def test_a_position_that_the_user_closed_by_hand_is_not_sold_again():
    closed = QUIET._replace(bar=80, outage=3.0, forgets=True, by_hand=True)
    for world in WORLDS:
        one, found = lived("persistent", world, closed)
        assert one.bot.held == one.desk.units
        assert found.counts[M["deviations"]] == 0


def test_duplicates_are_counted_in_the_ledger_whoever_sent_them():
    one, _ = lived("session-bound", WORLDS[0], LOST_ANSWER)
    bought = [fill for fill in one.desk.ledger if fill.side == "buy"]
    again = bought[0]._replace(number=99, client=b"another")
    assert _duplicates([*one.desk.ledger, again]) == _duplicates(one.desk.ledger) + 1
    assert _duplicates([*one.desk.ledger, again._replace(side="sell")]) == _duplicates(
        one.desk.ledger
    )


def test_minutes_without_a_link_are_no_deviations_of_anybody():
    dark = QUIET._replace(bar=15, outage=1000.0)
    assert total("session-bound", "deviations", dark) == 0
    assert total("session-bound", "offline", dark) > 0


def test_s16_unflushed_globals_forget_what_the_user_said_and_flushed_ones_do_not():
    told = WORLDS[1]._replace(told={100: "pause"})
    restart = QUIET._replace(bar=150, outage=2.0, forgets=True)
    assert lived("globals", told, restart)[0].bot.memory.halted == 0
    assert lived("globals-flushed", told, restart)[0].bot.memory.halted == 1


@pytest.mark.parametrize(
    ("venue", "ledger"), [("A", 1), ("B", "refused"), ("C", 2), ("D", 2)]
)  # a filled order is open no more: C takes the second
def test_a_second_order_of_an_id_meets_what_the_venues_class_says(venue, ledger):
    one = Session(WORLDS[0], ARMS["persistent"], PROFILES["rest"]._replace(venue=venue), [], SEED)
    body = {"side": "buy", "units": 1.0, "key": 1}
    intent = one.bot.state.intended("order", body, target="x")
    one.desk.submit(intent)
    if ledger == "refused":
        with pytest.raises(VenueRefusedError):
            one.desk.submit(intent)
    else:
        one.desk.submit(intent)
        assert len(one.desk.ledger) == ledger


def test_the_same_session_twice_is_the_same_to_the_last_bit():
    fault = CRASHES[2]
    first, second = (lived("torn-failsafe", WORLDS[5], fault)[1] for _ in range(2))
    assert first == second
