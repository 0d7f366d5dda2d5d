"""Grok's data export: ``prod-grok-backend.json``, in its ZIP or folder, or by itself.

The file is one object; its ``conversations`` are read one at a time, however many there are.
Times are ISO 8601 or MongoDB's (``{"$date": {"$numberLong": "..."}}``), senders in any case.
Where several responses answer the same one, the newest branch is kept. Projects, tasks and
media are never read.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import datetime

from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source
from haulout.interchange.conversations import Said, abandoned, first_object, read_elements
from haulout.interchange.fields import (
    digest,
    identity,
    is_mapping,
    is_sequence,
    label,
    mapping,
    moment,
    sequence,
    text,
)
from haulout.interchange.jsonstream import Element
from haulout.interchange.records import (
    NO_TEXT,
    NOT_UNDERSTOOD,
    OTHER_BRANCH,
    TURN,
    ImportedMemory,
    Portion,
)

NAME = "grok"

_FILE = re.compile(r"(?:.*/)?[^/]*grok[^/]*\.json\Z", re.IGNORECASE)
_RESTART = re.compile(rb'\{\s{0,64}"conversation"\s{0,8}:\s{0,8}\{')
_DIGITS_MAX = 18  # of milliseconds since 1970
_SENDERS = {"human": "user", "user": "user", "assistant": "assistant"}
# Cards and citations, which only Grok's own page can show.
_RENDERED, _RENDERED_END = "<grok:render", "</grok:render>"


def recognise(source: Source) -> str:
    found = _own_members(source)
    if not found:
        return ""
    return "Grok conversations file" if source.kind == "file" else "Grok data export"


def _own_members(source: Source) -> list[Member]:
    return [
        member
        for member in source.members
        if (source.kind == "file" or _FILE.match(member.name)) and _is_own(source, member)
    ]


def _is_own(source: Source, member: Member) -> bool:
    found = first_object(source, member, under="conversations")
    return is_mapping(found.get("conversation")) and is_sequence(found.get("responses"))


def read_all(source: Source) -> Generator[Portion, None, None]:
    for member in _own_members(source):
        yield from read_elements(
            source, member, _RESTART, _read_conversation, under="conversations"
        )


def _read_conversation(element: Element, portion: Portion) -> None:
    given = mapping(element.value)
    if not is_sequence(given.get("responses")):
        portion.problem(f"element {element.index}, byte {element.offset}", "no responses in it")
        return
    held = mapping(given.get("conversation"))
    responses = [mapping(mapping(one).get("response")) for one in sequence(given["responses"])]
    portion.conversations = 1
    first_id = _object_id(responses[0].get("_id")) if responses else ""
    own_id = _object_id(held.get("id")) or "digest-" + digest("untitled", first_id)
    title = label(held.get("title"))
    left_behind = abandoned(
        [
            Said(
                _object_id(response.get("_id")),
                _object_id(response.get("parent_response_id")),
                _time(response.get("create_time")),
            )
            for response in responses
        ]
    )
    known = _time(held.get("create_time"))
    for number, response in enumerate(responses):
        if number in left_behind:
            portion.leave_out(OTHER_BRANCH)
            continue
        own = _time(response.get("create_time"))
        known = own or known
        place = f"{portion.file}, element {element.index}, response {number}"
        base = ImportedMemory(
            op_id=f"import:{NAME}:{identity(own_id, _response_id(number, response))}",
            text=_words(response),
            kind=TURN,
            place=place,
            speaker=_speaker(response),
            session=f"{NAME}:{identity(own_id)}",
            occurred_at=known,
            metadata=_metadata(title, response),
            source=NAME,
            time_inferred=own is None and known is not None,
        )
        _take(base, response, portion)


def _take(turn: ImportedMemory, response: dict[str, object], portion: Portion) -> None:
    portion.parts_dropped["file"] += len(sequence(response.get("file_attachments")))
    if turn.speaker is None:
        portion.leave_out(NOT_UNDERSTOOD)
        portion.not_understood[f"sender: {label(response.get('sender'))}"] += 1
    elif turn.text:
        portion.take(turn)
    else:
        portion.leave_out(NO_TEXT)


def _words(response: dict[str, object]) -> str:
    """The message, without what only Grok's page can show; an opening without an end is text."""
    words = text(response.get("message"))
    kept: list[str] = []
    at = 0
    while (start := words.find(_RENDERED, at)) >= 0:
        end = words.find(_RENDERED_END, start)
        if end < 0:
            break
        kept.append(words[at:start])
        at = end + len(_RENDERED_END)
    return "".join((*kept, words[at:])).strip()


def _speaker(response: dict[str, object]) -> str | None:
    sender = label(response.get("sender")).lower()
    return "assistant" if sender.startswith("grok") else _SENDERS.get(sender)


def _response_id(number: int, response: dict[str, object]) -> str:
    told = _object_id(response.get("_id"))
    return told or f"{number}-{digest(_speaker(response) or '', _words(response))}"


def _metadata(title: str, response: dict[str, object]) -> dict[str, object]:
    model = label(response.get("model"))
    given = {"title": title, "model": model}
    return {name: value for name, value in given.items() if value}


def _object_id(value: object) -> str:
    return label(value) or label(mapping(value).get("$oid"))


def _time(value: object) -> datetime | None:
    """ISO 8601, a number, or one of MongoDB's ways to write a date."""
    held = mapping(value).get("$date", value)
    number = mapping(held).get("$numberLong", held)
    if (
        isinstance(number, str)
        and number.isascii()
        and number.isdigit()
        and len(number) <= _DIGITS_MAX
    ):
        return moment(int(number))
    return moment(number)


ADAPTER = Adapter(
    name=NAME,
    understands="Grok's data export (ZIP, folder, or prod-grok-backend.json)",
    recognise=recognise,
    read=read_all,
)
