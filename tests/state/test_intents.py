"""Intents: IDs that name their state and lease, and what may follow what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state.desk import Clock, drawn, in_memory

from haulout.errors import ConflictError, InputError, NotFoundError, OperationReusedError
from haulout.state.intents import FINAL, NEXT, epoch_of, grown, mint, tag_of
from haulout.state.state import State

STATUSES = sorted({*NEXT, *FINAL} - {"reserved"})


@pytest.fixture
def state() -> State:
    return in_memory(Clock())


@given(st.integers(0, 2**40), st.binary(min_size=4, max_size=4))
def test_an_id_begins_with_its_states_tag_and_its_leases_epoch(epoch: int, tag: bytes) -> None:
    found = mint(tag, epoch, drawn("x"))
    assert (len(found), tag_of(found), epoch_of(found)) == (16, tag, epoch % 65_536)


def test_an_id_says_nothing_of_what_is_done() -> None:
    one, other = (in_memory(Clock(), "same") for _ in range(2))
    first = one.intended("order", {"side": "buy"}, cost={"usd": 1}).id
    assert other.intended("email", None, target="a@b").id == first  # only randomness is in it
    assert one.intended("order", {"side": "buy"}, cost={"usd": 1}).id != first


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_status_follows_another_as_the_specification_draws_it(
    before: str, after: str, state: State
) -> None:
    intent = state.reserve("order").intent
    state.settle(intent, before)  # pyright: ignore[reportArgumentType]
    allowed = after == before or (before not in FINAL and after in NEXT[before])
    if allowed:
        assert state.settle(intent, after).status == after  # pyright: ignore[reportArgumentType]
    else:
        with pytest.raises(ConflictError, match="Nothing was changed"):
            state.settle(intent, after)  # pyright: ignore[reportArgumentType]
        assert state.intent(intent.id).status == before


def test_saying_the_same_twice_writes_nothing(state: State) -> None:
    intent = state.reserve("order").intent
    for _ in range(3):
        state.settle(intent, "accepted", ref="x", filled="0.5")
        state.settle(intent, "accepted", ref="x", filled="0.4")
    state.settle(intent, "done")
    state.settle(intent, "done")
    assert len(list(state.events())) == 1 + 1 + 1 + 1  # tag, intent, accepted, done


def test_an_intent_is_found_however_old_it_is(state: State) -> None:
    first = state.settle(state.reserve("order", key="first").intent, "done", ref="x")
    for _ in range(300):
        state.settle(state.reserve("order").intent, "done")
    assert state.intent(first.id) == first
    assert state.intent(first.text) == first
    again = state.reserve("order", key="first")
    assert (again.intent, again.fresh) == (first, False)


def test_what_is_not_there_and_what_is_no_id_is_said(state: State) -> None:
    with pytest.raises(NotFoundError):
        state.intent(bytes(16))
    with pytest.raises(InputError):
        state.intent("abc")
    with pytest.raises(NotFoundError):
        state.settle(bytes(16), "done")
    with pytest.raises(InputError):
        state.settle(state.reserve("order").intent, "perhaps")  # pyright: ignore[reportArgumentType]


def test_a_key_that_decides_another_action_is_refused(state: State) -> None:
    state.reserve("order", {"side": "buy"}, key="signal-1")
    for other in (
        {"payload": {"side": "sell"}}, {"target": "x"}, {"cost": {"usd": 1}}, {"role": "exit"},
    ):  # fmt: skip
        with pytest.raises(OperationReusedError):
            state.reserve("order", **{"payload": {"side": "buy"}, "key": "signal-1", **other})
    assert not state.reserve("order", {"side": "buy"}, key="signal-1").fresh


def test_a_prepared_intent_is_written_down_once_however_often_it_is_asked_for(state: State) -> None:
    wanted = state.intended("order", {"side": "buy"})
    assert state.reserve_intent(wanted).fresh
    state.settle(wanted, "done", ref="x")
    again = state.reserve_intent(wanted)
    assert (again.fresh, again.intent.status) == (False, "done")


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "both"}, {"cost": {"usd": -1}}, {"holds": ["usd"]}, {"action": ""},
        {"cost": {f"u{n}": 1 for n in range(33)}}, {"closes": ["no id"]}, {"key": "\n"},
        {"payload": object()},
    ],
)  # fmt: skip
def test_what_is_no_intent_is_refused(wrong: dict[str, object], state: State) -> None:
    with pytest.raises(InputError):
        state.reserve(**{"action": "order", **wrong})  # pyright: ignore[reportArgumentType]
    assert state.open_intents() == []


def test_of_two_amounts_filled_the_larger_counts() -> None:
    assert grown(None, None) is None
    assert grown("1", None) == grown(None, "1") == "1"
    assert grown("0.9", "0.10") == grown("0.10", "0.9") == "0.9"


def test_settling_without_waiting_says_what_follows(state: State) -> None:
    intent = state.reserve("order", cost={"usd": 5}).intent
    told = state.settle(intent, "done", ref="x", wait=False)
    assert told == state.intent(intent.id)
    assert state.settle(intent, "refused", wait=False).status == "done"  # heard of by nobody
