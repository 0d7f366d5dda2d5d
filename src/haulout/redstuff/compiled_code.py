"""The transforms of the code, compiled by numba; `reedsolomon` says what they are.

A product with a fixed factor is the sum of the factor's products with the bits that are set, so
it takes 16 constants and no table, and the compiler makes vector instructions of it: 0.75 ns a
word, where looking up in two tables of 256 takes 0.80 and the tables.

This module keeps to itself what it compiles, as numba's cache looks at a function's own file to
tell whether it has changed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haulout.redstuff.compilation import inlined, kernel, part

Signed = NDArray[np.int16]
Numbers = NDArray[np.int64]
Factor = tuple[np.int16, ...]
"""The products of a factor with the words that have a single bit, lowest bit first."""

_NOTHING: Final = 65535  # the logarithm that stands for "times zero"
_TILE: Final = 1 << 15  # words worked on at once: 64 KiB, which stays in a core's first caches
_NARROWEST: Final = 1024  # codewords of a tile, so that factors are spread for many of them
_VECTOR: Final = 32  # words that a tile's width is rounded up to, so that no remainder is left


@inlined
def _times(x: np.int16, c: Factor) -> np.int16:
    """The product of a word with the factor whose products with single bits are ``c``."""
    none = np.int16(0)
    r = c[0] if x & 1 else none
    r ^= c[1] if x & 2 else none
    r ^= c[2] if x & 4 else none
    r ^= c[3] if x & 8 else none
    r ^= c[4] if x & 16 else none
    r ^= c[5] if x & 32 else none
    r ^= c[6] if x & 64 else none
    r ^= c[7] if x & 128 else none
    r ^= c[8] if x & 256 else none
    r ^= c[9] if x & 512 else none
    r ^= c[10] if x & 1024 else none
    r ^= c[11] if x & 2048 else none
    r ^= c[12] if x & 4096 else none
    r ^= c[13] if x & 8192 else none
    r ^= c[14] if x & 16384 else none
    r ^= c[15] if x & 32768 else none
    return r


@inlined
def _spread(log: int, bits: Any, powers: Any) -> Factor:
    """A factor, given by its logarithm, as its products with each single bit."""
    return (
        powers[bits[0] + log], powers[bits[1] + log], powers[bits[2] + log],
        powers[bits[3] + log], powers[bits[4] + log], powers[bits[5] + log],
        powers[bits[6] + log], powers[bits[7] + log], powers[bits[8] + log],
        powers[bits[9] + log], powers[bits[10] + log], powers[bits[11] + log],
        powers[bits[12] + log], powers[bits[13] + log], powers[bits[14] + log],
        powers[bits[15] + log],
    )  # fmt: skip


@part
def _inverse(a: Signed, b: Signed, c: Factor) -> None:
    for i in range(len(a)):
        y = b[i] ^ a[i]
        b[i] = y
        a[i] ^= _times(y, c)


@part
def _forward(a: Signed, b: Signed, c: Factor) -> None:
    for i in range(len(a)):
        y = b[i]
        x = a[i] ^ _times(y, c)
        a[i] = x
        b[i] = y ^ x


@part
def _add(to: Signed, of: Signed) -> None:
    for i in range(len(to)):
        to[i] ^= of[i]


@part
def _scale(to: Signed, of: Signed, c: Factor) -> None:
    for i in range(len(of)):
        to[i] = _times(of[i], c)


@part
def _inverse_transform(
    words: Signed, used: int, offset: int, tables: tuple[Numbers, Numbers, Signed]
) -> None:
    skews, bits, powers = tables
    distance = 1
    while distance < len(words):
        for block in range(0, used, 2 * distance):
            log = skews[block + distance + offset - 1]
            if log == _NOTHING:
                for i in range(block, block + distance):
                    _add(words[i + distance], words[i])
            else:
                c = _spread(log, bits, powers)
                for i in range(block, block + distance):
                    _inverse(words[i], words[i + distance], c)
        distance *= 2


@part
def _transform(
    words: Signed, start: int, stop: int, offset: int, tables: tuple[Numbers, Numbers, Signed]
) -> None:
    skews, bits, powers = tables
    distance = len(words) // 2
    while distance:
        for block in range(start // (2 * distance) * 2 * distance, stop, 2 * distance):
            log = skews[block + distance + offset - 1]
            if log == _NOTHING:
                for i in range(block, block + distance):
                    _add(words[i + distance], words[i])
            else:
                c = _spread(log, bits, powers)
                for i in range(block, block + distance):
                    _forward(words[i], words[i + distance], c)
        distance //= 2


@part
def _width(positions: int, codewords: int) -> int:
    most = max(_NARROWEST, _TILE // positions)
    return -(-min(most, codewords) // _VECTOR) * _VECTOR


@part
def _take(to: Signed, of: Signed) -> None:
    """Copy a row, with zeros after it where it is the shorter one."""
    for i in range(len(of)):
        to[i] = of[i]
    for i in range(len(of), len(to)):
        to[i] = 0


@part
def _give(to: Signed, of: Signed) -> None:
    """Copy the beginning of a row, as much as there is room for."""
    for i in range(len(to)):
        to[i] = of[i]


@part
def _coefficients(
    values: Signed, originals: Signed, offset: int, tables: tuple[Numbers, Numbers, Signed]
) -> None:
    count = len(originals)
    for i in range(count):
        _take(values[i], originals[i])
    for i in range(count, len(values)):
        values[i] = 0
    _inverse_transform(values, count, offset, tables)


_TABLES: Final = "Tuple((int64[::1], int64[::1], int16[::1]))"


@kernel(f"void(int16[:, ::1], int16[:, ::1], int64, int64, boolean, {_TABLES})")
def recoveries(
    originals: Signed,
    found: Signed,
    used: int,
    chunk: int,
    low: bool,  # noqa: FBT001 - numba's signatures have no names
    tables: tuple[Numbers, Numbers, Signed],
) -> None:
    """Fill ``found``, (recoveries, codewords), from ``originals``, (originals, codewords)."""
    codewords = originals.shape[1]
    wanted = found.shape[0]
    width = _width(chunk, codewords)
    total = np.empty((chunk, width), np.int16)
    values = np.empty((chunk, width), np.int16)
    for at in range(0, codewords, width):
        tile = slice(at, min(at + width, codewords))
        part = originals[: min(used, chunk), tile]
        _coefficients(total, part, 0 if low else chunk, tables)
        for start in range(chunk, used, chunk):
            part = originals[start : min(used, start + chunk), tile]
            _coefficients(values, part, start + chunk, tables)
            for i in range(chunk):
                _add(total[i], values[i])
        for start in range(0, wanted, chunk):
            last = start + chunk >= wanted
            count = wanted - start if last else chunk
            for i in range(0 if last else chunk):
                _take(values[i], total[i])
            made = total if last else values
            _transform(made, 0, count, start + chunk if low else 0, tables)
            for i in range(count):
                _give(found[start + i, tile], made[i])


@part
def _derive(words: Signed) -> None:
    """The formal derivative, in place: what is added was not changed before it is read."""
    for i in range(1, len(words)):
        width = i & -i
        for k in range(width):
            _add(words[i - width + k], words[i + k])


@kernel(f"void(int64[::1], int64[::1], int16[:, ::1], int16[:, ::1], int64, int64[::1], {_TABLES})")
def restored(
    known: Numbers,
    missing: Numbers,
    words: Signed,
    found: Signed,
    span: int,
    locator: Numbers,
    tables: tuple[Numbers, Numbers, Signed],
) -> None:
    """Fill ``found``, (missing, codewords), from ``words``, (known, codewords).

    ``known`` and ``missing`` are places in the code, both rising.
    """
    _, bits, powers = tables
    codewords = words.shape[1]
    width = _width(span, codewords)
    values = np.zeros((span, width), np.int16)
    for at in range(0, codewords, width):
        run = min(width, codewords - at)
        values[:] = 0
        for i in range(len(known)):
            c = _spread(int(locator[int(known[i])]), bits, powers)
            _scale(values[known[i]], words[i, at : at + run], c)
        _inverse_transform(values, known[-1] + 1, 0, tables)
        _derive(values)
        _transform(values, missing[0], missing[-1] + 1, 0, tables)
        for i in range(len(missing)):
            log = int(locator[int(missing[i])])
            c = _spread(65535 - log if log else 0, bits, powers)
            _scale(found[i, at : at + run], values[missing[i], :run], c)


@kernel("void(uint8[:, ::1], uint16[:, ::1])")
def to_words(symbols: NDArray[np.uint8], words: NDArray[np.uint16]) -> None:
    """As `layout.to_words`: (symbols, z) bytes into (symbols, z / 2) words."""
    size = symbols.shape[1]
    for i in range(symbols.shape[0]):
        for start in range(0, size, 64):
            half = min(64, size - start) // 2
            low = symbols[i, start : start + half]
            high = symbols[i, start + half : start + 2 * half]
            out = words[i, start // 2 : start // 2 + half]
            for k in range(len(out)):
                out[k] = np.uint16(low[k]) | (np.uint16(high[k]) << 8)


@kernel("void(uint16[:, ::1], uint8[:, ::1])")
def to_bytes(words: NDArray[np.uint16], symbols: NDArray[np.uint8]) -> None:
    """As `layout.to_bytes`: (symbols, z / 2) words into (symbols, z) bytes."""
    size = symbols.shape[1]
    for i in range(symbols.shape[0]):
        for start in range(0, size, 64):
            half = min(64, size - start) // 2
            low = symbols[i, start : start + half]
            high = symbols[i, start + half : start + 2 * half]
            found = words[i, start // 2 : start // 2 + half]
            for k in range(len(found)):
                low[k] = found[k] & 255
                high[k] = found[k] >> 8


@kernel(f"void(uint8[:, :, ::1], uint8[:, :, ::1], int64, boolean, int64, boolean, {_TABLES})")
def square(
    source: NDArray[np.uint8],
    symbols: NDArray[np.uint8],
    chunk: int,
    low: bool,  # noqa: FBT001 - as above
    down_chunk: int,
    down_low: bool,  # noqa: FBT001 - as above
    tables: tuple[Numbers, Numbers, Signed],
) -> None:
    """Fill all symbols, (n, n, z), from the source, (p, s, z): rows first, then columns."""
    p, s, size = source.shape
    n = symbols.shape[0]
    half = size // 2
    words = np.empty((p * s, half), np.uint16)
    to_words(source.reshape(p * s, size), words)
    top = np.empty((p, n, half), np.uint16)
    across = np.empty((s, p, half), np.uint16)
    for i in range(p):
        for j in range(s):
            across[j, i] = words[i * s + j]
            top[i, j] = words[i * s + j]
    right = np.empty((n - s, p * half), np.uint16)
    recoveries(
        across.reshape(s, p * half).view(np.int16), right.view(np.int16), s, chunk, low, tables
    )
    for j in range(n - s):
        for i in range(p):
            top[i, s + j] = right[j, i * half : (i + 1) * half]
    below = np.empty((n - p, n * half), np.uint16)
    recoveries(
        top.reshape(p, n * half).view(np.int16),
        below.view(np.int16),
        p,
        down_chunk,
        down_low,
        tables,
    )
    to_bytes(top.reshape(p * n, half), symbols[:p].reshape(p * n, size))
    to_bytes(below.reshape((n - p) * n, half), symbols[p:].reshape((n - p) * n, size))
