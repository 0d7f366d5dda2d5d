"""Records: what they are made of and how they are written down (docs/spec/record.md).

A header is a canonical CBOR array of fixed length without floats; the record's hash is the
SHA-256 of its header behind a domain tag. The header holds no word of the payload: only the
hash of the payload's bytes as they are stored, which for everything a person said is the
hash of a ciphertext. Payload and key can go; the chain still verifies.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple, cast

import cbor2

from haulout.errors import DamagedError, InputError, VaultVersionError

RECORD_VERSION = 1
HASH_BYTES = 32
ID_BYTES = 16
GENESIS = bytes(HASH_BYTES)
NO_NAMESPACE = bytes(ID_BYTES)
_HEADER_FIELDS = 13
_ARRAY_TYPE = 4 << 5
_DOMAIN = b"haulout/1/record\0"
_ID_TEXT_LENGTH = 26
_LETTERS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [high + low for high in _LETTERS for low in _LETTERS]
_PAIR_SHIFTS = range(120, -1, -10)
_ID_PREFIX = re.compile(r"[0-9a-v]{1,26}")


class RecordType(IntEnum):
    """The types this code knows. Others are kept and passed on, never dropped."""

    MEMORY = 1
    UPDATE = 2
    FORGET = 3
    LINK = 4
    DEVICE = 5
    GRANT = 6
    REVOKE = 7
    KEY_EPOCH = 8
    STATE = 9
    INTENT = 10
    SETTLE = 11
    ACCESS = 12


class Lane(IntEnum):
    """One kind of traffic with its own chain, file and lock."""

    MEMORY = 1
    STATE = 2
    ACCESS = 3


class Header(NamedTuple):
    """The part of a record that is hashed, chained and signed.

    Attributes:
        vault: 16-byte vault ID.
        lane: a `Lane` number.
        device: 16-byte ID of the device that wrote it.
        sequence: place in this device's chain of this lane, from 1.
        previous: hash of the record before it in that chain; 32 zeros for the first.
        id: 16 random bytes.
        clock: hybrid clock, microseconds since 1970 UTC; grows strictly along a chain.
        type: a `RecordType` number, or one this code does not know.
        namespace: 16-byte namespace ID; zeros where the payload is not sealed.
        epoch: the namespace key's epoch; 0 where the payload is not sealed.
        operation: MAC of the caller's operation ID, or empty.
        payload_hash: SHA-256 of the stored payload bytes.
    """

    vault: bytes
    lane: int
    device: bytes
    sequence: int
    previous: bytes
    id: bytes
    clock: int
    type: int
    namespace: bytes
    epoch: int
    operation: bytes
    payload_hash: bytes


def canonical(value: object) -> bytes:
    """Canonical CBOR (RFC 8949 §4.2.1). Floats never reach it: their callers send text."""
    return cbor2.dumps(value, canonical=True)


def canonical_array(items: Sequence[bytes]) -> bytes:
    """The canonical CBOR of an array whose items are encoded already.

    Thousands of rows in one call of `canonical` keep the interpreter for 10 ms and more.
    """
    length = canonical(len(items))  # the same bits, behind an array's major type
    return bytes([length[0] | _ARRAY_TYPE]) + length[1:] + b"".join(items)


def encode_header(header: Header) -> bytes:
    """Write a header down."""
    return canonical([RECORD_VERSION, *header])


def _is_bytes(value: object, *lengths: int) -> bool:
    return isinstance(value, bytes) and len(value) in lengths


def _is_count(value: object, below: int = 2**63) -> bool:
    return type(value) is int and 0 <= value < below


def decode_header(data: bytes) -> Header:
    """Read a header; anything but the one canonical form is refused.

    Raises:
        VaultVersionError: a later version of the format wrote it.
        DamagedError: it is no header.
    """
    try:
        fields = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, MemoryError) as error:
        message = "A record's header cannot be read."
        raise DamagedError(message) from error
    if not isinstance(fields, list) or not fields:
        message = "A record's header is not an array."
        raise DamagedError(message)
    values = cast("list[Any]", fields)
    if type(values[0]) is int and RECORD_VERSION < values[0] < 2**64:
        message = f"A record has version {values[0]}; this code reads {RECORD_VERSION}."
        raise VaultVersionError(message)
    valid = len(values) == _HEADER_FIELDS and values[0] == RECORD_VERSION
    if valid:
        header = Header(*values[1:])
        valid = (
            all(map(_is_count, (header.lane, header.sequence, header.clock)))
            and _is_count(header.type, 2**16)  # the envelope's context has as much room
            and _is_count(header.epoch, 2**32)
            and _is_bytes(header.vault, ID_BYTES)
            and _is_bytes(header.device, ID_BYTES)
            and _is_bytes(header.id, ID_BYTES)
            and _is_bytes(header.namespace, ID_BYTES)
            and _is_bytes(header.operation, 0, ID_BYTES)
            and _is_bytes(header.previous, HASH_BYTES)
            and _is_bytes(header.payload_hash, HASH_BYTES)
        )
        # One value, one encoding: a second spelling of the same header would be a second hash.
        if valid and encode_header(header) == data:
            return header
    message = "A record's header does not have the form of docs/spec/record.md."
    raise DamagedError(message)


def record_hash(header_bytes: bytes) -> bytes:
    """The hash that the next record names and that the device signs."""
    return hashlib.sha256(_DOMAIN + header_bytes).digest()


def payload_hash(payload: bytes) -> bytes:
    """The hash of a payload as it is stored: a ciphertext for whatever a person said."""
    return hashlib.sha256(payload).digest()


def id_text(record_id: bytes) -> str:
    """A record ID as people and programs see it: 26 characters of base32hex."""
    # Two characters a step: 2 us, where the standard library's base32 takes 13.
    value = int.from_bytes(record_id, "big") << 2
    return "".join([_PAIRS[value >> shift & 1023] for shift in _PAIR_SHIFTS])


def id_bytes(text: str) -> bytes:
    """The record ID behind its text.

    Raises:
        InputError: the text is not an ID.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        message = f"The ID of a memory is text, not {type(text).__name__}."
        raise InputError(message)
    try:
        if len(text) != _ID_TEXT_LENGTH:
            raise ValueError(text)
        found = base64.b32hexdecode(text.upper() + "======")
        if id_text(found) != text:  # one ID, one text: no upper case, no stray bits at the end
            raise ValueError(text)
    except ValueError as error:
        message = f"{text[:40]!r} is not the ID of a memory (26 letters and digits)."
        raise InputError(message) from error
    return found


def id_range(prefix: str) -> tuple[bytes, bytes]:
    """The lowest and the highest ID whose text begins with a prefix.

    Raises:
        InputError: no ID's text begins so.
    """
    if not _ID_PREFIX.fullmatch(prefix):
        message = f"{prefix[:40]!r} is not the beginning of an ID (letters a-v and digits)."
        raise InputError(message)
    bits = 8 * ID_BYTES
    free = max(bits - 5 * len(prefix), 0)
    # The 26th letter has only three of its five bits in the ID.
    value = int(prefix, 32) >> max(5 * len(prefix) - bits, 0)
    low = value << free
    return low.to_bytes(ID_BYTES, "big"), (low | ((1 << free) - 1)).to_bytes(ID_BYTES, "big")
