"""All papers with a card, shelf by shelf."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cenote.site.methods import Method
from cenote.site.state import TheSite
from cenote.site.web.cards import paper_url
from cenote.site.web.chips import Chip, method_chips
from cenote.site.web.choices import address, chosen
from cenote.site.web.rendering import page, render
from cenote.site.web.shelves import SHELVES, ShelfView

router = APIRouter()

VERDICTS = {
    "holds": "a claim holds",
    "fails": "a claim fails",
    "unclear": "a claim is unclear",
    "stale": "stale",
    "none": "not measured yet",
}


@dataclass(frozen=True)
class _Line:
    """A paper in the list of a shelf."""

    method: Method
    url: str
    chips: tuple[Chip, ...]
    data: tuple[str, ...]


@page(router, "/methods")
def methods(request: Request, site: TheSite) -> HTMLResponse:
    """List the papers of all shelves, or those that pass the filters; a value that is not known filters nothing."""
    allowed = choices(site.methods)
    choice = chosen(request, allowed)
    passing = [method for method in site.methods if _passes(method, **choice)]
    return render(
        request,
        "methods.html.j2",
        chosen=choice,
        data=allowed["data"],
        claims_url=address("/claims", choice, {**allowed, "verdict": set(VERDICTS) - {"none"}}),
        verdicts=VERDICTS,
        found=len(passing),
        total=len(site.methods),
        groups=_by_shelf(passing),
    )


def choices(methods: Iterable[Method]) -> dict[str, Collection[str]]:
    """Return the filters of the list with the values that each may have."""
    data = sorted({name for method in methods for name in _data(method)})
    return {"shelf": SHELVES, "verdict": VERDICTS, "data": data}


def _by_shelf(methods: Iterable[Method]) -> list[tuple[ShelfView, list[_Line]]]:
    lines: dict[str, list[_Line]] = {}
    for method in sorted(methods, key=lambda each: (each.result is None, not each.card.runs)):  # what can be used first
        line = _Line(method, paper_url(method.card.arxiv), method_chips(method), _data(method))
        lines.setdefault(method.card.shelf.value, []).append(line)
    return [(view, lines[name]) for name, view in SHELVES.items() if name in lines]


def _passes(method: Method, *, shelf: str, verdict: str, data: str) -> bool:
    # Asked for both, one claim must have the verdict on these data.
    words = {each.word for each in method.verdicts if data in ("", each.data)} | ({"stale"} if method.stale else set())
    return (
        (not shelf or method.card.shelf == shelf)
        and (not verdict or verdict in (words or {"none"}))
        and (not data or data in _data(method))
    )


def _data(method: Method) -> tuple[str, ...]:
    """The data sets a paper was measured on, or will be."""
    measured = [verdict.data for verdict in method.verdicts]
    return tuple(dict.fromkeys(measured or [name for claim in method.card.claims for name in claim.data]))
