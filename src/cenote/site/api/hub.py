"""Papers in the JSON shape of the Hugging Face hub, so that its clients read this site unchanged.

What the hub has and this site has not (discussion, generated summary, linked models) is left out; what this site adds
stands under the one key ``cenote``.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cenote.catalog.card import Shelf
from cenote.site.api.links import Links
from cenote.site.api.measured import VerdictInBrief, verdicts_of
from cenote.site.methods import Method
from cenote.site.state import Site
from cenote.site.store.reading import StoredPaper


class _Hub(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class Author(_Hub):
    """An author."""

    name: str
    hidden: bool = False


class Person(_Hub):
    """Who submitted a paper; the source gives one name."""

    user: str
    fullname: str


class Organization(_Hub):
    """Where a paper comes from; the source gives one name."""

    name: str
    fullname: str


class Measured(BaseModel):
    """The paper's card here, and what was measured of it."""

    slug: str
    shelf: Shelf
    status: Literal["listed", "runs"] = Field(description="'runs' if the paper's method is here.")
    run_id: str | None = Field(description="The newest published result; null if nothing was measured.")
    stale: bool = Field(description="Whether claims, method or experiment changed since.")
    verdicts: list[VerdictInBrief]
    details: str = Field(description="Address of the card and all results, as JSON.")


class Addresses(BaseModel):
    """Where to go on."""

    page: str = Field(description="The paper's page here.")
    markdown: str = Field(description="The same as text.")
    arxiv: str
    pdf: str


class Additions(BaseModel):
    """What this site says beyond the hub's fields."""

    day: dt.date | None = Field(description="Day under which the feed shows the paper.")
    updated: dt.datetime | None = Field(description="Latest version, or latest change of the record.")
    categories: list[str] = Field(description="arXiv categories, the primary one first.")
    method: Measured | None = Field(description="Null if the paper has no card.")
    links: Addresses


class HubPaper(_Hub):
    """A paper; null is not known."""

    id: str = Field(description="arXiv identifier.")
    title: str
    summary: str | None
    authors: list[Author] | None = Field(description="In the paper's order; null if no source gives names.")
    num_authors: int | None = Field(description="Number of authors, also where names are not given.")
    published_at: dt.datetime | None = Field(description="First version on arXiv.")
    upvotes: int = Field(description="Votes at the source, and of readers here.")
    submitted_on_daily_at: dt.datetime | None = Field(description="Beginning of the day that shows it.")
    submitted_on_daily_by: Person | None
    ai_keywords: list[str] = Field(serialization_alias="ai_keywords", description="Keywords of the source.")
    organization: Organization | None
    project_page: str | None
    github_repo: str | None = Field(description="Released code, on GitHub or elsewhere.")
    github_stars: int | None


class HubItem(_Hub):
    """A paper of a list."""

    paper: HubPaper
    title: str
    summary: str | None
    published_at: dt.datetime | None = Field(
        description="Beginning of the day that shows the paper; null if the paper's own date is not known, for which "
        "clients would take it."
    )
    submitted_on_daily_at: dt.datetime | None = Field(description="Beginning of the day that shows the paper.")
    submitted_by: Person | None
    organization: Organization | None
    num_comments: int
    cenote: Additions


class HubPage(HubPaper):
    """A paper by itself."""

    num_comments: int
    cenote: Additions


def item(stored: StoredPaper, site: Site) -> HubItem:
    """Return a paper as lists have it."""
    inner = _paper(stored)
    return HubItem(
        paper=inner,
        title=inner.title,
        summary=inner.summary,
        published_at=inner.submitted_on_daily_at if inner.published_at else None,
        submitted_on_daily_at=inner.submitted_on_daily_at,
        submitted_by=inner.submitted_on_daily_by,
        organization=inner.organization,
        num_comments=stored.comments or 0,
        cenote=_additions(stored, site),
    )


def page(stored: StoredPaper, site: Site) -> HubPage:
    """Return a paper as it is by itself."""
    inner = _paper(stored)
    fields = {name: getattr(inner, name) for name in HubPaper.model_fields}
    return HubPage(**fields, num_comments=stored.comments or 0, cenote=_additions(stored, site))


def _paper(stored: StoredPaper) -> HubPaper:
    paper = stored.paper
    day = dt.datetime.combine(stored.day, dt.time(), dt.UTC) if stored.day else None
    names = paper.authors
    return HubPaper(
        id=paper.id,
        title=paper.title,
        summary=paper.summary,
        authors=None if names is None else [Author(name=name) for name in names],
        num_authors=stored.author_count,
        published_at=paper.published,
        upvotes=stored.votes or 0,
        submitted_on_daily_at=day,
        submitted_on_daily_by=Person(user=paper.submitted_by, fullname=paper.submitted_by)
        if paper.submitted_by
        else None,
        ai_keywords=list(paper.keywords),
        organization=Organization(name=paper.organization, fullname=paper.organization) if paper.organization else None,
        project_page=paper.project_url,
        github_repo=paper.code_url,
        github_stars=paper.code_stars,
    )


def _additions(stored: StoredPaper, site: Site) -> Additions:
    paper, links = stored.paper, Links(site.settings)
    method = site.methods.by_paper(paper.id)
    return Additions(
        day=stored.day,
        updated=paper.updated,
        categories=list(paper.categories),
        method=_measured(method, links) if method else None,
        links=Addresses(
            page=links.paper(paper.id),
            markdown=f"{links.paper(paper.id)}.md",
            arxiv=f"https://arxiv.org/abs/{quote(paper.id)}",
            pdf=f"https://arxiv.org/pdf/{quote(paper.id)}",
        ),
    )


def _measured(method: Method, links: Links) -> Measured:
    return Measured(
        slug=method.card.slug,
        shelf=method.card.shelf,
        status=method.card.status,
        run_id=method.result.run_id if method.result else None,
        stale=method.stale,
        verdicts=verdicts_of(method, links),
        details=links.to(f"/api/methods/{method.card.slug}"),
    )
