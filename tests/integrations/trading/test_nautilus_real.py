"""NautilusTrader itself, in the environment that `make demo-trading` makes."""

import json
from pathlib import Path

import pytest
from integrations.trading.environments import DEMO, HERE, run

from haulout import Vault

pytestmark = pytest.mark.full


def test_a_strategy_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    vault, _words = Vault.create(tmp_path / "vault", embedder="none")
    vault.close()
    bot = str(DEMO / "nautilus_bot.py")
    whole = json.loads(run("nautilus", bot, "whole"))
    before = json.loads(run("nautilus", bot, "before"))
    after = json.loads(run("nautilus", bot, "after", "--vault", str(tmp_path / "vault")))
    assert after["fills"] == whole["fills"] != before["fills"]
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        assert vault.state("bots/crossing").document("nautilus").read() is not None


def test_orders_bear_our_ids_and_their_ends_are_written_down() -> None:
    found = json.loads(run("nautilus", str(HERE / "nautilusorders.py")))
    assert found["filled"] == ["done", "100000"]
    assert found["denied"][0] == "refused"
    assert found["refused by the owner"].startswith("order is refused: the limit orders/day")
    assert found["fills"] == 1
