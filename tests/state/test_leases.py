"""Leases: one agent acts; an older one may say what it did, and begin nothing."""

from __future__ import annotations

import pytest
from state.desk import Clock, drawn, in_memory

from haulout.errors import ActionRefusedError, ConflictError, InputError
from haulout.state.intents import epoch_of
from haulout.state.state import State


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(clock: Clock) -> State:
    return in_memory(clock)


@pytest.fixture
def two(one: State, clock: Clock) -> State:
    return State(one.tape, now=clock.now, entropy=drawn("two"), monotonic=clock.monotonic)


def test_the_next_holders_epoch_is_one_higher_and_stands_in_its_ids(
    one: State, two: State, clock: Clock
) -> None:
    assert one.lease("a", 10).epoch == 1
    first = one.reserve("order", role="exit").intent
    with pytest.raises(ConflictError, match=r"a acts for bots/btc for 10\.0 seconds"):
        two.lease("b", 10)
    clock.pass_by(10)
    assert two.lease("b", 10).epoch == 2
    assert (epoch_of(first.id), epoch_of(two.reserve("order").intent.id)) == (1, 2)


def test_the_same_holder_takes_it_over_at_once_after_a_crash(one: State, two: State) -> None:
    one.lease("a", 10)
    assert two.lease("a", 10).epoch == 2
    with pytest.raises(ActionRefusedError, match="lease 1 was followed by lease 2 of a"):
        one.reserve("order")


def test_f9_a_process_that_was_stopped_past_its_lease_begins_nothing(
    one: State, two: State, clock: Clock
) -> None:
    held = one.lease("a", 10)
    clock.pass_by(11)  # SIGSTOP, SIGCONT
    assert (held.is_valid(), one.may_send) == (False, False)
    for role in ("entry", "exit"):
        with pytest.raises(ActionRefusedError, match="has run out"):
            one.reserve("order", role=role)  # pyright: ignore[reportArgumentType]
    two.lease("b", 10)
    for write in (
        lambda: one.reserve("order", role="exit"),
        lambda: one.document("x").set(1),
        lambda: one.journal("x", lambda total, _note: total, 0).note(1),
        held.renew,
    ):
        with pytest.raises(ActionRefusedError):
            write()
    held.release()  # lost already: nothing happens
    assert two.reserve("order").fresh


def test_whoever_has_no_lease_begins_nothing_while_another_holds_it(one: State, two: State) -> None:
    with one.lease("a", 10):
        for role in ("entry", "exit"):
            with pytest.raises(ActionRefusedError, match="a holds the lease"):
                two.reserve("order", role=role)  # pyright: ignore[reportArgumentType]
    assert two.reserve("order").fresh


def test_renewing_keeps_the_epoch_and_lasts_as_long_again(one: State, clock: Clock) -> None:
    held = one.lease("a", 10)
    for _ in range(5):
        clock.pass_by(9)
        held.renew()
        assert (held.epoch, held.is_valid()) == (1, True)
    clock.pass_by(10)
    assert not held.is_valid()
    with pytest.raises(ActionRefusedError):
        held.renew()


def test_a_lease_that_was_given_back_is_free_at_once(one: State, two: State) -> None:
    held = one.lease("a", 1000)
    held.release()
    assert (held.is_valid(), one.epoch) == (False, 0)
    assert two.lease("b", 10).epoch == 2


@pytest.mark.parametrize("step", [-10_000.0, -1.0])
def test_f10_a_clock_set_back_lengthens_no_lease_of_its_own(
    step: float, one: State, clock: Clock
) -> None:
    held = one.lease("a", 10)
    clock.pass_by(5)
    clock.step(step)
    assert held.is_valid()
    clock.pass_by(5)
    assert (held.is_valid(), one.may_send) == (False, False)


def test_f10_a_clock_set_forward_ends_it_early_and_it_is_taken_anew(
    one: State, clock: Clock
) -> None:
    one.lease("a", 10)
    clock.step(3600)
    with pytest.raises(ActionRefusedError, match="has run out"):
        one.reserve("order")
    assert one.lease("a", 10).epoch == 2
    assert one.reserve("order").fresh


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_a_lease_lasts_up_to_a_day(seconds: float, one: State) -> None:
    with pytest.raises(InputError):
        one.lease("a", seconds)


def test_the_truth_about_what_was_sent_is_taken_from_whoever_sent_it(
    one: State, two: State, clock: Clock
) -> None:
    one.lease("a", 10)
    intents = [one.reserve("order", target=str(n)).intent for n in range(4)]
    clock.pass_by(11)
    two.lease("b", 100)
    for intent, status in zip(intents, ("accepted", "unknown", "done", "cancelled"), strict=True):
        assert one.settle(intent, status).status == status  # pyright: ignore[reportArgumentType]
    with pytest.raises(ActionRefusedError):
        one.settle(intents[1], "dropped")
    assert two.settle(intents[1], "dropped").status == "dropped"
    with pytest.raises(ActionRefusedError, match="lease 1 was followed"):
        one.reserve("order")
    assert one.send_again(intents[0])  # reasons: nothing is sent
