"""What is known of a blob without its bytes: its ID, and the hash of every sliver.

Source: walrus.md §3.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import acceleration, bcs, merkle
from haulout.redstuff.engine import root
from haulout.redstuff.parameters import (
    DIGEST_SIZE,
    MOST_SHARDS,
    Axis,
    pair_place,
    symbol_size,
)

RED_STUFF: Final = 1
"""The type of encoding. 0 was RaptorQ, which no blob has any more."""

_ENCODINGS: Final = 2
_VERSIONS: Final = 1
_TEXT_LENGTH: Final = 43


def blob_id_text(blob_id: bytes) -> str:
    """A blob ID as 43 characters: URL-safe base64 without padding.

    Raises:
        InputError: it does not have 32 bytes.
    """
    if len(blob_id) != DIGEST_SIZE:
        raise InputError(f"A blob ID has {DIGEST_SIZE} bytes, not {len(blob_id)}.")
    return urlsafe_b64encode(blob_id).decode().rstrip("=")


def blob_id_bytes(text: str) -> bytes:
    """The 32 bytes of a blob ID that is written as `blob_id_text` writes it, and in no other way.

    Raises:
        InputError: it is not.
    """
    try:
        found = urlsafe_b64decode(text.encode("ascii") + b"=")
    except (UnicodeEncodeError, Base64Error):
        found = b""
    if len(text) != _TEXT_LENGTH or len(found) != DIGEST_SIZE or blob_id_text(found) != text:
        raise InputError(f"{text[:60]!r} is no blob ID.")
    return found


@dataclass(frozen=True)
class Metadata:
    """A blob's size and the hashes of its slivers.

    Attributes:
        n_shards: n, from 4 to 1000.
        size: the blob's bytes before encoding.
        hashes: one entry for each of the n pairs, in order: the hash of primary sliver k and
            that of secondary sliver n - 1 - k, 32 bytes each.

    Raises:
        InputError: the numbers do not fit together, or a hash does not have 32 bytes.
        LimitError: no blob over so many shards is so large.
    """

    n_shards: int
    size: int
    hashes: tuple[tuple[bytes, bytes], ...]

    def __post_init__(self) -> None:
        if self.symbol_size and len(self.hashes) != self.n_shards:
            raise InputError(f"{len(self.hashes)} pairs of hashes are not {self.n_shards}.")
        if any(len(digest) != DIGEST_SIZE for pair in self.hashes for digest in pair):
            raise InputError(f"A sliver's hash has {DIGEST_SIZE} bytes.")

    @cached_property
    def symbol_size(self) -> int:
        """The bytes of one symbol."""
        return symbol_size(self.size, self.n_shards)

    @cached_property
    def root_hash(self) -> bytes:
        """The root over all pairs of hashes, 32 bytes."""
        joined = b"".join(digest for pair in self.hashes for digest in pair)
        pairs = np.frombuffer(joined, np.uint8).reshape(self.n_shards, 2 * DIGEST_SIZE)
        return root(acceleration.engine(2 * self.n_shards, 0), pairs)

    @cached_property
    def blob_id(self) -> bytes:
        """The blob's ID, 32 bytes: the hash of encoding type, size and root."""
        return merkle.digest(bytes([RED_STUFF]) + bcs.u64(self.size) + self.root_hash)

    @property
    def blob_id_text(self) -> str:
        """The blob's ID as 43 characters."""
        return blob_id_text(self.blob_id)

    def sliver_hash(self, axis: Axis, index: int) -> bytes:
        """The hash of sliver ``index`` of ``axis``.

        Raises:
            InputError: there is no such sliver.
        """
        pair = pair_place(axis, index, self.n_shards)
        return self.hashes[pair][0 if axis == "primary" else 1]

    def to_bcs(self) -> bytes:
        """The metadata without the ID, as the network's `BlobMetadata`."""
        pairs = [merkle.node_to_bcs(a) + merkle.node_to_bcs(b) for a, b in self.hashes]
        return b"\x00" + bytes([RED_STUFF]) + bcs.u64(self.size) + bcs.vector(pairs)

    def to_bcs_with_id(self) -> bytes:
        """The ID, then the metadata, as storage nodes send them."""
        return self.blob_id + self.to_bcs()

    @classmethod
    def from_bcs(cls, data: bytes) -> Metadata:
        """Read what `to_bcs` writes. Whether it is that of a blob, only the ID tells.

        Raises:
            WrongBytesError: the bytes have another form, tell of another encoding, or of a blob
                that cannot be.
        """
        reader = bcs.Reader(data, "The blob's metadata")
        reader.variant(_VERSIONS)
        if reader.variant(_ENCODINGS) != RED_STUFF:
            raise reader.refuse("the blob is not encoded with Red Stuff")
        size = reader.u64()
        hashes = tuple(reader.vector(_read_pair, least=2))
        reader.finish()
        if len(hashes) > MOST_SHARDS:
            raise reader.refuse(f"{len(hashes)} shards are more than {MOST_SHARDS}")
        try:
            return cls(len(hashes), size, hashes)
        except InputError as error:
            raise WrongBytesError(f"The blob's metadata are of no blob: {error.message}") from error

    @classmethod
    def from_bcs_with_id(cls, data: bytes) -> Metadata:
        """Read what `to_bcs_with_id` writes, and see that the ID is that of the metadata.

        Raises:
            WrongBytesError: the form is another, or the ID is.
        """
        found = cls.from_bcs(data[DIGEST_SIZE:])
        if found.blob_id != data[:DIGEST_SIZE]:
            raise WrongBytesError(
                f"The metadata are those of {found.blob_id_text}, not of the blob they came with."
            )
        return found


def _read_pair(reader: bcs.Reader) -> tuple[bytes, bytes]:
    return merkle.node_from_bcs(reader), merkle.node_from_bcs(reader)
