"""A blob as the matrix that is encoded: p rows of s symbols, filled row by row, zeros at the end.

The matrix is never built whole where the blob is large: what lies inside the blob is looked at
where it lies, and only the rows that the zeros reach into are copied.

Source: walrus.md §1.
"""

from __future__ import annotations

import numpy as np

from haulout.redstuff.layout import Bytes
from haulout.redstuff.parameters import parameters, symbol_size


class Matrix:
    """The symbols of a blob before anything is added to them.

    Args:
        data: the blob. It must not change as long as this is used.
        n_shards: how many shards it is encoded for.

    Attributes:
        rows: p, how many rows; ``columns``: s.
        symbol_size: z, the bytes of a symbol.
        used_rows: how many rows hold anything of the blob; the others are zeros.
        used_columns: the same of the columns.

    Raises:
        LimitError: the blob is too large for so few shards.
    """

    def __init__(self, data: bytes | memoryview, n_shards: int) -> None:
        size = len(data)
        _, _, self.rows, self.columns = parameters(n_shards)
        self.symbol_size = symbol_size(size, n_shards)
        width = self.columns * self.symbol_size
        self.used_rows = -(-size // width)
        self.used_columns = min(self.columns, -(-size // self.symbol_size))
        self._full = size // width
        given = np.frombuffer(data, np.uint8)
        shape = (-1, self.columns, self.symbol_size)
        self._whole = given[: self._full * width].reshape(shape)
        rest = np.zeros((self.used_rows - self._full) * width, np.uint8)
        rest[: size - self._full * width] = given[self._full * width :]
        self._rest = rest.reshape(shape)

    def part(self, rows: slice, columns: slice) -> Bytes:
        """A copy of some rows of some columns: (rows, columns, bytes of a symbol)."""
        width = columns.stop - columns.start
        out = np.zeros((rows.stop - rows.start, width, self.symbol_size), np.uint8)
        whole = self._whole[rows.start : min(rows.stop, self._full), columns]
        out[: len(whole)] = whole
        if rows.start <= self._full < min(rows.stop, self.used_rows):
            out[self._full - rows.start] = self._rest[0, columns]
        return out
