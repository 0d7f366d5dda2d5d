"""NautilusTrader, so that a strategy's own state outlives its process, and orders bear our IDs.

    from haulout import Vault
    from haulout.integrations.nautilus import bridge

    vault = Vault.open()
    strategy = MyStrategy(config)
    node.trader.add_strategy(strategy)
    kept = bridge(strategy, vault.state("bots/eurusd"))   # on_load, if there is something
    node.run()

By itself NautilusTrader calls `on_save` when it is stopped in good order, not when it is killed.
Bridged, what `on_save` gives is written down after every decision (bar, quote, trade, order event)
that changed it. Orders are NautilusTrader's own to send and to reconcile; an order whose
`client_order_id` comes from `Bridge.reserve` stands in the journal before it is sent, bound by the
owner's limits, and what becomes of it is written down from its events.

Written for nautilus_trader 1.221 to 1.231, of which nothing is imported.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, cast

from haulout.errors import (
    ActionError,
    ActionRefusedError,
    ConflictError,
    HauloutError,
    InputError,
    NotFoundError,
    OutcomeUnknownError,
)
from haulout.integrations.bots.hosts import loaded
from haulout.integrations.bots.values import decoded, encoded
from haulout.state.events import amount
from haulout.state.intents import Intent, Role
from haulout.state.recovery import Recovery, recover
from haulout.state.refs import Class, Code, Rules, read, write
from haulout.state.resolving import Resolver
from haulout.state.state import State
from haulout.state.venue import Seen, SeenStatus

__all__ = ["Bridge", "CacheVenue", "bridge"]

_log = logging.getLogger(__name__)
DOCUMENT: Final = "nautilus"
"""The name of the document with what `on_save` gave."""
_DECISIONS: Final = (
    "on_bar", "on_quote_tick", "on_trade_tick", "on_order_book", "on_order_book_deltas", "on_data",
    "on_signal", "on_position_event",
)  # fmt: skip
_STATUSES: Final[Mapping[str, SeenStatus]] = {
    "FILLED": "done", "CANCELED": "cancelled", "EXPIRED": "cancelled", "REJECTED": "refused",
    "DENIED": "refused",
}  # fmt: skip
_SILENT: Final = frozenset({"", "UNKNOWN", "INFLIGHT_TIMEOUT", "IN-FLIGHT TIMEOUT"})
"""Why NautilusTrader rejects an order of which the venue has not said anything: nobody knows."""
_NOT_SENT: Final = frozenset({"INITIALIZED", "EMULATED", "RELEASED"})


def bridge(
    strategy: Any,
    state: State,
    *,
    max_age: timedelta | None = None,
    code: Code = "hex",
    kind: Class = "D",
) -> Bridge:
    """Bridge a strategy, once a trader or an engine has it and before it runs.

    Args:
        strategy: NautilusTrader's; it has `on_save` and `on_load`.
        state: where it is kept; for a backtest ``State.in_memory(now=strategy's clock)``.
        max_age: what is older is not loaded.
        code: how an intent's ID is written as a ClientOrderId; see `refs.VENUES`.
        kind: what the venue does with a second order of an ID. In any class but D, an order that
            is not in NautilusTrader's cache once it has reconciled is taken for lost.

    Raises:
        StaleStateError: what is kept is older than ``max_age``; nothing was loaded.
        HauloutError: the state cannot be read.
    """
    found = Bridge(strategy, state, max_age=max_age, rules=Rules(kind, code, "client_order_id"))
    found.load()
    found.watch()
    return found


class Bridge:
    """What keeps a strategy's state; `bridge` makes one.

    Args:
        strategy: NautilusTrader's; state: where it is kept; max_age: what is older is too old.
        rules: how IDs are written, and what the venue does with a second one.
    """

    def __init__(
        self, strategy: Any, state: State, *, max_age: timedelta | None, rules: Rules
    ) -> None:
        self._strategy, self.state = strategy, state
        self._max_age, self._rules = max_age, rules
        self.venue = CacheVenue(strategy, state, rules)
        self._resolver = Resolver(state, self.venue, sleep=lambda _seconds: None)
        self._kept: Any = None
        self.failure: HauloutError | None = None
        """Why the newest state is not written down; None where it is."""

    # ------------------------------------------------------------------ the strategy's own state

    def load(self) -> bool:
        """Give the strategy what was kept, through its `on_load`; whether there was something.

        Raises:
            StaleStateError: it is too old; DamagedError: it cannot be read.
        """
        kept = self.state.document(DOCUMENT).read(max_age=self._max_age)
        if kept is None:
            return False
        found = cast("dict[str, Any]", decoded(kept.value))
        self._strategy.load(found)
        self._kept = kept.value
        return True

    def save(self) -> bool:
        """Write down what `on_save` gives, where it changed; whether it is written.

        Nothing comes up: a disk that fails stops no strategy. It is told in `failure`, and
        `reserve` refuses entries by itself while nothing can be written.
        """
        try:
            value = encoded(dict(self._strategy.save()))
            if value == self._kept:
                return True
            self.state.set(DOCUMENT, value)
        except HauloutError as error:
            if self.failure is None:
                _log.warning("The state of %s is not kept: %s", self.state.name, error.message)
            self.failure = error
            return False
        self._kept, self.failure = value, None
        return True

    def watch(self) -> None:
        """Save after every decision from now on, and take in what becomes of orders."""
        for name in _DECISIONS:
            self._wrap(name, lambda _event: None)
        self._wrap("on_order_event", self._observe)

    def _wrap(self, name: str, before: Callable[[Any], None]) -> None:
        own = getattr(self._strategy, name, None)
        if own is None:
            return

        @functools.wraps(own)
        def wrapped(event: Any) -> None:
            before(event)
            own(event)
            self.save()

        # The compiled half looks a method up on the object before it calls its own.
        setattr(self._strategy, name, wrapped)

    # ------------------------------------------------------------------ orders

    def reserve(
        self,
        instrument: Any,
        side: Any,
        quantity: Any,
        *,
        price: Any = None,
        key: str | None = None,
        role: Role = "entry",
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str | bytes] = (),
    ) -> Any:
        """Write an order down before it is sent; its ClientOrderId, for the order factory.

        Args:
            instrument: its InstrumentId; side: its OrderSide; quantity, price: of the order.
            key: what decided it; a key decides once, and raises where its order is known.
            role: an entry is bound by limits, an exit is not.
            cost, holds, closes: as for `State.reserve`.

        Raises:
            ActionRefusedError: a limit, a halt or an open question forbids it, or the key was
                decided before; nothing is to be sent.
            StorageError: it is not written down; an entry must not be sent.
        """
        said = {
            "instrument": str(instrument), "side": getattr(side, "name", None) or str(side),
            "quantity": str(quantity), "price": None if price is None else str(price),
        }  # fmt: skip
        made = loaded("nautilus_trader.model.identifiers").ClientOrderId
        # What the strategy decided by must not be older than its order.
        if not self.save() and role == "entry" and self.failure is not None:
            message = f"An order on {instrument} is refused: memory is down."
            raise ActionRefusedError(message, hint=self.failure.message)
        reserved = self.state.reserve(
            "order", said, key=key, role=role, target=f"nautilus/{instrument}",
            cost={"orders": 1, "trades": 1} if cost is None and role == "entry" else cost,
            holds=("trades",) if cost is None and role == "entry" else holds, closes=closes,
        )  # fmt: skip
        if not reserved.fresh:
            one = reserved.intent
            message = f"The key {key!r} decided intent {one.text} before, which is {one.status}."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        text = write(reserved.intent.id, self._rules.code, self._rules.prefix)
        return made(text)

    def intent_of(self, client_order_id: Any) -> Intent | None:
        """The intent behind a ClientOrderId; None for an order that none was reserved for."""
        return self.venue.intent_of(str(client_order_id))

    def recover(self, *, confirmed: bool = False) -> Recovery:
        """Where the strategy stands, once NautilusTrader has reconciled, as in `on_start`.

        Nothing is sent. What the cache shows of open intents is settled.
        """
        return recover(self._resolver, max_age=self._max_age, confirmed=confirmed)

    def _observe(self, event: Any) -> None:
        intent = self.intent_of(getattr(event, "client_order_id", ""))
        if intent is None:
            return
        # What cannot be written now is asked of the cache by the next recovery.
        with suppress(ActionError, ConflictError, HauloutError):
            seen = self.venue.find(intent)
            if seen is not None:
                self._resolver.observe(seen)


class CacheVenue:
    """NautilusTrader's cache as a venue: what it has reconciled is what the venue is known to have.

    Args:
        strategy: whose orders; state: whose intents; rules: how IDs are written.
    """

    name = "nautilus"

    def __init__(self, strategy: Any, state: State, rules: Rules) -> None:
        self._strategy, self._state, self.rules = strategy, state, rules

    def submit(self, intent: Intent) -> Seen:
        """Nothing is sent from here: NautilusTrader sends.

        Raises:
            OutcomeUnknownError: always.
        """
        message = f"Intent {intent.text} is NautilusTrader's to send."
        raise OutcomeUnknownError(message)

    def intent_of(self, text: str) -> Intent | None:
        """The intent whose ID a ClientOrderId is."""
        found = read(text, self.rules.code, self.rules.prefix)
        if found is None or not found.startswith(self._state.tag()):
            return None
        try:
            return self._state.intent(found)
        except NotFoundError:
            return None

    def find(self, intent: Intent) -> Seen | None:
        """An intent's order in the cache, or None where there is none."""
        text = write(intent.id, self.rules.code, self.rules.prefix)
        made = loaded("nautilus_trader.model.identifiers").ClientOrderId
        order = self._strategy.cache.order(made(text))
        if order is None or _status(order) in _NOT_SENT:
            return None
        return self._seen(order, intent.id, entry=intent.role == "entry")

    def listed(self, since: int) -> Iterator[Seen]:
        """The strategy's orders in the cache, since a time (microseconds)."""
        for order in self._strategy.cache.orders(strategy_id=self._strategy.id):
            if order.ts_init // 1000 < since or _status(order) in _NOT_SENT:
                continue
            found = read(str(order.client_order_id), self.rules.code, self.rules.prefix)
            yield self._seen(order, found, entry=not order.is_reduce_only)

    def positions(self) -> dict[str, str]:
        """What the strategy holds, by target."""
        found: dict[str, str] = {}
        for one in self._strategy.cache.positions_open(strategy_id=self._strategy.id):
            sign = "-" if str(one.side.name) == "SHORT" else ""
            found[f"nautilus/{one.instrument_id}"] = f"{sign}{one.quantity}"
        return found

    def _seen(self, order: Any, intent: bytes | None, *, entry: bool) -> Seen:
        """An order as the cache has it.

        Raises:
            OutcomeUnknownError: it was rejected because nobody answered.
        """
        status = _status(order)
        reason = str(getattr(order.last_event, "reason", "") or "")
        if status == "REJECTED" and reason.upper() in _SILENT:
            message = (
                f"{order.client_order_id} was given up by NautilusTrader: {reason or 'silent'}"
            )
            raise OutcomeUnknownError(message)
        filled = _amount(order.filled_qty)
        target = f"nautilus/{order.instrument_id}"
        return Seen(
            intent=intent, ref=str(order.venue_order_id or order.client_order_id),
            status=_STATUSES.get(status, "accepted"), filled=filled, target=target, entry=entry,
            at=int(order.ts_init) // 1000,
        )  # fmt: skip


def _status(order: Any) -> str:
    status = order.status
    name = getattr(status, "name", None)
    if name is None:  # a number of its own where the compiled half answers
        order_status = loaded("nautilus_trader.model.enums").OrderStatus
        name = order_status(status).name
    return str(name)


def _amount(value: Any) -> str | None:
    try:
        return amount(str(value).replace("_", ""))
    except InputError:
        return None
