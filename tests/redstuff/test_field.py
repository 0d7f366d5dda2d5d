"""The field's tables, against arithmetic done bit by bit."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haulout.redstuff import field

ELEMENTS = st.integers(0, 65_535)
BASIS = (
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
    0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
)  # fmt: skip


def polynomial(element: int) -> int:
    """An element of the Cantor basis as a polynomial over GF(2)."""
    found = 0
    for bit, power in enumerate(BASIS):
        found ^= power if element >> bit & 1 else 0
    return found


def multiplied(a: int, b: int) -> int:
    """Two polynomials multiplied, modulo that of the field."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        b >>= 1
        a <<= 1
        a ^= 0x1002D if a >> 16 else 0
    return product


def product(a: int, b: int) -> int:
    """Two elements multiplied by the tables."""
    if not b:
        return 0
    return int(field.times(np.array([a], np.uint16), int(field.plain_logs()[b]))[0])


@settings(deadline=None)
@given(ELEMENTS, ELEMENTS)
@example(0, 7)
@example(7, 0)
def test_a_product_is_that_of_the_polynomials(a: int, b: int) -> None:
    assert polynomial(product(a, b)) == multiplied(polynomial(a), polynomial(b))


@settings(deadline=None)
@given(ELEMENTS, ELEMENTS, ELEMENTS)
def test_products_distribute_over_sums(a: int, b: int, c: int) -> None:
    assert product(a, b ^ c) == product(a, b) ^ product(a, c)


def test_logarithms_and_powers_undo_each_other() -> None:
    logs = field.plain_logs()
    assert sorted(logs) == list(range(65_536))
    assert (field.powers()[logs[1:]] == np.arange(1, 65_536)).all()
    assert logs[0] == field.MODULUS


def test_the_tables_cannot_be_written_to() -> None:
    tables = (field.plain_logs(), field.logs(), field.powers(), field.skews())
    assert not any(table.flags.writeable for table in tables)
