"""Which services to speak to, and how long to wait for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from haulout.errors import InputError

MAINNET_SHARDS: Final = 1000  # on mainnet and testnet alike: walrus.md §7
MOST_EPOCHS: Final = 53  # ahead of the current one; about two years on mainnet
_MOST_EPOCH_NUMBER: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Upload:
    """What a publisher's token is asked for: one upload.

    Attributes:
        url: the publisher; size: bytes of the body; epochs: how long it is to be kept.
        send_object_to: the address that is to own it, or None.
    """

    url: str
    size: int
    epochs: int
    send_object_to: str | None = None


Token: TypeAlias = str | Callable[[Upload], str]
"""A bearer token, or what makes one for an upload: a publisher takes each only once."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One storage node, as the network's committee names it.

    Attributes:
        url: where it answers.
        shards: the shards it holds in this epoch.
        public_key: its BLS key, 48 bytes; None where confirmations are not verified.
    """

    url: str
    shards: tuple[int, ...]
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which a service is given up.

    Attributes:
        connect: until a connection stands, and for each piece of a body that is sent.
        silence: without a byte from the other side while it answers.
        read: for a whole read.
        put: for a whole upload with the publisher's work; it waits for storage nodes and two
            transactions, about 12 s for 1 KB and more than 25 s above 20 MB (walrus.md §8).
    """

    connect: float = 5.0
    silence: float = 15.0
    read: float = 120.0
    put: float = 300.0


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The services of one Walrus network.

    Attributes:
        publishers, aggregators, relays: base URLs, the preferred ones first.
        nodes: storage nodes with their shards. Without any, what is certified is believed on an
            aggregator's bytes, and ends of storage on a publisher's word.
        n_shards: the network's number of shards; blob IDs depend on it.
        token: bearer token for publishers.
        epochs: how long a blob is kept where a call does not say.
        timeouts: see `Timeouts`.
        hedge_after: seconds after which a slow read is asked for elsewhere, too.
        settle_after: seconds after which an upload of unknown outcome, of which the storage nodes
            know nothing, counts as never done. Before that no other publisher is paid.
        confirm_for: seconds in which storage nodes may learn of a certification.
        workers: requests at a time when a blob is read sliver by sliver.
        most_bytes: no longer blob is taken from anyone, where its size is not known beforehand.
    """

    publishers: Sequence[str] = ()
    aggregators: Sequence[str] = ()
    relays: Sequence[str] = ()
    nodes: Sequence[NodeConfig] = ()
    n_shards: int = MAINNET_SHARDS
    token: Token | None = None
    epochs: int = 5
    timeouts: Timeouts = field(default_factory=Timeouts)
    hedge_after: float = 2.0
    settle_after: float = 600.0
    confirm_for: float = 20.0
    workers: int = 16
    most_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuse URLs and numbers that cannot be meant.

        Raises:
            InputError: one of them cannot.
        """
        urls = [*self.publishers, *self.aggregators, *self.relays, *(n.url for n in self.nodes)]
        for url in urls:
            checked_url(url)
        checked_epochs(self.epochs)
        held = [shard for node in self.nodes for shard in node.shards]
        if len(set(held)) != len(held) or any(not 0 <= s < self.n_shards for s in held):
            message = f"The nodes' shards are not each one of 0 to {self.n_shards - 1}, held once."
            raise InputError(message)


def checked_url(url: str) -> str:
    """Return ``url`` without a slash at its end.

    Raises:
        InputError: it is not plain http or https, or it holds a password, which would end up in
            messages and locators.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{url[:80]!r} is not the address of a Walrus service.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        message = f"The address of {parts.hostname} holds more than a host and a path."
        raise InputError(message, hint="Give a token separately; it is never part of a URL.")
    return url.rstrip("/")


def checked_epochs(epochs: int) -> int:
    """Return ``epochs`` where storage can be bought for so many.

    Raises:
        InputError: it is not 1 to 53.
    """
    if not 1 <= epochs <= MOST_EPOCHS:
        message = f"Storage is bought for 1 to {MOST_EPOCHS} epochs ahead, not for {epochs}."
        raise InputError(message)
    return epochs


def possible_epoch(number: int) -> bool:
    """Whether ``number`` can be an epoch's at all: 32 bits on the chain."""
    return 0 <= number <= _MOST_EPOCH_NUMBER


class _WrittenNode(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    shards: list[tuple[int, int]]
    public_key: str = ""


class _Written(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    publishers: list[str] = []
    aggregators: list[str] = []
    relays: list[str] = []
    nodes: list[_WrittenNode] = []
    n_shards: int = MAINNET_SHARDS
    epochs: int = 5


def written(config: NetworkConfig) -> dict[str, Any]:
    """A configuration as JSON has it: services, shards as runs from one to another, epochs.

    The token is a secret and stays out; waiting times are left to whoever reads it.
    """
    nodes = [
        _WrittenNode(node.url, _runs(node.shards), (node.public_key or b"").hex())
        for node in config.nodes
    ]
    told = _Written(
        publishers=list(config.publishers), aggregators=list(config.aggregators),
        relays=list(config.relays), nodes=nodes, n_shards=config.n_shards, epochs=config.epochs,
    )  # fmt: skip
    found: dict[str, Any] = msgspec.to_builtins(told)
    return found


def read_config(data: bytes | str, token: Token | None = None) -> NetworkConfig:
    """Read what `written` gives, as JSON.

    Raises:
        InputError: it is of another form, or cannot be meant.
    """
    try:
        told = msgspec.json.decode(data, type=_Written)
        nodes = tuple(_read_node(node) for node in told.nodes)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"The Walrus configuration cannot be read: {error}.") from error
    return NetworkConfig(
        tuple(told.publishers), tuple(told.aggregators), tuple(told.relays), nodes,
        n_shards=told.n_shards, token=token, epochs=told.epochs,
    )  # fmt: skip


def _read_node(node: _WrittenNode) -> NodeConfig:
    if any(not 0 <= first <= last < MAINNET_SHARDS for first, last in node.shards):
        raise InputError(f"The shards of {node.url} are not runs within 0 to 999.")
    shards = tuple(shard for first, last in node.shards for shard in range(first, last + 1))
    return NodeConfig(node.url, shards, bytes.fromhex(node.public_key) or None)


def _runs(shards: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for shard in sorted(shards):
        if runs and runs[-1][1] == shard - 1:
            runs[-1] = (runs[-1][0], shard)
        else:
            runs.append((shard, shard))
    return runs
