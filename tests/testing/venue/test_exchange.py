from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from haulout.state.refs import Class
from haulout.testing.venue.clock import Clock
from haulout.testing.venue.exchange import Exchange, plain
from haulout.testing.venue.ledger import Ledger, duplicates, read_ledger
from haulout.testing.venue.orders import Order, Refusal, Wanted

PAIR = "BTC/USDT"
START = 1_767_225_600_000_000


def exchange(kind: Class = "C", **more) -> Exchange:
    return Exchange(Clock(START), Ledger(), kind=kind, prices={PAIR: Decimal(100)}, **more)


def buy(amount: object = 1, **more) -> Wanted:
    return Wanted(symbol=PAIR, side="buy", amount=Decimal(str(amount)), **more)


def rest(price: object = 90, **more) -> Wanted:
    return buy(type="limit", price=Decimal(str(price)), **more)


def whats(place: Exchange) -> list[str]:
    return [one.what for one in place.ledger.entries]


def test_a_market_order_fills_at_the_price_that_the_test_has_set() -> None:
    place = exchange()
    place.set_price(PAIR, Decimal(107))
    order = place.place(buy(2))
    assert (order.status, order.filled, order.paid) == ("filled", 2, 214)
    assert whats(place) == ["accepted", "filled"]
    assert place.ledger.entries[1].price == "107"
    assert place.traded == {PAIR: 2}


@pytest.mark.parametrize(
    ("side", "limit", "moves_to", "fills_at"),
    [("buy", 90, 89, "89"), ("buy", 90, 90, "90"), ("sell", 110, 111, "111")],
)
def test_a_limit_order_rests_until_the_price_crosses_it(
    side: str, limit: int, moves_to: int, fills_at: str
) -> None:
    place = exchange()
    wanted = Wanted(symbol=PAIR, side=side, amount=Decimal(1), type="limit", price=Decimal(limit))
    order = place.place(wanted)
    assert order.status == "open"
    place.set_price(PAIR, Decimal(limit + (1 if side == "buy" else -1)))
    assert order.status == "open"
    place.set_price(PAIR, Decimal(moves_to))
    assert order.status == "filled"
    assert place.ledger.entries[-1].price == fills_at


def test_a_stop_waits_until_its_price_is_passed() -> None:
    place = exchange()
    stop = Wanted(symbol=PAIR, side="sell", amount=Decimal(1), type="stop", stop=Decimal(95))
    order = place.place(stop)
    place.set_price(PAIR, Decimal(96))
    assert order.status == "open"
    place.set_price(PAIR, Decimal(94))
    assert (order.status, order.paid) == ("filled", 94)


def test_parts_of_an_order_fill_until_nothing_is_left() -> None:
    place = exchange()
    order = place.place(rest())
    place.fill(order, Decimal("0.25"))
    assert (order.status, order.filled) == ("open", Decimal("0.25"))
    place.fill(order, Decimal(5))
    assert (order.status, order.filled) == ("filled", 1)
    fills = [one for one in place.ledger.entries if one.what == "filled"]
    assert [(one.amount, one.price) for one in fills] == [("0.25", "90"), ("0.75", "90")]


def test_what_was_taken_back_fills_no_more_and_is_not_taken_back_twice() -> None:
    place = exchange()
    order = place.place(rest())
    place.cancel(order)
    place.set_price(PAIR, Decimal(1))
    place.fill(order)
    assert (order.status, order.filled) == ("cancelled", 0)
    with pytest.raises(Refusal) as refused:
        place.cancel(order)
    assert refused.value.reason == "closed"


def test_an_order_takes_the_place_of_another() -> None:
    place = exchange()
    old = place.place(rest(client="a"))
    new = place.replace(old, rest(95, client="b"))
    assert (old.status, new.status, new.replaces) == ("cancelled", "open", old.id)
    assert whats(place) == ["accepted", "cancelled", "accepted"]


def second(kind: Class, first: Wanted) -> str:
    """What a second order with the same client ID meets."""
    place = exchange(kind)
    order = place.place(first)
    try:
        again = place.place(first)
    except Refusal as refusal:
        return refusal.reason
    return "the first" if again.id == order.id else "another"


@pytest.mark.parametrize(
    ("kind", "while_open", "once_filled"),
    [
        ("A", "the first", "the first"),
        ("B", "duplicate", "duplicate"),
        ("C", "duplicate", "another"),
        ("D", "another", "another"),
    ],
)
def test_a_class_says_what_a_second_order_with_an_id_meets(
    kind: Class, while_open: str, once_filled: str
) -> None:
    assert second(kind, rest(client="x")) == while_open
    assert second(kind, buy(client="x")) == once_filled
    assert second(kind, buy()) == "another"  # without an ID nothing is the same


def test_money_is_booked_and_what_open_orders_need_is_locked() -> None:
    place = exchange(balances={"USDT": Decimal(250)})
    place.place(rest(90))
    assert place.locked("USDT") == 90
    place.place(buy())
    assert place.balances == {"USDT": 150, "BTC": 1}
    with pytest.raises(Refusal) as refused:
        place.place(buy())
    assert refused.value.reason == "funds"
    assert place.ledger.entries[-1].what == "refused"
    assert place.locked("BTC") == 0


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [(buy(0), "amount"), (Wanted(symbol="X/Y", side="buy", amount=Decimal(1)), "symbol")],
)
def test_what_makes_no_sense_is_refused(wanted: Wanted, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        exchange().place(wanted)
    assert refused.value.reason == reason


def test_a_ledger_file_has_every_entry_and_survives_a_last_line_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    place = Exchange(Clock(START), ledger, prices={PAIR: Decimal(100)})
    place.place(buy(key="s1"))
    ledger.close()
    assert read_ledger(path) == ledger.entries
    with path.open("ab") as file:
        file.write(b'{"n":3,"at"')
    assert read_ledger(path) == ledger.entries


def test_duplicates_are_accepted_entries_with_one_key_and_nothing_else() -> None:
    place = exchange("D")
    for wanted in (
        buy(key="s1"), buy(key="s1"), buy(key="s1"), buy(key="s2"), buy(), buy(),
        buy(key="x", entry=False), buy(key="x", entry=False),
    ):  # fmt: skip
        place.place(wanted)
    with pytest.raises(Refusal):
        place.place(buy(0, key="s2"))
    assert duplicates(place.ledger.entries) == {"s1": 2}


def test_numbers_are_written_without_exponents() -> None:
    assert [plain(Decimal(one)) for one in ("1E+3", "0.500", "1E-7", "0")] == [
        "1000", "0.5", "0.0000001", "0",
    ]  # fmt: skip


def test_reports_tell_what_happened_in_order() -> None:
    place = exchange()
    told: list[tuple[str, int]] = []

    def report(what: str, order: Order, _fill: object) -> None:
        told.append((what, order.id))

    place.report = report
    order = place.place(rest())
    place.place(buy())
    place.cancel(order)
    assert told == [("accepted", 1), ("accepted", 2), ("filled", 2), ("cancelled", 1)]
