"""Results: what the studies found, as one mapping that goes into the report and the JSON file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading import analysis, markets
from trading.analysis import Array, Interval, Survival
from trading.arms import ARMS, MAIN
from trading.bot import STRATEGIES
from trading.experiment import CLASSES, OUTAGES, RATES, REMEDIES, Found, Study
from trading.faults import PROFILES, Weather
from trading.session import METRICS, M
from trading.worlds import USERS

TARGET: Final = 17.0
"""Deviations of the session-bound arm per 1,000 sessions, in the source's table."""
TOLERANCE: Final = 2.0
_TRIES: Final = 6
_TYPES: Final = METRICS[1:6]
Run = Callable[[Sequence[Study]], dict[str, Found]]


class Reader:
    """Reads intervals off one study; all of its columns are resampled once."""

    def __init__(self, found: Found, seed: int) -> None:
        self.found = found
        self._columns: dict[tuple[str, str], int] = {}
        made: list[Array] = []
        for arm, rows in found.counts.items():
            for name in METRICS:
                self._columns[arm, name] = len(made)
                made.append(rows[:, M[name]])
            self._columns[arm, "deviating"] = len(made)
            made.append(rows[:, M["deviations"]] > 0)
            self._columns[arm, "silent"] = len(made)
            made.append(rows[:, M["silenced"]] > 0)
            if "continuous" in found.counts:
                deeper = rows[:, M["drawdown"]] - found.counts["continuous"][:, M["drawdown"]]
                self._columns[arm, "deeper"] = len(made)
                made.append(deeper)
                self._columns[arm, "lost"] = len(made)
                made.append(np.maximum(deeper, 0.0))
        self.values = np.column_stack(made).astype(float)
        self.sums = analysis.totals(seed, self.values)

    def column(self, arm: str, name: str) -> tuple[Array, Array]:
        """A column and its resampled sums."""
        place = self._columns[arm, name]
        return self.values[:, place], self.sums[:, place]

    def rate(self, arm: str, name: str) -> Interval:
        """Per 1,000 sessions."""
        return analysis.rate(*self.column(arm, name))

    def mean(self, arm: str, name: str) -> Interval:
        """Per session."""
        return analysis.mean(*self.column(arm, name))

    def reduction(self, ours: str, theirs: str, name: str = "deviations") -> Any:
        """How much less ``ours`` has."""
        (a, sums_a), (b, sums_b) = self.column(ours, name), self.column(theirs, name)
        return analysis.reduction(a, b, sums_a, sums_b)


def plain(value: Any) -> Any:
    """For JSON: numbers to six digits that count, tuples as mappings."""
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.6g}")
    if isinstance(value, np.integer):
        return int(value)
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def summary(found: Mapping[str, Found], run: Run, sessions: int, seed: int) -> dict[str, Any]:
    """Everything that the report says.

    Args:
        found: of `experiment.studies`; run: runs more, for the calibration.
        sessions, seed: of the experiment.
    """
    main = Reader(found["main"], seed)
    calibrated = calibrate(found["rate 0.25"], run, sessions, seed)
    return {
        "design": _design(sessions, seed),
        "facts": facts(seed, max(64, min(sessions, 400))),
        "controls": controls(found),
        "arms": {name: _arm(main, name) for name in found["main"].counts},
        "headline": headline(main),
        "times": {
            name: _times(found["main"].times[name], drawn=name in MAIN) for name in _timed(found)
        },
        "rates": _rates(found, seed),
        "calibrated": calibrated,
        "profiles": _profiles(found, seed),
        "architectures": architectures(found, seed),
        "sensitivity": _sensitivity(found, seed),
        "groups": _groups(found["main"], seed),
        "gap": _gap(main),
        "classes": _classes(found, seed),
    }


def _design(sessions: int, seed: int) -> dict[str, Any]:
    frozen = hashlib.sha256(Path(analysis.__file__).read_bytes()).hexdigest()
    return {
        "sessions": sessions, "seed": seed, "minutes": markets.BARS,
        "resamples": analysis.RESAMPLES, "analysis_sha256": frozen,
        "arms": {name: one.words for name, one in ARMS.items()},
        "profiles": {name: one._asdict() for name, one in PROFILES.items()},
    }  # fmt: skip


def facts(seed: int, sessions: int) -> dict[str, dict[str, float]]:
    """Stylised facts of the synthetic markets."""
    every = range(sessions)
    prices = markets.prices(seed, every)
    moves = np.diff(np.log(prices), axis=1)
    kinds = np.array([markets.kind_of(one) for one in every])
    return {
        kind: {
            "excess_kurtosis": analysis_kurtosis,
            "autocorrelation_of_returns": markets.autocorrelation(moves[kinds == kind], 1),
            "autocorrelation_of_sizes": markets.autocorrelation(np.abs(moves[kinds == kind]), 1),
            "autocorrelation_of_sizes_10": markets.autocorrelation(
                np.abs(moves[kinds == kind]), 10
            ),
        }
        for kind in dict.fromkeys(markets.KINDS)
        if (analysis_kurtosis := markets.kurtosis(moves[kinds == kind])) is not None
    }


def controls(found: Mapping[str, Found]) -> dict[str, dict[str, Any]]:
    """What may make no difference, and whether it makes none: compared byte by byte."""
    told: dict[str, dict[str, Any]] = {}
    for name in ("none", "zero", "restart"):
        counts = found[f"control {name}"].counts
        skip = M["disconnects"]
        same = {
            arm: np.delete(rows, skip, axis=1).tobytes()
            == np.delete(counts["continuous"], skip, axis=1).tobytes()
            for arm, rows in counts.items()
        }
        told[name] = {
            "sessions": len(counts["continuous"]),
            "disconnects": int(max(rows[:, skip].sum() for rows in counts.values())),
            "differ": sorted(arm for arm, is_same in same.items() if not is_same),
        }
    return told


def _arm(main: Reader, name: str) -> dict[str, Any]:
    told = {metric: main.rate(name, metric) for metric in ("deviations", *_TYPES)}
    told["deviating_sessions"] = main.rate(name, "deviating")
    told["ledger_duplicates"] = main.rate(name, "ledger_duplicates")
    told["silent_sessions"] = main.rate(name, "silent")
    told["offline"] = main.rate(name, "offline")
    for metric in ("unprotected_min", "drawdown", "profit", "orders", "deeper"):
        told[metric] = main.mean(name, metric)
    rows = main.found.counts[name]
    told["ledger_duplicates_count"] = int(rows[:, M["ledger_duplicates"]].sum())
    told["drawdown_p95"] = float(np.percentile(rows[:, M["drawdown"]], 95))
    lost, drawdown = main.column(name, "lost"), main.column(name, "drawdown")
    told["lost_share"] = analysis.share_of(lost[0], drawdown[0], lost[1], drawdown[1])
    return told


def headline(main: Reader) -> dict[str, Any]:
    """The claims that are tested together: persistent against two others."""
    told: dict[str, Any] = {}
    values: dict[str, float] = {}
    for other in ("session-bound", "reconcile-only"):
        claims: dict[str, Any] = {}
        for metric in ("deviations", "ledger_duplicates", "unprotected_min"):
            claims[metric] = main.reduction("persistent", other, metric)
            if claims[metric] is not None:
                values[f"{other}: {metric}"] = claims[metric].p
        ours, theirs = (main.column(arm, "deviating")[0] > 0 for arm in ("persistent", other))
        only_ours, only_theirs, p = analysis.mcnemar(ours, theirs)
        claims["deviating_sessions"] = {
            "only_persistent": only_ours, f"only_{other}": only_theirs, "p": p,
        }  # fmt: skip
        values[f"{other}: deviating_sessions"] = p
        (a, sums_a), (b, sums_b) = (main.column(arm, "deeper") for arm in (other, "persistent"))
        claims["drawdown_points"] = analysis.mean(a - b, sums_a - sums_b)
        told[other] = claims
    told["holm"] = analysis.holm(values)
    return told


def _timed(found: Mapping[str, Found]) -> list[str]:
    return [name for name, rows in found["main"].times.items() if len(rows)]


def _times(rows: Array, *, drawn: bool = False) -> dict[str, Survival]:
    """Curves of both times; the points alone where they are drawn."""
    both = {
        "ready": analysis.survival(rows[:, 1], rows[:, 2]),
        "again": analysis.survival(rows[:, 3], rows[:, 4]),
    }
    return both if drawn else {name: one._replace(at=[], share=[]) for name, one in both.items()}


def _pair(found: Found, seed: int) -> dict[str, Any]:
    reader = Reader(found, seed)
    told: dict[str, Any] = {
        name: reader.rate(name, "deviations") for name in MAIN[1:] if name in found.counts
    }
    told["duplicates"] = {
        name: reader.rate(name, "ledger_duplicates") for name in MAIN[1:] if name in found.counts
    }
    told["against session-bound"] = reader.reduction("persistent", "session-bound")
    told["against reconcile-only"] = reader.reduction("persistent", "reconcile-only")
    told["reconcile-only against session-bound"] = reader.reduction(
        "reconcile-only", "session-bound"
    )
    told["sessions"] = len(found.struck)
    told["struck"] = int(found.struck.sum())
    return told


def _rates(found: Mapping[str, Found], seed: int) -> dict[str, Any]:
    every = {x: found[f"rate {x:g}"] for x in RATES} | {1.0: found["main"]}
    return {f"{x:g}": _pair(every[x], seed) for x in sorted(every)}


def calibrate(start: Found, run: Run, sessions: int, seed: int) -> dict[str, Any]:
    """Find the fault rate at which the session-bound arm deviates as often as the source says.

    The rate is a definition of the comparison and not a result. Ten times as many sessions are
    used, since few of them have a fault at all.
    """
    many = 10 * sessions
    measured = float(start.counts["session-bound"][:, 0].mean()) * 1000
    rate, found = 0.25, start
    for _ in range(_TRIES):
        rate = float(f"{rate * TARGET / max(measured, 0.1):.4g}")
        study = Study("calibrated", "rest", MAIN[1:], many, Weather(rate=rate))
        found = run([study])["calibrated"]
        measured = float(found.counts["session-bound"][:, 0].mean()) * 1000
        if abs(measured - TARGET) <= TOLERANCE:
            break
    told = _pair(found, seed)
    told["rate"] = rate
    told["reached"] = abs(measured - TARGET) <= TOLERANCE
    told["disconnects_per_1000"] = rate * PROFILES["rest"].rate * 1000
    told["times"] = {name: _times(found.times[name]) for name in MAIN[1:]}
    return told


def _profiles(found: Mapping[str, Found], seed: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in PROFILES:
        one = found["main" if name == "rest" else f"profile {name}"]
        reader = Reader(one, seed)
        told[name] = {
            "arms": {
                arm: {
                    "deviations": reader.rate(arm, "deviations"),
                    "ledger_duplicates": reader.rate(arm, "ledger_duplicates"),
                    "silent_sessions": reader.rate(arm, "silent"),
                    "unprotected_min": reader.mean(arm, "unprotected_min"),
                }
                for arm in (*MAIN[1:], *REMEDIES[name])
            },
            "times": {name: _times(one.times[name]) for name in ("session-bound", "persistent")},
            "disconnects": reader.mean("persistent", "disconnects"),
        }
    return told


def architectures(found: Mapping[str, Found], seed: int) -> dict[str, Any]:
    """Whether cloud-hosted bots gain most, then API bots, and terminals least.

    A gain is how many deviations fewer the persistent arm has per 1,000 sessions, beside the
    session-bound one, the one that asks the venue, and the best remedy that an architecture has.
    """
    told: dict[str, Any] = {}
    for kind in ("own", "equal"):
        sums: dict[str, dict[str, Array]] = {}
        for name in PROFILES:
            own = "main" if name == "rest" else f"profile {name}"
            one = found[own if kind == "own" else f"equal {name}"]
            reader = Reader(one, seed)
            sessions = len(one.struck)
            ours = reader.column("persistent", "deviations")
            others = {"session-bound", "reconcile-only", *REMEDIES[name]} & set(one.counts)
            gains: dict[str, Any] = {}
            for other in sorted(others):
                theirs = reader.column(other, "deviations")
                difference = (theirs[1] - ours[1]) * 1000 / sessions
                gains[other] = analysis.mean(
                    (theirs[0] - ours[0]) * 1000, difference * sessions
                )  # fmt: skip
                sums.setdefault(other, {})[name] = difference
            told.setdefault(kind, {})[name] = gains
        told[f"{kind} order"] = {
            other: {
                f"cloud > {api} > terminal": analysis.order_holds(
                    [by[name] for name in ("cloud", api, "terminal")]
                )
                for api in ("rest", "websocket")
            }
            for other, by in sums.items()
            if len(by) == len(PROFILES)
        }
    return told


def _sensitivity(found: Mapping[str, Found], seed: int) -> dict[str, Any]:
    main = found["main"]
    outages = {x: found[f"outage {x:g}"] for x in OUTAGES} | {1.0: main}
    users = {one: main if one == "typical" else found[f"user {one}"] for one in USERS}
    return {
        "outage": {f"{x:g}": _pair(outages[x], seed) for x in sorted(outages)},
        "user": {one: _pair(users[one], seed) for one in USERS},
    }


def _groups(main: Found, seed: int) -> dict[str, Any]:
    sessions = np.arange(len(main.struck))
    kinds = np.array([markets.kind_of(int(one)) for one in sessions])
    masks = {
        f"strategy {name}": sessions % len(STRATEGIES) == place
        for place, name in enumerate(STRATEGIES)
    }
    masks |= {f"market {kind}": kinds == kind for kind in dict.fromkeys(markets.KINDS)}
    return {
        name: _pair(
            Found({arm: main.counts[arm][mask] for arm in MAIN}, {}, main.struck[mask]), seed
        )
        for name, mask in masks.items()
    }


def _gap(main: Reader) -> dict[str, Any]:
    """How far from the backtest, in orders that are not the backtest's, step by step."""
    orders = float(main.found.counts["backtest"][:, M["orders"]].sum())
    steps = ("continuous", "session-bound", "reconcile-only", "persistent")
    told: dict[str, Any] = {"orders_of_backtest": orders}
    for name in steps:
        values, sums = main.column(name, "differs")
        found = analysis.mean(values, sums)
        told[name] = Interval(*(len(values) * one / orders for one in found))
    profit = {name: main.column(name, "profit") for name in ("backtest", *steps)}
    told["profit"] = {name: main.mean(name, "profit") for name in profit}
    told["distance_of_profit"] = {
        name: float(np.abs(profit[name][0] - profit["backtest"][0]).mean()) for name in steps
    }
    return told


def _classes(found: Mapping[str, Found], seed: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for kind in CLASSES:
        reader = Reader(found[f"class {kind}"], seed)
        told[kind] = {
            arm: {
                "ledger_duplicates": int(rows[:, M["ledger_duplicates"]].sum()),
                "deviations": reader.rate(arm, "deviations"),
                "silent_sessions": reader.rate(arm, "silent"),
                "sessions": len(rows),
            }
            for arm, rows in reader.found.counts.items()
        }
    return told
