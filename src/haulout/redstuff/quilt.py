"""Quilts: many small items in one blob, each of them readable without the rest.

A quilt is an ordinary blob whose bytes exactly fill the p x s matrix of the code. Its index and
its items stand in columns, which are secondary slivers: an item is read from the whole blob, or
from the few slivers it fills. Version 1, the same bytes as Walrus's own clients write.

Format: docs/spec/quilt.md; source: walrus.md §5. `item_from_slivers` and `patches_from_slivers`
trust their slivers: whoever fetched them has checked each with `verify_sliver`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haulout.errors import InputError, NotFoundError, TooFewSliversError, WrongBytesError
from haulout.redstuff import bcs, quilt_layout
from haulout.redstuff.parameters import MOST_SYMBOL_SIZE, parameters
from haulout.redstuff.quilt_layout import VERSION, Item, Patch
from haulout.redstuff.sliver import Sliver

__all__ = [
    "Item", "Patch", "PatchId", "Quilt", "index_columns", "item_from_slivers", "pack",
    "parse_patch_id", "patch_id", "patches_from_slivers", "read",
]  # fmt: skip

_ID_BYTES: Final = 32
_PATCH_ID: Final = re.compile(r"[\w-]{50}", re.ASCII)


class PatchId(NamedTuple):
    """What a patch ID says: the quilt's blob ID, and the columns of one item in it."""

    blob_id: bytes
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Quilt:
    """A quilt's bytes, and where its items are.

    Attributes:
        data: the blob, p * s * ``symbol_size`` bytes; ``n_shards``: the code it is laid out for.
        symbol_size: bytes of a symbol; ``patches``: its items, in the order of their columns.
    """

    data: bytes | memoryview
    n_shards: int
    symbol_size: int
    patches: tuple[Patch, ...]

    def get(self, identifier: str) -> Item:
        """The item of this name; only its own columns are read.

        Raises:
            NotFoundError: there is none.
            WrongBytesError: what stands there is not that item.
        """
        for patch in self.patches:
            if patch.identifier == identifier:
                return self.item(patch)
        raise NotFoundError(f"The quilt holds no item named {identifier[:60]!r}.")

    def item(self, patch: Patch | PatchId) -> Item:
        """The item in the columns of ``patch``.

        Raises:
            InputError: there are no such columns.
            WrongBytesError: what stands there is no item, or not the one ``patch`` tells of.
        """
        most = parameters(self.n_shards).secondary
        if not 0 <= patch.start < patch.end <= most:
            raise InputError(
                f"No item can stand in columns {patch.start} to {patch.end} of {most}."
            )
        return _item(_columns(self.data, self.n_shards, patch.start, patch.end), patch)


def pack(items: Iterable[Item], n_shards: int) -> Quilt:
    """Lay items out as one quilt.

    They stand in the order of their identifiers' bytes, whatever order they come in, so the same
    items always make the same blob. Takes memory for the quilt twice and for its largest item.

    Args:
        items: one or more, each with an identifier of its own.
        n_shards: of the network or volume the blob is for; 1000 on Walrus.

    Raises:
        InputError: there is none, two have the same identifier, or one cannot name an item.
        LimitError: there are more than s - 1, or they are too long for a symbol's 65,534 bytes.
    """
    code = parameters(n_shards)
    parts = _sorted(items)
    prefixes = [quilt_layout.item_prefix(item) for item in parts]
    sizes = [len(prefix) + len(item.data) for prefix, item in zip(prefixes, parts, strict=True)]
    unplaced = [Patch(item.identifier, item.tags, 0, 0) for item in parts]
    index_size = len(quilt_layout.index_bytes(unplaced))
    symbol = quilt_layout.smallest_symbol([index_size, *sizes], code.primary, code.secondary)
    column = code.primary * symbol

    matrix = np.zeros((code.primary, code.secondary, symbol), np.uint8)
    patches: list[Patch] = []
    start = -(-index_size // column)
    for item, prefix, size in zip(parts, prefixes, sizes, strict=True):
        end = start + -(-size // column)
        _place(matrix, start, end, prefix, item.data)
        patches.append(Patch(item.identifier, dict(item.tags), start, end))
        start = end
    _place(matrix, 0, patches[0].start, quilt_layout.index_bytes(patches))
    return Quilt(matrix.tobytes(), n_shards, symbol, tuple(patches))


def _sorted(items: Iterable[Item]) -> list[Item]:
    """By the bytes of their identifiers, which have to differ."""
    named: dict[bytes, Item] = {}
    for item in items:
        name = quilt_layout.checked_identifier(item.identifier).encode()
        if name in named:
            raise InputError(f"Two items are named {item.identifier[:60]!r}.")
        named[name] = item
    if not named:
        raise InputError("A quilt needs at least one item.")
    return [named[name] for name in sorted(named)]


def _place(matrix: NDArray[np.uint8], start: int, end: int, *parts: bytes) -> None:
    """Write ``parts`` one after the other into columns, each from top to bottom."""
    rows, _, symbol = matrix.shape
    filled = np.zeros((end - start) * rows * symbol, np.uint8)
    at = 0
    for part in parts:
        filled[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    matrix[:, start:end] = filled.reshape(end - start, rows, symbol).transpose(1, 0, 2)


def read(data: bytes | memoryview, n_shards: int) -> Quilt:
    """Read a quilt's index; its items are read when they are asked for.

    Args:
        data: the whole blob; ``n_shards``: of the network or volume it comes from.

    Raises:
        InputError: ``n_shards`` is none a code has.
        WrongBytesError: the bytes are not those of a quilt.
    """
    code = parameters(n_shards)
    whole = memoryview(data).cast("B")
    size, rest = divmod(len(whole), code.primary * code.secondary)
    if rest or not 0 < size <= MOST_SYMBOL_SIZE or size % 2:
        raise WrongBytesError(
            f"{len(whole)} bytes do not fill a matrix of {code.primary} x {code.secondary} symbols "
            "of even size: this is no quilt, or one for another number of shards."
        )
    first = quilt_layout.index_columns(
        _columns(whole, n_shards, 0, 1), code.primary * size, code.secondary
    )
    patches = quilt_layout.read_index(_columns(whole, n_shards, 0, first), first, code.secondary)
    return Quilt(data, n_shards, size, patches)


def _columns(data: bytes | memoryview, n_shards: int, start: int, end: int) -> bytes:
    """Columns ``start`` to ``end`` - 1 of a quilt, one after the other."""
    code = parameters(n_shards)
    matrix = np.frombuffer(data, np.uint8).reshape(code.primary, code.secondary, -1)
    return matrix[:, start:end].transpose(1, 0, 2).tobytes()


def _item(columns: bytes, patch: Patch | PatchId) -> Item:
    """Read an item from its columns, and see that it is the one that was asked for."""
    what = f"The quilt's item in columns {patch.start} to {patch.end - 1}"
    item = quilt_layout.read_item(columns, len(columns) // (patch.end - patch.start), what)
    if isinstance(patch, Patch) and (item.identifier, item.tags) != (
        patch.identifier,
        dict(patch.tags),
    ):
        raise WrongBytesError(f"{what} is not the item {patch.identifier[:60]!r} of the index.")
    return item


def index_columns(sliver: Sliver, n_shards: int) -> int:
    """How many secondary slivers hold a quilt's index, which is told by the first of them.

    Args:
        sliver: secondary sliver 0, verified; ``n_shards``: of the network or volume.

    Raises:
        InputError: it is another sliver.
        WrongBytesError: it does not begin a quilt.
    """
    column = _run([sliver], 0, 1)
    return quilt_layout.index_columns(column, len(column), parameters(n_shards).secondary)


def patches_from_slivers(slivers: Iterable[Sliver], n_shards: int) -> tuple[Patch, ...]:
    """Read a quilt's index from the secondary slivers that hold it.

    Args:
        slivers: verified, in any order; those past `index_columns` are not looked at.
        n_shards: of the network or volume the quilt comes from.

    Raises:
        TooFewSliversError: one of those it needs is not among them.
        InputError: they are of no one blob, or not secondary.
        WrongBytesError: they do not hold a quilt's index.
    """
    held = list(slivers)
    most = parameters(n_shards).secondary
    column = _run(held, 0, 1)
    first = quilt_layout.index_columns(column, len(column), most)
    return quilt_layout.read_index(_run(held, 0, first), first, most)


def item_from_slivers(patch: Patch | PatchId, slivers: Iterable[Sliver]) -> Item:
    """Read one item from the secondary slivers that hold it.

    Args:
        patch: of the index, or what `parse_patch_id` gives; then identifier and tags are those
            that stand with the item.
        slivers: verified, in any order; those outside the item are not looked at.

    Raises:
        TooFewSliversError: one of those it needs is not among them.
        InputError: they are of no one blob, or not secondary.
        WrongBytesError: they do not hold an item, or not the one ``patch`` tells of.
    """
    return _item(_run(slivers, patch.start, patch.end), patch)


def _run(slivers: Iterable[Sliver], start: int, end: int) -> bytes:
    """The data of secondary slivers ``start`` to ``end`` - 1, one after the other."""
    if not 0 <= start < end:
        raise InputError(f"No item can stand in columns {start} to {end}.")
    held = {sliver.index: sliver for sliver in slivers if start <= sliver.index < end}
    missing = [index for index in range(start, end) if index not in held]
    if missing:
        raise TooFewSliversError(
            f"{len(missing)} of the secondary slivers {start} to {end - 1} are missing, "
            f"first of them {missing[0]}."
        )
    if {sliver.axis for sliver in held.values()} != {"secondary"}:
        raise InputError("A quilt's items stand in secondary slivers, and these are primary.")
    if len({(sliver.symbol_size, len(sliver.data)) for sliver in held.values()}) > 1:
        raise InputError("The slivers differ in size: they are not of one blob.")
    return b"".join(held[index].data for index in range(start, end))


def patch_id(blob_id: bytes, patch: Patch | PatchId) -> str:
    """The text that names one item of a quilt anywhere on the network, 50 characters.

    It names columns, not content: the same item has another one in another quilt.

    Raises:
        InputError: ``blob_id`` is not of 32 bytes, or the columns do not fit into 16 bits.
    """
    if len(blob_id) != _ID_BYTES:
        raise InputError(f"A blob ID has {_ID_BYTES} bytes, and this one {len(blob_id)}.")
    written = blob_id + bcs.u8(VERSION) + bcs.u16(patch.start) + bcs.u16(patch.end)
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def parse_patch_id(text: str) -> PatchId:
    """Read what `patch_id` writes.

    Raises:
        InputError: it is not of that form.
    """
    if not _PATCH_ID.fullmatch(text):
        raise InputError(f"{text[:60]!r} is no patch ID: those are 50 characters of base64url.")
    written = base64.urlsafe_b64decode(text + "==")
    reader = bcs.Reader(written, "The patch ID")
    blob_id, version, start, end = reader.fixed(_ID_BYTES), reader.u8(), reader.u16(), reader.u16()
    if version != VERSION:
        raise InputError(f"The patch ID is of version {version}, and {VERSION} is known.")
    patch = PatchId(blob_id, start, end)
    if start >= end or patch_id(blob_id, patch) != text:
        raise InputError(f"{text!r} is no patch ID that Walrus would write.")
    return patch
