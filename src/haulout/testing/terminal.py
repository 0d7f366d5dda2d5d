"""An emulated MetaTrader 5 terminal behind the names of the ``MetaTrader5`` module.

Written from the module's documentation; no terminal was at hand to compare it with. A hedging
account: every deal opens a position, unless the request names one to close. Faults are set from
outside, and `orders` and `deals` are the truth that a test counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

Fault = Literal["lost before", "lost after", "timeout before", "timeout after", "raises after"]
_COMMENT: Final = 31
_SELL_SIDE: Final = frozenset({1, 3, 5, 7})


class OrderSendResult(NamedTuple):
    """MqlTradeResult."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    comment: str = ""
    request_id: int = 0
    retcode_external: int = 0
    request: Any = None


class TradeOrder(NamedTuple):
    """An order, open or in the history."""

    ticket: int
    time_setup_msc: int
    type: int
    state: int
    magic: int
    position_id: int
    volume_initial: float
    volume_current: float
    price_open: float
    sl: float
    tp: float
    symbol: str
    comment: str


class TradeDeal(NamedTuple):
    """A deal."""

    ticket: int
    order: int
    time_msc: int
    type: int
    entry: int
    magic: int
    position_id: int
    volume: float
    price: float
    symbol: str
    comment: str


class TradePosition(NamedTuple):
    """A position."""

    ticket: int
    identifier: int
    time_msc: int
    type: int
    magic: int
    volume: float
    price_open: float
    sl: float
    tp: float
    symbol: str
    comment: str


class EmulatedTerminal:
    """A terminal and its trade server.

    Args:
        now: microseconds since 1970 UTC; server_offset_s: the server's clock is so far ahead.

    Attributes:
        fault: what happens to the next `order_send`, once.
        retcode: what the server answers the next one with instead of taking it, once.
        rewrites: what the broker makes of a comment; silent: no question is answered.
        filled: how much of the next deal is filled, once.
        sent: every request as it came.
    """

    TRADE_ACTION_DEAL, TRADE_ACTION_PENDING, TRADE_ACTION_SLTP = 1, 5, 6
    TRADE_ACTION_MODIFY, TRADE_ACTION_REMOVE = 7, 8
    ORDER_TYPE_BUY, ORDER_TYPE_SELL, ORDER_TYPE_BUY_LIMIT, ORDER_TYPE_SELL_LIMIT = 0, 1, 2, 3
    TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL = 10008, 10009, 10010
    TRADE_RETCODE_TIMEOUT, TRADE_RETCODE_INVALID, TRADE_RETCODE_NO_MONEY = 10012, 10013, 10019
    TRADE_RETCODE_NO_CHANGES, TRADE_RETCODE_CONNECTION = 10025, 10031

    def __init__(self, *, now: Callable[[], int], server_offset_s: int = 0) -> None:
        self._now, self._offset_s = now, server_offset_s
        self.fault: Fault | None = None
        self.retcode: int | None = None
        self.rewrites: Callable[[str], str] = str
        self.silent = False
        self.filled: float | None = None
        self.sent: list[dict[str, Any]] = []
        self.orders: dict[int, TradeOrder] = {}
        self.history: dict[int, TradeOrder] = {}
        self.deals: list[TradeDeal] = []
        self.positions: dict[int, TradePosition] = {}
        self._error = (1, "Success")
        self._ticket = 1000

    # ------------------------------------------------------------------ the module's functions

    def last_error(self) -> tuple[int, str]:
        """The newest error: code and words."""
        return self._error

    def order_send(self, request: Mapping[str, Any]) -> OrderSendResult | None:
        """Send a request to the trade server; None where the terminal gave none of its answers."""
        asked = dict(request)
        self.sent.append(asked)
        fault, self.fault = self.fault, None
        if len(str(asked.get("comment", ""))) > _COMMENT:
            return self._failed(-2, 'Invalid "comment" argument')
        retcode, self.retcode = self.retcode, None
        result = OrderSendResult(self.TRADE_RETCODE_TIMEOUT, comment="Request timed out")
        if retcode is not None:
            result = OrderSendResult(retcode, comment="refused", request=asked)
        elif fault not in {"lost before", "timeout before"}:
            taken = self._taken(asked)
            result = result if fault == "timeout after" else taken
        if fault in {"lost before", "lost after"}:
            return self._failed(-10005, "IPC timeout")
        if fault == "raises after":
            message = "the pipe broke"
            raise OSError(message)
        self._error = (1, "Success")
        return result

    def orders_get(self) -> tuple[TradeOrder, ...] | None:
        """Orders that are open; None where the terminal does not answer."""
        return self._told(tuple(self.orders.values()))

    def positions_get(self) -> tuple[TradePosition, ...] | None:
        """Positions; None where the terminal does not answer."""
        return self._told(tuple(self.positions.values()))

    def history_orders_get(
        self, date_from: datetime, date_to: datetime
    ) -> tuple[TradeOrder, ...] | None:
        """Orders of the history, by the server's clock."""
        found = (one for one in self.history.values())
        return self._told(
            tuple(one for one in found if _within(one.time_setup_msc, date_from, date_to))
        )

    def history_deals_get(
        self, date_from: datetime, date_to: datetime
    ) -> tuple[TradeDeal, ...] | None:
        """Deals, by the server's clock."""
        return self._told(
            tuple(one for one in self.deals if _within(one.time_msc, date_from, date_to))
        )

    # ------------------------------------------------------------------ the trade server

    def _failed(self, code: int, words: str) -> None:
        self._error = (code, words)

    def _told(self, found: Any) -> Any:
        if self.silent:
            return self._failed(-10004, "No IPC connection")
        return found

    def _next(self) -> int:
        self._ticket += 1
        return self._ticket

    def _time_msc(self) -> int:
        return self._now() // 1000 + self._offset_s * 1000

    def _taken(self, asked: Mapping[str, Any]) -> OrderSendResult:
        take: dict[Any, Callable[[Mapping[str, Any]], OrderSendResult]] = {
            self.TRADE_ACTION_DEAL: self._deal,
            self.TRADE_ACTION_PENDING: self._pending,
            self.TRADE_ACTION_SLTP: self._sltp,
            self.TRADE_ACTION_MODIFY: self._modify,
            self.TRADE_ACTION_REMOVE: self._remove,
        }
        found = take.get(asked.get("action"))
        return found(asked) if found else OrderSendResult(self.TRADE_RETCODE_INVALID)

    def _order(self, asked: Mapping[str, Any], state: int, left: float) -> TradeOrder:
        ticket = self._next()
        return TradeOrder(
            ticket, self._time_msc(), asked["type"], state, asked.get("magic", 0),
            asked.get("position", 0), float(asked["volume"]), left,
            float(asked.get("price", 0)), float(asked.get("sl", 0)), float(asked.get("tp", 0)),
            asked["symbol"], self.rewrites(asked.get("comment", "")),
        )  # fmt: skip

    def _deal(self, asked: Mapping[str, Any]) -> OrderSendResult:
        closed = self.positions.get(asked.get("position", 0))
        if "position" in asked and closed is None:
            return OrderSendResult(10036, comment="Position closed")
        volume, self.filled = self.filled or float(asked["volume"]), None
        left = float(asked["volume"]) - volume
        order = self._order(asked, 4 if not left else 3, left)
        (self.history if not left else self.orders)[order.ticket] = order
        position = closed.ticket if closed else order.ticket
        deal = TradeDeal(
            self._next(), order.ticket, order.time_setup_msc, order.type, int(bool(closed)),
            order.magic, position, volume, order.price_open, order.symbol, order.comment,
        )  # fmt: skip
        self.deals.append(deal)
        if closed is not None:
            rest = round(closed.volume - volume, 8)
            if rest > 0:
                self.positions[position] = closed._replace(volume=rest)
            else:
                del self.positions[position]
        else:
            self.positions[position] = TradePosition(
                position, position, order.time_setup_msc, order.type, order.magic, volume,
                order.price_open, order.sl, order.tp, order.symbol, order.comment,
            )  # fmt: skip
        retcode = self.TRADE_RETCODE_DONE_PARTIAL if left else self.TRADE_RETCODE_DONE
        return OrderSendResult(retcode, deal.ticket, order.ticket, volume, comment="done")

    def _pending(self, asked: Mapping[str, Any]) -> OrderSendResult:
        order = self._order(asked, 1, float(asked["volume"]))
        self.orders[order.ticket] = order
        return OrderSendResult(self.TRADE_RETCODE_DONE, 0, order.ticket, order.volume_initial)

    def _sltp(self, asked: Mapping[str, Any]) -> OrderSendResult:
        there = self.positions.get(asked["position"])
        if there is None:
            return OrderSendResult(10036, comment="Position closed")
        changed = there._replace(sl=float(asked.get("sl", 0)), tp=float(asked.get("tp", 0)))
        if changed == there:
            return OrderSendResult(self.TRADE_RETCODE_NO_CHANGES, comment="No changes")
        self.positions[there.ticket] = changed
        return OrderSendResult(self.TRADE_RETCODE_DONE)

    def _modify(self, asked: Mapping[str, Any]) -> OrderSendResult:
        there = self.orders.get(asked["order"])
        if there is None:
            return OrderSendResult(10035, comment="Invalid order")
        self.orders[there.ticket] = there._replace(price_open=float(asked["price"]))
        return OrderSendResult(self.TRADE_RETCODE_DONE, order=there.ticket)

    def _remove(self, asked: Mapping[str, Any]) -> OrderSendResult:
        there = self.orders.pop(asked["order"], None)
        if there is None:
            return OrderSendResult(10035, comment="Invalid order")
        self.history[there.ticket] = there._replace(state=2)
        return OrderSendResult(self.TRADE_RETCODE_DONE, order=there.ticket)

    def fill(self, ticket: int) -> None:
        """The market reaches a pending order."""
        order = self.orders.pop(ticket)
        self.history[ticket] = order._replace(state=4, volume_current=0.0)
        side = 1 if order.type in _SELL_SIDE else 0
        self.deals.append(
            TradeDeal(
                self._next(), ticket, self._time_msc(), side, 0, order.magic, ticket,
                order.volume_current, order.price_open, order.symbol, order.comment,
            )
        )  # fmt: skip
        self.positions[ticket] = TradePosition(
            ticket, ticket, self._time_msc(), side, order.magic, order.volume_initial,
            order.price_open, order.sl, order.tp, order.symbol, order.comment,
        )  # fmt: skip


def _within(msc: int, date_from: datetime, date_to: datetime) -> bool:
    return date_from.timestamp() * 1000 <= msc <= date_to.timestamp() * 1000
