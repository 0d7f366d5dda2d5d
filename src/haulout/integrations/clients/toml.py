"""TOML, changed in one place.

A table with a header of its own is added, and taken out, as lines of the text; values in it, and
other forms of it, are tomlkit's work. What comes out is read again with the standard library and
must say what was meant, with every comment still there: a form that would not come through whole
is refused instead of changed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from haulout.errors import InputError
from haulout.integrations.clients.position import BOM, problem

Fields: TypeAlias = dict[str, "str | list[str]"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_PLACE: Final = re.compile(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_HEADER: Final = re.compile(r"[ \t]*\[")
_EMPTY: Final = re.compile(r"[ \t]*(#.*)?\r?\n?")


def read(text: str) -> dict[str, Any]:
    """What a document says.

    Raises:
        InputError: it is not TOML; names the place.
    """
    try:
        return tomllib.loads(text.removeprefix(BOM))
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.match(str(error))
        what = found[1] if found else str(error)
        what = what[:1].lower() + what[1:]
        if found and found[2]:
            raise InputError(f"line {found[2]}, column {found[3]}: {what}") from error
        raise problem(text, len(text), what) from error


def entry(document: dict[str, Any], path: Sequence[str]) -> Any:
    """The value under a path of names, or None.

    Raises:
        InputError: what stands on the way is no table.
    """
    value: Any = document
    for n, name in enumerate(path):
        if not isinstance(value, dict):
            raise InputError(f'"{path[n - 1]}" is no table')
        value = cast("dict[str, Any]", value).get(name)
        if value is None:
            return None
    return value


# --- changing -------------------------------------------------------------------------------


def fresh(path: Sequence[str], fields: Fields) -> str:
    """A document with nothing else in it."""
    return f"[{_dotted(path)}]\n{''.join(_lines(fields))}"


def put(text: str, path: Sequence[str], fields: Fields) -> str:
    """The text with ``fields`` in the table under ``path``; other fields there stay.

    Raises:
        InputError: the text is broken, or its form is one that cannot be changed in place.
    """
    if text.startswith(BOM):
        return BOM + put(text.removeprefix(BOM), path, fields)
    before = read(text)
    old = entry(before, path)
    kept = cast("dict[str, Any]", old) if isinstance(old, dict) else {}
    if isinstance(old, dict) and all(kept.get(name) == value for name, value in fields.items()):
        return text
    wanted = _with(before, path, {**kept, **fields})
    for made in (
        _appended(text, path, fields) if old is None else _updated(text, path, kept, fields),
        _put_by_tomlkit(text, path, fields, whole=not isinstance(old, dict)),
    ):
        if _says(made, wanted) and _comments(made) == _comments(text):
            return made
    raise _unchangeable(path)


def remove(text: str, path: Sequence[str]) -> str:
    """The text without what stands under ``path``.

    Raises:
        InputError: the text is broken, or its form is one that cannot be changed in place.
    """
    if text.startswith(BOM):
        return BOM + remove(text.removeprefix(BOM), path)
    before = read(text)
    if entry(before, path) is None:
        return text
    wanted = _withouts(before, path)
    made = _without_lines(text, path)
    if not any(_says(made, one) for one in wanted):
        made = _removed_by_tomlkit(text, path)
        whole = _comments(made) == _comments(text)
        if not whole or not any(_says(made, one) for one in wanted):
            raise _unchangeable(path)
    return made


def _unchangeable(path: Sequence[str]) -> InputError:
    return InputError(f"[{_dotted(path)}] is written in a form that cannot be changed in place")


def _comments(text: str) -> list[str]:
    """The lines that are a comment and nothing else."""
    return [line for line in text.splitlines() if line.lstrip().startswith("#")]


# --- by lines -------------------------------------------------------------------------------


def _dotted(path: Sequence[str]) -> str:
    return ".".join(one if _BARE.fullmatch(one) else _flat(one) for one in path)


def _flat(value: str | list[str]) -> str:
    """A value on one line. JSON's texts are TOML's but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _lines(fields: Fields) -> list[str]:
    return [f"{name} = {_flat(value)}\n" for name, value in fields.items()]


def _line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _appended(text: str, path: Sequence[str], fields: Fields) -> str:
    """The text with a new table at its end, an empty line before it."""
    line = _line(text)
    table = fresh(path, fields).replace("\n", line)
    if not text:
        return table
    gap = "" if text.endswith(("\n\n", "\n\r\n")) else line if text.endswith("\n") else line * 2
    return text + gap + table


@dataclass(frozen=True, slots=True)
class _Part:
    """The lines of a table with a header: `lines[start:end]`, to the last of its values."""

    start: int
    end: int
    exact: bool


def _parts(lines: Sequence[str], path: Sequence[str]) -> list[_Part]:
    """Where the table of that name is, and the tables below it."""
    name = r"\s*\.\s*".join(rf"(?:{re.escape(one)}|[\"']{re.escape(one)}[\"'])" for one in path)
    ours = re.compile(rf"[ \t]*\[\s*{name}\s*(\]|\.)")
    found: list[_Part] = []
    for start, line in enumerate(lines):
        header = ours.match(line)
        if not header or not _begins(lines, start):
            continue
        end = start + 1
        while end < len(lines) and not (_HEADER.match(lines[end]) and _begins(lines, end)):
            end += 1
        while _EMPTY.fullmatch(lines[end - 1]):
            end -= 1
        found.append(_Part(start, end, header[1] == "]"))
    return found


def _begins(lines: Sequence[str], n: int) -> bool:
    """Whether a line begins something: what stands before it is whole, no text or list is open."""
    try:
        tomllib.loads("".join(lines[:n]))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _updated(text: str, path: Sequence[str], kept: dict[str, Any], fields: Fields) -> str:
    """New fields behind the header, changed ones where they are."""
    missing = {name: value for name, value in fields.items() if name not in kept}
    changed = {name: value for name, value in fields.items() if kept.get(name, value) != value}
    lines, line = text.splitlines(keepends=True), _line(text)
    for part in _parts(lines, path):
        if part.exact:
            header = lines[part.start]
            ends = "" if header.endswith("\n") else line
            values = "".join(lines[part.start : part.end])
            values = _put_by_tomlkit(values, path, changed, whole=False)[len(header) :]
            new = "".join(_lines(missing)).replace("\n", line)
            lines[part.start : part.end] = [header, ends, new, values]
            break
    return "".join(lines)


def _without_lines(text: str, path: Sequence[str]) -> str:
    """The text without the table's lines; comments behind the last of its values stay."""
    lines = text.splitlines(keepends=True)
    for part in reversed(_parts(lines, path)):
        start = part.start
        while part.end == len(lines) and start and not lines[start - 1].strip():
            start -= 1  # the empty line that came with it
        del lines[start : part.end]
    return "".join(lines)


# --- by tomlkit -----------------------------------------------------------------------------


def _put_by_tomlkit(text: str, path: Sequence[str], fields: Fields, *, whole: bool) -> str:
    def change(table: Any) -> None:
        if whole:
            table[path[-1]] = dict(fields)
        else:
            for name, value in fields.items():
                table[path[-1]][name] = value

    return _by_tomlkit(text, path, change)


def _removed_by_tomlkit(text: str, path: Sequence[str]) -> str:
    def change(table: Any) -> None:
        del table[path[-1]]

    return _by_tomlkit(text, path, change)


def _by_tomlkit(text: str, path: Sequence[str], change: Callable[[Any], None]) -> str:
    """The text with ``change`` made to the table above ``path``; as it was where that fails."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        table = cast("Any", document)
        for name in path[:-1]:
            table = table[name]
        change(table)
        return tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, ValueError):
        return text


# --- what it has to say ---------------------------------------------------------------------


def _says(text: str, wanted: dict[str, Any]) -> bool:
    """Whether a text says exactly that."""
    try:
        # Told apart by how they are written: values such as nan are not equal to themselves.
        return repr(_sorted(tomllib.loads(text))) == repr(_sorted(wanted))
    except tomllib.TOMLDecodeError:
        return False


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {name: _sorted(named[name]) for name in sorted(named)}
    if isinstance(value, list):
        return [_sorted(one) for one in cast("list[Any]", value)]
    return value


def _with(document: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy that says ``value`` under ``path``."""
    name, rest = path[0], path[1:]
    inner = cast("dict[str, Any]", document.get(name) or {})
    return {**document, name: _with(inner, rest, value) if rest else value}


def _withouts(document: dict[str, Any], path: Sequence[str]) -> list[dict[str, Any]]:
    """What may be said once ``path`` is gone: its parent may go with it when that is empty."""
    name, rest = path[0], path[1:]
    without = {key: value for key, value in document.items() if key != name}
    if not rest:
        return [without]
    inner = _withouts(document[name], rest)
    left = [{**document, name: one} for one in inner]
    return [*left, without] if {} in inner else left
