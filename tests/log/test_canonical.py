"""The reader of canonical CBOR against the library's, which reads far more."""

from __future__ import annotations

import random
import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log import hostile
from vectors import plainly

from haulout.log.canonical import DEEPEST, read_canonical, version_of
from haulout.log.record import canonical

REFUSED = ValueError
PLAIN = {b"\xf6", b"\x1b" + b"\xff" * 8}

values = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=30).map(tuple),
    max_leaves=60,
)


def depth(value: object) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, tuple) else 0


@given(values)
def test_a_value_is_read_back_unless_it_is_too_deep(value: object) -> None:
    data = canonical(value)
    if depth(value) <= DEEPEST:
        assert read_canonical(data) == value
    else:
        with pytest.raises(REFUSED):
            read_canonical(data)


@pytest.mark.parametrize(
    "value",
    [-1, 1.5, True, False, {}, {"a": 1}, [-1], [1.5], 2**64, cbor2.undefined, cbor2.CBORTag(1, 1)],
)
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(REFUSED):
        read_canonical(canonical(value))


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1])
def test_a_number_has_one_spelling(number: int) -> None:
    assert read_canonical(canonical(number)) == number
    for mark, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            spelled = bytes([mark]) + number.to_bytes(size, "big")
            if spelled == canonical(number):
                continue
            with pytest.raises(REFUSED):
                read_canonical(spelled)


@pytest.mark.parametrize("mark", range(28, 32))
def test_no_number_has_more_than_eight_bytes(mark: int) -> None:
    for size in (16, 32, 64, 128):
        with pytest.raises(REFUSED):
            read_canonical(bytes([mark]) + b"\xff" * size)


def test_eight_arrays_stand_in_each_other_and_not_nine() -> None:
    assert read_canonical(b"\x81" * DEEPEST + b"\1") == ((((((((1,),),),),),),),)
    with pytest.raises(REFUSED):
        read_canonical(b"\x81" * (DEEPEST + 1) + b"\1")


@pytest.mark.parametrize("value", [2**64 - 1, b"x" * 300, "x" * 300, (1, b"x" * 30, (2, "é"))])
def test_every_cut_is_refused(value: object) -> None:
    data = canonical(value)
    for end in range(len(data)):
        for start in (b"", b"\x81", b"\x82\0"):
            with pytest.raises(REFUSED):
                read_canonical(start + data[:end])


def test_what_is_taken_is_what_the_plain_reader_takes() -> None:
    dice = random.Random(7)
    seeds = [canonical([1, b"x" * 40, "é", None, [2**40, [[]]], n]) for n in range(30)]
    taken = 0
    for _ in range(20_000):
        data = hostile.mutated(dice, seeds)
        mine, plain = read_or_none(read_canonical, data), read_or_none(plainly.read, data)
        assert plainly.written(listed(mine)) == plainly.written(plain) if mine else mine == plain
        taken += mine is not None and data not in seeds
    assert taken > 500


def listed(value: object) -> object:
    return [*map(listed, value)] if isinstance(value, tuple) else value


def read_or_none(read, data: bytes):
    try:
        return (read(data),) if read is read_canonical else [read(data)]
    except (ValueError, IndexError, KeyError):
        return None


@pytest.mark.parametrize("odd", hostile.ODD)
def test_no_length_depth_or_count_costs_more_than_its_bytes(odd: bytes) -> None:
    for data in (odd, b"\x82\1" + odd, odd * 1000, b"\x9a\0\x10\0\0" + odd * 100):
        start = time.process_time()
        found = read_or_none(read_canonical, data)
        assert time.process_time() - start < 1
        assert found is None or odd in PLAIN


@pytest.mark.parametrize("element", [b"\0", b"\x80", b"\xf6", b"\x40", b"\x60", b"\x81\0"])
def test_memory_is_in_proportion_to_the_input(element: bytes) -> None:
    count = 200_000
    data = b"\x9a" + count.to_bytes(4, "big") + element * (count - 1)

    def read() -> None:
        with pytest.raises(REFUSED):
            read_canonical(data)
        raise hostile.DamagedError("")

    assert hostile.peak_bytes(read) < 40 * len(data)


@pytest.mark.parametrize(
    ("data", "version"),
    [(b"", 0), (b"\x81", 0), (b"\x81\1", 1), (b"\x97\x17", 23), (b"\x97\x18", 0), (b"\x98\1", 0),
     (b"\x80\1", 0), (b"\xa1\1", 0), (b"\x85\x20", 0), (b"\x82\2\xff", 2)],
)  # fmt: skip
def test_a_version_is_known_whatever_follows(data: bytes, version: int) -> None:
    assert version_of(data) == version
