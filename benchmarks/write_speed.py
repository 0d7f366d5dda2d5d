"""Durable `remember`, beside a bare commit of the same bytes, mem0 and LangGraph's SqliteStore.

    python benchmarks/write_speed.py [--json FILE] [--png FILE] [--quick] [--no-peers]

One call keeps one memory of 20 words with its 384-d vector, and returns when it is durable.
Callers are threads of one process, or processes on one store. Every store runs in a process of
its own; they take turns, round by round, so that a busy machine is equally busy for each. CPU
time is that of the store's process, all its threads together. What is above a bare commit is
the median over rounds of differences inside a round.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figures import bars, machine, parser, pick_console, show_verdicts, spread, verdict, write_files
from rich.console import Console
from rich.table import Table
from stores import Arm, Running, StoreFailed, bare, haulout, peers
from workload import write_corpus

BARE, APPEND = "bare SQLite commit", "raw append + fsync"
WARM = 64
OVER_BARE = (0.6, 0.3)  # ms of CPU above a bare commit: floor, goal
BY_32 = (1_500, 5_000)  # memories a second: floor, goal


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many callers: threads in one process, or processes."""

    name: str
    threads: int
    processes: int
    each_round: int  # writes of all callers together


SCENARIOS = (
    Scenario("1 caller", 1, 1, 240),
    Scenario("8 callers", 8, 1, 800),
    Scenario("32 callers", 32, 1, 1_600),
    Scenario("8 processes", 1, 8, 640),
)


@dataclass(slots=True)
class Rounds:
    """What one store did in one scenario."""

    milliseconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # ms an operation, each round
    failure: str | None = None

    def take(self, answers: list[dict[str, Any]]) -> None:
        done = sum(len(answer["ms"]) for answer in answers)
        wall = max(answer["ended"] for answer in answers) - min(a["began"] for a in answers)
        if len(answers) == 1:
            wall = answers[0]["wall_s"]
        self.milliseconds += [ms for answer in answers for ms in answer["ms"]]
        self.rates.append(done / wall)
        self.cpu.append(1e3 * sum(answer["cpu_s"] for answer in answers) / done)

    def summary(self, beside: Rounds | None) -> dict[str, Any]:
        if self.failure is not None:
            return {"failed": self.failure}
        figures: dict[str, Any] = {
            "per_second": statistics.median(self.rates),
            **spread(self.milliseconds),
            "cpu_ms": statistics.median(self.cpu),
        }
        if beside is not None and beside.failure is None:
            pairs = list(zip(self.cpu, beside.cpu, strict=True))
            figures["cpu_ms_over_bare"] = statistics.median(own - other for own, other in pairs)
            rates = zip(self.rates, beside.rates, strict=True)
            figures["rate_of_bare"] = statistics.median(own / other for own, other in rates)
        return figures


class Group:
    """The processes of one store in one scenario."""

    def __init__(self, arm: Arm, scenario: Scenario, folder: Path, corpus: Path) -> None:
        self.arm, self._scenario, self._next = arm, scenario, 0
        self.rounds = Rounds()
        self._stack = ExitStack()
        self._running: list[Running] = []
        self._guarded(lambda: self._open(folder, corpus))

    def _open(self, folder: Path, corpus: Path) -> None:
        for _ in range(self._scenario.processes):
            runner = self._stack.enter_context(Running(self.arm, folder, corpus))
            self._running.append(runner)
            runner.ask(do="write", start=self._next, count=WARM // self._scenario.processes)
            self._next += WARM

    def _guarded(self, work: Callable[[], None]) -> None:
        if self.rounds.failure is None:
            try:
                work()
            except StoreFailed as error:
                self.rounds.failure = str(error)

    def round(self, count: int) -> None:
        self._guarded(lambda: self._round(count))

    def _round(self, count: int) -> None:
        share = count // len(self._running)
        at = time.time() + 0.05 if len(self._running) > 1 else None
        for runner in self._running:
            runner.send(
                do="write", start=self._next, count=share, threads=self._scenario.threads, at=at
            )
            self._next += share
        answers: list[dict[str, Any]] = []
        errors: list[StoreFailed] = []
        for runner in self._running:
            try:
                answers.append(runner.answer())
            except StoreFailed as error:
                errors.append(error)
        if errors:
            raise errors[0]
        self.rounds.take(answers)

    def close(self) -> None:
        self._stack.close()


def measure(
    scenario: Scenario, arms: list[Arm], place: Path, *, rounds: int, scale: int
) -> dict[str, dict[str, Any]]:
    """One scenario over all stores, by turns."""
    groups = [Group(arm, scenario, place / f"{n}", place / "corpus") for n, arm in enumerate(arms)]
    for _ in range(rounds):
        for group in groups:
            slow = group.arm.name in {"mem0", "LangGraph SqliteStore"}
            least = scenario.threads * scenario.processes
            group.round(max(least, scenario.each_round // scale // (4 if slow else 1)))
    for group in groups:
        group.close()
    beside = next((g.rounds for g in groups if g.arm.name == BARE), None)
    return {g.arm.name: g.rounds.summary(beside) for g in groups}


def row_bytes(place: Path) -> int:
    """What a memory's record weighs: the row that a bare commit writes."""
    with Running(haulout(), place / "weighed", place / "corpus") as store:
        store.ask(do="write", start=0, count=20)
        return store.ask(do="facts")["row_bytes"]


def show(figures: dict[str, Any], console: Console) -> None:
    for scenario, stores in figures["scenarios"].items():
        table = Table(title=f"{scenario}: durable writes of {figures['row_bytes']} bytes")
        table.add_column("store")
        for heading in ("a second", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "CPU over bare"):
            table.add_column(heading, justify="right")
        for name, found in stores.items():
            if "failed" in found:
                table.add_row(name, f"[dim]cannot: {found['failed'][:36]}[/dim]", *[""] * 5)
                continue
            over = found.get("cpu_ms_over_bare")
            table.add_row(
                name,
                f"{found['per_second']:,.0f}",
                *(f"{found[key]:.2f}" for key in ("p50_ms", "p95_ms", "p99_ms", "cpu_ms")),
                "" if over is None or name == BARE else f"{over:+.2f}",
            )
        console.print(table)
    show_verdicts(figures["verdicts"], console)


def verdicts(scenarios: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What stands against the floors and goals."""
    one, many = scenarios["1 caller"]["haulout"], scenarios["32 callers"]["haulout"]
    found: dict[str, Any] = {}
    if "cpu_ms_over_bare" in one:
        value = one["cpu_ms_over_bare"]
        found["one_caller"] = {
            "what": "one caller, CPU ms above a bare commit (floor 0.6, goal 0.3)",
            "value": value,
            "verdict": verdict(value, *OVER_BARE),
        }
    if "per_second" in many:
        value = many["per_second"]
        found["callers_32"] = {
            "what": "32 callers, memories a second (floor 1,500, goal 5,000)",
            "value": value,
            "verdict": verdict(value, *BY_32, more_is_better=True),
        }
    return found


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        scenarios = figures["scenarios"]
        figure, panels = plt.subplots(1, len(scenarios) + 1, figsize=(5 * len(scenarios) + 5, 3.4))
        for panel, (name, stores) in zip(panels, scenarios.items(), strict=False):
            rates = {k: v["per_second"] for k, v in stores.items() if "per_second" in v}
            bars(panel, f"durable writes, {name}", rates, "a second")
        one = scenarios["1 caller"]
        cpu = {k: v["cpu_ms"] for k, v in one.items() if "cpu_ms" in v}
        bars(panels[-1], "CPU of one write, 1 caller", cpu, "ms")
        return figure

    return draw


def main() -> int:
    arguments = parser(__doc__).parse_args()
    console = pick_console()
    rounds, scale = (2, 8) if arguments.quick else (7, 1)
    figures: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(prefix="haulout-write-speed-") as name:
        place = Path(name)
        most = max(s.each_round for s in SCENARIOS) * (rounds + 2)
        write_corpus(place / "corpus", 1_000 if arguments.quick else most)
        size = figures["row_bytes"] = row_bytes(place)
        arms = [bare("append", size), bare("commit", size), haulout(), haulout(words=True)]
        arms += [] if arguments.no_peers else peers(console.print)
        scenarios: dict[str, Any] = {}
        for number, scenario in enumerate(SCENARIOS):
            folder = place / f"scenario-{number}"
            folder.mkdir()
            (folder / "corpus").symlink_to(place / "corpus")
            scenarios[scenario.name] = measure(scenario, arms, folder, rounds=rounds, scale=scale)
        figures |= {"scenarios": scenarios, "verdicts": verdicts(scenarios)}
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
