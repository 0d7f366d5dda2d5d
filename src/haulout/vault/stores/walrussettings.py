"""Where a vault's bytes are on a Walrus network, and how its time is used."""

from __future__ import annotations

from typing import Final

import msgspec

from haulout.crypto.section import LEAST_BYTES
from haulout.errors import InputError
from haulout.log.lifetimes import MOST_EPOCHS, Terms
from haulout.redstuff import most_bytes
from haulout.storage.walrus.config import MAINNET_SHARDS

TOKEN: Final = "walrus.token"  # noqa: S105 - the name under which a token is given
_MIB: Final = 1024 * 1024
PACK_BYTES: Final = 10 * _MIB
"""What publishers take by default (walrus.md §6.2)."""
_DEFAULT: Final = Terms()


class WalrusNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A storage node and the shards that it holds; of a locator's nodes these are not known."""

    url: str
    shards: tuple[int, ...] = ()


class WalrusSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a vault's bytes are on a Walrus network, and how its time is used. No secret.

    Attributes:
        publishers, aggregators, relays, nodes: services, the preferred ones first.
        n_shards: the network's number of shards.
        epoch_days, keep_days, long_epochs, cadence_days, cadence_bytes, vectors: see `Terms`.
        pack_bytes: the most of a blob, but for one with a single section; publishers refuse
            larger ones.
        send_object_to: an address of one's own that is to hold the blobs; they can be deleted
            by its owner then. The publisher holds them otherwise, and nobody can.
        head: where the newest head stood when a locator was written: blob and digest in
            hexadecimal, offset and length between them; states: the same of the state lane.
        hedge_after, settle_after, confirm_for: seconds, as `NetworkConfig` says.
        connect, silence, read, put: seconds after which a service is given up.
    """

    publishers: tuple[str, ...] = ()
    aggregators: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    nodes: tuple[WalrusNode | str, ...] = ()
    n_shards: int = MAINNET_SHARDS
    epoch_days: float = _DEFAULT.epoch_days
    keep_days: float = _DEFAULT.keep_days
    long_epochs: int = _DEFAULT.long_epochs
    cadence_days: float = _DEFAULT.cadence_days
    cadence_bytes: int = _DEFAULT.cadence_bytes
    vectors: bool = _DEFAULT.vectors
    pack_bytes: int = PACK_BYTES
    send_object_to: str | None = None
    head: tuple[str, int, int, str] | None = None
    states: tuple[str, int, int, str] | None = None
    hedge_after: float = 2.0
    settle_after: float = 600.0
    confirm_for: float = 20.0
    connect: float = 5.0
    silence: float = 15.0
    read: float = 120.0
    put: float = 300.0

    @property
    def most_packed(self) -> int:
        """The most of a pack: what was set, or what the network's code takes where that is less."""
        return min(self.pack_bytes, most_bytes(self.n_shards))

    def terms(self) -> Terms:
        """How the network's time is used."""
        return Terms(
            epoch_days=self.epoch_days,
            keep_days=self.keep_days,
            long_epochs=self.long_epochs,
            cadence_days=self.cadence_days,
            cadence_bytes=self.cadence_bytes,
            vectors=self.vectors,
        )

    def checked(self) -> WalrusSettings:
        """These settings, where they can be meant.

        Raises:
            InputError: they cannot.
        """
        spans = (self.keep_days, self.cadence_days, self.cadence_bytes)
        if self.epoch_days <= 0 or min(spans) < 0:
            message = "An epoch lasts longer than nothing, and no span is negative."
            raise InputError(message)
        if not 1 <= self.long_epochs <= MOST_EPOCHS:
            message = f"Storage is bought for 1 to {MOST_EPOCHS} epochs, not {self.long_epochs}."
            raise InputError(message)
        if self.keep_days > (MOST_EPOCHS - 1) * self.epoch_days:
            message = f"Nothing can be bought for {self.keep_days:g} days ahead."
            raise InputError(message)
        if self.pack_bytes < LEAST_BYTES:
            message = f"A pack of {self.pack_bytes} bytes holds nothing."
            raise InputError(message)
        return self


def read_settings(text: str) -> WalrusSettings:
    """Settings from their JSON.

    Raises:
        InputError: they are none.
    """
    try:
        return msgspec.json.decode(text, type=WalrusSettings).checked()
    except msgspec.DecodeError as error:
        message = f"These are no settings of a Walrus network: {error}."
        raise InputError(message) from error


def write_settings(settings: WalrusSettings) -> str:
    """Settings as JSON."""
    return msgspec.json.encode(settings).decode()
