"""Dates as people write them: a day as words, and the time a question speaks of.

The month names and turns of phrase are English; times in other languages are found by their
numbers, as words. The clock is an argument: "last week" is read against the moment given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_WEEKDAYS: Final = ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


_LOOKED_AT: Final = 4_096  # characters of a question: a pasted page names no time at its end


class Period(NamedTuple):
    """A stretch of time: from ``start`` to just before ``end``."""

    start: datetime
    end: datetime


def spoken_day(moment: datetime) -> str:
    """8 May 2023: the form in which questions name a day, whatever the locale is."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


_MONTH: Final = (
    "(?P<month>"
    + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS).lower()
    + r"|sept)\b\.?"
)
_WEEKDAY: Final = "(?:" + "|".join(_WEEKDAYS) + ")day"
_COUNT: Final = rf"(?P<count>\d{{1,3}}|a|an|{'|'.join(_NUMBERS)})"
_UNIT: Final = r"(?P<unit>day|week|month|year)s?\b"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)\b"

_TELLS_TIME: Final = re.compile(
    rf"\b(?:yesterday|today|tonight|tomorrow|ago|recently|just|days?|weeks?|months?|years?|{_WEEKDAY}"
    r"|(?:last|next|this) (?:night|weekend|morning|spring|summer|autumn|fall|winter)"
    rf"|{_MONTH.replace('?P<month>', '?:')}|(?:19|20)\d\d|\d{{1,2}}(?:st|nd|rd|th))\b",
    re.IGNORECASE,
)


def tells_time(text: str) -> bool:
    """Whether the text says when something is: "yesterday", "in June", "two weeks ago"."""
    return _TELLS_TIME.search(text) is not None


def read_period(text: str, now: datetime) -> Period | None:
    """The time a question speaks of, or None: "on 7 May 2023", "in June", "last week".

    A month or a day without a year is the latest one that has begun by ``now``. Dates that do
    not exist are no dates. The period has the time zone of ``now``.
    """
    folded = text[:_LOOKED_AT].lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for pattern, read in _READERS:
        for match in pattern.finditer(folded):
            try:
                return read(match, midnight)
            except (ValueError, OverflowError):
                continue  # 31 February, or a thousand years ago
    return None


def _day(match: re.Match[str], now: datetime) -> Period:
    month, year = _month_number(match["month"]), match["year"]
    start = now.replace(year=int(year) if year else now.year, month=month, day=int(match["day"]))
    if not year and start > now:
        start = start.replace(year=start.year - 1)
    return Period(start, start + timedelta(days=1))


def _iso_day(match: re.Match[str], now: datetime) -> Period:
    year, month, day = (int(part) for part in match.groups())
    start = now.replace(year=year, month=month, day=day)
    return Period(start, start + timedelta(days=1))


def _month(match: re.Match[str], now: datetime) -> Period:
    year = int(match["year"]) if match["year"] else now.year
    start = now.replace(year=year, month=_month_number(match["month"]), day=1)
    if not match["year"] and start > now:
        start = start.replace(year=year - 1)
    return Period(start, _months_later(start, 1))


def _year(match: re.Match[str], now: datetime) -> Period:
    start = now.replace(year=int(match["year"]), month=1, day=1)
    return Period(start, start.replace(year=start.year + 1))


def _near_day(match: re.Match[str], now: datetime) -> Period:
    back = 0 if match[0] in {"today", "this morning", "tonight"} else 1
    start = now - timedelta(days=back)
    return Period(start, start + timedelta(days=1))


def _weekday(match: re.Match[str], now: datetime) -> Period:
    wanted = next(i for i, name in enumerate(_WEEKDAYS) if match["weekday"].startswith(name))
    start = now - timedelta(days=(now.weekday() - wanted - 1) % 7 + 1)
    return Period(start, start + timedelta(days=1))


def _named_unit(match: re.Match[str], now: datetime) -> Period:
    back = 1 if match["which"] == "last" else 0
    if match["unit"] == "week":
        start = now - timedelta(days=now.weekday() + 7 * back)
        return Period(start, start + timedelta(days=7))
    if match["unit"] == "weekend":
        start = now - timedelta(days=(now.weekday() - 5) % 7 or 7 * back)
        return Period(start, start + timedelta(days=2))
    if match["unit"] == "month":
        start = _months_later(now.replace(day=1), -back)
        return Period(start, _months_later(start, 1))
    start = now.replace(year=now.year - back, month=1, day=1)
    return Period(start, start.replace(year=start.year + 1))


def _ago(match: re.Match[str], now: datetime) -> Period:
    """About then: half a unit to each side, and never less than a day."""
    then = _back(now, match)
    slack = timedelta(days={"day": 0, "week": 3, "month": 15, "year": 182}[match["unit"]])
    return Period(then - slack, then + slack + timedelta(days=1))


def _lately(match: re.Match[str], now: datetime) -> Period:
    return Period(_back(now, match), now + timedelta(days=1))


def _back(now: datetime, match: re.Match[str]) -> datetime:
    words, unit = match["count"], match["unit"]
    spelled = _NUMBERS.index(words) if words in _NUMBERS else 1  # "a week ago"
    count = int(words) if words.isdecimal() else spelled
    if unit in {"day", "week"}:
        return now - timedelta(days=count * (7 if unit == "week" else 1))
    return _months_later(now, -count * (12 if unit == "year" else 1))


def _month_number(word: str) -> int:
    return next(i for i, name in enumerate(_MONTHS, 1) if name[:3].lower() == word[:3])


def _months_later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, 28) if months else 1)


_Reader = Callable[[re.Match[str], datetime], Period]
_READERS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)\b", _iso_day),
        (rf"\b{_DAY}(?: of)? {_MONTH},?(?: {_YEAR})?", _day),
        (rf"\b{_MONTH} {_DAY},?(?: {_YEAR})?", _day),
        # "may" and "march" are also verbs: without a year they need a word that says time
        (
            rf"\b(?:in|during|since|of|last|this|by|until|early|late|mid) {_MONTH},?(?: {_YEAR})?",
            _month,
        ),
        (rf"\b{_MONTH},? {_YEAR}", _month),
        (rf"\b{_COUNT} {_UNIT} ago\b", _ago),
        (rf"\b(?:last|past) {_COUNT} {_UNIT}", _lately),
        (r"\b(?P<which>last|this) (?P<unit>weekend|week|month|year)\b", _named_unit),
        (r"\b(?:yesterday|last night|today|tonight|this morning)\b", _near_day),
        (rf"\b(?:on|last) (?P<weekday>{_WEEKDAY})\b", _weekday),
        (rf"\b(?:in|during|since|of|year) {_YEAR}", _year),
    )
)
