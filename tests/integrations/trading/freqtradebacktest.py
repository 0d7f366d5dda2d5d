"""Backtests in freqtrade over made-up candles, for several strategies. Run in its environment.

    python freqtradebacktest.py URL FOLDER STRATEGY...

Prints JSON: of each strategy how many trades it made, and all of them as freqtrade tells them.
"""

import json
import math
import random
import sys
from pathlib import Path

from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.optimize.backtesting import Backtesting

HERE = Path(__file__).parent
PAIRS = ("ETH/BTC", "LTC/BTC")
CANDLES, MINUTES, FIRST = 3000, 5, 1_514_764_800  # 2018-01-01


def write_candles(folder: Path) -> None:
    """A wave with noise of each pair, the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(PAIRS):
        chance = random.Random(number)
        price, found = 0.05, []
        for n in range(CANDLES):
            opened = price
            price *= 1 + 0.002 * math.sin(n / 29) + chance.gauss(0, 0.003)
            high, low = max(opened, price) * 1.001, min(opened, price) * 0.999
            at = (FIRST + n * MINUTES * 60) * 1000
            found.append([at, *(round(one, 8) for one in (opened, high, low, price)), 100.0])
        name = f"{pair.replace('/', '_')}-{MINUTES}m.json"
        (folder / name).write_text(json.dumps(found), "utf-8")


def config(url: str, folder: Path, strategy: str) -> dict:
    addresses = dict.fromkeys(
        ("public", "private", "v1", "sapi", "sapiV2", "sapiV3", "sapiV4"), f"{url}/api/v3"
    )
    for name in ("fapi", "dapi", "eapi"):
        for end in ("Public", "Private", "PublicV2", "PublicV3", "PrivateV2", "PrivateV3", "Data"):
            addresses[name + end] = f"{url}/{name}/v1"
    given = {
        "max_open_trades": 2, "stake_currency": "BTC", "stake_amount": 0.1, "dry_run": True,
        "dry_run_wallet": 10, "trading_mode": "spot", "dataformat_ohlcv": "json",
        "entry_pricing": {"price_side": "same"}, "exit_pricing": {"price_side": "same"},
        "exchange": {
            "name": "binance", "key": "", "secret": "", "enable_ws": False,
            "ccxt_config": {"enableRateLimit": False, "urls": {"api": addresses}},
            "ccxt_async_config": {"enableRateLimit": False, "urls": {"api": addresses}},
            "pair_whitelist": list(PAIRS), "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
    }  # fmt: skip
    path = folder / f"{strategy}.json"
    path.write_text(json.dumps(given), "utf-8")
    said = {
        "config": [str(path)], "strategy": strategy, "strategy_path": str(HERE / "strategies"),
        "user_data_dir": str(folder), "datadir": str(folder / "data"), "export": "none",
        "timeframe": f"{MINUTES}m", "backtest_cache": "none",
    }  # fmt: skip
    return Configuration(said, RunMode.BACKTEST).get_config()


def main() -> None:
    url, folder, *strategies = sys.argv[1:]
    write_candles(Path(folder) / "data")
    found = {}
    for strategy in strategies:
        backtest = Backtesting(config(url, Path(folder), strategy))
        backtest.start()
        trades = backtest.results["strategy"][strategy]["trades"]
        found[strategy] = {
            "count": len(trades),
            "trades": json.loads(json.dumps(trades, default=str)),
        }
        Backtesting.cleanup()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
