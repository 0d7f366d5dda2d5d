"""From a blob to its slivers, their hashes and its ID.

Source: walrus.md §1-3.
"""

from __future__ import annotations

from typing import Final

from haulout.redstuff import acceleration
from haulout.redstuff.bands import Bands
from haulout.redstuff.metadata import Metadata
from haulout.redstuff.parameters import DIGEST_SIZE, checked_index, parameters, symbol_size
from haulout.redstuff.sliver import Sliver
from haulout.redstuff.square import Square

_SQUARE_BYTES: Final = 6 << 20
"""Symbols and leaves up to which a blob is encoded in one piece."""


class Encoded:
    """A blob that was encoded: its metadata, and its slivers on demand.

    Of a small blob it holds all symbols (6 MiB at most), of a large one what `Bands` says: never
    more than three times the blob and 64 MiB.
    """

    def __init__(self, data: bytes, n_shards: int) -> None:
        self._symbols = _expanded(data, n_shards, keep=True)
        self.metadata = _metadata(self._symbols, len(data), n_shards)

    @property
    def n_shards(self) -> int:
        """How many shards the blob is encoded for."""
        return self.metadata.n_shards

    @property
    def size(self) -> int:
        """The blob's bytes before encoding."""
        return self.metadata.size

    @property
    def symbol_size(self) -> int:
        """The bytes of one symbol."""
        return self.metadata.symbol_size

    @property
    def blob_id(self) -> bytes:
        """The blob's ID, 32 bytes."""
        return self.metadata.blob_id

    @property
    def blob_id_text(self) -> str:
        """The blob's ID as 43 characters."""
        return self.metadata.blob_id_text

    @property
    def root_hash(self) -> bytes:
        """The root over all hashes, 32 bytes."""
        return self.metadata.root_hash

    def primary(self, index: int) -> Sliver:
        """Primary sliver ``index``: a row of s symbols.

        Raises:
            InputError: there is no such sliver.
        """
        checked_index(index, self.n_shards, "a primary sliver")
        return Sliver("primary", index, self.symbol_size, self._symbols.row(index))

    def secondary(self, index: int) -> Sliver:
        """Secondary sliver ``index``: a column of p symbols.

        Raises:
            InputError: there is no such sliver.
        """
        checked_index(index, self.n_shards, "a secondary sliver")
        return Sliver("secondary", index, self.symbol_size, self._symbols.column(index))

    def pair(self, index: int) -> tuple[Sliver, Sliver]:
        """What one shard holds: primary sliver ``index`` and secondary sliver n - 1 - ``index``.

        Raises:
            InputError: there is no such pair.
        """
        return self.primary(index), self.secondary(self.n_shards - 1 - index)


def encode(data: bytes | bytearray | memoryview, n_shards: int) -> Encoded:
    """Encode a blob as the Walrus network does.

    Args:
        data: the blob, of any length up to `most_bytes`; what is not `bytes` is copied.
        n_shards: 4 to 1000. The network has 1000; another number gives other IDs.

    Raises:
        InputError: there cannot be so many shards.
        LimitError: the blob is too large for so few.
    """
    return Encoded(bytes(data), n_shards)


def blob_id(data: bytes | bytearray | memoryview, n_shards: int) -> str:
    """The ID that a blob has over ``n_shards`` shards, as 43 characters.

    Raises:
        InputError: there cannot be so many shards.
        LimitError: the blob is too large for so few.
    """
    view = memoryview(data).cast("B")
    return metadata_of(view, n_shards).blob_id_text


def metadata_of(data: bytes | memoryview, n_shards: int) -> Metadata:
    """The metadata of a blob, without its slivers.

    Raises:
        InputError: there cannot be so many shards.
        LimitError: the blob is too large for so few.
    """
    return _metadata(_expanded(data, n_shards, keep=False), len(data), n_shards)


def _metadata(symbols: Square | Bands, size: int, n_shards: int) -> Metadata:
    hashes = zip(symbols.primary, reversed(symbols.secondary), strict=True)
    return Metadata(n_shards, size, tuple(hashes))


def _expanded(data: bytes | memoryview, n_shards: int, *, keep: bool) -> Square | Bands:
    count = parameters(n_shards).n_shards ** 2
    size = symbol_size(len(data), n_shards)
    engine = acceleration.engine(3 * count, count * size)
    if count * (size + DIGEST_SIZE) <= _SQUARE_BYTES:
        return Square(data, n_shards, engine)
    return Bands(data, n_shards, engine, keep=keep)
