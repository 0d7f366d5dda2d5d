"""JSON with comments and trailing commas, changed in one place.

A document is read into a tree that remembers where each value stands, and a change is made in the
text itself: comments, order, indentation, line endings and a byte order mark stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from haulout.integrations.clients.position import BOM, problem

_SPACE: Final = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_DEEPEST: Final = 200
_LONG: Final = 1000

Fields: TypeAlias = dict[str, "str | list[str]"]


@dataclass(slots=True)
class Value:
    """A value and where it stands: ``text[start:end]``."""

    start: int
    end: int
    plain: Any


@dataclass(slots=True)
class Member:
    """A name with its value."""

    start: int
    name: str
    value: Value


@dataclass(slots=True)
class Table(Value):
    """An object.

    Attributes:
        members: in order; ``filled``: where the last of them, its comma or a comment ends.
        comma: where a trailing comma stands.
    """

    members: list[Member] = field(default_factory=list[Member])
    filled: int = 0
    comma: int | None = None

    def last(self, name: str) -> Member | None:
        """The member of a name; of several the last one counts, as every reader has it."""
        return next((one for one in reversed(self.members) if one.name == name), None)


@dataclass(slots=True)
class Document:
    """A text, read.

    Attributes:
        root: None where nothing stands in it but space and comments.
        comment, comma: where the first comment and the first trailing comma stand.
    """

    text: str
    root: Value | None = None
    comment: int | None = None
    comma: int | None = None

    @property
    def plain(self) -> Any:
        """What it says, as Python values; an empty text says `{}`."""
        return {} if self.root is None else self.root.plain


# --- reading --------------------------------------------------------------------------------


def read(text: str) -> Document:
    """Read a document.

    Raises:
        InputError: it is not JSON, even with comments and trailing commas; names the place.
    """
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = len(BOM) if text.startswith(BOM) else 0
        self.made = Document(text)

    def document(self) -> Document:
        self._skip()
        if self.at < len(self.text):
            self.made.root = self._value(0)
            self._skip()
        if self.at < len(self.text):
            raise problem(self.text, self.at, "something follows the end")
        return self.made

    def _skip(self) -> int:
        """Pass space and comments; gives where the last comment ends, or where it began."""
        filled = self.at
        while found := _SPACE.match(self.text, self.at):
            if found[0][0] == "/":
                filled = found.end()
                if self.made.comment is None:
                    self.made.comment = self.at
            self.at = found.end()
        return filled

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> Value:
        if depth > _DEEPEST:
            raise problem(self.text, self.at, f"more than {_DEEPEST} levels deep")
        start, begins = self.at, self._next()
        if begins == "{":
            return self._table(depth)
        if begins == "[":
            return self._list(depth)
        if begins == '"':
            plain: Any = self._string()
        elif found := _NUMBER.match(self.text, start):
            self.at, plain = found.end(), _number(found[0])
        elif (found := _WORD.match(self.text, start)) and found[0] in _WORDS:
            self.at, plain = found.end(), _WORDS[found[0]]
        else:
            raise problem(self.text, start, self._expected("a value"))
        return Value(start, self.at, plain)

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise problem(self.text, self.at, "a text without its closing quote")
        try:
            plain = json.loads(found[0])
        except json.JSONDecodeError as error:
            raise problem(self.text, self.at + error.pos, "an escape that JSON has not") from error
        self.at = found.end()
        return plain

    def _table(self, depth: int) -> Table:
        made = Table(self.at, self.at, {})
        self.at += 1
        made.filled = self._skip()
        while self._next() != "}":
            if self._next() != '"':
                raise problem(self.text, self.at, self._expected('a name in quotes or "}"'))
            start, name = self.at, self._string()
            self._skip()
            if self._next() != ":":
                raise problem(self.text, self.at, self._expected('":"'))
            self.at += 1
            self._skip()
            member = Member(start, name, self._value(depth + 1))
            made.members.append(member)
            made.plain[name] = member.value.plain
            made.comma, made.filled = self._separator("}")
        self.at += 1
        made.end = self.at
        return made

    def _list(self, depth: int) -> Value:
        made = Value(self.at, self.at, [])
        self.at += 1
        self._skip()
        while self._next() != "]":
            made.plain.append(self._value(depth + 1).plain)
            self._separator("]")
        self.at += 1
        made.end = self.at
        return made

    def _separator(self, closing: str) -> tuple[int | None, int]:
        """Pass what follows a member; gives where a trailing comma is, and where all that ends."""
        filled = self._skip()
        if self._next() == closing:
            return None, filled
        if self._next() != ",":
            raise problem(self.text, self.at, self._expected(f'"," or "{closing}"'))
        comma, self.at = self.at, self.at + 1
        filled = self._skip()
        if self._next() != closing:
            return None, filled
        if self.made.comma is None:
            self.made.comma = comma
        return comma, filled

    def _expected(self, what: str) -> str:
        stands = self._next()
        return f"expected {what}, and there is {json.dumps(stands) if stands else 'the end'}"


def _number(text: str) -> float:
    whole = text.removeprefix("-").isdigit() and len(text) < _LONG
    return int(text) if whole else float(text)


# --- finding and changing -------------------------------------------------------------------


def entry(document: Document, path: Sequence[str]) -> Any:
    """The value under a path of names, or None.

    Raises:
        InputError: what stands on the way is no object.
    """
    found = _walk(document, path)
    return found[-1].value.plain if len(found) == len(path) else None


def _walk(document: Document, path: Sequence[str]) -> list[Member]:
    """The members on the way, as far as there are any."""
    found: list[Member] = []
    value = document.root
    for n, name in enumerate(path):
        if value is None:
            break
        if not isinstance(value, Table):
            where = f'"{path[n - 1]}" is' if n else "the file holds"
            raise problem(document.text, value.start, f"{where} no object")
        member = value.last(name)
        if member is None:
            break
        found.append(member)
        value = member.value
    return found


def put(text: str, path: Sequence[str], fields: Fields) -> str:
    """The text with ``fields`` in the object under ``path``; other fields there stay.

    Raises:
        InputError: the text is broken, or what stands on the way is no object.
    """
    document = read(text)
    if document.root is None:
        return _appended(text, path, fields)
    found = _walk(document, path)
    if len(found) < len(path):
        table = cast("Table", found[-1].value if found else document.root)
        return _inserted(document, table, path[len(found) :], fields)
    old = found[-1].value
    if not isinstance(old, Table):
        return text[: old.start] + _written(text, old, fields) + text[old.end :]
    for name, value in fields.items():
        member = old.last(name)
        if member is None:
            text = _inserted(document, old, (name,), value)
        elif member.value.plain != value:
            span = member.value
            text = text[: span.start] + _flat(value) + text[span.end :]
        else:
            continue
        document = read(text)
        old = cast("Table", _walk(document, path)[-1].value)
    return text


def remove(text: str, path: Sequence[str]) -> str:
    """The text without the member under ``path``.

    Raises:
        InputError: the text is broken, or what stands on the way is no object.
    """
    while True:
        document = read(text)
        found = _walk(document, path)
        if len(found) < len(path):
            return text
        table = found[-2].value if len(path) > 1 else document.root
        text = _without(text, cast("Table", table), found[-1])


def _without(text: str, table: Table, gone: Member) -> str:
    """The text without one member, the comma that goes with it, and its line where it had one."""
    at = table.members.index(gone)
    start, end = gone.start, gone.value.end
    after = _next_comma(text, end)
    cuts: list[tuple[int, int]] = []
    if after is not None:
        if _gap(text, end, after):
            end = after + 1
        else:
            cuts.append((after, after + 1))
    elif at:
        before = _next_comma(text, table.members[at - 1].value.end)
        assert before is not None, "a comma stands between two members"
        cuts.append((before, before + 1))
    cuts.append(_with_line(text, table, start, end))
    for first, last in sorted(cuts, reverse=True):
        text = text[:first] + text[last:]
    if len(table.members) == 1:
        inside = table.start + 1
        closing = inside
        while text[closing] in " \t\r\n":
            closing += 1
        if text[closing] == "}":
            text = text[:inside] + text[closing:]
    return text


def _gap(text: str, start: int, end: int) -> bool:
    return not text[start:end].strip()


def _with_line(text: str, table: Table, start: int, end: int) -> tuple[int, int]:
    """The span, with the whole line where nothing else stands on it, else with the space by it."""
    first = start
    while first > table.start + 1 and text[first - 1] in " \t":
        first -= 1
    last = end
    while text[last] in " \t":
        last += 1
    if text[first - 1] == "\n" and text[last] in "\r\n":
        first -= 1
        return first - (text[first - 1] == "\r"), last
    return (start, last) if text[first - 1] == "\n" or first == table.start + 1 else (first, end)


def _next_comma(text: str, at: int) -> int | None:
    """Where the comma behind a value is, if one is there."""
    while found := _SPACE.match(text, at):
        at = found.end()
    return at if text[at] == "," else None


# --- writing --------------------------------------------------------------------------------


def _flat(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Any, indent: str, unit: str, line: str) -> str:
    """A value as people write it: an object's members on lines of their own, a list on one."""
    if not isinstance(value, dict) or not value:
        return _flat(value)
    inner = indent + unit
    named = cast("dict[str, Any]", value)
    lines = [f"{inner}{_flat(name)}: {_pretty(v, inner, unit, line)}" for name, v in named.items()]
    return f"{{{line}{f',{line}'.join(lines)}{line}{indent}}}"


def _nested(path: Sequence[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def fresh(path: Sequence[str], fields: Fields) -> str:
    """A document with nothing else in it."""
    return _pretty(_nested(path, fields), "", "  ", "\n") + "\n"


def _appended(text: str, path: Sequence[str], fields: Fields) -> str:
    line = _line(text)
    written = fresh(path, fields).replace("\n", line)
    ends = not text.removeprefix(BOM) or text.endswith(("\n", "\r"))
    return f"{text}{'' if ends else line}{written}"


def _line(text: str) -> str:
    """How lines end here: as the first one does."""
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def _indent(text: str, at: int) -> str:
    """The space that the line of a place begins with."""
    start = text.rfind("\n", 0, at) + 1
    found = re.compile(r"[ \t]*").match(text, start)
    return found[0] if found else ""


def _unit(document: Document) -> str:
    """What one level is indented by: as the first member of the root, else two spaces."""
    root = document.root
    if isinstance(root, Table) and root.members:
        own = _indent(document.text, root.members[0].start)
        if own and _opens_line(document.text, root.members[0].start):
            return own.removeprefix(_indent(document.text, root.start)) or own
    return "  "


def _opens_line(text: str, at: int) -> bool:
    start = text.rfind("\n", 0, at) + 1
    return start > 0 and not text[start:at].strip()


def _spread(document: Document, table: Table) -> bool:
    """Whether new members of an object get lines of their own."""
    text = document.text
    if _tail(text, table).strip(" \t") or any(_opens_line(text, m.start) for m in table.members):
        return True
    root = document.root
    assert root, "a table stands in a root"
    return not table.members and (table is root or "\n" in text[root.start : root.end])


def _tail(text: str, table: Table) -> str:
    """The space before the closing brace."""
    return text[table.filled : table.end - 1]


def _inserted(document: Document, table: Table, path: Sequence[str], value: Any) -> str:
    """The text with one more member at the end of an object."""
    text, at = document.text, table.filled
    name, value = _flat(path[0]), _nested(path[1:], value)
    comma = "," if table.comma is not None else ""
    if _spread(document, table):
        line, unit, outer = _line(text), _unit(document), _indent(text, table.start)
        opening = [one.start for one in table.members if _opens_line(text, one.start)]
        indent = _indent(text, opening[-1]) if opening else outer + unit
        written = f"{line}{indent}{name}: {_pretty(value, indent, unit, line)}{comma}"
        closes = _tail(text, table).strip(" \t")  # the brace has a line of its own
        rest = text[at:] if closes else line + outer + text[table.end - 1 :]
    else:
        space = " " if table.members else ""
        written, rest = f"{space}{name}: {_flat(value)}{comma}", text[at:]
    if table.members and not comma:
        end = table.members[-1].value.end
        return f"{text[:end]},{text[end:at]}{written}{rest}"
    return text[:at] + written + rest


def _written(text: str, old: Value, fields: Fields) -> str:
    """The fields as an object in place of a value that is none."""
    if "\n" in text:
        return _pretty(fields, _indent(text, old.start), _unit(read(text)), _line(text))
    return _flat(fields)
