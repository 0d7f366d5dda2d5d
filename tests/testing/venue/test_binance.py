"""Unmodified ccxt against the process: what a bot on it asks for."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from haulout.testing.venue.process import LoopbackVenue

ccxt = pytest.importorskip("ccxt")
PAIR = "ETH/BTC"


@pytest.fixture
def binance(venue: LoopbackVenue) -> Any:
    client = ccxt.binance({"apiKey": "x", "secret": "y", "enableRateLimit": False})
    client.urls["api"] = {
        name: re.sub(r"https?://[^/]+", venue.url, url) if isinstance(url, str) else url
        for name, url in client.urls["api"].items()
    }
    client.load_markets()
    return client


def mine(venue: LoopbackVenue, client: str) -> list[str]:
    return [one.what for one in venue.ledger() if one.client == client]


def test_markets_have_the_limits_and_steps_that_bots_need(binance: Any) -> None:
    assert set(binance.markets) == {"BTC/USDT", "ETH/BTC", "AAPL/USD"}
    market = binance.market(PAIR)
    assert market["precision"]["amount"] == 1e-05
    assert market["precision"]["price"] == 1e-06
    assert market["limits"]["cost"]["min"] == 0.0001


def test_an_order_is_made_found_edited_listed_and_taken_back(
    binance: Any, venue: LoopbackVenue
) -> None:
    params = {"newClientOrderId": "edit-me"}
    order = binance.create_order(PAIR, "limit", "buy", 1, 0.04, params)
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "edit-me", 0)
    found = binance.fetch_order(None, PAIR, {"origClientOrderId": "edit-me"})
    assert found["id"] == order["id"]
    assert binance.fetch_balance()["BTC"]["used"] == pytest.approx(0.04)
    edited = binance.edit_order(
        order["id"], PAIR, "limit", "buy", 2, 0.041, {"newClientOrderId": "edited"}
    )
    assert [one["id"] for one in binance.fetch_open_orders(PAIR)] == [edited["id"]]
    assert binance.cancel_order(edited["id"], PAIR)["status"] == "canceled"
    assert binance.fetch_open_orders(PAIR) == []
    assert mine(venue, "edit-me") == ["accepted", "cancelled"]
    statuses = {one["id"]: one["status"] for one in binance.fetch_orders(PAIR)}
    assert statuses[order["id"]] == statuses[edited["id"]] == "canceled"


def test_a_market_order_fills_and_shows_in_trades_and_balance(
    binance: Any, venue: LoopbackVenue
) -> None:
    before = binance.fetch_balance()["ETH"]["total"]
    order = binance.create_order(PAIR, "market", "buy", 2, None, {"newClientOrderId": "market"})
    assert (order["status"], order["average"], order["filled"]) == ("closed", 0.05, 2)
    assert binance.fetch_balance()["ETH"]["total"] == before + 2
    trades = binance.fetch_my_trades(PAIR, params={"orderId": order["id"]})
    assert [(one["amount"], one["price"], one["side"]) for one in trades] == [(2, 0.05, "buy")]
    assert order["id"] in {one["id"] for one in binance.fetch_closed_orders(PAIR)}
    assert mine(venue, "market") == ["accepted", "filled"]


def test_a_stop_rests_until_its_price(binance: Any, venue: LoopbackVenue) -> None:
    stop = {"stopPrice": 0.04, "newClientOrderId": "stop"}
    order = binance.create_order(PAIR, "STOP_LOSS", "sell", 1, None, stop)
    assert order["status"] == "open"
    venue.price(PAIR, "0.039")
    assert binance.fetch_order(order["id"], PAIR)["status"] == "closed"


def test_part_of_an_order_is_shown_as_open_and_filled_in_part(
    binance: Any, venue: LoopbackVenue
) -> None:
    order = binance.create_order(PAIR, "limit", "buy", 1, 0.04)
    venue.fill(order["id"], "0.25")
    found = binance.fetch_order(order["id"], PAIR)
    assert (found["status"], found["filled"], found["remaining"]) == ("open", 0.25, 0.75)
    assert found["info"]["status"] == "PARTIALLY_FILLED"
    binance.cancel_all_orders(PAIR)
    assert binance.fetch_order(order["id"], PAIR)["status"] == "canceled"


def test_an_id_is_refused_while_its_order_is_open_and_taken_once_it_has_filled(
    binance: Any, venue: LoopbackVenue
) -> None:
    params = {"newClientOrderId": "again"}
    order = binance.create_order(PAIR, "limit", "buy", 1, 0.04, params)
    with pytest.raises(ccxt.ExchangeError, match="Duplicate order sent"):
        binance.create_order(PAIR, "limit", "buy", 1, 0.04, params)
    venue.fill(order["id"])
    other = binance.create_order(PAIR, "market", "buy", 1, None, params)
    assert other["id"] != order["id"]
    assert mine(venue, "again").count("accepted") == 2


@pytest.mark.parametrize(
    ("point", "error"),
    [
        ("cut_after_accept", ccxt.NetworkError),
        ("error_after_accept", ccxt.RequestTimeout),
        ("busy", ccxt.DDoSProtection),
        ("refuse", ccxt.InvalidOrder),
    ],
)
def test_faults_are_the_errors_that_ccxt_has_for_them(
    binance: Any, venue: LoopbackVenue, point: str, error: type[Exception]
) -> None:
    venue.fault(point)
    client = f"fault-{point}"
    with pytest.raises(error):
        binance.create_order(PAIR, "market", "buy", 1, None, {"newClientOrderId": client})
    arrived = point.endswith("after_accept")
    assert mine(venue, client) == (["accepted", "filled"] if arrived else [])


def test_an_order_that_is_not_there_has_the_codes_that_bots_know(binance: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        binance.fetch_order("999999", PAIR)
    with pytest.raises(ccxt.OrderNotFound):
        binance.cancel_order("999999", PAIR)
    with pytest.raises(ccxt.InsufficientFunds):
        binance.create_order(PAIR, "market", "buy", 10**6)


def test_market_data_is_there(binance: Any, venue: LoopbackVenue) -> None:
    candles = binance.fetch_ohlcv(PAIR, "5m", limit=50)
    assert len(candles) == 50
    assert {later[0] - one[0] for one, later in pairwise(candles)} == {300_000}
    assert all(low <= min(opened, closed) for _, opened, _, low, closed, _ in candles)
    assert candles == binance.fetch_ohlcv(PAIR, "5m", since=candles[0][0], limit=50)[:50]
    assert binance.fetch_ticker(PAIR)["last"] == 0.05
    assert set(binance.fetch_tickers()) == set(binance.markets)
    book = binance.fetch_order_book(PAIR, 5)
    assert (book["bids"][0][0], len(book["asks"])) == (0.05, 5)
    assert abs(binance.fetch_time() - venue.now() // 1000) < 10_000


def test_a_request_that_makes_no_sense_is_refused_in_binance_s_words(venue: LoopbackVenue) -> None:
    import http.client
    import json

    host = venue.url.removeprefix("http://")
    for query in (
        "symbol=NOPE&side=BUY&type=MARKET&quantity=1",
        "symbol=ETHBTC&side=BUY&type=NOPE&quantity=1",
        "symbol=ETHBTC&side=BUY&type=MARKET&quantity=x",
        "symbol=ETHBTC&side=BUY&type=MARKET",
    ):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", f"/api/v3/order?{query}")
        response = connection.getresponse()
        assert response.status == 400
        assert json.loads(response.read())["code"] in {-1121, -1102}
        connection.close()
