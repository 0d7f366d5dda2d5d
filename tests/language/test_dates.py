"""Days are written the way questions name them, and questions' times are read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.language.dates import Period, read_period, spoken_day, tells_time

NOW = datetime(2024, 5, 15, 18, 30, tzinfo=UTC)  # a Wednesday


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def test_a_day_is_spoken_as_number_month_and_year():
    assert spoken_day(datetime(2023, 5, 8, 13, 56, tzinfo=UTC)) == "8 May 2023"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("What did she do on 7 May 2023?", day(2023, 5, 7), day(2023, 5, 8)),
        ("What happened on May 7th, 2023?", day(2023, 5, 7), day(2023, 5, 8)),
        ("on the 3rd of June 2022", day(2022, 6, 3), day(2022, 6, 4)),
        ("notes of 2023-12-31", day(2023, 12, 31), day(2024, 1, 1)),
        ("in December 2022", day(2022, 12, 1), day(2023, 1, 1)),
        ("in May 2023", day(2023, 5, 1), day(2023, 6, 1)),
        ("the March 2021 trip", day(2021, 3, 1), day(2021, 4, 1)),
        ("in 2022", day(2022, 1, 1), day(2023, 1, 1)),
        ("on 31 February 2023", day(2023, 2, 1), day(2023, 3, 1)),
        ("in April", day(2024, 4, 1), day(2024, 5, 1)),
        ("in June", day(2023, 6, 1), day(2023, 7, 1)),
        ("on 20 May", day(2023, 5, 20), day(2023, 5, 21)),
        ("yesterday", day(2024, 5, 14), day(2024, 5, 15)),
        ("what did I say today", day(2024, 5, 15), day(2024, 5, 16)),
        ("last week", day(2024, 5, 6), day(2024, 5, 13)),
        ("this week", day(2024, 5, 13), day(2024, 5, 20)),
        ("last month", day(2024, 4, 1), day(2024, 5, 1)),
        ("this year", day(2024, 1, 1), day(2025, 1, 1)),
        ("last weekend", day(2024, 5, 11), day(2024, 5, 13)),
        ("on Monday", day(2024, 5, 13), day(2024, 5, 14)),
        ("last Wednesday", day(2024, 5, 8), day(2024, 5, 9)),
        ("three days ago", day(2024, 5, 12), day(2024, 5, 13)),
        ("in the last 10 days", day(2024, 5, 5), day(2024, 5, 16)),
    ],
)
def test_a_time_in_a_question_is_read_against_the_moment_given(text, start, end):
    assert Period(start, end) == read_period(text, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "May I ask what she may want?",
        "Who will march with us?",
        "Room 2023 has 12 chairs",
        "Did the last person leave?",
        "",
    ],
)
def test_what_is_no_time_is_not_read_as_one(text):
    assert read_period(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I went there yesterday", True),
        ("We moved two years ago", True),
        ("It opens in June", True),
        ("Next weekend we hike", True),
        ("I love hiking with you", False),
        ("That is so kind!", False),
    ],
)
def test_a_text_that_says_when_is_told_from_one_that_does_not(text, told):
    assert told == tells_time(text)


@given(st.text(), st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001
def test_no_text_at_any_moment_raises_and_every_period_goes_forward(text, moment):
    period = read_period(text, moment)
    assert period is None or period.start < period.end


@given(
    st.sampled_from(["last", "this"]),
    st.sampled_from(["week", "weekend", "month", "year"]),
    st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001
)
def test_last_ends_where_now_or_this_begins_at_the_latest(which, unit, moment):
    period = read_period(f"{which} {unit}", moment)
    assert period is not None
    assert period.start <= moment + timedelta(days=7)
    if which == "last":
        assert period.end <= moment + timedelta(days=1)
