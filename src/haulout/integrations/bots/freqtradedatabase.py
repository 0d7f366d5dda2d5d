"""freqtrade's own database, as far as its bridge looks into it. freqtrade 2026.9."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from haulout.integrations.bots.hosts import loaded


class OpenTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of freqtrade's that is open: what another program, or a person, goes on from.

    Attributes:
        pair, side: what, ``long`` or ``short``; opened: when; amount, stake, rate, stop: numbers
            of freqtrade's, as text; orders: the venue's IDs; own: its custom data.
    """

    pair: str
    side: str
    opened: str
    amount: str
    stake: str
    rate: str
    stop: str
    orders: list[str]
    own: dict[str, Any] = {}


class Lock(msgspec.Struct, frozen=True):
    """A pair that freqtrade may not enter until a time, and why: protections and cooldowns."""

    pair: str
    until: str
    reason: str
    side: str


class FreqtradeDatabase:
    """Trades, orders and locks through freqtrade's own classes, in its own session."""

    def __init__(self) -> None:
        found = loaded("freqtrade.persistence")
        self._trades: Any = found.Trade
        self._orders: Any = found.Order
        self._locks: Any = found.PairLocks

    def open_trades(self) -> list[Any]:
        """The trades that are open."""
        return list(self._trades.get_open_trades())

    def has_order(self, ref: str, pair: str) -> bool:
        """Whether it knows an order of the venue's."""
        return self._orders.order_by_id(ref, pair) is not None

    def is_closed(self, ref: str, pair: str) -> bool:
        """Whether the trade that an order belongs to is over."""
        order = self._orders.order_by_id(ref, pair)
        return order is not None and not order.trade.is_open

    def closed_since(self, when: datetime) -> list[Any]:
        """Trades that ended at a time or after it, oldest first."""
        # freqtrade compares with `>`, on times without a zone.
        before = when.astimezone(UTC).replace(tzinfo=None) - timedelta(microseconds=1)
        found: Iterable[Any] = self._trades.get_trades_proxy(is_open=False, close_date=before)
        return sorted(found, key=lambda one: (one.close_date_utc, one.id))

    # ------------------------------------------------------------------ what is mirrored

    def shown(self) -> list[OpenTrade]:
        """The open trades as they are kept."""
        return [
            OpenTrade(
                pair=one.pair, side="short" if one.is_short else "long",
                opened=one.open_date_utc.isoformat(), amount=repr(one.amount),
                stake=repr(one.stake_amount), rate=repr(one.open_rate), stop=repr(one.stop_loss),
                orders=[str(order.order_id) for order in one.orders],
                own={entry.cd_key: entry.value for entry in one.get_all_custom_data()},
            )
            for one in self.open_trades()
        ]  # fmt: skip

    def give_back(self, kept: Iterable[OpenTrade]) -> list[str]:
        """Give trades their custom data back where they have none; what was given, in words.

        A trade is the one of before where it has an order of that one's.
        """
        given: list[str] = []
        # A venue numbers the orders of each pair by themselves.
        before = {(one.pair, ref): one for one in kept if one.own for ref in one.orders}
        for trade in self.open_trades():
            refs = [(str(trade.pair), str(one.order_id)) for one in trade.orders]
            known = next((before[ref] for ref in refs if ref in before), None)
            if known is None or trade.get_all_custom_data():
                continue
            for key, value in known.own.items():
                trade.set_custom_data(key, value)
            given.append(f"custom data of the trade on {trade.pair}")
        return given

    def locks(self, now: datetime) -> list[Lock]:
        """The locks that still hold."""
        return [
            Lock(one.pair, one.lock_end_time_utc.isoformat(), one.reason or "", one.side)
            for one in self._locks.get_all_locks()
            if one.active and one.lock_end_time_utc > now
        ]

    def lock_again(self, kept: Iterable[Lock], now: datetime) -> list[str]:
        """Lock what was locked and this database has not, as a new one; what, in words."""
        # Also those that a person ended: they stay ended.
        every = self._locks.get_all_locks()
        there = {(one.pair, one.reason or "", one.side) for one in every}
        given: list[str] = []
        for one in kept:
            until = datetime.fromisoformat(one.until)
            if until <= now or (one.pair, one.reason, one.side) in there:
                continue
            # freqtrade rounds up to the next candle; the end is one already.
            end = until - timedelta(seconds=1)
            self._locks.lock_pair(one.pair, end, one.reason, now=now, side=one.side)
            given.append(f"the lock of {one.pair} until {one.until}")
        return given
