"""BLAKE2b and the network's Merkle trees, compiled by numba.

Hashes are made 64 at once, one in each lane: the loop over the lanes holds a whole compression
without a branch, which the compiler turns into the machine's vector instructions. Leaves of less
than 128 bytes and inner nodes, of 65, are one compression each.

Sources: RFC 7693 for BLAKE2b; `merkle` for the trees. This module keeps to itself what it
compiles, as numba's cache looks at a function's own file to tell whether it has changed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from haulout.redstuff.compilation import inlined, kernel

U64 = np.uint64
Words64 = NDArray[np.uint64]
State = tuple[U64, ...]

_LANES: Final = 64
_TOGETHER: Final = 4  # lanes of the narrowest vectors that pay; a remainder is rounded up to them
_STATE: Final = 8  # rows of 64 lanes in the scratch: eight of state, sixteen of message
_SCRATCH: Final = (_STATE + 16) * _LANES
_BLOCK: Final = 128
_IV0: Final = U64(0x6A09E667F3BCC908)
_IV1: Final = U64(0xBB67AE8584CAA73B)
_IV2: Final = U64(0x3C6EF372FE94F82B)
_IV3: Final = U64(0xA54FF53A5F1D36F1)
_IV4: Final = U64(0x510E527FADE682D1)
_IV5: Final = U64(0x9B05688C2B3E6C1F)
_IV6: Final = U64(0x1F83D9ABFB41BD6B)
_IV7: Final = U64(0x5BE0CD19137E2179)
_FIRST: Final = _IV0 ^ U64(0x01010020)  # no key, one node, 32 bytes of digest
_ALL: Final = U64(0xFFFFFFFFFFFFFFFF)
_INNER_BYTES: Final = 65


@inlined
def _mixed(a: U64, b: U64, c: U64, d: U64, x: U64, y: U64) -> tuple[U64, U64, U64, U64]:
    a = a + b + x
    d ^= a
    d = (d >> U64(32)) | (d << U64(32))
    c += d
    b ^= c
    b = (b >> U64(24)) | (b << U64(40))
    a = a + b + y
    d ^= a
    d = (d >> U64(16)) | (d << U64(48))
    c += d
    b ^= c
    b = (b >> U64(63)) | (b << U64(1))
    return a, b, c, d


@inlined
def _round(
    v: State,
    m0: U64, m1: U64, m2: U64, m3: U64, m4: U64, m5: U64, m6: U64, m7: U64,
    m8: U64, m9: U64, m10: U64, m11: U64, m12: U64, m13: U64, m14: U64, m15: U64,
) -> State:  # fmt: skip
    v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = v
    v0, v4, v8, v12 = _mixed(v0, v4, v8, v12, m0, m1)
    v1, v5, v9, v13 = _mixed(v1, v5, v9, v13, m2, m3)
    v2, v6, v10, v14 = _mixed(v2, v6, v10, v14, m4, m5)
    v3, v7, v11, v15 = _mixed(v3, v7, v11, v15, m6, m7)
    v0, v5, v10, v15 = _mixed(v0, v5, v10, v15, m8, m9)
    v1, v6, v11, v12 = _mixed(v1, v6, v11, v12, m10, m11)
    v2, v7, v8, v13 = _mixed(v2, v7, v8, v13, m12, m13)
    v3, v4, v9, v14 = _mixed(v3, v4, v9, v14, m14, m15)
    return v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15


# fmt: off
@inlined
def _rounds(v: State, m: State) -> State:
    a, b, c, d, e, f, g, h, i, j, k, l, n, o, p, q = m  # noqa: E741 - the sixteen message words
    v = _round(v, a, b, c, d, e, f, g, h, i, j, k, l, n, o, p, q)
    v = _round(v, p, k, e, i, j, q, o, g, b, n, a, c, l, h, f, d)
    v = _round(v, l, i, n, a, f, c, q, o, k, p, d, g, h, b, j, e)
    v = _round(v, h, j, d, b, o, n, l, p, c, g, f, k, e, a, q, i)
    v = _round(v, j, a, f, h, c, e, k, q, p, b, l, n, g, i, d, o)
    v = _round(v, c, n, g, k, a, l, i, d, e, o, h, f, q, p, b, j)
    v = _round(v, n, f, b, q, p, o, e, k, a, h, g, d, j, c, i, l)
    v = _round(v, o, l, h, p, n, b, d, j, f, a, q, e, i, g, c, k)
    v = _round(v, g, q, p, j, l, d, a, i, n, c, o, h, b, e, k, f)
    v = _round(v, k, c, i, e, h, g, b, f, q, l, j, p, d, n, o, a)
    v = _round(v, a, b, c, d, e, f, g, h, i, j, k, l, n, o, p, q)
    return _round(v, p, k, e, i, j, q, o, g, b, n, a, c, l, h, f, d)
# fmt: on


@inlined
def _compress(work: Words64, lanes: int, counted: U64, final: U64) -> None:
    """One block of each lane: state and message stand in ``work``, row after row."""
    for i in range(-(-lanes // _TOGETHER) * _TOGETHER):
        h0, h1, h2, h3 = work[i], work[i + 64], work[i + 128], work[i + 192]
        h4, h5, h6, h7 = work[i + 256], work[i + 320], work[i + 384], work[i + 448]
        v = _rounds(
            (
                h0, h1, h2, h3, h4, h5, h6, h7,
                _IV0, _IV1, _IV2, _IV3, _IV4 ^ counted, _IV5, _IV6 ^ final, _IV7,
            ),
            (
                work[i + 512], work[i + 576], work[i + 640], work[i + 704],
                work[i + 768], work[i + 832], work[i + 896], work[i + 960],
                work[i + 1024], work[i + 1088], work[i + 1152], work[i + 1216],
                work[i + 1280], work[i + 1344], work[i + 1408], work[i + 1472],
            ),
        )  # fmt: skip
        work[i] = h0 ^ v[0] ^ v[8]
        work[i + 64] = h1 ^ v[1] ^ v[9]
        work[i + 128] = h2 ^ v[2] ^ v[10]
        work[i + 192] = h3 ^ v[3] ^ v[11]
        work[i + 256] = h4 ^ v[4] ^ v[12]
        work[i + 320] = h5 ^ v[5] ^ v[13]
        work[i + 384] = h6 ^ v[6] ^ v[14]
        work[i + 448] = h7 ^ v[7] ^ v[15]


@inlined
def _begin(work: Words64) -> None:
    for i in range(_LANES):
        work[i] = _FIRST
        work[i + 64] = _IV1
        work[i + 128] = _IV2
        work[i + 192] = _IV3
        work[i + 256] = _IV4
        work[i + 320] = _IV5
        work[i + 384] = _IV6
        work[i + 448] = _IV7


@inlined
def _set_block(work: Words64, lane: int, piece: Words64, skipped: U64, words: int) -> None:
    """A block of a leaf: its bytes are those of the symbol, one place later."""
    at = _STATE * _LANES + lane
    carried = skipped
    for word in range(words):
        work[at + word * _LANES] = (piece[word] << U64(8)) | carried
        carried = piece[word] >> U64(56)


@kernel("void(uint8[:, ::1], uint64[:, ::1])")
def leaves(symbols: NDArray[np.uint8], out: Words64) -> None:
    """The leaves of symbols, (symbols, bytes): (symbols, 4) words."""
    work = np.zeros(_SCRATCH, np.uint64)
    piece = np.zeros(_BLOCK // 8, np.uint64)
    octets = piece.view(np.uint8)
    count, size = symbols.shape
    blocks = -(-(size + 1) // _BLOCK)
    words = 16 if blocks > 1 else -(-(size + 1) // 8)
    for start in range(0, count, _LANES):
        lanes = min(_LANES, count - start)
        _begin(work)
        for block in range(blocks):
            at = block * _BLOCK
            for lane in range(lanes):
                found = symbols[start + lane, at : at + _BLOCK]
                for place in range(len(found)):
                    octets[place] = found[place]
                for place in range(len(found), 8 * words):
                    octets[place] = 0
                before = U64(symbols[start + lane, at - 1]) if block else U64(0)
                _set_block(work, lane, piece, before, words)
            last = block == blocks - 1
            counted = U64(size + 1) if last else U64(at + _BLOCK)
            _compress(work, lanes, counted, _ALL if last else U64(0))
        for lane in range(lanes):
            for word in range(4):
                out[start + lane, word] = work[word * _LANES + lane]


@inlined
def _set_pair(work: Words64, lane: int, left: Words64, right: Words64) -> None:
    at = _STATE * _LANES + lane
    carried = U64(1)
    for word in range(4):
        work[at + word * _LANES] = (left[word] << U64(8)) | carried
        carried = left[word] >> U64(56)
    for word in range(4):
        work[at + (4 + word) * _LANES] = (right[word] << U64(8)) | carried
        carried = right[word] >> U64(56)
    work[at + 8 * _LANES] = carried


@kernel("uint64[:, :, :](uint64[:, :, :], int64)")
def folded(nodes: Words64, up: int) -> Words64:
    """The nodes of trees ``up`` levels further up: (trees, nodes, 4) words, both ways."""
    work = np.zeros(_SCRATCH, np.uint64)
    nothing = np.zeros(4, np.uint64)
    trees = nodes.shape[0]
    for _ in range(up):
        count = nodes.shape[1]
        pairs = (count + 1) // 2
        above = np.empty((trees, pairs, 4), np.uint64)
        flat = above.reshape(-1)
        tree, pair = 0, 0
        for start in range(0, trees * pairs, _LANES):
            lanes = min(_LANES, trees * pairs - start)
            _begin(work)
            for lane in range(lanes):
                right = nodes[tree, 2 * pair + 1] if 2 * pair + 1 < count else nothing
                _set_pair(work, lane, nodes[tree, 2 * pair], right)
                pair += 1
                if pair == pairs:
                    tree, pair = tree + 1, 0
            _compress(work, lanes, U64(_INNER_BYTES), _ALL)
            for lane in range(lanes):
                for word in range(4):
                    flat[4 * (start + lane) + word] = work[word * _LANES + lane]
        nodes = above
    return nodes
