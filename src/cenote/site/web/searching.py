"""The search page, and its list of results alone for a page that searches as one types."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cenote.catalog.numbers import counted
from cenote.site.search import Filters, Found, Mode
from cenote.site.search.words import MOST_RANKED
from cenote.site.state import Site, TheSite
from cenote.site.web.cards import card_view
from cenote.site.web.paging import Pages, page_number
from cenote.site.web.rendering import page, render
from cenote.site.web.shelves import SHELVES

router = APIRouter()

PAGE = 20
LONGEST = 500
"""Characters of a query that are read."""

MODES = {
    Mode.HYBRID: "words and meaning",
    Mode.KEYWORD: "words",
    Mode.SEMANTIC: "meaning",
}
VERDICTS = {"holds": "a claim holds", "fails": "a claim fails", "unclear": "a claim is unclear", "stale": "stale"}


@page(router, "/search")
def search(request: Request, site: TheSite) -> HTMLResponse:
    """Search papers; every state of the form is an address."""
    return _answer(request, site, "search.html.j2")


@page(router, "/search/results")
def results(request: Request, site: TheSite) -> HTMLResponse:
    """Return the list of results alone."""
    return _answer(request, site, "_results.html.j2")


@dataclass(frozen=True)
class _Asked:
    """The form as it was filled in."""

    query: str
    mode: Mode
    filters: Filters
    kept: Mapping[str, str]
    """What the form had, for the addresses of further pages."""
    left_out: tuple[str, ...]
    """Sentences about what could not be used."""


def _answer(request: Request, site: Site, template: str) -> HTMLResponse:
    asked = _read(request.query_params)
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
        cards=[card_view(hit.stored, site.methods.by_paper(hit.stored.paper.id), hit.reasons) for hit in hits],
        count=_count(found) if found else "",
        pages=Pages(number, PAGE, found.total if found else 0, "/search", asked.kept),
        modes=MODES,
        verdicts=VERDICTS,
    )


def _count(found: Found) -> str:
    """Say how many papers there are to read, and of how many they are the best."""
    if found.mode is Mode.SEMANTIC and found.more:
        return f"The {counted(found.total, 'paper')} closest in meaning."
    if found.matched > found.total:
        least = f"more than {MOST_RANKED:,}" if found.more else f"{found.matched:,}"
        return f"The best {found.total:,} of {least} papers found by {MODES[found.mode]}."
    return f"{counted(found.total, 'paper')} found by {MODES[found.mode]}."


def _read(form: Mapping[str, str]) -> _Asked:
    """Read the form; what cannot be used is left out and said, never an error."""
    texts = {name: _clean(form.get(name, "")) for name in (*_FIELDS, "q", "mode")}
    values: dict[str, object] = {}
    left_out: list[str] = []
    for name, (read, sentence) in _FIELDS.items():
        if not texts[name]:
            continue
        value = read(texts[name])
        if value is None:
            left_out.append(f"“{texts[name]}” {sentence}, so it was left out.")
        else:
            values[name] = value
    mode = Mode(texts["mode"]) if texts["mode"] in set(Mode) else Mode.HYBRID
    kept = {name: text for name, text in texts.items() if text and (name in values or name == "q")}
    if mode is not Mode.HYBRID:
        kept["mode"] = mode.value
    return _Asked(texts["q"], mode, Filters(**values), kept, tuple(left_out))  # type: ignore[arg-type]


def _clean(text: str) -> str:
    """One line without control characters or lone surrogates, which no database takes."""
    text = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text[:LONGEST])
    return " ".join(text.split())


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _one_of(allowed: Mapping[str, object]) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


_FIELDS: dict[str, tuple[Callable[[str], object | None], str]] = {
    "first": (_date, "is no day such as 2026-11-23"),
    "last": (_date, "is no day such as 2026-11-23"),
    "author": (str, ""),
    "category": (str, ""),
    "organization": (str, ""),
    "shelf": (_one_of(SHELVES), "is no shelf"),
    "verdict": (_one_of(VERDICTS), "is no verdict"),
    "has_code": (lambda text: True if text in ("1", "on", "true") else None, "is no answer to whether there is code"),
}
"""The filters, how each is read, and what is said where it cannot be."""
