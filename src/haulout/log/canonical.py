"""Reading canonical CBOR, and nothing beside it: what comes back from stores may be hostile.

The formats that leave the disk are made of five things: whole numbers from 0 to 2^64 - 1, byte
strings, texts, arrays and null (docs/spec/pack.md). A reader that knows no more cannot be led to
a tag, a reference to itself, a map of colliding keys or a number of a million digits, and every
value that it accepts has one encoding. A length is compared with the bytes that are there before
anything is made of it, so a reading takes time and memory in proportion to its input.
"""

from __future__ import annotations

from typing import Any

DEEPEST = 8
"""How many arrays may stand in each other; no format here has more than five."""
_DIRECT = 24
_LONGEST = 28
_ARRAY, _NULL = 4, 0xF6


def read_canonical(data: bytes) -> Any:
    """The one value that ``data`` is the canonical CBOR of: int, bytes, str, tuple or None.

    Raises:
        ValueError: it is not of the above, is cut short, has bytes after it, is deeper than
            `DEEPEST`, or is spelled in another way than the canonical one (RFC 8949 §4.2.1).
    """
    try:
        value, end = _item(data, 0, DEEPEST)
    except IndexError as error:
        raise ValueError(len(data)) from error
    if end != len(data):
        raise ValueError(end)
    return value


def version_of(data: bytes) -> int:
    """The version that a value begins with, or 0 where it begins with none.

    Every version of a format is an array of fewer than 24 elements whose first is its number,
    below 24, so that a reader knows a later one whatever else it holds.
    """
    array = len(data) > 1 and data[0] >> 5 == _ARRAY and 0 < data[0] & 31 < _DIRECT
    return data[1] if array and data[1] < _DIRECT else 0


def _item(data: bytes, place: int, depth: int) -> tuple[Any, int]:
    """The item at a place, and the place after it."""
    first = data[place]
    kind, number = first >> 5, first & 31
    place += 1
    if number >= _DIRECT:
        number, place = _number(data, place, number)
    if kind == 0:
        return number, place
    if first == _NULL:
        return None, place
    # Every element of an array takes a byte at least.
    if kind not in {2, 3, _ARRAY} or number > len(data) - place:
        raise ValueError(first)
    if kind != _ARRAY:
        end = place + number
        return (data[place:end] if kind == 2 else data[place:end].decode()), end  # noqa: PLR2004 CBOR's number for bytes
    if not depth:
        raise ValueError(depth)
    items: list[Any] = []
    for _ in range(number):
        item, place = _item(data, place, depth - 1)
        items.append(item)
    return tuple(items), place  # a million empty ones are one, where lists would take 64 MB


def _number(data: bytes, place: int, low: int) -> tuple[int, int]:
    """The number behind an item's first byte, which must need all the bytes it takes."""
    if low >= _LONGEST:
        raise ValueError(low)
    size = 1 << (low - _DIRECT)
    end = place + size  # one beyond the data is noticed when all is read
    number = int.from_bytes(data[place:end], "big")
    least = _DIRECT if size == 1 else 1 << 4 * size
    if number < least:
        raise ValueError(number)
    return number, end
