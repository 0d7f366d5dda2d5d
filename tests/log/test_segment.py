"""Segments, key chunks and vectors as properties; single bytes are held by tests/vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log import hostile
from vectors import make
from vectors.make import DEVICE, KIT, NOON, OTHER_DEVICE, USER_KEY, VAULT, fixed, stream

from haulout.crypto.envelope import OVERHEAD_BYTES as ENVELOPE_BYTES
from haulout.crypto.section import Kind, room, seal_section, section_bytes
from haulout.errors import DamagedError, LimitError, VaultVersionError
from haulout.log.chain import sign, signature_matches
from haulout.log.memory import checked_content
from haulout.log.record import (
    GENESIS,
    NO_NAMESPACE,
    Header,
    canonical,
    canonical_array,
    encode_header,
    payload_hash,
    record_hash,
)
from haulout.log.segment import (
    RECORD_OVERHEAD,
    SEGMENT_BYTES,
    Carried,
    carried_bytes,
    decode_keys,
    decode_segment,
    decode_vectors,
    encode_keys,
    encode_segment,
    encode_vectors,
    open_codes,
    seal_codes,
)

DEVICES = [DEVICE, OTHER_DEVICE]
ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
counts = st.integers(0, 2**63 - 1)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "device": st.integers(0, 3),
            "id": ids,
            "clock": counts,
            "type": st.integers(0, 2**16 - 1),
            "namespace": st.sampled_from([NO_NAMESPACE, b"n" * 16, b"m" * 16, b"\0" * 15 + b"1"]),
            "epoch": st.integers(0, 2**32 - 1),
            "operation": st.just(b"") | ids,
            "payload": st.none() | st.binary(max_size=300),
            "signature": st.binary(min_size=64, max_size=64),
            "hash": hashes,
        }
    ),
    min_size=1,
    max_size=12,
)
starts = st.lists(
    st.tuples(ids, st.integers(0, 2**62), hashes), min_size=4, max_size=4, unique_by=lambda s: s[0]
)


def chained(given: Sequence[dict], starts: Sequence[tuple], lane: int) -> list[Carried]:
    ends = [list(start) for start in starts]
    made: list[Carried] = []
    for row in given:
        end = ends[row["device"]]
        payload = row["payload"]
        header = Header(
            VAULT, lane, end[0], end[1], end[2], row["id"], row["clock"], row["type"],
            row["namespace"], row["epoch"], row["operation"],
            row["hash"] if payload is None else payload_hash(payload),
        )  # fmt: skip
        data = encode_header(header)
        end[1], end[2] = end[1] + 1, record_hash(data)
        made.append(Carried(header, data, row["signature"], payload))
    return made


def a_run(count: int, size: int = 40) -> list[Carried]:
    """Signed records of two devices in turn, every seventh one erased."""
    tips: dict[bytes, tuple[int, bytes]] = {}
    return [
        make._carried(
            f"run {n}",
            DEVICES[n % 2],
            tips,
            payload=None if n % 7 == 6 else bytes([n % 256]) * size,
        )
        for n in range(count)
    ]


# --- segments ------------------------------------------------------------------------------


@given(given_rows=rows, starts=starts, lane=counts)
def test_a_segment_gives_its_records_back_in_their_order(
    given_rows: list[dict], starts: list[tuple], lane: int
) -> None:
    records = chained(given_rows, starts, lane)
    content = encode_segment(lane, records)
    assert decode_segment(content, VAULT) == records


@given(given_rows=rows, starts=starts)
def test_a_record_takes_no_more_than_is_reckoned_for_it(
    given_rows: list[dict], starts: list[tuple]
) -> None:
    records = chained(given_rows, starts, 2**63 - 1)
    fixed_bytes = len(canonical([1, 2**63 - 1, [], [], []])) + 3 * 4
    new = {record.header.device for record in records}
    new |= {record.header.namespace for record in records} - {NO_NAMESPACE}
    reckoned = sum(carried_bytes(r.payload, r.header.operation) for r in records) + 80 * len(new)
    assert len(encode_segment(2**63 - 1, records)) <= fixed_bytes + reckoned


def test_a_full_segment_fits_where_it_is_reckoned_to() -> None:
    records = a_run(700, 1400)
    reckoned = sum(carried_bytes(r.payload, r.header.operation) for r in records) + 4096
    assert len(encode_segment(1, records)) <= reckoned <= room(2 * SEGMENT_BYTES)
    assert RECORD_OVERHEAD == carried_bytes(None, b"") == carried_bytes(b"", b"")


def test_records_that_do_not_follow_each_other_are_not_written() -> None:
    records = a_run(6)
    one = records[2]
    gap = [records[0], records[1], *records[3:]]
    for wrong in (
        gap,
        [*records[:2], *records[:2]],
        [records[2], records[0]],
        [one._replace(payload=b"another")],
        [one._replace(payload=b"")],
    ):
        with pytest.raises(DamagedError):
            encode_segment(1, wrong)
    with pytest.raises(DamagedError):
        encode_segment(2, records)


def test_a_header_from_a_segment_is_signed_or_its_bytes_were_changed() -> None:
    """Every flip of every byte: refused, or a record in it does not carry its device's name."""
    public = {device.id: device.signing.public for device in DEVICES}
    content = encode_segment(1, a_run(8, 10))
    for place in range(len(content)):
        for change in (1, 0xFF):
            changed = bytearray(content)
            changed[place] ^= change
            try:
                records = decode_segment(bytes(changed), VAULT)
            except (DamagedError, VaultVersionError):
                continue
            assert not all(
                record.header.device in public
                and signature_matches(
                    record.header_bytes, record.signature, public[record.header.device]
                )
                for record in records
            )


def test_every_cut_of_a_segment_is_refused() -> None:
    content = encode_segment(1, a_run(5))
    for end in range(len(content)):
        with pytest.raises(DamagedError):
            decode_segment(content[:end], VAULT)


def test_a_segment_read_as_another_vaults_has_no_valid_signature() -> None:
    for record in decode_segment(encode_segment(1, a_run(4)), b"w" * 16):
        public = {device.id: device.signing.public for device in DEVICES}[record.header.device]
        assert not signature_matches(record.header_bytes, record.signature, public)


def test_one_kind_of_content_is_not_read_as_another() -> None:
    segment = encode_segment(1, a_run(2))
    keys, vectors = encode_keys([(b"i" * 16, b"w")]), encode_vectors("m", [(b"i" * 16, b"w")])
    for read, others in (
        (lambda data: decode_segment(data, VAULT), (keys, vectors)),
        (decode_keys, (segment, vectors)),
        (decode_vectors, (segment, keys)),
    ):
        for other in others:
            with pytest.raises(DamagedError):
                read(other)


# --- key chunks and vectors ----------------------------------------------------------------

pairs = st.dictionaries(ids, st.binary(max_size=80), max_size=20)


@given(pairs=pairs, model=st.text(max_size=30))
def test_pairs_are_given_back_whatever_order_they_came_in(
    pairs: dict[bytes, bytes], model: str
) -> None:
    turned = dict(reversed(pairs.items()))
    assert encode_keys(pairs.items()) == encode_keys(turned.items())
    assert decode_keys(encode_keys(pairs.items())) == pairs
    assert encode_vectors(model, pairs.items()) == encode_vectors(model, turned.items())
    assert decode_vectors(encode_vectors(model, pairs.items())) == (model, pairs)


@given(
    key=hashes,
    record=ids,
    model=st.text(max_size=30),
    parts=st.integers(1, 400).flatmap(
        lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=5)
    ),
)
def test_vectors_open_with_their_record_and_model_alone(
    key: bytes, record: bytes, model: str, parts: list[bytes]
) -> None:
    sealed = seal_codes(key, record, model, parts)
    assert open_codes(key, record, model, sealed) == parts
    assert seal_codes(key, record, model, iter(parts)) == sealed
    assert len(sealed) == 12 + 2 + sum(map(len, parts)) + 16
    for other in ((b"x" * 32, record, model), (key, b"x" * 16, model), (key, record, model + "2")):
        with pytest.raises(DamagedError):
            open_codes(*other, sealed)


def test_every_flipped_byte_and_cut_of_vectors_is_refused() -> None:
    key, record = fixed("key", 32), fixed("record")
    sealed = seal_codes(key, record, "m", [b"a" * 24, b"b" * 24])
    for place in range(len(sealed)):
        for change in (1, 0x80, 0xFF):
            changed = bytearray(sealed)
            changed[place] ^= change
            with pytest.raises(DamagedError):
                open_codes(key, record, "m", bytes(changed))
        with pytest.raises(DamagedError):
            open_codes(key, record, "m", sealed[:place])


def test_vectors_computed_twice_share_no_key_stream() -> None:
    """Another run of a model gives other numbers; the sum of the two must not show."""
    key, record = fixed("key", 32), fixed("record")
    first, second = bytes(384), bytes(383) + b"\1"
    one, two = (seal_codes(key, record, "m", [codes])[12:-16] for codes in (first, second))
    assert sum(a == b for a, b in zip(one, two, strict=True)) < 20


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"bc"], [b"abc", b""], [b"a"] * 65536])
def test_vectors_that_could_not_be_read_back_are_not_sealed(parts: list[bytes]) -> None:
    with pytest.raises(LimitError):
        seal_codes(fixed("key", 32), fixed("record"), "m", parts)


# --- hostile input -------------------------------------------------------------------------

SEGMENTS = [encode_segment(1, a_run(count, 12)) for count in (1, 3, 8)]
KEYS = [
    encode_keys([(fixed(f"k{n}"), fixed(f"w{n}", 60)) for n in range(count)]) for count in (0, 4)
]
VECTORS = [encode_vectors("minilm", [(fixed(f"k{n}"), fixed(f"w{n}", 60)) for n in range(3)])]
CODES = [seal_codes(fixed("key", 32), fixed("record"), "m", [b"abc", b"def"])]


def canonical_segment(data: bytes) -> None:
    """What is taken has one encoding: writing it again gives the same bytes."""
    records = decode_segment(data, VAULT)
    assert encode_segment(records[0].header.lane, records) == data


def canonical_vectors(data: bytes) -> None:
    model, sealed = decode_vectors(data)
    assert encode_vectors(model, sealed.items()) == data


def canonical_keys(data: bytes) -> None:
    assert encode_keys(decode_keys(data).items()) == data


def read_codes(data: bytes) -> None:
    open_codes(fixed("key", 32), fixed("record"), "m", data)


READERS = {
    "segment": (canonical_segment, SEGMENTS),
    "keys": (canonical_keys, KEYS),
    "vectors": (canonical_vectors, VECTORS),
    "codes": (read_codes, CODES),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_or_has_one_encoding(name: str) -> None:
    read, seeds = READERS[name]
    taken = hostile.fuzz(read, seeds, 20_000)
    assert (taken == 0) if name == "codes" else taken > 100  # a changed signature is no form


@pytest.mark.full
@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_in_full(name: str) -> None:
    hostile.fuzz(*READERS[name], 1_000_000)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_segment(data: bytes) -> None:
    with pytest.raises(hostile.REFUSALS):
        decode_segment(data, VAULT)


@pytest.mark.parametrize("odd", hostile.ODD)
def test_huge_lengths_and_depths_are_refused_at_once(odd: bytes) -> None:
    for data in (
        odd,
        b"\x85\1" + odd,
        b"\x85\1\1\x81" + odd,
        b"\x82\1" + odd,
        b"\x83\1\x61m" + odd,
    ):
        for read in (lambda d: decode_segment(d, VAULT), decode_keys, decode_vectors):
            start = time.process_time()
            assert hostile.peak_bytes(lambda read=read, data=data: read(data)) < 200_000
            assert time.process_time() - start < 1


# --- what it costs -------------------------------------------------------------------------


def test_a_memory_of_300_bytes_costs_about_120_more_and_padding_a_few_in_a_hundred() -> None:
    payload = len(checked_content("x" * 300).payload()) + ENVELOPE_BYTES
    previous, records = GENESIS, []
    for sequence in range(1, 2301):
        sealed = fixed(f"payload {sequence}", payload)
        header = make.header(
            sequence=sequence, previous=previous, id=fixed(f"id {sequence}"),
            clock=NOON + sequence, payload_hash=payload_hash(sealed), operation=b"o" * 16,
        )  # fmt: skip
        data = encode_header(header)
        previous = record_hash(data)
        records.append(Carried(header, data, sign(data, DEVICE.signing), sealed))
    content = encode_segment(1, records)
    each = len(content) / len(records)
    assert payload < each < payload + 122
    section = seal_section({1: USER_KEY}, Kind.SEGMENT, VAULT, content, stream("cost"))
    assert len(section) == section_bytes(len(content)) <= SEGMENT_BYTES
    assert len(section) < 1.04 * len(content)
    keys = encode_keys([(record.header.id, fixed("wrap", 60)) for record in records])
    assert len(keys) / len(records) < 81
    assert KIT.vault_id == VAULT


@given(st.lists(st.lists(st.binary(max_size=40), max_size=3), max_size=300))
def test_rows_encoded_one_by_one_are_the_array_encoded_at_once(rows):
    assert canonical_array([canonical(row) for row in rows]) == canonical(rows)


@pytest.mark.parametrize("count", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_an_array_has_the_shortest_head_at_each_length(count):
    assert canonical_array([canonical(0)] * count) == canonical([0] * count)
