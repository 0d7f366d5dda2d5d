"""Venues on loopback: real HTTP, the requests recorded, answers of each venue's documented form.

A `Double` says in data how one venue's wire looks: which request creates an order, in which field
it reads a client's ID, how an order is shown, looked up, listed and cancelled. It reads the ID from
the documented field and from nowhere else, as the venue does: sent elsewhere, it is lost here too.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, Any]


class Request(NamedTuple):
    """A request as it came: `said` has its query and its body's fields, inner maps laid flat."""

    method: str
    path: str
    said: dict[str, Any]
    raw: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


def _flat(value: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Every field of a body by its own name; an order in a list or under `params` as well."""
    if isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, dict | list):
                _flat(one, found)
            found.setdefault(name, one)
    elif isinstance(value, list):
        for one in value:
            _flat(one, found)
    return found


def read_request(method: str, target: str, body: bytes) -> Request:
    parts = urlsplit(target)
    said: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    text = body.decode()
    if text[:1] in {"{", "["}:
        _flat(json.loads(text), said)
    else:
        said.update(parse_qsl(text, keep_blank_values=True))
    return Request(method, parts.path, said, body)


@dataclass
class Order:
    """An order in the double's ledger."""

    ref: str
    client: str | None
    side: str
    kind: str
    stop: bool
    price: str
    amount: str
    status: str = "open"
    at: int = 1_700_000_000_000


class Double(NamedTuple):
    """A venue's wire, as its documentation has it.

    Attributes:
        symbol: what is traded; create, stop, cancel: patterns of ``METHOD /path``.
        field, stop_field: where a client's ID is read; None: there is none.
        shown: an order in the venue's form; wrap: a list of them as it answers.
        created: what it answers to an order; one: what it answers when asked for one.
        look: pattern of a look-up by field or by path (its group), and its fields.
        lists: pattern of what lists orders; missing: the answer where there is no such order.
        also: further answers by pattern, such as what an adapter asks before it orders.
        config: of the exchange; options: of ccxt's.
        form: what the ID has to be like.
    """

    symbol: str
    create: str
    field: str
    shown: Callable[[Order], Any]
    wrap: Callable[[list[Any]], Any]
    created: Callable[[Order], Any]
    form: str
    look: str = r"(?!)"
    look_fields: tuple[str, ...] = ()
    ref_fields: tuple[str, ...] = ()
    lists: str = r"(?!)"
    stop_lists: str | None = None
    stop_wrap: Callable[[list[Any]], Any] | None = None
    stop: str | None = None
    stop_field: str | None = "same"
    cancel: str = r"(?!)"
    one: Callable[[Any], Any] | None = None
    missing: Answer = (404, {})
    also: dict[str, Any] = {}  # noqa: RUF012
    config: dict[str, Any] = {}  # noqa: RUF012
    options: dict[str, Any] = {}  # noqa: RUF012
    market: dict[str, Any] = {}  # noqa: RUF012
    is_stop: Callable[[Request], bool] = lambda _request: False
    is_order: Callable[[Request], bool] = lambda _request: True
    cancelled: Callable[[Order], Any] | None = None
    replays: bool = False


@dataclass
class Venue:
    """A double that runs: its ledger, and every request that came."""

    double: Double
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    lose: list[str] = field(default_factory=list)
    """What happens to the next orders: ``before`` or ``after`` they are accepted the connection
    is cut; a number is an HTTP status after acceptance."""

    def sent(self) -> list[Request]:
        """The requests that create orders."""
        return [one for one in self.requests if self.creates(one)]

    def creates(self, request: Request) -> bool:
        double = self.double
        patterns = [double.create] + ([double.stop] if double.stop else [])
        return double.is_order(request) and any(re.fullmatch(one, request.line) for one in patterns)

    def answer(self, request: Request) -> Answer | None:
        """What goes back; None: the connection is cut."""
        self.requests.append(request)
        double = self.double
        for pattern, body in double.also.items():
            if re.fullmatch(pattern, request.line):
                return 200, body(self, request) if callable(body) else body
        if self.creates(request):
            return self._create(request)
        return self._other(request)

    def _create(self, request: Request) -> Answer | None:
        fate = self.lose.pop(0) if self.lose else ""
        if fate == "before":
            return None
        order = self._accepted(request)
        if fate == "after":
            return None
        return (int(fate), {}) if fate else (200, self.double.created(order))

    def _other(self, request: Request) -> Answer:
        double = self.double
        if re.fullmatch(double.cancel, request.line):
            order = self._meant(request, double.cancel)
            if order is None:
                return double.missing
            order.status = "cancelled"
            said = double.cancelled
            return 200, self._one(order) if said is None else said(order)
        if re.fullmatch(double.look, request.line):
            order = self._meant(request, double.look)
            return double.missing if order is None else (200, self._one(order))
        if re.fullmatch(double.lists, request.line):
            rows = [double.shown(one) for one in self._listed(request)]
            stops = double.stop_lists and re.fullmatch(double.stop_lists, request.line)
            return 200, (double.stop_wrap or double.wrap)(rows) if stops else double.wrap(rows)
        return 500, {"unexpected": request.line}

    def _one(self, order: Order) -> Any:
        shown = self.double.shown(order)
        return self.double.wrap([shown]) if self.double.one is None else self.double.one(shown)

    def _listed(self, request: Request) -> list[Order]:
        if self.double.stop_lists is None:
            return self.orders
        stops = bool(re.fullmatch(self.double.stop_lists, request.line))
        return [one for one in self.orders if one.stop == stops]

    def _accepted(self, request: Request) -> Order:
        double, said = self.double, request.said
        stop = bool(double.stop and re.fullmatch(double.stop, request.line)) or double.is_stop(
            request
        )
        name = double.stop_field if stop and double.stop_field != "same" else double.field
        known = next((one for one in self.orders if one.client == said.get(name or "")), None)
        if double.replays and known is not None:
            return known
        side = str(said.get("side") or said.get("type") or "buy").lower()
        order = Order(
            str(1001 + len(self.orders)), None if name is None else said.get(name),
            "sell" if "sell" in side or "/sell" in request.path else "buy", "limit", stop,
            "20000", "0.01",
        )  # fmt: skip
        self.orders.append(order)
        return order

    def _meant(self, request: Request, pattern: str) -> Order | None:
        double = self.double
        match = re.fullmatch(pattern, request.line)
        asked = {value for value in (match.groups() if match else ()) if value}
        names = (*double.look_fields, *double.ref_fields)
        for name in names:
            value = request.said.get(name)
            asked |= {str(one) for one in (value if isinstance(value, list) else [value]) if one}
        return next((one for one in self.orders if {one.client, one.ref} & asked), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer in two writes waits 40 ms for an acknowledgement
    server: Any

    def handle_any(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        request = read_request(self.command, self.path, self.rfile.read(size))
        answer = self.server.venue.answer(request)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, body = answer
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any  # noqa: N815

    def log_message(self, *_arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    venue: Venue

    def handle_error(self, *_arguments: Any) -> None:
        pass  # a cut connection is what was asked for


@contextmanager
def running(double: Double) -> Iterator[Venue]:
    """A double on a port of its own."""
    venue = Venue(double)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.venue = venue
    venue.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield venue
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pointed(exchange: Any, url: str) -> Any:
    """The exchange with every address of its API on loopback: nothing can leave the machine."""

    def local(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: local(one) for name, one in value.items()}
        return re.sub(r"^https?://[^/]+", url, value) if isinstance(value, str) else value

    exchange.urls["api"] = local(exchange.urls["api"])
    exchange.urls["hostnames"] = local(exchange.urls.get("hostnames"))
    return exchange


def market(symbol: str, **more: Any) -> dict[str, Any]:
    """A market in ccxt's unified form: none is asked for."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    swap = bool(settle)
    return {
        "id": base + quote, "symbol": symbol, "base": base, "quote": quote,
        "settle": settle or None, "baseId": base, "quoteId": quote, "settleId": settle or None,
        "type": "swap" if swap else "spot", "spot": not swap, "margin": False, "swap": swap,
        "future": False, "option": False, "contract": swap, "linear": True if swap else None,
        "inverse": False if swap else None, "contractSize": 1.0 if swap else None, "active": True,
        "precision": {"amount": 0.0001, "price": 0.01, "cost": 0.01},
        "limits": {name: {"min": None, "max": None} for name in ("amount", "price", "cost")},
        "info": {
            "orderTypes": [
                "LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "STOP", "STOP_MARKET",
                "TAKE_PROFIT",
            ],
        },
        **more,
    }  # fmt: skip


def made(library: Any, name: str, venue: Venue) -> Any:
    """An exchange of ccxt (or of its awaited half) that speaks to a double."""
    double = venue.double
    exchange = getattr(library, name)(
        {
            "apiKey": "k" * 32, "secret": "c2VjcmV0" * 8, "password": "p", "uid": "u",
            "enableRateLimit": False, "timeout": 5000, **double.config,
        }
    )  # fmt: skip
    exchange.options.update(double.options)
    pointed(exchange, venue.url)
    rows = [exchange.safe_market_structure(market(double.symbol, **double.market))]
    exchange.set_markets(rows)
    for code in ("BTC", "USDT", "USD", "USDC"):
        exchange.currencies.setdefault(code, {"id": code, "code": code, "precision": 1e-8})
    return exchange
