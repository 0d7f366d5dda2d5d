"""The pictures of the report, as SVG text. Same figures, same bytes: no dates, no random IDs."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trading.arms import ARMS, COLOURS, MAIN, colour
from trading.words import figure_text

INK, FAINT, LINE = "#22313a", "#6b7b84", "#d7dee2"
_STYLE: Final = {
    "svg.hashsalt": "haulout", "svg.fonttype": "path", "font.family": "DejaVu Sans",
    "font.size": 9.0, "axes.edgecolor": LINE, "axes.labelcolor": FAINT, "text.color": INK,
    "xtick.color": FAINT, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.titlecolor": INK, "figure.facecolor": "white",
}  # fmt: skip
_IDS: Final = re.compile(r"<\?xml.*?<svg ", re.DOTALL)
_WIDTH: Final = 9.2


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG; ``name`` keeps its IDs apart from those of others on one page."""
    written = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"haulout {name}"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return _IDS.sub("<svg ", written.getvalue(), count=1)


def figures(told: Mapping[str, Any]) -> dict[str, str]:
    """Every picture of the report, by name."""
    with mpl.rc_context(_STYLE):
        return {
            "arms": svg(_arms(told), "arms"),
            "safety": svg(_safety(told), "safety"),
            "rates": svg(_rates(told), "rates"),
            "times": svg(_times(told), "times"),
            "architectures": svg(_architectures(told), "architectures"),
            "sensitivity": svg(_sensitivity(told), "sensitivity"),
            "gap": svg(_gap(told), "gap"),
        }


# ---------------------------------------------------------------------- parts


def _spread(one: Mapping[str, float]) -> str:
    return f"{figure_text(one['value'])}  [{figure_text(one['low'])}, {figure_text(one['high'])}]"


def _dot(
    panel: Axes, one: Mapping[str, float], at: float, tone: str, *, label: bool = True
) -> None:
    """A value with its interval, on a row; hollow where nothing was seen."""
    panel.plot(
        [one["low"], one["high"]], [at, at], color=tone, linewidth=2.2, alpha=0.45,
        solid_capstyle="round", zorder=2,
    )  # fmt: skip
    hollow = one["value"] == 0
    panel.plot(
        [one["value"]], [at], "o", markersize=6, color=tone, zorder=3,
        markerfacecolor="white" if hollow else tone, markeredgewidth=1.6, clip_on=False,
    )  # fmt: skip
    if label:
        panel.annotate(
            _spread(one), (1.0, at), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=7.8, color=FAINT,
        )  # fmt: skip


def _rows(panel: Axes, names: Sequence[str], tones: Sequence[str] | None = None) -> None:
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, labelsize=8.5, pad=8)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color=LINE, linewidth=0.6)
    panel.set_axisbelow(True)
    for label, tone in zip(panel.get_yticklabels(), tones or (), strict=False):
        label.set_color(tone)


def _wide(panel: Axes, most: float, below: float = 10.0) -> None:
    """A scale from zero that is linear at first and logarithmic later."""
    panel.set_xscale("symlog", linthresh=below, linscale=0.6)
    panel.set_xlim(0, max(2 * below, 1.3 * most))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())


# ---------------------------------------------------------------------- the pictures


def _arms(told: Mapping[str, Any]) -> Figure:
    names = [name for name in told["arms"] if name not in {"backtest", "continuous"}]
    figure, panel = plt.subplots(figsize=(_WIDTH, 0.36 * len(names) + 1.1))
    for at, name in enumerate(names):
        _dot(panel, told["arms"][name]["deviations"], at, colour(name))
    _rows(panel, [f"{name}: {ARMS[name].words}" for name in names], [colour(one) for one in names])
    _wide(panel, max(told["arms"][name]["deviations"]["high"] for name in names))
    panel.set_xlabel("strategy deviations per 1,000 sessions, 95 % interval")
    figure.subplots_adjust(left=0.40, right=0.80, top=0.98, bottom=0.13)
    return figure


def _safety(told: Mapping[str, Any]) -> Figure:
    names = [name for name in told["arms"] if name not in {"backtest", "continuous"}]
    figure, panels = plt.subplots(1, 2, figsize=(_WIDTH, 0.33 * len(names) + 1.2), sharey=True)
    for panel, key, title in (
        (panels[0], "ledger_duplicates", "Duplicate entries in the ledger"),
        (panels[1], "silent_sessions", "Sessions silenced by the guard"),
    ):
        for at, name in enumerate(names):
            one = told["arms"][name][key]
            _dot(panel, one, at, colour(name), label=False)
            shown = f"≤ {figure_text(one['high'])}" if one["value"] == 0 else one["value"]
            panel.annotate(
                shown if isinstance(shown, str) else figure_text(shown), (one["high"], at),
                xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.8,
                color=FAINT,
            )  # fmt: skip
        panel.set_title(title)
        panel.set_xlabel("per 1,000 sessions")
        panel.set_xlim(left=0)
        panel.margins(x=0.12)
        _rows(panel, names, [colour(one) for one in names])
        panel.set_xlim(left=0)
    panels[1].tick_params(labelleft=False)
    figure.subplots_adjust(left=0.17, right=0.97, top=0.92, bottom=0.13, wspace=0.08)
    return figure


def _rates(told: Mapping[str, Any]) -> Figure:
    figure, panel = plt.subplots(figsize=(_WIDTH, 3.9))
    rates = [float(one) for one in told["rates"]]
    least = min(
        one[arm]["low"] or one[arm]["value"] or one[arm]["high"]
        for one in told["rates"].values()
        for arm in MAIN[1:]
    )
    for arm in MAIN[1:]:
        every = [told["rates"][one][arm] for one in told["rates"]]
        seen = [(rate, one) for rate, one in zip(rates, every, strict=True) if one["value"] > 0]
        panel.plot(
            [rate for rate, _ in seen], [one["value"] for _, one in seen], color=colour(arm),
            linewidth=1.4, alpha=0.6,
        )  # fmt: skip
        for rate, one in zip(rates, every, strict=True):
            was = one["value"] > 0
            panel.plot(
                [rate, rate], [max(one["low"], least / 2), one["high"]], color=colour(arm),
                alpha=0.45, linewidth=2.2, solid_capstyle="round",
            )  # fmt: skip
            panel.plot(
                [rate], [one["value"] if was else one["high"]], "o" if was else "v",
                color=colour(arm), markersize=6, markeredgewidth=1.6,
                markerfacecolor=colour(arm) if was else "white",
            )  # fmt: skip
        last = every[-1]
        panel.annotate(
            arm if last["value"] > 0 else f"{arm}: none seen,\nupper limit",
            (rates[-1], last["value"] or last["high"]), xytext=(9, 0),
            textcoords="offset points", va="center", color=colour(arm), fontweight="bold",
            fontsize=8.8,
        )  # fmt: skip
    for rate, name in zip(rates, told["rates"], strict=True):
        one = told["rates"][name]["against session-bound"]
        two = told["rates"][name]["against reconcile-only"]
        panel.annotate(
            f"≥ {100 * one['low']:.1f} %\n≥ {100 * two['low']:.1f} %", (rate, 1.02),
            xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7.8,
            color=FAINT,
        )  # fmt: skip
    panel.annotate(
        "lower bound of the reduction\nto session-bound / reconcile-only", (-0.015, 1.02),
        xycoords="axes fraction", ha="right", va="bottom", fontsize=7.2, color=FAINT,
    )  # fmt: skip
    panel.set(xscale="log", yscale="log", xlabel="fault rate, as a multiple of the profile's own")
    panel.set_ylabel("deviations per 1,000 sessions")
    panel.set_xticks(rates, [f"{one:g}" for one in rates])
    panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    panel.grid(axis="y", color=LINE, linewidth=0.6)
    figure.subplots_adjust(left=0.21, right=0.80, top=0.85, bottom=0.13)
    return figure


def _times(told: Mapping[str, Any]) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(_WIDTH, 3.4), sharey=True)
    for panel, key, title, most in (
        (panels[0], "ready", "Until it is safe to act", 3.0),
        (panels[1], "again", "Until an entry that was wanted", 180.0),
    ):
        ends: list[tuple[float, str]] = []
        for arm in MAIN[1:]:
            one = told["times"][arm][key]
            at = [x for x in one["at"] if x <= most]
            share = one["share"][: len(at)]
            panel.step([*at, most], [*share, share[-1]], where="post", color=colour(arm), lw=2)
            ends.append((share[-1], arm))
        _label_ends(panel, most, ends)
        panel.axhline(0.5, color=FAINT, linewidth=0.7, linestyle=(0, (2, 3)))
        panel.set_title(title)
        panel.set(xlim=(0, most), ylim=(0, 1.02), xlabel="minutes after the link is back")
        panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        panel.grid(axis="y", color=LINE, linewidth=0.6)
    panels[0].set_ylabel("disconnects still waiting")
    figure.subplots_adjust(left=0.08, right=0.88, top=0.90, bottom=0.15, wspace=0.42)
    return figure


def _label_ends(panel: Axes, most: float, ends: list[tuple[float, str]]) -> None:
    """Name curves where they end, one above the other."""
    place = -1.0
    for height, arm in sorted(ends):
        place = max(height, place + 0.075)
        panel.annotate(
            arm, (most, place), xytext=(5, 0), textcoords="offset points", va="center",
            color=colour(arm), fontsize=8.3, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


_AGAINST: Final = {
    "session-bound": "session-bound", "reconcile-only": "reconcile-only",
    "server-side": "server-side", "pine": "pine", "globals": "globals",
    "globals-flushed": "globals-flushed",
}  # fmt: skip


def _architectures(told: Mapping[str, Any]) -> Figure:
    figure, panels = plt.subplots(1, 2, figsize=(_WIDTH, 4.3), width_ratios=(1.25, 1))
    words = {name: one["words"] for name, one in told["design"]["profiles"].items()}
    for panel, kind, title in (
        (panels[0], "own", "At each architecture's own rates"),
        (panels[1], "equal", "At one disconnect a session for all"),
    ):
        names: list[str] = []
        at = 0
        heads: list[tuple[int, str]] = []
        for profile, gains in told["architectures"][kind].items():
            heads.append((at, words[profile]))
            names.append("")
            at += 1
            for other in sorted(gains, key=list(_AGAINST).index):
                _dot(panel, gains[other], at, colour(other), label=False)
                panel.annotate(
                    figure_text(gains[other]["value"]), (gains[other]["high"], at),
                    xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.6,
                    color=FAINT,
                )  # fmt: skip
                names.append(f"beside {other}")
                at += 1
        _rows(panel, names)
        panel.axvline(0, color=FAINT, linewidth=0.8)
        for height, text in heads:
            panel.annotate(
                text, (0, height), xycoords=("axes fraction", "data"), xytext=(4, -3),
                textcoords="offset points", fontsize=8.6, fontweight="bold", va="center",
            )  # fmt: skip
        panel.tick_params(axis="y", labelsize=7.6)
        panel.set_title(title)
        panel.margins(x=0.14)
        panel.set_xlabel("deviations fewer per 1,000 sessions")
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.subplots_adjust(left=0.15, right=0.98, top=0.93, bottom=0.11, wspace=0.42)
    return figure


def _sensitivity(told: Mapping[str, Any]) -> Figure:
    groups = {
        "Outage length, times the profile's": told["sensitivity"]["outage"],
        "User's settings": told["sensitivity"]["user"],
        "Strategy": {
            name.removeprefix("strategy "): one
            for name, one in told["groups"].items()
            if name.startswith("strategy")
        },
        "Market": {
            name.removeprefix("market "): one
            for name, one in told["groups"].items()
            if name.startswith("market")
        },
    }
    most = max(one[arm]["high"] for group in groups.values() for one in group.values()
               for arm in MAIN[1:])  # fmt: skip
    figure, panels = plt.subplots(2, 2, figsize=(_WIDTH, 4.6), sharex=True)
    for panel, (title, group) in zip(panels.flat, groups.items(), strict=True):
        for at, one in enumerate(group.values()):
            for shift, arm in zip((-0.22, 0.0, 0.22), MAIN[1:], strict=True):
                _dot(panel, one[arm], at + shift, colour(arm), label=False)
        _rows(panel, list(group))
        _wide(panel, most)
        panel.set_title(title)
    for panel in panels[1]:
        panel.set_xlabel("deviations per 1,000 sessions")
    for place, arm in enumerate(MAIN[1:]):
        figure.text(
            0.13 + 0.17 * place, 0.965, f"● {arm}", color=colour(arm), fontsize=9,
            fontweight="bold",
        )  # fmt: skip
    figure.subplots_adjust(left=0.13, right=0.98, top=0.88, bottom=0.11, wspace=0.30, hspace=0.36)
    return figure


def _gap(told: Mapping[str, Any]) -> Figure:
    gap = told["gap"]
    shares = {name: 100 * gap[name]["value"] for name in MAIN}
    steps = (
        ("costs and fills", 0.0, shares["continuous"], COLOURS["continuous"]),
        ("outages, with memory", shares["continuous"], shares["persistent"],
         COLOURS["persistent"]),
        ("memory lost, venue asked", shares["persistent"], shares["reconcile-only"],
         COLOURS["reconcile-only"]),
        ("venue not asked", shares["reconcile-only"], shares["session-bound"],
         COLOURS["session-bound"]),
    )  # fmt: skip
    figure, panel = plt.subplots(figsize=(_WIDTH, 2.2))
    for at, (_, start, end, tone) in enumerate(steps):
        panel.barh(at, end - start, left=start, color=tone, height=0.62)
        panel.annotate(
            f"{round(end - start, 1) + 0.0:+.1f} points", (max(start, end), at), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=8.4, color=INK,
        )  # fmt: skip
    _rows(panel, [name for name, *_ in steps])
    panel.set_xlim(0, 1.18 * max(max(one[1:3]) for one in steps))
    panel.set_xlabel("orders that are not the backtest's, percent of the backtest's orders")
    figure.subplots_adjust(left=0.22, right=0.97, top=0.98, bottom=0.22)
    return figure
