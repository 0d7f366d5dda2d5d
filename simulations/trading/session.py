"""One session of one arm: the bot, its faults, and beside it what perfect memory would have done.

The reference decision is the same policy with a memory that was never lost, in the account that
the arm really has. So one lost memory is counted once, where the arm acts otherwise, and what
follows from it in the account is not counted again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from trading import bot
from trading.arms import Arm
from trading.bot import Memory, Order, World
from trading.bots import CRASHED, FILLED, HELD_BACK, UNKNOWN, Plain
from trading.desk import MINUTE_US, Clock, Desk, Fill
from trading.faults import Fault, Profile, struck_without_order, waits
from trading.journalled import Journalled
from trading.streams import stream

METRICS: Final = (
    "deviations", "duplicate_entries", "limit_breaks", "wrong_parameters", "missed_exits",
    "missed_entries", "ledger_duplicates", "orders", "silenced", "offline", "unprotected_min",
    "drawdown", "profit", "differs", "disconnects",
)  # fmt: skip
"""What is counted of a session; docs/experiment.md defines each."""
M: Final = {name: place for place, name in enumerate(METRICS)}
_STAKE: Final = 300.0
"""What the account is worth at first: three units, the most that the defaults buy."""
_GHOST_MINUTES: Final = 6


class Recovered(NamedTuple):
    """After one disconnect: minutes from the link's return, and whether it was seen or cut off."""

    ready: float
    is_ready: bool
    again: float
    is_again: bool


class Outcome(NamedTuple):
    """What became of a session: `METRICS` in order, times after each disconnect, the trades."""

    counts: list[float]
    times: list[Recovered]
    trades: frozenset[tuple[int, str, float]]


class Session:
    """Runs one session of one arm. Deterministic: no clock, no luck but the world's."""

    def __init__(
        self, world: World, arm: Arm, profile: Profile, faults: list[Fault], seed: int
    ) -> None:
        self.world, self.arm, self.profile = world, arm, profile
        self._faults = [] if not arm.faults else list(faults)
        self.clock = Clock()
        luck = stream(seed, "bytes", world.session)
        texts = luck.random(64).tolist()
        self.desk = Desk(
            world, self.clock, profile.venue, profile.trip_s,  # pyright: ignore[reportArgumentType]
            lambda number: texts[number % 64] < profile.keeps_text, ideal=arm.ideal,
        )  # fmt: skip
        kind = Journalled if arm.keeps in {"journal", "server"} else Plain
        self.bot: Plain = kind(arm, profile, world, self.desk, self.clock, luck.bytes)
        self.reference = Memory()
        self.reference.take(world.params)
        self.counts = [0.0] * len(METRICS)
        self._restored = -1.0
        self._fault: Fault | None = None
        self._pending: Fault | None = None
        self._omitted: tuple[str, int] | None = None
        self._offline: str | None = None
        self._keys: set[int] = set()
        self._noted = 0
        self._waiting: list[list[float]] = []  # link back, ready after, again after
        self._ghosts_until = -1
        self._told: list[str] = []
        self._unready = False

    # ------------------------------------------------------------------ the loop

    def run(self) -> Outcome:
        """The whole session."""
        self.bot.begin()
        world, desk, clock = self.world, self.desk, self.clock
        peak, deepest, worth, calm = _STAKE, 0.0, _STAKE, self._calm()
        for bar in range(world.bars):
            settled = desk.tick(bar)
            if bar in world.told:
                bot.tell(self.reference, world.told[bar])
                self._told.append(world.told[bar])
            # Before the clock says so: who is back is back within a minute.
            if not desk.up or self._pending or (self._faults and self._faults[0].bar <= bar):
                self._weather(bar)
            clock.at = max(clock.at, bar * MINUTE_US)
            if not desk.up:
                self._dark(bar)
            elif calm[bar] and self._is_idle(bar):
                self._omitted = self._offline = None
            else:
                self._live(bar, settled)
            worth = _STAKE + desk.cash + desk.units * world.price[bar]
            if worth > peak:
                peak = worth
            elif (peak - worth) > deepest * peak:
                deepest = (peak - worth) / peak
            if desk.units > 0 and not self._is_watched(bar):
                self.counts[M["unprotected_min"]] += 1
        self.counts[M["drawdown"]] = 100 * deepest
        self.counts[M["profit"]] = 100 * (worth - _STAKE) / _STAKE
        self.counts[M["orders"]] = len(self.desk.ledger)
        self.counts[M["ledger_duplicates"]] = _duplicates(self.desk.ledger)
        trades = frozenset((one.bar, one.side, round(one.units, 3)) for one in self.desk.ledger)
        return Outcome(self.counts, self._times(), trades)

    def _calm(self) -> list[bool]:
        """Minutes in which a bot that holds nothing decides nothing, whatever it remembers."""
        if self.world.strategy == "mean reversion":
            return [one < 0 for one in self.world.dip]
        if self.world.strategy == "momentum":
            return [one < 0 for one in self.world.rise]
        return [False] * self.world.bars

    def _is_idle(self, bar: int) -> bool:
        """Whether a calm minute can be passed over: nobody waits for anything."""
        agent = self.bot
        return not (
            self.desk.units or agent.held or agent.restless or agent.ghosts or self._told
            or self._unready or bar < agent.ready_at
        )  # fmt: skip

    def _weather(self, bar: int) -> None:
        """Links break, and come back."""
        if not self.desk.up and bar >= self._restored:
            self._back(bar)
        while self.desk.up and self._faults and self._faults[0].bar <= bar:
            fault = self._faults[0]
            if self._pending is None and fault.at_order and waits(fault, bar):
                self._pending = fault
                self._faults.pop(0)
                return
            self._faults.pop(0)
            self._break(fault, bar)
            if self._restored <= bar:
                self._back(bar)
        if self._pending is not None and not waits(self._pending, bar) and self.desk.up:
            fault, self._pending = self._pending, None
            if struck_without_order(fault):
                self._break(fault, bar)

    def _break(self, fault: Fault, bar: int) -> None:
        self.desk.up = False
        self._fault, self._restored = fault, max(self.clock.minute, bar) + fault.outage
        self.counts[M["disconnects"]] += 1

    def _back(self, bar: int) -> None:
        """The link is there again, and the bot with it."""
        fault = self._fault
        assert fault is not None
        self.desk.up, self._fault = True, None
        if fault.by_hand and self.desk.by_hand():
            bot.flat(self.world, bar, self.reference)
        bot.caught_up(self.world, bar, self.reference)
        self.bot.reconnect(fault, self._restored, bar)
        if self.bot.ghosts:
            self._ghosts_until = bar + _GHOST_MINUTES
        self._waiting.append([self._restored, -1.0, -1.0])
        self._unready = True

    # ------------------------------------------------------------------ a minute with a link

    def _live(self, bar: int, settled: list[Fill]) -> None:
        self._offline = None
        if bar >= self.bot.ready_at:  # no memory plans while no process runs
            bot.advance(self.world, bar, self.reference, self.desk.units)
        wanted = bot.decide(
            self.world, bar, self.reference, self.desk.units, self.desk.average
        )  # fmt: skip
        if bar < self.bot.ready_at:
            self._omit(wanted)
            return
        self.clock.reach(self.bot.ready_at)
        while self._told:
            self.bot.told(self._told.pop(0))
        self.bot.minute(bar, settled)
        self._note_ready(bar)
        decided = self.bot.decide(bar)
        sent = False
        if decided is not None:
            sent = self._send(bar, decided, wanted)
        if not sent:
            self._omit(wanted)
        if self.bot.ghosts:
            self._haunt(bar)

    def _send(self, bar: int, decided: Order, wanted: Order | None) -> bool:
        """Send what the bot decided; whether anything went out."""
        struck = self._pending
        if struck is not None:
            self.desk.strikes = struck.kind
        outcome = self.bot.order(bar, decided)
        if outcome == HELD_BACK:
            self.desk.strikes = ""
            if wanted is not None and wanted.side == decided.side:
                self.counts[M["silenced"]] += 1
            return False
        if struck is not None:
            self._pending = None
            self._struck(bar, struck, decided, outcome)
        if decided == wanted:
            self._omitted = None
            if decided.side == "buy" and outcome == FILLED:
                self._note_again()
        else:
            self._deviates(bar, decided)
        self._learn(bar)
        return True

    def _struck(self, bar: int, fault: Fault, decided: Order, outcome: str) -> None:
        if outcome == CRASHED:
            self._break(fault._replace(forgets=True), bar)
        elif struck_without_order(fault):
            self._break(fault, bar)
        elif outcome == UNKNOWN:
            self.bot.timed_out(bar, decided, fault)

    def _haunt(self, bar: int) -> None:
        """An old process that runs on decides, too."""
        if bar > self._ghosts_until or not self.desk.up:
            self.bot.ghosts = []
            return
        for ghost in self.bot.ghosts:
            ghost.minute(bar, [])
            decided = ghost.decide(bar)
            if decided is None:
                continue
            before = len(self.desk.ledger)
            wanted = bot.decide(
                self.world, bar, self.reference, self.desk.units, self.desk.average
            )  # fmt: skip
            ghost.order(bar, decided)
            if len(self.desk.ledger) > before:
                if decided != wanted:
                    self._deviates(bar, decided)
                self._learn(bar)

    # ------------------------------------------------------------------ counting

    def _learn(self, bar: int) -> None:
        """What the venue accepted is in the memory that never loses anything."""
        for fill in self.desk.ledger[self._noted :]:
            if fill.side == "buy":
                self._keys.add(fill.key)
                first = self.reference.entry_bar < 0
                bot.entered(
                    self.world,
                    bar,
                    self.reference,
                    fill.key,
                    fill.price,
                    self.desk.average,
                    first=first,
                )
            elif self.desk.units <= 0:
                bot.left(self.world, bar, self.reference, fill.loss)
            else:
                bot.lost(bar, self.reference, fill.loss)
        self._noted = len(self.desk.ledger)

    def _deviates(self, bar: int, decided: Order) -> None:
        memory = self.reference
        self.counts[M["deviations"]] += 1
        if decided.side == "sell":
            kind = "wrong_parameters"
        elif decided.key in self._keys:
            kind = "duplicate_entries"
        elif (
            memory.halted
            or bar < memory.cooldown_until
            or memory.day_loss >= memory.daily_loss
            or self.desk.units > memory.most_units + 1e-9
        ):
            kind = "limit_breaks"
        else:
            kind = "wrong_parameters"
        self.counts[M[kind]] += 1

    def _omit(self, wanted: Order | None) -> None:
        """Nothing was sent; counted once where something was wanted, and as long as it is."""
        if wanted is None:
            self._omitted = None
            return
        run = (wanted.side, wanted.key if wanted.side == "buy" else 0)
        if run == self._omitted:
            return
        self._omitted = run
        self.counts[M["deviations"]] += 1
        self.counts[M["missed_entries" if wanted.side == "buy" else "missed_exits"]] += 1

    def _dark(self, bar: int) -> None:
        """Without a link nobody can act; what was wanted is the connection's, not the memory's."""
        wanted = bot.decide(
            self.world, bar, self.reference, self.desk.units, self.desk.average
        )  # fmt: skip
        side = wanted.side if wanted else None
        if side is not None and side != self._offline:
            self.counts[M["offline"]] += 1
        self._offline = side
        self._omitted = None

    def _is_watched(self, bar: int) -> bool:
        watching = self.desk.up and bar >= self.bot.ready_at and self.bot.held > 0
        return watching and self.bot.memory.stop_price >= self.reference.stop_price - 1e-9

    # ------------------------------------------------------------------ times

    def _note_ready(self, bar: int) -> None:
        if not self._unready:
            return
        as_told = self.bot.memory.rules() == self.reference.rules()
        if not (as_told and self.bot.entries and abs(self.bot.held - self.desk.units) < 1e-9):
            return
        for one in self._waiting:
            if one[1] < 0:
                at = self.bot.ready_at if bar - self.bot.ready_at < 1 else float(bar)
                one[1] = max(0.0, at - one[0])
        self._unready = False

    def _note_again(self) -> None:
        for one in self._waiting:
            if one[2] < 0:
                one[2] = max(0.0, self.clock.minute - one[0])

    def _times(self) -> list[Recovered]:
        found: list[Recovered] = []
        for back, ready, again in self._waiting:
            left = max(0.0, self.world.bars - back)
            found.append(
                Recovered(
                    left if ready < 0 else ready,
                    ready >= 0,
                    left if again < 0 else again,
                    again >= 0,
                )
            )
        return found


def _duplicates(ledger: list[Fill]) -> int:
    """Entries that the venue accepted although it had one of the same signal."""
    keys = [fill.key for fill in ledger if fill.side == "buy"]
    return len(keys) - len(set(keys))
