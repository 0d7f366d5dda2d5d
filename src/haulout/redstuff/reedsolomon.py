"""Reed-Solomon over GF(2^16) by additive fast Fourier transforms, many codewords at once.

A codeword is a column of a two-dimensional array of words: its first axis runs through the
positions of the code, its second through independent codewords, so a transform is a few passes
over whole arrays. A code of o originals and r recoveries has one of two forms, which give
different recoveries; `Code.of` chooses as the network does.

Source: walrus.md §2; Lin et al. (2016), of which `field` has the title.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from haulout.redstuff.field import MODULUS, Logs, Words, plain_logs, skews, times

_TILE = 1 << 17
"""Words of one tile: what a pass writes and reads again should stay in a core's cache."""


def power_of_two(least: int) -> int:
    """The smallest power of two that is not below ``least`` (1 or more)."""
    return 1 << (least - 1).bit_length()


class Code(NamedTuple):
    """A code of ``originals`` + ``recoveries`` positions.

    Attributes:
        low: the form: the originals stand first and one transform of them gives all
            recoveries; otherwise the recoveries stand first and the originals are folded.
        chunk: the size of the transforms that encode, a power of two.
        span: the size of the transforms that decode, a power of two.
    """

    originals: int
    recoveries: int
    low: bool
    chunk: int
    span: int

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, originals: int, recoveries: int) -> Code:
        """The code in the form that the network uses for these counts."""
        o, r = power_of_two(originals), power_of_two(recoveries)
        low = o < r or (o == r and originals > recoveries)
        chunk = o if low else r
        return cls(
            originals,
            recoveries,
            low,
            chunk,
            power_of_two(chunk + (recoveries if low else originals)),
        )

    @property
    def first_original(self) -> int:
        """The place of original 0 among all positions."""
        return 0 if self.low else self.chunk

    @property
    def first_recovery(self) -> int:
        """The place of recovery 0 among all positions."""
        return self.chunk if self.low else 0

    def place(self, index: int) -> int:
        """The place of symbol ``index``: originals are counted first, then recoveries."""
        if index < self.originals:
            return self.first_original + index
        return self.first_recovery + index - self.originals


def _factors(distance: int, first: int, last: int, offset: int) -> Logs:
    """The logarithms for the blocks ``first`` to ``last`` (exclusive) of a layer, as a column."""
    start = first * 2 * distance + distance + offset - 1
    return skews()[start : start + (last - first - 1) * 2 * distance + 1 : 2 * distance]


def _blocks(words: Words, distance: int, first: int, last: int) -> tuple[Words, Words]:
    """Both halves of some blocks of a layer, as views of (blocks, distance, codewords)."""
    paired = words.reshape(-1, 2, distance, words.shape[1])[first:last]
    return paired[:, 0], paired[:, 1]


def _add_multiple(to: Words, of: Words, factors: Logs) -> None:
    """Add to each block that of another times its factor."""
    skipped = int(factors[0] == MODULUS)  # only the very first block of a code has a zero here
    if skipped < len(factors):
        to[skipped:] ^= times(of[skipped:], factors[skipped:, None, None])


def inverse_transform(words: Words, used: int, offset: int) -> None:
    """From values to coefficients, in place; positions from ``used`` on hold zeros.

    Args:
        words: (a power of two of positions, codewords), contiguous.
        used: how many positions may hold something else than zero.
        offset: the place of position 0 in the code, a multiple of the number of positions.
    """
    distance = 1
    while distance < len(words):
        last = -(-used // (2 * distance))
        a, b = _blocks(words, distance, 0, last)
        b ^= a
        _add_multiple(a, b, _factors(distance, 0, last, offset))
        distance *= 2


def transform(words: Words, start: int, stop: int, offset: int) -> None:
    """From coefficients to the values of positions ``start`` to ``stop`` (exclusive), in place.

    What is left in the other positions means nothing.
    """
    distance = len(words) // 2
    while distance:
        first, last = start // (2 * distance), -(-stop // (2 * distance))
        a, b = _blocks(words, distance, first, last)
        _add_multiple(a, b, _factors(distance, first, last, offset))
        b ^= a
        distance //= 2


def tiles(positions: int, codewords: int) -> Iterator[slice]:
    """Runs of codewords that are worked on at once."""
    step = max(64, _TILE // positions)
    for start in range(0, codewords, step):
        yield slice(start, min(start + step, codewords))


def recoveries(code: Code, originals: Words, used: int) -> Words:
    """The recovery words of some codewords.

    Args:
        code: the code.
        originals: (originals, codewords).
        used: how many originals may hold something else than zero.
    """
    found = np.zeros((code.recoveries, originals.shape[1]), np.uint16)
    if used:
        encode = _low_recoveries if code.low else _high_recoveries
        for tile in tiles(code.chunk, originals.shape[1]):
            encode(code, originals[:used, tile], found[:, tile])
    return found


def _low_recoveries(code: Code, originals: Words, found: Words) -> None:
    coefficients = np.zeros((code.chunk, originals.shape[1]), np.uint16)
    coefficients[: len(originals)] = originals
    inverse_transform(coefficients, len(originals), 0)
    for start in range(0, code.recoveries, code.chunk):
        count = min(code.chunk, code.recoveries - start)
        values = coefficients.copy()
        transform(values, 0, count, start + code.chunk)
        found[start : start + count] = values[:count]


def _high_recoveries(code: Code, originals: Words, found: Words) -> None:
    total = np.zeros((code.chunk, originals.shape[1]), np.uint16)
    for start in range(0, len(originals), code.chunk):
        part = originals[start : start + code.chunk]
        values = np.zeros_like(total)
        values[: len(part)] = part
        inverse_transform(values, len(part), start + code.chunk)
        total ^= values
    transform(total, 0, code.recoveries, 0)
    found[...] = total[: code.recoveries]


def locator_logs(code: Code, known: Sequence[int]) -> Logs:
    """The logarithm of the error locator at each place of the code (0 to span - 1).

    At place x it is the sum of log(x + e) over every place e that is not known, as a convolution
    over exclusive or, by Walsh-Hadamard transforms. Places past the span are equally unknown to
    all, give one constant factor, and are left out.

    Args:
        code: the code.
        known: indices of the symbols that are there, originals counted first.
    """
    unknown = np.zeros(code.span, np.int64)
    if code.low:
        unknown[: code.originals] = 1
        unknown[code.first_recovery :] = 1
    else:
        unknown[: code.first_original + code.originals] = 1
    unknown[[code.place(index) for index in known]] = 0
    factors = plain_logs()[: code.span].copy()
    factors[0] = 0
    product = _walsh(unknown) * _walsh(factors)
    return (_walsh(product) // code.span) % MODULUS  # below 2^40 all along: nothing is rounded


def _walsh(values: Logs) -> Logs:
    distance = 1
    while distance < len(values):
        paired = values.reshape(-1, 2, distance)
        a, b = paired[:, 0], paired[:, 1]
        values = np.stack([a + b, a - b], axis=1).reshape(-1)
        distance *= 2
    return values


def derivative(coefficients: Words) -> Words:
    """The formal derivative of each codeword's polynomial."""
    found = coefficients.copy()
    width = 1
    while width < len(coefficients):
        paired = (-1, 2, width, coefficients.shape[1])
        found.reshape(paired)[:, 0] ^= coefficients.reshape(paired)[:, 1]
        width *= 2
    return found


def restored(
    code: Code, known: Sequence[int], words: Words, missing: Sequence[int], locator: Logs
) -> Words:
    """Original words that are missing, from as many known ones as there are originals.

    Args:
        code: the code.
        known: indices of the symbols that are there, originals counted first.
        words: (known, codewords).
        missing: indices of the originals that are wanted; none of them known.
        locator: from `locator_logs` of the same ``known``.
    """
    places = np.array([code.place(index) for index in known])
    wanted = np.array([code.place(index) for index in missing])
    used = int(places.max()) + 1
    found = np.empty((len(missing), words.shape[1]), np.uint16)
    for tile in tiles(code.span, words.shape[1]):
        part = np.zeros((code.span, tile.stop - tile.start), np.uint16)
        part[places] = times(words[:, tile], locator[places, None])
        inverse_transform(part, used, 0)
        part = derivative(part)
        transform(part, int(wanted.min()), int(wanted.max()) + 1, 0)
        found[:, tile] = times(part[wanted], -locator[wanted, None] % MODULUS)
    return found
