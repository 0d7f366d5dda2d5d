"""What awaiting costs, and memory: `AsyncVault` beside `Vault`, a model client with and without.

    python benchmarks/async_speed.py [--json FILE] [--png FILE] [--quick]

One vault on the disk, words only. Calls of the two take turns one by one, so that a busy machine
is equally busy for both; what awaiting adds is the median of the differences. 32 tasks stand
beside 32 threads. The lag is how late the event loop was during an import. The model client
answers at once and does nothing: what is left is what `with_memory` adds to a call; what it
writes is written before the next call, as it would be while a model thinks.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from figures import bars, machine, parser, pick_console, spread, write_files
from rich.console import Console
from rich.table import Table

from haulout import AsyncVault
from haulout.integrations.openai import flush, with_memory

CALLERS = 32
WORDS = [f"word{number}" for number in range(3000)]


def sentence(drawn: random.Random) -> str:
    return " ".join(drawn.choice(WORDS) for _ in range(20))


async def timed(call: Callable[[], Any]) -> float:
    """Milliseconds of one call, awaited where it is to be."""
    began = time.perf_counter()
    result = call()
    if isinstance(result, Awaitable):
        await result
    return 1e3 * (time.perf_counter() - began)


async def beside(
    count: int,
    one: Callable[[str], Any],
    other: Callable[[str], Any],
    after: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Two ways to do the same, by turns, with new words each time."""
    drawn, times = random.Random(1), ([], [])
    for number in range(count + 10):
        for place, call in ((0, one), (1, other)) if number % 2 else ((1, other), (0, one)):
            took = await timed(partial(call, f"{sentence(drawn)} {number}"))
            after()
            if number >= 10:
                times[place].append(took)
    added = statistics.median(b - a for a, b in zip(*times, strict=True))
    return {"without": spread(times[0]), "with": spread(times[1]), "added_ms": added}


async def at_once(vault: AsyncVault, rounds: int, each: int) -> dict[str, float]:
    """Writes a second of 32 threads, and of 32 tasks, round by round."""
    rates: dict[str, list[float]] = {"threads": [], "tasks": []}
    drawn = random.Random(2)
    batches = [[sentence(drawn) for _ in range(each)] for _ in range(CALLERS)]

    def by_thread(texts: list[str]) -> None:
        for text in texts:
            vault.vault.remember(text)

    async def by_task(texts: list[str]) -> None:
        for text in texts:
            await vault.remember(text)

    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(rounds):
            began = time.perf_counter()
            list(pool.map(by_thread, batches))
            rates["threads"].append(CALLERS * each / (time.perf_counter() - began))
            began = time.perf_counter()
            await asyncio.gather(*map(by_task, batches))
            rates["tasks"].append(CALLERS * each / (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in rates.items()}


async def lag(vault: AsyncVault, count: int) -> dict[str, float]:
    """How long the loop stood still at most while so many memories were imported."""
    drawn, over, loop = random.Random(3), asyncio.Event(), asyncio.get_running_loop()
    late: list[float] = []

    async def beat() -> None:
        while not over.is_set():
            due = loop.time() + 0.005
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.005)
            late.append(1e3 * max(0.0, loop.time() - due))

    beating = asyncio.create_task(beat())
    began = time.perf_counter()
    await vault.remember_many([{"text": sentence(drawn)} for _ in range(count)])
    seconds = time.perf_counter() - began
    over.set()
    await beating
    return {**spread(late), "most_ms": max(late), "import_s": seconds}


class Model:
    """Stands where a client stands, and answers at once."""

    class _Completions:
        def create(self, **_request: Any) -> dict[str, Any]:
            message = {"role": "assistant", "content": "Understood."}
            return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def __init__(self) -> None:
        self.chat = type("Chat", (), {"completions": self._Completions()})()


async def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    size, calls = (500, 20) if quick else (10_000, 400)
    vault, _ = await AsyncVault.create(folder / "vault", embedder="none")
    async with vault:
        figures: dict[str, Any] = {"memories": size}
        figures["lag"] = await lag(vault, size)
        figures["recall"] = await beside(calls, vault.vault.recall, vault.recall)
        context = partial(vault.vault.context, namespace="**")
        figures["context"] = await beside(calls, context, partial(vault.context, namespace="**"))
        figures["remember"] = await beside(calls, vault.vault.remember, vault.remember)
        plain = Model()
        client = with_memory(plain, vault, recall_from="**")

        def ask(model: Any) -> Callable[[str], Any]:
            return lambda text: model.chat.completions.create(
                model="none", messages=[{"role": "user", "content": text}]
            )

        figures["client"] = await beside(calls, ask(plain), ask(client), partial(flush, client))
        figures["callers_32"] = await at_once(vault, 2 if quick else 5, 4 if quick else 50)
    return figures


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"one caller, {figures['memories']:,} memories, ms")
    for heading in ("call", "without, p50", "with, p50", "with, p95", "added, median"):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    for name, words in (
        ("recall", "recall, awaited"),
        ("context", "context, awaited"),
        ("remember", "remember, awaited"),
        ("client", "a model client, with memory"),
    ):
        found = figures[name]
        values = found["without"]["p50_ms"], found["with"]["p50_ms"], found["with"]["p95_ms"]
        table.add_row(words, *(f"{v:.3f}" for v in values), f"{found['added_ms']:+.3f}")
    console.print(table)
    many, late = figures["callers_32"], figures["lag"]
    rates = f"32 threads {many['threads']:,.0f}, 32 tasks {many['tasks']:,.0f}"
    console.print(f"durable writes a second: {rates}")
    delays = f"p50 {late['p50_ms']:.1f}, p99 {late['p99_ms']:.1f}, most {late['most_ms']:.1f} ms"
    console.print(f"event loop late during an import of {late['import_s']:.1f} s: {delays}")


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        figure, panels = plt.subplots(1, 2, figsize=(11, 2.6))
        names = {"recall": "recall", "remember": "remember", "client": "a client's call"}
        added = {f"haulout: {words}": figures[name]["added_ms"] for name, words in names.items()}
        bars(panels[0], "what awaiting, or memory, adds to a call", added, "ms")
        many = figures["callers_32"]
        rates = {"haulout: 32 tasks": many["tasks"], "haulout: 32 threads": many["threads"]}
        bars(panels[1], "durable writes", rates, "a second")
        return figure

    return draw


def main() -> int:
    arguments = parser(__doc__).parse_args()
    console = pick_console()
    with tempfile.TemporaryDirectory(prefix="haulout-async-speed-") as name:
        found = asyncio.run(measure(Path(name), quick=arguments.quick))
    figures = {"machine": machine()} | found
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
