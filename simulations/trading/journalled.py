"""Bots with a journal: `haulout.state` itself, its twin in memory, against the venue.

Nothing of the journal, of intents, limits, leases or recovery is written anew here: a bot asks
`State` and `Actor`, as one with money would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

import msgspec

from haulout.errors import ActionRefusedError, OutcomeUnknownError, VenueRefusedError
from haulout.state.acting import Acted, Actor
from haulout.state.events import Event
from haulout.state.intents import Intent
from haulout.state.state import State
from trading import bot
from trading.arms import Arm
from trading.bot import Memory, Order, World
from trading.bots import CRASHED, FILLED, HELD_BACK, REFUSED, UNKNOWN, Plain
from trading.desk import MINUTE_US, OPENS_US, TARGET, Clock, CrashError, Desk, Fill
from trading.faults import Fault, Profile

_LEASE_S: Final = 43_200
_TRIES: Final = 5
"""How often one signal is decided anew after an order of it never arrived."""


class Kept(msgspec.Struct):
    """The bot's document.

    Attributes:
        memory: what it remembers; held, average: the position as it believes it.
        open: intents whose position is open; applied: intents whose fill is in all this.
    """

    memory: Memory
    held: float = 0.0
    average: float = 0.0
    open: list[str] = []
    applied: list[str] = []


class Journalled(Plain):
    """A bot that writes down before it acts, and asks before it acts again. See `Plain`."""

    def __init__(
        self,
        arm: Arm,
        profile: Profile,
        world: World,
        desk: Desk,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        super().__init__(arm, profile, world, desk, clock, entropy)
        self._open: list[str] = []
        self._applied: list[str] = []
        self._down_until = -1.0
        self._down = False
        self._forgot = False
        self._person_at = -1.0
        self._person = 0.0
        self._fenced = False
        self._owed: list[str] = []
        self._hold(State.in_memory("bot", now=clock.now, entropy=entropy))

    def _hold(self, state: State) -> None:
        self.state = state
        self.actor = Actor(state, self.desk, sleep=self.clock.wait)
        self._document = state.document("bot", Kept)

    def _lease(self) -> None:
        if self.profile.split:
            self.state.lease("bot", _LEASE_S)

    # ------------------------------------------------------------------ the session

    def begin(self) -> None:
        """The user starts it with their own settings and limits."""
        self._lease()
        params = self.world.params
        self.state.limit("units/held", params.most_units, by_owner=True)
        self.state.limit("loss/day", params.daily_loss, by_owner=True)
        self.memory.take(params)
        self.save()
        self.actor.recover()

    def save(self) -> None:
        """Keep what may not be forgotten."""
        if self._down or self._fenced:
            return
        kept = Kept(self.memory, self.held, self.average, self._open, self._applied)
        try:
            self._document.set(kept)
        except ActionRefusedError:
            self._fenced = True

    def told(self, what: str) -> None:
        """The user says something, over the command line."""
        bot.tell(self.memory, what)
        if self._down:
            self._owed.append(what)
            return
        if what == "pause":
            self.state.pause("the user said so")
        else:
            self.state.limit("units/held", self.memory.most_units, by_owner=True)
        self.save()

    def minute(self, bar: int, settled: list[Fill]) -> None:
        """A minute begins, the link is there."""
        for fill in settled:
            if not self._down and self.actor.observe(self.desk.seen(fill)) is not None:
                self.held, self.average = self.desk.units, self.desk.average
        if self._down and bar >= self._down_until:
            self._memory_is_back(bar)
        if 0 <= self._person_at <= bar:
            self._person_looks(bar)
        if bot.advance(self.world, bar, self.memory, self.held):
            self.save()

    def decide(self, bar: int) -> Order | None:
        """What it wants; nothing once another process holds the lease."""
        return None if self._fenced else super().decide(bar)

    # ------------------------------------------------------------------ orders

    def order(self, bar: int, order: Order) -> str:
        """Reserve, act, settle; what became of it."""
        if self._fenced or (order.side == "buy" and not self.entries):
            return HELD_BACK
        if self._down:  # an exit, or a bot that goes on without memory
            return super().order(bar, order)
        strikes = self.desk.strikes
        if strikes in {"crash0", "crash3"}:
            self.desk.strikes = ""
        acted, outcome = (None, CRASHED) if strikes == "crash0" else self._tried(order)
        if acted is None or strikes == "crash3":
            return outcome if acted is None else CRASHED
        self._absorb(acted.intent)
        if acted.intent.status == "accepted":
            self.held, self.average = self.desk.account()
        self.save()
        return HELD_BACK if acted.repeated else FILLED

    def _tried(self, order: Order) -> tuple[Acted | None, str]:
        try:
            return self._act(order), FILLED
        except CrashError:
            return None, CRASHED
        except ActionRefusedError:
            return None, HELD_BACK
        except VenueRefusedError:
            self._look()
            return None, REFUSED
        except OutcomeUnknownError:
            return None, UNKNOWN

    def _act(self, order: Order) -> Acted:
        payload = {"side": order.side, "units": order.units, "key": order.key}
        if order.side == "sell":
            return self.actor.act(
                "order", payload, role="exit", target=TARGET, closes=list(self._open)
            )
        return self.actor.act(
            "order", payload, key=self._key(order), target=TARGET,
            cost={"units": order.units}, holds=["units"],
        )  # fmt: skip

    def _key(self, order: Order) -> str:
        """The signal as a key; another one where an order of it is known not to have arrived."""
        for attempt in range(_TRIES):
            key = f"{order.key}.{attempt}"
            known = self.state.tape.read(lambda _book, past, key=key: past.keyed(key))
            if known is None:
                break
            if self.state.intent(known.body["id"]).status not in {"dropped", "refused"}:
                break
        return key

    def timed_out(self, bar: int, order: Order, fault: Fault) -> None:
        """Where even the venue cannot tell, a person is asked."""
        del bar, order
        if self._down:
            self._look()
        elif any(one.is_unsettled for one in self.state.open_intents()):
            self._ask_a_person(fault.person)

    def _absorb(self, intent: Intent) -> None:
        """Take in what an intent did, once."""
        if intent.text in self._applied or intent.status not in {"done", "accepted"}:
            return
        self._applied.append(intent.text)
        answer, said = intent.answer(), intent.content()
        if not answer:
            return
        bar, price, units = answer["bar"], answer["price"], answer["units"]
        if answer["side"] == "buy":
            first = self.held <= 0
            total = self.held + units
            self.average = (self.held * self.average + units * price) / total
            self.held = round(total, 6)
            key = said.get("key", -1)
            bot.entered(self.world, bar, self.memory, key, price, self.average, first=first)
            self._open.append(intent.text)
            return
        # What it lost counts against the limit as what the exit spent: once, however often read.
        loss = bot.loss_of(price, self.average, self.held)
        bot.left(self.world, bar, self.memory, loss)
        self.held, self.average, self._open = 0.0, 0.0, []

    # ------------------------------------------------------------------ after a disconnect

    def reconnect(self, fault: Fault, restored: float, bar: int) -> None:
        """The link is back since minute ``restored``; sets `ready_at`."""
        self.clock.reach(restored)
        self.clock.step += int(fault.step_s * 1e6)
        self._person = fault.person
        if fault.forgets:
            if fault.split:
                self.ghosts = [self._ghost()]
            self.clock.wait(self.profile.restart_s)
        if self.arm.down and fault.memory_down:
            self._without_memory(fault, restored)
        elif fault.forgets:
            self._restart(bar, moved=fault.switch)
        else:
            self._recover(bar)
        self.ready_at = self.clock.minute

    def _ghost(self) -> Plain:
        ghost = Journalled(self.arm, self.profile, self.world, self.desk, self.clock, self.entropy)
        ghost.state, ghost.actor, ghost._document = self.state, self.actor, self._document
        ghost.memory, ghost.held, ghost.average = self.memory.copy(), self.held, self.average
        ghost._open, ghost._applied = list(self._open), list(self._applied)
        return ghost

    def _restart(self, bar: int, *, moved: bool = False) -> None:
        if self.arm.keeps == "server" and moved:
            self._hold(State.in_memory("bot", now=self.clock.now, entropy=self.entropy))
            self._lease()
            self._forget()
            self._recover(bar)
            return
        if self.ghosts and not self.arm.stale and not self.arm.torn:
            now = self.clock.now
            tape = self.state.tape  # the same, since the old process still writes to it
            self._hold(State(tape, now=now, entropy=self.entropy, monotonic=lambda: now() / 1e6))
        else:
            self._hold(
                State.in_memory(
                    "bot", now=self.clock.now, entropy=self.entropy, events=self._survivors()
                )
            )
        self._lease()
        self._forget()
        self._load()
        self._recover(bar)

    def _survivors(self) -> Sequence[Event]:
        events = [one.event for one in self.state.events()]
        if self.arm.stale:
            oldest = self.clock.now() - self.arm.stale * MINUTE_US
            # What the user set up before the session is in every snapshot.
            return list(takewhile(lambda one: one.at <= max(oldest, OPENS_US), events))
        return events[:-1] if self.arm.torn else events

    def _forget(self) -> None:
        self.memory, self.held, self.average = Memory(), 0.0, 0.0
        self._open, self._applied = [], []

    def _load(self) -> None:
        kept = self._document.get()
        if kept is not None:
            self.memory, self.held, self.average = kept.memory, kept.held, kept.average
            self._open, self._applied = kept.open, kept.applied

    def _recover(self, bar: int, *, confirmed: bool = False) -> None:
        believed = {TARGET: f"{self.held:.6f}"} if self.held > 0 else {}
        found = self.actor.recover(believed=believed, confirmed=confirmed)
        for intent in self._done():
            self._absorb(intent)
        held, average = self.desk.account()
        if held <= 0 < self.held:
            bot.flat(self.world, bar, self.memory)
            for one in self._open:
                self.state.close_held(one)
            self._open = []
        elif held > 0 and self.memory.entry_bar < 0:
            self._guard(average)
        self.held, self.average = held, average
        bot.caught_up(self.world, bar, self.memory)
        self.memory.halted = int(bool(found.halted))
        self.save()
        doubts = [one for one in found.reasons if not one.startswith("the owner said")]
        self.entries = not doubts
        if doubts and not confirmed:
            if self.arm.safe:
                self._ask_a_person(self._person)
            else:
                self._go_on(bar)

    def _done(self) -> list[Intent]:
        recent = self.state.tape.read(lambda book, _past: list(book.recent))
        return sorted([*recent, *self.state.open_intents()], key=lambda one: one.at)

    def _go_on(self, bar: int) -> None:
        """Nobody is asked: what is not known counts as not done."""
        for one in self.state.open_intents():
            if one.is_unsettled:
                self.state.settle(one, "dropped", why="nobody knows; the bot goes on")
        self._recover(bar, confirmed=True)

    def _ask_a_person(self, minutes: float) -> None:
        self.entries = False
        self._person_at = self.clock.minute + minutes
        self.restless = True

    def _person_looks(self, bar: int) -> None:
        """A person reads the account and says what became of what nobody knew."""
        self._person_at, self.restless = -1.0, False
        for one in self.state.open_intents():
            if not one.is_unsettled:
                continue
            there = next((fill for fill in self.desk.ledger if fill.client == one.id), None)
            if there is None:
                self.state.settle(one, "dropped", why="a person looked: it is not there")
            else:
                seen = self.desk.seen(there)
                self.state.settle(
                    one, seen.status, ref=seen.ref, filled=seen.filled, spent=seen.spent,
                    result=seen.answer, why="a person looked: it is there",
                )  # fmt: skip
        self._recover(bar, confirmed=True)

    # ------------------------------------------------------------------ without memory

    def _without_memory(self, fault: Fault, restored: float) -> None:
        self._down, self._down_until = True, restored + fault.memory_back
        self.restless = True
        self._forgot = self._forgot or fault.forgets
        if fault.forgets:
            self._forget()
        self._look()
        self.entries = not self.arm.safe

    def _memory_is_back(self, bar: int) -> None:
        self._down, self.restless, self.entries = False, self._person_at >= 0, True
        for what in self._owed:
            if what == "pause":
                self.state.pause("the user said so")
            else:
                self.state.limit("units/held", 1, by_owner=True)
        if self._forgot:
            self._restart(bar)
            for what in self._owed:
                bot.tell(self.memory, what)
            self.save()
        else:
            self._recover(bar)
        self._owed, self._forgot = [], False
