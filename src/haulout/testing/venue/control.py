"""The test's side of the process, under ``/control``: faults, clock, prices, the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.errors import InputError
from haulout.state.refs import Class
from haulout.testing.venue.faults import Fault
from haulout.testing.venue.front import Front, json
from haulout.testing.venue.orders import Refusal, Wanted
from haulout.testing.venue.shown import shown

Handler = Callable[[Request, bytes], Any]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be set while the venue runs; what is left out stays.

    Attributes:
        kind: its class; text: whether the client's ID is given back.
        client_pid: whom a ``kill`` fault ends where a request names nobody.
    """

    kind: Class | None = None
    text: bool | None = None
    client_pid: int | None = None


class _Seconds(msgspec.Struct):
    seconds: float


class _Price(msgspec.Struct):
    symbol: str
    price: Decimal


class _Filled(msgspec.Struct):
    order: str
    amount: Decimal | None = None


class ControlRoutes:
    """``/control/...``: never met by a fault."""

    def __init__(self, front: Front, hang_up: Callable[[], int]) -> None:
        self._front, self._hang_up = front, hang_up
        self._desk, self._exchange = front.desk, front.desk.exchange

    def routes(self) -> list[Route]:
        """Where they answer."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "ledger", self._ledger), ("GET", "faults", self._left),
            ("POST", "faults", self._arm), ("DELETE", "faults", self._clear),
            ("GET", "met", self._met), ("POST", "advance", self._advance),
            ("POST", "price", self._price), ("POST", "fill", self._fill),
            ("POST", "trade", self._trade), ("POST", "settings", self._set),
            ("GET", "time", self._time), ("POST", "cancel", self._cancel),
            ("DELETE", "orders", self._cancel_all), ("DELETE", "stream", self._end_stream),
        ]  # fmt: skip
        return [
            Route(f"/control/{name}", _answering(handle), methods=[method])
            for method, name, handle in table
        ]

    def _ledger(self, _request: Request, _body: bytes) -> Any:
        return self._exchange.ledger.entries

    def _left(self, _request: Request, _body: bytes) -> Any:
        return self._desk.faults.left()

    def _arm(self, _request: Request, body: bytes) -> Any:
        fault = msgspec.json.decode(body, type=Fault)
        self._desk.faults.arm(fault)
        return fault

    def _clear(self, _request: Request, _body: bytes) -> Any:
        self._desk.faults.clear()
        return {}

    def _met(self, _request: Request, _body: bytes) -> Any:
        return self._desk.faults.met

    def _advance(self, _request: Request, body: bytes) -> Any:
        now = self._exchange.clock.advance(msgspec.json.decode(body, type=_Seconds).seconds)
        self._desk.turn()
        return {"now": now}

    def _time(self, _request: Request, _body: bytes) -> Any:
        return {"now": self._exchange.clock.now()}

    def _price(self, _request: Request, body: bytes) -> Any:
        asked = msgspec.json.decode(body, type=_Price)
        self._exchange.set_price(asked.symbol, asked.price)
        return {}

    def _fill(self, _request: Request, body: bytes) -> Any:
        asked = msgspec.json.decode(body, type=_Filled)
        return shown(self._desk.hand_fill(asked.order, asked.amount))

    def _trade(self, _request: Request, body: bytes) -> Any:
        asked = msgspec.json.decode(body, type=Wanted)
        return shown(self._exchange.place(msgspec.structs.replace(asked, by="user")))

    def _cancel(self, _request: Request, body: bytes) -> Any:
        asked = msgspec.json.decode(body, type=_Filled)
        return shown(self._exchange.cancel(self._desk.require(asked.order)))

    def _cancel_all(self, _request: Request, _body: bytes) -> Any:
        found = [one for one in self._exchange.orders.values() if one.status == "open"]
        return [shown(self._exchange.cancel(one)) for one in found]

    def _end_stream(self, _request: Request, _body: bytes) -> Any:
        return {"ended": self._hang_up()}

    def _set(self, _request: Request, body: bytes) -> Any:
        asked = msgspec.json.decode(body, type=Settings)
        if asked.kind is not None:
            self._exchange.kind = asked.kind
        if asked.text is not None:
            self._exchange.text = asked.text
        if asked.client_pid is not None:
            self._front.client_pid = asked.client_pid
        return asked


def _answering(handle: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return json(handle(request, await request.body()))
        except (msgspec.MsgspecError, InputError) as error:
            return json({"error": "body", "message": str(error)}, 400)
        except Refusal as refusal:
            return json({"error": refusal.reason, "message": refusal.words}, 422)

    return answer
