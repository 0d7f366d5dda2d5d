"""Before and after on unmodified software: `make demo-trading`.

freqtrade, a bot on ccxt, a bot on alpaca-py and a strategy on NautilusTrader, each as it is and
each with Haulout, at a venue on loopback that loses answers and kills. What is counted is the
venue's own ledger. Everything happens under build/trading; your own vault is neither read nor
written. The exit code is 0 when every claim held.

    python demo/trading [--json] [--only NAME] [--picture FILE.svg]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import runs
from environments import BUILD, environment
from rich.console import Console
from rich.table import Table
from runs import Run
from timeline import drawing

ARMS = ("before", "after")
PARTS = ("freqtrade", "ccxt", "alpaca", "nautilus")
WITHOUT = {
    "freqtrade: two answers lost": 3,
    "freqtrade: SIGKILL before the answer": 2,
    "ccxt bot: two answers lost": 3,
    "ccxt bot: SIGKILL before the answer": 2,
    "alpaca-py: 504, 504, 200": 3,
}
"""How many orders reach the venue without us where one is wanted. Fewer would be good news: then
the software has changed, and this page is wrong."""


def main() -> int:
    """Run everything; 1 where a claim did not hold."""
    parser = argparse.ArgumentParser(prog="python demo/trading")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the others out")
    parser.add_argument("--picture", type=Path, default=BUILD / "timeline.svg")
    asked = parser.parse_args()
    parts = asked.only or list(PARTS)
    console = Console(stderr=asked.json, highlight=False)
    began = time.monotonic()
    there = {
        name: environment(name, console.print)
        for name in ("freqtrade", "nautilus")
        if name in parts
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    try:
        done, fills = _run(parts, there, work, console)
    finally:
        # The folder is kept where something came up: it has the bots' own words.
        failed = sys.exc_info()[0] is not None
        if failed:
            console.print(f"The bots' own words are in {work}.")
        else:
            shutil.rmtree(work, ignore_errors=True)
    claims = _claims(done, fills)
    if done:
        asked.picture.write_text(drawing(done), "utf-8")
    if asked.json:
        print(json.dumps(_as_json(done, fills, claims), indent=2))
    _show(console, done, fills, claims, asked.picture, time.monotonic() - began)
    return 0 if all(held for _words, held in claims) else 1


def _run(
    parts: list[str], there: dict[str, Path], work: Path, console: Console
) -> tuple[list[Run], dict[str, Any]]:
    """Every run, two at a time: these machines have two cores."""
    jobs: list[Callable[[], Run]] = []
    if "freqtrade" in parts:
        for run in (runs.freqtrade_lost, runs.freqtrade_killed):
            for arm in ARMS:
                folder = work / f"{run.__name__}-{arm}"
                jobs.append(_job(console, run, there["freqtrade"], folder, arm))
    scripts = [runs.ccxt_lost, runs.ccxt_killed] if "ccxt" in parts else []
    scripts += [runs.alpaca_lost] if "alpaca" in parts else []
    for script in scripts:
        name = script.__name__
        jobs += [_job(console, script, work / f"{name}-{arm}", arm) for arm in ARMS]
    if jobs:
        console.print("Starting bots and venues ...")
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(job) for job in jobs]
        done = [one.result() for one in futures]
    fills: dict[str, Any] = {}
    if "nautilus" in parts:
        for arm in ("whole", *ARMS):
            fills[arm] = runs.nautilus(there["nautilus"], work / f"nautilus-{arm}", arm)
            console.print(f"  NautilusTrader, {arm}: {fills[arm]['fills']} fills")
    return done, fills


def _job(console: Console, run: Callable[..., Run], *given: Any) -> Callable[[], Run]:
    def job() -> Run:
        found = run(*given)
        arm = "without Haulout" if found.arm == "before" else "with Haulout"
        console.print(f"  {found.scenario}, {arm}: {_orders(found)} at the venue")
        return found

    return job


def _claims(done: list[Run], fills: dict[str, Any]) -> list[tuple[str, bool]]:
    """What this page says, and whether it held."""
    claims: list[tuple[str, bool]] = []
    for run in done:
        if run.arm == "before":
            orders = WITHOUT[run.scenario]
            words = f"without Haulout {orders} orders, of which the bot knows one"
            held = run.orders == orders and run.known == 1
        else:
            words = "with Haulout one order, and the bot's own database says the same"
            held = run.orders == run.wanted and run.agrees and bool(run.met)
        claims.append((f"{run.scenario}: {words}", held))
    if fills:
        whole, before, after = (fills[arm]["fills"] for arm in ("whole", *ARMS))
        words = f"{after} fills with Haulout, {whole} without a kill, {before} without Haulout"
        claims.append((f"NautilusTrader, SIGKILL in the middle: {words}", after == whole != before))
    return claims


def _as_json(
    done: list[Run], fills: dict[str, Any], claims: list[tuple[str, bool]]
) -> dict[str, Any]:
    return {
        "runs": [
            {
                "scenario": one.scenario, "arm": one.arm, "wanted": one.wanted,
                "orders_at_venue": one.orders, "bought_at_venue": str(one.bought),
                "orders_in_bot": one.known, "bought_in_bot": str(one.bot), "faults_met": one.met,
                "note": one.note,
                "line": [{"at": round(mark.at, 6), "what": mark.what} for mark in one.marks],
            }
            for one in done
        ],
        "nautilus": fills,
        "claims": [{"claim": words, "held": held} for words, held in claims],
    }  # fmt: skip


def _show(
    console: Console,
    done: list[Run],
    fills: dict[str, Any],
    claims: list[tuple[str, bool]],
    picture: Path,
    seconds: float,
) -> None:
    table = Table(title="One order wanted each time", title_justify="left")
    for name in ("", "without Haulout", "with Haulout"):
        table.add_column(name, justify="left" if not name else "right")
    for scenario in dict.fromkeys(one.scenario for one in done):
        both = {one.arm: one for one in done if one.scenario == scenario}
        table.add_row(scenario, *(_cell(both[arm]) for arm in ARMS))
    if fills:
        whole = fills["whole"]["fills"]
        table.add_row(
            f"NautilusTrader, SIGKILL: fills ({whole} without)",
            *(str(fills[arm]["fills"]) for arm in ARMS),
        )
    console.print(table)
    for words, held in claims:
        console.print(f"[green]✓[/] {words}" if held else f"[red]✗ {words}[/]")
    if done:
        console.print(f"Timeline: {picture}")
    held_ones = sum(held for _words, held in claims)
    console.print(f"{held_ones} of {len(claims)} claims held, in {seconds:.0f} s.")


def _cell(run: Run) -> str:
    return f"{_orders(run)}, the bot knows {run.known}"


def _orders(run: Run) -> str:
    return f"{run.orders} order" if run.orders == 1 else f"{run.orders} orders"


if __name__ == "__main__":
    sys.exit(main())
