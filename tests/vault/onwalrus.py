"""Vaults on a loopback Walrus network, with a clock that is moved by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from vault.publishing import Fuse, Stopping

from haulout import Vault
from haulout.log import published
from haulout.log.published import StoreRow
from haulout.redstuff import blob_id_text
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.opening import World
from haulout.vault.stores import restoring
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.publishing import Publisher
from haulout.vault.stores.walrussettings import WalrusNode, WalrusSettings, write_settings
from haulout.vault.stores.walrusstore import WalrusStore

DAY = 86_400_000_000
START = 1_700_000_000_000_000


class Calendar:
    """A clock that stands still, and a network whose epochs follow it."""

    def __init__(self, network: LoopbackNetwork, epoch_days: float = 14.0) -> None:
        self._network, self._length = network, int(epoch_days * DAY)
        self.at = START

    def now(self) -> int:
        self.at += 1
        return self.at

    def world(self) -> World:
        return World(now=self.now)

    def pass_days(self, days: float) -> None:
        """Let time pass; epochs begin as it does."""
        before = (self.at - START) // self._length
        self.at += int(days * DAY)
        self._network.advance((self.at - START) // self._length - before)


def settings(network: LoopbackNetwork, **changed: Any) -> WalrusSettings:
    """How a vault uses a loopback network."""
    urls = network.urls
    nodes = tuple(WalrusNode(url=one.url, shards=one.state.shards) for one in network.nodes)
    given = WalrusSettings(
        publishers=urls.publishers, aggregators=urls.aggregators, nodes=nodes,
        n_shards=network.n_shards, confirm_for=0.0, hedge_after=0.3, connect=2.0, silence=2.0,
        read=5.0, put=10.0,
    )  # fmt: skip
    return msgspec.structs.replace(given, **changed)


def with_walrus(
    folder: Path, network: LoopbackNetwork, calendar: Calendar, **changed: Any
) -> tuple[Vault, str]:
    """A vault whose store is a network, and its 24 words."""
    vault, kit = Vault.create(folder, embedder="none", world=calendar.world())
    vault._remote.add("walrus", write_settings(settings(network, **changed)))
    return vault, kit.words


def row_of(vault: Vault) -> StoreRow:
    """What the database says of the store."""
    row = vault._remote.row("walrus")
    assert row is not None
    return row


def remote_records(vault: Vault) -> int:
    """How many records the database calls remote."""
    return sum(run.run.records for run in row_of(vault).state.runs)


def publisher(vault: Vault, fuse: Fuse) -> tuple[Publisher, Callable[[], None]]:
    """A publisher that stops where a fuse has burnt down; and what closes its store."""
    row = row_of(vault)
    store = WalrusStore.open(row.settings, {})
    stopping: Any = Stopping(store, fuse, "put", "whole", "epoch", "standing")
    database: Any = Stopping(vault._parts.database, fuse, "write")
    box: Any = Stopping(Outbox(vault.path), fuse, "put", "keep_only")
    parts = dataclasses.replace(vault._parts, database=database)
    return Publisher(parts, stopping, row.number, box, vault._lane_parts()), store.close


def restored(locator: str, words: str, folder: Path) -> tuple[Vault, restoring.Restored]:
    """A vault made again from a locator."""
    found = Vault.restore(locator, folder, kit=words, embedder="none")
    assert found.restored is not None
    return found, found.restored


def paid_twice(network: LoopbackNetwork) -> list[str]:
    """Blobs that more than one registration was paid for."""
    seen: list[str] = []
    twice: list[str] = []
    for one in network.ledger.payments:
        if one.what == "register":
            (twice if one.blob_id in seen else seen).append(one.blob_id)
    return twice


def named(vault: Vault) -> set[str]:
    """The blobs that the newest head names, text form."""
    row = row_of(vault)
    with vault._database.read() as connection:
        places = published.chunk_places(connection, row.number)
    return {blob_id_text(one) for one in row.state.named() | {one.ref.blob for one in places}}
