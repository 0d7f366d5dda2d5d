"""What a venue is asked for, and what it has: orders and their fills. Values only."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
Status = Literal["open", "filled", "cancelled"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a client asks for it; see `ledger.Entry` for the fields.

    Attributes:
        type: ``market``, ``limit``, or a stop, which rests until its ``stop`` price is passed.
    """

    symbol: str
    side: Side
    amount: Decimal
    type: str = "market"
    price: Decimal | None = None
    stop: Decimal | None = None
    client: str | None = None
    key: str | None = None
    entry: bool = True
    by: str = "client"


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an order that was done: number, amount, price, when."""

    id: int
    amount: Decimal
    price: Decimal
    at: int


class Order(msgspec.Struct, kw_only=True):
    """An order that was accepted.

    Attributes:
        id: the venue's; wanted: what was asked for; at: when it was accepted, updated: changed.
        status: how it stands; fills: in order; replaces: the order that it took the place of.
        fills_at: market orders that are held back fill then (microseconds).
        shown_at, shown_after: it is not shown to reads before this moment, or so many reads.
        doubled: its reports come twice; text: whether the client's ID is given back.
    """

    id: int
    wanted: Wanted
    at: int
    updated: int
    status: Status = "open"
    fills: list[Fill] = []
    replaces: int | None = None
    fills_at: int | None = None
    shown_at: int = 0
    shown_after: int = 0
    doubled: bool = False
    text: bool = True

    @property
    def filled(self) -> Decimal:
        """How much of it is done."""
        return sum((one.amount for one in self.fills), Decimal())

    @property
    def paid(self) -> Decimal:
        """Amounts times prices of what is done."""
        return sum((one.amount * one.price for one in self.fills), Decimal())

    @property
    def client(self) -> str | None:
        """The client's ID, where the venue gives it back."""
        return self.wanted.client if self.text else None


class Refusal(Exception):  # noqa: N818 - an answer, no error of Haulout's
    """The venue says no, for good.

    Args:
        reason: ``duplicate``, ``funds``, ``symbol``, ``amount``, ``missing`` or ``closed``.
        words: for people.
    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason, self.words = reason, words
