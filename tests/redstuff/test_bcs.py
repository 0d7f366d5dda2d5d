"""BCS: one form a value, and a reader that takes no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import InputError, LimitError, WrongBytesError
from haulout.redstuff import bcs


def read(data: bytes) -> bcs.Reader:
    return bcs.Reader(data, "The sample")


INTEGERS = [(bcs.u8, "u8", 1), (bcs.u16, "u16", 2), (bcs.u32, "u32", 4), (bcs.u64, "u64", 8)]


@pytest.mark.parametrize(("write", "name", "size"), INTEGERS)
def test_integers_are_little_endian_and_come_back(write, name: str, size: int) -> None:
    for value in (0, 1, 0x80, 2 ** (8 * size) - 1, 2 ** (8 * size - 1) + 1):
        written = write(value)
        assert written == value.to_bytes(size, "little")
        reader = read(written)
        assert getattr(reader, name)() == value
        reader.finish()


@pytest.mark.parametrize(("write", "name", "size"), INTEGERS)
def test_an_integer_that_does_not_fit_is_refused(write, name: str, size: int) -> None:
    for value in (-1, 2 ** (8 * size)):
        with pytest.raises(InputError, match="does not fit"):
            write(value)
    with pytest.raises(WrongBytesError, match="are left"):
        getattr(read(bytes(size - 1)), name)()


@given(st.integers(0, 2**32 - 1))
def test_a_uleb128_number_comes_back_from_its_shortest_form(value: int) -> None:
    written = bcs.uleb128(value)
    assert len(written) == max(1, -(-value.bit_length() // 7))
    reader = read(written)
    assert reader.uleb128() == value
    assert reader.left == 0


def test_uleb128_has_the_form_of_the_specification() -> None:
    known = {
        0: "00", 1: "01", 127: "7f", 128: "8001", 16384: "808001", 2097152: "80808001",
        268435456: "8080808001", 9487: "8f4a", 2**32 - 1: "ffffffff0f",
    }  # fmt: skip
    assert {value: bcs.uleb128(value).hex() for value in known} == known


@pytest.mark.parametrize("written", ["8000", "ff8000", "ffffffff1f", "808080808001", "80", ""])
def test_a_uleb128_number_of_another_form_is_refused(written: str) -> None:
    with pytest.raises(WrongBytesError):
        read(bytes.fromhex(written)).uleb128()


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_number_outside_32_bits_has_no_uleb128_form(value: int) -> None:
    with pytest.raises(InputError):
        bcs.uleb128(value)


def test_a_vector_longer_than_bcs_counts_is_refused_before_it_is_written() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return bcs.MOST_LENGTH + 1

    with pytest.raises(LimitError):
        bcs.byte_vector(Long())


@given(st.text(), st.binary(max_size=300))
def test_strings_and_byte_vectors_come_back(text: str, data: bytes) -> None:
    reader = read(bcs.string(text) + bcs.byte_vector(data))
    assert reader.string() == text
    assert reader.byte_vector() == data
    reader.finish()


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        bcs.string("\ud800")


def test_a_text_that_is_not_utf8_is_refused() -> None:
    for data in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80"):
        with pytest.raises(WrongBytesError, match="UTF-8"):
            read(bcs.byte_vector(data)).string()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.dictionaries(TEXTS, TEXTS, max_size=8))
def test_maps_are_sorted_by_serialised_key_and_come_back(entries: dict[str, str]) -> None:
    written = bcs.mapping({bcs.string(k): bcs.string(v) for k, v in entries.items()})
    reader = read(written)
    back = reader.mapping(bcs.Reader.string, bcs.Reader.string, 2)
    assert back == entries
    assert list(back) == sorted(entries, key=lambda key: (len(key.encode()), key.encode()))
    reader.finish()


@pytest.mark.parametrize("keys", [["aa", "b"], ["b", "a"], ["a", "a"]])
def test_a_map_out_of_order_is_refused(keys: list[str]) -> None:
    written = bcs.vector(bcs.string(key) + bcs.string("") for key in keys)
    with pytest.raises(WrongBytesError, match="in order"):
        read(written).mapping(bcs.Reader.string, bcs.Reader.string, 2)


@given(st.lists(st.integers(0, 65535), max_size=20))
def test_vectors_come_back(items: list[int]) -> None:
    reader = read(bcs.vector(map(bcs.u16, items)))
    assert reader.vector(bcs.Reader.u16, 2) == items
    assert (reader.left, reader.offset) == (0, len(items) * 2 + 1)


def test_a_count_that_the_bytes_cannot_hold_is_refused_before_items_are_read() -> None:
    for least, held in ((1, 99), (2, 199), (40, 3999)):
        with pytest.raises(WrongBytesError, match="items cannot stand"):
            read(bcs.uleb128(100) + bytes(held)).count(least)
        assert read(bcs.uleb128(100) + bytes(100 * least)).count(least) == 100


def test_a_variant_that_is_not_known_is_refused() -> None:
    assert read(b"\x01").variant(2) == 1
    with pytest.raises(WrongBytesError, match="variant 2 is not known"):
        read(b"\x02").variant(2)


def test_bytes_left_over_are_refused_and_the_message_says_whose_and_where() -> None:
    reader = read(b"\x01\x02\x03")
    reader.u16()
    with pytest.raises(WrongBytesError, match="The sample cannot be read at byte 2: 1 bytes"):
        reader.finish()


def test_reading_past_the_end_moves_nothing() -> None:
    reader = read(b"\x01")
    with pytest.raises(WrongBytesError):
        reader.u16()
    assert reader.u8() == 1
