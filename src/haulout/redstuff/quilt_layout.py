"""How the parts of a quilt are written down: its index, its items, and the symbols they need.

Bytes and values only; where in the matrix they go is the business of `haulout.redstuff.quilt`.
Format: docs/spec/quilt.md; source: walrus.md §5.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from haulout.errors import InputError, LimitError
from haulout.redstuff import bcs
from haulout.redstuff.parameters import MOST_SYMBOL_SIZE

VERSION: Final = 1
INDEX_PREFIX_BYTES: Final = 5
MOST_INDEX_COLUMNS: Final = 10
MOST_IDENTIFIER_BYTES: Final = 65_531
"""In UTF-8. Its serialised form adds three, and Walrus's own client refuses 65,535 of those."""

_HEADER_BYTES: Final = 6
_HAS_TAGS: Final = 1
_MOST_U16: Final = 2**16 - 1
_MOST_U32: Final = 2**32 - 1
_LEAST_PATCH_BYTES: Final = 4
_LEAST_ENTRY_BYTES: Final = 2
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _no_tags() -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Item:
    """One of the things a quilt holds.

    Attributes:
        identifier: its name, which no other item of the quilt has.
        data: its bytes, which may be none.
        tags: short texts about it, by name.
    """

    identifier: str
    data: bytes
    tags: Mapping[str, str] = field(default_factory=_no_tags)


@dataclass(frozen=True)
class Patch:
    """Where a quilt holds one item: columns ``start`` to ``end`` - 1, which are secondary slivers.

    Attributes:
        identifier: the item's name; ``tags``: its tags.
        start: its first column; ``end``: the column after its last.
    """

    identifier: str
    tags: Mapping[str, str]
    start: int
    end: int


def checked_identifier(identifier: str) -> str:
    """Return ``identifier`` where it can name an item.

    Raises:
        InputError: it is empty, ends in white space or holds a control character.
        LimitError: it has more than 65,531 bytes in UTF-8.
    """
    if len(identifier) > MOST_IDENTIFIER_BYTES or len(bcs.string(identifier)) >= _MOST_U16:
        raise LimitError(
            f"The identifier {identifier[:40]!r}... has more than {MOST_IDENTIFIER_BYTES} bytes.",
            hint="Give the item a shorter one.",
        )
    if not identifier:
        raise InputError("An item of a quilt needs an identifier, and one is empty.")
    if identifier != identifier.rstrip():
        raise InputError(f"The identifier {identifier[:60]!r} ends in white space.")
    if _CONTROL.search(identifier):
        raise InputError(f"The identifier {identifier[:60]!r} holds a control character.")
    return identifier


def _tag_bytes(tags: Mapping[str, str]) -> bytes:
    return bcs.mapping({bcs.string(name): bcs.string(value) for name, value in tags.items()})


def item_prefix(item: Item) -> bytes:
    """What stands before an item's data: header, identifier and tags.

    Raises:
        InputError: the identifier cannot name an item, or a text has no UTF-8 form.
        LimitError: identifier, tags or item are too long.
    """
    identifier = bcs.string(checked_identifier(item.identifier))
    body = bcs.u16(len(identifier)) + identifier
    if item.tags:
        tags = _tag_bytes(item.tags)
        if len(tags) > _MOST_U16:
            raise LimitError(
                f"The tags of {item.identifier[:60]!r} take {len(tags)} bytes; "
                f"{_MOST_U16} is the most.",
                hint="Keep long texts in the item itself.",
            )
        body += bcs.u16(len(tags)) + tags
    length = len(body) + len(item.data)
    if length > _MOST_U32:
        raise LimitError(
            f"The item {item.identifier[:60]!r} takes {length} bytes; {_MOST_U32} is the most.",
            hint="Store it as a blob of its own.",
        )
    return bcs.u8(VERSION) + bcs.u32(length) + bcs.u8(_HAS_TAGS if item.tags else 0) + body


def read_item(data: bytes, column_size: int, what: str) -> Item:
    """Read an item from the columns it fills, padding included.

    Args:
        data: whole columns of ``column_size`` bytes each; ``what``: whose, for messages.

    Raises:
        WrongBytesError: they do not hold an item that fills just these columns.
    """
    header = bcs.Reader(data, what)
    version = header.u8()
    if version != VERSION:
        raise header.refuse(f"it is of version {version}, and {VERSION} is known")
    length, mask = header.u32(), header.u8()
    if length > header.left:
        raise header.refuse(f"{length} bytes should follow, and its columns hold {header.left}")
    if -(-(_HEADER_BYTES + length) // column_size) * column_size != len(data):
        raise header.refuse(f"{length} bytes do not need all of its columns")
    if mask & ~_HAS_TAGS:
        raise header.refuse(f"it has parts that are not known (mask {mask:#x})")
    body = bcs.Reader(memoryview(data)[_HEADER_BYTES : _HEADER_BYTES + length], what)
    identifier = bcs.Reader(body.fixed(body.u16()), f"{what}: its identifier")
    name = identifier.string()
    identifier.finish()
    try:
        checked_identifier(name)
    except InputError as error:
        raise header.refuse(error.message.rstrip(".")) from None
    tags: dict[str, str] = {}
    if mask & _HAS_TAGS:
        written = bcs.Reader(body.fixed(body.u16()), f"{what}: its tags")
        tags = _read_tags(written)
        written.finish()
    return Item(name, body.fixed(body.left), tags)


def _read_tags(reader: bcs.Reader) -> dict[str, str]:
    return reader.mapping(bcs.Reader.string, bcs.Reader.string, _LEAST_ENTRY_BYTES)


def index_bytes(patches: Sequence[Patch]) -> bytes:
    """The index with its version and length before it; as long for any columns.

    Args:
        patches: in the order of their columns. Start columns are not written: an item begins
            where the one before it ends, and the first behind the index.
    """
    index = bcs.vector(
        bcs.u16(patch.end) + bcs.string(patch.identifier) + _tag_bytes(patch.tags)
        for patch in patches
    )
    if len(index) > _MOST_U32:
        raise LimitError("The index of the quilt would be longer than 4 GiB.")
    return bcs.u8(VERSION) + bcs.u32(len(index)) + index


def index_columns(column: bytes, column_size: int, most: int) -> int:
    """How many columns the index takes, as the first five bytes of the first one say.

    Args:
        column: at least its first five bytes; ``column_size``: the bytes of a whole one.
        most: how many columns there are.

    Raises:
        WrongBytesError: the version is not known, or the index would take more than ten columns,
            or more than there are.
    """
    reader = bcs.Reader(column[:INDEX_PREFIX_BYTES], "The quilt")
    version = reader.u8()
    if version != VERSION:
        raise reader.refuse(f"it is of version {version}, and {VERSION} is known")
    columns = -(-(INDEX_PREFIX_BYTES + reader.u32()) // column_size)
    if columns > min(MOST_INDEX_COLUMNS, most):
        raise reader.refuse(
            f"its index would take {columns} columns, and "
            f"{min(MOST_INDEX_COLUMNS, most)} is the most"
        )
    return columns


def read_index(data: bytes, first: int, most: int) -> tuple[Patch, ...]:
    """Read the index from the columns it fills.

    Args:
        data: whole columns, as many as `index_columns` says.
        first: that number, which is where the first item begins; ``most``: all columns there are.

    Raises:
        WrongBytesError: they do not hold an index of items side by side within ``most`` columns.
    """
    size = int.from_bytes(data[1:INDEX_PREFIX_BYTES], "little")
    reader = bcs.Reader(data[INDEX_PREFIX_BYTES : INDEX_PREFIX_BYTES + size], "The quilt's index")
    patches: list[Patch] = []
    names: set[str] = set()
    start = first
    for _ in range(reader.count(_LEAST_PATCH_BYTES)):
        end, name, tags = reader.u16(), reader.string(), _read_tags(reader)
        if not start < end <= most:
            raise reader.refuse(f"an item stands in columns {start} to {end} of {most}")
        if name in names:
            raise reader.refuse(f"two items are named {name[:60]!r}")
        names.add(name)
        patches.append(Patch(name, tags, start, end))
        start = end
    reader.finish()
    return tuple(patches)


def smallest_symbol(sizes: Sequence[int], rows: int, columns: int) -> int:
    """The size of a symbol with which all parts fit side by side, each in columns of its own.

    Args:
        sizes: bytes of each part, the index first.
        rows: symbols in a column; ``columns``: how many of them there are.

    Returns:
        The smallest such size, with which the index takes ten columns at most, rounded up to an
        even number of bytes. A larger one always fits where a smaller does.

    Raises:
        LimitError: there are more parts than columns, or symbols would pass 65,534 bytes.
    """
    if len(sizes) > columns:
        raise LimitError(
            f"A quilt of {columns} columns holds {columns - 1} items at most, "
            f"and there are {len(sizes) - 1}.",
            hint="Split them over several quilts.",
        )

    def fits(symbol: int) -> bool:
        return sum(-(-size // (rows * symbol)) for size in sizes) <= columns

    lowest = max(
        -(-sum(sizes) // (rows * columns)),
        -(-sizes[0] // (rows * MOST_INDEX_COLUMNS)),
        -(-INDEX_PREFIX_BYTES // rows),
    )
    enough = max(lowest, -(-max(sizes) // (rows * (columns // len(sizes)))))
    smallest = lowest + bisect_left(range(lowest, enough), True, key=fits)  # noqa: FBT003
    if smallest > MOST_SYMBOL_SIZE:
        raise LimitError(
            f"The items need symbols of {smallest} bytes, and {MOST_SYMBOL_SIZE} is the most.",
            hint="Split them over several quilts, or use more shards.",
        )
    return smallest + smallest % 2
