"""A paper's claims beside what was measured, as its page shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cenote.catalog.card import Card, Claim, Kind
from cenote.catalog.claim_views import ClaimView, claim_views
from cenote.catalog.results import Result, Verdict
from cenote.catalog.terminal import margin_text, paper_figure
from cenote.site.web.dotplot import DotPlot, dot_plot

KINDS = {
    Kind.BETTER: "better than",
    Kind.NO_WORSE: "no worse than",
    Kind.EQUIVALENT: "as good as",
    Kind.TREND: "a trend",
    Kind.RANK: "a ranking",
    Kind.RATIO: "a ratio to",
    Kind.EQUAL: "equal to",
    Kind.BOUND: "a bound",
}

_EACH = {"all": "each of", "any": "at least one of", "mean": "the mean of"}


@dataclass(frozen=True)
class Measured:
    """A claim on one data set."""

    view: ClaimView
    anchor: str
    plot: DotPlot | None


@dataclass(frozen=True)
class ClaimSection:
    """A claim, what the paper says of it, and what was measured; nothing where it was not."""

    claim: Claim
    anchor: str
    kind: str
    asked: str
    figure: str
    measured: tuple[Measured, ...]


def claim_sections(card: Card, result: Result | None) -> list[ClaimSection]:
    """Return the claims of a card in its order."""
    measured: dict[str, list[Measured]] = {}
    for each in measured_claims(card, result) if result else ():
        measured.setdefault(each.view.claim.id, []).append(each)
    return [
        ClaimSection(
            claim=claim,
            anchor=claim_anchor(claim.id),
            kind=_kind(claim),
            asked=margin_text(claim),
            figure=paper_figure(claim),
            measured=tuple(measured.get(claim.id, ())),
        )
        for claim in card.claims
    ]


def measured_claims(card: Card, result: Result) -> Iterator[Measured]:
    """Yield the verdicts of a result about claims that the card still makes."""
    known = {claim.id for claim in card.claims}
    verdicts = {(each.claim, each.data): each for each in result.verdicts if each.claim in known}
    for view in claim_views(card, result.model_copy(update={"verdicts": tuple(verdicts.values())})):
        verdict = verdicts.get((view.claim.id, view.data))
        if verdict is not None:
            yield Measured(view, claim_anchor(view.claim.id, view.data), dot_plot(view.claim, verdict))


def withdrawn(card: Card, result: Result) -> list[Verdict]:
    """Return the verdicts about claims that the card does not make any more."""
    known = {claim.id for claim in card.claims}
    return [verdict for verdict in result.verdicts if verdict.claim not in known]


def claim_anchor(claim_id: str, data: str = "") -> str:
    """Return the name of a claim's place on its paper's page; it does not change with the results."""
    return "-".join(filter(None, ("claim", claim_id, data)))


def _kind(claim: Claim) -> str:
    if not claim.baselines:
        return KINDS[claim.kind]
    names = list(claim.baselines)
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    each = f"{_EACH[claim.quantifier]} " if len(names) > 1 else ""
    return f"{KINDS[claim.kind]} {each}{joined}"
