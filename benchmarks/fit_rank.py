"""Fits the constants of ``haulout.index.rank.Weights`` on conversations, never on all at once.

    python benchmarks/fit_rank.py --folds 5 --json fitted.json

Coordinate ascent from the textbook's values (BM25 k1 1.2, b 0.75, everything else off), over a
short list of values for each constant, twice through. A constant moves only for a gain of
``LEAST_GAIN`` points, so that noise does not choose it. With ``--folds N`` the conversations of
each data set are dealt into N folds (seed 7) and each fold is measured with constants fitted on
the others; the last fit takes all conversations and is what a person may copy into rank.py.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Conversation, beam, locomo
from measures import Measured, measure
from retrievers import Corpus, Haulout, Vectors

from haulout.index.rank import Weights

SEED = 7
LEAST_GAIN = 0.04
SWEEPS = 2

START = Weights(
    saturation=1.2, length_share=0.75, around=(), answer=0.0, reach=60.0, speaker_words=1.0,
    speaker=0.0, meaning=0.1, meaning_around=(), question=0.0, short=0.0, assistant=0.0,
    assistant_mine=0.0, rule=0.0, timed=0.0, period=0.0,
)  # fmt: skip

CHOICES: dict[str, Sequence[Any]] = {
    "around": ((), (0.3, 0.15), (0.5, 0.25), (0.5, 0.35, 0.2), (0.4, 0.3, 0.2, 0.1),
               (0.5, 0.4, 0.3, 0.2), (0.7, 0.4, 0.2)),
    "reach": (15.0, 30.0, 60.0, 120.0),
    "meaning": (0.06, 0.08, 0.1, 0.13, 0.16, 0.2),
    "meaning_around": ((), (0.2,), (0.3,), (0.4, 0.2), (0.3, 0.2, 0.1)),
    "assistant": (0.0, 0.15, 0.3, 0.45),
    "assistant_mine": (0.0, 0.3, 0.45, 0.6, 0.8),
    "speaker_words": (0.0, 0.5, 1.0, 2.0),
    "speaker": (0.0, 0.05, 0.1, 0.15, 0.2),
    "question": (0.0, 0.1, 0.2, 0.3, 0.4),
    "answer": (0.0, 0.15, 0.3, 0.5, 0.7),
    "short": (0.0, 0.15, 0.3, 0.45, 0.6),
    "rule": (0.0, 0.1, 0.2, 0.3),
    "timed": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3),
    "period": (0.0, 0.1, 0.2, 0.3),
    "saturation": (0.6, 0.8, 1.0, 1.2, 1.5),
    "length_share": (0.3, 0.45, 0.6, 0.75, 0.9),
}  # fmt: skip


class Fit:
    """Measures settings by conversation, each setting and conversation once."""

    def __init__(self, sets: dict[str, list[Conversation]], vectors: Vectors | None) -> None:
        self.conversations = {c.name: c for group in sets.values() for c in group}
        self.set_of = {c.name: name for name, group in sets.items() for c in group}
        self.corpora = {name: Corpus(c, vectors) for name, c in self.conversations.items()}
        self.modes = (False, True) if vectors is not None else (False,)
        self._known: dict[tuple[Weights, str], float] = {}

    def value(self, weights: Weights, names: Iterable[str]) -> float:
        """Mean over data sets, each the mean over its questions, in points."""
        totals: dict[str, list[tuple[float, int]]] = {}
        for name in names:
            asked = len(self.conversations[name].questions)
            totals.setdefault(self.set_of[name], []).append((self._one(weights, name), asked))
        means = [sum(v * n for v, n in t) / sum(n for _, n in t) for t in totals.values()]
        return 100 * float(np.mean(means))

    def _one(self, weights: Weights, name: str) -> float:
        if (weights, name) not in self._known:
            values = [
                np.mean([_worth(m) for m in self.measured(weights, name, meaning=mode)])
                for mode in self.modes
            ]
            self._known[weights, name] = float(np.mean(values))
        return self._known[weights, name]

    def measured(self, weights: Weights, name: str, *, meaning: bool) -> list[Measured]:
        retriever = Haulout(self.corpora, meaning=meaning, weights=weights)
        return measure(retriever, self.conversations[name])

    def ascend(self, names: list[str], start: Weights = START) -> Weights:
        """The best weights for these conversations, one constant at a time."""
        best, value = start, self.value(start, names)
        for sweep in range(SWEEPS):
            for constant, choices in CHOICES.items():
                for choice in choices:
                    tried = replace(best, **{constant: choice})
                    gained = self.value(tried, names)
                    if gained > value + LEAST_GAIN:
                        best, value = tried, gained
            print(f"  sweep {sweep + 1}: {value:.2f}", flush=True)
        return best


def _worth(m: Measured) -> float:
    return (m.recall5 + m.recall10 + m.recall20 + m.ndcg10) / 4


def folds(names: Sequence[str], count: int) -> list[list[str]]:
    """The names dealt into folds, by the seed."""
    dealt = list(names)
    random.Random(SEED).shuffle(dealt)  # a split to repeat, not a secret
    return [dealt[i::count] for i in range(count)]


def held_out(fit: Fit, sets: dict[str, list[Conversation]], count: int) -> dict[str, Weights]:
    """For each conversation the weights fitted without its fold."""
    dealt = {name: folds([c.name for c in group], count) for name, group in sets.items()}
    chosen: dict[str, Weights] = {}
    for fold in range(count):
        out = {name for groups in dealt.values() for name in groups[fold]}
        print(f"fold {fold + 1}: without {', '.join(sorted(out))}", flush=True)
        weights = fit.ascend([name for name in fit.conversations if name not in out])
        chosen |= dict.fromkeys(out, weights)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-final", action="store_true", help="skip the fit on everything")
    arguments = parser.parse_args()
    from retrieval import open_vectors

    sets = {name: group for name, group in (("locomo", locomo()), ("beam", beam())) if group}
    if not sets:
        print("skipped: no data")
        return
    fit = Fit(sets, open_vectors())
    chosen = held_out(fit, sets, arguments.folds) if arguments.folds > 1 else {}
    report: dict[str, Any] = {"held_out": {n: asdict(w) for n, w in sorted(chosen.items())}}
    if not arguments.no_final:
        report["all"] = asdict(fit.ascend(list(fit.conversations)))
        for field in fields(Weights):
            print(f"    {field.name}: {report['all'][field.name]}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1), "utf-8")


if __name__ == "__main__":
    main()
