"""What the conversation formats share: finding the files, and reading them one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from haulout.errors import InputError
from haulout.interchange.archive import Member, Source
from haulout.interchange.fields import is_mapping, label, mapping
from haulout.interchange.jsonstream import ELEMENT_BYTES_MAX, ArrayReader, Element, Readable
from haulout.interchange.records import Portion

SNIFFED_ELEMENTS = 20  # how far a format may hide behind broken elements
SNIFFED_BYTES_MAX = ELEMENT_BYTES_MAX + 1024 * 1024

# conversations.json, its shards, and what a browser makes of a second download of one.
_CONVERSATIONS_FILE = re.compile(r"(?:.*/)?conversations(?:[-_]\d{1,6})?(?: ?\(\d{1,3}\))?\.json\Z")


def conversation_members(source: Source) -> list[Member]:
    """The files that can hold conversations, shards in their order.

    In an archive the names count, as the form says so: shared_conversations.json and others
    hold parts of the same conversations once more. A lone file may be called anything.
    """
    if source.kind == "file":
        return list(source.members)
    found = [member for member in source.members if _CONVERSATIONS_FILE.match(member.name)]
    return sorted(found, key=lambda member: (len(member.name), member.name))


def first_object(source: Source, member: Member, under: str = "") -> dict[str, object]:
    """The first object of a JSON array, or the object itself; empty when it is neither.

    With ``under``, the first object of the array that stands under that name in an object.
    """
    try:
        with source.open(member) as stream:
            beginning = _Beginning(stream)
            for element in islice(ArrayReader(beginning, under=under), SNIFFED_ELEMENTS):
                if found := mapping(element.value):
                    return found
    except InputError:
        pass
    return {}


class _Beginning:
    """So much of a file as it takes to tell its form: one object can be all of a huge file."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = SNIFFED_BYTES_MAX

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def read_elements(
    source: Source,
    member: Member,
    restart: re.Pattern[bytes] | None,
    read_one: Callable[[Element, Portion], None],
    name: str | None = None,
    under: str = "",
) -> Iterator[Portion]:
    """A portion for each element; one that is broken gives a problem with its position."""
    file = label(member.name if name is None else name)
    try:
        with source.open(member) as stream:
            for element in ArrayReader(stream, restart=restart, under=under):
                portion = Portion(file)
                position = f"element {element.index}, byte {element.offset}"
                if element.error:
                    portion.problem(position, element.error)
                elif not is_mapping(element.value):
                    portion.problem(position, "not an object")
                else:
                    read_one(element, portion)
                yield portion
    except InputError as error:
        portion = Portion(file)
        portion.problem("", error.message)
        yield portion


@dataclass(frozen=True, slots=True)
class Said:
    """Of one message: its ID, the ID of the one it answers, and when; "" where not told."""

    name: str
    parent: str
    when: datetime | None


def abandoned(messages: Sequence[Said], leaf_name: str = "") -> set[int]:
    """Numbers of messages on branches the person left, where messages name their parents.

    Of several answers to one message, the branch with the current leaf is kept; where no leaf
    is told, the branch with the newest message. Messages without a parent's name all stay.
    """
    by_name = {message.name: number for number, message in enumerate(messages)}
    children: dict[str, list[int]] = {}
    for number, message in enumerate(messages):
        if message.parent:
            children.setdefault(message.parent, []).append(number)
    if not any(len(siblings) > 1 for siblings in children.values()):
        return set()
    leaf = by_name.get(leaf_name, _newest(messages))
    kept: set[int] = set()
    while leaf is not None and leaf not in kept:
        kept.add(leaf)
        leaf = by_name.get(messages[leaf].parent)
    left: set[int] = set()
    pending = [
        number
        for siblings in children.values()
        if not kept.isdisjoint(siblings)
        for number in siblings
        if number not in kept
    ]
    while pending:
        number = pending.pop()
        if number not in left:
            left.add(number)
            below = children.get(messages[number].name, [])
            pending.extend(child for child in below if child not in kept)
    return left


def _newest(messages: Sequence[Said]) -> int | None:
    def when(number: int) -> tuple[float, int]:
        found = messages[number].when
        return (found.timestamp() if found else 0.0, number)

    return max(range(len(messages)), key=when, default=None)
