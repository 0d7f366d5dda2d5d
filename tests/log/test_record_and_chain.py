"""Headers, hashes and chains as properties; single bytes are held by tests/vectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.crypto.keys import SigningKey
from haulout.errors import DamagedError, InputError, VaultVersionError
from haulout.log.chain import EMPTY, Tip, follow, sign, signature_matches
from haulout.log.clock import tick
from haulout.log.record import (
    GENESIS,
    Header,
    decode_header,
    encode_header,
    id_bytes,
    id_text,
    payload_hash,
    record_hash,
)

ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
counts = st.integers(0, 2**63 - 1)
headers = st.builds(
    Header,
    vault=ids,
    lane=counts,
    device=ids,
    sequence=counts,
    previous=hashes,
    id=ids,
    clock=counts,
    type=st.integers(0, 2**16 - 1),
    namespace=ids,
    epoch=st.integers(0, 2**32 - 1),
    operation=st.one_of(st.just(b""), ids),
    payload_hash=hashes,
)
KEY = SigningKey(bytes(32))


@given(header=headers)
def test_a_header_is_read_as_it_was_written(header: Header) -> None:
    assert decode_header(encode_header(header)) == header


@given(first=headers, second=headers)
def test_two_headers_never_share_a_hash(first: Header, second: Header) -> None:
    hashes = [record_hash(encode_header(one)) for one in (first, second)]
    assert (first == second) == (hashes[0] == hashes[1])


@given(noise=st.binary(max_size=300))
def test_noise_is_no_header(noise: bytes) -> None:
    with pytest.raises((DamagedError, VaultVersionError)):
        decode_header(noise)


@given(data=st.data(), header=headers)
def test_a_flipped_bit_is_refused_or_is_another_header(data: Any, header: Header) -> None:
    whole = encode_header(header)
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    changed = bytearray(whole)
    changed[place // 8] ^= 1 << place % 8
    try:
        found = decode_header(bytes(changed))
    except (DamagedError, VaultVersionError):
        return
    assert found != header
    assert not signature_matches(bytes(changed), sign(whole, KEY), KEY.public)


@given(first=ids, second=ids)
def test_ids_and_their_texts_stand_in_the_same_order(first: bytes, second: bytes) -> None:
    assert id_bytes(id_text(first)) == first
    assert (first < second) == (id_text(first) < id_text(second))


@given(text=st.text(max_size=30))
def test_a_text_is_an_id_only_in_its_one_form(text: str) -> None:
    try:
        found = id_bytes(text)
    except InputError:
        return
    assert id_text(found) == text


@pytest.mark.parametrize("value", [None, 5, b"0" * 26, ["0"] * 26])
def test_what_is_no_text_is_no_id(value: Any) -> None:
    with pytest.raises(InputError, match="ID of a memory is text"):
        id_bytes(value)


# --- chains --------------------------------------------------------------------------------

Link = tuple[bytes, bytes | None]


@st.composite
def chains(draw: Any, least: int = 1) -> list[Link]:
    """Some records in a row, each with its payload."""
    links: list[Link] = []
    tip = EMPTY
    for _ in range(draw(st.integers(least, 6))):
        payload = draw(st.binary(max_size=8))
        header = draw(headers)._replace(
            sequence=tip.sequence + 1,
            previous=tip.hash,
            clock=tick(tip.clock, draw(st.integers(0, 50))),
            payload_hash=payload_hash(payload),
        )
        data = encode_header(header)
        links.append((data, payload))
        tip = Tip(header.sequence, record_hash(data), header.clock)
    return links


def walk(links: list[Link]) -> Tip:
    tip = EMPTY
    for header, payload in links:
        _, tip = follow(tip, header, payload)
    return tip


@given(links=chains(), data=st.data())
def test_erasing_payloads_leaves_the_chain_as_it_was(links: list[Link], data: Any) -> None:
    erased = data.draw(st.sets(st.integers(0, len(links) - 1)))
    kept = [(h, None if i in erased else p) for i, (h, p) in enumerate(links)]
    assert walk(kept) == walk(links)


@given(links=chains(least=2), data=st.data())
def test_no_record_can_be_taken_out_before_the_tip(links: list[Link], data: Any) -> None:
    gone = data.draw(st.integers(0, len(links) - 2))
    with pytest.raises(DamagedError):
        walk(links[:gone] + links[gone + 1 :])


@given(links=chains(least=2), data=st.data())
def test_no_two_records_can_change_places(links: list[Link], data: Any) -> None:
    place = data.draw(st.integers(0, len(links) - 2))
    swapped = links.copy()
    swapped[place : place + 2] = swapped[place : place + 2][::-1]
    with pytest.raises(DamagedError):
        walk(swapped)


@given(links=chains(), data=st.data(), payload=st.binary(max_size=8))
def test_no_payload_can_be_replaced(links: list[Link], data: Any, payload: bytes) -> None:
    place = data.draw(st.integers(0, len(links) - 1))
    header, old = links[place]
    links[place] = header, payload
    if payload == old:
        walk(links)
    else:
        with pytest.raises(DamagedError, match="payload"):
            walk(links)


@given(links=chains(), other=headers)
def test_a_rewritten_record_changes_every_hash_after_it(links: list[Link], other: Header) -> None:
    first = decode_header(links[0][0])
    rewritten = encode_header(other._replace(sequence=1, previous=GENESIS, clock=first.clock))
    if rewritten == links[0][0]:
        return
    if len(links) == 1:
        assert walk([(rewritten, None)]).hash != walk(links).hash
    else:
        with pytest.raises(DamagedError):
            walk([(rewritten, None), *links[1:]])


@given(header=headers)
def test_one_signature_is_for_one_header(header: Header) -> None:
    data = encode_header(header)
    signature = sign(data, KEY)
    assert signature_matches(data, signature, KEY.public)
    later = encode_header(header._replace(sequence=header.sequence ^ 1))
    assert not signature_matches(later, signature, KEY.public)


@given(newest=counts, now=counts)
def test_a_clock_is_never_behind_and_never_repeats(newest: int, now: int) -> None:
    assert tick(newest, now) > newest
    assert tick(newest, now) >= now
    assert tick(newest, now) in {now, newest + 1}


def test_a_version_of_a_thousand_digits_is_damage_and_no_other_error() -> None:
    with pytest.raises(DamagedError):
        decode_header(b"\x81\xc2\x59\x20\x00" + b"\xff" * 8192)
