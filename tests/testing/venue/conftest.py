"""A venue in a process of its own: one for all tests of a module, without faults for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from haulout.testing.venue.process import LoopbackVenue

PRICES = {"BTC/USDT": "50000", "ETH/BTC": "0.05", "AAPL/USD": "200"}
BALANCES = {"BTC": "100", "USDT": "10000000", "USD": "1000000", "ETH": "10"}


@pytest.fixture(scope="module")
def process() -> Iterator[LoopbackVenue]:
    with LoopbackVenue("C", prices=PRICES, balances=BALANCES) as venue:
        yield venue


@pytest.fixture
def venue(process: LoopbackVenue) -> Iterator[LoopbackVenue]:
    process.clear()
    process.settings(kind="C", text=True)
    for symbol, price in PRICES.items():
        process.price(symbol, price)
    yield process
    process.clear()
