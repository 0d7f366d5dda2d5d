"""Acting: once, whatever is lost on the way, and what is sent where nobody can write it down."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from state.desk import START, Clock, Desk, actor, in_memory

from haulout.errors import (
    ActionRefusedError,
    OutcomeUnknownError,
    StorageError,
    VenueRefusedError,
)
from haulout.state.acting import Actor
from haulout.state.intents import Intent
from haulout.state.refs import Class
from haulout.state.state import State
from haulout.state.tape import Tape

CLASSES: tuple[Class, ...] = ("A", "B", "C", "D")
NAMED: tuple[Class, ...] = ("A", "B", "C")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def desk_of(kind: Class, clock: Clock) -> tuple[State, Desk, Actor]:
    state = in_memory(clock)
    desk = Desk(kind, clock)
    return state, desk, actor(state, desk, needs_recovery=False)


BUY: dict[str, Any] = {
    "action": "order", "payload": {"side": "buy", "amount": "1"}, "target": "desk/BTC",
    "cost": {"usd": "100"}, "holds": ["usd"],
}  # fmt: skip
SELL: dict[str, Any] = {
    "action": "order", "payload": {"side": "sell", "amount": "1"}, "target": "desk/BTC",
    "role": "exit",
}  # fmt: skip


# --- what is lost on the way ---------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES)
def test_an_order_that_is_answered_is_sent_once_and_settled(kind: Class, clock: Clock) -> None:
    state, desk, acting = desk_of(kind, clock)
    acted = acting.act(**BUY)
    assert (acted.intent.status, acted.repeated, acted.journaled) == ("done", False, True)
    assert len(desk.sent) == len(desk.orders) == 1
    assert state.open_intents() == []


@pytest.mark.parametrize("kind", NAMED)
def test_s5_an_order_whose_answer_was_lost_is_found_and_not_sent_again(
    kind: Class, clock: Clock
) -> None:
    _, desk, acting = desk_of(kind, clock)
    desk.script = ["after"]
    acted = acting.act(**BUY)
    assert acted.intent.status == "done"
    assert len(desk.orders) == 1


@pytest.mark.parametrize("kind", NAMED)
def test_an_order_that_never_arrived_is_sent_again_under_its_id(kind: Class, clock: Clock) -> None:
    _, desk, acting = desk_of(kind, clock)
    desk.script = ["before", "ack"]
    acted = acting.act(**BUY)
    assert acted.intent.status == "done"
    assert {one.id for one in desk.sent} == {acted.intent.id}
    assert len(desk.orders) == 1


def test_an_order_that_never_arrives_is_given_up_and_costs_nothing(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/day", 100)
    desk.script = ["before", "before", "ack"]
    with pytest.raises(ActionRefusedError, match="did not reach"):
        acting.act(**BUY)
    assert desk.orders == []
    assert acting.act(**BUY).intent.status == "done"


def test_a_refusal_is_final_and_costs_nothing(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/day", 100)
    desk.script = ["refuse"]
    with pytest.raises(VenueRefusedError):
        acting.act(**BUY)
    assert acting.act(**BUY).intent.status == "done"


def test_an_unknown_outcome_forbids_the_next_entry_on_its_target_until_it_is_known(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("D", clock)
    desk.script, desk.hidden = ["after"], {b""}
    desk.silent = True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**BUY)
    with pytest.raises(OutcomeUnknownError):
        acting.act(**{**BUY, "payload": {"other": True}})
    assert len(desk.sent) == 1
    with pytest.raises(ActionRefusedError, match="nobody knows yet"):
        state.reserve(**BUY)
    desk.silent = False
    assert acting.act(**BUY).repeated
    assert len(desk.orders) == 1


def test_who_asks_again_without_a_key_gets_what_was_done_and_buys_once(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["after"], True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**BUY)
    desk.silent = False
    acted = acting.act(**BUY)
    assert acted.repeated
    assert len(desk.orders) == 1


def test_an_order_of_another_key_is_not_taken_for_what_is_wanted(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["after"], True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**BUY, key="signal-1")
    desk.silent = False
    acted = acting.act(**BUY)  # a decision of its own, which nothing named
    assert not acted.repeated
    assert len(desk.orders) == 2


def test_what_was_cancelled_after_a_part_of_it_was_filled_is_what_was_wanted(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["after"], True
    desk.status, desk.filled = "cancelled", "0.4"
    with pytest.raises(OutcomeUnknownError):
        acting.act(**BUY)
    desk.silent = False
    assert acting.act(**BUY).repeated
    assert len(desk.orders) == 1


def test_what_was_cancelled_before_any_of_it_was_filled_is_decided_anew(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["after"], True
    desk.status, desk.filled = "cancelled", None
    with pytest.raises(OutcomeUnknownError):
        acting.act(**BUY)
    desk.silent, desk.status, desk.filled = False, "done", "1"
    assert not acting.act(**BUY).repeated
    assert len(desk.orders) == 2


# --- keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES)
def test_one_key_acts_once(kind: Class, clock: Clock) -> None:
    _, desk, acting = desk_of(kind, clock)
    first = acting.act(**BUY, key="signal-1")
    again = acting.act(**BUY, key="signal-1")
    assert (again.repeated, again.intent) == (True, first.intent)
    assert len(desk.sent) == 1


@pytest.mark.parametrize(("step", "error"), [("refuse", VenueRefusedError)])
def test_a_key_that_was_refused_is_refused_again_and_not_called_done(
    step: str, error: type[Exception], clock: Clock
) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script = [step]
    with pytest.raises(error):
        acting.act(**BUY, key="signal-1")
    with pytest.raises(error, match="Insufficient balance"):
        acting.act(**BUY, key="signal-1")
    assert len(desk.sent) == 1


def test_a_key_that_was_dropped_is_refused_and_not_called_done(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    reserved = state.reserve(**BUY, key="signal-1")
    state.settle(reserved.intent, "dropped", why="thought better of it")
    with pytest.raises(ActionRefusedError, match="thought better"):
        acting.act(**BUY, key="signal-1")
    assert desk.sent == []


def test_s14_a_halt_since_the_crash_forbids_what_a_key_would_send_again(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    reserved = state.reserve(**BUY, key="signal-1")  # and the process died here
    state.pause("holiday")
    with pytest.raises(ActionRefusedError, match="holiday"):
        acting.act(**BUY, key="signal-1")
    assert desk.sent == []
    assert state.intent(reserved.intent.id).status == "dropped"


def test_s14_a_halt_while_an_order_is_looked_up_forbids_that_it_is_sent_again(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    desk.script = ["before"]
    desk.while_sending = lambda _intent: state.pause("stop")
    with pytest.raises(ActionRefusedError, match="the owner said pause"):
        acting.act(**BUY)
    assert len(desk.sent) == 1


def test_a_halt_keeps_class_a_from_being_asked_by_sending_again(clock: Clock) -> None:
    state, desk, acting = desk_of("A", clock)
    desk.script = ["before"]
    desk.while_sending = lambda _intent: state.flatten()
    with pytest.raises(ActionRefusedError, match="flatten"):
        acting.act(**BUY)
    assert (len(desk.sent), desk.orders) == (1, [])


def test_a_limit_reached_meanwhile_forbids_that_it_is_sent_again(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    desk.script = ["before"]
    desk.while_sending = lambda _intent: state.limit("usd/day", 99, by_owner=True)
    with pytest.raises(ActionRefusedError, match="usd/day"):
        acting.act(**BUY)
    assert len(desk.sent) == 1


def test_the_limit_that_an_order_fits_exactly_does_not_forbid_sending_it_again(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 100)
    desk.script = ["before"]
    assert acting.act(**BUY).intent.status == "done"  # its own cost is not counted twice


def test_class_a_is_asked_by_sending_again_soon_after_and_looked_up_long_after(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("A", clock)
    soon = state.reserve(**BUY, key="soon")
    clock.pass_by(60)
    assert acting.act(**BUY, key="soon").intent.id == soon.intent.id
    assert len(desk.sent) == 1
    late = state.reserve(**{**BUY, "target": "desk/ETH"}, key="late")
    desk.submit(late.intent)  # it arrived; the process died, and the venue forgot the replay
    clock.pass_by(86_400)
    acted = acting.act(**{**BUY, "target": "desk/ETH"}, key="late")
    assert acted.intent.status == "done"
    assert len(desk.sent) == 2


def test_the_refusal_of_a_second_sending_is_looked_up_before_it_is_believed(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script = ["after", "ack"]
    hide = desk.hidden

    def hide_first(intent: Intent) -> None:
        if len(desk.sent) == 1:
            hide.add(intent.id)  # a venue that shows it late
        else:
            hide.clear()

    desk.while_sending = hide_first
    acted = acting.act(**BUY)  # sent, not shown, sent again, refused as a duplicate, found
    assert (len(desk.sent), len(desk.orders)) == (2, 1)
    assert acted.intent.status == "done"


# --- two threads ---------------------------------------------------------------------------


def test_an_order_that_another_thread_is_sending_is_not_taken_for_lost(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    found: list[Any] = []

    def other(intent: Intent) -> None:
        desk.while_sending = lambda _intent: None

        def work() -> None:
            with pytest.raises(ActionRefusedError, match="nobody knows yet"):
                acting.act(**BUY)
            with pytest.raises(OutcomeUnknownError, match="Another thread"):
                acting.resolve(state.intent(intent.id))
            found.append(acting.recover())
            with pytest.raises(OutcomeUnknownError, match="Another thread"):
                acting.act(**BUY, key="signal-1")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    desk.while_sending = other
    acted = acting.act(**BUY, key="signal-1")
    assert (len(desk.sent), len(desk.orders), acted.intent.status) == (1, 1, "done")
    assert not found[0].ready


def test_two_threads_with_one_key_send_one_order(clock: Clock) -> None:
    _, desk, acting = desk_of("B", clock)
    barrier = threading.Barrier(8)
    found: list[str] = []

    def work() -> None:
        barrier.wait()
        for _ in range(20):
            try:
                found.append(acting.act(**BUY, key="signal-1").intent.status)
            except OutcomeUnknownError:
                continue

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(desk.sent) == 1
    assert set(found) == {"done"}


# --- a venue that tells otherwise than the journal -----------------------------------------


def test_an_order_given_up_for_lost_that_the_venue_has_counts_again(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 100)
    reserved = state.reserve(**BUY, key="signal-1")
    state.settle(reserved.intent, "dropped", why="it never arrived")
    seen = desk.submit(reserved.intent)  # it did, late
    after = acting.observe(seen)
    assert after is not None
    assert (after.status, after.adopted, after.key) == ("done", True, "signal-1")
    with pytest.raises(ActionRefusedError, match="usd/held"):
        state.reserve(**BUY)


def test_a_fill_reported_after_the_cancel_counts(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 100)
    desk.status, desk.filled = "accepted", None
    acted = acting.act(**BUY)
    state.settle(acted.intent, "cancelled")
    assert state.reserve(**BUY, key="free")
    state.settle(state.reserve(**BUY, key="free").intent, "dropped")
    acting.observe(desk.tell(0, status="cancelled", filled="0.4", spent={"usd": "40"}))
    assert state.intent(acted.intent.id).filled == "0.4"
    with pytest.raises(ActionRefusedError, match="of which 40 is used"):
        state.reserve(**BUY)


def test_an_order_filled_before_the_cancel_arrived_counts_whole(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 100)
    desk.status, desk.filled = "accepted", None
    acted = acting.act(**BUY)
    state.settle(acted.intent, "cancelled")
    acting.observe(desk.tell(0, status="done", filled="1"))
    with pytest.raises(ActionRefusedError, match="of which 100 is used"):
        state.reserve(**BUY)


def test_an_accepted_order_that_is_turned_away_later_ends_and_gives_its_budget_back(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 100)
    desk.status, desk.filled = "accepted", None
    acted = acting.act(**BUY)
    desk.tell(0, status="refused")
    report = acting.recover()
    assert report.ready
    assert state.intent(acted.intent.id).status == "cancelled"
    assert state.reserve(**BUY)


def test_what_is_filled_only_grows(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    desk.status, desk.filled = "accepted", "0"
    acted = acting.act(**BUY)
    late = desk.orders[0]
    more = desk.tell(0, filled="0.7")
    for seen in (more, late, more, late):
        acting.observe(seen)
    assert state.intent(acted.intent.id).filled == "0.7"


def test_an_event_of_an_order_that_the_journal_lacks_is_adopted(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    other = in_memory(clock, "other")
    state.tag()
    intent = other.intended(**BUY)
    ours = state.tag() + intent.id[4:]
    seen = desk.submit(intent)
    found = acting.observe(desk.tell(0, intent=ours, target="desk/BTC"))
    assert found is not None
    assert (found.adopted, found.status) == (True, "done")
    assert acting.observe(seen) is None  # of another state


@pytest.mark.parametrize(
    "answer",
    [
        {"client_secret": "pi_3Ox_secret_9aB"},
        {"at": START, "price": float("nan")},
        {"x": object()},
        "x" * 2_000_000,
    ],
)
def test_an_answer_that_cannot_be_kept_keeps_no_order_from_being_settled(
    answer: Any, clock: Clock
) -> None:
    state, desk, acting = desk_of("B", clock)
    submit = desk.submit

    def answered(intent: Intent) -> Any:
        submit(intent)
        return desk.tell(-1, answer=answer, filled="1.0", spent={"usd": "99.50"})

    desk.submit = answered  # type: ignore[method-assign]
    acted = acting.act(**BUY)
    assert (acted.intent.status, acted.intent.filled) == ("done", "1")
    assert acted.intent.spent == {"usd": "99.5"}
    assert "secret_9aB" not in repr(list(state.events()))


# --- exits ---------------------------------------------------------------------------------


def test_an_exit_is_bound_by_no_limit_and_no_halt(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.limit("usd/held", 0)
    state.flatten()
    assert acting.act(**SELL).intent.status == "done"
    with pytest.raises(ActionRefusedError):
        acting.act(**BUY)
    assert len(desk.sent) == 1


@pytest.mark.parametrize("key", [None, "close-1"])
def test_an_exit_of_unknown_outcome_is_sent_again_under_its_first_id(
    key: str | None, clock: Clock
) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["before"], True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**SELL, key=key)
    acted = acting.act(**SELL, key=key)  # nobody can be asked, and the position is open
    assert acted.intent.status == "done"
    assert len({one.id for one in desk.sent}) == 1
    assert len(desk.orders) == 1


def test_an_exit_of_unknown_outcome_that_arrived_is_not_doubled_where_ids_are_refused_twice(
    clock: Clock,
) -> None:
    _, desk, acting = desk_of("B", clock)
    desk.script, desk.silent = ["after"], True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**SELL)
    with pytest.raises(OutcomeUnknownError):
        acting.act(**SELL)
    assert len(desk.orders) == 1
    desk.silent = False
    assert acting.act(**SELL).repeated


class HungDisk:
    """A tape whose disk does not answer, until it is told to."""

    def __init__(self, tape: Any) -> None:
        self._tape, self.hangs = tape, False

    def transact(self, decide: Any, *, patience: float | None = None) -> Any:
        if self.hangs:
            raise StorageError("The disk hangs.")
        return self._tape.transact(decide, patience=patience)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tape, name)


def hanging(kind: Class, clock: Clock) -> tuple[State, Desk, Actor, HungDisk]:
    state, desk, acting = desk_of(kind, clock)
    state.tag()
    state.tape = disk = HungDisk(state.tape)  # type: ignore[assignment]
    return state, desk, acting, disk


def test_without_a_disk_an_entry_is_refused_and_an_exit_is_sent_and_flagged(clock: Clock) -> None:
    state, desk, acting, disk = hanging("B", clock)
    disk.hangs = True
    with pytest.raises(ActionRefusedError, match="cannot be written down"):
        acting.act(**BUY)
    acted = acting.act(**SELL)
    assert (acted.journaled, len(desk.orders)) == (False, 1)
    disk.hangs = False
    acting.act(**BUY)
    assert acting.unjournaled == []
    assert state.intent(acted.intent.id).status == "done"


@pytest.mark.parametrize("key", [None, "close-1"])
def test_an_exit_that_nobody_could_write_down_is_not_doubled_by_asking_again(
    key: str | None, clock: Clock
) -> None:
    _, desk, acting, disk = hanging("B", clock)
    disk.hangs = True
    acting.act(**SELL, key=key)
    again = acting.act(**SELL, key=key)
    assert (again.repeated, again.journaled) == (True, False)
    assert len(desk.orders) == 1
    disk.hangs = False
    if key is not None:
        assert acting.act(**SELL, key=key).repeated
        assert len(desk.orders) == 1


def test_an_unjournaled_exit_that_was_refused_is_not_written_down_as_unknown(clock: Clock) -> None:
    state, desk, acting, disk = hanging("B", clock)
    disk.hangs, desk.script = True, ["refuse"]
    with pytest.raises(VenueRefusedError):
        acting.act(**SELL)
    assert acting.unjournaled == []
    disk.hangs = False
    assert state.open_intents() == []


def test_an_unjournaled_exit_of_unknown_outcome_is_asked_after_once_the_disk_answers(
    clock: Clock,
) -> None:
    state, desk, acting, disk = hanging("B", clock)
    disk.hangs, desk.script, desk.silent = True, ["after"], True
    with pytest.raises(OutcomeUnknownError):
        acting.act(**SELL)
    disk.hangs, desk.silent = False, False
    assert acting.act(**SELL).repeated
    assert len(desk.orders) == 1
    assert state.open_intents() == []


def test_in_a_process_that_could_read_nothing_yet_an_exit_is_sent_and_an_entry_refused(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("B", clock)
    state.tape = Unreadable(state.tape)  # type: ignore[assignment]
    with pytest.raises(ActionRefusedError, match="cannot be written down"):
        acting.act(**BUY)
    acted = acting.act(**SELL)
    assert (acted.journaled, acted.intent.status) == (False, "reserved")
    assert len(desk.orders) == 1


class Unreadable:
    """A tape whose disk refuses everything, reading as well."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise StorageError("The disk refuses.")

    transact = post = read = _refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tape, name)


def test_a_recovery_writes_unjournaled_exits_down_before_it_calls_the_journal_old(
    clock: Clock,
) -> None:
    state, _, acting, disk = hanging("B", clock)
    disk.hangs = True
    sent = acting.act(**SELL).intent
    disk.hangs = False
    report = acting.recover()
    assert (report.older_than_venue, report.adopted, report.ready) == (False, (), True)
    assert (acting.unjournaled, state.intent(sent.id).status) == ([], "done")


def test_an_order_that_was_answered_while_the_disk_failed_is_asked_after(clock: Clock) -> None:
    state, desk, acting, disk = hanging("C", clock)

    def fail(_intent: Intent) -> None:
        disk.hangs = True

    desk.while_sending = fail
    acted = acting.act(**BUY)
    assert not acted.journaled
    desk.while_sending = lambda _intent: None
    disk.hangs = False
    assert acting.act(**BUY).repeated
    assert len(desk.orders) == 1
    assert state.intent(acted.intent.id).status == "done"


# --- the lease -----------------------------------------------------------------------------


def test_f9_a_lease_that_runs_out_before_the_wire_keeps_an_order_from_being_sent(
    clock: Clock,
) -> None:
    state, desk, acting = desk_of("B", clock)
    with state.lease("a", 10) as lease:
        reserve = state.reserve_intent

        def slowly(wanted: Intent, **arguments: Any) -> Any:
            found = reserve(wanted, **arguments)
            clock.pass_by(11)  # stopped here, and woken later
            return found

        state.reserve_intent = slowly  # type: ignore[method-assign]
        with pytest.raises(ActionRefusedError, match="lease ran out"):
            acting.act(**BUY)
        assert (desk.sent, lease.is_valid()) == ([], False)


def test_f9_who_lost_the_lease_does_not_say_that_an_order_was_dropped(clock: Clock) -> None:
    state, desk, acting = desk_of("B", clock)
    state.lease("a", 10)
    reserved = state.reserve(**BUY)
    other = State(state.tape, now=clock.now, entropy=state.entropy, monotonic=clock.monotonic)
    clock.pass_by(11)
    other.lease("b", 10)
    for status in ("dropped", "absent", "refused"):
        with pytest.raises(ActionRefusedError, match="followed by lease 2 of b"):
            state.settle(reserved.intent, status)  # pyright: ignore[reportArgumentType]
    assert state.settle(reserved.intent, "accepted", ref="x").status == "accepted"  # it was sent
    with pytest.raises(ActionRefusedError):
        acting.act(**SELL)
    assert desk.sent == []
