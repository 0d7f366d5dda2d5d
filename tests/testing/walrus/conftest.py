"""A network for each test, and raw requests to its publisher and its aggregator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rawhttp import N, Raw, ask

from haulout.testing.walrus.network import LoopbackNetwork


@pytest.fixture
def net() -> Iterator[LoopbackNetwork]:
    with LoopbackNetwork(5, N, signatures=False) as network:
        yield network


@pytest.fixture
def put(net: LoopbackNetwork) -> Callable[..., Raw]:
    """`PUT /v1/blobs` with a query."""

    def send(data: bytes, query: str = "", **headers: str) -> Raw:
        path = "/v1/blobs" + (f"?{query}" if query else "")
        return ask(net.urls.publishers[0], path, "PUT", data, **headers)

    return send


@pytest.fixture
def get(net: LoopbackNetwork) -> Callable[..., Raw]:
    """GET from the aggregator."""
    return lambda path, **headers: ask(net.urls.aggregators[0], path, **headers)
