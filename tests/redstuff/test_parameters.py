"""What the number of shards decides: the table of walrus.md §1, limits, and the rotation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import InputError, LimitError
from haulout.redstuff import (
    encoded_length,
    most_bytes,
    pair_of_shard,
    pair_place,
    parameters,
    shard_of_pair,
    symbol_size,
)

TABLE = [
    # n, f, p, s, smallest capacity, largest blob, metadata of all shards together
    (4, 1, 2, 3, 12, 393_204, 1_152),
    (7, 2, 3, 5, 30, 983_010, 3_360),
    (10, 3, 4, 7, 56, 1_834_952, 6_720),
    (13, 4, 5, 9, 90, 2_949_030, 11_232),
    (31, 10, 11, 21, 462, 15_138_354, 62_496),
    (49, 16, 17, 33, 1_122, 36_764_574, 155_232),
    (100, 33, 34, 67, 4_556, 149_286_452, 643_200),
    (301, 100, 101, 201, 40_602, 1_330_405_734, 5_808_096),
    (1000, 333, 334, 667, 445_556, 14_599_533_452, 64_032_000),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[0]))
def test_the_table_of_the_network_holds(row: tuple[int, ...]) -> None:
    n, f, p, s, smallest, largest, metadata = row
    counts = parameters(n)
    assert counts == (n, f, p, s)
    assert (counts.source_count("primary"), counts.source_count("secondary")) == (p, s)
    assert (counts.sliver_symbols("primary"), counts.sliver_symbols("secondary")) == (s, p)
    assert most_bytes(n) == largest
    assert [symbol_size(size, n) for size in (0, 1, smallest, smallest + 1)] == [2, 2, 2, 4]
    assert symbol_size(largest, n) == 65_534
    assert encoded_length(0, n) == n * (p + s) * 2 + metadata
    with pytest.raises(LimitError, match="too large"):
        symbol_size(largest + 1, n)


@pytest.mark.parametrize(
    ("n", "p", "s"), [(5, 3, 4), (6, 4, 5), (9, 5, 7), (16, 6, 11), (101, 35, 68)]
)
def test_other_numbers_than_3f_and_1_round_in_favour_of_the_source(n: int, p: int, s: int) -> None:
    assert parameters(n)[2:] == (p, s)


@pytest.mark.parametrize(
    ("size", "encoded"),
    [(1, 66_034_000), (445_556, 66_034_000), (1 << 20, 70_038_000), (10 << 20, 112_080_000),
     (100 << 20, 536_504_000), (1 << 30, 4_888_852_000)],
)  # fmt: skip
def test_the_network_bills_a_blob_by_this_length(size: int, encoded: int) -> None:
    assert encoded_length(size, 1000) == encoded


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 3, 1001, 65_536])
def test_a_number_of_shards_that_cannot_be_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="4 to 1000"):
        parameters(n)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InputError, match="-1 bytes"):
        symbol_size(-1, 10)


@settings(deadline=None)
@given(st.integers(4, 1000), st.binary(min_size=32, max_size=32), st.data())
def test_pairs_are_dealt_to_shards_by_the_id_and_found_again(
    n: int, blob_id: bytes, data: st.DataObject
) -> None:
    pair = data.draw(st.integers(0, n - 1))
    shard = shard_of_pair(pair, blob_id, n)
    assert shard == (pair + int(blob_id.hex(), 16)) % n
    assert pair_of_shard(shard, blob_id, n) == pair


@pytest.mark.parametrize("index", [-1, 10])
def test_an_index_that_is_not_there_is_refused(index: int) -> None:
    for ask in (shard_of_pair, pair_of_shard):
        with pytest.raises(InputError, match="from 0 to 9"):
            ask(index, bytes(32), 10)
    with pytest.raises(InputError, match="from 0 to 9"):
        pair_place("primary", index, 10)


def test_a_pair_holds_a_primary_sliver_and_the_secondary_one_from_the_other_end() -> None:
    assert [pair_place("primary", index, 10) for index in (0, 3, 9)] == [0, 3, 9]
    assert [pair_place("secondary", index, 10) for index in (0, 3, 9)] == [9, 6, 0]
