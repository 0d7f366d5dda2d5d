"""The report: one page of HTML that needs nothing else, and the figures as JSON.

The same figures give the same bytes: there is no date, no path and no machine in it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from haulout.vault.stores.tradingcosts import table
from trading import words
from trading.arms import ARMS, colour
from trading.words import figure_text

_STYLE: Final = """
:root{--ink:#22313a;--faint:#6b7b84;--line:#d7dee2;--ours:#0b6e8f}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:16px/1.6 system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:3rem 1.25rem 5rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.3rem;margin:3rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line)}
p,li{max-width:44rem}
.lead{font-size:1.15rem;color:var(--faint)}
figure{margin:1.25rem 0}
figure svg{width:100%;height:auto;display:block}
figcaption{color:var(--faint);font-size:.88rem;margin-top:.35rem;max-width:44rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child{text-align:left}
thead th{color:var(--faint);font-weight:600;border-bottom-width:2px}
.worded th,.worded td{text-align:left}
.worded td:first-child{width:11rem}
small{color:var(--faint);white-space:nowrap}
.big{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:1rem;margin:1.5rem 0}
.big div{border-top:3px solid var(--ours);padding-top:.5rem}
.big b{display:block;font-size:1.7rem;line-height:1.2}
.big span{color:var(--faint);font-size:.88rem}
code{font-size:.9em}
@media print{h2{break-after:avoid}figure{break-inside:avoid}}
"""


def as_json(told: Mapping[str, Any]) -> str:
    """The figures."""
    return json.dumps(told, indent=1) + "\n"


def as_html(told: Mapping[str, Any]) -> str:
    """The page. Needs matplotlib (benchmarks/requirements.txt)."""
    from trading.plots import figures

    pictures = figures(told)
    parts = [
        f"<h1>{words.TITLE}</h1>",
        f'<p class="lead">{words.lead(told)}</p>',
        _big(told),
        _list(words.findings(told)),
        _section("What is compared"),
        _paragraphs(words.COMPARED),
        _arms_table(told),
        _section("How often a bot does what it should not"),
        _figure(pictures["arms"], words.CAPTIONS["arms"], "Deviations by arm"),
        _types_table(told),
        _section("Duplicates, and what safety costs"),
        _paragraphs(words.SAFETY),
        _figure(pictures["safety"], words.CAPTIONS["safety"], "Duplicates and silence by arm"),
        _classes_table(told),
        _section("Until a bot may act again"),
        _figure(pictures["times"], words.CAPTIONS["times"], "Kaplan-Meier curves"),
        _times_table(told),
        _section("At every fault rate"),
        _figure(pictures["rates"], words.CAPTIONS["rates"], "Deviations by fault rate"),
        _section("Who gains most"),
        _paragraphs([words.architectures(told)]),
        _figure(pictures["architectures"], words.CAPTIONS["architectures"], "Gains"),
        _profiles_table(told),
        _section("What it depends on"),
        _figure(pictures["sensitivity"], words.CAPTIONS["sensitivity"], "Sensitivity"),
        _section("From the backtest to the account"),
        _figure(pictures["gap"], words.CAPTIONS["gap"], "The gap, step by step"),
        _section("The source's tables, and ours beside them"),
        _paragraphs(words.SOURCE),
        _source_table(told),
        _list(words.arithmetic(told)),
        _cost_table(),
        _section("What did not come out, and what this cannot show"),
        _list(words.negatives(told)),
        _section("How it was measured"),
        _list(words.method(told)),
        _controls_table(told),
        _facts_table(told),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{words.TITLE}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


# ---------------------------------------------------------------------- parts


def _section(title: str) -> str:
    return f"<h2>{html.escape(title)}</h2>"


def _paragraphs(texts: Sequence[str]) -> str:
    return "\n".join(f"<p>{text}</p>" for text in texts)


def _list(texts: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{text}</li>" for text in texts) + "</ul>"


def _figure(picture: str, caption: str, label: str) -> str:
    drawn = picture.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    top = "".join(f'<th scope="col">{one}</th>' for one in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table></div>"
    )


def cell(one: Mapping[str, float] | None, unit: str = "") -> str:
    """A value with its interval below it."""
    if one is None:
        return "—"
    return (
        f"{figure_text(one['value'])}{unit}<br><small>{figure_text(one['low'])} to"
        f" {figure_text(one['high'])}</small>"
    )


def percent(one: Mapping[str, float] | None) -> str:
    """A share with its interval, in percent."""
    if one is None:
        return "—"
    scaled = {name: 100 * one[name] for name in ("value", "low", "high")}
    return f"{scaled['value']:.1f} %<br><small>{scaled['low']:.1f} to {scaled['high']:.1f}</small>"


def _named(arm: str) -> str:
    return f'<b style="color:{colour(arm)}">{arm}</b>'


def minutes(one: Mapping[str, Any]) -> str:
    """A median from a survival curve; a limit that was not reached is a dash."""

    def shown(value: float | None) -> str:
        return "—" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"

    middle = "not reached" if one["median"] is None else f"{shown(one['median'])} min"
    return (
        f"{middle}<br><small>{shown(one['low'])} to {shown(one['high'])};"
        f" {one['events']} of {one['cases']}</small>"
    )


def _big(told: Mapping[str, Any]) -> str:
    shown = "".join(
        f"<div><b>{value}</b><span>{text}</span></div>" for value, text in words.big(told)
    )
    return f'<div class="big">{shown}</div>'


def _arms_table(told: Mapping[str, Any]) -> str:
    rows = [[_named(name), html.escape(ARMS[name].words)] for name in told["arms"]]
    return _table(("arm", "what it has after a disconnect"), rows, "worded")


_TYPES: Final = {
    "duplicate_entries": "duplicate entry", "limit_breaks": "limit broken",
    "wrong_parameters": "wrong parameters or plan", "missed_exits": "missed exit",
    "missed_entries": "missed entry",
}  # fmt: skip


def _types_table(told: Mapping[str, Any]) -> str:
    head = ("per 1,000 sessions", "all", *_TYPES.values(), "sessions with any", "unprotected, min")
    rows = [
        [
            _named(name),
            cell(one["deviations"]),
            *(figure_text(one[kind]["value"]) for kind in _TYPES),
            cell(one["deviating_sessions"]),
            cell(one["unprotected_min"]),
        ]
        for name, one in told["arms"].items()
        if name != "backtest"
    ]
    return _table(head, rows)


def _classes_table(told: Mapping[str, Any]) -> str:
    head = (
        "venue's class", "arm", "duplicates in the ledger", "deviations per 1,000",
        "sessions silenced per 1,000",
    )  # fmt: skip
    rows = [
        [
            kind,
            _named(arm),
            f"{one['ledger_duplicates']} in {one['sessions']:,} sessions",
            cell(one["deviations"]),
            cell(one["silent_sessions"]),
        ]
        for kind, arms in told["classes"].items()
        for arm, one in arms.items()
    ]
    return _table(head, rows)


def _times_table(told: Mapping[str, Any]) -> str:
    rows = [
        [_named(name), minutes(one["ready"]), minutes(one["again"])]
        for name, one in told["times"].items()
    ]
    head = ("arm", "median until safe to act", "median until a wanted entry")
    return _table(head, rows)


def _profiles_table(told: Mapping[str, Any]) -> str:
    rows = [
        [
            html.escape(told["design"]["profiles"][name]["words"]),
            figure_text(one["disconnects"]["value"]),
            _named(arm),
            cell(found["deviations"]),
            cell(found["ledger_duplicates"]),
            cell(found["silent_sessions"]),
        ]
        for name, one in told["profiles"].items()
        for arm, found in one["arms"].items()
    ]
    head = (
        "architecture", "disconnects a session", "arm", "deviations", "duplicates", "silenced",
    )  # fmt: skip
    return _table(head, rows)


def _source_table(told: Mapping[str, Any]) -> str:
    some, arms, times = told["calibrated"], told["arms"], told["calibrated"]["times"]
    dups = some["duplicates"]
    ours = [
        [
            "Deviations per 1,000 sessions",
            "0 / 17 / 6",
            "0 by definition",
            cell(some["session-bound"]),
            cell(some["reconcile-only"]),
            cell(some["persistent"]),
        ],
        [
            "Median until safe to act",
            "— / 4.2 / 1.1 min",
            "—",
            *(minutes(times[arm]["ready"]) for arm in words.OURS),
        ],
        [
            "Median until a wanted entry",
            "— / 4.2 / 1.1 min",
            "—",
            *(minutes(times[arm]["again"]) for arm in words.OURS),
        ],
        [
            "Duplicates per 1,000 sessions",
            "— / 11 / 2, in all",
            "0",
            *(cell(dups[arm]) for arm in words.OURS),
        ],
        [
            "Mean of the deepest drawdown, % (at a full rate)",
            "— / 18.7 / 12.3",
            cell(arms["continuous"]["drawdown"]),
            *(cell(arms[arm]["drawdown"]) for arm in words.OURS),
        ],
        [
            "Share of drawdown due to lost state (at a full rate)",
            "— / 4.7 / 1.2, percent of an account",
            "0",
            *(percent(arms[arm]["lost_share"]) for arm in words.OURS),
        ],
    ]
    head = (
        "", "source: continuous / session-bound / persistent", "continuous", "session-bound",
        "reconcile-only", "persistent",
    )  # fmt: skip
    return _table(head, ours)


def _cost_table() -> str:
    found = table()
    rows = [
        [
            f"${one.account:,.0f}",
            f"${one.target:,.0f}",
            f"${one.fee:,.0f}",
            f"{one.share:g} %",
            f"${one.local:g} ({one.share_local:g} %)",
        ]
        for one in found.rows
    ]
    own = "; ".join(f"{one.name} ${one.dollars:.4f}" for one in found.stores)
    head = (
        "account", f"target of {found.target_percent:g} % a month", "paid memory, a month",
        "of the target", "state on the own disk",
    )  # fmt: skip
    return _table(head, rows) + (
        f"<p>{html.escape(found.formula)}. The dollars follow from the printed shares. What copies"
        f" of a bot's state cost with Haulout, a month: {html.escape(own)}."
        " <code>haulout cost --trading</code> prints it for any account.</p>"
    )


def _controls_table(told: Mapping[str, Any]) -> str:
    names = {
        "none": "no faults: every arm as the continuous one",
        "zero": "links that break for no time: the same",
        "restart": "restarts that take no time, perfect store: persistent as continuous",
    }
    rows = [
        [
            names[name],
            f"{one['sessions']}",
            f"{one['disconnects']}",
            ("byte for byte" if not one["differ"] else f"DIFFERS: {', '.join(one['differ'])}"),
        ]
        for name, one in told["controls"].items()
    ]
    return _table(("control", "sessions", "disconnects", "equal"), rows)


def _facts_table(told: Mapping[str, Any]) -> str:
    rows = [
        [name, *(figure_text(value) for value in one.values())]
        for name, one in told["facts"].items()
    ]
    head = (
        "market", "excess kurtosis of a minute's return", "its autocorrelation, lag 1",
        "of its size, lag 1", "of its size, lag 10",
    )  # fmt: skip
    return _table(head, rows)
