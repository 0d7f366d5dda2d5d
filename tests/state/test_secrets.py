"""Secrets are refused as values and left out of answers; what only looks like one is kept."""

from __future__ import annotations

from typing import Any

import pytest
from state.desk import Clock, in_memory

from haulout.errors import InputError
from haulout.state.secrets import redacted, refuse_secrets
from haulout.state.state import State

KEY = "-----BEGIN EC " + "PRIVATE KEY-----\nabc"
SECRETS: list[Any] = [
    {"api_key": "abc"}, {"apiKey": "abc"}, {"API-SECRET": "x"}, {"password": "hunter2"},
    {"exchange": [{"secret": "x"}]}, {"clientSecret": "x"}, {"mnemonic": "abandon"},
    "sk-" + "a" * 24, "AKIA" + "A" * 16, KEY, {"note": f"use {KEY}"}, ["ghp_" + "a" * 36],
    {"x": "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0" + ".SflKxwRJSMeKKF2QT4"},
]  # fmt: skip
HARMLESS: list[Any] = [
    {"key": "btc"}, {"token": "SOL"}, {"seed": "7"}, {"api_key": ""}, {"api_key": None},
    {"keyboard": "x"}, {"skill": "sk-short"}, "AKIA", {"secretary": "Ann"}, 7, None, ["a"],
]  # fmt: skip


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
