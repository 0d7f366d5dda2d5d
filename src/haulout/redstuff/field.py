"""The field GF(2^16) of the code, as tables.

Elements are 16-bit words in a Cantor basis over the polynomial x^16 + x^5 + x^3 + x^2 + 1.
Addition is exclusive or. A product is looked up: ``exp[log x + log m]``.

Source: Lin, Al-Naffouri, Han, Chung, "Novel Polynomial Basis With Fast Fourier Transform and Its
Application to Reed-Solomon Erasure Codes" (2016); walrus.md §2.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint16]
Logs = NDArray[np.int64]

BITS: Final = 16
ORDER: Final = 1 << BITS
MODULUS: Final = ORDER - 1
"""The order of the multiplicative group; as a logarithm it stands for "times nothing"."""

_POLYNOMIAL: Final = 0x1002D
_BASIS: Final = (
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
    0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
)  # fmt: skip
_LOG_OF_ZERO: Final = 2 * MODULUS
"""Added to any logarithm, it reaches the part of the table of powers that holds zeros."""


@cache
def plain_logs() -> Logs:
    """The logarithm of each element, 65,536 of them; that of zero is `MODULUS`. Read-only."""
    logs = np.empty(ORDER, np.int64)
    state = 1
    for power in range(MODULUS):
        logs[state] = power
        state <<= 1
        if state & ORDER:
            state ^= _POLYNOMIAL
    logs[0] = MODULUS
    combined = np.zeros(1, np.int64)
    for element in _BASIS:
        combined = np.concatenate([combined, combined ^ element])
    found = logs[combined]
    found.flags.writeable = False
    return found


@cache
def logs() -> Logs:
    """As `plain_logs`, but that of zero makes every product zero in `powers`. Read-only."""
    found = plain_logs().copy()
    found[0] = _LOG_OF_ZERO
    found.flags.writeable = False
    return found


@cache
def powers() -> Words:
    """The element of each logarithm and each sum of two, that of zero included. Read-only."""
    once = np.empty(MODULUS, np.uint16)
    once[plain_logs()[1:]] = np.arange(1, ORDER, dtype=np.uint16)
    found = np.concatenate([once, once, np.zeros(ORDER, np.uint16)])
    found.flags.writeable = False
    return found


def times(words: Words, multipliers: Logs | int) -> Words:
    """Each word times the element whose logarithm (below `MODULUS`) stands beside it."""
    sums = logs().take(words)
    sums += multipliers
    return powers().take(sums)


def _product(x: int, log: int) -> int:
    if not x:
        return 0
    total = int(plain_logs()[x]) + log
    return int(powers()[(total + (total >> BITS)) & MODULUS])


@cache
def skews() -> Logs:
    """The logarithms of the factors of the transform, 65,535 of them. Read-only.

    The butterfly of distance d, block r and offset δ multiplies by entry r + d + δ - 1; an
    entry `MODULUS` means times zero.
    """
    elements = np.zeros(MODULUS, np.int64)
    spans = [1 << i for i in range(1, BITS)]
    log = plain_logs()
    for level in range(BITS - 1):
        first, step = (1 << level) - 1, 1 << (level + 1)
        elements[first] = 0
        for i in range(level, BITS - 1):
            width = 1 << (i + 1)
            elements[first + width : 2 * width : step] = elements[first:width:step] ^ spans[i]
        scale = MODULUS - int(log[_product(spans[level], int(log[spans[level] ^ 1]))])
        for i in range(level + 1, BITS - 1):
            total = int(log[spans[i] ^ 1]) + scale
            spans[i] = _product(spans[i], (total + (total >> BITS)) & MODULUS)
    found = log[elements]
    found.flags.writeable = False
    return found
