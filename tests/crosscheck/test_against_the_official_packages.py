"""Blobs, quilts and certificates beside @mysten/walrus and @mysten/walrus-wasm, both ways.

Every blob is encoded here and there, and what differs by one bit anywhere fails: blob ID, root,
metadata, every sliver. Each side decodes slivers of the other, chosen at random. The cases follow
from a seed, so that a failure names a case that can be looked at again.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from haulout import redstuff
from haulout.errors import HauloutError
from haulout.redstuff import acceleration, bcs, certificate, quilt, quilt_layout
from haulout.redstuff.quilt import Item
from haulout.redstuff.sliver import Sliver

BLOBS, CHUNKS = 300, 30
FULL_BLOBS, FULL_CHUNKS = 2000, 100
QUILTS, QUILT_CHUNKS = 200, 4
FULL_QUILTS, FULL_QUILT_CHUNKS = 600, 20
MOST = 1 << 20
SYMBOLS = (2, 4, 62, 64, 66, 126, 128, 130)
"""Sizes around which the layout of a symbol changes: it is made of blocks of 64 bytes."""


# --- cases ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One blob to compare."""

    seed: int
    n: int
    size: int
    kind: str

    def data(self) -> bytes:
        """Random bytes, zeros, a repeated text, or zeros with a few bytes among them."""
        source = random.Random(self.seed)
        if self.kind == "random":
            return source.randbytes(self.size)
        if self.kind == "repeated":
            unit = source.randbytes(source.randint(1, 300))
            return (unit * (self.size // len(unit) + 1))[: self.size]
        data = bytearray(self.size)
        for _ in range(5 if self.kind == "sparse" and self.size else 0):
            data[source.randrange(self.size)] = source.randrange(256)
        return bytes(data)


def shards(source: random.Random, place: int, count: int) -> int:
    """Mostly few: an encoding costs n² hashes on both sides. The last few take 1000."""
    if place >= count - max(2, count // 400):
        return 1000
    least, most = source.choices([(4, 40), (41, 120), (121, 400)], [86, 12, 2])[0]
    return source.randint(least, most)


def case(seed: int, place: int, count: int) -> Case:
    source = random.Random(seed * 1_000_003 + place)
    n = shards(source, place, count)
    symbols = math.prod(redstuff.parameters(n)[2:])
    most = min(MOST, redstuff.most_bytes(n))
    if source.random() < 0.3:
        size = symbols * source.choice(SYMBOLS) + source.choice((-1, 0, 1))
    else:
        size = int(2 ** source.uniform(0, math.log2(most + 1))) - 1
    if place == 0:
        size = 0
    kind = source.choices(["random", "repeated", "zeros", "sparse"], [70, 10, 8, 12])[0]
    return Case(source.getrandbits(64), n, min(size, most), kind)


def chunk(seed: int, count: int, chunks: int, number: int) -> list[Case]:
    """Every ``chunks``-th case, so that those which cost much lie in different chunks."""
    return [case(seed, place, count) for place in range(number, count, chunks)]


# --- blobs ---------------------------------------------------------------------------------


def compare(oracle: Any, case: Case) -> None:
    data = case.data()
    n, _, p, s = redstuff.parameters(case.n)
    source = random.Random(case.seed + 1)
    rows, columns = source.sample(range(n), p), source.sample(range(n), s)
    pairs = [n - 1 - column for column in columns]
    ours = redstuff.encode(data, n)
    theirs = oracle.ask("encode", data=oracle.coded(data), shards=n, primary=rows, secondary=pairs)
    assert theirs["id"] == ours.blob_id_text
    assert oracle.plain(theirs["root"]) == ours.root_hash
    assert oracle.plain(theirs["metadata"]) == ours.metadata.to_bcs_with_id()
    assert theirs["encodedLength"] == redstuff.encoded_length(len(data), n)
    assert theirs["shards"] == [
        redstuff.shard_of_pair(pair, ours.blob_id, n) for pair in (0, n - 1)
    ]
    written = [[sliver.to_bcs() for sliver in ours.pair(pair)] for pair in range(n)]
    hashed = [[hashlib.sha256(sliver).hexdigest() for sliver in pair] for pair in written]
    assert [list(pair) for pair in zip(theirs["rows"], theirs["columns"], strict=True)] == hashed

    metadata = redstuff.Metadata.from_bcs_with_id(oracle.plain(theirs["metadata"]))
    for axis, slivers in (("primary", theirs["primary"]), ("secondary", theirs["secondary"])):
        received = [Sliver.from_bcs(oracle.plain(sliver), axis) for sliver in slivers]
        for sliver in received[:2]:
            redstuff.verify_sliver(metadata, sliver)
        assert redstuff.decode(metadata, received) == data
    decoded = oracle.ask(
        "decode", id=ours.blob_id_text, size=len(data), shards=n,
        slivers=[oracle.coded(written[row][0]) for row in rows],
    )  # fmt: skip
    assert decoded["sha256"] == hashlib.sha256(data).hexdigest()


def compare_all(oracle: Any, cases: list[Case], engine: acceleration.Choice) -> None:
    """Compare with one engine, whatever this process would choose by itself."""
    for each in cases:
        try:
            with acceleration.using(engine):
                compare(oracle, each)
        except (AssertionError, HauloutError) as error:
            error.add_note(f"{each} with {engine}")
            raise


def engine(number: int) -> acceleration.Choice:
    """NumPy and numba in turn; NumPy alone where the other is not installed."""
    return "numba" if number % 2 and find_spec("numba") else "numpy"


@pytest.mark.parametrize("number", range(CHUNKS))
def test_blobs_are_the_same_and_each_side_decodes_the_other(oracle: Any, number: int) -> None:
    compare_all(oracle, chunk(1, BLOBS, CHUNKS, number), engine(number))


@pytest.mark.full
@pytest.mark.parametrize("number", range(FULL_CHUNKS))
def test_many_blobs_are_the_same(oracle: Any, number: int) -> None:
    compare_all(oracle, chunk(2, FULL_BLOBS, FULL_CHUNKS, number), engine(number))


def test_the_cases_reach_what_they_are_for() -> None:
    cases = [case(1, place, BLOBS) for place in range(BLOBS)]
    assert len({each.n for each in cases}) > 60
    assert sum(each.n == 1000 for each in cases) == 2
    assert {each.n % 3 for each in cases} == {0, 1, 2}
    assert cases[0].size == 0
    assert max(each.size for each in cases) > MOST // 2
    assert sum(each.size < 4096 for each in cases) > BLOBS // 3
    sizes = {redstuff.symbol_size(each.size, each.n) for each in cases}
    assert set(SYMBOLS) <= sizes
    assert {each.kind for each in cases} == {"random", "repeated", "zeros", "sparse"}


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 31, 49, 51, 100, 101])
def test_an_id_alone_is_the_same_for_the_largest_and_the_empty_blob(oracle: Any, n: int) -> None:
    for size in (0, 1, min(redstuff.most_bytes(n), MOST)):
        data = random.Random(size).randbytes(size)
        theirs = oracle.ask("computeMetadata", data=oracle.coded(data), shards=n)
        assert theirs["id"] == redstuff.blob_id(data, n)
        assert theirs["length"] == size


def test_both_sides_refuse_a_blob_that_is_too_large(oracle: Any, refused: type) -> None:
    data = bytes(redstuff.most_bytes(4) + 1)
    with pytest.raises(refused):
        oracle.ask("computeMetadata", data=oracle.coded(data), shards=4)
    with pytest.raises(HauloutError):
        redstuff.encode(data, 4)


# --- quilts --------------------------------------------------------------------------------

LETTERS = "abcXYZ019._- éßΩжあ漢\U0001f9ad\U00010348"
"""Nothing from U+E000 to U+FFFF: beside letters above U+FFFF the TypeScript package, which sorts by
UTF-16, has another order there than Rust's, which is ours."""


def word(source: random.Random, most: int) -> str:
    return "".join(source.choices(LETTERS, k=source.randint(0, most)))


def items(source: random.Random, n: int) -> list[Item]:
    """Random items; few or many, empty or large, with tags or without."""
    most = redstuff.parameters(n).secondary - 1
    count = source.choice([1, 2, source.randint(1, most), min(most, source.randint(1, 40))])
    names: set[str] = set()
    while len(names) < count:
        name = word(source, source.choice([2, 12, 12, 150])).rstrip()
        names.add(name or f"item-{len(names)}")
    tagged = source.random()
    return [
        Item(
            name,
            source.randbytes(int(2 ** source.uniform(0, source.choice([4, 9, 13]))) - 1),
            {
                word(source, 8): word(source, source.choice([3, 40]))
                for _ in range(source.randint(1, 4) if source.random() < tagged else 0)
            },
        )
        for name in source.sample(sorted(names), count)
    ]


def quilt_case(seed: int) -> tuple[int, list[Item]]:
    source = random.Random(seed)
    n = source.choices([source.randint(4, 12), source.randint(13, 60), 100], [50, 45, 5])[0]
    return n, items(source, n)


def compare_quilts(oracle: Any, seed: int) -> None:
    n, given = quilt_case(seed)
    ours = quilt.pack(given, n)
    theirs = oracle.ask(
        "packQuilt", shards=n,
        items=[
            {"identifier": i.identifier, "data": oracle.coded(i.data), "tags": dict(i.tags)}
            for i in given
        ],
    )  # fmt: skip
    data = oracle.plain(theirs["data"])
    assert data == ours.data
    blob_id = redstuff.blob_id_bytes(theirs["id"])
    assert theirs["id"] == redstuff.blob_id(ours.data, n)
    assert theirs["patches"] == [
        {
            "identifier": patch.identifier, "tags": patch.tags, "start": patch.start,
            "end": patch.end, "patchId": quilt.patch_id(blob_id, patch),
        }
        for patch in ours.patches
    ]  # fmt: skip

    back = quilt.read(data, n)
    by_name = {each.identifier: each for each in given}
    assert {patch.identifier: back.item(patch) for patch in back.patches} == by_name
    read_there(oracle, ours, theirs["id"], from_columns=False)
    read_there(oracle, ours, theirs["id"], from_columns=True)


def read_there(oracle: Any, made: quilt.Quilt, blob_id: str, *, from_columns: bool) -> None:
    """Have the package read a quilt of ours, whole or from columns, as far as it reads rightly."""
    column = redstuff.parameters(made.n_shards).primary * made.symbol_size
    size = len(quilt_layout.index_bytes(made.patches)) - 5
    index = not (from_columns and misread([5, size], column))
    patches = [
        patch
        for patch in made.patches
        if not (from_columns and misread(parts(made.item(patch)), column))
    ]
    there = oracle.ask(
        "readQuilt", data=oracle.coded(bytes(made.data)), id=blob_id, shards=made.n_shards,
        starts=[patch.start for patch in patches], index=index, fromColumns=from_columns,
    )  # fmt: skip
    assert there["items"] == [
        {"identifier": i.identifier, "tags": dict(i.tags), "data": oracle.coded(i.data)}
        for i in map(made.item, patches)
    ]
    raw = redstuff.blob_id_bytes(blob_id)
    expected = [
        {"identifier": p.identifier, "tags": p.tags, "patchId": quilt.patch_id(raw, p)}
        for p in made.patches
    ]
    if index and -(-size // column) < made.patches[0].start:
        # It counts the index's columns without the five bytes before it, so that the first item
        # would begin a column too early. Its writer counts them, and so does Rust.
        del there["patches"][0]["patchId"], expected[0]["patchId"]
    assert there["patches"] == (expected if index else [])


def parts(item: Item) -> list[int]:
    """The sizes of the pieces in which the package's reader reads an item."""
    name, tags = len(bcs.string(item.identifier)), len(quilt_layout.item_prefix(item))
    tags -= 6 + 2 + name
    return [6, 2, name, *([2, tags - 2] if tags else []), len(item.data)]


def misread(pieces: list[int], column: int) -> bool:
    """Whether the package's reader may read one of ``pieces`` wrongly from columns.

    A piece that begins inside a column and ends in another is misread (`readBytesFromSlivers` in
    1.2.13): it asks for as many columns as the length alone needs and takes zeros for the rest,
    and it begins too late in the second column where it began past the middle of the first.
    """
    at = 0
    for piece in pieces:
        if at % column and at % column + piece > column:
            return True
        at += piece
    return False


@pytest.mark.parametrize("number", range(QUILT_CHUNKS))
def test_quilts_are_the_same_and_each_side_reads_the_other(oracle: Any, number: int) -> None:
    for seed in range(number, QUILTS, QUILT_CHUNKS):
        try:
            compare_quilts(oracle, seed)
        except (AssertionError, HauloutError) as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.full
@pytest.mark.parametrize("number", range(FULL_QUILT_CHUNKS))
def test_many_quilts_are_the_same(oracle: Any, number: int) -> None:
    for seed in range(1_000_000 + number, 1_000_000 + FULL_QUILTS, FULL_QUILT_CHUNKS):
        try:
            compare_quilts(oracle, seed)
        except (AssertionError, HauloutError) as error:
            error.add_note(f"seed {seed}")
            raise


def test_the_quilts_reach_what_they_are_for() -> None:
    full, tagged, empty, wide, many_index_columns, read_from_columns = [0] * 6
    for seed in range(QUILTS):
        n, given = quilt_case(seed)
        made = quilt.pack(given, n)
        column = redstuff.parameters(n).primary * made.symbol_size
        full += len(given) == redstuff.parameters(n).secondary - 1
        many_index_columns += made.patches[0].start > 1
        for patch, item in zip(made.patches, map(made.item, made.patches), strict=True):
            tagged += bool(item.tags)
            empty += not item.data
            wide += patch.end - patch.start > 1
            read_from_columns += not misread(parts(item), column)
    assert min(full, many_index_columns) > 5
    assert min(tagged, empty, wide, read_from_columns) > 100


def test_a_patch_id_is_read_alike(oracle: Any) -> None:
    text = quilt.patch_id(bytes(range(32)), quilt.PatchId(b"", 258, 666))
    theirs = oracle.ask("parsePatchId", patchId=text)
    assert theirs == {
        "id": redstuff.blob_id_text(bytes(range(32))), "start": 258, "end": 666,
    }  # fmt: skip


def test_both_sides_refuse_quilts_that_cannot_be(oracle: Any, refused: type) -> None:
    few = [Item(f"{k}", b"x") for k in range(3)]
    for n, given in ((4, few), (10, [few[0], few[0]]), (10, [Item("a", bytes(1_835_000))])):
        with pytest.raises(refused):
            oracle.ask(
                "packQuilt", shards=n,
                items=[
                    {"identifier": i.identifier, "data": oracle.coded(i.data), "tags": {}}
                    for i in given
                ],
            )  # fmt: skip
        with pytest.raises(HauloutError):
            quilt.pack(given, n)


# --- certificates --------------------------------------------------------------------------


def test_certificates_are_the_same_and_hold_on_both_sides(oracle: Any, refused: type) -> None:
    pytest.importorskip("py_ecc")
    blob_id, epoch, object_id = bytes(range(32)), 7, bytes(range(50, 82))
    for named in (None, object_id):
        message = certificate.blob_message(blob_id, epoch, named)
        theirs = oracle.ask(
            "confirmation", id=redstuff.blob_id_text(blob_id), epoch=epoch,
            objectId=named and "0x" + named.hex(),
        )  # fmt: skip
        assert oracle.plain(theirs["message"]) == message
    secrets = [5, 66, 777]
    keys = [certificate.public_key(secret) for secret in secrets]
    signatures = {place: certificate.sign(secrets[place], message) for place in (2, 0)}
    made = certificate.combine(message, signatures)
    total = oracle.ask(
        "aggregate", signatures=[oracle.coded(signature) for signature in signatures.values()],
        key=oracle.coded(keys[2]), message=oracle.coded(message),
    )  # fmt: skip
    assert oracle.plain(total["signature"]) == made.signature
    assert total["holds"] is True
    for signers, holds in ((made.signers, True), ((0, 1), False)):
        theirs = oracle.ask(
            "certificate", certificate=oracle.coded(made.to_bcs()), committee=11,
            keys=[oracle.coded(keys[signer]) for signer in signers],
        )  # fmt: skip
        assert theirs["holds"] is holds
    assert theirs["signers"] == list(made.signers)
    assert oracle.plain(theirs["message"]) == message
    assert oracle.plain(theirs["bitmap"]) == certificate.signer_bitmap(made.signers, 11)
    assert oracle.plain(theirs["again"]) == made.to_bcs()
    told = certificate.verify(made, keys, [4, 2, 4], 10)
    assert told.blob() == (blob_id, object_id)
