"""The engine that needs NumPy and hashlib alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from haulout.redstuff import layout, merkle, reedsolomon
from haulout.redstuff.field import ORDER, Logs, Words
from haulout.redstuff.layout import Bytes
from haulout.redstuff.parameters import DIGEST_SIZE
from haulout.redstuff.reedsolomon import Code

_SHORTEST: Final = 2
_WORTH_A_TABLE: Final = 40_000
"""Leaves in one call from which a table of all 65,536 symbols of two bytes pays at once."""


@cache
def _leaves_of_two_bytes() -> Bytes:
    symbols = np.arange(ORDER, dtype="<u2").tobytes()
    found = np.frombuffer(merkle.leaves(symbols, _SHORTEST), np.uint8)
    return found.reshape(ORDER, DIGEST_SIZE)


class PlainEngine:
    """NumPy for the code, hashlib for the trees."""

    name = "numpy"

    def words_of(self, symbols: Bytes) -> Words:
        """As `layout.to_words`."""
        return layout.to_words(symbols)

    def symbols_of(self, words: Words) -> Bytes:
        """As `layout.to_bytes`."""
        return layout.to_bytes(words)

    def recoveries(self, code: Code, originals: Words, used: int) -> Words:
        """As `reedsolomon.recoveries`."""
        return reedsolomon.recoveries(code, originals, used)

    def restored(
        self, code: Code, known: Sequence[int], words: Words, missing: Sequence[int], locator: Logs
    ) -> Words:
        """As `reedsolomon.restored`."""
        return reedsolomon.restored(code, known, words, missing, locator)

    def square(self, source: Bytes, n_shards: int) -> Bytes:
        """As `Engine.square`."""
        p, s, size = source.shape
        words = layout.to_words(source)
        across = np.ascontiguousarray(words.swapaxes(0, 1)).reshape(s, -1)
        code = Code.of(s, n_shards - s)
        right = reedsolomon.recoveries(code, across, s).reshape(n_shards - s, p, -1)
        top = np.concatenate([words, right.swapaxes(0, 1)], axis=1)
        code = Code.of(p, n_shards - p)
        below = reedsolomon.recoveries(code, top.reshape(p, -1), p)
        symbols = np.empty((n_shards, n_shards, size), np.uint8)
        symbols[:p, :s] = source
        symbols[:p, s:] = layout.to_bytes(top[:, s:])
        symbols[p:] = layout.to_bytes(below.reshape(n_shards - p, n_shards, -1))
        return symbols

    def leaves(self, symbols: Bytes) -> Bytes:
        """The Merkle leaves of symbols: (…, z) bytes give (…, 32)."""
        *shape, size = symbols.shape
        if size == _SHORTEST and symbols.size >= _WORTH_A_TABLE * _SHORTEST:
            return _leaves_of_two_bytes().take(symbols.view("<u2")[..., 0], axis=0)
        found = merkle.leaves(symbols.tobytes(), size)
        return np.frombuffer(found, np.uint8).reshape(*shape, DIGEST_SIZE)

    def folded(self, nodes: Bytes, up: int) -> Bytes:
        """As `Engine.folded`."""
        trees = len(nodes)
        for _ in range(up):
            if nodes.shape[1] % 2:
                nodes = np.concatenate([nodes, np.zeros((trees, 1, DIGEST_SIZE), np.uint8)], axis=1)
            above = merkle.parents(nodes.tobytes())
            nodes = np.frombuffer(above, np.uint8).reshape(trees, -1, DIGEST_SIZE)
        return nodes
