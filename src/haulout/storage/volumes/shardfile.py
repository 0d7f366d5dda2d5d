"""The object that holds what one shard keeps of one blob. Pure.

docs/spec/volume.md, "Shard object":

    version u8 = 1 | n_shards u16 | shard u16 | size u64     13 bytes, little-endian
    metadata with its blob ID, BCS (walrus.md section 3)     43 + ULEB128(n) + 66n bytes
    primary sliver, its symbols alone                        s · z bytes
    secondary sliver, its symbols alone                      p · z bytes

Each object verifies by itself given the blob ID: the metadata hash to the ID, and each sliver to
its hash in the metadata. Where everything is follows from n and the blob's size, so that a
sliver, or one symbol of it, is read by range.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from haulout.errors import InputError, LimitError, WrongBytesError
from haulout.redstuff import (
    Metadata,
    Sliver,
    blob_id_bytes,
    pair_of_shard,
    parameters,
    shard_of_pair,
    symbol_size,
    verify_sliver,
)
from haulout.redstuff.parameters import Axis

VERSION: Final = 1
HEADER_BYTES: Final = 13
_ONE_BYTE_COUNT: Final = 127  # ULEB128 counts up to here in one byte, up to 16,383 in two
_HASHES_BYTES: Final = 66
_METADATA_FIXED: Final = 42  # blob ID 32, format 1, encoding 1, size 8


class Header(NamedTuple):
    """The first 13 bytes: which shard of how many, and how large the blob is.

    Nothing vouches for a header by itself; the metadata behind it do.
    """

    n_shards: int
    shard: int
    size: int


class Extent(NamedTuple):
    """A range of an object, in bytes."""

    start: int
    length: int


def metadata_size(n_shards: int) -> int:
    """The bytes of metadata with their blob ID."""
    count = 1 if n_shards <= _ONE_BYTE_COUNT else 2
    return _METADATA_FIXED + count + _HASHES_BYTES * n_shards


def prefix_size(n_shards: int) -> int:
    """The bytes before the primary sliver: header and metadata."""
    return HEADER_BYTES + metadata_size(n_shards)


def sliver_extent(axis: Axis, size: int, n_shards: int) -> Extent:
    """Where a shard's sliver stands in its object, for a blob of ``size`` bytes.

    Raises:
        InputError, LimitError: there is no such blob for ``n_shards``.
    """
    z, rs2, start = symbol_size(size, n_shards), parameters(n_shards), prefix_size(n_shards)
    if axis == "primary":
        return Extent(start, rs2.secondary * z)
    return Extent(start + rs2.secondary * z, rs2.primary * z)


def symbol_extent(axis: Axis, number: int, size: int, n_shards: int) -> Extent:
    """Where symbol ``number`` of a shard's sliver stands in its object.

    Raises:
        InputError: the sliver has no such symbol; of a primary sliver the first s are stored, of
            a secondary one the first p.
    """
    sliver, z = sliver_extent(axis, size, n_shards), symbol_size(size, n_shards)
    if not 0 <= number < sliver.length // z:
        raise InputError(f"A {axis} sliver stores no symbol {number}.")
    return Extent(sliver.start + number * z, z)


def object_size(size: int, n_shards: int) -> int:
    """The bytes of each shard object of a blob of ``size`` bytes."""
    last = sliver_extent("secondary", size, n_shards)
    return last.start + last.length


def possible_size(total: int, n_shards: int) -> bool:
    """Whether a shard object of any blob can have ``total`` bytes."""
    rs2 = parameters(n_shards)
    slivers, step = total - prefix_size(n_shards), rs2.primary + rs2.secondary
    z, rest = divmod(slivers, step)
    return rest == 0 and z % 2 == 0 and 2 <= z <= 65_534  # noqa: PLR2004 - walrus.md section 1


def encode_header(header: Header) -> bytes:
    """The 13 bytes of a header."""
    return (
        bytes([VERSION])
        + header.n_shards.to_bytes(2, "little")
        + header.shard.to_bytes(2, "little")
        + header.size.to_bytes(8, "little")
    )


def decode_header(data: bytes) -> Header:
    """Read a header from the beginning of an object; what follows it is not looked at.

    Raises:
        WrongBytesError: too short, another version, or numbers that no object has.
    """
    if len(data) < HEADER_BYTES:
        raise WrongBytesError(f"The header of a shard object has {HEADER_BYTES} bytes.")
    if data[0] != VERSION:
        raise WrongBytesError(f"Version {data[0]} of a shard object is not known here.")
    n_shards, shard, size = (
        int.from_bytes(data[start:end], "little") for start, end in ((1, 3), (3, 5), (5, 13))
    )
    try:
        symbol_size(size, n_shards)
    except (InputError, LimitError) as error:
        raise WrongBytesError(f"The header of a shard object is of no blob: {error}") from error
    if shard >= n_shards:
        raise WrongBytesError(f"The header names shard {shard} of {n_shards}.")
    return Header(n_shards, shard, size)


def encode_object(metadata: Metadata, shard: int, primary: Sliver, secondary: Sliver) -> bytes:
    """The object of ``shard``.

    Args:
        metadata: the blob's; ``shard``: 0 to n - 1.
        primary: the primary sliver of the shard's pair; ``secondary``: its secondary sliver.

    Raises:
        InputError: a sliver is not that of the shard.
    """
    for sliver in (primary, secondary):
        if sliver.index != sliver_index(sliver.axis, shard, metadata):
            message = f"Shard {shard} does not hold {sliver.axis} sliver {sliver.index}."
            raise InputError(message)
    header = encode_header(Header(metadata.n_shards, shard, metadata.size))
    return header + metadata.to_bcs_with_id() + primary.data + secondary.data


def decode_prefix(data: bytes, blob_id: str, n_shards: int, shard: int) -> Metadata:
    """Read header and metadata from the beginning of an object, and see that they are right.

    Args:
        data: `prefix_size` bytes or more; what follows them is not looked at.
        blob_id: the blob that was asked for; ``n_shards``, ``shard``: of the set.

    Raises:
        WrongBytesError: these are not the header and metadata of that shard of that blob.
    """
    header = decode_header(data)
    if (header.n_shards, header.shard) != (n_shards, shard):
        message = f"The object is of shard {header.shard} of {header.n_shards}, not {shard}."
        raise WrongBytesError(message)
    end = prefix_size(n_shards)
    if len(data) < end:
        raise WrongBytesError("The object ends within its metadata.")
    metadata = Metadata.from_bcs_with_id(data[HEADER_BYTES:end])
    if metadata.blob_id != blob_id_bytes(blob_id):
        raise WrongBytesError("The object is of another blob.")
    if (metadata.n_shards, metadata.size) != (n_shards, header.size):
        raise WrongBytesError("The header of the object does not tell what its metadata do.")
    return metadata


def decode_sliver(data: bytes, axis: Axis, shard: int, metadata: Metadata) -> Sliver:
    """Take the bytes of a shard's sliver, and verify them against the blob's metadata.

    Raises:
        WrongBytesError: they are not that sliver's.
    """
    extent = sliver_extent(axis, metadata.size, metadata.n_shards)
    if len(data) != extent.length:
        message = f"The {axis} sliver has {len(data):,} bytes and not {extent.length:,}."
        raise WrongBytesError(message)
    sliver = Sliver(axis, sliver_index(axis, shard, metadata), metadata.symbol_size, data)
    verify_sliver(metadata, sliver)
    return sliver


def decode_object(
    data: bytes, blob_id: str, n_shards: int, shard: int
) -> tuple[Metadata, Sliver, Sliver]:
    """Read and verify a whole object; return metadata, primary and secondary sliver.

    Raises:
        WrongBytesError: it is not the object of that shard of that blob.
    """
    metadata = decode_prefix(data, blob_id, n_shards, shard)
    first = sliver_extent("primary", metadata.size, n_shards)
    middle = first.start + first.length
    primary = decode_sliver(data[first.start : middle], "primary", shard, metadata)
    secondary = decode_sliver(data[middle:], "secondary", shard, metadata)
    return metadata, primary, secondary


def sliver_index(axis: Axis, shard: int, metadata: Metadata) -> int:
    """Which sliver of an axis a shard holds: k of the primary, n - 1 - k of the secondary ones."""
    pair = pair_of_shard(shard, metadata.blob_id, metadata.n_shards)
    return pair if axis == "primary" else metadata.n_shards - 1 - pair


def holder(axis: Axis, index: int, blob_id: bytes, n_shards: int) -> int:
    """The shard that holds a sliver; the inverse of `sliver_index`."""
    pair = index if axis == "primary" else n_shards - 1 - index
    return shard_of_pair(pair, blob_id, n_shards)
