"""Secrets are refused as values and left out of answers; what only looks like one is kept."""

from __future__ import annotations

from string import ascii_letters, digits
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state.desk import Clock, in_memory

from haulout.errors import InputError
from haulout.state.secrets import redacted, refuse_secrets
from haulout.state.state import State

KEY = "-----BEGIN EC " + "PRIVATE KEY-----\nabc"
SECRETS: list[Any] = [
    {"api_key": "abc"}, {"apiKey": "abc"}, {"API-SECRET": "x"}, {"password": "hunter2"},
    {"exchange": [{"secret": "x"}]}, {"clientSecret": "x"}, {"mnemonic": "abandon"},
    "sk-" + "a" * 24, "AKIA" + "A" * 16, KEY, {"note": f"use {KEY}"}, ["ghp_" + "a" * 36],
    {"exchange_api_key": "k"}, {"BINANCE_API_SECRET": "q"}, {"walletPrivateKey": "0x1"},
    {"binance-secret": "z"}, {"headers": {"X-MBX-APIKEY": "abcd"}}, {"passwd": "x"},
    {"db_password": "x"}, {"Authorization": "Basic abc"}, {"x": "Bearer " + "a" * 20},
    "AIza" + "S" * 35, "sk-ant-api03-" + "b" * 40, "xoxb-" + "1" * 12,
    {"x": "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0" + ".SflKxwRJSMeKKF2QT4"},
]  # fmt: skip
HARMLESS: list[Any] = [
    {"key": "btc"}, {"token": "SOL"}, {"seed": "7"}, {"api_key": ""}, {"api_key": None},
    {"keyboard": "x"}, {"skill": "sk-short"}, "AKIA", {"secretary": "Ann"}, 7, None, ["a"],
]  # fmt: skip


ORDINARY: list[Any] = [
    {"signal_key": "a"}, {"primaryKey": "b"}, {"base_token": "USDC"}, {"quoteToken": "WETH"},
    {"tokenId": "7"}, {"sessionId": "asia"}, {"passed": "yes"}, {"auth": "done"},
    {"public_key": "ab"}, {"key_level": "64000"}, {"order_by": "key"}, {"secretariat": "UN"},
    "TOKEN/USDT", "KEY/USDT", "SECRET-USD", "PASS_USDT", "x-A6SIDXVS1234567890abcdef",
    "Bearer market", "the password was changed",
]  # fmt: skip
"""Names and symbols of a desk."""


@pytest.mark.parametrize("value", ORDINARY)
def test_the_words_of_a_desk_are_kept(value: Any) -> None:
    refuse_secrets(value, "It")
    assert redacted(value) == value


@given(number=st.integers(0, 2**256 - 1), letters=st.text(ascii_letters + digits, max_size=64))
def test_no_id_hash_or_number_is_taken_for_a_secret(number: int, letters: str) -> None:
    whole = UUID(int=number % 2**128)
    ids = [
        str(whole),
        whole.hex,
        f"0x{number:064x}",
        f"ccxt-{whole}",
        str(number),
        f"x-{whole.hex}",
    ]
    refuse_secrets([*ids, {"clientOrderId": ids[0], "hash": ids[2]}], "It")
    if not letters.startswith(("AKIA", "AIza", "gh")):
        refuse_secrets(letters, "It")


@pytest.fixture
def state() -> State:
    return in_memory(Clock())


@pytest.mark.parametrize("value", SECRETS)
def test_s13_a_secret_is_refused_wherever_a_value_is_kept(value: Any, state: State) -> None:
    for keep in (
        lambda: state.document("config").set(value),
        lambda: state.journal("notes", lambda total, _note: total, 0).note(value),
        lambda: state.journal("notes", lambda total, _note: total, 0).note(value, wait=False),
        lambda: state.reserve("order", value),
        lambda: state.settle(state.reserve("order").intent, "done", result=value),
    ):
        with pytest.raises(InputError, match="looks like a secret") as caught:
            keep()
        assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(list(state.events()))


@pytest.mark.parametrize("value", SECRETS)
def test_an_answer_is_kept_without_its_secrets(value: Any) -> None:
    refuse_secrets(redacted(value), "It")


@pytest.mark.parametrize("value", HARMLESS)
def test_what_only_sounds_like_a_secret_is_kept(value: Any) -> None:
    refuse_secrets(value, "It")
    assert redacted(value) == value or value == {"api_key": ""}


def test_the_message_names_the_field_and_not_the_secret() -> None:
    with pytest.raises(InputError, match=r"at exchange\[1\].secret") as caught:
        refuse_secrets({"exchange": [1, {"secret": "swordfish"}]}, "It")
    assert "swordfish" not in str(caught.value)
