"""Where a venue of ccxt reads a client's ID, and how an order is found by it. Data.

ccxt's unified ``clientOrderId`` is dropped by some venues' adapters, sent into a field that the
venue does not read by others, and looked up under another name by more. Each line here is held
against the wire by tests/integrations/trading/test_conformance.py; docs/trading.md is the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from haulout.state.refs import UNKNOWN, VENUES, Rules, write

UNIFIED: Final = "clientOrderId"


class Wire(NamedTuple):
    """How ccxt's adapter of a venue is asked to carry our ID.

    Attributes:
        create: the parameter of ``create_order`` that reaches the venue's field.
        stop: the same for an order that waits for a price; None: the venue has no field for it.
        look: the parameter of ``fetch_order`` by which it asks for our ID; "" where it cannot.
        lists: the parameter by which the lists of open and closed orders ask for it.
        stops: parameters that show orders that wait for a price; None: they stand in the lists.
        stop_lists: the same for lists, one after another, where they are not `stops` alone.
        by_ref: what ``fetch_order`` wants besides.
        look_stop: as ``look``, for those.
        edit: the parameter of ``edit_order`` for the ID of the order that takes the old one's
            place; "" where the old one stays.
    """

    create: str = UNIFIED
    stop: str | None = UNIFIED
    look: str = ""
    lists: str = ""
    stops: Mapping[str, Any] | None = None
    stop_lists: tuple[Mapping[str, Any], ...] = ()
    by_ref: Mapping[str, Any] = {}
    look_stop: str = ""
    edit: str = ""


_TRIGGER: Final = {"trigger": True}
_STOP: Final = {"stop": True}

WIRES: Final[Mapping[str, Wire]] = {
    "binance": Wire(look=UNIFIED, look_stop=UNIFIED, edit=UNIFIED),
    "binanceusdm": Wire(look=UNIFIED, look_stop=UNIFIED, stops=_TRIGGER),
    "bybit": Wire(
        create="orderLinkId", stop="orderLinkId", lists="orderLinkId", stop_lists=(_TRIGGER,),
        by_ref={"acknowledged": True},
    ),
    # order-algo reads algoClOrdId; the unified name goes out as clOrdId, which it does not read.
    "okx": Wire(
        look=UNIFIED, stop="algoClOrdId", look_stop="algoClOrdId", stops=_TRIGGER,
        stop_lists=tuple({**_TRIGGER, "ordType": kind} for kind in ("trigger", "conditional")),
    ),
    "coinbase": Wire(create="client_order_id", stop="client_order_id"),
    "coinbaseexchange": Wire(look=UNIFIED, look_stop=UNIFIED),
    # fetch_order sends it as `userref`, an integer of another meaning: the lists ask rightly.
    "kraken": Wire(lists=UNIFIED),
    "krakenfutures": Wire(),
    "kucoin": Wire(look=UNIFIED, look_stop=UNIFIED, stops=_STOP),
    "bitget": Wire(look=UNIFIED, stops=_TRIGGER, edit="newClientOid"),
    # Orders that wait for a price have no field for a client's ID there.
    "gate": Wire(look=UNIFIED, stop=None, stops=_TRIGGER),
    "mexc": Wire(look=UNIFIED, look_stop=UNIFIED),
    "htx": Wire(look=UNIFIED),
    "cryptocom": Wire(create="client_oid", stop="client_oid"),
    "alpaca": Wire(edit=UNIFIED),
    "hyperliquid": Wire(look=UNIFIED, look_stop=UNIFIED),
    "deribit": Wire(create="label", stop="label"),
    "bitstamp": Wire(look=UNIFIED, look_stop=UNIFIED),
    "woo": Wire(look=UNIFIED, look_stop=UNIFIED, stops=_TRIGGER),
    "phemex": Wire(look=UNIFIED, look_stop=UNIFIED),
    "bingx": Wire(),
    "whitebit": Wire(),
}  # fmt: skip
"""By ccxt's ID of the exchange."""

ALIASES: Final[Mapping[str, str]] = {
    "binanceus": "binance", "binancecoinm": "binanceusdm", "kucoinfutures": "kucoin",
    "okxus": "okx", "myokx": "okx", "gateio": "gate", "huobi": "htx",
    "coinbaseadvanced": "coinbase", "bitgetuta": "bitget",
}  # fmt: skip
"""Other names of the same wire."""


def rules_of(exchange: str) -> Rules:
    """What is known of a venue's client IDs; class D where nothing is."""
    return VENUES.get(ALIASES.get(exchange, exchange), UNKNOWN)


def wire_of(exchange: str) -> Wire:
    """How a venue is spoken to; ccxt's unified names where nothing else is known."""
    return WIRES.get(ALIASES.get(exchange, exchange), Wire())


def named(wire: Wire, rules: Rules, intent: bytes, *, stop: bool) -> dict[str, Any]:
    """The parameters that put an intent's ID on the wire; none where there is no field."""
    field = wire.stop if stop else wire.create
    return {} if field is None else {field: write(intent, rules.code, rules.prefix)}
