"""A Walrus network as a store of a vault.

Nothing has a name there but by its bytes: a head stands in the last pack of its publication, and
the vault's locator says in which. Blobs are permanent unless an own address is to hold them: the
publisher's wallet cannot delete them then, and storage nodes tell when they end.

Sections are read by range. Their SHA-256 stands in the head, so that a range costs one hash;
a whole pack would have to be encoded again to be believed, which takes a second at 1,000 shards.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from haulout.errors import InputError
from haulout.log.head import NO_STORE, Ref
from haulout.log.lifetimes import Terms
from haulout.redstuff import blob_id, blob_id_bytes, blob_id_text
from haulout.storage.walrus.config import NetworkConfig, NodeConfig, Timeouts
from haulout.storage.walrus.hedging import Fault
from haulout.storage.walrus.network import Attempt, Network, Placed
from haulout.vault.stores.store import Genuine, HeadFound, Kept, Purchase
from haulout.vault.stores.walrussettings import (
    TOKEN,
    WalrusNode,
    WalrusSettings,
    read_settings,
    write_settings,
)

_KEPT_BYTES: Final = 8 * 1024 * 1024


class WalrusStore:
    """Packs on a Walrus network.

    Args:
        network: the open network; ``settings``: how it is used.
        told: called with every fault that a call went around.
    """

    kind = "walrus"
    joined = True

    def __init__(
        self,
        network: Network,
        settings: WalrusSettings,
        told: Callable[[Fault], None] | None = None,
    ) -> None:
        self.network, self._settings = network, settings
        self.faults: list[Fault] = []
        self._told = told or self.faults.append
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    @classmethod
    def open(cls, settings: str, credentials: Mapping[str, str]) -> WalrusStore:
        """The store of settings as JSON, with what the caller signs in with.

        Raises:
            InputError: they are no settings, or urllib3 is not installed.
        """
        given = read_settings(settings)
        return cls(Network(_config(given, credentials.get(TOKEN))), given)

    @property
    def id(self) -> bytes:
        """None: a network has no ID, and a head on it is found by its blob alone."""
        return NO_STORE

    @property
    def name(self) -> str:
        """The store, for people."""
        return f"Walrus ({self._settings.n_shards} shards)"

    @property
    def pack_bytes(self) -> int:
        """The most of a pack."""
        return self._settings.most_packed

    @property
    def terms(self) -> Terms:
        """How the network's time is used."""
        return self._settings.terms()

    def epoch(self) -> int | None:
        """The current epoch, where storage nodes are known."""
        return self.network.current_epoch()

    def settings(self) -> str:
        """The settings as JSON, without where heads stood."""
        return write_settings(msgspec.structs.replace(self._settings, head=None, states=None))

    def blob_id(self, data: bytes) -> bytes:
        """The ID that these bytes have on this network."""
        return blob_id_bytes(blob_id(data, self._settings.n_shards))

    # ------------------------------------------------------------------ packs

    def put(self, data: bytes, purchase: Purchase) -> Kept:
        """Place a pack, or keep one for longer, paid once and confirmed by others."""
        attempt = None
        if purchase.attempt is not None:
            attempt = msgspec.msgpack.decode(purchase.attempt, type=Attempt)

        def write_down(sent: Attempt) -> None:
            purchase.write_down(msgspec.msgpack.encode(sent))

        deletable = self._settings.send_object_to is not None
        if purchase.renewing:
            placed = self.network.renew(
                data, epochs=purchase.epochs, deletable=deletable, attempt=attempt,
                write_down=write_down,
            )  # fmt: skip
        else:
            placed = self.network.put(
                data, epochs=purchase.epochs, deletable=deletable,
                send_object_to=self._settings.send_object_to, attempt=attempt,
                write_down=write_down,
            )  # fmt: skip
        return self._as_kept(placed)

    def _as_kept(self, placed: Placed) -> Kept:
        for fault in placed.faults:
            self._told(fault)
        missing = tuple(f"{fault.url}: {fault.words}" for fault in placed.faults)
        return Kept(blob_id_bytes(placed.blob_id), placed.end_epoch or None, missing)

    def get(self, ref: Ref) -> bytes:
        """A section, by its range, verified against its digest."""
        known = self._kept.get(ref.digest)
        if known is not None:
            return known
        name = blob_id_text(ref.blob)
        read = self.network.read_range(name, ref.offset, ref.length, digest=ref.digest)
        for fault in read.faults:
            self._told(fault)
        if ref.length <= _KEPT_BYTES // 8:
            self._kept[ref.digest] = read.data
            while sum(map(len, self._kept.values())) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return read.data

    def whole(self, blob: bytes, size: int) -> bytes:
        """A whole pack, verified against its ID."""
        read = self.network.read(blob_id_text(blob), size=size or None)
        for fault in read.faults:
            self._told(fault)
        return read.data

    def standing(self, blob: bytes) -> Kept | None:
        """A pack that the network vouches for, and until when; None where it does not."""
        standing = self.network.status(blob_id_text(blob))
        if not standing.certified or standing.invalid:
            return None
        return Kept(blob, standing.end_epoch)

    def delete(self, blob: bytes) -> bool:  # noqa: ARG002 - no service deletes
        """Nothing is removed before its time but by a transaction of its owner."""
        return False

    # ------------------------------------------------------------------ heads

    def heads(self) -> list[HeadFound]:
        """The head that the settings name, which come from a locator.

        Raises:
            StorageError: it cannot be read.
        """
        return self._head_at(self._settings.head)

    def state_heads(self) -> list[HeadFound]:
        """The state lane's head that the settings name. Raises as `heads`."""
        return self._head_at(self._settings.states)

    def _head_at(self, named: tuple[str, int, int, str] | None) -> list[HeadFound]:
        if named is None:
            return []
        blob, offset, length, digest = named
        try:
            place = Ref(bytes.fromhex(blob), offset, length, bytes.fromhex(digest))
        except ValueError as error:
            message = "Settings of a Walrus network name no head that could be."
            raise InputError(message) from error
        return [HeadFound("", self.get(place), self.name, place.blob, place)]

    def publish_head(
        self, name: str, data: bytes, replaces: bytes | None, genuine: Genuine
    ) -> None:
        """Nothing to do: a head stands in the last pack, which is confirmed by now."""

    def close(self) -> None:
        """Give connections back."""
        self.network.close()


def _config(settings: WalrusSettings, token: str | None) -> NetworkConfig:
    nodes = [node for node in settings.nodes if isinstance(node, WalrusNode) and node.shards]
    return NetworkConfig(
        publishers=settings.publishers,
        aggregators=settings.aggregators,
        relays=settings.relays,
        nodes=[NodeConfig(node.url, node.shards) for node in nodes],
        n_shards=settings.n_shards,
        token=token,
        timeouts=Timeouts(settings.connect, settings.silence, settings.read, settings.put),
        hedge_after=settings.hedge_after,
        settle_after=settings.settle_after,
        confirm_for=settings.confirm_for,
    )
