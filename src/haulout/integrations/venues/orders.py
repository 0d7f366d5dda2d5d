"""An order that a program asks for, and an order as a venue tells of it, in ccxt's words. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, cast

from haulout.errors import InputError
from haulout.state.events import amount as amount_text
from haulout.state.intents import Intent, Role
from haulout.state.refs import Rules, read
from haulout.state.venue import Seen, SeenStatus

ORDER: Final = "order"
CANCEL: Final = "cancel"
EDIT: Final = "edit"
KEY: Final = "haulout_key"

_EXITS: Final = frozenset(
    {"reduceOnly", "reduce_only", "closePosition", "stopLossPrice", "takeProfitPrice"}
)
_TRIGGERS: Final = (
    "triggerPrice", "stopPrice", "stopLossPrice", "takeProfitPrice", "trailingPercent",
    "trailingAmount",
)  # fmt: skip
_OWN_IDS: Final = frozenset(
    {
        "clientOrderId", "client_order_id", "clientOid", "client_oid", "clOrdId", "clOrdID",
        "clOrdLinkID", "newClientOrderId", "orderLinkId", "cl_ord_id", "cliOrdId", "text", "label",
        "cloid", "client-order-id", "algoClOrdId", "clientAlgoId", "clientAlgoOrderId",
    }
)  # fmt: skip
_KEPT: Final = (
    "id", "clientOrderId", "timestamp", "datetime", "lastTradeTimestamp", "symbol", "type",
    "timeInForce", "side", "price", "triggerPrice", "average", "amount", "filled", "remaining",
    "cost", "status", "fee",
)  # fmt: skip
_STATUSES: Final[Mapping[str, SeenStatus]] = {
    "open": "accepted", "closed": "done", "canceled": "cancelled", "expired": "cancelled",
    "rejected": "refused", "canceling": "accepted",
}  # fmt: skip


class OrderRequest(NamedTuple):
    """An order as a program asks ccxt for it.

    Attributes:
        symbol, type, side: ccxt's; amount, price: decimal text or None.
        params: what else it says, JSON's kinds of values.
        market: ccxt's market of the symbol, empty where it is not loaded.
    """

    symbol: str
    type: str
    side: str
    amount: str | None
    price: str | None
    params: dict[str, Any]
    market: Mapping[str, Any] = {}

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a price before it is an order in the market."""
        kind = self.type.lower()
        waits = "stop" in kind or "take_profit" in kind or "trail" in kind
        return waits or any(self.params.get(name) is not None for name in _TRIGGERS)

    @property
    def is_spot(self) -> bool:
        """Whether a sale of it gives away what is held."""
        on_margin = self.params.get("marginMode") is not None or self.params.get("margin")
        return not self.market.get("contract", ":" in self.symbol) and not on_margin

    @property
    def quote(self) -> str:
        """The currency that it costs, in small letters."""
        pair = self.symbol.partition(":")[0]
        return str(self.market.get("quote") or pair.partition("/")[2]).lower()

    def payload(self) -> dict[str, Any]:
        """What the journal keeps, and what is sent."""
        return {
            "symbol": self.symbol, "type": self.type, "side": self.side, "amount": self.amount,
            "price": self.price, "params": self.params,
        }  # fmt: skip


RoleOf = Callable[[OrderRequest], Role]
CostOf = Callable[[OrderRequest], tuple[Mapping[str, Any], tuple[str, ...]]]


def role_of(asked: OrderRequest) -> Role:
    """Whether an order takes risk away. Entries are refused in doubt, exits are sent in doubt.

    Exits are: sales on a spot market without margin, which can only give away what is held; and
    on any other, what says of itself that it closes (``reduceOnly``, ``closePosition``,
    ``stopLossPrice``, ``takeProfitPrice``). A plain trigger may open a position: an entry.
    """
    if asked.is_spot:
        return "exit" if asked.side.lower() == "sell" else "entry"
    closes = any(asked.params.get(name) not in {None, False, ""} for name in _EXITS)
    return "exit" if closes else "entry"


def cost_of(asked: OrderRequest) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What an order costs, by unit, and what of it stays held once it is filled.

    ``orders`` and ``trades``: one each; and the quote currency in small letters, such as ``usdt``:
    amount x price x contract size, where a price is known. Trades and quote stay held.
    """
    costs: dict[str, Any] = {"orders": 1, "trades": 1}
    value = _value(asked)
    quote = asked.quote
    if value is not None and quote:
        costs[quote] = amount_text(value, "The cost of an order")
    return costs, tuple(unit for unit in costs if unit != "orders")


def _value(asked: OrderRequest) -> Decimal | None:
    for name in ("cost", "quoteOrderQty"):
        if asked.params.get(name) is not None:
            return Decimal(amount_text(asked.params[name], name))
    if asked.amount is None:
        return None
    size = Decimal(str(asked.market.get("contractSize") or 1))
    if asked.market.get("inverse"):
        return Decimal(asked.amount) * size
    if asked.price is None:
        return None
    return Decimal(asked.amount) * Decimal(asked.price) * size


# ---------------------------------------------------------------------- arguments


def number_text(value: Any, name: str) -> str | None:
    """An amount or a price as decimal text; None where there is none."""
    return None if value is None else amount_text(value, name)


def number(text: str | None) -> Any:
    """Decimal text as ccxt takes it: a float where it is the same number, otherwise text."""
    if text is None:
        return None
    value = float(text)
    return value if amount_text(value) == text else text


def parameters(given: Mapping[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    """What a program says beside an order, as JSON's kinds of values, and the key it names.

    Raises:
        InputError: it names a client's ID of its own, or a value that JSON does not have.
    """
    found = dict(given or {})
    key = found.pop(KEY, None)
    own = sorted(_OWN_IDS & {name for name, value in found.items() if value is not None})
    if own:
        message = f"`{own[0]}` is the guard's to choose: it mints an ID for each order."
        hint = f'Give what decides the order as params["{KEY}"]; the same key is ordered once.'
        raise InputError(message, hint=hint)
    return {name: _plain(value) for name, value in found.items()}, None if key is None else str(key)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(name): _plain(one) for name, one in items}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("list[Any]", value)]
    return value


def same_order(earlier: Intent, wanted: Intent) -> bool:
    """Whether an order whose outcome was unknown is the one that a program now asks for again.

    It has the same target already: the same side, and both wait for a price or neither. Amount
    and price may differ: a program computes them anew each time it tries.
    """
    if earlier.action != ORDER or wanted.action != ORDER:
        return earlier.says_the_same(wanted)
    one, other = asked_of(earlier), asked_of(wanted)
    return (one.side.lower(), one.is_stop) == (other.side.lower(), other.is_stop)


def asked_of(intent: Intent) -> OrderRequest:
    """The order behind an intent."""
    said: dict[str, Any] = intent.content() or {}
    return OrderRequest(
        str(said.get("symbol") or ""), str(said.get("type") or ""), str(said.get("side") or ""),
        said.get("amount"), said.get("price"), dict(said.get("params") or {}),
    )  # fmt: skip


def told(order: Mapping[str, Any], market: Mapping[str, Any]) -> OrderRequest:
    """What a program must have asked for, to get an order of a venue's."""
    says = ("reduceOnly", "stopLossPrice", "takeProfitPrice", "triggerPrice")
    return OrderRequest(
        str(order.get("symbol") or ""), str(order.get("type") or ""),
        str(order.get("side") or ""), decimal(order.get("amount")), decimal(order.get("price")),
        {name: order[name] for name in says if order.get(name)}, market,
    )  # fmt: skip


# ---------------------------------------------------------------------- answers


def slim(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order without the venue's raw words: what the journal keeps."""
    kept = {name: _finite(order[name]) for name in _KEPT if order.get(name) is not None}
    return {name: value for name, value in kept.items() if value is not None}


def _finite(value: Any) -> Any:
    """A value without what JSON lacks: an order that was taken is not lost for a NaN in it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(name): _finite(one) for name, one in items}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in cast("list[Any]", value)]
    return value if value is None or isinstance(value, str | int) else str(value)


def texts(order: Mapping[str, Any]) -> set[str]:
    """Every text of an order that may be a client's ID: ccxt's field, and the raw words."""
    found: set[str] = set()
    _gather(order.get("clientOrderId"), found)
    _gather(order.get("info"), found)
    return found


def _gather(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found.add(str(value))
    elif isinstance(value, Mapping):
        for one in cast("Mapping[Any, Any]", value).values():
            _gather(one, found)
    elif isinstance(value, list | tuple):
        for one in cast("list[Any]", value):
            _gather(one, found)


def intent_of(
    order: Mapping[str, Any], rules: Rules, tag: bytes, known: Mapping[str, bytes]
) -> bytes | None:
    """Which intent of a state an order carries; None for an order of somebody else.

    Args:
        order: ccxt's; rules: the venue's; tag: of the state; known: the texts that its open
            intents went out as, for codes from which an ID cannot be read back.
    """
    for text in sorted(texts(order)):
        if text in known:
            return known[text]
        found = read(text, rules.code, rules.prefix)
        if found is not None and found.startswith(tag):
            return found
    return None


def decimal(value: Any) -> str | None:
    """A number of an answer as decimal text; None where it is none, or below zero."""
    try:
        return None if value is None else amount_text(value)
    except (InputError, InvalidOperation):
        return None


def seen_of(order: Mapping[str, Any], intent: bytes | None, target: str, *, entry: bool) -> Seen:
    """An order as an action that the venue tells of.

    Args:
        order: ccxt's; intent: whose it is; target: on what; entry: whether it adds risk.
    """
    status = _STATUSES.get(str(order.get("status") or ""), "accepted")
    filled, cost = decimal(order.get("filled")), decimal(order.get("cost"))
    symbol = str(order.get("symbol") or "")
    quote = symbol.partition(":")[0].partition("/")[2].lower()
    spent: dict[str, str] = {}
    if status in {"done", "cancelled"} and quote and cost is not None and Decimal(cost) > 0:
        spent[quote] = cost
    if status == "cancelled":
        spent["orders"] = "1"
        if filled is not None and Decimal(filled) > 0:
            spent["trades"] = "1"
    stamp = order.get("timestamp")
    return Seen(
        intent=intent, ref=str(order.get("id") or order.get("clientOrderId") or ""),
        status=status, filled=filled, spent=spent, target=target, entry=entry,
        at=int(stamp) * 1000 if isinstance(stamp, int | float) else None, answer=slim(order),
    )  # fmt: skip
