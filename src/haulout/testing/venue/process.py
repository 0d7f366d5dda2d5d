"""The venue as a process of its own, started and stopped by a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from haulout.errors import StorageError
from haulout.state.refs import Class
from haulout.testing.venue.client import HttpVenue, HttpWire
from haulout.testing.venue.faults import Fault
from haulout.testing.venue.ledger import Entry, read_ledger
from haulout.testing.venue.shown import Listing, Shown

_PATIENCE = 30.0  # seconds for the process to start or to stop


class LoopbackVenue:
    """Starts the process on entering, and stops it on leaving.

        with LoopbackVenue("C", prices={"BTC/USDT": "50000"}) as venue:
            venue.fault("cut_after_accept", count=2)
            ...  # a bot at venue.url
            assert len([one for one in venue.ledger() if one.what == "accepted"]) == 1

    Args:
        kind: what a second order with a client's ID meets; prices, balances: to begin with.
        ledger: a file for the ledger; None keeps it in the process alone.
        virtual: the clock's start in microseconds, moved by `advance`; None for the machine's.
        text: whether the client's ID is given back; faults: armed from the beginning.
        port: 0 for any.
    """

    def __init__(
        self,
        kind: Class = "C",
        *,
        prices: Mapping[str, Any] | None = None,
        balances: Mapping[str, Any] | None = None,
        ledger: Path | None = None,
        virtual: int | None = None,
        text: bool = True,
        faults: Sequence[Fault] = (),
        port: int = 0,
    ) -> None:
        self.kind: Class = kind
        self._ledger = ledger
        words = ["--kind", kind, "--port", str(port)]
        words += [f"--price={name}={one}" for name, one in (prices or {}).items()]
        words += [f"--balance={name}={one}" for name, one in (balances or {}).items()]
        words += [] if ledger is None else ["--ledger", str(ledger)]
        words += [] if virtual is None else ["--virtual", str(virtual)]
        words += [] if text else ["--no-text"]
        words += [f"--fault={msgspec.json.encode(one).decode()}" for one in faults]
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start it; `url` is where it answers."""
        command = [sys.executable, "-m", "haulout.testing.venue", *self._words]
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our own words
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            self.close()
            raise StorageError("The venue did not start; its own words stand above.")
        self.url = msgspec.json.decode(line)["url"]
        self._wire = HttpWire(self.url, _PATIENCE)
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it. Stopping twice is fine."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process ID."""
        assert self._process is not None
        return self._process.pid

    def client(self, **more: Any) -> HttpVenue:
        """An agent's side of it; see `client.HttpVenue` for the arguments."""
        return HttpVenue(self.url, self.kind, **more)

    # ------------------------------------------------------------------ the test's side

    def ledger(self) -> list[Entry]:
        """What was accepted, filled, cancelled and refused; also once it is stopped, from the file.

        Raises:
            OutcomeUnknownError: it is stopped, and has no file.
        """
        if self._process is None and self._ledger is not None:
            return read_ledger(self._ledger)
        return self._ask("GET", "ledger", list[Entry])

    def fault(self, point: str, **more: Any) -> None:
        """Let something go wrong; see `faults.Fault` for the arguments."""
        self._ask("POST", "faults", Any, {"point": point, **more})

    def clear(self) -> None:
        """End all faults."""
        self._ask("DELETE", "faults", Any)

    def met(self) -> list[str]:
        """The faults that were met, in order."""
        return self._ask("GET", "met", list[str])

    def advance(self, seconds: float) -> int:
        """Let time pass at the venue; gives its time in microseconds."""
        return self._ask("POST", "advance", dict[str, int], {"seconds": seconds})["now"]

    def now(self) -> int:
        """The venue's time, microseconds."""
        return self._ask("GET", "time", dict[str, int])["now"]

    def price(self, symbol: str, price: Any) -> None:
        """Move the market."""
        self._ask("POST", "price", Any, {"symbol": symbol, "price": str(price)})

    def fill(self, order: str, amount: Any = None) -> Shown:
        """Fill an order (by its ID, or ``client:`` and the client's), or a part of it."""
        body = {"order": order, "amount": None if amount is None else str(amount)}
        return self._ask("POST", "fill", Shown, body)

    def open(self, symbol: str | None = None) -> list[str]:
        """The IDs of open orders."""
        listing = self._wire.ask("GET", "/orders?open=1", Listing)
        return [one.id for one in listing.orders if symbol in {None, one.symbol}]

    def cancel(self, order: str) -> Shown:
        """The account's owner takes an order back by hand."""
        return self._ask("POST", "cancel", Shown, {"order": order})

    def trade(self, symbol: str, side: str, amount: Any, **more: Any) -> Shown:
        """The account's owner acts by hand, past every agent."""
        body = {"symbol": symbol, "side": side, "amount": str(amount), **more}
        return self._ask("POST", "trade", Shown, body)

    def settings(self, **settings: Any) -> None:
        """Change ``kind``, ``text`` or ``client_pid`` while it runs."""
        self._ask("POST", "settings", Any, settings)

    def hang_up(self) -> None:
        """End every connection of the user stream."""
        self._ask("DELETE", "stream", Any)

    def _ask(self, method: str, path: str, kind: Any, body: Any = None) -> Any:
        return self._wire.ask(method, f"/control/{path}", kind, body)
