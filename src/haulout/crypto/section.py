r"""Sections: everything that leaves the disk, sealed and padded (docs/spec/pack.md).

    section = version (0x01) || generation (u32) || salt (16) || ciphertext || tag (16)
    key     = HKDF-Expand(user key of the generation, "section/<kind>/<salt>"), used once
    AAD     = "haulout/1/section\0" || version || generation || salt || vault || kind (u8)
    body    = u32 length || content || zeros

Whoever stores a section sees its generation and a size that few others share a secret with:
sizes are those of Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs", 2019), at most 12 % above the content's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.keys import Entropy, derive
from haulout.errors import DamagedError, LimitError, VaultLockedError, VaultVersionError

SECTION_VERSION = 1
SALT_BYTES = 16
HEAD_BYTES = 1 + 4 + SALT_BYTES
OVERHEAD_BYTES = HEAD_BYTES + 4 + 16
LEAST_BYTES = 256
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
    """The Padmé size for ``length`` bytes: at most 12 % more, and few sizes in all."""
    if length <= LEAST_BYTES:
        return LEAST_BYTES
    exponent = length.bit_length() - 1
    free = exponent - exponent.bit_length()
    mask = (1 << free) - 1
    return (length + mask) & ~mask


def section_bytes(content: int) -> int:
    """How many bytes a section of so many bytes of content has."""
    return padded(content + OVERHEAD_BYTES)


def room(section: int) -> int:
    """How many bytes of content a section of at most ``section`` bytes can hold."""
    least = section - OVERHEAD_BYTES
    while section_bytes(least) > section:
        least -= 1 << max(least.bit_length() - 8, 0)
    return least


def seal_section(
    secrets: Mapping[int, bytes], kind: Kind, vault: bytes, content: bytes, entropy: Entropy
) -> bytes:
    """Seal content under the newest user key, padded.

    Args:
        secrets: user keys by generation, 32 bytes each.
        kind: what it is; ``vault``: the vault's 16-byte ID; ``content``: any bytes.
        entropy: random bytes; the salt comes from it.
    """
    if len(content) >= 2**32:
        message = f"A section cannot hold {len(content)} bytes."
        raise LimitError(message)
    generation = max(secrets)
    salt = entropy(SALT_BYTES)
    head = bytes([SECTION_VERSION]) + generation.to_bytes(4, "big") + salt
    body = len(content).to_bytes(4, "big") + content
    body += bytes(padded(len(content) + OVERHEAD_BYTES) - OVERHEAD_BYTES - len(content))
    key = _key(secrets[generation], kind, salt)
    return head + ChaCha20Poly1305(key).encrypt(_NONCE, body, _context(head, vault, kind))


def open_section(secrets: Mapping[int, bytes], kind: Kind, vault: bytes, section: bytes) -> bytes:
    """The content of a section.

    Raises:
        VaultVersionError: a later version sealed it; VaultLockedError: no key of its generation
        is known here; DamagedError: it was changed, or is another vault's or of another kind.
    """
    if len(section) < OVERHEAD_BYTES:
        message = f"A {kind.name.lower()} section is cut short."
        raise DamagedError(message)
    if section[0] != SECTION_VERSION:
        message = f"A section has version {section[0]}; this code reads {SECTION_VERSION}."
        raise VaultVersionError(message)
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
        message = f"A {kind.name.lower()} section was changed, or belongs somewhere else."
        raise DamagedError(message) from error
    end = 4 + int.from_bytes(body[:4], "big")
    if end > len(body) or len(section) != padded(end - 4 + OVERHEAD_BYTES) or any(body[end:]):
        message = f"A {kind.name.lower()} section is not padded as docs/spec/pack.md says."
        raise DamagedError(message)
    return body[4:end]


def _key(secret: bytes, kind: Kind, salt: bytes) -> bytes:
    return derive(secret, f"section/{kind.value}/{salt.hex()}")


def _context(head: bytes, vault: bytes, kind: Kind) -> bytes:
    return _DOMAIN + head + vault + bytes([kind.value])
