"""Quilts: the same bytes as Walrus's own clients write, and a reader that believes nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import (
    HauloutError,
    InputError,
    LimitError,
    NotFoundError,
    TooFewSliversError,
    WrongBytesError,
)
from haulout.redstuff import bcs, encode, quilt, quilt_layout
from haulout.redstuff.parameters import parameters
from haulout.redstuff.quilt import Item, Patch, PatchId
from haulout.redstuff.sliver import Sliver

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "vectors" / "walrus_quilt_vectors.jsonl")
    .read_text("utf-8")
    .splitlines()
]
KNOWN_ID = bytes(range(32))


def items_of(vector: dict) -> list[Item]:
    return [
        Item(
            blob["identifier"],
            hashlib.shake_256(blob["seed"].encode()).digest(blob["len"]),
            blob["tags"],
        )
        for blob in vector["blobs"]
    ]


def raw_id(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=")


def columns(data: bytes, n: int) -> list[Sliver]:
    """The secondary slivers 0 to s - 1, cut out one symbol at a time."""
    _, _, rows, many = parameters(n)
    size = len(data) // (rows * many)
    return [
        Sliver(
            "secondary", column, size,
            b"".join(data[(row * many + column) * size :][:size] for row in range(rows)),
        )
        for column in range(many)
    ]  # fmt: skip


def whole(slivers: list[Sliver]) -> bytes:
    """The blob whose secondary slivers these are; the other way round."""
    size = slivers[0].symbol_size
    rows = range(len(slivers[0].data) // size)
    return b"".join(s.data[row * size : (row + 1) * size] for row in rows for s in slivers)


# --- the vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['n_shards']}x{len(v['blobs'])}")
def test_a_quilt_is_the_vectors_quilt(vector: dict) -> None:
    made = quilt.pack(items_of(vector), vector["n_shards"])
    assert (made.symbol_size, len(made.data)) == (vector["symbol_size"], vector["quilt_len"])
    assert hashlib.sha256(made.data).hexdigest() == vector["quilt_sha256"]
    index = quilt_layout.index_bytes(made.patches)[5:]
    assert (index.hex(), len(index)) == (vector["index_bcs_hex"], vector["index_len"])
    assert hashlib.sha256(index).hexdigest() == vector["index_bcs_sha256"]
    assert [
        {
            "identifier": patch.identifier,
            "start": patch.start,
            "end": patch.end,
            "patch_id": quilt.patch_id(raw_id(vector["quilt_blob_id"]), patch),
        }
        for patch in made.patches
    ] == vector["patches"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['n_shards']}x{len(v['blobs'])}")
def test_the_vectors_items_come_back_from_the_blob_and_from_slivers(vector: dict) -> None:
    items = sorted(items_of(vector), key=lambda item: item.identifier.encode())
    n = vector["n_shards"]
    made = quilt.pack(items, n)
    back = quilt.read(made.data, n)
    assert [back.item(patch) for patch in back.patches] == items
    assert [back.get(item.identifier) for item in items] == items
    slivers = columns(made.data, n)
    assert quilt.patches_from_slivers(slivers, n) == back.patches == made.patches
    for item, patch in zip(items, made.patches, strict=True):
        assert quilt.item_from_slivers(patch, reversed(slivers[patch.start : patch.end])) == item


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['n_shards']}x{len(v['blobs'])}")
def test_a_quilt_is_a_blob_whose_secondary_slivers_are_its_columns(vector: dict) -> None:
    n = vector["n_shards"]
    made = quilt.pack(items_of(vector), n)
    encoded = encode(made.data, n)
    assert encoded.blob_id_text == vector["quilt_blob_id"]
    assert encoded.root_hash.hex() == vector["root_hash"]
    assert encoded.symbol_size == made.symbol_size
    first = encoded.secondary(0)
    index = [encoded.secondary(k) for k in range(quilt.index_columns(first, n))]
    for patch in quilt.patches_from_slivers(index, n):
        run = [encoded.secondary(k) for k in range(patch.start, patch.end)]
        assert quilt.item_from_slivers(patch, run) == made.item(patch)


# --- round trips ---------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
NAMES = TEXTS.filter(
    lambda name: name and name == name.rstrip() and not quilt_layout._CONTROL.search(name)
)
ITEMS = st.dictionaries(
    NAMES,
    st.tuples(st.binary(max_size=200), st.dictionaries(TEXTS, TEXTS, max_size=3)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(9, 40), ITEMS)
def test_whatever_is_packed_comes_back(n: int, parts: dict) -> None:
    items = [Item(name, data, tags) for name, (data, tags) in parts.items()]
    made = quilt.pack(items, n)
    back = quilt.read(memoryview(made.data), n)
    assert back.patches == made.patches
    assert [patch.identifier for patch in back.patches] == sorted(parts, key=str.encode)
    slivers = columns(made.data, n)
    assert quilt.patches_from_slivers(slivers, n) == made.patches
    for item in items:
        assert back.get(item.identifier) == item
    for patch in made.patches:
        ours = slivers[patch.start : patch.end]
        assert quilt.item_from_slivers(patch, ours) == back.item(patch)
        text = quilt.patch_id(KNOWN_ID, patch)
        named = quilt.parse_patch_id(text)
        assert named == (KNOWN_ID, patch.start, patch.end)
        assert quilt.item_from_slivers(named, ours) == back.item(patch) == back.item(named)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(4, 40).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.integers(5, 3000), min_size=1, max_size=parameters(n).secondary)
        )
    )
)
def test_the_symbol_is_the_smallest_even_one_with_which_all_fit(case: tuple) -> None:
    n, sizes = case
    _, _, rows, many = parameters(n)

    def fits(symbol: int) -> bool:
        taken = [-(-size // (rows * symbol)) for size in sizes]
        return sum(taken) <= many and taken[0] <= 10 and rows * symbol >= 5

    symbol = quilt_layout.smallest_symbol(sizes, rows, many)
    assert fits(symbol)
    assert symbol % 2 == 0
    assert symbol == 2 or not fits(symbol - 2)


def test_the_order_of_items_and_tags_changes_nothing() -> None:
    one = Item("b", b"1", {"x": "1", "aa": "2"})
    two = Item("aa", b"2", {"aa": "2", "x": "1"})
    forward, back = quilt.pack([one, two], 10), quilt.pack([two, one], 10)
    assert forward.data == back.data
    assert [patch.identifier for patch in forward.patches] == ["aa", "b"]
    other = quilt.pack([replace(one, tags={"aa": "2", "x": "1"}), two], 10)
    assert other.data == forward.data


def test_identifiers_are_sorted_by_their_utf8_bytes() -> None:
    names = ["\U00010000", "\uffee", "z", "Z", "é"]
    made = quilt.pack([Item(name, b"") for name in names], 20)
    assert [patch.identifier for patch in made.patches] == ["Z", "z", "é", "\uffee", "\U00010000"]


def test_one_empty_item_without_tags_is_a_quilt() -> None:
    made = quilt.pack([Item("a", b"")], 4)
    assert quilt.read(made.data, 4).get("a") == Item("a", b"", {})
    assert made.data[0] == 1


def test_padding_is_zero_and_items_do_not_touch() -> None:
    made = quilt.pack([Item("a", b"\xff" * 40), Item("b", b"\xff" * 41)], 10)
    slivers = columns(made.data, 10)
    for patch, size in zip(made.patches, (40, 41), strict=True):
        text = b"".join(sliver.data for sliver in slivers[patch.start : patch.end])
        prefix = 6 + 2 + 2
        assert text[prefix : prefix + size] == b"\xff" * size
        assert not any(text[prefix + size :])
    assert not any(b"".join(sliver.data for sliver in slivers[made.patches[-1].end :]))


def test_an_index_that_just_fills_its_columns_takes_no_more() -> None:
    """The index ends with its column; the first item stands in the next."""
    for spare in range(12):
        items = [Item("a" * (20 + spare), b""), Item("b", b"x" * 30)]
        made = quilt.pack(items, 7)
        size = len(quilt_layout.index_bytes(made.patches))
        rows = parameters(7).primary
        assert made.patches[0].start == -(-size // (rows * made.symbol_size))
        back = quilt.read(made.data, 7)
        assert [back.item(patch) for patch in back.patches] == items


# --- limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        ([], InputError, "at least one"),
        ([Item("a", b"1"), Item("a", b"2")], InputError, "Two items are named 'a'"),
        ([Item("", b"")], InputError, "needs an identifier"),
        ([Item("a ", b"")], InputError, "white space"),
        ([Item("a\u3000", b"")], InputError, "white space"),
        ([Item("a\x00b", b"")], InputError, "control"),
        ([Item("a\x7f", b"")], InputError, "control"),
        ([Item("\x85a", b"")], InputError, "control"),
        ([Item("\x9f", b"")], InputError, "control"),
        ([Item("a\x1f", b"")], InputError, "white space|control"),
        ([Item("\ud800", b"")], InputError, "UTF-8"),
        ([Item("a", b"", {"\ud800": ""})], InputError, "UTF-8"),
        ([Item("a" * 65_532, b"")], LimitError, "65531 bytes"),
        ([Item("é" * 32_766, b"")], LimitError, "65531 bytes"),
        ([Item("a", b"", {"t": "x" * 65_530})], LimitError, "65535 is the most"),
        ([Item(f"{k}", b"") for k in range(7)], LimitError, "6 items at most, and there are 7"),
        ([Item("a", bytes(2_000_000))], LimitError, "65534 is the most"),
    ],
)
def test_what_cannot_be_packed_is_refused_with_a_reason(
    items: list[Item], error: type[HauloutError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        quilt.pack(items, 10)
    assert type(caught.value) is error
    assert caught.value.hint


def test_symbols_reach_the_largest_there_is_and_no_further() -> None:
    _, _, rows, many = parameters(4)
    most = (many - 1) * rows * 65_534
    assert quilt_layout.smallest_symbol([5, most], rows, many) == 65_534
    with pytest.raises(LimitError, match="65535 bytes, and 65534 is the most"):
        quilt_layout.smallest_symbol([5, most + 1], rows, many)


def test_what_is_just_within_the_limits_is_packed() -> None:
    for item in (
        Item("a" * 65_531, b""),
        Item("é" * 32_765, b""),
        Item("a", b"", {"t": "x" * 65_529}),
        Item(" a", b""),
        Item("_metadata", b""),
    ):
        made = quilt.pack([item], 10)
        assert quilt.read(made.data, 10).get(item.identifier) == item
    full = quilt.pack([Item(f"{k}", b"") for k in range(6)], 10)
    assert full.patches[-1].end == 7


def test_an_item_is_counted_by_the_length_its_header_can_hold() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**32 - 5

    quilt_layout.item_prefix(Item("a", Huge(), {}))
    with pytest.raises(LimitError, match="4294967295 is the most"):
        quilt_layout.item_prefix(Item("ab", Huge(), {}))


def test_a_quilt_near_the_limit_of_items_grows_as_the_page_warns() -> None:
    def size(count: int) -> int:
        items = [
            Item(f"memory-{k:017d}", bytes(300), {"kind": "note", "lang": "en"})
            for k in range(count)
        ]
        made = quilt.pack(items, 1000)
        assert made.patches[-1].end <= 667
        return made.symbol_size

    assert 9 * size(650) < size(666)


# --- reading -------------------------------------------------------------------------------

TWO = [Item("one", b"1" * 30, {"kind": "note"}), Item("two", b"2" * 50)]
MADE = quilt.pack(TWO, 10)
SLIVERS = columns(MADE.data, 10)
COLUMN = len(SLIVERS[0].data)


def test_a_name_that_is_not_in_the_quilt_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="'three'"):
        MADE.get("three")


def test_an_item_is_read_though_all_other_columns_are_damaged() -> None:
    for patch in MADE.patches:
        others = [
            sliver
            if patch.start <= sliver.index < patch.end or sliver.index < MADE.patches[0].start
            else replace(sliver, data=b"\xaa" * COLUMN)
            for sliver in SLIVERS
        ]
        assert quilt.read(whole(others), 10).item(patch) == MADE.item(patch)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 8), (7, 8)])
def test_columns_that_are_not_there_cannot_be_asked_for(start: int, end: int) -> None:
    with pytest.raises(InputError, match="No item can stand"):
        MADE.item(PatchId(KNOWN_ID, start, end))


def test_missing_slivers_are_named() -> None:
    patch = MADE.patches[1]
    assert patch.end - patch.start > 1
    with pytest.raises(TooFewSliversError, match=f"first of them {patch.end - 1}"):
        quilt.item_from_slivers(patch, SLIVERS[: patch.end - 1])
    wide = columns(quilt.pack([Item("a" * 80, b"")], 10).data, 10)
    assert quilt.index_columns(wide[0], 10) == 3
    with pytest.raises(TooFewSliversError, match="first of them 1"):
        quilt.patches_from_slivers(wide[:1], 10)
    with pytest.raises(TooFewSliversError, match="first of them 0"):
        quilt.index_columns(SLIVERS[1], 10)


def test_slivers_outside_the_item_are_not_looked_at() -> None:
    patch = MADE.patches[0]
    others = [replace(SLIVERS[0], data=b""), replace(SLIVERS[patch.end], axis="primary")]
    assert quilt.item_from_slivers(patch, [*others, *SLIVERS[1 : patch.end]]) == TWO[0]


def test_slivers_of_another_kind_or_blob_are_refused() -> None:
    patch = MADE.patches[1]
    ours = SLIVERS[patch.start : patch.end]
    with pytest.raises(InputError, match="these are primary"):
        quilt.item_from_slivers(patch, [replace(sliver, axis="primary") for sliver in ours])
    for other in (
        replace(ours[0], data=ours[0].data[:-2]),
        replace(ours[0], symbol_size=ours[0].symbol_size * 2),
    ):
        with pytest.raises(InputError, match="of one blob"):
            quilt.item_from_slivers(patch, [other, *ours[1:]])
    for start, end in ((-1, 1), (2, 2)):
        with pytest.raises(InputError, match="No item can stand"):
            quilt.item_from_slivers(PatchId(KNOWN_ID, start, end), SLIVERS)


# --- malformed quilts ----------------------------------------------------------------------


def laid(*parts: tuple[int, bytes], size: int = 24, n: int = 10) -> bytes:
    """A blob with bytes laid from the top of columns, by hand."""
    _, _, rows, many = parameters(n)
    text = bytearray(rows * many * size)
    for start, data in parts:
        at = start * rows * size
        text[at : at + len(data)] = data
    cut = rows * size
    return whole(
        [Sliver("secondary", k, size, bytes(text[k * cut : (k + 1) * cut])) for k in range(many)]
    )


def indexed(*patches: bytes, version: int = 1, more: bytes = b"", claimed: int | None = None):
    body = bcs.vector(patches) + more
    return struct.pack("<BI", version, len(body) if claimed is None else claimed) + body


def entry(end: int, name: bytes = b"\x01a", tags: bytes = b"\x00") -> bytes:
    return struct.pack("<H", end) + name + tags


def item(
    data: bytes = b"x", name: bytes = b"\x01a", tags: bytes | None = None, *,
    version: int = 1, mask: int | None = None, length: int | None = None,
    name_size: int | None = None, tags_size: int | None = None,
) -> bytes:  # fmt: skip
    body = struct.pack("<H", len(name) if name_size is None else name_size) + name
    if tags is not None:
        body += struct.pack("<H", len(tags) if tags_size is None else tags_size) + tags
    body += data
    has = int(tags is not None) if mask is None else mask
    return struct.pack("<BIB", version, len(body) if length is None else length, has) + body


GOOD_INDEX = indexed(entry(2))
COLUMN_96 = 96


def test_the_hand_laid_quilt_is_read() -> None:
    """The control for the malformed ones below."""
    back = quilt.read(laid((0, GOOD_INDEX), (1, item(b"hello"))), 10)
    assert back.patches == (Patch("a", {}, 1, 2),)
    assert back.get("a") == Item("a", b"hello")
    tagged = laid((0, indexed(entry(2, tags=b"\x01\x01k\x01v"))), (1, item(tags=b"\x01\x01k\x01v")))
    assert quilt.read(tagged, 10).get("a") == Item("a", b"x", {"k": "v"})
    assert quilt.read(laid((0, indexed())), 10).patches == ()


MALFORMED_INDEX = {
    "no bytes at all": (b"", "do not fill"),
    "not a whole number of symbols": (bytes(57), "do not fill"),
    "symbols of an odd size": (b"\x01" + bytes(4 * 7 * 25 - 1), "even size"),
    "symbols above 65,534 bytes": (laid((0, GOOD_INDEX), size=65_536), "even size"),
    "columns too short for a prefix": (
        laid((0, b"\x01\x00\x00\x00"), size=2, n=4), "4 bytes should", 4),
    "version 0": (laid((0, indexed(version=0))), "version 0"),
    "version 2": (laid((0, indexed(entry(2), version=2))), "version 2"),
    "an index of 4 GiB": (laid((0, indexed(entry(2), claimed=2**32 - 1))), "columns, and"),
    "an index past all columns": (
        laid((0, indexed(entry(2), claimed=7 * COLUMN_96 - 4))), "7 is the most"),
    "an index in eleven columns": (
        laid((0, indexed(entry(2), claimed=10 * 22 * 2 - 4)), size=2, n=64), "10 is the most", 64),
    "an index of no bytes": (laid((0, indexed(claimed=0))), "1 bytes should"),
    "an index cut short": (laid((0, indexed(entry(2), claimed=5))), "should follow|cannot stand"),
    "an index cut in its tags": (laid((0, indexed(entry(2), claimed=5))), "quilt's index"),
    "bytes after the index": (laid((0, indexed(entry(2), more=b"\x00"))), "left over"),
    "more patches than bytes": (
        laid((0, b"\x01\x05\x00\x00\x00\x7f" + entry(2))), "127 items cannot stand"),
    "a count in a longer form": (laid((0, b"\x01\x07\x00\x00\x00\x81\x00" + entry(2))), "longer"),
    "a name longer than the index": (laid((0, indexed(entry(2, name=b"\x7fa")))), "cannot stand"),
    "a name that is not UTF-8": (laid((0, indexed(entry(2, name=b"\x01\xff")))), "UTF-8"),
    "tags that run over": (laid((0, indexed(entry(2, tags=b"\x05\x01k\x01v")))), "cannot stand"),
    "tags out of order": (
        laid((0, indexed(entry(2, tags=b"\x02\x02aa\x00\x01b\x00")))), "in order"),
    "a tag twice": (laid((0, indexed(entry(2, tags=b"\x02\x01k\x00\x01k\x00")))), "in order"),
    "an item in the index's column": (laid((0, indexed(entry(1)))), "columns 1 to 1 of 7"),
    "an item in no column": (
        laid((0, indexed(entry(2), entry(2, b"\x01b")))), "columns 2 to 2 of 7"),
    "items that overlap": (
        laid((0, indexed(entry(4), entry(3, b"\x01b")))), "columns 4 to 3 of 7"),
    "an item past the last column": (laid((0, indexed(entry(8)))), "columns 1 to 8 of 7"),
    "two items of one name": (laid((0, indexed(entry(2), entry(3)))), "two items are named 'a'"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED_INDEX)
def test_a_quilt_with_a_malformed_index_is_refused(case: str) -> None:
    data, words, *n = MALFORMED_INDEX[case]
    with pytest.raises(WrongBytesError, match=words):
        quilt.read(data, *n or [10])


ONE_ENTRY, TWO_COLUMNS = indexed(entry(2)), indexed(entry(3))
MALFORMED_ITEM = {
    "nothing there": (b"", "version 0"),
    "version 2": (item(version=2), "version 2"),
    "longer than its columns": (item(length=COLUMN_96 - 5), "its columns hold 90"),
    "4 GiB long": (item(length=2**32 - 1), "its columns hold"),
    "no length": (item(length=0), "2 bytes should follow"),
    "unknown parts": (item(mask=2), "mask 0x2"),
    "unknown parts beside tags": (item(tags=b"\x00", mask=0x81), "mask 0x81"),
    "a name past its end": (item(name_size=60), "60 bytes should follow"),
    "a name with bytes after it": (item(name=b"\x01ab"), "left over"),
    "a name shorter than it says": (item(name=b"\x05a"), "identifier cannot be read"),
    "a name that is not UTF-8": (item(name=b"\x01\xff"), "UTF-8"),
    "no name": (item(name=b"\x00"), "needs an identifier"),
    "a name that ends in white space": (item(name=b"\x02a "), "white space"),
    "a name with a control character": (item(name=b"\x02\x1ba"), "control"),
    "another name than the index": (item(name=b"\x01b"), "not the item 'a'"),
    "tags the index does not have": (item(tags=b"\x01\x01k\x01v"), "not the item 'a'"),
    "tags past its end": (item(tags=b"\x00", tags_size=50), "50 bytes should follow"),
    "tags with bytes after them": (item(tags=b"\x00\x00"), "left over"),
    "tags that run over their size": (item(tags=b"\x01\x01k\x05v"), "cannot stand"),
    "tags out of order": (item(tags=b"\x02\x02aa\x00\x01b\x00"), "in order"),
    "tags announced and missing": (item(b"", mask=1), "2 bytes should follow"),
}


@pytest.mark.parametrize("case", MALFORMED_ITEM)
def test_a_malformed_item_is_refused_and_so_it_is_from_slivers(case: str) -> None:
    data, words = MALFORMED_ITEM[case]
    blob = laid((0, GOOD_INDEX), (1, data))
    made = quilt.read(blob, 10)
    with pytest.raises(WrongBytesError, match=words):
        made.get("a")
    with pytest.raises(WrongBytesError, match=words):
        quilt.item_from_slivers(made.patches[0], columns(blob, 10))


def test_an_item_must_fill_just_the_columns_it_is_given() -> None:
    """More of them would let one item have many patch IDs."""
    blob = laid((0, TWO_COLUMNS), (1, item(b"short")))
    with pytest.raises(WrongBytesError, match="do not need all"):
        quilt.read(blob, 10).get("a")
    for size in (COLUMN_96 - 10, COLUMN_96 - 9):
        index = TWO_COLUMNS if size + 10 > COLUMN_96 else ONE_ENTRY
        full = laid((0, index), (1, item(b"y" * size)))
        assert quilt.read(full, 10).get("a").data == b"y" * size


def test_an_item_without_the_tags_of_the_index_is_refused() -> None:
    blob = laid((0, indexed(entry(2, tags=b"\x01\x01k\x01v"))), (1, item()))
    with pytest.raises(WrongBytesError, match="not the item"):
        quilt.read(blob, 10).get("a")


def test_a_patch_id_reads_an_item_whatever_the_index_says() -> None:
    blob = laid((0, GOOD_INDEX), (1, item(name=b"\x01b", tags=b"\x01\x01k\x01v")))
    got = quilt.item_from_slivers(PatchId(KNOWN_ID, 1, 2), columns(blob, 10))
    assert got == Item("b", b"x", {"k": "v"})


def read_whatever(data: st.DataObject) -> None:
    """Bytes of a good quilt with some of them changed, and bytes at random."""
    if data.draw(st.booleans()):
        blob = bytearray(MADE.data)
        for _ in range(data.draw(st.integers(1, 4))):
            blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    else:
        n_symbols = 28
        blob = bytearray(data.draw(st.binary(min_size=n_symbols, max_size=n_symbols * 8)))
        blob[:1] = b"\x01"
        del blob[len(blob) // (2 * n_symbols) * 2 * n_symbols :]
    try:
        made = quilt.read(bytes(blob), 10)
    except WrongBytesError:
        return
    for patch in made.patches:
        try:
            made.item(patch)
        except WrongBytesError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_crash_the_reader(data: st.DataObject) -> None:
    read_whatever(data)


@pytest.mark.full
@settings(max_examples=30_000, deadline=None)
@given(st.data())
def test_no_bytes_of_very_many_crash_the_reader(data: st.DataObject) -> None:
    read_whatever(data)


# --- patch IDs -----------------------------------------------------------------------------


def test_a_patch_id_is_the_quilt_then_a_version_and_two_columns() -> None:
    text = quilt.patch_id(KNOWN_ID, Patch("a", {}, 0x0102, 0x0304))
    assert base64.urlsafe_b64decode(text + "==") == KNOWN_ID + b"\x01\x02\x01\x04\x03"
    assert len(text) == 50
    assert quilt.parse_patch_id(text) == PatchId(KNOWN_ID, 0x0102, 0x0304)


GOOD_TEXT = quilt.patch_id(KNOWN_ID, PatchId(KNOWN_ID, 1, 2))


def patch_text(version: int, start: int, end: int) -> str:
    raw = KNOWN_ID + struct.pack("<BHH", version, start, end)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("version", [0, 2])
def test_a_patch_id_of_another_version_is_named_as_such(version: int) -> None:
    with pytest.raises(InputError, match=f"of version {version}, and 1 is known"):
        quilt.parse_patch_id(patch_text(version, 1, 2))


@pytest.mark.parametrize(
    "text",
    [
        "", GOOD_TEXT[:-1], GOOD_TEXT + "A", GOOD_TEXT + "=", GOOD_TEXT + "\n", " " + GOOD_TEXT[1:],
        "+" + GOOD_TEXT[1:], "/" + GOOD_TEXT[1:], "é" + GOOD_TEXT[1:], GOOD_TEXT[:-1] + "B",
        patch_text(1, 2, 2), patch_text(1, 3, 2),
    ],
)  # fmt: skip
def test_a_text_that_is_no_patch_id_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="patch ID"):
        quilt.parse_patch_id(text)


def test_a_patch_id_needs_a_blob_id_and_columns_that_fit() -> None:
    for blob_id in (KNOWN_ID[:-1], KNOWN_ID + b"\x00"):
        with pytest.raises(InputError, match="has 32 bytes"):
            quilt.patch_id(blob_id, PatchId(KNOWN_ID, 1, 2))
    with pytest.raises(InputError, match="16 bits"):
        quilt.patch_id(KNOWN_ID, PatchId(KNOWN_ID, 1, 2**16))
