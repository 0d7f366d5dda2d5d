from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from haulout.testing.venue.process import LoopbackVenue

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
PAIR = "BTC/USDT"


@pytest.fixture(params=["/stream", "/ws/loopback"])
def socket(request: pytest.FixtureRequest, venue: LoopbackVenue) -> Iterator[Any]:
    with client.connect(venue.url.replace("http", "ws") + request.param) as connection:
        connection.is_binance = request.param.startswith("/ws")
        connection.ping().wait(10)  # it listens from here on
        yield connection


def heard(socket: Any, count: int) -> list[str]:
    """So many reports, as ``what`` and how much of the order is filled."""
    found = []
    for _ in range(count):
        told = json.loads(socket.recv(timeout=10))
        if socket.is_binance:
            assert told["e"] == "executionReport"
            what = {"NEW": "accepted", "TRADE": "filled", "CANCELED": "cancelled"}[told["x"]]
            found.append(f"{what} {told['z']}")
        else:
            found.append(f"{told['what']} {told['order']['filled']}")
    return found


def test_the_stream_tells_what_happens_to_orders(socket: Any, venue: LoopbackVenue) -> None:
    order = venue.trade(PAIR, "buy", 1, type="limit", price="40000")
    venue.fill(order.id, "0.25")
    venue.cancel(order.id)
    assert heard(socket, 3) == ["accepted 0", "filled 0.25", "cancelled 0.25"]


def test_reports_are_dropped_doubled_and_out_of_order(socket: Any, venue: LoopbackVenue) -> None:
    venue.fault("drop_report")
    venue.trade(PAIR, "buy", 1)
    venue.fault("duplicate_report", on="report")
    venue.trade(PAIR, "buy", 1)
    venue.fault("reorder_report")
    venue.trade(PAIR, "buy", 1)
    assert heard(socket, 6) == [
        "filled 1", "accepted 0", "accepted 0", "filled 1", "filled 1", "accepted 0",
    ]  # fmt: skip


def test_a_stream_that_is_hung_up_tells_nothing_of_what_follows(
    socket: Any, venue: LoopbackVenue
) -> None:
    venue.hang_up()
    venue.trade(PAIR, "buy", 1)
    with pytest.raises(exceptions.ConnectionClosed):
        socket.recv(timeout=10)
