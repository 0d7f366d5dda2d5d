"""Segments, key chunks and vector sections: what a run of records becomes in a store.

A segment holds records and no more, so that it can stand anywhere (docs/spec/segment.md). What
can be computed is left out: the hash of a payload that is there, and the previous hash of a
record that follows another of its device. A key chunk holds the wraps of a segment's record
keys, and is written again when one of them is destroyed. Vectors are sealed under the key of
their record, so that they die with it wherever they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.keys import derive
from haulout.errors import DamagedError, VaultVersionError
from haulout.log.record import (
    ID_BYTES,
    NO_NAMESPACE,
    Header,
    canonical,
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
_NONCE = bytes(12)


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


def encode_segment(lane: int, records: Sequence[Carried]) -> bytes:
    """Write records down, in the order given; each device's must follow each other."""
    devices: dict[bytes, int] = {}
    namespaces: dict[bytes, int] = {}
    begins: list[list[Any]] = []
    rows: list[list[Any]] = []
    for header, _, signature, payload in records:
        if header.device not in devices:
            devices[header.device] = len(devices)
            begins.append([header.device, header.sequence, header.previous])
        space = 0
        if header.namespace != NO_NAMESPACE:
            space = namespaces.setdefault(header.namespace, len(namespaces) + 1)
        row = [devices[header.device], header.id, header.clock, header.type, space, header.epoch]
        row += [header.operation, signature, payload]
        rows.append(row if payload is not None else [*row, header.payload_hash])
    return canonical([SEGMENT_VERSION, lane, begins, list(namespaces), rows])


def decode_segment(content: bytes, vault: bytes) -> list[Carried]:
    """The records of a segment. Signatures and chains are the caller's to verify.

    Args:
        content: what `encode_segment` wrote; ``vault``: the vault whose segment it is.

    Raises:
        VaultVersionError: a later version wrote it; DamagedError: it has another form.
    """
    fields = _array(content, 5, "segment")
    try:
        lane, begins, namespaces, rows = fields[1:]
        ends = [_Begin(*begin) for begin in cast("list[list[Any]]", begins)]
        records: list[Carried] = []
        for row in rows:
            carried = _record(row, vault, lane, ends, namespaces)
            header, previous = carried.header, record_hash(carried.header_bytes)
            ends[row[0]] = _Begin(header.device, header.sequence + 1, previous)
            records.append(carried)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        message = "A segment does not have the form of docs/spec/segment.md."
        raise DamagedError(message) from error
    return records


def _record(
    row: list[Any],
    vault: bytes,
    lane: int,
    ends: list[_Begin],
    namespaces: list[bytes],
) -> Carried:
    number, record_id, clock, kind, space, epoch, operation, signature, payload = row[:9]
    if len(row) != 9 + (payload is None) or min(number, space) < 0:
        raise ValueError(number)
    if payload is not None and not isinstance(payload, bytes):
        raise TypeError(payload)
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
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_BYTES:
        raise ValueError(signature)
    return Carried(decode_header(header_bytes), header_bytes, signature, payload)


# ---------------------------------------------------------------------- keys


def encode_keys(wraps: Mapping[bytes, bytes]) -> bytes:
    """Write down the wraps of record keys, by record ID."""
    return canonical([SEGMENT_VERSION, [[name, wraps[name]] for name in sorted(wraps)]])


def decode_keys(content: bytes) -> dict[bytes, bytes]:
    """The wraps of record keys, by record ID.

    Raises:
        VaultVersionError, DamagedError: as for `decode_segment`.
    """
    return dict(_pairs(_array(content, 2, "key chunk")[1], "key chunk"))


# ---------------------------------------------------------------------- vectors


def encode_vectors(model: str, sealed: Mapping[bytes, bytes]) -> bytes:
    """Write down one model's sealed vectors, by record ID."""
    return canonical([SEGMENT_VERSION, model, [[name, sealed[name]] for name in sorted(sealed)]])


def decode_vectors(content: bytes) -> tuple[str, dict[bytes, bytes]]:
    """One model's name and its sealed vectors, by record ID.

    Raises:
        VaultVersionError, DamagedError: as for `decode_segment`.
    """
    fields = _array(content, 3, "vector section")
    if not isinstance(fields[1], str):
        message = "A vector section names no model."
        raise DamagedError(message)
    return fields[1], dict(_pairs(fields[2], "vector section"))


def seal_codes(record_key: bytes, record_id: bytes, model: str, parts: Iterable[bytes]) -> bytes:
    """Seal a record's vectors of one model: passages in order, all of one length."""
    rows = list(parts)
    body = len(rows).to_bytes(2, "big") + b"".join(rows)
    return _aead(record_key, model).encrypt(_NONCE, body, record_id)


def open_codes(record_key: bytes, record_id: bytes, model: str, sealed: bytes) -> list[bytes]:
    """A record's vectors of one model, as int8 codes, one for each passage.

    Raises:
        DamagedError: they were changed, or belong to another record or model.
    """
    try:
        body = _aead(record_key, model).decrypt(_NONCE, sealed, record_id)
    except (InvalidTag, ValueError) as error:
        message = f"The vectors of record {id_text(record_id)} were changed or moved."
        raise DamagedError(message) from error
    count = int.from_bytes(body[:2], "big")
    size = (len(body) - 2) // count if count else 0
    if not size or len(body) != 2 + count * size:
        message = f"The vectors of record {id_text(record_id)} have no form."
        raise DamagedError(message)
    return [body[2 + n * size : 2 + (n + 1) * size] for n in range(count)]


def _aead(record_key: bytes, model: str) -> ChaCha20Poly1305:
    """One key for one message: a record's vectors of a model are computed once."""
    return ChaCha20Poly1305(derive(record_key, f"vectors/{model}"))


# ---------------------------------------------------------------------- reading arrays


def _array(content: bytes, length: int, what: str) -> list[Any]:
    try:
        fields = cbor2.loads(content)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, MemoryError) as error:
        message = f"A {what} cannot be read."
        raise DamagedError(message) from error
    if not isinstance(fields, list) or not fields:
        message = f"A {what} is not an array."
        raise DamagedError(message)
    values = cast("list[Any]", fields)
    if type(values[0]) is int and values[0] > SEGMENT_VERSION:
        message = f"A {what} has version {values[0]}; this code reads {SEGMENT_VERSION}."
        raise VaultVersionError(message)
    if values[0] != SEGMENT_VERSION or len(values) != length or canonical(values) != content:
        message = f"A {what} does not have the form of docs/spec/segment.md."
        raise DamagedError(message)
    return values


def _pairs(rows: Any, what: str) -> Iterator[tuple[bytes, bytes]]:
    before = b""
    values = cast("list[Any]", rows if isinstance(rows, list) else [None])
    for row in values:
        match row:
            case [bytes(name), bytes(value)] if len(name) == ID_BYTES and name > before:
                before = name
                yield name, value
            case _:
                message = f"A {what} does not have the form of docs/spec/segment.md."
                raise DamagedError(message)
