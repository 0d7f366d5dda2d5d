"""A Walrus network that takes no more than its share of the line.

What counts is a pack's own bytes, as a publisher or an aggregator gets them. What goes to storage
nodes and relays, or comes from them, is several times as much, and is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from haulout.log.head import Ref
from haulout.vault.stores.store import Kept, Purchase
from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES, StoreOptions
from haulout.vault.stores.walrussettings import read_settings
from haulout.vault.stores.walrusstore import WalrusStore


class LimitedWalrusStore(WalrusStore):
    """Packs on a Walrus network, sent and fetched no faster than told."""

    options: StoreOptions = AS_FAST_AS_IT_GOES

    @classmethod
    def open_within(
        cls, settings: str, credentials: Mapping[str, str], options: StoreOptions
    ) -> Self:
        """The store of a network's settings, within limits."""
        store = cls(WalrusStore.open(settings, credentials).network, read_settings(settings))
        store.options = options
        return store

    def put(self, data: bytes, purchase: Purchase) -> Kept:
        """Keep a pack; waits first."""
        if not purchase.renewing:
            self.options.sent(len(data))
        return super().put(data, purchase)

    def get(self, ref: Ref) -> bytes:
        """A section; waits once it is known how much came."""
        data = super().get(ref)
        self.options.received(len(data))
        return data

    def whole(self, blob: bytes, size: int) -> bytes:
        """A whole pack; waits once it is known how much came."""
        data = super().whole(blob, size)
        self.options.received(len(data))
        return data
