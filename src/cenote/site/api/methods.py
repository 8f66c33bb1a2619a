"""Routes of our own: the methods and everything measured of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Response

from cenote.catalog.card import Shelf
from cenote.errors import UnknownPaperError
from cenote.site.api.answering import NOT_FOUND, new_router
from cenote.site.api.asking import OnShelf, VerdictWord
from cenote.site.api.links import Links
from cenote.site.api.measured import (
    ComparisonInBrief,
    MeasuredClaim,
    MethodInBrief,
    MethodPage,
    claims_of,
    in_brief,
    in_full,
)
from cenote.site.methods import Method
from cenote.site.state import Site, TheSite

router = new_router()


@router.get("/api/methods", tags=["methods"], summary="The papers that have a card")
def list_methods(site: TheSite, shelf: OnShelf = None, verdict: VerdictWord = None) -> list[MethodInBrief]:
    """List the methods with the verdicts of their newest results, the newest paper first."""
    links = Links(site.settings)
    chosen = (method for method in site.methods if shelf is None or method.card.shelf is shelf)
    return [in_brief(method, links) for method in chosen if verdict is None or _has(method, verdict)]


@router.get("/api/methods/{slug}", tags=["methods"], summary="One card and its results", responses=NOT_FOUND)
def one_method(
    site: TheSite, slug: Annotated[str, Path(description="Name of the method, such as order-theory.")]
) -> MethodPage:
    """Return a card with its claims and every result published for it, down to each unit."""
    method = site.methods.by_slug(slug)
    if method is None:
        raise UnknownPaperError(f"there is no method {slug!r:.80}; /api/methods lists them")
    return in_full(method, Links(site.settings))


@router.get("/api/claims", tags=["methods"], summary="All measured claims")
def list_claims(site: TheSite, shelf: OnShelf = None, verdict: VerdictWord = None) -> list[MeasuredClaim]:
    """List the claims that a published result judges, as the newest result of each paper does."""
    return _claims(site, shelf, verdict)


@router.get(
    "/api/claims.csv",
    tags=["methods"],
    summary="All measured claims as a table",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def claims_table(site: TheSite, shelf: OnShelf = None, verdict: VerdictWord = None) -> Response:
    """Return the same as a table, one line a comparison; what is not known is an empty cell."""
    return Response(_table(_claims(site, shelf, verdict)), media_type="text/csv")


_COLUMNS = [name for name in MeasuredClaim.model_fields if name != "comparisons"]
_COMPARISON = list(ComparisonInBrief.model_fields)


def _claims(site: Site, shelf: Shelf | None, verdict: str | None) -> list[MeasuredClaim]:
    links = Links(site.settings)
    return [
        claim
        for method in site.methods
        if shelf is None or method.card.shelf is shelf
        for claim in claims_of(method, links)
        if verdict is None or (claim.stale if verdict == "stale" else claim.word == verdict)
    ]


def _table(claims: Iterable[MeasuredClaim]) -> str:
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, [*_COLUMNS, *_COMPARISON])
    table.writeheader()
    for claim in claims:
        line = claim.model_dump(mode="json")
        comparisons = line.pop("comparisons") or [{}]
        table.writerows(line | comparison for comparison in comparisons)
    return file.getvalue()


def _has(method: Method, verdict: str) -> bool:
    return method.stale if verdict == "stale" else any(each.word == verdict for each in method.verdicts)
