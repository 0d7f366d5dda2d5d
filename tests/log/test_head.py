"""Heads as properties; single bytes and forged ones are held by tests/vectors."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log import hostile
from vectors import make
from vectors.make import DEVICE, KIT, OTHER_DEVICE, USER_KEY, VAULT, stream

from haulout.crypto.kit import RecoveryKit
from haulout.crypto.section import Kind, open_section, seal_section
from haulout.errors import (
    DamagedError,
    InputError,
    LimitError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.log.head import (
    MOST_HEAD_BYTES,
    Head,
    Ref,
    Run,
    Standing,
    Tip,
    digest,
    head_name,
    kit_secrets,
    open_head,
    seal_head,
    standing,
)
from haulout.log.keychain import device_payload, fresh_wraps
from haulout.log.record import GENESIS, canonical

SECRETS = {1: USER_KEY}
WRAPS = {1: make.wraps()["user key to kit"]}
CERTIFICATE = device_payload(VAULT, KIT.root, DEVICE)
STRANGER = RecoveryKit(b"s" * 32)

ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
counts = st.integers(0, 2**63 - 1)
positive = st.integers(1, 2**63 - 1)
refs = st.builds(Ref, blob=st.just(b"") | hashes, offset=counts, length=positive, digest=hashes)
some_refs = st.lists(refs, max_size=3).map(tuple)
runs = st.builds(Run, records=positive, segment=refs, keys=st.none() | refs, vectors=some_refs)
tips = st.lists(st.builds(Tip, ids, positive, hashes), max_size=4, unique_by=lambda tip: tip.device)
heads = st.builds(
    Head,
    vault=st.just(VAULT),
    lane=counts,
    device=st.just(DEVICE.id),
    number=st.integers(2, 2**63 - 1),
    clock=counts,
    previous=hashes.filter(any),
    certificate=st.just(CERTIFICATE),
    tips=tips.map(tuple),
    runs=st.lists(runs, max_size=4).map(tuple),
    chunks=some_refs,
    stores=st.binary(max_size=60),
    store=ids,
)


def sealed(head: Head, seed: str = "head") -> bytes:
    return seal_head(head, DEVICE, SECRETS, WRAPS, stream(seed))


A_HEAD = make._a_head()
DATA = sealed(A_HEAD)
OUTER_BYTES = 2 + 4 + 2 + 1168


def rewritten(body: bytes, signature: bytes | None = None) -> bytes:
    """A head around any body under the right user key, as a device of the owner's could write."""
    outer = DATA[:OUTER_BYTES]
    signed = b"haulout/1/head\0" + hashlib.sha256(outer).digest() + hashlib.sha256(body).digest()
    signature = DEVICE.signing.sign(signed) if signature is None else signature
    content = canonical([body, signature])
    return outer + seal_section(SECRETS, Kind.HEAD, VAULT, content, stream("again"))


# --- round trip ----------------------------------------------------------------------------


@given(head=heads)
def test_a_head_gives_back_what_it_says_with_its_tips_in_order(head: Head) -> None:
    data = sealed(head)
    again = open_head(data, VAULT, kit_secrets(data, VAULT, KIT.recovery))
    assert again == head._replace(tips=tuple(sorted(head.tips)))
    assert again.records == sum(run.records for run in head.runs)
    named = {ref.blob for run in head.runs for ref in (run.segment, *run.vectors)}
    named |= {run.keys.blob for run in head.runs if run.keys}
    assert again.blobs() == (named | {ref.blob for ref in head.chunks}) - {b""}


def test_the_kit_and_every_device_open_the_same_head() -> None:
    assert kit_secrets(DATA, VAULT, KIT.recovery) == SECRETS
    assert open_head(DATA, VAULT, SECRETS) == open_head(DATA, VAULT, {**SECRETS, 2: b"2" * 32})


def test_no_bytes_of_two_heads_are_alike_where_wraps_are_fresh() -> None:
    """What links the heads of a vault, and so the packs they stand in, to each other: nothing."""
    first, second = (
        seal_head(
            A_HEAD, DEVICE, SECRETS, fresh_wraps(VAULT, SECRETS, KIT.recovery.public), entropy
        )
        for entropy in (stream("one"), stream("two"))
    )
    for data in (first, second):
        assert kit_secrets(data, VAULT, KIT.recovery) == SECRETS
        assert open_head(data, VAULT, SECRETS) == A_HEAD
    pieces = {first[at : at + 8] for at in range(len(first) - 8)}
    alike = [at for at in range(len(second) - 8) if second[at : at + 8] in pieces]
    assert alike == [0]  # version, count, generation and the wrap's length
    assert VAULT[:6] not in first
    assert DEVICE.id[:6] not in first


def test_a_heads_name_tells_vaults_devices_and_lanes_apart_and_nothing_else() -> None:
    places = [(v, d, n) for v in (VAULT, b"w" * 16) for d in (DEVICE.id, VAULT) for n in (1, 2)]
    names = {head_name(*place) for place in places}
    assert len(names) == len(places)
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)
    assert not any(VAULT.hex()[:8] in name for name in names)


# --- what is not believed ------------------------------------------------------------------


def test_every_flipped_byte_of_a_head_is_refused() -> None:
    dice = random.Random(1)
    for place in range(len(DATA)):
        changed = bytearray(DATA)
        changed[place] ^= dice.randint(1, 255)
        with pytest.raises(hostile.REFUSALS):
            open_head(bytes(changed), VAULT, SECRETS)


def test_every_cut_of_a_head_is_refused() -> None:
    for end in range(len(DATA)):
        with pytest.raises(hostile.REFUSALS):
            open_head(DATA[:end], VAULT, SECRETS)


def test_another_kit_learns_nothing_and_another_vault_is_not_meant() -> None:
    with pytest.raises(VaultLockedError):
        kit_secrets(DATA, VAULT, STRANGER.recovery)
    with pytest.raises(VaultLockedError):
        kit_secrets(DATA, STRANGER.vault_id, KIT.recovery)
    with pytest.raises(DamagedError):
        open_head(DATA, STRANGER.vault_id, SECRETS)
    with pytest.raises(DamagedError):
        open_head(DATA, VAULT, {1: b"x" * 32})
    with pytest.raises(VaultLockedError):
        open_head(DATA, VAULT, {2: USER_KEY})


def test_who_knows_the_user_key_alone_cannot_write_a_head() -> None:
    """Not with a key of their own, a certificate of theirs, or parts of another head."""
    body = canonical([1, *A_HEAD])
    forged = [
        rewritten(body, OTHER_DEVICE.signing.sign(body)),
        rewritten(body, bytes(64)),
        rewritten(canonical([1, *A_HEAD._replace(number=8)]), signature_of(DATA)),
    ]
    certificates = (
        device_payload(STRANGER.vault_id, STRANGER.root, DEVICE),
        device_payload(VAULT, STRANGER.root, DEVICE),
        device_payload(STRANGER.vault_id, KIT.root, DEVICE),
        device_payload(VAULT, KIT.root, OTHER_DEVICE),
        canonical({}),
        canonical({"root": 1, "signing": "x", "agreement": None, "signature": []}),
        b"\xff",
    )
    forged += [
        rewritten(canonical([1, *A_HEAD._replace(certificate=certificate)]))
        for certificate in certificates
    ]
    for data in forged:
        with pytest.raises(DamagedError):
            open_head(data, VAULT, SECRETS)
    assert open_head(rewritten(body), VAULT, SECRETS) == A_HEAD


def signature_of(data: bytes) -> bytes:
    content = open_section(SECRETS, Kind.HEAD, VAULT, data[OUTER_BYTES:])
    return content[-64:]


def test_wraps_of_one_head_do_not_go_with_the_section_of_another() -> None:
    fresh = fresh_wraps(VAULT, SECRETS, KIT.recovery.public)
    other = seal_head(A_HEAD, DEVICE, SECRETS, fresh, stream("other"))
    with pytest.raises(DamagedError):
        open_head(other[:OUTER_BYTES] + DATA[OUTER_BYTES:], VAULT, SECRETS)
    with pytest.raises(DamagedError):
        open_head(DATA[OUTER_BYTES:], VAULT, SECRETS)


def test_a_head_is_not_read_under_another_name() -> None:
    name = head_name(VAULT, A_HEAD.device, A_HEAD.lane)
    assert open_head(DATA, VAULT, SECRETS, name) == A_HEAD
    for other in ("x", head_name(VAULT, A_HEAD.device, 2), head_name(VAULT, OTHER_DEVICE.id, 1)):
        with pytest.raises(DamagedError):
            open_head(DATA, VAULT, SECRETS, other)


# --- what is not written -------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 0}, {"number": 1}, {"previous": GENESIS}, {"clock": -1}, {"clock": 1.5},
        {"stores": "text"}, {"store": b""}, {"lane": 2**63}, {"chunks": (Ref(b"", 0, 0, GENESIS),)},
        {"runs": (Run(0, A_HEAD.runs[0].segment, None, ()),)}, {"certificate": None},
        {"tips": (A_HEAD.tips[0], A_HEAD.tips[0])}, {"previous": object()},
        {"device": OTHER_DEVICE.id},
        {"certificate": device_payload(VAULT, KIT.root, OTHER_DEVICE)},
    ],
)  # fmt: skip
def test_what_no_reader_would_take_is_not_written(changed: dict) -> None:
    with pytest.raises(InputError):
        sealed(A_HEAD._replace(**changed))


def test_a_head_that_the_kit_could_not_open_is_not_written() -> None:
    for secrets, wraps in (
        ({**SECRETS, 2: b"2" * 32}, WRAPS),
        (SECRETS, {}),
        (SECRETS, {2: WRAPS[1]}),
    ):
        with pytest.raises(VaultLockedError):
            seal_head(A_HEAD, DEVICE, secrets, wraps, stream("x"))
    for wraps in ({1: WRAPS[1][1:]}, dict.fromkeys(range(1, 257), WRAPS[1])):
        with pytest.raises(LimitError):
            seal_head(A_HEAD, DEVICE, SECRETS, wraps, stream("x"))


def test_a_head_has_a_largest_size() -> None:
    with pytest.raises(LimitError):
        sealed(A_HEAD._replace(stores=bytes(MOST_HEAD_BYTES)))
    padded = DATA + bytes(MOST_HEAD_BYTES)
    assert hostile.peak_bytes(lambda: open_head(padded, VAULT, SECRETS)) < 20_000


# --- one history ---------------------------------------------------------------------------


def histories(count: int) -> list[tuple[bytes, Head]]:
    found, previous = [], GENESIS
    for number in range(1, count + 1):
        tip = Tip(DEVICE.id, number, bytes([number]) * 32)
        head = A_HEAD._replace(number=number, previous=previous, tips=(tip,))
        data = sealed(head, f"history {number}")
        found.append((data, head))
        previous = digest(data)
    return found


def test_of_one_history_every_later_head_is_newer_and_every_earlier_one_older() -> None:
    found = histories(5)
    for a, known in enumerate(found):
        for b, other in enumerate(found):
            expected = (Standing.OLDER, Standing.SAME, Standing.NEWER)[(b > a) - (b < a) + 1]
            assert standing(*known, *other) is expected


def test_a_history_that_was_left_for_another_is_told_from_both_sides() -> None:
    found = histories(3)
    tip = Tip(DEVICE.id, 2, b"another" + bytes(25))
    turned = A_HEAD._replace(number=2, previous=digest(found[0][0]), tips=(tip,))
    fork = (sealed(turned, "fork"), turned)
    assert standing(*found[0], *fork) is Standing.NEWER
    for known in found[1:]:
        assert standing(*known, *fork) is Standing.FORKED
        assert standing(*fork, *known) is Standing.FORKED
    lost = found[2][1]._replace(number=9, tips=())
    assert standing(*found[2], sealed(lost, "lost"), lost) is Standing.FORKED


# --- hostile input -------------------------------------------------------------------------

BODY = canonical([1, *A_HEAD])
CONTENT = canonical([BODY, bytes(64)])


def as_stored(data: bytes) -> None:
    open_head(data, VAULT, SECRETS)


def as_content(data: bytes) -> None:
    """Whatever a section holds is a head, or refused; nothing is signed."""
    section = seal_section(SECRETS, Kind.HEAD, VAULT, data, lambda count: b"s" * count)
    open_head(DATA[:OUTER_BYTES] + section, VAULT, SECRETS)


def as_body(data: bytes) -> None:
    """What a device signs itself is taken only in its one encoding."""
    head = open_head(rewritten(data), VAULT, SECRETS)
    assert canonical([1, *head]) == data


def as_wraps(data: bytes) -> None:
    kit_secrets(data, VAULT, KIT.recovery)


READERS = {
    "stored": (as_stored, [DATA], 20_000),
    "content": (
        as_content,
        [CONTENT, canonical([BODY, BODY]), canonical([b"\x8d\1", b""])],
        20_000,
    ),
    "body": (as_body, [BODY, canonical([1, *A_HEAD._replace(runs=(), tips=())])], 8_000),
    "wraps": (as_wraps, [DATA, DATA[: OUTER_BYTES + 10]], 5_000),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_or_has_one_encoding(name: str) -> None:
    read, seeds, count = READERS[name]
    taken = hostile.fuzz(read, seeds, count)
    assert not taken if name in {"stored", "content"} else taken


@pytest.mark.full
@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_in_full(name: str) -> None:
    read, seeds, _ = READERS[name]
    hostile.fuzz(read, seeds, 1_000_000 if name != "wraps" else 200_000)


@settings(max_examples=200)
@given(st.binary(max_size=3000))
def test_random_bytes_are_no_head(data: bytes) -> None:
    with pytest.raises(hostile.REFUSALS):
        open_head(data, VAULT, SECRETS)


@pytest.mark.parametrize("odd", hostile.ODD)
def test_huge_lengths_and_depths_are_refused_at_once(odd: bytes) -> None:
    for content in (odd, b"\x82" + odd, canonical([odd, bytes(64)]), b"\x82\x5a\xff\xff\xff\xff"):
        assert hostile.peak_bytes(lambda content=content: as_content(content)) < 200_000
    for body in (odd, b"\x8d\1" + odd, BODY[:-18] + odd):
        with pytest.raises((DamagedError, VaultVersionError)):
            as_body(body)
