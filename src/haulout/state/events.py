"""The events of a state, and their bytes (docs/spec/state.md).

Pure. An event is the payload of a record of the state lane; what events add up to is the
`Book`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation, localcontext
from enum import IntEnum
from typing import Any, Final, NamedTuple, cast

import cbor2
import msgspec

from haulout.errors import DamagedError, InputError, LimitError, VaultVersionError
from haulout.log.record import RecordType, canonical

EVENT_VERSION: Final = 1
TAG_BYTES: Final = 4
INTENT_BYTES: Final = 16
VALUE_BYTES: Final = 1024 * 1024
VALUE_LEVELS: Final = 100
NAME_BYTES: Final = 255
LATEST: Final = 2**62
_DIGITS: Final = 60
"""Digits of an amount, before and behind the point together."""
_EXACT: Final = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation])
"""For sums: a program may have set its own context to round, and a sum is exact all the same."""
_PLAIN: Final = re.compile(r"(?:0|[1-9][0-9]{0,27})(?:\.[0-9]{0,27}[1-9])?")
"""An amount in its one form already, which most are: told in 1 us, where reading takes 5."""
_LEVEL: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
)


class Kind(IntEnum):
    """What an event says."""

    DOCUMENT = 1
    NOTE = 2
    SNAPSHOT = 3
    LIMITS = 4
    CHARGE = 5
    OVERRIDE = 6
    LEASE = 7
    TAG = 8
    INTENT = 9
    SETTLE = 10


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: a `Kind` number, or one this code does not know, which folds to nothing.
        at: microseconds since 1970 UTC, by the agent's clock.
        epoch: the lease's epoch under which it was written; 0 without one.
        body: its fields, as docs/spec/state.md names them.
    """

    kind: int
    at: int
    epoch: int
    body: Mapping[str, Any]


RECORD_TYPES: Final = {Kind.INTENT: RecordType.INTENT, Kind.SETTLE: RecordType.SETTLE}
"""Under which record type a kind is written; all others are `RecordType.STATE`."""


def record_type(event: Event) -> RecordType:
    """The type of the record that carries an event."""
    return RECORD_TYPES.get(cast("Kind", event.kind), RecordType.STATE)


# ---------------------------------------------------------------------- values


def amount(value: Any, name: str = "An amount") -> str:
    """A number as decimal text in its one form: no exponent, no zeros at the end.

    Args:
        value: a `Decimal`, int, decimal text, or a float, which counts as Python prints it.
        name: of what it is the amount, for the message.

    Raises:
        InputError: it is no finite number of at most 60 digits, or below zero.
    """
    if type(value) is str and _PLAIN.fullmatch(value):
        return value
    try:
        if isinstance(value, bool):
            raise TypeError(value)  # True is no amount
        found = Decimal(repr(value) if isinstance(value, float) else value)
        text = format(found, "f") if found.is_finite() and abs(found.adjusted()) < _DIGITS else ""
    except (InvalidOperation, TypeError, ValueError):
        text = ""
    if not text or len(text) > _DIGITS or text.startswith("-"):
        message = f"{name} is a number from 0 upwards, not {str(value)[:40]!r}."
        raise InputError(message)
    return _shortest(text)


def _shortest(text: str) -> str:
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def total(*amounts: str | Decimal) -> Decimal:
    """The exact sum of amounts, whatever decimal context the caller's thread has."""
    with localcontext(_EXACT):
        return sum(map(Decimal, amounts), Decimal())


def less(most: str, one: str) -> str:
    """How much of an amount is left once another is taken off; nothing where it is more."""
    left = _EXACT.subtract(Decimal(most), Decimal(one))
    return "0" if left <= 0 else _shortest(format(left, "f"))


def summed(*amounts: str) -> str:
    """The exact sum of amounts as decimal text. It may be longer than an amount may."""
    return _shortest(format(total(*amounts), "f"))


def json_text(value: Any, name: str) -> str:
    """A value as canonical JSON: sorted keys, raw UTF-8, no spaces, finite numbers.

    Raises:
        InputError: JSON has no such value; LimitError: it has more than 1 MiB or 100 levels.
    """
    try:
        text = _ENCODER.encode(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{name} is no JSON value ({error})."
        raise InputError(message) from error
    if size > VALUE_BYTES:
        message = f"{name} has {size} bytes as JSON; the limit is {VALUE_BYTES}."
        raise LimitError(message)
    if _levels(text) > VALUE_LEVELS:
        message = f"{name} is nested more than {VALUE_LEVELS} levels deep."
        raise LimitError(message)
    return text


def _levels(text: str) -> int:
    """How deep JSON text is nested."""
    if text.count("[") + text.count("{") <= VALUE_LEVELS:
        return 0  # nearly always, and never too many
    level = deepest = 0
    for found in _LEVEL.findall(text):
        if found in "[{":
            level += 1
            deepest = max(deepest, level)
        elif found in "]}":
            level -= 1
    return deepest


def name_text(value: Any, what: str) -> str:
    """A name of up to 255 bytes that a person can read.

    Raises:
        InputError: it is not text, empty, too long or has characters that do not print.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        message = f"{what} is text that can be printed, not {str(value)[:40]!r}."
        raise InputError(message)
    if len(value.encode(errors="replace")) > NAME_BYTES:
        message = f"{what} has more than {NAME_BYTES} bytes."
        raise LimitError(message)
    return value


# ---------------------------------------------------------------------- bytes

_TEXT, _INT, _ID, _TAG, _AMOUNT, _AMOUNTS, _NAMES, _IDS, _JSON, _BOOL, _LIMITS = range(11)
_FIELDS: Final[Mapping[int, tuple[Mapping[str, int], Mapping[str, int]]]] = {
    # kind: (fields it must have, fields it may have)
    Kind.DOCUMENT: (
        {"name": _TEXT, "version": _INT, "schema": _INT},
        {"value": _JSON, "by": _TEXT},
    ),
    Kind.NOTE: ({"journal": _TEXT, "value": _JSON}, {}),
    Kind.SNAPSHOT: ({"journal": _TEXT, "schema": _INT, "through": _INT, "value": _JSON}, {}),
    Kind.LIMITS: ({"by": _TEXT, "limits": _LIMITS}, {}),
    Kind.CHARGE: ({"unit": _TEXT, "amount": _AMOUNT}, {"why": _TEXT}),
    Kind.OVERRIDE: ({"action": _TEXT}, {"why": _TEXT, "by": _TEXT}),
    Kind.LEASE: ({"holder": _TEXT, "until": _INT}, {}),
    Kind.TAG: ({"tag": _TAG}, {}),
    Kind.INTENT: (
        {"id": _ID, "action": _TEXT, "role": _TEXT, "payload": _JSON},
        {
            "key": _TEXT, "target": _TEXT, "cost": _AMOUNTS, "holds": _NAMES, "closes": _IDS,
            "adopted": _BOOL, "by": _TEXT,
        },
    ),
    Kind.SETTLE: (
        {"id": _ID, "status": _TEXT},
        {
            "ref": _TEXT, "filled": _AMOUNT, "spent": _AMOUNTS, "result": _JSON, "why": _TEXT,
            "by": _TEXT,
        },
    ),
}  # fmt: skip
_WORDS: Final[Mapping[tuple[int, str], frozenset[str]]] = {
    (Kind.LIMITS, "by"): frozenset({"agent", "owner"}),
    (Kind.OVERRIDE, "action"): frozenset({"pause", "flatten", "resume"}),
    (Kind.INTENT, "role"): frozenset({"entry", "exit"}),
    (Kind.SETTLE, "status"): frozenset(
        {"accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done", "closed"}
    ),
}


def encode_event(event: Event) -> bytes:
    """Write an event down."""
    return canonical([EVENT_VERSION, int(event.kind), event.at, event.epoch, dict(event.body)])


def decode_event(data: bytes) -> Event:
    """Read an event; anything but the form of docs/spec/state.md is refused.

    Raises:
        VaultVersionError: a later version of the format wrote it; DamagedError: it is none.
    """
    try:
        fields = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _damaged("cannot be read") from error
    if not isinstance(fields, list) or not fields:
        raise _damaged("is not an array")
    values = cast("list[Any]", fields)
    version = values[0]
    if type(version) is int and EVENT_VERSION < version < 2**64:
        message = f"An event of a state has version {version}; this code reads {EVENT_VERSION}."
        raise VaultVersionError(message)
    if (
        len(values) != len(("version", *Event._fields))
        or type(version) is not int
        or version != EVENT_VERSION
    ):
        raise _damaged("does not have the form of docs/spec/state.md")
    _, kind, at, epoch, body = values
    counts = all(type(number) is int and 0 <= number <= LATEST for number in (kind, at, epoch))
    if not counts or not isinstance(body, dict):
        raise _damaged("does not have the form of docs/spec/state.md")
    event = Event(kind, at, epoch, cast("dict[str, Any]", body))
    _require_body(event)
    try:
        again = encode_event(event)
    except (cbor2.CBOREncodeError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise _damaged("holds what no event holds") from error
    if again != data:
        raise _damaged("is written in a second form")
    return event


def require_form(event: Event) -> None:
    """Refuse to write down what nobody could read again.

    Raises:
        InputError: a field is not of its form, such as an amount that an adapter gave.
    """
    counts = all(
        type(number) is int and 0 <= number <= LATEST for number in (event.at, event.epoch)
    )
    try:
        _require_body(event)
    except DamagedError as error:
        raise InputError(error.message) from error
    if not counts:
        message = f"An event's time and epoch are from 0 to 2^62, not {event.at} and {event.epoch}."
        raise InputError(message)


def _damaged(how: str) -> DamagedError:
    return DamagedError(f"An event of a state {how}.")


def _require_body(event: Event) -> None:
    if event.kind not in _FIELDS:
        return
    needed, allowed = _FIELDS[event.kind]
    for name in needed:
        if name not in event.body:
            raise _damaged(f"lacks its {name}")
    for name, value in event.body.items():
        form = needed.get(name, allowed.get(name))
        if form is None or not _has_form(value, form):
            raise _damaged(f"has no such {name!r}")
        words = _WORDS.get((event.kind, name))
        if words is not None and value not in words:
            raise _damaged(f"has an unknown {name}")


def _has_form(value: Any, form: int) -> bool:
    return _FORMS[form](value)


def _list_of(form: int) -> Callable[[Any], bool]:
    def has_form(value: Any) -> bool:
        return isinstance(value, list) and all(
            _has_form(one, form) for one in cast("list[Any]", value)
        )

    return has_form


def _amounts(*, or_none: bool) -> Callable[[Any], bool]:
    def has_form(value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(unit, str) and (_is_amount(one) or (or_none and one is None))
            for unit, one in cast("dict[Any, Any]", value).items()
        )

    return has_form


def _bytes_of(length: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, bytes) and len(value) == length


def _is_amount(value: Any) -> bool:
    try:
        return isinstance(value, str) and amount(value) == value
    except InputError:
        return False


def _is_json(value: Any) -> bool:
    if not isinstance(value, str) or _levels(value) > VALUE_LEVELS:
        return False  # nobody writes more, and a decoder's stack has an end
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


_FORMS: Final[Mapping[int, Callable[[Any], bool]]] = {
    _TEXT: lambda value: isinstance(value, str),
    _INT: lambda value: type(value) is int and 0 <= value <= LATEST,
    _ID: _bytes_of(INTENT_BYTES),
    _TAG: _bytes_of(TAG_BYTES),
    _AMOUNT: _is_amount,
    _AMOUNTS: _amounts(or_none=False),
    _NAMES: _list_of(_TEXT),
    _IDS: _list_of(_ID),
    _JSON: _is_json,
    _BOOL: lambda value: value is True,
    _LIMITS: _amounts(or_none=True),
}
