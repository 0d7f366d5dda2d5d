"""Which of the visible memories answer a question best, and why: arithmetic and nothing else.

Two stages. The first (``candidates``) gives every visible memory an estimate in a handful of
vectorised passes: BM25 of its own words, that of its neighbours, the similarity of its vectors
and what is known of it beforehand. The second (``score``) scores the best of these exactly. A
score is the sum of named addends, kept for every memory returned, so that ``explain`` shows the
arithmetic that was done. Between the two the caller may look up how near the candidates are,
where the question came with estimates of it.

Every statistic (document frequencies, mean length, mean and spread of similarity) is of exactly
the rows that were given: a memory which the caller may not see cannot move a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haulout.index.forms import Trait

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_NONE: Final = -1
_DAY: Final = 86_400_000_000  # microseconds
_MANY: Final = 1 << 15  # values from which looking at few of them pays
_STRIDE: Final = 64
_LITTLE: Final = 0.02
"""A term of so many texts that it adds less than this is no reason to be a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The constants of the ranking, in one place.

    Found on LoCoMo (10 conversations, 1,982 questions) and eight BEAM-100K chats (144 questions)
    by ``python benchmarks/fit_rank.py --folds 5``, which fits on some conversations and is
    measured on the others (folds dealt by seed 7), with and without a model. The folds agree on
    which of these help and differ in how much; the figures are flat there (each constant alone
    moves their mean by less than 0.4 points), so round values between were taken by hand, with
    all conversations in view. Figures with these very constants are therefore in-sample;
    ``python benchmarks/retrieval.py --held-out FITTED`` shows them beside held-out ones.
    """

    saturation: float = 1.2  # BM25 k1
    length_share: float = 0.75  # BM25 b
    around: tuple[float, ...] = (0.5, 0.35, 0.2, 0.1)  # words of the turns 1, 2, 3, 4 away
    answer: float = 0.5  # added to the first, by how far the turn before only asked
    reach: float = 30.0  # terms between two turns over which these fall to 1/e
    speaker_words: float = 1.0  # a name in the question counts so often in what its bearer said
    speaker: float = 0.1  # the question names who speaks
    meaning: float = 0.1  # one standard deviation of similarity
    meaning_around: tuple[float, ...] = (0.3,)  # the same of the turns next to it
    question: float = 0.3  # taken off a turn that only asks
    short: float = 0.3  # taken off a turn of a conversation that has no terms, fading with each
    short_terms: float = 6.0  # terms over which that falls to 1/e
    assistant: float = 0.3  # taken off an assistant's words
    assistant_mine: float = 0.6  # the same when a person asks about themselves alone
    rule: float = 0.2  # a person said how they always want it
    timed: float = 0.2  # the question asks when, and the turn says when
    period: float = 0.2  # the turn is of the time asked about
    period_fades_days: float = 7.0  # or tells of it that many days later, less and less
    candidates: int = 400  # rows scored exactly; 5,882 turns in one vault rank as with all of them


WEIGHTS: Final = Weights()


class Postings(NamedTuple):
    """Where one term of the question occurs among the visible rows: ascending, each once."""

    rows: NDArray[np.integer]
    counts: NDArray[np.number]
    speakers: frozenset[int] = frozenset()
    """Speakers whose name holds the term: whatever they said counts as holding it once."""
    lengths: NDArray[np.number] | None = None
    """`Columns.length` of the rows, where it was looked up before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What is known of each visible memory before any question; one value a row."""

    length: NDArray[np.number]
    """Terms of the text itself, without speaker and date."""
    previous: NDArray[np.integer]
    """Row of the memory before it in its session, or -1."""
    following: NDArray[np.integer]
    """Row of the memory after it in its session, or -1."""
    speaker: NDArray[np.integer]
    """Number of the speaker, or -1."""
    assistant: NDArray[np.bool_]
    """Whether an AI assistant said it."""
    asking: NDArray[np.number]
    """Share of the text that only asks: ``forms.asking``."""
    occurred_at: NDArray[np.integer]
    """Microseconds; when it was recorded, where nobody said when it happened."""
    traits: NDArray[np.integer] | None = None
    """What kind of statement the text makes: ``forms.traits``. None: not known."""
    linked: Rows | None = None
    """The rows that have one before or after them. None: not known, it may be any."""

    def __len__(self) -> int:
        return len(self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, read against the visible rows."""

    postings: Sequence[Postings]
    """One for each different term of the question, those that occur nowhere included."""
    about_asker: bool = False
    """"I", "my", "we", and no "you": the asker asks about themselves."""
    asks_when: bool = False
    """The answer is a time."""
    period: tuple[int, int] | None = None
    """The time that is asked about, in microseconds: from the first to before the second."""
    similarity: Floats | None = None
    """Cosine of each row's best passage with the question; NaN where there is no vector yet."""
    deviations: Floats | None = None
    """The same in standard deviations above the mean, where that is known already."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best rows, best first. ``scores[i]`` is the sum of ``addends`` for that row, in order."""

    rows: Rows
    scores: NDArray[np.float64]
    addends: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])

    def explain(self, place: int) -> dict[str, float]:
        """The addends of one returned row that are not zero."""
        return {name: float(a[place]) for name, a in self.addends.items() if a[place] != 0.0}


class _Term(NamedTuple):
    """A term with what it is worth here."""

    rows: Rows
    counts: Floats
    evening: Floats  # of each row's text: longer than most, above 1
    spoken: NDArray[np.bool_] | None  # rows of the speakers it names
    worth: float  # its share of all that the question's terms are worth


@dataclass(slots=True)
class Reading:
    """A question as it is read against some rows: what both stages go by."""

    terms: list[_Term]
    meaning: Floats | None


def read(columns: Columns, question: Question, weights: Weights = WEIGHTS) -> Reading:
    """What a question's words are worth among these rows, and how near each row is to it."""
    if not len(columns):
        return Reading([], None)
    meaning = question.deviations
    if meaning is None:
        meaning = _standardised(question.similarity, weights)
    return Reading(_terms(columns, question.postings, weights), meaning)


def rank(columns: Columns, question: Question, k: int, weights: Weights = WEIGHTS) -> Ranking:
    """The ``k`` best of the visible rows; ties go to the newer memory, then to the lower row."""
    reading = read(columns, question, weights)
    rows = candidates(columns, question, reading, k, weights)
    return score(columns, question, reading, rows, k, weights)


def candidates(
    columns: Columns, question: Question, reading: Reading, k: int, weights: Weights = WEIGHTS
) -> Rows:
    """The rows, ascending, that may be among the ``k`` best."""
    count = len(columns)
    if count == 0 or k <= 0:
        return np.empty(0, np.int64)
    if _asks_nothing(question, reading):
        return np.sort(_newest(columns, k))
    wanted = max(k, weights.candidates)
    if count <= wanted:
        return np.arange(count)
    estimate = _estimate(columns, question, reading, weights)
    return np.sort(_largest(estimate, wanted))


def score(
    columns: Columns,
    question: Question,
    reading: Reading,
    rows: Rows,
    k: int,
    weights: Weights = WEIGHTS,
) -> Ranking:
    """The ``k`` best of some rows by their exact scores."""
    if not len(rows):
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))
    if _asks_nothing(question, reading):
        newest = rows[np.lexsort((rows, -columns.occurred_at[rows]))][:k]
        return Ranking(newest, np.zeros(len(newest)))
    near = _neighbourhood(columns, rows, len(weights.around))
    addends = _word_addends(columns, reading.terms, rows, near, weights)
    addends |= _meaning_addends(columns, reading.meaning, rows, near, weights)
    addends |= _prior_addends(columns, question, rows, weights)
    scores = np.zeros(len(rows))
    for addend in addends.values():
        scores += addend
    best = np.lexsort((rows, -columns.occurred_at[rows], -scores))[:k]
    return Ranking(rows[best], scores[best], {name: a[best] for name, a in addends.items()})


def beside(columns: Columns, rows: Rows) -> Rows:
    """These rows and those whose similarity counts for them."""
    near = np.concatenate([rows, columns.previous[rows], columns.following[rows]])
    return np.unique(near[near >= 0]).astype(np.int64, copy=False)


def _asks_nothing(question: Question, reading: Reading) -> bool:
    return not reading.terms and reading.meaning is None and question.period is None


def _newest(columns: Columns, k: int) -> Rows:
    """The ``k`` newest rows; of those of one moment, the lower."""
    count, rows = len(columns), np.arange(len(columns))
    if count > k:
        last = np.partition(columns.occurred_at, count - k)[count - k]
        rows = np.flatnonzero(columns.occurred_at >= last)
    return rows[np.lexsort((rows, -columns.occurred_at[rows]))][:k]


def _largest(values: Floats, wanted: int) -> Rows:
    """Where the ``wanted`` largest of more values stand; which of equal ones, is not said.

    Of very many, those above a value that a part of them suggests are looked at alone.
    """
    rows = None
    if len(values) > _MANY:
        part = values[::_STRIDE]
        place = len(part) - min(4 * wanted // _STRIDE + 16, len(part))
        above = np.flatnonzero(values >= np.partition(part, place)[place])
        rows = above if len(above) >= wanted else None
    among = values if rows is None else values[rows]
    best = np.argpartition(among, len(among) - wanted)[len(among) - wanted :]
    return best if rows is None else rows[best]


def _terms(columns: Columns, postings: Sequence[Postings], weights: Weights) -> list[_Term]:
    """BM25's inverse document frequencies over the visible rows, made to sum to one.

    Long questions are then no louder than short ones, beside meaning and priors.
    """
    count = len(columns)
    mean = max(float(columns.length.mean()), 1e-9)
    found: list[_Term] = []
    total = 0.0
    for posting in postings:
        rows = posting.rows.astype(np.int64, copy=False)
        frequency, spoken = len(rows), None
        if posting.speakers:
            spoken = _said_by(columns.speaker, posting.speakers)
            frequency = int(np.count_nonzero(spoken)) + int(np.count_nonzero(~spoken[rows]))
        worth = float(np.log1p((count - frequency + 0.5) / (frequency + 0.5)))
        total += worth  # of unknown terms too: the less is known, the less words weigh
        if frequency == 0:
            continue
        lengths = columns.length[rows] if posting.lengths is None else posting.lengths
        evening: Floats = lengths.astype(np.float32, copy=False)
        evening = evening * np.float32(weights.length_share / mean)
        evening += np.float32(1 - weights.length_share)
        counts = posting.counts.astype(np.float32, copy=False)
        found.append(_Term(rows, counts, evening, spoken, worth))
    return [term._replace(worth=term.worth / total) for term in found]


def _said_by(speaker: NDArray[np.integer], wanted: frozenset[int]) -> NDArray[np.bool_]:
    """Comparing 100,000 rows with one or two bearers of a name is 0.05 ms; np.isin is 1.5."""
    if len(wanted) > 8:  # noqa: PLR2004
        return np.isin(speaker, list(wanted))
    said = np.zeros(len(speaker), np.bool_)
    for number in wanted:
        said |= speaker == number
    return said


def _saturated(density: Floats, weights: Weights) -> Floats:
    """BM25's gain for a density: steep at first, never more than ``saturation + 1``."""
    k1 = np.float32(weights.saturation)
    return np.divide(density * (k1 + 1), density + k1, dtype=np.float32)


def _standardised(similarity: Floats | None, weights: Weights) -> Floats | None:
    """Similarities as standard deviations above their mean; 0 where there is no vector."""
    if similarity is None or weights.meaning == 0:
        return None
    known = ~np.isnan(similarity)
    whole = bool(known.all())
    values = similarity if whole else similarity[known]
    if values.size == 0:
        return None
    spread = float(values.std())
    if spread < 1e-6:  # noqa: PLR2004 - all alike: below what float32 cosines resolve
        return None
    standard = (similarity - np.float32(values.mean())) / np.float32(spread)
    return standard if whole else np.where(known, standard, np.float32(0))


def _estimate(columns: Columns, question: Question, reading: Reading, weights: Weights) -> Floats:
    """Every row's score, nearly: neighbours count by their own words, and only the next ones."""
    padded = np.zeros(len(columns) + 1, np.float32)  # row -1 is the zero at the end
    estimate, k1 = padded[:-1], np.float32(weights.saturation)
    if reading.meaning is not None:
        np.multiply(reading.meaning, np.float32(weights.meaning), out=estimate)
    for term in reading.terms:
        if term.worth * (k1 + 1) < _LITTLE and len(term.rows) > _MANY:
            continue
        gain = term.counts / term.evening
        np.divide(gain, gain + k1, out=gain)  # `_saturated` in fewer passes
        gain *= np.float32(term.worth) * (k1 + 1)
        estimate[term.rows] += gain
    linked = columns.linked
    if weights.around and (linked is None or len(linked)):
        share = np.float32(weights.around[0])
        before = columns.previous if linked is None else columns.previous[linked]
        after = columns.following if linked is None else columns.following[linked]
        around = share * (padded[before] + padded[after])
        estimate[slice(None) if linked is None else linked] += around
    for term in reading.terms:
        if term.spoken is not None:
            estimate += np.float32(term.worth + weights.speaker) * term.spoken
    if question.period is not None:
        closeness = _closeness(columns.occurred_at, question.period, weights)
        estimate += np.float32(weights.period) * closeness.astype(np.float32)
    estimate -= np.float32(weights.question) * columns.asking.astype(np.float32, copy=False)
    if columns.assistant.any():
        estimate -= np.float32(_assistant_weight(question, weights)) * columns.assistant
    return estimate


def _neighbourhood(columns: Columns, rows: Rows, reach: int) -> Rows:
    """Rows 1..reach before and after each row in its session, or -1: shape (2, reach, rows)."""
    near = np.full((2, reach, len(rows)), _NONE, np.int64)
    for side, column in enumerate((columns.previous, columns.following)):
        step = rows
        for distance in range(reach):
            step = np.where(step >= 0, column[step], _NONE)
            near[side, distance] = step
    return near


def _shares(columns: Columns, near: Rows, around: Sequence[float], weights: Weights) -> Floats:
    """How much of each neighbour counts for the row itself: fading with the words between."""
    shares = np.zeros(near.shape, np.float32)
    for side in range(2):
        between = np.zeros(near.shape[2], np.float32)
        for distance, share in enumerate(around):
            step = near[side, distance]
            shares[side, distance] = share * np.exp(-between / weights.reach)
            between += np.where(step >= 0, columns.length[step], 0)
    return shares


def _word_addends(
    columns: Columns, terms: Sequence[_Term], rows: Rows, near: Rows, weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """BM25 over a turn's own words, and what the words around it add to that.

    The turns around are treated as further, weaker fields of the same text (BM25F): a term
    counts once more with each, and saturates as a whole.
    """
    own_total, whole_total = np.zeros(len(rows)), np.zeros(len(rows))
    shares = _shares(columns, near, weights.around, weights)
    before = near[0, 0] if weights.around else np.full(len(rows), _NONE, np.int64)
    if weights.around:
        asked = np.where(before >= 0, columns.asking[before], 0)
        shares[0, 0] += np.float32(weights.answer) * asked.astype(np.float32)
    named = np.zeros(len(rows), np.bool_)
    dense = np.zeros(len(columns) + 1, np.float32)  # row -1 is the zero at the end
    for term in terms:
        own, around = _densities(term, rows, near, dense)
        whole = own + (shares * around).sum(axis=(0, 1), dtype=np.float32)
        if term.spoken is not None:
            spoken = term.spoken[rows]
            named |= spoken
            own = own + np.float32(weights.speaker_words) * spoken
            whole = whole + np.float32(weights.speaker_words) * spoken
        own_total += term.worth * _saturated(own, weights)
        whole_total += term.worth * _saturated(whole, weights)
    return {
        "words": own_total,
        "words around": whole_total - own_total,
        "speaker": np.multiply(weights.speaker, named, dtype=np.float64),
    }


def _densities(term: _Term, rows: Rows, near: Rows, dense: Floats) -> tuple[Floats, Floats]:
    """A term's densities at some rows and at those near them.

    ``dense`` has a zero for every row, and has it again afterwards. Of a term that stands almost
    everywhere, few rows are looked up instead of many written down.
    """
    if len(term.rows) <= _MANY:
        dense[term.rows] = term.counts / term.evening
        found = dense[rows], dense[near]
        dense[term.rows] = 0
        return found
    own, around = (_looked_up(term, at) for at in (rows, near))
    return own, around


def _looked_up(term: _Term, rows: Rows) -> Floats:
    places = np.minimum(np.searchsorted(term.rows, rows), len(term.rows) - 1)
    densities = term.counts[places] / term.evening[places]
    return np.where(term.rows[places] == rows, densities, np.float32(0))


def _meaning_addends(
    columns: Columns, meaning: Floats | None, rows: Rows, near: Rows, weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """The similarity of a turn, and that of its neighbours: a vector for the pair costs nothing."""
    if meaning is None:
        return {}
    reach = min(len(weights.meaning_around), len(weights.around))
    shares = _shares(columns, near[:, :reach], weights.meaning_around[:reach], weights)
    padded = np.append(meaning, np.float32(0))
    around = (shares * padded[near[:, :reach]]).sum(axis=(0, 1), dtype=np.float64)
    return {
        "meaning": weights.meaning * padded[rows].astype(np.float64),
        "meaning around": weights.meaning * around,
    }


def _assistant_weight(question: Question, weights: Weights) -> float:
    return weights.assistant_mine if question.about_asker else weights.assistant


def _prior_addends(
    columns: Columns, question: Question, rows: Rows, weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """What makes a turn a better or worse memory whatever is asked."""
    # A note that stands alone is no chatter however short it is.
    turn = (columns.previous[rows] >= 0) | (columns.following[rows] >= 0)
    short = turn * np.exp(columns.length[rows] / -weights.short_terms).astype(np.float64)
    asking = columns.asking[rows].astype(np.float64)
    assistant = np.multiply(_assistant_weight(question, weights), columns.assistant[rows])
    addends: dict[str, NDArray[np.float64]] = {
        "only asks": -weights.question * asking,
        "short": -weights.short * short,
        "assistant": -assistant.astype(np.float64),
    }
    if columns.traits is not None:
        traits = columns.traits[rows]
        rule = (traits & Trait.STATES_RULE != 0) & ~columns.assistant[rows]
        addends["standing rule"] = np.multiply(weights.rule, rule, dtype=np.float64)
        timed = (traits & Trait.TELLS_TIME != 0) & question.asks_when
        addends["tells when"] = np.multiply(weights.timed, timed, dtype=np.float64)
    if question.period is not None:
        closeness = _closeness(columns.occurred_at[rows], question.period, weights)
        addends["time"] = weights.period * closeness
    return addends


def _closeness(
    occurred_at: NDArray[np.integer], period: tuple[int, int], weights: Weights
) -> NDArray[np.float64]:
    """1 inside the period, fading to 0 in the days after it, in which people tell of it."""
    start, end = period
    late = np.maximum(occurred_at - end, 0) / (weights.period_fades_days * _DAY)
    return np.where(occurred_at >= start, np.maximum(1 - late, 0), 0.0)
