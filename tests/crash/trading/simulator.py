"""One cell of the matrix in the simulator: a bot, a fault, a class of venue, and where it dies.

Each run ends with a healthy life that recovers; then the venue's ledger is the judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

from crash.trading.alphabet import Variant
from crash.trading.bot import LIMIT, SYMBOL, Bot
from crash.trading.crashing import Crash, CrashWire, Disk, DiskTape, Killed
from crash.trading.judging import Verdict, judge

from haulout.errors import ActionRefusedError, ConflictError, DamagedError
from haulout.state.acting import Actor
from haulout.state.refs import Class, Rules
from haulout.state.state import State
from haulout.testing.venue.adapter import Adapter
from haulout.testing.venue.simulated import SimulatedVenue

KINDS: tuple[Class, ...] = ("A", "B", "C", "D")
START = 1_767_225_600_000_000
TICKS = 16
_LEASE_S = 60.0
_WIRE = frozenset({"before sending", "before replacing", "before cancelling"})
_RECOVERY_POINTS = 60


class World:
    """What outlives the bot: the venue, the disk, the time."""

    def __init__(self, variant: Variant, kind: Class, seed: int) -> None:
        self.variant, self.seed = variant, seed
        self.random = Random(seed)
        self.venue = SimulatedVenue(
            kind,
            prices={SYMBOL: "100"},
            start=START,
            text=variant.text,
            rules=Rules(kind, "hex", "client"),
        )
        for fault in variant.faults:
            self.venue.fault(**{"seed": seed, **fault})
        self.disk = Disk()
        self.step_us = 0
        self.lower_limit: int | None = None
        state = State(
            DiskTape("bot", self.disk, Crash()), now=self.now, entropy=self.random.randbytes
        )
        state.limit("BTC/held", LIMIT, by_owner=True)
        state.tag()
        self.disk.writes = 0
        self.disk.refuses = dict(variant.refuses or {})

    def now(self) -> int:
        """The bot's clock, which may have been stepped."""
        return self.venue.now() + self.step_us

    def monotonic(self) -> float:
        """Seconds that only grow, whatever the clock does."""
        return self.venue.now() / 1e6

    def bot(self, crash: Crash, *, schema: int = 1, confirmed: bool = False) -> Bot:
        """A process of the bot."""
        self.disk.reopen()
        state = State(
            DiskTape("bot", self.disk, crash), now=self.now, entropy=self.random.randbytes,
            monotonic=self.monotonic, patience=1.0,
        )  # fmt: skip

        def sleep(seconds: float) -> None:
            crash.point("asleep")
            self.venue.advance(seconds)

        venue = Adapter(CrashWire(self.venue.wire, crash), self.venue.rules, "simulated")

        def phase(name: str) -> None:
            crash.phase = name

        return Bot(
            state, Actor(state, venue, sleep=sleep), sleep, heard=self.venue.heard, schema=schema,
            confirmed=confirmed, phase=phase,
        )  # fmt: skip

    def between(self) -> None:
        """What happens while the bot is down."""
        self.venue.advance(self.variant.down_s)
        self.venue.reports.clear()
        if self.variant.between is not None:
            self.variant.between(self)
        if self.lower_limit is not None:
            tape = DiskTape("bot", self.disk, Crash())
            State(tape, now=self.now).limit("BTC/held", self.lower_limit, by_owner=True)


def points(variant: Variant, kind: Class, seed: int = 0) -> list[str]:
    """The names of all points that a run without a crash passes."""
    world, crash = World(variant, kind, seed), Crash()
    if variant.split:
        _leased(world.bot(crash), "first")
    else:
        _whole_life(world, crash)
    return crash.passed


def _whole_life(world: World, crash: Crash) -> State | None:
    """Live until the plan is done, reopening where the state has latched."""
    state = None
    for _ in range(4):
        bot = world.bot(crash)
        state = bot.state
        if bot.live(TICKS):
            break
    return state


def run(
    variant: Variant, kind: Class, at: int = 0, again_at: int = 0, seed: int = 0, *,
    lying: bool = False,
) -> tuple[Verdict, World]:  # fmt: skip
    """One run: die at a point, and perhaps once more while recovering, then live on.

    Args:
        variant: what goes wrong; kind: the venue's class; at, again_at: points, 0 for none.
        seed: of everything that is drawn; lying: the disk does not sync: the control.
    """
    world = World(variant, kind, seed)
    world.disk.synced = not lying
    if variant.split:
        return _split(world, at)
    state: State | None = None
    try:
        state = _whole_life(world, Crash(at))
        died = False
    except Killed:
        died = True
    limit_from = len(world.venue.ledger())
    if died:
        world.disk.lose_the_unsynced(world.random)
        world.between()
        state = _second_life(world, again_at)
    if state is not None:
        state = _looked_at(world)
    return _judged(world, state, limit_from), world


def _judged(world: World, state: State | None, limit_from: int = 0) -> Verdict:
    rewound = world.variant.letter in {"F8", "F16"}  # what was acknowledged is gone, by design
    return judge(
        world.venue.ledger(),
        state,
        () if rewound else world.disk.acknowledged,
        lowered=world.lower_limit,
        lowered_at=limit_from,
    )


def _looked_at(world: World) -> State:
    """In the end all is healthy, and the bot recovers once more: what it says now is judged."""
    world.disk.refuses = {}
    world.venue.faults.clear()
    world.venue.advance(120)
    bot = world.bot(Crash(), schema=world.variant.schema)
    bot.actor.recover()
    return bot.state


def _second_life(world: World, again_at: int) -> State | None:
    variant = world.variant
    more = {"schema": variant.schema, "confirmed": variant.confirmed}
    state: State | None = None
    for crash in (Crash(again_at), Crash(), Crash(), Crash()):
        try:
            bot = world.bot(crash, **more)
            state = bot.state
            if bot.live(TICKS):
                return state
        except Killed:
            world.venue.advance(30)
        except DamagedError:
            return None  # it does not start, and does nothing
    return state


def _split(world: World, at: int) -> tuple[Verdict, World]:
    """F9: a bot is stopped at a point, another takes over, and the first wakes up."""

    def take_over() -> None:
        if crash.passed[-1].startswith(("in the commit", "recovery: in the commit")):
            return  # it stops with the lock of the database: nobody can take over
        world.venue.advance(world.variant.down_s)
        _leased(world.bot(Crash()), "second")

    crash = Crash(at, take_over)
    bot = world.bot(crash)
    _leased(bot, "first")
    return _judged(world, _looked_at(world)), world


def _leased(bot: Bot, holder: str) -> None:
    """Live under a lease that is renewed each tick; who loses it stops."""
    try:
        held = bot.state.lease(holder, _LEASE_S)
        for _ in range(TICKS):
            bot.live(1, 20.0)
            held.renew()
    except (ActionRefusedError, ConflictError):
        return


class Cell(NamedTuple):
    """One run: what goes wrong, at which class of venue, and where the bot dies (0: nowhere)."""

    variant: Variant
    kind: Class
    at: int = 0
    again_at: int = 0
    seed: int = 0
    step: str = "nowhere"

    @property
    def declared(self) -> str:
        """Why this cell is not held; empty where it is."""
        if self.variant.split and self.step in _WIRE:
            return "stopped between the last check of its lease and the wire"
        return self.variant.declared

    def run(self) -> Verdict:
        """Run it; what it found wrong says which cell it was."""
        verdict = run(self.variant, self.kind, self.at, self.again_at, self.seed)[0]
        where = f"{self.variant.name}, {self.kind}, {self.at} ({self.step}), {self.again_at}"
        verdict.wrong = [f"{where}: {one}" for one in verdict.wrong]
        return verdict


def cells(
    variants: Iterable[Variant], kinds: Iterable[Class], every: int = 1, twice: int = 0
) -> Iterator[Cell]:
    """Each variant with each class, dying at every n-th point; and so many that die twice."""
    for number, variant in enumerate(variants):
        for kind in kinds:
            steps = points(variant, kind)
            random = Random(f"{variant.name} {kind}")
            if not variant.needs_restart:
                yield Cell(variant, kind)
            for at in range(1 + (number * 5 + ord(kind)) % every, len(steps) + 1, every):
                yield Cell(variant, kind, at, step=steps[at - 1])
            for seed in range(1, twice + 1 if not variant.split else 1):
                at = random.randrange(1, len(steps) + 1)
                again = random.randrange(1, _RECOVERY_POINTS)
                yield Cell(variant, kind, at, again, seed, steps[at - 1])
