"""The guard around an exchange of ccxt: what it sends, what it tells, and what it leaves alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import pytest
from integrations.trading.doubles import DOUBLES
from integrations.trading.loopback import Venue, made, running
from state.desk import Clock, in_memory

from haulout.errors import (
    ActionRefusedError,
    InputError,
    NotFoundError,
    OperationReusedError,
    OutcomeUnknownError,
    StorageError,
)
from haulout.integrations.ccxt import guard, guard_of, recover, recover_async, unguard
from haulout.integrations.venues.answers import is_refusal, says_duplicate
from haulout.integrations.venues.orders import OrderRequest, cost_of, number, role_of, slim
from haulout.state.state import State

SPOT = "BTC/USDT"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    return in_memory(clock)


@pytest.fixture
def venue() -> Iterator[Venue]:
    with running(DOUBLES["binance"]) as one:
        yield one


@pytest.fixture
def exchange(venue: Venue, state: State, clock: Clock) -> Any:
    return guard(made(ccxt, "binance", venue), state, sleep=clock.pass_by)


def buy(exchange: Any, amount: float = 0.01, price: float = 20000, **params: Any) -> Any:
    return exchange.create_order(SPOT, "limit", "buy", amount, price, params)


def sell(exchange: Any, amount: float = 0.01, **params: Any) -> Any:
    return exchange.create_order(SPOT, "limit", "sell", amount, 21000, params)


def answers(venue: Venue, status: int, body: Any, times: int = 1) -> None:
    """The next orders are answered so, and are not accepted."""
    before = venue.answer
    left = [times]

    def answer(request: Any) -> Any:
        if left[0] and venue.creates(request):
            left[0] -= 1
            venue.requests.append(request)
            return status, body
        return before(request)

    venue.answer = answer  # type: ignore[method-assign]


# --- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": -2010, "msg": "Account has insufficient balance for requested action."},
         ccxt.InsufficientFunds),
        ({"code": -1013, "msg": "Filter failure: LOT_SIZE"}, ccxt.InvalidOrder),
        ({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
         ccxt.AuthenticationError),
    ],
)  # fmt: skip
def test_a_refusal_is_ccxts_own_error_and_ends_the_intent(
    exchange: Any, venue: Venue, state: State, body: Any, kind: type[Exception]
) -> None:
    answers(venue, 400, body)
    with pytest.raises(kind) as caught:
        buy(exchange)
    assert type(caught.value).__module__ == "ccxt.base.errors"
    assert state.open_intents() == []
    assert len(venue.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {}), (504, {}), (429, {"code": -1003, "msg": "Too many requests."}), (418, {}),
        (200, "half an answer"), (400, {"code": -1007, "msg": "Timeout waiting for response"}),
        (400, {"code": -1006, "msg": "An unexpected response; execution status unknown."}),
        (400, {"code": -987654, "msg": "something new"}),
    ],
)  # fmt: skip
def test_whatever_is_no_refusal_is_looked_up_before_the_order_is_sent_again(
    exchange: Any, venue: Venue, status: int, body: Any
) -> None:
    answers(venue, status, body)
    order = buy(exchange)
    assert order["id"] == "1001"
    lines = [one.line for one in venue.requests]
    assert lines[0] == lines[-1] == "POST /api/v3/order"
    assert lines.count("GET /api/v3/order") == 2  # twice, with the settling time between
    one, two = venue.sent()
    assert one.said["newClientOrderId"] == two.said["newClientOrderId"]


def test_a_duplicate_is_no_refusal_and_an_order_that_is_said_to_be_there_stays_unknown(
    exchange: Any, venue: Venue, state: State
) -> None:
    answers(venue, 400, {"code": -2010, "msg": "Duplicate order sent."}, times=9)
    with pytest.raises(OutcomeUnknownError, match="says that it has") as caught:
        buy(exchange)
    assert isinstance(caught.value, ccxt.RequestTimeout)
    assert not isinstance(caught.value, ccxt.ExchangeError)  # which a bot takes for a refusal
    assert len(venue.sent()) == 1
    assert [one.status for one in state.open_intents()] == ["unknown"]


def test_an_unknown_outcome_is_ours_and_ccxts_error_at_once(exchange: Any, venue: Venue) -> None:
    venue.lose = ["after"]
    venue.double = venue.double._replace(look=r"(?!)")
    with pytest.raises(OutcomeUnknownError) as caught:
        buy(exchange)
    assert isinstance(caught.value, ccxt.NetworkError)
    assert caught.value.hint


def test_what_the_guard_refuses_is_an_error_that_a_ccxt_program_knows(
    exchange: Any, venue: Venue, state: State
) -> None:
    state.pause("holiday")
    recover(exchange)
    with pytest.raises(ccxt.OperationRejected) as caught:
        buy(exchange)
    assert isinstance(caught.value, ActionRefusedError)
    assert venue.sent() == []


def test_an_order_that_the_library_could_not_even_send_is_refused_for_good(
    exchange: Any, venue: Venue, state: State
) -> None:
    def broken(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    exchange.sign = broken
    with pytest.raises(ZeroDivisionError):
        buy(exchange)
    assert venue.requests == []
    assert state.open_intents() == []


def test_by_name_every_error_of_ccxt_that_may_hide_an_order_is_no_refusal() -> None:
    doubts = [
        ccxt.NetworkError, ccxt.RequestTimeout, ccxt.ExchangeNotAvailable, ccxt.OnMaintenance,
        ccxt.DDoSProtection, ccxt.RateLimitExceeded, ccxt.BadResponse, ccxt.NullResponse,
        ccxt.InvalidNonce, ccxt.ExchangeError, ccxt.OperationFailed, ccxt.OrderNotFound,
        ccxt.DuplicateOrderId, ccxt.CancelPending,
    ]  # fmt: skip
    assert [one for one in doubts if is_refusal(one("x"))] == []
    refusals = [
        ccxt.InvalidOrder, ccxt.InsufficientFunds, ccxt.BadSymbol, ccxt.BadRequest,
        ccxt.AuthenticationError, ccxt.PermissionDenied, ccxt.AccountSuspended, ccxt.MarketClosed,
        ccxt.ArgumentsRequired, ccxt.NotSupported, ccxt.OrderImmediatelyFillable,
        ccxt.OrderNotFillable,
    ]  # fmt: skip
    assert [one for one in refusals if not is_refusal(one("x"))] == []
    # Adapters that have no class for it: the words count (bybit, binance futures, alpaca).
    for words in ("Duplicate clientOrderId.", "ClientOrderId is duplicated", "must be unique"):
        assert says_duplicate(ccxt.InvalidOrder(words))
        assert not is_refusal(ccxt.BadRequest(words))


# --- nothing is repeated -------------------------------------------------------------------


def test_ccxt_does_not_repeat_an_order_though_it_is_told_to(
    exchange: Any, venue: Venue, state: State
) -> None:
    exchange.options["maxRetriesOnFailure"] = 5
    venue.lose = ["after"]
    buy(exchange)
    assert len(venue.orders) == len(venue.sent()) == 1


def test_control_unguarded_ccxt_repeats_an_order_where_it_is_told_to(venue: Venue) -> None:
    exchange = made(ccxt, "binance", venue)
    exchange.options["maxRetriesOnFailure"] = 5
    venue.lose = ["after"]
    buy(exchange)
    assert len(venue.orders) == 2


def cut_kept_connection(venue: Venue) -> None:
    """The first order's connection is cut after it was accepted, on a connection in use."""
    venue.lose = ["after"]


def test_aiohttp_does_not_repeat_an_order_that_goes_out_as_a_get() -> None:
    async def trade(venue: Venue, *, guarded: bool) -> None:
        exchange = made(ccxt.async_support, "deribit", venue)
        if guarded:
            guard(exchange, in_memory(Clock()), sleep=lambda _seconds: None)
        try:
            await exchange.fetch_open_orders("BTC/USDC:USDC")  # the connection is kept
            cut_kept_connection(venue)
            await exchange.create_order("BTC/USDC:USDC", "limit", "buy", 0.01, 20000)
        finally:
            await exchange.close()

    with running(DOUBLES["deribit"]) as venue:
        asyncio.run(trade(venue, guarded=False))
        assert len(venue.orders) == 2  # control: ccxt alone buys twice, without an error
    with running(DOUBLES["deribit"]) as venue:
        asyncio.run(trade(venue, guarded=True))
        assert len(venue.orders) == 1


def test_a_session_that_was_told_to_repeat_does_so_for_everything_but_orders(
    exchange: Any, venue: Venue
) -> None:
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    adapter = HTTPAdapter(max_retries=Retry(3, allowed_methods=None, backoff_factor=0))
    exchange.session.mount("http://", adapter)
    venue.lose = ["after"]
    buy(exchange)
    assert len(venue.orders) == 1
    assert adapter.max_retries.total == 3


# --- repeated intents ----------------------------------------------------------------------


def test_a_bot_that_tries_again_after_an_unknown_outcome_is_given_the_first_order(
    exchange: Any, venue: Venue
) -> None:
    venue.lose = ["after"]
    look, venue.double = venue.double, venue.double._replace(look=r"(?!)")
    with pytest.raises(ccxt.NetworkError):
        buy(exchange)
    venue.double = look
    order = buy(exchange, 0.0101, 20010)  # as a bot does: computed anew, on the newest price
    assert order["id"] == "1001"
    assert len(venue.orders) == 1
    buy(exchange)  # and a third is a new one
    assert len(venue.orders) == 2


def test_the_other_side_is_not_mistaken_for_it(exchange: Any, venue: Venue) -> None:
    venue.lose = ["after"]
    look, venue.double = venue.double, venue.double._replace(look=r"(?!)", lists=r"(?!)")
    with pytest.raises(ccxt.NetworkError):
        buy(exchange)
    sell(exchange)  # an exit waits for no entry
    venue.double = look
    assert [one.side for one in venue.orders] == ["buy", "sell"]


def test_on_a_contract_market_a_sale_is_not_mistaken_for_a_purchase(clock: Clock) -> None:
    swap = "BTC/USDT:USDT"
    with running(DOUBLES["binanceusdm"]) as venue:
        exchange = guard(made(ccxt, "binanceusdm", venue), in_memory(clock), sleep=clock.pass_by)
        venue.lose = ["after"]
        look, venue.double = venue.double, venue.double._replace(look=r"(?!)")
        with pytest.raises(ccxt.NetworkError):
            exchange.create_order(swap, "limit", "buy", 0.01, 20000)
        venue.double = look
        order = exchange.create_order(swap, "limit", "sell", 0.01, 20000)  # both are entries
        assert order["id"] == "1002"
        assert [one.side for one in venue.orders] == ["buy", "sell"]


def test_a_stop_is_not_mistaken_for_a_plain_exit(exchange: Any, venue: Venue) -> None:
    venue.lose = ["after"]
    look, venue.double = venue.double, venue.double._replace(look=r"(?!)", lists=r"(?!)")
    with pytest.raises(ccxt.NetworkError):
        sell(exchange)
    venue.double = look
    order = sell(exchange, triggerPrice=19500)
    assert order["id"] == "1002"


def test_a_key_decides_once(exchange: Any, venue: Venue, state: State) -> None:
    first = buy(exchange, haulout_key="signal 7")
    second = buy(exchange, haulout_key="signal 7")
    assert first["id"] == second["id"]
    assert len(venue.orders) == 1
    assert "haulout_key" not in venue.requests[0].said
    with pytest.raises(OperationReusedError):
        sell(exchange, haulout_key="signal 7")


def test_an_id_of_ones_own_is_refused_with_what_to_do(exchange: Any, venue: Venue) -> None:
    with pytest.raises(InputError, match="haulout_key"):
        buy(exchange, clientOrderId="mine")
    assert venue.requests == []


# --- limits, roles, costs ------------------------------------------------------------------


def test_costs_are_counted_in_the_quote_and_bound_at_reserve(
    exchange: Any, venue: Venue, state: State
) -> None:
    state.limit("usdt/day", 500)
    assert recover(exchange).ready
    buy(exchange, 0.02, 20000)
    with pytest.raises(ActionRefusedError, match="usdt/day"):
        buy(exchange, 0.01, 20000)
    sell(exchange)
    assert [one.side for one in venue.orders] == ["buy", "sell"]


def test_a_market_order_under_a_limit_on_money_is_priced_first(
    exchange: Any, venue: Venue, state: State
) -> None:
    state.limit("usdt/day", 500)
    assert recover(exchange).ready
    exchange.fetch_ticker = lambda _symbol: {"ask": 20000.0}
    exchange.create_order(SPOT, "market", "buy", 0.02)
    with pytest.raises(ActionRefusedError, match="usdt/day"):
        exchange.create_order(SPOT, "market", "buy", 0.02)
    exchange.fetch_ticker = lambda _symbol: {}
    with pytest.raises(ActionRefusedError, match="no price"):
        exchange.create_order(SPOT, "market", "buy", 0.001)
    assert len(venue.orders) == 1


def test_an_exit_gives_back_what_the_entries_that_it_covers_hold(
    exchange: Any, venue: Venue, state: State
) -> None:
    state.limit("trades/held", 2)
    assert recover(exchange).ready
    for _ in range(2):
        order = buy(exchange)
        fill(venue, exchange, order["id"])
    with pytest.raises(ActionRefusedError, match="trades/held"):
        buy(exchange)
    fill(venue, exchange, sell(exchange, 0.00999)["id"])  # the fee was taken from what is held
    assert state.tape.read(lambda book, _past: len(book.held)) == 1
    buy(exchange)


def test_an_exit_gives_nothing_back_that_is_held_on_another_symbol(
    exchange: Any, venue: Venue, state: State
) -> None:
    fill(venue, exchange, buy(exchange)["id"])
    row = {**exchange.markets[SPOT], "symbol": "ETH/USDT", "id": "ETHUSDT", "base": "ETH"}
    exchange.set_markets([*exchange.markets.values(), exchange.safe_market_structure(row)])
    exchange.create_order("ETH/USDT", "limit", "sell", 0.01, 21000)
    assert [one.closes for one in state.open_intents()] == [()]


def fill(venue: Venue, exchange: Any, ref: str) -> None:
    """The order fills at the venue, and the program looks at it."""
    shown = venue.double.shown

    def filled(order: Any) -> Any:
        found = shown(order)
        if order.ref == ref:
            found |= {"status": "FILLED", "executedQty": "0.01", "cummulativeQuoteQty": "200"}
        return found

    venue.double = venue.double._replace(shown=filled)
    exchange.fetch_order(ref, SPOT)
    venue.double = venue.double._replace(shown=shown)


def test_what_a_program_sees_of_its_orders_is_taken_into_the_journal(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)
    assert len(state.open_intents()) == 1
    fill(venue, exchange, order["id"])
    assert state.open_intents() == []


def asked(side: str, symbol: str = SPOT, kind: str = "limit", **params: Any) -> OrderRequest:
    return OrderRequest(symbol, kind, side, "2", "10", params)


def test_an_answer_with_what_json_lacks_is_written_down_without_it() -> None:
    order = {"id": "1", "price": float("nan"), "fee": {"cost": float("inf"), "rate": Decimal(1)}}
    assert slim(order) == {"id": "1", "fee": {"cost": None, "rate": "1"}}


def test_roles() -> None:
    swap = "BTC/USDT:USDT"
    assert role_of(asked("buy")) == "entry"
    assert role_of(asked("buy", triggerPrice=9)) == "entry"
    assert role_of(asked("sell")) == "exit"
    assert role_of(asked("sell", marginMode="cross")) == "entry"
    assert role_of(asked("sell", swap)) == "entry"
    assert role_of(asked("sell", swap, triggerPrice=9)) == "entry"
    for closes in ("reduceOnly", "closePosition", "stopLossPrice", "takeProfitPrice"):
        assert role_of(asked("sell", swap, **{closes: True})) == "exit"
    assert role_of(asked("buy", swap, reduceOnly=False)) == "entry"


def test_costs() -> None:
    assert cost_of(asked("buy"))[0] == {"orders": 1, "trades": 1, "usdt": "20"}
    assert cost_of(asked("buy"))[1] == ("trades", "usdt")
    inverse = asked("buy")._replace(
        symbol="BTC/USD:BTC", market={"quote": "USD", "inverse": True, "contractSize": 100}
    )
    assert cost_of(inverse)[0]["usd"] == "200"
    assert "usdt" not in cost_of(asked("buy")._replace(price=None))[0]
    assert cost_of(asked("buy", cost=7)._replace(price=None))[0]["usdt"] == "7"


def test_a_role_and_a_cost_of_ones_own(venue: Venue, state: State) -> None:
    exchange = guard(
        made(ccxt, "binance", venue), state, role=lambda _asked: "entry",
        cost=lambda _asked: ({"risk": 3}, ("risk",)), account="second",
    )  # fmt: skip
    sell(exchange)
    (intent,) = state.open_intents()
    assert (intent.role, intent.cost, intent.holds) == ("entry", {"risk": "3"}, ("risk",))
    assert intent.target == "binance/second/BTC/USDT"


@pytest.mark.parametrize("text", ["0.1", "20000", "0.00000001", "123456789.12345678"])
def test_an_amount_reaches_ccxt_as_the_number_that_was_given(text: str) -> None:
    assert number(text) == float(text)


def test_an_amount_that_no_float_holds_reaches_ccxt_as_text() -> None:
    assert number("0.1234567890123456789") == "0.1234567890123456789"


# --- all ways to order ---------------------------------------------------------------------

WAYS: dict[str, Callable[[Any], Any]] = {
    "create_limit_buy_order": lambda ex: ex.create_limit_buy_order(SPOT, 0.01, 20000),
    "createLimitBuyOrder": lambda ex: ex.createLimitBuyOrder(SPOT, 0.01, 20000),
    "create_market_order": lambda ex: ex.create_market_order(SPOT, "buy", 0.01),
    "create_stop_limit_order": lambda ex: ex.create_stop_limit_order(
        SPOT, "sell", 0.01, 19000, 19500
    ),
    "create_trigger_order": lambda ex: ex.create_trigger_order(
        SPOT, "limit", "sell", 0.01, 19000, 19500
    ),
    "create_stop_loss_order": lambda ex: ex.create_stop_loss_order(
        SPOT, "limit", "sell", 0.01, 19000, 19500
    ),
    "create_market_buy_order_with_cost": lambda ex: ex.create_market_buy_order_with_cost(SPOT, 50),
    "create_post_only_order": lambda ex: ex.create_post_only_order(
        SPOT, "limit", "buy", 0.01, 20000
    ),
    "create_orders": lambda ex: ex.create_orders(
        [{"symbol": SPOT, "type": "limit", "side": "buy", "amount": 0.01, "price": 20000}]
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_order_leads_through_the_guard(
    exchange: Any, venue: Venue, state: State, way: str
) -> None:
    WAYS[way](exchange)
    (order,) = venue.orders
    (intent,) = state.open_intents()
    assert order.client == intent.text


@pytest.mark.parametrize("name", ["create_order_ws", "createOrderWs", "edit_orders"])
def test_ways_past_the_guard_are_refused(exchange: Any, name: str) -> None:
    with pytest.raises(ActionRefusedError, match="past the guard"):
        getattr(exchange, name)(SPOT, "limit", "buy", 0.01, 20000)


# --- cancels and edits ---------------------------------------------------------------------


def after(venue: Venue, pattern: str) -> None:
    """The next request of this form works, and its answer is lost."""
    import re

    before = venue.answer
    left = [1]

    def answer(request: Any) -> Any:
        found = before(request)
        if left[0] and re.fullmatch(pattern, request.line):
            left[0] -= 1
            return None
        return found

    venue.answer = answer  # type: ignore[method-assign]


def test_a_cancel_whose_answer_is_lost_is_looked_up_and_not_sent_again(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)
    after(venue, "DELETE /api/v3/order")
    found = exchange.cancel_order(order["id"], SPOT)
    assert found["status"] == "canceled"
    assert [one.line for one in venue.requests].count("DELETE /api/v3/order") == 1
    assert state.open_intents() == []


def test_a_cancel_that_did_not_arrive_is_sent_again(exchange: Any, venue: Venue) -> None:
    order = buy(exchange)
    before = venue.answer
    left = [1]

    def answer(request: Any) -> Any:
        if left[0] and request.method == "DELETE":
            left[0] -= 1
            return None
        return before(request)

    venue.answer = answer  # type: ignore[method-assign]
    exchange.cancel_order(order["id"], SPOT)
    assert venue.orders[0].status == "cancelled"


def test_a_cancel_that_came_too_late_is_ccxts_order_not_found(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)
    shown = venue.double.shown
    venue.double = venue.double._replace(
        shown=lambda one: {**shown(one), "status": "FILLED", "executedQty": "0.01"},
        cancel=r"(?!)",
    )
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(order["id"], SPOT)
    assert [one.action for one in state.open_intents()] == ["order"]


def test_an_edit_makes_a_new_order_under_an_id_of_ours_and_the_intent_follows(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)
    (first,) = state.open_intents()
    replacing(venue)
    found = exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.02, 20000)
    assert found["id"] == "1002"
    assert venue.orders[1].client is not None
    assert venue.orders[1].client.startswith(state.tag().hex())
    (intent,) = state.open_intents()
    assert (intent.id, intent.ref) == (first.id, "1002")


def test_f15_an_edit_whose_answer_is_lost_is_found_by_its_id_and_not_sent_again(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)
    replacing(venue)
    after(venue, r"POST /api/v3/order/cancelReplace")
    found = exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.02, 20000)
    assert found["id"] == "1002"
    assert [one.status for one in venue.orders] == ["cancelled", "open"]
    assert [one.ref for one in state.open_intents()] == ["1002"]


def replacing(venue: Venue) -> None:
    """The venue takes Binance's cancelReplace."""
    before = venue.answer

    def answer(request: Any) -> Any:
        if request.line != "POST /api/v3/order/cancelReplace":
            return before(request)
        venue.requests.append(request)
        venue.orders[0].status = "cancelled"
        new = venue._accepted(request)
        new.amount = request.said["quantity"]
        both = {"cancelResponse": {}, "newOrderResponse": venue.double.shown(new)}
        return 200, {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", **both}

    venue.answer = answer  # type: ignore[method-assign]


def test_an_edit_costs_what_it_adds(exchange: Any, venue: Venue, state: State) -> None:
    state.limit("usdt/day", 500)
    assert recover(exchange).ready
    order = buy(exchange, 0.02, 20000)
    with pytest.raises(ActionRefusedError, match="usdt/day"):
        exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.03, 20000)
    replacing(venue)
    exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.025, 20000)


def test_where_an_edit_is_a_cancel_and_a_new_order_each_is_guarded() -> None:
    with running(DOUBLES["mexc"]) as venue:
        state = in_memory(Clock())
        exchange = guard(made(ccxt, "mexc", venue), state, sleep=lambda _seconds: None)
        order = exchange.create_order(SPOT, "limit", "buy", 0.01, 20000)
        exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.02, 20000)
        assert [one.status for one in venue.orders] == ["cancelled", "open"]
        (intent,) = state.open_intents()
        assert venue.orders[1].client == intent.text


# --- while memory is down, and after it ----------------------------------------------------


def test_s12_while_the_disk_refuses_entries_are_refused_and_exits_are_sent_and_flagged(
    exchange: Any, venue: Venue, state: State
) -> None:
    sell(exchange)
    assert recover(exchange).ready
    transact, look = state.tape.transact, state.tape.read

    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise StorageError("the disk refuses")

    state.tape.transact = broken  # type: ignore[method-assign]
    with pytest.raises(ActionRefusedError, match="cannot be written down"):
        buy(exchange)
    state.tape.read = broken  # type: ignore[method-assign]
    order = sell(exchange)
    exchange.cancel_order(order["id"], SPOT)
    assert [one.status for one in venue.orders] == ["open", "cancelled"]
    assert len(guard_of(exchange).unjournaled) == 2
    state.tape.transact, state.tape.read = transact, look  # type: ignore[method-assign]
    report = recover(exchange)
    assert (report.ready, report.adopted, guard_of(exchange).unjournaled) == (True, (), [])
    assert [one.action for one in state.open_intents()] == ["order"]


def test_an_exit_is_sent_though_nothing_could_be_read_or_written_since_the_guard_was_put_on(
    exchange: Any, venue: Venue, state: State
) -> None:
    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise StorageError("the disk refuses")

    state.tape.transact = broken  # type: ignore[method-assign]
    state.tape.read = broken  # type: ignore[method-assign]
    sell(exchange)
    assert [one.side for one in venue.orders] == ["sell"]


def test_a_state_that_cannot_be_written_is_no_guard(venue: Venue, state: State) -> None:
    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise StorageError("the disk refuses")

    state.tape.transact = broken  # type: ignore[method-assign]
    exchange = made(ccxt, "binance", venue)
    before = dict(vars(exchange))
    with pytest.raises(StorageError):
        guard(exchange, state)
    assert vars(exchange) == before


def test_f16_orders_that_the_journal_lacks_are_told_and_adopted_before_an_entry(
    exchange: Any, venue: Venue, state: State, clock: Clock
) -> None:
    buy(exchange)
    old = [event for _, event in state.events()]
    buy(exchange)
    yesterday = in_memory(clock, "later", events=old)
    again = guard(made(ccxt, "binance", venue), yesterday, sleep=clock.pass_by)
    with pytest.raises(ActionRefusedError, match="recover"):
        buy(again)
    report = recover(again)
    assert (report.older_than_venue, report.ready, len(report.adopted)) == (True, False, 1)
    assert recover(again, confirmed=True).ready
    assert len(yesterday.open_intents()) == 2


def test_an_intent_of_another_exchange_is_never_called_absent(
    exchange: Any, venue: Venue, state: State, clock: Clock
) -> None:
    elsewhere = state.reserve("order", {"symbol": SPOT}, target="okx/main/BTC/USDT").intent
    report = recover(exchange)
    assert report.unknown == (elsewhere.text,)
    assert state.intent(elsewhere.id).status == "reserved"


def test_a_venue_of_class_d_is_asked_by_our_id_though_its_lists_show_nothing(clock: Clock) -> None:
    with running(DOUBLES["kucoin"]) as venue:
        exchange = guard(made(ccxt, "kucoin", venue), in_memory(clock), sleep=clock.pass_by)
        venue.double = venue.double._replace(wrap=lambda _rows: DOUBLES["kucoin"].wrap([]))
        venue.lose = ["after"]
        assert exchange.create_order(SPOT, "limit", "buy", 0.01, 20000)["id"] == "1001"


def test_a_recovery_compares_positions(exchange: Any, venue: Venue) -> None:
    buy(exchange)
    exchange.fetch_balance = lambda: {"total": {"BTC": 0.01}}
    report = recover(exchange, believed={SPOT: "0.02"})
    assert [(one.believed, one.there) for one in report.differs] == [("0.02", "0.01")]


def test_a_venue_without_a_field_for_a_stop_leaves_it_to_a_person() -> None:
    with running(DOUBLES["gate"]) as venue:
        state = in_memory(Clock())
        exchange = guard(made(ccxt, "gate", venue), state, sleep=lambda _seconds: None)
        venue.lose = ["after"]
        with pytest.raises(OutcomeUnknownError, match="proves nothing"):
            exchange.create_order(SPOT, "limit", "sell", 0.01, 19000, {"triggerPrice": 19500})
        assert [one.status for one in state.open_intents()] == ["unknown"]


def test_a_class_that_the_user_knows_better(venue: Venue, clock: Clock) -> None:
    with running(DOUBLES["mexc"]) as mexc:
        exchange = guard(
            made(ccxt, "mexc", mexc), in_memory(clock), treat_as="C", sleep=clock.pass_by
        )
        mexc.lose = ["before"]
        exchange.create_order(SPOT, "limit", "buy", 0.01, 20000)
        assert len(mexc.orders) == 1


# --- awaited -------------------------------------------------------------------------------


def test_an_awaited_exchange_is_guarded_alike(venue: Venue, state: State, clock: Clock) -> None:
    async def trade() -> Any:
        exchange = guard(made(ccxt.async_support, "binance", venue), state, sleep=clock.pass_by)
        try:
            venue.lose = ["after"]
            order = await exchange.create_order(SPOT, "limit", "buy", 0.01, 20000)
            await exchange.create_limit_sell_order(SPOT, 0.01, 21000)
            await exchange.cancel_order(order["id"], SPOT)
            await exchange.fetch_open_orders(SPOT)
            report = await recover_async(exchange)
            return order, report
        finally:
            unguard(exchange)
            await exchange.close()

    order, report = asyncio.run(trade())
    assert [one.side for one in venue.orders] == ["buy", "sell"]
    assert order["id"] == "1001"
    assert report.ready
    assert [one.role for one in state.open_intents()] == ["exit"]


def test_orders_on_many_symbols_go_out_at_the_same_time(clock: Clock) -> None:
    together = threading.Barrier(3, timeout=20)
    with running(DOUBLES["binance"]) as venue:
        before = venue.answer

        def answer(request: Any) -> Any:
            together.wait()  # all three are under way, or none goes on
            return before(request)

        venue.answer = answer  # type: ignore[method-assign]

        async def trade() -> None:
            exchange = made(ccxt.async_support, "binance", venue)
            rows = [
                exchange.safe_market_structure(
                    {**exchange.markets[SPOT], "symbol": name, "id": name.replace("/", "")}
                )
                for name in ("BTC/USDT", "ETH/USDT", "XRP/USDT")
            ]
            exchange.set_markets(rows)
            guard(exchange, in_memory(clock), sleep=clock.pass_by)
            try:
                await asyncio.gather(
                    *(exchange.create_order(row["symbol"], "limit", "buy", 1, 2) for row in rows)
                )
            finally:
                unguard(exchange)
                await exchange.close()

        asyncio.run(trade())
        assert len(venue.orders) == 3


def test_orders_on_one_symbol_wait_for_each_other_and_are_two_orders(
    venue: Venue, state: State, clock: Clock
) -> None:
    under_way: list[str] = []
    together: list[int] = []
    before = venue.answer

    def answer(request: Any) -> Any:
        if not venue.creates(request):
            return before(request)
        under_way.append(request.line)
        together.append(len(under_way))
        threading.Event().wait(0.05)  # long enough for a second one to come in between
        found = before(request)
        under_way.pop()
        return found

    venue.answer = answer  # type: ignore[method-assign]

    async def trade() -> Any:
        exchange = guard(made(ccxt.async_support, "binance", venue), state, sleep=clock.pass_by)
        try:
            return await asyncio.gather(*(buy(exchange) for _ in range(3)))
        finally:
            unguard(exchange)
            await exchange.close()

    found = asyncio.run(trade())
    assert together == [1, 1, 1]
    assert len({one["id"] for one in found}) == 3


def test_reads_go_on_though_the_journal_cannot_be_read(
    exchange: Any, venue: Venue, state: State
) -> None:
    order = buy(exchange)

    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise StorageError("the disk refuses")

    state.tape.read = broken  # type: ignore[method-assign]
    assert exchange.fetch_order(order["id"], SPOT)["id"] == order["id"]


def test_the_guard_can_be_taken_off_while_an_order_is_under_way(
    venue: Venue, state: State, clock: Clock
) -> None:
    arrived = threading.Event()
    before = venue.answer

    def answer(request: Any) -> Any:
        arrived.set()
        return before(request)

    venue.answer = answer  # type: ignore[method-assign]

    async def trade() -> Any:
        exchange = guard(made(ccxt.async_support, "binance", venue), state, sleep=clock.pass_by)
        try:
            task = asyncio.create_task(buy(exchange))
            await asyncio.to_thread(arrived.wait, 20)
            unguard(exchange)  # on the loop that the order waits for
            return await task
        finally:
            await exchange.close()

    assert asyncio.run(trade())["id"] == "1001"
    assert [one.status for one in state.open_intents()] == ["accepted"]


def test_a_cancelled_task_leaves_its_intent_open_and_the_next_try_finds_the_order(
    venue: Venue, state: State, clock: Clock
) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    before = venue.answer

    def answer(request: Any) -> Any:
        found = before(request)
        if venue.creates(request) and not go_on.is_set():
            arrived.set()
            go_on.wait(20)
            return None
        return found

    venue.answer = answer  # type: ignore[method-assign]

    async def trade() -> Any:
        exchange = guard(made(ccxt.async_support, "binance", venue), state, sleep=clock.pass_by)
        try:
            task = asyncio.create_task(exchange.create_order(SPOT, "limit", "buy", 0.01, 20000))
            await asyncio.to_thread(arrived.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            left = [one.status for one in state.open_intents()]
            go_on.set()
            order = await exchange.create_order(SPOT, "limit", "buy", 0.01, 20000)
            return left, order
        finally:
            unguard(exchange)
            await exchange.close()

    left, order = asyncio.run(trade())
    assert left in (["reserved"], ["unknown"])
    assert order["id"] == "1001"
    assert len(venue.orders) == 1


def test_an_interrupted_program_leaves_its_intent_reserved(
    venue: Venue, state: State, clock: Clock
) -> None:
    exchange = made(ccxt, "binance", venue)
    fetch = exchange.fetch

    def interrupted(*arguments: Any, **named: Any) -> Any:
        fetch(*arguments, **named)
        raise KeyboardInterrupt

    exchange.fetch = interrupted
    guard(exchange, state, sleep=clock.pass_by)
    with pytest.raises(KeyboardInterrupt):
        buy(exchange)
    assert [one.status for one in state.open_intents()] == ["reserved"]


# --- on and off ----------------------------------------------------------------------------


def test_off_again_the_exchange_is_as_it_was(venue: Venue, state: State) -> None:
    exchange = made(ccxt, "binance", venue)
    before = dict(vars(exchange))
    guard(exchange, state)
    assert exchange.fetch_ticker.__func__ is ccxt.binance.fetch_ticker
    with pytest.raises(InputError, match="guarded already"):
        guard(exchange, state)
    unguard(exchange)
    assert vars(exchange) == before
    with pytest.raises(NotFoundError):
        guard_of(exchange)


def test_what_is_no_exchange_is_refused(state: State) -> None:
    with pytest.raises(InputError, match="no exchange"):
        guard(object(), state)


class Plain:
    """An exchange that is none of ccxt's: what the guard needs, and no more."""

    id = "somewhere"
    has: dict[str, bool] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.refuses = False

    def create_order(self, symbol: str, *said: Any) -> Any:
        self.sent.append(said[-1])
        if self.refuses:
            raise ConnectionError
        return {"id": "7", "symbol": symbol, "status": "open", **said[-1]}

    def fetch_order(self, *_said: Any) -> Any:
        raise ConnectionError

    def fetch_open_orders(self, symbol: str, *_said: Any) -> Any:
        return [{"id": "7", "symbol": symbol, "status": "open", **one} for one in self.sent]


def test_any_object_with_create_order_and_fetch_order_is_an_exchange_of_class_d(
    state: State, clock: Clock
) -> None:
    exchange = guard(Plain(), state, sleep=clock.pass_by)
    exchange.refuses = True
    assert buy(exchange)["id"] == "7"  # found in the list, by the text of its ID
    assert len(exchange.sent) == 1
    assert guard_of(exchange).venue.rules.kind == "D"


def test_no_key_of_the_exchange_and_no_raw_answer_is_written_down(
    exchange: Any, venue: Venue, state: State
) -> None:
    buy(exchange)
    written = repr([event for _, event in state.events()])
    for secret in (exchange.apiKey, exchange.secret, "cummulativeQuoteQty"):
        assert secret not in written
