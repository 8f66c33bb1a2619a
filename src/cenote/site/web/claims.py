"""All measured claims in one table."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cenote.catalog.claim_views import ClaimView
from cenote.site.methods import Method, Methods
from cenote.site.state import TheSite
from cenote.site.web import methods
from cenote.site.web.cards import paper_url
from cenote.site.web.choices import address, chosen
from cenote.site.web.evidence import measured_claims
from cenote.site.web.overview import overview
from cenote.site.web.rendering import page, render
from cenote.site.web.shelves import SHELVES

router = APIRouter()

VERDICTS = {"holds": "holds", "fails": "fails", "unclear": "unclear", "designed": "designed", "stale": "stale"}


@dataclass(frozen=True)
class _Line:
    """A claim on one data set, and where its evidence is."""

    method: Method
    view: ClaimView
    url: str
    paper_url: str


@page(router, "/claims")
def claims(request: Request, site: TheSite) -> HTMLResponse:
    """List the claims that were measured, or those that pass the filters."""
    lines = _lines(site.methods)
    data = sorted({line.view.data for line in lines})
    choice = chosen(request, {"shelf": SHELVES, "verdict": VERDICTS, "data": data})
    passing = [line for line in lines if _passes(line, **choice)]
    return render(
        request,
        "claims.html.j2",
        lines=passing,
        total=len(lines),
        chosen=choice,
        data=data,
        verdicts=VERDICTS,
        methods_url=address("/methods", choice, methods.choices(site.methods)),
        overview=overview(site.methods),
    )


def _passes(line: _Line, *, shelf: str, verdict: str, data: str) -> bool:
    words = {line.view.word} | ({"stale"} if line.method.stale else set())
    return (
        (not shelf or line.method.card.shelf == shelf)
        and (not verdict or verdict in words)
        and (not data or line.view.data == data)
    )


def _lines(methods: Methods) -> list[_Line]:
    return [
        _Line(method, measured.view, f"{paper_url(method.card.arxiv)}#{measured.anchor}", paper_url(method.card.arxiv))
        for method in methods
        if method.result
        for measured in measured_claims(method.card, method.result)
    ]
