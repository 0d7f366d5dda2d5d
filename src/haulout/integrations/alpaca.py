"""alpaca-py's `TradingClient`, so that no order is sent twice and none is forgotten.

    from alpaca.trading.client import TradingClient
    from haulout import Vault
    from haulout.integrations.alpaca import guard, recover

    vault = Vault.open()
    client = guard(TradingClient(key, secret), vault.state("bots/stocks"))
    print(recover(client).text())                       # before the first order
    client.submit_order(MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day"))

By itself the client sends an order again after a 429 or a 504, up to three times and without an ID:
as many orders. Guarded, an order carries an ID, goes out once, and is looked up by its ID. What is
guarded: `submit_order`, `replace_order_by_id`, `cancel_order_by_id` and `close_position`, which
becomes a market order of what is held. `cancel_orders` and `close_all_positions` are left alone.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import msgspec

from haulout.errors import (
    ActionRefusedError,
    HauloutError,
    InputError,
    NotFoundError,
    OutcomeUnknownError,
    VenueRefusedError,
)
from haulout.integrations.venues.changing import ChangingActor
from haulout.integrations.venues.orders import CANCEL, EDIT, ORDER, decimal
from haulout.state.acting import Acted
from haulout.state.intents import Intent, Role
from haulout.state.recovery import Recovery
from haulout.state.refs import VENUES, read, write
from haulout.state.state import State
from haulout.state.venue import Seen, SeenStatus

__all__ = ["AlpacaGuard", "guard", "guard_of", "recover", "unguard"]

Client = TypeVar("Client")
RoleOf = Callable[[Mapping[str, Any]], Role]
CostOf = Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], tuple[str, ...]]]

_ATTRIBUTE: Final = "_haulout_guard"
_FIELD: Final = "client_order_id"
_DOUBTS: Final = frozenset({408, 409, 425, 429})
"""4xx that say nothing of what became of a request; a 5xx says as little."""
_DUPLICATE: Final = "must be unique"
_NOTHING: Final[tuple[Mapping[str, Any], tuple[str, ...]]] = ({}, ())
_PAGE: Final = 500
_KEPT: Final = 1000
_STATUSES: Final[Mapping[str, SeenStatus]] = {
    "filled": "done", "canceled": "cancelled", "expired": "cancelled", "replaced": "cancelled",
    "rejected": "refused",
}  # fmt: skip
_SLIM: Final = (
    "id", _FIELD, "symbol", "side", "type", "qty", "notional", "filled_qty", "filled_avg_price",
    "limit_price", "stop_price", "status", "submitted_at", "replaced_by", "replaces",
)  # fmt: skip


def role_of(asked: Mapping[str, Any]) -> Role:
    """Whether an order takes risk away: a sale that does not say that it opens a short position.

    Whoever sells short without saying so gives `guard` a function of their own.
    """
    intent = str(asked.get("position_intent") or "")
    if intent:
        return "exit" if intent.endswith("to_close") else "entry"
    return "exit" if str(asked.get("side")).endswith("sell") else "entry"


def cost_of(asked: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What an order costs: one of ``orders`` and ``trades``, and ``usd`` where a price is known."""
    costs: dict[str, Any] = {"orders": 1, "trades": 1}
    price = decimal(asked.get("limit_price"))
    qty = decimal(asked.get("qty"))
    if asked.get("notional") is not None:
        costs["usd"] = decimal(asked["notional"])
    elif price is not None and qty is not None:
        costs["usd"] = Decimal(price) * Decimal(qty)
    return costs, tuple(unit for unit in costs if unit != "orders")


def guard(
    client: Client,
    state: State,
    *,
    account: str = "main",
    role: RoleOf = role_of,
    cost: CostOf = cost_of,
    attempts: int = 2,
    needs_recovery: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Client:
    """Guard a `TradingClient`, in place. The same object is returned.

    Args:
        client: alpaca-py's; state: where its orders are written down; it must stay open.
        account: which of your accounts; targets are ``alpaca/account/symbol``.
        role: whether an order, as a map of its fields, is an entry or an exit.
        cost: what an entry costs by unit, and what of it stays held.
        attempts: how often one order is sent, each time proven not to have arrived before.
        needs_recovery: entries wait for `recover` where the state has a past.
        sleep: waits so many seconds, between two looks for an order.

    Raises:
        InputError: it is no such client, or it is guarded; StorageError: the state cannot be
        written.
    """
    if not all(callable(getattr(client, name, None)) for name in ("submit_order", "post", "get")):
        message = f"{client!r} is no TradingClient of alpaca-py."
        raise InputError(message)
    if getattr(client, _ATTRIBUTE, None) is not None:
        message = "This client is guarded already."
        raise InputError(message, hint="`unguard` it first.")
    AlpacaGuard(
        client, state, account=account, role=role, cost=cost, attempts=attempts,
        needs_recovery=needs_recovery, sleep=sleep,
    ).install()  # fmt: skip
    return client


def guard_of(client: Any) -> AlpacaGuard:
    """The guard of a client.

    Raises:
        NotFoundError: it has none.
    """
    found = getattr(client, _ATTRIBUTE, None)
    if not isinstance(found, AlpacaGuard):
        message = "This client is not guarded."
        raise NotFoundError(message)
    return found


def unguard(client: Any) -> None:
    """Take the guard off a client; what it wrote down stays. Raises as `guard_of`."""
    guard_of(client).remove()


def recover(
    client: Any,
    *,
    believed: Mapping[str, str] | None = None,
    max_age: timedelta | None = None,
    confirmed: bool = False,
) -> Recovery:
    """Find out where a bot stands, before its first order. Nothing is sent.

    Args:
        client: a guarded one.
        believed: positions as the bot has them, decimal text by symbol.
        max_age: documents older than this make the state stale, and entries wait.
        confirmed: a person looked at the report, and says that entries may go on.

    Raises:
        NotFoundError: it is not guarded.
    """
    found = guard_of(client)
    targets = None
    if believed is not None:
        targets = {found.venue.prefix + symbol: held for symbol, held in believed.items()}
    return found.actor.recover(believed=targets, max_age=max_age, confirmed=confirmed)


class _Telling:
    """A block in which alpaca-py's errors become ours."""

    def __init__(self, *, sends: bool) -> None:
        self._sends = sends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, HauloutError) or not isinstance(error, Exception):
            return
        words = f"{type(error).__name__}: {str(error)[:300]}"
        if self._sends and _is_refusal(error):
            message = f"alpaca refused it: {words}"
            raise VenueRefusedError(message) from error
        message = f"alpaca {'may have done it' if self._sends else 'does not say'}: {words}"
        raise OutcomeUnknownError(message) from error


def _status(error: BaseException) -> int:
    return int(getattr(error, "status_code", None) or 0)


def _is_refusal(error: BaseException) -> bool:
    refused = 400 <= _status(error) < 500 and _status(error) not in _DOUBTS  # noqa: PLR2004
    return refused and not _says_duplicate(error)


def _says_duplicate(error: BaseException) -> bool:
    return _status(error) == 422 and _DUPLICATE in str(error)  # noqa: PLR2004 - Unprocessable


class AlpacaVenue:
    """Alpaca as a venue: class B, asked by our ID.

    Args:
        client: alpaca-py's `TradingClient`; prefix: what stands before a symbol in a target.
        role: tells entries from exits.
    """

    name = "alpaca"
    rules = VENUES["alpaca"]

    def __init__(self, client: Any, prefix: str, role: RoleOf) -> None:
        # A copy, which shares the session: it repeats nothing by itself.
        self._client = copy.copy(client)
        self._client._retry = 0  # noqa: SLF001 - alpaca-py has no argument that says "never"
        self.prefix, self._role = prefix, role
        self.raw: dict[bytes, Any] = {}
        """The newest answer to each intent."""
        self._duplicates: set[bytes] = set()

    # ------------------------------------------------------------------ sending

    def submit(self, intent: Intent) -> Seen:
        """Send an order, a cancel or a replacement, once. Raises as `Venue.submit`."""
        said = intent.content()
        ours = {_FIELD: write(intent.id, self.rules.code)}
        try:
            with _Telling(sends=True):
                if intent.action == CANCEL:
                    self._client.delete(f"/orders/{said['id']}")
                    return Seen(intent=intent.id, ref=str(said["id"]), status="done")
                if intent.action == EDIT:
                    answer = self._client.patch(f"/orders/{said['id']}", {**said["fields"], **ours})
                else:
                    answer = self._client.post("/orders", {**said, **ours})
                return self._seen(self._dict(answer), intent)
        except OutcomeUnknownError as error:
            if error.__cause__ is not None and _says_duplicate(error.__cause__):
                self._duplicates.add(intent.id)
            raise

    def _dict(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
            message = f"alpaca answers with {str(answer)[:100]!r}, which is no order."
            raise OutcomeUnknownError(message)
        return cast("dict[str, Any]", answer)

    def _seen(self, order: Mapping[str, Any], intent: Intent) -> Seen:
        self._keep(intent.id, order)
        seen = self._of(order, intent.id, entry=intent.role == "entry")
        if intent.action == ORDER:
            return seen
        return Seen(intent=intent.id, ref=seen.ref, status="done", answer=seen.answer)

    def _keep(self, intent: bytes, order: Any) -> None:
        self.raw.pop(intent, None)
        self.raw[intent] = order
        while len(self.raw) > _KEPT:
            self.raw.pop(next(iter(self.raw)))

    def _of(self, order: Mapping[str, Any], intent: bytes | None, *, entry: bool) -> Seen:
        status: SeenStatus = _STATUSES.get(str(order.get("status")), "accepted")
        filled, price = decimal(order.get("filled_qty")), decimal(order.get("filled_avg_price"))
        spent: dict[str, str] = {}
        if status == "cancelled":
            spent["orders"] = "1"
        if status in {"done", "cancelled"} and filled not in {None, "0"} and price is not None:
            spent["usd"] = decimal(Decimal(filled or 0) * Decimal(price)) or "0"
            spent["trades"] = "1"
        return Seen(
            intent=intent, ref=str(order.get("id")), status=status, filled=filled, spent=spent,
            target=self.prefix + str(order.get("symbol")), entry=entry,
            at=_micros(order.get("submitted_at")),
            answer={name: order[name] for name in _SLIM if order.get(name) is not None},
        )  # fmt: skip

    # ------------------------------------------------------------------ looking

    def find(self, intent: Intent) -> Seen | None:
        """An order by the venue's ID, or by ours. Raises as `Venue.find`."""
        order = self.order(intent.ref) if intent.ref else None
        if order is None:
            asked = {_FIELD: write(intent.id, self.rules.code)}
            order = self._get("/orders:by_client_order_id", asked)
        while order is not None and order.get("status") == "replaced" and order.get("replaced_by"):
            order = self.order(str(order["replaced_by"]))  # F15: the newest of one intent's orders
        if order is None:
            if intent.id in self._duplicates:
                message = f"alpaca says that it has intent {intent.text}, and shows none."
                raise OutcomeUnknownError(message)
            return None
        return self._seen(order, intent)

    def order(self, ref: str) -> dict[str, Any] | None:
        """An order by the venue's ID, or None."""
        return self._get(f"/orders/{ref}", {})

    def _get(self, path: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        try:
            with _Telling(sends=False):
                return self._dict(self._client.get(path, asked))
        except OutcomeUnknownError as error:
            if error.__cause__ is not None and _status(error.__cause__) == 404:  # noqa: PLR2004
                return None
            raise

    def listed(self, since: int) -> Iterator[Seen]:
        """Open orders and those since a time, oldest first. Raises as `Venue.listed`."""
        after = datetime.fromtimestamp(since / 1e6, UTC).isoformat().replace("+00:00", "Z")
        for one in (*self._pages("open", ""), *self._pages("all", after)):
            ours = read(str(one.get(_FIELD)), self.rules.code)
            yield self._of(one, ours, entry=self._role(one) == "entry")

    def _pages(self, status: str, after: str) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        while True:
            asked: dict[str, Any] = {"status": status, "limit": _PAGE, "direction": "asc"}
            if after:
                asked["after"] = after
            with _Telling(sends=False):
                page = cast("list[dict[str, Any]]", self._client.get("/orders", asked))
            fresh = [one for one in page if str(one.get("id")) not in seen]
            yield from fresh
            if len(page) < _PAGE or not fresh:
                return
            seen |= {str(one.get("id")) for one in fresh}
            after = str(page[-1].get("submitted_at"))

    def positions(self) -> dict[str, str]:
        """What is held, by symbol; short positions below zero."""
        with _Telling(sends=False):
            found = cast("list[dict[str, Any]]", self._client.get("/positions"))
        return {self.prefix + str(one["symbol"]): str(one["qty"]) for one in found}

    def position(self, symbol: str) -> Any:
        """A position as Alpaca shows it; its own error where there is none."""
        return self._client.get(f"/positions/{symbol}")

    def changed(self, intent: Intent) -> Seen | None:
        """What became of a cancel or a replacement; None where the order stands as it was."""
        said = intent.content()
        if intent.action == EDIT:
            asked = {_FIELD: write(intent.id, self.rules.code)}
            heir = self._get("/orders:by_client_order_id", asked)
            if heir is not None:
                return self._seen(heir, intent)
        order = self.order(str(said["id"]))
        status = None if order is None else _STATUSES.get(str(order.get("status")))
        if order is None or status is None:
            return None
        seen = self._seen(order, intent)
        if intent.action == CANCEL and status == "cancelled":
            return seen
        return msgspec.structs.replace(seen, status="refused")  # it ended before


def _micros(text: Any) -> int | None:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1e6)
    except ValueError:
        return None


class AlpacaGuard:
    """What stands between a program and the client; `guard` makes one. Arguments as there."""

    def __init__(
        self,
        client: Any,
        state: State,
        *,
        account: str,
        role: RoleOf,
        cost: CostOf,
        attempts: int,
        needs_recovery: bool,
        sleep: Callable[[float], None],
    ) -> None:
        self._client, self.state, self._role, self._cost = client, state, role, cost
        self.venue = AlpacaVenue(client, f"alpaca/{account}/", role)
        self.actor = ChangingActor(
            state, self.venue, sleep=sleep, attempts=attempts, needs_recovery=needs_recovery,
            same=_same,
        )  # fmt: skip
        self._turns: dict[tuple[str, str], threading.Lock] = {}
        self._replaced: Mapping[str, Callable[..., Any]] = {
            "submit_order": self._submit, "replace_order_by_id": self._replace,
            "cancel_order_by_id": self._cancel, "close_position": self._close,
        }  # fmt: skip

    def install(self) -> None:
        """Put the guard on."""
        self.state.tag()  # known from here on: an exit is sent though the journal cannot be read
        for name, method in self._replaced.items():
            setattr(self._client, name, method)
        setattr(self._client, _ATTRIBUTE, self)

    def remove(self) -> None:
        """Take it off; the client is as it was."""
        for name in (*self._replaced, _ATTRIBUTE):
            delattr(self._client, name)

    # ------------------------------------------------------------------ the guarded methods

    def _submit(self, order_data: Any, *, key: str | None = None) -> Any:
        """As the client's own; ``key`` names what decided the order, and orders it once."""
        return self._order(_fields(order_data), key)

    def _order(self, fields: dict[str, Any], key: str | None) -> Any:
        if fields.get(_FIELD) is not None:
            message = f"`{_FIELD}` is the guard's to choose: it mints an ID for each order."
            raise InputError(message, hint="Give what decides the order as `key`.")
        role = self._role(fields)
        cost, holds = self._cost(fields) if role == "entry" else _NOTHING
        if role == "entry" and "usd" not in cost:
            self._require_no_limit("usd", fields)
        wanted = self.state.intended(
            ORDER, fields, key=key, role=role, target=self._target(fields), cost=cost, holds=holds,
            closes=self._closed_by(fields) if role == "exit" else (),
        )  # fmt: skip
        return self._act(wanted)

    def _require_no_limit(self, unit: str, fields: Mapping[str, Any]) -> None:
        if any(one.unit == unit for one in self.state.tape.read(lambda book, _: book.in_force())):
            message = f"There is a limit on {unit}, and no price of {fields.get('symbol')}."
            raise ActionRefusedError(
                message, hint="Order a notional or with a limit price, or give a `cost`."
            )

    def _closed_by(self, fields: Mapping[str, Any]) -> list[bytes]:
        """The held entries that an exit closes, oldest first, as far as it reaches."""
        try:
            ids = self.state.tape.read(lambda book, _past: list(book.held))
            held = [self.state.intent(one) for one in ids]
        except HauloutError:  # memory that cannot be read stops no exit
            return []
        left = Decimal(decimal(fields.get("qty")) or 0)
        found: list[bytes] = []
        for one in sorted(held, key=lambda one: one.at):
            if one.target != self._target(fields):
                continue
            left -= Decimal(one.filled or 0)
            if left < 0:
                break
            found.append(one.id)
        return found

    def _target(self, fields: Mapping[str, Any]) -> str:
        return self.venue.prefix + str(fields.get("symbol") or "legs")

    def _replace(self, order_id: Any, order_data: Any = None, *, key: str | None = None) -> Any:
        """As the client's own: a new order takes the old one's place, under an ID of ours."""
        fields = {} if order_data is None else _fields(order_data)
        if fields.get(_FIELD) is not None:
            message = f"`{_FIELD}` is the guard's to choose."
            raise InputError(message)
        return self._change(EDIT, {"id": str(order_id), "fields": fields}, key)

    def _cancel(self, order_id: Any) -> None:
        """As the client's own."""
        self._change(CANCEL, {"id": str(order_id)}, None)

    def _change(self, action: str, said: dict[str, Any], key: str | None) -> Any:
        target = f"{self.venue.prefix}#{said['id']}"
        role: Role = "entry" if action == EDIT else "exit"
        wanted = self.state.intended(action, said, key=key, role=role, target=target)
        return self._act(wanted)

    def _close(self, symbol_or_asset_id: Any, close_options: Any = None) -> Any:
        """A market order of what is held, or of a part of it: it carries an ID, a close does not.

        Raises:
            VenueRefusedError: there is no such position.
        """
        with _Telling(sends=True):  # nothing is sent by a look: a 404 is a refusal for good
            held = cast("dict[str, Any]", self.venue.position(str(symbol_or_asset_id)))
        options = {} if close_options is None else _fields(close_options)
        size = abs(Decimal(str(held["qty"])))
        if options.get("qty") is not None:
            size = Decimal(str(options["qty"]))
        elif options.get("percentage") is not None:
            size = size * Decimal(str(options["percentage"])) / 100
        short = str(held.get("side")) == "short"
        fields = {
            "symbol": str(held["symbol"]), "qty": decimal(size), "type": "market",
            "side": "buy" if short else "sell", "time_in_force": "day",
            "position_intent": "buy_to_close" if short else "sell_to_close",
        }  # fmt: skip
        return self._order(fields, None)

    # ------------------------------------------------------------------ acting

    def _act(self, wanted: Intent) -> Any:
        turn = self._turns.setdefault((wanted.target, wanted.role), threading.Lock())
        with turn:
            try:
                acted = self.actor.act_on(wanted)
            except VenueRefusedError as error:
                if isinstance(error.__cause__, HauloutError | None):
                    raise
                raise error.__cause__ from error
            if wanted.action != ORDER:
                self.actor.follow(acted, str(wanted.content()["id"]))
            return self._told(acted)

    def _told(self, acted: Acted) -> Any:
        intent = acted.intent
        if intent.status == "refused":
            raise VenueRefusedError(intent.why or f"{intent.action} was refused.")
        if intent.status == "dropped":
            message = f"Intent {intent.text} was given up: {intent.why or 'it never arrived'}."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        if intent.action == CANCEL:
            return None
        order = self.venue.raw.get(intent.id) or self.venue.order(str(intent.ref))
        if self._client._use_raw_data:  # noqa: SLF001 - what its own methods look at
            return order
        from alpaca.trading.models import Order

        return Order(**(order or {}))


def _fields(order_data: Any) -> dict[str, Any]:
    """A request as the client would send it: JSON's kinds of values."""
    raw = isinstance(order_data, dict)
    found: Any = cast("Any", order_data) if raw else order_data.to_request_fields()
    return msgspec.json.decode(msgspec.json.encode(found, enc_hook=str))


def _same(earlier: Intent, wanted: Intent) -> bool:
    """The same side of the same symbol and kind: a program computes the rest anew each time."""
    if earlier.action != ORDER or wanted.action != ORDER:
        return earlier.says_the_same(wanted)
    one, other = earlier.content(), wanted.content()
    return all(one.get(name) == other.get(name) for name in ("side", "type"))
