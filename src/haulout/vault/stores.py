"""Stores: where a vault's bytes go beside its own disk, as publishing sees them.

A store takes packs under their blob ID and answers with bytes that it has verified against it.
A volume set keeps heads by name; on Walrus a head stands in the last pack, and the locator says
where.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from haulout.log.head import Ref


class Kept(NamedTuple):
    """A pack that a store has.

    Attributes:
        blob: its 32-byte blob ID.
        until: the first epoch in which it is gone; None where the store has no epochs.
        missing: what is not as it should be, in words: shards that could not be written.
    """

    blob: bytes
    until: int | None = None
    missing: tuple[str, ...] = ()


class HeadFound(NamedTuple):
    """A copy of a head, as a store gave it. Nothing about it is verified.

    Attributes:
        name: the head's name, or empty; ``data``: its bytes.
        source: which volume or place gave it, in words.
        blob: the pack it stands in; empty where it stands by itself.
    """

    name: str
    data: bytes
    source: str
    blob: bytes = b""


class Store(Protocol):
    """One store of a vault. Safe to use from several threads."""

    @property
    def kind(self) -> str:
        """Which kind it is: ``volumes`` or ``walrus``."""
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

    def settings(self) -> str:
        """Where its bytes are, as JSON: what a reader needs beside the kit. No secret."""
        ...

    def blob_id(self, data: bytes) -> bytes:
        """The ID that these bytes have in this store."""
        ...

    def put(self, data: bytes, *, lasting: bool) -> Kept:
        """Keep a pack; what is there already is not sent or paid again.

        Raises:
            StoreUnavailableError: it is not known to be there; a repetition is safe.
            StoreRefusedError: the store wants a token, money or a right.
        """
        ...

    def get(self, ref: Ref) -> bytes:
        """The bytes of a section, verified against its blob ID or its digest.

        Raises:
            BlobMissingError, TooFewSliversError, WrongBytesError, StoreUnavailableError.
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

    def publish_head(self, name: str, data: bytes, replaces: bytes | None) -> None:
        """Put a head in the place of the one that stood there.

        Raises:
            ConflictError: another one stands there; StoreUnavailableError: too few took it.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
