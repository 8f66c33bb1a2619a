"""Claims beside what a run says of them, as finished texts: what reports and pages show."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cenote.catalog.card import Card, Claim, Kind
from cenote.catalog.numbers import (
    Scale,
    counted,
    decimals_apart,
    decimals_of,
    effect_scale,
    write_number,
    write_with_unit,
)
from cenote.catalog.results import ICONS as WORDS
from cenote.catalog.results import Comparison, Result, Verdict
from cenote.catalog.terminal import verdict_label
from cenote.errors import ArgumentError, ResultError

ICONS = {**WORDS, "not judged": "·"}
"""The sign before each word, a claim without a verdict included."""

PUBLISHED = frozenset({"laptop", "paper"})
"""Presets whose verdicts are not provisional."""

PLAIN = Scale(signed=False)

STATISTICS = {
    Kind.TREND: "slope",
    Kind.RANK: "rank correlation",
    Kind.EQUAL: "largest error",
    Kind.BOUND: "share of violations",
}
"""What is measured where there is no baseline."""


@dataclass(frozen=True)
class Span:
    """Where an interval is drawn: positions in per cent of the cell's width."""

    low: float
    high: float
    estimate: float
    reference: float
    margins: tuple[float, ...]
    paper: float | None


@dataclass(frozen=True)
class Row:
    """One comparison of a claim."""

    baseline: str
    estimate: str
    interval: str
    span: Span | None


@dataclass(frozen=True)
class ClaimView:
    """One claim on one data set, or a claim without a verdict."""

    claim: Claim
    data: str
    word: str
    icon: str
    label: str
    compared: str
    reason: str
    measured_on: str
    figure: str
    unverified: bool
    figure_text: str
    margin: str
    rows: tuple[Row, ...]
    unit_title: str
    unit_heads: tuple[str, ...]
    unit_rows: tuple[tuple[str, ...], ...]


def claim_views(card: Card, result: Result) -> Iterator[ClaimView]:
    """Yield the card's claims in order, each as often as it has verdicts, and once where it has none.

    Raises:
        ArgumentError: If card and result are of different papers.
        ResultError: If a verdict is about a claim the card has not.
    """
    _check(card, result)
    for claim in card.claims:
        verdicts = [verdict for verdict in result.verdicts if verdict.claim == claim.id]
        if result.preset == "tiny" or not verdicts:
            yield _view(claim, result.preset, None)
        else:
            yield from (_view(claim, result.preset, verdict) for verdict in verdicts)


def _check(card: Card, result: Result) -> None:
    if card.slug != result.slug:
        raise ArgumentError(f"result: it is of paper {result.slug!r}, but the card is of {card.slug!r}")
    known = {claim.id for claim in card.claims}
    for verdict in result.verdicts:
        if verdict.claim not in known:
            raise ResultError(f"verdict about claim {verdict.claim!r}: the card of {card.slug} has {', '.join(known)}")


def _view(claim: Claim, preset: str, verdict: Verdict | None) -> ClaimView:
    word = verdict.word if verdict else "not judged"
    missing = "The tiny preset gives no verdicts." if preset == "tiny" else "This run did not measure the claim."
    comparisons = verdict.comparisons if verdict else ()
    provisional = "" if verdict is None or preset in PUBLISHED else f" ({preset})"
    scale = effect_scale(claim)
    unit_scale = PLAIN if claim.kind is Kind.BOUND else scale  # each trial has a count, all together a share
    heads, rows = _unit_table(claim, comparisons, unit_scale)
    return ClaimView(
        claim=claim,
        data=verdict.data if verdict else "",
        word=word,
        icon=ICONS[word],
        label=(verdict_label(verdict) if verdict else word) + provisional,
        compared="against" if claim.baselines else "statistic",
        reason=verdict.reason if verdict else missing,
        measured_on=_measured_on(claim, verdict) if verdict else "",
        figure="–" if claim.figure == "not known" else write_with_unit(claim.figure, scale),
        unverified=claim.figure != "not known" and not claim.verified,
        figure_text=", ".join(filter(None, (claim.figure_text, claim.where))),
        margin=_margin(claim, scale),
        rows=tuple(_row(claim, comparison, comparisons, scale) for comparison in comparisons),
        unit_title=f"Every {claim.replication}" + (f", in {unit_scale.unit}" if unit_scale.unit else ""),
        unit_heads=heads,
        unit_rows=rows,
    )


def _measured_on(claim: Claim, verdict: Verdict) -> str:
    if claim.replication == "seed" or not verdict.units:
        return counted(verdict.seeds, "seed")
    return f"{counted(verdict.units, claim.replication)}, {counted(verdict.seeds, 'seed')}"


def _row(claim: Claim, comparison: Comparison, together: Sequence[Comparison], scale: Scale) -> Row:
    low, high = comparison.low, comparison.high
    thresholds = (1.0 if claim.kind is Kind.RATIO else 0.0, *margin_marks(claim))
    decimals = decimals_apart((low, high), thresholds, scale, decimals_of(scale.factor * (high - low) / 4))
    interval = ""
    if claim.kind is not Kind.EQUAL and not math.isnan(comparison.estimate):
        ends = f"{write_number(low, scale, decimals)} to {write_number(high, scale, decimals)}"
        interval = "no interval" if math.isnan(high - low) else ends
    return Row(
        baseline=comparison.baseline or STATISTICS.get(claim.kind, "–"),
        estimate=write_with_unit(comparison.estimate, scale, decimals),
        interval=interval,
        span=_span(claim, comparison, together),
    )


def _unit_table(
    claim: Claim, comparisons: Sequence[Comparison], scale: Scale
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Every unit's difference: one row a unit, one column a comparison."""
    columns = [dict(zip(each.units, each.differences, strict=True)) for each in comparisons]
    units = list(dict.fromkeys(unit for column in columns for unit in column))
    if not units:
        return (), ()
    values = [value for column in columns for value in column.values() if math.isfinite(value)]
    decimals = None if scale is PLAIN or not values else decimals_of(scale.factor * statistics.pstdev(values))
    heads = (claim.replication, *(each.baseline or STATISTICS.get(claim.kind, "value") for each in comparisons))
    return heads, tuple(
        (unit, *(write_number(column[unit], scale, decimals) if unit in column else "–" for column in columns))
        for unit in units
    )


def _margin(claim: Claim, scale: Scale) -> str:
    if claim.margin is None:
        return "–"
    side = "≤ " if claim.lower_is_better else "≥ "
    sign = {Kind.NO_WORSE: "−", Kind.EQUIVALENT: "±", Kind.EQUAL: "≤ ", Kind.RATIO: side}.get(claim.kind, "")
    return sign + write_with_unit(claim.margin, scale).lstrip("+")


def _span(claim: Claim, comparison: Comparison, together: Sequence[Comparison]) -> Span | None:
    """Where the interval lies on an axis the claim's comparisons share; None where there is nothing to draw."""
    if claim.kind in {Kind.EQUAL, Kind.BOUND} or not math.isfinite(comparison.high - comparison.low):
        return None
    reference = 1.0 if claim.kind is Kind.RATIO else 0.0
    paper = None if claim.figure == "not known" else claim.figure
    margins = margin_marks(claim)
    ends = [value for each in together for value in (each.low, each.high, each.estimate) if math.isfinite(value)]
    ends += [reference, *margins, *([] if paper is None else [paper])]
    left, width = min(ends), (max(ends) - min(ends)) or 1.0

    def place(value: float) -> float:
        return round(2 + 96 * (value - left) / width, 2)

    return Span(
        low=place(comparison.low),
        high=place(comparison.high),
        estimate=place(comparison.estimate),
        reference=place(reference),
        margins=tuple(map(place, margins)),
        paper=None if paper is None else place(paper),
    )


def margin_marks(claim: Claim) -> tuple[float, ...]:
    """Return where a claim's margin lies on the axis of its differences: on one side of 0, on both, or nowhere."""
    if claim.margin is None:
        return ()
    signs = {Kind.NO_WORSE: (-1,), Kind.EQUIVALENT: (-1, 1)}.get(claim.kind, (1,))
    return tuple(sign * claim.margin for sign in signs)
