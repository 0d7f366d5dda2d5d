"""Recovery after each way to stop: what it restores, asks, adopts, and leaves to a person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from state.desk import Clock, Desk, actor, in_memory
from state.test_acting import BUY, CLASSES, NAMED, SELL

from haulout.errors import ActionRefusedError, OutcomeUnknownError
from haulout.state.acting import Actor
from haulout.state.refs import Class
from haulout.state.state import State


@pytest.fixture
def clock() -> Clock:
    return Clock()


def died(state: State, desk: Desk) -> tuple[State, Actor]:
    """The next process: the same journal, nothing else of the one before."""
    after = in_memory(desk.clock, "next process", events=[event for _, event in state.events()])
    return after, actor(after, desk)


def test_s11_what_was_reserved_and_never_sent_is_dropped_and_the_next_step_is_known(
    clock: Clock,
) -> None:
    for kind in NAMED:
        desk, state = Desk(kind, clock), in_memory(clock)
        state.document("plan").set({"step": "buy", "stop": "60000"})
        intent = state.reserve(**BUY).intent
        after, acting = died(state, desk)
        report = acting.recover()
        assert report.ready
        assert [(one.before, one.after) for one in report.resolved] == [("reserved", "dropped")]
        assert after.intent(intent.id).status == "dropped"
        assert after.document("plan").get() == {"step": "buy", "stop": "60000"}
        assert [one.name for one in report.documents] == ["plan"]
        assert (len(desk.sent), acting.act(**BUY).intent.status) == (0, "done")


@pytest.mark.parametrize("kind", CLASSES)
def test_s11_what_was_sent_and_not_answered_is_found_and_not_bought_again(
    kind: Class, clock: Clock
) -> None:
    desk, state = Desk(kind, clock), in_memory(clock)
    state.limit("usd/held", 100)
    intent = state.reserve(**BUY).intent
    desk.submit(intent)  # and the process died
    after, acting = died(state, desk)
    with pytest.raises(ActionRefusedError, match="no entry before"):
        acting.act(**BUY)
    report = acting.recover()
    assert report.ready
    assert after.intent(intent.id).status == "done"
    with pytest.raises(ActionRefusedError, match="usd/held"):
        acting.act(**BUY)
    assert len(desk.orders) == 1
    assert acting.recover().resolved == ()  # once more changes nothing


def test_class_d_leaves_what_is_not_shown_to_a_person(clock: Clock) -> None:
    desk, state = Desk("D", clock), in_memory(clock)
    intent = state.reserve(**BUY).intent
    after, acting = died(state, desk)
    report = acting.recover(confirmed=True)
    assert (report.unknown, report.ready) == ((intent.text,), False)
    assert "UNKNOWN" in report.text()
    assert intent.text[-8:] in report.text()
    with pytest.raises(ActionRefusedError, match="allows no entries"):
        acting.act(**BUY)
    after.settle(intent, "dropped", why="looked at the account")
    assert acting.recover().ready


def test_an_accepted_order_that_the_venue_shows_no_more_is_unknown_and_not_a_silent_venue(
    clock: Clock,
) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    desk.status, desk.filled = "accepted", None
    intent = actor(state, desk, needs_recovery=False).act(**BUY).intent
    desk.orders.clear()  # a history that ends
    after, acting = died(state, desk)
    report = acting.recover()
    assert (report.unknown, report.failures, report.ready) == ((intent.text,), (), False)
    assert after.intent(intent.id).status == "accepted"
    after.settle(intent, "cancelled", why="looked at the account")
    assert acting.recover().ready


def test_an_accepted_order_that_is_still_open_stays_so_and_writes_nothing(clock: Clock) -> None:
    desk, state = Desk("C", clock), in_memory(clock)
    desk.status, desk.filled = "accepted", None
    actor(state, desk, needs_recovery=False).act(**BUY)
    after, acting = died(state, desk)
    before = len(list(after.events()))
    assert acting.recover().ready
    assert len(list(after.events())) == before


def test_s10_an_exit_that_never_arrived_is_named_and_not_dropped_in_silence(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    intent = state.reserve(**SELL).intent
    _, acting = died(state, desk)
    report = acting.recover()
    assert report.lost_exits == (intent.text,)
    assert "LOST EXIT" in report.text()
    assert acting.act(**SELL).intent.status == "done"


def test_a_venue_that_does_not_answer_forbids_entries_and_no_exit(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    state.reserve(**BUY)
    _, acting = died(state, desk)
    desk.silent = True
    report = acting.recover()
    assert not report.ready
    assert report.failures == ("The venue does not answer.",)
    with pytest.raises(ActionRefusedError):
        acting.act(**{**BUY, "target": "desk/ETH"})
    assert acting.act(**SELL).intent.status == "done"
    desk.silent = False
    assert acting.recover().ready


def test_what_was_given_up_for_lost_and_is_there_needs_a_person(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    state.limit("usd/held", 100)
    intent = state.reserve(**BUY).intent
    state.settle(intent, "dropped", why="it never arrived")
    desk.submit(intent)
    after, acting = died(state, desk)
    report = acting.recover()
    assert (report.returned, report.adopted, report.ready) == ((intent.text,), (), False)
    assert "given up for lost" in report.text()
    assert after.intent(intent.id).status == "done"
    assert acting.recover(confirmed=True).ready
    with pytest.raises(ActionRefusedError, match="of which 100 is used"):
        after.reserve(**BUY)


@pytest.mark.parametrize("answer", [{"api_key": "x"}, {"price": float("nan")}, "x" * 2_000_000])
def test_f16_what_is_adopted_is_kept_whatever_the_venue_says_of_it(
    answer: object, clock: Clock
) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    state.tag()
    backup = [event for _, event in state.events()]
    acting = actor(state, desk, needs_recovery=False)
    acting.act(**BUY)
    desk.tell(0, answer=answer, spent={"usd": "99.50", "fee": "nonsense"}, filled="1.000",
              target="desk/BTC\n" + "x" * 300)  # fmt: skip
    desk.listed = lambda _since: [desk.tell(0, at=-5)]  # type: ignore[method-assign]
    after = in_memory(clock, "restored", events=backup)
    report = actor(after, desk).recover()
    assert len(report.adopted) == 1
    found = after.intent(report.adopted[0])
    assert (found.status, found.filled, found.spent) == ("done", "1", {"usd": "99.5"})
    again = in_memory(clock, "later", events=[event for _, event in after.events()])
    assert again.intent(report.adopted[0]) == found


def test_orders_of_others_are_counted_and_left_alone(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    actor(state, desk, needs_recovery=False).act(**BUY)
    actor(in_memory(clock, "another bot"), desk, needs_recovery=False).act(**BUY)
    desk.submit(in_memory(clock, "x").intended(**BUY))
    desk.tell(2, intent=None)
    _, acting = died(state, desk)
    report = acting.recover()
    assert (report.foreign, report.adopted, report.ready) == (2, (), True)
    assert "2 orders at the venue are not of this state" in report.text()


def test_f9_orders_of_two_leases_are_reported(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    for holder in ("a", "b"):
        state.lease(holder, 10)
        actor(state, desk, needs_recovery=False).act(**BUY)
        clock.pass_by(11)
    report = actor(state, desk).recover()
    assert report.epochs == (1, 2)
    assert "under leases 1, 2" in report.text()


def test_documents_that_are_too_old_need_a_person(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    state.document("regime").set("calm")
    clock.pass_by(3600)
    state.document("fresh").set(1)
    acting = actor(state, desk)
    report = acting.recover(max_age=timedelta(minutes=30))
    assert (report.stale, report.ready) == (("regime",), False)
    assert acting.recover(max_age=timedelta(minutes=30), confirmed=True).ready
    assert acting.recover(max_age=timedelta(hours=2)).ready


def test_positions_that_are_not_as_believed_are_named(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    monkeypatch.setattr(desk, "positions", lambda: {"desk/BTC": "1.0", "desk/ETH": "2"})
    report = actor(state, desk).recover(believed={"desk/BTC": "1", "desk/SOL": "3"})
    assert [(one.target, one.believed, one.there) for one in report.differs] == [
        ("desk/ETH", "0", "2"), ("desk/SOL", "3", "0"),
    ]  # fmt: skip
    assert "3 here, 0 at the venue" in report.text()


def test_s4_readiness_takes_no_more_of_the_agents_time_than_the_venues_settling(
    clock: Clock,
) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    for number in range(3):
        state.reserve(**{**BUY, "target": f"desk/{number}"})
    _, acting = died(state, desk)
    begun = clock.monotonic()
    assert acting.recover().ready
    assert clock.monotonic() - begun <= 3 * desk.rules.settle_s < 66  # 1.1 minutes


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_f10_a_clock_that_was_wrong_hides_no_order(step: float, clock: Clock) -> None:
    desk, state = Desk("C", clock), in_memory(clock)
    clock.step(step)
    intent = state.reserve(**BUY).intent
    clock.step(-step)  # set right before the order arrives
    desk.submit(intent)
    desk.find = lambda _intent: None  # type: ignore[method-assign]  # shown in its list alone
    after, acting = died(state, desk)
    report = acting.recover()
    assert (report.ready, report.returned) == (True, ())  # not taken for lost, even for a moment
    assert after.intent(intent.id).status == "done"


def test_recovery_sends_nothing(clock: Clock) -> None:
    for kind in CLASSES:
        desk, state = Desk(kind, clock), in_memory(clock)
        for number, status in enumerate(("unknown", "absent", "accepted")):
            intent = state.reserve(**{**BUY, "target": f"desk/{number}"}).intent
            state.settle(intent, status)  # pyright: ignore[reportArgumentType]
        state.reserve(**SELL)
        _, acting = died(state, desk)
        acting.recover()
        assert desk.sent == []


def test_a_state_without_a_past_needs_no_recovery_and_one_with_a_past_does(clock: Clock) -> None:
    desk, state = Desk("B", clock), in_memory(clock)
    acting = actor(state, desk)
    assert acting.act(**BUY).intent.status == "done"
    _, next_one = died(state, desk)
    with pytest.raises(ActionRefusedError, match="has a past"):
        next_one.act(**BUY)
    assert next_one.act(**SELL).intent.status == "done"  # an exit waits for nothing
    desk.script, desk.silent = ["before"], True
    with pytest.raises(OutcomeUnknownError):
        next_one.act(**{**SELL, "target": "desk/ETH"})
