"""`python -m haulout.testing.venue`: a venue on loopback, until standard input is closed."""

from __future__ import annotations

import argparse
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec

from haulout.state.refs import Class
from haulout.testing.venue.clock import Clock
from haulout.testing.venue.desk import Desk
from haulout.testing.venue.exchange import Exchange
from haulout.testing.venue.faults import Fault, Faults
from haulout.testing.venue.ledger import Ledger

PRICES = {"BTC/USDT": "50000", "ETH/BTC": "0.05", "ETH/USDT": "2500", "AAPL/USD": "200"}
BALANCES = {"BTC": "100", "ETH": "0", "USDT": "1000000", "USD": "1000000", "BNB": "10"}


def _pairs(texts: list[str] | None, otherwise: dict[str, str]) -> dict[str, Decimal]:
    pairs = dict(text.split("=", 1) for text in texts) if texts else otherwise
    return {name: Decimal(number) for name, number in pairs.items()}


def main() -> None:
    """Read the arguments and serve."""
    from haulout.testing.venue.serving import serve

    parser = argparse.ArgumentParser(prog="python -m haulout.testing.venue", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kind", choices=get_args(Class), default="C", help="class of client IDs")
    parser.add_argument("--ledger", type=Path, help="a file of JSON Lines; fsynced")
    parser.add_argument("--price", action="append", metavar="SYMBOL=PRICE")
    parser.add_argument("--balance", action="append", metavar="ASSET=AMOUNT")
    parser.add_argument("--virtual", type=int, metavar="US", help="a clock that the test moves")
    parser.add_argument("--no-text", action="store_true", help="client IDs are not given back")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON")
    parser.add_argument("--for", dest="seconds", type=float, help="end after so many seconds")
    parser.add_argument("--alone", action="store_true", help="go on when standard input is closed")
    asked = parser.parse_args()
    exchange = Exchange(
        Clock(asked.virtual), Ledger(asked.ledger), kind=asked.kind, text=not asked.no_text,
        prices=_pairs(asked.price, PRICES), balances=_pairs(asked.balance, BALANCES),
    )  # fmt: skip
    faults = Faults()
    for text in asked.fault:
        faults.arm(msgspec.json.decode(text, type=Fault))
    serve(Desk(exchange, faults), asked.port, asked.seconds, tied=not asked.alone)


if __name__ == "__main__":
    main()
