"""Binance's market data: symbols with their filters, prices, candles. All of it is made up."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.testing.venue.exchange import Exchange, plain
from haulout.testing.venue.front import Front, json
from haulout.testing.venue.orders import Refusal

_SECONDS: Final = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200,
    "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200,
    "1w": 604_800,
}  # fmt: skip
_MOST_CANDLES: Final = 1000
_TICK: Final = "0.000001"


def wire_symbol(symbol: str) -> str:
    """``ETH/BTC`` as Binance writes it."""
    return symbol.replace("/", "")


def symbol_of(exchange: Exchange, text: str) -> str:
    """The symbol behind Binance's.

    Raises:
        Refusal: there is none.
    """
    for symbol in exchange.prices:
        if wire_symbol(symbol) == text:
            return symbol
    raise Refusal("symbol", f"there is no symbol {text}")


def _filters() -> list[dict[str, Any]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": _TICK, "maxPrice": "1000000", "tickSize": _TICK},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000000", "stepSize": "0.00001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "100000", "stepSize": "0"},
        {"filterType": "NOTIONAL", "minNotional": "0.0001", "applyMinToMarket": True,
         "maxNotional": "9000000", "applyMaxToMarket": False, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]  # fmt: skip


def _listing(symbol: str) -> dict[str, Any]:
    base, quote = symbol.split("/")
    return {
        "symbol": wire_symbol(symbol), "status": "TRADING", "baseAsset": base,
        "baseAssetPrecision": 8, "quoteAsset": quote, "quotePrecision": 8,
        "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True, "ocoAllowed": False, "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": False,
        "cancelReplaceAllowed": True, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "filters": _filters(), "permissions": [],
        "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }  # fmt: skip


def _price_at(last: Decimal, seconds: int) -> Decimal:
    """A wave around the price: half a percent up and down within two hours."""
    share = 1 + 0.005 * math.sin(seconds / 7200 * 2 * math.pi)
    return (last * Decimal(str(round(share, 8)))).quantize(Decimal(_TICK))


def candles(last: Decimal, width: int, first: int, until: int, most: int) -> list[list[Any]]:
    """Candles of so many seconds, by the millisecond of their beginning, oldest first."""
    found: list[list[Any]] = []
    begin = first - first % width
    while begin <= until and len(found) < most:
        opened, closed = _price_at(last, begin), _price_at(last, begin + width)
        high, low = max(opened, closed), min(opened, closed)
        found.append([
            begin * 1000, plain(opened), plain(high), plain(low), plain(closed), "100",
            (begin + width) * 1000 - 1, plain(closed * 100), 100, "50", plain(closed * 50), "0",
        ])  # fmt: skip
        begin += width
    return found


class MarketRoutes:
    """Everything that needs no account, and the parts of Binance that are empty here."""

    def __init__(self, front: Front) -> None:
        self._exchange = front.desk.exchange

    def routes(self) -> list[Route]:
        """Where they answer."""
        spot: list[tuple[str, Callable[[Request], Any]]] = [
            ("ping", self._ping), ("time", self._time), ("exchangeInfo", self._info),
            ("klines", self._klines), ("uiKlines", self._klines), ("ticker/24hr", self._day),
            ("ticker/price", self._last), ("ticker/bookTicker", self._best),
            ("depth", self._depth), ("trades", self._none), ("aggTrades", self._none),
        ]  # fmt: skip
        found = [Route(f"/api/v3/{name}", _answering(handle)) for name, handle in spot]
        for part in ("fapi/v1", "fapi/v2", "fapi/v3", "dapi/v1", "eapi/v1"):
            found.append(Route(f"/{part}/exchangeInfo", _answering(self._empty_info)))
            found.append(Route(f"/{part}/time", _answering(self._time)))
            found.append(Route(f"/{part}/ping", _answering(self._ping)))
            found.append(Route(f"/{part}/{{rest:path}}", _answering(self._none)))
        found.append(Route("/sapi/{rest:path}", _answering(self._none)))
        return found

    def _ping(self, _request: Request) -> Any:
        return {}

    def _none(self, _request: Request) -> Any:
        return []

    def _time(self, _request: Request) -> Any:
        return {"serverTime": self._exchange.clock.now() // 1000}

    def _info(self, _request: Request) -> Any:
        listings = [_listing(symbol) for symbol in sorted(self._exchange.prices)]
        return {"timezone": "UTC", "serverTime": self._exchange.clock.now() // 1000,
                "rateLimits": [], "exchangeFilters": [], "symbols": listings}  # fmt: skip

    def _empty_info(self, _request: Request) -> Any:
        return {"timezone": "UTC", "serverTime": self._exchange.clock.now() // 1000,
                "rateLimits": [], "exchangeFilters": [], "assets": [], "symbols": [],
                "optionContracts": [], "optionAssets": [], "optionSymbols": []}  # fmt: skip

    def _klines(self, request: Request) -> Any:
        asked = request.query_params
        symbol = symbol_of(self._exchange, asked.get("symbol", ""))
        width = _SECONDS.get(asked.get("interval", ""), 0)
        if not width:
            raise Refusal("body", "interval")
        now = self._exchange.clock.now() // 1_000_000
        most = min(int(asked.get("limit", "500")), _MOST_CANDLES)
        until = min(int(asked.get("endTime", str(now * 1000))) // 1000, now)
        first = int(asked["startTime"]) // 1000 if "startTime" in asked else until - most * width
        first += -first % width
        return candles(self._exchange.prices[symbol], width, first, until, most)

    def _several(self, request: Request, shape: Callable[[str, Decimal], Any]) -> Any:
        if "symbol" in request.query_params:
            symbol = symbol_of(self._exchange, request.query_params["symbol"])
            return shape(symbol, self._exchange.prices[symbol])
        return [shape(symbol, price) for symbol, price in sorted(self._exchange.prices.items())]

    def _day(self, request: Request) -> Any:
        now = self._exchange.clock.now() // 1000

        def shape(symbol: str, price: Decimal) -> Any:
            text = plain(price)
            return {
                "symbol": wire_symbol(symbol), "priceChange": "0", "priceChangePercent": "0",
                "weightedAvgPrice": text, "prevClosePrice": text, "lastPrice": text,
                "lastQty": "1", "bidPrice": text, "bidQty": "100", "askPrice": text,
                "askQty": "100", "openPrice": text, "highPrice": text, "lowPrice": text,
                "volume": "100000", "quoteVolume": plain(price * 100_000),
                "openTime": now - 86_400_000, "closeTime": now, "firstId": 1, "lastId": 100,
                "count": 100,
            }  # fmt: skip

        return self._several(request, shape)

    def _last(self, request: Request) -> Any:
        return self._several(
            request, lambda symbol, price: {"symbol": wire_symbol(symbol), "price": plain(price)}
        )

    def _best(self, request: Request) -> Any:
        def shape(symbol: str, price: Decimal) -> Any:
            text = plain(price)
            return {"symbol": wire_symbol(symbol), "bidPrice": text, "bidQty": "100",
                    "askPrice": text, "askQty": "100"}  # fmt: skip

        return self._several(request, shape)

    def _depth(self, request: Request) -> Any:
        symbol = symbol_of(self._exchange, request.query_params.get("symbol", ""))
        price, tick = self._exchange.prices[symbol], Decimal(_TICK)
        most = min(int(request.query_params.get("limit", "100")), 100)
        return {
            "lastUpdateId": 1,
            "bids": [[plain(price - tick * step), "100"] for step in range(most)],
            "asks": [[plain(price + tick * step), "100"] for step in range(most)],
        }


def _answering(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            return json(handle(request))
        except Refusal as refusal:
            return json({"code": -1121, "msg": refusal.words}, 400)

    return answer
