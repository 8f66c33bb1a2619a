"""Verdicts in words: one plain sentence that says which interval stands where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cenote.catalog.card import Claim, Kind
from cenote.catalog.numbers import MINUS, Scale
from cenote.catalog.numbers import counted as counted  # experiments take it from here
from cenote.lab.contrasts import as_measured
from cenote.lab.intervals import Interval, bonferroni, rule_of_three
from cenote.lab.rules import LEVEL, Reading, deciding


def sentence(claim: Claim, word: str, readings: Sequence[Reading]) -> str:
    """Say which interval stands where, quoting the comparison that decides."""
    quoted = deciding(claim, word, readings)
    if word == "unclear":
        return _unclear(claim, quoted)
    name, figures = (_for_holds if word == "holds" else _for_fails)(claim, quoted)
    phrase = _phrases(claim)[0 if word == "holds" else 1]
    every = (word, claim.quantifier) in {("holds", "all"), ("fails", "any")}
    if every and len(readings) > 1:
        closest = _joined(quoted.contrast.baselines)
        return f"The {name} of the {_noun(claim)} {phrase} for every baseline; the closest is {closest}, {figures}."
    return f"The {name} of the {_quantity(claim, quoted)}, {figures}, {phrase}."


def largest_error(claim: Claim, baselines: tuple[str, ...], largest: float, at: str, count: int) -> str:
    """Say how large the largest error is; infinity stands for a value that is not a number."""
    of = f"difference from {_joined(baselines)}" if baselines else "error"
    if math.isinf(largest):
        return f"The {of} is not a finite number on {at}."
    if claim.margin is None:
        if largest == 0:
            return f"The {of} is exactly 0 in all of {count:,} values."
        return f"The largest {of}, {largest:.3g} on {at}, is not exactly 0."
    side = "is within" if largest <= claim.margin else "exceeds"
    return f"The largest {of} of {count:,} values, {largest:.3g} on {at}, {side} the tolerance of {claim.margin:g}."


def violations(events: int, trials: int, at: str) -> str:
    """Say how often a bound was violated; without a violation, how often it still may be."""
    if events:
        return f"{counted(events, 'violation')} in {counted(trials, 'trial')}, the first on {at}."
    bound = f"{rule_of_three(trials):.2g}"
    return f"No violation in {counted(trials, 'trial')}; the 95 % upper bound of their rate, 3/N, is {bound}."


def designed(reason: str) -> str:
    """Explain a verdict on data made so that the claim must hold."""
    return f"The data were generated so that the claim must hold, so this is no evidence for it. {reason}"


@dataclass(frozen=True)
class Phrase:
    """What an interval does: 'lies above 0', 'does not lie above 0'."""

    verb: str
    place: str

    def __str__(self) -> str:
        return f"{self.verb}s {self.place}"

    @property
    def negated(self) -> str:
        """The phrase denied."""
        return f"does not {self.verb} {self.place}"


def _unclear(claim: Claim, reading: Reading) -> str:
    holds, fails = _phrases(claim)
    name, figures = _for_holds(claim, reading)
    other_name, other_figures = _for_fails(claim, reading)
    subject = f"The {name} of the {_quantity(claim, reading)}, {figures},"
    if name == other_name:
        return f"{subject} neither {holds} nor {fails}."
    return f"{subject} {holds.negated}, and the {other_name}, {other_figures}, {fails.negated}."


def _for_holds(claim: Claim, reading: Reading) -> tuple[str, str]:
    """Name and figures of the interval that *holds* is read from."""
    scale = Scale.of(claim)
    if claim.kind is Kind.NO_WORSE:
        level = (1 + bonferroni(reading.holds_level, reading.holds_share)) / 2
        name = f"one-sided {_percent(level)} bound{_bonferroni(reading.holds_share)}"
        return name, scale.end(reading.for_holds.low, _thresholds(claim), reading.plain.width)
    level = bonferroni(reading.holds_level, reading.holds_share)
    return f"{_percent(level)} interval{_bonferroni(reading.holds_share)}", _figures(claim, reading.for_holds)


def _for_fails(claim: Claim, reading: Reading) -> tuple[str, str]:
    """Name and figures of the interval that *fails* is read from."""
    level = bonferroni(LEVEL, reading.fails_share)
    return f"{_percent(level)} interval{_bonferroni(reading.fails_share)}", _figures(claim, reading.for_fails)


def _figures(claim: Claim, interval: Interval) -> str:
    low, high = sorted(as_measured(claim, end) for end in interval)
    return Scale.of(claim).interval(low, high, _thresholds(claim))


def _thresholds(claim: Claim) -> tuple[float, ...]:
    """The numbers a reader compares the interval's ends with."""
    margin = claim.margin or 0.0
    return {
        Kind.BETTER: (0.0, margin),
        Kind.NO_WORSE: (-margin,),
        Kind.EQUIVALENT: (-margin, margin),
        Kind.RATIO: (margin,),
    }.get(claim.kind, (0.0,))


def _phrases(claim: Claim) -> tuple[Phrase, Phrase]:
    """What an interval does where the claim holds, and where it fails."""
    margin = Scale.of(claim).number(claim.margin or 0.0)
    if claim.kind is Kind.BETTER:
        return Phrase("lie", "above 0"), Phrase("stay", f"below the margin of {margin}")
    if claim.kind is Kind.NO_WORSE:
        return Phrase("lie", f"above {MINUS}{margin}"), Phrase("stay", f"below {MINUS}{margin}")
    if claim.kind is Kind.EQUIVALENT:
        return Phrase("lie", f"inside ±{margin}"), Phrase("lie", f"outside ±{margin}")
    if claim.kind is Kind.RATIO:
        sides = ("at or below", "above") if claim.lower_is_better else ("at or above", "below")
        return Phrase("lie", f"{sides[0]} the claimed {margin}"), Phrase("lie", f"{sides[1]} the claimed {margin}")
    return Phrase("lie", "above 0"), Phrase("lie", "below 0")


def _quantity(claim: Claim, reading: Reading) -> str:
    """Name what is compared: 'difference from average-pooling', 'slope'."""
    baselines = reading.contrast.baselines
    if not baselines:
        return _noun(claim)
    joint = {Kind.RATIO: "to", Kind.TREND: "less that of", Kind.RANK: "less that of"}.get(claim.kind, "from")
    return f"{_noun(claim)} {joint} {_joined(baselines)}"


def _noun(claim: Claim) -> str:
    return {
        Kind.RATIO: "ratio",
        Kind.TREND: "downward slope" if claim.lower_is_better else "slope",
        Kind.RANK: "negative rank correlation" if claim.lower_is_better else "rank correlation",
    }.get(claim.kind, "reduction" if claim.lower_is_better else "difference")


def _joined(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"the mean of {', '.join(names[:-1])} and {names[-1]}"


def _bonferroni(share: int) -> str:
    return f" (Bonferroni over {share} baselines)" if share > 1 else ""


def _percent(level: float) -> str:
    return f"{100 * level:.4g} %"
