"""What the speed benchmarks share: arguments, percentiles, the machine in words, the files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

HAULOUT_COLOUR = "#0b6e8f"
PEER_COLOUR = "#9aa5ab"


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments every speed benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, help="write all figures here")
    made.add_argument("--png", type=Path, help="draw the picture here (needs matplotlib)")
    made.add_argument("--quick", action="store_true", help="small counts: does it run at all?")
    made.add_argument("--no-peers", action="store_true", help="leave mem0 and LangGraph out")
    return made


def machine() -> dict[str, Any]:
    """The class of machine: enough to compare figures, nothing that names it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99."""
    return {
        "p50_ms": statistics.median(milliseconds),
        "p95_ms": percentile(milliseconds, 0.95),
        "p99_ms": percentile(milliseconds, 0.99),
    }


def verdict(value: float, floor: float, goal: float, *, more_is_better: bool = False) -> str:
    """What a figure reaches: "goal", "floor", or "below the floor"."""
    sign = 1 if more_is_better else -1
    if sign * value >= sign * goal:
        return "goal"
    return "floor" if sign * value >= sign * floor else "below the floor"


def show_verdicts(verdicts: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """A line for each floor and goal, with what was measured."""
    colours = {"goal": "green", "floor": "cyan", "below the floor": "red"}
    for line in verdicts.values():
        value = f"{line['value']:,.0f}" if line["value"] >= 100 else f"{line['value']:.2f}"
        colour = colours[line["verdict"]]
        console.print(f"{line['what']}: {value} ([{colour}]{line['verdict']}[/{colour}])")


def write_files(
    arguments: argparse.Namespace, figures: Mapping[str, Any], draw: Any, console: Console
) -> None:
    """The JSON file and the picture, where they were asked for."""
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if arguments.png:
        try:
            import matplotlib as mpl
        except ImportError:
            console.print("[yellow]no picture:[/yellow] pip install -r benchmarks/requirements.txt")
            return
        mpl.use("Agg")
        from matplotlib import pyplot as plt

        figure = draw(plt)
        figure.tight_layout()
        figure.savefig(arguments.png, dpi=150)


def bars(panel: Any, title: str, values: Mapping[str, float], unit: str) -> None:
    """Horizontal bars, the first on top, each with its figure."""
    names = list(values)[::-1]
    colours = [HAULOUT_COLOUR if name.startswith("haulout") else PEER_COLOUR for name in names]
    drawn = panel.barh(names, [values[name] for name in names], color=colours)
    panel.bar_label(drawn, fmt=lambda v: f" {v:,.0f}" if v >= 100 else f" {v:.3g}")
    panel.set(title=title, xlabel=unit)
    panel.margins(x=0.18)
    panel.spines[["top", "right"]].set_visible(False)


def pick_console() -> Console:
    """A console that keeps its width when it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 120)
