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


def to_words(symbols: Bytes) -> Words:
    """Symbols of z bytes (the last axis) as z / 2 words each; other axes stay."""
    *shape, size = symbols.shape
    words = np.empty((*shape, size // 2), "<u2")
    paired = words.view(np.uint8).reshape(*shape, size // 2, 2)
    full = size // _BLOCK
    if full:
        blocks = symbols[..., : full * _BLOCK].reshape(*shape, full, 2, _BLOCK // 2)
        target = paired[..., : full * _BLOCK // 2, :].reshape(*shape, full, _BLOCK // 2, 2)
        target[...] = blocks.swapaxes(-1, -2)
    half = size % _BLOCK // 2
    if half:
        tail = symbols[..., full * _BLOCK :].reshape(*shape, 2, half)
        paired[..., full * _BLOCK // 2 :, :] = tail.swapaxes(-1, -2)
    return words.astype(np.uint16, copy=False)


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
