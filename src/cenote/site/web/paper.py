"""A paper's page, the same as text, its BibTeX, its results and their figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from cenote.catalog.results import Result
from cenote.errors import ArgumentError
from cenote.site.methods import Method
from cenote.site.papers import paper_id as read_paper_id
from cenote.site.state import Site, TheSite
from cenote.site.store.reading import StoredPaper, find_paper
from cenote.site.tex import plain
from cenote.site.web.ballots import voted_on
from cenote.site.web.cards import card_view, code_url, excerpt, paper_url, web_address
from cenote.site.web.chips import Chip, count_chips, method_chips
from cenote.site.web.citing import bibtex
from cenote.site.web.evidence import claim_sections, withdrawn
from cenote.site.web.rendering import page, render, render_text
from cenote.site.web.running import offer_below
from cenote.site.web.shelves import SHELVES
from cenote.site.web.talk import talk_below

router = APIRouter()


@dataclass(frozen=True)
class _Run:
    """A published result in the history."""

    result: Result
    chips: tuple[Chip, ...]
    stale: bool
    """Whether claims, method or experiment changed since."""


_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_ASK_AGAIN = {"Cache-Control": "no-cache"}
_MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}
_PICTURE_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""A picture opened by itself may be styled, and do nothing."""


@page(router, "/papers/{name:path}/results/{run_id}/{file}")
def figure(site: TheSite, name: str, run_id: str, file: str) -> Response:
    """Return a figure of a published result; it never changes, as the result's checksum covers it."""
    method, result = _result(site, name, run_id)
    media = _MEDIA.get(Path(file).suffix)
    if media is None or file not in {each.file for each in result.figures}:
        raise HTTPException(404, "This result has no such figure.")
    path = site.methods.folder / method.card.slug / result.run_id / file
    return FileResponse(path, media_type=media, headers=_FOR_EVER | _PICTURE_POLICY)


@page(router, "/papers/{name:path}/results/{run_id}.json")
def result_file(site: TheSite, name: str, run_id: str) -> Response:
    """Return a published result with every number of it."""
    method, result = _result(site, name, run_id)
    path = site.methods.folder / method.card.slug / f"{result.run_id}.json"
    return FileResponse(path, media_type="application/json", headers=_FOR_EVER)


@page(router, "/papers/{name:path}/history")
def history(request: Request, site: TheSite, name: str) -> Response:
    """Show every published result of a paper."""
    stored = _stored(site, name)
    if isinstance(stored, Response):
        return stored
    method = site.methods.by_paper(stored.paper.id)
    runs = _runs(method) if method else []
    return render(
        request,
        "history.html.j2",
        paper=stored.paper,
        url=paper_url(stored.paper.id),
        method=method,
        runs=runs,
        sentences={claim.id: claim.sentence for claim in method.card.claims} if method else {},
    )


@page(router, "/papers/{name:path}.bib")
def citation(site: TheSite, name: str) -> Response:
    """Return a paper's BibTeX entry."""
    stored = _stored(site, name, ".bib")
    if isinstance(stored, Response):
        return stored
    return PlainTextResponse(bibtex(stored.paper), media_type="application/x-bibtex", headers=_ASK_AGAIN)


@page(router, "/papers/{name:path}.md")
def markdown(site: TheSite, name: str) -> Response:
    """Return a paper's page as Markdown."""
    stored = _stored(site, name, ".md")
    if isinstance(stored, Response):
        return stored
    text = render_text("paper.md.j2", **_context(site, stored))
    return PlainTextResponse(text, media_type="text/markdown", headers=_ASK_AGAIN)


@page(router, "/papers/{name:path}")
def paper(request: Request, site: TheSite, name: str) -> Response:
    """Show a paper: what it says, what was measured of it, and how to use it."""
    stored = _stored(site, name)
    if isinstance(stored, Response):
        return stored
    similar = [
        card_view(hit.stored, site.methods.by_paper(hit.stored.paper.id), hit.reasons)
        for hit in site.search.similar(stored, limit=6)
    ]
    return render(
        request,
        "paper.html.j2",
        similar=similar,
        view=card_view(stored, None),
        voted=voted_on(request, site, [stored.number]),
        talk=talk_below(request, site, stored),
        offer=offer_below(request, site, site.methods.by_paper(stored.paper.id)),
        **_context(site, stored),
    )


def _context(site: Site, stored: StoredPaper) -> dict[str, Any]:
    """What both forms of a paper's page say."""
    found = stored.paper
    method = site.methods.by_paper(found.id)
    result = method.result if method else None
    return {
        "paper": found,
        "url": paper_url(found.id),
        "base_url": site.settings.base_url.rstrip("/"),
        "day": stored.day,
        "votes": stored.votes,
        "author_count": stored.author_count,
        "description": excerpt(plain(found.summary or found.title), 160),
        "code_url": code_url(found, method),
        "project_url": web_address(found.project_url),
        "bibtex": bibtex(found),
        "method": method,
        "shelf": SHELVES[method.card.shelf.value] if method else None,
        "chips": method_chips(method) if method else (),
        "result": result,
        "claims": claim_sections(method.card, result) if method else [],
        "withdrawn": withdrawn(method.card, result) if method and result else [],
    }


def _stored(site: Site, name: str, ending: str = "") -> StoredPaper | Response:
    """Return the paper an address names, or where its page is, if the name is another of the same paper.

    Raises:
        HTTPException: 404 if there is no such paper.
    """
    method = site.methods.by_slug(name.lower().replace("_", "-"))
    try:
        wanted = method.card.arxiv if method else read_paper_id(name)
    except ArgumentError:
        raise HTTPException(404, "There is no paper of this name; an arXiv identifier reads 2412.06097.") from None
    with site.database.read() as connection:
        stored = find_paper(connection, wanted)
    if stored is None:
        raise HTTPException(404, f"The paper {wanted} is not in this feed.")
    return stored if wanted == name else RedirectResponse(paper_url(wanted) + ending, 308)


def _runs(method: Method) -> list[_Run]:
    newest = method.results[0].hashes if method.results else None
    return [
        _Run(result, count_chips(result.verdicts), stale=method.stale or result.hashes != newest)
        for result in method.results
    ]


def _result(site: Site, name: str, run_id: str) -> tuple[Method, Result]:
    method = site.methods.by_paper(name)
    for result in method.results if method else ():
        if method and result.run_id == run_id:
            return method, result
    raise HTTPException(404, "This paper has no such result.")
