"""freqtrade, so that no order is sent twice and nothing of the strategy's own is forgotten.

    from freqtrade.strategy import IStrategy
    from haulout.integrations.freqtrade import Remembering

    class MyStrategy(Remembering, IStrategy):
        haulout_state = "bots/btc"

or, without the base class, as the last line of `bot_start`: ``remember(self, state="bots/btc")``.

Live, orders and cancels go through the ccxt guard; what the venue took and freqtrade's database
lacks is given to freqtrade as the answer to its next order there; `custom_*` attributes, custom
data of trades and locks are kept; the owner's pause, flatten and limits hold. In a dry run or a
backtest nothing is changed and nothing is written. docs/trading.md says what is not promised.

freqtrade has no public way to its exchange: `dp._exchange._api` is used. Written for 2026.9.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from haulout.errors import ActionError, ActionRefusedError, HauloutError, OutcomeUnknownError
from haulout.integrations.bots.freqtradedatabase import FreqtradeDatabase, Lock, OpenTrade
from haulout.integrations.bots.hosts import loaded
from haulout.integrations.bots.values import decoded, encoded
from haulout.integrations.ccxt import Guard, guard, guard_of
from haulout.integrations.venues import orders
from haulout.integrations.venues.answers import for_program
from haulout.integrations.venues.orders import OrderRequest
from haulout.state.intents import Intent
from haulout.state.recovery import Recovery
from haulout.state.state import State
from haulout.vault.vault import Vault

__all__ = ["Remembered", "Remembering", "remember"]

_log = logging.getLogger(__name__)
_ACCOUNT: Final = "main"
_ERRORS: Final = "ccxt.base.errors"
_CUSTOM, _TRADES, _LOCKS, _CLOSED = "custom", "trades", "locks", "closed"
_AGAIN_US: Final = 10_000_000
"""A recovery that allowed no entries is tried again after so long: a venue may answer by then."""
_BEATS: Final = 4
"""What is kept is written anew at a quarter of its greatest age: a bot that ran is not stale."""
_SYMBOLS: Final = 20
"""Pairs of a list that a recovery asks for; more would take minutes of the venue's patience."""
ADOPTED: Final = "adopted"
"""The tag of a trade that freqtrade makes of an order that it had lost."""


class Remembering:
    """A base class that stands before `IStrategy`.

    Attributes:
        haulout_state: the state's name; haulout_vault: the vault's folder, None for your own.
        haulout_max_age: what is older is too old to act on, until you say ``haulout state resume``.
        remembered: what is kept, once freqtrade has called `ft_bot_start`.
    """

    haulout_state: str = "bots/freqtrade"
    haulout_vault: str | Path | None = None
    haulout_max_age: timedelta | None = None
    remembered: Remembered

    def ft_bot_start(self, **more: Any) -> None:
        """What freqtrade does to start a strategy, then ours: `bot_start` stays free for yours."""
        cast("Any", super()).ft_bot_start(**more)
        remember(
            self, state=self.haulout_state, vault=self.haulout_vault, max_age=self.haulout_max_age
        )


def remember(
    strategy: Any,
    *,
    state: str | State = "bots/freqtrade",
    vault: str | Path | None = None,
    max_age: timedelta | None = None,
) -> Remembered:
    """Let a strategy remember. Called once it has its data provider, as in `bot_start`.

    Args:
        strategy: freqtrade's; state: the state's name, or an open one, which stays open.
        vault: the vault's folder; None for your own.
        max_age: what is older is too old to act on.

    Raises:
        HauloutError: the vault cannot be opened, or the state not be read; freqtrade does not
        start then.
    """
    found = Remembered(strategy, max_age)
    strategy.remembered = found
    config = strategy.config
    mode = config.get("runmode", "live")
    if config.get("dry_run", False) or getattr(mode, "value", mode) != "live":
        return found
    opened = None
    if not isinstance(state, State):
        opened = Vault.open(vault)
        state = opened.state(state, patience=2.0)
    found.begin(state, opened)
    return found


class Remembered:
    """What a strategy keeps, and what stands between it and its exchange.

    Args:
        strategy: freqtrade's; max_age: what is older is too old to act on.
        database: freqtrade's, opened at `begin` where none is given.
    """

    def __init__(
        self, strategy: Any, max_age: timedelta | None, database: FreqtradeDatabase | None = None
    ) -> None:
        self._strategy, self._max_age, self._given = strategy, max_age, database
        self._state: State | None = None
        self._vault: Vault | None = None
        self.recovery: Recovery | None = None
        self._known: set[str] = set()  # orders that freqtrade has
        self._kept: dict[str, bytes] = {}  # documents as they were written last
        self._written: dict[str, int] = {}
        self._told: set[str] = set()
        self._before: list[OpenTrade] = []

    # ------------------------------------------------------------------ the state

    @property
    def is_live(self) -> bool:
        """Whether orders are real: otherwise nothing is changed, and nothing is written."""
        return self._vault is not None or self._guard_there

    @property
    def _guard_there(self) -> bool:
        return getattr(self, "_guard", None) is not None

    @property
    def state(self) -> State:
        """The strategy's state; in a dry run or a backtest one in memory, gone with the process.

        Its clock stands still there: nothing in a backtest may hang on the wall's.
        """
        if self._state is None:
            self._state = State.in_memory(now=lambda: 0, entropy=bytes)
        return self._state

    # ------------------------------------------------------------------ beginning and end

    def begin(self, state: State, vault: Vault | None) -> None:
        """Recover, say what was found, give back what is kept, and stand before the exchange."""
        strategy = self._strategy
        self._state, self._vault = state, vault
        self._database = self._given or FreqtradeDatabase()
        self._api: Any = strategy.dp._exchange._api  # noqa: SLF001 - there is no public way
        self._began = state.now()
        guard(self._api, state, account=_ACCOUNT, cost=self._cost, symbols=self._symbols())
        self._guard: Guard = guard_of(self._api)
        self._prefix = f"{self._api.id}/{_ACCOUNT}/"
        self._guarded: Callable[..., Any] = self._api.create_order
        for name in ("create_order", "createOrder"):
            setattr(self._api, name, self._create_order)
        self._recover()
        self._restore()
        self._wrap("bot_loop_start", self._loop)
        self._wrap("confirm_trade_entry", self._confirm)
        self._wrap("get_entry_signal", self._signal)
        self._wrap("should_exit", self._exits)
        self._wrap("ft_bot_cleanup", self._end)

    def _wrap(self, name: str, around: Callable[..., Any]) -> None:
        own = getattr(self._strategy, name)

        # freqtrade looks at the qualified name to see whether a strategy has a method of its own.
        @functools.wraps(own)
        def wrapped(*given: Any, **named: Any) -> Any:
            return around(own, *given, **named)

        setattr(self._strategy, name, wrapped)

    def _end(self, own: Callable[..., Any]) -> None:
        own()
        with suppress(HauloutError):
            self._keep()
        if self._vault is not None:
            self._vault.close()

    def _symbols(self) -> tuple[str, ...]:
        """Where a recovery looks beside the journal: freqtrade's own pairs."""
        held = {str(one.pair) for one in self._database.open_trades()}
        listed: list[str] = self._strategy.config.get("exchange", {}).get("pair_whitelist", [])
        markets: Mapping[str, Any] = getattr(self._api, "markets", None) or {}
        named = [one for one in listed if one in markets][:_SYMBOLS]
        return tuple(sorted({*held, *named}))

    # ------------------------------------------------------------------ recovery

    def _recover(self) -> None:
        believed: dict[str, str] = {}
        for one in self._database.open_trades():
            sign = "-" if one.is_short else ""
            believed[one.pair] = sign + (orders.decimal(one.amount) or "0")
        self.recovery = self._guard.recover(
            believed=believed, max_age=self._max_age, confirmed=self._confirmed()
        )
        self._asked = self.state.now()
        lines = self.recovery.text().splitlines()
        lines += [
            f"  to freqtrade  {one.role} on {self._pair(one)}: order {one.ref} is not in its"
            " database, and answers its next order there"
            for one in self._undelivered()
        ]
        for line in lines:
            _log.info(line)

    def _confirmed(self) -> bool:
        """Whether the owner said `resume` since this bot was started: a person has looked."""
        at, halted = self.state.tape.read(lambda book, _past: (book.halted_at, book.halted))
        return not halted and at > self._began

    def _restore(self) -> None:
        """Give back what is kept: attributes, locks, custom data of trades."""
        given: list[str] = []
        kept = cast("dict[str, Any]", self.state.get(_CUSTOM) or {})
        for name, value in kept.items():
            if name.startswith("custom_") and not callable(getattr(self._strategy, name, None)):
                setattr(self._strategy, name, decoded(value))
                given.append(name)
        now = datetime.now(UTC)
        locks = self.state.document(_LOCKS, list[Lock]).get([])
        given += self._database.lock_again(locks, now)
        self._before = self.state.document(_TRADES, list[OpenTrade]).get([])
        given += self._database.give_back(self._before)
        for one in given:
            _log.info("  restored  %s", one)

    # ------------------------------------------------------------------ what freqtrade lacks

    def _pair(self, intent: Intent) -> str:
        return intent.target.removeprefix(self._prefix)

    def _undelivered(self) -> list[Intent]:
        """Orders that the venue took, and of which freqtrade has not heard."""
        every, held = self.state.tape.read(
            lambda book, _past: ([*book.recent, *book.intents.values()], set(book.held))
        )
        # The book has the newest ends alone; what is held may have ended long ago.
        every += [self.state.intent(one) for one in sorted(held - {one.id for one in every})]
        found: list[Intent] = []
        for one in every:
            if one.action != orders.ORDER or not one.target.startswith(self._prefix):
                continue
            if one.ref is None or one.ref in self._known or not _happened(one):
                continue
            if one.role == "entry" and one.is_final and one.id not in held:
                continue  # an exit has closed it since
            if self._database.has_order(one.ref, self._pair(one)):
                self._known.add(one.ref)
            elif one.role == "entry" or self._may_have_sent(one):
                found.append(one)
        return found

    def _may_have_sent(self, one: Intent) -> bool:
        """Whether an exit is of a trade that freqtrade still has open."""
        return any(
            trade.pair == self._pair(one) and trade.open_date_utc.timestamp() * 1e6 <= one.at
            for trade in self._database.open_trades()
        )

    def _waiting(self) -> set[str]:
        """Pairs with an entry that freqtrade's database lacks, or that nobody knows of."""
        unsettled = [
            one
            for one in self.state.open_intents()
            if one.action == orders.ORDER and one.role == "entry" and one.is_unsettled
        ]
        both = [*unsettled, *(one for one in self._undelivered() if one.role == "entry")]
        return {self._pair(one) for one in both if one.target.startswith(self._prefix)}

    def _answer(self, symbol: str, kind: str, side: str, params: Any) -> Any:
        """The order that answers freqtrade's next one, as it stands at the venue; or None."""
        asked = OrderRequest(symbol, kind, side, None, None, dict(params or {}))
        for one in self._undelivered():
            before = orders.asked_of(one)
            same = (before.side.lower(), before.is_stop) == (side.lower(), asked.is_stop)
            if self._pair(one) != symbol or not same or one.ref is None:
                continue
            seen = self._guard.venue.find(one)
            if seen is not None:
                self._guard.actor.observe(seen)
                answer: Any = self._guard.venue.raw[one.id]
            elif one.answer():
                answer = {"info": {}, "id": one.ref, **cast("dict[str, Any]", one.answer())}
            else:
                message = f"The venue took order {one.ref} on {symbol}, and does not show it."
                raise OutcomeUnknownError(message)
            self._known.add(one.ref)
            _log.info("Order %s on %s was sent before: nothing is sent.", one.ref, symbol)
            return answer
        return None

    def _create_order(
        self,
        symbol: str,
        type: str,  # noqa: A002 - ccxt's word
        side: str,
        amount: Any = None,
        price: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """As the exchange's own; an order that freqtrade has lost is its answer."""
        try:
            found = self._answer(symbol, type, side, params)
        except HauloutError as error:
            said = OrderRequest(symbol, type, side, None, None, dict(params or {}))
            if orders.role_of(said) == "entry":
                if not isinstance(error, ActionError):
                    message = f"No entry on {symbol}: memory is down ({error.message})."
                    error = ActionRefusedError(message, hint=error.hint)
                raise for_program(error, _ERRORS) from error
            found = None  # in doubt an exit is sent
        if found is None:
            found = self._guarded(symbol, type, side, amount, price, params)
            self._known.add(str(found["id"]))
        return found

    # ------------------------------------------------------------------ freqtrade's questions

    def _signal(self, own: Callable[..., Any], pair: str, *given: Any, **named: Any) -> Any:
        """An entry that freqtrade has lost is a signal: it makes a trade of what is there."""
        lost = [
            one for one in self._undelivered() if one.role == "entry" and self._pair(one) == pair
        ]
        if not lost:
            return own(pair, *given, **named)
        ways = loaded("freqtrade.enums").SignalDirection
        side = orders.asked_of(lost[0]).side.lower()
        return (ways.SHORT if side == "sell" else ways.LONG), ADOPTED

    def _confirm(self, own: Callable[..., Any], **asked: Any) -> bool:
        """Whether freqtrade may enter. An error here would mean yes: none may come up."""
        pair = str(asked["pair"])
        try:
            if any(one.role == "entry" and self._pair(one) == pair for one in self._undelivered()):
                return True  # it is there already
            why = self._forbids(pair)
        except HauloutError as error:
            why = f"memory is down ({error.message})"
        if why:
            _log.info("No entry on %s: %s.", pair, why)
            return False
        allowed = bool(own(**asked))
        try:
            self._keep_custom()
        except HauloutError as error:
            _log.warning("No entry on %s: memory is down (%s).", pair, error.message)
            return False
        return allowed

    def _forbids(self, pair: str) -> str:
        halted = self.state.halted
        if halted:
            return f"the owner said {halted}"
        if self.recovery is not None and not self.recovery.ready:
            return "; ".join(self.recovery.reasons)
        most = float(self._strategy.config.get("max_open_trades", -1))
        traded = {str(one.pair) for one in self._database.open_trades()}
        others = self._waiting() - {pair} - traded
        if others and 0 <= most <= len(traded) + len(others):
            return f"{', '.join(sorted(others))} may be open already, of {most:g} trades"
        return ""

    def _exits(self, own: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """The reasons to exit that freqtrade has, and the owner's."""
        found = own(*given, **named)
        halted = ""
        with suppress(HauloutError):  # memory down stops no trade and flattens none
            halted = self.state.halted
        if halted != "flatten":
            return found
        kinds = loaded("freqtrade.enums")
        return [kinds.ExitCheckTuple(exit_type=kinds.ExitType.FORCE_EXIT), *found]

    def _cost(self, asked: OrderRequest) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """What an order costs; one that adds to an open trade is no trade of its own."""
        cost, holds = orders.cost_of(asked)
        if any(one.pair == asked.symbol for one in self._database.open_trades()):
            # Named all the same: an entry that does not name a unit waits where it is used up.
            cost = {**cost, "trades": 0}
        return cost, holds

    # ------------------------------------------------------------------ each turn of the loop

    def _loop(self, own: Callable[..., Any], *given: Any, **named: Any) -> None:
        own(*given, **named)
        try:
            late = self.state.now() - self._asked >= _AGAIN_US
            if self.recovery is not None and not self.recovery.ready and late:
                self._recover()
            self._give_held_back()
            if self._before:
                for one in self._database.give_back(self._before):
                    _log.info("Restored: %s.", one)
            self._count_closed()
            if self.recovery is not None and self.recovery.ready:
                self._keep()  # what is too old stays so until a person has looked
        except HauloutError as error:
            self._say_once(f"Memory is down: {error.message} Entries are refused meanwhile.")

    def _give_held_back(self) -> None:
        """What a trade held is free once freqtrade has closed it, however that came."""
        for intent in self.state.tape.read(lambda book, _past: list(book.held)):
            one = self.state.intent(intent)
            ours = one.ref is not None and one.target.startswith(self._prefix)
            if ours and self._database.is_closed(one.ref or "", self._pair(one)):
                self.state.close_held(one)

    def _count_closed(self) -> None:
        """Losses of trades that ended count in ``loss-btc`` and the like, for the owner's limits.

        A crash between the two writes counts a loss twice: in doubt there is less to lose.
        """
        before = self.state.get(_CLOSED)
        if before is None:
            now = datetime.fromtimestamp(self.state.now() / 1e6, UTC).isoformat()
            self.state.set(_CLOSED, {"since": now, "trades": [], "losses_in_a_row": 0})
            return
        since = datetime.fromisoformat(before["since"])
        ended = [
            one for one in self._database.closed_since(since) if one.id not in before["trades"]
        ]
        if not ended:
            return
        row = int(before["losses_in_a_row"])
        for one in ended:
            profit = float(one.close_profit_abs or 0)
            row = row + 1 if profit < 0 else 0
            if profit < 0:
                coin = str(one.stake_currency or "stake").lower()
                self.state.charge(f"loss-{coin}", orders.decimal(-profit), f"trade {one.id}")
        newest = ended[-1].close_date_utc
        ids = [one.id for one in ended if one.close_date_utc == newest]
        if newest == since:
            ids += before["trades"]
        self.state.set(
            _CLOSED, {"since": newest.isoformat(), "trades": ids, "losses_in_a_row": row}
        )

    # ------------------------------------------------------------------ keeping

    def _keep(self) -> None:
        self._keep_custom()
        self._put(_TRADES, msgspec.to_builtins(self._database.shown()))
        locks = self._database.locks(datetime.now(UTC))
        self._put(_LOCKS, msgspec.to_builtins(locks))
        self._put(_CLOSED, self.state.get(_CLOSED))

    def _keep_custom(self) -> None:
        kept: dict[str, Any] = {}
        own = cast("dict[str, Any]", vars(self._strategy))
        for name, value in own.items():
            if not name.startswith("custom_") or callable(value):
                continue
            try:
                kept[name] = encoded(value)
            except HauloutError as error:
                self._say_once(f"{name} is not kept: {error.message}")
        self._put(_CUSTOM, kept)

    def _put(self, name: str, value: Any) -> None:
        """Set a document where it changed, or where it would be taken for old."""
        text = msgspec.json.encode(value)
        age = self.state.now() - self._written.get(name, 0)
        beat = self._max_age is not None and age > self._max_age.total_seconds() * 1e6 / _BEATS
        if self._kept.get(name) == text and not beat:
            return
        self.state.set(name, value)
        self._kept[name], self._written[name] = text, self.state.now()

    def _say_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            _log.warning(words)


def _happened(intent: Intent) -> bool:
    partly = intent.status == "cancelled" and intent.filled not in {None, "0"}
    return intent.status in {"accepted", "done"} or partly
