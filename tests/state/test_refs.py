"""An intent's ID as venues take it, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import InputError
from haulout.state.refs import VENUES, Code, intent_id, read, write

CODES: tuple[Code, ...] = ("hex", "uuid", "0xhex", "base62")
IDS = st.binary(min_size=16, max_size=16)


@given(IDS, st.sampled_from(CODES), st.sampled_from(["", "x-", "t-"]))
def test_an_id_comes_back_from_what_a_venue_keeps(found: bytes, code: Code, prefix: str) -> None:
    text = write(found, code, prefix)
    assert read(text, code, prefix) == found
    assert len(text) <= len(prefix) + 36


@given(IDS)
def test_a_number_fits_63_bits_and_is_never_read_back_as_an_id(found: bytes) -> None:
    text = write(found, "number")
    assert 0 <= int(text) < 2**63
    assert read(text, "number") is None


@given(st.text(max_size=40), st.sampled_from([*CODES, "number"]))
def test_what_is_none_of_ours_is_told(text: str, code: Code) -> None:
    found = read(text, code)
    assert (
        found is None
        or write(found, code).removeprefix("0x") == text.lower().removeprefix("0x")
        or code == "base62"
    )


@pytest.mark.parametrize("text", ["urn:uuid:" + "0" * 36, "{" + "0" * 36 + "}", "z" * 22, "g" * 32])
def test_a_second_spelling_is_none(text: str) -> None:
    assert all(read(text, code) is None for code in CODES)


def test_every_venue_gets_letters_that_it_takes() -> None:
    for name, rules in VENUES.items():
        text = write(bytes(range(16)), rules.code, rules.prefix)
        assert re.fullmatch(r"[0-9A-Za-z-]{1,36}", text), name
        assert rules.settle_s > 0, name


def test_an_intents_id_is_16_bytes_or_32_digits() -> None:
    assert intent_id(bytes(16)) == intent_id("0" * 32) == bytes(16)
    for wrong in ("0" * 31, bytes(15), None, 7):
        with pytest.raises(InputError):
            intent_id(wrong)  # pyright: ignore[reportArgumentType]
