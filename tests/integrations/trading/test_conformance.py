"""On the wire: our ID in the field that each venue reads, once, and found again by it.

Every venue of the table in docs/trading.md is driven through ccxt's own adapter against loopback
HTTP. A double reads the ID from the documented field alone, so that an ID in another field is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ccxt
import msgspec
import pytest
from integrations.trading.doubles import DOUBLES
from integrations.trading.loopback import Request, Venue, made, running
from state.desk import Clock, in_memory

from haulout.errors import OutcomeUnknownError
from haulout.integrations.ccxt import Guard, guard, guard_of, recover
from haulout.integrations.venues.wire import WIRES, rules_of, wire_of
from haulout.state.refs import write

PAGE = Path(__file__).resolve().parents[3] / "docs" / "trading.md"
SIDES = {"limit": "buy", "market": "buy", "stop": "sell"}
STOPS = {
    # How ccxt is asked for an order that waits for a price, where not by triggerPrice.
    "kraken": {"stopLossPrice": 19500}, "deribit": {"stopLossPrice": 19500},
}  # fmt: skip
NO_STOPS = {
    # ccxt sends a plain order in its stead there, without a word: not the guard's to mend.
    "mexc", "bitstamp",
}  # fmt: skip
NO_STOP_ID = {"gate"}


class Bot:
    """A program with a guarded exchange, at a double."""

    def __init__(self, name: str, venue: Venue, *, guarded: bool = True, seed: str = "one") -> None:
        self.name, self.venue = name, venue
        self.clock = Clock()
        self.state = in_memory(self.clock, seed)
        self.exchange = made(ccxt, name, venue)
        if guarded:
            guard(self.exchange, self.state, sleep=self.clock.pass_by)

    @property
    def guard(self) -> Guard:
        return guard_of(self.exchange)

    def order(self, kind: str = "limit", **params: Any) -> Any:
        symbol = self.venue.double.symbol
        if kind == "stop":
            params = {**STOPS.get(self.name, {"triggerPrice": 19500}), **params}
        price = 19000 if kind == "stop" else 20000
        plain = "limit" if kind == "stop" else kind
        return self.exchange.create_order(symbol, plain, SIDES[kind], 0.01, price, params)


@pytest.fixture(params=sorted(DOUBLES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def venue(name: str) -> Iterator[Venue]:
    with running(DOUBLES[name]) as one:
        yield one


def text_of(bot: Bot, intent: bytes) -> str:
    rules = rules_of(bot.name)
    return write(intent, rules.code, rules.prefix)


def unexpected(venue: Venue) -> list[str]:
    """Requests that the double has no answer for: the venue's documentation was not followed."""
    double = venue.double
    known = [double.create, double.stop, double.look, double.lists, double.cancel, *double.also]
    return [
        one.line for one in venue.requests if not any(re.fullmatch(p, one.line) for p in known if p)
    ]


# --- creating ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["limit", "market", "stop"])
def test_an_order_goes_out_once_with_our_id_in_the_field_that_the_venue_reads(
    name: str, venue: Venue, kind: str
) -> None:
    bot = Bot(name, venue)
    order = bot.order(kind)
    assert len(venue.sent()) == len(venue.orders) == 1
    (intent,) = bot.state.open_intents()
    assert intent.status == "accepted"
    assert (intent.ref, order["id"]) == (venue.orders[0].ref, venue.orders[0].ref)
    if kind == "stop" and name in NO_STOP_ID:
        assert venue.orders[0].client is None
        return
    assert venue.orders[0].client == text_of(bot, intent.id)
    assert re.fullmatch(venue.double.form, venue.orders[0].client)
    assert unexpected(venue) == []


def test_a_second_order_has_another_id(name: str, venue: Venue) -> None:
    bot = Bot(name, venue)
    bot.order()
    bot.order()
    assert len({one.client for one in venue.orders}) == 2


@pytest.mark.parametrize("name", ["coinbase", "cryptocom", "deribit"])
def test_control_unguarded_ccxt_drops_the_unified_id(name: str, venue: Venue) -> None:
    ours = "0f" * 16
    Bot(name, venue, guarded=False).order(clientOrderId=ours)
    (order,) = venue.orders
    assert order.client != ours


def test_control_unguarded_ccxt_sends_okx_stops_with_a_field_that_okx_does_not_read() -> None:
    with running(DOUBLES["okx"]) as venue:
        Bot("okx", venue, guarded=False).order("stop", clientOrderId="0f" * 16)
        assert venue.orders[0].client is None


@pytest.mark.parametrize("name", ["binance", "okx", "coinbase", "alpaca"])
def test_control_unguarded_ccxt_sends_another_random_id_each_time(name: str, venue: Venue) -> None:
    bot = Bot(name, venue, guarded=False)
    bot.order()
    bot.order()
    first, second = (one.client for one in venue.orders)
    assert first is not None
    assert second not in {None, first}


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [("kraken", "ordertype", "limit"), ("deribit", "type", "limit"), ("mexc", "type", "LIMIT")],
)
def test_control_ccxt_sends_a_plain_limit_order_where_an_adapter_knows_no_trigger(
    name: str, venue: Venue, field: str, kind: str
) -> None:
    exchange = Bot(name, venue, guarded=False).exchange
    symbol = venue.double.symbol
    exchange.create_order(symbol, "limit", "sell", 0.01, 19000, {"triggerPrice": 19500})
    (request,) = venue.sent()
    assert request.said[field] == kind


# --- finding -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_an_order_is_found_by_our_id_alone(name: str, venue: Venue, kind: str) -> None:
    if kind == "stop" and name in NO_STOP_ID:
        pytest.skip("no field for it there: a test below says what happens")
    bot = Bot(name, venue)
    bot.order(kind)
    (intent,) = bot.state.open_intents()
    seen = bot.guard.venue.find(msgspec.structs.replace(intent, ref=None))
    assert seen is not None
    assert (seen.ref, seen.status) == (venue.orders[0].ref, "accepted")


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_an_order_that_never_arrived_is_not_found(name: str, venue: Venue, kind: str) -> None:
    bot = Bot(name, venue)
    bot.order(kind)
    (intent,) = bot.state.open_intents()
    other = msgspec.structs.replace(intent, id=intent.id[:-4] + b"\1\2\3\4", ref=None)
    assert bot.guard.venue.find(other) is None


@pytest.mark.parametrize("name", ["kraken"])
def test_kraken_is_never_asked_by_userref(name: str, venue: Venue) -> None:
    bot = Bot(name, venue)
    bot.order()
    (intent,) = bot.state.open_intents()
    bot.guard.venue.find(msgspec.structs.replace(intent, ref=None))
    assert not [one for one in venue.requests if "userref" in one.said]


def test_our_orders_are_told_from_others_in_the_lists(name: str, venue: Venue) -> None:
    bot = Bot(name, venue)
    bot.order()
    Bot(name, venue, seed="another").order()
    shown = list(bot.guard.venue.listed(0))
    (intent,) = bot.state.open_intents()
    assert {one.ref: one.intent for one in shown} == {
        venue.orders[0].ref: intent.id, venue.orders[1].ref: None,
    }  # fmt: skip


# --- losing --------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["after", "500"])
def test_an_order_whose_answer_is_lost_is_sent_once_and_found(
    name: str, venue: Venue, fate: str
) -> None:
    bot = Bot(name, venue)
    venue.lose = [fate]
    order = bot.order()
    # Class A answers the same order again with the first one: that is how it is asked.
    repeats = 2 if rules_of(name).kind == "A" else 1
    assert len(venue.sent()) == repeats
    assert order["id"] == venue.orders[0].ref
    assert len({one.client for one in venue.orders}) == 1
    (intent,) = bot.state.open_intents()
    assert intent.status == "accepted"


def test_an_order_that_was_lost_before_it_arrived(name: str, venue: Venue) -> None:
    bot = Bot(name, venue)
    venue.lose = ["before"]
    if rules_of(name).kind == "D":
        with pytest.raises(OutcomeUnknownError):
            bot.order()
        assert venue.orders == []
        with pytest.raises(OutcomeUnknownError):  # and it stays so, until a person looks
            bot.order()
        assert len(venue.sent()) == 1
        return
    order = bot.order()
    assert order["id"] == venue.orders[0].ref
    one, two = venue.sent()
    field = venue.double.field
    assert one.said[field] == two.said[field]


def test_after_a_crash_an_order_is_found_at_recovery_and_not_sent_again(
    name: str, venue: Venue
) -> None:
    bot = Bot(name, venue)
    bot.order()
    # What a crash between the answer and its entry in the journal leaves: the intent alone.
    events = [event for _, event in bot.state.events() if event.kind != 10]
    again = Bot(name, venue, guarded=False)
    again.state = in_memory(again.clock, events=events)
    guard(again.exchange, again.state, sleep=again.clock.pass_by)
    report = recover(again.exchange)
    assert [one.after for one in report.resolved] == ["accepted"]
    assert report.ready
    assert len(venue.sent()) == 1


# --- cancelling ----------------------------------------------------------------------------


def test_an_order_is_cancelled_and_its_intent_ends(name: str, venue: Venue) -> None:
    if venue.double.cancel == r"(?!)":
        pytest.skip("not driven")
    bot = Bot(name, venue)
    order = bot.order()
    bot.exchange.cancel_order(order["id"], venue.double.symbol)
    assert venue.orders[0].status == "cancelled"
    if name not in {"krakenfutures", "whitebit"}:  # their lists alone show what was cancelled
        assert [one for one in bot.state.open_intents() if one.action == "order"] == []


# --- editing -------------------------------------------------------------------------------

EDITS = {
    # Where a new order takes the old one's place: the request, and the field of the new one's ID.
    "binance": (r"POST /api/v3/order/cancelReplace", "newClientOrderId"),
    "alpaca": (r"PATCH /v2/orders/1001", "client_order_id"),
    "bitget": (r"POST /api/v2/spot/trade/cancel-replace-order", "newClientOid"),
}


@pytest.mark.parametrize("name", sorted(EDITS))
def test_a_new_order_in_an_old_ones_place_carries_an_id_of_ours(name: str, venue: Venue) -> None:
    line, field = EDITS[name]
    bot = Bot(name, venue)
    order = bot.order()
    asked: list[str] = []

    def edited(found: Venue, request: Request) -> Any:
        asked.append(request.said[field])
        found.orders[0].status = "cancelled"
        new = replace(found.orders[0], ref="2002", client=request.said[field], status="open")
        found.orders.append(new)
        shown = found.double.created(new)
        return {"newOrderResponse": shown} if name == "binance" else shown

    venue.double = venue.double._replace(also={**venue.double.also, line: edited})
    found = bot.exchange.edit_order(order["id"], venue.double.symbol, "limit", "buy", 0.02, 20000)
    assert found["id"] == "2002"
    (text,) = asked
    assert re.fullmatch(venue.double.form, text)
    assert text.replace("-", "").startswith(bot.state.tag().hex())
    assert text != venue.orders[0].client
    assert [one.ref for one in bot.state.open_intents()] == ["2002"]


def test_every_venue_with_a_field_for_the_new_orders_id_is_driven() -> None:
    assert {name for name, wire in WIRES.items() if wire.edit} == set(EDITS)


# --- the table -----------------------------------------------------------------------------


def test_every_venue_whose_wire_is_known_is_driven_here() -> None:
    assert set(WIRES) == set(DOUBLES)


def test_a_venue_outside_the_table_is_of_class_d() -> None:
    assert rules_of("somewhere").kind == "D"
    assert wire_of("somewhere").create == "clientOrderId"


def test_the_page_names_the_field_and_class_of_every_venue() -> None:
    row = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| ([ABCD]) \|", re.MULTILINE)
    rows = row.findall(PAGE.read_text("utf-8"))
    assert {row[0]: (row[1], row[2]) for row in rows} == {
        name: (rules_of(name).field, rules_of(name).kind) for name in DOUBLES
    }
