"""Encoding: one piece or bands, one engine or the other, the same bytes and bounded memory."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redstuff.samples import sample

from haulout.errors import InputError, LimitError
from haulout.redstuff import (
    Encoded,
    acceleration,
    bands,
    blob_id,
    encode,
    encoding,
    most_bytes,
    parameters,
    verify_sliver,
)

CHOICES = pytest.mark.parametrize("choice", ["numpy", "numba"])


def everything(encoded: Encoded) -> tuple[object, ...]:
    pairs = [encoded.pair(index) for index in range(encoded.n_shards)]
    return encoded.metadata, encoded.blob_id, pairs


@pytest.fixture
def in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every blob is large: narrow bands, and recovery rows in groups of few."""
    monkeypatch.setattr(encoding, "_SQUARE_BYTES", 0)
    monkeypatch.setattr(bands, "_BAND_BYTES", 2_000)
    monkeypatch.setattr(bands, "_KEPT_BYTES", 0)


@CHOICES
@pytest.mark.parametrize("n", [4, 5, 6, 8, 9, 10, 16, 31, 51])
def test_bands_give_what_one_piece_gives(
    n: int, choice: acceleration.Choice, request: pytest.FixtureRequest
) -> None:
    _, _, p, s = parameters(n)
    row = 2 * s
    blobs = [
        sample(f"{n}/{size}", size) for size in (0, 1, row, row + 1, p * s * 2, p * s * 64 + 5)
    ]
    with acceleration.using(choice):
        whole = [everything(encode(blob, n)) for blob in blobs]
        request.getfixturevalue("in_bands")
        for blob, expected in zip(blobs, whole, strict=True):
            assert everything(encode(blob, n)) == expected
            assert blob_id(blob, n) == encode(blob, n).blob_id_text


@pytest.mark.usefixtures("in_bands")
def test_recovery_rows_come_in_any_order_from_any_thread() -> None:
    blob = sample("order", 20_000)
    encoded = encode(blob, 31)
    again = encode(blob, 31)
    expected = [again.primary(index) for index in range(31)]
    for index in (30, 11, 29, 12, 0, 30):
        assert encoded.primary(index) == expected[index]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encoded.primary, [*range(31)] * 4)) == expected * 4


@settings(deadline=None, max_examples=40)
@given(st.integers(4, 60), st.integers(0, 6_000), st.integers(0, 2**32))
def test_both_engines_encode_the_same(n: int, size: int, seed: int) -> None:
    blob = sample(str(seed), size)
    found = []
    for choice in ("numpy", "numba"):
        with acceleration.using(choice):
            found.append(everything(encode(blob, n)))
    assert found[0] == found[1]


@pytest.mark.parametrize("n", [302, 500, 667, 999])
def test_both_engines_encode_the_same_over_many_shards(n: int) -> None:
    blob = sample(str(n), 3 * n)
    with acceleration.using("numba"):
        compiled = encode(blob, n)
    with acceleration.using("numpy"):
        assert blob_id(blob, n) == compiled.blob_id_text
    for index in (0, n // 2, n - 1):
        for sliver in compiled.pair(index):
            verify_sliver(compiled.metadata, sliver)


@pytest.mark.parametrize("n", [4, 10])
def test_the_largest_blob_is_encoded_and_one_byte_more_is_refused(n: int) -> None:
    blob = sample("largest", most_bytes(n))
    encoded = encode(blob, n)
    assert encoded.symbol_size == 65_534
    verify_sliver(encoded.metadata, encoded.primary(n - 1))
    verify_sliver(encoded.metadata, encoded.secondary(n - 1))
    for ask in (encode, blob_id):
        with pytest.raises(LimitError, match="too large"):
            ask(blob + b"\0", n)


@pytest.mark.usefixtures("in_bands")
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_buffer_is_encoded_and_may_change_afterwards(kind: type) -> None:
    blob = sample("buffer", 5_000)
    held = bytearray(blob)
    encoded = encode(held if kind is bytearray else memoryview(held), 10)
    expected = encode(blob, 10)
    held[:] = bytes(len(held))
    assert everything(encoded) == everything(expected)
    assert blob_id(memoryview(blob), 10) == expected.blob_id_text


@pytest.mark.parametrize("index", [-1, 10])
def test_a_sliver_that_is_not_there_is_refused(index: int) -> None:
    encoded = encode(b"a blob", 10)
    for ask in (encoded.primary, encoded.secondary, encoded.pair):
        with pytest.raises(InputError, match="from 0 to 9"):
            ask(index)


@pytest.mark.parametrize("n", [3, 1001])
def test_a_number_of_shards_that_cannot_be_is_refused(n: int) -> None:
    for ask in (encode, blob_id):
        with pytest.raises(InputError, match="4 to 1000"):
            ask(b"a blob", n)


@pytest.mark.usefixtures("in_bands")
@pytest.mark.parametrize("n", [10, 31, 100])
def test_memory_stays_below_three_blobs(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_BAND_BYTES", 1 << 18)
    size = min(4 << 20, most_bytes(n))
    encode(sample("tables", size), n)
    blob = sample("memory", size)
    with acceleration.using("numpy"):
        tracemalloc.start()
        encoded = encode(blob, n)
        for index in range(n):
            encoded.pair(index)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak + len(blob) < 3 * len(blob) + (4 << 20)
