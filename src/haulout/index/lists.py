"""Lists: copies of vectors, those that lie near each other together, for vaults of very many.

A namespace whose vectors of one model are many is divided: the vectors go to lists of near
neighbours, each with the mean of its members, and a recall looks into the few lists whose means
lie nearest (an inverted file; docs/adr/0006). A part of the vectors stands once more in lists
without a mean: the sample, which every recall looks through, and from which it learns how similar
memories are to the question at large. The rows of `vector` stay the source.

A division is written in parts (`begin`, `put` ..., `finish`), each in a short transaction:

    after `begin` or a `put`     a division that is not ready; nobody reads it, erasing reaches it,
                                 and the next builder's `begin` leaves its lists to `sweep`
    after `finish`               the new division is read, the old one's lists are left over

Of two builders the one that began last wins; the other's `put` tells it to stop.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction

Nums = NDArray[np.int64]
Codes = NDArray[np.int8]
Floats = NDArray[np.float32]

DIVIDED_FROM: Final = 50_000
"""Vectors of one model in one namespace; docs/adr/0006 tells where lists begin to win."""
_GROWN_BY: Final = 8
"""A namespace is divided anew when so manyth a part of its vectors came since."""
_LISTS_SWEPT: Final = 16
_LARGEST_SAMPLE: Final = 1 << 14
_LOOKED_AT: Final = "lists looked at"


class Place(NamedTuple):
    """What is divided on its own: the vectors of one model in one namespace."""

    namespace: int
    model: int


class Claim(NamedTuple):
    """A division that is being written.

    `newest` is the last vector it takes in, `record` the newest record when it began.
    """

    division: int
    newest: int
    record: int


class Division(NamedTuple):
    """A division that is read."""

    division: int
    namespace: int
    newest: int


def sampled(count: int) -> NDArray[np.bool_]:
    """Which of so many vectors stand in the sample, by their order alone.

    What other namespaces hold does not change it. One in 32, and of more than half a million one
    in 64, 128 ...: what is learned from some 15,000 is exact enough. The order is scrambled
    (Fibonacci hashing): by turns, every 32nd turn would be one speaker's.
    """
    halvings = max(5, (count // _LARGEST_SAMPLE).bit_length())
    places = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (places >> np.uint64(64 - halvings)) == 0


def at_unit_length(codes: Codes) -> Floats:
    """Codes as unit vectors, float32."""
    rows = codes.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _mean(codes: Codes) -> bytes:
    return at_unit_length(codes).mean(axis=0, dtype=np.float64).astype("<f4").tobytes()


# ---------------------------------------------------------------------- building


def newest_vector(connection: Transaction) -> int:
    """The largest number any vector has."""
    return int(connection.execute("SELECT max(vector) FROM vector").fetchone()[0] or 0)


def may_be_due(connection: Transaction, vault: int) -> bool:
    """Whether so many vectors came since the last look that counting them is worth it."""
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = ?", (vault, _LOOKED_AT)
    ).fetchone()
    seen, newest = int(row[0]) if row else 0, newest_vector(connection)
    return newest - seen >= max(DIVIDED_FROM, seen) // (2 * _GROWN_BY) and newest >= DIVIDED_FROM


def note_looked(connection: Transaction, vault: int, newest: int) -> None:
    """Note that the vectors up to a number were counted."""
    connection.execute(
        "INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", (vault, _LOOKED_AT, str(newest))
    )


def due(connection: Transaction, vault: int) -> list[Place]:
    """The places whose vectors are many and have no division, or have outgrown it."""
    counted = connection.execute(
        "SELECT v.namespace, w.model, count(*), count(*) FILTER (WHERE w.vector > COALESCE("
        "  (SELECT max(s.newest) FROM division s WHERE s.vault = w.vault AND s.ready = 1"
        "   AND s.namespace = v.namespace AND s.model = w.model), 0))"
        " FROM vector w JOIN version v ON v.num = w.num WHERE w.vault = ?"
        " GROUP BY v.namespace, w.model HAVING count(*) >= ? ORDER BY 1, 2",
        (vault, DIVIDED_FROM),
    ).fetchall()
    return [
        Place(namespace, model)
        for namespace, model, every, fresh in counted
        if fresh * _GROWN_BY >= every
    ]


def begin(connection: Transaction, vault: int, place: Place) -> Claim:
    """Begin a division; one of the same place that is not finished loses its claim."""
    connection.execute(
        "DELETE FROM division WHERE vault = ? AND namespace = ? AND model = ? AND ready = 0",
        (vault, *place),
    )
    newest = newest_vector(connection)
    connection.execute(
        "INSERT INTO division (vault, namespace, model, newest, ready) VALUES (?, ?, ?, ?, 0)",
        (vault, *place, newest),
    )
    division = connection.last_insert_rowid()
    record = connection.execute("SELECT max(num) FROM record").fetchone()[0]
    return Claim(division, newest, record or 0)


def part(
    connection: Transaction, place: Place, after: int, newest: int, count: int
) -> tuple[Nums, Codes, int]:
    """The next vectors of a place: (nums, codes, the last one's number); none left: empty."""
    rows = connection.execute(
        "SELECT w.vector, w.num, w.codes FROM vector w JOIN version v ON v.num = w.num"
        " WHERE w.vector > ? AND w.vector <= ? AND w.model = ? AND v.namespace = ?"
        " ORDER BY w.vector LIMIT ?",
        (after, newest, place.model, place.namespace, count),
    ).fetchall()
    if not rows:
        return np.empty(0, np.int64), np.empty((0, 0), np.int8), newest
    nums = np.array([row[1] for row in rows], np.int64)
    codes = np.frombuffer(b"".join([row[2] for row in rows]), np.int8)
    return nums, codes.reshape(len(rows), -1), rows[-1][0]


def put(
    connection: Transaction, vault: int, claim: Claim, groups: Iterable[tuple[Nums, Codes, bool]]
) -> bool:
    """Write lists: (nums, codes, whether it is of the sample) each; False: the claim is lost.

    What was erased since the vectors were read is left out, and out of the means.
    """
    held = "SELECT 1 FROM division WHERE division = ? AND ready = 0"
    if connection.execute(held, (claim.division,)).fetchone() is None:
        return False
    rows = connection.execute(
        "SELECT num FROM erased WHERE vault = ? AND changed > ?", (vault, claim.record)
    ).fetchall()
    gone = np.array([row[0] for row in rows], np.int64)
    for nums, codes, sample in groups:
        kept = ~np.isin(nums, gone)
        if not kept.any():
            continue
        mean = b"" if sample else _mean(codes[kept])
        connection.execute(
            "INSERT INTO vector_list (vault, division, mean, nums, codes) VALUES (?, ?, ?, ?, ?)",
            (
                vault,
                claim.division,
                mean,
                nums[kept].astype("<i8").tobytes(),
                codes[kept].tobytes(),
            ),
        )
    return True


def finish(connection: Transaction, vault: int, claim: Claim) -> bool:
    """Let a division be read instead of the one before; False: the claim is lost."""
    connection.execute(
        "UPDATE division SET ready = 1 WHERE division = ? AND ready = 0", (claim.division,)
    )
    if not connection.changes():
        return False
    connection.execute(
        "DELETE FROM division WHERE vault = ?1 AND ready = 1 AND division < ?2"
        " AND (namespace, model) = (SELECT namespace, model FROM division WHERE division = ?2)",
        (vault, claim.division),
    )
    return True


def left_over(connection: Transaction, vault: int) -> list[int]:
    """Some lists that no division holds any more."""
    rows = connection.execute(
        "SELECT list FROM vector_list WHERE vault = ? AND division NOT IN"
        " (SELECT division FROM division) LIMIT ?",
        (vault, _LISTS_SWEPT),
    ).fetchall()
    return [row[0] for row in rows]


def sweep(connection: Transaction, vault: int) -> None:
    """Delete some of the lists that are left over."""
    connection.executemany(
        "DELETE FROM vector_list WHERE list = ?",
        [(number,) for number in left_over(connection, vault)],
    )


def abandon(connection: Transaction, vault: int) -> None:
    """Let no list be read or finished any more; `sweep` then removes them."""
    connection.execute("DELETE FROM division WHERE vault = ?", (vault,))
    connection.execute("DELETE FROM setting WHERE vault = ? AND name = ?", (vault, _LOOKED_AT))


# ---------------------------------------------------------------------- erasing


def remove(connection: Transaction, vault: int, nums: Sequence[int]) -> None:
    """Take erased versions out of every list, and out of its mean; an empty list goes.

    Lists that are being written or left over are looked through like those that are read.
    """
    gone = np.array(nums, np.int64)
    held = connection.execute("SELECT list, nums FROM vector_list WHERE vault = ?", (vault,))
    met = [
        number
        for number, members in held.fetchall()
        if np.isin(np.frombuffer(members, "<i8"), gone).any()
    ]
    for number in met:
        mean, members, codes = connection.execute(
            "SELECT mean, nums, codes FROM vector_list WHERE list = ?", (number,)
        ).fetchone()
        members = np.frombuffer(members, "<i8")
        rows = np.frombuffer(codes, np.int8).reshape(len(members), -1)
        kept = ~np.isin(members, gone)
        if not kept.any():
            connection.execute("DELETE FROM vector_list WHERE list = ?", (number,))
            continue
        rows = rows[kept]
        connection.execute(
            "UPDATE vector_list SET mean = ?, nums = ?, codes = ? WHERE list = ?",
            (mean and _mean(rows), members[kept].tobytes(), rows.tobytes(), number),
        )


# ---------------------------------------------------------------------- reading


def divisions(connection: Transaction, vault: int, model: int) -> tuple[Division, ...]:
    """The divisions of a model's vectors that are read, by namespace."""
    rows = connection.execute(
        "SELECT division, namespace, newest FROM division"
        " WHERE vault = ? AND model = ? AND ready = 1 ORDER BY namespace",
        (vault, model),
    ).fetchall()
    return tuple(Division(*row) for row in rows)


def contents(connection: Transaction, vault: int, division: int) -> list[tuple[int, bytes, bytes]]:
    """Each list of a division: (number, mean, nums)."""
    return connection.execute(  # pyright: ignore[reportReturnType] three columns
        "SELECT list, mean, nums FROM vector_list WHERE vault = ? AND division = ? ORDER BY list",
        (vault, division),
    ).fetchall()


def members(connection: Transaction, number: int) -> tuple[Nums, Codes]:
    """What a list holds now; nothing where it is gone."""
    row = connection.execute(
        "SELECT nums, codes FROM vector_list WHERE list = ?", (number,)
    ).fetchone()
    if row is None:
        return np.empty(0, np.int64), np.empty((0, 0), np.int8)
    nums = np.frombuffer(row[0], "<i8")
    return nums, np.frombuffer(row[1], np.int8).reshape(len(nums), -1)


# ---------------------------------------------------------------------- checking


def problems(connection: Transaction, vault: int) -> Iterator[str]:
    """What is wrong with the lists, held against the vectors that they copy."""
    ready = connection.execute(
        "SELECT division, namespace, model, newest FROM division WHERE vault = ? AND ready = 1",
        (vault,),
    ).fetchall()
    copied, chosen = Counter[int](), defaultdict[int, set[int]](set)
    known: set[int] | None = None
    strays = False
    rows = connection.execute(
        "SELECT list, division, mean, nums, codes FROM vector_list WHERE vault = ?", (vault,)
    )
    for number, division, mean, held, codes in rows:
        nums = np.frombuffer(held, "<i8")
        if not len(nums) or len(codes) % len(nums):
            yield f"list {number} of near vectors is damaged"
            continue
        width = len(codes) // len(nums)
        members = np.frombuffer(codes, np.int8).reshape(len(nums), width)
        if mean and not np.allclose(_read_mean(_mean(members)), _read_mean(mean), atol=1e-5):
            yield f"list {number} of near vectors has the mean of others"
        values = [
            hash((num, codes[place * width : (place + 1) * width]))
            for place, num in enumerate(nums.tolist())
        ]
        if mean:
            copied[division] += sum(values)
        else:
            chosen[division].update(values)
        if known is None:
            known = {row[0] for row in connection.execute("SELECT num FROM vector")}
        strays = strays or not known.issuperset(nums.tolist())
    if strays:
        yield "a list holds a vector that is gone; run `haulout rebuild`"
    for division, namespace, model, newest in ready:
        expected = 0
        for row in connection.execute(
            "SELECT w.num, w.codes FROM vector w JOIN version v ON v.num = w.num"
            " WHERE w.vault = ? AND w.model = ? AND v.namespace = ? AND w.vector <= ?",
            (vault, model, namespace, newest),
        ):
            expected += hash(row)
            chosen[division].discard(hash(row))
        if copied[division] != expected or chosen[division]:
            yield "the lists of near vectors differ from the vectors; run `haulout rebuild`"


def _read_mean(mean: bytes) -> Floats:
    return np.frombuffer(mean, "<f4")
