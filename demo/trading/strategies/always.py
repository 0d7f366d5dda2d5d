"""Two strategies for freqtrade that enter whenever they may: one as it is, one that remembers."""

from __future__ import annotations

import os

from freqtrade.strategy import IStrategy
from pandas import DataFrame

from haulout.integrations.freqtrade import Remembering


class Always(IStrategy):
    """Always wants to be in the market; `max_open_trades` alone holds it back."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 100}  # noqa: RUF012 - freqtrade's way
    stoploss = -0.99
    startup_candle_count = 5
    process_only_new_candles = False

    def bot_start(self, **_more: object) -> None:
        self.custom_seen = {"starts": 0}

    def populate_indicators(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, _metadata: dict) -> DataFrame:
        dataframe["exit_long"] = 0
        return dataframe


class AlwaysRemembering(Remembering, Always):
    """The same; the base class is all that is added."""

    haulout_state = "bots/freqtrade"
    haulout_vault = os.environ.get("HAULOUT_DEMO_VAULT")
