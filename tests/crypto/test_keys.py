"""Keys, envelopes and the kit as properties; single bytes are held by tests/vectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault.making import entropy_of

from haulout.crypto.envelope import OVERHEAD_BYTES, EnvelopeContext, open_envelope, seal
from haulout.crypto.keyfile import decode_keyfile, encode_keyfile
from haulout.crypto.keys import (
    AgreementKey,
    DeviceKeys,
    SigningKey,
    SymmetricKey,
    derive,
    signature_is_valid,
    wrap_to,
)
from haulout.crypto.kit import RecoveryKit
from haulout.errors import DamagedError, HauloutError, VaultError, VaultLockedError

ids = st.binary(min_size=16, max_size=16)
keys = st.binary(min_size=32, max_size=32)
contexts = st.builds(
    EnvelopeContext,
    vault=ids,
    namespace=ids,
    epoch=st.integers(0, 2**32 - 1),
    record=ids,
    type=st.integers(0, 2**16 - 1),
    writer=ids,
)


@given(first=contexts, second=contexts)
def test_two_contexts_never_share_an_encoding(
    first: EnvelopeContext, second: EnvelopeContext
) -> None:
    assert (first == second) == (first.encode() == second.encode())


@given(key=keys, payload=st.binary(max_size=200), context=contexts)
def test_an_envelope_gives_back_what_was_sealed(
    key: bytes, payload: bytes, context: EnvelopeContext
) -> None:
    envelope = seal(key, payload, context)
    assert len(envelope) == len(payload) + OVERHEAD_BYTES
    assert open_envelope(key, envelope, context) == payload


@given(data=st.data(), payload=st.binary(max_size=64), context=contexts)
def test_no_flipped_bit_of_an_envelope_goes_unnoticed(
    data: Any, payload: bytes, context: EnvelopeContext
) -> None:
    envelope = bytearray(seal(bytes(32), payload, context))
    place = data.draw(st.integers(0, len(envelope) * 8 - 1))
    envelope[place // 8] ^= 1 << place % 8
    with pytest.raises(VaultError):
        open_envelope(bytes(32), bytes(envelope), context)


@given(
    data=st.data(),
    context=contexts,
    field=st.sampled_from(EnvelopeContext._fields),
)
def test_an_envelope_opens_in_no_other_place(
    data: Any, context: EnvelopeContext, field: str
) -> None:
    other = data.draw(contexts)
    moved = context._replace(**{field: getattr(other, field)})
    envelope = seal(bytes(32), b"payload", context)
    if moved == context:
        assert open_envelope(bytes(32), envelope, moved) == b"payload"
    else:
        with pytest.raises(DamagedError):
            open_envelope(bytes(32), envelope, moved)


@given(envelope=st.binary(max_size=80), context=contexts)
def test_noise_is_no_envelope(envelope: bytes, context: EnvelopeContext) -> None:
    with pytest.raises(VaultError):
        open_envelope(bytes(32), envelope, context)


@given(secret=keys, labels=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True))
def test_two_labels_derive_two_keys(secret: bytes, labels: list[str]) -> None:
    assert derive(secret, labels[0]) != derive(secret, labels[1])
    assert derive(secret, labels[0]) != secret


def test_every_key_of_a_device_is_another() -> None:
    device = DeviceKeys(bytes(range(32)))
    found = [
        device.secret, device.database, device.signing.public, device.agreement.public[-32:],
        derive(device.secret, "device-signing"), derive(device.secret, "device-agreement"),
    ]  # fmt: skip
    assert len(set(found)) == len(found)


@settings(max_examples=15, deadline=None)
@given(secret=keys, key=keys, context=st.binary(max_size=40), other=st.binary(max_size=40))
def test_a_wrap_opens_with_its_key_and_context_alone(
    secret: bytes, key: bytes, context: bytes, other: bytes
) -> None:
    holder = AgreementKey(key)
    wrap = wrap_to(holder.public, secret, context)
    assert len(wrap) == 1168
    assert holder.unwrap(wrap, context) == secret
    if other != context:
        with pytest.raises(VaultLockedError):
            holder.unwrap(wrap, other)
    with pytest.raises(VaultLockedError):
        AgreementKey(bytes([key[0] ^ 1]) + key[1:]).unwrap(wrap, context)


def test_two_wraps_of_one_secret_differ() -> None:
    holder = AgreementKey(bytes(32))
    assert wrap_to(holder.public, bytes(32), b"") != wrap_to(holder.public, bytes(32), b"")


@given(wrap=st.binary(max_size=90))
def test_noise_opens_as_no_wrap(wrap: bytes) -> None:
    with pytest.raises(DamagedError):
        SymmetricKey(bytes(32)).unwrap(wrap, b"context")


@given(secret=st.binary(max_size=64), context=st.binary(max_size=40), seed=st.integers(0, 99))
def test_a_symmetric_wrap_gives_back_what_was_sealed(
    secret: bytes, context: bytes, seed: int
) -> None:
    key = SymmetricKey(bytes(32))
    wrap = key.wrap(secret, context, entropy_of(seed))
    assert key.unwrap(wrap, context) == secret
    with pytest.raises(DamagedError):
        key.unwrap(wrap, context + b"x")


@given(message=st.binary(max_size=40), other=st.binary(max_size=40))
def test_a_signature_is_valid_for_its_message_and_key_alone(message: bytes, other: bytes) -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(message)
    assert signature_is_valid(key.public, signature, message)
    assert signature_is_valid(key.public, signature, other) == (message == other)
    assert not signature_is_valid(SigningKey(b"\1" * 32).public, signature, message)


@given(public=st.binary(max_size=40), signature=st.binary(max_size=70))
def test_noise_is_no_signature(public: bytes, signature: bytes) -> None:
    assert not signature_is_valid(public, signature, b"message")


# --- the kit -------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(secret=keys)
def test_24_words_bring_a_kit_back(secret: bytes) -> None:
    kit = RecoveryKit(secret)
    assert len(str(kit).split()) == 24
    assert RecoveryKit.from_words(str(kit)).vault_id == kit.vault_id


def test_case_and_spacing_of_the_words_do_not_matter() -> None:
    kit = RecoveryKit(bytes(32))
    untidy = "\n  " + "\t ".join(word.upper() for word in kit.words.split()) + "\n"
    assert RecoveryKit.from_words(untidy).words == kit.words


def test_a_kit_in_a_log_line_shows_no_word() -> None:
    kit = RecoveryKit(bytes(range(32)))
    assert repr(kit) == f"<RecoveryKit of vault {kit.vault_id.hex()}>"
    assert not set(kit.words.split()) & set(repr(kit).split())


def test_a_new_kit_takes_all_its_randomness_from_its_argument() -> None:
    assert RecoveryKit.generate(lambda count: b"\7" * count).words == RecoveryKit(b"\7" * 32).words


# --- the key file --------------------------------------------------------------------------


@given(secret=keys, vault=ids)
def test_a_plain_key_file_gives_back_its_secret(secret: bytes, vault: bytes) -> None:
    data = encode_keyfile(secret, vault, passphrase=None, entropy=entropy_of(1))
    assert decode_keyfile(data, passphrase=None, name="k") == (secret, vault)


def test_a_passphrase_keeps_the_secret_out_of_the_file() -> None:
    secret = entropy_of(2)(32)
    plain = encode_keyfile(secret, bytes(16), passphrase=None, entropy=entropy_of(1))
    locked = encode_keyfile(secret, bytes(16), passphrase="pass", entropy=entropy_of(1))
    assert secret in plain
    assert secret not in locked
    assert b"pass\0" not in locked


@given(data=st.data())
def test_no_flipped_bit_of_a_key_file_goes_unnoticed(data: Any) -> None:
    whole = encode_keyfile(bytes(32), bytes(16), passphrase=None, entropy=entropy_of(1))
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    changed = bytearray(whole)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(DamagedError):
        decode_keyfile(bytes(changed), passphrase=None, name="k")


@given(noise=st.binary(max_size=200))
def test_noise_is_no_key_file(noise: bytes) -> None:
    with pytest.raises(HauloutError):
        decode_keyfile(noise, passphrase="pass", name="k")
