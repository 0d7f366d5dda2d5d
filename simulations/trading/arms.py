"""The arms: what a bot has of its memory after a disconnect. Data; `bots` and `journalled` act."""

from __future__ import annotations

from typing import Final, NamedTuple


class Arm(NamedTuple):
    """An arm.

    Attributes:
        name, words: it.
        keeps: where its memory is: ``none``, ``venue``, ``journal``, ``globals``, ``replay``,
            ``server``.
        faults: whether there are any. flushed: globals are written to disk with each change.
        down: memory fails with `faults.MEMORY_DOWN`; stale: only a snapshot so many minutes old
            comes back; torn: the last event is lost.
        safe: in doubt no entries until a person has looked or memory is back; otherwise the bot
            goes on with what it has.
        ideal: fills at the price, without costs, as a backtest has them.
    """

    name: str
    words: str
    keeps: str
    faults: bool = True
    flushed: bool = False
    down: bool = False
    stale: int = 0
    torn: bool = False
    safe: bool = True
    ideal: bool = False


STALE: Final = 60
"""Minutes by which the stale arms' snapshot is old."""

ARMS: Final = {
    one.name: one
    for one in (
        Arm("backtest", "no faults, ideal fills", "none", faults=False, ideal=True),
        Arm("continuous", "no faults", "none", faults=False),
        Arm("session-bound", "defaults after a reconnect", "none"),
        Arm("reconcile-only", "defaults, and the venue's position", "venue"),
        Arm("persistent", "journal, intents, recovery", "journal"),
        Arm("unattended", "as persistent, and nobody is asked", "journal", safe=False),
        Arm("down-defaults", "memory down 20 %, goes on", "journal", down=True, safe=False),
        Arm("down-failsafe", "memory down 20 %, exits only", "journal", down=True),
        Arm("stale-defaults", f"state {STALE} min old, goes on", "journal", stale=STALE,
            safe=False),
        Arm("stale-failsafe", f"state {STALE} min old, asks a person", "journal", stale=STALE),
        Arm("torn-defaults", "last write lost, goes on", "journal", torn=True, safe=False),
        Arm("torn-failsafe", "last write lost, asks a person", "journal", torn=True),
        Arm("globals", "MetaTrader globals, never flushed", "globals"),
        Arm("globals-flushed", "MetaTrader globals, flushed", "globals", flushed=True),
        Arm("pine", "Pine var: computed again from history", "replay"),
        Arm("server-side", "at one provider, which is changed", "server"),
    )
}  # fmt: skip
MAIN: Final = ("continuous", "session-bound", "reconcile-only", "persistent")

COLOURS: Final = {
    "continuous": "#8b979e", "session-bound": "#c4472b", "reconcile-only": "#d08a11",
    "persistent": "#0b6e8f",
}  # fmt: skip
_OTHERS: Final = {
    "journal": "#3f93ad", "globals": "#7a5aa6", "replay": "#a2577f", "server": "#4f7d54",
}  # fmt: skip


def colour(arm: str) -> str:
    """An arm's colour in pictures and tables."""
    return COLOURS.get(arm) or _OTHERS.get(ARMS[arm].keeps, "#6b7b84")
