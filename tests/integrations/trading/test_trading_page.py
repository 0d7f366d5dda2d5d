"""Every block of docs/trading.md that is for one library runs, with it, at a venue on loopback."""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from pathlib import Path

import ccxt
import pytest
from integrations.trading.doubles import DOUBLES
from integrations.trading.loopback import made, running

from haulout import Vault
from haulout.integrations.ccxt import unguard
from haulout.interchange.botstate import BotState, BotTrade
from haulout.interchange.freqtrade import write_freqtrade
from haulout.testing.terminal import EmulatedTerminal
from haulout.testing.venue.process import LoopbackVenue

PAGE = Path(__file__).resolve().parents[3] / "docs" / "trading.md"


def blocks(heading: str) -> list[str]:
    """The Python blocks under a heading of the second level."""
    text = PAGE.read_text("utf-8")
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    return re.findall(r"^```python\n(.*?)^```", part[1], re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    Vault.create(tmp_path / "vault", embedder="none")[0].close()


def test_the_blocks_on_ccxt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(DOUBLES["binance"]) as venue:
        exchange = made(ccxt, "binance", venue)
        monkeypatch.setattr(ccxt, "binance", lambda _config: exchange)
        page: dict[str, object] = {"__name__": "page"}
        for number, block in enumerate(blocks("ccxt")):
            exec(compile(block, f"docs/trading.md, ccxt {number}", "exec"), page)
        unguard(exchange)
        assert [one.side for one in venue.orders] == ["buy", "sell"]
    assert f"1001 {venue.orders[0].client}" in capsys.readouterr().out
    page["vault"].close()  # type: ignore[attr-defined]


def test_the_block_on_alpaca_py(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import alpaca.trading.client as library
    (block,) = blocks("alpaca-py")
    prices = {"prices": {"AAPL/USD": "200"}, "balances": {"USD": "1000"}}
    with LoopbackVenue("B", **prices) as venue:
        client = library.TradingClient("key", "secret", url_override=venue.url)
        monkeypatch.setattr(library, "TradingClient", lambda _key, _secret: client)
        page: dict[str, object] = {"__name__": "page"}
        exec(compile(block, "docs/trading.md, alpaca-py", "exec"), page)
        (accepted,) = (one for one in venue.ledger() if one.what == "accepted")
    assert accepted.client in capsys.readouterr().out
    client._session.close()
    page["vault"].close()  # type: ignore[attr-defined]


def test_the_block_on_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(DOUBLES["binance"]) as venue:
        exchange = made(ccxt, "binance", venue)
        monkeypatch.setattr(ccxt, "binance", lambda _config: exchange)
        page: dict[str, object] = {"__name__": "page", "webhook_secret": "a-secret-of-some-length"}
        for block in (blocks("ccxt")[0], *blocks("TradingView webhooks")):
            exec(compile(block, "docs/trading.md, webhooks", "exec"), page)
        alert = {
            "v": 1, "stream": "page", "seq": 1, "time": time.time_ns() // 1_000_000,
            "action": "close", "symbol": "BTCUSDT", "quantity": "0.01",
        }  # fmt: skip
        for _ in range(2):
            page["receiver"].receive(json.dumps(alert).encode())  # type: ignore[attr-defined]
        unguard(exchange)
        assert [one.side for one in venue.orders] == ["buy", "sell"]
    page["vault"].close()  # type: ignore[attr-defined]


def test_the_block_on_metatrader(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = EmulatedTerminal(now=lambda: time.time_ns() // 1000)
    terminal.initialize = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "MetaTrader5", terminal)
    page: dict[str, object] = {"__name__": "page"}
    for block in blocks("MetaTrader 5"):
        exec(compile(block, "docs/trading.md, MetaTrader 5", "exec"), page)
    assert len(terminal.deals) == 1
    assert "10009 1001" in capsys.readouterr().out
    page["vault"].close()  # type: ignore[attr-defined]


def test_the_block_on_moving_from_bot_to_bot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trade = BotTrade(
        id="1", venue="binance", symbol="BTC/USDT", amount="1", entry_price="2", opened_at=3
    )
    write_freqtrade(BotState(trades=[trade], limits={"usd/day": "5"}), "tradesv3.sqlite")
    for block in blocks("From one bot to another"):
        exec(compile(block, "docs/trading.md, bots", "exec"), {"__name__": "page"})
    assert "('limits',)" in capsys.readouterr().out
