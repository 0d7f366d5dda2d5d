"""The fault alphabet F1 to F16, as data: what goes wrong while the bot runs, and between two runs.

A name begins with its letter. ``faults`` are the venue's; ``refuses`` the disk's, by the number of
the transaction; ``between`` is done while the bot is down; the rest is said at each field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from crash.trading.bot import SYMBOL

from haulout.testing.venue.orders import Refusal

if TYPE_CHECKING:
    from crash.trading.simulator import World

HOUR = 3600.0


class Variant(NamedTuple):
    """One thing that goes wrong.

    Attributes:
        name: letter and words; faults: of the venue; refuses: of the disk, see `Disk`.
        between: while the bot is down; down_s: for how long it is.
        schema: of the bot's documents after the restart; confirmed: a person looks.
        declared: what is not held, and is said so: its figures are printed, not required.
        split: the bot is stopped, not killed, and goes on beside its successor.
        text: whether the venue gives client IDs back.
        needs_restart: it means nothing to a bot that is not restarted.
    """

    name: str
    faults: tuple[dict[str, Any], ...] = ()
    refuses: dict[int, str] | None = None
    between: Callable[[World], None] | None = None
    down_s: float = 30.0
    schema: int = 1
    confirmed: bool = False
    declared: str = ""
    split: bool = False
    text: bool = True
    needs_restart: bool = False

    @property
    def letter(self) -> str:
        """F1 to F16."""
        return self.name.split(" ", 1)[0]


def _at(point: str, *skips: int, **more: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"point": point, "skip": skip, **more} for skip in skips)


def _rewound(events: int) -> Callable[[World], None]:
    def do(world: World) -> None:
        del world.disk.events[max(2, len(world.disk.events) - events) :]

    return do


def _stepped(seconds: float) -> Callable[[World], None]:
    def do(world: World) -> None:
        world.step_us += round(seconds * 1e6)

    return do


def _by_hand(*acts: str) -> Callable[[World], None]:
    def do(world: World) -> None:
        for act in acts:
            if act in {"buy", "sell"}:
                world.venue.trade(SYMBOL, act, 1)
                continue
            for order in list(world.venue.exchange.orders.values()):
                try:
                    if act == "cancel":
                        world.venue.exchange.cancel(order)
                    else:
                        world.venue.exchange.fill(order)
                except Refusal:
                    continue

    return do


def _damaged(world: World) -> None:
    world.disk.damaged = True


def _limited(world: World) -> None:
    world.lower_limit = 2


_UNKNOWN = "orders of a decision that the journal has lost are made again once a person says so"
_BROKEN = "the venue shows an order later than it says it does"

VARIANTS = (
    Variant("F1 cut before accept", _at("cut_before_accept", 0, 2)),
    Variant("F1 cut before accept, twice", _at("cut_before_accept", 0, count=2)),
    Variant("F1 5xx before accept", _at("error_before_accept", 0, 1)),
    Variant("F1 busy", _at("busy", 0, 0, 1)),
    Variant("F1 hung, never accepted", _at("hang_before_accept", 1, seconds=60)),
    Variant("F1 accepted 1.5 s late", _at("late_accept", 0, 3, seconds=1.5)),
    Variant("F1 accepted 30 s late", _at("late_accept", 0, 3, seconds=30), declared=_BROKEN),
    Variant("F2 cut after accept", _at("cut_after_accept", 0, 2)),
    Variant("F2 cut after accept, thrice", _at("cut_after_accept", 0, count=3)),
    Variant("F2 5xx after accept", _at("error_after_accept", 1, 2)),
    Variant("F2 half an answer", _at("garbage_after_accept", 0, 2)),
    Variant("F2 hung after accept", _at("hang_after_accept", 0, seconds=60)),
    Variant(
        "F2 cut after accept, shown 1.5 s late",
        (*_at("cut_after_accept", 0, 2), *_at("stale", 0, 0, 0, seconds=1.5)),
    ),
    Variant(
        "F2 cut after accept, shown 60 s late",
        (*_at("cut_after_accept", 0, 2), *_at("stale", 0, 0, 0, seconds=60)),
        declared=_BROKEN,
    ),
    Variant(
        "F2 cut after accept, looking up fails",
        (*_at("cut_after_accept", 0, 2), *_at("cut_before_accept", 0, count=4, on="find")),
    ),
    Variant(
        "F2 cut after accept, no look-up by ID",
        (*_at("cut_after_accept", 0, 2), *_at("lookup_missing", 0, count=-1)),
    ),
    Variant("F2 cut after accept, IDs not given back", _at("cut_after_accept", 0, 2), text=False),
    Variant(
        "F2 cut after accept, a short history",
        (*_at("cut_after_accept", 0, 2), *_at("window", 0, count=-1, seconds=45)),
    ),
    Variant("F3 the settling is refused", refuses={6: "once", 14: "once"}),
    Variant("F4 none"),
    Variant("F5 a torn last record", needs_restart=True),
    Variant("F6 the disk refuses once", refuses={4: "once", 9: "once", 15: "once"}),
    Variant("F6 the disk is full", refuses=dict.fromkeys(range(7, 60), "once")),
    Variant("F6 the state latches", refuses={8: "latch", 13: "latch"}),
    Variant("F7 the disk hangs", refuses={4: "hang", 8: "hang", 12: "hang"}),
    Variant("F7 the disk hangs for long", refuses=dict.fromkeys(range(5, 12), "hang")),
    Variant("F7 a damaged record", between=_damaged, needs_restart=True),
    Variant("F8 a stale replica, 1 event", between=_rewound(1), needs_restart=True),
    Variant("F8 a stale replica, 4 events", between=_rewound(4), needs_restart=True),
    Variant("F9 split brain", split=True, down_s=90.0, needs_restart=True),
    Variant("F10 an hour forward", between=_stepped(HOUR), needs_restart=True),
    Variant("F10 an hour back", between=_stepped(-HOUR), needs_restart=True),
    Variant("F10 a day and an hour back", between=_stepped(-25 * HOUR), needs_restart=True),
    Variant("F11 reports twice", _at("duplicate_report", 0, count=-1)),
    Variant("F11 reports out of order", _at("reorder_report", 0, count=-1, chance=40)),
    Variant("F11 reports missing", _at("drop_report", 0, count=-1, chance=50)),
    Variant("F12 filled by half, cut", (*_at("partial_fill", 0, 0), *_at("cut_after_accept", 0))),
    Variant(
        "F12 filled by half, taken back by hand",
        (*_at("partial_fill", 0), *_at("cut_after_accept", 0)),
        between=_by_hand("cancel"),
        needs_restart=True,
    ),
    Variant("F12 filled 90 s later, cut", (
        *_at("delayed_fill", 0, 0, seconds=90), *_at("cut_after_accept", 0),
    )),
    Variant("F13 sold by hand", between=_by_hand("sell"), needs_restart=True),
    Variant("F13 bought by hand", between=_by_hand("buy"), needs_restart=True),
    Variant("F13 orders taken back by hand", between=_by_hand("cancel"), needs_restart=True),
    Variant("F13 orders filled meanwhile", between=_by_hand("fill"), needs_restart=True),
    Variant("F14 a later schema", schema=2, needs_restart=True),
    Variant("F14 a lower limit", between=_limited, needs_restart=True),
    Variant("F15 a cancellation lost", _at("cut_before_accept", 0, on="cancel")),
    Variant("F15 a cancellation done, cut", _at("cut_after_accept", 0, on="cancel")),
    Variant("F15 an edit lost", _at("cut_before_accept", 0, on="replace")),
    Variant("F15 an edit done, cut", _at("cut_after_accept", 0, on="replace")),
    Variant("F15 an edit done, 5xx", _at("error_after_accept", 0, on="replace")),
    Variant(
        "F16 yesterday's backup",
        between=_rewound(8),
        down_s=20 * HOUR,
        needs_restart=True,
    ),
    Variant(
        "F16 a backup of two days ago",
        between=_rewound(8),
        down_s=50 * HOUR,
        needs_restart=True,
    ),
    Variant(
        "F16 yesterday's backup, confirmed",
        between=_rewound(8),
        down_s=20 * HOUR,
        confirmed=True,
        needs_restart=True,
        declared=_UNKNOWN,
    ),
)  # fmt: skip
