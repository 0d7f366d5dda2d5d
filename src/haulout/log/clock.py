"""Time: the hybrid clock of records, and datetimes to microseconds and back.

A record's clock is the wall clock in microseconds, pushed just past the newest clock seen
(Kulkarni et al., "Logical Physical Clocks", 2014, with the counter folded into the
microseconds: it would take a million records a second, kept up, to drift).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from haulout.errors import InputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
FOREVER = 2**62
"""Later than any time: the open end of an interval."""


def tick(newest_us: int, now_us: int) -> int:
    """The clock of the next record, given the newest one seen and the wall clock."""
    return max(now_us, newest_us + 1)


def to_microseconds(value: datetime | str, name: str) -> int:
    """Microseconds since 1970 UTC of a timezone-aware datetime or ISO 8601 text.

    Args:
        value: the time; ``name`` is the argument it came in, for the message.

    Raises:
        InputError: it has no timezone, or is no time at all.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            message = f"{name}={value[:40]!r} is not a time in ISO 8601."
            raise InputError(message) from error
    if not isinstance(value, datetime):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        message = f"{name} must be a datetime or ISO 8601 text, not {type(value).__name__}."
        raise InputError(message)
    if value.utcoffset() is None:
        message = f"{name}={value.isoformat()} has no timezone."
        raise InputError(message, hint="Add one, such as tzinfo=UTC or a trailing +02:00.")
    microseconds = (value - _EPOCH) // _MICROSECOND
    if not _EARLIEST <= microseconds <= _LATEST:
        message = f"{name}={value.isoformat()} is outside the years 1 to 9999 in UTC."
        raise InputError(message)
    return microseconds


def from_microseconds(microseconds: int) -> datetime:
    """The UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
