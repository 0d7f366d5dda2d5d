"""Proof that a blob's writer lied: its slivers are each authentic, and together of no one blob.

Source: walrus.md §4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import bcs
from haulout.redstuff.metadata import Metadata
from haulout.redstuff.parameters import Axis, parameters
from haulout.redstuff.recovery import (
    AXES,
    RecoverySymbol,
    chosen_symbols,
    decoding_symbol,
    other,
    read_path,
    rebuilt,
    verify_symbol,
    written_path,
)
from haulout.redstuff.slivertree import sliver_root

_LEAST_SYMBOL = 4


@dataclass(frozen=True, slots=True)
class InconsistencyProof:
    """Proved symbols that decode to another sliver than the metadata promise.

    Attributes:
        axis: and ``index``: the sliver that is wrong.
        symbols: exactly s (primary) or p (secondary), each of another sliver of the other axis.
    """

    axis: Axis
    index: int
    symbols: tuple[RecoverySymbol, ...]

    def to_bcs(self) -> bytes:
        """Axis of the sliver, its index, and the symbols with their paths.

        Raises:
            InputError: an index does not fit into 16 bits.
        """
        symbols = [decoding_symbol(symbol) + written_path(symbol) for symbol in self.symbols]
        return bytes([AXES.index(self.axis)]) + bcs.u16(self.index) + bcs.vector(symbols)

    @classmethod
    def from_bcs(cls, data: bytes) -> InconsistencyProof:
        """Read what `to_bcs` writes; `proves_inconsistency` tells what it is worth.

        Raises:
            WrongBytesError: the bytes have another form.
        """
        reader = bcs.Reader(data, "The proof of inconsistency")
        axis = AXES[reader.variant(2)]
        index = reader.u16()

        def symbol(reader: bcs.Reader) -> RecoverySymbol:
            source = reader.u16()
            return RecoverySymbol(
                other(axis), source, index, reader.byte_vector(), read_path(reader)
            )

        symbols = tuple(reader.vector(symbol, _LEAST_SYMBOL))
        reader.finish()
        return cls(axis, index, symbols)


def inconsistency_proof(
    metadata: Metadata, axis: Axis, index: int, symbols: Iterable[RecoverySymbol]
) -> InconsistencyProof | None:
    """A proof that sliver ``index`` of ``axis`` is inconsistent, or None where it is not.

    Args:
        metadata: the blob's.
        axis: and ``index``: the sliver that could not be recovered.
        symbols: as for `recover_sliver`.

    Raises:
        InputError: there is no such sliver.
        WrongBytesError: a symbol is wrong, so it proves nothing against the writer.
        TooFewSliversError: there are too few.
    """
    promised = metadata.sliver_hash(axis, index)
    chosen = chosen_symbols(metadata, axis, index, symbols, verified=False)
    if sliver_root(rebuilt(metadata, axis, index, chosen), metadata.n_shards) == promised:
        return None
    return InconsistencyProof(axis, index, tuple(chosen))


def proves_inconsistency(metadata: Metadata, proof: InconsistencyProof) -> bool:
    """Whether a proof shows that the blob of these metadata is inconsistent.

    It does where it has exactly as many symbols as are needed, each of another source and each
    proved, and these decode to a sliver of another hash. Anything else is False.
    """
    needed = parameters(metadata.n_shards).sliver_symbols(proof.axis)
    sources = {symbol.source for symbol in proof.symbols}
    if len(proof.symbols) != needed or len(sources) != needed:
        return False
    try:
        promised = metadata.sliver_hash(proof.axis, proof.index)
        for symbol in proof.symbols:
            if symbol.axis == proof.axis or symbol.target != proof.index:
                return False
            verify_symbol(metadata, symbol)
    except (InputError, WrongBytesError):
        return False
    sliver = rebuilt(metadata, proof.axis, proof.index, proof.symbols)
    return sliver_root(sliver, metadata.n_shards) != promised
