"""An order as the venue shows it, and the same as `haulout.state` sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from haulout.state import refs
from haulout.state.refs import Rules
from haulout.state.venue import Seen, SeenStatus
from haulout.testing.venue.exchange import plain
from haulout.testing.venue.orders import Order, Side, Status


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An order in the venue's own small shape; amounts are decimal text, times microseconds."""

    id: str
    client: str | None
    symbol: str
    side: Side
    type: str
    amount: str
    price: str | None
    filled: str
    paid: str
    status: Status
    at: int
    updated: int
    entry: bool
    key: str | None
    by: str
    replaces: str | None = None


class Listing(msgspec.Struct, frozen=True):
    """A list of orders, and from when on it shows everything."""

    orders: list[Shown]
    complete_since: int = 0


_STATUS: Final[dict[Status, SeenStatus]] = {
    "open": "accepted", "filled": "done", "cancelled": "cancelled",
}  # fmt: skip


def shown(order: Order) -> Shown:
    """An order as the venue shows it now."""
    wanted = order.wanted
    return Shown(
        id=str(order.id), client=order.client, symbol=wanted.symbol, side=wanted.side,
        type=wanted.type, amount=plain(wanted.amount),
        price=None if wanted.price is None else plain(wanted.price), filled=plain(order.filled),
        paid=plain(order.paid), status=order.status, at=order.at, updated=order.updated,
        entry=wanted.entry, key=wanted.key, by=wanted.by,
        replaces=None if order.replaces is None else str(order.replaces),
    )  # fmt: skip


def seen(one: Shown, rules: Rules) -> Seen:
    """What an agent's journal takes from it. Spent are the base and the quote asset.

    Args:
        one: the order; rules: how the venue writes an intent's ID.
    """
    base, quote = one.symbol.split("/")
    spent = {base: one.filled, quote: one.paid} if Decimal(one.filled) else {}
    intent = None if one.client is None else refs.read(one.client, rules.code, rules.prefix)
    return Seen(
        intent=intent, ref=one.id, status=_STATUS[one.status], filled=one.filled, spent=spent,
        target=one.symbol, entry=one.entry, at=one.at, answer=msgspec.to_builtins(one),
    )  # fmt: skip
