"""Reading fields of JSON that someone else wrote: every function takes any value at all.

A wrong type reads as absent. Labels (names, titles, paths) are cut and cleared of control
characters, so that a report cannot write to a terminal what the source tells it to.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import isfinite
from typing import cast

import msgspec

LABEL_CHARS_MAX = 200
NAME_BYTES_MAX = 255  # this, the tags and the metadata: what the vault takes
TAGS_MAX = 64
METADATA_BYTES_MAX = 64 * 1024
METADATA_DEPTH_MAX = 16

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 1e11  # 1e11 s is the year 5138; 1e11 ms is 1973. Nothing lies between.
_MICROSECONDS_FROM = 1e14
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_DATE = re.compile(r"(\d{4})[-_/.](\d{1,2})[-_/.](\d{1,2})\Z")


def is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def is_sequence(value: object) -> bool:
    return isinstance(value, list)


def mapping(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def text(value: object) -> str:
    """A string fit to be encoded: half surrogate pairs, which JSON allows, become U+FFFD."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def label(value: object, limit: int = LABEL_CHARS_MAX) -> str:
    """One short line: a name, a title, a path."""
    return _cut(_CONTROL.sub(" ", text(value)[: limit * 4]).strip()[:limit])


def labels(value: object) -> tuple[str, ...]:
    """Tags: a list of strings, or one string with commas."""
    given = value.split(",") if isinstance(value, str) else sequence(value)
    found = (label(item).lstrip("#") for item in given[: TAGS_MAX * 4])
    return tuple(dict.fromkeys(tag for tag in found if tag))[:TAGS_MAX]


def exact_name(value: object) -> str | None:
    """A name as it was written, for Haulout's own form; None when there is none."""
    found = _cut(text(value))
    return found if found.strip() else None


def exact_names(value: object) -> tuple[str, ...]:
    """Tags as they were written, for Haulout's own form."""
    found = (exact_name(item) for item in sequence(value)[:TAGS_MAX])
    return tuple(dict.fromkeys(tag for tag in found if tag is not None))


def _cut(value: str) -> str:
    if len(value) * 4 <= NAME_BYTES_MAX:
        return value
    return value.encode()[:NAME_BYTES_MAX].decode("utf-8", "ignore")


def moment(value: object) -> datetime | None:
    """A point in time: ISO 8601, or seconds, milliseconds or microseconds since 1970.

    0 and null are how exports write "not known". A time without a zone counts as UTC.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _from_number(value)
    if isinstance(value, str):
        return _from_string(value.strip())
    return None


def _from_number(value: float) -> datetime | None:
    try:
        seconds = float(value)
        if seconds >= _MICROSECONDS_FROM:
            seconds /= 1e6
        elif seconds >= _MILLISECONDS_FROM:
            seconds /= 1e3
        return _EPOCH + timedelta(seconds=seconds) if seconds > 0 else None
    except (OverflowError, ValueError):  # infinite, not a number, or past the year 9999
        return None


def _from_string(value: str) -> datetime | None:
    if len(value) > 64:  # noqa: PLR2004 - no written time is longer
        return None
    date = _DATE.match(value)
    try:
        if date is not None:
            year, month, day = map(int, date.groups())
            return datetime(year, month, day, tzinfo=UTC)
        found = datetime.fromisoformat(value)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found > _EPOCH else None


def plain_metadata(value: object) -> dict[str, object] | None:
    """Metadata of bounded size and depth, or None when it passes either limit."""
    found = mapping(value)
    pending: list[tuple[object, int]] = [(found, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > METADATA_DEPTH_MAX or (isinstance(node, float) and not isfinite(node)):
            return None
        held = [*mapping(node).values(), *sequence(node)]
        pending.extend((inner, depth + 1) for inner in held)
    try:
        within = len(msgspec.json.encode(found)) <= METADATA_BYTES_MAX
    except (UnicodeEncodeError, msgspec.EncodeError, OverflowError):
        return None
    return found if within else None


def digest(*parts: str) -> str:
    """128 bits, enough that two different texts of one person never meet."""
    state = sha256()
    for part in parts:
        encoded = part.encode("utf-8", "replace")
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()[:32]


def identity(*parts: str) -> str:
    """The stable half of an operation ID: the source's own IDs when plain, else their digest."""
    if parts and all(_PLAIN_ID.match(part) for part in parts):
        return "/".join(parts)
    return "digest-" + digest(*parts)
