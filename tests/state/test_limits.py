"""Limits hold to the last digit, and no clock that is set wrong lifts one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state.desk import Clock, in_memory

from haulout.errors import ActionRefusedError, InputError
from haulout.state.intents import Intent
from haulout.state.limits import forbids, limit, used
from haulout.state.state import State

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    return in_memory(clock)


def buy(state: State, cost: object = "100", unit: str = "usd", target: str = "") -> Intent:
    """An entry that is done, with its cost held."""
    reserved = state.reserve("order", cost={unit: cost}, holds=[unit], target=target)
    return state.settle(reserved.intent, "done")


def refused(state: State, cost: object, unit: str = "usd") -> bool:
    try:
        found = state.reserve("order", cost={unit: cost}, target="probe")
    except ActionRefusedError:
        return True
    state.settle(found.intent, "dropped")
    return False


@pytest.mark.parametrize(
    "name", ["usd", "usd/", "/day", "usd/59", "usd/604801", "a/b/day", "usd/1h"]
)
def test_what_is_no_limit_is_refused(name: str, state: State) -> None:
    with pytest.raises(InputError):
        state.limit(name, 1)
    with pytest.raises(InputError):
        state.limit(name, None)


@given(st.decimals(0, 10**12, places=9), st.decimals(0, 10**12, places=9))
def test_a_limit_is_reached_and_not_passed(most: Decimal, spent: Decimal) -> None:
    one = limit("usd/day", most)
    total = used(one, 0, [], {}, {"usd": {0: format(spent, "f")}})
    left = most - spent
    if left >= 0:
        assert not forbids(one, {"usd": format(left, "f")}, total)
        assert forbids(one, {"usd": format(left + Decimal("1e-9"), "f")}, total)
    else:
        assert forbids(one, {"usd": "0"}, total)
    assert forbids(one, {"other": "1"}, total) == (spent >= most)


def test_held_is_given_back_by_what_closes_it_and_not_by_being_done(state: State) -> None:
    state.limit("usd/held", 100)
    bought = buy(state)
    assert refused(state, "0.01")
    sold = state.reserve("order", role="exit", closes=[bought.id])
    assert refused(state, "0.01")
    state.settle(sold.intent, "done")
    assert not refused(state, "100")
    assert refused(state, "100.01")


def test_an_exit_that_was_refused_closes_nothing(state: State) -> None:
    state.limit("usd/held", 100)
    bought = buy(state)
    sold = state.reserve("order", role="exit", closes=[bought.id])
    state.settle(sold.intent, "refused")
    assert refused(state, "1")
    state.close_held(bought.id)
    assert not refused(state, "100")
    state.close_held(bought.id)  # twice changes nothing


def test_what_is_closed_before_its_own_end_is_known_is_not_held_for_ever(state: State) -> None:
    state.limit("usd/held", 100)
    bought = state.reserve("order", cost={"usd": 100}, holds=["usd"]).intent
    state.settle(bought, "accepted")
    sold = state.reserve("order", role="exit", closes=[bought.id]).intent
    state.settle(sold, "done")  # its fill is reported before that of the entry
    assert refused(state, "1")  # the entry is still open
    state.settle(bought, "done")
    assert not refused(state, "100")


def test_what_was_cancelled_partly_filled_holds_what_it_spent(state: State) -> None:
    state.limit("usd/held", 100)
    state.limit("usd/day", 1000)
    bought = state.reserve("order", cost={"usd": 100}, holds=["usd"]).intent
    state.settle(bought, "accepted", filled="0.4")
    state.settle(bought, "cancelled", spent={"usd": "40"})
    assert not refused(state, "60")
    assert refused(state, "60.01")
    state.close_held(bought)
    assert not refused(state, "100")


def test_what_was_cancelled_partly_filled_counts_whole_where_nobody_says_what_it_spent(
    state: State,
) -> None:
    state.limit("usd/held", 100)
    bought = state.reserve("order", cost={"usd": 100}, holds=["usd"]).intent
    state.settle(bought, "accepted", filled="0.4")
    state.settle(bought, "cancelled")
    assert refused(state, "1")
    assert state.intent(bought.id).spent == {"usd": "100"}


@pytest.mark.parametrize("status", ["cancelled", "refused", "dropped"])
def test_what_was_not_carried_out_costs_and_holds_nothing(status: str, state: State) -> None:
    state.limit("usd/held", 100)
    state.limit("usd/day", 100)
    bought = state.reserve("order", cost={"usd": 100}, holds=["usd"]).intent
    state.settle(bought, status)  # pyright: ignore[reportArgumentType]
    assert not refused(state, "100")


def test_an_unknown_outcome_counts_whole_until_it_is_known(state: State) -> None:
    state.limit("usd/day", 150)
    state.settle(state.reserve("order", cost={"usd": 100}, target="a").intent, "unknown")
    assert refused(state, "50.01")
    assert not refused(state, "50")


def test_a_charge_counts_and_what_does_not_name_the_unit_is_refused_once_it_is_used_up(
    state: State,
) -> None:
    state.limit("loss/day", 50)
    assert not refused(state, "1")
    state.charge("loss", "49.99")
    assert not refused(state, "1")
    state.charge("loss", "0.01", why="stopped out")
    assert refused(state, "1")


def test_the_owners_limit_holds_before_the_agents_also_where_it_is_lifted(state: State) -> None:
    state.limit("usd/day", 10, by_owner=True)
    state.limit("usd/day", 1000)
    assert refused(state, "11")
    state.limit("usd/day", None, by_owner=True)
    assert not refused(state, "5000")


def test_a_day_is_utc_and_ends_at_midnight(state: State, clock: Clock) -> None:
    clock.at -= clock.at % (DAY * 1_000_000)
    state.limit("usd/day", 100)
    buy(state)
    clock.pass_by(DAY - 1)
    assert refused(state, "1")
    clock.pass_by(1)
    assert not refused(state, "100")


def test_a_window_counts_at_least_its_seconds(state: State, clock: Clock) -> None:
    state.limit("orders/60", 2)
    for _ in range(2):
        buy(state, 1, "orders")
    clock.pass_by(59)
    assert refused(state, 1, "orders")
    clock.pass_by(61)  # costs are kept by the minute
    assert not refused(state, 2, "orders")


@pytest.mark.parametrize("step", [-DAY * 30, -3600, 3600])
def test_f10_a_clock_set_back_or_an_hour_on_gives_no_budget_back(
    step: float, state: State, clock: Clock
) -> None:
    clock.at -= clock.at % (DAY * 1_000_000) - 6 * 3600 * 1_000_000
    state.limit("usd/day", 100)
    buy(state)
    clock.step(step)
    assert refused(state, "1")


def test_f10_a_clock_that_stepped_far_ahead_and_back_takes_no_cost_away(
    state: State, clock: Clock
) -> None:
    state.limit("usd/day", 100)
    buy(state, "90")
    clock.step(40 * DAY)
    buy(state, "5")  # written down while the clock was wrong
    clock.step(-40 * DAY)
    assert refused(state, "10")


def test_the_costs_that_are_kept_are_bounded(state: State, clock: Clock) -> None:
    state.limit("usd/day", 10**9)
    book = state.tape.read(lambda book, _past: book)
    for _ in range(12_000):
        state.charge("usd", 1)
        clock.pass_by(60)
    assert len(book.spent["usd"]) == 11_520
    assert min(book.spent["usd"]) > clock.at // 60_000_000 - 11_522


def test_sums_do_not_round(state: State) -> None:
    most = "100000000000000000000.000000000000000001"
    state.limit("wei/held", most)
    buy(state, "100000000000000000000", "wei")
    assert not refused(state, "0.000000000000000001", "wei")
    assert refused(state, "0.000000000000000002", "wei")
