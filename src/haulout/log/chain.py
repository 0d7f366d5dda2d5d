"""Chains: one per device and lane, each link naming the hash of the one before it.

The device signs every record's hash. Because a hash covers the previous hash, one valid
signature vouches for the whole chain behind it (docs/spec/chain.md).
"""

from __future__ import annotations

from typing import NamedTuple

from haulout.crypto.keys import SigningKey, signature_is_valid
from haulout.errors import DamagedError
from haulout.log.record import GENESIS, Header, decode_header, payload_hash, record_hash

_SIGNATURE_DOMAIN = b"haulout/1/signature\0"


class Tip(NamedTuple):
    """The end of a chain: what the next record must follow."""

    sequence: int
    hash: bytes
    clock: int


EMPTY = Tip(sequence=0, hash=GENESIS, clock=0)


def sign(header_bytes: bytes, key: SigningKey) -> bytes:
    """Sign a record."""
    return key.sign(_SIGNATURE_DOMAIN + record_hash(header_bytes))


def signature_matches(header_bytes: bytes, signature: bytes, public_key: bytes) -> bool:
    """Tell whether the holder of ``public_key`` signed this header."""
    return signature_is_valid(public_key, signature, _SIGNATURE_DOMAIN + record_hash(header_bytes))


def follow(tip: Tip, header_bytes: bytes, payload: bytes | None) -> tuple[Header, Tip]:
    """Check that a record is the next link after ``tip``; return its header and the new tip.

    Args:
        tip: the end of the chain so far (`EMPTY` before the first record).
        header_bytes: the record's header as stored.
        payload: its payload as stored, or None where it was erased.

    Raises:
        DamagedError: a record is missing, out of order, changed or from elsewhere.
    """
    header = decode_header(header_bytes)
    if header.sequence != tip.sequence + 1:
        message = f"Record {tip.sequence + 1} is missing; {header.sequence} stands in its place."
        raise DamagedError(message)
    if header.previous != tip.hash:
        message = f"Record {header.sequence} does not follow the record before it."
        raise DamagedError(message)
    if header.clock <= tip.clock:
        message = f"Record {header.sequence} is not later than the record before it."
        raise DamagedError(message)
    if payload is not None and payload_hash(payload) != header.payload_hash:
        message = f"The payload of record {header.sequence} was changed."
        raise DamagedError(message)
    return header, Tip(header.sequence, record_hash(header_bytes), header.clock)
