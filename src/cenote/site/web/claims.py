"""All measured claims in one table."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cenote.catalog.claim_views import ClaimView
from cenote.site.methods import Method, Methods
from cenote.site.state import TheSite
from cenote.site.web.cards import paper_url
from cenote.site.web.evidence import measured_claims
from cenote.site.web.overview import overview
from cenote.site.web.rendering import page, render

router = APIRouter()

WORDS = ("holds", "fails", "unclear", "designed")


@dataclass(frozen=True)
class _Line:
    """A claim on one data set, and where its evidence is."""

    method: Method
    view: ClaimView
    url: str
    paper_url: str


@page(router, "/claims")
def claims(request: Request, site: TheSite) -> HTMLResponse:
    """List the claims that were measured, or those with one verdict."""
    chosen = request.query_params.get("verdict", "")
    chosen = chosen if chosen in WORDS else ""
    lines = _lines(site.methods)
    return render(
        request,
        "claims.html.j2",
        lines=[line for line in lines if not chosen or line.view.word == chosen],
        total=len(lines),
        chosen=chosen,
        words=WORDS,
        overview=overview(site.methods),
    )


def _lines(methods: Methods) -> list[_Line]:
    return [
        _Line(method, measured.view, f"{paper_url(method.card.arxiv)}#{measured.anchor}", paper_url(method.card.arxiv))
        for method in methods
        if method.result
        for measured in measured_claims(method.card, method.result)
    ]
