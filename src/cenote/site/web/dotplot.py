"""Where the dots of a claim's picture stand: every unit's difference, the interval, the margin, the paper's figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cenote.catalog.card import Claim, Kind
from cenote.catalog.claim_views import margin_marks
from cenote.catalog.numbers import Scale, effect_scale, write_number
from cenote.catalog.results import Comparison, Verdict

MOST_DOTS = 400
"""Units of one comparison that are drawn; of more, as many at even steps."""

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Mark:
    """A line across all rows, and what it means."""

    x: float
    text: str


@dataclass(frozen=True)
class Strip:
    """One comparison: positions from left in per cent, from top between 0 and 1."""

    dots: tuple[tuple[float, float], ...]
    units: int
    low: float
    high: float
    estimate: float


@dataclass(frozen=True)
class DotPlot:
    """The strips of a claim's comparisons on one axis; None for a comparison without an interval."""

    strips: tuple[Strip | None, ...]
    reference: Mark
    margins: tuple[Mark, ...]
    paper: Mark | None
    ticks: tuple[Mark, ...]


def dot_plot(claim: Claim, verdict: Verdict) -> DotPlot | None:
    """Return a verdict's picture; None where there is no interval to draw."""
    drawn = [each for each in verdict.comparisons if _has_interval(claim, each)]
    if not drawn:
        return None
    reference = 1.0 if claim.kind is Kind.RATIO else 0.0
    margins = margin_marks(claim)
    paper = None if claim.figure == "not known" else float(claim.figure)
    values = [value for each in drawn for value in (each.low, each.high, each.estimate, *each.differences)]
    values += [reference, *margins, *([] if paper is None else [paper])]
    axis = _Axis([value for value in values if math.isfinite(value)], effect_scale(claim))
    return DotPlot(
        strips=tuple(_strip(each, axis) if each in drawn else None for each in verdict.comparisons),
        reference=axis.mark(reference),
        margins=tuple(axis.mark(value) for value in margins),
        paper=None if paper is None else axis.mark(paper),
        ticks=tuple(axis.ticks()),
    )


def _has_interval(claim: Claim, comparison: Comparison) -> bool:
    return claim.kind not in {Kind.EQUAL, Kind.BOUND} and math.isfinite(comparison.high - comparison.low)


def _strip(comparison: Comparison, axis: _Axis) -> Strip:
    finite = [value for value in comparison.differences if math.isfinite(value)]
    step = max(1.0, len(finite) / MOST_DOTS)
    shown = [finite[int(index * step)] for index in range(min(len(finite), MOST_DOTS))]
    # Steps of the golden ratio spread any number of dots evenly, and a unit has the same height in every strip.
    dots = tuple((axis.place(value), round((0.5 + index * _GOLDEN) % 1, 2)) for index, value in enumerate(shown))
    low, high, estimate = map(axis.place, (comparison.low, comparison.high, comparison.estimate))
    return Strip(dots, len(comparison.differences), low, high, estimate)


class _Axis:
    """From values to per cent of the width, with a little room at both ends."""

    def __init__(self, values: Sequence[float], scale: Scale) -> None:
        self._left = min(values)
        self._width = (max(values) - self._left) or 1.0
        self._scale = scale

    def place(self, value: float) -> float:
        return round(3 + 94 * (value - self._left) / self._width, 2)

    def mark(self, value: float) -> Mark:
        return Mark(self.place(value), write_number(value, self._scale))

    def ticks(self) -> Iterator[Mark]:
        """Round values, two to six of them."""
        width = self._width * self._scale.factor
        power = 10.0 ** math.floor(math.log10(width))
        step = next(power * part for part in (0.2, 0.5, 1, 2) if width / (power * part) <= 5)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        first = math.ceil(self._left * self._scale.factor / step - 1e-9)
        last = math.floor((self._left + self._width) * self._scale.factor / step + 1e-9)
        for index in range(first, last + 1):
            value = index * step / self._scale.factor
            yield Mark(self.place(value), write_number(value, self._scale, decimals))
