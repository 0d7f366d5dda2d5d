"""A sliver rebuilt from single symbols of others, each with its proof.

Primary sliver r and secondary sliver c cross in one symbol, M[r][c], which stands in both. So a
primary sliver is rebuilt from the symbols that s secondary slivers hold of it, and a secondary
sliver from those that p primary slivers hold. That moves as many bytes as the sliver has, where
decoding the blob moves all of it.

Source: walrus.md §4, and §3 for the forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from haulout.errors import InconsistentBlobError, TooFewSliversError, WrongBytesError
from haulout.redstuff import acceleration, bcs, merkle
from haulout.redstuff.metadata import Metadata
from haulout.redstuff.parameters import Axis, checked_index, parameters
from haulout.redstuff.reedsolomon import Code, locator_logs
from haulout.redstuff.sliver import Sliver
from haulout.redstuff.slivertree import all_symbols, leaf_nodes, sliver_root

AXES: Final[tuple[Axis, Axis]] = ("primary", "secondary")
LONGEST_PATH: Final = 10


def other(axis: Axis) -> Axis:
    """The axis that crosses ``axis``."""
    return "secondary" if axis == "primary" else "primary"


@dataclass(frozen=True, slots=True)
class RecoverySymbol:
    """One symbol of a sliver, with the path that proves it.

    Attributes:
        axis: that of the source, the sliver which the symbol was taken from.
        source: the index of that sliver.
        target: the index of the sliver of the other axis that the symbol is to rebuild, which is
            also the symbol's place in its source.
        symbol: its bytes.
        path: the siblings of its leaf in the source's tree, from the leaf up, 32 bytes each.
    """

    axis: Axis
    source: int
    target: int
    symbol: bytes
    path: tuple[bytes, ...]

    def to_bcs(self) -> bytes:
        """The network's general recovery symbol: target's axis, symbol, target, path.

        Raises:
            InputError: an index does not fit into 16 bits.
        """
        axis = bytes([AXES.index(other(self.axis))])
        return axis + decoding_symbol(self) + bcs.u16(self.target) + written_path(self)

    @classmethod
    def from_bcs(cls, data: bytes) -> RecoverySymbol:
        """Read what `to_bcs` writes; `verify_symbol` tells whether it is right.

        Raises:
            WrongBytesError: the bytes have another form.
        """
        reader = bcs.Reader(data, "The recovery symbol")
        axis = other(AXES[reader.variant(2)])
        source = reader.u16()
        symbol = reader.byte_vector()
        target = reader.u16()
        path = read_path(reader)
        reader.finish()
        return cls(axis, source, target, symbol, path)


def decoding_symbol(symbol: RecoverySymbol) -> bytes:
    """Index of the source, then the bytes: what goes without a proof."""
    return bcs.u16(symbol.source) + bcs.byte_vector(symbol.symbol)


def written_path(symbol: RecoverySymbol) -> bytes:
    """The path as a vector of nodes."""
    return bcs.vector(merkle.node_to_bcs(sibling) for sibling in symbol.path)


def read_path(reader: bcs.Reader) -> tuple[bytes, ...]:
    """A vector of nodes, no longer than the longest path there is.

    Raises:
        WrongBytesError: it is longer, or has another form.
    """
    path = tuple(reader.vector(merkle.node_from_bcs, least=1))
    if len(path) > LONGEST_PATH:
        raise reader.refuse(f"a path of {len(path)} siblings is too long")
    return path


def prove(sliver: Sliver, target: int, n_shards: int) -> RecoverySymbol:
    """The symbol of a sliver that sliver ``target`` of the other axis has too, with its proof.

    Raises:
        InputError: there is no such target, or no such sliver over so many shards.
    """
    return proofs(sliver, [target], n_shards)[0]


def proofs(sliver: Sliver, targets: Iterable[int], n_shards: int) -> list[RecoverySymbol]:
    """As `prove`, for many targets at the cost of one.

    Raises:
        InputError: there is no such target, or no such sliver over so many shards.
    """
    wanted = [checked_index(target, n_shards, "a symbol") for target in targets]
    symbols = all_symbols(sliver, n_shards)
    levels = merkle.levels(leaf_nodes(symbols))
    return [
        RecoverySymbol(
            sliver.axis,
            sliver.index,
            target,
            symbols[target].tobytes(),
            merkle.path(levels, target),
        )
        for target in wanted
    ]


def verify_symbol(metadata: Metadata, symbol: RecoverySymbol) -> None:
    """See that a symbol is the one that its source sliver has at its target's place.

    Raises:
        WrongBytesError: it is not; the message names the source.
    """
    n = metadata.n_shards
    what = (
        f"The symbol of {symbol.axis} sliver {symbol.source} at place {symbol.target} "
        f"of {metadata.blob_id_text}"
    )
    if not (0 <= symbol.source < n and 0 <= symbol.target < n):
        raise WrongBytesError(f"{what} is of no sliver of that blob.")
    if len(symbol.symbol) != metadata.symbol_size:
        raise WrongBytesError(
            f"{what} has {len(symbol.symbol)} bytes, where the blob's symbols have "
            f"{metadata.symbol_size}."
        )
    root = None
    if len(symbol.path) <= merkle.path_length(n):
        root = merkle.path_root(symbol.symbol, symbol.target, symbol.path)
    if root != metadata.sliver_hash(symbol.axis, symbol.source):
        raise WrongBytesError(f"{what} is not proved by the path that came with it.")


def recover_sliver(
    metadata: Metadata,
    axis: Axis,
    index: int,
    symbols: Iterable[RecoverySymbol],
    *,
    verified: bool = False,
) -> Sliver:
    """Rebuild sliver ``index`` of ``axis`` from symbols of slivers of the other axis.

    A primary sliver takes s symbols, a secondary one p, each of another source; surplus and
    repeated ones are left out.

    Args:
        metadata: the blob's.
        axis: and ``index``: the sliver that is wanted.
        symbols: from slivers of the other axis, with ``index`` as their target.
        verified: the caller has passed each through `verify_symbol`. Without this it is done
            here, and the first that is wrong ends the call.

    Raises:
        InputError: there is no such sliver.
        WrongBytesError: a symbol is wrong, or is for another sliver; the message names its source.
        TooFewSliversError: there are too few.
        InconsistentBlobError: every symbol is right and the sliver is not: the writer lied.
            `inconsistency_proof` makes of it something that convinces others.
    """
    metadata.sliver_hash(axis, index)
    chosen = chosen_symbols(metadata, axis, index, symbols, verified=verified)
    sliver = rebuilt(metadata, axis, index, chosen)
    if sliver_root(sliver, metadata.n_shards) != metadata.sliver_hash(axis, index):
        raise InconsistentBlobError(
            f"{axis.capitalize()} sliver {index} of {metadata.blob_id_text}, rebuilt from "
            "the symbols of others, does not have the hash that the metadata promise.",
            hint="Where the symbols were proved, the blob's writer encoded it wrongly.",
        )
    return sliver


def chosen_symbols(
    metadata: Metadata,
    axis: Axis,
    index: int,
    symbols: Iterable[RecoverySymbol],
    *,
    verified: bool,
) -> list[RecoverySymbol]:
    """As many symbols as rebuild the sliver, each of another source.

    Raises:
        WrongBytesError: a symbol is wrong, or is for another sliver.
        TooFewSliversError: there are too few.
    """
    needed = parameters(metadata.n_shards).sliver_symbols(axis)
    chosen: dict[int, RecoverySymbol] = {}
    for symbol in symbols:
        if len(chosen) == needed:
            break
        if symbol.axis == axis or symbol.target != index:
            raise WrongBytesError(
                f"A symbol of {symbol.axis} sliver {symbol.source} at place {symbol.target} "
                f"cannot rebuild {axis} sliver {index}."
            )
        if not verified:
            verify_symbol(metadata, symbol)
        chosen.setdefault(symbol.source, symbol)
    if len(chosen) < needed:
        raise TooFewSliversError(
            f"{len(chosen)} symbols of {axis} sliver {index} of {metadata.blob_id_text} are "
            f"here, where {needed} are needed.",
            hint="Get symbols from more shards.",
        )
    return list(chosen.values())


def rebuilt(
    metadata: Metadata, axis: Axis, index: int, symbols: Sequence[RecoverySymbol]
) -> Sliver:
    """The sliver that exactly enough symbols, of distinct sources, decode to."""
    n = metadata.n_shards
    count = parameters(n).sliver_symbols(axis)
    size = metadata.symbol_size
    by_source = {symbol.source: symbol.symbol for symbol in symbols}
    known = sorted(by_source)
    joined = b"".join(by_source[source] for source in known)
    given = np.frombuffer(joined, np.uint8).reshape(count, size)
    missing = [place for place in range(count) if place not in by_source]
    found = np.empty((count, size), np.uint8)
    source = [place for place in known if place < count]
    found[source] = given[: len(source)]
    if missing:
        code = Code.of(count, n - count)
        engine = acceleration.engine(0, code.span * size // 2)
        locator = locator_logs(code, known)
        found[missing] = engine.symbols_of(
            engine.restored(code, known, engine.words_of(given), missing, locator)
        )
    return Sliver(axis, index, size, found.tobytes())
