"""Segments, key chunks and vector sections: what a run of records becomes in a store.

A segment holds records and no more, so that it can stand anywhere (docs/spec/segment.md). What
can be computed is left out: the hash of a payload that is there, and the previous hash of a
record that follows another of its device. A key chunk holds the wraps of a segment's record
keys, and is written again when one of them is destroyed. Vectors are sealed under the key of
their record, so that they die with it wherever they stand.

A header that a segment gives back is the one that its device signed only if the signature says
so: a segment proves nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.keys import derive, mac
from haulout.errors import DamagedError, LimitError, VaultVersionError
from haulout.log.canonical import read_canonical, version_of
from haulout.log.record import (
    ID_BYTES,
    NO_NAMESPACE,
    Header,
    canonical,
    canonical_array,
    decode_header,
    encode_header,
    id_text,
    payload_hash,
    record_hash,
)

SEGMENT_VERSION = 1
SEGMENT_BYTES = 1024 * 1024
"""The most a segment of more than one record has, sealed and padded."""
RECORD_OVERHEAD = 160
"""What a record takes beside its payload, at most; a device or namespace that is new, 80 more."""
_SIGNATURE_BYTES = 64
_NONCE_BYTES = 12


class Carried(NamedTuple):
    """A record as a segment carries it."""

    header: Header
    header_bytes: bytes
    signature: bytes
    payload: bytes | None


class _Begin(NamedTuple):
    """Where a device's part of a segment goes on."""

    device: bytes
    sequence: int
    previous: bytes


def carried_bytes(payload: bytes | None, operation: bytes) -> int:
    """How many bytes a record takes in a segment, at most."""
    return RECORD_OVERHEAD + len(payload or b"") + len(operation)


# ---------------------------------------------------------------------- records


def encode_segment(lane: int, records: Iterable[Carried]) -> bytes:
    """Write records of one vault and lane down, in the order given.

    Args:
        lane: a `Lane` number; ``records``: at least one, each device's following each other.

    Raises:
        DamagedError: a record does not follow the one before it of its device, or its payload
            or lane is not the one that its header names: it could not be read back.
    """
    ends: dict[bytes, tuple[int, _Begin]] = {}
    namespaces: dict[bytes, int] = {}
    begins: list[_Begin] = []
    rows: list[bytes] = []
    for header, header_bytes, signature, payload in records:
        begin = _Begin(header.device, header.sequence, header.previous)
        number, expected = len(begins), begin
        if header.device in ends:
            number, expected = ends[header.device]
        else:
            begins.append(begin)
        right = payload is None or payload_hash(payload) == header.payload_hash
        if begin != expected or header.lane != lane or not right:
            message = f"Record {header.sequence} of a device does not follow the one before it."
            raise DamagedError(message)
        following = _Begin(header.device, header.sequence + 1, record_hash(header_bytes))
        ends[header.device] = (number, following)
        space = 0
        if header.namespace != NO_NAMESPACE:
            space = namespaces.setdefault(header.namespace, len(namespaces) + 1)
        row: list[Any] = [number, header.id, header.clock, header.type, space, header.epoch]
        row += [header.operation, signature, payload]
        rows.append(canonical(row if payload is not None else [*row, header.payload_hash]))
    assert rows
    first = [canonical(one) for one in (SEGMENT_VERSION, lane, begins, list(namespaces))]
    return canonical_array([*first, canonical_array(rows)])


def decode_segment(content: bytes, vault: bytes) -> list[Carried]:
    """The records of a segment. Signatures and chains are the caller's to verify.

    Args:
        content: what `encode_segment` wrote; ``vault``: the vault whose segment it is.

    Raises:
        VaultVersionError: a later version wrote it; DamagedError: it has another form.
    """
    lane, begins, namespaces, rows = _fields(content, 5, "segment")
    try:
        ends = [_Begin(*begin) for begin in begins]
        records: list[Carried] = []
        for row in rows:
            carried = _record(row, vault, lane, ends, namespaces)
            header, previous = carried.header, record_hash(carried.header_bytes)
            ends[row[0]] = _Begin(header.device, header.sequence + 1, previous)
            records.append(carried)
        # One run, one encoding: devices and namespaces in the order in which they come, none idle.
        if not records or encode_segment(lane, records) != content:
            raise ValueError(len(records))
    except (TypeError, ValueError, IndexError) as error:
        message = "A segment does not have the form of docs/spec/segment.md."
        raise DamagedError(message) from error
    return records


def _record(
    row: tuple[Any, ...],
    vault: bytes,
    lane: int,
    ends: list[_Begin],
    namespaces: Sequence[bytes],
) -> Carried:
    """One record of a segment, whose header is checked as any other's.

    Raises:
        TypeError, ValueError, IndexError: the row has no such form; DamagedError: the header.
    """
    number, record_id, clock, kind, space, epoch, operation, signature, payload = row[:9]
    if not isinstance(payload, bytes | None):
        raise TypeError(number)
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_BYTES:
        raise ValueError(number)
    begin = ends[cast("int", number)]
    header = Header(
        vault=vault,
        lane=lane,
        device=begin.device,
        sequence=begin.sequence,
        previous=begin.previous,
        id=record_id,
        clock=clock,
        type=kind,
        namespace=namespaces[space - 1] if space else NO_NAMESPACE,
        epoch=epoch,
        operation=operation,
        payload_hash=row[9] if payload is None else payload_hash(payload),
    )
    header_bytes = encode_header(header)
    return Carried(decode_header(header_bytes), header_bytes, signature, payload)


# ---------------------------------------------------------------------- keys


def encode_keys(wraps: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write down the wraps of record keys, each behind its record's ID."""
    return canonical_array([canonical(SEGMENT_VERSION), _encoded_pairs(wraps)])


def decode_keys(content: bytes) -> dict[bytes, bytes]:
    """The wraps of record keys, by record ID.

    Raises:
        VaultVersionError, DamagedError: as for `decode_segment`.
    """
    return dict(_pairs(_fields(content, 2, "key chunk")[0], "key chunk"))


# ---------------------------------------------------------------------- vectors


def encode_vectors(model: str, sealed: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write down one model's sealed vectors, each behind its record's ID."""
    first = [canonical(SEGMENT_VERSION), canonical(model)]
    return canonical_array([*first, _encoded_pairs(sealed)])


def _encoded_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The canonical CBOR of pairs, by the first of each, which no two share."""
    encoded = {name: canonical([name, data]) for name, data in pairs}
    return canonical_array([encoded[name] for name in sorted(encoded)])


def decode_vectors(content: bytes) -> tuple[str, dict[bytes, bytes]]:
    """One model's name and its sealed vectors, by record ID.

    Raises:
        VaultVersionError, DamagedError: as for `decode_segment`.
    """
    model, rows = _fields(content, 3, "vector section")
    if not isinstance(model, str):
        message = "A vector section names no model."
        raise DamagedError(message)
    return model, dict(_pairs(rows, "vector section"))


def seal_codes(record_key: bytes, record_id: bytes, model: str, parts: Iterable[bytes]) -> bytes:
    """Seal a record's vectors of one model: passages in order, all of one length.

    Two devices, or one after a rebuild, may compute other vectors of the same record and model.
    So the nonce is a MAC of what is sealed (as SIV modes do: Rogaway and Shrimpton, 2006): no
    two messages share one, and the same vectors are sealed to the same bytes.

    Raises:
        LimitError: there are none, more than 65,535, empty ones, or some of another length.
    """
    rows = list(parts)
    if not 0 < len(rows) < 2**16 or len(set(map(len, rows))) != 1 or not rows[0]:
        message = f"The vectors of a record are from 1 to 65535 of one length, not {len(rows)}."
        raise LimitError(message)
    body = len(rows).to_bytes(2, "big") + b"".join(rows)
    aead, nonce_key = _keys(record_key, model)
    nonce = mac(nonce_key, record_id + body)[:_NONCE_BYTES]
    return nonce + aead.encrypt(nonce, body, record_id)


def open_codes(record_key: bytes, record_id: bytes, model: str, sealed: bytes) -> list[bytes]:
    """A record's vectors of one model, as int8 codes, one for each passage.

    Raises:
        DamagedError: they were changed, or belong to another record or model.
    """
    aead, nonce_key = _keys(record_key, model)
    nonce = sealed[:_NONCE_BYTES]
    try:
        body = aead.decrypt(nonce, sealed[_NONCE_BYTES:], record_id)
    except (InvalidTag, ValueError) as error:
        message = f"The vectors of record {id_text(record_id)} were changed or moved."
        raise DamagedError(message) from error
    count = int.from_bytes(body[:2], "big")
    size = (len(body) - 2) // count if count else 0
    formed = size and len(body) == 2 + count * size
    if not formed or mac(nonce_key, record_id + body)[:_NONCE_BYTES] != nonce:
        message = f"The vectors of record {id_text(record_id)} have no form."
        raise DamagedError(message)
    return [body[2 + n * size : 2 + (n + 1) * size] for n in range(count)]


def _keys(record_key: bytes, model: str) -> tuple[ChaCha20Poly1305, bytes]:
    """What seals a record's vectors of a model, and the key of their nonces."""
    both = derive(record_key, f"vectors/{model}", 64)
    return ChaCha20Poly1305(both[:32]), both[32:]


# ---------------------------------------------------------------------- reading arrays


def _fields(content: bytes, length: int, what: str) -> tuple[Any, ...]:
    """The elements of an array of a length behind its version."""
    if version_of(content) > SEGMENT_VERSION:
        message = f"A {what} has version {content[1]}; this code reads {SEGMENT_VERSION}."
        raise VaultVersionError(message)
    try:
        fields = read_canonical(content)
        if version_of(content) != SEGMENT_VERSION or len(fields) != length:
            raise ValueError(length)
    except ValueError as error:
        message = f"A {what} does not have the form of docs/spec/segment.md."
        raise DamagedError(message) from error
    return fields[1:]


def _pairs(rows: Any, what: str) -> Iterator[tuple[bytes, bytes]]:
    before = b""
    values = cast("tuple[Any, ...]", rows if isinstance(rows, tuple) else (None,))
    for row in values:
        match row:
            case [bytes(name), bytes(value)] if len(name) == ID_BYTES and name > before:
                before = name
                yield name, value
            case _:
                message = f"A {what} does not have the form of docs/spec/segment.md."
                raise DamagedError(message)
