"""The bot of the crash matrix: a plan of decisions, each with a key, acted out over a state.

It buys, rests an order and takes it back, sells, edits, and wants more in the end than its limit
allows. What it knows it knows from its state: it can be killed anywhere and begin again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from haulout.errors import (
    ActionRefusedError,
    ConflictError,
    OutcomeUnknownError,
    StorageError,
    VaultClosedError,
    VaultVersionError,
    VenueRefusedError,
)
from haulout.state import refs
from haulout.state.acting import Actor
from haulout.state.intents import Intent
from haulout.state.recovery import Recovery
from haulout.state.state import State
from haulout.state.venue import Seen

SYMBOL = "BTC/USDT"
LIMIT = 3
"""BTC that the bot may hold, set by its owner."""
_PATIENCE = 3
"""Ticks that one decision is tried for."""


class Step(NamedTuple):
    """One decision: its key, what is done, and which earlier one it is about."""

    key: str
    what: Literal["buy", "rest", "cancel", "edit", "sell"]
    about: str = ""


PLAN = (
    Step("s1", "buy"),
    Step("s2", "rest"),
    Step("c2", "cancel", "s2"),
    Step("x1", "sell", "s1"),
    Step("s3", "buy"),
    Step("s4", "rest"),
    Step("r4", "edit", "s4"),
    Step("s5", "buy"),
    Step("s6", "buy"),  # one more than the limit allows
)
WANTED = frozenset({"s1", "s2", "s3", "s4", "r4", "s5"})
"""The entries that go out where nothing goes wrong."""


def found(state: State, key: str) -> Intent | None:
    """The intent that a key decided."""
    event = state.tape.read(lambda _book, past: past.keyed(key))
    return None if event is None else state.intent(event.body["id"])


class Bot:
    """One process of the bot.

    Args:
        state, actor: what it stands on; sleep: lets time pass.
        heard: what the venue told since it was last asked; schema: of its own documents.
        symbol: what it trades; phase: told when a recovery begins and ends.
        confirmed: a person looked at a journal that is older than the venue.
    """

    def __init__(
        self,
        state: State,
        actor: Actor,
        sleep: Callable[[float], None],
        *,
        heard: Callable[[], list[Seen]] = list,
        schema: int = 1,
        confirmed: bool = False,
        phase: Callable[[str], None] = lambda _name: None,
        symbol: str = SYMBOL,
    ) -> None:
        self.state, self.actor, self._sleep, self._heard = state, actor, sleep, heard
        self._confirmed, self._phase, self._symbol = confirmed, phase, symbol
        migrate = {1: lambda value: value} if schema > 1 else None
        self._progress = state.document("progress", int, schema=schema, migrate=migrate)
        self._tries, self._ready = 0, False

    def live(self, ticks: int, tick_s: float = 60.0) -> bool:
        """Act the plan out for so many ticks; False where the state takes nothing any more."""
        for _ in range(ticks):
            self._sleep(tick_s)
            try:
                self._ready = self._ready or self._recover().ready
                self._listen()
                done = self._go_on()
            except VaultClosedError:
                return False
            except (StorageError, ConflictError, OutcomeUnknownError):
                continue
            if done and self._ready:
                return True
        return True

    def _recover(self) -> Recovery:
        self._phase("recovery: ")
        try:
            return self.actor.recover(confirmed=self._confirmed)
        finally:
            self._phase("")

    def _listen(self) -> None:
        for seen in self._heard():
            self.actor.observe(seen)
        for one in self.state.open_intents():
            with suppress(OutcomeUnknownError):
                if one.status == "accepted":
                    self.actor.resolve(one)

    def _go_on(self) -> bool:
        at = self._progress.get(0)
        while at < len(PLAN):
            if not self._do(PLAN[at]):
                self._tries += 1
                if self._tries < _PATIENCE:
                    return False
            self._tries = 0
            at += 1
            self._progress.set(at)
        return True

    def _do(self, step: Step) -> bool:
        """Take one decision; False where it is to be tried again."""
        try:
            acted = self._act(step)
        except VenueRefusedError:
            return True
        except (ActionRefusedError, OutcomeUnknownError, StorageError) as error:
            if isinstance(error, VaultClosedError | VaultVersionError):
                raise
            return False
        return acted

    def _act(self, step: Step) -> bool:
        """Act on a decision; False where it is to be tried again."""
        if step.what in {"buy", "rest"}:
            self.actor.act("order", self._order(step), **self._entry(step))
            return True
        about = found(self.state, step.about)
        if about is None:
            return True
        if about.is_unsettled:
            about = self.actor.resolve(about)
        if about.status != ("done" if step.what == "sell" else "accepted"):
            return about.is_final
        if step.what == "sell":
            sell = {**self._order(step), "side": "sell", "amount": about.filled or "1"}
            self.actor.act(
                "order", sell, key=step.key, role="exit", target=self._symbol, closes=[about.id]
            )
            return True
        name = {"order": "client:" + refs.write(about.id, self.actor.venue.rules.code)}
        if step.what == "cancel":
            target = f"{self._symbol} orders"
            self.actor.act("cancel", name, key=step.key, role="exit", target=target)
        else:
            self.actor.act("replace", {**self._order(step), **name}, **self._entry(step))
        with suppress(OutcomeUnknownError):
            self.actor.resolve(about)
        return True

    def _order(self, step: Step) -> dict[str, Any]:
        order = {"symbol": self._symbol, "side": "buy", "amount": "1"}
        price = {"rest": "90", "edit": "95"}.get(step.what)
        return order if price is None else {**order, "type": "limit", "price": price}

    def _entry(self, step: Step) -> dict[str, Any]:
        cost = {"BTC": 1, "trades": 1}
        return {"key": step.key, "target": self._symbol, "cost": cost, "holds": ["BTC"]}
