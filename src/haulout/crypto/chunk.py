"""Chunks: pieces of an attachment, each sealed under a key of its own (docs/spec/attachment.md).

    chunk = version (0x01) || ciphertext || tag (16)
    key   = 32 random bytes that seal one content, so the nonce is twelve zeros
    AAD   = "haulout/1/chunk" || vault || namespace || level (u8) || chunk ID
    ID    = HMAC-SHA256(derive(namespace key, "chunk-ids"), level || content), 16 bytes

Sealing the same content under its key again gives the same bytes: two writers of one chunk
write one file.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.keys import KEY_BYTES, MAC_BYTES, derive
from haulout.errors import DamagedError, VaultVersionError

CHUNK_VERSION = 1
OVERHEAD_BYTES = 1 + 16
SEALED_BYTES = 1 << 20
FULL_BYTES = SEALED_BYTES - OVERHEAD_BYTES
"""The content of every chunk but those at an attachment's end."""
CHUNK_KEY_BYTES = KEY_BYTES
CHUNK_ID_BYTES = MAC_BYTES
_DOMAIN = b"haulout/1/chunk"
_NONCE = bytes(12)


class ChunkContext(NamedTuple):
    """Where a chunk belongs. Any other place makes it fail to open.

    Attributes:
        vault: 16-byte vault ID; ``namespace``: 16-byte namespace ID.
        level: 0 for an attachment's bytes; above, what kind of list.
        id: 16-byte chunk ID.
    """

    vault: bytes
    namespace: bytes
    level: int
    id: bytes

    def encode(self) -> bytes:
        """The AAD: fixed-length fields only, so two contexts never share an encoding."""
        return b"".join((_DOMAIN, self.vault, self.namespace, bytes([self.level]), self.id))


def chunk_id_key(namespace_key: bytes) -> bytes:
    """The key of chunk IDs that belongs to a namespace's key."""
    return derive(namespace_key, "chunk-ids")


def chunk_id(key: bytes, level: int, content: bytes | memoryview) -> bytes:
    """The ID of a content: the same within a namespace, unrelated in any other."""
    mac = hmac.new(key, bytes([level]), "sha256")
    mac.update(content)
    return mac.digest()[:MAC_BYTES]


def seal_chunk(key: bytes, content: bytes | memoryview, context: ChunkContext) -> bytes:
    """Seal a content of at most `FULL_BYTES` under the key that is its own."""
    assert len(content) <= FULL_BYTES
    body = ChaCha20Poly1305(key).encrypt(_NONCE, content, context.encode())
    return bytes([CHUNK_VERSION]) + body


def open_chunk(key: bytes, chunk: bytes, context: ChunkContext) -> bytes:
    """The content of a chunk.

    Raises:
        VaultVersionError: the chunk is of a version this code does not know.
        DamagedError: the bytes, the key or the place are not those it was sealed with.
    """
    if not OVERHEAD_BYTES < len(chunk) <= SEALED_BYTES:
        message = f"Chunk {context.id.hex()} has {len(chunk)} bytes, as none has."
        raise DamagedError(message)
    if chunk[0] != CHUNK_VERSION:
        message = f"Chunk {context.id.hex()} has version {chunk[0]}."
        raise VaultVersionError(message)
    try:
        body = memoryview(chunk)[1:]
        return ChaCha20Poly1305(key).decrypt(_NONCE, body, context.encode())
    except InvalidTag as error:
        message = f"Chunk {context.id.hex()} was changed or moved."
        raise DamagedError(message) from error
