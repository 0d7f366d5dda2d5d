"""A strategy on NautilusTrader's backtest engine: fills of it run whole, and run in two halves.

    python nautilus_bot.py whole|before|after [--vault FOLDER]

``whole`` runs through. ``before`` and ``after`` are killed (SIGKILL) in the middle and go on in a
second process, ``after`` with the bridge. The last line that is printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

BARS = 2000
MIDDLE = 1000
MOST = 40
MINUTE = 60_000_000_000
INSTRUMENT = TestInstrumentProvider.default_fx_ccy("EUR/USD")
BAR_TYPE = BarType.from_str("EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL")


def bars() -> list[Bar]:
    """Made-up prices: a wave with noise, the same every time."""
    chance = random.Random(5)
    price, found = 1.1, []
    for n in range(BARS):
        drift = 0.0006 * math.sin(n / 11)
        opened, price = price, price * (1 + (drift + chance.gauss(0, 0.0004)) / 4)
        high, low = max(opened, price), min(opened, price)
        prices = [INSTRUMENT.make_price(one) for one in (opened, high, low, price)]
        at = (n + 1) * MINUTE
        found.append(Bar(BAR_TYPE, *prices, INSTRUMENT.make_qty(1_000_000), at, at))
    return found


class Crossing(Strategy):
    """Trades where two averages cross, 40 times at most. All that it knows is its own."""

    def __init__(self, die_at: int | None = None) -> None:
        super().__init__()
        self.seen, self.fast, self.slow, self.side, self.left = 0, 0.0, 0.0, "", MOST
        self.fills, self.die_at = 0, die_at

    def on_start(self) -> None:
        self.subscribe_bars(BAR_TYPE)

    def on_bar(self, bar: Bar) -> None:
        if self.seen == self.die_at:
            print(json.dumps({"fills": self.fills}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        close = float(bar.close)
        if self.seen == 0:
            self.fast = self.slow = close
        self.seen += 1
        self.fast += (close - self.fast) / 8
        self.slow += (close - self.slow) / 40
        side = "BUY" if self.fast > self.slow else "SELL"
        if self.seen > 40 and side != self.side and self.left:
            self.side, self.left = side, self.left - 1
            order = self.order_factory.market(
                INSTRUMENT.id, OrderSide[side], INSTRUMENT.make_qty(100_000)
            )
            self.submit_order(order)

    def on_order_filled(self, _event: Any) -> None:
        self.fills += 1

    def on_save(self) -> dict[str, bytes]:
        kept = {"seen": self.seen, "fast": self.fast, "slow": self.slow, "side": self.side}
        return {"crossing": json.dumps({**kept, "left": self.left}).encode()}

    def on_load(self, state: dict[str, bytes]) -> None:
        for name, value in json.loads(state["crossing"]).items():
            setattr(self, name, value)


def run(strategy: Crossing, some: list[Bar], state: Any) -> None:
    """Run an engine over some bars; with a state, bridged."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)],
        base_currency=USD, default_leverage=Decimal(20),
    )  # fmt: skip
    engine.add_instrument(INSTRUMENT)
    engine.add_data(some)
    engine.add_strategy(strategy)
    if state is not None:
        from haulout.integrations.nautilus import bridge

        bridge(strategy, state)
    engine.run()
    engine.dispose()


def half(part: str, vault: Path | None) -> None:
    """One half, in this process. The first ends by SIGKILL."""
    opened = state = None
    if vault is not None:
        from haulout import Vault

        opened = Vault.open(vault, embedder="none")
        state = opened.state("bots/crossing")
    strategy = Crossing(die_at=MIDDLE if part == "first" else None)
    run(strategy, bars() if part == "first" else bars()[MIDDLE:], state)
    print(json.dumps({"fills": strategy.fills, "began_at": strategy.seen - (BARS - MIDDLE)}))
    if opened is not None:
        opened.close()


def main() -> None:
    """Run whole, or in halves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=("whole", "before", "after", "first", "second"))
    parser.add_argument("--vault", type=Path)
    asked = parser.parse_args()
    if asked.how in {"first", "second"}:
        half(asked.how, asked.vault)
        return
    if asked.how == "whole":
        strategy = Crossing()
        run(strategy, bars(), None)
        print(json.dumps({"fills": strategy.fills}))
        return
    more = ["--vault", str(asked.vault)] if asked.how == "after" else []
    found = []
    for part, code in (("first", -signal.SIGKILL), ("second", 0)):
        done = subprocess.run(
            [sys.executable, __file__, part, *more], capture_output=True, check=False
        )
        if done.returncode != code:
            raise RuntimeError(
                f"{part} ended with {done.returncode}: {done.stderr.decode()[-2000:]}"
            )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    print(json.dumps({"fills": sum(one["fills"] for one in found), "halves": found}))


if __name__ == "__main__":
    main()
