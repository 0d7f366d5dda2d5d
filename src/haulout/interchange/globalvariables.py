"""Global variables of a MetaTrader terminal, as text that its scripts write, from and to a state.

Pure. A variable is a double under a name of at most 63 characters, which the terminal deletes
four weeks after it was last used. The terminal's own file is binary and not documented; what is
exchanged is what an MQL script writes with ``FileWrite``: a line a variable, name, value and time,
between tabs, semicolons or commas, in UTF-8 or in UTF-16 with its mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from haulout.errors import ImportFormatError
from haulout.interchange.botstate import BotState, KeptValue

NAME_LENGTH: Final = 63
LIFETIME: Final = timedelta(weeks=4)
EXACT: Final = 2**53
"""Past this a double does not tell neighbouring integers apart."""
PREFIX: Final = "globals/"
_PLACELESS: Final = (
    "trades", "locks", "limits", "owner_limits", "halt", "spent", "journals", "intents",
    "extensions",
)  # fmt: skip
_BYTES: Final = 16 * 1024 * 1024
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_TIME: Final = "%Y.%m.%d %H:%M:%S"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Variable(NamedTuple):
    """A variable: its name, its value, and when it was last used (microseconds; 0: unknown)."""

    name: str
    value: float
    at: int = 0


class LeftOut(NamedTuple):
    """What is not carried, or not as it is: where it stands, and why."""

    place: str
    why: str


class FromGlobals(NamedTuple):
    """A state of variables, and those that the terminal would have deleted by now."""

    bot: BotState
    expired: tuple[str, ...]


class ToGlobals(NamedTuple):
    """Variables of a state; what has no place in them; what comes back as another kind of value."""

    variables: tuple[Variable, ...]
    left_out: tuple[LeftOut, ...]
    as_numbers: tuple[str, ...]


# ---------------------------------------------------------------------- text


def read_globals(data: bytes, *, offset: timedelta = timedelta()) -> list[Variable]:
    """Read an export.

    Args:
        data: the file; offset: of the terminal's clock from UTC, which the text does not say.

    Raises:
        ImportFormatError: a line is none, a value no finite number, a name too long or there twice.
    """
    if len(data) > _BYTES:
        message = f"The file has {len(data)} bytes; {_BYTES} are read at most."
        raise ImportFormatError(message)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        message = "The file is neither UTF-8 nor UTF-16 with its mark."
        raise ImportFormatError(message) from error
    lines = [line for line in text.splitlines() if line.strip()]
    separator = next((one for one in "\t;," if lines and one in lines[0]), ";")
    found: dict[str, Variable] = {}
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split(separator)]
        if number == 1 and len(cells) > 1 and cells[1].lower() in {"value", "double"}:
            continue  # a head line
        variable = _variable(cells, f"Line {number}", offset)
        if variable.name in found:
            message = f"Line {number}: {variable.name} stands there twice."
            raise ImportFormatError(message)
        found[variable.name] = variable
    return list(found.values())


def _variable(cells: list[str], where: str, offset: timedelta) -> Variable:
    if len(cells) not in {2, 3} or not cells[0]:
        message = f"{where} is no name, value and time."
        raise ImportFormatError(message)
    name, value = cells[0], cells[1]
    if len(name) > NAME_LENGTH or not name.isprintable():
        message = f"{where}: a name has at most {NAME_LENGTH} characters that print."
        raise ImportFormatError(message)
    number = float(value) if _NUMBER.fullmatch(value) else float("nan")
    if number - number != 0:
        message = f"{where}: {name} is {value[:30]!r}, which is no finite number."
        raise ImportFormatError(message)
    return Variable(name, number, _moment(cells[2:], where, offset))


def _moment(cells: list[str], where: str, offset: timedelta) -> int:
    told = cells[0] if cells else ""
    if not told:
        return 0
    if re.fullmatch(r"[0-9]{1,11}", told):
        return int(told) * 1_000_000 - offset // timedelta(microseconds=1)
    try:
        when = datetime.strptime(told, _TIME).replace(tzinfo=UTC) - offset
    except (ValueError, OverflowError) as error:
        message = f"{where}: {told[:30]!r} is no time such as 2026.11.24 10:00:00."
        raise ImportFormatError(message) from error
    return (when - _EPOCH) // timedelta(microseconds=1)


def write_globals(variables: Iterable[Variable]) -> bytes:
    """Variables as a script reads them: UTF-8, semicolons, times in UTC.

    A value has as many digits as give the double back bit for bit.
    """
    lines = ["name;value;time"]
    for one in sorted(variables):
        when = _EPOCH + timedelta(microseconds=one.at)
        lines.append(f"{one.name};{one.value!r};{when.strftime(_TIME) if one.at else ''}")
    return "".join(f"{line}\r\n" for line in lines).encode()


# ---------------------------------------------------------------------- states


def from_globals(variables: Iterable[Variable], *, now: int, expired: bool = False) -> FromGlobals:
    """A state in which each variable is a document ``globals/NAME``, as old as the variable.

    Args:
        variables: what `read_globals` found; now: microseconds since 1970 UTC.
        expired: take those in as well that were not used for four weeks.
    """
    values: dict[str, KeptValue] = {}
    gone: list[str] = []
    for one in variables:
        if one.at and not expired and now - one.at > LIFETIME // timedelta(microseconds=1):
            gone.append(one.name)
        else:
            values[PREFIX + one.name] = KeptValue(value=one.value, at=one.at)
    return FromGlobals(BotState(source="metatrader", at=now, values=values), tuple(gone))


def to_globals(bot: BotState) -> ToGlobals:
    """The numbers in a state's documents as variables.

    A document ``globals/NAME`` is the variable NAME; a number in any other is named by its place,
    such as ``risk.level`` or ``grid.prices[0]``. All that is no number is named in the answer.
    """
    found: dict[str, Variable] = {}
    left: list[LeftOut] = []
    as_numbers: list[str] = []
    for document, kept in sorted(bot.values.items()):
        for place, value in _leaves(document.removeprefix(PREFIX), kept.value):
            why = _why_not(place, value, found)
            if why:
                left.append(LeftOut(place, why))
                continue
            if type(value) is not float:
                as_numbers.append(place)
            found[place] = Variable(place, float(value), kept.at)
    none = "variables have no place for it"
    left.extend(LeftOut(part, none) for part in _PLACELESS if getattr(bot, part))
    return ToGlobals(tuple(found.values()), tuple(left), tuple(as_numbers))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, one in sorted(cast("dict[str, Any]", value).items()):
            yield from _leaves(f"{place}.{key}", one)
    elif isinstance(value, list) and value:
        for number, one in enumerate(cast("list[Any]", value)):
            yield from _leaves(f"{place}[{number}]", one)
    else:
        yield place, value


def _why_not(place: str, value: Any, found: dict[str, Variable]) -> str:
    """Why a value is not carried; empty where it is."""
    if not isinstance(value, int | float):
        kind = "text" if isinstance(value, str) else "nothing" if value is None else "empty"
        return f"it is {kind}, and a variable is a number"
    if type(value) is int and abs(value) > EXACT:
        return "a double does not tell it from its neighbours"
    if len(place) > NAME_LENGTH:
        return f"its name has {len(place)} characters; {NAME_LENGTH} are allowed"
    if not place.isprintable() or re.search(r"[;,\t]", place):
        return "its name has a character that the text has not"
    return "another number has its name" if place in found else ""
