"""A ccxt exchange as a venue: what an `Actor` asks for, in the exchange's own methods."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Final, cast

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from haulout.integrations.venues.answers import Telling, is_told, says_duplicate, says_missing
from haulout.integrations.venues.orders import (
    CANCEL,
    EDIT,
    ORDER,
    RoleOf,
    asked_of,
    decimal,
    intent_of,
    number,
    seen_of,
    texts,
    told,
)
from haulout.integrations.venues.wire import Wire, named
from haulout.state.intents import Intent
from haulout.state.refs import Rules, write
from haulout.state.state import State
from haulout.state.venue import Seen

Ask = Callable[..., Any]


class Sending:
    """An order on its way: how many requests went out for it, and those that failed."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed: dict[str, BaseException] = {}


SENDING: Final[ContextVar[Sending | None]] = ContextVar("SENDING", default=None)
"""Set while an order is on its way, for whatever the exchange calls meanwhile."""
_KEPT: Final = 1000
_NO_FETCH_ORDERS: Final = frozenset({"bingx", "whitebit"})
"""Exchanges whose ``fetch_orders`` is there, for contracts only or for the awaited half only."""


class CcxtVenue:
    """Sends orders through an exchange, and finds them again.

    Args:
        exchange: ccxt's; ask: calls its methods, awaited or not.
        methods: the exchange's own methods by name, as they were before a guard.
        wire, rules: where it reads our ID, and what it does with a second one.
        state: whose orders; prefix: what stands before a symbol in a target.
        role: tells entries from exits; symbols: where to look for orders at a recovery.
    """

    def __init__(
        self,
        exchange: Any,
        ask: Ask,
        methods: Mapping[str, Callable[..., Any]],
        *,
        wire: Wire,
        rules: Rules,
        state: State,
        prefix: str,
        role: RoleOf,
        symbols: tuple[str, ...] = (),
    ) -> None:
        self.name = str(exchange.id)
        self.rules, self.prefix = rules, prefix
        self.raw: dict[bytes, Any] = {}
        """The newest answer to each intent, whole, as the program is given it."""
        self._exchange, self._ask, self._methods, self._wire = exchange, ask, methods, wire
        self._state, self._role, self._symbols = state, role, symbols
        self._duplicates: set[bytes] = set()

    # ------------------------------------------------------------------ sending

    def submit(self, intent: Intent) -> Seen:
        """Send an order, a cancel or an edit, once. Raises as `Venue.submit`."""
        said = intent.content()
        if intent.action == CANCEL:
            arguments = ("cancel_order", said["id"], said["symbol"], said["params"])
        elif intent.action == EDIT:
            arguments = (
                "edit_order", said["id"], said["symbol"], said["type"], said["side"],
                number(said["amount"]), number(said["price"]),
                {**said["params"], **self._edited(intent.id)},
            )  # fmt: skip
        else:
            asked = asked_of(intent)
            ours = named(self._wire, self.rules, intent.id, stop=asked.is_stop)
            arguments = (
                "create_order", asked.symbol, asked.type, asked.side, number(asked.amount),
                number(asked.price), {**asked.params, **ours},
            )  # fmt: skip
        sending = Sending()
        try:
            with Telling(self.name, sends=True), _on_its_way(sending):
                order = self._ask(self._methods[arguments[0]], *arguments[1:])
        except OutcomeUnknownError as error:
            cause = error.__cause__
            if cause is not None and says_duplicate(cause):
                self._duplicates.add(intent.id)
            if cause is not None and not sending.requests and self._is_seen():
                message = f"{self.name} could not send it: {type(cause).__name__}: {cause}"
                raise VenueRefusedError(message[:500]) from cause
            raise
        return self._answered(order, intent)

    def _is_seen(self) -> bool:
        """Whether every request of the exchange is seen here: then none means nothing was sent."""
        return "fetch" in self._methods and type(self._exchange).__module__.startswith("ccxt.")

    def _edited(self, intent: bytes) -> dict[str, Any]:
        field = self._wire.edit
        return {field: write(intent, self.rules.code, self.rules.prefix)} if field else {}

    def _answered(self, order: Any, intent: Intent) -> Seen:
        answer = cast("dict[str, Any]", order) if isinstance(order, dict) else {}
        if intent.action == ORDER and not answer.get("id"):
            message = f"{self.name} answers without an order: {str(answer or None)[:100]}."
            raise OutcomeUnknownError(message)
        self._keep(intent.id, order)
        if intent.action == ORDER:
            return seen_of(answer, intent.id, intent.target, entry=intent.role == "entry")
        ref = str(answer.get("id") or intent.content()["id"])
        seen = seen_of(answer, intent.id, intent.target, entry=intent.role == "entry")
        return Seen(intent=intent.id, ref=ref, status="done", answer=seen.answer)

    def _keep(self, intent: bytes, order: Any) -> None:
        self.raw.pop(intent, None)
        self.raw[intent] = order
        while len(self.raw) > _KEPT:
            self.raw.pop(next(iter(self.raw)))

    # ------------------------------------------------------------------ looking

    def find(self, intent: Intent) -> Seen | None:
        """An order by its venue's ID, or by ours in the way that works here. Raises as `Venue`."""
        asked = asked_of(intent)
        order = None
        if intent.ref:
            order = self.order(intent.ref, asked.symbol, self._stops(stop=asked.is_stop))
        if order is None:
            order = self._by_our_id(intent.id, asked.symbol, stop=asked.is_stop)
        if order is None:
            if intent.id in self._duplicates:
                message = f"{self.name} says that it has intent {intent.text}, and shows none."
                raise OutcomeUnknownError(message)
            return None
        self._keep(intent.id, order)
        return seen_of(order, intent.id, intent.target, entry=intent.role == "entry")

    def _by_our_id(self, intent: bytes, symbol: str, *, stop: bool) -> dict[str, Any] | None:
        """By our ID: asked for, or among the orders that are listed."""
        look = self._wire.look_stop if stop else self._wire.look
        text = write(intent, self.rules.code, self.rules.prefix)
        if look:
            order = self.order("", symbol, {**self._stops(stop=stop), look: text})
            if order is not None and order.get("clientOrderId") not in {None, "", text}:
                message = f"{self.name} was asked for {text} and answers with another order."
                raise OutcomeUnknownError(message)
            return order
        asked = {self._wire.lists: text} if self._wire.lists else {}
        for one in self._lists(symbol, None, asked):
            if text in texts(one):
                return one
        return None

    def order(self, ref: str, symbol: str, params: dict[str, Any]) -> dict[str, Any] | None:
        """An order by the venue's ID, or by what ``params`` say; None where there is none.

        Raises:
            OutcomeUnknownError: the venue does not answer.
        """
        try:
            with Telling(self.name, sends=False):
                found = self._ask(
                    self._methods["fetch_order"], ref, symbol, {**self._wire.by_ref, **params}
                )
        except OutcomeUnknownError as error:
            if error.__cause__ is not None and says_missing(error.__cause__):
                return None
            raise
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def _stops(self, *, stop: bool) -> dict[str, Any]:
        return dict(self._wire.stops or {}) if stop else {}

    # ------------------------------------------------------------------ lists

    def listed(self, since: int) -> Iterator[Seen]:
        """Open orders and those since a time, of every symbol that is known here."""
        # One pass: whoever reads this compares IDs, which does not ask the venue again.
        known = {
            write(one.id, self.rules.code, self.rules.prefix): one
            for one in self._state.open_intents()
            if one.action == ORDER
        }
        ids = {text: one.id for text, one in known.items()}
        tag = self._state.tag()
        for symbol in self._looked_at():
            for order in self._lists(symbol, since // 1000, {}):
                intent = intent_of(order, self.rules, tag, ids)
                place = str(order.get("symbol") or symbol or "")
                if intent is not None:
                    self._keep(intent, order)
                yield seen_of(order, intent, self.prefix + place, entry=self._is_entry(order))

    def _is_entry(self, order: Mapping[str, Any]) -> bool:
        market = market_of(self._exchange, str(order.get("symbol") or ""))
        return self._role(told(order, market)) == "entry"

    def _looked_at(self) -> list[str | None]:
        """The symbols of the journal's intents and those that were named; all where none is."""
        known = self._state.tape.read(lambda book, _past: [*book.intents.values(), *book.recent])
        ours = {
            one.target.removeprefix(self.prefix)
            for one in known
            if one.action == ORDER and one.target.startswith(self.prefix)
        }
        symbols: list[str | None] = []
        symbols += sorted({*ours, *self._symbols})
        return symbols or [None]

    def _lists(
        self, symbol: str | None, since_ms: int | None, params: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        stops = [dict(one) for one in self._wire.stop_lists]
        if self._wire.stops and not stops:
            stops = [dict(self._wire.stops)]
        seen: set[str] = set()
        for name in self._listings():
            for more in ({}, *stops):
                for order in self._list(name, symbol, since_ms, {**params, **more}):
                    ref = str(order.get("id") or "")
                    if ref not in seen:
                        seen.add(ref)
                        yield order

    def _listings(self) -> list[str]:
        """The methods that list orders: open ones, and then all or what ended."""
        has = cast("Mapping[str, Any]", self._exchange.has)
        ended = [
            name
            for name, word in (
                ("fetch_closed_orders", "fetchClosedOrders"),
                ("fetch_canceled_orders", "fetchCanceledOrders"),
            )
            if has.get(word) is True
        ]
        everything = has.get("fetchOrders") is True and self.name not in _NO_FETCH_ORDERS
        return ["fetch_open_orders", *(["fetch_orders"] if everything else ended)]

    def _list(
        self, name: str, symbol: str | None, since_ms: int | None, params: dict[str, Any]
    ) -> list[dict[str, Any]]:
        since = None if name == "fetch_open_orders" else since_ms
        method = self._methods.get(name) or getattr(self._exchange, name)
        try:
            with Telling(self.name, sends=False):
                return list(self._ask(method, symbol, since, None, params))
        except OutcomeUnknownError as error:
            # Nothing is known to look for, and this exchange lists nothing without a symbol.
            if symbol is None and "symbol" in str(error.__cause__) and is_told(error.__cause__):
                return []
            raise

    # ------------------------------------------------------------------ what became of a change

    def changed(self, intent: Intent) -> Seen | None:
        """What became of a cancel or an edit, by looking at the order; None: nothing yet."""
        said = intent.content()
        if intent.action == EDIT and self._wire.edit:
            heir = self._by_our_id(intent.id, said["symbol"], stop=False)
            if heir is not None:
                return self._answered(heir, intent)
        order = self.order(said["id"], said["symbol"], dict(said["params"]))
        if order is None:
            return None
        status = order.get("status")
        if intent.action == EDIT:
            return self._edit_seen(intent, order, said)
        if status in {"canceled", "expired", "rejected"}:
            return self._answered(order, intent)
        if status == "closed":
            return self._too_late(order, intent)
        return None

    def _edit_seen(
        self, intent: Intent, order: dict[str, Any], said: Mapping[str, Any]
    ) -> Seen | None:
        wanted = [(said[name], decimal(order.get(name))) for name in ("amount", "price")]
        as_wanted = all(
            ours is None or (theirs is not None and Decimal(ours) == Decimal(theirs))
            for ours, theirs in wanted
        )
        if as_wanted and order.get("status") in {"open", "closed"}:
            return self._answered(order, intent)
        if order.get("status") == "open":
            return None
        # It ended. Where an edit makes a new order, that one is looked for: F15, one order twice.
        for one in self._lists(said["symbol"], intent.at // 1000 - 60_000, {}):
            replaces = order["id"] in texts(one) and one.get("id") != order["id"]
            if replaces or intent_of(one, self.rules, intent.id, {}) == intent.id:
                return self._answered(one, intent)
        return self._too_late(order, intent)

    def _too_late(self, order: dict[str, Any], intent: Intent) -> Seen:
        answered = self._answered(order, intent)
        return Seen(intent=intent.id, ref=answered.ref, status="refused", answer=answered.answer)

    # ------------------------------------------------------------------ positions

    def positions(self) -> dict[str, str]:
        """Contracts by symbol, shorts below zero; of spot markets what is held of the base."""
        found: dict[str, str] = {}
        has = cast("Mapping[str, Any]", self._exchange.has)
        with Telling(self.name, sends=False):
            spots = [one for one in self._looked_at() if one is not None and ":" not in one]
            if spots and has.get("fetchBalance"):
                balance = self._ask(self._exchange.fetch_balance)
                for symbol in spots:
                    held = balance.get("total", {}).get(symbol.partition("/")[0])
                    found[self.prefix + symbol] = decimal(held) or "0"
            if len(spots) < len(self._looked_at()) and has.get("fetchPositions"):
                for one in self._ask(self._exchange.fetch_positions):
                    size = decimal(one.get("contracts")) or "0"
                    sign = "-" if one.get("side") == "short" and Decimal(size) else ""
                    found[self.prefix + str(one["symbol"])] = sign + size
        return found


def market_of(exchange: Any, symbol: str) -> Mapping[str, Any]:
    """A market of an exchange as far as it is loaded; nothing is asked for."""
    markets = cast("Mapping[str, Any]", getattr(exchange, "markets", None) or {})
    return cast("Mapping[str, Any]", markets.get(symbol) or {})


@contextmanager
def _on_its_way(sending: Sending) -> Generator[None]:
    """A block in which a request that failed is not sent again."""
    token = SENDING.set(sending)
    try:
        yield
    finally:
        SENDING.reset(token)
