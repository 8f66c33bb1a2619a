"""Routes of the feeds: papers as they come, of a day, of a search; results as they are published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Response

from cenote.site.api.answering import new_router
from cenote.site.api.asking import AskedFilters, Date, Limit, Looking, MonthText, WeekText, Words, read_period
from cenote.site.api.feed import Entry, Feed, paper_entries, result_entries
from cenote.site.api.links import Links
from cenote.site.api.writing import ATOM, JSON_FEED, write_atom, write_json_feed
from cenote.site.papers import one_line
from cenote.site.periods import Period
from cenote.site.search import Filters, Mode
from cenote.site.state import Site, TheSite
from cenote.site.store.reading import StoredPaper, papers_between

router = new_router()

_FRESH = {"Cache-Control": "public, max-age=300"}
_LIMIT = 50


@dataclass(frozen=True)
class AskedPapers:
    """Which papers a feed has; nothing asked is the newest."""

    query: str = ""
    filters: Filters = field(default_factory=Filters)
    period: Period | None = None
    """Days of the feed."""
    limit: int = _LIMIT
    mode: Mode = Mode.HYBRID
    """How a query is looked for; without one it says nothing."""

    @property
    def parameters(self) -> dict[str, str]:
        """What was asked, as an address says it: always alike, whatever order and blanks it came with."""
        mode = self.mode if self.query and self.mode is not Mode.HYBRID else None
        days = {self.period.kind: self.period} if self.period else {}
        given = {"q": self.query, **days, **vars(self.filters), "mode": mode}
        texts = {name: "true" if value is True else str(value) for name, value in given.items() if value}
        return texts if self.limit == _LIMIT else texts | {"limit": str(self.limit)}


def _asked(
    filters: AskedFilters,
    q: Words = "",
    date: Date = None,
    week: WeekText = None,
    month: MonthText = None,
    limit: Limit = _LIMIT,
    mode: Looking = Mode.HYBRID,
) -> AskedPapers:
    return AskedPapers(one_line(q), filters, read_period(date, week, month), limit, mode)


_Asked = Annotated[AskedPapers, Depends(_asked)]


def _described(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    """How a route's answer is described, which is written by hand and no model."""
    return {
        "tags": ["feeds"],
        "response_class": Response,
        "responses": {200: {"content": {media: {"schema": schema}}}},
    }


_AS_ATOM = _described(ATOM, {"type": "string"})
_AS_JSON = _described(JSON_FEED, {"type": "object", "required": ["version", "title", "items"]})


@router.get("/feed.atom", summary="Papers as Atom", **_AS_ATOM)
def papers_as_atom(site: TheSite, asked: _Asked) -> Response:
    """Return the newest papers, those of one day, or those that a search finds, as an Atom feed."""
    return _atom(_papers(site, asked, "/feed.atom"))


@router.get("/feed.json", summary="Papers as JSON Feed", **_AS_JSON)
def papers_as_json(site: TheSite, asked: _Asked) -> Response:
    """Return the same as JSON Feed 1.1."""
    return _json(_papers(site, asked, "/feed.json"))


@router.get("/feed/results.atom", summary="New results as Atom", **_AS_ATOM)
def results_as_atom(site: TheSite, limit: Limit = _LIMIT) -> Response:
    """Return the newest published results with their verdicts, as an Atom feed."""
    return _atom(_results(site, limit, "/feed/results.atom"))


@router.get("/feed/results.json", summary="New results as JSON Feed", **_AS_JSON)
def results_as_json(site: TheSite, limit: Limit = _LIMIT) -> Response:
    """Return the same as JSON Feed 1.1."""
    return _json(_results(site, limit, "/feed/results.json"))


def _papers(site: Site, asked: AskedPapers, path: str) -> Feed:
    links, said = Links(site.settings), asked.parameters
    name = urlencode({key: value for key, value in said.items() if key != "limit"})
    return Feed(
        id=links.tag("feed/papers" + (f"?{name}" if name else "")),
        title=_title(asked),
        home=_home(asked, links),
        address=links.to(path, said),
        entries=paper_entries(_found(site, asked), site.methods, links),
    )


def _results(site: Site, limit: int, path: str) -> Feed:
    links = Links(site.settings)
    entries: Sequence[Entry] = result_entries(site.methods, links, limit)
    said = {} if limit == _LIMIT else {"limit": str(limit)}
    return Feed(links.tag("feed/results"), "cenote: new results", links.to("/methods"), links.to(path, said), entries)


def _found(site: Site, asked: AskedPapers) -> Sequence[StoredPaper]:
    days = (asked.period.first, asked.period.last) if asked.period else None
    if asked.query or asked.filters:
        filters = replace(asked.filters, within=days)
        found = site.search.find(asked.query, filters=filters, mode=asked.mode, limit=asked.limit, explained=False)
        return [hit.stored for hit in found.hits]
    first, last = days or (dt.date.min, dt.date.max)
    with site.database.read() as connection:
        return papers_between(connection, first, last, order="newest", limit=asked.limit)


def _title(asked: AskedPapers) -> str:
    said = {name: value for name, value in asked.parameters.items() if name not in ("q", "limit")}
    period = asked.period
    if period is not None:
        said.pop(period.kind)
    of_days = f"papers of {'' if period.kind == 'date' else f'{period.kind} '}{period}" if period else ""
    words = [of_days, f"“{asked.query}”" if asked.query else "", *(f"{name} {value}" for name, value in said.items())]
    return "cenote: " + (", ".join(filter(None, words)) or "newest papers")


def _home(asked: AskedPapers, links: Links) -> str:
    said = {name: value for name, value in asked.parameters.items() if name != "limit"}
    if not said:
        return links.to("/")
    if asked.period and len(said) == 1:
        return links.to(f"/papers/{asked.period.kind}/{asked.period}")
    if asked.period:
        said.pop(asked.period.kind)  # the search page has no such field
    return links.to("/search", said)


def _atom(feed: Feed) -> Response:
    return Response(write_atom(feed), media_type=ATOM, headers=_FRESH)


def _json(feed: Feed) -> Response:
    return Response(write_json_feed(feed), media_type=JSON_FEED, headers=_FRESH)
