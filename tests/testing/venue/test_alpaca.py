"""Unmodified alpaca-py against the process."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import pytest

from haulout.testing.venue.process import LoopbackVenue

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports websockets' old half
    pytest.importorskip("alpaca.trading.client")
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
    from alpaca.trading.requests import (
        GetOrdersRequest,
        LimitOrderRequest,
        MarketOrderRequest,
        ReplaceOrderRequest,
    )


@pytest.fixture
def alpaca(venue: LoopbackVenue) -> TradingClient:
    venue.settings(kind="B")
    return TradingClient("key", "secret", url_override=venue.url)


def market(client: str | None = None, **more: Any) -> MarketOrderRequest:
    return MarketOrderRequest(
        symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY,
        client_order_id=client, **more,
    )  # fmt: skip


def limit(price: float, client: str | None = None) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY,
        client_order_id=client, limit_price=price,
    )  # fmt: skip


def test_an_order_fills_and_is_found_by_the_client_s_id(alpaca: TradingClient) -> None:
    order = alpaca.submit_order(market("by-client"))
    assert order.status == "filled"
    assert float(order.filled_avg_price) == 200
    assert alpaca.get_order_by_client_id("by-client").id == order.id
    with pytest.raises(APIError) as missing:
        alpaca.get_order_by_client_id("nobody")
    assert missing.value.status_code == 404


def test_an_order_is_replaced_and_taken_back(alpaca: TradingClient) -> None:
    order = alpaca.submit_order(limit(100, "old"))
    assert order.status == "new"
    new = alpaca.replace_order_by_id(
        order.id, ReplaceOrderRequest(limit_price=101, client_order_id="new")
    )
    assert alpaca.get_order_by_id(order.id).status == "canceled"
    assert new.replaces == order.id
    alpaca.cancel_order_by_id(new.id)
    assert alpaca.get_order_by_id(new.id).status == "canceled"
    with pytest.raises(APIError):
        alpaca.cancel_order_by_id(new.id)


def test_positions_and_account_follow_orders(alpaca: TradingClient) -> None:
    before = float(alpaca.get_account().cash)
    alpaca.submit_order(market())
    assert float(alpaca.get_account().cash) == before - 600
    held = {one.symbol: float(one.qty) for one in alpaca.get_all_positions()}
    assert held["AAPL"] == float(alpaca.get_open_position("AAPL").qty)
    alpaca.close_position("AAPL")
    assert "AAPL" not in {one.symbol for one in alpaca.get_all_positions()}
    with pytest.raises(APIError):
        alpaca.get_open_position("AAPL")


def test_orders_are_listed_by_status(alpaca: TradingClient) -> None:
    alpaca.cancel_orders()
    resting = alpaca.submit_order(limit(100))
    done = alpaca.submit_order(market())

    def ids(status: QueryOrderStatus) -> set[Any]:
        request = GetOrdersRequest(status=status, limit=500)
        return {one.id for one in alpaca.get_orders(request)}

    assert ids(QueryOrderStatus.OPEN) == {resting.id}
    assert done.id in ids(QueryOrderStatus.CLOSED)
    assert {resting.id, done.id} <= ids(QueryOrderStatus.ALL)
    alpaca.cancel_orders()
    assert ids(QueryOrderStatus.OPEN) == set()


def test_a_second_order_with_an_id_is_refused(alpaca: TradingClient) -> None:
    alpaca.submit_order(market("twice"))
    with pytest.raises(APIError) as refused:
        alpaca.submit_order(market("twice"))
    assert (refused.value.status_code, refused.value.code) == (422, 40010001)


def test_alpaca_py_itself_buys_again_after_504_without_an_id_and_once_with_one(
    alpaca: TradingClient, venue: LoopbackVenue
) -> None:
    alpaca._retry_wait = 0
    for client, bought in ((None, 3), ("one", 1)):
        before = sum(one.what == "accepted" for one in venue.ledger())
        venue.fault("error_after_accept", count=2, status=504)
        refused = pytest.raises(APIError, match="must be unique") if client else nullcontext()
        with refused:  # its retry met its own order
            alpaca.submit_order(market(client))
        venue.clear()
        assert sum(one.what == "accepted" for one in venue.ledger()) - before == bought


def test_assets_and_the_clock_are_there(alpaca: TradingClient) -> None:
    assert alpaca.get_asset("AAPL").tradable
    assert alpaca.get_clock().is_open
    with pytest.raises(APIError):
        alpaca.get_asset("NOPE")
