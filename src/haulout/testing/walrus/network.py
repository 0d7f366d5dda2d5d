"""A whole Walrus network in this process, on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from haulout.errors import InputError, StorageError
from haulout.storage.walrus.config import NetworkConfig, NodeConfig, Timeouts, Token
from haulout.storage.walrus.cost import PriceTable
from haulout.storage.walrus.wire import Tip
from haulout.testing.walrus.aggregator import AggregatorRoutes, AggregatorState
from haulout.testing.walrus.claims import Doorkeeper
from haulout.testing.walrus.faults import Faults, Faulty
from haulout.testing.walrus.keys import NodeKey
from haulout.testing.walrus.ledger import Ledger
from haulout.testing.walrus.node import NodeRoutes, NodeState
from haulout.testing.walrus.owner import Owner
from haulout.testing.walrus.publisher import (
    BLOB_LIMIT,
    QUILT_LIMIT,
    PublisherRoutes,
    PublisherState,
)
from haulout.testing.walrus.relay import RelayRoutes, RelayState
from haulout.testing.walrus.serving import Host, Service
from haulout.testing.walrus.shelf import Shelf

_RICH: Final = 10**15  # FROST in a new wallet: a million WAL
_CORS_SECONDS: Final = 86_400

QUICK: Final = Timeouts(connect=2.0, silence=5.0, read=10.0, put=30.0)
"""Waiting times for services in the same process; tests choose shorter ones for stalls."""


@dataclass(frozen=True, slots=True)
class Station:
    """One service of the network: where it runs, and its switches.

    Attributes:
        service: start and stop it; faults: what it does wrong; state: what it has and knows.
    """

    service: Service
    faults: Faults
    state: Any

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.service.url

    def stop(self) -> None:
        """Switch it off: connections are refused."""
        self.service.stop()

    def start(self) -> None:
        """Switch it on again, at the same address."""
        self.service.start()


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the services of a network answer."""

    publishers: tuple[str, ...]
    aggregators: tuple[str, ...]
    relays: tuple[str, ...]
    nodes: tuple[str, ...]


class LoopbackNetwork:
    """A network of storage nodes, publishers, aggregators and relays on 127.0.0.1.

    A context manager. At 1,000 shards each upload costs about a second of CPU for its encoding;
    tests take 10 to 13.

    Args:
        nodes: how many share the shards; n_shards: of the network.
        publishers, aggregators, relays: how many of each; each publisher has a wallet of its own.
        seed: object IDs and keys follow from it.
        path: a folder for blobs, or None for memory.
        prices: what storage costs; secret: of the publishers' tokens, None where none are needed.
        tip: what relays want; signatures: whether nodes sign (needs py_ecc).
        blob_limit, quilt_limit: bytes that publishers take; now: Unix seconds, for tokens.
        port: the first of consecutive ports, 0 for any free ones.
    """

    def __init__(
        self,
        nodes: int = 10,
        n_shards: int = 1000,
        *,
        publishers: int = 1,
        aggregators: int = 1,
        relays: int = 1,
        seed: int = 0,
        path: Path | None = None,
        prices: PriceTable | None = None,
        secret: bytes | None = None,
        tip: Tip | None = None,
        signatures: bool = True,
        blob_limit: int = BLOB_LIMIT,
        quilt_limit: int = QUILT_LIMIT,
        now: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        if not 1 <= nodes <= n_shards:
            raise InputError(f"{nodes} nodes cannot share {n_shards} shards.")
        self.n_shards = n_shards
        self.ledger = Ledger(n_shards, seed, prices)
        self.shelf = Shelf(n_shards, path)
        self._host = Host()
        self._port = port
        self._closed = False
        try:
            self.nodes = [self._node(place, nodes, seed, signatures) for place in range(nodes)]
            states = [station.state for station in self.nodes]
            keeper = None if secret is None else Doorkeeper(secret, now)
            limits = (blob_limit, quilt_limit)
            self.publishers = [
                self._publisher(i, states, keeper, limits) for i in range(publishers)
            ]
            self.aggregators = [self._aggregator(states) for _ in range(aggregators)]
            self.relays = [self._relay(states, tip or Tip()) for _ in range(relays)]
        except BaseException:
            self.close()
            raise
        self.ledger.watch(self._sweep)

    # ------------------------------------------------------------------ making it

    def _serve(self, app: ASGIApp, faults: Faults) -> Service:
        faulty = Faulty(app, faults, self._host.connections.abort)
        service = Service(self._host, faulty, self._port)
        self._port += bool(self._port)
        return service

    def _node(self, place: int, nodes: int, seed: int, signatures: bool) -> Station:  # noqa: FBT001
        shards = tuple(range(place * self.n_shards // nodes, (place + 1) * self.n_shards // nodes))
        key = NodeKey(seed, place) if signatures else None
        faults = Faults()
        state = NodeState(shards, self.ledger, self.shelf, key, faults)
        return Station(self._serve(NodeRoutes(state).app(), faults), faults, state)

    def _publisher(
        self,
        place: int,
        states: list[NodeState],
        keeper: Doorkeeper | None,
        limits: tuple[int, int],
    ) -> Station:
        faults = Faults()
        wallet = f"publisher {place}"
        self.ledger.fund(wallet, _RICH)
        state = PublisherState(
            wallet, self.ledger, self.shelf, states, faults, keeper, limits[0], limits[1]
        )  # fmt: skip
        app = PublisherRoutes(state, self._host.connections.abort).app()
        return Station(self._serve(_open_to_all(app), faults), faults, state)

    def _aggregator(self, states: list[NodeState]) -> Station:
        faults = Faults()
        state = AggregatorState(self.ledger, self.shelf, states, faults)
        app = _open_to_all(AggregatorRoutes(state).app())
        return Station(self._serve(app, faults), faults, state)

    def _relay(self, states: list[NodeState], tip: Tip) -> Station:
        faults = Faults()
        state = RelayState(self.ledger, self.shelf, states, faults, tip)
        app = _open_to_all(RelayRoutes(state).app())
        return Station(self._serve(app, faults), faults, state)

    # ------------------------------------------------------------------ using it

    def __enter__(self) -> Self:
        """Give the network, which runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all services."""
        self.close()

    def close(self) -> None:
        """Stop all services, and let go whoever waits. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for station in self.stations:
            station.faults.clear()
        self._host.close()

    @property
    def stations(self) -> list[Station]:
        """All services."""
        kinds: list[Sequence[Station]] = [
            getattr(self, kind, ()) for kind in ("nodes", "publishers", "aggregators", "relays")
        ]
        return [station for stations in kinds for station in stations]

    @property
    def urls(self) -> Urls:
        """Where the services answer."""
        return Urls(
            tuple(s.url for s in self.publishers), tuple(s.url for s in self.aggregators),
            tuple(s.url for s in self.relays), tuple(s.url for s in self.nodes),
        )  # fmt: skip

    def config(
        self,
        *,
        timeouts: Timeouts = QUICK,
        hedge_after: float = 0.5,
        settle_after: float = 600.0,
        confirm_for: float = 0.0,
        token: Token | None = None,
        epochs: int = 5,
        nodes: bool = True,
        keys: bool = False,
    ) -> NetworkConfig:
        """What a client needs to use this network.

        Args:
            timeouts, hedge_after, settle_after, confirm_for, token, epochs: as `NetworkConfig`.
            nodes: whether the client knows the storage nodes; keys: with their public keys.
        """
        known = [
            NodeConfig(
                s.url,
                s.state.shards,
                s.state.key.public if keys and s.state.key is not None else None,
            )
            for s in self.nodes
        ]
        urls = self.urls
        return NetworkConfig(
            publishers=urls.publishers, aggregators=urls.aggregators, relays=urls.relays,
            nodes=known if nodes else (), n_shards=self.n_shards, token=token, epochs=epochs,
            timeouts=timeouts, hedge_after=hedge_after, settle_after=settle_after,
            confirm_for=confirm_for,
        )  # fmt: skip

    def owner(self, address: str = "0x" + "0a" * 32, frost: int = _RICH) -> Owner:
        """Somebody who signs transactions on the chain, and has money."""
        owner = Owner(address, self.ledger, [s.state for s in self.nodes])
        owner.fund(frost)
        return owner

    def wallet(self, place: int = 0) -> Owner:
        """The owner of a publisher's wallet."""
        states = [s.state for s in self.nodes]
        return Owner(self.publishers[place].state.wallet, self.ledger, states)

    def advance(self, epochs: int = 1) -> int:
        """Let epochs pass; gives the current one."""
        return self.ledger.advance(epochs)

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until no service works on anything any more.

        Raises:
            StorageError: some still do after so many seconds.
        """
        if not self._host.idle(lambda: any(s.faults.running for s in self.stations), seconds):
            raise StorageError("A service is still at work.")

    def sync(self) -> None:
        """Let nodes recover what was stored while they could not take part."""
        for name in self.shelf.names():
            if self.ledger.certified(name):
                for station in self.nodes:
                    station.state.holds.add(name)

    def _sweep(self) -> None:
        """Let go of bytes whose storage has ended."""
        for station in self.nodes:
            station.state.drop_ended()
        for name in self.shelf.names():
            if not self.ledger.registered(name):
                self.shelf.drop(name)


def _open_to_all(app: Starlette) -> ASGIApp:
    return CORSMiddleware(
        app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], max_age=_CORS_SECONDS
    )  # fmt: skip
