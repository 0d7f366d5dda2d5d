"""What the conversation formats share: finding the files, and reading them one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from haulout.errors import InputError
from haulout.interchange.archive import Member, Source
from haulout.interchange.fields import is_mapping, label, mapping
from haulout.interchange.jsonstream import ArrayReader, Element
from haulout.interchange.records import Portion

SNIFFED_ELEMENTS = 20  # how far a format may hide behind broken elements

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


def first_object(source: Source, member: Member) -> dict[str, object]:
    """The first object of a JSON array, or the object itself; empty when it is neither."""
    try:
        with source.open(member) as stream:
            for element in islice(ArrayReader(stream), SNIFFED_ELEMENTS):
                if found := mapping(element.value):
                    return found
    except InputError:
        pass
    return {}


def read_elements(
    source: Source,
    member: Member,
    restart: re.Pattern[bytes],
    read_one: Callable[[Element, Portion], None],
    name: str | None = None,
) -> Iterator[Portion]:
    """A portion for each element; one that is broken gives a problem with its position."""
    file = label(member.name if name is None else name)
    try:
        with source.open(member) as stream:
            for element in ArrayReader(stream, restart=restart):
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
