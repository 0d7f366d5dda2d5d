"""From enough slivers back to the blob.

Any p primary or any s secondary slivers will do. Where the source itself is among them, that is
a copy; for the rest the error locator is computed once and serves every column (or row).

Source: walrus.md §4, §10.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from haulout.errors import InconsistentBlobError, TooFewSliversError
from haulout.redstuff import acceleration, merkle
from haulout.redstuff.encoding import metadata_of
from haulout.redstuff.layout import Bytes
from haulout.redstuff.matrix import Matrix
from haulout.redstuff.metadata import Metadata
from haulout.redstuff.parameters import Axis, parameters
from haulout.redstuff.reedsolomon import Code, locator_logs
from haulout.redstuff.sliver import Sliver

Check = Literal["default", "strict", "skip"]

_BAND_BYTES: Final = 4 << 20
_AXES: Final[tuple[Axis, Axis]] = ("primary", "secondary")


def decode(metadata: Metadata, slivers: Iterable[Sliver], *, check: Check = "default") -> bytes:
    """The blob, from any p of its primary or any s of its secondary slivers.

    The slivers themselves are taken on trust: pass each through `verify_sliver` first. Those of
    another symbol size or length, and those that came before, are left out; once there are
    enough along one axis, no more are taken from ``slivers``.

    Args:
        metadata: the blob's.
        slivers: of both axes, in any order.
        check: what is done against a writer whose slivers are each authentic but of no one blob.
            "default" hashes those source rows that were not among the slivers and compares them
            with the metadata: the answer is what the writer's hashes promise, or an error, though
            two readers may not get the same of the two. "strict" encodes everything again, so
            that all readers get the same. "skip" does neither.

    Raises:
        TooFewSliversError: too few of them are of use.
        InconsistentBlobError: the check failed.
    """
    axis, chosen = _enough(metadata, slivers)
    blob = _from_rows(metadata, chosen) if axis == "primary" else _from_columns(metadata, chosen)
    if check == "strict":
        if metadata_of(blob, metadata.n_shards) != metadata:
            raise _inconsistent(metadata)
    elif check == "default":
        given = chosen.keys() if axis == "primary" else ()
        _check_rows(metadata, blob, given)
    return blob


def _inconsistent(metadata: Metadata) -> InconsistentBlobError:
    return InconsistentBlobError(
        f"The slivers of {metadata.blob_id_text} are not those of one blob.",
        hint="Whoever wrote it encoded it wrongly; there is nothing to read under this ID.",
    )


def _enough(metadata: Metadata, slivers: Iterable[Sliver]) -> tuple[Axis, dict[int, bytes]]:
    counts = parameters(metadata.n_shards)
    size = metadata.symbol_size
    found: dict[Axis, dict[int, bytes]] = {"primary": {}, "secondary": {}}
    for sliver in slivers:
        axis = sliver.axis
        fits = (
            sliver.symbol_size == size
            and len(sliver.data) == size * counts.sliver_symbols(axis)
            and 0 <= sliver.index < metadata.n_shards
        )
        if fits:
            found[axis].setdefault(sliver.index, sliver.data)
            if len(found[axis]) == counts.source_count(axis):
                return axis, found[axis]
    have = " and ".join(f"{len(found[axis])} {axis}" for axis in _AXES)
    raise TooFewSliversError(
        f"{have} slivers of {metadata.blob_id_text} are here, where {counts.primary} primary "
        f"or {counts.secondary} secondary ones are needed.",
        hint="Get slivers from more shards.",
    )


def _from_rows(metadata: Metadata, rows: dict[int, bytes]) -> bytes:
    _, _, p, s = parameters(metadata.n_shards)
    size = metadata.symbol_size
    used = -(-metadata.size // (s * size))
    missing = [index for index in range(used) if index not in rows]
    again = _restored_rows(Code.of(p, metadata.n_shards - p), rows, missing, (s, size))
    place = {index: at for at, index in enumerate(missing)}
    parts = [rows[i] if i in rows else memoryview(again[place[i]]).cast("B") for i in range(used)]
    if parts:
        parts[-1] = parts[-1][: metadata.size - (used - 1) * s * size]
    return b"".join(parts)


def _restored_rows(
    code: Code, rows: dict[int, bytes], missing: list[int], shape: tuple[int, int]
) -> Bytes:
    """Source rows that are missing: (missing, s, z)."""
    columns, size = shape
    found = np.empty((len(missing), columns, size), np.uint8)
    if not missing:
        return found
    known = sorted(rows)
    locator = locator_logs(code, known)
    engine = acceleration.engine(0, code.span * columns * size // 2)
    arrays = [np.frombuffer(rows[index], np.uint8).reshape(columns, size) for index in known]
    step = max(1, _BAND_BYTES // (len(known) * size))
    for start in range(0, columns, step):
        band = slice(start, min(start + step, columns))
        words = engine.words_of(np.stack([row[band] for row in arrays])).reshape(len(known), -1)
        restored = engine.restored(code, known, words, missing, locator)
        found[:, band] = engine.symbols_of(restored.reshape(len(missing), -1, size // 2))
    return found


def _from_columns(metadata: Metadata, columns: dict[int, bytes]) -> bytes:
    n, _, p, s = parameters(metadata.n_shards)
    size = metadata.symbol_size
    used = -(-metadata.size // (s * size))
    missing = [index for index in range(s) if index not in columns]
    known = sorted(columns)
    code = Code.of(s, n - s)
    locator = locator_logs(code, known) if missing else None
    engine = acceleration.engine(0, code.span * p * size // 2)
    arrays = [np.frombuffer(columns[index], np.uint8).reshape(p, size) for index in known]
    source = [index for index in known if index < s]
    blob = np.empty((used, s, size), np.uint8)
    step = max(1, _BAND_BYTES // (len(known) * size))
    for start in range(0, used, step):
        band = slice(start, min(start + step, used))
        symbols = np.stack([column[band] for column in arrays])
        blob[band, source] = symbols[: len(source)].swapaxes(0, 1)
        if locator is not None:
            words = engine.words_of(symbols).reshape(len(known), -1)
            restored = engine.restored(code, known, words, missing, locator)
            again = engine.symbols_of(restored.reshape(len(missing), -1, size // 2))
            blob[band, missing] = again.swapaxes(0, 1)
    return memoryview(blob.reshape(-1))[: metadata.size].tobytes()


def _check_rows(metadata: Metadata, blob: bytes, given: Iterable[int]) -> None:
    """Compare the hashes of the source rows that were not ``given`` with the metadata."""
    matrix = Matrix(blob, metadata.n_shards)
    unseen = sorted(set(range(matrix.rows)) - set(given))
    # Rows past the blob's end hold zeros: one of them speaks for all.
    hashed = [index for index in unseen if index < matrix.used_rows]
    zeros = [index for index in unseen if index >= matrix.used_rows]
    roots = row_roots(matrix, hashed + zeros[:1], metadata.n_shards)
    promised = [metadata.sliver_hash("primary", index) for index in hashed + zeros]
    if promised != roots[: len(hashed)] + roots[len(hashed) :] * len(zeros):
        raise _inconsistent(metadata)


def row_roots(matrix: Matrix, rows: list[int], n_shards: int) -> list[bytes]:
    """The hashes of some source rows of a blob."""
    out: list[bytes] = []
    symbols = len(rows) * n_shards
    code = Code.of(matrix.columns, n_shards - matrix.columns)
    engine = acceleration.engine(2 * symbols, symbols * matrix.symbol_size)
    depth = merkle.path_length(n_shards)
    every = slice(0, matrix.columns)
    step = max(1, _BAND_BYTES // (n_shards * max(matrix.symbol_size, 32)))
    for start in range(0, len(rows), step):
        band = [matrix.part(slice(row, row + 1), every)[0] for row in rows[start : start + step]]
        own = np.stack(band)
        across = np.ascontiguousarray(engine.words_of(own).swapaxes(0, 1))
        added = engine.recoveries(code, across.reshape(matrix.columns, -1), matrix.columns)
        beyond = engine.symbols_of(added.reshape(code.recoveries, len(band), -1)).swapaxes(0, 1)
        nodes = engine.leaves(np.concatenate([own, beyond], axis=1))
        heads = engine.folded(nodes, depth)[:, 0]
        out += [head.tobytes() for head in heads]
    return out
