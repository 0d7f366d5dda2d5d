"""Records of Google's My Activity, out of its JSON or its HTML, in one shape.

The HTML is one page of cells; it is cut at the tag each cell begins with, so that a page of any
length is read a cell at a time, and a broken cell is lost alone. In a cell, the line of the
shape of a time parts what was asked from what was answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from haulout.errors import InputError
from haulout.interchange.archive import CHUNK_BYTES, Member, Source, Stream, head
from haulout.interchange.fields import label, mapping, moment, sequence, text
from haulout.interchange.htmltext import plain_text
from haulout.interchange.jsonstream import ArrayReader
from haulout.interchange.writtentime import WRITTEN_CHARS_MAX, Written, written_time

CELL_BYTES_MAX = 16 * 1024 * 1024
SNIFFED_BYTES = 1024 * 1024  # the page begins with a long style sheet
LINES_LOOKED_AT = 2_000  # for the time, in one cell

_CELL = b'<div class="outer-cell'
_RESTART = re.compile(rb'\{\s{0,64}"header"\s{0,8}:\s{0,8}"')
_GEMINI = re.compile(r"\b(?:Gemini|Bard)\b")
_LINK = re.compile(r"(?:gemini|bard)\.google\.com/(?:app|c)/([A-Za-z0-9_-]{4,64})")
_BODY = re.compile(r'<div class="content-cell[^<>]*>')
_TITLE = re.compile(r'mdl-typography--title"[^<>]*>([^<]{0,200})')
_LINE_END = re.compile(r"<br\s{0,8}/?>", re.IGNORECASE)
_ATTACHED = re.compile(r"\s*Attached (\d{1,3}) files?\.\s*\Z")


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that was done.

    ``request`` says that the title is what was asked, with no verb before it; ``answer`` is
    plain text; ``conversation`` the ID that a link tells, or "".
    """

    place: str
    title: str
    when: datetime | None
    answer: str
    gemini: bool = True
    request: bool = False
    conversation: str = ""
    files: int = 0
    not_understood: tuple[str, ...] = ()


def is_activity(given: dict[str, object], *, sure: bool) -> bool:
    """Whether an object is a record of Gemini's; ``sure`` when the path says so already."""
    shaped = isinstance(given.get("title"), str) and isinstance(given.get("time"), str)
    if not shaped or not given.keys() & {"header", "products", "safeHtmlItem", "details"}:
        return False
    return sure or _of_gemini(given)


def _of_gemini(given: dict[str, object]) -> bool:
    named = [given.get("header"), *sequence(given.get("products"))]
    return any(_GEMINI.search(text(name)) for name in named)


def json_activities(source: Source, member: Member) -> Iterator[Activity | tuple[str, str]]:
    """The records of a JSON file; for one that is broken, where it stands and why.

    Raises:
        InputError: the file cannot be read any further.
    """
    with source.open(member) as stream:
        for element in ArrayReader(stream, restart=_RESTART):
            position = f"element {element.index}, byte {element.offset}"
            if element.error:
                yield position, element.error
            elif not mapping(element.value):
                yield position, "not an object"
            else:
                yield _from_json(f"element {element.index}", mapping(element.value))


def _from_json(place: str, given: dict[str, object]) -> Activity:
    title, attached = _without_files(text(given.get("title")))
    details = [mapping(detail) for detail in sequence(given.get("details"))]
    told = {label(detail.get("name")): text(detail.get("value")) for detail in details}
    answer = "\n\n".join(
        words
        for item in sequence(given.get("safeHtmlItem"))
        if (words := plain_text(text(mapping(item).get("html"))))
    )
    asked = told.get("Request", "")
    named = [text(given.get("titleUrl")), *(text(detail.get("name")) for detail in details)]
    link = next((found for name in named if (found := _LINK.search(name))), None)
    files = sum(
        1
        for item in map(mapping, sequence(given.get("subtitles")))
        if "url" in item or text(item.get("name")).startswith("-")
    )
    return Activity(
        place=place,
        title=asked or title,
        when=moment(given.get("time")),
        answer=answer or told.get("Response", "").strip(),
        gemini=_of_gemini(given) or "header" not in given,
        request=bool(asked),
        conversation=link.group(1) if link else "",
        files=files or attached,
    )


def _without_files(title: str) -> tuple[str, int]:
    found = _ATTACHED.search(title[-64:])
    if found is None:
        return title.strip(), 0
    return title[: len(title) - len(found.group())].strip(), int(found.group(1))


# --- HTML -------------------------------------------------------------------------------


def is_html_activity(source: Source, member: Member, *, sure: bool) -> bool:
    """Whether a file is a page of activities, and of Gemini's."""
    try:
        start = head(source, member, 64)
        if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return False
        start = head(source, member, SNIFFED_BYTES)
    except InputError:
        return False
    at = start.find(_CELL)
    return at >= 0 and (sure or _GEMINI.search(start[at:].decode("utf-8", "replace")) is not None)


def html_activities(source: Source, member: Member) -> Iterator[Activity | tuple[str, str]]:
    """The cells of a page; for one that is broken, where it stands and why.

    Raises:
        InputError: the file cannot be read any further.
    """
    with source.open(member) as stream:
        for number, cell in enumerate(_cells(stream)):
            if cell is None:
                yield f"cell {number}", f"larger than {CELL_BYTES_MAX} bytes"
            else:
                found = _from_cell(f"cell {number}", cell.decode("utf-8", "replace"))
                yield found or (f"cell {number}", "no time in it, so no telling what was asked")


def _cells(stream: Stream) -> Iterator[bytes | None]:
    """The bytes of each cell; None for one over the limit. What is before the first is left."""
    held = bytearray()
    inside = over = False
    while chunk := stream.read(CHUNK_BYTES):
        at = max(0, len(held) - len(_CELL))
        held += chunk
        while (found := held.find(_CELL, at)) >= 0:
            if inside:
                yield None if over else bytes(held[:found])
            del held[: found + len(_CELL)]
            inside, over, at = True, False, 0
        if len(held) > CELL_BYTES_MAX or not inside:
            over = inside
            del held[: max(0, len(held) - len(_CELL))]
    if inside:
        yield None if over else bytes(held)


def _from_cell(place: str, cell: str) -> Activity | None:
    body = _BODY.search(cell)
    if body is None:
        return None
    following = _BODY.search(cell, body.end())
    end = following.start() if following else len(cell)
    lines = _LINE_END.split(cell[body.end() : end], maxsplit=LINES_LOOKED_AT)
    found = _time_among(lines)
    if found is None:
        return None
    number, told = found
    product = _TITLE.search(cell, 0, body.start())
    link = _LINK.search(cell, end)
    asked, files = _asked(lines[:number])
    unknown = [f"time zone: {label(told.unknown_zone, 32)}"] if told.unknown_zone else []
    if told.when is None:
        unknown.append("a time in a language that is not known")
    return Activity(
        place=place,
        title=asked,
        when=told.when,
        answer=plain_text("<br>".join(lines[number + 1 :])),
        gemini=product is None or _GEMINI.search(plain_text(product.group(1))) is not None,
        conversation=link.group(1) if link else "",
        files=files,
        not_understood=tuple(unknown),
    )


def _time_among(lines: list[str]) -> tuple[int, Written] | None:
    """The first line that is a time, and which it is."""
    for number, line in enumerate(lines):
        if len(line) <= 4 * WRITTEN_CHARS_MAX and (told := written_time(plain_text(line))):
            return number, told
    return None


def _asked(lines: list[str]) -> tuple[str, int]:
    """The title, with the no-break space after its verb, and how many files came with it."""
    kept: list[str] = []
    files = 0
    for line in lines:
        words = plain_text(line)
        if kept and "<a" in line and words.startswith("-"):
            files += 1
        elif kept and _ATTACHED.fullmatch(words):
            continue
        elif words:
            kept.append(words)
    title = "\n".join(kept)
    verb = re.match(r"([^<&\xa0]{1,40})(?:&nbsp;|\xa0)", lines[0].lstrip()) if lines else None
    if verb and title.startswith(plain_text(verb.group(1)) + " "):
        at = len(plain_text(verb.group(1)))
        title = f"{title[:at]}\xa0{title[at + 1 :]}"
    return title, files
