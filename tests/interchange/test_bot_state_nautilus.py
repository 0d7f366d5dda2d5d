"""A bot state as what a NautilusTrader strategy saves and loads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interchange.botstates import FEW, STATES, interpreter

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.botstate import BotState, decode, encode
from haulout.interchange.nautilus import from_nautilus, to_nautilus

OWN = st.dictionaries(
    st.text(max_size=9).filter(lambda key: not key.startswith("haulout:")),
    st.binary(max_size=20),
    min_size=1,
    max_size=3,
)


@FEW
@given(STATES)
def test_a_state_comes_back_from_what_a_strategy_saves(bot: BotState) -> None:
    saved = to_nautilus(bot)
    assert all(type(value) is bytes for value in saved.values())
    assert from_nautilus(saved) == bot


@FEW
@given(OWN)
def test_what_a_strategy_saved_itself_comes_back_under_its_own_keys(own: dict[str, bytes]) -> None:
    bot = from_nautilus(own)
    assert to_nautilus(decode(encode(bot))) == own


@FEW
@given(STATES, OWN)
def test_both_are_carried_beside_each_other(bot: BotState, own: dict[str, bytes]) -> None:
    saved = {**to_nautilus(bot), **own}
    assert to_nautilus(decode(encode(from_nautilus(saved)))) == saved


def test_a_part_is_read_by_its_own_key() -> None:
    saved = to_nautilus(BotState(name="b", limits={"usd/day": "5"}))
    assert saved == {
        "haulout:version": b"1",
        "haulout:head": b'{"name":"b"}\n',
        "haulout:limits": b'{"usd/day":"5"}\n',
    }


@pytest.mark.parametrize(
    ("saved", "says"),
    [
        ({"haulout:version": b"2"}, "version b'2'; this code reads 1"),
        ({"haulout:limits": b"{}"}, "haulout:version is missing beside limits"),
        ({"haulout:version": b"1", "haulout:limits": b"{"}, "no JSON"),
        ({"haulout:version": b"1", "haulout:mood": b"1"}, "mood"),
        ({"haulout:version": b"1", "haulout:head": b"[]"}, "head"),
        ({"haulout:version": b"1", "haulout:head": b'{"limits": {}}'}, "head"),
        ({"haulout:version": b"1", "haulout:name": b'"b"'}, "head"),
    ],
)
def test_what_is_broken_or_of_another_version_is_refused(
    saved: dict[str, bytes], says: str
) -> None:
    with pytest.raises(ImportFormatError, match=says):
        from_nautilus(saved)


@pytest.mark.parametrize("kept", [{"a": "!"}, {"a": 1}, ["a"]])
def test_a_broken_extension_is_refused(kept: object) -> None:
    with pytest.raises(ImportFormatError, match="is broken"):
        to_nautilus(BotState(extensions={"nautilus": kept}))


def test_an_extension_cannot_write_over_this_modules_keys() -> None:
    with pytest.raises(InputError, match="do not begin"):
        to_nautilus(BotState(extensions={"nautilus": {"haulout:version": "Mg=="}}))


PYTHON = interpreter("nautilus")
_STRATEGY = """
import json, sys
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.trading.strategy import Strategy

class Mine(Strategy):
    def on_load(self, state):
        self.kept = dict(state)

    def on_save(self):
        return {**self.kept, "own": bytes([0, 255])}

engine, strategy = BacktestEngine(), Mine()
engine.add_strategy(strategy)
with open(sys.argv[1]) as given:
    strategy.load({key: bytes.fromhex(one) for key, one in json.load(given).items()})
with open(sys.argv[1], "w") as saved:
    json.dump({key: one.hex() for key, one in strategy.save().items()}, saved)
"""


@pytest.mark.skipif(
    not PYTHON, reason="no NautilusTrader: set HAULOUT_NAUTILUS_PYTHON, or run `make demo-trading`"
)
def test_a_state_goes_through_a_strategy_of_nautilus_trader_itself(tmp_path: Path) -> None:
    bot = BotState(
        name="bots/btc", at=5, limits={"usd/day": "0.1"}, extensions={"freqtrade": {"a": ["1"]}}
    )
    file = tmp_path / "state.json"
    file.write_text(json.dumps({key: one.hex() for key, one in to_nautilus(bot).items()}))
    subprocess.run(
        [PYTHON, "-c", _STRATEGY, str(file)], check=True, capture_output=True, timeout=300
    )
    saved = {key: bytes.fromhex(one) for key, one in json.loads(file.read_text()).items()}
    back = from_nautilus(saved)
    assert back.extensions.pop("nautilus") == {"own": "AP8="}
    assert back == bot
