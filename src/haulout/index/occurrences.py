"""Where terms occur among a view's rows, kept between recalls.

Looking a term up in the postings tells versions; a ranking needs the view's rows, and how long
each text is. For a word that every second memory holds, finding these again for every question
would cost more than the ranking itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index.columns import View
from haulout.index.lexical import PostingCache
from haulout.index.rank import Postings

_KEPT_ENTRIES = 8_000_000
"""At 16 bytes each."""


class Occurrences:
    """Postings by row, of the views and terms asked for lately."""

    def __init__(self, postings: PostingCache) -> None:
        self._postings = postings
        self._kept: dict[tuple[int, str], tuple[Postings, int]] = {}
        self._held = 0
        self._generation = 0

    def of(
        self,
        connection: Transaction,
        vault: int,
        view: View,
        namespaces: Sequence[int],
        term: str,
    ) -> Postings:
        """Where a term occurs among the rows of a view, ascending.

        Args:
            connection: the transaction in which `postings` and view were refreshed.
            vault: its local number; ``namespaces``: those of the view.
        """
        if self._generation != self._postings.generation:
            self._generation = self._postings.generation
            self._kept.clear()
            self._held = 0
        found, newest = self._kept.pop((view.lineage, term), (None, -1))
        if found is None:
            found = _among(view, *self._postings.sealed(connection, vault, namespaces, term))
            if len(namespaces) > 1:
                order = np.argsort(found.rows, kind="stable")
                found = Postings(
                    found.rows[order], found.counts[order], lengths=_lengths(found)[order]
                )
            self._held += len(found.rows)
        fresh = _among(view, *self._postings.fresh(namespaces, term, newest))
        if len(fresh.rows):
            found = _merged(found, fresh)
            self._held += len(fresh.rows)
        while self._held > _KEPT_ENTRIES and self._kept:
            oldest, _ = self._kept.pop(next(iter(self._kept)))
            self._held -= len(oldest.rows)
        self._kept[view.lineage, term] = found, self._postings.newest_fresh
        return found


def _among(view: View, nums: NDArray[np.int64], counts: NDArray[np.uint16]) -> Postings:
    rows = view.row_of[nums]
    seen = rows >= 0
    if not seen.all():
        rows, counts = rows[seen], counts[seen]
    return Postings(rows, counts.astype(np.float32), lengths=view.columns.length[rows])


def _lengths(postings: Postings) -> NDArray[np.number]:
    assert postings.lengths is not None
    return postings.lengths


def _merged(old: Postings, new: Postings) -> Postings:
    """Both in one, ascending."""
    order = np.argsort(new.rows)
    places = np.searchsorted(old.rows, new.rows[order])
    return Postings(
        np.insert(old.rows, places, new.rows[order]),
        np.insert(old.counts, places, new.counts[order]),
        lengths=np.insert(_lengths(old), places, _lengths(new)[order]),
    )
