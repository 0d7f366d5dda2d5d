"""The inverted index: which version holds which term how often, by namespace.

A write appends one row to `fresh`. When a namespace has gathered enough of them they are
sealed: turned into one block of postings a term. A search reads the sealed blocks of just its
terms and looks through the fresh rows in memory. See docs/adr/0002 for why this is not FTS5.

Erasing rewrites the blocks that name the version and deletes those that empty, so a term that
stood in one memory alone leaves no row behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.language.tokens import ANALYZER

SEAL_AT = 1024
_CACHED_ENTRIES = 4_000_000
_MOST_COUNT = 65_535
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode

Entries = tuple[NDArray[np.int64], NDArray[np.uint16]]


def _pack(nums: NDArray[np.int64], counts: NDArray[np.uint16]) -> bytes:
    return (nums - nums[0]).astype("<u4").tobytes() + counts.astype("<u2").tobytes()


def _unpack(first: int, entries: bytes) -> Entries:
    size = len(entries) // 6
    offsets = np.frombuffer(entries, "<u4", size).astype(np.int64)
    return offsets + first, np.frombuffer(entries, "<u2", size, 4 * size)


def _unpack_all(blocks: Sequence[tuple[Any, ...]]) -> Entries:
    """Many blocks at once: a common term of a million memories has a thousand."""
    if len(blocks) == 1:
        return _unpack(*blocks[0])
    sizes = np.array([len(entries) // 6 for _, entries in blocks])
    units = np.frombuffer(b"".join([entries for _, entries in blocks]), "<u2")
    is_offset = np.repeat(
        np.tile([True, False], len(blocks)), np.column_stack([2 * sizes, sizes]).ravel()
    )
    nums = units[is_offset].view("<u4").astype(np.int64)
    nums += np.repeat([first for first, _ in blocks], sizes)
    return nums, units[~is_offset]


def counts_of(terms: Iterable[str]) -> dict[str, int]:
    """How often each term occurs, at most 65,535 times."""
    return {term: min(count, _MOST_COUNT) for term, count in Counter(terms).items()}


# ---------------------------------------------------------------------- writing


def touch(connection: Transaction, vault: int, namespace: int) -> None:
    """Tell every process to drop the postings it holds of a namespace."""
    connection.execute(
        "INSERT INTO lexicon VALUES (?, ?, 1)"
        " ON CONFLICT (namespace) DO UPDATE SET generation = generation + 1",
        (namespace, vault),
    )


def note_analyzer(connection: Transaction, vault: int) -> None:
    """Note which analyzer made every row of this index: they are always of one."""
    connection.execute(
        "INSERT OR REPLACE INTO setting VALUES (?, 'analyzer', ?)", (vault, ANALYZER)
    )


def analyzer_is_current(connection: Transaction, vault: int) -> bool:
    """Whether the index was made by the analyzer of this code; if not, `rebuild` it."""
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = 'analyzer'", (vault,)
    ).fetchone()
    return row is not None and row[0] == ANALYZER


def add(
    connection: Transaction, vault: int, namespace: int, num: int, counts: Mapping[str, int]
) -> None:
    """Make a version findable by its terms, from this transaction on."""
    connection.execute(
        "INSERT INTO fresh VALUES (?, ?, ?, ?)", (num, vault, namespace, _encode(counts))
    )


def seal_if_due(connection: Transaction, vault: int, namespace: int) -> None:
    """Seal a namespace's fresh rows into blocks when there are enough of them."""
    (waiting,) = connection.execute(
        "SELECT count(*) FROM fresh WHERE namespace = ?", (namespace,)
    ).fetchone()
    if waiting < SEAL_AT:
        return
    rows = connection.execute(
        "SELECT num, terms FROM fresh WHERE namespace = ? ORDER BY num", (namespace,)
    ).fetchall()
    connection.executemany(
        "INSERT INTO posting VALUES (?, ?, ?, ?, ?)",
        [(vault, namespace, *block) for block in _blocks(rows)],
    )
    connection.execute("DELETE FROM fresh WHERE namespace = ?", (namespace,))
    touch(connection, vault, namespace)


def _blocks(rows: Sequence[tuple[int, bytes]]) -> list[tuple[str, int, bytes]]:
    """Fresh rows in the order of their nums as blocks: (term, first num, entries), by term.

    All terms at once: 20 ms for 1,024 short memories, where term by term took 40.
    """
    decoded = [_decode(terms) for _, terms in rows]
    # In the order of the table, so that each of its pages is met once.
    terms = sorted({term for counts in decoded for term in counts})
    places = {term: place for place, term in enumerate(terms)}
    of = np.array([places[term] for counts in decoded for term in counts], np.int64)
    order = np.argsort(of, kind="stable")
    every = np.repeat([num for num, _ in rows], [len(counts) for counts in decoded])[order]
    often = np.array([n for counts in decoded for n in counts.values()], np.uint16)[order]
    sizes = np.bincount(of)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    firsts = every[starts]
    offsets = (every - np.repeat(firsts, sizes)).astype("<u4").tobytes()
    counted = often.astype("<u2").tobytes()
    return [
        (term, first, offsets[4 * start : 4 * end] + counted[2 * start : 2 * end])
        for term, first, start, end in zip(
            terms, firsts.tolist(), starts.tolist(), ends.tolist(), strict=True
        )
    ]


def remove(
    connection: Transaction, vault: int, namespace: int, num: int, terms: Iterable[str]
) -> None:
    """Take a version out, wherever its terms stand."""
    connection.execute("DELETE FROM fresh WHERE num = ?", (num,))
    if not connection.changes():
        for term in set(terms):
            _remove_posting(connection, (vault, namespace, term), num)
    touch(connection, vault, namespace)


def _remove_posting(connection: Transaction, place: tuple[int, int, str], num: int) -> None:
    where = "vault = ? AND namespace = ? AND term = ?"
    row = connection.execute(
        f"SELECT first, entries FROM posting WHERE {where} AND first <= ?"
        " ORDER BY first DESC LIMIT 1",
        (*place, num),
    ).fetchone()
    if row is None:
        return
    nums, counts = _unpack(*row)
    keep = nums != num
    if keep.all():
        return
    connection.execute(f"DELETE FROM posting WHERE {where} AND first = ?", (*place, row[0]))
    if keep.any():
        nums, counts = nums[keep], counts[keep]
        connection.execute(
            "INSERT INTO posting VALUES (?, ?, ?, ?, ?)",
            (*place, int(nums[0]), _pack(nums, counts)),
        )


# ---------------------------------------------------------------------- reading


def every_posting(connection: Transaction) -> Iterator[tuple[int, str, int, int]]:
    """Each (namespace, term, num, count) of the index, sealed ones first."""
    for namespace, term, first, entries in connection.execute(
        "SELECT namespace, term, first, entries FROM posting"
    ):
        nums, counts = _unpack(first, entries)
        for num, count in zip(nums.tolist(), counts.tolist(), strict=True):
            yield namespace, term, num, count
    for num, namespace, terms in connection.execute("SELECT num, namespace, terms FROM fresh"):
        for term, count in _decode(terms).items():
            yield namespace, term, num, count


class PostingCache:
    """Postings of the terms asked for lately, kept between a process's recalls."""

    def __init__(self) -> None:
        self.generation = 0
        self._generations: dict[int, int] = {}
        self._sealed: dict[tuple[int, str], Entries | None] = {}
        self._held = 0
        self._fresh: dict[int, dict[str, list[tuple[int, int]]]] = {}
        self._newest_fresh = 0

    def refresh(self, connection: Transaction, vault: int) -> None:
        """Catch up with what any process has written. Call at the start of a read."""
        stale = False
        for namespace, generation in connection.execute(
            "SELECT namespace, generation FROM lexicon WHERE vault = ?", (vault,)
        ):
            if self._generations.get(namespace, 0) != generation:
                self._generations[namespace] = generation
                stale = True
        if stale:
            self._sealed.clear()
            self._fresh.clear()
            self.generation += 1
            self._held = self._newest_fresh = 0
        for num, namespace, terms in connection.execute(
            "SELECT num, namespace, terms FROM fresh WHERE num > ? AND vault = ? ORDER BY num",
            (self._newest_fresh, vault),
        ):
            place = self._fresh.setdefault(namespace, {})
            for term, count in _decode(terms).items():
                place.setdefault(term, []).append((num, count))
            self._newest_fresh = num

    def postings(
        self, connection: Transaction, vault: int, namespaces: Sequence[int], term: str
    ) -> Entries:
        """Every version that holds a term in these namespaces: (nums, counts)."""
        sealed = self.sealed(connection, vault, namespaces, term)
        fresh = self.fresh(namespaces, term)
        return np.concatenate([sealed[0], fresh[0]]), np.concatenate([sealed[1], fresh[1]])

    def fresh(self, namespaces: Sequence[int], term: str, after: int = -1) -> Entries:
        """The versions that hold a term and whose postings are not sealed yet.

        Args:
            namespaces, term: as for `postings`; ``after``: only versions after this one.
        """
        found: list[tuple[int, int]] = []
        for namespace in namespaces:
            held = self._fresh.get(namespace, {}).get(term, ())
            if held and held[-1][0] > after:
                found += (entry for entry in held if entry[0] > after)
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.uint16)
        nums, counts = zip(*found, strict=True)
        return np.array(nums, np.int64), np.array(counts, np.uint16)

    @property
    def newest_fresh(self) -> int:
        """The newest version that this cache knows of."""
        return self._newest_fresh

    def sealed(
        self, connection: Transaction, vault: int, namespaces: Sequence[int], term: str
    ) -> Entries:
        """The versions whose sealed postings hold a term; these change with `generation`."""
        found = [
            entries
            for namespace in namespaces
            if (entries := self._sealed_entries(connection, vault, namespace, term)) is not None
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.uint16)
        return np.concatenate([nums for nums, _ in found]), np.concatenate([c for _, c in found])

    def _sealed_entries(
        self, connection: Transaction, vault: int, namespace: int, term: str
    ) -> Entries | None:
        key = (namespace, term)
        if key in self._sealed:
            entries = self._sealed[key] = self._sealed.pop(key)  # asked for last
            return entries
        blocks = connection.execute(
            "SELECT first, entries FROM posting"
            " WHERE vault = ? AND namespace = ? AND term = ? ORDER BY first",
            (vault, namespace, term),
        ).fetchall()
        entries = None
        if blocks:
            entries = _unpack_all(blocks)
            self._held += len(entries[0])
        while self._held > _CACHED_ENTRIES and self._sealed:
            oldest = self._sealed.pop(next(iter(self._sealed)))
            self._held -= 0 if oldest is None else len(oldest[0])
        self._sealed[key] = entries
        return entries
