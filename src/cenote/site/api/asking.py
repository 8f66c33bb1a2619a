"""Parameters that several routes take."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BeforeValidator

from cenote.catalog.card import Shelf
from cenote.errors import ArgumentError
from cenote.site.papers import one_line
from cenote.site.periods import Day, Month, Period, Week
from cenote.site.search import Filters, Mode


def _or_none(value: object) -> object:
    return value or None  # a form sends the fields that were left empty


def _or_false(value: object) -> object:
    return value or False


_Blank = BeforeValidator(_or_none)

Text = Annotated[str | None, _Blank]

Limit = Annotated[int, Query(ge=1, le=100, description="Number of papers at most.")]
Page = Annotated[int, Query(ge=0, le=1_000_000, description="Number of the page, from 0.")]
Words = Annotated[str, Query(description="What to search for; empty for all papers, the newest first.")]
Looking = Annotated[Mode, Query(description="By words, by meaning, or both.")]
Date = Annotated[Text, Query(description="A day: YYYY-MM-DD.", json_schema_extra={"format": "date"})]
_WEEK = "^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$"
_MONTH = "^[0-9]{4}-(0[1-9]|1[0-2])$"
WeekText = Annotated[Text, Query(description="An ISO week: YYYY-Www.", json_schema_extra={"pattern": _WEEK})]
MonthText = Annotated[Text, Query(description="A month: YYYY-MM.", json_schema_extra={"pattern": _MONTH})]
VerdictWord = Annotated[
    Literal["holds", "fails", "unclear", "stale"] | None,
    _Blank,
    Query(description="A verdict that one of the paper's claims has; stale if the result is older than the method."),
]
OnShelf = Annotated[Shelf | None, _Blank, Query(description="Shelf of the paper's card.")]


def read_day(text: str | None, name: str) -> dt.date | None:
    """Return the day that a parameter names.

    Raises:
        ArgumentError: If it is none; names the parameter.
    """
    try:
        return Day.parse(text).first if text else None
    except ArgumentError as error:
        raise ArgumentError(str(error).replace(Day.kind, name, 1)) from None


def read_period(date: str | None, week: str | None, month: str | None) -> Period | None:
    """Return the days of the feed that these parameters name.

    Raises:
        ArgumentError: If more than one is given, or the calendar does not have it.
    """
    asked = {"date": date, "week": week, "month": month}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise ArgumentError(f"give at most one of date, week and month, got {' and '.join(given)}")
    if date:
        return Day.parse(date)
    if week:
        return Week.parse(week)
    return Month.parse(month) if month else None


async def _filters(
    first: Annotated[Date, Query(description="First day, YYYY-MM-DD, on which a paper was published.")] = None,
    last: Annotated[Date, Query(description="Last day, YYYY-MM-DD, on which a paper was published.")] = None,
    author: Annotated[Text, Query(description="An author's name, or part of it.")] = None,
    category: Annotated[Text, Query(description="An arXiv category, such as cs.CV.")] = None,
    organization: Annotated[Text, Query(description="An organisation's name, or words of it.")] = None,
    shelf: OnShelf = None,
    verdict: VerdictWord = None,
    has_code: Annotated[
        bool, BeforeValidator(_or_false), Query(description="Only papers whose code is known.")
    ] = False,
) -> Filters:
    # Not a plain function, which FastAPI would call in a thread.
    return Filters(
        first=read_day(first, "first"),
        last=read_day(last, "last"),
        author=_clean(author),
        category=_clean(category),
        organization=_clean(organization),
        shelf=shelf.value if shelf else None,
        verdict=verdict,
        has_code=has_code,
    )


AskedFilters = Annotated[Filters, Depends(_filters)]
"""Type of a route's parameter that receives the search page's filters."""


def _clean(text: str | None) -> str | None:
    """Without control characters, which no database takes."""
    return one_line(text) or None if text else None
