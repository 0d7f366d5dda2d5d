"""How near memories are in meaning to a question: all compared, or those that may be near.

Where the vectors in sight are not many, every one is compared. Where they are, those that stand
in lists are looked through as `probing` tells, and the others compared one by one: new vectors,
and those of namespaces too small to be divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index.columns import ColumnCache, View
from haulout.index.probing import LEAST_SAMPLED, ListCache, Seen, cosines, lengths_of, raise_to
from haulout.index.vectors import Floats, VectorCache, levels_of, number_of, vectors_of

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

_LEAST_SPREAD = 1e-6


@dataclass(slots=True)
class Near:
    """How near each visible row is to a question.

    Attributes:
        similarity: cosine of each row's best passage, NaN where it has no vector; or None:
        deviations: the same in standard deviations above the mean, 0 where there is no vector,
            estimated where `known` is false.
        known: which of these are of the row's own vectors.
        mean, spread: of the sample, from which deviations were made.
        levels: the question's vector, by `levels_of`; ``model``: whose vectors these are.
    """

    similarity: Floats | None
    deviations: Floats | None = None
    known: Mask | None = None
    mean: float = 0.0
    spread: float = 1.0
    levels: Floats | None = None
    model: int = 0

    def complete(self, connection: Transaction, view: View, rows: Ints) -> None:
        """Compare these rows with the question, so that nothing about them is estimated.

        Args:
            connection: the transaction of this recall; ``view``: what it sees.
            rows: any of the view's.
        """
        assert self.deviations is not None
        assert self.known is not None
        assert self.levels is not None
        unknown = rows[~self.known[rows]]
        found = vectors_of(connection, self.model, view.nums[unknown].tolist())
        if not found:
            return
        codes = np.frombuffer(b"".join([row[2] for row in found]), np.int8)
        codes = codes.reshape(len(found), -1)
        values = cosines(codes, lengths_of(codes), self.levels)
        values -= np.float32(self.mean)
        values /= np.float32(self.spread)
        theirs = view.row_of[np.array([row[1] for row in found], np.int64)]
        raise_to(self.deviations, theirs, values)
        self.known[theirs] = True


def _at_large(
    sample: tuple[Floats, Floats], every: tuple[Floats, Ints], others: Floats
) -> tuple[float, float]:
    """Mean and spread of the similarity of all rows in sight.

    Of the estimates both are known exactly, and the sample tells by how much estimates are off: a
    difference estimator, whose error is less than half that of the sample alone.

    Args:
        sample: similarity and estimate of each row of the sample.
        every: estimate of each list, and how many rows in sight it has.
        others: similarity of each row in no list, NaN where it has no vector.
    """
    known, guessed = (values.astype(np.float64) for values in sample)
    estimates, counts = every[0].astype(np.float64), every[1]
    outside = others[~np.isnan(others)].astype(np.float64)
    inside = int(counts.sum())
    moments: list[float] = []
    for power in (1, 2):
        off = float((known**power - guessed**power).mean())
        listed = float((counts * estimates**power).sum()) + inside * off
        moments.append((listed + float((outside**power).sum())) / (inside + len(outside)))
    return moments[0], float(np.sqrt(max(moments[1] - moments[0] ** 2, 0.0)))


class Nearness:
    """One model's vectors, as much of them as recalls have needed."""

    def __init__(self) -> None:
        self._model = 0
        self._vectors = VectorCache()
        self._lists = ListCache()
        self._several: Ints = np.empty(0, np.int64)

    def refresh(
        self, connection: Transaction, vault: int, model_name: str, columns: ColumnCache
    ) -> bool:
        """Catch up with the database; False where the model has no vector at all."""
        model = number_of(connection, vault, model_name)
        if model is None:
            return False
        if model != self._model:
            self.__init__()
            self._model = model
        if self._lists.refresh(connection, vault, model):
            self._vectors = VectorCache()
            self._several = self._lists.with_several()
        self._vectors.refresh(connection, model, self._lists.divisions, columns)
        return True

    def drop(self, nums: Sequence[int]) -> None:
        """Forget erased versions' vectors in memory too."""
        self._vectors.drop(nums)
        self._lists.drop(nums)

    def near(
        self,
        connection: Transaction,
        view: View,
        namespaces: Sequence[int],
        query: Floats,
        allowed: Mask | None,
    ) -> Near | None:
        """How near every row of a view is; None where no row in sight has a vector.

        Args:
            connection: the transaction of this recall; ``view``: what it sees.
            namespaces: those of its scope; ``query``: a unit vector.
            allowed: rows that the filter leaves, or None for all: no other is looked at.
        """
        levels = levels_of(query)
        if not any(division.namespace in namespaces for division in self._lists.divisions):
            values = self._vectors.similarity(levels, view.row_of, len(view.nums))
            return None if np.isnan(values).all() else Near(values)
        if not len(view.nums):
            return None
        seen = self._lists.seen(view)
        sample = seen.sample if allowed is None else seen.sample[allowed[seen.sample]]
        if len(sample) >= LEAST_SAMPLED:
            found = self._probed(connection, view, seen, sample, namespaces, query, allowed)
            if found is not None:
                return found
        values = self._compared(connection, view, seen, levels, allowed)
        return None if np.isnan(values).all() else Near(values)

    def _compared(
        self,
        connection: Transaction,
        view: View,
        seen: Seen,
        levels: Floats,
        allowed: Mask | None,
    ) -> Floats:
        """Every row that is allowed compared with the query."""
        values = np.full(len(view.nums), np.nan, np.float32)
        wanted = np.ones(len(view.nums), np.bool_) if allowed is None else allowed
        raise_to(values, *self._lists.compare(connection, seen, wanted, levels))
        raise_to(values, *self._vectors.compared(levels, view.row_of))
        return values

    def _probed(
        self,
        connection: Transaction,
        view: View,
        seen: Seen,
        sample: Ints,
        namespaces: Sequence[int],
        query: Floats,
        allowed: Mask | None,
    ) -> Near | None:
        """The rows of the nearest lists compared, the others estimated; None: all are alike."""
        count, levels = len(view.nums), levels_of(query)
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / max(count, 1)
        numbers = self._lists.nearest(query, namespaces, share)
        listed = self._lists.look(connection, seen, numbers, levels)
        fresh = self._vectors.compared(levels, view.row_of)
        estimates = self._lists.estimate(query)
        values = estimates.take(seen.list_of)
        known = np.zeros(count, np.bool_)
        for rows, theirs in (listed, fresh):
            raise_to(values, rows, theirs)
            known[rows] = True
        rows = view.row_of[self._several[self._several < len(view.row_of)]]
        known[rows[rows >= 0]] = False  # one passage in an open list does not tell the best
        counts, others = seen.counts[:-1], seen.unlisted
        if allowed is not None:
            counts = np.bincount(seen.list_of[allowed], minlength=len(estimates))[:-1]
            others = others[allowed[others]]
        mean, spread = _at_large(
            (values[sample], estimates[seen.list_of[sample]]),
            (estimates[:-1], counts),
            values[others],
        )
        if spread < _LEAST_SPREAD:
            return None
        values -= np.float32(mean)
        values /= np.float32(spread)
        without = seen.unlisted[np.isnan(values[seen.unlisted])]
        values[without] = 0
        return Near(None, values, known, mean, spread, levels, self._model)
