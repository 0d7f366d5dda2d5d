"""The file of a bot's state: docs/spec/bot-state.md."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from interchange.botstates import FEW, FLOATS, STATES

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.botstate import (
    BotOrder,
    BotState,
    BotTrade,
    KeptValue,
    amount_of,
    decode,
    encode,
    is_exact,
)


@FEW
@given(STATES)
def test_a_state_comes_back_from_its_file_as_it_was(bot: BotState) -> None:
    assert decode(encode(bot)) == bot


@FEW
@given(STATES)
def test_equal_states_are_equal_files(bot: BotState) -> None:
    assert encode(decode(encode(bot))) == encode(bot)


@given(FLOATS)
def test_a_float_comes_back_bit_for_bit_from_its_decimal_text(value: float) -> None:
    text = amount_of(value)
    assert float(text).hex() == value.hex()
    assert is_exact(text)
    BotState(trades=[trade(amount=text)])
    assert decode(encode(BotState(trades=[trade(amount=text)]))).trades[0].amount == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_amount_is_made_of_what_is_not_finite(value: float) -> None:
    with pytest.raises(InputError, match="is no amount"):
        amount_of(value)


@pytest.mark.parametrize(
    ("text", "exact"),
    [("0.1", True), ("0.10", True), ("0.1000000000000000000001", False), ("1E400", False)],
)
def test_text_that_no_float_has_is_told_apart(text: str, *, exact: bool) -> None:
    assert is_exact(text) is exact
    assert Decimal(text).is_finite()


def trade(**fields: Any) -> BotTrade:
    given_ = {
        "id": "1", "venue": "binance", "symbol": "BTC/USDT", "amount": "1", "entry_price": "2",
        "opened_at": 3,
    }  # fmt: skip
    return BotTrade(**{**given_, **fields})


def written(**changed: Any) -> bytes:
    fields = {"format": "haulout-bot-state", "version": 1, **changed}
    return json.dumps({key: one for key, one in fields.items() if one != "left out"}).encode()


def test_the_smallest_file_is_an_empty_state() -> None:
    assert decode(written()) == BotState()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (written(version=2), "version 2; this code reads 1"),
        (written(version=True), "version True"),
        (written(version="1"), "version '1'"),
        (written(version="left out"), "version None"),
        (written(format="left out"), "is no bot state"),
        (written(format="haulout-grant"), "is no bot state"),
        (b"[]", "is no bot state"),
        (written(positions=[]), "positions"),
        (written(trades=[{"id": "1"}]), "trades"),
        (written(limits={"usd/day": 5}), "limits"),
        (written(limits={"usd/day": "5\n"}), "limits"),
        (written(limits={"usd/day": "NaN"}), "limits"),
        (written(tag="0badcaf"), "tag"),
        (written(spent={"usd": {"-1": "2"}}), "spent"),
        (written(spent={"usd": {"x": "2"}}), "spent"),
        (written(at=2**62 + 1), "at"),
        (written(at=1.5), "at"),
        (b'{"format": "haulout-bot-state", "version": 1, "at": NaN}', "NaN is no number"),
        (b'{"format": "a", "format": "haulout-bot-state", "version": 1}', "stands twice"),
        (b'{"format": "haulout-bot-state", "version": 1, "name": "\\ud800"}', "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"", "is no JSON"),
    ],
)
def test_a_reader_refuses(data: bytes, says: str) -> None:
    with pytest.raises(ImportFormatError, match=says):
        decode(data)


def test_in_a_program_that_recurses_deep_a_deep_nesting_is_refused_all_the_same() -> None:
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(ImportFormatError, match="is no JSON"):
            decode(b"[" * 100_000)
    finally:
        sys.setrecursionlimit(usual)


def test_a_file_past_the_limit_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulout.interchange.botstate.LARGEST", 10)
    with pytest.raises(ImportFormatError, match="10 are read at most"):
        decode(written())


def test_integers_past_64_bits_and_floats_are_carried_exactly() -> None:
    value = {"big": 2**80, "small": 5e-324, "whole": 1.0, "one": 1, "yes": True}
    back = decode(encode(BotState(values={"a": KeptValue(value=value)}))).values["a"].value
    assert repr(back) == repr(dict(sorted(value.items())))


def test_a_value_that_json_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="JSON has not"):
        encode(BotState(values={"a": KeptValue(value=float("nan"))}))
    with pytest.raises(InputError, match="JSON has not"):
        encode(BotState(trades=[trade(orders=[BotOrder(role="stop", tag="\ud800")])]))
