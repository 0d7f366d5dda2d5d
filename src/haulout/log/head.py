"""Heads: the signed pointer to all that one device has published (docs/spec/head.md).

    head = version (0x01) || count (u8) || count * (generation (u32) || length (u16) || wrap)
           || section of kind HEAD

The wraps are those of the user keys to the recovery kit, so that the 24 words alone open a head.
The section's content is signed by the device; the device's key is vouched for by the owner's
root, whose hash is the vault's ID. A head is believed for these reasons and for no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import cbor2

from haulout.crypto.keys import AgreementKey, DeviceKeys, Entropy, identifier, signature_is_valid
from haulout.crypto.section import Kind, open_section, seal_section
from haulout.errors import DamagedError, VaultVersionError
from haulout.log.keychain import device_keys, unwrap_user_key
from haulout.log.record import GENESIS, HASH_BYTES, ID_BYTES, canonical

HEAD_VERSION = 1
_DOMAIN = b"haulout/1/head\0"
_NAME_DOMAIN = b"haulout/1/head-name\0"
_MOST_GENERATIONS = 200
_FIELDS = 12
_OUTER_BYTES = 2


class Ref(NamedTuple):
    """Where a section stands, and what it must be.

    Attributes:
        blob: the 32-byte blob ID of what it stands in; empty for the pack that holds this head.
        offset, length: its bytes there.
        digest: its SHA-256, so that a range of a blob is as sure as the whole.
    """

    blob: bytes
    offset: int
    length: int
    digest: bytes


class Run(NamedTuple):
    """A published run of records: its segment and what belongs to it.

    Attributes:
        records: how many; ``segment``: where they are.
        keys: where the wraps of their keys are; None where none is left.
        vectors: where their computed vectors are.
    """

    records: int
    segment: Ref
    keys: Ref | None
    vectors: tuple[Ref, ...]


class Tip(NamedTuple):
    """How far a device's chain is published."""

    device: bytes
    sequence: int
    hash: bytes


class Head(NamedTuple):
    """All that one device has published of a lane.

    Attributes:
        vault: 16-byte vault ID; ``lane``: a `Lane` number; ``device``: who signs.
        number: from 1, one more with each head of this device and lane.
        clock: when, microseconds since 1970 UTC.
        previous: SHA-256 of the head before it as stored; zeros in the first.
        certificate: the payload of the device's record: its keys, signed by the owner's root.
        tips: the end of every device's chain, as far as it is published.
        runs: every run, in the order in which records are read back.
        chunks: where the maps of attachment chunks are.
        stores: what else a reader must know of the stores, as their room wrote it.
    """

    vault: bytes
    lane: int
    device: bytes
    number: int
    clock: int
    previous: bytes
    certificate: bytes
    tips: tuple[Tip, ...]
    runs: tuple[Run, ...]
    chunks: tuple[Ref, ...] = ()
    stores: bytes = b""

    @property
    def records(self) -> int:
        """How many records it publishes."""
        return sum(run.records for run in self.runs)

    def blobs(self) -> set[bytes]:
        """The blob IDs of all it points to."""
        refs = [*self.chunks]
        for run in self.runs:
            refs += [run.segment, *run.vectors, *([run.keys] if run.keys else [])]
        return {ref.blob for ref in refs if ref.blob}


def head_name(vault: bytes, device: bytes, lane: int) -> str:
    """The name of a device's head in a store: 32 hexadecimal digits that tell nothing else."""
    named = _NAME_DOMAIN + vault + device + lane.to_bytes(8, "big")
    return hashlib.sha256(named).hexdigest()[:32]


def digest(head: bytes) -> bytes:
    """What the next head names as the one before it."""
    return hashlib.sha256(head).digest()


# ---------------------------------------------------------------------- writing


def seal_head(
    head: Head,
    device: DeviceKeys,
    secrets: Mapping[int, bytes],
    kit_wraps: Mapping[int, bytes],
    entropy: Entropy,
) -> bytes:
    """Sign a head and seal it.

    Args:
        head: what it says; ``device``: the keys of ``head.device``.
        secrets: user keys by generation; ``kit_wraps``: the same, wrapped to the recovery kit.
        entropy: random bytes.
    """
    body = canonical([HEAD_VERSION, *head])
    content = canonical([body, device.signing.sign(_DOMAIN + hashlib.sha256(body).digest())])
    wraps = b"".join(
        generation.to_bytes(4, "big") + len(wrap).to_bytes(2, "big") + wrap
        for generation, wrap in sorted(kit_wraps.items())
    )
    outer = bytes([HEAD_VERSION, len(kit_wraps)]) + wraps
    return outer + seal_section(secrets, Kind.HEAD, head.vault, content, entropy)


# ---------------------------------------------------------------------- reading


def kit_secrets(data: bytes, vault: bytes, recovery: AgreementKey) -> dict[int, bytes]:
    """The user keys that a head carries for the recovery kit, by generation.

    Raises:
        VaultLockedError: they are wrapped to another kit; otherwise as `open_head`.
    """
    wraps, _ = _parted(data)
    return {
        generation: unwrap_user_key(vault, generation, wrap, recovery)
        for generation, wrap in wraps.items()
    }


def open_head(data: bytes, vault: bytes, secrets: Mapping[int, bytes]) -> Head:
    """The head in a stored head's bytes, once everything about it is verified.

    Raises:
        VaultVersionError: a later version wrote it; VaultLockedError: no key for it is known;
        DamagedError: it is no head, or not one that a device of this vault's owner signed.
    """
    _, section = _parted(data)
    content = open_section(secrets, Kind.HEAD, vault, section)
    try:
        body, signature = cast("list[Any]", cbor2.loads(content))
        fields = cast("list[Any]", cbor2.loads(body))
        if type(fields[0]) is int and fields[0] > HEAD_VERSION:
            message = f"A head has version {fields[0]}; this code reads {HEAD_VERSION}."
            raise VaultVersionError(message)
        head = _head(fields)
        again = canonical([canonical([HEAD_VERSION, *head]), signature])
        if again != content or head.vault != vault:
            raise ValueError(head.number)
    except (cbor2.CBORError, TypeError, ValueError, IndexError, RecursionError) as error:
        message = "A head does not have the form of docs/spec/head.md."
        raise DamagedError(message) from error
    signing, _ = device_keys(vault, head.certificate)
    signed = _DOMAIN + hashlib.sha256(body).digest()
    if identifier(signing, "device") != head.device or not signature_is_valid(
        signing, signature, signed
    ):
        message = f"Head {head.number} is not signed by the device that it names."
        raise DamagedError(message)
    return head


def _parted(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """The wraps to the kit, by generation, and the section after them."""
    if len(data) < _OUTER_BYTES:
        message = "A head is cut short."
        raise DamagedError(message)
    if data[0] != HEAD_VERSION:
        message = f"A head has version {data[0]}; this code reads {HEAD_VERSION}."
        raise VaultVersionError(message)
    wraps: dict[int, bytes] = {}
    place = _OUTER_BYTES
    for _ in range(data[1]):
        end = place + 6 + int.from_bytes(data[place + 4 : place + 6], "big")
        wrap = data[place + 6 : end]
        if end > len(data) or not wrap or data[1] > _MOST_GENERATIONS:
            message = "A head is cut short."
            raise DamagedError(message)
        wraps[int.from_bytes(data[place : place + 4], "big")] = wrap
        place = end
    return wraps, data[place:]


def _head(fields: list[Any]) -> Head:
    """A head from its fields, each of its type.

    Raises:
        ValueError, TypeError: one is not.
    """
    if len(fields) != _FIELDS or fields[0] != HEAD_VERSION:
        raise ValueError(len(fields))
    _, vault, lane, device, number, clock, previous, certificate, tips, runs, chunks, stores = (
        fields
    )
    head = Head(
        vault=_sized(vault, ID_BYTES),
        lane=_count(lane),
        device=_sized(device, ID_BYTES),
        number=_count(number),
        clock=_count(clock),
        previous=_sized(previous, HASH_BYTES),
        certificate=_bytes(certificate),
        tips=tuple(
            Tip(_sized(device, ID_BYTES), _count(sequence), _sized(tip, HASH_BYTES))
            for device, sequence, tip in tips
        ),
        runs=tuple(
            Run(
                _count(records),
                _ref(segment),
                None if keys is None else _ref(keys),
                tuple(_ref(one) for one in vectors),
            )
            for records, segment, keys, vectors in runs
        ),
        chunks=tuple(_ref(one) for one in chunks),
        stores=_bytes(stores),
    )
    if not head.number or (head.number == 1) != (head.previous == GENESIS):
        raise ValueError(head.number)
    return head


def _ref(fields: list[Any]) -> Ref:
    blob, offset, length, digest = fields
    if len(_bytes(blob)) not in {0, HASH_BYTES}:
        raise ValueError(offset)
    return Ref(blob, _count(offset), _count(length), _sized(digest, HASH_BYTES))


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(value)
    return value


def _sized(value: Any, length: int) -> bytes:
    if len(_bytes(value)) != length:
        raise ValueError(length)
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(value)
    return value
