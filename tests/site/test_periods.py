"""Days, weeks and months against the standard library's calendar."""

from __future__ import annotations

import calendar
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.errors import ArgumentError
from cenote.site.periods import Day, Month, Period, Week

KINDS: list[type[Period]] = [Day, Week, Month]
DAYS = st.dates(dt.date(1, 2, 1), dt.date(9999, 11, 30))


@given(DAYS)
def test_a_week_is_the_one_iso_8601_says(day: dt.date) -> None:
    week = Week.containing(day)
    year, number, _ = day.isocalendar()
    assert str(week) == f"{year:04}-W{number:02}"
    assert (week.first, week.last) == tuple(dt.date.fromisocalendar(year, number, each) for each in (1, 7))


@given(DAYS)
def test_a_month_is_as_long_as_the_calendar_says(day: dt.date) -> None:
    month = Month.containing(day)
    assert month.first == dt.date(day.year, day.month, 1)
    assert month.last == dt.date(day.year, day.month, calendar.monthrange(day.year, day.month)[1])
    assert str(month) == day.isoformat()[:7]


@pytest.mark.parametrize("kind", KINDS)
@given(day=DAYS)
def test_periods_follow_each_other_without_a_gap(kind: type[Period], day: dt.date) -> None:
    period = kind.containing(day)
    assert period.first <= day <= period.last
    assert kind.parse(str(period)) == period
    after, before = period.next, period.previous
    assert after is not None
    assert before is not None
    assert after.first - period.last == period.first - before.last == dt.timedelta(days=1)
    assert after.previous == before.next == period
    assert before < period < after


@pytest.mark.parametrize("kind", KINDS)
def test_the_calendar_ends(kind: type[Period]) -> None:
    first, last = kind.parse(_ends(kind)[0]), kind.parse(_ends(kind)[1])
    assert first.previous is None
    assert last.next is None


def _ends(kind: type[Period]) -> tuple[str, str]:
    # 0001-01-01 is a Monday; 9999-12-31 a Friday, so its week does not end.
    return {Day: ("0001-01-01", "9999-12-31"), Week: ("0001-W01", "9999-W51"), Month: ("0001-01", "9999-12")}[kind]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Day, text) for text in ("", "2025-02-29", "2025-2-1", "20250201", "2025-W09-1", "0000-01-01", "٢٠٢٥-٠١-٠١")),
        *((Week, text) for text in ("2025-W53", "2025-W00", "2025-09", "2025W09", "0000-W10", "9999-W52", "2025-W9\n")),
        *((Month, text) for text in ("2025-13", "2025-00", "0000-01", "2025-1", "2025", "2025-01-01", " 2025-01")),
    ],
)
def test_what_is_no_period_is_told_in_one_sentence(kind: type[Period], text: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{kind.kind} must be .*, got ") as error:
        kind.parse(text)
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_last_week_is_told_when_it_does_not_end() -> None:
    with pytest.raises(ArgumentError, match="week must be"):
        Week.containing(dt.date.max)


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.from_regex(r"\d{4}-(W?\d\d)(-\d\d)?", fullmatch=True))
def test_any_text_is_a_period_or_an_argument_error(kind: type[Period], text: str) -> None:
    try:
        period = kind.parse(text)
    except ArgumentError:
        return
    assert str(period) == text
