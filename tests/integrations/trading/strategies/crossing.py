"""Strategies for backtests in freqtrade: one as it is, one that may remember, one that does."""

import os

from freqtrade.strategy import IStrategy
from pandas import DataFrame

from haulout.integrations.freqtrade import Remembering


class Crossing(IStrategy):
    """Enters where two averages cross, and rests for a while on a pair that lost."""

    INTERFACE_VERSION = 3
    timeframe = "5m"
    minimal_roi = {"0": 0.02}  # noqa: RUF012 - freqtrade's way
    stoploss = -0.01
    startup_candle_count = 30

    def bot_start(self, **_more: object) -> None:
        self.custom_rest: dict[str, int] = {}

    def populate_indicators(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        dataframe["fast"] = dataframe["close"].ewm(span=6).mean()
        dataframe["slow"] = dataframe["close"].ewm(span=24).mean()
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["fast"] > dataframe["slow"], "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["fast"] < dataframe["slow"], "exit_long"] = 1
        return dataframe

    def confirm_trade_entry(self, pair: str, **_more: object) -> bool:
        left = self.custom_rest.get(pair, 0)
        self.custom_rest[pair] = max(0, left - 1)
        return not left

    def confirm_trade_exit(self, pair: str, exit_reason: str, **_more: object) -> bool:
        if exit_reason == "stop_loss":
            self.custom_rest[pair] = 5
        return True


class CrossingRemembering(Remembering, Crossing):
    """The same with the base class, and a vault that is there."""

    haulout_state = "bots/crossing"
    haulout_vault = os.environ.get("HAULOUT_TEST_VAULT")


class CrossingTwin(CrossingRemembering):
    """The same, and what rests stands in the state in memory as well as in the attribute."""

    def confirm_trade_entry(self, pair: str, **more: object) -> bool:
        state = self.remembered.state
        assert state.get("rest", {}) == {k: v for k, v in self.custom_rest.items() if v}
        allowed = super().confirm_trade_entry(pair, **more)
        state.set("rest", {k: v for k, v in self.custom_rest.items() if v})
        return allowed

    def confirm_trade_exit(self, pair: str, exit_reason: str, **more: object) -> bool:
        allowed = super().confirm_trade_exit(pair, exit_reason, **more)
        rest = {k: v for k, v in self.custom_rest.items() if v}
        self.remembered.state.set("rest", rest)
        return allowed
