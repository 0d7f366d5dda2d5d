"""Markets: prices minute by minute, and what strategies read from them.

Three kinds, none of them real: `regime`, a log Ornstein-Uhlenbeck process around a drifting
anchor with two volatilities that switch by a Markov chain, Student-t(4) shocks and a U-shaped
day; `gbm`, geometric Brownian motion, the null in which nothing can be known; `jump`, the first
with one announcement. Real prices come in by `resampled`, from a file the user names.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading.streams import stream

Array = np.ndarray[Any, Any]

BARS: Final = 390
"""Minutes of a session: a trading day of six and a half hours."""
WARM: Final = 90
"""Minutes before it, for what is computed from a window."""
KINDS: Final = ("regime", "regime", "gbm", "jump")
_CALM, _WILD, _NULL = 4e-4, 11e-4, 6e-4  # standard deviation of a minute's log return
_MOST: Final = 8.0  # standard deviations: beyond, an exchange halts trading
_STAYS: Final = (0.985, 0.96)
_PULL, _ANCHOR = 0.02, 1e-4
_WINDOW, _FAST, _SLOW, _VOL = 45, 8, 30, 20
_USUAL_VOL: Final = 5e-4
DIP, RISE = -1.6, 0.6
"""Where mean reversion and momentum enter, in standard deviations of the window."""


def kind_of(session: int) -> str:
    """Which market a session has: half of them `regime`, a quarter `gbm`, a quarter `jump`."""
    return KINDS[session // 4 % len(KINDS)]


def prices(seed: int, sessions: Sequence[int]) -> Array:
    """Prices of some sessions: a row each, `WARM` and `BARS` minutes."""
    length = WARM + BARS
    draws = np.empty((len(sessions), 5, length))
    for row, session in enumerate(sessions):
        source = stream(seed, "market", session)
        shocks = source.standard_t(4, length) / np.sqrt(2.0)
        draws[row, 0] = np.clip(shocks, -_MOST, _MOST)
        draws[row, 1] = source.standard_normal(length)
        draws[row, 2] = source.random(length)
        draws[row, 3] = source.standard_normal(length)
        draws[row, 4] = source.random(length)
    logs = _regime(draws)
    for row, session in enumerate(sessions):
        if kind_of(session) == "gbm":
            logs[row] = np.cumsum(_NULL * draws[row, 1])
        elif kind_of(session) == "jump":
            logs[row] += _jump(draws[row])
    return 100.0 * np.exp(logs)


def day_curve() -> Array:
    """How volatile each minute is beside the mean: high at the open and the close."""
    at = np.clip((np.arange(WARM + BARS) - WARM) / BARS, 0.0, 1.0)
    curve = 0.75 + 1.1 * (at - 0.5) ** 2 * 4
    return curve / curve.mean()


def _regime(draws: Array) -> Array:
    rows, _, length = draws.shape
    curve = day_curve()
    logs = np.zeros((rows, length))
    now, anchor = np.zeros(rows), np.zeros(rows)
    wild = draws[:, 2, 0] < 0.27  # the chain's stationary share
    drift = draws[:, 1, 0] * 8e-3 / length
    for minute in range(1, length):
        leaves = draws[:, 2, minute] > np.where(wild, _STAYS[1], _STAYS[0])
        wild = wild ^ leaves
        anchor = anchor + drift + _ANCHOR * draws[:, 3, minute]
        shock = np.where(wild, _WILD, _CALM) * curve[minute] * draws[:, 0, minute]
        now = now + _PULL * (anchor - now) + shock
        logs[:, minute] = now
    return logs


def _jump(draws: Array) -> Array:
    """An announcement: the price is elsewhere at once, and does not settle for a while."""
    length = draws.shape[1]
    at = WARM + 100 + int(draws[4, 0] * 200)
    size = (0.008 + 0.014 * draws[4, 1]) * (1 if draws[4, 2] < 0.5 else -1)
    after = np.arange(length) - at
    unrest = np.where(after >= 0, 2 * _CALM * np.exp(-np.maximum(after, 0) / 40.0), 0.0)
    return np.where(after >= 0, size, 0.0) + np.cumsum(unrest * draws[3])


# ---------------------------------------------------------------------- a user's own prices


def closes(file: Path) -> Array:
    """The closing prices of a CSV file with a column ``close``."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = csv.DictReader(opened)
        names = {name.strip().lower(): name for name in rows.fieldnames or ()}
        if "close" not in names:
            message = f"{file.name} has no column `close`."
            raise SystemExit(message)
        found = np.array([float(row[names["close"]]) for row in rows])
    if len(found) < 2 * WARM or not (found > 0).all():
        message = f"{file.name} needs {2 * WARM} closing prices above zero."
        raise SystemExit(message)
    return found


def resampled(seed: int, sessions: Sequence[int], real: Array, block: float = 60.0) -> Array:
    """Sessions drawn from real prices by the stationary bootstrap of Politis and Romano (1994).

    Args:
        seed, sessions: as for `prices`; real: closing prices; block: mean minutes of a block.
    """
    returns = np.diff(np.log(real))
    length = WARM + BARS
    found = np.empty((len(sessions), length))
    for row, session in enumerate(sessions):
        source = stream(seed, "market", session)
        starts = source.integers(0, len(returns), length)
        new = source.random(length) < 1.0 / block
        new[0] = True
        first = np.maximum.accumulate(np.where(new, np.arange(length), 0))
        picked = (starts[first] + np.arange(length) - first) % len(returns)
        found[row] = np.cumsum(returns[picked])
    return 100.0 * np.exp(found)


# ---------------------------------------------------------------------- what is read from them


def _mean(values: Array, window: int) -> Array:
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    found = np.empty_like(values)
    found[:, window - 1 :] = (total[:, window:] - total[:, :-window]) / window
    found[:, : window - 1] = values[:, : window - 1]
    return found


def _deviation(values: Array, window: int) -> Array:
    level = values[:, :1]
    mean = _mean(values - level, window)
    square = _mean((values - level) ** 2, window)
    return np.sqrt(np.maximum(square - mean**2, 1e-18))


def _episodes(holds: Array) -> Array:
    """Of each minute in a run of true ones the run's first minute; -1 elsewhere."""
    minutes = np.arange(holds.shape[1])
    before = np.pad(holds[:, :-1], ((0, 0), (1, 0)))
    first = np.maximum.accumulate(np.where(holds & ~before, minutes, 0), axis=1)
    return np.where(holds, first, -1)


def read(found: Array) -> dict[str, Array]:
    """What strategies read, of every minute of the session (without the warm-up).

    All of it comes from finite windows of prices: whoever fetches history has it again.
    """
    logs = np.log(found)
    spread = _deviation(logs, _WINDOW)
    score = (logs - _mean(logs, _WINDOW)) / spread
    momentum = (_mean(logs, _FAST) - _mean(logs, _SLOW)) / spread
    moves = np.diff(logs, axis=1, prepend=logs[:, :1])
    names = {
        "price": found,
        "score": score,
        "momentum": momentum,
        "vol": np.sqrt(_mean(moves**2, _VOL)) / _USUAL_VOL,
        "dip": _episodes(score < DIP),
        "rise": _episodes(momentum > RISE),
    }
    return {name: values[:, WARM:] for name, values in names.items()}


# ---------------------------------------------------------------------- stylised facts


def kurtosis(moves: Array) -> float:
    """Excess kurtosis of returns: 0 for a normal distribution."""
    centred = moves - moves.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2 - 3.0)


def autocorrelation(values: Array, lag: int) -> float:
    """Mean autocorrelation of rows at a lag."""
    centred = values - values.mean(axis=1, keepdims=True)
    above = (centred[:, lag:] * centred[:, :-lag]).mean()
    return float(above / (centred**2).mean())
