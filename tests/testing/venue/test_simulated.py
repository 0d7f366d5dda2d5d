from __future__ import annotations

import pytest

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from haulout.state.acting import Actor
from haulout.state.intents import Intent
from haulout.state.refs import Class
from haulout.state.state import State
from haulout.testing.venue.simulated import SimulatedVenue

PAIR = "BTC/USDT"
ORDER = {"symbol": PAIR, "side": "buy", "amount": "1"}


def venue_of(kind: Class = "C", **more) -> SimulatedVenue:
    return SimulatedVenue(kind, prices={PAIR: "100"}, **more)


@pytest.fixture
def venue() -> SimulatedVenue:
    return venue_of()


@pytest.fixture
def state(venue: SimulatedVenue) -> State:
    return State.in_memory(now=venue.now)


def intent(state: State, action: str = "order", **more) -> Intent:
    return state.intended(action, {**ORDER, **more}, key=more.pop("key", None))


def accepted(venue: SimulatedVenue) -> int:
    return sum(one.what == "accepted" for one in venue.ledger())


def test_an_intent_comes_back_with_its_id_and_what_it_cost(
    venue: SimulatedVenue, state: State
) -> None:
    wanted = intent(state)
    seen = venue.submit(wanted)
    assert (seen.intent, seen.status, seen.filled) == (wanted.id, "done", "1")
    assert seen.spent == {"BTC": "1", "USDT": "100"}
    assert venue.find(wanted) == seen
    assert list(venue.listed(0)) == [seen]
    assert venue.positions() == {PAIR: "1"}


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_a_lost_answer_is_unknown_and_acting_finds_the_order(kind: Class) -> None:
    venue = venue_of(kind)
    state = State.in_memory(now=venue.now)
    venue.fault("cut_after_accept")
    acted = Actor(state, venue, sleep=venue.advance).act("order", ORDER, key="s1")
    assert acted.intent.status == "done"
    assert accepted(venue) == 1
    assert venue.ledger()[0].key == "s1"


def test_a_duplicate_says_that_the_order_is_there_and_not_that_it_was_refused(
    state: State,
) -> None:
    venue = venue_of("B")
    wanted = intent(state)
    venue.submit(wanted)
    with pytest.raises(OutcomeUnknownError):
        venue.submit(wanted)
    assert accepted(venue) == 1


def test_a_refusal_is_for_good(venue: SimulatedVenue, state: State) -> None:
    venue.fault("refuse")
    with pytest.raises(VenueRefusedError):
        venue.submit(intent(state))
    with pytest.raises(VenueRefusedError):
        venue.submit(intent(state, symbol="X/Y"))


def test_an_answer_that_hangs_too_long_is_unknown_and_a_shorter_one_comes(
    venue: SimulatedVenue, state: State
) -> None:
    venue.fault("hang_after_accept", seconds=60)
    begun = venue.now()
    with pytest.raises(OutcomeUnknownError):
        venue.submit(intent(state))
    assert venue.now() - begun == 10_000_000  # its patience
    venue.fault("hang_after_accept", seconds=3)
    assert venue.submit(intent(state)).status == "done"
    assert venue.now() - begun == 13_000_000


def test_a_cancellation_is_found_by_the_order_that_it_ended(
    venue: SimulatedVenue, state: State
) -> None:
    order = intent(state, type="limit", price="90")
    venue.submit(order)
    cancel = state.intended("cancel", {"order": f"client:{order.text}"}, role="exit")
    venue.fault("cut_before_accept", on="cancel")
    with pytest.raises(OutcomeUnknownError):
        venue.submit(cancel)
    assert venue.find(cancel) is None
    venue.fault("cut_after_accept", on="cancel")
    with pytest.raises(OutcomeUnknownError):
        venue.submit(cancel)
    seen = venue.find(cancel)
    assert seen is not None
    assert (seen.intent, seen.status) == (cancel.id, "done")
    late = state.intended("cancel", {"order": f"client:{order.text}"}, role="exit")
    with pytest.raises(VenueRefusedError):
        venue.submit(late)


def test_a_cancellation_of_what_has_filled_is_refused(venue: SimulatedVenue, state: State) -> None:
    order = intent(state)
    venue.submit(order)
    cancel = state.intended("cancel", {"order": "1"}, role="exit")
    seen = venue.find(cancel)
    assert seen is not None
    assert seen.status == "refused"


def test_an_edit_is_found_by_its_own_id(venue: SimulatedVenue, state: State) -> None:
    order = intent(state, type="limit", price="90")
    venue.submit(order)
    edit = intent(state, "replace", order=f"client:{order.text}", type="limit", price="95")
    venue.fault("cut_after_accept", on="replace")
    with pytest.raises(OutcomeUnknownError):
        venue.submit(edit)
    seen = venue.find(edit)
    old = venue.find(order)
    assert seen is not None
    assert old is not None
    assert (seen.status, old.status) == ("accepted", "cancelled")


def test_a_history_that_begins_too_late_is_no_answer(venue: SimulatedVenue, state: State) -> None:
    venue.submit(intent(state))
    venue.fault("window", count=-1, seconds=60)
    venue.advance(600)
    with pytest.raises(OutcomeUnknownError):
        venue.listed(venue.now() - 300_000_000)
    assert list(venue.listed(venue.now() - 30_000_000)) == []


def test_ids_that_are_not_given_back_are_found_by_looking_up_alone(state: State) -> None:
    venue = venue_of(text=False)
    wanted = intent(state)
    venue.submit(wanted)
    assert [one.intent for one in venue.listed(0)] == [None]
    found = venue.find(wanted)
    assert found is not None
    assert found.ref == "1"


def test_reports_come_twice_late_or_not_at_all(venue: SimulatedVenue, state: State) -> None:
    venue.fault("duplicate_report")
    venue.submit(intent(state))
    assert [one.status for one in venue.heard()] == ["accepted", "accepted", "done", "done"]
    assert venue.heard() == []
    venue.fault("reorder_report")
    venue.submit(intent(state))
    assert [one.status for one in venue.heard()] == ["done", "accepted"]
    venue.fault("drop_report", count=2)
    venue.submit(intent(state))
    assert venue.heard() == []


def test_whoever_is_killed_is_killed_before_or_after_the_venue_accepts(state: State) -> None:
    class Gone(BaseException):
        pass

    def kill() -> None:
        raise Gone

    for point, arrives in (("kill_before_accept", 0), ("kill_after_accept", 1)):
        venue = venue_of()
        venue.wire.kill = kill
        venue.fault(point)
        with pytest.raises(Gone):
            venue.submit(intent(state))
        assert accepted(venue) == arrives


def test_the_owner_acts_past_every_bot(venue: SimulatedVenue) -> None:
    venue.trade(PAIR, "buy", 2)
    order = venue.trade(PAIR, "buy", 1, type="limit", price="90")
    venue.price(PAIR, 80)
    assert venue.positions() == {PAIR: "3"}
    assert {one.by for one in venue.ledger()} == {"user"}
    assert venue.fill(order.id).status == "filled"


def test_the_same_calls_give_the_same_ledger() -> None:
    def played() -> list[object]:
        venue = venue_of("B")
        venue.fault("cut_after_accept", chance=50, count=-1, seed=4)
        random = iter(range(10**6))

        def entropy(size: int) -> bytes:
            return next(random).to_bytes(size, "big")

        state = State.in_memory(now=venue.now, entropy=entropy)
        actor = Actor(state, venue, sleep=venue.advance)
        for number in range(20):
            actor.act("order", ORDER, key=f"s{number}")
        return [venue.ledger(), [one.event for one in state.events()]]

    assert played() == played()
