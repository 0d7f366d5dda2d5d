"""The timeline: one row a run, time from left to right, a mark for each thing that happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from runs import Run
from tap import Mark

_WIDTH, _LEFT, _RIGHT = 1080, 250, 190
_ROW, _HEAD, _PANEL = 50, 74, 40
_INK, _FAINT, _RED, _GREEN, _BLUE, _AMBER = (
    "#1f2933", "#9aa5b1", "#c0362c", "#1a7f4b", "#2563a8", "#b7791f",
)  # fmt: skip
_PAUSE = 1.0
"""Seconds without a mark that are drawn short: a program that is starting tells nothing."""
_SHORT = 0.35
_LEAST = 0.014
"""The part of the line that is at least between two marks: 8 points."""
_LABEL = 36


@dataclass(frozen=True)
class Sign:
    """How a mark is drawn: its name in the legend, and its place above or below the line."""

    words: str
    color: str
    place: int


SIGNS = {
    "sent": Sign("order sent", _BLUE, -1),
    "accepted": Sign("accepted at the venue", _INK, 0),
    "lost": Sign("answer lost", _RED, 1),
    "answered": Sign("answer arrived", _GREEN, 1),
    "found": Sign("looked up, and adopted", _AMBER, -1),
    "killed": Sign("SIGKILL", _RED, -1),
    "started": Sign("started again", _INK, 1),
}


def drawing(runs: Sequence[Run]) -> str:
    """The picture as SVG.

    Args:
        runs: before and after of each scenario, one after the other.
    """
    scenarios = list(dict.fromkeys(one.scenario for one in runs))
    height = _HEAD + sum(
        _PANEL + _ROW * sum(one.scenario == name for one in runs) + 12 for name in scenarios
    )
    fonts = "DejaVu Sans, Verdana, sans-serif"
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
    parts = [
        f'{begin} viewBox="0 0 {_WIDTH} {height}" font-family="{fonts}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(24, 30, "One order wanted: what reaches the venue", size=17, bold=True),
        *_legend(54),
    ]
    top = _HEAD
    for name in scenarios:
        parts += _panel(top, name, [one for one in runs if one.scenario == name])
        top += _PANEL + _ROW * sum(one.scenario == name for one in runs) + 12
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(y: float) -> list[str]:
    parts: list[str] = []
    x = 32.0
    for what, sign in SIGNS.items():
        parts += [_sign(what, x, y - 4), _text(x + 12, y, sign.words, size=11)]
        x += 36 + 6.7 * len(sign.words)
    return parts


def _panel(top: float, name: str, runs: Sequence[Run]) -> list[str]:
    scale = _Scale([one for run in runs for one in _from_first(run.marks)])
    parts = [
        f'<line x1="24" y1="{top + 6}" x2="{_WIDTH - 24}" y2="{top + 6}" stroke="#d9dee4"/>',
        _text(24, top + 28, name, size=13, bold=True),
    ]
    for place, run in enumerate(runs):
        y = top + _PANEL + _ROW * place + _ROW / 2
        words = "without Haulout" if run.arm == "before" else "with Haulout"
        parts.append(_text(40, y + 4, words, size=12))
        parts.append(
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="{_FAINT}"/>'
        )
        marks = [one for one in _from_first(run.marks) if one.what in SIGNS]
        for at, ahead in scale.breaks():
            if marks and marks[0].at <= at and ahead <= marks[-1].at:
                parts.append(_break(scale.x(at), scale.x(ahead), y, ahead - at))
        labelled = -_LABEL
        for mark in _once(marks, scale):
            x = scale.x(mark.at)
            parts.append(_sign(mark.what, x, y + 10 * SIGNS[mark.what].place))
            if mark.what in {"sent", "found"}:
                words = f"{mark.at:.2f} s"
                beside = x - labelled < _LABEL
                spot = (x + 9, y - 7) if beside else (x - 9, y - 17)
                parts.append(_text(*spot, words, size=9, color="#52606d"))
                labelled = x
        right = run.orders == run.wanted
        plural = "order" if run.orders == 1 else "orders"
        color = _GREEN if right else _RED
        parts.append(
            _text(
                _WIDTH - _RIGHT + 16, y, f"{run.orders} {plural}", size=13, bold=True, color=color
            )
        )
        knows = "the bot knows all" if run.agrees else f"the bot knows of {run.known}"
        parts.append(_text(_WIDTH - _RIGHT + 16, y + 15, knows, size=11, color="#52606d"))
    return parts


class _Scale:
    """Where a moment stands: seconds are even, but for pauses, which are drawn short."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self._times = sorted({one.at for one in marks if one.what in SIGNS})
        pairs = list(zip(self._times, self._times[1:], strict=False))
        steps = [step if (step := now - before) <= _PAUSE else _SHORT for before, now in pairs]
        # What follows in a millisecond is seen beside what it follows.
        least = sum(steps) * _LEAST
        self._places = [0.0]
        for step in steps:
            self._places.append(self._places[-1] + max(step, least))
        self._all = max(self._places[-1], 0.001)

    def x(self, at: float) -> float:
        """The place of a moment at which something happened."""
        width = _WIDTH - _LEFT - _RIGHT - 40
        return _LEFT + 20 + width * self._places[self._times.index(at)] / self._all

    def breaks(self) -> list[tuple[float, float]]:
        """The pauses that are drawn short."""
        pairs = zip(self._times, self._times[1:], strict=False)
        return [(before, now) for before, now in pairs if now - before > _PAUSE]


def _from_first(marks: Sequence[Mark]) -> list[Mark]:
    """Marks with times from the first order on."""
    first = next((one.at for one in marks if one.what == "sent"), 0.0)
    return [Mark(one.at - first, one.what) for one in marks if one.at >= first]


def _once(marks: Sequence[Mark], scale: _Scale) -> list[Mark]:
    """Marks of one kind that would lie on each other, once."""
    found: list[Mark] = []
    last: dict[str, float] = {}
    for one in marks:
        x = scale.x(one.at)
        if x - last.get(one.what, -99.0) >= 12:
            found.append(one)
            last[one.what] = x
    return found


_SHAPES = {
    "sent": '<path d="M-5 -5h10l-5 9z" fill="{0}"/>',
    "accepted": '<circle r="4.5" fill="{0}"/>',
    "lost": '<path d="M-4 -4l8 8m0 -8l-8 8" stroke="{0}" stroke-width="2.5"/>',
    "answered": '<path d="M-4 0l3.5 4l6 -8" fill="none" stroke="{0}" stroke-width="2"/>',
    "found": '<circle r="4.5" fill="#fff" stroke="{0}" stroke-width="2.5"/>',
    "killed": '<path d="M0 -6l6 6l-6 6l-6 -6z" fill="{0}"/>',
    "started": '<path d="M-4 -5v10l9 -5z" fill="{0}"/>',
}


def _sign(what: str, x: float, y: float) -> str:
    shape = _SHAPES[what].format(SIGNS[what].color)
    return f'<g transform="translate({x:.1f} {y:.1f})">{shape}</g>'


def _break(left: float, right: float, y: float, seconds: float) -> str:
    x = (left + right) / 2
    return f'<path d="M{x - 5} {y + 6}l4 -12m4 12l4 -12" stroke="{_FAINT}" fill="none"/>' + _text(
        x - 12, y + 19, f"{seconds:.0f} s", size=10, color="#52606d"
    )


def _text(
    x: float, y: float, words: str, *, size: int, bold: bool = False, color: str = _INK
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}"{weight} fill="{color}">{escape(words)}</text>'
