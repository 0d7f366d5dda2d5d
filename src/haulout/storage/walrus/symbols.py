"""Symbols as storage nodes send them to rebuild slivers, in BCS. Source: walrus.md §3 and §6.5.

General recovery symbol: the target's axis (00 primary, 01 secondary) | u16 source sliver | byte
vector | u16 target sliver | Merkle path. Decoding symbols: a map from target sliver to a vector
of the axis, u16 source sliver and byte vector. Both are read from the network's source; no
official package gives vectors for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from haulout.redstuff import RecoverySymbol, bcs
from haulout.redstuff.merkle import node_from_bcs, node_to_bcs
from haulout.redstuff.parameters import Axis

_AXES: Final[tuple[Axis, Axis]] = ("primary", "secondary")
_LEAST_RECOVERY: Final = 7
_LEAST_DECODING: Final = 4


def other(axis: Axis) -> Axis:
    """The other axis."""
    return "secondary" if axis == "primary" else "primary"


def recovery_symbols(symbols: Sequence[RecoverySymbol]) -> bytes:
    """A vector of general recovery symbols."""
    return bcs.vector(
        bcs.uleb128(_AXES.index(other(symbol.axis)))
        + bcs.u16(symbol.source)
        + bcs.byte_vector(symbol.symbol)
        + bcs.u16(symbol.target)
        + bcs.vector(node_to_bcs(node) for node in symbol.path)
        for symbol in symbols
    )


def read_recovery_symbols(data: bytes) -> tuple[RecoverySymbol, ...]:
    """Read what `recovery_symbols` writes; nothing says yet that the proofs hold.

    Raises:
        WrongBytesError: the bytes have another form.
    """
    reader = bcs.Reader(data, "The list of recovery symbols")

    def one(reader: bcs.Reader) -> RecoverySymbol:
        target_axis = _AXES[reader.variant(2)]
        source, symbol, target = reader.u16(), reader.byte_vector(), reader.u16()
        path = tuple(reader.vector(node_from_bcs, 1))
        return RecoverySymbol(other(target_axis), source, target, symbol, path)

    found = tuple(reader.vector(one, _LEAST_RECOVERY))
    reader.finish()
    return found


def decoding_symbols(axis: Axis, found: Mapping[int, Sequence[tuple[int, bytes]]]) -> bytes:
    """A map from each target sliver of ``axis`` to its (source sliver, symbol) pairs."""
    variant = bcs.uleb128(_AXES.index(axis))
    return bcs.mapping(
        {
            bcs.u16(target): bcs.vector(
                variant + bcs.u16(source) + bcs.byte_vector(symbol) for source, symbol in symbols
            )
            for target, symbols in found.items()
        }
    )


def read_decoding_symbols(data: bytes) -> dict[int, tuple[tuple[int, bytes], ...]]:
    """Read what `decoding_symbols` writes.

    Raises:
        WrongBytesError: the bytes have another form.
    """
    reader = bcs.Reader(data, "The map of decoding symbols")

    def one(reader: bcs.Reader) -> tuple[int, bytes]:
        reader.variant(2)
        return reader.u16(), reader.byte_vector()

    found = reader.mapping(
        lambda r: r.u16(), lambda r: tuple(r.vector(one, _LEAST_DECODING)), least=3
    )
    reader.finish()
    return found
