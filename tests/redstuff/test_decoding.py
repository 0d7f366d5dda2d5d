"""Decoding: from any p rows or s columns, and against slivers that are wrong or of no one blob."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redstuff.samples import sample

from haulout.errors import InconsistentBlobError, TooFewSliversError, WrongBytesError
from haulout.redstuff import (
    Encoded,
    Metadata,
    Sliver,
    acceleration,
    decode,
    decoding,
    encode,
    parameters,
    verify_sliver,
)
from haulout.redstuff.parameters import Axis
from haulout.redstuff.slivertree import sliver_root

CHECKS = pytest.mark.parametrize("check", ["default", "strict", "skip"])
AXES: tuple[Axis, ...] = ("primary", "secondary")


def slivers(encoded: Encoded, axis: Axis, indices: list[int]) -> list[Sliver]:
    ask = encoded.primary if axis == "primary" else encoded.secondary
    return [ask(index) for index in indices]


@pytest.mark.parametrize("choice", ["numpy", "numba"])
@settings(deadline=None, max_examples=60)
@given(st.integers(4, 50), st.integers(0, 5_000), st.sampled_from(AXES), st.integers(0, 2**32))
def test_any_slivers_that_suffice_give_the_blob_back(
    choice: acceleration.Choice, n: int, size: int, axis: Axis, seed: int
) -> None:
    blob = sample(str(seed), size)
    with acceleration.using(choice):
        encoded = encode(blob, n)
        count = parameters(n).source_count(axis)
        chosen = random.Random(seed).sample(range(n), count)
        found = decode(encoded.metadata, slivers(encoded, axis, chosen))
    assert found == blob


@CHECKS
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("n", [100, 301])
def test_a_blob_comes_back_without_any_of_its_source(n: int, axis: Axis, check: str) -> None:
    blob = sample("lost", 50_001)
    encoded = encode(blob, n)
    count = parameters(n).source_count(axis)
    lost = slivers(encoded, axis, list(range(n - count, n)))
    assert decode(encoded.metadata, lost, check=check) == blob


def test_a_blob_over_all_shards_of_the_network_comes_back() -> None:
    blob = sample("network", 20_000)
    with acceleration.using("numba"):
        encoded = encode(blob, 1000)
    for choice in ("numpy", "numba"):
        with acceleration.using(choice):
            for axis, first in (("primary", 334), ("secondary", 333)):
                count = parameters(1000).source_count(axis)
                lost = slivers(encoded, axis, list(range(first, first + count)))
                assert decode(encoded.metadata, lost, check="skip") == blob


@pytest.mark.parametrize("size", [0, 1, 27, 28, 29, 55, 56, 57, 28 * 62 - 1, 28 * 66])
@pytest.mark.parametrize("axis", AXES)
def test_the_end_of_a_blob_is_cut_where_it_was(size: int, axis: Axis) -> None:
    blob = sample("cut", size)
    encoded = encode(blob, 10)
    count = parameters(10).source_count(axis)
    for first in range(11 - count):
        chosen = slivers(encoded, axis, list(range(first, first + count)))
        assert decode(encoded.metadata, chosen) == blob


@pytest.mark.parametrize("axis", AXES)
def test_narrow_bands_give_the_same(axis: Axis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_BAND_BYTES", 500)
    blob = sample("narrow", 9_999)
    encoded = encode(blob, 31)
    count = parameters(31).source_count(axis)
    assert decode(encoded.metadata, slivers(encoded, axis, list(range(31 - count, 31)))) == blob


def test_slivers_of_both_axes_are_not_mixed_but_either_may_suffice() -> None:
    blob = sample("both", 3_000)
    encoded = encode(blob, 10)
    few = slivers(encoded, "primary", [1, 8, 9])
    with pytest.raises(TooFewSliversError, match="3 primary and 6 secondary"):
        decode(encoded.metadata, [*few, *slivers(encoded, "secondary", [0, 1, 2, 7, 8, 9])])
    enough = slivers(encoded, "secondary", [0, 2, 4, 6, 7, 8, 9])
    assert decode(encoded.metadata, [*few, *enough]) == blob


def test_slivers_that_cannot_be_used_are_left_out() -> None:
    blob = sample("unusable", 3_000)
    encoded = encode(blob, 10)
    right = encoded.primary(5)
    bad = [
        replace(right, index=10), replace(right, index=-1), replace(right, data=right.data[:-1]),
        replace(right, symbol_size=right.symbol_size + 2), replace(right, data=b""),
        right, right, right,
    ]  # fmt: skip
    with pytest.raises(TooFewSliversError, match="1 primary"):
        decode(encoded.metadata, bad)
    rest = slivers(encoded, "primary", [0, 6, 9])
    assert decode(encoded.metadata, [*bad, *rest]) == blob


def test_no_more_slivers_are_taken_than_are_needed() -> None:
    encoded = encode(sample("lazy", 3_000), 10)
    offered = iter(slivers(encoded, "primary", list(range(9, -1, -1))))
    decode(encoded.metadata, offered)
    assert [sliver.index for sliver in offered] == [5, 4, 3, 2, 1, 0]


def lied(blob: bytes, n: int, row: int) -> tuple[Metadata, dict[int, Sliver]]:
    """Metadata that promise another source row, and the rows of the writer who did so."""
    encoded = encode(blob, n)
    rows = {index: encoded.primary(index) for index in range(n)}
    rows[row] = replace(rows[row], data=bytes(byte ^ 0x55 for byte in rows[row].data))
    hashes = list(encoded.metadata.hashes)
    hashes[row] = (sliver_root(rows[row], n), hashes[row][1])
    return replace(encoded.metadata, hashes=tuple(hashes)), rows


def test_a_lie_about_a_source_row_is_found_where_it_is_not_among_the_slivers() -> None:
    blob = sample("lie", 3_000)
    metadata, rows = lied(blob, 10, 1)
    for row in rows.values():
        verify_sliver(metadata, row)
    chosen = [rows[index] for index in (0, 2, 3, 7)]
    for check in ("default", "strict"):
        with pytest.raises(InconsistentBlobError, match="not those of one blob"):
            decode(metadata, chosen, check=check)
    assert decode(metadata, chosen, check="skip") == blob


def test_only_the_strict_check_finds_a_lie_that_was_read_itself() -> None:
    metadata, rows = lied(sample("lie", 3_000), 10, 1)
    chosen = [rows[index] for index in range(4)]
    promised = decode(metadata, chosen)
    assert promised[: len(rows[0].data)] == rows[0].data
    assert promised[len(rows[0].data) : 2 * len(rows[0].data)] == rows[1].data
    with pytest.raises(InconsistentBlobError):
        decode(metadata, chosen, check="strict")


def test_a_lie_about_a_row_of_zeros_is_found() -> None:
    encoded = encode(b"short", 10)
    hashes = list(encoded.metadata.hashes)
    hashes[3] = (bytes([7]) * 32, hashes[3][1])
    metadata = replace(encoded.metadata, hashes=tuple(hashes))
    columns = slivers(encoded, "secondary", list(range(7)))
    with pytest.raises(InconsistentBlobError):
        decode(metadata, columns)
    assert decode(metadata, columns, check="skip") == b"short"


def test_a_lie_about_a_recovery_row_is_found_by_the_strict_check_alone() -> None:
    metadata, rows = lied(sample("lie", 3_000), 10, 9)
    chosen = [rows[index] for index in range(4)]
    decode(metadata, chosen)
    with pytest.raises(InconsistentBlobError):
        decode(metadata, chosen, check="strict")


@pytest.mark.parametrize("axis", AXES)
def test_a_sliver_is_right_only_whole_and_in_its_place(axis: Axis) -> None:
    encoded = encode(sample("right", 3_000), 10)
    for index in range(10):
        (sliver,) = slivers(encoded, axis, [index])
        verify_sliver(encoded.metadata, sliver)
        flipped = bytearray(sliver.data)
        flipped[index] ^= 1
        wrong = [
            replace(sliver, data=bytes(flipped)), replace(sliver, data=sliver.data[:-2]),
            replace(sliver, data=b""), replace(sliver, index=(index + 1) % 10),
            replace(sliver, index=10), replace(sliver, index=-1),
            replace(sliver, symbol_size=sliver.symbol_size - 2),
            replace(sliver, axis="secondary" if axis == "primary" else "primary"),
        ]  # fmt: skip
        for case in wrong:
            with pytest.raises(WrongBytesError, match=r"sliver -?\d+ of"):
                verify_sliver(encoded.metadata, case)


def test_a_sliver_of_a_blob_with_other_symbols_is_told_so() -> None:
    small, large = encode(sample("small", 300), 10), encode(sample("large", 3_000), 10)
    with pytest.raises(WrongBytesError, match="symbols of 108 bytes, where the blob's have 12"):
        verify_sliver(small.metadata, large.primary(3))
