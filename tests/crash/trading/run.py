"""The crash matrix of acting, in full: every journal step, F1 to F16, classes A to D.

    python tests/crash/trading/run.py [--jobs N] [--scale S] [--json FILE]

Prints a table, writes it as JSON, and ends with 1 where an intent was lost, an entry doubled or a
limit passed, or where a control did not fail as it must. What is declared not to hold is printed
beside it, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crash.processes import spread
from crash.trading import controls, cuts, real, simulator
from crash.trading.alphabet import VARIANTS
from crash.trading.judging import Verdict
from crash.trading.simulator import KINDS, Cell

from haulout.state.refs import Class

Held = dict[tuple[str, Class], Verdict]
_PART = 150
_CONTROLLED = ("F2 cut after accept", "F4 none")
_EVERY = 4
"""Without another fault the bot dies at every step, with one at every so-many-th."""
_TWICE = 8
"""Runs of each variant and class in which the bot dies a second time, while it recovers."""


_BY_NAME = {one.name: one for one in VARIANTS}


def _part(named: list[tuple[Any, ...]]) -> tuple[Held, dict[str, Verdict], Counter[str]]:
    """Cells with the names of their variants, which another process looks up."""
    cells = [Cell(_BY_NAME[name], *more) for name, *more in named]
    held: Held = {}
    declared: dict[str, Verdict] = {}
    steps: Counter[str] = Counter()
    for cell in cells:
        verdict = cell.run()
        steps[cell.step] += 1
        if cell.declared:
            name = f"{cell.variant.name}: {cell.declared}, class {cell.kind}"
            declared.setdefault(name, Verdict())
            declared[name] += verdict
        else:
            held.setdefault((cell.variant.letter, cell.kind), Verdict())
            held[cell.variant.letter, cell.kind] += verdict
    return held, declared, steps


def _merged(parts: Iterable[tuple[dict[Any, Verdict], dict[Any, Verdict], Counter[str]]]) -> Any:
    held: dict[Any, Verdict] = {}
    declared: dict[Any, Verdict] = {}
    steps: Counter[str] = Counter()
    for one, other, counted in parts:
        for into, out in ((held, one), (declared, other)):
            for name, verdict in out.items():
                into.setdefault(name, Verdict())
                into[name] += verdict
        steps.update(counted)
    return held, declared, steps


def _real(cells: list[real.Cell]) -> tuple[Held, dict[str, Verdict], Counter[str]]:
    held, declared, steps = real.run(cells)
    return held, {"F9 split brain, real processes": declared}, steps


def simulated(jobs: int, scale: float) -> Any:
    """All cells in the simulator."""
    twice = max(1, round(_TWICE * scale))
    plain = [one for one in VARIANTS if one.letter == "F4"]
    others = [one for one in VARIANTS if one.letter != "F4"]
    found = list(simulator.cells(plain, KINDS, max(1, round(1 / scale)), twice))
    found += simulator.cells(others, KINDS, max(1, round(_EVERY / scale)), twice)
    named = [(cell.variant.name, *cell[1:]) for cell in found]
    count = max(1, len(named) // _PART)
    parts = [(named[start::count],) for start in range(count)]
    return _merged(spread(_part, parts, jobs))


def processes(jobs: int, scale: float) -> Any:
    """Real processes."""
    found = real.cells(max(12, round(224 * scale)))
    batches = max(jobs, len(found) // 28)
    return _merged(spread(_real, [(found[start::batches],) for start in range(batches)], jobs))


def _table(name: str, held: Held, declared: dict[str, Verdict]) -> tuple[dict[str, Any], int]:
    rows: dict[str, Any] = {}
    total = Verdict()
    sys.stdout.write(f"{name}\n")
    for (letter, kind), verdict in sorted(
        held.items(), key=lambda one: (int(one[0][0][1:]), one[0])
    ):
        rows[f"{letter} {kind}"] = verdict.figures()
        total += verdict
        _line("  " + f"{letter} {kind}", verdict)
        for wrong in verdict.wrong[:5]:
            sys.stdout.write(f"         {wrong}\n")
    _line("  all that is held", total)
    for kind in KINDS:
        of_kind = Verdict()
        for (_, its), verdict in held.items():
            if its == kind:
                of_kind += verdict
        rows[f"class {kind}"] = of_kind.figures()
        _line(f"  class {kind}", of_kind)
    for what, verdict in sorted(declared.items()):
        if verdict.runs:
            _line(f"  declared: {what}", verdict)
    sys.stdout.flush()
    figures = {
        "held": rows,
        "all": total.figures(),
        "declared": {what: verdict.figures() for what, verdict in declared.items()},
    }
    return figures, total.bad


def _line(name: str, verdict: Verdict) -> None:
    found = verdict.figures()
    words = ", ".join(
        f"{key} {found[key]}"
        for key in (
            "runs",
            "lost",
            "duplicates",
            "violations",
            "exits_twice",
            "unknown",
            "wrong_silence_rate",
        )
    )
    mark = "" if name.lstrip().startswith("declared") else "ok  " if not verdict.bad else "FAIL"
    sys.stdout.write(f"{mark:<4} {name:<24} {words}\n")


def main() -> int:
    """Run everything."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", type=Path, default=Path("crash-trading.json"))
    asked = parser.parse_args()
    started, bad, figures = time.monotonic(), 0, dict[str, Any]()
    for name, suite in (("simulator", simulated), ("processes", processes)):
        held, declared, steps = suite(asked.jobs, asked.scale)
        figures[name], wrong = _table(name, held, declared)
        figures[name]["steps"] = dict(steps.most_common())
        bad += wrong
    states = max(10, round(150 * asked.scale))
    sys.stdout.write("power cuts beneath a real vault\n")
    for kind in KINDS:
        verdict = cuts.examine(states, kind, seed=ord(kind))
        figures[f"power cuts, {kind}"] = verdict.figures()
        bad += verdict.bad
        _line(f"  F5 {kind}", verdict)
    lying = cuts.examine(states, "C", syncs=False)
    chosen = [one for one in VARIANTS if one.name in _CONTROLLED]
    found = controls.run_controls(chosen, KINDS)
    sys.stdout.write("controls, which must fail\n")
    for name, verdict in {**found, "power cuts, lying syncs": lying}.items():
        figures[f"control: {name}"] = verdict.figures()
        sys.stdout.write(f"{'ok  ' if verdict.bad else 'FAIL'}   {name}: {verdict.figures()}\n")
        bad += not verdict.bad
    figures["seconds"] = round(time.monotonic() - started, 1)
    asked.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{figures['seconds']} s; {asked.json}\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
