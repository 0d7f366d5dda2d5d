"""MetaTrader 5 through an emulated terminal: what `order_send` does is done once."""

from __future__ import annotations

from typing import Any

import pytest

from haulout.errors import (
    ActionRefusedError,
    InputError,
    OutcomeUnknownError,
    StorageError,
    VenueRefusedError,
)
from haulout.integrations.metatrader import SendResult, Terminal, guard
from haulout.state.refs import write
from haulout.state.state import State
from haulout.testing.terminal import EmulatedTerminal

NOW = 1_790_000_000_000_000
MAGIC = 77_001
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "price": 1.1, "comment": "dip"}
LIMIT = {"action": 5, "symbol": "EURUSD", "volume": 0.3, "type": 2, "price": 1.05}


class Desk:
    def __init__(self, offset_s: int = 0) -> None:
        self.clock = NOW
        self.slept: list[float] = []
        self.mt5 = EmulatedTerminal(now=lambda: self.clock, server_offset_s=offset_s)
        self.state = State.in_memory("bots/ea", now=lambda: self.clock)
        self.start()

    def start(self) -> None:
        """The program starts (again) on the same journal and the same account."""
        self.state = State(self.state.tape, now=lambda: self.clock)
        self.guarded = guard(self.mt5, self.state, magic=MAGIC, sleep=self.slept.append)

    def send(self, request: dict[str, Any], **more: Any) -> Any:
        return self.guarded.order_send(request, **more)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_order_carries_the_magic_number_and_the_intents_id_before_its_own_comment(
    desk: Desk,
) -> None:
    result = desk.send(BUY)
    assert (result.retcode, result.volume) == (desk.mt5.TRADE_RETCODE_DONE, 0.1)
    (sent,) = desk.mt5.sent
    intent = desk.state.intent(desk.state.tape.read(lambda book, _past: book.recent[-1].id))
    assert sent == {**BUY, "magic": MAGIC, "comment": f"{write(intent.id, 'base62')} dip"}
    assert (intent.status, intent.filled, intent.ref) == ("done", "0.1", str(result.order))
    assert intent.content() == BUY


def test_a_long_comment_is_cut_and_the_id_is_whole(desk: Desk) -> None:
    desk.send({**BUY, "comment": "a very long comment of a strategy"})
    comment = desk.mt5.sent[0]["comment"]
    assert len(comment) == 31
    assert comment[22:] == " a very l"


@pytest.mark.parametrize("fault", ["lost after", "timeout after", "raises after"])
def test_an_order_whose_answer_was_lost_is_found_by_its_comment_and_not_sent_again(
    desk: Desk, fault: Any
) -> None:
    desk.mt5.fault = fault
    result = desk.send(BUY)
    assert isinstance(result, SendResult)
    assert (result.retcode, result.order, result.volume) == (10009, 1001, 0.1)
    assert (len(desk.mt5.sent), len(desk.mt5.deals)) == (1, 1)


@pytest.mark.parametrize("fault", ["lost before", "timeout before"])
def test_an_order_that_is_not_found_is_left_to_a_person_and_entries_wait(
    desk: Desk, fault: Any
) -> None:
    desk.mt5.fault = fault
    with pytest.raises(OutcomeUnknownError, match="proves nothing"):
        desk.send(BUY)
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)
    assert len(desk.mt5.sent) == 1
    desk.send({**BUY, "symbol": "GBPUSD"})  # another target is another question
    desk.mt5.positions.clear()
    (open_one,) = desk.state.open_intents()
    desk.state.settle(open_one, "dropped", why="looked at the account")
    desk.send(BUY)
    assert len(desk.mt5.deals) == 2


def test_an_order_whose_comment_the_broker_wrote_over_is_found_by_nothing(desk: Desk) -> None:
    desk.mt5.rewrites = lambda _comment: "[broker]"
    desk.mt5.fault = "lost after"
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)
    assert (len(desk.mt5.sent), len(desk.mt5.deals)) == (1, 1)


@pytest.mark.parametrize(
    "rewrites", [lambda text: f"{text[:22]}#3", lambda text: f"to {text}", lambda text: text[:22]]
)
def test_what_a_broker_writes_around_the_id_does_not_hide_it(desk: Desk, rewrites: Any) -> None:
    desk.mt5.rewrites = rewrites
    desk.mt5.fault = "lost after"
    assert desk.send(BUY).retcode == 10009


@pytest.mark.parametrize("rewrites", [lambda text: text[:21], lambda text: f"x{text}"])
def test_half_an_id_is_no_proof(desk: Desk, rewrites: Any) -> None:
    desk.mt5.rewrites = rewrites
    desk.mt5.fault = "lost after"
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)


def test_an_order_that_was_answered_is_known_by_its_ticket_whatever_became_of_its_comment(
    desk: Desk,
) -> None:
    desk.mt5.rewrites = lambda _comment: "[broker]"
    placed = desk.send(LIMIT)
    desk.mt5.fill(placed.order)
    desk.start()
    report = desk.guarded.recover(believed={"EURUSD": "0.3"})
    assert report.ready
    assert [(one.before, one.after) for one in report.resolved] == [("accepted", "done")]
    assert report.differs == ()


def test_an_order_of_another_magic_number_is_never_taken_for_ones_own(desk: Desk) -> None:
    desk.mt5.fault = "lost before"
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)
    (unknown,) = desk.state.open_intents()
    desk.mt5.order_send({**BUY, "magic": 5, "comment": write(unknown.id, "base62")})
    report = desk.guarded.recover(believed={})
    assert (report.unknown, report.foreign, report.differs) == ((unknown.text,), 1, ())


# ---------------------------------------------------------------------- after a crash


def test_after_a_crash_an_order_that_was_sent_is_found_and_none_is_repeated(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = desk.mt5.order_send

    def killed(request: Any) -> Any:
        taken(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.mt5, "order_send", killed)
    with pytest.raises(KeyboardInterrupt):
        desk.send(BUY, key="bar-1")
    monkeypatch.undo()
    desk.start()
    with pytest.raises(ActionRefusedError, match="no entry before `recover`"):
        desk.send(BUY, key="bar-1")
    report = desk.guarded.recover(believed={})
    assert report.ready
    assert [(one.target, one.believed, one.there) for one in report.differs] == [
        ("EURUSD", "0", "0.1")
    ]
    result = desk.send(BUY, key="bar-1")
    assert (result.retcode, len(desk.mt5.deals)) == (10009, 1)


def test_an_order_that_the_journal_lost_is_adopted_from_its_comment(desk: Desk) -> None:
    old = desk.state.tape.events  # type: ignore[attr-defined]
    tag = desk.state.tag()
    before = list(old)
    desk.send(BUY)
    desk.state = State.in_memory("bots/ea", now=lambda: desk.clock, events=before)
    assert desk.state.tag() == tag
    desk.start()
    report = desk.guarded.recover()
    assert len(report.adopted) == 1
    assert report.older_than_venue
    assert desk.state.intent(report.adopted[0]).status == "done"


@pytest.mark.parametrize("offset_h", [-5, 0, 3])
def test_a_server_whose_clock_is_hours_away_is_read_in_full(offset_h: int) -> None:
    desk = Desk(offset_s=offset_h * 3600)
    desk.mt5.fault = "lost after"
    opened = desk.send(BUY)
    desk.mt5.fault = "lost after"  # only the history tells of this one
    assert desk.send({**BUY, "type": 1, "position": opened.order}).retcode == 10009
    assert len(desk.mt5.deals) == 2


def test_an_order_that_opened_is_an_entry_and_one_that_closed_is_an_exit(desk: Desk) -> None:
    opened = desk.send(BUY)
    desk.send({**BUY, "type": 1, "position": opened.order})
    assert [one.entry for one in desk.guarded.terminal.listed(NOW)] == [True, False]


def test_what_deals_say_was_filled_counts_where_the_order_is_behind(desk: Desk) -> None:
    desk.send(BUY)
    (ticket,) = desk.mt5.history
    desk.mt5.history[ticket] = desk.mt5.history[ticket]._replace(volume_current=0.1)
    assert [one.filled for one in desk.guarded.terminal.listed(NOW)] == ["0.1"]


def test_a_terminal_that_does_not_answer_allows_no_entries(desk: Desk) -> None:
    placed = desk.send(LIMIT)
    desk.mt5.silent = True
    desk.start()
    report = desk.guarded.recover(believed={})
    assert not report.ready
    assert "No IPC connection (-10004)" in report.failures[0]
    desk.mt5.silent = False
    desk.mt5.fill(placed.order)
    assert desk.guarded.recover(believed={"EURUSD": "0.3"}).ready


# ---------------------------------------------------------------------- answers


@pytest.mark.parametrize("retcode", [10004, 10006, 10013, 10019, 10024, 10027, 10030, 10046])
def test_what_the_server_refused_is_answered_as_the_module_does(desk: Desk, retcode: int) -> None:
    desk.mt5.retcode = retcode
    assert desk.send(BUY).retcode == retcode
    assert desk.state.open_intents() == []
    assert desk.send(BUY).retcode == 10009  # a new decision is a new order


@pytest.mark.parametrize("retcode", [0, 10011, 10012, 10028, 10031, 10099])
def test_what_says_nothing_of_the_order_is_unknown(desk: Desk, retcode: int) -> None:
    desk.mt5.retcode = retcode
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)
    assert [one.status for one in desk.state.open_intents()] == ["unknown"]


def test_what_the_module_did_not_even_send_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.mt5, "order_send", lambda _request: None)
    monkeypatch.setattr(desk.mt5, "last_error", lambda: (-2, "Invalid params"))
    with pytest.raises(VenueRefusedError, match="did not send it"):
        desk.send(BUY)
    monkeypatch.setattr(desk.mt5, "last_error", lambda: (-10005, "IPC timeout"))
    with pytest.raises(OutcomeUnknownError):
        desk.send(BUY)


def test_one_key_is_one_order_and_its_answer_is_given_again(desk: Desk) -> None:
    first = desk.send(BUY, key="bar-1")
    again = desk.send(BUY, key="bar-1")
    assert (again.retcode, again.order, again.deal) == (first.retcode, first.order, first.deal)
    assert len(desk.mt5.sent) == 1


def test_a_part_of_an_order_is_counted_as_far_as_it_went(desk: Desk) -> None:
    desk.mt5.filled = 0.04
    assert desk.send(BUY).retcode == desk.mt5.TRADE_RETCODE_DONE_PARTIAL
    (open_one,) = desk.state.open_intents()
    assert (open_one.status, open_one.filled) == ("accepted", "0.04")


def test_a_pending_order_is_open_until_it_fills_or_is_removed(desk: Desk) -> None:
    one, other = desk.send(LIMIT), desk.send({**LIMIT, "symbol": "GBPUSD"})
    desk.mt5.fill(one.order)
    assert desk.send({"action": 8, "order": other.order}).retcode == 10009
    for intent in desk.state.open_intents():
        desk.guarded.actor.resolve(intent)
    kinds = desk.state.tape.read(
        lambda book, _past: {(one.action, one.target): one.status for one in book.recent}
    )
    assert kinds == {
        ("order", "EURUSD"): "done", ("order", "GBPUSD"): "cancelled",
        ("change", str(other.order)): "done",
    }  # fmt: skip


def test_positions_are_the_strategys_own_and_signed(desk: Desk) -> None:
    desk.send(BUY)
    desk.send({**BUY, "volume": 0.2})
    desk.send({**BUY, "symbol": "GBPUSD", "type": 1, "volume": 0.5})
    desk.mt5.order_send({**BUY, "magic": 5})
    assert desk.guarded.terminal.positions() == {"EURUSD": "0.3", "GBPUSD": "-0.5"}


# ---------------------------------------------------------------------- exits and changes


def test_closing_a_position_is_an_exit_that_no_limit_and_no_halt_forbids(desk: Desk) -> None:
    opened = desk.send(BUY, cost={"trades": 1}, holds=["trades"])
    desk.state.limit("trades/held", 1)
    desk.state.pause()
    with pytest.raises(ActionRefusedError, match="the owner said pause"):
        desk.send(BUY, cost={"trades": 1})
    intent = desk.state.tape.read(lambda book, _past: book.recent[-1].id)
    close = {**BUY, "type": 1, "position": opened.order}
    assert desk.send(close, closes=[intent]).retcode == 10009
    assert desk.mt5.positions == {}
    desk.state.resume()
    assert desk.send(BUY, cost={"trades": 1}).retcode == 10009


def test_what_closes_on_a_netting_account_is_an_exit_where_it_is_said_to_be(desk: Desk) -> None:
    desk.state.pause()
    assert desk.send({**BUY, "type": 1}, role="exit").retcode == 10009


def test_while_memory_is_down_an_entry_is_refused_and_an_exit_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = desk.send(BUY)

    def hung(*_arguments: Any, **_more: Any) -> None:
        raise StorageError("the disk does not answer")

    monkeypatch.setattr(desk.state.tape, "transact", hung)
    with pytest.raises(ActionRefusedError, match="cannot be written down"):
        desk.send(BUY)
    assert desk.send({**BUY, "type": 1, "position": opened.order}).retcode == 10009
    assert len(desk.guarded.actor.unjournaled) == 1


def test_a_stop_whose_answer_was_lost_is_known_by_where_it_stands(desk: Desk) -> None:
    opened = desk.send(BUY)
    stop = {"action": 6, "symbol": "EURUSD", "position": opened.order, "sl": 1.05}
    desk.mt5.fault = "lost after"
    assert desk.send(stop).retcode == 10009
    assert desk.send({**stop, "tp": 0.0}).retcode == desk.mt5.TRADE_RETCODE_NO_CHANGES
    desk.mt5.fault = "lost before"
    moved = {**stop, "sl": 1.07}
    with pytest.raises(OutcomeUnknownError):
        desk.send(moved)
    assert desk.send(moved).retcode == 10009  # an exit waits for nothing
    assert desk.mt5.positions[opened.order].sl == 1.07


def test_a_stop_that_never_came_is_known_after_a_minute(desk: Desk) -> None:
    opened = desk.send(BUY)
    desk.mt5.fault = "lost before"
    with pytest.raises(OutcomeUnknownError):
        desk.send({"action": 6, "position": opened.order, "sl": 1.05})
    desk.start()
    assert not desk.guarded.recover().ready
    desk.clock += 60_000_000
    report = desk.guarded.recover()
    assert report.ready
    assert [(one.action, one.after) for one in report.resolved] == [("change", "refused")]


@pytest.mark.parametrize(
    ("change", "made"), [({"action": 7, "price": 1.01}, True), ({"action": 8}, True)]
)
def test_a_changed_or_removed_order_whose_answer_was_lost_is_known(
    desk: Desk, change: dict[str, Any], *, made: bool
) -> None:
    placed = desk.send(LIMIT)
    desk.mt5.fault = "lost after"
    assert (desk.send({**change, "order": placed.order}).retcode == 10009) is made
    assert len(desk.mt5.sent) == 2


# ---------------------------------------------------------------------- the guard


def test_every_other_name_is_the_modules_own(desk: Desk) -> None:
    assert desk.guarded.TRADE_ACTION_DEAL == 1
    assert desk.guarded.positions_get() == ()
    assert desk.guarded.last_error() == (1, "Success")
    with pytest.raises(AttributeError):
        _ = desk.guarded.no_such_name


def test_a_request_of_another_magic_number_is_refused_before_anything(desk: Desk) -> None:
    with pytest.raises(InputError, match="77001 alone"):
        desk.send({**BUY, "magic": 5})
    assert (desk.mt5.sent, desk.state.open_intents()) == ([], [])
    assert desk.send({**BUY, "magic": MAGIC}).retcode == 10009


@pytest.mark.parametrize("magic", [0, -1, 2**63])
def test_a_magic_number_tells_the_strategy_apart_or_is_refused(desk: Desk, magic: int) -> None:
    with pytest.raises(InputError, match="A magic number"):
        Terminal(desk.mt5, magic, now=lambda: NOW)


def test_it_says_of_itself_that_no_terminal_saw_it() -> None:
    from haulout.integrations import metatrader

    assert "UNTESTED ON A TERMINAL" in (metatrader.__doc__ or "").splitlines()[0]
