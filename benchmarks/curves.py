"""How everything grows: remember, recall, open, rebuild, disk and memory at 10k, 100k and 1M.

    python benchmarks/curves.py [--json FILE] [--png FILE] [--quick] [--no-peers]
                                [--sizes N ...] [--folder DIR] [--rebuild-at-most N]
                                [--peers-at-most N]

Memories are 20 words of a Zipf vocabulary with a 384-d vector; vectors lie in clusters, as those
of a sentence model do (`workload.Clustered`). A question is 8 words with a vector near that of
one of the memories; ten answers are asked for. Recall is measured as it is, and once more with
every vector compared: how many of the ten exact answers come back is the accuracy. Chroma has
vectors alone; its accuracy is held against the ten nearest vectors.

Every store runs in a process of its own, on one thread. `--folder` keeps the filled stores, and a
later run uses them: filling a million takes ten minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from figures import (
    HAULOUT_COLOUR,
    PEER_COLOUR,
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
from stores import Arm, Running, StoreFailed, chroma, haulout, peers
from workload import DIMENSIONS, write_clustered

SIZES = (10_000, 100_000, 1_000_000)
FLOORS = {10_000: (8.0, 4.0), 100_000: (40.0, 20.0), 1_000_000: (60.0, 30.0)}
LIMIT = 10
WARM = 100
ASKED = 200
WRITTEN = 300
SPARE = 1_000
"""Memories of the corpus beyond the largest store: those written one at a time."""
EXACT_COLOUR = "#d98032"
FLOOR_COLOUR = "#b3261e"


def filled(arm: Arm, folder: Path, corpus: Path, count: int) -> dict[str, Any]:
    """Fill a store, or find it filled by an earlier run; what it took."""
    note = folder.with_suffix(".filled.json")
    if note.exists():
        return json.loads(note.read_text("utf-8"))
    with Running(arm, folder, corpus) as store:
        took = store.ask(do="fill", start=0, count=count)
        settled = store.ask(do="settle")
    figures = {
        "batch_us": 1e6 * took["wall_s"] / count,
        "batch_cpu_us": 1e6 * took["cpu_s"] / count,
        "settle_s": settled["wall_s"],
        "settle_cpu_s": settled["cpu_s"],
    }
    note.write_text(json.dumps(figures), "utf-8")
    return figures


def asked(store: Running, *, exact: bool, count: int = ASKED, warm: int = WARM) -> dict[str, Any]:
    """Recalls that follow others: figures, and which memories came back."""
    store.ask(do="answers", count=warm, start=ASKED, limit=LIMIT, exact=exact)
    found = store.ask(do="answers", count=count, limit=LIMIT, exact=exact)
    return {
        **spread(found["ms"]),
        "cpu_ms": statistics.median(found["cpu_ms"]),
        "cpu_p95_ms": percentile(found["cpu_ms"], 0.95),
        "ids": found["ids"],
    }


def shared(found: Sequence[Sequence[str]], expected: Sequence[Sequence[str]]) -> float:
    """How many of the expected answers were found, of those that both lists have questions for."""
    pairs = list(zip(found, expected, strict=False))
    return sum(len({*one} & {*other}) for one, other in pairs) / (LIMIT * len(pairs))


def measure(arm: Arm, folder: Path, corpus: Path, count: int, *, rebuild: bool) -> dict[str, Any]:
    """All figures of Haulout at one size."""
    figures = filled(arm, folder, corpus, count)
    with Running(arm, folder, corpus) as store:
        first = store.ask(do="recall", count=1, limit=LIMIT)
        figures |= {
            "open_ms": 1e3 * store.opened["wall_s"],
            "first_s": store.opened["wall_s"] + first["wall_s"],
            "first_cpu_s": store.opened["cpu_s"] + first["cpu_s"],
            "first_bytes": store.ask(do="memory")["bytes"],
            "disk": store.ask(do="size")["bytes"] / count,
        }
        recall = asked(store, exact=False)
        figures |= {"recall": recall, "bytes": store.ask(do="memory")["bytes"]}
    return figures | _besides(arm, folder, corpus, count, rebuild=rebuild, found=recall["ids"])


def _besides(
    arm: Arm, folder: Path, corpus: Path, count: int, *, rebuild: bool, found: list[list[str]]
) -> dict[str, Any]:
    """What would have changed the figures of the first process."""
    with Running(arm, folder, corpus) as store:
        exact = asked(store, exact=True, count=100, warm=20)
    figures: dict[str, Any] = {"exact": exact, "accuracy": shared(found, exact["ids"])}
    if rebuild:
        with Running(arm, folder, corpus) as store:
            took = store.ask(do="rebuild")
            figures |= {"rebuild_s": took["wall_s"], "rebuild_cpu_s": took["cpu_s"]}
    return figures | written(arm, folder, corpus, count)


def written(arm: Arm, folder: Path, corpus: Path, count: int) -> dict[str, Any]:
    """One memory at a time; a store that is kept has these besides from then on."""
    with Running(arm, folder, corpus) as store:
        took = store.ask(do="write", start=count, count=WRITTEN)
        mixed = store.ask(do="interleave", start=count + WRITTEN, count=WRITTEN // 3, limit=LIMIT)
    return {
        "remember": spread(took["ms"]),
        "remember_cpu_ms": 1e3 * took["cpu_s"] / WRITTEN,
        "after_write_p50_ms": statistics.median(mixed["recall_ms"][WRITTEN // 6 :]),
    }


def beside(arm: Arm, folder: Path, corpus: Path, count: int) -> dict[str, Any]:
    """A peer's figures at one size."""
    figures = filled(arm, folder, corpus, count)
    with Running(arm, folder, corpus) as store:
        first = store.ask(do="recall", count=1, limit=LIMIT)
        figures |= {
            "open_ms": 1e3 * store.opened["wall_s"],
            "first_s": store.opened["wall_s"] + first["wall_s"],
            "first_cpu_s": store.opened["cpu_s"] + first["cpu_s"],
            "disk": store.ask(do="size")["bytes"] / count,
        }
        recall = asked(store, exact=False)
        figures |= {"recall": recall, "bytes": store.ask(do="memory")["bytes"]}
    nearest = nearest_vectors(corpus, count)
    figures["accuracy"] = shared(recall["ids"], nearest)
    return figures | written(arm, folder, corpus, count)


def nearest_vectors(corpus: Path, count: int) -> list[list[str]]:
    """The numbers of the ten vectors nearest to each question."""
    queries = np.fromfile(corpus / "questions.f32", "<f4").reshape(-1, DIMENSIONS)[:ASKED]
    vectors = np.memmap(corpus / "texts.f32", "<f4", "r").reshape(-1, DIMENSIONS)[:count]
    best: list[tuple[Any, Any]] = []
    for start in range(0, count, 50_000):
        similar = queries @ vectors[start : start + 50_000].T
        places = np.argpartition(similar, -LIMIT, axis=1)[:, -LIMIT:]
        best.append((np.take_along_axis(similar, places, axis=1), places + start))
    values, numbers = (np.concatenate(one, axis=1) for one in zip(*best, strict=True))
    order = np.argsort(-values, axis=1)[:, :LIMIT]
    return [[str(number) for number in row] for row in np.take_along_axis(numbers, order, axis=1)]


# ---------------------------------------------------------------------- showing


def verdicts(sizes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What stands against the floors."""
    found: dict[str, Any] = {}
    for size, stores in sizes.items():
        own = stores["haulout"]
        if size not in FLOORS or "recall" not in own:
            continue
        floor, goal = FLOORS[size]
        value = own["recall"]["p50_ms"]
        found[f"recall_{size}"] = {
            "what": f"recall p50 at {size:,} memories, ms (floor {floor:g}, goal {goal:g})",
            "value": value,
            "verdict": verdict(value, floor, goal),
        }
        found[f"accuracy_{size}"] = {
            "what": f"exact answers found at {size:,} memories (floor 0.97)",
            "value": own["accuracy"],
            "verdict": verdict(own["accuracy"], 0.97, 0.97, more_is_better=True),
        }
        found[f"open_{size}"] = {
            "what": f"open at {size:,} memories, s (floor 2)",
            "value": own["open_ms"] / 1e3,
            "verdict": verdict(own["open_ms"] / 1e3, 2.0, 0.2),
        }
    return found


COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], Any], str], ...] = (
    ("recall p50 ms", lambda f: f["recall"]["p50_ms"], ".1f"),
    ("p95", lambda f: f["recall"]["p95_ms"], ".1f"),
    ("CPU", lambda f: f["recall"]["cpu_ms"], ".1f"),
    ("all compared p50", lambda f: f["exact"]["p50_ms"], ".1f"),
    ("found of exact", lambda f: f["accuracy"], ".3f"),
    ("after a write", lambda f: f["after_write_p50_ms"], ".1f"),
    ("open ms", lambda f: f["open_ms"], ".0f"),
    ("first recall s", lambda f: f["first_s"], ".2f"),
    ("its CPU", lambda f: f["first_cpu_s"], ".2f"),
    ("remember ms", lambda f: f["remember"]["p50_ms"], ".2f"),
    ("in batches µs", lambda f: f["batch_us"], ".0f"),
    ("lists s", lambda f: f["settle_s"], ".1f"),
    ("rebuild s", lambda f: f["rebuild_s"], ".1f"),
    ("disk bytes each", lambda f: f["disk"], ",.0f"),
    ("memory MB", lambda f: f["bytes"] / 1e6, ",.0f"),
)


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title="one figure a row, one store and size a column")
    table.add_column("")
    columns: list[dict[str, Any]] = []
    for size, stores in figures["sizes"].items():
        for name, found in stores.items():
            table.add_column(f"{name}\n{size:,}", justify="right")
            columns.append(found)
    for heading, value, form in COLUMNS:
        table.add_row(heading, *(_cell(found, value, form) for found in columns))
    console.print(table)
    show_verdicts(figures["verdicts"], console)


def _cell(found: dict[str, Any], value: Callable[[dict[str, Any]], Any], form: str) -> str:
    if "failed" in found:
        return "cannot"
    try:
        return format(value(found), form)
    except KeyError:
        return ""


def picture(figures: dict[str, Any]) -> Callable[[Any], Any]:
    def draw(plt: Any) -> Any:
        plt.rcParams.update({"font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold"})
        figure, panels = plt.subplots(2, 3, figsize=(14, 7.6))
        for panel, (title, unit, lines) in zip(panels.flat, PANELS, strict=True):
            _curves(panel, title, unit, lines, figures["sizes"])
        floors = [(size, floor) for size, (floor, _) in FLOORS.items() if size in figures["sizes"]]
        if floors:
            panels[0, 0].plot(
                *zip(*floors, strict=True), "_", color=FLOOR_COLOUR, ms=18, mew=1.6, label="floor"
            )
            panels[0, 0].legend(frameon=False, fontsize=8)
        figure.suptitle("Haulout as a vault grows (vectors given, one thread)", y=0.995)
        return figure

    return draw


Line = tuple[str, str, str, str, Callable[[dict[str, Any]], Any]]
_OWN, _EXACT, _PEER = (
    ("haulout", HAULOUT_COLOUR),
    ("haulout", EXACT_COLOUR),
    ("chroma", PEER_COLOUR),
)
PANELS: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    (
        "recall, ten answers",
        "ms",
        (
            (*_OWN, "-", "p50", lambda f: f["recall"]["p50_ms"]),
            (*_OWN, ":", "p95", lambda f: f["recall"]["p95_ms"]),
            (*_EXACT, "-", "every vector compared", lambda f: f["exact"]["p50_ms"]),
            (*_PEER, "-", "chroma, vectors alone", lambda f: f["recall"]["p50_ms"]),
        ),
    ),
    (
        "remember",
        "ms a memory",
        (
            (*_OWN, "-", "one at a time, durable", lambda f: f["remember"]["p50_ms"]),
            (*_OWN, ":", "in batches", lambda f: f["batch_us"] / 1e3),
            (*_PEER, "-", "chroma, one", lambda f: f["remember"]["p50_ms"]),
            (*_PEER, ":", "chroma, batches", lambda f: f["batch_us"] / 1e3),
        ),
    ),
    (
        "open, first recall, lists, rebuild",
        "s",
        (
            (*_OWN, ":", "open", lambda f: f["open_ms"] / 1e3),
            (*_OWN, "-", "open and first recall", lambda f: f["first_s"]),
            (
                *_EXACT,
                ":",
                "divide into lists",
                lambda f: f["settle_s"] if f["settle_s"] > 0.1 else np.nan,
            ),
            (*_EXACT, "-", "rebuild", lambda f: f["rebuild_s"]),
            (*_PEER, "-", "chroma, first", lambda f: f["first_s"]),
        ),
    ),
    (
        "disk",
        "bytes a memory",
        (
            (*_OWN, "-", "encrypted, words and vector", lambda f: f["disk"]),
            (*_PEER, "-", "chroma", lambda f: f["disk"]),
        ),
    ),
    (
        "memory of the process",
        "MB",
        (
            (*_OWN, "-", "after 300 recalls", lambda f: f["bytes"] / 1e6),
            (*_OWN, ":", "after the first", lambda f: f["first_bytes"] / 1e6),
            (*_PEER, "-", "chroma", lambda f: f["bytes"] / 1e6),
        ),
    ),
    (
        "answers found of the exact ten",
        "share",
        (
            (*_OWN, "-", "words and vector", lambda f: f["accuracy"]),
            (*_PEER, "-", "chroma, vectors alone", lambda f: f["accuracy"]),
        ),
    ),
)


def _curves(
    panel: Any, title: str, unit: str, lines: Sequence[Line], sizes: dict[int, dict[str, Any]]
) -> None:
    share = unit == "share"
    for store, colour, style, label, value in lines:
        points: list[tuple[int, float]] = []
        for size, stores in sizes.items():
            try:
                points.append((size, value(stores[store])))
            except KeyError:
                continue
        if not points:
            continue
        panel.plot(*zip(*points, strict=True), style, color=colour, marker="o", ms=4, label=label)
        size, last = points[-1]
        if style == "-" and np.isfinite(last):
            said = f"{last:.3f}" if share else f"{last:,.0f}" if last >= 100 else f"{last:.3g}"
            panel.annotate(
                said, (size, last), (6, -3), textcoords="offset points", color=colour, fontsize=8
            )
    panel.set_xscale("log")
    if share:
        panel.set_ylim(0.9, 1.005)
        panel.axhline(0.97, color=FLOOR_COLOUR, lw=1, ls="--", label="floor")
    elif title == "disk":
        panel.set_ylim(0, 1.25 * panel.dataLim.y1)
    else:
        panel.set_yscale("log", subs=[2, 5])
        panel.set_ylim(top=panel.dataLim.y1 * 2 * 2 ** len(lines))  # room for the legend
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    panel.set(title=title, ylabel=unit, xlabel="memories")
    panel.set_xticks(list(sizes), [_short(size) for size in sizes])
    panel.minorticks_off()
    panel.margins(x=0.14)
    panel.grid(visible=True, which="major", color="#e3e7e9", lw=0.7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8, loc="best" if share else "upper left")


def _short(size: int) -> str:
    return f"{size // 1_000_000}M" if size >= 1_000_000 else f"{size // 1_000}k"


# ---------------------------------------------------------------------- running


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="haulout-curves-") as name:
        yield Path(name)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--sizes", type=int, nargs="+", help="instead of 10k, 100k and 1M")
    made.add_argument("--folder", type=Path, help="keep the filled stores here, and use them")
    made.add_argument(
        "--rebuild-at-most", type=int, default=1_000_000, help="memories a rebuild is timed with"
    )
    made.add_argument(
        "--peers-at-most", type=int, default=100_000, help="memories a peer is filled with"
    )
    return made.parse_args()


def main() -> int:
    arguments = _arguments()
    console = pick_console()
    sizes = tuple(arguments.sizes or ((1_000, 4_000) if arguments.quick else SIZES))
    figures: dict[str, Any] = {"machine": machine()}
    found: dict[int, dict[str, Any]] = {}
    with _place(arguments.folder) as place:
        corpus = place / f"corpus-{max(sizes)}"
        if not (corpus / "questions.txt").exists():
            write_clustered(corpus, max(sizes) + SPARE)
        others = [] if arguments.no_peers else peers(console.print, (chroma,))
        for size in sizes:
            found[size] = {}
            arms = [haulout(), *(others if size <= arguments.peers_at_most else [])]
            for arm in arms:
                console.print(f"{arm.name}, {size:,} ...")
                folder = place / f"{arm.name}-{size}"
                try:
                    if arm.name == "haulout":
                        own = measure(
                            arm, folder, corpus, size, rebuild=size <= arguments.rebuild_at_most
                        )
                    else:
                        own = beside(arm, folder, corpus, size)
                except StoreFailed as error:
                    own = {"failed": str(error)}
                found[size][arm.name] = own
    for stores in found.values():
        for own in stores.values():
            for kind in ("recall", "exact"):
                own.get(kind, {}).pop("ids", None)
    figures |= {"sizes": found, "verdicts": verdicts(found)}
    show(figures, console)
    write_files(arguments, figures, picture(figures), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
