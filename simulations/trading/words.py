"""What the report says in words. Every number in a sentence is read from the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trading.arms import STALE

TITLE: Final = "How much does memory help a bot that acts?"
OURS: Final = ("session-bound", "reconcile-only", "persistent")

COMPARED: Final = (
    "Every arm trades the same sessions: the same minutes, the same user, the same faults. They"
    " differ in what is left of a bot's memory after a disconnect. Fault times, fills, plans and"
    " users are drawn from streams of their own, so that adding an arm moves nothing.",
    "A <b>deviation</b> is an order that the same policy, with a memory that never lost anything"
    " <i>in the account the arm really has</i>, would not have sent in that minute; or one that it"
    " would have sent, and the arm did not, counted once for as long as it was wanted. Minutes"
    " without a link count for nobody: no memory sends an order through a dead line.",
    "The journalled arms run Haulout's own code: <code>State</code> and <code>Actor</code> reserve,"
    " act, settle and recover against a simulated venue. The others are written for this.",
)
SAFETY: Final = (
    "A guard that never lets an order pass never doubles one. So duplicates are shown beside the"
    " sessions in which a guard held an order back that was right. A <b>duplicate entry</b> is"
    " counted in the venue's ledger: two accepted entries that one signal decided.",
)
SOURCE: Final = (
    "The first table of the text that this experiment answers gives rates without intervals, from"
    " logs that are not published. Its rows are taken as definitions. The fault rate is chosen so"
    " that the session-bound bot deviates as often as printed there; everything else follows.",
)
CAPTIONS: Final = {
    "arms": "Dots: rate per 1,000 sessions; bars: 95 % intervals from 2,000 resamples of whole"
    " sessions. Hollow: none seen, and the bar ends at the exact upper limit. The scale is linear"
    " to 10 and logarithmic beyond.",
    "safety": "Left: entries that the venue accepted twice for one signal. Right: sessions in which"
    " a guard kept an order from the wire that perfect memory would have sent.",
    "times": "Shares of disconnects that still wait, by Kaplan and Meier: sessions end before"
    " everything happened, and are cut off there, not left out. Left: parameters as the user set"
    " them last, position as at the venue, entries allowed. A bot that fell back to defaults is"
    " fast, and most of the time not safe. Right: the first entry that perfect memory wanted too.",
    "rates": "Both axes are logarithmic. Triangles: none seen, drawn at the upper limit. Above the"
    " picture: by how much the persistent arm's deviations are fewer at the least (95 %).",
    "architectures": "How many deviations fewer the persistent arm has per 1,000 sessions, beside"
    " the session-bound arm, the one that asks the venue, and what bots of the kind have today.",
    "sensitivity": "The same three arms as conditions change, one at a time.",
    "gap": "Orders are compared with the backtest's by minute, side and size. Each step adds one"
    " thing. Memory closes only the last two; costs, fills and outages stay.",
}


def figure_text(value: float) -> str:
    """A figure as it is printed: three digits that count, no more."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _n(value: float) -> str:
    return figure_text(value)


def _interval(one: Mapping[str, float]) -> str:
    return f"{_n(one['value'])} [{_n(one['low'])}, {_n(one['high'])}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _span(one: Mapping[str, float] | None) -> str:
    if one is None:
        return "nothing to compare"
    return f"{_percent(one['value'])} [{_percent(one['low'])}, {_percent(one['high'])}]"


def lead(told: Mapping[str, Any]) -> str:
    """What this is, in two sentences."""
    design = told["design"]
    return (
        f"{design['sessions']:,} trading sessions of {design['minutes']} minutes, simulated, each"
        f" lived through {len(design['arms'])} ways: links break, acknowledgements get lost,"
        " processes die. Counted is what a bot does that it should not, not what it earns."
    )


def big(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The few figures on top."""
    arms, head = told["arms"], told["headline"]
    some = head["session-bound"]["deviations"]
    other = head["reconcile-only"]["deviations"]
    return [
        (
            f"{_n(arms['session-bound']['deviations']['value'])} →"
            f" {_n(arms['persistent']['deviations']['value'])}",
            "deviations per 1,000 sessions, session-bound and persistent",
        ),
        (
            f"≥ {_percent(some['low'])}",
            "fewer than session-bound; the lower end of the 95 % interval",
        ),
        (
            f"≥ {_percent(other['low'])}",
            "fewer than a bot that asks the venue after each disconnect",
        ),
        (
            f"{arms['session-bound']['ledger_duplicates_count']} →"
            f" {arms['persistent']['ledger_duplicates_count']}",
            f"duplicate entries in {told['design']['sessions']:,} sessions",
        ),
    ]


def findings(told: Mapping[str, Any]) -> list[str]:
    """What came out."""
    arms, head = told["arms"], told["headline"]
    asked = head["session-bound"]
    venue = head["reconcile-only"]
    share = 1 - (
        arms["reconcile-only"]["deviations"]["value"]
        / max(1e-9, arms["session-bound"]["deviations"]["value"])
    )
    return [
        f"Against the session-bound bot deviations are {_span(asked['deviations'])} fewer; against"
        f" the bot that asks the venue {_span(venue['deviations'])}. Sessions with any deviation:"
        f" {asked['deviating_sessions']['only_session-bound']} only there,"
        f" {asked['deviating_sessions']['only_persistent']} only with memory"
        f" (McNemar, exact, p = {asked['deviating_sessions']['p']:.2g}).",
        f"Asking the venue alone removes {_percent(share)} of the deviations: positions come back,"
        " and what the user set, cooldowns, losses of the day, used signals and plans do not.",
        "The deepest drawdown is"
        f" {_interval(asked['drawdown_points'])} percentage points deeper on average without memory"
        f" than with it, and {_interval(venue['drawdown_points'])} where the venue is asked. These"
        " are points of one synthetic account and promise nothing for another.",
        "What is left of the persistent arm's deviations comes from the seconds in which a new"
        " process starts while an order is due, and, at venues that keep no client's ID, from"
        " waiting for a person.",
    ]


def architectures(told: Mapping[str, Any]) -> str:
    """Whether the claimed order holds."""
    found = told["architectures"]
    own, equal = found["own order"], found["equal order"]

    def shown(orders: Mapping[str, Any]) -> str:
        return "; ".join(
            f"beside {other}: "
            + ", ".join(f"{name.replace('>', '&gt;')} in {_percent(p)}" for name, p in by.items())
            for other, by in orders.items()
        )

    return (
        "The claim was: cloud-hosted bots gain most, then API bots, terminals least. In what share"
        f" of the resamples that order holds, at each architecture's own rates: {shown(own)}. At"
        f" one disconnect a session for all: {shown(equal)}. The profiles are assumptions (below);"
        " the order rests on two of them, how often a disconnect ends the process and how often"
        " there is one. Beside the remedy that an architecture already has, gains are smaller:"
        " flushed global variables leave a terminal little to gain."
    )


def arithmetic(told: Mapping[str, Any]) -> list[str]:
    """Where the source's own figures do not hold."""
    some = told["calibrated"]
    high = some["persistent"]["high"]
    return [
        f"The fault rate that gives {_interval(some['session-bound'])} deviations per 1,000"
        f" sessions is {some['rate']:g} of the profile's own, or"
        f" {_n(some['disconnects_per_1000'])} disconnects per 1,000 sessions, over"
        f" {some['sessions']:,} sessions. "
        + (
            "The aim of 17 ± 2 was met."
            if some["reached"]
            else "The aim of 17 ± 2 was missed: too few sessions for it."
        )
        + f" The persistent arm has {_interval(some['persistent'])} there; the upper end is"
        f" {'below' if high < 6 else 'not below'} the source's 6.",
        "17 deviations, of which the source attributes 4 to lost state (23.5 %), cannot become 6 by"
        " memory alone: memory removes at most the 4. In this experiment every deviation of the"
        " session-bound arm comes from lost state or from waiting, since the reference has the same"
        " policy.",
        '"34 % fewer" is the ratio of its two drawdowns (18.7 and 12.3); its own rates fall by'
        " 64.7 %, its re-entry times by 73.8 %, its duplicates by 81.8 %. Without pairing, 17 and"
        " 11.2 per 1,000 in 3,200 sessions differ by no more than chance allows: ratio 0.66 [0.43,"
        " 1.01].",
        "17 and 6 in 1,000 differ: ratio 0.35 [0.14, 0.90]; 11 and 2: 0.18 [0.04, 0.82]. That is"
        " the most that can be said of them without the logs.",
        "Re-entry in 4.2 and 1.1 minutes cannot be found again: the persistent bot of its own story"
        " <i>waited</i> for the next signal. A bot that forgot is ready sooner, since it asks"
        " nothing; what takes long is the next signal, for every arm. So two times are given:"
        " until it is safe to act, and until an entry that was wanted.",
        "Its fees are said to be 10-30 % of gross profit; its own inputs give 4-20 %.",
    ]


def negatives(told: Mapping[str, Any]) -> list[str]:
    """What did not come out, and what cannot be said."""
    arms, times, classes = told["arms"], told["times"], told["classes"]
    users = told["sensitivity"]["user"]
    safe, bold = arms["down-failsafe"], arms["down-defaults"]
    profit = {name: arms[name]["profit"] for name in ("continuous", *OURS)}
    return [
        "<b>Profit.</b> Nothing here says that memory earns anything. The markets are drawn so that"
        " nothing can be earned after costs. For the record, mean result in percent of the account:"
        f" {'; '.join(f'{name} {_interval(one)}' for name, one in profit.items())}.",
        "<b>Asking the venue brings orders no nearer to the backtest.</b> Of its orders"
        f" {_percent(told['gap']['session-bound']['value'])} are others without memory,"
        f" {_percent(told['gap']['reconcile-only']['value'])} where the venue is asked,"
        f" {_percent(told['gap']['persistent']['value'])} with memory, and"
        f" {_percent(told['gap']['continuous']['value'])} without any fault, from costs and fills"
        " alone.",
        "<b>Asking the venue does not end duplicates</b>, as a smaller model before this had it:"
        " with"
        " the venue asked there are still"
        f" {arms['reconcile-only']['ledger_duplicates_count']} duplicates"
        f" (session-bound: {arms['session-bound']['ledger_duplicates_count']}), from signals that"
        " are acted on again after their position was closed, and from retries of a tool.",
        "<b>A user who set nothing</b> has less to lose: with the defaults as settings the bot"
        f" that asks the venue has {_interval(users['defaults']['reconcile-only'])} deviations per"
        f" 1,000 sessions, with strict settings {_interval(users['strict']['reconcile-only'])}.",
        f"<b>Memory that fails is worth less.</b> Down one time in five, and going on with"
        f" defaults: {_interval(bold['deviations'])} per 1,000; exits only:"
        f" {_interval(safe['deviations'])}, of which {_n(safe['missed_entries']['value'])} are"
        " entries that safety costs. By this count fail-safe is not the better policy; it breaks"
        f" {_n(safe['limit_breaks']['value'])} limits per 1,000 sessions where going on breaks"
        f" {_n(bold['limit_breaks']['value'])}.",
        f"<b>Old state is dangerous state.</b> A snapshot {STALE} minutes old, with all of recovery"
        f" on top: {_interval(arms['stale-defaults']['deviations'])} deviations and"
        f" {arms['stale-defaults']['ledger_duplicates_count']} duplicates. A person who is asked"
        f" changes little: {_interval(arms['stale-failsafe']['deviations'])}.",
        f"<b>Flushed global variables do well</b> as long as numbers are enough:"
        f" {_interval(arms['globals-flushed']['deviations'])} against"
        f" {_interval(arms['globals']['deviations'])} unflushed. They hold no order's ID, so"
        f" {arms['globals-flushed']['ledger_duplicates_count']} duplicates remain.",
        f"<b>Class D has a residual.</b> Where a venue gives no client's ID back, a person is"
        f" waited for in {_interval(classes['D']['persistent']['silent_sessions'])} of 1,000"
        f" sessions; with nobody asked,"
        f" {classes['D']['unattended']['ledger_duplicates']} duplicates in"
        f" {classes['D']['unattended']['sessions']:,} sessions.",
        "<b>Safe is not sooner.</b> Median until safe to act with memory:"
        f" {_median(times['persistent']['ready'])}; until a wanted entry:"
        f" {_median(times['persistent']['again'])}. The next signal sets the second, not memory.",
        "The persistent arm's result is in part a definition: with a perfect store, and recovery"
        " that works, nothing is lost. What is measured is that the code does so at every fault,"
        " and what is left when the store is not perfect.",
        "Not shown by any of this: real markets, real venues, real outages; several bots on one"
        " account; slippage of large orders; faults of disks (F6), changed schemas (F14) and"
        " cancelled orders of unknown outcome (F15), which tests of the code cover and this does"
        " not.",
    ]


def _median(one: Mapping[str, Any]) -> str:
    return "not reached" if one["median"] is None else f"{one['median']:.2g} min"


def method(told: Mapping[str, Any]) -> list[str]:
    """How."""
    design = told["design"]
    holm = told["headline"]["holm"]
    return [
        f"Seed {design['seed']}, {design['sessions']:,} paired sessions for the main comparison and"
        " for each architecture and fault rate, half as many at equal rates and for the classes of"
        " venues, a quarter for outages and users, ten times as many for the source's rate."
        f" Prices: {design['prices']}.",
        f"Intervals: percentile bootstrap over whole sessions, {design['resamples']:,} resamples,"
        " paired; none seen: the exact Poisson limit. Adjusted p of the headline claims (Holm): "
        + "; ".join(f"{name} {p:.2g}" for name, p in holm.items())
        + ".",
        "All of that is one file, fixed before: SHA-256"
        f" <code>{design['analysis_sha256'][:16]}</code>….",
        "Markets: half a two-regime log Ornstein-Uhlenbeck process around a drifting anchor with"
        " Student-t(4) shocks (cut at 8 standard deviations) and a U-shaped day, a quarter"
        " geometric Brownian motion, a quarter the first with an announcement. Strategies: mean"
        " reversion, momentum, a grid, and a planner that draws plans and retries, a quarter each.",
        "Profiles (rates, lengths, restarts) are assumptions, in <code>faults.py</code> and in the"
        " JSON file; what hangs on them is shown at equal rates and over ranges.",
    ]
