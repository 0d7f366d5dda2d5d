"""What is compared: one way of answering a question with turns per class, all in memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from datasets import Conversation
from numpy.typing import NDArray

from haulout.index import forms
from haulout.index.embed import Embedder
from haulout.index.rank import WEIGHTS, Columns, Postings, Question, Weights, rank
from haulout.language.dates import read_period
from haulout.language.mentions import about_asker, asks_when, name_terms, subject_terms
from haulout.language.tokens import analyze


class Retriever(Protocol):
    """What `--through-vault` has to offer as well."""

    def index(self, conversation: Conversation) -> None:
        """Forget what was indexed before and take in this conversation."""
        ...

    def search(self, question: str, k: int) -> list[str]:
        """IDs of the best turns, best first."""
        ...


class Vectors:
    """An embedder that keeps what it has embedded in one file per text set, outside the tree."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self.embedder = embedder
        self.folder = folder / hashlib.sha256(embedder.model.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._kept: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit row for each text; a list of several is looked up on disk first."""
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        if digest not in self._kept:
            path = self.folder / f"{digest}.npy"
            if not path.exists():
                np.save(path, self.embedder.embed(texts))
            self._kept[digest] = np.load(path)
        return self._kept[digest]


class Corpus:
    """One conversation indexed, with everything a retriever may want, made once."""

    def __init__(self, conversation: Conversation, vectors: Vectors | None = None) -> None:
        turns = conversation.turns
        self.conversation, self.ids = conversation, [turn.id for turn in turns]
        self.names = sorted({turn.speaker for turn in turns})
        self.bearers = name_terms(self.names)
        self.postings = _postings([analyze(forms.word_form(t.text, t.occurred_at)) for t in turns])
        self.plain_terms = [
            analyze(f"{t.speaker}: {forms.word_form(t.text, t.occurred_at)}") for t in turns
        ]
        self.columns = self._columns()
        self.plain_postings = _postings(self.plain_terms)
        self.similarities: dict[str, NDArray[np.float32]] = {}
        self._read: dict[tuple[str, bool], Question] = {}
        if vectors is not None:
            self._embed(vectors)

    def _columns(self) -> Columns:
        turns = self.conversation.turns
        count = len(turns)
        session = np.array([turn.session for turn in turns])
        rows = np.arange(count)
        joined = session[1:] == session[:-1]
        previous, following = np.full(count, -1), np.full(count, -1)
        previous[1:][joined], following[:-1][joined] = rows[:-1][joined], rows[1:][joined]
        return Columns(
            length=np.array([len(analyze(t.text)) for t in turns], np.float32),
            previous=previous,
            following=following,
            speaker=np.array([self.names.index(t.speaker) for t in turns]),
            assistant=np.array([forms.is_assistant(t.speaker) for t in turns]),
            asking=np.array([forms.asking(t.text) for t in turns], np.float32),
            occurred_at=np.array([_microseconds(t.occurred_at) for t in turns]),
            traits=np.array([forms.traits(t.text) for t in turns], np.uint8),
        )

    def _embed(self, vectors: Vectors) -> None:
        turns = self.conversation.turns
        texts = [forms.passages(t.text, t.speaker, t.occurred_at) for t in turns]
        starts = np.cumsum([0, *(len(passages) for passages in texts)])[:-1]
        rows = vectors.embed([passage for passages in texts for passage in passages])
        asked = [question.text for question in self.conversation.questions]
        for question, vector in zip(asked, vectors.embed(asked), strict=True):
            self.similarities[question] = np.maximum.reduceat(rows @ vector, starts)

    def question(self, text: str, *, meaning: bool) -> Question:
        """The question read against this corpus, once."""
        if (text, meaning) not in self._read:
            self._read[text, meaning] = self._question(text, meaning=meaning)
        return self._read[text, meaning]

    def _question(self, text: str, *, meaning: bool) -> Question:
        last = self.conversation.turns[-1].occurred_at
        period = read_period(text, last) if last is not None else None
        none = (np.empty(0, np.int64), np.empty(0, np.float32))
        return Question(
            postings=[
                Postings(*self.postings.get(term, none), self.bearers.get(term, frozenset()))
                for term in subject_terms(text)
            ],
            about_asker=about_asker(text),
            asks_when=asks_when(text),
            period=None
            if period is None
            else (_microseconds(period.start), _microseconds(period.end)),
            similarity=self.similarities[text] if meaning else None,
        )


def _microseconds(moment: datetime | None) -> int:
    return 0 if moment is None else (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


def _postings(texts: list[list[str]]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    rows: dict[str, list[tuple[int, int]]] = {}
    for row, terms in enumerate(texts):
        for term, times in Counter(terms).items():
            rows.setdefault(term, []).append((row, times))
    return {
        term: (np.array([r for r, _ in kept]), np.array([n for _, n in kept], np.float32))
        for term, kept in rows.items()
    }


def bm25(corpus: Corpus, text: str, k1: float = 1.2, b: float = 0.75) -> NDArray[np.float64]:
    """Okapi BM25 over date, speaker and text, as a search engine has it."""
    lengths = np.array([len(terms) for terms in corpus.plain_terms])
    evening = k1 * (1 - b + b * lengths / lengths.mean())
    scores = np.zeros(len(lengths))
    for term in analyze(text):
        if term in corpus.plain_postings:
            rows, counts = corpus.plain_postings[term]
            worth = np.log1p((len(lengths) - len(rows) + 0.5) / (len(rows) + 0.5))
            scores[rows] += worth * counts * (k1 + 1) / (counts + evening[rows])
    return scores


def reciprocal_ranks(*lists: NDArray[np.floating], constant: int = 60) -> NDArray[np.float64]:
    """Reciprocal rank fusion of whole score lists."""
    total = np.zeros(len(lists[0]))
    for scores in lists:
        order = np.argsort(-scores, kind="stable")
        places = np.empty(len(order))
        places[order] = np.arange(len(order))
        total += 1 / (constant + 1 + places)
    return total


class _Scored:
    """A retriever that scores every turn of a prepared corpus."""

    def __init__(self, corpora: dict[str, Corpus]) -> None:
        self.corpora = corpora

    def index(self, conversation: Conversation) -> None:
        self.corpus = self.corpora[conversation.name]

    def search(self, question: str, k: int) -> list[str]:
        best = np.argsort(-self.scores(question), kind="stable")[:k]
        return [self.corpus.ids[row] for row in best]

    def scores(self, question: str) -> NDArray[np.floating]:
        raise NotImplementedError


class Bm25(_Scored):
    def scores(self, question: str) -> NDArray[np.floating]:
        return bm25(self.corpus, question)


class Dense(_Scored):
    def scores(self, question: str) -> NDArray[np.floating]:
        return self.corpus.similarities[question]


class Rrf(_Scored):
    def scores(self, question: str) -> NDArray[np.floating]:
        return reciprocal_ranks(bm25(self.corpus, question), self.corpus.similarities[question])


class Haulout:
    """The product's own ranking, called without a vault."""

    def __init__(
        self, corpora: dict[str, Corpus], *, meaning: bool, weights: Weights = WEIGHTS
    ) -> None:
        self.corpora, self.meaning, self.weights = corpora, meaning, weights

    def index(self, conversation: Conversation) -> None:
        self.corpus = self.corpora[conversation.name]

    def search(self, question: str, k: int) -> list[str]:
        asked = self.corpus.question(question, meaning=self.meaning)
        best = rank(self.corpus.columns, asked, k, self.weights)
        return [self.corpus.ids[row] for row in best.rows]
