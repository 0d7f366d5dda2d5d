"""The plan: which arms meet which faults in how many sessions, and how that is spread on cores.

A study's arms are paired: the same worlds, the same faults. A session without a fault is run once
and holds for every arm (the controls run it for each, and compare).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np

from trading.arms import ARMS, MAIN
from trading.faults import PROFILES, Weather, perfect, schedule
from trading.session import METRICS, M, Outcome, Session
from trading.worlds import USERS, worlds

SESSIONS: Final = 3200
_CHUNK: Final = 50
_NONE: Final = [0.0] * len(METRICS)

RATES: Final = (0.25, 0.5, 2.0, 4.0)
OUTAGES: Final = (0.25, 4.0, 16.0)
CLASSES: Final = ("A", "B", "C", "D")
REMEDIES: Final = {
    "cloud": ("server-side", "pine"), "terminal": ("globals", "globals-flushed"), "rest": (),
    "websocket": (),
}  # fmt: skip
"""What a bot of an architecture has today beside asking the venue."""


class Study(NamedTuple):
    """A question: some arms, one profile, one weather.

    Attributes:
        name: its own; profile, arms: which; sessions: how many; weather, user: as named there.
        venue: another class of the venue than the profile's.
        thorough: every arm runs every session, also where nothing goes wrong in it.
    """

    name: str
    profile: str
    arms: tuple[str, ...]
    sessions: int
    weather: Weather = Weather()
    user: str = "typical"
    venue: str = ""
    thorough: bool = False


class Found(NamedTuple):
    """What a study found.

    Attributes:
        counts: of each arm a row for each session, `METRICS` wide.
        times: of each arm a row for each disconnect: session, ready, whether, again, whether.
        struck: of each session whether it had a fault.
    """

    counts: dict[str, np.ndarray[Any, Any]]
    times: dict[str, np.ndarray[Any, Any]]
    struck: np.ndarray[Any, Any]


class _Task(NamedTuple):
    study: Study
    seed: int
    first: int
    last: int
    real: Any


def studies(sessions: int) -> list[Study]:
    """Everything that is asked, for so many sessions."""
    half, quarter = max(1, sessions // 2), max(1, sessions // 4)
    found = [Study("main", "rest", tuple(ARMS), sessions)]
    found += [
        Study(f"profile {name}", name, (*MAIN[1:], *REMEDIES[name]), sessions)
        for name in PROFILES
        if name != "rest"
    ]
    found += [Study(f"equal {name}", name, MAIN[1:], half, Weather(flat=1.0)) for name in PROFILES]
    found += [Study(f"rate {x:g}", "rest", MAIN[1:], sessions, Weather(rate=x)) for x in RATES]
    found += [Study(f"outage {x:g}", "rest", MAIN[1:], quarter, Weather(outage=x)) for x in OUTAGES]
    found += [
        Study(f"user {user}", "rest", MAIN[1:], quarter, user=user)
        for user in USERS
        if user != "typical"
    ]
    found += [
        Study(f"class {kind}", "rest", ("persistent", "unattended"), half, venue=kind)
        for kind in CLASSES
    ]
    return found + controls(max(16, sessions // 16))


def controls(sessions: int) -> list[Study]:
    """What must make no difference: no faults; links that break for no time; perfect restarts."""
    every = tuple(name for name in ARMS if name != "backtest")
    persistent = ("continuous", "persistent")
    return [
        Study("control none", "rest", every, sessions, Weather(rate=0.0), thorough=True),
        Study("control zero", "rest", every, sessions, Weather(harmless=True), thorough=True),
        Study("control restart", "rest", persistent, sessions, Weather(restarts=True)),
    ]


def run(asked: Sequence[Study], seed: int, workers: int, real: Any = None) -> dict[str, Found]:
    """Run studies; the same result with any number of workers.

    Args:
        asked: studies; seed: of everything; workers: processes, 0 for none beside this one.
        real: closing prices in place of the synthetic markets.
    """
    tasks = [
        _Task(study, seed, first, min(first + _CHUNK, study.sessions), real)
        for study in asked
        for first in range(0, study.sessions, _CHUNK)
    ]
    if workers:
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(_chunk, tasks))
    else:
        parts = [_chunk(task) for task in tasks]
    return {
        study.name: _joined(
            part for task, part in zip(tasks, parts, strict=True) if task.study is study
        )
        for study in asked
    }


def _joined(parts: Iterable[Found]) -> Found:
    every = list(parts)
    names = every[0].counts
    return Found(
        {name: np.concatenate([part.counts[name] for part in every]) for name in names},
        {name: np.concatenate([part.times[name] for part in every]) for name in names},
        np.concatenate([part.struck for part in every]),
    )


def _chunk(task: _Task) -> Found:
    study, seed = task.study, task.seed
    profile = PROFILES[study.profile]
    if study.venue:
        profile = profile._replace(venue=study.venue, keeps_text=0.9 if study.venue == "D" else 1)
    if study.weather.harmless or study.weather.restarts:
        profile = perfect(profile)
    sessions = range(task.first, task.last)
    faults = {one: schedule(seed, one, profile, study.weather) for one in sessions}
    calm = "continuous" in study.arms or study.thorough
    needed = [one for one in sessions if calm or faults[one]]
    made = {one.session: one for one in worlds(seed, needed, study.user, task.real)}
    counts: dict[str, list[list[float]]] = {name: [] for name in study.arms}
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in study.arms}
    for session in sessions:
        quiet: Outcome | None = None
        ideal: Outcome | None = None
        for name in study.arms:
            arm = ARMS[name]
            if session not in made:
                counts[name].append(_NONE)
                continue
            same = quiet if arm.faults and not faults[session] and not study.thorough else None
            if same is None:
                same = Session(made[session], arm, profile, faults[session], seed).run()
            if name == "continuous":
                quiet = same
            if name == "backtest":
                ideal = same
            row = list(same.counts)
            if ideal is not None:
                row[M["differs"]] = len(same.trades ^ ideal.trades)
            counts[name].append(row)
            times[name] += [(session, *one) for one in same.times]
    return Found(
        {name: np.array(rows) for name, rows in counts.items()},
        {name: np.array(rows, dtype=float).reshape(-1, 5) for name, rows in times.items()},
        np.array([bool(faults[one]) for one in sessions]),
    )
