r"""Sections: everything that leaves the disk, sealed and padded (docs/spec/pack.md).

    section = version (0x01) || generation (u32) || salt (16) || ciphertext || tag (16)
    key     = HKDF-Expand(user key of the generation, "section/<kind>/<salt>"), used once
    AAD     = "haulout/1/section\0" || version || generation || salt || vault || kind (u8)
    body    = u32 length || content || zeros

Whoever stores a section sees its version, its generation and its size, which is one of few: sizes
are those of Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs", 2019), from 256 bytes on and less than 6.25 % above what they pad.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.keys import ID_BYTES, Entropy, derive
from haulout.errors import DamagedError, LimitError, VaultLockedError, VaultVersionError

SECTION_VERSION = 1
SALT_BYTES = 16
HEAD_BYTES = 1 + 4 + SALT_BYTES
OVERHEAD_BYTES = HEAD_BYTES + 4 + 16
LEAST_BYTES = 256
MOST_BYTES = 256 * 1024 * 1024
"""Of a section: what a reader may have to hold, and far below what the AEAD takes at once."""
_DOMAIN = b"haulout/1/section\0"
_NONCE = bytes(12)


class Kind(IntEnum):
    """What a section holds. A section of one kind does not open as another."""

    SEGMENT = 1
    KEYS = 2
    VECTORS = 3
    HEAD = 4
    CHUNK = 5
    CHUNK_MAP = 6


def padded(length: int) -> int:
    """The Padmé size for ``length`` bytes: the least of few sizes that holds them."""
    if length <= LEAST_BYTES:
        return LEAST_BYTES
    free = _free(length)
    return (length + free) & ~free


def section_bytes(content: int) -> int:
    """How many bytes a section of so many bytes of content has."""
    return padded(content + OVERHEAD_BYTES)


def room(section: int) -> int:
    """The most content, in bytes, whose section has at most ``section`` bytes (from 256 on)."""
    assert section >= LEAST_BYTES
    return (section & ~_free(section)) - OVERHEAD_BYTES


def _free(length: int) -> int:
    """The bits of a length that Padmé leaves at zero: all but as many as its exponent has."""
    exponent = length.bit_length() - 1
    return (1 << (exponent - exponent.bit_length())) - 1


def seal_section(
    secrets: Mapping[int, bytes], kind: Kind, vault: bytes, content: bytes, entropy: Entropy
) -> bytes:
    """Seal content under the newest user key, padded.

    Args:
        secrets: user keys by generation, 32 bytes each; at least one.
        kind: what it is; ``vault``: the vault's 16-byte ID; ``content``: any bytes.
        entropy: random bytes; the salt comes from it.

    Raises:
        LimitError: the content is larger than a section can be.
    """
    if len(content) > room(MOST_BYTES):
        message = f"A section holds at most {room(MOST_BYTES)} bytes, not {len(content)}."
        raise LimitError(message)
    generation = max(secrets)
    salt = entropy(SALT_BYTES)
    head = bytes([SECTION_VERSION]) + generation.to_bytes(4, "big") + salt
    padding = section_bytes(len(content)) - OVERHEAD_BYTES - len(content)
    body = len(content).to_bytes(4, "big") + content + bytes(padding)
    key = _key(secrets[generation], kind, salt)
    return head + ChaCha20Poly1305(key).encrypt(_NONCE, body, _context(head, vault, kind))


def open_section(secrets: Mapping[int, bytes], kind: Kind, vault: bytes, section: bytes) -> bytes:
    """The content of a section.

    Raises:
        VaultVersionError: a later version sealed it; VaultLockedError: no key of its generation
        is known here; DamagedError: it was changed, or is another vault's or of another kind.
    """
    what = kind.name.lower().replace("_", " ")
    if section[:1] not in {b"", bytes([SECTION_VERSION])}:
        message = f"A section has version {section[0]}; this code reads {SECTION_VERSION}."
        raise VaultVersionError(message)
    if not LEAST_BYTES <= len(section) <= MOST_BYTES:
        message = f"A {what} section has {len(section)} bytes, which none has."
        raise DamagedError(message)
    head = section[:HEAD_BYTES]
    generation = int.from_bytes(head[1:5], "big")
    if generation not in secrets:
        message = f"A section is sealed under user key {generation}, which is not known here."
        raise VaultLockedError(message)
    key = _key(secrets[generation], kind, head[5:])
    try:
        body = ChaCha20Poly1305(key).decrypt(
            _NONCE, section[HEAD_BYTES:], _context(head, vault, kind)
        )
    except InvalidTag as error:
        message = f"A {what} section was changed, or belongs somewhere else."
        raise DamagedError(message) from error
    end = 4 + int.from_bytes(body[:4], "big")
    zeros = body.count(0, end) == len(body) - end
    if len(section) != section_bytes(end - 4) or not zeros:
        message = f"A {what} section is not padded as docs/spec/pack.md says."
        raise DamagedError(message)
    return body[4:end]


def _key(secret: bytes, kind: Kind, salt: bytes) -> bytes:
    return derive(secret, f"section/{kind.value}/{salt.hex()}")


def _context(head: bytes, vault: bytes, kind: Kind) -> bytes:
    assert len(vault) == ID_BYTES
    return _DOMAIN + head + vault + bytes([kind.value])
