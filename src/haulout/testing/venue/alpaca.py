"""Alpaca's trading API, ``/v2``, as alpaca-py asks for it through ``url_override``.

The forms are those of Alpaca's public documentation (2026-09). Commissions are zero, the market
is always open.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.testing.venue.desk import Reply
from haulout.testing.venue.exchange import Exchange, plain
from haulout.testing.venue.front import Front, json
from haulout.testing.venue.orders import Order, Refusal, Wanted

_CODES: Final = {
    "duplicate": (422, 40010001, "client_order_id must be unique"),
    "funds": (403, 40310000, "insufficient buying power"),
    "refused": (403, 40310000, "order rejected"),
    "symbol": (422, 42210000, "asset not found"),
    "amount": (422, 42210000, "qty must be > 0"),
    "missing": (404, 40410000, "order not found"),
    "closed": (422, 42210000, "order is not cancelable"),
    "body": (422, 40010001, "invalid parameters"),
}
_NAMESPACE: Final = 0xA1FA_CA00 << 96


class AlpacaWords:
    """Refusals and failures as Alpaca words them."""

    def refused(self, refusal: Refusal) -> Response:
        """The venue says no."""
        status, code, words = _CODES[refusal.reason]
        return json({"code": code, "message": words}, status)

    def failed(self, status: int) -> Response:
        """It failed, or is busy."""
        return json({"code": status * 100_000, "message": "request failed"}, status)


def order_uuid(order: int) -> str:
    """The venue's ID as a UUID."""
    return str(uuid.UUID(int=_NAMESPACE + order))


def _name(text: str) -> str:
    try:
        return str(uuid.UUID(text).int - _NAMESPACE)
    except ValueError:
        return text


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat().replace("+00:00", "Z")


def _asset(symbol: str) -> str:
    """Stocks are named by themselves, currencies as a pair."""
    base, quote = symbol.split("/")
    return base if quote == "USD" and base not in {"BTC", "ETH"} else symbol


def symbol_of(exchange: Exchange, text: str) -> str:
    """The symbol behind Alpaca's.

    Raises:
        Refusal: there is none.
    """
    for symbol in exchange.prices:
        if text in {_asset(symbol), symbol, symbol.replace("/", "")}:
            return symbol
    raise Refusal("symbol", f"there is no asset {text}")


def order_body(order: Order) -> dict[str, Any]:
    """An order as ``GET /v2/orders/{id}`` shows it."""
    wanted, filled = order.wanted, order.filled
    state = "partially_filled" if filled else "new"
    state = {"filled": "filled", "cancelled": "canceled"}.get(order.status, state)
    ended = _time(order.updated)
    return {
        "id": order_uuid(order.id), "client_order_id": order.client or order_uuid(order.id),
        "created_at": _time(order.at), "updated_at": ended, "submitted_at": _time(order.at),
        "filled_at": ended if order.status == "filled" else None, "expired_at": None,
        "canceled_at": ended if order.status == "cancelled" else None, "failed_at": None,
        "replaced_at": None, "replaced_by": None,
        "replaces": None if order.replaces is None else order_uuid(order.replaces),
        "asset_id": str(uuid.uuid5(uuid.NAMESPACE_URL, wanted.symbol)),
        "symbol": _asset(wanted.symbol), "asset_class": "us_equity", "notional": None,
        "qty": plain(wanted.amount), "filled_qty": plain(filled),
        "filled_avg_price": plain(order.paid / filled) if filled else None, "order_class": "",
        "order_type": wanted.type, "type": wanted.type, "side": wanted.side,
        "time_in_force": "gtc", "status": state, "extended_hours": False, "legs": None,
        "limit_price": None if wanted.price is None else plain(wanted.price),
        "stop_price": None if wanted.stop is None else plain(wanted.stop),
        "trail_percent": None, "trail_price": None, "hwm": None,
    }  # fmt: skip


def _number(body: dict[str, Any], name: str) -> Decimal | None:
    value = body.get(name)
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation as error:
        raise Refusal("body", name) from error


class AlpacaRoutes:
    """``/v2/...``."""

    def __init__(self, front: Front) -> None:
        self._front, self._words = front, AlpacaWords()
        self._desk, self._exchange = front.desk, front.desk.exchange

    def routes(self) -> list[Route]:
        """Where they answer."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("POST", "orders", self._place), ("GET", "orders", self._list),
            ("DELETE", "orders", self._cancel_all),
            ("GET", "orders:by_client_order_id", self._by_client),
            ("GET", "orders/{name}", self._get), ("DELETE", "orders/{name}", self._cancel),
            ("PATCH", "orders/{name}", self._replace), ("GET", "positions", self._positions),
            ("GET", "positions/{asset:path}", self._position), ("GET", "account", self._account),
            ("GET", "clock", self._clock), ("GET", "assets/{asset:path}", self._asset),
            ("DELETE", "positions/{asset:path}", self._close),
        ]  # fmt: skip
        return [
            Route(f"/v2/{name}", self._answering(handle), methods=[method])
            for method, name, handle in table
        ]

    def _answering(
        self, handle: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except msgspec.MsgspecError:
                return self._words.refused(Refusal("body", "it is no JSON"))
            except Refusal as refusal:
                return self._words.refused(refusal)

        return answer

    async def _answer(
        self, request: Request, reply: Reply, render: Callable[[Any], Any]
    ) -> Response:
        return await self._front.answer(
            request, reply, lambda value: json(render(value)), self._words
        )

    # ------------------------------------------------------------------ orders

    async def _place(self, request: Request) -> Response:
        body: dict[str, Any] = msgspec.json.decode(await request.body())
        symbol = symbol_of(self._exchange, str(body.get("symbol", "")))
        amount = _number(body, "qty")
        if amount is None and (notional := _number(body, "notional")) is not None:
            amount = notional / self._exchange.prices[symbol]
        kind, side = body.get("type", "market"), body.get("side")
        if side not in {"buy", "sell"} or amount is None:
            raise Refusal("body", "side or qty")
        wanted = Wanted(
            symbol=symbol, side=side, amount=amount, type=kind,
            price=_number(body, "limit_price"), stop=_number(body, "stop_price"),
            client=body.get("client_order_id") or None, entry=side == "buy",
            key=request.headers.get("x-decision-key"),
        )  # fmt: skip
        return await self._answer(request, self._desk.submit(wanted), order_body)

    async def _get(self, request: Request) -> Response:
        return await self._found(request, self._desk.get(_name(request.path_params["name"])))

    async def _by_client(self, request: Request) -> Response:
        client = request.query_params.get("client_order_id", "")
        return await self._found(request, self._desk.find(client))

    async def _found(self, request: Request, reply: Reply) -> Response:
        if reply.value is None and not reply.faring:
            reply = Reply(refusal=Refusal("missing", "there is no such order"))
        return await self._answer(request, reply, order_body)

    async def _cancel(self, request: Request) -> Response:
        reply = self._desk.cancel(_name(request.path_params["name"]))
        return await self._front.answer(
            request, reply, lambda _order: Response(status_code=204), self._words
        )

    async def _cancel_all(self, request: Request) -> Response:
        names = [str(one.id) for one in self._exchange.orders.values() if one.status == "open"]
        replies = [self._desk.cancel(name) for name in names]
        body = [{"id": order_uuid(int(name)), "status": 200} for name in names]
        reply = replies[-1] if replies else Reply([])
        return await self._front.answer(request, reply, lambda _order: json(body, 207), self._words)

    async def _replace(self, request: Request) -> Response:
        body: dict[str, Any] = msgspec.json.decode(await request.body())
        name = _name(request.path_params["name"])
        old = self._desk.require(name).wanted
        wanted = msgspec.structs.replace(
            old, amount=_number(body, "qty") or old.amount,
            price=_number(body, "limit_price") or old.price,
            client=body.get("client_order_id") or None,
        )  # fmt: skip
        return await self._answer(request, self._desk.replace(name, wanted), order_body)

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        status, most = asked.get("status", "open"), int(asked.get("limit", "50"))
        names = {one for one in asked.get("symbols", "").split(",") if one}
        reply = self._desk.listed(0, open_only=status == "open")

        def render(found: list[Order]) -> list[dict[str, Any]]:
            kept = [one for one in found if not names or _asset(one.wanted.symbol) in names]
            if status == "closed":
                kept = [one for one in kept if one.status != "open"]
            kept = [one for one in kept if one.at >= _after(asked.get("after"))]
            kept.sort(key=lambda one: one.id, reverse=asked.get("direction", "desc") == "desc")
            return [order_body(one) for one in kept[:most]]

        return await self._answer(request, reply, render)

    # ------------------------------------------------------------------ the account

    def _held(self, symbol: str, amount: Decimal) -> dict[str, Any]:
        price = self._exchange.prices[symbol]
        return {
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_URL, symbol)), "symbol": _asset(symbol),
            "exchange": "NASDAQ", "asset_class": "us_equity", "asset_marginable": False,
            "avg_entry_price": plain(price), "qty": plain(amount), "qty_available": plain(amount),
            "side": "long" if amount > 0 else "short", "market_value": plain(amount * price),
            "cost_basis": plain(amount * price), "unrealized_pl": "0", "unrealized_plpc": "0",
            "unrealized_intraday_pl": "0", "unrealized_intraday_plpc": "0",
            "current_price": plain(price), "lastday_price": plain(price), "change_today": "0",
        }  # fmt: skip

    async def _positions(self, request: Request) -> Response:
        return await self._answer(
            request,
            self._desk.positions(),
            lambda held: [self._held(symbol, amount) for symbol, amount in held.items()],
        )

    async def _position(self, request: Request) -> Response:
        symbol = symbol_of(self._exchange, request.path_params["asset"])
        reply = self._desk.positions()
        if not reply.faring and symbol not in reply.value:
            return json({"code": 40410000, "message": "position does not exist"}, 404)
        return await self._answer(request, reply, lambda held: self._held(symbol, held[symbol]))

    async def _close(self, request: Request) -> Response:
        symbol = symbol_of(self._exchange, request.path_params["asset"])
        held = self._exchange.traded.get(symbol, Decimal())
        side = "sell" if held > 0 else "buy"
        wanted = Wanted(symbol=symbol, side=side, amount=abs(held), entry=False)
        return await self._answer(request, self._desk.submit(wanted), order_body)

    async def _account(self, request: Request) -> Response:
        cash = plain((self._exchange.balances or {}).get("USD", Decimal()))
        body = {
            "id": order_uuid(0), "account_number": "LOOPBACK", "status": "ACTIVE",
            "crypto_status": "ACTIVE", "currency": "USD", "cash": cash, "buying_power": cash,
            "regt_buying_power": cash, "daytrading_buying_power": "0",
            "non_marginable_buying_power": cash, "portfolio_value": cash, "equity": cash,
            "last_equity": cash, "long_market_value": "0", "short_market_value": "0",
            "initial_margin": "0", "maintenance_margin": "0", "last_maintenance_margin": "0",
            "sma": "0", "multiplier": "1", "daytrade_count": 0, "pattern_day_trader": False,
            "trading_blocked": False, "transfers_blocked": False, "account_blocked": False,
            "trade_suspended_by_user": False, "shorting_enabled": False, "accrued_fees": "0",
            "created_at": _time(self._exchange.clock.now()),
        }  # fmt: skip
        return await self._answer(request, self._desk.positions(), lambda _held: body)

    async def _clock(self, _request: Request) -> Response:
        now = _time(self._exchange.clock.now())
        return json({"timestamp": now, "is_open": True, "next_open": now, "next_close": now})

    async def _asset(self, request: Request) -> Response:
        symbol = symbol_of(self._exchange, request.path_params["asset"])
        return json({
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, symbol)), "class": "us_equity",
            "exchange": "NASDAQ", "symbol": _asset(symbol), "name": symbol, "status": "active",
            "tradable": True, "marginable": False, "shortable": False, "easy_to_borrow": False,
            "fractionable": True,
        })  # fmt: skip


def _after(text: str | None) -> int:
    if not text:
        return 0
    return round(datetime.fromisoformat(text.replace(" ", "+")).timestamp() * 1e6)
