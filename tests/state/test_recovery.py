"""What a recovery may not forget between two starts, and what it may not take for lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from haulout.errors import ActionRefusedError
from haulout.state.acting import Actor
from haulout.state.recovery import recover
from haulout.state.refs import Class
from haulout.state.state import State
from haulout.testing.venue.simulated import SimulatedVenue

ORDER = {"symbol": "BTC/USDT", "side": "buy", "amount": "1"}
HOUR = 3600.0


@pytest.fixture
def venue() -> SimulatedVenue:
    return SimulatedVenue("C", prices={"BTC/USDT": "100"})


@pytest.fixture
def rewound(venue: SimulatedVenue) -> Callable[[float], State]:
    """A state whose journal has lost its newest order, so many seconds after it was made."""

    def make(seconds: float) -> State:
        state = State.in_memory(now=venue.now)
        actor = Actor(state, venue, sleep=venue.advance)
        actor.act("order", ORDER, key="s1", cost={"BTC": 1})
        backup = [one.event for one in state.events()]
        actor.act("order", ORDER, key="s2", cost={"BTC": 1})
        venue.advance(seconds)
        return State.in_memory(now=venue.now, events=backup)

    return make


def _accepted(venue: SimulatedVenue) -> list[str | None]:
    return [one.key for one in venue.ledger() if one.what == "accepted"]


@pytest.mark.parametrize("hours", [0.1, 23, 49, 24 * 30])
def test_a_backup_is_told_by_orders_it_lacks_however_old_it_is(
    venue: SimulatedVenue, rewound: Callable[[float], State], hours: float
) -> None:
    actor = Actor(rewound(hours * HOUR), venue, sleep=venue.advance)
    report = actor.recover()
    assert report.older_than_venue
    assert len(report.adopted) == 1
    assert not report.ready


def test_starting_a_backup_once_more_does_not_make_it_ready(
    venue: SimulatedVenue, rewound: Callable[[float], State]
) -> None:
    state = rewound(HOUR)
    assert not Actor(state, venue, sleep=venue.advance).recover().ready
    again = State.in_memory(now=venue.now, events=[one.event for one in state.events()])
    actor = Actor(again, venue, sleep=venue.advance)
    report = actor.recover()
    assert not report.adopted
    assert not report.ready
    assert any("older than what the venue knows" in one for one in report.reasons)
    with pytest.raises(ActionRefusedError):
        actor.act("order", ORDER, key="s2", cost={"BTC": 1})
    assert _accepted(venue) == ["s1", "s2"]


def test_a_crash_while_orders_are_adopted_leaves_entries_forbidden(
    venue: SimulatedVenue, rewound: Callable[[float], State]
) -> None:
    state = rewound(HOUR)
    actor = Actor(state, venue, sleep=venue.advance)
    before = len(list(state.events()))
    actor.recover()
    events = [one.event for one in state.events()]
    for end in range(before + 1, len(events) + 1):
        cut = State.in_memory(now=venue.now, events=events[:end])
        assert not recover(Actor(cut, venue, sleep=venue.advance)).ready, end


def test_a_person_who_has_looked_confirms_once_and_for_good(
    venue: SimulatedVenue, rewound: Callable[[float], State]
) -> None:
    state = rewound(HOUR)
    actor = Actor(state, venue, sleep=venue.advance)
    assert not actor.recover().ready
    assert actor.recover(confirmed=True).ready
    assert actor.recover().ready
    assert state.halted == ""


def test_a_confirmation_does_not_lift_what_the_owner_said(
    venue: SimulatedVenue, rewound: Callable[[float], State]
) -> None:
    state = rewound(HOUR)
    state.flatten("enough for today")
    actor = Actor(state, venue, sleep=venue.advance)
    assert not actor.recover(confirmed=True).ready
    assert state.halted == "flatten"


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_an_order_is_not_taken_for_lost_where_only_the_look_up_by_id_fails(kind: Class) -> None:
    venue = SimulatedVenue(kind, prices={"BTC/USDT": "100"})
    venue.fault("cut_after_accept")
    venue.fault("lookup_missing", count=-1)
    state = State.in_memory(now=venue.now)
    acted = Actor(state, venue, sleep=venue.advance).act("order", ORDER, key="s1")
    assert acted.intent.status == "done"
    assert _accepted(venue) == ["s1"]
