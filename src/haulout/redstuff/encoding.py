"""From a blob to its slivers, their hashes and its ID.

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

from haulout.redstuff import acceleration, merkle
from haulout.redstuff.engine import Engine
from haulout.redstuff.layout import Bytes
from haulout.redstuff.matrix import Matrix
from haulout.redstuff.metadata import Metadata, blob_id_text
from haulout.redstuff.parameters import DIGEST_SIZE, checked_index, parameters
from haulout.redstuff.reedsolomon import Code
from haulout.redstuff.sliver import Sliver

_BAND_BYTES: Final = 6 << 20
_KEPT_BYTES: Final = 16 << 20
"""Recovery rows that `Encoded` keeps, whatever the blob's size; more where the blob is larger."""

Keep = Callable[[int, Bytes], None]
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


class Expansion:
    """The n by n symbols of a blob, made band by band."""

    def __init__(self, data: bytes | memoryview, n_shards: int) -> None:
        self.n_shards, _, self.p, self.s = parameters(n_shards)
        self.matrix = Matrix(data, n_shards)
        self.size = len(data)
        symbols = n_shards * n_shards
        self.engine = acceleration.engine(3 * symbols, symbols * self.matrix.symbol_size)
        self.rows_code = Code.of(self.s, n_shards - self.s)
        self.columns_code = Code.of(self.p, n_shards - self.p)
        self.right = recovery_columns(self.matrix, self.rows_code, self.engine)

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

    def metadata(self, keep: Keep | None = None) -> Metadata:
        """Hash everything; hand the recovery rows of each band to ``keep``."""
        n = self.n_shards
        depth = merkle.path_length(n)
        up = min(depth, self.width.bit_length() - 1)
        columns: list[Bytes] = []
        rows: list[Bytes] = []
        for band in self.bands(n):
            top = self.top(band)
            below = self.below(top)
            if keep is not None:
                keep(band.start, below)
            leaves = self._leaves(top, below)
            rows.append(self._row_nodes(leaves, up))
            down = np.ascontiguousarray(leaves.swapaxes(0, 1))
            columns.append(self.engine.folded(down, depth)[:, 0])
        heads = self.engine.folded(np.concatenate(rows, axis=1), depth - up)[:, 0]
        primary = _digests(heads)
        secondary = _digests(np.concatenate(columns))
        return Metadata(n, self.size, tuple(zip(primary, reversed(secondary), strict=True)))

    def _leaves(self, top: Bytes, below: Bytes) -> Bytes:
        used = min(self.matrix.used_rows + 1, self.p)
        upper = self.engine.leaves(np.ascontiguousarray(top[:used]))
        zeros = np.broadcast_to(upper[-1:], (self.p - used, *upper.shape[1:]))
        return np.concatenate([upper, zeros, self.engine.leaves(below)])

    def _row_nodes(self, leaves: Bytes, up: int) -> Bytes:
        used = min(self.matrix.used_rows + 1, self.p)
        distinct = np.concatenate([leaves[:used], leaves[self.p :]])
        nodes = self.engine.folded(distinct, up)
        zeros = np.broadcast_to(nodes[used - 1 : used], (self.p - used, *nodes.shape[1:]))
        return np.concatenate([nodes[:used], zeros, nodes[used:]])


def _digests(nodes: Bytes) -> list[bytes]:
    joined = nodes.tobytes()
    return [joined[at : at + DIGEST_SIZE] for at in range(0, len(joined), DIGEST_SIZE)]


class Encoded:
    """A blob that was encoded: its metadata, and its slivers on demand.

    It holds the blob, the recovery columns (at most half of the blob) and some of the recovery
    rows: all of them where they fit into 16 MiB or into the blob's own size, otherwise a group
    of neighbouring ones, which is made anew when a row of another group is asked for. Asking for
    the slivers in order makes each group once.
    """

    def __init__(self, data: bytes, n_shards: int) -> None:
        self._expansion = Expansion(data, n_shards)
        row = self._expansion.s * self._expansion.matrix.symbol_size
        self._group = max(1, max(_KEPT_BYTES, len(data)) // row)
        rows, keep = self._empty_group(0)
        self.metadata = self._expansion.metadata(keep)
        self._rows = (0, rows)

    @property
    def n_shards(self) -> int:
        """How many shards the blob is encoded for."""
        return self.metadata.n_shards

    @property
    def size(self) -> int:
        """The blob's bytes before encoding."""
        return self.metadata.size

    @property
    def symbol_size(self) -> int:
        """The bytes of one symbol."""
        return self.metadata.symbol_size

    @property
    def blob_id(self) -> bytes:
        """The blob's ID, 32 bytes."""
        return self.metadata.blob_id

    @property
    def blob_id_text(self) -> str:
        """The blob's ID as 43 characters."""
        return self.metadata.blob_id_text

    @property
    def root_hash(self) -> bytes:
        """The root over all hashes, 32 bytes."""
        return self.metadata.root_hash

    def primary(self, index: int) -> Sliver:
        """Primary sliver ``index``: a row of s symbols.

        Raises:
            InputError: there is no such sliver.
        """
        checked_index(index, self.n_shards, "a primary sliver")
        whole = self._expansion
        if index < whole.p:
            columns = slice(0, whole.s)
            data = whole.matrix.part(slice(index, index + 1), columns).tobytes()
        else:
            data = self._recovery_row(index - whole.p)
        return Sliver("primary", index, self.symbol_size, data)

    def secondary(self, index: int) -> Sliver:
        """Secondary sliver ``index``: a column of p symbols.

        Raises:
            InputError: there is no such sliver.
        """
        checked_index(index, self.n_shards, "a secondary sliver")
        whole = self._expansion
        if index < whole.s:
            rows = slice(0, whole.p)
            data = whole.matrix.part(rows, slice(index, index + 1)).tobytes()
        else:
            data = whole.right[index - whole.s].tobytes()
        return Sliver("secondary", index, self.symbol_size, data)

    def pair(self, index: int) -> tuple[Sliver, Sliver]:
        """What one shard holds: primary sliver ``index`` and secondary sliver n - 1 - ``index``.

        Raises:
            InputError: there is no such pair.
        """
        return self.primary(index), self.secondary(self.n_shards - 1 - index)

    def _recovery_row(self, row: int) -> bytes:
        start, rows = self._rows
        if not start <= row < start + len(rows):
            self._rows = (0, rows := rows[:0].copy())  # the old group goes before the new one comes
            start = row // self._group * self._group
            rows, keep = self._empty_group(start)
            for band in self._expansion.bands(self._expansion.s):
                keep(band.start, self._expansion.below(self._expansion.top(band)))
            self._rows = (start, rows)
        return rows[row - start].tobytes()

    def _empty_group(self, start: int) -> tuple[Bytes, Keep]:
        whole = self._expansion
        count = min(self._group, whole.n_shards - whole.p - start)
        rows = np.empty((count, whole.s, self._expansion.matrix.symbol_size), np.uint8)

        def keep(column: int, below: Bytes) -> None:
            width = min(below.shape[1], whole.s - column)
            if width > 0:
                rows[:, column : column + width] = below[start : start + count, :width]

        return rows, keep


def encode(data: bytes | bytearray | memoryview, n_shards: int) -> Encoded:
    """Encode a blob as the Walrus network does.

    Args:
        data: the blob, of any length up to `most_bytes`; what is not `bytes` is copied.
        n_shards: 4 to 1000. The network has 1000; another number gives other IDs.

    Raises:
        InputError: there cannot be so many shards.
        LimitError: the blob is too large for so few.
    """
    return Encoded(bytes(data), n_shards)


def blob_id(data: bytes | bytearray | memoryview, n_shards: int) -> str:
    """The ID that a blob has over ``n_shards`` shards, as 43 characters.

    Raises:
        InputError: there cannot be so many shards.
        LimitError: the blob is too large for so few.
    """
    view = memoryview(data).cast("B")
    return blob_id_text(Expansion(view, n_shards).metadata().blob_id)
