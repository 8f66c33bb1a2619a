"""The feed: the papers of a day, a week or a month, and those that trend."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from cenote.errors import ArgumentError
from cenote.site.periods import Day, Period
from cenote.site.state import Site, TheSite
from cenote.site.store.reading import count_between, day_after, day_before, newest_day, papers_between
from cenote.site.trending import RULE, trending
from cenote.site.web.ballots import voted_on
from cenote.site.web.cards import card_views
from cenote.site.web.following import newest_feeds, period_feeds
from cenote.site.web.overview import overview
from cenote.site.web.paging import Pages, page_number
from cenote.site.web.periods import KINDS, ShownPeriod, containing, shown_period
from cenote.site.web.rendering import page, render

router = APIRouter()

PAGE = 50
"""Papers on one page."""


@page(router, "/")
def front(request: Request, site: TheSite) -> HTMLResponse:
    """Show the newest day that has papers."""
    with site.database.read() as connection:
        newest = newest_day(connection, _today())
    return _show(request, site, Day(newest or _today()), front=True)


@page(router, "/papers/date/{name}")
def day(request: Request, site: TheSite, name: str) -> HTMLResponse:
    """Show the papers of a day."""
    return _show(request, site, _period("date", name))


@page(router, "/papers/week/{name}")
def week(request: Request, site: TheSite, name: str) -> HTMLResponse:
    """Show the papers of an ISO week."""
    return _show(request, site, _period("week", name))


@page(router, "/papers/month/{name}")
def month(request: Request, site: TheSite, name: str) -> HTMLResponse:
    """Show the papers of a month."""
    return _show(request, site, _period("month", name))


@page(router, "/papers/trending")
def trend(request: Request, site: TheSite) -> HTMLResponse:
    """Show the papers with the most votes for their age; without votes, those with the newest verdicts."""
    number = page_number(request)
    with site.database.read() as connection:
        now = dt.datetime.now(dt.UTC)
        found = trending(connection, site.methods, now, limit=PAGE, offset=(number - 1) * PAGE)
        newest = newest_day(connection, _today())
    return render(
        request,
        "trending.html.j2",
        voted=voted_on(request, site, [stored.number for stored in found.papers]),
        papers=card_views(found.papers, site.methods),
        pages=Pages(number, PAGE, found.total, "/papers/trending", {}),
        by_votes=found.by_votes,
        rule=RULE,
        kinds=containing(newest or _today()),
        overview=overview(site.methods),
    )


@dataclass(frozen=True)
class _Neighbours:
    """The nearest periods that have papers."""

    before: ShownPeriod | None
    after: ShownPeriod | None


def _show(request: Request, site: Site, period: Period, *, front: bool = False) -> HTMLResponse:
    with site.database.read() as connection:
        total = count_between(connection, period.first, period.last)
        shown = ShownPeriod(period)
        pages = Pages(page_number(request), PAGE, total, "/" if front else shown.url, {})
        offset = (pages.number - 1) * PAGE
        papers = papers_between(
            connection, period.first, period.last, preferred=_measured(site), limit=PAGE, offset=offset
        )
        neighbours = _neighbours(connection, period)
        newest = newest_day(connection, _today())
    return render(
        request,
        "feed.html.j2",
        period=shown,
        front=front,
        voted=voted_on(request, site, [stored.number for stored in papers]),
        papers=card_views(papers, site.methods),
        pages=pages,
        feeds=newest_feeds() if front else period_feeds(period),
        neighbours=neighbours,
        newest=shown_period(Day, newest),
        kinds=containing(period.last),
        overview=overview(site.methods),
    )


def _neighbours(connection: Connection, period: Period) -> _Neighbours:
    kind = type(period)
    before, after = day_before(connection, period.first), day_after(connection, period.last)
    return _Neighbours(shown_period(kind, before), shown_period(kind, after))


def _measured(site: Site) -> list[str]:
    return [method.card.arxiv for method in site.methods if method.result]


def _period(kind: str, name: str) -> Period:
    try:
        return KINDS[kind].parse(name)
    except ArgumentError as error:
        raise HTTPException(404, f"There is no such page: {error}.") from None


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
