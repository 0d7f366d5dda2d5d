"""freqtrade, unmodified, against the loopback venue: its configuration, and its process."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
PAIR = "ETH/BTC"
STAKE = 0.5


def config(url: str, folder: Path, **more: Any) -> dict[str, Any]:
    """What freqtrade is told for one open trade of half a bitcoin. Every address is the venue's.

    Args:
        url: the venue's; folder: for its database; more: settings besides.
    """
    api = {
        "public": f"{url}/api/v3", "private": f"{url}/api/v3", "v1": f"{url}/api/v1",
        "web": url, "sapi": f"{url}/sapi/v1", "sapiV2": f"{url}/sapi/v2",
        "sapiV3": f"{url}/sapi/v3", "sapiV4": f"{url}/sapi/v4",
        "fapiPublic": f"{url}/fapi/v1", "fapiPublicV2": f"{url}/fapi/v2",
        "fapiPublicV3": f"{url}/fapi/v3", "fapiPrivate": f"{url}/fapi/v1",
        "fapiPrivateV2": f"{url}/fapi/v2", "fapiPrivateV3": f"{url}/fapi/v3",
        "fapiData": f"{url}/futures/data", "dapiPublic": f"{url}/dapi/v1",
        "dapiPrivate": f"{url}/dapi/v1", "dapiPrivateV2": f"{url}/dapi/v2",
        "dapiData": f"{url}/futures/data", "eapiPublic": f"{url}/eapi/v1",
        "eapiPrivate": f"{url}/eapi/v1", "papi": f"{url}/papi/v1",
    }  # fmt: skip
    return {
        "max_open_trades": 1, "stake_currency": "BTC", "stake_amount": STAKE,
        "tradable_balance_ratio": 0.99, "dry_run": False, "cancel_open_orders_on_exit": False,
        "trading_mode": "spot", "db_url": f"sqlite:///{folder / 'trades.sqlite'}",
        "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
        "entry_pricing": {"price_side": "same", "use_order_book": False},
        "exit_pricing": {"price_side": "same", "use_order_book": False},
        "exchange": {
            "name": "binance", "key": "loopback", "secret": "loopback", "enable_ws": False,
            "ccxt_config": {"enableRateLimit": False, "urls": {"api": api}},
            "ccxt_async_config": {"enableRateLimit": False, "urls": {"api": api}},
            "pair_whitelist": [PAIR], "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
        "internals": {"process_throttle_secs": 1}, "initial_state": "running",
        **more,
    }  # fmt: skip


class Freqtrade:
    """freqtrade's process: started on entering, ended on leaving.

    Args:
        environment: of freqtrade; url: the venue's; folder: for database, settings, what it prints.
        strategy: `Always` or `AlwaysRemembering`; vault: of the one that remembers.
    """

    def __init__(
        self, environment: Path, url: str, folder: Path, strategy: str, vault: Path | None = None
    ) -> None:
        self.folder, self.printed = folder, folder / "printed.txt"
        (folder / "config.json").write_text(json.dumps(config(url, folder)), "utf-8")
        self._command = [
            str(environment / "bin" / "freqtrade"), "trade",
            "--config", str(folder / "config.json"), "--userdir", str(folder),
            "--strategy", strategy, "--strategy-path", str(HERE / "strategies"),
        ]  # fmt: skip
        self._environment = {**os.environ, "HAULOUT_DEMO_VAULT": str(vault or "")}

    def __enter__(self) -> Self:
        with self.printed.open("ab") as printed:
            self.process = subprocess.Popen(
                self._command, stdout=printed, stderr=printed, stdin=subprocess.DEVNULL,
                env=self._environment, cwd=self.folder,
            )  # fmt: skip
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def trades(self) -> list[tuple[str, float, int]]:
        """What freqtrade's database has: pair, amount, whether it is open."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'trades.sqlite'}?mode=ro", uri=True) as one:
                return one.execute("SELECT pair, amount, is_open FROM trades").fetchall()
        except sqlite3.OperationalError:  # it has none yet
            return []

    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.printed.read_text("utf-8", errors="replace").splitlines()

    def wait(self, what: str, until: Any, seconds: float = 120) -> None:
        """Look until something holds.

        Raises:
            TimeoutError: it never did; RuntimeError: freqtrade ended before.
        """
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds:.0f} s")
            if self.process.poll() not in {None, -9}:
                raise RuntimeError(f"freqtrade ended with {self.process.returncode}")
            time.sleep(0.1)
