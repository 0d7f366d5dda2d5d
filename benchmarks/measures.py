"""Figures of retrieval quality: what one ranked list is worth, and intervals over many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from datasets import Conversation, Question
from numpy.typing import NDArray

if TYPE_CHECKING:
    from retrievers import Retriever

DEPTH = 50  # turns asked for: enough for recall@20 and for five sessions
MEASURES = ("recall5", "recall10", "recall20", "ndcg10", "session5")


@dataclass(frozen=True, slots=True)
class Measured:
    """One question's figures, all from 0 to 1."""

    conversation: str
    category: str
    recall5: float
    recall10: float
    recall20: float
    ndcg10: float
    session5: float


def measure(retriever: Retriever, conversation: Conversation) -> list[Measured]:
    """Every question of a conversation, searched inside that conversation."""
    retriever.index(conversation)
    session_of = {turn.id: turn.session for turn in conversation.turns}
    return [
        _measured(conversation.name, question, retriever.search(question.text, DEPTH), session_of)
        for question in conversation.questions
    ]


def _measured(
    name: str, question: Question, found: list[str], session_of: dict[str, int]
) -> Measured:
    gold = set(question.gold)
    hits = [turn in gold for turn in found]
    sessions = list(dict.fromkeys(session_of[turn] for turn in found))[:5]
    wanted = {session_of[turn] for turn in gold}
    gain = sum(1 / np.log2(place + 2) for place, hit in enumerate(hits[:10]) if hit)
    ideal = sum(1 / np.log2(place + 2) for place in range(min(len(gold), 10)))
    return Measured(
        name,
        question.category,
        *(sum(hits[:depth]) / len(gold) for depth in (5, 10, 20)),
        float(gain / ideal),
        len(wanted & set(sessions)) / len(wanted),
    )


def mean(measured: Sequence[Measured], measure_name: str) -> float:
    """In points: 0 to 100."""
    return 100 * float(np.mean([getattr(m, measure_name) for m in measured]))


def interval(
    measured: Sequence[Measured], measure_name: str, *, draws: int = 2_000, seed: int = 7
) -> tuple[float, float]:
    """95 % bootstrap interval: conversations are drawn anew, questions are not independent."""
    sums, counts = _by_conversation(measured, measure_name)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = 100 * sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _by_conversation(
    measured: Sequence[Measured], measure_name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values: dict[str, list[float]] = {}
    for m in measured:
        values.setdefault(m.conversation, []).append(getattr(m, measure_name))
    sums = np.array([sum(v) for v in values.values()])
    return sums, np.array([float(len(v)) for v in values.values()])
