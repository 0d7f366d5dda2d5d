"""The object of a shard: each byte of it is verified, and every part is read by range."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage.volumes.parts import objects_of
from vectors import make_volume

from haulout.errors import HauloutError, InputError, WrongBytesError
from haulout.redstuff import encoded_length, parameters
from haulout.storage.volumes.headstate import decode_state
from haulout.storage.volumes.layout import decode_layout
from haulout.storage.volumes.marker import decode_marker
from haulout.storage.volumes.naming import parse_shard_name, shard_name
from haulout.storage.volumes.shardfile import (
    Header,
    decode_header,
    decode_object,
    decode_prefix,
    encode_header,
    encode_object,
    holder,
    object_size,
    possible_size,
    prefix_size,
    sliver_extent,
    sliver_index,
    symbol_extent,
)

VECTORS = Path(make_volume.__file__).with_name("volume.json")
FOUND = json.loads(VECTORS.read_text("utf-8"))


def cases(part: str, side: str):
    return pytest.mark.parametrize(
        "case", FOUND[part][side], ids=[case["name"] for case in FOUND[part][side]]
    )


def read(part: str, case: dict) -> object:
    if part == "object":
        return decode_object(make_volume.expanded(case), case["blob"], case["n"], case["shard"])
    if part == "name":
        found = parse_shard_name(case["text"], case["n"])
        if found is None:
            raise WrongBytesError(case["text"])
        return found
    readers = {"layout": decode_layout, "marker": decode_marker, "head": decode_state}
    return readers[part](bytes.fromhex(case["bytes"]))


PARTS = ("object", "layout", "marker", "head", "name")


def test_the_vectors_are_what_their_program_makes():
    assert VECTORS.read_text("utf-8") == make_volume.text()


@pytest.mark.parametrize("part", PARTS)
def test_every_vector_is_accepted_or_refused_as_it_says(part):
    assert len(FOUND[part]["accept"]) >= 2
    assert len(FOUND[part]["reject"]) >= 5
    for case in FOUND[part]["accept"]:
        read(part, case)
    for case in FOUND[part]["reject"]:
        assert case["reason"]
        with pytest.raises(WrongBytesError):
            read(part, case)


@cases("object", "accept")
def test_an_object_is_made_of_what_its_vector_tells(case):
    data = make_volume.expanded(case)
    metadata, primary, secondary = decode_object(data, case["blob"], case["n"], case["shard"])
    assert encode_object(metadata, case["shard"], primary, secondary) == data
    assert len(data) == case["size"] == object_size(metadata.size, case["n"])


@pytest.mark.parametrize("size", [0, 300])
def test_every_flipped_byte_of_an_object_is_found(size):
    encoded, objects = objects_of(random.Random(size).randbytes(size), 10)
    for shard in (0, 7):
        for place in range(len(objects[shard])):
            changed = bytearray(objects[shard])
            changed[place] ^= 1 + place % 255
            with pytest.raises(WrongBytesError):
                decode_object(bytes(changed), encoded.blob_id_text, 10, shard)


@given(data=st.binary(max_size=1200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_do_more_than_be_refused(data):
    blob_id = FOUND["object"]["accept"][0]["blob"]
    for reader in (
        lambda: decode_object(data, blob_id, 10, 3),
        lambda: decode_prefix(data, blob_id, 10, 3),
        lambda: decode_header(data),
        lambda: decode_layout(data),
        lambda: decode_marker(data),
        lambda: decode_state(data),
    ):
        try:
            reader()
        except WrongBytesError:
            continue


@pytest.mark.parametrize("n_shards", [4, 10, 127, 128, 1000])
def test_everything_in_an_object_is_where_the_arithmetic_says(n_shards):
    draw = random.Random(n_shards)
    size = 500 if n_shards < 1000 else 1
    encoded, objects = objects_of(draw.randbytes(size), n_shards) if n_shards < 1000 else (None, {})
    rs2 = parameters(n_shards)
    assert encoded_length(size, n_shards) <= n_shards * object_size(size, n_shards)
    for shard in draw.sample(range(n_shards), 3) if encoded else ():
        data = objects[shard]
        assert len(data) == object_size(size, n_shards)
        assert possible_size(len(data), n_shards)
        metadata = decode_prefix(
            data[: prefix_size(n_shards)], encoded.blob_id_text, n_shards, shard
        )
        for axis, stored in (("primary", rs2.secondary), ("secondary", rs2.primary)):
            index = sliver_index(axis, shard, metadata)
            assert holder(axis, index, encoded.blob_id, n_shards) == shard
            sliver = encoded.primary(index) if axis == "primary" else encoded.secondary(index)
            start, length = sliver_extent(axis, size, n_shards)
            assert data[start : start + length] == sliver.data
            for number in (0, stored - 1):
                start, length = symbol_extent(axis, number, size, n_shards)
                assert data[start : start + length] == sliver.symbol(number)
            for number in (-1, stored):
                with pytest.raises(InputError):
                    symbol_extent(axis, number, size, n_shards)


def test_a_header_has_one_form():
    for header in (Header(4, 3, 0), Header(1000, 999, 2**33), Header(10, 0, 1_834_952)):
        assert decode_header(encode_header(header)) == header
    for wrong in (Header(3, 0, 1), Header(1001, 0, 1), Header(10, 10, 1), Header(10, 0, 1_834_953)):
        with pytest.raises(WrongBytesError):
            decode_header(encode_header(wrong))


def test_a_sliver_of_another_shard_makes_no_object():
    encoded, _ = objects_of(b"abc", 10)
    with pytest.raises(InputError):
        encode_object(encoded.metadata, 0, encoded.primary(0), encoded.secondary(0))


def test_sizes_that_no_object_has_are_told():
    sizes = {object_size(size, 10) for size in range(400)}
    assert all(possible_size(size, 10) for size in sizes)
    assert not any(possible_size(size + d, 10) for size in sizes for d in (-1, 1, 11))
    assert not possible_size(0, 10)
    assert not possible_size(prefix_size(10), 10)


def test_a_name_is_read_as_it_is_written_and_in_no_other_way():
    blob_id = FOUND["object"]["accept"][0]["blob"]
    for shard in range(10):
        assert parse_shard_name(shard_name(blob_id, shard), 10) == (blob_id, shard)
    with pytest.raises(HauloutError):
        shard_name("no blob ID", 0)
