"""A plain bot on alpaca-py: it buys once, and writes into its notebook what it has bought.

    python alpaca_bot.py URL NOTEBOOK [--vault FOLDER]

It waits for a line on standard input. The tries after a 504 are alpaca-py's own.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest


def main() -> None:
    """Buy once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--vault", type=Path)
    asked = parser.parse_args()
    client = TradingClient("loopback", "loopback", paper=True, url_override=asked.url)
    sys.stdin.readline()
    if asked.vault is not None:
        from haulout import Vault
        from haulout.integrations.alpaca import guard, recover

        vault = Vault.open(asked.vault)
        guard(client, vault.state("bots/stocks"))
        print(recover(client).text(), flush=True)
    wanted = LimitOrderRequest(
        symbol="AAPL", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=200
    )
    order = client.submit_order(wanted)
    position = [{"id": str(order.id), "amount": str(order.qty)}]
    asked.notebook.write_text(json.dumps(position), "utf-8")
    print(f"bought: {position}", flush=True)
    if asked.vault is not None:
        vault.close()


if __name__ == "__main__":
    main()
