"""Lines of a file, one at a time, in bounded memory: what JSON Lines and transcripts share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.archive import CHUNK_BYTES, Member, Source, Stream, head
from haulout.interchange.fields import is_mapping, label, mapping
from haulout.interchange.jsonstream import decode
from haulout.interchange.records import BROKEN_LINE, NOT_UNDERSTOOD, Portion

LINE_BYTES_MAX = 16 * 1024 * 1024  # 1 MiB of text is at most 6 MiB once escaped
SNIFFED_BYTES = 1024 * 1024
SNIFFED_LINES = 20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(stream: Stream) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one over the limit. Only a line feed ends a line."""
    held = bytearray()
    number, over = 1, False
    while chunk := stream.read(CHUNK_BYTES):
        at = 0
        while (end := chunk.find(b"\n", at)) >= 0:
            held += chunk[at:end]
            yield number, None if over or len(held) > LINE_BYTES_MAX else _whole(held, number)
            held.clear()
            number, over, at = number + 1, False, end + 1
        held += chunk[at:]
        if len(held) > LINE_BYTES_MAX:
            over = True
            held.clear()
    if held or over:
        yield number, None if over else _whole(held, number)


def _whole(held: bytearray, number: int) -> bytes:
    return bytes(held).removeprefix(_BYTE_ORDER_MARK) if number == 1 else bytes(held)


def first_objects(
    source: Source, member: Member, size: int = SNIFFED_BYTES
) -> list[dict[str, object]]:
    """What the first lines of a file hold, {} for a line that is no object; [] for other files."""
    try:
        content = head(source, member, size)
        if not content.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
            return []
        if b"\n" not in content:  # one long line
            content = head(source, member, LINE_BYTES_MAX)
    except InputError:
        return []
    lines = [part for part in content.removeprefix(_BYTE_ORDER_MARK).split(b"\n") if part.strip()]
    if len(content) >= size and len(lines) > 1:
        lines.pop()  # perhaps cut by the sniffing itself
    return [decoded_object(part) for part in lines[:SNIFFED_LINES]]


def decoded_object(raw: bytes) -> dict[str, object]:
    try:
        return mapping(decode(raw))
    except ImportFormatError:
        return {}


def read_objects(
    source: Source, member: Member, read_one: Callable[[int, dict[str, object], Portion], None]
) -> Iterator[Portion]:
    """A portion for each line of one file; one that is broken gives a problem with its number."""
    file = label(member.name)
    try:
        with source.open(member) as stream:
            for number, raw in numbered_lines(stream):
                if raw is not None and not raw.strip():
                    continue
                portion = Portion(file)
                _read_line(number, raw, portion, read_one)
                yield portion
    except InputError as error:
        portion = Portion(file)
        portion.problem("", error.message)
        yield portion


def note_too_long(number: int, portion: Portion) -> None:
    portion.leave_out(BROKEN_LINE)
    portion.problem(f"line {number}", f"longer than {LINE_BYTES_MAX} bytes")


def _read_line(
    number: int,
    raw: bytes | None,
    portion: Portion,
    read_one: Callable[[int, dict[str, object], Portion], None],
) -> None:
    if raw is None:
        note_too_long(number, portion)
        return
    try:
        given = decode(raw)
    except ImportFormatError as error:
        portion.leave_out(BROKEN_LINE)
        portion.problem(f"line {number}", error.message)
        return
    if is_mapping(given):
        read_one(number, mapping(given), portion)
    else:
        portion.leave_out(NOT_UNDERSTOOD)
        portion.not_understood["line that is no object"] += 1
