"""The envelope: one sealed payload, bound to where it belongs (docs/spec/envelope.md).

    envelope = version (1 byte, 0x01) || ciphertext || tag (16 bytes)
    key      = the record key; it seals exactly one envelope, so the nonce is twelve zeros
    AAD      = "haulout/1/envelope" || vault || namespace || epoch (u32) || record || type || writer

A version this code does not know is refused; there is no plaintext form.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.errors import DamagedError, VaultVersionError

ENVELOPE_VERSION = 1
OVERHEAD_BYTES = 1 + 16
_DOMAIN = b"haulout/1/envelope"
_NONCE = bytes(12)


class EnvelopeContext(NamedTuple):
    """Where an envelope belongs. Any other place makes it fail to open.

    Attributes:
        vault: 16-byte vault ID.
        namespace: 16-byte namespace ID.
        epoch: the namespace key's epoch, from 1.
        record: 16-byte record ID.
        type: the record type's number.
        writer: 16-byte device ID of the writer.
    """

    vault: bytes
    namespace: bytes
    epoch: int
    record: bytes
    type: int
    writer: bytes

    def encode(self) -> bytes:
        """The AAD: fixed-length fields only, so two contexts never share an encoding."""
        return b"".join((
            _DOMAIN,
            self.vault,
            self.namespace,
            self.epoch.to_bytes(4, "big"),
            self.record,
            self.type.to_bytes(2, "big"),
            self.writer,
        ))  # fmt: skip


def seal(record_key: bytes, payload: bytes, context: EnvelopeContext) -> bytes:
    """Seal ``payload`` under a key that is used for nothing else."""
    body = ChaCha20Poly1305(record_key).encrypt(_NONCE, payload, context.encode())
    return bytes([ENVELOPE_VERSION]) + body


def open_envelope(record_key: bytes, envelope: bytes, context: EnvelopeContext) -> bytes:
    """Return the payload of an envelope.

    Raises:
        VaultVersionError: the envelope is of a version this code does not know.
        DamagedError: the bytes, the key or the place are not those it was sealed with.
    """
    if len(envelope) < OVERHEAD_BYTES:
        message = f"The envelope of record {context.record.hex()} is cut short."
        raise DamagedError(message)
    if envelope[0] != ENVELOPE_VERSION:
        message = f"The envelope of record {context.record.hex()} has version {envelope[0]}."
        raise VaultVersionError(message)
    try:
        return ChaCha20Poly1305(record_key).decrypt(_NONCE, envelope[1:], context.encode())
    except InvalidTag as error:
        message = f"The envelope of record {context.record.hex()} was changed or moved."
        raise DamagedError(message) from error
