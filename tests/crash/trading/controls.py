"""Controls: bots that must fail, or the matrix would prove nothing.

One keeps no intents: it sends, and remembers what it has done once it has an answer, as bots do.
The other keeps intents on a disk that does not sync.
"""

from __future__ import annotations

from collections.abc import Iterable

from crash.trading.alphabet import Variant
from crash.trading.bot import PLAN, SYMBOL
from crash.trading.crashing import Crash, CrashWire, Killed
from crash.trading.judging import Verdict, judge
from crash.trading.simulator import TICKS, World, points, run

from haulout.errors import OutcomeUnknownError
from haulout.state.refs import Class
from haulout.state.state import State
from haulout.testing.venue.orders import Refusal, Side, Wanted


def without_intents(variant: Variant, kind: Class, at: int) -> Verdict:
    """A bot that keeps its progress alone, durably, and sends again what had no answer."""
    world = World(variant, kind, seed=0)
    for crash in (Crash(at), Crash()):
        try:
            _careless(world, crash)
            break
        except Killed:
            world.between()
    return judge(world.venue.ledger(), None)


def _careless(world: World, crash: Crash) -> None:
    bot = world.bot(crash)
    wire = CrashWire(world.venue.wire, crash)
    for _ in range(TICKS):
        world.venue.advance(60)
        _go_on(world, bot.state, wire)


def _go_on(world: World, state: State, wire: CrashWire) -> None:
    progress = state.document("progress", int)
    for place in range(progress.get(0), len(PLAN)):
        step = PLAN[place]
        if step.what in {"buy", "sell"}:
            side: Side = "buy" if step.what == "buy" else "sell"
            client = world.random.randbytes(16).hex()
            wanted = Wanted(
                symbol=SYMBOL, side=side, amount=1, client=client, key=step.key,
                entry=side == "buy",
            )  # fmt: skip
            try:
                wire.place(wanted)
            except OutcomeUnknownError:
                return  # once more at the next tick
            except Refusal:
                pass
        progress.set(place + 1)


def run_controls(variants: Iterable[Variant], kinds: Iterable[Class]) -> dict[str, Verdict]:
    """Both controls, dying at every third point."""
    found = {"no intents": Verdict(), "no fsync": Verdict()}
    for variant in variants:
        for kind in kinds:
            for at in range(0, len(points(variant, kind)), 3):
                found["no intents"] += without_intents(variant, kind, at)
                found["no fsync"] += run(variant, kind, at, seed=at, lying=True)[0]
    return found
