"""The symbols of a large blob, never all of them at once.

The rows of the matrix are encoded first, which gives the recovery columns; they are kept, at
most half of the blob. Then bands of columns, a power of two of them wide, are encoded, hashed
and dropped: each band gives the roots of its columns, and one node of every row's tree, so that
neither all symbols nor all leaves ever stand in memory together.

Source: walrus.md §1-3, §10.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final

import numpy as np

from haulout.redstuff import merkle
from haulout.redstuff.engine import Engine, digests
from haulout.redstuff.layout import Bytes
from haulout.redstuff.matrix import Matrix
from haulout.redstuff.parameters import DIGEST_SIZE, parameters
from haulout.redstuff.reedsolomon import Code

_BAND_BYTES: Final = 6 << 20
_KEPT_BYTES: Final = 16 << 20
"""Recovery rows that are kept, whatever the blob's size; more where the blob is larger."""

Put = Callable[[int, Bytes], None]
"""Takes the place of a band's first column and the band's recovery rows."""


def recovery_columns(matrix: Matrix, code: Code, engine: Engine) -> Bytes:
    """The symbols of every row past its s originals: (f, p, z), a column contiguous."""
    size = matrix.symbol_size
    found = np.zeros((code.recoveries, matrix.rows, size), np.uint8)
    step = max(1, _BAND_BYTES // (matrix.columns * size))
    for start in range(0, matrix.used_rows, step):
        rows = slice(start, min(start + step, matrix.used_rows))
        words = engine.words_of(matrix.part(rows, slice(0, matrix.columns)))
        across = np.ascontiguousarray(words.swapaxes(0, 1))
        flat = across.reshape(matrix.columns, -1)
        recovered = engine.recoveries(code, flat, matrix.used_columns)
        found[:, rows] = engine.symbols_of(recovered.reshape(code.recoveries, -1, size // 2))
    return found


class Bands:
    """A blob's symbols where they are too many to stand in memory together.

    It holds the blob, the recovery columns (at most half of the blob) and some of the recovery
    rows: all of them where they fit into 16 MiB or into the blob's own size, otherwise a group
    of neighbouring ones, which is made anew when a row of another group is asked for. Asking for
    the rows in order makes each group once.

    Args:
        data: the blob. It must not change as long as this is used.
        n_shards: how many shards it is encoded for.
        engine: what does the work.
        keep: whether rows and columns will be asked for.

    Attributes:
        primary, secondary: the hashes of the rows and of the columns, in order.
    """

    def __init__(
        self, data: bytes | memoryview, n_shards: int, engine: Engine, *, keep: bool
    ) -> None:
        self.n_shards, _, self.p, self.s = parameters(n_shards)
        self.matrix = Matrix(data, n_shards)
        self.engine = engine
        self.columns_code = Code.of(self.p, n_shards - self.p)
        code = Code.of(self.s, n_shards - self.s)
        self.right = recovery_columns(self.matrix, code, engine)
        row = self.s * self.matrix.symbol_size
        self._group = max(1, max(_KEPT_BYTES, len(data)) // row) if keep else 0
        rows, put = self._empty_group(0)
        self.primary, self.secondary = self._hashes(put)
        self._rows = (0, rows)

    @cached_property
    def width(self) -> int:
        """How many columns one band has, a power of two."""
        column = self.n_shards * (self.matrix.symbol_size + DIGEST_SIZE)
        width = 1 << (self.n_shards - 1).bit_length()
        while width > 1 and width * column > _BAND_BYTES:
            width //= 2
        return width

    def top(self, columns: slice) -> Bytes:
        """The p upper rows of some columns: (p, columns, z)."""
        inside = slice(min(columns.start, self.s), min(columns.stop, self.s))
        beyond = slice(max(columns.start, self.s) - self.s, max(columns.stop, self.s) - self.s)
        left = self.matrix.part(slice(0, self.p), inside)
        right = self.right[beyond].swapaxes(0, 1)
        return np.concatenate([left, right], axis=1)

    def below(self, top: Bytes) -> Bytes:
        """The other n - p rows of the columns whose upper rows are ``top``."""
        words = self.engine.words_of(top[: self.matrix.used_rows])
        flat = words.reshape(len(words), top.shape[1] * top.shape[2] // 2)
        found = self.engine.recoveries(self.columns_code, flat, len(flat))
        return self.engine.symbols_of(found.reshape(len(found), top.shape[1], top.shape[2] // 2))

    def bands(self, stop: int) -> Iterator[slice]:
        """All bands of the first ``stop`` columns."""
        for start in range(0, stop, self.width):
            yield slice(start, min(start + self.width, stop))

    def _hashes(self, put: Put) -> tuple[list[bytes], list[bytes]]:
        """Hash everything; hand the recovery rows of each band to ``put``."""
        depth = merkle.path_length(self.n_shards)
        up = min(depth, self.width.bit_length() - 1)
        columns: list[Bytes] = []
        rows: list[Bytes] = []
        for band in self.bands(self.n_shards):
            top = self.top(band)
            below = self.below(top)
            put(band.start, below)
            leaves = self._leaves(top, below)
            rows.append(self._row_nodes(leaves, up))
            down = np.ascontiguousarray(leaves.swapaxes(0, 1))
            columns.append(self.engine.folded(down, depth)[:, 0])
        heads = self.engine.folded(np.concatenate(rows, axis=1), depth - up)[:, 0]
        return digests(heads), digests(np.concatenate(columns))

    @property
    def _distinct(self) -> int:
        """How many of the p upper rows have to be hashed: one row of zeros speaks for all."""
        return min(self.matrix.used_rows + 1, self.p)

    def _leaves(self, top: Bytes, below: Bytes) -> Bytes:
        if self._distinct == self.p:
            return self.engine.leaves(np.concatenate([top, below]))
        upper = self.engine.leaves(np.ascontiguousarray(top[: self._distinct]))
        zeros = np.broadcast_to(upper[-1:], (self.p - len(upper), *upper.shape[1:]))
        return np.concatenate([upper, zeros, self.engine.leaves(below)])

    def _row_nodes(self, leaves: Bytes, up: int) -> Bytes:
        used = self._distinct
        if used == self.p:
            return self.engine.folded(leaves, up)
        nodes = self.engine.folded(np.concatenate([leaves[:used], leaves[self.p :]]), up)
        zeros = np.broadcast_to(nodes[used - 1 : used], (self.p - used, *nodes.shape[1:]))
        return np.concatenate([nodes[:used], zeros, nodes[used:]])

    def row(self, index: int) -> bytes:
        """The first s symbols of row ``index``."""
        if index >= self.p:
            return self._recovery_row(index - self.p)
        return self.matrix.part(slice(index, index + 1), slice(0, self.s)).tobytes()

    def column(self, index: int) -> bytes:
        """The first p symbols of column ``index``."""
        if index >= self.s:
            return self.right[index - self.s].tobytes()
        return self.matrix.part(slice(0, self.p), slice(index, index + 1)).tobytes()

    def _recovery_row(self, row: int) -> bytes:
        start, rows = self._rows
        if not start <= row < start + len(rows):
            self._rows = (0, rows := rows[:0].copy())  # the old group goes before the new one comes
            start = row // self._group * self._group
            rows, put = self._empty_group(start)
            for band in self.bands(self.s):
                put(band.start, self.below(self.top(band)))
            self._rows = (start, rows)
        return rows[row - start].tobytes()

    def _empty_group(self, start: int) -> tuple[Bytes, Put]:
        count = min(self._group, self.n_shards - self.p - start)
        rows = np.empty((count, self.s, self.matrix.symbol_size), np.uint8)

        def put(column: int, below: Bytes) -> None:
            width = min(below.shape[1], self.s - column)
            if width > 0:
                rows[:, column : column + width] = below[start : start + count, :width]

        return rows, put
