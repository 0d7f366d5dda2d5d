"""A loopback network with a client beside it, and blobs that no test shares with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from haulout.storage.walrus.config import NetworkConfig, Timeouts
from haulout.storage.walrus.network import Attempt, Network
from haulout.testing.walrus.network import LoopbackNetwork

N = 10
IMPATIENT = Timeouts(connect=5.0, silence=0.3, read=1.0, put=0.5)
"""For tests in which a service stalls; each stall costs one of these."""


@dataclass
class Clock:
    """Unix seconds that a test moves; sleeping moves them, too."""

    seconds: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class Diary:
    """Where attempts are written down, as an uploader does."""

    attempts: list[Attempt] = field(default_factory=list)

    def __call__(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def net() -> Iterator[LoopbackNetwork]:
    with LoopbackNetwork(5, N, publishers=2, aggregators=3, signatures=False) as network:
        yield network


@pytest.fixture
def client(net: LoopbackNetwork, clock: Clock) -> Iterator[Callable[..., Network]]:
    """Make a client of the network; keywords as `LoopbackNetwork.config`, and ``impatient``."""
    made: list[Network] = []

    def make(config: NetworkConfig | None = None, **settings: Any) -> Network:
        if settings.pop("impatient", False):
            settings |= {"timeouts": IMPATIENT, "hedge_after": 0.05}
        settings = {"hedge_after": 10.0, **settings}
        network = Network(config or net.config(**settings), now=clock.now, sleep=clock.sleep)
        made.append(network)
        return network

    yield make
    for station in net.stations:
        station.faults.clear()
    for network in made:
        network.close()


@pytest.fixture
def network(client: Callable[..., Network]) -> Network:
    return client()
