"""Points in time as Google's pages write them for people, in many languages.

Such a time has a date, a clock with seconds, and a zone: "Nov 2, 2026, 3:04:05 PM CET",
"2. nov. 2026, 15:04:05 MEZ", "2026/11/02 15:04:05 JST". Months are told by the first letters of
their names in the languages below; a zone that is not known counts as UTC, and is told.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from haulout.interchange.fields import moment

WRITTEN_CHARS_MAX = 64

_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})[:.](?P<second>\d{2})"
    r"(?: ?(?P<half>[AP])\.? ?M\.?)?(?P<zone>(?: .{1,24})?)\Z",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(r"(\d{4})\D{1,3}(\d{1,2})\D{1,3}(\d{1,2})\D{0,2}\Z")
_YEAR_LAST = re.compile(r"(\d{1,2})([./-]) ?(\d{1,2})\2 ?(\d{4})\Z")
_NAMED = re.compile(r"[^\W\d_]{3,}")
_NUMBERS = re.compile(r"\d+")
_OFFSET = re.compile(r"(?:GMT|UTC)?([+\-\u2212])(\d{1,2})(?::?(\d{2}))?\Z")

# First letters, accents taken off: English, German, French, Spanish, Italian, Portuguese,
# Dutch, the Scandinavian and Slavic languages that use Latin letters, Turkish.
_MONTHS = {
    1: "jan ene gen sty led oca", 2: "feb fev lut uno sub", 3: "mar mrt maa bre",
    4: "apr avr abr kwi dub nis", 5: "may mai mei mag maj kve", 6: "jun juin giu cze haz",
    7: "jul juil lug lip tem", 8: "aug aou ago sie srp agu", 9: "sep set wrz zar eyl",
    10: "oct okt ott out paz rij eki", 11: "nov lis kas", 12: "dec dez dic des gru pro ara",
}  # fmt: skip
_MONTH_OF = {start: month for month, starts in _MONTHS.items() for start in starts.split()}
_HOURS_OF_ZONE = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2,
    "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "EDT": -4, "EST": -5, "CDT": -5, "CST": -6,
    "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "BRT": -3, "JST": 9, "KST": 9, "SGT": 8,
    "HKT": 8, "AWST": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A time that was read. ``unknown_zone`` is told where UTC had to be assumed."""

    when: datetime | None
    unknown_zone: str = ""


def written_time(words: str) -> Written | None:
    """The time that a line is; None for a line that is something else.

    A line of the shape of a time whose month is in no language known here has no ``when``.
    """
    if not 12 <= len(words) <= WRITTEN_CHARS_MAX:  # noqa: PLR2004 - the shortest such time
        return None
    line = " ".join(words.replace("\u202f", " ").replace(",", " ").split())
    if "T" in line and (iso := moment(line)) is not None:
        return Written(iso)
    clock = _CLOCK.search(line)
    date = line[: clock.start()].strip(" .") if clock else ""
    return _read(date, clock) if clock and _has_year(date) else None


def _read(date: str, clock: re.Match[str]) -> Written:
    half = (clock.group("half") or "").upper()
    parts = _date(date, american=bool(half))
    if parts is None:
        return Written(None)
    named = clock.group("zone").strip()
    zone, known = _zone(named)
    hour, minute, second = (int(clock.group(name)) for name in ("hour", "minute", "second"))
    if half:
        hour = hour % 12 + (12 if half == "P" else 0)
    try:
        when = datetime(*parts, tzinfo=zone) + timedelta(hours=hour, minutes=minute, seconds=second)
        return Written(when.astimezone(UTC), "" if known else named)
    except (ValueError, OverflowError):
        return Written(None)


def _has_year(date: str) -> bool:
    return any(len(number) == 4 for number in _NUMBERS.findall(date))  # noqa: PLR2004


def _date(date: str, *, american: bool) -> tuple[int, int, int] | None:
    """Year, month, day."""
    if found := _YEAR_FIRST.match(date):
        year, month, day = map(int, found.groups())
        return year, month, day
    if found := _YEAR_LAST.match(date):
        first, second, year = int(found.group(1)), int(found.group(3)), int(found.group(4))
        if american and found.group(2) == "/":
            return year, first, second
        return year, second, first
    numbers = _NUMBERS.findall(date)
    month = next((month for word in _NAMED.findall(date) if (month := _month(word))), None)
    if month is None or len(numbers) != 2:  # noqa: PLR2004 - a day and a year
        return None
    day, year = sorted(numbers, key=len)
    return int(year), month, int(day)


def _month(name: str) -> int | None:
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _MONTH_OF.get(plain[:4]) or _MONTH_OF.get(plain[:3])


def _zone(written: str) -> tuple[timezone, bool]:
    if found := _OFFSET.match(written):
        sign = 1 if found.group(1) == "+" else -1
        minutes = sign * (int(found.group(2)) * 60 + int(found.group(3) or 0))
        if abs(minutes) < 24 * 60:
            return timezone(timedelta(minutes=minutes)), True
    hours = _HOURS_OF_ZONE.get(written.upper())
    return timezone(timedelta(hours=hours or 0)), hours is not None
