"""Every crash suite in full: kills, power cuts, states, failing calls, flipped bytes, erasure.

    python tests/crash/run.py [--jobs N] [--scale S] [--json FILE] [SUITE ...]

Prints a table of figures, writes them as JSON, and ends with 1 when anything was lost, doubled,
falsely acknowledged or silently changed, or when a control did not fail as it must. A scale of
0.1 does a tenth of everything.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__" and (tests := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, tests)

from crash import crowd, erasure, failures, flips, kills, powercuts, states

Figures = dict[str, Any]
"""A row's figures; ``bad`` counts what must not be, ``notes`` says what it was."""


def _kills(jobs: int, scale: float) -> dict[str, Figures]:
    points = list(range(1, 225, max(1, round(1 / scale))))
    found = kills.run(kills=round(500 * scale), points=points, jobs=jobs)
    return {name: _story(verdict) for name, verdict in found.items()}


def _story(verdict: Any) -> Figures:
    bad = verdict.lost + verdict.doubled + len(verdict.wrong)
    return verdict.figures() | {"bad": bad, "notes": verdict.wrong[:5]}


def _power_cuts(jobs: int, scale: float) -> dict[str, Figures]:
    verdict, control = powercuts.run(
        states=round(3000 * scale), control=max(40, round(400 * scale)), jobs=jobs
    )
    return {
        "power cuts": _story(verdict),
        "control: lying syncs": {"failed": f"{control:.0%}", "bad": int(control < 0.8)},
    }


def _states(jobs: int, scale: float) -> dict[str, Figures]:
    found = states.run(
        kills=round(200 * scale), points=list(range(1, 1200, max(3, round(3 / scale)))),
        cuts=round(1500 * scale), control=max(40, round(200 * scale)), jobs=jobs,
    )  # fmt: skip
    lying = found.pop("control")
    rows = {name: _story(verdict) for name, verdict in found.items()}
    return rows | {
        "control: lying syncs of the state lane": {
            "failed": f"{lying:.0%}", "bad": int(lying < 0.5),
        },
    }  # fmt: skip


def _failures(jobs: int, scale: float) -> dict[str, Figures]:
    found = failures.run(most=max(1, round(300 * scale)), jobs=jobs)
    return {"failing calls": _story(found)}


def _flips(jobs: int, scale: float) -> dict[str, Figures]:
    rows: dict[str, Figures] = {}
    found = flips.run(decoded=round(1e6 * scale), opened=round(20_000 * scale), jobs=jobs)
    for name, outcomes in found.items():
        wrong = flips.findings(outcomes)
        control = name.startswith("control")
        share = sum(wrong.values()) / outcomes.total()
        rows[f"flips, {name}"] = {
            "trials": outcomes.total(),
            "refused": outcomes["refused"],
            "identical": outcomes["identical"],
            "silent": sum(wrong.values()),
            "bad": int(share < 0.1) if control else sum(wrong.values()),
            "notes": [] if control else list(wrong)[:5],
        }
    return rows


def _erasure(jobs: int, scale: float) -> dict[str, Figures]:
    rows: dict[str, Figures] = {}
    for name, residue in erasure.run(trials=max(5, round(200 * scale)), jobs=jobs).items():
        hits, control = sum(residue.hits.values()), name.startswith("control")
        uncleared = residue.pending - residue.cleared
        rows[f"erasure, {name}"] = {
            "trials": residue.trials,
            "hits": hits,
            "pending": residue.pending,
            "cleared": residue.cleared,
            "bad": 0 if control else hits + uncleared + len(residue.wrong),
            "notes": residue.wrong[:5] or dict(residue.hits.most_common(5)),
        }
    rows["erasure, control: no scrub"]["bad"] = int(not rows["erasure, control: no scrub"]["hits"])
    return rows


def _crowd(jobs: int, scale: float) -> dict[str, Figures]:
    del jobs  # it uses every core there is
    with tempfile.TemporaryDirectory(prefix="haulout-crash-") as place:
        seconds = max(3.0, 60 * scale)
        found = crowd.play(Path(place) / "many", writers=8, readers=8, seconds=seconds)
        rounds = max(60, round(500 * scale))
        answered = crowd.answers(Path(place) / "two", rounds)
    unfair, slow = found.fairness < 0.25, found.rate < 500
    bad = len(found.errors) + found.lost + found.doubled + unfair + slow
    bad += found.log_bytes > crowd.LOG_BYTES
    return {
        "crowd of 8 + 8": {
            "seconds": seconds,
            "writes/s": round(found.rate),
            "fairness": f"{found.fairness:.2f}",
            "recalls": sum(found.recalls),
            "log MiB": found.log_bytes >> 20,
            "lost": found.lost,
            "doubled": found.doubled,
            "bad": bad,
            "notes": found.errors[:5],
        },
        "recalled at once elsewhere": {"trials": rounds, "bad": rounds - answered},
    }


SUITES: dict[str, Callable[[int, float], dict[str, Figures]]] = {
    "kills": _kills,
    "powercuts": _power_cuts,
    "states": _states,
    "failures": _failures,
    "flips": _flips,
    "erasure": _erasure,
    "crowd": _crowd,
}


def _show(name: str, row: Figures) -> None:
    figures = ", ".join(f"{key} {value}" for key, value in row.items() if key not in _APART)
    sys.stdout.write(f"  {'ok  ' if not row['bad'] else 'FAIL'} {name:<40} {figures}\n")
    if row["bad"]:
        for note in row.get("notes", ()):
            sys.stdout.write(f"         {note}\n")
    sys.stdout.flush()


_APART = {"bad", "notes"}


def main() -> int:
    """Run the suites that were named, or all."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", type=Path, default=Path("crash.json"))
    asked = parser.parse_args()
    if unknown := set(asked.suites) - SUITES.keys():
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    rows: dict[str, Figures] = {}
    started = time.monotonic()
    for name in asked.suites or SUITES:
        sys.stdout.write(f"{name}, from {time.monotonic() - started:.0f} s on\n")
        sys.stdout.flush()
        for what, row in SUITES[name](max(2, asked.jobs), asked.scale).items():
            rows[what] = row
            _show(what, row)
    seconds = round(time.monotonic() - started)
    bad = sum(row["bad"] for row in rows.values())
    asked.json.write_text(json.dumps({"seconds": seconds, "bad": bad, "rows": rows}, indent=1))
    sys.stdout.write(f"{bad} findings in {seconds} s; figures in {asked.json}\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
