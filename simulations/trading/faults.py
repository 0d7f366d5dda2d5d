"""Faults: what goes wrong, when, and how the three architectures differ in it, as data.

The figures of the profiles are assumptions, chosen from what vendors and users write, and measured
by nobody here. What follows from them is therefore also reported at equal rates, and over a
range. A session's faults are drawn at the highest rate, each with a mark: a lower rate keeps those
of the lowest marks, so that rates are nested and nothing else moves.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from trading.markets import BARS
from trading.streams import stream

HIGHEST: Final = 4.0
"""The highest fault rate that can be asked for, in multiples of a profile's own."""
_FIRST, _LAST = 15, BARS - 20
_WAITS: Final = 90
"""Minutes for which a fault waits for an order to hit."""
_DRAWS: Final = 14


class Profile(NamedTuple):
    """An architecture.

    Attributes:
        name, words: it; rate: disconnects in a session.
        outage, spread: median minutes without a link, and the sigma of its logarithm.
        forgets: share of disconnects that end the bot's process.
        at_order: share of faults that strike while an order is being sent.
        timeouts: of those, the share in which only the answer is lost, and the link stays.
        restart_s: until a new process has its history and can ask; trip_s: a question to the venue.
        venue: class of the venue's client IDs; keeps_text: how often it gives them back.
        split: share of restarts after which the old process runs on for some minutes.
        by_hand: share of outages in which the user closes the position.
        replays: share of reconnects after which a fill is reported a second time.
        switch: share of restarts after which the bot runs at another provider.
        step_s: the most by which the machine's clock jumps, seconds.
    """

    name: str
    words: str
    rate: float
    outage: float
    spread: float
    forgets: float
    at_order: float
    timeouts: float
    restart_s: float
    trip_s: float
    venue: str
    keeps_text: float
    split: float
    by_hand: float
    replays: float
    switch: float
    step_s: float


PROFILES: Final = {
    one.name: one
    for one in (
        Profile("cloud", "cloud-hosted bot", 1.0, 2.0, 0.9, 0.80, 0.25, 0.3, 23.0, 0.15, "B", 1.0,
                0.06, 0.03, 0.02, 0.08, 2.0),
        Profile("terminal", "expert advisor in a terminal", 1.3, 1.5, 1.1, 0.15, 0.20, 0.2, 28.0,
                0.30, "D", 0.9, 0.0, 0.08, 0.02, 0.0, 30.0),
        Profile("rest", "API bot, REST polling", 0.8, 3.0, 1.0, 0.45, 0.30, 0.4, 11.0, 0.20, "C",
                1.0, 0.02, 0.05, 0.0, 0.02, 10.0),
        Profile("websocket", "API bot, WebSocket", 2.0, 0.5, 1.2, 0.25, 0.20, 0.3, 11.0, 0.10, "C",
                1.0, 0.02, 0.05, 0.15, 0.02, 10.0),
    )
}  # fmt: skip


class Fault(NamedTuple):
    """One disconnect.

    Attributes:
        bar: when; at_order: it waits for the next order, from then on.
        kind: what an order meets that it strikes: ``before`` it is accepted (F1), ``after`` (F2),
            ``partial`` fill first (F12), or a crash: ``crash0`` before the intent is written,
            ``crash1`` before it is sent, ``crash2`` before its answer is kept (F3), ``crash3``
            before what follows from it is kept (F4).
        outage: minutes without a link; 0 where only an answer is lost.
        forgets: the process is gone. by_hand, split, replays, switch: see `Profile` (F13, F9, F11).
        memory_down, memory_back: for the arms whose memory fails: that it does, minutes till it
            is back (F7); person: minutes until a person has looked; step_s: of the clock (F10).
    """

    bar: int
    at_order: bool
    kind: str
    outage: float
    forgets: bool
    by_hand: bool
    split: bool
    replays: bool
    switch: bool
    memory_down: bool
    memory_back: float
    person: float
    step_s: float


class Weather(NamedTuple):
    """How much goes wrong.

    Attributes:
        rate: multiple of the profile's own; flat: disconnects a session instead, for equal rates.
        outage: multiple of the profile's own lengths.
        harmless: links break for no time, no process ends and no order is struck.
        restarts: the same, but every process ends, and begins again at once.
    """

    rate: float = 1.0
    flat: float = 0.0
    outage: float = 1.0
    harmless: bool = False
    restarts: bool = False


MEMORY_DOWN: Final = 0.2
"""How often memory fails when it is needed, in the arms in which it does."""


def schedule(seed: int, session: int, profile: Profile, weather: Weather) -> list[Fault]:
    """A session's faults, in order."""
    source = stream(seed, "fault", session)
    base = weather.flat or profile.rate
    count = int(source.poisson(HIGHEST * base))
    draws = source.random((count, _DRAWS))
    lengths = source.standard_normal(count)
    found = [
        _fault(row.tolist(), float(length), profile, weather)
        for row, length in zip(draws, lengths, strict=True)
        if row[0] < weather.rate / HIGHEST
    ]
    return sorted(found, key=lambda one: one.bar)


_NONE: Final = Fault(*(0, False, "before", 0.0, *[False] * 6, 0.0, 0.0, 0.0))
"""A break that harms nobody."""


def _fault(row: list[float], length: float, profile: Profile, weather: Weather) -> Fault:
    bar = _FIRST + int(row[1] * (_LAST - _FIRST))
    if weather.harmless or weather.restarts:
        return _NONE._replace(bar=bar, forgets=weather.restarts)
    at_order = row[2] < profile.at_order
    forgets = row[3] < profile.forgets
    if row[4] < 0.45:
        kind = "after"
    elif row[4] < 0.70:
        kind = "before"
    elif row[4] < 0.80:
        kind = "partial"
    else:
        kind = f"crash{int((row[4] - 0.80) / 0.05)}"
        forgets = forgets or at_order
    timeout = at_order and not kind.startswith("crash") and row[5] < profile.timeouts
    outage = 0.0 if timeout else profile.outage * weather.outage * 2.718281828 ** (
        profile.spread * length
    )  # fmt: skip
    forgets = forgets and not timeout
    return Fault(
        bar, at_order, kind, outage, forgets,
        row[6] < profile.by_hand and not timeout,
        row[7] < profile.split and forgets,
        row[8] < profile.replays and not timeout,
        row[9] < profile.switch and forgets,
        row[10] < MEMORY_DOWN, 5.0 + 50.0 * row[11], 3.0 + 24.0 * row[12],
        (2 * row[13] - 1) * profile.step_s,
    )  # fmt: skip


def perfect(profile: Profile) -> Profile:
    """The profile with answers and restarts that take no time, for the controls."""
    return profile._replace(restart_s=0.0, trip_s=0.0, at_order=0.0, split=0.0)


def waits(fault: Fault, bar: int) -> bool:
    """Whether a fault still waits for an order to strike."""
    return fault.at_order and bar < fault.bar + _WAITS


def struck_without_order(fault: Fault) -> bool:
    """Whether the link breaks although no order came."""
    return fault.outage > 0 or fault.forgets
