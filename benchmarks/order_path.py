"""What it costs to write an order down before it is sent, beside a bare fsynced commit.

    python benchmarks/order_path.py [--json FILE] [--png FILE] [--quick]

Every arm is a process of its own, and they take turns one order at a time, so that a busy machine
is equally busy for each. A bare commit is one row of the same bytes in SQLite with the same cipher,
WAL and `synchronous=FULL`. `State.reserve` checks limits, seals, chains, signs and indexes besides,
through the thread that commits for all, and with a deadline; it is settled outside the clock.
Measured alone, with `haulout import` of 100,000 memories into the same vault by another process,
and with the same import by a thread of the agent's own process, which shares one Python with it.

Then two vaults side by side: one without a store, and one kept synced to a store that is dead
(every call refused), hung (no call returns) or slow (a second each). The ratio of their p99 has an
interval: pairs are drawn anew 2,000 times.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from figures import HAULOUT_COLOUR, PEER_COLOUR, machine, parser, pick_console, spread, write_files
from rich.console import Console
from rich.table import Table

IMPORTED = 100_000
PATIENCE = 5.0
REMOTES = ("dead", "hung", "slow")
LIMIT_S, REMOTE_LIMIT_S = 30.0, 45.0  # of one scenario: the whole stays below five minutes
WARM = 30
DRAWS = 2_000
P50, P99, RATIO = (1.3, 0.5), (2.0, 2.0), 1.5
"""What is allowed: p50 and p99 as times the bare commit's and ms more; where the ratio ends."""


# ---------------------------------------------------------------------- what a worker does


class Bare:
    """A commit of so many bytes, and nothing else."""

    def __init__(self, folder: Path, size: int) -> None:
        from haulout.database.connection import connect

        self._connection = connect(folder / "bare.db", os.urandom(32), create=True)
        self._connection.execute("CREATE TABLE kept (num INTEGER PRIMARY KEY, row BLOB)").fetchall()
        self._size = size

    def order(self) -> tuple[float, float]:
        row, connection = os.urandom(self._size), self._connection
        cpu, began = time.process_time(), time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO kept (row) VALUES (?)", (row,))
        connection.execute("COMMIT")
        return 1e3 * (time.perf_counter() - began), 1e3 * (time.process_time() - cpu)

    def close(self) -> None:
        self._connection.close()


class Agent:
    """An agent with a state, in a vault of its own."""

    def __init__(self, folder: Path, remote: str = "") -> None:
        from haulout import Vault

        self._vault, _ = Vault.create(folder / "vault", embedder="none")
        self._over = threading.Event()
        self._importing: threading.Thread | None = None
        if remote:
            self._keep_synced(remote)
        self._state = self._vault.state("bots/btc", patience=PATIENCE)
        self._state.limit("usd/day", 10**12)
        self._state.limit("usd/held", 10**6)
        self._number = 0

    def _keep_synced(self, remote: str) -> None:
        from haulout.errors import StoreUnavailableError
        from haulout.vault.stores.volumestore import VolumeStore

        # In memory: a bucket's client works outside of Python's lock, and syncs no disk of ours.
        self._vault.add_volumes([f"memory:{remote}-{number}" for number in range(3)])
        over, put = self._over, VolumeStore.put

        def failing(store: VolumeStore, *given: Any) -> Any:
            if remote == "dead":
                message = "The store refuses every connection."
                raise StoreUnavailableError(message)
            over.wait(None if remote == "hung" else 1.0)
            return put(store, *given)

        VolumeStore.put = failing  # type: ignore[method-assign]
        self._vault.keep_synced()

    def order(self) -> tuple[float, float]:
        self._number += 1
        payload = {"symbol": "BTC/USDT", "side": "buy", "amount": "0.01", "price": "65000.5"}
        state = self._state
        cpu, began = time.process_time(), time.perf_counter()
        reserved = state.reserve(
            "order", payload, target=f"binance/main/{self._number % 7}", cost={"usd": "650"},
            holds=["usd"],
        )  # fmt: skip
        took = 1e3 * (time.perf_counter() - began), 1e3 * (time.process_time() - cpu)
        state.settle(reserved.intent, "cancelled", ref=f"order-{self._number}")
        if self._number % 50 == 0:
            self._vault.remember(f"Bought for the {self._number}th time.")  # there is news to sync
        return took

    def notes(self, count: int) -> list[float]:
        """Microseconds that a note takes which nobody waits for."""
        journal = self._state.journal("prices", lambda _total, note: note, None)
        found: list[float] = []
        for number in range(count):
            began = time.perf_counter()
            journal.note({"price": number}, wait=False)
            found.append(1e6 * (time.perf_counter() - began))
            if number % 100 == 99:
                journal.note({"price": number})  # behind them all
        return found

    def row_bytes(self) -> int:
        database, journal = self._vault._states.opened()  # noqa: SLF001 - its rows are what is measured
        with database.read() as connection:
            row = connection.execute(
                "SELECT avg(length(header) + length(signature) + length(payload)) FROM record"
                " WHERE vault = ? AND type = 10",
                (journal.vault,),
            ).fetchone()
        return round(row[0])

    def begin_import(self, file: str) -> None:
        from haulout.interchange import import_file

        def work() -> None:
            def remember_many(items: Sequence[Any]) -> Any:
                if self._over.is_set():
                    raise SystemExit
                return self._vault.remember_many(items)

            import_file(file, remember_many)

        self._importing = threading.Thread(target=work)
        self._importing.start()

    def memories(self) -> int:
        return self._vault.stats().memories

    def close(self) -> None:
        self._over.set()
        if self._importing is not None:
            self._importing.join()
        self._vault.close()


def worker(folder: Path, kind: str, argument: str) -> None:
    """Do what each line of standard input says, and answer with a line."""
    folder.mkdir()
    made = Bare(folder, int(argument)) if kind == "bare" else Agent(folder, argument)
    print("{}", flush=True)
    for line in sys.stdin:
        name, *given = json.loads(line)
        print(json.dumps(getattr(made, name)(*given)), flush=True)
        if name == "close":
            return


class Running:
    """A worker's process."""

    def __init__(self, folder: Path, kind: str, argument: str = "") -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(folder), kind, argument],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            message = f"A worker ended ({self._process.wait()})."
            raise RuntimeError(message)
        return json.loads(line)

    def ask(self, name: str, *given: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *given]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ask("close")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


# ---------------------------------------------------------------------- measuring


def by_turns(
    one: Running, other: Running, pairs: int, limit_s: float = LIMIT_S
) -> list[list[tuple[float, float]]]:
    """Milliseconds and CPU of two arms, an order each in turn, in either order."""
    drawn, until = random.Random(1), time.monotonic() + limit_s
    times: list[list[tuple[float, float]]] = [[], []]
    for number in range(pairs + WARM):
        turns = [(0, one), (1, other)]
        if drawn.random() < 0.5:
            turns.reverse()
        for place, arm in turns:
            took = arm.ask("order")
            if number >= WARM:
                times[place].append(took)
        if time.monotonic() > until:
            break
    return times


def beside_bare(bare: Running, agent: Running, pairs: int) -> dict[str, Any]:
    """A scenario: what both took, and whether the order stays within what is allowed."""
    took = by_turns(bare, agent, pairs)
    figures: dict[str, Any] = {"pairs": len(took[0]), "load": round(os.getloadavg()[0], 1)}
    for name, found in zip(("bare", "reserve"), took, strict=True):
        figures[name] = {
            **spread([ms for ms, _ in found]),
            "cpu_ms": statistics.median(cpu for _, cpu in found),
        }
    for name, (times, more) in (("p50", P50), ("p99", P99)):
        allowed = times * figures["bare"][f"{name}_ms"] + more
        figures[name] = {"allowed_ms": allowed, "value_ms": figures["reserve"][f"{name}_ms"]}
        figures[name]["holds"] = figures[name]["value_ms"] <= allowed
    return figures


def interval(plain: Sequence[float], synced: Sequence[float]) -> tuple[float, float]:
    """95 % of the ratio of the two p99, by pairs drawn anew."""
    pairs = np.array([plain, synced])
    drawn = np.random.default_rng(7).integers(0, pairs.shape[1], (DRAWS, pairs.shape[1]))
    tails = [np.percentile(arm[drawn], 99, axis=1) for arm in pairs]
    low, high = np.percentile(tails[1] / tails[0], (2.5, 97.5))
    return float(low), float(high)


def beside_remote(place: Path, remote: str, pairs: int) -> dict[str, Any]:
    with (
        Running(place / f"{remote}-none", "agent") as plain,
        Running(place / remote, "agent", remote) as synced,
    ):
        took = by_turns(plain, synced, pairs, REMOTE_LIMIT_S)
    times = [[ms for ms, _ in found] for found in took]
    low, high = interval(*times)
    figures: dict[str, Any] = {"pairs": len(times[0]), "load": round(os.getloadavg()[0], 1)}
    figures["none"], figures["synced"] = map(spread, times)
    figures["p99_ratio"] = figures["synced"]["p99_ms"] / figures["none"]["p99_ms"]
    figures["interval"] = [low, high]
    figures["holds"] = low <= 1 and high < RATIO
    return figures


def write_memories(file: Path, count: int) -> None:
    drawn = random.Random(3)
    words = [f"word{number}" for number in range(3_000)]
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            text = " ".join(drawn.choice(words) for _ in range(20))
            lines.write(json.dumps({"text": f"{text} {number}"}) + "\n")


def importing(vault: Path, file: Path) -> subprocess.Popen[bytes]:
    """`haulout import` under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "haulout", "--vault", str(vault), "import", "--no-embed", str(file)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def measure(place: Path, *, quick: bool) -> dict[str, Any]:
    pairs, imported = (60, 2_000) if quick else (2_500, IMPORTED)
    file = place / "memories.jsonl"
    write_memories(file, imported)
    figures: dict[str, Any] = {"memories": imported, "scenarios": {}, "remote": {}}
    scenarios = figures["scenarios"]
    with ExitStack() as stack:
        agent = stack.enter_context(Running(place / "agent", "agent"))
        for _ in range(WARM):
            agent.ask("order")
        figures["row_bytes"] = agent.ask("row_bytes")
        bare = stack.enter_context(Running(place / "bare", "bare", str(figures["row_bytes"])))
        scenarios["alone"] = beside_bare(bare, agent, pairs)
        notes = agent.ask("notes", 200 if quick else 3_000)
        figures["note_us"] = {
            "p50": statistics.median(notes),
            "p99": float(np.percentile(notes, 99)),
        }
        process = importing(place / "agent" / "vault", file)
        wait_for(lambda: agent.ask("memories") >= imported // 100 or process.poll() is not None)
        scenarios["import by another process"] = beside_bare(bare, agent, pairs)
        scenarios["import by another process"]["went_on"] = process.poll() is None
        scenarios["import by another process"]["memories"] = agent.ask("memories")
        process.terminate()
        process.wait()
    with ExitStack() as stack:
        agent = stack.enter_context(Running(place / "threaded", "agent"))
        bare = stack.enter_context(Running(place / "bare-2", "bare", str(figures["row_bytes"])))
        agent.ask("begin_import", str(file))
        scenarios["import by a thread of its own"] = beside_bare(bare, agent, pairs // 2)
    for remote in REMOTES:
        figures["remote"][remote] = beside_remote(place, remote, 60 if quick else 4_000)
    return figures


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not ready() and time.monotonic() < until:
        time.sleep(0.05)


# ---------------------------------------------------------------------- showing


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"an order written down, beside a commit of {figures['row_bytes']} bytes")
    for heading in ("", "bare p50 / p99", "reserve p50 / p99", "allowed", "CPU", "load", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, found in figures["scenarios"].items():
        bare, own = found["bare"], found["reserve"]
        holds = all(found[one]["holds"] for one in ("p50", "p99"))
        table.add_row(
            name,
            f"{bare['p50_ms']:.2f} / {bare['p99_ms']:.2f}",
            f"{own['p50_ms']:.2f} / {own['p99_ms']:.2f}",
            f"{found['p50']['allowed_ms']:.2f} / {found['p99']['allowed_ms']:.2f}",
            f"{bare['cpu_ms']:.2f} → {own['cpu_ms']:.2f}",
            f"{found['load']}",
            "[green]holds[/green]" if holds else "[red]does not hold[/red]",
        )
    console.print(table)
    note = figures["note_us"]
    console.print(
        f"a note that nobody waits for: p50 {note['p50']:.0f} us, p99 {note['p99']:.0f} us"
    )
    for name, found in figures["remote"].items():
        low, high = found["interval"]
        both = f"{found['synced']['p99_ms']:.2f} ms, without one {found['none']['p99_ms']:.2f}"
        ratio = f"ratio {found['p99_ratio']:.2f} [{low:.2f}, {high:.2f}], load {found['load']}"
        holds = "holds" if found["holds"] else "does not hold"
        console.print(f"store {name}: p99 {both}, {ratio}: {holds}")


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8))
        names = list(figures["scenarios"])
        for place, name in enumerate(names):
            found = figures["scenarios"][name]
            for row, arm, colour in ((0, "bare", PEER_COLOUR), (1, "reserve", HAULOUT_COLOUR)):
                y = place * 3 + row
                left.barh(y, found[arm]["p99_ms"], color=colour, alpha=0.4)
                left.barh(y, found[arm]["p50_ms"], color=colour)
                words = f"  {arm} {found[arm]['p50_ms']:.2f} / {found[arm]['p99_ms']:.1f}"
                end = max(found[arm]["p99_ms"], row * found["p99"]["allowed_ms"])
                left.text(end, y, words, va="center", fontsize=8)
            left.plot([found["p99"]["allowed_ms"]] * 2, [place * 3 + 0.6, place * 3 + 1.4], "k:")
        left.set(title="an order written down: p50 and p99 (dotted: allowed)", xlabel="ms")
        left.set_yticks([place * 3 + 0.5 for place in range(len(names))], names)
        left.invert_yaxis()
        left.margins(x=0.3)
        for place, found in enumerate(figures["remote"].values()):
            low, high = found["interval"]
            right.plot([low, high], [place, place], color=HAULOUT_COLOUR)
            right.plot(found["p99_ratio"], place, "o", color=HAULOUT_COLOUR)
            words = f"{found['p99_ratio']:.2f} [{low:.2f}, {high:.2f}]"
            right.text((low + high) / 2, place + 0.1, words, ha="center", va="bottom", fontsize=8)
        right.axvline(1, color="k", linewidth=0.8)
        right.axvline(RATIO, color="k", linestyle=":")
        right.set_yticks(
            range(len(figures["remote"])), [f"store {name}" for name in figures["remote"]]
        )
        right.set(title="p99 beside a vault without a store (95 %)", xlabel="ratio")
        right.margins(x=0.5, y=0.4)
        for panel in (left, right):
            panel.spines[["top", "right"]].set_visible(False)
        return figure

    return draw


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        worker(Path(sys.argv[2]), *sys.argv[3:5])
        return 0
    arguments = parser(__doc__).parse_args()
    console = pick_console()
    figures: dict[str, Any] = {"machine": machine()}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="haulout-order-path-") as name:
        figures |= measure(Path(name), quick=arguments.quick)
    figures["seconds"] = round(time.monotonic() - began)
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
