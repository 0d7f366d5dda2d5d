"""What Haulout's bridge uses of freqtrade, asked of freqtrade itself. Run in its environment.

Prints a JSON list of what is not so.
"""

import inspect
import json
import sys
from importlib.metadata import version

from freqtrade import enums
from freqtrade.data.dataprovider import DataProvider
from freqtrade.exchange.exchange import Exchange
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Order, PairLocks, Trade
from freqtrade.strategy import IStrategy
from freqtrade.strategy.strategy_wrapper import strategy_safe_wrapper

missing: list[str] = []


def holds(what: str, so: object) -> None:
    if not so:
        missing.append(what)


def says(owner: object, name: str, *words: str) -> None:
    """Whether a method's source has some words."""
    source = " ".join(inspect.getsource(getattr(owner, name)).split())
    for one in words:
        holds(f"{owner.__name__}.{name} says {one}", one in source)  # type: ignore[attr-defined]


def takes(owner: object, name: str, *arguments: str) -> None:
    found = list(inspect.signature(getattr(owner, name)).parameters)
    holds(f"{name} takes {arguments}, not {found}", all(one in found for one in arguments))


# The way to the exchange, and that every order goes through it.
says(DataProvider, "__init__", "self._exchange = exchange")
says(Exchange, "__init__", "self._api = self._init_ccxt(")
says(
    Exchange,
    "create_order",
    "self._api.create_order( pair, ordertype, side, amount, rate_for_order, params, )",
)
says(
    Exchange,
    "create_stoploss",
    "self._api.create_order( symbol=pair, type=ordertype, side=side, amount=amount,",
)
says(Exchange, "cancel_order", "self._api.cancel_order(order_id, pair, params=params)")
says(Exchange, "create_order", 'if self._config["dry_run"]:')
other = inspect.getsource(Exchange)
holds("nothing else of Exchange creates orders", other.count("_api.create_order(") == 2)
holds("nothing of Exchange edits orders", "edit_order" not in other)
holds("orders are not created through the awaited half", "_api_async.create" not in other)

# When it asks what.
says(
    FreqtradeBot,
    "__init__",
    "self.strategy.ft_bot_start()",
    "init_db(",
    "self.strategy.dp = self.dataprovider",
)
start = inspect.getsource(FreqtradeBot.__init__)
holds(
    "the database is there before the strategy starts",
    start.index("init_db(") < start.index("ft_bot_start"),
)
says(FreqtradeBot, "process", "self.strategy.bot_loop_start")
says(
    FreqtradeBot,
    "create_trade",
    "self.strategy.get_entry_signal( pair, self.strategy.timeframe, analyzed_df )",
)
says(
    FreqtradeBot,
    "execute_entry",
    "self.strategy.confirm_trade_entry, default_retval=True",
    "pair=pair",
)
says(FreqtradeBot, "_check_and_execute_exit", "self.strategy.should_exit(")
says(FreqtradeBot, "cleanup", "self.strategy.ft_bot_cleanup()")
says(IStrategy, "ft_bot_start", "self.bot_start")
takes(IStrategy, "confirm_trade_entry", "pair")
takes(IStrategy, "get_entry_signal", "pair", "timeframe", "dataframe")
takes(IStrategy, "should_exit", "trade", "rate", "current_time", "enter", "exit_")
own = inspect.getsource(strategy_safe_wrapper)
holds("methods of a strategy's own are told by their qualified name", "__qualname__" in own)

# Its database.
for owner, name in (
    (Trade, "get_open_trades"), (Trade, "get_trades_proxy"), (Trade, "get_all_custom_data"),
    (Trade, "set_custom_data"), (Trade, "open_date_utc"), (Trade, "close_date_utc"),
    (Trade, "close_profit_abs"), (Trade, "stop_loss"), (Trade, "stake_amount"), (Trade, "is_short"),
    (Trade, "stake_currency"), (Order, "order_by_id"), (Order, "trade"),
    (PairLocks, "get_all_locks"), (PairLocks, "lock_pair"),
):  # fmt: skip
    holds(f"{owner.__name__}.{name}", hasattr(owner, name))
takes(Trade, "get_trades_proxy", "is_open", "close_date")
takes(Order, "order_by_id", "order_id", "pair")
takes(PairLocks, "lock_pair", "pair", "until", "reason", "now", "side")

# Its words.
holds("SignalDirection", enums.SignalDirection.LONG and enums.SignalDirection.SHORT)
holds("ExitCheckTuple", enums.ExitCheckTuple(exit_type=enums.ExitType.FORCE_EXIT).exit_flag)
holds("RunMode.LIVE", enums.RunMode.LIVE.value == "live")

json.dump({"version": version("freqtrade"), "missing": missing}, sys.stdout)
