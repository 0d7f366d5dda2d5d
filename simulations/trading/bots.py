"""Bots that have no journal: those that forget, that ask the venue, that keep doubles.

`Plain` is every one of them: what differs is what is left after a reconnect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from trading import bot
from trading.arms import Arm
from trading.bot import Memory, Order, World
from trading.desk import Clock, CrashError, Desk, Fill
from trading.faults import Fault, Profile
from trading.globals import GlobalVariables

FILLED, REFUSED, HELD_BACK = "filled", "refused", "held back"
UNKNOWN, CRASHED = "unknown", "crash"
"""What became of an order, as the bot knows. `HELD_BACK`: its own guard kept it from the wire."""

_FIELDS: Final = tuple(Memory.__struct_fields__)


class Plain:
    """A bot without a journal.

    Args:
        arm, profile: which; world: its market; desk: its venue; clock: its own.
        entropy: random bytes for its order IDs, a fresh one for each sending.
    """

    def __init__(
        self,
        arm: Arm,
        profile: Profile,
        world: World,
        desk: Desk,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.arm, self.profile, self.world = arm, profile, world
        self.desk, self.clock, self.entropy = desk, clock, entropy
        self.memory = Memory()
        self.held, self.average = 0.0, 0.0
        self.ready_at = 0.0
        self.entries = True
        """Whether its own guard lets entries pass."""
        self.restless = False
        """Whether it waits for something but the market."""
        self.ghosts: list[Plain] = []
        """An old process that runs on beside it."""
        self._before: tuple[Memory, float, float] = (self.memory, 0.0, 0.0)
        self._globals = GlobalVariables(clock.now)

    # ------------------------------------------------------------------ the session

    def begin(self) -> None:
        """The user starts it with their own settings; the terminal was closed once."""
        self.memory.take(self.world.params)
        self.save()
        self._globals.flush()

    def save(self) -> None:
        """Keep what may not be forgotten."""
        if self.arm.keeps == "globals":
            for name in _FIELDS:
                self._globals.set(f"SYN-USD.{name}", getattr(self.memory, name))
            if self.arm.flushed:
                self._globals.flush()

    def told(self, what: str) -> None:
        """The user says something."""
        bot.tell(self.memory, what)
        self.save()

    def minute(self, bar: int, settled: list[Fill]) -> None:
        """A minute begins, the link is there; ``settled``: orders whose rest was filled now."""
        if settled and (self.held > 0 or self.arm.keeps != "none"):
            self._look()
        if bot.advance(self.world, bar, self.memory, self.held):
            self.save()

    def decide(self, bar: int) -> Order | None:
        """What it wants."""
        return bot.decide(self.world, bar, self.memory, self.held, self.average)

    # ------------------------------------------------------------------ orders

    def order(self, bar: int, order: Order) -> str:
        """Send an order; what became of it, as far as the bot knows."""
        if self.desk.strikes == "crash0":
            self.desk.strikes = ""
            return CRASHED
        dies_after = self.desk.strikes == "crash3"
        if dies_after:
            self.desk.strikes = ""
        try:
            fill = self.desk.send(order.side, order.units, order.key, self.entropy(16))
        except CrashError:
            return CRASHED
        except VenueRefusedError:
            self._look()
            return REFUSED
        except OutcomeUnknownError:
            return self._unanswered(bar, order)
        if dies_after:
            return CRASHED
        self._filled(bar, order, fill.price)
        return FILLED

    def _unanswered(self, bar: int, order: Order) -> str:
        if self.arm.keeps == "replay":  # an alert is sent, and believed
            self._filled(bar, order, self.world.price[bar])
            return UNKNOWN
        return UNKNOWN

    def timed_out(self, bar: int, order: Order, fault: Fault) -> None:
        """Only the answer was lost: a tool that retries does, and who reconciles looks."""
        del fault
        if self.world.strategy == "planner" and self.arm.keeps != "replay":
            self.order(bar, order)
        if self.arm.keeps in {"venue", "globals"}:
            self._look()

    def _filled(self, bar: int, order: Order, price: float) -> None:
        if order.side == "buy":
            first = self.held <= 0
            total = self.held + order.units
            self.average = (self.held * self.average + order.units * price) / total
            self.held = round(total, 6)
            bot.entered(self.world, bar, self.memory, order.key, price, self.average, first=first)
        else:
            loss = bot.loss_of(price, self.average, order.units)
            bot.left(self.world, bar, self.memory, loss)
            self.held, self.average = 0.0, 0.0
        self.save()

    # ------------------------------------------------------------------ after a disconnect

    def reconnect(self, fault: Fault, restored: float, bar: int) -> None:
        """The link is back since minute ``restored``; sets `ready_at`."""
        self.clock.reach(restored)
        if not fault.forgets:
            bot.caught_up(self.world, bar, self.memory)
            if self.arm.keeps in {"venue", "globals"}:
                self._look()
            elif fault.replays and self.held > 0 and self.arm.keeps == "none":
                self.held = round(2 * self.held, 6)  # a fill that is told twice counts twice
            self.ready_at = self.clock.minute
            return
        if fault.split:
            self.ghosts = [self._ghost()]
        self.clock.wait(self.profile.restart_s)
        self._restart(bar)
        self.ready_at = self.clock.minute

    def _ghost(self) -> Plain:
        ghost = Plain(self.arm, self.profile, self.world, self.desk, self.clock, self.entropy)
        ghost.memory, ghost.held, ghost.average = self.memory.copy(), self.held, self.average
        return ghost

    def _restart(self, bar: int) -> None:
        self.memory, self.held, self.average = Memory(), 0.0, 0.0
        if self.arm.keeps == "replay":
            self._replay(bar)
        elif self.arm.keeps == "globals":
            self._globals.crash()
            for name in _FIELDS:
                default = getattr(self.memory, name)
                kept = self._globals.get(f"SYN-USD.{name}", float(default))
                setattr(self.memory, name, type(default)(kept))
            self._look()
            bot.caught_up(self.world, bar, self.memory)
        elif self.arm.keeps == "venue":
            self._look()

    def _look(self) -> None:
        """Take the position from the venue."""
        try:
            held, average = self.desk.account()
        except OutcomeUnknownError:
            return
        if held <= 0 < self.held:
            bot.flat(self.world, self.desk.bar, self.memory)
        elif held > 0 and self.memory.entry_bar < 0:
            self._guard(average)
        self.held, self.average = held, average

    def _guard(self, average: float) -> None:
        """Watch a position of which nothing else is known."""
        self.memory.entry_bar = self.desk.bar
        self.memory.peak = self.world.price[self.desk.bar]
        self.memory.stop_price = average * (1 - self.memory.stop / 100)

    def _replay(self, bar: int) -> None:
        """Run the script over history again: its fills are the ones it imagines."""
        self.memory.take(self.world.params)
        for past in range(bar):
            bot.advance(self.world, past, self.memory, self.held)
            wanted = self.decide(past)
            if wanted is not None:
                self._filled(past, wanted, self.world.price[past])
