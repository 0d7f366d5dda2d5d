"""MetaTrader's global variables: their text, their limits, and what they have no place for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import ImportFormatError
from haulout.interchange.botstate import BotState, Halt, KeptValue
from haulout.interchange.globalvariables import (
    Variable,
    from_globals,
    read_globals,
    to_globals,
    write_globals,
)

NOW = 1_790_000_000_000_000
WEEKS = 28 * 86_400_000_000
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";,"),
                min_size=1, max_size=63)  # fmt: skip
VARIABLES = st.lists(
    st.builds(
        Variable,
        NAMES,
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(0, 4_000_000_000).map(lambda seconds: seconds * 1_000_000),
    ),
    unique_by=lambda one: one.name,
)


@given(VARIABLES)
def test_variables_come_back_from_their_text_bit_for_bit(variables: list[Variable]) -> None:
    back = read_globals(write_globals(variables))
    assert [(one.name, one.value.hex(), one.at) for one in back] == [
        (one.name, one.value.hex(), one.at) for one in sorted(variables)
    ]


@given(VARIABLES)
def test_variables_come_back_from_a_state(variables: list[Variable]) -> None:
    found = to_globals(from_globals(variables, now=NOW, expired=True).bot)
    assert sorted(found.variables) == sorted(variables)
    assert (found.left_out, found.as_numbers) == ((), ())


@pytest.mark.parametrize(
    "data",
    [
        b"a;1.5;2026.09.21 14:13:20\r\nb;-2;\r\n",
        b"a,1.5,2026.09.21 14:13:20\nb,-2\n",
        b"name\tvalue\ttime\na\t1.5\t1790000000\nb\t-2\t",
        "a;1.5;2026.09.21 14:13:20\r\nb;-2;".encode("utf-16"),
        b"\xef\xbb\xbfa; 1.50000000 ;2026.09.21 14:13:20\r\n\r\nb;-2.;\r\n",
    ],
)
def test_what_scripts_write_is_read_in_all_its_forms(data: bytes) -> None:
    assert read_globals(data) == [Variable("a", 1.5, NOW), Variable("b", -2.0, 0)]


def test_a_terminals_clock_is_told_from_outside() -> None:
    text = b"a;1;2026.09.21 17:13:20\nb;1;1790010800"
    assert {one.at for one in read_globals(text, offset=timedelta(hours=3))} == {NOW}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a;b;c;d", "Line 1 is no name"),
        (b"a;1\nb", "Line 2 is no name"),
        (b";1", "Line 1 is no name"),
        (b"a;1\na;2", "Line 2: a stands there twice"),
        (b"a;nan", "no finite number"),
        (b"a;1.#INF", "no finite number"),
        (b"a;1e999", "no finite number"),
        (b"a;0x10", "no finite number"),
        (b"a;1_0", "no finite number"),
        (b"a;1;yesterday", "is no time"),
        (b"a;1;2026.13.01 00:00:00", "is no time"),
        (b"x" * 64 + b";1", "at most 63"),
        (b"\xff;1", "neither UTF-8"),
    ],
)
def test_a_line_that_is_none_is_refused_by_its_number(data: bytes, says: str) -> None:
    with pytest.raises(ImportFormatError, match=says):
        read_globals(data)


def test_a_variable_that_the_terminal_would_have_deleted_is_named_and_not_taken() -> None:
    variables = [Variable("old", 1, NOW - WEEKS - 1), Variable("just", 1, NOW - WEEKS),
                 Variable("new", 1, NOW), Variable("of no time", 1)]  # fmt: skip
    found = from_globals(variables, now=NOW)
    assert found.expired == ("old",)
    assert sorted(found.bot.values) == ["globals/just", "globals/new", "globals/of no time"]
    assert from_globals(variables, now=NOW, expired=True).expired == ()
    assert found.bot.values["globals/just"].at == NOW - WEEKS  # it is as old as it was


def values(**documents: Any) -> BotState:
    return BotState(values={name: KeptValue(value=one, at=NOW) for name, one in documents.items()})


def test_numbers_are_named_by_their_place() -> None:
    found = to_globals(values(risk={"level": 3, "ratio": 0.1, "on": True}, grid=[1.5, [2]]))
    assert {one.name: one.value for one in found.variables} == {
        "risk.level": 3.0, "risk.ratio": 0.1, "risk.on": 1.0, "grid[0]": 1.5, "grid[1][0]": 2.0,
    }  # fmt: skip
    assert {one.at for one in found.variables} == {NOW}
    assert found.as_numbers == ("grid[1][0]", "risk.level", "risk.on")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("text", "it is text"), ("0.1", "it is text"), (None, "it is nothing"), ({}, "it is empty"),
        ([], "it is empty"), (2**53 + 1, "neighbours"), (-(2**53) - 1, "neighbours"),
        ({"x" * 62: 1}, "64 characters"), ({"a;b": 1}, "character"),
    ],
)  # fmt: skip
def test_what_a_variable_cannot_hold_is_named(value: Any, why: str) -> None:
    found = to_globals(values(a=value, b=1.5))
    assert [one.name for one in found.variables] == ["b"]
    (left,) = found.left_out
    assert left.place.startswith("a")
    assert why in left.why


def test_the_largest_exact_integer_is_carried() -> None:
    assert to_globals(values(a=2**53)).variables[0].value == 2.0**53


def test_two_numbers_of_one_name_are_not_one() -> None:
    bot = values(a={"b": 1.0})
    bot.values["a.b"] = KeptValue(value=2.0)
    found = to_globals(bot)
    assert len(found.variables) == 1
    assert found.left_out == (("a.b", "another number has its name"),)


def test_parts_that_variables_have_no_place_for_are_named() -> None:
    bot = BotState(halt=Halt(action="pause"), limits={"usd/day": "5"})
    assert [one.place for one in to_globals(bot).left_out] == ["limits", "halt"]
