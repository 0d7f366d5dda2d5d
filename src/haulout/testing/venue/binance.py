"""Binance spot, as ccxt and what stands on it ask for it: REST under ``/api/v3``, and reports.

Of what a client may ask only what bots need is here; margin, futures and options exist and are
empty. Commissions are zero. The forms are those of Binance's public documentation (2026-09).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.testing.venue.binancemarket import MarketRoutes, symbol_of, wire_symbol
from haulout.testing.venue.desk import Reply
from haulout.testing.venue.exchange import plain
from haulout.testing.venue.front import Front, json
from haulout.testing.venue.orders import Fill, Order, Refusal, Wanted
from haulout.testing.venue.reports import Report
from haulout.testing.venue.shown import Shown

_CODES: Final = {
    "duplicate": (-2010, "Duplicate order sent."),
    "funds": (-2010, "Account has insufficient balance for requested action."),
    "refused": (-2010, "Order was rejected."),
    "symbol": (-1121, "Invalid symbol."),
    "amount": (-1013, "Invalid quantity."),
    "missing": (-2013, "Order does not exist."),
    "unknown": (-2011, "Unknown order sent."),
    "closed": (-2011, "Unknown order sent."),
    "body": (-1102, "Mandatory parameter was not sent, was empty/null, or malformed."),
}
_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")
_STEP: Final = Decimal("0.00001")


class BinanceWords:
    """Refusals and failures as Binance words them."""

    def refused(self, refusal: Refusal) -> Response:
        """The venue says no."""
        code, words = _CODES[refusal.reason]
        return json({"code": code, "msg": words}, 400)

    def failed(self, status: int) -> Response:
        """It failed, or is busy."""
        if status == 429:  # noqa: PLR2004 - too many requests
            return json({"code": -1003, "msg": "Too many requests."}, status)
        words = "Timeout waiting for response from backend server. Execution status unknown."
        return json({"code": -1007, "msg": words}, status)


def _state(order: Order | Shown) -> str:
    if order.status == "open":
        return "PARTIALLY_FILLED" if Decimal(order.filled) else "NEW"
    return "FILLED" if order.status == "filled" else "CANCELED"


def order_body(order: Order) -> dict[str, Any]:
    """An order as ``GET /api/v3/order`` shows it."""
    wanted = order.wanted
    return {
        "symbol": wire_symbol(wanted.symbol), "orderId": order.id, "orderListId": -1,
        "clientOrderId": order.client or "", "price": plain(wanted.price or Decimal()),
        "origQty": plain(wanted.amount), "executedQty": plain(order.filled),
        "origQuoteOrderQty": "0", "cummulativeQuoteQty": plain(order.paid),
        "status": _state(order), "timeInForce": "GTC", "type": wanted.type.upper(),
        "side": wanted.side.upper(), "stopPrice": plain(wanted.stop or Decimal()),
        "icebergQty": "0", "time": order.at // 1000, "transactTime": order.at // 1000,
        "updateTime": order.updated // 1000, "workingTime": order.at // 1000, "isWorking": True,
        "selfTradePreventionMode": "NONE",
    }  # fmt: skip


def _full(order: Order) -> dict[str, Any]:
    base = order.wanted.symbol.split("/")[0]
    fills = [
        {"price": plain(one.price), "qty": plain(one.amount), "commission": "0",
         "commissionAsset": base, "tradeId": one.id}
        for one in order.fills
    ]  # fmt: skip
    return {**order_body(order), "fills": fills}


def _trade(order: Order, fill: Fill) -> dict[str, Any]:
    base = order.wanted.symbol.split("/")[0]
    return {
        "symbol": wire_symbol(order.wanted.symbol), "id": fill.id, "orderId": order.id,
        "orderListId": -1, "price": plain(fill.price), "qty": plain(fill.amount),
        "quoteQty": plain(fill.price * fill.amount), "commission": "0", "commissionAsset": base,
        "time": fill.at // 1000, "isBuyer": order.wanted.side == "buy",
        "isMaker": order.wanted.type == "limit", "isBestMatch": True,
    }  # fmt: skip


def execution_report(one: Report, now: int) -> dict[str, Any]:
    """A report as the user stream sends it."""
    order, fill = one.order, one.fill
    what = {"accepted": "NEW", "filled": "TRADE", "cancelled": "CANCELED"}[one.what]
    return {
        "e": "executionReport", "E": now // 1000, "s": wire_symbol(order.symbol),
        "c": order.client or "", "S": order.side.upper(), "o": order.type.upper(), "f": "GTC",
        "q": order.amount, "p": order.price or "0", "P": "0", "F": "0", "g": -1, "C": "",
        "x": what, "X": _state(order), "r": "NONE", "i": int(order.id),
        "l": plain(fill.amount) if fill else "0", "z": order.filled,
        "L": plain(fill.price) if fill else "0", "n": "0", "N": None, "T": order.updated // 1000,
        "t": fill.id if fill else -1, "I": int(order.id), "w": order.status == "open", "m": False,
        "M": False, "O": order.at // 1000, "Z": order.paid,
        "Y": plain(fill.amount * fill.price) if fill else "0", "Q": "0", "W": order.at // 1000,
        "V": "NONE",
    }  # fmt: skip


def _wanted(asked: Mapping[str, str], symbol: str, price: Decimal, request: Request) -> Wanted:
    """The order that a request describes.

    Raises:
        Refusal: it describes none.
    """
    kind, side = asked.get("type", ""), asked.get("side", "").lower()
    if kind not in _TYPES or side not in {"buy", "sell"}:
        raise Refusal("body", "type or side")
    try:
        limit = Decimal(asked["price"]) if "price" in asked else None
        stop = Decimal(asked["stopPrice"]) if "stopPrice" in asked else None
        if "quantity" in asked:
            amount = Decimal(asked["quantity"])
        else:
            amount = (Decimal(asked["quoteOrderQty"]) / price).quantize(_STEP, ROUND_DOWN)
    except (KeyError, InvalidOperation) as error:
        raise Refusal("body", "quantity or price") from error
    return Wanted(
        symbol=symbol, side="buy" if side == "buy" else "sell", amount=amount, type=kind.lower(),
        price=None if kind in {"MARKET", "STOP_LOSS"} else limit, stop=stop,
        client=asked.get("newClientOrderId") or None, entry=side == "buy",
        key=request.headers.get("x-decision-key"),
    )  # fmt: skip


class BinanceRoutes:
    """``/api/v3`` and the empty rest."""

    def __init__(self, front: Front) -> None:
        self._front, self._words = front, BinanceWords()
        self._desk, self._exchange = front.desk, front.desk.exchange

    def routes(self) -> list[Route]:
        """Where they answer."""
        table: list[tuple[str, str, Callable[[Request, dict[str, str]], Awaitable[Response]]]] = [
            ("POST", "order", self._place), ("GET", "order", self._get),
            ("DELETE", "order", self._cancel), ("POST", "order/cancelReplace", self._replace),
            ("GET", "openOrders", self._open), ("DELETE", "openOrders", self._cancel_open),
            ("GET", "allOrders", self._all), ("GET", "myTrades", self._trades),
            ("GET", "account", self._account), ("POST", "userDataStream", self._listen),
            ("PUT", "userDataStream", self._listen), ("DELETE", "userDataStream", self._listen),
            ("POST", "order/test", self._nothing),
        ]  # fmt: skip
        own = [
            Route(f"/api/v3/{name}", self._answering(handle), methods=[method])
            for method, name, handle in table
        ]
        return [*own, *MarketRoutes(self._front).routes()]

    def _answering(
        self, handle: Callable[[Request, dict[str, str]], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            text = request.url.query + "&" + (await request.body()).decode(errors="replace")
            try:
                return await handle(request, dict(parse_qsl(text)))
            except Refusal as refusal:
                return self._words.refused(refusal)

        return answer

    async def _answer(
        self, request: Request, reply: Reply, render: Callable[[Any], Any]
    ) -> Response:
        return await self._front.answer(
            request, reply, lambda value: json(render(value)), self._words
        )

    def _symbol(self, asked: Mapping[str, str]) -> str:
        return symbol_of(self._exchange, asked.get("symbol", ""))

    def _name(self, asked: Mapping[str, str], number: str, text: str) -> str:
        if number in asked:
            return asked[number]
        if text in asked:
            return "client:" + asked[text]
        raise Refusal("body", number)

    # ------------------------------------------------------------------ orders

    async def _place(self, request: Request, asked: dict[str, str]) -> Response:
        symbol = self._symbol(asked)
        wanted = _wanted(asked, symbol, self._exchange.prices[symbol], request)
        return await self._answer(request, self._desk.submit(wanted), _full)

    async def _get(self, request: Request, asked: dict[str, str]) -> Response:
        self._symbol(asked)
        reply = self._desk.get(self._name(asked, "orderId", "origClientOrderId"))
        if reply.value is None and not reply.faring:
            reply = Reply(refusal=Refusal("missing", "there is no such order"))
        return await self._answer(request, reply, order_body)

    async def _cancel(self, request: Request, asked: dict[str, str]) -> Response:
        reply = self._desk.cancel(self._name(asked, "orderId", "origClientOrderId"))
        return await self._answer(request, _unknown(reply), _cancelled)

    async def _replace(self, request: Request, asked: dict[str, str]) -> Response:
        symbol = self._symbol(asked)
        wanted = _wanted(asked, symbol, self._exchange.prices[symbol], request)
        name = self._name(asked, "cancelOrderId", "cancelOrigClientOrderId")
        old = self._exchange.orders.get(int(name)) if name.isdigit() else None
        reply = self._desk.replace(name, wanted)
        return await self._answer(
            request,
            _unknown(reply),
            lambda order: {
                "cancelResult": "SUCCESS", "newOrderResult": "SUCCESS",
                "cancelResponse": None if old is None else _cancelled(old),
                "newOrderResponse": _full(order),
            },
        )  # fmt: skip

    async def _open(self, request: Request, asked: dict[str, str]) -> Response:
        symbol = self._symbol(asked) if "symbol" in asked else None
        reply = self._desk.listed(symbol=symbol, open_only=True)
        return await self._answer(request, reply, lambda found: [order_body(one) for one in found])

    async def _cancel_open(self, request: Request, asked: dict[str, str]) -> Response:
        symbol = self._symbol(asked)
        names = [
            str(one.id)
            for one in self._exchange.orders.values()
            if one.wanted.symbol == symbol and one.status == "open"
        ]
        if not names:
            raise Refusal("unknown", "there are no open orders")
        replies = [self._desk.cancel(name) for name in names]
        done = [one.value for one in replies if one.value is not None]
        return await self._answer(
            request, replies[-1], lambda _last: [_cancelled(one) for one in done]
        )

    async def _all(self, request: Request, asked: dict[str, str]) -> Response:
        since = int(asked.get("startTime", "0")) * 1000
        first = int(asked.get("orderId", "0"))
        most = int(asked.get("limit", "500"))
        until = int(asked.get("endTime", "0")) * 1000
        reply = self._desk.listed(0, self._symbol(asked))

        def render(found: list[Order]) -> list[dict[str, Any]]:
            kept = [one for one in found if one.at >= since and one.id >= first]
            kept = [one for one in kept if not until or one.at <= until]
            # Without a beginning Binance gives the newest, with one the oldest.
            kept = kept[:most] if since or first else kept[-most:]
            return [order_body(one) for one in kept]

        return await self._answer(request, reply, render)

    async def _trades(self, request: Request, asked: dict[str, str]) -> Response:
        since = int(asked.get("startTime", "0")) * 1000
        order = int(asked.get("orderId", "0"))
        reply = self._desk.trades(self._symbol(asked))
        return await self._answer(
            request,
            reply,
            lambda found: [
                _trade(one, fill)
                for one, fill in found
                if fill.at >= since and order in {0, one.id}
            ],
        )

    # ------------------------------------------------------------------ the account

    async def _account(self, request: Request, _asked: dict[str, str]) -> Response:
        held = self._exchange.balances or {}
        balances = [
            {"asset": asset, "free": plain(total - self._exchange.locked(asset)),
             "locked": plain(self._exchange.locked(asset))}
            for asset, total in sorted(held.items())
        ]  # fmt: skip
        body = {
            "makerCommission": 0, "takerCommission": 0, "buyerCommission": 0,
            "sellerCommission": 0, "canTrade": True, "canWithdraw": False, "canDeposit": False,
            "accountType": "SPOT", "permissions": ["SPOT"], "balances": balances, "uid": 1,
            "updateTime": self._exchange.clock.now() // 1000,
        }  # fmt: skip
        reply = self._desk.positions()  # meets the same faults
        return await self._answer(request, reply, lambda _held: body)

    async def _listen(self, _request: Request, _asked: dict[str, str]) -> Response:
        return json({"listenKey": "loopback"})

    async def _nothing(self, _request: Request, _asked: dict[str, str]) -> Response:
        return json({})


def _cancelled(order: Order) -> dict[str, Any]:
    body = order_body(order)
    return {**body, "origClientOrderId": body["clientOrderId"]}


def _unknown(reply: Reply) -> Reply:
    """What is missing has another code where it was to be cancelled."""
    if reply.refusal is not None and reply.refusal.reason == "missing":
        return reply._replace(refusal=Refusal("unknown", reply.refusal.words))
    return reply
