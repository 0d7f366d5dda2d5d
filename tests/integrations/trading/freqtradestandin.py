"""What stands in for freqtrade: its questions in its order, and a database in memory.

The exchange below it is ccxt's own, at a venue on loopback. freqtrade itself is asked by
test_freqtrade_real.py, where its environment is there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import ccxt
import pytest
from state.desk import Clock

from haulout.integrations.bots.freqtradedatabase import Lock, OpenTrade
from haulout.integrations.freqtrade import Remembered, Remembering
from haulout.state.state import State
from haulout.testing.venue.process import LoopbackVenue

PAIR, OTHER = "ETH/BTC", "LTC/BTC"
PRICES = {PAIR: "0.05", OTHER: "0.01"}
LONG, SHORT, FORCED = "long", "short", "force_exit"


def enums() -> SimpleNamespace:
    """The part of `freqtrade.enums` that is used."""
    check = lambda exit_type: SimpleNamespace(exit_type=exit_type)  # noqa: E731
    return SimpleNamespace(
        SignalDirection=SimpleNamespace(LONG=LONG, SHORT=SHORT),
        ExitType=SimpleNamespace(FORCE_EXIT=FORCED),
        ExitCheckTuple=check,
    )


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "freqtrade.enums", enums())


@dataclass
class Trade:
    """A trade of freqtrade's."""

    id: int
    pair: str
    amount: float
    orders: list[str]
    is_short: bool = False
    is_open: bool = True
    open_date_utc: datetime = field(default_factory=lambda: datetime.now(UTC))
    close_date_utc: datetime | None = None
    close_profit_abs: float | None = None
    stake_currency: str = "BTC"
    own: dict[str, Any] = field(default_factory=dict)


class Database:
    """freqtrade's database, in memory; the methods of `FreqtradeDatabase`."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.held: list[Lock] = []
        self.given: list[OpenTrade] = []

    def open_trades(self) -> list[Trade]:
        return [one for one in self.trades if one.is_open]

    def has_order(self, ref: str, pair: str) -> bool:
        return any(ref in one.orders and one.pair == pair for one in self.trades)

    def is_closed(self, ref: str, pair: str) -> bool:
        return any(
            ref in one.orders and one.pair == pair and not one.is_open for one in self.trades
        )

    def closed_since(self, when: datetime) -> list[Trade]:
        ended = [one for one in self.trades if one.close_date_utc and one.close_date_utc >= when]
        return sorted(ended, key=lambda one: (one.close_date_utc, one.id))

    def shown(self) -> list[OpenTrade]:
        return [
            OpenTrade(
                pair=one.pair, side="long", opened="", amount=repr(one.amount), stake="", rate="",
                stop="", orders=one.orders, own=one.own,
            )
            for one in self.open_trades()
        ]  # fmt: skip

    def give_back(self, kept: Iterable[OpenTrade]) -> list[str]:
        self.given = list(kept)
        return []

    def locks(self, _now: datetime) -> list[Lock]:
        return self.held

    def lock_again(self, kept: Iterable[Lock], _now: datetime) -> list[str]:
        missing = [one for one in kept if one not in self.held]
        self.held += missing
        return [one.pair for one in missing]


class Strategy:
    """A strategy of a user's, with the methods that `IStrategy` gives it."""

    def __init__(self, api: Any, **config: Any) -> None:
        self.config = {"runmode": "live", "dry_run": False, "max_open_trades": 1, **config}
        self.dp = SimpleNamespace(_exchange=SimpleNamespace(_api=api))
        self.custom_info: dict[Any, Any] = {}
        self.signals = {PAIR}
        self.reasons: list[Any] = []
        self.turns = self.ends = 0

    def ft_bot_start(self) -> None:
        self.bot_start()

    def bot_start(self) -> None:
        self.custom_info = {}

    def bot_loop_start(self, **_more: Any) -> None:
        self.turns += 1

    def confirm_trade_entry(self, **_more: Any) -> bool:
        return True

    def get_entry_signal(self, pair: str, _frame: str, _data: Any) -> tuple[Any, Any]:
        return (LONG, "own") if pair in self.signals else (None, None)

    def should_exit(self, _trade: Any, _rate: float, _now: Any, **_more: Any) -> list[Any]:
        return list(self.reasons)

    def ft_bot_cleanup(self) -> None:
        self.ends += 1


class RememberingStrategy(Remembering, Strategy):
    """A user's, with the base class: its own `bot_start` calls nothing of ours."""


def binance(url: str) -> Any:
    """ccxt's Binance at the venue on loopback."""
    api: Any = ccxt.binance({"apiKey": "key", "secret": "words", "enableRateLimit": False})
    api.options["fetchCurrencies"] = False
    api.urls["api"] = {
        name: url + urlsplit(one).path if isinstance(one, str) else one
        for name, one in api.urls["api"].items()
    }
    api.load_markets()
    return api


class Bot:
    """freqtrade: its loop, in its order of questions.

    Args:
        venue: where; database: what outlives it; before: the state of the process before.
    """

    def __init__(
        self,
        venue: LoopbackVenue,
        database: Database | None = None,
        before: State | None = None,
        clock: Clock | None = None,
        max_age: Any = None,
        **config: Any,
    ) -> None:
        self.venue, self.database = venue, database or Database()
        self.clock = clock or Clock(time.time_ns() // 1000)
        events = [one.event for one in before.events()] if before else []
        # The tests share a venue: IDs of their own keep them apart.
        self.state = State.in_memory("bots/btc", now=self.clock.now, events=events)
        self.api = binance(venue.url)
        self.strategy = Strategy(self.api, **config)
        self.kept = Remembered(self.strategy, max_age, self.database)
        self.kept.begin(self.state, None)

    def again(self, *, database: Database | None = None, **more: Any) -> Bot:
        """The next process: the database and the journal are all that it has."""
        self.api.close()
        self.clock.pass_by(1)
        there = database or self.database
        return Bot(self.venue, there, self.state, self.clock, **{"max_age": None, **more})

    def turn(self) -> None:
        """One turn of freqtrade's loop."""
        self.strategy.bot_loop_start(current_time=datetime.now(UTC))

    def enter(self, pair: str = PAIR, amount: float = 10.0) -> Any:
        """What `create_trade` does; the order, or None where there is no entry."""
        direction, _tag = self.strategy.get_entry_signal(pair, "1m", None)
        if direction is None or len(self.database.open_trades()) >= self._most():
            return None
        if not self.strategy.confirm_trade_entry(pair=pair, amount=amount, side="long"):
            return None
        price = float(PRICES[pair])
        order = self.api.create_order(pair, "limit", "buy", amount, price, {})
        number = len(self.database.trades) + 1
        opened = datetime.fromtimestamp(self.clock.now() / 1e6, UTC)
        self.database.trades.append(
            Trade(number, pair, float(order["amount"]), [order["id"]], open_date_utc=opened)
        )
        return order

    def leave(self, trade: Trade) -> Any:
        """What `execute_trade_exit` does."""
        price = float(PRICES[trade.pair])
        order = self.api.create_order(trade.pair, "limit", "sell", trade.amount, price, {})
        trade.orders.append(order["id"])
        trade.is_open = False
        trade.close_date_utc = datetime.fromtimestamp(self.clock.now() / 1e6, UTC)
        return order

    def die_while_sending(self) -> None:
        """From the next order on: the venue has it, and this process is gone."""
        own = self.api.session.request

        def request(method: str, url: str, *given: Any, **named: Any) -> Any:
            answer = own(method, url, *given, **named)
            if method == "POST":
                raise KeyboardInterrupt
            return answer

        self.api.session.request = request

    def _most(self) -> float:
        most = float(self.strategy.config["max_open_trades"])
        return float("inf") if most < 0 else most
