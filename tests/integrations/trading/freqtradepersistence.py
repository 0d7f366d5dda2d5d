"""`FreqtradeDatabase` over freqtrade's own tables, in memory. Run in its environment.

Prints JSON: what it found, step by step.
"""

import json
import sys
from datetime import UTC, datetime, timedelta

from freqtrade.enums import TradingMode
from freqtrade.persistence import Order, PairLocks, Trade, init_db

from haulout.integrations.bots.freqtradedatabase import FreqtradeDatabase, Lock, OpenTrade

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def trade(pair: str, ref: str, opened: datetime, closed: datetime | None = None) -> Trade:
    found = Trade(
        pair=pair, base_currency="ETH", stake_currency="BTC", stake_amount=0.5, amount=10,
        amount_requested=10, fee_open=0, fee_close=0, open_rate=0.05, open_date=opened,
        exchange="binance", strategy="S", timeframe=1, is_open=closed is None, is_short=False,
        leverage=1, trading_mode=TradingMode.SPOT, stop_loss=0.04,
    )  # fmt: skip
    order = {
        "id": ref, "symbol": pair, "side": "buy", "type": "limit", "price": 0.05, "average": 0.05,
        "amount": 10, "filled": 10, "remaining": 0, "cost": 0.5, "status": "closed",
        "timestamp": int(opened.timestamp() * 1000),
    }  # fmt: skip
    found.orders.append(Order.parse_from_ccxt_object(order, pair, "buy", 10, 0.05))
    if closed is not None:
        found.close_date, found.close_rate, found.close_profit_abs = closed, 0.049, -0.01
    Trade.session.add(found)
    Trade.commit()
    return found


def main() -> None:
    init_db("sqlite://")
    PairLocks.timeframe = "5m"
    database = FreqtradeDatabase()
    opened = trade("ETH/BTC", "1", NOW - timedelta(hours=2))
    trade("LTC/BTC", "2", NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    trade("LTC/BTC", "3", NOW - timedelta(hours=3), NOW)
    opened.set_custom_data("level", 2)
    opened.set_custom_data("plan", {"steps": [1, 2.5]})
    PairLocks.lock_pair("ETH/BTC", NOW + timedelta(minutes=61), "Cooldown", now=NOW, side="long")
    PairLocks.lock_pair("LTC/BTC", NOW - timedelta(minutes=61), "old", now=NOW - timedelta(hours=3))
    shown, locks = database.shown(), database.locks(NOW)
    found = {
        "open": [one.pair for one in database.open_trades()],
        "has": [database.has_order("1", "ETH/BTC"), database.has_order("1", "LTC/BTC"),
                database.has_order("9", "ETH/BTC")],
        "closed": [database.is_closed("1", "ETH/BTC"), database.is_closed("2", "LTC/BTC"),
                   database.is_closed("9", "ETH/BTC")],
        "ended": [one.id for one in database.closed_since(NOW)],
        "both": [one.id for one in database.closed_since(NOW - timedelta(hours=1))],
        "shown": [[one.pair, one.side, one.amount, one.stop, one.orders, one.own] for one in shown],
        "locks": [[one.pair, one.until, one.reason, one.side] for one in locks],
        "locked again": database.lock_again(locks, NOW), "given": database.give_back(shown),
    }  # fmt: skip
    # Another database, which has none of it but the trade.
    init_db("sqlite://")
    trade("ETH/BTC", "1", NOW - timedelta(hours=2))
    new = FreqtradeDatabase()
    kept = [OpenTrade(pair="BTC/X", side="", opened="", amount="", stake="", rate="", stop="",
                      orders=["1"], own={"another": "pair"}), *shown][::-1]  # fmt: skip
    found["new given"] = new.give_back(kept)
    found["new own"] = new.shown()[0].own
    found["given twice"] = new.give_back(kept)
    found["new locked"] = new.lock_again([*locks, Lock("X/BTC", NOW.isoformat(), "over", "*")], NOW)
    found["new locks"] = [[one.pair, one.until, one.reason, one.side] for one in new.locks(NOW)]
    PairLocks.unlock_pair("ETH/BTC", NOW, side="long")
    found["ended by a person"] = new.lock_again(locks, NOW)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
