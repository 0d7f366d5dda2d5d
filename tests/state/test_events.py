"""Events have one form, and whatever is none is refused as damaged, and breaks nothing else."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import DamagedError, InputError, LimitError, VaultVersionError
from haulout.state.book import Book
from haulout.state.events import (
    VALUE_BYTES,
    VALUE_LEVELS,
    Event,
    Kind,
    amount,
    decode_event,
    encode_event,
    json_text,
    less,
    name_text,
    record_type,
    require_form,
    summed,
    total,
)

NOTE = Event(Kind.NOTE, 5, 0, {"journal": "fills", "value": "1"})


# --- amounts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_value", "text"),
    [
        (0, "0"), ("0.0", "0"), ("1.50", "1.5"), ("100", "100"), (0.1, "0.1"), ("1e3", "1000"),
        (Decimal("1E-8"), "0.00000001"), ("0.10", "0.1"), (1e-7, "0.0000001"), ("007", "7"),
    ],
)  # fmt: skip
def test_an_amount_has_one_form(given_value: Any, text: str) -> None:
    assert amount(given_value) == text
    assert amount(text) == text


@pytest.mark.parametrize(
    "value",
    ["", "-1", "-0", "NaN", "Infinity", "1e400", "1" * 61, None, True, [], "0x1", float("inf"),
     "1e-70", object()],
)  # fmt: skip
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        amount(value)


@given(st.decimals(min_value=0, max_value=10**20, places=18, allow_nan=False))
def test_sums_are_exact_whatever_context_the_program_set(value: Decimal) -> None:
    text = amount(value)
    with decimal.localcontext() as context:
        context.prec = 3
        assert amount(value) == text
        both = summed(text, "0.000000000000000001")
        assert less(both, text) == "0.000000000000000001"
        assert less(text, both) == "0"
        assert total(text, text) == total(summed(text, text))


def test_a_sum_may_be_longer_than_an_amount_may() -> None:
    most = "9" * 60
    assert summed(most, most) == str(2 * int(most))


# --- values --------------------------------------------------------------------------------


def test_json_is_canonical() -> None:
    assert json_text({"b": [1, True, None], "a": "é"}, "It") == '{"a":"é","b":[1,true,null]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: object()}, "\ud800"])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        json_text(value, "It")


def test_values_have_a_size_and_a_depth() -> None:
    def nested(levels: int) -> Any:
        found: Any = "x" * 200 + "[" * 200 + '\\"['
        for _ in range(levels):
            found = [found]
        return found

    assert json_text(nested(VALUE_LEVELS), "It")
    with pytest.raises(LimitError, match="levels"):
        json_text(nested(VALUE_LEVELS + 1), "It")
    assert json_text([[]] * 500, "It")
    assert json_text("x" * (VALUE_BYTES - 2), "It")
    with pytest.raises(LimitError, match="bytes"):
        json_text("x" * (VALUE_BYTES - 1), "It")


@pytest.mark.parametrize("name", ["", "a\n", "x" * 256, 7, "\u202e"])
def test_a_name_can_be_read(name: Any) -> None:
    with pytest.raises(InputError):
        name_text(name, "A name")


# --- bytes ---------------------------------------------------------------------------------


def test_an_event_comes_back_as_it_was() -> None:
    assert decode_event(encode_event(NOTE)) == NOTE
    assert record_type(NOTE) == 9
    assert record_type(Event(Kind.INTENT, 0, 0, {})) == 10
    assert record_type(Event(Kind.SETTLE, 0, 0, {})) == 11


def test_a_later_version_is_told_from_damage() -> None:
    with pytest.raises(VaultVersionError):
        decode_event(cbor2.dumps([2, "anything"]))


def test_a_kind_that_is_not_known_is_kept_and_folds_to_nothing() -> None:
    event = Event(77, 5, 0, {"what": ["ever", 1]})
    assert decode_event(encode_event(event)) == event
    book = Book()
    book.fold(1, event)
    assert book == Book(through=1, events=1, at=5)


@given(st.binary(max_size=200))
def test_fuzz_bytes_are_an_event_or_damaged(data: bytes) -> None:
    try:
        found = decode_event(data)
    except (DamagedError, VaultVersionError):
        return
    assert encode_event(found) == data


strange = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.binary(max_size=20) | st.dates() | st.decimals() | st.just(cbor2.undefined)
    | st.builds(cbor2.CBORTag, st.integers(0, 300), st.just("x")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8) | st.integers() | st.binary(max_size=4), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.integers(0, 12) | st.just(77), strange, strange, strange)
def test_fuzz_values_in_the_form_of_an_event_are_one_or_damaged(
    kind: int, at: Any, epoch: Any, body: Any
) -> None:
    _one_or_damaged([1, kind, at, epoch, body])


FIELDS = st.sampled_from(
    ["id", "name", "journal", "value", "version", "schema", "through", "by", "limits", "unit",
     "amount", "why", "action", "holder", "until", "tag", "role", "payload", "key", "target",
     "cost", "holds", "closes", "adopted", "status", "ref", "filled", "spent", "result"]
)  # fmt: skip
VALUES = strange | st.sampled_from(
    ["0", "1.50", "1.5", "null", "[", "entry", "exit", "done", "pause", "owner", bytes(16),
     bytes(4), [bytes(16)], {"usd": "1"}, {"usd/day": None}, {"usd/day": "1"},
     {"nonsense": "1"}, True, 1]
)  # fmt: skip


@given(st.integers(1, 10), st.integers(0, 9), st.dictionaries(FIELDS, VALUES, max_size=8))
def test_fuzz_fields_make_an_event_or_damage(kind: int, at: int, body: Any) -> None:
    _one_or_damaged([1, kind, at, 0, body])


def _one_or_damaged(values: Any) -> None:
    try:
        data = cbor2.dumps(values, canonical=True)
    except (cbor2.CBOREncodeError, TypeError, ValueError, OverflowError):
        return
    try:
        event = decode_event(data)
    except (DamagedError, VaultVersionError):
        return
    assert encode_event(event) == data
    require_form(event)  # what can be read may be written
    try:
        Book().fold(1, event)
    except DamagedError:
        return


def test_cyclic_and_deep_cbor_is_damaged() -> None:
    for data in (
        bytes.fromhex("850118630500a16178d81c81d81d00"),  # an array in it holds itself
        b"\x81" * 5000 + b"\x01",
        encode_event(NOTE) + b"\x00",
        encode_event(NOTE)[:-1],
        cbor2.dumps([1, 2, 5, 0, {"journal": "fills", "value": "1"}]),  # keys in another order
    ):
        with pytest.raises(DamagedError):
            decode_event(data)


@pytest.mark.parametrize(
    "event",
    [
        Event(Kind.INTENT, 1, 0, {"id": bytes(16), "action": "a", "role": "entry", "payload": "1",
                                  "cost": {"usd": "1.50"}}),
        Event(Kind.NOTE, 1, 0, {"journal": "j"}),
        Event(Kind.NOTE, -1, 0, {"journal": "j", "value": "1"}),
        Event(Kind.NOTE, 1, 2**63, {"journal": "j", "value": "1"}),
        Event(Kind.NOTE, 1, 0, {"journal": "j", "value": "NaN"}),
        Event(Kind.SETTLE, 1, 0, {"id": bytes(15), "status": "done"}),
        Event(Kind.SETTLE, 1, 0, {"id": bytes(16), "status": "perhaps"}),
    ],
)  # fmt: skip
def test_what_nobody_could_read_again_is_not_written_down(event: Event) -> None:
    with pytest.raises(InputError):
        require_form(event)
