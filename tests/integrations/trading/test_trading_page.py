"""Every block of docs/trading.md that is for one library runs, with it, at a venue on loopback."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import ccxt
import pytest
from integrations.trading.doubles import DOUBLES
from integrations.trading.loopback import made, running

from haulout import Vault
from haulout.integrations.ccxt import unguard
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
