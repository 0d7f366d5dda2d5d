from __future__ import annotations

from decimal import Decimal

import pytest

from haulout.testing.venue.clock import Clock
from haulout.testing.venue.desk import Desk, Reply
from haulout.testing.venue.exchange import Exchange
from haulout.testing.venue.faults import Fault, Faults
from haulout.testing.venue.ledger import Ledger
from haulout.testing.venue.orders import Wanted

PAIR = "BTC/USDT"
START = 1_767_225_600_000_000


@pytest.fixture
def desk() -> Desk:
    return Desk(Exchange(Clock(START), Ledger(), prices={PAIR: Decimal(100)}), Faults())


def arm(desk: Desk, point: str, **more) -> None:
    desk.faults.arm(Fault(point=point, **more))


def send(desk: Desk, client: str = "a", **more) -> Reply:
    wanted = {"symbol": PAIR, "side": "buy", "amount": Decimal(2), "client": client, **more}
    return desk.submit(Wanted(**wanted))


def rest(desk: Desk, client: str = "a") -> Reply:
    return send(desk, client, type="limit", price=Decimal(90))


def accepted(desk: Desk) -> int:
    return sum(one.what == "accepted" for one in desk.exchange.ledger.entries)


def advance(desk: Desk, seconds: float) -> None:
    desk.exchange.clock.advance(seconds)


@pytest.mark.parametrize(
    ("point", "faring", "arrives"),
    [
        ("cut_before_accept", "cut", 0),
        ("cut_after_accept", "cut", 1),
        ("error_before_accept", "error", 0),
        ("error_after_accept", "error", 1),
        ("busy", "busy", 0),
        ("hang_before_accept", "hang", 0),
        ("hang_after_accept", "hang", 1),
        ("garbage_after_accept", "garbage", 1),
        ("kill_before_accept", "kill", 0),
        ("kill_after_accept", "kill", 1),
    ],
)
def test_a_fault_meets_an_order_before_or_after_it_is_accepted(
    desk: Desk, point: str, faring: str, arrives: int
) -> None:
    arm(desk, point)
    reply = send(desk)
    assert (reply.faring, reply.done, accepted(desk)) == (faring, bool(arrives), arrives)
    assert send(desk, "b").faring == ""  # it is used up
    assert desk.faults.met == [point]


def test_a_refusal_is_for_good_and_nothing_is_accepted(desk: Desk) -> None:
    arm(desk, "refuse")
    reply = send(desk)
    assert reply.refusal is not None
    assert reply.refusal.reason == "refused"
    assert accepted(desk) == 0


def test_an_order_that_was_cut_off_arrives_late(desk: Desk) -> None:
    arm(desk, "late_accept", seconds=5)
    assert send(desk).faring == "cut"
    advance(desk, 4)
    assert desk.find("a").value is None
    advance(desk, 1.5)
    assert desk.find("a").value.status == "filled"


def test_a_market_order_that_is_held_back_fills_later(desk: Desk) -> None:
    arm(desk, "delayed_fill", seconds=10)
    assert send(desk).value.status == "open"
    desk.exchange.set_price(PAIR, Decimal(100))
    advance(desk, 9)
    assert desk.find("a").value.status == "open"
    advance(desk, 2)
    assert desk.find("a").value.status == "filled"


def test_half_of_a_market_order_fills_and_the_rest_waits_for_the_test(desk: Desk) -> None:
    arm(desk, "partial_fill")
    order = send(desk).value
    desk.exchange.set_price(PAIR, Decimal(100))
    assert (order.status, order.filled) == ("open", 1)
    assert desk.hand_fill("client:a", None).status == "filled"


def test_reads_do_not_show_a_stale_order_for_some_seconds_or_reads(desk: Desk) -> None:
    arm(desk, "stale", seconds=5)
    send(desk)
    assert desk.find("a").value is None
    assert desk.get("1").value is None
    assert desk.listed().value == []
    assert desk.positions().value == {}
    assert desk.trades().value == []
    advance(desk, 5)
    assert desk.find("a").value.id == 1
    assert desk.positions().value == {PAIR: 2}
    arm(desk, "stale", reads=3)
    send(desk, "b")
    assert [desk.find("b").value is None for _ in range(4)] == [True, True, False, False]


def test_a_missing_look_up_finds_nothing_by_id_and_lists_go_on(desk: Desk) -> None:
    arm(desk, "lookup_missing", count=-1)
    send(desk)
    assert desk.find("a").value is None
    assert desk.get("client:a").value is None
    assert len(desk.listed().value) == 1


def test_a_window_leaves_out_what_ended_long_ago_and_says_so(desk: Desk) -> None:
    send(desk, "old")
    rest(desk, "open")
    advance(desk, 100)
    send(desk, "new")
    arm(desk, "window", seconds=50)
    assert [one.client for one in desk.listed().value] == ["open", "new"]
    assert desk.complete_since() == START + 50_000_000
    assert desk.find("old").value is None
    desk.faults.clear()
    arm(desk, "window", reads=1)
    assert [one.client for one in desk.listed().value] == ["open", "new"]
    assert desk.complete_since() == START + 100_000_000
    desk.faults.clear()
    assert desk.complete_since() == 0
    assert len(desk.listed().value) == 3


def test_a_list_has_what_is_open_and_what_changed_since(desk: Desk) -> None:
    rest(desk, "open")
    send(desk, "early")
    advance(desk, 10)
    send(desk, "late")
    since = START + 5_000_000
    assert [one.client for one in desk.listed(since).value] == ["open", "late"]
    assert [one.client for one in desk.listed(open_only=True).value] == ["open"]
    assert desk.listed(symbol="ETH/BTC").value == []


@pytest.mark.parametrize("call", ["find", "list", "positions", "cancel", "replace"])
def test_every_call_has_its_own_faults(desk: Desk, call: str) -> None:
    rest(desk)
    arm(desk, "cut_after_accept", on=call)
    other = Wanted(symbol=PAIR, side="buy", amount=Decimal(1), type="limit", price=Decimal(80))
    calls = {
        "find": lambda: desk.find("a"), "list": desk.listed, "positions": desk.positions,
        "cancel": lambda: desk.cancel("client:a"), "replace": lambda: desk.replace("1", other),
    }  # fmt: skip
    for name, ask in calls.items():
        if name != call and name not in {"cancel", "replace"}:
            assert ask().faring == "", name
    assert calls[call]().faring == "cut"
    assert desk.exchange.orders[1].status == (
        "cancelled" if call in {"cancel", "replace"} else "open"
    )


def test_a_cancellation_that_was_cut_off_before_leaves_the_order_open(desk: Desk) -> None:
    rest(desk)
    arm(desk, "cut_before_accept", on="cancel")
    assert desk.cancel("1").faring == "cut"
    assert desk.exchange.orders[1].status == "open"


def test_faults_skip_and_count_and_are_for_entries_or_exits(desk: Desk) -> None:
    arm(desk, "cut_before_accept", skip=1, count=2)
    assert [send(desk, str(n)).faring for n in range(4)] == ["", "cut", "cut", ""]
    arm(desk, "busy", entry=False, count=-1)
    assert send(desk, "e").faring == ""
    assert send(desk, "f", entry=False).faring == "busy"
    assert send(desk, "g", entry=False).faring == "busy"
    assert [one.point for one in desk.faults.left()] == ["busy"]


def test_a_chance_is_drawn_from_the_fault_s_own_seed(desk: Desk) -> None:
    def farings(seed: int, *, other: bool) -> list[str]:
        desk.faults.clear()
        if other:
            arm(desk, "busy", chance=50, count=-1, on="cancel", seed=9)
        arm(desk, "cut_before_accept", chance=40, count=-1, seed=seed)
        return [send(desk, str(n)).faring for n in range(40)]

    first = farings(1, other=False)
    assert first == farings(1, other=True)
    assert first != farings(2, other=False)
    assert 5 < first.count("cut") < 30


def test_a_doubled_order_shows_its_fills_twice_in_lists_of_trades(desk: Desk) -> None:
    arm(desk, "duplicate_report")
    send(desk, "a")
    send(desk, "b")
    assert [order.client for order, _ in desk.trades().value] == ["a", "a", "b"]


def test_an_order_that_is_not_there_is_not_taken_back(desk: Desk) -> None:
    for name in ("7", "client:x", "nonsense"):
        refusal = desk.cancel(name).refusal
        assert refusal is not None
        assert refusal.reason == "missing"
