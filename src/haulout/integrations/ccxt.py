"""Any exchange of ccxt, so that no order is sent twice and none is forgotten.

    import ccxt
    from haulout import Vault
    from haulout.integrations.ccxt import guard, recover

    vault = Vault.open()
    exchange = guard(ccxt.binance({...}), vault.state("bots/btc"))
    print(recover(exchange).text())                     # before the first order
    exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 20000)

Guarded are `create_order` and all that leads to it, `edit_order` and `cancel_order`: each is
written down, sent once with an ID of its own, and looked up where the answer is lost. Everything
else of the exchange is untouched. docs/trading.md says what is proven for which venue, and what is
not promised.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from haulout.errors import (
    ActionRefusedError,
    HauloutError,
    InputError,
    NotFoundError,
    VenueRefusedError,
)
from haulout.integrations.venues import orders
from haulout.integrations.venues.answers import for_program
from haulout.integrations.venues.asking import Awaited, Direct, WithoutRetries
from haulout.integrations.venues.ccxtvenue import SENDING, CcxtVenue, Sending, market_of
from haulout.integrations.venues.changing import ChangingActor
from haulout.integrations.venues.orders import CANCEL, EDIT, ORDER, CostOf, OrderRequest, RoleOf
from haulout.integrations.venues.wire import rules_of, wire_of
from haulout.state.acting import Acted
from haulout.state.intents import Intent
from haulout.state.recovery import Recovery
from haulout.state.refs import Class
from haulout.state.state import State

__all__ = ["Guard", "guard", "guard_of", "recover", "recover_async", "unguard"]

Exchange = TypeVar("Exchange")
_ATTRIBUTE: Final = "_haulout_guard"
_ERRORS: Final = "ccxt.base.errors"
_AROUND: Final = (
    "create_order_ws", "create_orders_ws", "edit_order_ws", "edit_orders", "create_twap_order",
)  # fmt: skip
"""Ways to send an order that lead past the guard: they are refused."""
_READ: Final = (
    "fetch_order", "fetch_orders", "fetch_open_orders", "fetch_closed_orders",
    "fetch_canceled_orders",
)  # fmt: skip
_NOTHING: Final[tuple[Mapping[str, Any], tuple[str, ...]]] = ({}, ())
_NEARLY: Final = Decimal("0.98")
"""An exit that sells this much of an entry closes it: the rest is what fees took."""


def guard(
    exchange: Exchange,
    state: State,
    *,
    account: str = "main",
    role: RoleOf = orders.role_of,
    cost: CostOf = orders.cost_of,
    treat_as: Class | None = None,
    symbols: tuple[str, ...] = (),
    attempts: int = 2,
    needs_recovery: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Exchange:
    """Guard an exchange, in place. The same object is returned.

    Args:
        exchange: ccxt's, awaited or not; it needs `create_order` and `fetch_order`.
        state: where its orders are written down; it must stay open.
        account: which of your accounts there; targets are ``exchange/account/symbol``.
        role: whether an order is an entry or an exit; see `orders.role_of`.
        cost: what an entry costs by unit, and what stays held; see `orders.cost_of`.
        treat_as: the venue's class, where you know better than docs/trading.md.
        symbols: where `recover` looks for orders beside those of the journal.
        attempts: how often one order is sent, each time proven not to have arrived before.
        needs_recovery: entries wait for `recover` where the state has a past.
        sleep: waits so many seconds, between two looks for an order.

    Raises:
        InputError: it is no exchange, or it is guarded; StorageError: the state cannot be written.
    """
    if not all(callable(getattr(exchange, name, None)) for name in ("create_order", "fetch_order")):
        message = f"{exchange!r} is no exchange: it has no create_order and fetch_order."
        raise InputError(message)
    if getattr(exchange, _ATTRIBUTE, None) is not None:
        message = "This exchange is guarded already."
        raise InputError(message, hint="`unguard` it first.")
    Guard(
        exchange, state, account=account, role=role, cost=cost, treat_as=treat_as, symbols=symbols,
        attempts=attempts, needs_recovery=needs_recovery, sleep=sleep,
    ).install()  # fmt: skip
    return exchange


def guard_of(exchange: Any) -> Guard:
    """The guard of an exchange.

    Raises:
        NotFoundError: it has none.
    """
    found = getattr(exchange, _ATTRIBUTE, None)
    if not isinstance(found, Guard):
        message = "This exchange is not guarded."
        raise NotFoundError(message)
    return found


def unguard(exchange: Any) -> None:
    """Take the guard off an exchange; what it wrote down stays. Raises as `guard_of`."""
    guard_of(exchange).remove()


def recover(
    exchange: Any,
    *,
    believed: Mapping[str, str] | None = None,
    max_age: timedelta | None = None,
    confirmed: bool = False,
) -> Recovery:
    """Find out where a bot stands, before its first order. Nothing is sent.

    Args:
        exchange: a guarded one whose methods return; see `recover_async` for the other kind.
        believed: positions as the bot has them, decimal text by symbol.
        max_age: documents older than this make the state stale, and entries wait.
        confirmed: a person looked at the report, and says that entries may go on.

    Raises:
        NotFoundError: it is not guarded.
    """
    return guard_of(exchange).recover(believed=believed, max_age=max_age, confirmed=confirmed)


async def recover_async(
    exchange: Any,
    *,
    believed: Mapping[str, str] | None = None,
    max_age: timedelta | None = None,
    confirmed: bool = False,
) -> Recovery:
    """As `recover`, for an exchange whose methods are awaited."""
    found = guard_of(exchange)
    asking = found.asking
    assert isinstance(asking, Awaited)
    return await asking.run(
        lambda: found.recover(believed=believed, max_age=max_age, confirmed=confirmed)
    )


class Guard:
    """What stands between a program and an exchange; `guard` makes one. Arguments as there."""

    def __init__(
        self,
        exchange: Any,
        state: State,
        *,
        account: str,
        role: RoleOf,
        cost: CostOf,
        treat_as: Class | None,
        symbols: tuple[str, ...],
        attempts: int,
        needs_recovery: bool,
        sleep: Callable[[float], None],
    ) -> None:
        self._exchange, self.state = exchange, state
        self._role, self._cost = role, cost
        self._prefix = f"{exchange.id}/{account}/"
        self._methods = {
            name: getattr(exchange, name)
            for name in (
                "create_order", "cancel_order", "edit_order", "create_orders", "fetch", *_READ,
                *_AROUND,
            )
            if callable(getattr(exchange, name, None))
        }  # fmt: skip
        rules = rules_of(exchange.id)
        if treat_as is not None:
            rules = rules._replace(kind=treat_as)
        self.awaited = _is_awaited(self._methods["create_order"])
        self.asking: Direct | Awaited = Awaited() if self.awaited else Direct()
        self.venue = CcxtVenue(
            exchange, self.asking, self._methods, wire=wire_of(exchange.id), rules=rules,
            state=state, prefix=self._prefix, role=role, symbols=symbols,
        )  # fmt: skip
        self.actor = ChangingActor(
            state, self.venue, sleep=sleep, attempts=attempts, needs_recovery=needs_recovery,
            same=orders.same_order,
        )  # fmt: skip
        self._quiet = WithoutRetries()
        self._turns: dict[tuple[str, str], threading.Lock] = {}
        self._installed: list[str] = []

    # ------------------------------------------------------------------ putting it on

    def install(self) -> None:
        """Put the guard on: the names below are this object's from now on."""
        self.state.tag()  # known from here on: an exit is sent though the journal cannot be read
        replaced: dict[str, Callable[..., Any]] = {
            "create_order": self._create_order,
            "cancel_order": self._cancel_order,
            "edit_order": self._edit_order,
            "create_orders": self._create_orders_async if self.awaited else self._create_orders,
            "fetch": self._fetch_async if self.awaited else self._fetch,
            **{name: self._refusing(name) for name in _AROUND},
            **{name: self._reading(name) for name in _READ if name in self._methods},
        }
        if self._edits_by_two():
            del replaced["edit_order"]
        for name, method in replaced.items():
            if name not in self._methods:
                continue
            # ccxt calls its own methods by both spellings.
            for spelling in {name, _camel(name)}:
                setattr(self._exchange, spelling, method)
                self._installed.append(spelling)
        setattr(self._exchange, _ATTRIBUTE, self)

    def remove(self) -> None:
        """Take the guard off; the exchange is as it was."""
        for name in (*self._installed, _ATTRIBUTE):
            delattr(self._exchange, name)
        self._installed.clear()
        if isinstance(self.asking, Awaited):
            self.asking.close()

    def _edits_by_two(self) -> bool:
        """Whether an edit is a cancel and a new order here, each of which is guarded by itself."""
        edit = self._methods.get("edit_order")
        return str(getattr(edit, "__module__", "")).endswith(".exchange")

    # ------------------------------------------------------------------ recovery

    def recover(
        self,
        *,
        believed: Mapping[str, str] | None = None,
        max_age: timedelta | None = None,
        confirmed: bool = False,
    ) -> Recovery:
        """As `recover`. With an awaited exchange use `recover_async`."""
        targets = None
        if believed is not None:
            targets = {self._prefix + symbol: held for symbol, held in believed.items()}
        return self.actor.recover(believed=targets, max_age=max_age, confirmed=confirmed)

    @property
    def unjournaled(self) -> list[Intent]:
        """Exits that were sent while the disk refused to write them down."""
        return list(self.actor.unjournaled)

    # ------------------------------------------------------------------ the guarded methods

    def _create_order(
        self,
        symbol: str,
        type: str,  # noqa: A002 - ccxt's word
        side: str,
        amount: Any = None,
        price: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """As the exchange's own, written down first."""
        if SENDING.get() is not None:
            return self._methods["create_order"](symbol, type, side, amount, price, params or {})
        return self._run(lambda: self._ordered(symbol, type, side, amount, price, params))

    def _cancel_order(
        self,
        id: str,  # noqa: A002 - ccxt's word
        symbol: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """As the exchange's own, written down first."""
        if SENDING.get() is not None:
            return self._methods["cancel_order"](id, symbol, params or {})
        said = {"id": id, "symbol": symbol, "params": dict(params or {})}
        return self._run(lambda: self._change(CANCEL, said, {}))

    def _edit_order(
        self,
        id: str,  # noqa: A002 - ccxt's word
        symbol: str,
        type: str,  # noqa: A002 - ccxt's word
        side: str,
        amount: Any = None,
        price: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """As the exchange's own, written down first."""
        if SENDING.get() is not None:
            own = self._methods["edit_order"]
            return own(id, symbol, type, side, amount, price, params or {})
        return self._run(lambda: self._edited(id, symbol, type, side, amount, price, params))

    def _create_orders(
        self, orders: list[dict[str, Any]], params: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """One after another, each guarded by itself: a batch has no outcome of its own."""
        if SENDING.get() is not None:  # some exchanges send one order as a batch of one
            return self._methods["create_orders"](orders, params or {})
        return [self._create_order(**_one_of(order, params)) for order in orders]

    async def _create_orders_async(
        self, orders: list[dict[str, Any]], params: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """One after another, each guarded by itself."""
        if SENDING.get() is not None:
            return await self._methods["create_orders"](orders, params or {})
        return [await self._create_order(**_one_of(order, params)) for order in orders]

    def _refusing(self, name: str) -> Callable[..., Any]:
        def refused(*arguments: Any, **named: Any) -> Any:
            if SENDING.get() is not None:  # the exchange's own way of doing what is guarded
                return self._methods[name](*arguments, **named)
            message = f"{name} would send orders past the guard; nothing was sent."
            error = ActionRefusedError(message, hint="Use create_order, or `unguard` first.")
            raise for_program(error, _ERRORS)

        return refused

    def _run(self, job: Callable[[], Any]) -> Any:
        if isinstance(self.asking, Awaited):
            return self._awaited(job, self.asking)
        try:
            return job()
        except HauloutError as error:
            raise for_program(error, _ERRORS) from error

    async def _awaited(self, job: Callable[[], Any], asking: Awaited) -> Any:
        try:
            return await asking.run(job)
        except HauloutError as error:
            raise for_program(error, _ERRORS) from error

    # ------------------------------------------------------------------ acting

    def _ordered(
        self, symbol: str, kind: str, side: str, amount: Any, price: Any, params: Any
    ) -> Any:
        said, key = orders.parameters(params)
        asked = OrderRequest(
            symbol, kind, side, orders.number_text(amount, "amount"),
            orders.number_text(price, "price"), said, market_of(self._exchange, symbol),
        )  # fmt: skip
        role = self._role(asked)
        cost, holds = _NOTHING if role == "exit" else self._cost_of(asked)
        wanted = self.state.intended(
            ORDER, asked.payload(), key=key, role=role, target=self._prefix + symbol, cost=cost,
            holds=holds, closes=self._closed_by(asked) if role == "exit" else (),
        )  # fmt: skip
        with self._turn(wanted):
            return self._told(self.actor.act_on(wanted))

    def _cost_of(self, asked: OrderRequest) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """What an entry costs; a market order's price is asked for where a limit needs it."""
        cost, holds = self._cost(asked)
        quote = asked.quote
        if not quote or quote in cost or asked.price is not None:
            return cost, holds
        limited = self.state.tape.read(lambda book, _past: {one.unit for one in book.in_force()})
        if quote not in limited:
            return cost, holds
        ticker = self.asking(self._exchange.fetch_ticker, asked.symbol)
        price = orders.decimal(ticker.get("ask") or ticker.get("last"))
        if price is None:
            message = f"There is a limit on {quote}, and no price of {asked.symbol} to hold it."
            raise ActionRefusedError(message, hint="Give a price, or a limit order.")
        return self._cost(asked._replace(price=price))

    def _closed_by(self, asked: OrderRequest) -> tuple[bytes, ...]:
        """The held entries on a symbol that an exit closes, oldest first, as far as it reaches."""
        target = self._prefix + asked.symbol
        try:
            ids = self.state.tape.read(lambda book, _past: list(book.held))
            held = [self.state.intent(one) for one in ids]
        except HauloutError:  # memory that cannot be read stops no exit
            return ()
        whole = asked.amount is None or bool(asked.params.get("closePosition"))
        left = Decimal(asked.amount or 0)
        found: list[bytes] = []
        for one in sorted(held, key=lambda one: one.at):
            entry = orders.asked_of(one)
            if one.target != target or entry.side.lower() == asked.side.lower():
                continue
            size = Decimal(one.filled or entry.amount or 0)
            if not whole and left < size * _NEARLY:
                break
            left -= size
            found.append(one.id)
        return tuple(found)

    def _edited(
        self, ref: str, symbol: str, kind: str, side: str, amount: Any, price: Any, params: Any
    ) -> Any:
        given, key = orders.parameters(params)
        asked = OrderRequest(
            symbol, kind, side, orders.number_text(amount, "amount"),
            orders.number_text(price, "price"), given, market_of(self._exchange, symbol),
        )  # fmt: skip
        said = {"id": ref, **asked.payload()}
        cost: Mapping[str, Any] = {}
        role = self._role(asked)
        if role == "entry":
            cost = self._dearer(ref, asked)
        return self._change(EDIT, said, cost, key=key, role=role)

    def _dearer(self, ref: str, asked: OrderRequest) -> Mapping[str, Any]:
        """What an edit costs beyond the order that it changes; all of it for an unknown one."""
        cost, _ = self._cost(asked)
        before = next((one for one in self.state.open_intents() if one.ref == ref), None)
        if before is None:
            return cost
        more = {
            unit: Decimal(str(one)) - Decimal(before.cost.get(unit, "0"))
            for unit, one in cost.items()
        }
        return {unit: one for unit, one in more.items() if one > 0}

    def _change(
        self,
        action: str,
        said: Mapping[str, Any],
        cost: Mapping[str, Any],
        *,
        key: str | None = None,
        role: Any = "exit",
    ) -> Any:
        target = f"{self._prefix}{said['symbol'] or ''}#{said['id']}"
        wanted = self.state.intended(
            action, dict(said), key=key, role=role, target=target, cost=cost
        )
        with self._turn(wanted):
            try:
                acted = self.actor.act_on(wanted)
            except VenueRefusedError as error:
                if not isinstance(error.__cause__, HauloutError):
                    raise
                raise for_program(error, _ERRORS, _too_late(action)) from error
            answer = self._told(acted)
            self.actor.follow(acted, str(said["id"]))
            return answer

    def _turn(self, wanted: Intent) -> threading.Lock:
        """One action at a time on a target: a second would look for the first as for a lost one."""
        return self._turns.setdefault((wanted.target, wanted.role), threading.Lock())

    def _told(self, acted: Acted) -> Any:
        """What the program gets: the exchange's own answer, of now or of then."""
        intent = acted.intent
        if intent.status == "refused":
            error = VenueRefusedError(intent.why or f"{intent.action} was refused.")
            raise for_program(error, _ERRORS, _too_late(intent.action))
        if intent.status == "dropped":
            message = f"Intent {intent.text} was given up: {intent.why or 'it never arrived'}."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        if intent.id in self.venue.raw:
            return self.venue.raw[intent.id]
        answer = cast("dict[str, Any]", intent.answer() or {})
        return {"info": {}, "id": intent.ref, **answer}

    # ------------------------------------------------------------------ beside the orders

    def _reading(self, name: str) -> Callable[..., Any]:
        """A method that reads orders, as it was; what it shows is taken into the journal."""
        own = self._methods[name]
        if not self.awaited:

            def read(*arguments: Any, **named: Any) -> Any:
                found = own(*arguments, **named)
                self._observe(found)
                return found

            return read

        async def read_async(*arguments: Any, **named: Any) -> Any:
            found = await own(*arguments, **named)
            await asyncio.to_thread(self._observe, found)
            return found

        return read_async

    def _observe(self, found: Any) -> None:
        """Write down what is new, without waiting for the disk: a read is not to depend on it."""
        shown = cast("list[Any]", found) if isinstance(found, list) else [found]
        with suppress(HauloutError):  # the next recovery learns it
            known = {
                one.ref: one
                for one in self.state.open_intents()
                if one.action == ORDER and one.status == "accepted"
            }
            for order in shown if known else ():
                if isinstance(order, dict):
                    self._observe_one(cast("dict[str, Any]", order), known)

    def _observe_one(self, order: Mapping[str, Any], known: Mapping[str | None, Intent]) -> None:
        one = known.get(str(order.get("id")))
        if one is None:
            return
        seen = orders.seen_of(order, one.id, one.target, entry=one.role == "entry")
        if seen.status == "refused" or (
            seen.status == "accepted" and seen.filled in {None, one.filled}
        ):
            return
        self.state.settle(
            one, seen.status, ref=seen.ref, filled=seen.filled, spent=seen.spent,
            result=seen.answer, wait=False,
        )  # fmt: skip

    def _fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """As the exchange's own; what failed while an order is on its way is not sent again."""
        own, sending = self._methods["fetch"], SENDING.get()
        if sending is None:
            return own(url, method, headers, body)
        wire = _line(sending, method, url)
        try:
            with self._quiet.on(getattr(self._exchange, "session", None)):
                return own(url, method, headers, body)
        except BaseException as error:
            sending.failed[wire] = error
            raise

    async def _fetch_async(
        self, url: str, method: str = "GET", headers: Any = None, body: Any = None
    ) -> Any:
        """As `_fetch`."""
        own, sending = self._methods["fetch"], SENDING.get()
        if sending is None:
            return await own(url, method, headers, body)
        wire = _line(sending, method, url)
        try:
            if callable(begin := getattr(self._exchange, "open", None)):
                begin(True)  # noqa: FBT003 - lazily, as `fetch` does it: the session is made by it
            with self._quiet.on(getattr(self._exchange, "session", None)):
                return await own(url, method, headers, body)
        except BaseException as error:
            sending.failed[wire] = error
            raise


def _line(sending: Sending, method: str, url: str) -> str:
    """A request's method and address; the error of one that failed before is raised again."""
    wire = f"{method} {url.partition('?')[0]}"
    if wire in sending.failed:
        raise sending.failed[wire]
    sending.requests += 1
    return wire


def _too_late(action: str) -> str | None:
    """A cancel that came too late is ccxt's OrderNotFound, as it is without a guard."""
    return "OrderNotFound" if action == CANCEL else None


def _is_awaited(method: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(method)


def _one_of(order: Mapping[str, Any], params: Mapping[str, Any] | None) -> dict[str, Any]:
    """One order of a batch as arguments of `create_order`."""
    names = ("symbol", "type", "side", "amount", "price")
    own = cast("dict[str, Any]", order.get("params") or {})
    both: dict[str, Any] = {**(params or {}), **own}
    return {**{name: order.get(name) for name in names}, "params": both}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
