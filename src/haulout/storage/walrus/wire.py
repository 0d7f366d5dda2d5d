"""What Walrus's services say, as values: JSON and errors, read strictly where it matters.

Source: walrus.md §6 (the daemon's and the storage node's API). Unknown fields are ignored, so
that a newer service is understood; a field that is needed and missing or of another type makes
the answer nonsense, a `StoreUnavailableError`. Errors need not be JSON: load shedding (429), the
body limit (413) and a query that cannot be parsed (400) answer with plain text.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast

import msgspec

from haulout.errors import StoreUnavailableError
from haulout.storage.walrus.config import possible_epoch

_WORDS: Final = 160  # characters of a service's own words that a message repeats
_MOST_DEBUG: Final = 2000  # characters of an error that are searched for words about money

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApiError:
    """A service's refusal.

    Attributes:
        status: the HTTP status; reason: such as ``BLOB_NOT_FOUND``, empty in plain text.
        domain: which service says so; message: its words, cut and printable.
        money: whether it speaks of a lack of funds.
    """

    status: int
    reason: str
    domain: str
    message: str
    money: bool


class _Detail(msgspec.Struct, kw_only=True):
    reason: str = ""
    domain: str = ""


class _Status(msgspec.Struct, kw_only=True):
    message: str = ""
    details: list[_Detail] = []


class _ErrorBody(msgspec.Struct, kw_only=True):
    error: _Status


def read_error(status: int, body: bytes) -> ApiError:
    """The refusal in an answer that is no success, JSON or not. Never raises."""
    text = body[:_MOST_DEBUG].decode("utf-8", "replace")
    money = any(word in text.lower() for word in _MONEY)
    try:
        told = msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ApiError(status, "", "", printable(text), money)
    detail = next((d for d in told.details if d.reason), _Detail())
    reason, domain = printable(detail.reason), printable(detail.domain)
    return ApiError(status, reason, domain, printable(told.message), money)


_MONEY: Final = ("insufficient balance", "sufficient balance", "insufficient funds",
                 "could not find wal coins", "could not find sui coins", "insufficientgas",
                 "insufficient gas", "insufficientcoinbalance")  # fmt: skip


def printable(text: str) -> str:
    """A service's words on one line, cut after 160 characters, with nothing that acts on a
    terminal."""  # noqa: D205, D209 - one sentence
    line = " ".join(text.split())
    kept = "".join(c if c.isprintable() else "?" for c in line)
    return kept if len(kept) <= _WORDS else kept[: _WORDS - 1] + "…"


def decode(body: bytes, kind: type[T], who: str) -> T:
    """JSON as a value of ``kind``.

    Raises:
        StoreUnavailableError: it is of another form; ``who`` says whose.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _nonsense(who) from error


def _nonsense(who: str) -> StoreUnavailableError:
    return StoreUnavailableError(f"{who} answers with something that is no answer of Walrus's.")


# --- what a publisher says -------------------------------------------------------------------


class _Storage(msgspec.Struct, kw_only=True, rename="camel"):
    end_epoch: int


class _BlobObject(msgspec.Struct, kw_only=True, rename="camel"):
    id: str
    blob_id: str
    storage: _Storage
    registered_epoch: int | None = None
    certified_epoch: int | None = None
    size: int | None = None
    deletable: bool | None = None


class _NewlyCreated(msgspec.Struct, kw_only=True, rename="camel"):
    blob_object: _BlobObject
    resource_operation: dict[str, Any] = {}
    cost: int | None = None
    shared_blob_object: str | None = None


class _AlreadyCertified(msgspec.Struct, kw_only=True, rename="camel"):
    blob_id: str
    end_epoch: int
    object: str | None = None


class _MarkedInvalid(msgspec.Struct, kw_only=True, rename="camel"):
    blob_id: str = ""


class _Failed(msgspec.Struct, kw_only=True, rename="camel"):
    blob_id: str | None = None
    failure_phase: str = ""
    error_msg: str = ""


class _StoreResult(msgspec.Struct, kw_only=True, rename="camel"):
    newly_created: _NewlyCreated | None = None
    already_certified: _AlreadyCertified | None = None
    marked_invalid: _MarkedInvalid | None = None
    error: _Failed | None = None


class QuiltPatch(msgspec.Struct, kw_only=True, rename="camel", frozen=True):
    """One item of a quilt as a publisher stored it."""

    identifier: str
    quilt_patch_id: str
    range: tuple[int, int] | None = None


class _QuiltResult(msgspec.Struct, kw_only=True, rename="camel"):
    blob_store_result: _StoreResult
    stored_quilt_blobs: list[QuiltPatch] = []


@dataclass(frozen=True, slots=True)
class Stored:
    """What a publisher says of an upload. Its word alone is no proof of storage.

    Attributes:
        blob_id: text form, as the publisher says.
        end_epoch: the first epoch in which it is no longer kept.
        object_id: of the blob's object on the chain; None where another's was found.
        shared_object_id: of the shared object around it, where one was asked for.
        cost: FROST that the publisher paid for storage, gas aside; 0 for what stood already.
        already: it was certified before, for as long.
        operation: what was bought, such as ``registerFromScratch``.
    """

    blob_id: str
    end_epoch: int
    object_id: str | None
    cost: int | None
    already: bool
    operation: str = ""
    shared_object_id: str | None = None


def _stored(told: _StoreResult, who: str) -> Stored:
    if (new := told.newly_created) is not None:
        found = new.blob_object
        stored = Stored(
            found.blob_id, found.storage.end_epoch, found.id, new.cost, already=False,
            operation=next(iter(new.resource_operation), ""),
            shared_object_id=new.shared_blob_object,
        )  # fmt: skip
    elif (old := told.already_certified) is not None:
        stored = Stored(old.blob_id, old.end_epoch, old.object, 0, already=True)
    elif (failed := told.error) is not None:
        words = printable(f"{failed.failure_phase}: {failed.error_msg}")
        raise StoreUnavailableError(f"{who} could not store it ({words}).")
    elif told.marked_invalid is not None:
        raise StoreUnavailableError(f"{who} says that the network holds this blob for invalid.")
    else:
        raise _nonsense(who)
    if not possible_epoch(stored.end_epoch) or (stored.cost or 0) < 0:
        raise _nonsense(who)
    return stored


def read_store_result(body: bytes, who: str) -> Stored:
    """The result of ``PUT /v1/blobs``.

    Raises:
        StoreUnavailableError: it says that storing failed, or it is nonsense.
    """
    return _stored(decode(body, _StoreResult, who), who)


def read_quilt_result(body: bytes, who: str) -> tuple[Stored, tuple[QuiltPatch, ...]]:
    """The result of ``PUT /v1/quilts``: of the quilt, and its patches.

    Raises:
        StoreUnavailableError: as `read_store_result`.
    """
    told = decode(body, _QuiltResult, who)
    return _stored(told.blob_store_result, who), tuple(told.stored_quilt_blobs)


# --- what an aggregator says -----------------------------------------------------------------


class ListedPatch(msgspec.Struct, kw_only=True, frozen=True):
    """One item in an aggregator's list of a quilt's patches (its keys are snake_case)."""

    identifier: str
    patch_id: str
    tags: dict[str, str] = {}


def read_patches(body: bytes, who: str) -> tuple[ListedPatch, ...]:
    """The answer of ``GET /v1/quilts/{id}/patches``."""
    return tuple(decode(body, list[ListedPatch], who))


# --- what a relay says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tip:
    """What a relay wants for an upload, in MIST, paid in the registering transaction.

    Attributes:
        address: whom to pay; None where nothing is wanted.
        base: the constant part; per_kib: for each KiB of encoded length, begun ones counting.
    """

    address: str | None = None
    base: int = 0
    per_kib: int = 0

    def amount(self, encoded_length: int) -> int:
        """The tip for a blob of that encoded length."""
        return self.base + -(-encoded_length // 1024) * self.per_kib


class _Linear(msgspec.Struct, kw_only=True):
    base: int
    encoded_size_mul_per_kib: int


class _TipKind(msgspec.Struct, kw_only=True):
    const: int | None = None
    linear: _Linear | None = None


class _SendTip(msgspec.Struct, kw_only=True):
    address: str
    kind: _TipKind


class _TipConfig(msgspec.Struct, kw_only=True):
    send_tip: _SendTip


def read_tip(body: bytes, who: str) -> Tip:
    """The answer of ``GET /v1/tip-config``."""
    told = decode(body, Literal["no_tip"] | _TipConfig, who)  # type: ignore[arg-type]
    if not isinstance(told, _TipConfig):
        return Tip()
    kind = told.send_tip.kind
    if kind.const is not None:
        return Tip(told.send_tip.address, kind.const)
    if kind.linear is None:
        raise _nonsense(who)
    return Tip(told.send_tip.address, kind.linear.base, kind.linear.encoded_size_mul_per_kib)


@dataclass(frozen=True, slots=True)
class Relayed:
    """A relay's answer: the blob's ID, and the parts of the certificate to take to the chain."""

    blob_id: bytes
    signers: tuple[int, ...]
    message: bytes
    signature: bytes


class _Certificate(msgspec.Struct, kw_only=True):
    signers: list[int]
    serialized_message: list[int]
    signature: str


class _RelayResult(msgspec.Struct, kw_only=True):
    blob_id: list[int]
    confirmation_certificate: _Certificate


def read_relayed(body: bytes, who: str) -> Relayed:
    """The answer of ``POST /v1/blob-upload-relay``."""
    told = decode(body, _RelayResult, who)
    certificate = told.confirmation_certificate
    try:
        return Relayed(
            bytes(told.blob_id), tuple(certificate.signers),
            bytes(certificate.serialized_message), _base64(certificate.signature),
        )  # fmt: skip
    except (ValueError, binascii.Error) as error:
        raise _nonsense(who) from error


# --- what a storage node says ----------------------------------------------------------------


class _Success(msgspec.Struct, kw_only=True):
    data: Any


class _SuccessBody(msgspec.Struct, kw_only=True):
    success: _Success


class _Counts(msgspec.Struct, kw_only=True):
    count_deletable_total: int = 0
    count_deletable_certified: int = 0


class _Standing(msgspec.Struct, kw_only=True):
    end_epoch: int | None = None
    is_certified: bool | None = None
    deletable_counts: _Counts = msgspec.field(default_factory=_Counts)
    initial_certified_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class BlobStatus:
    """What one storage node says of a blob.

    Attributes:
        kind: ``permanent`` where at least one object cannot be deleted; ``other`` for a form
            that is not known here.
        end_epoch: of the longest permanent object; nodes do not tell it for deletable ones.
        permanent_certified: whether that one is certified.
        deletable, deletable_certified: how many deletable objects there are, and certified.
        since: the epoch in which the blob was first certified.
    """

    kind: Literal["nonexistent", "invalid", "permanent", "deletable", "other"]
    end_epoch: int | None = None
    permanent_certified: bool = False
    deletable: int = 0
    deletable_certified: int = 0
    since: int | None = None

    @property
    def certified(self) -> bool:
        """Whether any object of the blob is certified."""
        return self.permanent_certified or self.deletable_certified > 0


def _snake(value: Any) -> Any:
    """Keys in snake_case: nodes write both, and counts always so."""
    if not isinstance(value, dict):
        return value
    entries = cast("dict[Any, Any]", value)
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in str(key)): _snake(inner)
        for key, inner in entries.items()
    }


def read_success(body: bytes, who: str) -> Any:
    """The ``data`` of a storage node's success."""
    return decode(body, _SuccessBody, who).success.data


def read_status(body: bytes, who: str) -> BlobStatus:
    """The answer of ``GET /v1/blobs/{id}/status``."""
    data = read_success(body, who)
    if data == "nonexistent":
        return BlobStatus("nonexistent")
    if not isinstance(data, dict) or len(data) != 1:  # pyright: ignore[reportUnknownArgumentType]
        raise _nonsense(who)
    (kind, inner), *_ = _snake(data).items()
    if kind == "invalid":
        return BlobStatus("invalid")
    if kind not in {"permanent", "deletable"}:
        return BlobStatus("other")
    try:
        told = msgspec.convert(inner, _Standing)
    except msgspec.ValidationError as error:
        raise _nonsense(who) from error
    counts = told.deletable_counts
    permanent = kind == "permanent"
    if permanent and (told.end_epoch is None or not possible_epoch(told.end_epoch)):
        raise _nonsense(who)
    return BlobStatus(
        "permanent" if permanent else "deletable",
        told.end_epoch if permanent else None,
        permanent and bool(told.is_certified),
        max(0, counts.count_deletable_total),
        max(0, counts.count_deletable_certified),
        told.initial_certified_epoch,
    )


@dataclass(frozen=True, slots=True)
class Signed:
    """A storage node's signed message: of a confirmation, or of an invalid blob ID."""

    message: bytes
    signature: bytes


class _SignedMessage(msgspec.Struct, kw_only=True, rename="camel"):
    serialized_message: str
    signature: str


class _Confirmation(msgspec.Struct, kw_only=True):
    signed: _SignedMessage


def read_signed(body: bytes, who: str, *, confirmation: bool) -> Signed:
    """A signed message; a storage confirmation wraps it in ``signed``."""
    data = read_success(body, who)
    try:
        told = (
            msgspec.convert(data, _Confirmation).signed
            if confirmation
            else msgspec.convert(data, _SignedMessage)
        )
        return Signed(_base64(told.serialized_message), _base64(told.signature))
    except (msgspec.ValidationError, binascii.Error) as error:
        raise _nonsense(who) from error


class Health(msgspec.Struct, kw_only=True, rename="camel", frozen=True):
    """What a node says of itself, as far as it matters here."""

    epoch: int
    node_status: str = ""


def read_health(body: bytes, who: str) -> Health:
    """The answer of ``GET /v1/health``."""
    try:
        health = msgspec.convert(read_success(body, who), Health)
    except msgspec.ValidationError as error:
        raise _nonsense(who) from error
    if not possible_epoch(health.epoch):
        raise _nonsense(who)
    return health


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
