"""Recall: a question against what its asker may see.

The steps, and where each one's arithmetic is: what may be seen (`columns`), which words occur
where (`lexical`, `occurrences`), how near the meaning is (`nearness`), the score (`rank`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index import memories
from haulout.index.columns import ColumnCache, Scope, View
from haulout.index.embed import unit_rows
from haulout.index.lexical import PostingCache
from haulout.index.nearness import Near, Nearness
from haulout.index.occurrences import Occurrences
from haulout.index.rank import (
    WEIGHTS,
    Columns,
    Postings,
    Question,
    Ranking,
    beside,
    candidates,
    read,
    score,
)
from haulout.index.vectors import caller_model
from haulout.language.dates import read_period
from haulout.language.mentions import about_asker, asks_when, subject_terms
from haulout.log.clock import from_microseconds, to_microseconds
from haulout.log.memory import Memory

Floats = NDArray[np.float32]
_EVIDENCE = ("words", "words around", "time")
_ESTIMATED = replace(WEIGHTS, candidates=1500)
"""Where the nearness of most rows is estimated, more of them are scored: among a million, 0.99 of
the exact ten are found instead of 0.97, for half a millisecond. See docs/adr/0006."""
_MOST_TERMS = 64
"""Different terms of a question that are looked up; a pasted page is no better a question."""


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """One memory that a recall returned.

    Attributes:
        memory: the memory, in the version that the recall's moment sees.
        score: higher is better; comparable within one recall only.
        why: the addends that sum to the score, by name; empty unless `explain` was asked for.
    """

    memory: Memory
    score: float
    why: dict[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A recall, with names and times already resolved.

    Attributes:
        scope: what may be seen.
        text: the question, or None.
        vector: the question's vector, or None; ``model``: the vector space it is of.
        now: the moment that "last week" is said from, microseconds.
        limit: at most so many results.
        since, until: only what happened in [since, until), microseconds, or None.
        conditions: a filter, or None.
    """

    scope: Scope
    text: str | None = None
    vector: Floats | None = None
    model: str | None = None
    now: int
    limit: int = 10
    since: int | None = None
    until: int | None = None
    conditions: Mapping[str, object] | None = None


@dataclass(slots=True)
class Searcher:
    """One vault's search state in this process: caches over the index's tables."""

    vault: int
    _columns: ColumnCache = field(default_factory=ColumnCache)
    _postings: PostingCache = field(default_factory=PostingCache)
    _occurrences: Occurrences = field(init=False)
    _nearness: dict[str, Nearness] = field(default_factory=dict[str, Nearness])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._occurrences = Occurrences(self._postings)

    def search(
        self, connection: Transaction, asked: Callable[[Transaction], Query]
    ) -> list[Recalled]:
        """Answer a query, best first; with neither words nor vector, newest first.

        Args:
            connection: inside one read transaction, so that every table shows one moment;
                nothing was read in it yet.
            asked: looks up what is asked. The transaction's moment is that of its first SELECT,
                which must come after the lock: the caches never know more than it shows.
        """
        with self._lock:
            query = asked(connection)
            erased = self._columns.refresh(connection, self.vault)
            self._postings.refresh(connection, self.vault)
            for nearness in self._nearness.values() if erased else ():
                nearness.drop(erased)
            view = self._columns.view(query.scope)
            allowed = self._allowed(connection, view, query)
            if allowed is not None and not allowed.any():
                return []
            question = self._question(connection, view, query)
            near = self._near(connection, view, query, allowed)
        ranking, rows = _ranked(connection, view, question, near, allowed, query.limit)
        if query.text is not None:
            ranking = _with_evidence(ranking, near is not None)
        nums = view.nums[rows[ranking.rows] if rows is not None else ranking.rows].tolist()
        return [
            Recalled(memory=memory, score=float(ranking.scores[i]), why=ranking.explain(i))
            for i, memory in enumerate(memories.read(connection, nums))
        ]

    def _question(self, connection: Transaction, view: View, query: Query) -> Question:
        text = query.text or ""
        terms = subject_terms(text)[:_MOST_TERMS]
        speakers = self._columns.speaker_terms() if terms else {}
        namespaces = query.scope.namespaces
        postings = [
            self._occurrences.of(connection, self.vault, view, namespaces, term)._replace(
                speakers=speakers.get(term, frozenset())
            )
            for term in terms
        ]
        return Question(
            postings=postings,
            about_asker=about_asker(text),
            asks_when=asks_when(text),
            period=_period(text, query.now),
        )

    def _near(
        self,
        connection: Transaction,
        view: View,
        query: Query,
        allowed: NDArray[np.bool_] | None,
    ) -> Near | None:
        if query.vector is None:
            return None
        model = query.model or caller_model(len(query.vector))
        nearness = self._nearness.setdefault(model, Nearness())
        if not nearness.refresh(connection, self.vault, model, self._columns):
            return None
        unit = unit_rows(query.vector[np.newaxis])[0]
        return nearness.near(connection, view, query.scope.namespaces, unit, allowed)

    def _allowed(
        self, connection: Transaction, view: View, query: Query
    ) -> NDArray[np.bool_] | None:
        """Which rows the filter and the time range leave; None where there is neither."""
        if query.conditions is None and query.since is None and query.until is None:
            return None
        allowed = np.ones(len(view.nums), np.bool_)
        if query.since is not None:
            allowed &= view.columns.occurred_at >= query.since
        if query.until is not None:
            allowed &= view.columns.occurred_at < query.until
        if query.conditions is not None:
            nums = memories.matching(
                connection,
                self.vault,
                query.scope.namespaces,
                query.conditions,
                superseded=query.scope.as_of is not None or query.scope.valid_at is not None,
                passages=True,
            )
            met = np.zeros(len(view.row_of), np.bool_)
            met[[num for num in nums if num < len(met)]] = True
            allowed &= met[view.nums]
        return allowed


def _period(text: str, now: int) -> tuple[int, int] | None:
    """The time that a question asks about, in microseconds, or None."""
    period = read_period(text, from_microseconds(now))
    if period is None:
        return None
    return to_microseconds(period.start, "start"), to_microseconds(period.end, "end")


def _ranked(
    connection: Transaction,
    view: View,
    question: Question,
    near: Near | None,
    allowed: NDArray[np.bool_] | None,
    limit: int,
) -> tuple[Ranking, NDArray[np.int64] | None]:
    """The best of the allowed rows, and where the rows ranked stand in the view, if elsewhere."""
    if near is not None:
        question = replace(question, similarity=near.similarity, deviations=near.deviations)
    columns, question, kept = _restricted(view.columns, question, allowed)
    reading = read(columns, question)
    estimated = near is not None and near.deviations is not None
    rows = candidates(columns, question, reading, limit, _ESTIMATED if estimated else WEIGHTS)
    if near is not None and near.deviations is not None and reading.meaning is not None:
        wanted = beside(columns, rows)
        places = wanted if kept is None else kept[wanted]
        near.complete(connection, view, places)
        reading.meaning[wanted] = near.deviations[places]
    return score(columns, question, reading, rows, limit), kept


def _with_evidence(ranking: Ranking, by_meaning: bool) -> Ranking:  # noqa: FBT001
    """Without vectors, only what shares a word with the question, itself or nearby.

    Vectors give every memory some nearness; words alone give the others none at all, and what
    is left of their scores is what was known of them before anything was asked.
    """
    if by_meaning:
        return ranking
    found = np.zeros(len(ranking.rows), np.bool_)
    for name in _EVIDENCE:
        if name in ranking.addends:
            found |= ranking.addends[name] > 0
    return Ranking(
        ranking.rows[found],
        ranking.scores[found],
        {name: addend[found] for name, addend in ranking.addends.items()},
    )


def _restricted(
    columns: Columns, question: Question, allowed: NDArray[np.bool_] | None
) -> tuple[Columns, Question, NDArray[np.int64] | None]:
    """The question over the allowed rows alone, and where these stand in the view."""
    if allowed is None:
        return columns, question, None
    rows = np.flatnonzero(allowed)
    place = np.full(len(columns) + 1, -1, np.int64)  # the last stands for row -1
    place[rows] = np.arange(len(rows))
    taken: dict[str, Any] = {
        name: getattr(columns, name)[rows]
        for name in ("length", "speaker", "assistant", "asking", "occurred_at")
    }
    taken["traits"] = None if columns.traits is None else columns.traits[rows]
    taken |= {name: place[getattr(columns, name)[rows]] for name in ("previous", "following")}
    taken["linked"] = np.flatnonzero((taken["previous"] >= 0) | (taken["following"] >= 0))
    postings: list[Postings] = []
    for posting in question.postings:
        kept = place[posting.rows]
        seen = kept >= 0
        postings.append(Postings(kept[seen], posting.counts[seen], posting.speakers))
    similarity = None if question.similarity is None else question.similarity[rows]
    deviations = None if question.deviations is None else question.deviations[rows]
    narrowed = replace(question, postings=postings, similarity=similarity, deviations=deviations)
    return Columns(**taken), narrowed, rows
