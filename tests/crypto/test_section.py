"""Sections as properties; single bytes are held by tests/vectors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log import hostile
from vectors.make import stream

from haulout.crypto.section import (
    LEAST_BYTES,
    MOST_BYTES,
    OVERHEAD_BYTES,
    Kind,
    open_section,
    padded,
    room,
    seal_section,
    section_bytes,
)
from haulout.errors import DamagedError, LimitError, VaultLockedError

VAULT, OTHER_VAULT = b"v" * 16, b"w" * 16
SECRETS = {1: b"1" * 32, 2: b"2" * 32}
kinds = st.sampled_from(Kind)
lengths = st.integers(0, MOST_BYTES)


def sealed(content: bytes, kind: Kind = Kind.SEGMENT, seed: str = "a") -> bytes:
    return seal_section(SECRETS, kind, VAULT, content, stream(seed))


# --- round trip ----------------------------------------------------------------------------


@given(content=st.binary(max_size=3000), kind=kinds, generations=st.sets(st.integers(1, 2**32 - 1)))
def test_a_section_gives_its_content_back(
    content: bytes, kind: Kind, generations: set[int]
) -> None:
    secrets = {n: n.to_bytes(32, "big") for n in generations | {7}}
    section = seal_section(secrets, kind, VAULT, content, stream("any"))
    assert open_section(secrets, kind, VAULT, section) == content
    assert len(section) == section_bytes(len(content)) == padded(len(section))
    assert int.from_bytes(section[1:5], "big") == max(secrets)
    older = {n: s for n, s in secrets.items() if n != max(secrets)}
    with pytest.raises(VaultLockedError):
        open_section(older, kind, VAULT, section)


def test_the_same_content_is_sealed_to_other_bytes_each_time() -> None:
    entropy = stream("twice")
    first, second = (seal_section(SECRETS, Kind.KEYS, VAULT, b"x", entropy) for _ in range(2))
    assert first[:5] == second[:5]
    assert first[5:21] != second[5:21]
    assert sum(a == b for a, b in zip(first[21:], second[21:], strict=True)) < 20


def test_what_a_store_sees_is_version_generation_and_a_size() -> None:
    words = b"Ana is allergic to walnuts." * 40
    section = sealed(words)
    assert section[:5] == b"\1\0\0\0\2"
    assert not any(words[at : at + 4] in section for at in range(27))
    assert VAULT[:4] not in section


# --- sizes ---------------------------------------------------------------------------------


@given(length=lengths)
def test_padding_is_less_than_a_sixteenth_and_sizes_are_fixed_points(length: int) -> None:
    size = padded(length)
    assert size >= length
    assert padded(size) == size
    if length >= LEAST_BYTES:
        assert 100 * (size - length) <= 6.25 * length


def test_no_size_up_to_a_mebibyte_pads_more_than_it_says_and_they_are_few() -> None:
    sizes: set[int] = set()
    for length in range(LEAST_BYTES, 2**20 + 1):
        size = padded(length)
        assert 16 * (size - length) < length
        sizes.add(size)
    assert len(sizes) == 257  # what a store learns of a size is eight bits instead of twenty


@given(section=st.integers(LEAST_BYTES, MOST_BYTES))
def test_room_is_exact(section: int) -> None:
    most = room(section)
    assert section_bytes(most) <= section < section_bytes(most + 1)


def test_room_is_exact_for_every_size_up_to_64_kib() -> None:
    for section in range(LEAST_BYTES, 2**16):
        most = room(section)
        assert padded(most + OVERHEAD_BYTES) <= section < padded(most + 1 + OVERHEAD_BYTES)


def test_content_that_no_section_holds_is_refused_before_it_is_sealed() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return room(MOST_BYTES) + 1

    with pytest.raises(LimitError):
        sealed(Huge())


# --- what does not open --------------------------------------------------------------------


def test_every_flipped_byte_is_refused() -> None:
    section = sealed(b"forty bytes of what a run of records is.")
    assert len(section) == 256
    for place in range(len(section)):
        for change in (1, 0x80, 0xFF, 1 + place % 254):
            changed = bytearray(section)
            changed[place] ^= change
            with pytest.raises(hostile.REFUSALS):
                open_section(SECRETS, Kind.SEGMENT, VAULT, bytes(changed))


def test_every_cut_is_refused() -> None:
    section = sealed(bytes(300))
    for end in range(len(section)):
        with pytest.raises(hostile.REFUSALS):
            open_section(SECRETS, Kind.SEGMENT, VAULT, section[:end])
    for more in (section + b"\0", section + section, section + bytes(16)):
        with pytest.raises(DamagedError):
            open_section(SECRETS, Kind.SEGMENT, VAULT, more)


@given(kind=kinds, other=kinds)
def test_a_section_opens_as_its_own_kind_alone(kind: Kind, other: Kind) -> None:
    section = sealed(b"x", kind)
    if kind is other:
        assert open_section(SECRETS, other, VAULT, section) == b"x"
    else:
        with pytest.raises(DamagedError):
            open_section(SECRETS, other, VAULT, section)


def test_a_section_of_another_vault_or_key_does_not_open() -> None:
    section = sealed(b"x")
    with pytest.raises(DamagedError):
        open_section(SECRETS, Kind.SEGMENT, OTHER_VAULT, section)
    with pytest.raises(DamagedError):
        open_section({2: b"x" * 32}, Kind.SEGMENT, VAULT, section)
    with pytest.raises(DamagedError):
        open_section(SECRETS, Kind.SEGMENT, VAULT, section[:1] + b"\0\0\0\1" + section[5:])


def test_halves_of_two_sections_do_not_make_one() -> None:
    first, second = sealed(bytes(100), seed="a"), sealed(bytes(100), seed="b")
    for place in (6, 21, 100, 240):
        with pytest.raises(DamagedError):
            open_section(SECRETS, Kind.SEGMENT, VAULT, first[:place] + second[place:])


# --- hostile input -------------------------------------------------------------------------


def read(data: bytes) -> bytes:
    return open_section(SECRETS, Kind.SEGMENT, VAULT, data)


SEEDS = [sealed(b""), sealed(bytes(215)), sealed(bytes(300))]


def test_whatever_comes_is_refused_as_damaged_locked_or_of_another_version() -> None:
    assert hostile.fuzz(read, SEEDS, 20_000) == 0


@pytest.mark.full
def test_whatever_comes_is_refused_in_full() -> None:
    assert hostile.fuzz(read, SEEDS, 1_000_000) == 0


@settings(max_examples=300)
@given(st.binary(max_size=600))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(hostile.REFUSALS):
        read(data)


def test_a_blob_larger_than_a_section_is_refused_without_being_copied() -> None:
    data = sealed(b"")[:21] + bytes(MOST_BYTES)
    assert hostile.peak_bytes(lambda: read(data)) < 10_000
