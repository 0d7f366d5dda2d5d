"""Times to microseconds, and a memory's content: what is taken, what is refused, at its limit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import InputError, LimitError
from haulout.log import memory
from haulout.log.clock import from_microseconds, to_microseconds
from haulout.log.memory import (
    Content,
    checked_content,
    checked_namespace,
    checked_operation_id,
    read_payload,
)

NAIVE = datetime(2025, 1, 1)  # noqa: DTZ001

# --- times ---------------------------------------------------------------------------------

aware = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(value=aware, hours=st.integers(-23, 23))
def test_a_time_keeps_its_microsecond_in_any_zone(value: datetime, hours: int) -> None:
    elsewhere = value.astimezone(timezone(timedelta(hours=hours)))
    assert to_microseconds(elsewhere, "t") == to_microseconds(value, "t")
    assert from_microseconds(to_microseconds(elsewhere, "t")) == value
    assert to_microseconds(elsewhere.isoformat(), "t") == to_microseconds(value, "t")


@pytest.mark.parametrize(
    "value",
    [NAIVE, "2025-01-01T00:00:00", "2025-01-01", "noon", "", date(2025, 1, 1), 5,
     datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
     datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))],
)  # fmt: skip
def test_a_time_without_zone_or_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="occurred_at"):
        to_microseconds(value, "occurred_at")


# --- content -------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    """Lists and objects inside one another."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


BIG = "é" * (memory.TEXT_BYTES // 2)
ACCEPTED: list[dict[str, Any]] = [
    {"text": "x"},
    {"text": BIG},
    {"text": "\0 and \u2028 are characters"},
    {"kind": "k" * memory.NAME_BYTES},
    {"speaker": "é" * (memory.NAME_BYTES // 2)},
    {"tags": ["t" * memory.NAME_BYTES] * 2},
    {"tags": [str(n) for n in range(memory.TAGS)]},
    {"tags": ("a", "b")},
    {"metadata": {"a": "x" * (memory.METADATA_BYTES - len('{"a":""}'))}},
    {"metadata": {}},
    {"metadata": {"[[[[": '}]"{[' * 100}},
    {"metadata": {"a": nested(memory.METADATA_LEVELS - 1)}},
    {"source": "s" * memory.SOURCE_BYTES},
    {"source": ""},
    {"vector": [1] * memory.VECTOR_DIMENSIONS},
    {"vector": np.ones(3)},
    {"valid_from": "2025-01-01T00:00:00Z", "valid_until": "2025-01-01T00:00:00.000001Z"},
]
REFUSED: list[tuple[dict[str, Any], type[InputError]]] = [
    ({"text": ""}, InputError),
    ({"text": " \n\t\u3000"}, InputError),
    ({"text": None}, InputError),
    ({"text": b"bytes"}, InputError),
    ({"text": "half of a pair: \ud800"}, InputError),
    ({"text": BIG + "é"}, LimitError),
    ({"text": "x" * (memory.TEXT_BYTES + 1)}, LimitError),
    ({"kind": " "}, InputError),
    ({"kind": 5}, InputError),
    ({"kind": "k" * (memory.NAME_BYTES + 1)}, LimitError),
    ({"speaker": "é" * (memory.NAME_BYTES // 2 + 1)}, LimitError),
    ({"session": ["s"]}, InputError),
    ({"tags": "health"}, InputError),
    ({"tags": {"health"}}, InputError),
    ({"tags": [5]}, InputError),
    ({"tags": [""]}, InputError),
    ({"tags": ["t" * (memory.NAME_BYTES + 1)]}, LimitError),
    ({"tags": [str(n) for n in range(memory.TAGS + 1)]}, LimitError),
    ({"metadata": {"a": "x" * (memory.METADATA_BYTES - len('{"a":""}') + 1)}}, LimitError),
    ({"metadata": {"a": nested(memory.METADATA_LEVELS)}}, LimitError),
    ({"metadata": [1]}, InputError),
    ({"metadata": "{}"}, InputError),
    ({"metadata": {1: "a"}}, InputError),
    ({"metadata": {"a": float("nan")}}, InputError),
    ({"metadata": {"a": float("inf")}}, InputError),
    ({"metadata": {"a": b"bytes"}}, InputError),
    ({"metadata": {"a": "\udfff"}}, InputError),
    ({"source": "s" * (memory.SOURCE_BYTES + 1)}, LimitError),
    ({"vector": []}, LimitError),
    ({"vector": [1] * (memory.VECTOR_DIMENSIONS + 1)}, LimitError),
    ({"vector": [[1, 2]]}, LimitError),
    ({"vector": 5}, LimitError),
    ({"vector": [0, 0]}, InputError),
    ({"vector": [1, float("nan")]}, InputError),
    ({"vector": [1, float("inf")]}, InputError),
    ({"vector": [1e300, 1]}, InputError),
    ({"vector": ["a"]}, InputError),
    ({"vector": [[1], [1, 2]]}, InputError),
    ({"occurred_at": NAIVE}, InputError),
    ({"valid_from": "2025-01-02T00:00:00Z", "valid_until": "2025-01-02T00:00:00Z"}, InputError),
]


def content(**given_: Any) -> Content:
    return checked_content(**({"text": "words"} | given_))


def name_of(case: Any) -> str:
    return repr(case)[:50] if isinstance(case, dict) else getattr(case, "__name__", "")


@pytest.mark.parametrize("fields", ACCEPTED, ids=name_of)
def test_content_within_its_limits_is_taken(fields: dict[str, Any]) -> None:
    found = content(**fields)
    assert read_payload(found.payload()) == (found, {})


@pytest.mark.parametrize(("fields", "error"), REFUSED, ids=name_of)
def test_content_beyond_a_limit_is_refused(fields: dict[str, Any], error: type[InputError]) -> None:
    with pytest.raises(InputError) as raised:
        content(**fields)
    assert type(raised.value) is error
    assert len(raised.value.message) < 300


def test_metadata_nested_beyond_reading_is_refused() -> None:
    deep: Any = {}
    for _ in range(20_000):
        deep = {"a": deep}
    with pytest.raises(InputError):
        content(metadata=deep)


def test_a_mapping_that_is_no_dict_is_metadata_or_an_input_error() -> None:
    given_: Mapping[str, int] = MappingProxyType({"a": 1})
    try:
        assert content(metadata=given_).metadata == '{"a":1}'
    except InputError as error:
        assert "JSON" in error.message  # noqa: PT017


def test_tags_keep_their_order_without_repeats() -> None:
    assert content(tags=["b", "a", "b"]).tags == ("b", "a")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)
contents = st.builds(
    checked_content,
    words,
    kind=st.none() | words,
    speaker=st.none() | words,
    session=st.none() | words,
    occurred_at=st.none() | aware,
    valid_from=st.none() | aware,
    tags=st.lists(words, max_size=3),
    metadata=st.none()
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values, max_size=3),
    source=st.none() | words,
    vector=st.none() | st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=4).filter(any),
)


@settings(deadline=None)
@given(found=contents, of=st.binary(min_size=16, max_size=16))
def test_a_payload_holds_a_content_whole(found: Content, of: bytes) -> None:
    assert read_payload(found.payload()) == (found, {})
    assert read_payload(found.payload(of=of, changes=["text"])) == (
        found,
        {"of": of, "changes": ["text"]},
    )


@settings(deadline=None)
@given(found=contents)
def test_no_float_enters_a_payload(found: Content) -> None:
    def values(value: Any) -> Any:
        yield value
        for inner in value.values() if isinstance(value, dict) else ():
            yield from values(inner)
        for inner in value if isinstance(value, list) else ():
            yield from values(inner)

    assert not any(isinstance(one, float) for one in values(cbor2.loads(found.payload())))


# --- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a", "work/acme", "é" * 127, "with space", "日本/東京", "a.b-c_d"]
)
def test_these_are_namespaces(name: str) -> None:
    assert checked_namespace(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "a/", "/a", "a//b", "a/ /b", " ", "a*", "work/**", "a\nb", "a\0", "\x7f", "\x85",
     None, 5, b"a", "\ud800"],
)  # fmt: skip
def test_these_are_no_namespaces(name: Any) -> None:
    with pytest.raises(InputError):
        checked_namespace(name)


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128])
def test_a_namespace_has_at_most_255_bytes(name: str) -> None:
    with pytest.raises(LimitError):
        checked_namespace(name)


def test_an_operation_id_has_1_to_255_bytes() -> None:
    assert checked_operation_id("x" * 255) == "x" * 255
    with pytest.raises(LimitError):
        checked_operation_id("x" * 256)
    for wrong in ("", None, 5):
        with pytest.raises(InputError):
            checked_operation_id(wrong)
