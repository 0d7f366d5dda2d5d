"""The venue inside the caller's process: the same matching, the same faults, a virtual clock.

venue = SimulatedVenue(kind="C", prices={"BTC/USDT": "100"}, start=1_767_225_600_000_000)
venue.fault("cut_after_accept")
state = State.in_memory(now=venue.now)
Actor(state, venue, sleep=venue.advance).act("order", {...}, key="signal 17")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from haulout.errors import OutcomeUnknownError
from haulout.state.refs import Class, Rules
from haulout.state.venue import Seen
from haulout.testing.venue.adapter import Adapter
from haulout.testing.venue.clock import Clock
from haulout.testing.venue.desk import Desk, Reply
from haulout.testing.venue.exchange import Exchange, plain
from haulout.testing.venue.faults import Fault, Faults
from haulout.testing.venue.ledger import Entry, Ledger
from haulout.testing.venue.orders import Fill, Order, Wanted
from haulout.testing.venue.reports import Report, Reports
from haulout.testing.venue.shown import Listing, Shown, seen, shown

Found = TypeVar("Found")


def _nobody() -> None:
    """Nobody is killed."""


class SimulatedWire:
    """Calls to a desk in this process.

    Args:
        desk: who carries them out; clock: it moves where an answer is waited for.
        patience: seconds that the client waits for an answer.
        kill: ends the client; it does not come back.
    """

    def __init__(
        self, desk: Desk, clock: Clock, patience: float, kill: Callable[[], None] = _nobody
    ) -> None:
        self.desk, self._clock, self._patience, self.kill = desk, clock, patience, kill
        self.accepted: Callable[[], None] = _nobody
        """Called once an order was accepted and its answer is still on its way."""

    def _answer(self, reply: Reply, shape: Callable[[Any], Found]) -> Found:
        if reply.faring == "kill":
            self.kill()
        if reply.faring == "hang" and reply.fault is not None:
            self._clock.advance(min(self._patience, reply.fault.seconds))
            if reply.fault.seconds <= self._patience and reply.done:
                return shape(reply.value)
        if reply.faring:
            raise OutcomeUnknownError(f"No answer came ({reply.faring}).")
        if reply.refusal is not None:
            raise reply.refusal
        return shape(reply.value)

    def _written(self, reply: Reply) -> Shown:
        if reply.done and reply.refusal is None:
            self.accepted()
        return self._answer(reply, shown)

    def place(self, wanted: Wanted) -> Shown:
        """Send an order."""
        return self._written(self.desk.submit(wanted))

    def cancel(self, name: str) -> Shown:
        """Take an order back."""
        return self._written(self.desk.cancel(name))

    def replace(self, name: str, wanted: Wanted) -> Shown:
        """Put an order in another's place."""
        return self._written(self.desk.replace(name, wanted))

    def get(self, name: str) -> Shown | None:
        """An order, or None."""
        return self._answer(
            self.desk.get(name), lambda found: None if found is None else shown(found)
        )

    def orders(self, since: int) -> Listing:
        """What is open, and what changed since."""
        reply = self.desk.listed(since)
        return self._answer(
            reply, lambda found: Listing([shown(one) for one in found], self.desk.complete_since())
        )

    def positions(self) -> Mapping[str, str]:
        """What is held."""
        return self._answer(
            self.desk.positions(),
            lambda found: {symbol: plain(amount) for symbol, amount in found.items()},
        )


class SimulatedVenue(Adapter):
    """A venue in this process; everything about it follows from its arguments and its calls.

    Args:
        kind: what a second order with a client's ID meets; prices: by symbol.
        start: its clock's, microseconds; balances: by asset, None for no bounds.
        rules: how the client's ID is written; by default as hexadecimal digits.
        patience: seconds that the client waits for an answer.
        text: whether the client's ID is given back; ledger: a file for it, or None.
        faults: what goes wrong from the beginning.
    """

    def __init__(
        self,
        kind: Class = "C",
        *,
        prices: Mapping[str, Any],
        start: int = 1_767_225_600_000_000,
        balances: Mapping[str, Any] | None = None,
        rules: Rules | None = None,
        patience: float = 10.0,
        text: bool = True,
        ledger: Path | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.clock = Clock(start)
        self.exchange = Exchange(
            self.clock,
            Ledger(ledger),
            kind=kind,
            prices={symbol: Decimal(str(price)) for symbol, price in prices.items()},
            balances=None
            if balances is None
            else {asset: Decimal(str(held)) for asset, held in balances.items()},
            text=text,
        )
        self.faults = Faults()
        for one in faults:
            self.faults.arm(one)
        self.desk = Desk(self.exchange, self.faults)
        self.reports: list[Report] = []
        self._passing = Reports(self.faults)
        self.exchange.report = self._report
        self.wire = SimulatedWire(self.desk, self.clock, patience)
        super().__init__(self.wire, rules or Rules(kind, "hex", "client"), "simulated")

    def _report(self, what: str, order: Order, fill: Fill | None) -> None:
        self.reports += self._passing.passing(what, order, fill)

    # ------------------------------------------------------------------ the test's side

    def now(self) -> int:
        """Its time, microseconds."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Let time pass; a bot that sleeps calls this."""
        self.clock.advance(seconds)
        self.desk.turn()

    def fault(self, point: str, **more: Any) -> None:
        """Let something go wrong; see `faults.Fault` for the arguments."""
        self.faults.arm(msgspec.convert({"point": point, **more}, Fault))

    def ledger(self) -> list[Entry]:
        """What was accepted, filled, cancelled and refused."""
        return self.exchange.ledger.entries

    def price(self, symbol: str, price: Any) -> None:
        """Move the market."""
        self.exchange.set_price(symbol, Decimal(str(price)))

    def fill(self, order: str, amount: Any = None) -> Shown:
        """Fill an order, or a part of it."""
        return shown(self.desk.hand_fill(order, None if amount is None else Decimal(str(amount))))

    def trade(self, symbol: str, side: str, amount: Any, **more: Any) -> Shown:
        """The account's owner acts by hand, past every agent."""
        wanted = {"symbol": symbol, "side": side, "amount": str(amount), "by": "user", **more}
        return shown(self.exchange.place(msgspec.convert(wanted, Wanted)))

    def heard(self) -> list[Seen]:
        """The reports that came since the last call, as an agent's journal takes them."""
        reports, self.reports = self.reports, []
        return [seen(one.order, self.rules) for one in reports]
