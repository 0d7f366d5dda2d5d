"""Microsoft Copilot's activity history: a CSV file from the privacy dashboard.

It has had two sets of columns, and neither holds an ID: conversation, author, time and words
together identify a message, and a conversation is known by its title alone. Cells are quoted
and may run over many lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from haulout.errors import InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, head
from haulout.interchange.csvrows import Row, cells, rows
from haulout.interchange.fields import digest, identity, label, moment, text
from haulout.interchange.records import NO_TEXT, NOT_UNDERSTOOD, TURN, ImportedMemory, Portion

NAME = "copilot"
HEAD_BYTES = 16 * 1024
BROKEN_ROW = "a broken row"
REPEATS_WATCHED_MAX = 100_000  # messages without a time, which alone need their number

_MARKS = (",", ";", "\t")
_COLUMNS = {
    "conversation": ("conversation", "chatname"),
    "time": ("time", "createdat"),
    "author": ("author",),
    "message": ("message", "messagecontent"),
}
_AUTHORS = {
    "human": "user", "user": "user", "you": "user",
    "ai": "assistant", "assistant": "assistant", "bot": "assistant", "copilot": "assistant",
}  # fmt: skip
_AMERICAN = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d{2})(?::(\d{2}))?"
    r"(?:[ \u202f]([AP])M)?(?: ?([+-])(\d{2}):?(\d{2}))?\Z"
)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where each thing stands in a row."""

    mark: str
    places: dict[str, int]
    unknown: tuple[str, ...]

    def read(self, words: str) -> dict[str, str]:
        found = cells(words, self.mark)
        return {name: found[at] for name, at in self.places.items() if at < len(found)}


def _columns(words: str) -> _Columns | None:
    """The columns a first row names, in any order; None when it is no such row."""
    for mark in _MARKS:
        names = [re.sub(r"[\s_]+", "", name).lower() for name in cells(words, mark)]
        places = {
            column: names.index(name)
            for column, spellings in _COLUMNS.items()
            for name in spellings
            if name in names
        }
        if places.keys() == _COLUMNS.keys():
            used = set(places.values())
            rest = (label(name, 32) for at, name in enumerate(names) if at not in used)
            return _Columns(mark, places, tuple(name for name in rest if name))
    return None


def recognise(source: Source) -> str:
    return "Copilot activity history" if _own_members(source) else ""


def _own_members(source: Source) -> list[Member]:
    return [
        member
        for member in source.members
        if (source.kind == "file" or member.name.lower().endswith(".csv"))
        and _columns(_first_row(source, member)) is not None
    ]


def _first_row(source: Source, member: Member) -> str:
    try:
        start = head(source, member, HEAD_BYTES)
    except InputError:
        return ""
    lines = start.decode("utf-8-sig", "replace").split("\n", 1)
    return lines[0].removesuffix("\r")


def read_all(source: Source) -> Generator[Portion, None, None]:
    for member in _own_members(source):
        reader = _Reader(label(member.name))
        try:
            with source.open(member) as stream:
                for row in rows(stream):
                    portion = Portion(reader.file)
                    reader.read(row, portion)
                    yield portion
        except InputError as error:
            portion = Portion(reader.file)
            portion.problem("", error.message)
            yield portion


class _Reader:
    """Reads the rows of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._columns: _Columns | None = None
        self._untimed: Counter[str] = Counter()
        self._conversations: set[str] = set()

    def read(self, row: Row, portion: Portion) -> None:
        if self._columns is None and (columns := _columns(row.words)):
            self._columns = columns  # the first row names them
            for name in columns.unknown:
                portion.not_understood[f"column: {name}"] += 1
            return
        if row.error or self._columns is None:
            portion.leave_out(BROKEN_ROW)
            portion.problem(f"line {row.line}", row.error or "no row names the columns")
        elif row.words.strip():
            self._read_message(row.line, self._columns.read(row.words), portion)

    def _read_message(self, line: int, given: dict[str, str], portion: Portion) -> None:
        author = label(given.get("author"))
        speaker = _AUTHORS.get(author.lower())
        words = text(given.get("message")).strip()
        title = label(given.get("conversation"))
        if speaker is None:
            portion.leave_out(NOT_UNDERSTOOD)
            portion.not_understood[f"author: {author}"] += 1
            return
        if not words:
            portion.leave_out(NO_TEXT)
            return
        written = label(given.get("time"))
        when = _time(written)
        if when is None and written:
            portion.not_understood["value of the time"] += 1
        conversation = digest(title)
        if title and conversation not in self._conversations:
            self._conversations.add(conversation)
            portion.conversations = 1
        own = digest(title, speaker, words, when.isoformat() if when else "")
        if when is None:
            own = f"{own}-{self._number(own)}"
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{identity(own)}",
                text=words,
                kind=TURN,
                place=f"{portion.file}, line {line}",
                speaker=speaker,
                session=f"{NAME}:{conversation}" if title else None,
                occurred_at=when,
                metadata={"title": title} if title else {},
                source=NAME,
            )
        )

    def _number(self, own: str) -> int:
        """How many such messages came before: without a time nothing else tells them apart."""
        if own in self._untimed or len(self._untimed) < REPEATS_WATCHED_MAX:
            self._untimed[own] += 1
        return self._untimed[own]


def _time(written: str) -> datetime | None:
    """ISO 8601, or as it is written in America: month, day, year."""
    found = _AMERICAN.match(written)
    if found is None:
        return moment(written)
    month, day, year, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if found.group(7):
        hour = hour % 12 + (12 if found.group(7) == "P" else 0)
    offset = timedelta(hours=int(found.group(9) or 0), minutes=int(found.group(10) or 0))
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
        clock = timedelta(hours=hour, minutes=minute, seconds=second)
        return midnight + clock - (-offset if found.group(8) == "-" else offset)
    except (ValueError, OverflowError):
        return None


ADAPTER = Adapter(
    name=NAME,
    understands="Copilot's activity history (CSV)",
    recognise=recognise,
    read=read_all,
)
