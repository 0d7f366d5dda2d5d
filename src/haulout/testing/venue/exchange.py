"""The matching: prices are set by the test, market orders fill at them, limit orders wait.

No sockets and no randomness: `desk.Desk` puts the faults around it, and two fronts stand on that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from haulout.state.refs import Class
from haulout.testing.venue.clock import Clock
from haulout.testing.venue.ledger import Entry, Ledger, What
from haulout.testing.venue.orders import Fill, Order, Refusal, Wanted

Report = Callable[[str, Order, Fill | None], None]
"""What happened (``accepted``, ``filled``, ``cancelled``), to which order."""


class Exchange:
    """Orders, fills and balances.

    Args:
        clock: its time; ledger: where everything is written down.
        kind: what a second order with a client's ID meets, see `haulout.state.refs.Class`.
        prices: of each symbol, such as ``BTC/USDT``; balances: of each asset; None for no limits.
        text: whether the client's ID is given back with an order.
    """

    def __init__(
        self,
        clock: Clock,
        ledger: Ledger,
        *,
        kind: Class = "C",
        prices: Mapping[str, Decimal],
        balances: Mapping[str, Decimal] | None = None,
        text: bool = True,
    ) -> None:
        self.clock, self.ledger, self.kind, self.text = clock, ledger, kind, text
        self.prices = dict(prices)
        self.balances = None if balances is None else dict(balances)
        self.orders: dict[int, Order] = {}
        self.traded: dict[str, Decimal] = {}
        """By symbol, what was bought less what was sold."""
        self.report: Report = _unheard
        self._fills = 0

    # ------------------------------------------------------------------ orders

    def place(
        self,
        wanted: Wanted,
        *,
        fills_at: int | None = None,
        share: int = 0,
        doubled: bool = False,
    ) -> Order:
        """Accept an order, and fill what can be filled.

        Args:
            wanted: the order; fills_at: a market order waits until then.
            share: percent of a market order that fills at once; 0 for all of it.
            doubled: its reports come twice.

        Raises:
            Refusal: duplicate, funds, symbol or amount.
        """
        known = self.named(wanted.client) if wanted.client else None
        if known is not None and self.kind == "A":
            return known
        if known is not None and (
            self.kind == "B" or (self.kind == "C" and self._open_named(wanted.client))
        ):
            raise self._refused(wanted, "duplicate", "an order with this client ID exists")
        if wanted.symbol not in self.prices:
            raise self._refused(wanted, "symbol", f"there is no symbol {wanted.symbol}")
        if wanted.amount <= 0:
            raise self._refused(wanted, "amount", "an amount is above zero")
        self._require_funds(wanted)
        order = Order(
            id=len(self.orders) + 1, wanted=wanted, at=self.clock.now(), updated=self.clock.now(),
            fills_at=fills_at, text=self.text, doubled=doubled,
        )  # fmt: skip
        self.orders[order.id] = order
        self._note("accepted", order, wanted.amount, wanted.price)
        self.report("accepted", order, None)
        if share and wanted.type == "market":
            self.fill(order, wanted.amount * share / 100)
            order.fills_at = -1  # the rest waits for the test
        else:
            self._match(order)
        return order

    def _refused(self, wanted: Wanted, reason: str, words: str) -> Refusal:
        self.ledger.write(
            Entry(
                n=len(self.ledger.entries) + 1, at=self.clock.now(), what="refused", order="",
                client=wanted.client, symbol=wanted.symbol, side=wanted.side,
                amount=str(wanted.amount), key=wanted.key, entry=wanted.entry, by=wanted.by,
                why=reason,
            )
        )  # fmt: skip
        return Refusal(reason, words)

    def cancel(self, order: Order) -> Order:
        """Take an open order back.

        Raises:
            Refusal: it is not open any more.
        """
        if order.status != "open":
            raise Refusal("closed", f"order {order.id} is {order.status}")
        order.status, order.updated = "cancelled", self.clock.now()
        self._note("cancelled", order, order.wanted.amount - order.filled, order.wanted.price)
        self.report("cancelled", order, None)
        return order

    def replace(self, order: Order, wanted: Wanted) -> Order:
        """Cancel an open order and place another for it.

        Raises:
            Refusal: it is not open any more, or the other is refused.
        """
        known = self.named(wanted.client) if wanted.client else None
        if known is not None and self.kind == "A":
            return known
        self.cancel(order)
        placed = self.place(wanted)
        placed.replaces = order.id
        return placed

    def fill(self, order: Order, amount: Decimal | None = None) -> Order:
        """Fill an open order, or a part of it, at its own price or the market's."""
        left = order.wanted.amount - order.filled
        amount = left if amount is None else min(amount, left)
        if order.status != "open" or amount <= 0:
            return order
        market = self.prices[order.wanted.symbol]
        price = market if order.wanted.price is None else _better(order.wanted, market)
        self._fills += 1
        fill = Fill(id=self._fills, amount=amount, price=price, at=self.clock.now())
        order.fills.append(fill)
        order.updated = fill.at
        if amount == left:
            order.status = "filled"
        self._book(order.wanted, amount, price)
        self._note("filled", order, amount, price)
        self.report("filled", order, fill)
        return order

    # ------------------------------------------------------------------ time and prices

    def turn(self) -> None:
        """Do what is due by now."""
        now = self.clock.now()
        for order in self.orders.values():
            if order.status == "open" and order.fills_at is not None and 0 <= order.fills_at <= now:
                order.fills_at = None
                self._match(order)

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Move the market; orders that it crosses fill."""
        self.prices[symbol] = price
        for order in list(self.orders.values()):
            if order.status == "open" and order.wanted.symbol == symbol:
                self._match(order)

    def _match(self, order: Order) -> None:
        if order.fills_at is not None:
            return
        wanted, market = order.wanted, self.prices[order.wanted.symbol]
        buys = wanted.side == "buy"
        if wanted.stop is not None and (market < wanted.stop if buys else market > wanted.stop):
            return
        if wanted.price is None or (market <= wanted.price if buys else market >= wanted.price):
            self.fill(order)

    # ------------------------------------------------------------------ looking

    def named(self, client: str | None) -> Order | None:
        """The newest order with a client's ID."""
        found = [one for one in self.orders.values() if client and one.wanted.client == client]
        return found[-1] if found else None

    def _open_named(self, client: str | None) -> bool:
        return any(
            one.wanted.client == client and one.status == "open" for one in self.orders.values()
        )

    def locked(self, asset: str) -> Decimal:
        """How much of an asset open orders need."""
        found = Decimal()
        for order in self.orders.values():
            if order.status == "open":
                base, quote = order.wanted.symbol.split("/")
                left = order.wanted.amount - order.filled
                if order.wanted.side == "sell" and base == asset:
                    found += left
                elif order.wanted.side == "buy" and quote == asset:
                    found += left * (order.wanted.price or self.prices[order.wanted.symbol])
        return found

    # ------------------------------------------------------------------ money

    def _require_funds(self, wanted: Wanted) -> None:
        if self.balances is None:
            return
        base, quote = wanted.symbol.split("/")
        asset, need = base, wanted.amount
        if wanted.side == "buy":
            asset, need = quote, wanted.amount * (wanted.price or self.prices[wanted.symbol])
        if self.balances.get(asset, Decimal()) - self.locked(asset) < need:
            raise self._refused(wanted, "funds", f"the account has too little {asset}")

    def _book(self, wanted: Wanted, amount: Decimal, price: Decimal) -> None:
        base, quote = wanted.symbol.split("/")
        sign = 1 if wanted.side == "buy" else -1
        self.traded[wanted.symbol] = self.traded.get(wanted.symbol, Decimal()) + sign * amount
        if self.balances is not None:
            self.balances[base] = self.balances.get(base, Decimal()) + sign * amount
            self.balances[quote] = self.balances.get(quote, Decimal()) - sign * amount * price

    def _note(self, what: What, order: Order, amount: Decimal, price: Decimal | None) -> None:
        wanted = order.wanted
        self.ledger.write(
            Entry(
                n=len(self.ledger.entries) + 1, at=self.clock.now(), what=what,
                order=str(order.id), client=wanted.client, symbol=wanted.symbol, side=wanted.side,
                amount=plain(amount), price=None if price is None else plain(price),
                key=wanted.key, entry=wanted.entry, by=wanted.by,
            )
        )  # fmt: skip


def _better(wanted: Wanted, market: Decimal) -> Decimal:
    """The price at which a limit order fills: its own, or the market's where that is better."""
    assert wanted.price is not None
    return min(wanted.price, market) if wanted.side == "buy" else max(wanted.price, market)


def plain(number: Decimal) -> str:
    """Decimal text without an exponent and zeros at the end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _unheard(_what: str, _order: Order, _fill: Fill | None) -> None:
    """Nobody listens."""
