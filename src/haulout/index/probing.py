"""Looking through lists of near vectors: which are opened for a question, and what they tell.

A recall compares the question with the mean of every list, opens the few whose direction lies
nearest, and knows the similarity of their members exactly. Of every other memory it knows the
mean similarity of its list, which is good enough to tell whether it may be among the best; those
that may be are then compared one by one (`Nearness.exact`). How similar memories are at large is
told by the sample: a part of exactly the rows that the asker may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index import lists
from haulout.index.columns import View, joined
from haulout.index.lists import Division

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

PROBED = 48
"""Lists opened for a question; see docs/adr/0006 for what fewer and more find."""
LEAST_SAMPLED = 1024
"""With fewer rows of the sample in sight, every visible row is compared."""
_ROWS_AT_ONCE = 1024
_MOST_BYTES = 1 << 30
"""Codes held at most; beyond, all are let go and read again as they are needed."""


class Seen(NamedTuple):
    """The members of all lists as one view sees them; made once a view."""

    rows: Ints  # of each member, or -1
    list_of: Ints  # of each row; the number of lists where it is in none
    sample: Ints  # visible rows of the sample, ascending
    unlisted: Ints  # visible rows in no list
    counts: Ints  # visible rows of each list, and of none


def _longer(seen: Seen, count: int) -> Seen:
    """The same with rows that came since, which are in no list."""
    new = np.arange(len(seen.list_of), count)
    counts = seen.counts.copy()
    counts[-1] += len(new)
    return seen._replace(
        list_of=joined(seen.list_of, np.full(len(new), len(counts) - 1, np.int64)),
        unlisted=joined(seen.unlisted, new),
        counts=counts,
    )


def cosines(codes: NDArray[np.int8], lengths: Floats, levels: Floats) -> Floats:
    """Cosine of each row of codes with a query in levels; converted by parts that stay in cache."""
    found = np.empty(len(codes), np.float32)
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[part] = codes[part].astype(np.float32) @ levels
    found /= lengths * np.linalg.norm(levels)
    return found


def lengths_of(codes: NDArray[np.int8]) -> Floats:
    """Length of each row of codes."""
    found = np.empty(len(codes), np.float32)
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        part = codes[start : start + _ROWS_AT_ONCE]
        found[start : start + _ROWS_AT_ONCE] = np.sqrt(
            np.einsum("ij,ij->i", part, part, dtype="i4")
        )
    return found


def raise_to(best: Floats, rows: Ints, values: Floats) -> None:
    """Give rows the largest of their values, whatever they had before."""
    best[rows] = -np.inf
    np.maximum.at(best, rows, values)


class ListCache:
    """One model's lists, opened as they are needed and kept between a process's recalls."""

    def __init__(self) -> None:
        self.divisions: tuple[Division, ...] = ()
        self._clear()

    def _clear(self) -> None:
        self._lists: list[int] = []
        self._namespace = np.empty(0, np.int64)
        self._means = self._directions = np.empty((0, 0), np.float32)
        self._starts = np.zeros(1, np.int64)
        self._of_sample = np.empty(0, np.bool_)
        self._nums = np.empty(0, np.int64)
        self._seen: tuple[View, Seen] | None = None
        self._release(0)

    def _release(self, dimensions: int) -> None:
        """Hold no codes; memory is taken as lists are opened."""
        self._codes = np.empty((len(self._nums), dimensions), np.int8)
        self._lengths = np.ones(len(self._nums), np.float32)
        self._open = np.zeros(len(self._lists), np.bool_)
        self._held = 0

    def refresh(self, connection: Transaction, vault: int, model: int) -> bool:
        """Catch up with the database; True where other lists are read than before."""
        divisions = lists.divisions(connection, vault, model)
        if divisions == self.divisions:
            return False
        self.divisions = divisions
        self._clear()
        means: list[bytes] = []
        members: list[Ints] = []
        places: list[int] = []
        for division in divisions:
            for number, mean, nums in lists.contents(connection, vault, division.division):
                self._lists.append(number)
                means.append(mean)
                members.append(np.frombuffer(nums, "<i8"))
                places.append(division.namespace)
        if not members:
            return True
        self._namespace = np.array(places, np.int64)
        self._starts = np.concatenate([[0], np.cumsum([len(nums) for nums in members])])
        self._nums = np.concatenate(members)
        dimensions = max(map(len, means)) // 4
        if not dimensions:  # a sample and nothing else
            dimensions = lists.members(connection, self._lists[0])[1].shape[1]
        zero = bytes(4 * dimensions)
        joined = b"".join(mean or zero for mean in means)
        self._means = np.frombuffer(joined, "<f4").reshape(len(means), dimensions)
        length = np.linalg.norm(self._means, axis=1, keepdims=True)
        self._directions = self._means / np.maximum(length, np.float32(1e-9))
        self._of_sample = np.array([not mean for mean in means])
        self._release(dimensions)
        return True

    def drop(self, nums: Sequence[int]) -> None:
        """Forget erased versions' codes in memory too."""
        gone = np.flatnonzero(np.isin(self._nums, nums))
        if len(gone):
            self._codes[gone] = 0
            self._lengths[gone] = 1
            self._nums = self._nums.copy()
            self._nums[gone] = -1
            self._seen = None

    def with_several(self) -> Ints:
        """The versions that have more than one vector."""
        once = self._nums[~np.repeat(self._of_sample, np.diff(self._starts))]
        nums, counts = np.unique(once, return_counts=True)
        return nums[(counts > 1) & (nums >= 0)]

    # ------------------------------------------------------------------ what a view sees

    def seen(self, view: View) -> Seen:
        """The lists' members as a view sees them."""
        if self._seen is not None and self._seen[0].lineage == view.lineage:
            seen = self._seen[1]
            if len(view.nums) > len(seen.list_of):
                seen = _longer(seen, len(view.nums))
        else:
            seen = self._looked_up(view.row_of, len(view.nums))
        self._seen = view, seen
        return seen

    def _looked_up(self, row_of: Ints, count: int) -> Seen:
        inside = (self._nums >= 0) & (self._nums < len(row_of))
        rows = np.where(inside, row_of[np.where(inside, self._nums, 0)], -1)
        none = len(self._lists)
        list_of = np.full(count, none, np.int64)
        numbers = np.repeat(np.arange(none), np.diff(self._starts))
        copies = self._of_sample[numbers]
        visible = (rows >= 0) & ~copies
        list_of[rows[visible]] = numbers[visible]
        return Seen(
            rows=rows,
            list_of=list_of,
            sample=np.unique(rows[(rows >= 0) & copies]),
            unlisted=np.flatnonzero(list_of == none),
            counts=np.bincount(list_of, minlength=none + 1),
        )

    # ------------------------------------------------------------------ opening lists

    def _opened(self, connection: Transaction, numbers: Ints) -> None:
        """See to it that the codes of these lists are held."""
        missing = numbers[~self._open[numbers]]
        if not len(missing):
            return
        width = self._codes.shape[1]
        if self._held + width * int(np.diff(self._starts)[missing].sum()) > _MOST_BYTES:
            self._release(width)
            missing = numbers
        for place in map(int, missing):
            start, end = int(self._starts[place]), int(self._starts[place + 1])
            expected = self._nums[start:end]
            nums, codes = lists.members(connection, self._lists[place])
            if len(nums) == end - start:
                self._codes[start:end] = codes
            else:  # erased since the members were read; these keep their order
                kept = np.isin(expected, nums)
                self._codes[start:end] = 0
                self._codes[start:end][kept] = codes[np.isin(nums, expected)]
            lengths = lengths_of(self._codes[start:end])
            self._lengths[start:end] = np.where(lengths > 0, lengths, 1)
            self._open[place] = True
            self._held += width * (end - start)

    def estimate(self, query: Floats) -> Floats:
        """The mean cosine of each list with a query, and NaN for what is in none."""
        return np.append(self._means @ query, np.float32(np.nan))

    def nearest(self, query: Floats, namespaces: Sequence[int], share: float) -> Ints:
        """The lists to open for a query: the nearest, and those of the sample.

        Args:
            query: a unit vector; ``namespaces``: those in sight.
            share: of the lists' members in sight: with fewer, answers lie in more lists.
        """
        inside = np.isin(self._namespace, namespaces)
        near = np.flatnonzero(inside & ~self._of_sample)
        sample = np.flatnonzero(inside & self._of_sample)
        divided = sum(division.namespace in namespaces for division in self.divisions)
        wanted = int(np.ceil(PROBED * np.sqrt(max(divided, 1) / max(share, 1e-6))))
        if len(near) > wanted:
            similar = self._directions[near] @ query
            near = near[np.argpartition(similar, len(near) - wanted)[len(near) - wanted :]]
        return np.concatenate([sample, np.sort(near)])

    def look(
        self, connection: Transaction, seen: Seen, numbers: Ints, levels: Floats
    ) -> tuple[Ints, Floats]:
        """The visible members of some lists: (row, cosine) each; a row may come twice."""
        self._opened(connection, numbers)
        rows: list[Ints] = [np.empty(0, np.int64)]
        values: list[Floats] = [np.empty(0, np.float32)]
        for place in numbers.tolist():
            part = slice(int(self._starts[place]), int(self._starts[place + 1]))
            rows.append(seen.rows[part])
            values.append(cosines(self._codes[part], self._lengths[part], levels))
        found, theirs = np.concatenate(rows), np.concatenate(values)
        visible = found >= 0
        return found[visible], theirs[visible]

    def compare(
        self, connection: Transaction, seen: Seen, wanted: Mask, levels: Floats
    ) -> tuple[Ints, Floats]:
        """Every member whose row is wanted: (row, cosine) each; a row may come twice."""
        copies = np.repeat(self._of_sample, np.diff(self._starts))
        places = np.flatnonzero((seen.rows >= 0) & wanted[seen.rows] & ~copies)
        numbers = np.unique(np.searchsorted(self._starts, places, side="right") - 1)
        self._opened(connection, numbers)
        values = np.empty(len(places), np.float32)
        for start in range(0, len(places), _ROWS_AT_ONCE):
            part = places[start : start + _ROWS_AT_ONCE]
            values[start : start + _ROWS_AT_ONCE] = cosines(
                self._codes[part], self._lengths[part], levels
            )
        return seen.rows[places], values
