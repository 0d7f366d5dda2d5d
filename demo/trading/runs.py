"""Each run of the demonstration: a bot, a fault, and what the venue's ledger says afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from freqtraderun import PAIR, Freqtrade
from tap import Mark, Tap

from haulout import Vault
from haulout.testing.venue.process import LoopbackVenue

HERE = Path(__file__).parent
_SECONDS = 400
"""For a bot to do something; freqtrade takes 10 s to start on an idle machine, and minutes on a
busy one."""


@dataclass
class Run:
    """What one run came to.

    Attributes:
        scenario, arm: which; wanted: how many orders were meant.
        orders, bought: accepted at the venue, from its ledger; known: in the bot's own database.
        bot: the amount in the bot's own database; met: the faults that were met.
        marks: what happened on the line, in order; note: more, in words.
    """

    scenario: str
    arm: str
    wanted: int = 1
    orders: int = 0
    bought: Decimal = Decimal()
    known: int = 0
    bot: Decimal = Decimal()
    met: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the bot's own database says what the venue's ledger says."""
        return self.orders == self.known and self.bought == self.bot


@contextmanager
def desk(folder: Path, run: Run, kind: Any, **venue: Any) -> Generator[tuple[LoopbackVenue, Tap]]:
    """A venue in a process of its own with a tap before it; its ledger ends in ``run``."""
    folder.mkdir(parents=True)
    with LoopbackVenue(kind, ledger=folder / "ledger.jsonl", **venue) as place:
        with Tap(place.url) as tap:
            yield place, tap
        run.met = place.met()
        ledger = place.ledger()
        run.orders = sum(one.what == "accepted" and one.side == "buy" for one in ledger)
        filled = [one for one in ledger if one.what == "filled" and one.side == "buy"]
        run.bought = sum((Decimal(one.amount) for one in filled), Decimal())
        accepted = [Mark(one.at / 1e6, "accepted") for one in ledger if one.what == "accepted"]
        run.marks = sorted([*tap.marks, *accepted])


def new_vault(folder: Path) -> Path:
    """A vault for one run, without a model."""
    vault, _words = Vault.create(folder / "vault", embedder="none")
    vault.close()
    return folder / "vault"


# ---------------------------------------------------------------------- freqtrade

_CROWN = {"prices": {PAIR: "0.05"}, "balances": {"BTC": "100", "ETH": "0", "BNB": "10"}}


def freqtrade_lost(environment: Path, folder: Path, arm: str) -> Run:
    """Two acknowledgements are lost, with `max_open_trades` at 1."""
    run = Run("freqtrade: two answers lost", arm)
    with desk(folder, run, "C", **_CROWN) as (venue, tap):
        venue.fault("cut_after_accept", count=2)
        with _freqtrade(environment, folder, tap, arm) as bot:
            bot.wait("a trade", bot.trades, _SECONDS)
            _turns(bot, 3)
            _note(run, bot)
    return run


def freqtrade_killed(environment: Path, folder: Path, arm: str) -> Run:
    """SIGKILL between the venue's acceptance and its answer; then freqtrade is started again."""
    run = Run("freqtrade: SIGKILL before the answer", arm)
    with desk(folder, run, "C", **_CROWN) as (venue, tap):
        venue.fault("kill_after_accept")
        bot = _freqtrade(environment, folder, tap, arm)
        with bot:
            venue.settings(client_pid=bot.process.pid)
            bot.process.wait(_SECONDS)
            tap.mark("killed")
        if bot.process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"freqtrade ended by itself: {bot.folder / 'printed.txt'}")
        run.note = f"{len(bot.trades())} rows in its database after the kill"
        tap.mark("started")
        with bot:
            bot.wait("a trade", bot.trades, _SECONDS)
            _turns(bot, 3)
            _note(run, bot)
    return run


def _freqtrade(environment: Path, folder: Path, tap: Tap, arm: str) -> Freqtrade:
    if arm == "before":
        return Freqtrade(environment, tap.url, folder, "Always")
    return Freqtrade(environment, tap.url, folder, "AlwaysRemembering", new_vault(folder))


def _turns(bot: Freqtrade, turns: int) -> None:
    """Let its loop turn some more times, a second each: another order would come now."""
    deadline = time.monotonic() + turns * 1.5
    bot.wait("its loop", lambda: time.monotonic() > deadline)


def _note(run: Run, bot: Freqtrade) -> None:
    trades = bot.trades()
    run.known = len(trades)
    run.bot = sum((Decimal(str(amount)) for _pair, amount, _open in trades), Decimal())


# ---------------------------------------------------------------------- scripts of a page

_CRYPTO = {"prices": {"BTC/USDT": "50000"}, "balances": {"USDT": "1000000", "BTC": "0"}}


def ccxt_lost(folder: Path, arm: str) -> Run:
    """A bot on ccxt, two acknowledgements lost."""
    run = Run("ccxt bot: two answers lost", arm)
    with desk(folder, run, "C", **_CRYPTO) as (venue, tap):
        venue.fault("cut_after_accept", count=2)
        _script("ccxt_bot.py", folder, tap, arm)
        _from_notebook(run, folder)
    return run


def ccxt_killed(folder: Path, arm: str) -> Run:
    """A bot on ccxt, killed between acceptance and answer, then started again."""
    run = Run("ccxt bot: SIGKILL before the answer", arm)
    with desk(folder, run, "C", **_CRYPTO) as (venue, tap):
        venue.fault("kill_after_accept")
        _script("ccxt_bot.py", folder, tap, arm, begun=lambda pid: venue.settings(client_pid=pid))
        tap.mark("started")
        _script("ccxt_bot.py", folder, tap, arm)
        _from_notebook(run, folder)
    return run


def alpaca_lost(folder: Path, arm: str) -> Run:
    """alpaca-py, which is answered 504, 504, and then 200."""
    run = Run("alpaca-py: 504, 504, 200", arm)
    prices = {"prices": {"AAPL/USD": "200"}, "balances": {"USD": "1000000"}}
    with desk(folder, run, "B", **prices) as (venue, tap):
        venue.fault("error_after_accept", count=2, status=504)
        _script("alpaca_bot.py", folder, tap, arm)
        _from_notebook(run, folder)
    return run


def _script(
    name: str, folder: Path, tap: Tap, arm: str, begun: Callable[[int], None] | None = None
) -> None:
    """Run ``NAME URL NOTEBOOK [--vault FOLDER]``; ``begun`` is told its process ID first.

    A bot buys once, and writes into its notebook (JSON: a list of ``id`` and ``amount``) what it
    knows that it has bought. It waits for a line on its standard input before it begins.
    """
    words = [sys.executable, str(HERE / name), tap.url, str(folder / "notebook.json")]
    if arm == "after":
        there = folder / "vault"
        words += ["--vault", str(there if there.exists() else new_vault(folder))]
    with (folder / "printed.txt").open("ab") as printed:
        bot = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=printed, stderr=printed,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        try:
            if begun is not None:
                begun(bot.pid)
            bot.communicate(b"go\n", timeout=_SECONDS)
        finally:
            if bot.poll() is None:
                bot.kill()
                bot.wait()
    expected = -signal.SIGKILL if begun is not None else 0
    if begun is not None:
        tap.mark("killed")
    if bot.returncode != expected:
        words_there = (folder / "printed.txt").read_text("utf-8")[-2000:]
        raise RuntimeError(f"{name} ended with {bot.returncode}:\n{words_there}")


def _from_notebook(run: Run, folder: Path) -> None:
    notebook = folder / "notebook.json"
    rows = json.loads(notebook.read_text("utf-8")) if notebook.exists() else []
    run.known = len(rows)
    run.bot = sum((Decimal(str(one["amount"])) for one in rows), Decimal())


# ---------------------------------------------------------------------- NautilusTrader


def nautilus(environment: Path, folder: Path, arm: str) -> dict[str, Any]:
    """Fills of a strategy run whole, or in two halves, as `nautilus_bot.py` counts them."""
    folder.mkdir(parents=True)
    words = [str(environment / "bin" / "python"), str(HERE / "nautilus_bot.py"), arm]
    if arm == "after":
        words += ["--vault", str(new_vault(folder))]
    found = subprocess.run(words, check=True, capture_output=True, timeout=_SECONDS * 2)
    return json.loads(found.stdout.splitlines()[-1])
