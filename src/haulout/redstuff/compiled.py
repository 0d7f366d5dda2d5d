"""The engine that numba compiles. Importing this compiles, or loads what was compiled before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from haulout.redstuff import compiled_code, compiled_trees
from haulout.redstuff.field import BITS, Logs, Words, logs, powers, skews
from haulout.redstuff.layout import Bytes
from haulout.redstuff.parameters import DIGEST_SIZE
from haulout.redstuff.reedsolomon import Code


@cache
def _tables() -> tuple[Logs, Logs, compiled_code.Signed]:
    # Copies, as numba tells arrays that may be written to from others, and kernels take these.
    bits = logs()[1 << np.arange(BITS)]
    return skews().copy(), bits, powers().copy().view(np.int16)


A = TypeVar("A", Bytes, Words)


def _own(array: A) -> A:
    """The array, or a copy that lies in one piece and may be written to, as kernels want it."""
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable else array.copy()


class CompiledEngine:
    """Code and trees, compiled."""

    name = "numba"

    def words_of(self, symbols: Bytes) -> Words:
        """As `layout.to_words`."""
        *shape, size = symbols.shape
        flat = _own(symbols).reshape(-1, size)
        words = np.empty((len(flat), size // 2), np.uint16)
        compiled_code.to_words(flat, words)
        return words.reshape(*shape, size // 2)

    def symbols_of(self, words: Words) -> Bytes:
        """As `layout.to_bytes`."""
        *shape, count = words.shape
        flat = _own(words).reshape(-1, count)
        symbols = np.empty((len(flat), 2 * count), np.uint8)
        compiled_code.to_bytes(flat, symbols)
        return symbols.reshape(*shape, 2 * count)

    def recoveries(self, code: Code, originals: Words, used: int) -> Words:
        """As `reedsolomon.recoveries`."""
        found = np.empty((code.recoveries, originals.shape[1]), np.uint16)
        compiled_code.recoveries(
            originals.view(np.int16),
            found.view(np.int16),
            used,
            code.chunk,
            code.low,
            _tables(),
        )
        return found

    def restored(
        self, code: Code, known: Sequence[int], words: Words, missing: Sequence[int], locator: Logs
    ) -> Words:
        """As `reedsolomon.restored`."""
        found = np.empty((len(missing), words.shape[1]), np.uint16)
        places = np.array([code.place(index) for index in known], np.int64)
        wanted = np.array([code.place(index) for index in missing], np.int64)
        order = np.argsort(places)
        compiled_code.restored(
            places[order],
            wanted,
            words[order].view(np.int16),
            found.view(np.int16),
            code.span,
            locator,
            _tables(),
        )
        return found

    def square(self, source: Bytes, n_shards: int) -> Bytes:
        """As `Engine.square`."""
        p, s, size = source.shape
        symbols = np.empty((n_shards, n_shards, size), np.uint8)
        across, down = Code.of(s, n_shards - s), Code.of(p, n_shards - p)
        compiled_code.square(
            source, symbols, across.chunk, across.low, down.chunk, down.low, _tables()
        )
        return symbols

    def leaves(self, symbols: Bytes) -> Bytes:
        """The Merkle leaves of symbols: (…, z) bytes give (…, 32)."""
        *shape, size = symbols.shape
        flat = _own(symbols).reshape(-1, size)
        found = np.empty((len(flat), DIGEST_SIZE // 8), np.uint64)
        compiled_trees.leaves(flat, found)
        return found.view(np.uint8).reshape(*shape, DIGEST_SIZE)

    def folded(self, nodes: Bytes, up: int) -> Bytes:
        """As `Engine.folded`."""
        return compiled_trees.folded(nodes.view(np.uint64), up).view(np.uint8)
