"""Metadata and blob IDs: one form, and every other form refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redstuff.samples import sample

from haulout.errors import InputError, LimitError, WrongBytesError
from haulout.redstuff import Metadata, blob_id, blob_id_bytes, blob_id_text, encode

METADATA = encode(sample("metadata", 3_000), 10).metadata


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_a_blob_id_has_one_text(blob_id: bytes) -> None:
    text = blob_id_text(blob_id)
    assert len(text) == 43
    assert blob_id_bytes(text) == blob_id
    for other in (text + "=", text[:-1], text + "A", " " + text, text.replace(text[0], "+", 1)):
        with pytest.raises(InputError, match="is no blob ID"):
            blob_id_bytes(other)


def test_bits_that_no_byte_needs_have_to_be_zero() -> None:
    text = blob_id_text(bytes(32))
    assert text.endswith("A")
    with pytest.raises(InputError):
        blob_id_bytes(text[:-1] + "B")


@pytest.mark.parametrize("text", ["", "é" * 43, "A" * 42 + "=", "A" * 42 + "/", "\n" + "A" * 42])
def test_a_text_that_is_no_blob_id_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no blob ID"):
        blob_id_bytes(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_id_of_another_length_has_no_text(size: int) -> None:
    with pytest.raises(InputError, match="32 bytes"):
        blob_id_text(bytes(size))


def test_the_networks_own_regression_value_holds() -> None:
    # Of walrus.md §0; the text is part of Walrus's tests.
    assert blob_id(b"", 10) == "gLzpD29smKZiYJIWwKatudKr76kEprQeMPyAhuMbWd4"


def test_metadata_come_back_and_tell_a_slivers_hash() -> None:
    assert Metadata.from_bcs(METADATA.to_bcs()) == METADATA
    assert Metadata.from_bcs_with_id(METADATA.to_bcs_with_id()) == METADATA
    assert METADATA.to_bcs_with_id() == METADATA.blob_id + METADATA.to_bcs()
    assert METADATA.blob_id_text == blob_id_text(METADATA.blob_id)
    assert METADATA.sliver_hash("primary", 2) == METADATA.hashes[2][0]
    assert METADATA.sliver_hash("secondary", 2) == METADATA.hashes[7][1]
    for index in (-1, 10):
        with pytest.raises(InputError):
            METADATA.sliver_hash("secondary", index)


def test_metadata_of_another_blob_are_refused() -> None:
    written = bytearray(METADATA.to_bcs_with_id())
    for at in (0, 31, 34, 60, len(written) - 1):
        changed = written.copy()
        changed[at] ^= 1
        with pytest.raises(WrongBytesError):
            Metadata.from_bcs_with_id(bytes(changed))


def test_every_cut_and_every_addition_is_refused() -> None:
    written = METADATA.to_bcs()
    for end in range(len(written)):
        with pytest.raises(WrongBytesError):
            Metadata.from_bcs(written[:end])
    with pytest.raises(WrongBytesError, match="left over"):
        Metadata.from_bcs(written + b"\0")


@pytest.mark.parametrize(
    ("at", "to", "why"),
    [(0, b"\1", "variant 1"), (1, b"\0", "not encoded with Red Stuff"), (1, b"\2", "variant 2"),
     (2, b"\xff" * 8, "too large"), (11, b"\2", "variant 2")],
)  # fmt: skip
def test_another_version_or_encoding_is_refused(at: int, to: bytes, why: str) -> None:
    written = bytearray(METADATA.to_bcs())
    written[at : at + len(to)] = to
    with pytest.raises(WrongBytesError, match=why):
        Metadata.from_bcs(bytes(written))


@pytest.mark.parametrize("count", [0, 1, 3, 1001, 16_000])
def test_a_number_of_pairs_that_cannot_be_is_refused(count: int) -> None:
    length = bytearray()
    rest = count
    while rest >= 128:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    written = b"\0\1" + bytes(8) + bytes(length) + b"\0\0" * count
    with pytest.raises(WrongBytesError):
        Metadata.from_bcs(written)


def test_metadata_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InputError, match="9 pairs"):
        replace(METADATA, hashes=METADATA.hashes[1:])
    with pytest.raises(InputError, match="32 bytes"):
        replace(METADATA, hashes=(*METADATA.hashes[1:], (b"", bytes(32))))
    with pytest.raises(LimitError):
        replace(METADATA, size=1_834_953)
    with pytest.raises(InputError):
        replace(METADATA, size=-1)
