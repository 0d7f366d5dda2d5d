"""Vectors: int8 rows in the database, a float32 matrix in memory, an exact scan.

Those of a namespace that has very many stand in lists as well (`lists`), and not in the matrix.

A vector is as telling as its text (Morris et al., "Text Embeddings Reveal (Almost) As Much As
Text", 2023), so it lives inside the encrypted database and nowhere else. Vectors of different
models are never compared; a vector given by a caller belongs to the model `caller/<dimensions>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index.columns import ColumnCache
from haulout.index.embed import Embedder, quantise
from haulout.index.forms import passages
from haulout.index.lists import Division
from haulout.log.clock import from_microseconds

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_EXACT = 2**24
"""Up to here float32 holds every whole number."""
_ROWS_AT_ONCE = 1024
_LOOKED_UP_AT_ONCE = 500


def caller_model(dimensions: int) -> str:
    """The model name of vectors that a caller computed."""
    return f"caller/{dimensions}"


def number_of(connection: Transaction, vault: int, name: str) -> int | None:
    """The number of a model's vectors; None where it never had one."""
    find = "SELECT model FROM model WHERE vault = ? AND name = ?"
    row = connection.execute(find, (vault, name)).fetchone()
    return row[0] if row else None


def model_number(connection: Transaction, vault: int, name: str) -> int:
    """The number of a model's vectors, giving it one where it has none (in a write)."""
    number = number_of(connection, vault, name)
    if number is not None:
        return number
    connection.execute("INSERT INTO model (vault, name) VALUES (?, ?)", (vault, name))
    return connection.last_insert_rowid()


def add(
    connection: Transaction, vault: int, model: int, num: int, vectors: Iterable[Floats]
) -> None:
    """Keep a version's vectors, one a passage."""
    connection.executemany(
        "INSERT INTO vector (vault, model, num, part, codes) VALUES (?, ?, ?, ?, ?)",
        [(vault, model, num, part, quantise(vector)) for part, vector in enumerate(vectors)],
    )


def add_codes(
    connection: Transaction, vault: int, model: int, num: int, parts: Iterable[bytes]
) -> None:
    """Keep a version's vectors as another copy of the vault quantised them, and unqueue it."""
    connection.execute("DELETE FROM embed_queue WHERE num = ?", (num,))
    connection.executemany(
        "INSERT INTO vector (vault, model, num, part, codes) VALUES (?, ?, ?, ?, ?)",
        [(vault, model, num, part, codes) for part, codes in enumerate(parts)],
    )


def choose_model(connection: Transaction, vault: int, model_name: str) -> None:
    """Note which model the vectors are of, where none is noted."""
    connection.execute("INSERT OR IGNORE INTO setting VALUES (?, 'model', ?)", (vault, model_name))


def remove(connection: Transaction, num: int) -> None:
    """Drop a version's vectors of every model, and its place in the queue."""
    connection.execute("DELETE FROM vector WHERE num = ?", (num,))
    connection.execute("DELETE FROM embed_queue WHERE num = ?", (num,))


# ---------------------------------------------------------------------- the queue


def waiting(connection: Transaction, vault: int) -> int:
    """How many versions wait for their vectors."""
    row = connection.execute("SELECT count(*) FROM embed_queue WHERE vault = ?", (vault,))
    return int(row.fetchone()[0])  # pyright: ignore[reportOptionalSubscript] one row always


def chosen_model(connection: Transaction, vault: int) -> str | None:
    """The model whose vectors the queue waits for; None before there was one."""
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = 'model'", (vault,)
    ).fetchone()
    return row[0] if row else None


def newest_waiting(
    connection: Transaction, vault: int, model_name: str, limit: int
) -> list[tuple[int, list[str]]]:
    """The newest versions in the queue with the passages to embed.

    None where another process has chosen another model since: the queue is that model's.
    """
    if chosen_model(connection, vault) != model_name:
        return []
    rows = connection.execute(
        "SELECT q.num, v.text, v.speaker, v.occurred_at FROM embed_queue q"
        " JOIN version v ON v.num = q.num WHERE q.vault = ? ORDER BY q.num DESC LIMIT ?",
        (vault, limit),
    ).fetchall()
    return [
        (num, passages(text, speaker, None if at is None else from_microseconds(at)))
        for num, text, speaker, at in rows
    ]


def embed_all(
    embedder: Embedder, batch: Sequence[tuple[int, list[str]]]
) -> list[tuple[int, Floats]]:
    """The vectors of a batch from `newest_waiting`: (num, [passages, dimensions])."""
    texts = [text for _, parts in batch for text in parts]
    vectors = embedder.embed(texts)
    found: list[tuple[int, Floats]] = []
    place = 0
    for num, parts in batch:
        found.append((num, vectors[place : place + len(parts)]))
        place += len(parts)
    return found


def keep(
    connection: Transaction, vault: int, model_name: str, batch: Sequence[tuple[int, Floats]]
) -> None:
    """Keep a batch's vectors and take it off the queue, in one transaction.

    A version that was erased meanwhile has left the queue; its vectors are dropped here.
    """
    if chosen_model(connection, vault) != model_name:
        return
    model = model_number(connection, vault, model_name)
    for num, rows in batch:
        connection.execute("DELETE FROM embed_queue WHERE num = ?", (num,))
        if connection.changes():
            add(connection, vault, model, num, rows)


def queue_for_model(connection: Transaction, vault: int, model_name: str) -> None:
    """Queue every version that has no vector of this model, when the model has changed."""
    if chosen_model(connection, vault) == model_name:
        return
    connection.execute(
        "INSERT INTO setting VALUES (?, 'model', ?)"
        " ON CONFLICT (vault, name) DO UPDATE SET value = excluded.value",
        (vault, model_name),
    )
    connection.execute(
        "INSERT OR IGNORE INTO embed_queue SELECT num, vault FROM version v WHERE vault = ?1"
        " AND NOT EXISTS (SELECT 1 FROM vector w JOIN model m ON m.model = w.model"
        "  WHERE w.num = v.num AND (m.name = ?2 OR m.name LIKE 'caller/%'))",
        (vault, model_name),
    )


# ---------------------------------------------------------------------- searching


def levels_of(query: Floats) -> Floats:
    """A unit vector in whole numbers, so small that every sum of products with codes is exact.

    A product of float32 matrices rounds a row by where in the matrix it stands, and so by what
    stands around it. Whole numbers below 2^24 are never rounded: a memory's similarity then
    depends on nothing but itself and the question. The levels are finer than the codes.
    """
    longest = 127 * np.sqrt(len(query))  # of any vector of codes; Cauchy and Schwarz do the rest
    return np.rint(query * (_EXACT / longest - np.sqrt(len(query)))).astype(np.float32)


def _newer(connection: Transaction, model: int, after: int) -> list[tuple[int, int, bytes]]:
    """A model's vectors after one: (number, version, codes) each, by number."""
    return connection.execute(  # pyright: ignore[reportReturnType] three columns
        "SELECT vector, num, codes FROM vector WHERE vector > ? AND model = ? ORDER BY vector",
        (after, model),
    ).fetchall()


def vectors_of(
    connection: Transaction, model: int, nums: Sequence[int]
) -> list[tuple[int, int, bytes]]:
    """The vectors that some versions have of a model: (number, version, codes) each."""
    found: list[tuple[int, int, bytes]] = []
    for start in range(0, len(nums), _LOOKED_UP_AT_ONCE):
        part = nums[start : start + _LOOKED_UP_AT_ONCE]
        marks = ",".join("?" * len(part))
        found += connection.execute(  # pyright: ignore[reportAssignmentType] three columns
            f"SELECT vector, num, codes FROM vector WHERE num IN ({marks}) AND model = ?",
            (*part, model),
        ).fetchall()
    return found


class VectorCache:
    """One model's codes as a float32 matrix, kept between a process's recalls.

    `nums[i]` is the version that row i belongs to; several rows may share one.
    """

    def __init__(self) -> None:
        self._newest = 0
        self._matrix: Floats = np.empty((0, 0), np.float32)
        self._lengths: Floats = np.empty(0, np.float32)
        self._nums: NDArray[np.int64] = np.empty(0, np.int64)
        self._used = 0

    def refresh(
        self,
        connection: Transaction,
        model: int,
        divisions: Sequence[Division],
        columns: ColumnCache,
    ) -> None:
        """Catch up with the database; what stands in a division's lists is left to them.

        Args:
            connection: in a read transaction; ``model``: whose vectors.
            divisions: the divisions that are read; a cache is of one set of them.
            columns: knows the namespace of each version, and every version there is.
        """
        rows: list[tuple[int, int, bytes]]
        if self._newest or not divisions:
            rows = _newer(connection, model, self._newest)
        else:
            divided = {division.namespace: division.newest for division in divisions}
            oldest = min(divided.values())
            outside = columns.outside(tuple(divided)).tolist()
            rows = [row for row in vectors_of(connection, model, outside) if row[0] <= oldest]
            newer = _newer(connection, model, oldest)
            places = columns.namespace_of(np.array([row[1] for row in newer], np.int64)).tolist()
            rows += [
                row
                for row, place in zip(newer, places, strict=True)
                if row[0] > divided.get(place, 0)
            ]
            self._newest = newer[-1][0] if newer else oldest
        if rows:
            self._append(rows)

    def _append(self, rows: Sequence[tuple[int, int, bytes]]) -> None:
        used, needed = self._used, self._used + len(rows)
        if needed > len(self._nums):  # room for half as much again: appends stay cheap
            room = needed + needed // 2
            matrix = np.empty((room, len(rows[0][2])), np.float32)
            lengths, nums = np.empty(room, np.float32), np.empty(room, np.int64)
            if used:  # the empty matrix of a new cache has no width yet
                matrix[:used], nums[:used] = self._matrix[:used], self.nums
                lengths[:used] = self._lengths[:used]
            self._matrix, self._lengths, self._nums = matrix, lengths, nums
        # By parts that stay in the processor's cache: 100,000 rows in 0.1 s instead of 0.5, and
        # without three more copies of them all.
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            codes = np.frombuffer(b"".join([row[2] for row in part]), np.int8)
            place = slice(used + start, used + start + len(part))
            self._matrix[place] = codes = codes.reshape(len(part), -1)
            self._lengths[place] = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.int32))
        self._nums[used:needed] = [row[1] for row in rows]
        self._used, self._newest = needed, max(self._newest, rows[-1][0])

    def drop(self, nums: Iterable[int]) -> None:
        """Forget erased versions' vectors in memory too."""
        gone = np.isin(self.nums, list(nums))
        if gone.any():
            keep_rows = np.flatnonzero(~gone)
            self._matrix, self._nums = self._matrix[keep_rows], self._nums[keep_rows]
            self._lengths = self._lengths[keep_rows]
            self._used = len(keep_rows)

    @property
    def nums(self) -> NDArray[np.int64]:
        """The version of each row."""
        return self._nums[: self._used]

    def compared(self, levels: Floats, row_of: NDArray[np.int64]) -> tuple[Ints, Floats]:
        """Each visible vector with a query: (row, cosine); a row may come several times.

        Args:
            levels: the query, by `levels_of`; ``row_of``: visible row of each num, or -1.
        """
        if not self._used:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        cosines = self._matrix[: self._used] @ levels
        cosines /= self._lengths[: self._used] * np.linalg.norm(levels)
        rows = row_of[self.nums]
        seen = rows >= 0
        return (rows, cosines) if seen.all() else (rows[seen], cosines[seen])

    def similarity(self, levels: Floats, row_of: NDArray[np.int64], count: int) -> Floats:
        """Cosine of each visible row's best passage with a query; NaN where it has no vector.

        Args:
            levels, row_of: as for `compared`; ``count``: how many rows are visible.

        Returns:
            float32 [count].
        """
        rows, cosines = self.compared(levels, row_of)
        best = np.full(count, -np.inf, np.float32)
        order_is_plain = len(rows) == count and bool((rows[1:] > rows[:-1]).all())
        if order_is_plain:
            return cosines
        np.maximum.at(best, rows, cosines)
        best[np.isneginf(best)] = np.nan
        return best
