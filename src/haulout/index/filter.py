"""Filters of recall, list and forget, compiled to one SQL condition.

``docs/spec/filter.md`` is the grammar and the meaning of every case; this module is its
only implementation. A filter comes from outside, so three things hold throughout:

* names and values reach SQL as bindings, metadata keys among them; the SQL text is put
  together from this module's own words alone, and JSON paths are never written;
* every condition yields 0 or 1, never NULL, so that NOT is the exact opposite: a forget
  with a negated filter must not spare or take a row by SQL's third truth value;
* what is malformed is refused with the place it stands at, never guessed at.

The rows are those of a table ``v`` joined with its namespace ``n``. The connection needs
the one function that ``register`` adds.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, cast

import apsw

from haulout.errors import FilterError, LimitError

MAX_DEPTH: Final = 8
MAX_CONDITIONS: Final = 100
MAX_LIST_VALUES: Final = 1_000
MAX_KEYS: Final = 8
MAX_KEY_LENGTH: Final = 255
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_FILTER_BYTES: Final = 1024 * 1024

Binding = str | int | float | bytes
_Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition over ``v`` and ``n``: SQL text and its bindings, in order."""

    sql: str
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class _AnyOf:
    """The value is one of these; eq is a list of one."""

    values: tuple[_Scalar, ...]


@dataclass(frozen=True, slots=True)
class _Order:
    """The value stands on this side (``<``, ``>=``, ...) of a number, a text or a time."""

    sign: str
    value: str | int | float


@dataclass(frozen=True, slots=True)
class _Contains:
    """The text has this part, or the list has this member."""

    value: _Scalar


@dataclass(frozen=True, slots=True)
class _ContainsFolded:
    """The same by case-folded text."""

    folded: str


@dataclass(frozen=True, slots=True)
class _Exists:
    """There is a value."""


_Test = _AnyOf | _Order | _Contains | _ContainsFolded | _Exists


@dataclass(frozen=True, slots=True)
class _Field:
    operators: frozenset[str]
    compile: Callable[[_Test], Predicate]
    timed: bool = False


_TRUE: Final = Predicate("1")
_FALSE: Final = Predicate("0")
_SIGNS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEGATED: Final = {"ne": "eq", "nin": "in"}
_EQUALITY: Final = frozenset({"eq", "ne", "in", "nin", "exists"})
_ORDERED: Final = _EQUALITY | _SIGNS.keys()
_MEMBERSHIP: Final = frozenset({"contains", "icontains", "exists"})
_EVERY: Final = _ORDERED | _MEMBERSHIP

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# RFC 3339. datetime.fromisoformat alone takes more forms, and other ones in each Python.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}"
    r"(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_ID: Final = re.compile(r"[0-9a-v]{26}")
_METADATA: Final = "metadata."
# One key of a metadata path: anything but a bare dot or backslash, or one of these escaped.
_KEY: Final = re.compile(r"(?:[^.\\]|\\[.\\])+", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.\\-]{1,64}")
_SHOWN: Final = 40


def compile_filter(filter_: Mapping[str, object]) -> Predicate:
    """The filter as an SQL condition.

    Raises:
        FilterError: the filter does not follow the grammar; the message names the place.
        LimitError: it is deeper, wider or longer than the limits at the top of this module.
    """
    return _Compiler().group(filter_, "filter", 0)


def register(connection: apsw.Connection) -> None:
    """Add the one SQL function that compiled filters call."""
    # APSW's own stub names a type that Python has from 3.12 on.
    connection.create_scalar_function(  # pyright: ignore[reportUnknownMemberType]
        "haulout_casefold", _casefold, 1, deterministic=True, flags=apsw.SQLITE_INNOCUOUS
    )


def _casefold(*arguments: object) -> str | None:
    # The SQL hands over bytes: a text that is not valid UTF-8 (half of a surrogate pair in an
    # old import) would otherwise fail the whole query before this function is reached.
    text = arguments[0]
    return text.decode("utf-8", "replace").casefold() if isinstance(text, bytes) else None


class _Compiler:
    """One pass over one filter; what it has counted so far is its only state."""

    def __init__(self) -> None:
        self._conditions = 0
        self._bytes = 0

    def group(self, filter_: object, place: str, depth: int) -> Predicate:
        if not isinstance(filter_, Mapping):
            raise FilterError(f"{place}: a filter is a mapping, not {_kind_of(filter_)}.")
        if depth > MAX_DEPTH:
            raise LimitError(f"{place}: AND, OR and NOT nest at most {MAX_DEPTH} deep.")
        members = cast("Mapping[object, object]", filter_)
        if not members:
            self._count(place)
            return _TRUE
        return _joined("AND", [self._member(k, x, place, depth) for k, x in members.items()])

    def _member(self, name: object, value: object, place: str, depth: int) -> Predicate:
        if not isinstance(name, str):
            raise FilterError(f"{place}: a field name is text, not {_kind_of(name)}.")
        place = f"{place}.{_shown(name)}"
        if name == "NOT":
            return _negated(self.group(value, place, depth + 1))
        if name in {"AND", "OR"}:
            return self._all_or_any(name, value, place, depth)
        field = _field(name, place)
        if not isinstance(value, Mapping):
            return self._condition(field, "eq", value, place)
        tests = cast("Mapping[object, object]", value)
        if not tests:
            raise FilterError(f"{place}: no operator stands here.")
        return _joined("AND", [self._operator(field, op, x, place) for op, x in tests.items()])

    def _all_or_any(self, word: str, value: object, place: str, depth: int) -> Predicate:
        if not isinstance(value, list | tuple):
            raise FilterError(f"{place}: a list of filters is needed, not {_kind_of(value)}.")
        parts = cast("Sequence[object]", value)
        if len(parts) > MAX_CONDITIONS:
            raise LimitError(f"{place}: a filter has at most {MAX_CONDITIONS} conditions.")
        if not parts:
            # Counted, as an empty mapping is: what costs nothing could repeat without end.
            self._count(place)
            return _TRUE if word == "AND" else _FALSE
        return _joined(
            word, [self.group(x, f"{place}[{i}]", depth + 1) for i, x in enumerate(parts)]
        )

    def _operator(self, field: _Field, op: object, operand: object, place: str) -> Predicate:
        if not isinstance(op, str):
            raise FilterError(f"{place}: an operator is text, not {_kind_of(op)}.")
        place = f"{place}.{_shown(op)}"
        if op not in _EVERY:
            raise FilterError(
                f"{place}: no such operator.", hint=f"Operators are {_listed(_EVERY)}."
            )
        return self._condition(field, op, operand, place)

    def _condition(self, field: _Field, op: str, operand: object, place: str) -> Predicate:
        self._count(place)
        if op not in field.operators:
            raise FilterError(
                f"{place}: this field does not take {op}.",
                hint=f"It takes {_listed(field.operators)}.",
            )
        if op == "exists":
            if not isinstance(operand, bool):
                raise FilterError(f"{place}: true or false is needed, not {_kind_of(operand)}.")
            found = field.compile(_Exists())
            return found if operand else _negated(found)
        test = self._test(field, _NEGATED.get(op, op), operand, place)
        return _negated(field.compile(test)) if op in _NEGATED else field.compile(test)

    def _test(self, field: _Field, op: str, operand: object, place: str) -> _Test:
        read = self._time if field.timed else self._scalar
        if op == "eq":
            return _AnyOf((read(operand, place),))
        if op == "in":
            if not isinstance(operand, list | tuple):
                raise FilterError(f"{place}: a list of values is needed, not {_kind_of(operand)}.")
            values = cast("Sequence[object]", operand)
            if len(values) > MAX_LIST_VALUES:
                raise LimitError(f"{place}: a list has at most {MAX_LIST_VALUES:,} values.")
            return _AnyOf(tuple(read(x, f"{place}[{i}]") for i, x in enumerate(values)))
        value = read(operand, place)
        if op == "contains":
            return _Contains(value)
        if op == "icontains":
            if not isinstance(value, str):
                raise FilterError(f"{place}: text is needed, not {_kind_of(operand)}.")
            return _ContainsFolded(value.casefold())
        if isinstance(value, bool):
            raise FilterError(f"{place}: a number, a text or a time is needed, not true or false.")
        return _Order(_SIGNS[op], value)

    def _scalar(self, value: object, place: str) -> _Scalar:
        if isinstance(value, str):
            return self._text(value, place)
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise FilterError(f"{place}: a whole number fits in 64 bits with its sign.")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise FilterError(f"{place}: a number is finite.")
            return float(value)
        if value is None:
            # A variable that was never set must not come to mean "those without a value".
            raise FilterError(
                f"{place}: null is not a value to compare with.",
                hint='Write {"exists": false} for what has no value.',
            )
        raise FilterError(
            f"{place}: text, a number, true or false is needed, not {_kind_of(value)}.",
            hint='For any of several values write {"in": [...]}.',
        )

    def _text(self, value: str, place: str) -> str:
        size = len(_utf8(value, place))
        if size > MAX_VALUE_BYTES:
            raise LimitError(f"{place}: a text is at most {MAX_VALUE_BYTES:,} bytes long.")
        self._bytes += size
        if self._bytes > MAX_FILTER_BYTES:
            raise LimitError(f"{place}: the texts of a filter pass {MAX_FILTER_BYTES:,} bytes.")
        # A subclass, such as an enumeration's member, is taken as the text it is.
        return str.__str__(value)

    def _time(self, value: object, place: str) -> int:
        moment = value
        if isinstance(value, str):
            moment = _moment(self._text(value, place), place)
        if not isinstance(moment, datetime):
            raise FilterError(f"{place}: a time is needed, not {_kind_of(value)}.")
        if moment.utcoffset() is None:
            raise FilterError(
                f"{place}: the time has no zone.", hint="Give it one, as in 2031-02-03T04:05:06Z."
            )
        return (moment - _EPOCH) // _MICROSECOND

    def _count(self, place: str) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise LimitError(f"{place}: a filter has at most {MAX_CONDITIONS} conditions.")


def _moment(text: str, place: str) -> datetime:
    if _TIME.fullmatch(text) is None:
        raise FilterError(
            f"{place}: this is no time of the form 2031-02-03T04:05:06.789Z (ISO 8601)."
        )
    try:
        # Microseconds are what is stored; Python cuts further digits off, as at writing.
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise FilterError(f"{place}: there is no such date, hour or zone.") from None


def _field(name: str, place: str) -> _Field:
    field = _FIELDS.get(name)
    if field is not None:
        return field
    if not name.startswith(_METADATA):
        raise FilterError(
            f"{place}: no such field.", hint=f"Fields are {_listed(_FIELDS)} and metadata.<key>."
        )
    return _Field(_EVERY, partial(_metadata_test, _keys(name, place)))


def _keys(name: str, place: str) -> tuple[str, ...]:
    # Twice as long when every character is escaped, and a dot before each key.
    if len(name) > len(_METADATA) + MAX_KEYS * (2 * MAX_KEY_LENGTH + 1):
        raise LimitError(f"{place}: a metadata key has at most {MAX_KEY_LENGTH} characters.")
    _utf8(name, place)
    keys: list[str] = []
    position = len(_METADATA) - 1
    while position < len(name):
        form = _KEY.match(name, position + 1)
        if form is None or (form.end() < len(name) and name[form.end()] != "."):
            raise FilterError(
                f"{place}: an empty key, or a backslash before neither dot nor backslash.",
                hint=r"Write a dot inside a key as \. and a backslash as \\.",
            )
        keys.append(re.sub(r"\\(.)", r"\1", form[0]))
        position = form.end()
    if len(keys) > MAX_KEYS:
        raise LimitError(f"{place}: a metadata path has at most {MAX_KEYS} keys.")
    if max(map(len, keys)) > MAX_KEY_LENGTH:
        raise LimitError(f"{place}: a metadata key has at most {MAX_KEY_LENGTH} characters.")
    return tuple(keys)


# From here on: tests become SQL. Every f-string below holds words of this module only.


def _text_test(column: str, test: _Test) -> Predicate:
    match test:
        case _Exists():
            return Predicate(f"{column} IS NOT NULL")
        case _AnyOf(values):
            # Texts alone are compared: SQLite would turn a number into text for this column.
            found = _one_of(column, [x for x in values if isinstance(x, str)])
        case _Order(sign, value):
            found = Predicate(f"{column} {sign} ?", (value,)) if isinstance(value, str) else _FALSE
        case _Contains(value):
            found = _within(column, value) if isinstance(value, str) else _FALSE
        case _ContainsFolded(folded):
            found = _within(_folded(column), folded)
    return _present(column, found)


def _time_test(column: str, test: _Test) -> Predicate:
    if isinstance(test, _AnyOf):
        return _present(column, _one_of(column, [int(x) for x in test.values]))
    if isinstance(test, _Order):
        return _present(column, Predicate(f"{column} {test.sign} ?", (test.value,)))
    return Predicate(f"{column} IS NOT NULL")


def _id_test(test: _Test) -> Predicate:
    if not isinstance(test, _AnyOf):
        return _TRUE
    ids = [raw for x in test.values if (raw := _raw_id(x)) is not None]
    if len(ids) == 1:
        return Predicate("v.memory_id = ?", (ids[0],))
    if not ids:
        return _FALSE
    sql = "v.memory_id IN (SELECT unhex(o.value) FROM json_each(?) AS o)"
    return Predicate(sql, (json.dumps([raw.hex() for raw in ids]),))


def _raw_id(value: _Scalar) -> bytes | None:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        return None
    raw = base64.b32hexdecode(value.upper() + "======")
    # 26 characters carry two bits more than 16 bytes; an id has them zero.
    same = base64.b32hexencode(raw).decode("ascii").rstrip("=").lower() == value
    return raw if same else None


def _tags_test(test: _Test) -> Predicate:
    match test:
        case _Contains(value):
            member = _typed_one_of("m", (value,))
        case _ContainsFolded(folded):
            member = _folded_member(folded)
        case _:
            # No tags is no value: the column holds an empty list then.
            member = _TRUE
    return _has_member("v.tags", member)


def _metadata_test(keys: tuple[str, ...], test: _Test) -> Predicate:
    # json_each on what is not JSON is an error, and the order in which SQLite looks at
    # conditions is its own: the guard therefore stands inside the argument.
    steps = ["json_each(v.metadata) AS k1"]
    steps += [
        f"json_each(CASE WHEN k{i}.type = 'object' THEN k{i}.value END) AS k{i + 1}"
        for i in range(1, len(keys))
    ]
    reached = " AND ".join(f"k{i}.key = ?" for i in range(1, len(keys) + 1))
    value = _value_test(f"k{len(keys)}", test)
    sql = f"EXISTS (SELECT 1 FROM {', '.join(steps)} WHERE {reached} AND {value.sql})"
    return Predicate(sql, (*keys, *value.bindings))


def _value_test(row: str, test: _Test) -> Predicate:
    """A test of one JSON value, given as a row of json_each."""
    match test:
        case _Exists():
            return Predicate(f"{row}.type <> 'null'")
        case _AnyOf(values):
            return _typed_one_of(row, values)
        case _Order(sign, value):
            compared = Predicate(f"{row}.value {sign} ?", (value,))
            return _typed(row, compared, text=isinstance(value, str))
        case _Contains(value):
            member = _has_member(_list_of(row), _typed_one_of("m", (value,)))
            if not isinstance(value, str):
                return member
            return _joined("OR", [_typed(row, _within(f"{row}.value", value), text=True), member])
        case _ContainsFolded(folded):
            part = _typed(row, _within(_folded(f"{row}.value"), folded), text=True)
            return _joined("OR", [part, _has_member(_list_of(row), _folded_member(folded))])


def _typed_one_of(row: str, values: Sequence[_Scalar]) -> Predicate:
    texts = [x for x in values if isinstance(x, str)]
    numbers = [x for x in values if not isinstance(x, str | bool)]
    truths = ["true" if x else "false" for x in values if isinstance(x, bool)]
    parts = [
        _typed(row, _one_of(f"{row}.value", texts), text=True) if texts else _FALSE,
        _typed(row, _one_of(f"{row}.value", numbers), text=False) if numbers else _FALSE,
        # SQLite has true as 1; the type alone tells them apart, and is the whole value.
        _one_of(f"{row}.type", truths),
    ]
    return _joined("OR", [x for x in parts if x is not _FALSE])


def _typed(row: str, found: Predicate, *, text: bool) -> Predicate:
    kinds = "('text')" if text else "('integer', 'real')"
    return Predicate(f"({row}.type IN {kinds} AND {found.sql})", found.bindings)


def _one_of(expression: str, values: Sequence[str | int | float]) -> Predicate:
    if not values:
        return _FALSE
    if len(values) == 1:
        return Predicate(f"{expression} = ?", (values[0],))
    # One binding a list: a hundred lists of a thousand would pass SQLite's own limit.
    sql = f"{expression} IN (SELECT o.value FROM json_each(?) AS o)"
    return Predicate(sql, (json.dumps(list(values), ensure_ascii=False),))


def _has_member(array: str, member: Predicate) -> Predicate:
    sql = f"EXISTS (SELECT 1 FROM json_each({array}) AS m WHERE {member.sql})"
    return Predicate(sql, member.bindings)


def _folded_member(folded: str) -> Predicate:
    return _typed("m", Predicate(f"{_folded('m.value')} = ?", (folded,)), text=True)


def _list_of(row: str) -> str:
    return f"CASE WHEN {row}.type = 'array' THEN {row}.value END"


def _folded(expression: str) -> str:
    return f"haulout_casefold(CAST({expression} AS BLOB))"


def _within(expression: str, part: str) -> Predicate:
    # LIKE has wildcards and an ASCII idea of case; instr compares what is there.
    return Predicate(f"instr({expression}, ?) > 0", (part,))


def _present(column: str, found: Predicate) -> Predicate:
    """False, not NULL, where the column is empty."""
    return Predicate(f"({column} IS NOT NULL AND {found.sql})", found.bindings)


def _negated(found: Predicate) -> Predicate:
    return Predicate(f"NOT ({found.sql})", found.bindings)


def _joined(word: str, parts: Sequence[Predicate]) -> Predicate:
    if not parts:
        return _FALSE
    if len(parts) == 1:
        return parts[0]
    sql = f" {word} ".join(part.sql for part in parts)
    return Predicate(f"({sql})", tuple(x for part in parts for x in part.bindings))


def _utf8(text: str, place: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise FilterError(f"{place}: half of a surrogate pair is not text.") from None


def _shown(name: str) -> str:
    """A name from outside as it may stand in a message: short, and on one line."""
    if _PLAIN.fullmatch(name):
        return name
    return ascii(name[:_SHOWN]) + ("..." if len(name) > _SHOWN else "")


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Mapping):
        return "a mapping"
    return type(value).__name__


def _listed(names: frozenset[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(names))


def _fields() -> dict[str, _Field]:
    texts = {name: f"v.{name}" for name in ("text", "kind", "speaker", "session", "source")}
    times = {name: f"v.{name}" for name in ("occurred_at", "valid_from", "valid_until")}
    texts["namespace"] = "n.name"
    # `created` is when the memory's first version was recorded, `recorded_from` this one's.
    times["recorded_at"], times["updated_at"] = "v.created", "v.recorded_from"
    return {
        "id": _Field(_EQUALITY, _id_test),
        "tags": _Field(_MEMBERSHIP, _tags_test),
        **{name: _Field(_EVERY, partial(_text_test, column)) for name, column in texts.items()},
        **{
            name: _Field(_ORDERED, partial(_time_test, column), timed=True)
            for name, column in times.items()
        },
    }


_FIELDS: Final = _fields()
