r"""Heads: the signed pointer to all that one device has published (docs/spec/head.md).

    head    = outer || section of kind HEAD
    outer   = version (0x01) || count (u8) || count * (generation (u32) || length (u16) || wrap)
    content = [body, Ed25519(device, "haulout/1/head\0" || SHA-256(outer) || SHA-256(body))]

The wraps are those of the user keys to the recovery kit, so that the 24 words alone open a head.
Outer and body are signed by the device; the device's key is vouched for by the owner's root,
whose hash is the vault's ID. A head is believed for these reasons and for no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

import cbor2

from haulout.crypto.keys import (
    AgreementKey,
    DeviceKeys,
    Entropy,
    identifier,
    signature_is_valid,
)
from haulout.crypto.section import Kind, open_section, seal_section
from haulout.errors import (
    DamagedError,
    InputError,
    LimitError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.log.canonical import read_canonical, version_of
from haulout.log.keychain import device_keys, unwrap_user_key
from haulout.log.record import GENESIS, HASH_BYTES, ID_BYTES, canonical

HEAD_VERSION = 1
_DOMAIN = b"haulout/1/head\0"
_NAME_DOMAIN = b"haulout/1/head-name\0"
MOST_HEAD_BYTES = 16 * 1024 * 1024
"""Of a head as stored; one of a million records has some hundred KiB."""
NO_STORE = bytes(ID_BYTES)
_FIELDS = 13
_MOST_GENERATIONS = 255
_WRAP_BYTES = 1168
_ENTRY_BYTES = 4 + 2 + _WRAP_BYTES
_OUTER_BYTES = 2
_SIGNATURE_BYTES = 64


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
        number: from 1, one more with each head of this device and lane in this store.
        clock: when, microseconds since 1970 UTC.
        previous: SHA-256 of the head before it as stored; zeros in the first.
        certificate: the payload of the device's record: its keys, signed by the owner's root.
        tips: the end of every device's chain, as far as it is published.
        runs: every run, in the order in which records are read back.
        chunks: where the maps of attachment chunks are.
        stores: what else a reader must know of the stores, as their room wrote it.
        store: 16-byte ID of the store it is made for, so that it does not pass in another;
            zeros where the store has none.
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
    store: bytes = NO_STORE

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


class Standing(Enum):
    """How a verified head stands to another of the same device, lane and store.

    `SAME` is the same bytes; `NEWER` and `OLDER` are of one history, as far as the two tell;
    `FORKED` says that both cannot be of one history: the device signed two.
    """

    SAME = "same"
    NEWER = "newer"
    OLDER = "older"
    FORKED = "forked"


def standing(known: bytes, known_head: Head, found: bytes, found_head: Head) -> Standing:
    """How a head that was found stands to one that is known.

    Args:
        known, found: their bytes as stored; ``known_head``, ``found_head``: what `open_head` gave.
    """
    assert found_head.device == known_head.device
    assert (found_head.lane, found_head.store) == (known_head.lane, known_head.store)
    if found == known:
        return Standing.SAME
    if found_head.number < known_head.number:
        turned = standing(found, found_head, known, known_head)
        return Standing.OLDER if turned is Standing.NEWER else turned
    ends = {tip.device: tip for tip in found_head.tips}
    grown = all(
        (now := ends.get(tip.device)) is not None and (now.sequence > tip.sequence or now == tip)
        for tip in known_head.tips
    )
    follows = found_head.number > known_head.number + 1 or found_head.previous == digest(known)
    if found_head.number == known_head.number or not follows or not grown:
        return Standing.FORKED
    return Standing.NEWER


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
        secrets: user keys by generation; ``kit_wraps``: the same, wrapped to the recovery kit,
            anew for each head (`keychain.fresh_wraps`): a wrap met twice tells that two blobs are
            of one vault.
        entropy: random bytes.

    Raises:
        InputError: a field has another form, or names another device; DamagedError: the owner
        did not sign the certificate; LimitError: it holds more than a head can;
        VaultLockedError: a user key is not among the wraps.
    """
    head = head._replace(tips=tuple(sorted(head.tips)))
    try:
        body = canonical([HEAD_VERSION, *head])
        _head(read_canonical(body))
    except (ValueError, TypeError, cbor2.CBORError) as error:
        message = "A head's fields are not of the form of docs/spec/head.md."
        raise InputError(message) from error
    if (device_keys(head.vault, head.certificate)[0], head.device) != (
        device.signing.public,
        device.id,
    ):
        message = "A head names another device than the one that signs it."
        raise InputError(message)
    if len(kit_wraps) > _MOST_GENERATIONS or any(
        len(wrap) != _WRAP_BYTES for wrap in kit_wraps.values()
    ):
        message = f"A head carries up to {_MOST_GENERATIONS} wraps of {_WRAP_BYTES} bytes each."
        raise LimitError(message)
    if not secrets.keys() <= kit_wraps.keys():
        message = "A user key is not wrapped to the recovery kit, so the kit could not open a head."
        raise VaultLockedError(message)
    outer = bytes([HEAD_VERSION, len(kit_wraps)]) + b"".join(
        generation.to_bytes(4, "big") + len(wrap).to_bytes(2, "big") + wrap
        for generation, wrap in sorted(kit_wraps.items())
    )
    content = canonical([body, device.signing.sign(_signed(outer, body))])
    data = outer + seal_section(secrets, Kind.HEAD, head.vault, content, entropy)
    if len(data) > MOST_HEAD_BYTES:
        message = f"A head has at most {MOST_HEAD_BYTES} bytes, not {len(data)}."
        raise LimitError(message)
    return data


def _signed(outer: bytes, body: bytes) -> bytes:
    return _DOMAIN + hashlib.sha256(outer).digest() + hashlib.sha256(body).digest()


# ---------------------------------------------------------------------- reading


def kit_secrets(data: bytes, vault: bytes, recovery: AgreementKey) -> dict[int, bytes]:
    """The user keys that a head carries for the recovery kit, by generation.

    Nothing vouches for them until `open_head` has taken the same bytes.

    Raises:
        VaultLockedError: they are wrapped to another kit; otherwise as `open_head`.
    """
    wraps, _ = _parted(data)
    return {
        generation: unwrap_user_key(vault, generation, wrap, recovery)
        for generation, wrap in wraps.items()
    }


def open_head(data: bytes, vault: bytes, secrets: Mapping[int, bytes], name: str = "") -> Head:
    """The head in a stored head's bytes, once everything about it is verified.

    Args:
        data: the head as stored; ``vault``: whose it must be.
        secrets: user keys by generation.
        name: the name it was found under (`head_name`); empty where it has none.

    Raises:
        VaultVersionError: a later version wrote it; VaultLockedError: no key for it is known;
        DamagedError: it is no head, not one that a device of this vault's owner signed, or one
        of another name.
    """
    _, section = _parted(data)
    content = open_section(secrets, Kind.HEAD, vault, section)
    try:
        body, signature = read_canonical(content)
        if version_of(_bytes(body)) > HEAD_VERSION:
            message = f"A head has version {version_of(body)}; this code reads {HEAD_VERSION}."
            raise VaultVersionError(message)
        head = _head(read_canonical(body))
        _sized(signature, _SIGNATURE_BYTES)
    except (TypeError, ValueError) as error:
        message = "A head does not have the form of docs/spec/head.md."
        raise DamagedError(message) from error
    signing, _ = device_keys(vault, head.certificate)
    signed = _signed(data[: len(data) - len(section)], body)
    if (
        head.vault != vault
        or identifier(signing, "device") != head.device
        or not signature_is_valid(signing, signature, signed)
    ):
        message = f"Head {head.number} is not signed by the device that it names."
        raise DamagedError(message)
    if name and name != head_name(vault, head.device, head.lane):
        message = f"Head {head.number} stands under the name of another."
        raise DamagedError(message)
    return head


def _parted(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """The wraps to the kit, by generation, and the section after them."""
    if data[:1] not in {b"", bytes([HEAD_VERSION])}:
        message = f"A head has version {data[0]}; this code reads {HEAD_VERSION}."
        raise VaultVersionError(message)
    end = _OUTER_BYTES + _ENTRY_BYTES * int.from_bytes(data[1:2], "big")
    entries = [data[at : at + _ENTRY_BYTES] for at in range(_OUTER_BYTES, end, _ENTRY_BYTES)]
    generations = [int.from_bytes(entry[:4], "big") for entry in entries]
    lengths = {int.from_bytes(entry[4:6], "big") for entry in entries}
    ascending = all(before < after for before, after in pairwise([0, *generations]))
    if not end < len(data) <= MOST_HEAD_BYTES or lengths != {_WRAP_BYTES} or not ascending:
        message = "A head does not have the form of docs/spec/head.md, or is cut short."
        raise DamagedError(message)
    wraps = [entry[6:] for entry in entries]
    return dict(zip(generations, wraps, strict=True)), data[end:]


def _head(fields: tuple[Any, ...]) -> Head:
    """A head from its fields, each of its type.

    Raises:
        ValueError, TypeError: one is not.
    """
    if len(fields) != _FIELDS or fields[0] != HEAD_VERSION:
        raise ValueError(len(fields))
    _, vault, lane, device, number, clock, previous, certificate = fields[:8]
    tips, runs, chunks, stores, store = fields[8:]
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
        store=_sized(store, ID_BYTES),
    )
    if not head.number or (head.number == 1) != (head.previous == GENESIS):
        raise ValueError(head.number)
    if not all(before.device < after.device for before, after in pairwise(head.tips)):
        raise ValueError(len(tips))
    if not all(tip.sequence for tip in head.tips) or not all(run.records for run in head.runs):
        raise ValueError(len(runs))
    return head


def _ref(fields: tuple[Any, ...]) -> Ref:
    blob, offset, length, digest = fields
    if len(_bytes(blob)) not in {0, HASH_BYTES} or not _count(length):
        raise ValueError(length)
    return Ref(blob, _count(offset), length, _sized(digest, HASH_BYTES))


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
