"""What the heavy arithmetic is asked for, whoever does it.

Two engines answer: `plain`, with NumPy and hashlib, and `compiled`, with numba where that is
installed. They give the same bytes; `acceleration` chooses between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from haulout.redstuff.field import Logs, Words
from haulout.redstuff.layout import Bytes
from haulout.redstuff.merkle import path_length
from haulout.redstuff.parameters import DIGEST_SIZE
from haulout.redstuff.reedsolomon import Code


class Engine(Protocol):
    """Arithmetic on many symbols at once. Arrays are contiguous where nothing else is said."""

    @property
    def name(self) -> str:
        """What it is called: numpy, or numba."""
        ...

    def words_of(self, symbols: Bytes) -> Words:
        """As `layout.to_words`."""
        ...

    def symbols_of(self, words: Words) -> Bytes:
        """As `layout.to_bytes`."""
        ...

    def recoveries(self, code: Code, originals: Words, used: int) -> Words:
        """As `reedsolomon.recoveries`."""
        ...

    def restored(
        self, code: Code, known: Sequence[int], words: Words, missing: Sequence[int], locator: Logs
    ) -> Words:
        """As `reedsolomon.restored`."""
        ...

    def square(self, source: Bytes, n_shards: int) -> Bytes:
        """All symbols over ``n_shards`` shards, (n, n, z), of the source, (p, s, z)."""
        ...

    def leaves(self, symbols: Bytes) -> Bytes:
        """The Merkle leaves of symbols: (…, z) bytes give (…, 32)."""
        ...

    def folded(self, nodes: Bytes, up: int) -> Bytes:
        """The nodes of trees some levels further up.

        Args:
            nodes: (trees, nodes of one level, 32); the first two axes may lie in any order.
            up: how many levels. An odd level gets its zero sibling, one of a single node too,
                as it is then the end of a level that is longer than what stands here.
        """
        ...


def root(engine: Engine, symbols: Bytes) -> bytes:
    """The Merkle root over symbols, (1 or more, z) bytes."""
    up = path_length(len(symbols))
    return engine.folded(engine.leaves(symbols)[None], up)[0, 0].tobytes()


def digests(nodes: Bytes) -> list[bytes]:
    """Nodes, (count, 32), as so many bytes objects."""
    joined = nodes.tobytes()
    return [joined[at : at + DIGEST_SIZE] for at in range(0, len(joined), DIGEST_SIZE)]
