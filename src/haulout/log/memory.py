"""Memories as values: what a caller gives, what a record's payload holds, what comes back.

Pure: validation, the payload's canonical bytes, and the fold of a payload into a `Memory`.
Limits are stated here and nowhere else.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import cbor2
import msgspec

from haulout.errors import DamagedError, InputError, LimitError
from haulout.log.attachment import Attachment, Manifest, Passage, PassageOf, require_sound
from haulout.log.clock import from_microseconds, to_microseconds
from haulout.log.record import canonical

TEXT_BYTES = 1024 * 1024
NAMESPACE_BYTES = 255
NAME_BYTES = 255
SOURCE_BYTES = 2048
METADATA_BYTES = 64 * 1024
METADATA_LEVELS = 100  # SQLite reads no JSON beyond 1,000, and a filter reads metadata there
TAGS = 64
OPERATION_ID_BYTES = 255
VECTOR_DIMENSIONS = 8192
DEFAULT_KIND = "note"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a memory says, as its record's payload holds it.

    Times are microseconds since 1970 UTC; `metadata` is canonical JSON text, so that no
    float enters a record; `vector` is little-endian float32, given by the caller.
    """

    text: str
    kind: str = DEFAULT_KIND
    speaker: str | None = None
    session: str | None = None
    occurred_at: int | None = None
    valid_from: int | None = None
    valid_until: int | None = None
    tags: tuple[str, ...] = ()
    metadata: str | None = None
    source: str | None = None
    vector: bytes | None = None
    attachment: Manifest | None = None
    passage: PassageOf | None = None

    def payload(self, **beside: object) -> bytes:
        """Canonical CBOR of the content, with fields that a record type adds beside it."""
        fields: dict[str, object] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return canonical(fields | beside if beside else fields)


GIVEN = tuple(name for name in Content.__struct_fields__ if name not in {"attachment", "passage"})
"""The parts of a content that callers give as such."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is remembered: text with its source, times and place.

    Attributes:
        id: 26 letters and digits, for good.
        text: the words, as given.
        namespace: the named part of the vault it stands in.
        kind: what a person would call it: note, fact, preference, document, ...
        speaker: who said it, where known.
        session: the conversation or sitting it belongs to.
        occurred_at: when it happened or was said.
        valid_from: since when it is true; valid_until: up to when (exclusive).
        tags: labels, in order, without repeats.
        metadata: a JSON object of the caller's.
        source: where it came from.
        attachment: the bytes that belong to it; `vault.attachment` reads them.
        passage: where it stands, if it is a passage of another memory's attachment.
        recorded_at: when the vault first recorded it; updated_at: this version of it.
        version: 1 for the first, counting updates.
        op_id: the operation that wrote this version; `undo` takes it.
        durability: "local" once it is on this disk; "remote" where a write that waited for the
            stores, `get` or `list` found that every one of them holds it as well.
        created: False where an operation ID was repeated and this is its first result.
        erased: True only in a batch's answer, where a repeated operation's memory was erased
            since: nothing was written again and the text is empty.
    """

    id: str
    text: str
    namespace: str
    kind: str = DEFAULT_KIND
    speaker: str | None = None
    session: str | None = None
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    source: str | None = None
    attachment: Attachment | None = None
    passage: Passage | None = None
    recorded_at: datetime
    updated_at: datetime
    version: int = 1
    op_id: str = ""
    durability: str = "local"
    created: bool = True
    erased: bool = False


def _clean(value: object, name: str, most_bytes: int) -> str:
    if not isinstance(value, str):
        message = f"{name} must be text, not {type(value).__name__}."
        raise InputError(message)
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError as error:
        message = f"{name} has half of a surrogate pair at position {error.start}."
        raise InputError(message) from error
    if size > most_bytes:
        message = f"{name} has {size} bytes of UTF-8; the limit is {most_bytes}."
        raise LimitError(message)
    return value


def _clean_name(value: object, name: str) -> str | None:
    if value is None:
        return None
    text = _clean(value, name, NAME_BYTES)
    if not text.strip():
        message = f"{name} is empty; leave it out instead."
        raise InputError(message)
    return text


def checked_namespace(name: object) -> str:
    """Return a namespace's name if it is one.

    1 to 255 bytes of UTF-8 without control characters; ``/`` makes a path, whose parts are
    not empty; ``*`` is kept for patterns such as ``work/**``.

    Raises:
        InputError: it is not a name; LimitError: it is too long.
    """
    text = _clean(name, "namespace", NAMESPACE_BYTES)
    if any(unicodedata.category(character) == "Cc" for character in text):
        message = f"namespace {text!r} has a control character."
        raise InputError(message)
    if not text or "*" in text or not all(part.strip() for part in text.split("/")):
        message = f"namespace {text!r} is not a name: no empty part, no '*'."
        raise InputError(message)
    return text


def checked_operation_id(op_id: object) -> str:
    """Return an operation ID if it is one: 1 to 255 bytes of text."""
    text = _clean(op_id, "op_id", OPERATION_ID_BYTES)
    if not text:
        message = "op_id is empty; leave it out and one is made."
        raise InputError(message)
    return text


def _checked_tags(tags: object) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        message = f"tags must be a list of texts, not {type(tags).__name__}."
        raise InputError(message)
    if len(cast("Sequence[object]", tags)) > TAGS:
        message = f"{len(cast('Sequence[object]', tags))} tags; the limit is {TAGS}."
        raise LimitError(message)
    given = [_clean_name(tag, "a tag") for tag in cast("Sequence[object]", tags)]
    return tuple(dict.fromkeys(tag for tag in given if tag is not None))


def _checked_metadata(metadata: object) -> str | None:
    if metadata is None or metadata == {}:
        return None
    if not isinstance(metadata, Mapping):
        message = f"metadata must be a mapping, not {type(metadata).__name__}."
        raise InputError(message)
    try:
        text = json.dumps(
            metadata, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError, RecursionError) as error:
        message = f"metadata cannot be written as JSON ({error})."
        raise InputError(message) from error
    if not all(isinstance(key, str) for key in cast("Mapping[object, object]", metadata)):
        message = "metadata's keys must be text."
        raise InputError(message)
    if (levels := _levels(_clean(text, "metadata", METADATA_BYTES))) > METADATA_LEVELS:
        message = f"metadata has {levels} levels; the limit is {METADATA_LEVELS}."
        raise LimitError(message)
    return text


def _levels(text: str) -> int:
    """How many lists and objects stand inside one another in a JSON text."""
    level = most = 0
    for mark in _BRACKET.findall(_STRING.sub("", text)):
        level += 1 if mark in "[{" else -1
        most = max(most, level)
    return most


def _checked_vector(vector: object) -> bytes | None:
    if vector is None:
        return None
    import numpy as np  # 70 ms of CPU, needed only where a vector is given

    try:
        with np.errstate(over="ignore"):  # what overflows is refused below
            array = np.asarray(vector, dtype="<f4")
    except (TypeError, ValueError) as error:
        message = f"vector is not a list of numbers ({error})."
        raise InputError(message) from error
    if array.ndim != 1 or not 0 < array.size <= VECTOR_DIMENSIONS:
        message = f"vector must have 1 to {VECTOR_DIMENSIONS} numbers; its shape is {array.shape}."
        raise LimitError(message)
    if not np.isfinite(array).all() or not array.any():
        message = "vector must be finite and not all zeros."
        raise InputError(message)
    return array.tobytes()


def _checked_time(value: datetime | str | None, name: str) -> int | None:
    return None if value is None else to_microseconds(value, name)


def require_order(valid_from: int | None, valid_until: int | None) -> None:
    """Refuse a validity that ends before it begins.

    Raises:
        InputError: it does.
    """
    if valid_from is not None and valid_until is not None and valid_until <= valid_from:
        message = "valid_until is not after valid_from."
        raise InputError(message)


def checked_content(
    text: object,
    *,
    kind: object = None,
    speaker: object = None,
    session: object = None,
    occurred_at: datetime | str | None = None,
    valid_from: datetime | str | None = None,
    valid_until: datetime | str | None = None,
    tags: object = (),
    metadata: object = None,
    source: object = None,
    vector: object = None,
) -> Content:
    """Return a memory's content if every part keeps to its limits.

    Raises:
        InputError: a part is not what it should be; LimitError: a part is too large.
    """
    words = _clean(text, "text", TEXT_BYTES)
    if not words.strip():
        message = "text is empty."
        raise InputError(message)
    start, end = _checked_time(valid_from, "valid_from"), _checked_time(valid_until, "valid_until")
    require_order(start, end)
    return Content(
        text=words,
        kind=_clean_name(kind, "kind") or DEFAULT_KIND,
        speaker=_clean_name(speaker, "speaker"),
        session=_clean_name(session, "session"),
        occurred_at=_checked_time(occurred_at, "occurred_at"),
        valid_from=start,
        valid_until=end,
        tags=_checked_tags(tags) if tags else (),
        metadata=_checked_metadata(metadata),
        source=None if source is None else _clean(source, "source", SOURCE_BYTES),
        vector=_checked_vector(vector),
    )


def read_payload(payload: bytes) -> tuple[Content, dict[str, Any]]:
    """Read a memory's or update's payload: its content, and the fields beside it.

    Raises:
        DamagedError: it is not such a payload.
    """
    try:
        fields = cast("dict[str, Any]", cbor2.loads(payload))
        names = Content.__struct_fields__
        given = {name: fields.pop(name) for name in names if name in fields}
        content = msgspec.convert(given, Content, builtin_types=(bytes,))
        if content.attachment is not None:
            require_sound(content.attachment)
    except (cbor2.CBORError, TypeError, ValueError, AttributeError) as error:
        message = f"A memory's payload cannot be read ({error})."
        raise DamagedError(message) from error
    return content, fields


def as_datetime(microseconds: int | None) -> datetime | None:
    """The UTC datetime of a stored time, or None."""
    return None if microseconds is None else from_microseconds(microseconds)
