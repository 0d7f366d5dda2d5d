"""Recall with vectors given, at 10,000 and 100,000 memories, beside mem0, LangGraph, chroma.

    python benchmarks/recall_speed.py [--json FILE] [--png FILE] [--quick] [--no-peers]
                                      [--peers-100k]

Memories are 20 words of a Zipf vocabulary with a 384-d vector, all of one user; a question is 8
words with a vector; ten answers are asked for. Every store runs in a process of its own, on one
thread, and they answer by turns. Measured besides: the first recall of a fresh process, one
recall from the command line, recall right after a write (agents do both by turns), bytes on disk.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from figures import (
    bars,
    machine,
    parser,
    percentile,
    pick_console,
    show_verdicts,
    spread,
    verdict,
    write_files,
)
from rich.console import Console
from rich.table import Table
from stores import (
    ROOT,
    Arm,
    Running,
    StoreFailed,
    chroma,
    haulout,
    langgraph,
    mem0,
    peers,
)
from workload import write_corpus

FLOORS = {10_000: (8.0, 4.0), 100_000: (40.0, 20.0)}  # p50 ms: floor, goal
WARM = 20
LIMIT = 10
_CLI = "import sys; from haulout.cli import main; sys.exit(main())"


def fill(arm: Arm, folder: Path, corpus: Path, count: int) -> dict[str, Any]:
    """Fill a store and close it; what it took."""
    with Running(arm, folder, corpus) as store:
        filled = store.ask(do="fill", start=0, count=count)
        store.ask(do="settle")
    with Running(arm, folder, corpus) as store:  # closed once: logs are folded in, as they rest
        size = store.ask(do="size")["bytes"]
    return {"fill_per_second": count / filled["wall_s"], "bytes_per_memory": size / count}


def cold(arm: Arm, folder: Path, corpus: Path, times: int) -> dict[str, float]:
    """Opening and the first recall of a fresh process, its imports apart."""
    taken: list[float] = []
    for number in range(times):
        with Running(arm, folder, corpus) as store:
            first = store.ask(do="recall", count=1, start=number, limit=LIMIT)
            taken.append(1e3 * (store.opened["wall_s"] + first["wall_s"]))
    return {"cold_first_recall_ms": statistics.median(taken)}


def command_line(folder: Path, question: str, times: int) -> dict[str, Any]:
    """`haulout recall` as a person types it: wall and CPU of the whole process."""
    if importlib.util.find_spec("haulout.cli") is None:
        return {"skipped": "there is no command line yet"}
    environment = os.environ | {"HAULOUT_HOME": str(folder), "PYTHONPATH": str(ROOT / "src")}
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(times):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-c", _CLI, "recall", question, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode:
            return {"skipped": done.stderr.decode(errors="replace").strip()[-200:]}
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * sum(a - b for a, b in zip(after[:2], before[:2], strict=True)))
    return {"cli_ms": statistics.median(wall), "cli_cpu_ms": statistics.median(cpu)}


def answers(
    running: dict[str, Running], *, rounds: int, each: int, written: int
) -> dict[str, dict[str, Any]]:
    """Recall by turns, then writes and recalls by turns."""
    found: dict[str, dict[str, Any]] = {}
    asked: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    for store in running.values():
        store.ask(do="recall", count=WARM, limit=LIMIT)
    for number in range(rounds):
        for name, store in running.items():
            asked[name].append(
                store.ask(do="recall", start=number * each % 300, count=each, limit=LIMIT)
            )
    for name, store in running.items():
        milliseconds = [ms for answer in asked[name] for ms in answer["ms"]]
        worked = [ms for answer in asked[name] for ms in answer["cpu_ms"]]
        mixed = store.ask(do="interleave", start=written, count=each, limit=LIMIT)
        found[name] = {
            **spread(milliseconds),
            "cpu_ms": 1e3 * sum(a["cpu_s"] for a in asked[name]) / len(milliseconds),
            "cpu_p95_over_p50": percentile(worked, 0.95) / statistics.median(worked),
            "found": asked[name][0]["found"],
            "after_write_p50_ms": statistics.median(mixed["recall_ms"]),
            "after_write_p95_ms": percentile(mixed["recall_ms"], 0.95),
        }
    return found


def measure(
    size: int, arms: list[Arm], place: Path, arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """All stores at one size."""
    found: dict[str, dict[str, Any]] = {}
    corpus = place / "corpus"
    question = (corpus / "questions.txt").read_text("utf-8").splitlines()[0]
    with ExitStack() as stack:
        running: dict[str, Running] = {}
        for number, arm in enumerate(arms):
            folder = place / f"{size}-{number}"
            try:
                found[arm.name] = fill(arm, folder, corpus, size)
                found[arm.name] |= cold(arm, folder, corpus, 1 if arguments.quick else 3)
                if arm.name == "haulout":
                    found[arm.name] |= command_line(folder, question, 2 if arguments.quick else 5)
                running[arm.name] = stack.enter_context(Running(arm, folder, corpus))
            except StoreFailed as error:
                found[arm.name] = {"failed": str(error)}
        rounds, each = (2, 10) if arguments.quick else (5, 60)
        for name, figures in answers(running, rounds=rounds, each=each, written=size).items():
            found[name] |= figures
    return found


def verdicts(sizes: dict[int, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """What stands against the floors and goals."""
    found: dict[str, Any] = {}
    for size, stores in sizes.items():
        own = stores["haulout"]
        if size not in FLOORS or "p50_ms" not in own:
            continue
        floor, goal = FLOORS[size]
        found[f"recall_{size}"] = {
            "what": f"recall p50 at {size:,} memories, ms (floor {floor:g}, goal {goal:g})",
            "value": own["p50_ms"],
            "verdict": verdict(own["p50_ms"], floor, goal),
        }
        ratio = own["p95_ms"] / own["p50_ms"]
        found[f"tail_{size}"] = {
            "what": f"p95 over p50 at {size:,} memories (goal 2)",
            "value": ratio,
            "verdict": verdict(ratio, 2.0, 2.0),
        }
        ratio = own["cpu_p95_over_p50"]
        found[f"cpu_tail_{size}"] = {
            "what": "the same of CPU time, which a busy machine stretches less (goal 2)",
            "value": ratio,
            "verdict": verdict(ratio, 2.0, 2.0),
        }
    return found


def show(figures: dict[str, Any], console: Console) -> None:
    for size, stores in figures["sizes"].items():
        table = Table(title=f"recall, {size:,} memories, ten answers")
        table.add_column("store")
        for heading in ("p50 ms", "p95 ms", "CPU ms", "after a write", "cold first", "fill a s",
                        "bytes each"):  # fmt: skip
            table.add_column(heading, justify="right")
        for name, found in stores.items():
            if "failed" in found:
                table.add_row(name, f"[dim]cannot: {found['failed'][:36]}[/dim]", *[""] * 6)
                continue
            keys = ("p50_ms", "p95_ms", "cpu_ms", "after_write_p50_ms", "cold_first_recall_ms")
            table.add_row(
                name,
                *(f"{found[key]:.1f}" for key in keys),
                f"{found['fill_per_second']:,.0f}",
                f"{found['bytes_per_memory']:,.0f}",
            )
        console.print(table)
        own = stores["haulout"]
        if "cli_ms" in own:
            line = f"{own['cli_ms']:.0f} ms, {own['cli_cpu_ms']:.0f} ms of CPU"
            console.print(f"one recall from the command line: {line}")
        elif "skipped" in own:
            console.print(f"[yellow]skipped:[/yellow] the command line: {own['skipped']}")
    show_verdicts(figures["verdicts"], console)


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        sizes = figures["sizes"]
        figure, panels = plt.subplots(1, 2 * len(sizes), figsize=(9 * len(sizes), 3))
        for number, (size, stores) in enumerate(sizes.items()):
            for panel, key, title in (
                (panels[2 * number], "p50_ms", "recall p50"),
                (panels[2 * number + 1], "after_write_p50_ms", "recall after a write"),
            ):
                values = {name: found[key] for name, found in stores.items() if key in found}
                bars(panel, f"{title}, {size:,} memories", values, "ms")
        return figure

    return draw


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--peers-100k", action="store_true", help="peers at 100,000 as well (slow)")
    arguments = made.parse_args()
    console = pick_console()
    sizes = (500, 2_000) if arguments.quick else tuple(FLOORS)
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="haulout-recall-speed-") as name:
        place = Path(name)
        write_corpus(place / "corpus", max(sizes) + 500)
        others = [] if arguments.no_peers else peers(console.print, (mem0, langgraph, chroma))
        found: dict[int, dict[str, dict[str, Any]]] = {}
        for size in sizes:
            quick = [arm for arm in others if arm.name == "chroma"]  # the others take an hour
            beside = others if size == min(sizes) or arguments.peers_100k else quick
            arms = [haulout(), haulout(words=True), *beside]
            found[size] = measure(size, arms, place, arguments)
    figures |= {"sizes": found, "verdicts": verdicts(found)}
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
