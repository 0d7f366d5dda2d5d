"""A plain bot on ccxt: it buys once, and writes into its notebook what it has bought.

    python ccxt_bot.py URL NOTEBOOK [--vault FOLDER]

It waits for a line on standard input, tries again after every network error, as such bots do, and
ends once its notebook has a position. With a vault the guard stands between it and the exchange.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ccxt

PAIR = "BTC/USDT"


def binance(url: str) -> Any:
    """Binance as ccxt has it, every address of which is the venue on loopback."""
    exchange = ccxt.binance({"apiKey": "loopback", "secret": "loopback", "enableRateLimit": False})
    exchange.options["fetchCurrencies"] = False
    addresses = exchange.urls["api"]
    exchange.urls["api"] = {
        name: url + urlsplit(one).path if isinstance(one, str) else one
        for name, one in addresses.items()
    }
    return exchange


def main() -> None:
    """Buy once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--vault", type=Path)
    asked = parser.parse_args()
    exchange = binance(asked.url)
    exchange.load_markets()
    sys.stdin.readline()
    params: dict[str, Any] = {}
    if asked.vault is not None:
        from haulout import Vault
        from haulout.integrations.ccxt import guard, recover

        vault = Vault.open(asked.vault)
        guard(exchange, vault.state("bots/ccxt"), symbols=(PAIR,))
        print(recover(exchange).text(), flush=True)
        params = {"haulout_key": "the first entry"}
    while not asked.notebook.exists():
        try:
            order = exchange.create_order(PAIR, "limit", "buy", 0.1, 50000, params)
        except ccxt.NetworkError as error:
            print(f"{type(error).__name__}; once more", flush=True)
            time.sleep(0.5)
            continue
        position = [{"id": order["id"], "amount": order["amount"]}]
        asked.notebook.write_text(json.dumps(position), "utf-8")
        print(f"bought: {position}", flush=True)
    if asked.vault is not None:
        vault.close()


if __name__ == "__main__":
    main()
