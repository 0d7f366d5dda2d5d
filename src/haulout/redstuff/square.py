"""All n by n symbols of a small blob at once.

Source: walrus.md §1-3.
"""

from __future__ import annotations

import numpy as np

from haulout.redstuff import merkle
from haulout.redstuff.engine import Engine, digests
from haulout.redstuff.layout import Bytes
from haulout.redstuff.parameters import parameters, symbol_size


def padded(data: bytes | memoryview, n_shards: int) -> Bytes:
    """The source of a blob, copied: (p, s, z), with zeros at the end."""
    _, _, p, s = parameters(n_shards)
    source = np.zeros((p, s, symbol_size(len(data), n_shards)), np.uint8)
    source.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    return source


class Square:
    """A blob's symbols where they fit into memory together.

    Args:
        data: the blob.
        n_shards: how many shards it is encoded for.
        engine: what does the work.

    Attributes:
        primary, secondary: the hashes of the rows and of the columns, in order.
    """

    def __init__(self, data: bytes | memoryview, n_shards: int, engine: Engine) -> None:
        _, _, self._p, self._s = parameters(n_shards)
        self._symbols = engine.square(padded(data, n_shards), n_shards)
        leaves = engine.leaves(self._symbols)
        depth = merkle.path_length(n_shards)
        self.primary = digests(engine.folded(leaves, depth)[:, 0])
        self.secondary = digests(engine.folded(leaves.swapaxes(0, 1), depth)[:, 0])

    def row(self, index: int) -> bytes:
        """The first s symbols of row ``index``."""
        return self._symbols[index, : self._s].tobytes()

    def column(self, index: int) -> bytes:
        """The first p symbols of column ``index``."""
        return self._symbols[: self._p, index].tobytes()
