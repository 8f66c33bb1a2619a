"""What holds and fails mean for each kind of claim, seen from the intervals of its comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cenote.catalog.card import Claim, Kind
from cenote.lab.contrasts import Contrast, orientation
from cenote.lab.intervals import Interval, bonferroni

LEVEL = 0.95

ONE_SIDED = 0.90
"""Level of the interval whose lower end is the one-sided 95 % bound and whose two ends are two one-sided tests."""


@dataclass(frozen=True)
class Rule:
    """One line of the table of kinds, and how several baselines count together.

    Attributes:
        level: Level of the interval that *holds* is read from; *fails* is always read from the 95 % interval.
        support: How far an interval stands on the claim's side; it *holds* above ``enough``.
        enough: The threshold of *holds*.
        hope: The best an interval still allows; it *fails* below ``least``.
        least: The threshold of *fails*.
        inclusive: Whether *holds* includes its threshold, as "at most r" does.
    """

    level: float
    support: Callable[[Interval], float]
    enough: float
    hope: Callable[[Interval], float]
    least: float
    inclusive: bool = False

    def holds(self, interval: Interval) -> bool:
        """Whether one comparison supports the claim."""
        support = self.support(interval)
        return support > self.enough or (self.inclusive and support == self.enough)

    def fails(self, interval: Interval) -> bool:
        """Whether one comparison rules the claim out."""
        return self.hope(interval) < self.least


@dataclass(frozen=True)
class Reading:
    """A comparison with the intervals its rule looks at.

    Attributes:
        contrast: The comparison.
        plain: Its 95 % interval.
        for_holds: The interval *holds* is read from.
        for_fails: The interval *fails* is read from.
        holds_level: Level of ``for_holds`` before Bonferroni's correction.
        holds_share: Number of comparisons that share the level of ``for_holds``.
        fails_share: Number of comparisons that share the level of ``for_fails``.
    """

    contrast: Contrast
    plain: Interval
    for_holds: Interval
    for_fails: Interval
    holds_level: float
    holds_share: int
    fails_share: int


def rule_of(claim: Claim) -> Rule:
    """Return the rule of a claim whose kind is judged by intervals."""
    margin = claim.margin or 0.0
    if claim.kind is Kind.BETTER:
        return Rule(LEVEL, _low, 0.0, _high, margin)
    if claim.kind is Kind.NO_WORSE:
        return Rule(ONE_SIDED, _low, -margin, _high, -margin)
    if claim.kind is Kind.EQUIVALENT:
        return Rule(ONE_SIDED, _within, -margin, _apart, -margin)
    if claim.kind is Kind.RATIO:
        threshold = orientation(claim) * math.log(margin)
        return Rule(LEVEL, _low, threshold, _high, threshold, inclusive=True)
    return Rule(LEVEL, _low, 0.0, _high, 0.0)


def read(claim: Claim, contrasts: Sequence[Contrast]) -> list[Reading]:
    """Form the intervals of all comparisons.

    A claim about every baseline has one chance to hold and as many to fail as there are baselines, so Bonferroni's
    correction belongs to *fails*; for a claim about at least one of them it belongs to *holds*.
    """
    level = rule_of(claim).level
    holds_share, fails_share = (len(contrasts), 1) if claim.quantifier == "any" else (1, len(contrasts))
    levels = (LEVEL, bonferroni(level, holds_share), bonferroni(LEVEL, fails_share))
    readings = []
    for contrast in contrasts:
        intervals = {each: contrast.estimate.interval(each) for each in set(levels)}  # a bootstrap's are not free
        plain, for_holds, for_fails = (intervals[each] for each in levels)
        readings.append(Reading(contrast, plain, for_holds, for_fails, level, holds_share, fails_share))
    return readings


def word_of(claim: Claim, readings: Sequence[Reading]) -> Literal["holds", "fails", "unclear"]:
    """Return the verdict's word; *holds* is looked at first."""
    rule = rule_of(claim)
    supports = [rule.holds(reading.for_holds) for reading in readings]
    refutes = [rule.fails(reading.for_fails) for reading in readings]
    if any(supports) if claim.quantifier == "any" else all(supports):
        return "holds"
    if all(refutes) if claim.quantifier == "any" else any(refutes):
        return "fails"
    return "unclear"


def smaller_than_claimed(claim: Claim, readings: Sequence[Reading]) -> bool:
    """Whether a gain that is there has its whole interval below the margin."""
    if claim.kind is not Kind.BETTER:
        return False
    rule = rule_of(claim)
    below = [rule.fails(reading.for_holds) for reading in readings if rule.holds(reading.for_holds)]
    return all(below) if claim.quantifier == "any" else any(below)


def deciding(claim: Claim, word: str, readings: Sequence[Reading]) -> Reading:
    """Return the comparison a reader should see: the weakest where all count, the strongest where one is enough."""
    rule = rule_of(claim)
    by_hope = word == "fails" or (word == "unclear" and claim.quantifier == "any")

    def standing(reading: Reading) -> float:
        return rule.hope(reading.for_fails) if by_hope else rule.support(reading.for_holds)

    return max(readings, key=standing) if claim.quantifier == "any" else min(readings, key=standing)


def _low(interval: Interval) -> float:
    return interval.low


def _high(interval: Interval) -> float:
    return interval.high


def _within(interval: Interval) -> float:
    """Minus the farthest the interval reaches from 0, so that more is better as for the other kinds."""
    return -max(-interval.low, interval.high)


def _apart(interval: Interval) -> float:
    """Minus the distance the whole interval keeps from 0; positive where 0 is inside."""
    return -max(interval.low, -interval.high)
