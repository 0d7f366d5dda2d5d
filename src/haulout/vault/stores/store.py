"""Stores: where a vault's bytes go beside its own disk, as publishing sees them.

A store takes packs under their blob ID and answers with bytes that it has verified against it.
A volume set keeps heads by name; on Walrus a head stands in the last pack, and the locator says
where. Volumes keep what they have; Walrus sells time, and how that is used are its `terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from haulout.log.head import Ref
from haulout.log.lifetimes import Terms

WriteDown = Callable[[bytes], None]
"""Keeps what a store wants to find again after a crash; returns when that is durable."""


class Kept(NamedTuple):
    """A pack that a store has.

    Attributes:
        blob: its 32-byte blob ID.
        until: the first epoch in which it is gone; None where the store has no epochs, or where
            nobody tells.
        missing: what is not as it should be, in words: shards that could not be written.
    """

    blob: bytes
    until: int | None = None
    missing: tuple[str, ...] = ()


class Purchase(NamedTuple):
    """How a pack is to be kept. Stores that have no epochs only look at its bytes.

    Attributes:
        epochs: for how many, the current one counted.
        renewing: whether it stands there and is to stay for longer.
        attempt: what `write_down` was last given for this pack and did not end well; or None.
        write_down: called with an attempt before money is spent.
    """

    epochs: int = 1
    renewing: bool = False
    attempt: bytes | None = None
    write_down: WriteDown = lambda _: None


class HeadFound(NamedTuple):
    """A copy of a head, as a store gave it. Nothing about it is verified.

    Attributes:
        name: the head's name, or empty; ``data``: its bytes.
        source: which volume or place gave it, in words.
        blob: the pack it stands in; empty where it stands by itself.
        place: where in that pack; None where it stands by itself.
    """

    name: str
    data: bytes
    source: str
    blob: bytes = b""
    place: Ref | None = None


Genuine = Callable[[bytes], int | None]
"""The number of a head that the owner signed, or None for bytes that are none."""


class Store(Protocol):
    """One store of a vault. Safe to use from several threads."""

    @property
    def kind(self) -> str:
        """Which kind it is: ``volumes`` or ``walrus``."""
        ...

    @property
    def id(self) -> bytes:
        """16 bytes that a head made for this store names; zeros where it has no ID."""
        ...

    @property
    def name(self) -> str:
        """The store, for people."""
        ...

    @property
    def pack_bytes(self) -> int:
        """The most that a pack may have."""
        ...

    @property
    def joined(self) -> bool:
        """Whether a small publication is one blob, head and all: blobs cost by the piece."""
        ...

    @property
    def terms(self) -> Terms | None:
        """How its time is used; None where it keeps what it has and takes it at once."""
        ...

    def epoch(self) -> int | None:
        """The current epoch; None where there are none, or where nobody tells.

        Raises:
            StoreUnavailableError: those who could tell do not answer.
        """
        ...

    def settings(self) -> str:
        """Where its bytes are, as JSON: what a reader needs beside the kit. No secret."""
        ...

    def blob_id(self, data: bytes) -> bytes:
        """The ID that these bytes have in this store."""
        ...

    def put(self, data: bytes, purchase: Purchase) -> Kept:
        """Keep a pack; what is there already is not sent or paid again.

        Raises:
            StoreUnavailableError: it is not known to be there; a repetition with the attempt that
                was written down is safe.
            StoreRefusedError: the store wants a token, money or a right.
        """
        ...

    def get(self, ref: Ref) -> bytes:
        """The bytes of a section, verified against its blob ID or its digest.

        Raises:
            BlobMissingError, TooFewSliversError, WrongBytesError, StoreUnavailableError.
        """
        ...

    def whole(self, blob: bytes, size: int) -> bytes:
        """The bytes of a whole pack, verified against its ID. Raises as `get`."""
        ...

    def standing(self, blob: bytes) -> Kept | None:
        """A pack that the store has, and until when; None where it does not have it.

        Raises:
            StoreUnavailableError: it is not known.
        """
        ...

    def delete(self, blob: bytes) -> bool:
        """Remove a blob; False where the store removes nothing before its time."""
        ...

    def heads(self) -> list[HeadFound]:
        """Every copy of every head that can be reached.

        Raises:
            StoreUnavailableError: nothing of the store can be reached.
        """
        ...

    def state_heads(self) -> list[HeadFound]:
        """Every copy of every head of the state lane; where heads have names, of other lanes, too.

        Raises:
            StoreUnavailableError: nothing of the store can be reached.
        """
        ...

    def publish_head(
        self, name: str, data: bytes, replaces: bytes | None, genuine: Genuine
    ) -> None:
        """Put a head in the place of the one that stood there.

        Args:
            name: the head's; ``data``: its bytes; ``replaces``: those that stood, or None.
            genuine: tells a head of this vault's from what a store made up.

        Raises:
            ConflictError: another one stands there; StoreUnavailableError: too few took it.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
