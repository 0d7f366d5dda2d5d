"""freqtrade itself, in the environment that `make demo-trading` makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from integrations.trading.environments import DEMO, HERE, python_of, run

from haulout import Vault
from haulout.testing.venue.process import LoopbackVenue

pytestmark = pytest.mark.full


def test_freqtrade_has_everything_that_the_bridge_uses() -> None:
    found = json.loads(run("freqtrade", str(HERE / "freqtradecontract.py")))
    assert found["missing"] == []


def test_freqtrades_database_is_read_and_given_back_to() -> None:
    found = json.loads(run("freqtrade", str(HERE / "freqtradepersistence.py")))
    until = "2026-11-24T13:05:00+00:00"  # of the 5-minute candle that it ends in
    locks = [["ETH/BTC", until, "Cooldown", "long"]]
    own = {"level": 2, "plan": {"steps": [1, 2.5]}}
    assert found == {
        "open": ["ETH/BTC"],
        "has": [True, False, False],
        "closed": [False, True, False],
        "ended": [3],
        "both": [2, 3],
        "shown": [["ETH/BTC", "long", "10.0", "0.04", ["1"], own]],
        "locks": locks,
        "locked again": [],
        "given": [],
        "new given": ["custom data of the trade on ETH/BTC"],
        "new own": own,
        "given twice": [],
        "new locked": [f"the lock of ETH/BTC until {until}"],
        "new locks": locks,
        "ended by a person": [],
    }


def test_a_backtest_is_the_same_with_the_bridge_with_its_twin_and_without(tmp_path: Path) -> None:
    python_of("freqtrade")
    vault, _words = Vault.create(tmp_path / "vault", embedder="none")
    vault.close()
    prices = {"ETH/BTC": "0.05", "LTC/BTC": "0.05"}
    with LoopbackVenue("C", prices=prices, balances={"BTC": "10"}) as venue:
        names = ("Crossing", "CrossingRemembering", "CrossingTwin")
        text = run(
            "freqtrade", str(HERE / "freqtradebacktest.py"), venue.url, str(tmp_path), *names,
            HAULOUT_TEST_VAULT=str(tmp_path / "vault"),
        )  # fmt: skip
    found = json.loads(text)
    assert found["Crossing"]["count"] > 100
    assert found["CrossingRemembering"] == found["Crossing"]
    assert found["CrossingTwin"] == found["Crossing"]
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.states() == []


def test_live_freqtrade_buys_once_with_the_bridge_and_three_times_without() -> None:
    python_of("freqtrade")
    found = subprocess.run(
        [sys.executable, str(DEMO), "--json", "--only", "freqtrade"],
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    orders = {(one["scenario"], one["arm"]): one for one in json.loads(found.stdout)["runs"]}
    assert [one["orders_at_venue"] for one in orders.values()] == [3, 1, 2, 1]


def test_live_freqtrade_sells_where_the_owner_says_flatten_and_buys_where_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Path(python_of("freqtrade")).parent.parent
    monkeypatch.syspath_prepend(str(DEMO))
    from freqtraderun import PAIR, Freqtrade

    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    balances = {"BTC": "100", "ETH": "0", "BNB": "10"}
    with LoopbackVenue("C", prices={PAIR: "0.05"}, balances=balances) as venue:

        def filled(side: str) -> int:
            return sum(one.what == "filled" and one.side == side for one in venue.ledger())

        bot = Freqtrade(environment, venue.url, tmp_path, "AlwaysRemembering", tmp_path / "vault")
        with bot, Vault.open(tmp_path / "vault", embedder="none") as vault:
            state = vault.state("bots/freqtrade")
            bot.wait("a purchase", lambda: filled("buy") == 1, 400)
            state.flatten("enough for today")
            bot.wait("a sale", lambda: filled("sell") == 1, 60)
            bot.wait("the end of its trade", lambda: not any(one[2] for one in bot.trades()), 60)
            bot.wait("a refusal", lambda: any("the owner said flatten" in x for x in bot.lines()))
            assert filled("buy") == 1
            state.resume("a new day")
            bot.wait("a second purchase", lambda: filled("buy") == 2, 120)
    sys.modules.pop("freqtraderun", None)
