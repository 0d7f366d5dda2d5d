"""Slivers, what a shard holds of a blob, and how they are checked.

Source: walrus.md §3 for the form and the hash, §4 for the checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from haulout.errors import InputError
from haulout.redstuff import bcs
from haulout.redstuff.parameters import MOST_SYMBOL_SIZE, Axis, checked_index


@dataclass(frozen=True, slots=True)
class Sliver:
    """One row or column of a blob's symbols.

    Attributes:
        axis: "primary" for a row, "secondary" for a column.
        index: which row or column, 0 to n - 1. This is not the number of its pair where the axis
            is "secondary": see `pair_place`.
        symbol_size: the bytes of one symbol, even, 2 to 65,534.
        data: the symbols one after the other, s of them in a row, p in a column.
    """

    axis: Axis
    index: int
    symbol_size: int
    data: bytes

    def to_bcs(self) -> bytes:
        """The sliver as storage nodes send it: data, symbol size, index; the axis is not told.

        Raises:
            InputError: the index or the symbol size does not fit into 16 bits.
        """
        return bcs.byte_vector(self.data) + bcs.u16(self.symbol_size) + bcs.u16(self.index)

    @classmethod
    def from_bcs(cls, data: bytes, axis: Axis) -> Sliver:
        """Read what `to_bcs` writes.

        Nothing here says that the sliver belongs to a blob: see `verify_sliver`.

        Raises:
            WrongBytesError: the bytes have another form, the symbol size is odd or too small, or
                the data are no whole number of symbols.
        """
        reader = bcs.Reader(data, f"The {axis} sliver")
        symbols = reader.byte_vector()
        size = reader.u16()
        index = reader.u16()
        reader.finish()
        if not size or size % 2:
            raise reader.refuse(f"a symbol cannot have {size} bytes")
        if not symbols or len(symbols) % size:
            raise reader.refuse(f"{len(symbols)} bytes are no whole number of symbols of {size}")
        return cls(axis, index, size, symbols)

    def symbol(self, index: int) -> bytes:
        """Symbol ``index`` of those that the sliver has."""
        return self.data[index * self.symbol_size : (index + 1) * self.symbol_size]


def checked_form(sliver: Sliver, symbols: int, n_shards: int) -> None:
    """See that a sliver can be one of a blob over ``n_shards`` shards, ``symbols`` long.

    Raises:
        InputError: its index, symbol size or length cannot be so.
    """
    checked_index(sliver.index, n_shards, f"a {sliver.axis} sliver")
    size = sliver.symbol_size
    if not 0 < size <= MOST_SYMBOL_SIZE or size % 2:
        raise InputError(f"A symbol cannot have {size} bytes.")
    if len(sliver.data) != symbols * size:
        raise InputError(
            f"{sliver.axis.capitalize()} sliver {sliver.index} has {len(sliver.data)} bytes, "
            f"where {symbols} symbols of {size} are due."
        )
