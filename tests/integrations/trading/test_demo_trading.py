"""`make demo-trading`: its tap, its picture, and the runs that need no environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from integrations.trading.environments import DEMO

from haulout.testing.venue.process import LoopbackVenue


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of the demonstration can be imported, and are gone again afterwards."""
    monkeypatch.syspath_prepend(str(DEMO))
    yield
    for name in ("freqtraderun", "runs", "tap", "timeline"):
        sys.modules.pop(name, None)


def ask(url: str, method: str = "GET") -> Any:
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_tap_tells_what_was_sent_lost_answered_and_found(demo: None) -> None:
    from tap import Tap

    order = "api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a"
    prices = {"BTC/USDT": "100"}
    with LoopbackVenue("C", prices=prices) as venue, Tap(venue.url) as tap:
        venue.fault("cut_after_accept")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            ask(f"{tap.url}/{order}", "POST")
        with pytest.raises(urllib.error.HTTPError):
            ask(f"{tap.url}/api/v3/order?symbol=BTCUSDT&origClientOrderId=b")
        ask(f"{tap.url}/api/v3/order?symbol=BTCUSDT&origClientOrderId=a")
        ask(f"{tap.url}/api/v3/time")
        ask(f"{tap.url}/{order[:-1]}c", "POST")
        venue.fault("error_after_accept")
        with pytest.raises(urllib.error.HTTPError):
            ask(f"{tap.url}/{order[:-1]}d", "POST")
    assert [one.what for one in tap.marks] == [
        "sent", "lost", "asked", "asked", "found", "sent", "answered", "sent", "lost",
    ]  # fmt: skip
    times = [one.at for one in tap.marks]
    assert times == sorted(times)


def test_the_picture_has_a_row_for_each_run_and_says_what_reached_the_venue(demo: None) -> None:
    from runs import Run
    from tap import Mark
    from timeline import SIGNS, drawing

    seconds = {"sent": 0.0, "accepted": 0.01, "lost": 0.02, "killed": 0.03, "started": 0.04}
    marks = [Mark(100 + at, what) for what, at in seconds.items()]
    before = Run("a & b", "before", orders=2, known=1, marks=[*marks, Mark(130.0, "sent")])
    after = Run("a & b", "after", orders=1, known=1, marks=[*marks, Mark(131.0, "found")])
    picture = drawing([before, after])
    words = [one.text for one in ET.fromstring(picture).iter() if one.text]
    assert {"a & b", "without Haulout", "with Haulout", "2 orders", "1 order"} <= set(words)
    assert {"the bot knows of 1", "the bot knows all", "30 s", "30.00 s"} <= set(words)
    assert {one.words for one in SIGNS.values()} <= set(words)


def test_a_run_agrees_only_where_orders_and_amounts_do(demo: None) -> None:
    from runs import Run

    one = Run("a", "after", orders=1, known=1, bought=Decimal(10), bot=Decimal("10.0"))
    assert one.agrees
    assert not Run("a", "after", orders=2, known=1, bought=Decimal(10), bot=Decimal(10)).agrees
    assert not Run("a", "after", orders=1, known=1, bought=Decimal(20), bot=Decimal(10)).agrees


@pytest.mark.full
def test_bots_on_ccxt_and_alpaca_py_order_once_with_the_guard(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, str(DEMO), "--json", "--only", "ccxt", "--only", "alpaca",
         "--picture", str(tmp_path / "timeline.svg")],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    runs = json.loads(found.stdout)["runs"]
    assert [one["orders_at_venue"] for one in runs] == [3, 1, 2, 1, 3, 1]
    assert [one["orders_in_bot"] for one in runs] == [1] * 6
    assert (tmp_path / "timeline.svg").exists()
