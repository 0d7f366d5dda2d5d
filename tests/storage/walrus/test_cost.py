"""Bills beside the figures of walrus.md §7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import InputError, LimitError
from haulout.storage.walrus.cost import UNIT, PriceTable, cost, extension, units

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TABLE = PriceTable()


@pytest.mark.parametrize(
    ("size", "encoded", "whole", "dollars"),
    [
        (1, 66_034_000, 63, 0.00152), (445_556, 66_034_000, 63, 0.00152),
        (MIB, 70_038_000, 67, 0.00161), (10 * MIB, 112_080_000, 107, 0.00258),
        (100 * MIB, 536_504_000, 512, 0.0123), (GIB, 4_888_852_000, 4_663, 0.112),
    ],
)  # fmt: skip
def test_encoded_length_units_and_dollars_a_month_at_1000_shards(size, encoded, whole, dollars):
    bill = cost(size, 1000, 1, TABLE)
    assert (bill.encoded, bill.units) == (encoded, whole)
    assert bill.dollars_per_month == pytest.approx(dollars, rel=0.01)


def test_100000_memories_of_300_bytes_as_one_pack_and_alone():
    assert cost(30_000_000, 1000, 1, TABLE).dollars_per_month == pytest.approx(0.0046, rel=0.02)
    alone = 100_000 * cost(300, 1000, 1, TABLE).dollars_per_month
    assert alone == pytest.approx(152, rel=0.01)


def test_the_samples_of_the_documentation():
    # testnet, 17 bytes: 63 units, 132,300 = 63 * 2,100
    bill = cost(17, 1000, 1, PriceTable(storage=1_100, write=1_000))
    assert (bill.units, bill.frost) == (63, 132_300)
    # a quilt of 1,782,224 bytes: 72,040,000 encoded, 69 units, 12,075,000 = 69 * 175,000
    bill = cost(1_782_224, 1000, 1, PriceTable(storage=100_000, write=75_000))
    assert (bill.encoded, bill.units, bill.frost) == (72_040_000, 69, 12_075_000)


def test_storage_grows_with_epochs_and_writing_does_not():
    one, three = cost(1, 1000, 1, TABLE), cost(1, 1000, 3, TABLE)
    assert (three.storage, three.write) == (3 * one.storage, one.write)
    assert three.dollars == pytest.approx(3 * one.dollars)
    assert extension(1, 1000, 2, TABLE).frost == 2 * one.storage
    assert one.wal == pytest.approx(63 * 120_000 / 1e9)


def test_a_subsidy_is_taken_off():
    half = cost(1, 1000, 2, PriceTable(subsidy=5_000))
    assert 2 * half.frost == cost(1, 1000, 2, TABLE).frost
    assert cost(1, 1000, 2, PriceTable(subsidy=10_000)).frost == 0


def test_what_cannot_be_bought_is_refused():
    for epochs in (0, 54):
        with pytest.raises(InputError):
            cost(1, 1000, epochs, TABLE)
        with pytest.raises(InputError):
            extension(1, 1000, epochs, TABLE)
    with pytest.raises(LimitError):
        cost(2_000_000, 10, 1, TABLE)
    for wrong in ({"storage": -1}, {"subsidy": 10_001}, {"subsidy": -1}, {"epoch_days": 0}):
        with pytest.raises(InputError):
            PriceTable(**wrong)


@given(st.integers(0, 10**12))
def test_units_are_whole_and_begun_ones_count(encoded):
    assert 0 <= units(encoded) * UNIT - encoded < UNIT
