"""The desk: every call to the exchange, with what goes wrong around it. Both fronts stand on it.

A call gives a `Reply`: what was found or done, and how the answer fares on its way (`Faring`). The
HTTP front breaks connections and waits; the simulated one raises what an adapter would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from haulout.testing.venue.exchange import Exchange
from haulout.testing.venue.faults import Fault, Faults
from haulout.testing.venue.orders import Fill, Order, Refusal, Wanted

Faring = Literal["", "cut", "error", "busy", "hang", "garbage", "kill"]
_PARTIAL = 50  # percent of an order that fills where the rest waits


class Reply(NamedTuple):
    """What a call came to.

    Attributes:
        value: an order, a list, positions; None where nothing was found or done.
        refusal: the venue said no; faring: what becomes of the answer; fault: and by which fault.
        done: whether the call was carried out before the answer fared ill.
    """

    value: Any = None
    refusal: Refusal | None = None
    faring: Faring = ""
    fault: Fault | None = None
    done: bool = True


class Desk:
    """Calls to an exchange, and their faults.

    Args:
        exchange: who matches; faults: what goes wrong.
    """

    def __init__(self, exchange: Exchange, faults: Faults) -> None:
        self.exchange, self.faults = exchange, faults
        self._late: list[tuple[int, Wanted]] = []

    # ------------------------------------------------------------------ writing

    def submit(self, wanted: Wanted) -> Reply:
        """Place an order."""
        return self._write("submit", wanted.entry, lambda: self._accept(wanted), wanted)

    def cancel(self, name: str) -> Reply:
        """Take an order back, named by its own ID or ``client:`` and the client's."""
        return self._write("cancel", None, lambda: self.exchange.cancel(self.require(name)))

    def replace(self, name: str, wanted: Wanted) -> Reply:
        """Put another order in an open one's place."""
        return self._write(
            "replace", wanted.entry, lambda: self.exchange.replace(self.require(name), wanted)
        )

    def _accept(self, wanted: Wanted) -> Order:
        faults, now = self.faults, self.exchange.clock.now()
        known = len(self.exchange.orders)
        delayed = faults.at("delayed_fill", "submit", wanted.entry)
        partial = faults.at("partial_fill", "submit", wanted.entry)
        order = self.exchange.place(
            wanted,
            fills_at=None if delayed is None else now + round(delayed.seconds * 1e6),
            share=0 if partial is None else _PARTIAL,
            doubled=faults.at("duplicate_report", "submit", wanted.entry) is not None,
        )
        if len(self.exchange.orders) == known:
            return order
        stale = faults.at("stale", "submit", wanted.entry)
        if stale is not None:
            order.shown_after = stale.reads
            order.shown_at = 0 if stale.reads else now + round(stale.seconds * 1e6)
        return order

    def _write(
        self,
        call: str,
        entry: bool | None,  # noqa: FBT001
        do: Callable[[], Order],
        wanted: Wanted | None = None,
    ) -> Reply:
        self.turn()
        fault = self.faults.before(call, entry)
        if fault is not None:
            if fault.point == "refuse":
                return Reply(refusal=Refusal("refused", "the order is refused"), done=False)
            if fault.point == "late_accept" and wanted is not None:
                due = self.exchange.clock.now() + round(fault.seconds * 1e6)
                self._late.append((due, wanted))
            return Reply(faring=_faring(fault), fault=fault, done=False)
        try:
            order = do()
        except Refusal as refusal:
            return Reply(refusal=refusal)
        fault = self.faults.after(call, entry)
        return Reply(order, faring=_faring(fault), fault=fault)

    def turn(self) -> None:
        """Do what is due by now: late orders arrive, market orders fill."""
        now = self.exchange.clock.now()
        due = [wanted for at, wanted in self._late if at <= now]
        self._late = [late for late in self._late if late[0] > now]
        for wanted in due:
            try:
                self._accept(wanted)
            except Refusal:
                continue  # nobody is there any more to be told
        self.exchange.turn()

    # ------------------------------------------------------------------ reading

    def find(self, client: str) -> Reply:
        """The newest order with a client's ID."""
        fault = self._begin_read("find")
        if fault is not None:
            return Reply(faring=_faring(fault), fault=fault, done=False)
        order = self.exchange.named(client)
        missing = self.faults.standing("lookup_missing") is not None
        shown = order is not None and not missing and self._shown(order) and self._kept(order)
        return Reply(order if shown else None)

    def get(self, name: str) -> Reply:
        """An order by its own ID, or by ``client:`` and the client's."""
        if name.startswith("client:"):
            return self.find(name.removeprefix("client:"))
        fault = self._begin_read("find")
        if fault is not None:
            return Reply(faring=_faring(fault), fault=fault, done=False)
        order = self.exchange.orders.get(int(name)) if name.isdigit() else None
        return Reply(order if order is not None and self._shown(order) else None)

    def listed(
        self, since: int = 0, symbol: str | None = None, *, open_only: bool = False
    ) -> Reply:
        """Orders that are open, and those that changed since then, oldest first."""
        fault = self._begin_read("list")
        if fault is not None:
            return Reply(faring=_faring(fault), fault=fault, done=False)
        found = [
            one
            for one in self.exchange.orders.values()
            if (symbol is None or one.wanted.symbol == symbol)
            and (one.status == "open" or (not open_only and one.updated >= since))
            and self._shown(one)
        ]
        return Reply([one for one in found if self._kept(one)])

    def positions(self) -> Reply:
        """What was bought less what was sold, by symbol."""
        fault = self._begin_read("positions")
        if fault is not None:
            return Reply(faring=_faring(fault), fault=fault, done=False)
        held = dict(self.exchange.traded)
        for order in self.exchange.orders.values():
            if not self._shown(order):
                sign = 1 if order.wanted.side == "buy" else -1
                held[order.wanted.symbol] -= sign * order.filled
        return Reply({symbol: amount for symbol, amount in sorted(held.items()) if amount})

    def trades(self, symbol: str | None = None) -> Reply:
        """Fills with their orders, oldest first; some come twice."""
        fault = self._begin_read("list")
        if fault is not None:
            return Reply(faring=_faring(fault), fault=fault, done=False)
        found: list[tuple[Order, Fill]] = []
        for order in self.exchange.orders.values():
            if symbol in {None, order.wanted.symbol} and self._shown(order) and self._kept(order):
                for fill in order.fills:
                    found += [(order, fill)] * (2 if order.doubled else 1)
        return Reply(sorted(found, key=lambda one: one[1].id))

    def complete_since(self) -> int:
        """From when on a list shows everything (microseconds)."""
        window = self.faults.standing("window")
        if window is None:
            return 0
        if not window.reads:
            return self.exchange.clock.now() - round(window.seconds * 1e6)
        ended = self._ended()[-window.reads :]
        return min((one.updated for one in ended), default=0)

    def _begin_read(self, call: str) -> Fault | None:
        self.turn()
        for order in self.exchange.orders.values():
            order.shown_after -= order.shown_after > 0
        return self.faults.before(call) or self.faults.after(call)

    def _shown(self, order: Order) -> bool:
        return not order.shown_after and order.shown_at <= self.exchange.clock.now()

    def _ended(self) -> list[Order]:
        ended = [one for one in self.exchange.orders.values() if one.status != "open"]
        return sorted(ended, key=lambda one: one.updated)

    def _kept(self, order: Order) -> bool:
        window = self.faults.standing("window")
        if window is None or order.status == "open":
            return True
        if window.reads:
            return order.id in {one.id for one in self._ended()[-window.reads :]}
        return order.updated >= self.complete_since()

    # ------------------------------------------------------------------ names

    def require(self, name: str) -> Order:
        """An order by its own ID, or by ``client:`` and the client's.

        Raises:
            Refusal: there is none.
        """
        if name.startswith("client:"):
            order = self.exchange.named(name.removeprefix("client:"))
        else:
            order = self.exchange.orders.get(int(name)) if name.isdigit() else None
        if order is None:
            raise Refusal("missing", f"there is no order {name}")
        return order

    def hand_fill(self, name: str, amount: Decimal | None) -> Order:
        """Fill an order, or a part of it, as the test wants it.

        Raises:
            Refusal: there is none.
        """
        return self.exchange.fill(self.require(name), amount)


def _faring(fault: Fault | None) -> Faring:
    if fault is None:
        return ""
    first = fault.point.split("_", 1)[0]
    farings: dict[str, Faring] = {
        "cut": "cut", "late": "cut", "error": "error", "busy": "busy", "hang": "hang",
        "garbage": "garbage", "kill": "kill",
    }  # fmt: skip
    return farings[first]


def newest_first(orders: Iterable[Order]) -> list[Order]:
    """The order in which some venues list."""
    return sorted(orders, key=lambda one: one.id, reverse=True)
