"""The analysis: every formula by which figures become claims. Nothing is decided elsewhere.

It was fixed before the figures were looked at; the report names the SHA-256 of this file. Sources:
the percentile bootstrap over sessions (Efron and Tibshirani 1993), McNemar's exact test (1947),
Holm's step-down (1979), Kaplan and Meier (1958) with the interval of Brookmeyer and Crowley (1982)
on the log-log scale, exact Poisson limits where nothing was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from trading.streams import stream

Array = np.ndarray[Any, Any]

RESAMPLES: Final = 2000
_SLICE: Final = 100
_LOW, _HIGH = 2.5, 97.5
NOTHING_SEEN: Final = 3.689
"""Upper limit of a Poisson mean at 97.5 %, where no event was seen: -ln 0.025."""
_Z: Final = 1.959964


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


class Reduction(NamedTuple):
    """How much less one arm has than another: 1 - rate ratio, with its interval and p."""

    value: float
    low: float
    high: float
    p: float


def totals(seed: int, columns: Array) -> Array:
    """Sums of columns over resampled sessions: `RESAMPLES` rows. One draw serves all columns.

    Args:
        seed: of the draw; columns: a row for each session.
    """
    sessions = len(columns)
    source = stream(seed, "bootstrap", sessions)
    values = np.ascontiguousarray(columns, dtype=float)
    found = np.empty((RESAMPLES, values.shape[1]))
    for first in range(0, RESAMPLES, _SLICE):
        drawn = source.integers(0, sessions, (_SLICE, sessions))
        weights = np.zeros((_SLICE, sessions))
        for row in range(_SLICE):
            weights[row] = np.bincount(drawn[row], minlength=sessions)
        found[first : first + _SLICE] = weights @ values
    return found


def rate(values: Array, sums: Array, per: float = 1000.0) -> Interval:
    """Events per so many sessions.

    Args:
        values: of each session; sums: of resampled sessions; per: sessions.
    """
    sessions = len(values)
    total = float(values.sum())
    if total == 0:
        return Interval(0.0, 0.0, per * NOTHING_SEEN / sessions)
    low, high = np.percentile(sums, (_LOW, _HIGH)) / sessions * per
    return Interval(total / sessions * per, float(low), float(high))


def reduction(ours: Array, theirs: Array, our_sums: Array, their_sums: Array) -> Reduction | None:
    """1 - the ratio of two arms' rates, paired by session; None where the other has nothing.

    Where ours has no event the upper limit of its rate is the exact one, over the lower limit of
    the other's: wider than either alone.
    """
    total = float(theirs.sum())
    if total == 0:
        return None
    usable = their_sums > 0
    ratios = our_sums[usable] / their_sums[usable]
    value = 1 - float(ours.sum()) / total
    p = 2 * min((ratios >= 1).mean(), (ratios <= 1).mean())
    p = float(min(1.0, max(p, 1 / (RESAMPLES + 1))))
    if ours.sum() == 0:
        least = float(np.percentile(their_sums, _LOW))
        low = 1 - NOTHING_SEEN / least if least > 0 else 0.0
        return Reduction(1.0, max(0.0, low), 1.0, p)
    low, high = np.percentile(1 - ratios, (_LOW, _HIGH))
    return Reduction(value, float(low), float(high), p)


def mean(values: Array, sums: Array) -> Interval:
    """A mean over sessions."""
    low, high = np.percentile(sums, (_LOW, _HIGH)) / len(values)
    return Interval(float(values.mean()), float(low), float(high))


def mcnemar(ours: Array, theirs: Array) -> tuple[int, int, float]:
    """Sessions that only ours has, that only theirs has, and the exact two-sided p."""
    only_ours = int((ours & ~theirs).sum())
    only_theirs = int((theirs & ~ours).sum())
    discordant = only_ours + only_theirs
    if discordant == 0:
        return 0, 0, 1.0
    fewer = min(only_ours, only_theirs)
    logs = [
        math.lgamma(discordant + 1) - math.lgamma(k + 1) - math.lgamma(discordant - k + 1)
        for k in range(fewer + 1)
    ]
    most = max(logs)
    tail = math.exp(most - discordant * math.log(2)) * sum(math.exp(x - most) for x in logs)
    return only_ours, only_theirs, min(1.0, 2 * tail)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p of several claims."""
    found: dict[str, float] = {}
    so_far = 0.0
    for place, (name, p) in enumerate(sorted(values.items(), key=lambda one: (one[1], one[0]))):
        so_far = max(so_far, min(1.0, p * (len(values) - place)))
        found[name] = so_far
    return found


class Survival(NamedTuple):
    """A Kaplan-Meier curve: minutes, share still waiting, and the median with its interval.

    A limit that the curve does not reach is None: more than half waited to the end.
    """

    at: list[float]
    share: list[float]
    median: float | None
    low: float | None
    high: float | None
    events: int
    cases: int


def survival(minutes: Array, seen: Array) -> Survival:
    """How long it takes until something happens, where some were cut off before it did."""
    at, share = [0.0], [1.0]
    low = median = high = None
    if len(minutes) == 0:
        return Survival(at, share, None, None, None, 0, 0)
    order = np.argsort(minutes, kind="stable")
    times, happened = minutes[order], seen[order].astype(bool)
    unique, first = np.unique(times, return_index=True)
    risk = len(times) - first
    events = np.add.reduceat(happened.astype(float), first)
    left, spread = 1.0, 0.0
    for time, at_risk, count in zip(unique.tolist(), risk.tolist(), events.tolist(), strict=True):
        if count == 0:
            continue
        left *= 1 - count / at_risk
        at.append(time)
        share.append(left)
        if at_risk > count:
            spread += count / (at_risk * (at_risk - count))
        if 0 < left < 1:
            width = _Z * math.sqrt(spread) / abs(math.log(left))
            lower, upper = left ** math.exp(width), left ** math.exp(-width)
        else:
            lower = upper = left
        low = time if low is None and lower <= 0.5 else low
        median = time if median is None and left <= 0.5 else median
        high = time if high is None and upper <= 0.5 else high
    return Survival(at, share, median, low, high, int(happened.sum()), len(times))


def share_of(part: Array, whole: Array, part_sums: Array, whole_sums: Array) -> Interval:
    """One sum as a share of another."""
    usable = whole_sums > 0
    low, high = np.percentile(part_sums[usable] / whole_sums[usable], (_LOW, _HIGH))
    return Interval(float(part.sum() / whole.sum()), float(low), float(high))


def order_holds(gains: Sequence[Array]) -> float:
    """In what share of the resamples each is above the next."""
    holds = np.ones(len(gains[0]), dtype=bool)
    for above, below in pairwise(gains):
        holds &= above > below
    return float(holds.mean())
