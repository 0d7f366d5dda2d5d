"""How the 16-bit words of a symbol lie in its bytes.

Each full block of 64 bytes holds the low bytes of 32 words, then their high bytes. What is left
over, an even number t of bytes below 64, holds t / 2 low bytes, then t / 2 high bytes.

Source: walrus.md §2, "Byte layout inside a symbol".
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from haulout.redstuff.field import Words

Bytes = NDArray[np.uint8]

_BLOCK: Final = 64
_SHORTEST: Final = 2


def to_words(symbols: Bytes) -> Words:
    """Symbols of z bytes (the last axis) as z / 2 words each; other axes stay."""
    *shape, size = symbols.shape
    if size == _SHORTEST:
        return np.ascontiguousarray(symbols).view("<u2").astype(np.uint16, copy=False)
    words = np.empty((*shape, size // 2), np.uint16)
    full = size // _BLOCK
    if full:
        blocks = symbols[..., : full * _BLOCK].reshape(*shape, full, 2, _BLOCK // 2)
        target = words[..., : full * _BLOCK // 2].reshape(*shape, full, _BLOCK // 2)
        _join(blocks[..., 0, :], blocks[..., 1, :], target)
    half = size % _BLOCK // 2
    if half:
        tail = symbols[..., full * _BLOCK :]
        _join(tail[..., :half], tail[..., half:], words[..., full * _BLOCK // 2 :])
    return words


def _join(low: Bytes, high: Bytes, words: Words) -> None:
    np.left_shift(high, 8, out=words, dtype=np.uint16, casting="unsafe")
    words |= low


def to_bytes(words: Words) -> Bytes:
    """Words (the last axis, those of one symbol) as the bytes of their symbols."""
    *shape, count = words.shape
    low_first = np.ascontiguousarray(words, "<u2")
    paired = low_first.view(np.uint8).reshape(*shape, count, 2)
    symbols = np.empty((*shape, 2 * count), np.uint8)
    full = 2 * count // _BLOCK
    if full:
        blocks = paired[..., : full * _BLOCK // 2, :].reshape(*shape, full, _BLOCK // 2, 2)
        target = symbols[..., : full * _BLOCK].reshape(*shape, full, 2, _BLOCK // 2)
        target[...] = blocks.swapaxes(-1, -2)
    half = 2 * count % _BLOCK // 2
    if half:
        tail = symbols[..., full * _BLOCK :].reshape(*shape, 2, half)
        tail[...] = paired[..., full * _BLOCK // 2 :, :].swapaxes(-1, -2)
    return symbols
