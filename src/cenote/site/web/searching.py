"""The search page, and its list of results alone for a page that searches as one types."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cenote.catalog.numbers import counted
from cenote.site.search import Found, Mode
from cenote.site.search.form import VERDICTS, read_form
from cenote.site.search.words import MOST_RANKED
from cenote.site.state import Site, TheSite
from cenote.site.web.ballots import voted_on
from cenote.site.web.cards import card_view
from cenote.site.web.following import search_feeds
from cenote.site.web.paging import Pages, page_number
from cenote.site.web.rendering import page, render

router = APIRouter()

PAGE = 20

MODES = {
    Mode.HYBRID: "words and meaning",
    Mode.KEYWORD: "words",
    Mode.SEMANTIC: "meaning",
}


@page(router, "/search")
def search(request: Request, site: TheSite) -> Response:
    """Search papers; every state of the form is an address."""
    if "without" in request.query_params:  # a button, so that it takes along what was typed
        kept = read_form(request.query_params).kept
        query = urlencode({name: kept[name] for name in ("q", "mode") if name in kept})
        return RedirectResponse("/search" + (f"?{query}" if query else ""), 303)
    return _answer(request, site, "search.html.j2")


@page(router, "/search/results")
def results(request: Request, site: TheSite) -> HTMLResponse:
    """Return the list of results alone."""
    return _answer(request, site, "_results.html.j2")


def _answer(request: Request, site: Site, template: str) -> HTMLResponse:
    asked = read_form(request.query_params)
    number = page_number(request)
    found: Found | None = None
    if asked.query or asked.filters:
        offset = (number - 1) * PAGE
        found = site.search.find(asked.query, filters=asked.filters, mode=asked.mode, limit=PAGE, offset=offset)
    hits = found.hits if found else ()
    return render(
        request,
        template,
        asked=asked,
        found=found,
        note=found.note if found else site.search.without_meaning(),
        voted=voted_on(request, site, [hit.stored.number for hit in hits]),
        cards=[card_view(hit.stored, site.methods.by_paper(hit.stored.paper.id), hit.reasons) for hit in hits],
        count=_count(found, asked.query) if found else "",
        feeds=search_feeds(asked),
        pages=Pages(number, PAGE, found.total if found else 0, "/search", asked.kept),
        modes=MODES,
        verdicts=VERDICTS,
    )


def _count(found: Found, query: str) -> str:
    """Say how many papers there are to read, and of how many they are the best."""
    if not query:
        return f"{counted(found.total, 'paper')}, the newest first."
    if found.mode is Mode.SEMANTIC and found.more:
        return f"The {counted(found.total, 'paper')} closest in meaning."
    if found.matched > found.total:
        least = f"more than {MOST_RANKED:,}" if found.more else f"{found.matched:,}"
        return f"The best {found.total:,} of {least} papers found by {MODES[found.mode]}."
    return f"{counted(found.total, 'paper')} found by {MODES[found.mode]}."
