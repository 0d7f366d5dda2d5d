"""Certificates: what storage nodes sign together, and how it is checked.

A node signs a *message*: what it vouches for (that it stores a blob, that a blob is invalid) and
in which epoch. A *certificate* is one message, who of the committee signed it, and the sum of
their BLS signatures; it counts where the signers hold a quorum of shards.

    message       intent u8 | version 0 | application 3 | epoch u32 | body
    body          blob ID, then for `Intent.BLOB` 00 (permanent) or 01 and an object ID (deletable)
    certificate   vector of signers u16 | byte vector message | byte vector signature, in BCS

Signatures are BLS12-381's basic scheme (BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_): public keys
of 48 bytes, signatures of 96. Since all sign the same bytes, the sum of signatures belongs to the
sum of keys; whoever could choose a key freely could make that sum its own, so the chain admits
only keys whose possession was proven.

The arithmetic needs py_ecc, of the extra `certificates`; all else here works without it. A check
takes 0.3 to 0.5 s of CPU, once a blob.

Source: walrus.md §6.6; the IRTF draft "BLS Signatures". The two length prefixes inside a
certificate are those of Walrus's TypeScript package; on the chain its parts travel apart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, cast

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import bcs

PUBLIC_KEY_BYTES: Final = 48
SIGNATURE_BYTES: Final = 96
_ID_BYTES: Final = 32
_VERSION: Final = 0
_APP: Final = 3
_PREFIX_BYTES: Final = 7
_BITS: Final = 8
_GROUP_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


class Intent(IntEnum):
    """What a signed message is for, so that a signature for one purpose serves no other."""

    PROOF_OF_POSSESSION = 0
    BLOB = 1
    INVALID_BLOB = 2
    SYNC_SHARD = 3
    DENY_LIST = 4
    DENY_LIST_DELETED = 5
    PROTOCOL_VERSION = 6


@dataclass(frozen=True, slots=True)
class Message:
    """What was signed.

    Attributes:
        intent: what for; ``epoch``: in which epoch of the network, 32 bits.
        body: the rest of it, as it was serialised.
    """

    intent: Intent
    epoch: int
    body: bytes

    def to_bcs(self) -> bytes:
        """The bytes that are signed."""
        return bytes([self.intent, _VERSION, _APP]) + bcs.u32(self.epoch) + self.body

    @classmethod
    def from_bcs(cls, data: bytes) -> Message:
        """Read a message; its body is read by `blob`.

        Raises:
            WrongBytesError: it is of no known intent, or of another version or application.
        """
        reader = bcs.Reader(data, "The signed message")
        intent, version, app = reader.u8(), reader.u8(), reader.u8()
        if intent not in set(Intent) or (version, app) != (_VERSION, _APP):
            raise reader.refuse(f"it is of intent {intent}, version {version}, application {app}")
        return cls(Intent(intent), reader.u32(), reader.fixed(reader.left))

    def blob(self) -> tuple[bytes, bytes | None]:
        """The blob ID, and the object ID of a deletable blob or None.

        Raises:
            WrongBytesError: it is not about a blob, or its body has another form.
        """
        reader = bcs.Reader(self.body, "The signed message's body")
        if self.intent not in {Intent.BLOB, Intent.INVALID_BLOB}:
            raise reader.refuse(f"a message of intent {self.intent} names no blob")
        blob_id = reader.fixed(_ID_BYTES)
        object_id = None
        if self.intent is Intent.BLOB and reader.variant(2):
            object_id = reader.fixed(_ID_BYTES)
        reader.finish()
        return blob_id, object_id


def blob_message(blob_id: bytes, epoch: int, object_id: bytes | None = None) -> bytes:
    """What a node signs to say that it stores its slivers of a blob.

    Args:
        blob_id: 32 bytes; ``epoch``: the network's, 32 bits.
        object_id: 32 bytes, of the chain's object where the blob is deletable; None where it is
            permanent.

    Raises:
        InputError: an ID is not of 32 bytes, or the epoch does not fit into 32 bits.
    """
    body = _checked_id(blob_id) + (
        bcs.u8(0) if object_id is None else bcs.u8(1) + _checked_id(object_id)
    )
    return Message(Intent.BLOB, epoch, body).to_bcs()


def invalid_blob_message(blob_id: bytes, epoch: int) -> bytes:
    """What a node signs to say that a blob is inconsistent, and reads of it give nothing.

    Raises:
        InputError: the blob ID is not of 32 bytes, or the epoch does not fit into 32 bits.
    """
    return Message(Intent.INVALID_BLOB, epoch, _checked_id(blob_id)).to_bcs()


def _checked_id(identity: bytes) -> bytes:
    if len(identity) != _ID_BYTES:
        raise InputError(f"An ID has {_ID_BYTES} bytes, and this one {len(identity)}.")
    return identity


@dataclass(frozen=True, slots=True)
class Certificate:
    """A message, who signed it, and the sum of their signatures.

    Attributes:
        signers: places in the committee, in any order, none twice.
        message: the bytes that each of them signed.
        signature: 96 bytes.
    """

    signers: tuple[int, ...]
    message: bytes
    signature: bytes

    def to_bcs(self) -> bytes:
        """Signers, message and signature, the last two as byte vectors.

        Raises:
            InputError: a signer does not fit into 16 bits.
        """
        signers = bcs.vector(bcs.u16(signer) for signer in self.signers)
        return signers + bcs.byte_vector(self.message) + bcs.byte_vector(self.signature)

    @classmethod
    def from_bcs(cls, data: bytes) -> Certificate:
        """Read what `to_bcs` writes; nothing says yet that it holds: see `verify`.

        Raises:
            WrongBytesError: the bytes have another form, a signer stands there twice, or the
                signature is not of 96 bytes.
        """
        reader = bcs.Reader(data, "The certificate")
        signers = tuple(reader.vector(bcs.Reader.u16, 2))
        message, signature = reader.byte_vector(), reader.byte_vector()
        reader.finish()
        if len(set(signers)) < len(signers):
            raise reader.refuse("a signer stands there twice")
        if len(signature) != SIGNATURE_BYTES:
            raise reader.refuse(f"its signature has {len(signature)} bytes")
        return cls(signers, message, signature)


def is_quorum(weight: int, n_shards: int) -> bool:
    """Whether ``weight`` shards are so many that two such sets share an honest node."""
    return 3 * weight >= 2 * n_shards + 1


def holds_an_honest_node(weight: int, n_shards: int) -> bool:
    """Whether ``weight`` shards are so many that not all of them can lie."""
    return 3 * weight >= n_shards + 1


def signer_bitmap(signers: Iterable[int], committee_size: int) -> bytes:
    """The signers as the chain takes them: bit i % 8, lowest first, of byte i / 8.

    Raises:
        InputError: a signer is not in the committee.
    """
    bitmap = bytearray(-(-committee_size // _BITS))
    for signer in signers:
        if not 0 <= signer < committee_size:
            raise InputError(f"Signer {signer} is not in a committee of {committee_size}.")
        bitmap[signer // _BITS] |= 1 << signer % _BITS
    return bytes(bitmap)


def signers_of_bitmap(bitmap: bytes) -> tuple[int, ...]:
    """The signers whose bits are set, in order; the inverse of `signer_bitmap`."""
    return tuple(
        place for place in range(_BITS * len(bitmap)) if bitmap[place // _BITS] >> place % _BITS & 1
    )


def public_key(secret_key: int) -> bytes:
    """The public key of a secret one; see `sign` for who should use it."""
    return bytes(_bls().SkToPk(_checked_secret(secret_key)))


def sign(secret_key: int, message: bytes) -> bytes:
    """Sign as a storage node does.

    For nodes on loopback and for tests: py_ecc's arithmetic is not of constant time, so whoever
    can measure it may learn the key.

    Args:
        secret_key: 1 to the order of the group less 1; ``message``: the bytes to sign.

    Raises:
        InputError: the key is outside that range, or py_ecc is not installed.
    """
    return bytes(_bls().Sign(_checked_secret(secret_key), message))


def _checked_secret(secret_key: int) -> int:
    if not 0 < secret_key < _GROUP_ORDER:
        raise InputError("A secret key is a number from 1 to the order of the group less 1.")
    return secret_key


def signed_by(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of the public ``key`` signed ``message``; of one node, not of many.

    Raises:
        InputError: py_ecc is not installed.
    """
    return bool(_bls().Verify(bytes(key), bytes(message), bytes(signature)))


def combine(message: bytes, signatures: Mapping[int, bytes]) -> Certificate:
    """Make a certificate of what single nodes signed.

    Each signature should have been checked with `signed_by`: one that is wrong makes the whole
    wrong, and nobody could tell which it was.

    Args:
        message: the bytes all of them signed.
        signatures: by place in the committee.

    Raises:
        InputError: there is none, one of them is no signature, or py_ecc is not installed.
    """
    if not signatures or {len(each) for each in signatures.values()} != {SIGNATURE_BYTES}:
        raise InputError(
            f"A certificate needs one signature or more, of {SIGNATURE_BYTES} bytes each."
        )
    signers = tuple(sorted(signatures))
    try:
        total = _bls().Aggregate([bytes(signatures[signer]) for signer in signers])
    except (ValueError, AssertionError) as error:
        raise InputError(f"One of the signatures is none: {error}.") from None
    return Certificate(signers, message, bytes(total))


def verify(
    certificate: Certificate,
    public_keys: Sequence[bytes],
    weights: Sequence[int],
    n_shards: int,
) -> Message:
    """See that a quorum signed, and return what it signed.

    A certificate says nothing about a blob or an epoch that the caller has in mind: compare
    ``certificate.message`` with `blob_message`, or look into what this returns.

    Args:
        certificate: to check.
        public_keys: of the committee, 48 bytes each, whose possession was proven (the chain asks
            for that as a node registers); ``weights``: how many shards each holds, in all
            ``n_shards``.
        n_shards: of the network.

    Raises:
        InputError: keys and weights are not of one committee of ``n_shards``, or py_ecc is not
            installed.
        WrongBytesError: a signer is not in the committee or stands there twice, the signers are
            no quorum, the message is of no known form, or the signature is not theirs.
    """
    if (
        len(public_keys) != len(weights)
        or sum(weights) != n_shards
        or any(weight < 0 for weight in weights)
    ):
        raise InputError(
            f"{len(public_keys)} keys with {len(weights)} weights that add up to {sum(weights)} "
            f"are no committee of {n_shards} shards."
        )
    signers = certificate.signers
    if len(set(signers)) < len(signers):
        raise WrongBytesError("A signer stands in the certificate twice.")
    if any(not 0 <= signer < len(public_keys) for signer in signers):
        raise WrongBytesError(
            f"A signer of the certificate is not in the committee of {len(public_keys)}."
        )
    weight = sum(weights[signer] for signer in signers)
    if not is_quorum(weight, n_shards):
        raise WrongBytesError(
            f"The certificate's signers hold {weight} shards of {n_shards}, which is no quorum."
        )
    message = Message.from_bcs(certificate.message)
    key = _sum_of_keys([public_keys[signer] for signer in signers])
    if not signed_by(key, certificate.message, certificate.signature):
        raise WrongBytesError("The certificate's signature is not that of its signers.")
    return message


def _sum_of_keys(public_keys: Sequence[bytes]) -> bytes:
    """The key that the sum of signatures belongs to; `signed_by` sees that it is in the group."""
    _bls()
    from py_ecc.bls.g2_primitives import G1_to_pubkey, pubkey_to_G1
    from py_ecc.optimized_bls12_381.optimized_curve import Z1, add

    total: Any = Z1
    for key in public_keys:
        if len(key) != PUBLIC_KEY_BYTES:
            raise InputError(f"A public key has {PUBLIC_KEY_BYTES} bytes, and one {len(key)}.")
        try:
            total = add(total, cast("Any", pubkey_to_G1)(bytes(key)))
        except ValueError as error:
            raise InputError(f"One of the committee's public keys is none: {error}.") from None
    return bytes(G1_to_pubkey(total))


def _bls() -> Any:
    """py_ecc's basic scheme. Its types are those of a package that is not asked for here.

    Importing py_ecc lets the whole process recurse 100,000 deep, and a program that relies on
    Python's own bound then ends with a broken stack. This code needs no such depth (measured:
    it signs, verifies and adds within the usual 1,000), so the bound is put back.
    """
    deepest = sys.getrecursionlimit()
    try:
        from py_ecc.bls.ciphersuites import G2Basic
    except ImportError:
        raise InputError(
            "Certificates cannot be checked or made: py_ecc is not installed.",
            hint='Install it with `pip install "haulout[certificates]"`.',
        ) from None
    finally:
        sys.setrecursionlimit(deepest)
    return G2Basic
