"""Where feed readers find what a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from cenote.site.api.feeds import AskedPapers
from cenote.site.periods import Period
from cenote.site.search.form import SearchForm


@dataclass(frozen=True)
class Feeds:
    """The addresses of the same papers in each form."""

    atom: str
    json: str


def newest_feeds() -> Feeds:
    """Return the feeds of the newest papers."""
    return _feeds(AskedPapers())


def period_feeds(period: Period) -> Feeds:
    """Return the feeds of the papers of a period."""
    return _feeds(AskedPapers(period=period))


def search_feeds(form: SearchForm) -> Feeds:
    """Return the feeds of what a search finds."""
    return _feeds(AskedPapers(form.query, form.filters, mode=form.mode))


def _feeds(asked: AskedPapers) -> Feeds:
    query = f"?{urlencode(asked.parameters)}" if asked.parameters else ""
    return Feeds(f"/feed.atom{query}", f"/feed.json{query}")
