"""Certificates: what was signed, by whom, and whether that is enough."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import certificate as c
from haulout.redstuff.certificate import Certificate, Intent, Message

BLOB, OBJECT = bytes(range(32)), bytes(range(100, 132))
EPOCH = 0x01020304
SECRETS = [11, 222, 3333, 44444]
WEIGHTS = [4, 3, 2, 1]
SHARDS = 10


@pytest.fixture(scope="module")
def keys() -> list[bytes]:
    return [c.public_key(secret) for secret in SECRETS]


@pytest.fixture(scope="module")
def signed() -> Certificate:
    """Signed by nodes 0 and 1, who hold 7 of 10 shards: just a quorum."""
    message = c.blob_message(BLOB, EPOCH)
    return c.combine(message, {place: c.sign(SECRETS[place], message) for place in (1, 0)})


# --- messages ------------------------------------------------------------------------------


def test_messages_have_the_networks_form() -> None:
    prefix = struct.pack("<BBBI", 1, 0, 3, EPOCH)
    assert c.blob_message(BLOB, EPOCH) == prefix + BLOB + b"\x00"
    assert c.blob_message(BLOB, EPOCH, OBJECT) == prefix + BLOB + b"\x01" + OBJECT
    assert c.invalid_blob_message(BLOB, EPOCH) == b"\x02" + prefix[1:] + BLOB


@pytest.mark.parametrize(
    ("written", "blob"),
    [
        (c.blob_message(BLOB, EPOCH), (BLOB, None)),
        (c.blob_message(BLOB, 0, OBJECT), (BLOB, OBJECT)),
        (c.invalid_blob_message(BLOB, 2**32 - 1), (BLOB, None)),
    ],
)
def test_messages_come_back(written: bytes, blob: tuple) -> None:
    message = Message.from_bcs(written)
    assert message.to_bcs() == written
    assert message.blob() == blob


@pytest.mark.parametrize("intent", list(Intent))
def test_a_message_of_any_known_intent_comes_back(intent: Intent) -> None:
    written = Message(intent, EPOCH, b"body").to_bcs()
    assert written[0] == intent
    assert Message.from_bcs(written) == Message(intent, EPOCH, b"body")


@pytest.mark.parametrize("written", [b"", b"\x01\x00\x03" + bytes(3), b"\x07\x00\x03" + bytes(4),
    b"\x01\x01\x03" + bytes(4), b"\x01\x00\x02" + bytes(4)])  # fmt: skip
def test_a_message_of_another_form_is_refused(written: bytes) -> None:
    with pytest.raises(WrongBytesError, match="signed message"):
        Message.from_bcs(written)


@pytest.mark.parametrize(
    ("intent", "body"),
    [
        (Intent.BLOB, BLOB[1:]), (Intent.BLOB, BLOB), (Intent.BLOB, BLOB + b"\x02"),
        (Intent.BLOB, BLOB + b"\x00\x00"), (Intent.BLOB, BLOB + b"\x01" + OBJECT[1:]),
        (Intent.BLOB, BLOB + b"\x01" + OBJECT + b"\x00"), (Intent.INVALID_BLOB, BLOB + b"\x00"),
        (Intent.INVALID_BLOB, BLOB[1:]), (Intent.SYNC_SHARD, BLOB),
        (Intent.PROOF_OF_POSSESSION, BLOB),
    ],
)  # fmt: skip
def test_a_body_that_names_no_blob_is_refused(intent: Intent, body: bytes) -> None:
    with pytest.raises(WrongBytesError, match="body"):
        Message(intent, EPOCH, body).blob()


def test_ids_and_epochs_that_do_not_fit_are_refused() -> None:
    for call in (
        lambda: c.blob_message(BLOB[1:], 1),
        lambda: c.blob_message(BLOB, 1, OBJECT + b"\x00"),
        lambda: c.invalid_blob_message(BLOB + b"\x00", 1),
    ):
        with pytest.raises(InputError, match="32 bytes"):
            call()
    for epoch in (-1, 2**32):
        with pytest.raises(InputError, match="32 bits"):
            c.blob_message(BLOB, epoch)


# --- who signed ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 101))
def test_a_quorum_is_all_but_f_shards_of_3f_plus_1_and_more_than_two_thirds_of_any(n: int) -> None:
    least = next(weight for weight in range(n + 1) if c.is_quorum(weight, n))
    assert least == 2 * n // 3 + 1
    honest = next(weight for weight in range(n + 1) if c.holds_an_honest_node(weight, n))
    assert honest == n // 3 + 1
    if n % 3 == 1:
        assert (least, honest) == (n - (n - 1) // 3, (n - 1) // 3 + 1)


def test_a_bitmap_has_the_lowest_bit_first() -> None:
    assert c.signer_bitmap([0, 1, 8, 15], 17) == b"\x03\x81\x00"
    assert c.signer_bitmap([], 0) == b""


@given(st.sets(st.integers(0, 99)))
def test_signers_come_back_from_a_bitmap(signers: set[int]) -> None:
    bitmap = c.signer_bitmap(signers, 100)
    assert len(bitmap) == 13
    assert c.signers_of_bitmap(bitmap) == tuple(sorted(signers))


@pytest.mark.parametrize("signer", [-1, 9, 16])
def test_a_signer_outside_the_committee_has_no_bit(signer: int) -> None:
    with pytest.raises(InputError, match="committee of 9"):
        c.signer_bitmap([signer], 9)


# --- the form of a certificate -------------------------------------------------------------


def test_a_certificate_has_the_form_of_the_typescript_package() -> None:
    written = Certificate((3, 258), b"msg", b"s" * 96).to_bcs()
    assert written == b"\x02\x03\x00\x02\x01" + b"\x03msg" + b"\x60" + b"s" * 96


@given(st.sets(st.integers(0, 65535), max_size=9), st.binary(max_size=200))
def test_a_certificate_comes_back(signers: set[int], message: bytes) -> None:
    made = Certificate(tuple(signers), message, b"\x05" * 96)
    assert Certificate.from_bcs(made.to_bcs()) == made


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"", "should follow"),
        (Certificate((1, 1), b"m", b"s" * 96).to_bcs(), "twice"),
        (Certificate((1,), b"m", b"s" * 95).to_bcs(), "95 bytes"),
        (Certificate((1,), b"m", b"s" * 96).to_bcs() + b"\x00", "left over"),
        (Certificate((1,), b"m", b"s" * 96).to_bcs()[:-1], "cannot stand"),
        (b"\xff\xff\xff\xff\x07", "cannot stand"),
    ],
)
def test_a_certificate_of_another_form_is_refused(written: bytes, words: str) -> None:
    with pytest.raises(WrongBytesError, match=words):
        Certificate.from_bcs(written)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(data: bytes) -> None:
    for read in (Certificate.from_bcs, lambda data: Message.from_bcs(data).blob()):
        try:
            read(data)
        except WrongBytesError:
            continue


# --- whether it holds ----------------------------------------------------------------------


def test_what_a_quorum_signed_is_told(signed: Certificate, keys: list[bytes]) -> None:
    told = c.verify(signed, keys, WEIGHTS, SHARDS)
    assert told == Message.from_bcs(signed.message)
    assert told.blob() == (BLOB, None)
    assert signed.signers == (0, 1)
    turned = replace(signed, signers=(1, 0))
    assert c.verify(turned, keys, WEIGHTS, SHARDS) == told


def test_another_message_signer_or_signature_is_refused(
    signed: Certificate, keys: list[bytes]
) -> None:
    for other in (
        replace(signed, message=c.blob_message(BLOB, EPOCH + 1)),
        replace(signed, signers=(0, 1, 2)),
        replace(signed, signature=bytes(96)),
        replace(signed, signature=b"\xc0" + bytes(95)),
        replace(signed, signature=signed.signature[:-1]),
    ):
        with pytest.raises(WrongBytesError, match="not that of its signers"):
            c.verify(other, keys, WEIGHTS, SHARDS)


@pytest.mark.parametrize(
    ("signers", "message", "words"),
    [
        ((0, 2), c.blob_message(BLOB, EPOCH), "6 shards of 10, which is no quorum"),
        ((), c.blob_message(BLOB, EPOCH), "0 shards of 10"),
        ((0, 0, 1), c.blob_message(BLOB, EPOCH), "twice"),
        ((0, 0), c.blob_message(BLOB, EPOCH), "twice"),
        ((0, 1, 4), c.blob_message(BLOB, EPOCH), "not in the committee of 4"),
        ((0, 1, -1), c.blob_message(BLOB, EPOCH), "not in the committee of 4"),
        ((0, 1), b"\x09\x00\x03" + bytes(40), "intent 9"),
    ],
)
def test_too_few_or_unknown_signers_are_refused_before_anything_is_computed(
    signers: tuple, message: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py_ecc.bls.ciphersuites", None)
    with pytest.raises(WrongBytesError, match=words):
        c.verify(Certificate(signers, message, bytes(96)), [b""] * 4, WEIGHTS, SHARDS)


@pytest.mark.parametrize(
    ("count", "weights", "shards"),
    [(3, WEIGHTS, 10), (4, WEIGHTS, 11), (4, [4, 3, 2], 9), (4, [8, 3, 2, -3], 10), (0, [], 0)],
)
def test_keys_and_weights_that_are_no_committee_are_refused(
    count: int, weights: list[int], shards: int, signed: Certificate, keys: list[bytes]
) -> None:
    with pytest.raises(InputError if shards else WrongBytesError):
        c.verify(signed, keys[:count], weights, shards)


def test_a_key_that_is_none_is_named_as_such(signed: Certificate, keys: list[bytes]) -> None:
    for key, words in ((keys[0][:-1], "48 bytes"), (bytes(48), "is none"), (b"\xff" * 48, "none")):
        with pytest.raises(InputError, match=words):
            c.verify(signed, [key, *keys[1:]], WEIGHTS, SHARDS)


def test_one_node_is_checked_alone(keys: list[bytes]) -> None:
    signature = c.sign(SECRETS[2], b"message")
    assert c.signed_by(keys[2], b"message", signature)
    assert not c.signed_by(keys[1], b"message", signature)
    assert not c.signed_by(keys[2], b"message", signature[1:])


def test_what_is_no_signature_or_key_is_refused() -> None:
    for signatures in ({}, {0: b"short"}, {0: b"\xc0" + bytes(95), 1: b""}):
        with pytest.raises(InputError, match="of 96 bytes each"):
            c.combine(b"m", signatures)
    for nonsense in (bytes(96), b"\xff" * 96, b"\xa0" + bytes(94) + b"\x01"):
        with pytest.raises(InputError, match="is none"):
            c.combine(b"m", {0: nonsense})
    for secret in (0, -1, c._GROUP_ORDER):
        with pytest.raises(InputError, match="secret key"):
            c.sign(secret, b"m")
        with pytest.raises(InputError, match="secret key"):
            c.public_key(secret)


def test_without_py_ecc_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_ecc.bls.ciphersuites", None)
    for call in (
        lambda: c.sign(1, b"m"),
        lambda: c.public_key(1),
        lambda: c.signed_by(bytes(48), b"m", bytes(96)),
        lambda: c.combine(b"m", {0: bytes(96)}),
        lambda: c.verify(
            Certificate((0, 1), c.blob_message(BLOB, 1), bytes(96)), [b""] * 4, WEIGHTS, SHARDS
        ),
    ):
        with pytest.raises(InputError, match="py_ecc is not installed") as caught:
            call()
        assert "haulout[certificates]" in caught.value.hint


def test_importing_the_module_does_not_load_py_ecc() -> None:
    code = (
        "import sys, haulout.redstuff.certificate as c\n"
        "c.blob_message(bytes(32), 1)\n"
        "assert not [name for name in sys.modules if name.startswith('py_ecc')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_using_certificates_leaves_the_programs_recursion_limit_alone() -> None:
    """py_ecc raises it to 100,000, and a deep recursion elsewhere then breaks the stack."""
    program = (
        "import sys; before = sys.getrecursionlimit();"
        "from haulout.redstuff import certificate; certificate.public_key(7);"
        "sys.exit(sys.getrecursionlimit() != before)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
