"""Orders with our IDs on NautilusTrader's backtest engine. Run in its environment; prints JSON."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "demo" / "trading"))

import nautilus_bot as demo
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy

from haulout.errors import ActionRefusedError
from haulout.integrations.nautilus import bridge
from haulout.state.state import State

found: dict[str, Any] = {"fills": 0}
ids: dict[str, Any] = {}


class Buyer(Strategy):
    """An order that the risk engine denies, one that fills, one that the owner's limit refuses."""

    def on_start(self) -> None:
        self.subscribe_bars(demo.BAR_TYPE)
        self.bars = 0

    def on_bar(self, _bar: Any) -> None:
        self.bars += 1
        orders = {3: ("denied", 900_000_000), 6: ("filled", 100_000), 9: ("late", 100_000)}
        if self.bars not in orders:
            return
        name, size = orders[self.bars]
        quantity = demo.INSTRUMENT.make_qty(size)
        try:
            ids[name] = kept.reserve(demo.INSTRUMENT.id, OrderSide.BUY, quantity)
        except ActionRefusedError as error:
            found["refused by the owner"] = error.message
            return
        self.submit_order(
            self.order_factory.market(
                demo.INSTRUMENT.id, OrderSide.BUY, quantity, client_order_id=ids[name]
            )
        )

    def on_order_filled(self, _event: Any) -> None:
        found["fills"] += 1

    def on_save(self) -> dict[str, bytes]:
        return {"bars": str(self.bars).encode()}

    def on_load(self, state: dict[str, bytes]) -> None:
        self.bars = int(state["bars"])


engine = BacktestEngine(
    BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(max_notional_per_order={"EUR/USD.SIM": 100_000_000}),
    )
)
engine.add_venue(
    Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)],
    base_currency=USD, default_leverage=Decimal(20),
)  # fmt: skip
engine.add_instrument(demo.INSTRUMENT)
engine.add_data(demo.bars()[:20])
strategy = Buyer()
engine.add_strategy(strategy)
state = State.in_memory("bots/buyer", now=lambda: strategy.clock.timestamp_ns() // 1000)
state.limit("orders/day", 1, by_owner=True)
kept = bridge(strategy, state)
engine.run()
for name in ("filled", "denied"):
    intent = kept.intent_of(ids[name])
    found[name] = [intent.status, intent.filled] if intent else None
engine.dispose()
json.dump(found, sys.stdout)
