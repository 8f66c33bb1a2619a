"""Parameters that several routes take."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BeforeValidator

from cenote.catalog.card import Shelf
from cenote.errors import ArgumentError
from cenote.site.papers import one_line
from cenote.site.periods import Day
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


async def _filters(
    first: Date = None,
    last: Date = None,
    author: Annotated[Text, Query(description="An author's name, or part of it.")] = None,
    category: Annotated[Text, Query(description="An arXiv category, such as cs.CV.")] = None,
    organization: Annotated[Text, Query(description="The organisation.")] = None,
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
