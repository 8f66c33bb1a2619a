"""The hub's routes: papers of a day, a week, a month; search; one paper."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Path, Query, Response

from cenote.errors import ArgumentError, UnknownPaperError
from cenote.site.api.answering import NOT_FOUND, new_router
from cenote.site.api.asking import (
    AskedFilters,
    Date,
    Limit,
    Looking,
    MonthText,
    Page,
    Text,
    WeekText,
    Words,
    read_period,
)
from cenote.site.api.hub import HubItem, HubPage, item, page
from cenote.site.papers import one_line, paper_id
from cenote.site.search import Mode
from cenote.site.state import Site, TheSite
from cenote.site.store.reading import StoredPaper, find_paper, papers_between
from cenote.site.trending import trending

router = new_router()

_ALWAYS = (dt.date.min, dt.date.max)
_LOOKED_FOR: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Search-Mode": {
                "description": "How papers were really looked for: hybrid, keyword or semantic.",
                "schema": {"type": "string", "enum": list(Mode)},
            }
        }
    }
}


class Sort(StrEnum):
    """Orders of a list."""

    PUBLISHED = "publishedAt"
    TRENDING = "trending"


@router.get("/api/daily_papers", tags=["papers"], summary="Papers of a day, a week or a month")
def daily_papers(
    site: TheSite,
    date: Date = None,
    week: WeekText = None,
    month: MonthText = None,
    submitter: Annotated[Text, Query(description="Only the papers that this person submitted.")] = None,
    sort: Annotated[Sort, Query(description="Newest day first, or votes over age.")] = Sort.PUBLISHED,
    p: Page = 0,
    limit: Limit = 50,
) -> list[HubItem]:
    """List the papers of a day, a week or a month, or the newest of all.

    The day is that on which the paper was featured, else that of its first version. At most one of `date`, `week` and
    `month` can be given. A period without papers is an empty list.
    """
    period = read_period(date, week, month)
    submitter = one_line(submitter) if submitter else None
    with site.database.read() as connection:
        found: list[StoredPaper]
        if sort is Sort.TRENDING:
            days = (period.first, period.last) if period else None
            now = dt.datetime.now(dt.UTC)
            page_of = trending(
                connection, site.methods, now, days=days, submitter=submitter, limit=limit, offset=p * limit
            )
            found = list(page_of.papers)
        else:
            first, last = (period.first, period.last) if period else _ALWAYS
            found = list(
                papers_between(
                    connection, first, last, order="newest", submitter=submitter, limit=limit, offset=p * limit
                )
            )
    return [item(stored, site) for stored in found]


@router.get("/api/papers/search", tags=["papers"], summary="Search papers", responses=_LOOKED_FOR)
def search_papers(
    site: TheSite,
    response: Response,
    filters: AskedFilters,
    q: Words = "",
    mode: Looking = Mode.HYBRID,
    p: Page = 0,
    limit: Limit = 20,
) -> list[HubItem]:
    """Return the papers that match, best first. Any text is a query; none is an error.

    Where papers have no vectors they are looked for by words, whatever `mode` asks; the header `Search-Mode` says so.
    """
    found = site.search.find(q, filters=filters, mode=mode, limit=limit, offset=p * limit, explained=False)
    response.headers["Search-Mode"] = found.mode
    return [item(hit.stored, site) for hit in found.hits]


@router.get("/api/papers/{paper:path}", tags=["papers"], summary="One paper", responses=NOT_FOUND)
def one_paper(
    site: TheSite,
    paper: Annotated[str, Path(description="arXiv identifier: 2412.06097, hep-th/9901001; a version is passed over.")],
) -> HubPage:
    """Return one paper."""
    return page(_stored(site, paper), site)


def _stored(site: Site, text: str) -> StoredPaper:
    try:
        wanted = paper_id(text)
    except ArgumentError as error:
        raise UnknownPaperError(str(error)) from None
    with site.database.read() as connection:
        stored = find_paper(connection, wanted)
    if stored is None:
        raise UnknownPaperError(f"the paper {wanted} is not in this feed")
    return stored
