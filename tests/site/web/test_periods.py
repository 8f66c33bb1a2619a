"""Names and addresses of days, weeks and months."""

from __future__ import annotations

import datetime as dt

import pytest

from cenote.site.periods import Period
from cenote.site.web.periods import KINDS, ShownPeriod, containing


@pytest.mark.parametrize(
    ("kind", "day", "title"),
    [
        ("date", dt.date(2026, 11, 23), "Monday 23 November 2026"),
        ("week", dt.date(2026, 11, 23), "Week 48, 23 – 29 November 2026"),
        ("week", dt.date(2026, 1, 1), "Week 1, 29 December 2025 – 4 January 2026"),
        ("week", dt.date(2026, 10, 30), "Week 44, 26 October – 1 November 2026"),
        ("month", dt.date(2026, 11, 23), "November 2026"),
    ],
)
def test_titles(kind: str, day: dt.date, title: str) -> None:
    period: Period = KINDS[kind].containing(day)
    assert ShownPeriod(period).title == title


def test_addresses() -> None:
    assert containing(dt.date(2026, 1, 1)) == {
        "date": "/papers/date/2026-01-01",
        "week": "/papers/week/2026-W01",
        "month": "/papers/month/2026-01",
    }
