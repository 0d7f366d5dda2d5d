"""How many shards there are, what follows from it, and how large a symbol of a blob is.

Source: walrus.md §1; Danezis et al., "Walrus: An Efficient Decentralized Storage Network".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NamedTuple

from haulout.errors import InputError, LimitError

Axis = Literal["primary", "secondary"]
"""Primary slivers are rows of the matrix of symbols, secondary slivers its columns."""

FEWEST_SHARDS: Final = 4
MOST_SHARDS: Final = 1000
MOST_SYMBOL_SIZE: Final = 65_534
DIGEST_SIZE: Final = 32


class Parameters(NamedTuple):
    """What a number of shards decides.

    Attributes:
        n_shards: n, the number of shards: n primary and n secondary slivers.
        faults: f = ⌊(n - 1) / 3⌋, how many shards may lie.
        primary: p = n - 2f, the rows of the source; so many primary slivers give the blob.
        secondary: s = n - f, its columns; so many secondary slivers give the blob.
    """

    n_shards: int
    faults: int
    primary: int
    secondary: int

    def source_count(self, axis: Axis) -> int:
        """How many slivers of ``axis`` hold the source itself, and give the blob back."""
        return self.primary if axis == "primary" else self.secondary

    def sliver_symbols(self, axis: Axis) -> int:
        """How many symbols a sliver of ``axis`` has."""
        return self.secondary if axis == "primary" else self.primary


@lru_cache(maxsize=16)
def parameters(n_shards: int) -> Parameters:
    """The parameters for ``n_shards``.

    Raises:
        InputError: it is not a whole number from 4 to 1000. Below 4 nothing is left over to
            recover from, and the network's own code refuses it too.
    """
    if not FEWEST_SHARDS <= n_shards <= MOST_SHARDS:
        raise InputError(
            f"{n_shards} shards cannot hold a blob; Red Stuff takes "
            f"{FEWEST_SHARDS} to {MOST_SHARDS}."
        )
    faults = (n_shards - 1) // 3
    return Parameters(n_shards, faults, n_shards - 2 * faults, n_shards - faults)


def most_bytes(n_shards: int) -> int:
    """The size in bytes of the largest blob: p · s · 65,534."""
    _, _, p, s = parameters(n_shards)
    return p * s * MOST_SYMBOL_SIZE


def symbol_size(size: int, n_shards: int) -> int:
    """The bytes of one symbol of a blob of ``size`` bytes: even, 2 to 65,534.

    Raises:
        InputError: ``size`` is negative.
        LimitError: the blob is larger than `most_bytes`.
    """
    if size < 0:
        raise InputError(f"A blob cannot have {size} bytes.")
    _, _, p, s = parameters(n_shards)
    symbol = -(-max(size, 1) // (p * s))
    symbol += symbol & 1
    if symbol > MOST_SYMBOL_SIZE:
        raise LimitError(
            f"A blob of {size} bytes is too large for {n_shards} shards, "
            f"which take {most_bytes(n_shards)}.",
            hint="Cut it into several blobs, or use more shards.",
        )
    return symbol


def encoded_length(size: int, n_shards: int) -> int:
    """The bytes that all shards together hold of a blob of ``size`` bytes, metadata included.

    This is what the network charges for: n · ((p + s) · z + 64n + 32).
    """
    _, _, p, s = parameters(n_shards)
    metadata = 2 * DIGEST_SIZE * n_shards + DIGEST_SIZE
    return n_shards * ((p + s) * symbol_size(size, n_shards) + metadata)


def pair_place(axis: Axis, index: int, n_shards: int) -> int:
    """The pair that a sliver belongs to; the same function tells a pair's sliver.

    Pair k holds primary sliver k and secondary sliver n - 1 - k.

    Raises:
        InputError: there is no such index.
    """
    checked_index(index, n_shards, f"a {axis} sliver")
    return index if axis == "primary" else n_shards - 1 - index


def checked_index(index: int, n_shards: int, what: str) -> int:
    """``index``, where it is one of 0 to ``n_shards`` - 1.

    Raises:
        InputError: it is not.
    """
    if not 0 <= index < n_shards:
        raise InputError(f"{index} is not the number of {what}; they go from 0 to {n_shards - 1}.")
    return index


def shard_of_pair(pair: int, blob_id: bytes, n_shards: int) -> int:
    """The shard that holds a blob's pair: pairs are rotated by the blob ID, read big-endian.

    Raises:
        InputError: there is no such pair.
    """
    checked_index(pair, parameters(n_shards).n_shards, "a pair")
    return (pair + int.from_bytes(blob_id, "big")) % n_shards


def pair_of_shard(shard: int, blob_id: bytes, n_shards: int) -> int:
    """The pair of a blob that a shard holds; the inverse of `shard_of_pair`.

    Raises:
        InputError: there is no such shard.
    """
    checked_index(shard, parameters(n_shards).n_shards, "a shard")
    return (shard - int.from_bytes(blob_id, "big")) % n_shards
