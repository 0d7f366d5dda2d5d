"""Rows of a CSV file, one at a time, in bounded memory, past rows that are broken.

A quoted cell may hold line breaks, so a row ends where its quotes are paired. A quote that is
never closed would take in the rest of the file: past a limit the row is given up, its first
line is told, and reading goes on at the line after it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from haulout.interchange.archive import Stream
from haulout.interchange.linestream import numbered_lines

ROW_BYTES_MAX = 4 * 1024 * 1024
ROW_LINES_MAX = 10_000
RESTARTS_MAX = 32  # each can mean reading one row's bytes again: this bounds the total

_CELL = {
    mark: re.compile(rf'"([^"]*(?:""[^"]*)*)"[^{mark}]*|([^{mark}]*)') for mark in (",", ";", "\t")
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of its first line, and its words; or why there are none."""

    line: int
    words: str = ""
    error: str = ""


def rows(stream: Stream) -> Iterator[Row]:
    """Rows as they are written; ``cells`` takes one apart."""
    lines = numbered_lines(stream)
    again: deque[tuple[int, bytes | None]] = deque()
    held: list[tuple[int, bytes]] = []
    size, unpaired, restarts = 0, False, 0
    while True:
        number, raw = again.popleft() if again else next(lines, (0, b""))
        if number and not held and raw is not None and not raw.strip():
            continue  # an empty line between rows
        if number and raw is not None:
            held.append((number, raw))
            size += len(raw) + 1
            unpaired ^= raw.count(b'"') % 2 == 1
            if not unpaired:
                words = b"\n".join(line for _, line in held).decode("utf-8", "replace")
                yield Row(held[0][0], words.removesuffix("\r"))
            elif size <= ROW_BYTES_MAX and len(held) <= ROW_LINES_MAX:
                continue
        if raw is None:
            yield Row(number, error="a line too long to be read")
        if held and unpaired:
            yield Row(held[0][0], error="a quote in it is never closed")
            restarts += 1
            again.extendleft(reversed(held[1:]))
        elif not number:
            return
        held, size, unpaired = [], 0, False
        if restarts > RESTARTS_MAX:
            yield Row(number, error="too many rows are broken; the rest is not read")
            return


def cells(words: str, mark: str = ",") -> list[str]:
    """The cells of one row, quotes taken off."""
    pattern = _CELL[mark]
    found: list[str] = []
    at = 0
    while True:
        cell = pattern.match(words, at)
        assert cell is not None
        quoted = cell.group(1)
        found.append(cell.group(2) if quoted is None else quoted.replace('""', '"'))
        at = cell.end() + 1
        if at > len(words):
            return found
