"""Values that bots keep, as JSON and back."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import DamagedError, InputError
from haulout.integrations.bots.values import decoded, encoded

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False),
    st.binary(), st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.just(UTC)), st.dates(), st.timedeltas(),
)  # fmt: skip
KEYS = st.one_of(st.text(), st.integers(), st.tuples(st.text(), st.integers()))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(KEYS, inner),
        st.sets(st.integers()), st.frozensets(st.text()),
    ),
)  # fmt: skip


@given(VALUES)
def test_what_is_kept_comes_back_equal_and_of_its_kind(value: Any) -> None:
    back = decoded(json.loads(json.dumps(encoded(value), allow_nan=False)))
    assert back == value
    assert type(back) is type(value)


def test_a_map_that_looks_like_a_mark_comes_back_as_a_map() -> None:
    value = {"$": "time", "is": "2026"}
    assert decoded(encoded(value)) == value


def test_what_no_number_says_comes_back() -> None:
    back = decoded(encoded([math.nan, math.inf, -math.inf]))
    assert math.isnan(back[0])
    assert back[1:] == [math.inf, -math.inf]


def test_a_time_is_no_date_and_a_subclass_becomes_what_it_stands_for() -> None:
    assert decoded(encoded(datetime(2026, 1, 2))) == datetime(2026, 1, 2)  # noqa: DTZ001 - as bots keep them
    assert decoded(encoded(date(2026, 1, 2))) == date(2026, 1, 2)
    assert decoded(encoded(OrderedDict(a=timedelta(1)))) == {"a": timedelta(1)}


def test_sets_are_written_in_one_order() -> None:
    assert json.dumps(encoded({"b", "a", "c"})) == json.dumps(encoded({"c", "b", "a"}))


def test_what_has_no_form_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"builtins\.object cannot be kept"):
        encoded({"a": [object()]})


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InputError, match="holds itself"):
        encoded(value)


@pytest.mark.parametrize(
    "broken",
    [{"$": "time", "is": "no"}, {"$": "unheard of", "is": 1}, {"$": "map", "is": [[1]]},
     {"$": "decimal", "is": "x"}, {"$": "set"}],
)  # fmt: skip
def test_what_is_not_of_the_form_is_damaged(broken: Any) -> None:
    with pytest.raises(DamagedError):
        decoded([broken])


def test_decimals_keep_their_digits() -> None:
    assert str(decoded(encoded(Decimal("0.10")))) == "0.10"


def test_the_form_is_the_one_that_older_states_hold() -> None:
    value = {
        "at": datetime(2026, 11, 24, 12, tzinfo=UTC), "on": date(2026, 11, 24), 1: (2, {3}),
        "for": timedelta(seconds=1), "size": Decimal("0.10"), "raw": b"\xff", "no": math.inf,
        "those": frozenset("a"),
    }  # fmt: skip
    assert encoded(value) == {
        "$": "map",
        "is": [
            ["at", {"$": "time", "is": "2026-11-24T12:00:00+00:00"}],
            ["on", {"$": "date", "is": "2026-11-24"}],
            [1, {"$": "tuple", "is": [2, {"$": "set", "is": [3]}]}],
            ["for", {"$": "microseconds", "is": 1_000_000}],
            ["size", {"$": "decimal", "is": "0.10"}],
            ["raw", {"$": "bytes", "is": "ff"}],
            ["no", {"$": "float", "is": "inf"}],
            ["those", {"$": "frozenset", "is": ["a"]}],
        ],
    }
