"""What a bot remembers, and what it decides from that: four strategies, all of them pure.

A decision is a function of the minute, the memory and the account. So the same code tells what a
bot with perfect memory would do in the account that an arm really has.
"""

from __future__ import annotations

import copy
from typing import Any, Final, NamedTuple

import msgspec

STRATEGIES: Final = ("mean reversion", "momentum", "grid", "planner")
"""The last plays a language model: its plans are drawn, and drawn anew otherwise."""
_GRID_STEP, _GRID_GAIN, _GRID_LEVELS = 0.0025, 0.0035, 4
_LEVELS: Final = 16
"""Levels of a grid that a decision's key has room for."""


class Params(NamedTuple):
    """What the user may set. Loss and stop are percent of a unit's stake."""

    size: float
    most_units: float
    daily_loss: float
    cooldown: int
    vol_limit: float
    stop: float


DEFAULTS: Final = Params(1.0, 3.0, 3.0, 5, 3.5, 1.5)
"""What a bot has that was never told anything."""


class Memory(msgspec.Struct, array_like=True):
    """What a bot remembers: numbers only, so that even doubles can hold it.

    Attributes:
        size to stop: see `Params`; halted: the user said so.
        day_loss: lost today; cooldown_until: no entry before; consumed: key of the newest entry.
        stop_price, peak, entry_bar: of the position. anchor, anchor_bar, level: of the grid.
        plan_...: of the planner.
    """

    size: float = DEFAULTS.size
    most_units: float = DEFAULTS.most_units
    daily_loss: float = DEFAULTS.daily_loss
    cooldown: int = DEFAULTS.cooldown
    vol_limit: float = DEFAULTS.vol_limit
    stop: float = DEFAULTS.stop
    halted: int = 0
    day_loss: float = 0.0
    cooldown_until: int = 0
    consumed: int = -1
    stop_price: float = 0.0
    peak: float = 0.0
    entry_bar: int = -1
    anchor: float = 0.0
    anchor_bar: int = -1
    level: int = 0
    plan_bar: int = -1
    plan_kind: int = 0
    plan_price: float = 0.0
    plan_gain: float = 0.0
    plan_end: int = -1
    plan_share: float = 1.0

    def take(self, params: Params) -> None:
        """Set what the user set."""
        self.size, self.most_units, self.daily_loss = params[:3]
        self.cooldown, self.vol_limit, self.stop = params[3:]

    def rules(self) -> tuple[float, ...]:
        """Everything the user set."""
        return (
            self.size, self.most_units, self.daily_loss, self.cooldown, self.vol_limit, self.stop,
            self.halted,
        )  # fmt: skip

    def copy(self) -> Memory:
        """Another one like it."""
        return copy.copy(self)


class World(NamedTuple):
    """A session's market, its user and its luck, the same for every arm."""

    session: int
    strategy: str
    market: str
    price: list[float]
    score: list[float]
    momentum: list[float]
    vol: list[float]
    dip: list[int]
    rise: list[int]
    slip: list[float]
    plan_kind: list[int]
    plan_edge: list[float]
    plan_gain: list[float]
    plan_last: list[int]
    plan_share: list[float]
    params: Params
    told: dict[int, str]
    """What the user says in the session: minute -> ``pause`` or ``tighten``."""

    @property
    def bars(self) -> int:
        """Minutes of the session."""
        return len(self.price)


class Order(NamedTuple):
    """What a bot wants done: how many units, and which signal decided it."""

    side: str
    units: float
    key: int


def advance(world: World, bar: int, memory: Memory, held: float) -> bool:
    """What a minute does to a memory; whether it changed what cannot be derived again."""
    price = world.price[bar]
    if held > 0:
        memory.peak = max(memory.peak, price)
    elif world.strategy == "grid" and (
        memory.anchor_bar < 0 or price > memory.anchor * (1 + _GRID_STEP)
    ):
        memory.anchor, memory.anchor_bar, memory.level = price, bar, 0
        return True
    if world.strategy == "planner" and (
        memory.plan_bar < 0 or (bar >= memory.plan_end and held <= 0)
    ):
        memory.plan_bar, memory.plan_kind = bar, world.plan_kind[bar]
        way = -1 if memory.plan_kind == 1 else 1
        memory.plan_price = price * (1 + way * world.plan_edge[bar])
        memory.plan_gain, memory.plan_share = world.plan_gain[bar], world.plan_share[bar]
        memory.plan_end = bar + world.plan_last[bar]
        return True
    return False


def decide(world: World, bar: int, memory: Memory, held: float, average: float) -> Order | None:
    """What to do in a minute, if anything.

    Args:
        world: the market; bar: the minute; memory: the bot's.
        held: units in the account, as far as the bot knows; average: what they cost.
    """
    price = world.price[bar]
    if held > 0 and _leaves(world, bar, memory, average):
        return Order("sell", held, bar)
    key, units = _signal(world, bar, memory, price)
    if key < 0 or key == memory.consumed or held + units > memory.most_units + 1e-9:
        return None
    if memory.halted or bar < memory.cooldown_until or memory.day_loss >= memory.daily_loss:
        return None
    return None if world.vol[bar] > memory.vol_limit else Order("buy", units, key)


def _leaves(world: World, bar: int, memory: Memory, average: float) -> bool:
    price = world.price[bar]
    if price <= memory.stop_price or price <= memory.peak * (1 - memory.stop / 100):
        return True
    if world.strategy == "mean reversion":
        return world.score[bar] > 0.2
    if world.strategy == "momentum":
        return world.momentum[bar] < 0
    if world.strategy == "grid":
        return price > average * (1 + _GRID_GAIN)
    return bar >= memory.plan_end or price > average * (1 + memory.plan_gain)


def _signal(world: World, bar: int, memory: Memory, price: float) -> tuple[int, float]:
    if world.strategy == "mean reversion":
        return world.dip[bar], memory.size
    if world.strategy == "momentum":
        return world.rise[bar], memory.size
    if world.strategy == "grid":
        deep = price < memory.anchor * (1 - _GRID_STEP * (memory.level + 1))
        if memory.anchor_bar < 0 or not deep or memory.level >= _GRID_LEVELS:
            return -1, 0.0
        return memory.anchor_bar * _LEVELS + memory.level, memory.size / 2
    if memory.plan_bar < 0 or bar >= memory.plan_end:
        return -1, 0.0
    dips = memory.plan_kind == 1 and price <= memory.plan_price
    breaks = memory.plan_kind == 2 and price >= memory.plan_price
    return (memory.plan_bar, memory.size * memory.plan_share) if dips or breaks else (-1, 0.0)


def entered(
    world: World, bar: int, memory: Memory, key: int, price: float, average: float, *, first: bool
) -> None:
    """What a filled entry does to a memory; ``first`` where nothing was held before."""
    if key >= 0:
        memory.consumed = key
    if first:
        memory.entry_bar, memory.peak = bar, price
    memory.stop_price = average * (1 - memory.stop / 100)
    if world.strategy == "grid":
        memory.level += 1


def loss_of(price: float, average: float, units: float) -> float:
    """What a sale lost, in percent of a unit's stake."""
    return round(max(0.0, (1 - price / average) * 100 * units), 6) if average > 0 else 0.0


def lost(bar: int, memory: Memory, loss: float) -> None:
    """What a loss does to a memory."""
    if loss > 0:
        memory.day_loss = round(memory.day_loss + loss, 6)
        memory.cooldown_until = bar + memory.cooldown


def left(world: World, bar: int, memory: Memory, loss: float) -> None:
    """What a filled exit does to a memory."""
    lost(bar, memory, loss)
    flat(world, bar, memory)


def flat(world: World, bar: int, memory: Memory) -> None:
    """The position is gone, by whatever hand."""
    memory.stop_price, memory.peak, memory.entry_bar = 0.0, 0.0, -1
    if world.strategy == "grid":
        memory.anchor, memory.anchor_bar, memory.level = world.price[bar], bar, 0
    if world.strategy == "planner":
        memory.plan_bar = -1


def tell(memory: Memory, what: str) -> None:
    """The user says something."""
    if what == "pause":
        memory.halted = 1
    else:
        memory.size, memory.most_units = 0.5, 1.0


def caught_up(world: World, bar: int, memory: Memory) -> None:
    """Derive the peak again from history, after minutes that nobody watched."""
    if memory.entry_bar >= 0:
        memory.peak = max(memory.peak, *world.price[memory.entry_bar : bar + 1])


def numbers(memory: Memory) -> dict[str, Any]:
    """A memory as names and numbers."""
    return msgspec.structs.asdict(memory)
