"""Cards and what was measured of them, as programs read it: our own part of the API."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, Field

from cenote.catalog.card import Card, Kind, Shelf
from cenote.catalog.results import DataSource, Number, Result, Verdict
from cenote.site.api.links import Links
from cenote.site.methods import Method

Word = Literal["holds", "fails", "unclear", "designed"]


class ComparisonInBrief(BaseModel):
    """The paper's method against one baseline, oriented so that positive favours the paper."""

    baseline: str | None = Field(description="Name of the baseline, null where there is none.")
    estimate: Number = Field(description="In the metric's unit; null where an arm diverged.")
    low: Number = Field(description="Lower end of the 95 % interval.")
    high: Number = Field(description="Upper end of the 95 % interval.")


class VerdictInBrief(BaseModel):
    """What the newest published result says of one claim on one data set."""

    claim: str = Field(description="Id of the claim on its card.")
    data: str = Field(description="Name of the data set.")
    word: Word
    note: str = Field(description="Such as 'smaller than claimed'; empty if there is none.")
    reason: str = Field(description="One sentence: which interval stands where.")
    units: int = Field(description="Units of replication measured.")
    seeds: int = Field(description="Seeds measured.")
    comparisons: list[ComparisonInBrief]
    link: str = Field(description="Permanent address of the claim on its paper's page.")


class MethodInBrief(BaseModel):
    """A card without its claims, and the verdicts of its newest result."""

    slug: str
    title: str
    shelf: Shelf
    status: Literal["listed", "runs"] = Field(description="'runs' if the paper's method is here.")
    paper: str = Field(description="arXiv identifier.")
    published: dt.date = Field(description="Day of the first version on arXiv.")
    authors: int = Field(description="Number of authors.")
    organization: str
    venue: str
    topics: list[str]
    summary: str
    run_id: str | None = Field(description="The newest published result; null if nothing was measured.")
    finished: dt.datetime | None = Field(description="When that run ended.")
    stale: bool = Field(description="Whether claims, method or experiment changed since.")
    verdicts: list[VerdictInBrief]
    page: str = Field(description="Address of the paper's page.")
    details: str = Field(description="Address of the card and all results, as JSON.")


class Run(BaseModel):
    """A published result without its single records."""

    run_id: str
    preset: str
    started: dt.datetime
    finished: dt.datetime
    seconds: float = Field(description="Time spent computing.")
    commit: str
    data: tuple[DataSource, ...]
    differs: tuple[str, ...] = Field(description="What differs from the paper.")
    verdicts: tuple[Verdict, ...] = Field(description="With the difference of every unit.")
    records: str = Field(description="Address of the whole result, with every measured value.")


class MethodPage(BaseModel):
    """A card with every result published for it."""

    card: Card
    stale: bool = Field(description="Whether claims, method or experiment changed since the newest result.")
    results: list[Run] = Field(description="Newest first; the first is the one that counts.")


class MeasuredClaim(BaseModel):
    """One claim on one data set, as the newest published result of its paper judges it."""

    slug: str
    paper: str = Field(description="arXiv identifier.")
    title: str
    shelf: Shelf
    claim: str = Field(description="Id of the claim on its card.")
    sentence: str | None = Field(description="The claim; null if the card does not make it any more.")
    kind: Kind | None = Field(description="How it is judged.")
    metric: str | None
    metric_unit: str | None
    figure: float | None = Field(description="The effect the paper reports; null if it is not known.")
    figure_verified: bool | None = Field(description="False where the figure could not be confirmed in the paper.")
    data: str
    word: Word
    note: str
    reason: str
    units: int
    seeds: int
    comparisons: list[ComparisonInBrief]
    run_id: str
    finished: dt.datetime
    stale: bool
    link: str = Field(description="Permanent address of the claim on its paper's page.")


def in_brief(method: Method, links: Links) -> MethodInBrief:
    """Return a method as lists show it."""
    card, result = method.card, method.result
    return MethodInBrief(
        slug=card.slug,
        title=card.title,
        shelf=card.shelf,
        status=card.status,
        paper=card.arxiv,
        published=card.published,
        authors=card.authors,
        organization=card.organization,
        venue=card.venue,
        topics=list(card.topics),
        summary=card.summary,
        run_id=result.run_id if result else None,
        finished=result.finished if result else None,
        stale=method.stale,
        verdicts=verdicts_of(method, links),
        page=links.paper(card.arxiv),
        details=links.to(f"/api/methods/{card.slug}"),
    )


def in_full(method: Method, links: Links) -> MethodPage:
    """Return a method with its card and history."""
    runs = [_run(method.card, result, links) for result in method.results]
    return MethodPage(card=method.card, stale=method.stale, results=runs)


def verdicts_of(method: Method, links: Links) -> list[VerdictInBrief]:
    """Return the verdicts of the newest result."""
    return [
        VerdictInBrief(
            claim=verdict.claim,
            data=verdict.data,
            word=verdict.word,
            note=verdict.note,
            reason=verdict.reason,
            units=verdict.units,
            seeds=verdict.seeds,
            comparisons=_comparisons(verdict),
            link=links.claim(method.card.arxiv, verdict.claim, verdict.data),
        )
        for verdict in method.verdicts
    ]


def claims_of(method: Method, links: Links) -> list[MeasuredClaim]:
    """Return the measured claims of a method, in the order of its newest result."""
    result = method.result
    return [_measured(method, result, verdict, links) for verdict in method.verdicts] if result else []


def _measured(method: Method, result: Result, verdict: Verdict, links: Links) -> MeasuredClaim:
    card = method.card
    claim = next((each for each in card.claims if each.id == verdict.claim), None)
    known = claim is not None and claim.figure != "not known"
    return MeasuredClaim(
        slug=card.slug,
        paper=card.arxiv,
        title=card.title,
        shelf=card.shelf,
        claim=verdict.claim,
        sentence=claim.sentence if claim else None,
        kind=claim.kind if claim else None,
        metric=claim.metric if claim else None,
        metric_unit=claim.metric_unit if claim else None,
        figure=float(claim.figure) if claim and known else None,
        figure_verified=claim.verified if claim and known else None,
        data=verdict.data,
        word=verdict.word,
        note=verdict.note,
        reason=verdict.reason,
        units=verdict.units,
        seeds=verdict.seeds,
        comparisons=_comparisons(verdict),
        run_id=result.run_id,
        finished=result.finished,
        stale=method.stale,
        link=links.claim(card.arxiv, verdict.claim, verdict.data),
    )


def _comparisons(verdict: Verdict) -> list[ComparisonInBrief]:
    return [
        ComparisonInBrief(baseline=each.baseline, estimate=each.estimate, low=each.low, high=each.high)
        for each in verdict.comparisons
    ]


def _run(card: Card, result: Result, links: Links) -> Run:
    return Run(
        run_id=result.run_id,
        preset=result.preset,
        started=result.started,
        finished=result.finished,
        seconds=result.seconds,
        commit=result.commit,
        data=result.data,
        differs=result.differs,
        verdicts=result.verdicts,
        records=links.result(card.arxiv, result.run_id),
    )
