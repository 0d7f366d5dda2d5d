"""A sliver's tree: its symbols, those that the code adds, and the root over all n of them.

A sliver's hash covers n symbols, of which the sliver holds the first s (a row) or p (a column),
so whoever checks a sliver encodes it again.

Source: walrus.md §3-4.
"""

from __future__ import annotations

import numpy as np

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import acceleration, merkle
from haulout.redstuff.engine import Engine, root
from haulout.redstuff.layout import Bytes
from haulout.redstuff.metadata import Metadata
from haulout.redstuff.parameters import parameters
from haulout.redstuff.reedsolomon import Code
from haulout.redstuff.sliver import Sliver, checked_form


def all_symbols(sliver: Sliver, n_shards: int) -> Bytes:
    """The n symbols of a sliver: (n, z).

    Raises:
        InputError: no blob over so many shards has such a sliver.
    """
    count = parameters(n_shards).sliver_symbols(sliver.axis)
    checked_form(sliver, count, n_shards)
    own = np.frombuffer(sliver.data, np.uint8).reshape(count, sliver.symbol_size)
    engine = _engine(sliver, n_shards)
    words = engine.words_of(own)
    added = engine.recoveries(Code.of(count, n_shards - count), words, count)
    return np.concatenate([own, engine.symbols_of(added)])


def _engine(sliver: Sliver, n_shards: int) -> Engine:
    return acceleration.engine(2 * n_shards, n_shards * sliver.symbol_size)


def leaf_nodes(symbols: Bytes) -> bytes:
    """The leaves over some symbols, one after the other."""
    return merkle.leaves(symbols.tobytes(), symbols.shape[1])


def sliver_root(sliver: Sliver, n_shards: int) -> bytes:
    """The hash of a sliver, as the blob's metadata should have it.

    Raises:
        InputError: no blob over so many shards has such a sliver.
    """
    return root(_engine(sliver, n_shards), all_symbols(sliver, n_shards))


def verify_sliver(metadata: Metadata, sliver: Sliver) -> None:
    """See that a sliver is the one that the blob's metadata promise.

    Raises:
        WrongBytesError: it is not; the message says in what.
    """
    what = f"{sliver.axis.capitalize()} sliver {sliver.index} of {metadata.blob_id_text}"
    if sliver.symbol_size != metadata.symbol_size:
        raise WrongBytesError(
            f"{what} has symbols of {sliver.symbol_size} bytes, where the blob's have "
            f"{metadata.symbol_size}."
        )
    try:
        found = sliver_root(sliver, metadata.n_shards)
    except InputError as error:
        raise WrongBytesError(f"{what} is no sliver of that blob: {error.message}") from error
    if found != metadata.sliver_hash(sliver.axis, sliver.index):
        raise WrongBytesError(f"{what} does not have the hash that the blob's metadata promise.")
