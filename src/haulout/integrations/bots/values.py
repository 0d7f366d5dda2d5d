"""Values of Python as JSON's kinds of values, and back: what bots keep in attributes. Pure.

JSON has no times, sets, tuples, decimals or keys that are no text. Such a value is written as a map
with ``$`` and what it is; everything else stands as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from haulout.errors import DamagedError, InputError

_MARK: Final = "$"
_DEEPEST: Final = 60


def encoded(value: Any, *, depth: int = 0) -> Any:
    """A value in JSON's kinds of values.

    Raises:
        InputError: it holds something that has no form here, such as a table or an object.
    """
    if depth > _DEEPEST:
        raise InputError("A value is nested too deeply, or holds itself.")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _marked("float", repr(float(value)))
    if isinstance(value, list):
        return [encoded(one, depth=depth + 1) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return _encoded_map(cast("Mapping[Any, Any]", value), depth)
    for name, (kind, write, _read) in _FORMS.items():
        if isinstance(value, kind):
            return _marked(name, encoded(write(value), depth=depth + 1))
    message = f"A {type(value).__module__}.{type(value).__qualname__} cannot be kept."
    raise InputError(message, hint="Keep numbers, words, times, lists, maps and sets.")


def decoded(value: Any) -> Any:
    """The value behind what `encoded` made.

    Raises:
        DamagedError: it is not of that form.
    """
    if isinstance(value, list):
        return [decoded(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    if _MARK not in found:
        return {name: decoded(one) for name, one in found.items()}
    name, inner = found[_MARK], decoded(found.get("is"))
    try:
        if name == "map":
            return dict(inner)
        if name == "float":
            return float(inner)
        return _FORMS[name][2](inner)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        message = f"A kept value says that it is a {name!r}, and is none."
        raise DamagedError(message) from error


def _marked(name: str, inner: Any) -> dict[str, Any]:
    return {_MARK: name, "is": inner}


def _encoded_map(value: Mapping[Any, Any], depth: int) -> Any:
    if all(type(key) is str for key in value) and _MARK not in value:
        return {key: encoded(one, depth=depth + 1) for key, one in value.items()}
    pairs = [
        [encoded(key, depth=depth + 2), encoded(one, depth=depth + 2)] for key, one in value.items()
    ]
    return _marked("map", pairs)


def _sorted(value: Any) -> list[Any]:
    return sorted(value, key=lambda one: (type(one).__name__, repr(one)))


_FORMS: Final[Mapping[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "microseconds": (
        timedelta,
        lambda one: one // timedelta(microseconds=1),
        lambda one: timedelta(microseconds=one),
    ),
    "decimal": (Decimal, str, Decimal),
    "tuple": (tuple, list, tuple),
    "set": (set, _sorted, set),
    "frozenset": (frozenset, _sorted, frozenset),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}
"""A time is a date, too: it stands before it."""
