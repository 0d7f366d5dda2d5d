"""The formats written out a second time, from the pages in docs/spec alone.

Nothing here imports the package: where these functions and the package agree on the vectors,
the pages tell enough to write a third implementation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# --- canonical CBOR ------------------------------------------------------------------------


def _start(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    for size, mark in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if number < 1 << 8 * size:
            return bytes([kind << 5 | mark]) + number.to_bytes(size, "big")
    raise OverflowError(number)


def cbor(value: object) -> bytes:
    match value:
        case int():
            return _start(0, value) if value >= 0 else _start(1, -1 - value)
        case bytes():
            return _start(2, len(value)) + value
        case str():
            return _start(3, len(value.encode())) + value.encode()
        case list() | tuple():
            return _start(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            pairs = sorted((cbor(k), cbor(v)) for k, v in value.items())
            return _start(5, len(pairs)) + b"".join(k + v for k, v in pairs)
        case _:
            raise TypeError(value)


# --- record, chain, envelope ---------------------------------------------------------------

HEADER = (
    "vault", "lane", "device", "sequence", "previous", "id", "clock", "type", "namespace",
    "epoch", "operation", "payload_hash",
)  # fmt: skip


def header_bytes(fields: Mapping[str, Any]) -> bytes:
    return cbor([1, *(fields[name] for name in HEADER)])


def record_hash(header: bytes) -> bytes:
    return hashlib.sha256(b"haulout/1/record\0" + header).digest()


def signed_message(header: bytes) -> bytes:
    return b"haulout/1/signature\0" + record_hash(header)


def id_text(record: bytes) -> str:
    return base64.b32hexencode(record).decode().rstrip("=").lower()


def signature_is_valid(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except Exception:  # noqa: BLE001
        return False
    return True


def envelope_aad(context: Mapping[str, Any]) -> bytes:
    return b"".join((
        b"haulout/1/envelope",
        context["vault"],
        context["namespace"],
        context["epoch"].to_bytes(4, "big"),
        context["record"],
        context["type"].to_bytes(2, "big"),
        context["writer"],
    ))  # fmt: skip


def open_envelope(key: bytes, envelope: bytes, context: Mapping[str, Any]) -> bytes:
    assert envelope[0] == 1
    return ChaCha20Poly1305(key).decrypt(bytes(12), envelope[1:], envelope_aad(context))


# --- keys ----------------------------------------------------------------------------------


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    found, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        found += block
    return found[:length]


def derive(secret: bytes, label: str, length: int = 32) -> bytes:
    return _expand(secret, b"haulout/1/" + label.encode(), length)


def identifier(public: bytes, label: str) -> bytes:
    return hashlib.sha256(b"haulout/1/" + label.encode() + b"\0" + public).digest()[:16]


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")[:16]


def signing_public(seed: bytes) -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _agreement(secret: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    material = derive(secret, "agreement", 96)
    return (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(material[:64]),
        x25519.X25519PrivateKey.from_private_bytes(material[64:]),
    )


def agreement_public(secret: bytes) -> bytes:
    first, second = _agreement(secret)
    return first.public_key().public_bytes_raw() + second.public_key().public_bytes_raw()


def open_wrap(secret: bytes, wrap: bytes, context: bytes) -> bytes:
    """HPKE (RFC 9180), base mode: X-Wing 0x647a, HKDF-SHA256 0x0001, ChaCha20-Poly1305 0x0003."""
    first, second = _agreement(secret)
    encapsulated, sealed = wrap[:1120], wrap[1120:]
    theirs = encapsulated[1088:]
    shared = hashlib.sha3_256(
        first.decapsulate(encapsulated[:1088])
        + second.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
        + theirs
        + second.public_key().public_bytes_raw()
        + bytes.fromhex("5c2e2f2f5e5c")
    ).digest()
    suite = b"HPKE" + bytes.fromhex("647a00010003")

    def extract(salt: bytes, label: bytes, key: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + key, "sha256")

    def expand(key: bytes, label: bytes, info: bytes, length: int) -> bytes:
        return _expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)

    schedule = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", context)
    secret = extract(shared, b"secret", b"")
    key = expand(secret, b"key", schedule, 32)
    nonce = expand(secret, b"base_nonce", schedule, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, b"")


def open_sealed(key: bytes, sealed: bytes, context: bytes) -> bytes:
    aead = ChaCha20Poly1305(derive(key, "wrap"))
    return aead.decrypt(sealed[:12], sealed[12:], context)
