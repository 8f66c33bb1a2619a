"""The one rule that turns a run's records into a verdict, the same for every paper.

=========== ======================================== ==============================================
kind        holds (looked at first)                  fails
=========== ======================================== ==============================================
better      95 % interval above 0                    its top below the margin
no_worse    one-sided 95 % bound above −margin       top of the 95 % interval below −margin
equivalent  90 % interval inside ±margin             95 % interval wholly outside ±margin
trend, rank 95 % interval on the claimed side of 0   on the other side
ratio       95 % interval on the claimed side of r   on the other side
equal       largest error within the tolerance       above it, or NaN
bound       no violation in N trials                 a violation
=========== ======================================== ==============================================

Differences are paired and oriented so that positive favours the paper. Against several baselines, a claim about ``all``
holds from the plain interval against every one and fails from the Bonferroni interval against one of them; ``any`` is
the reverse; ``mean`` has one interval. What neither holds nor fails is unclear: "not significant" is never read as
"equal".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cenote.catalog.card import Claim, Kind
from cenote.catalog.results import Comparison, Record, Verdict
from cenote.lab import wording
from cenote.lab.contrasts import as_measured, compared, contrasts, name_of
from cenote.lab.intervals import FloatArray, Interval, rate_interval
from cenote.lab.pairing import ACROSS, Paired, UnpairedError, label, listed, pair, place, select, unpaired
from cenote.lab.rules import Reading, read, smaller_than_claimed, word_of

SEEDS = 5
"""Seeds that `better`, `trend` and `rank` need over seeds, and every claim over other units."""

SEEDS_FOR_MANY_BASELINES = 8
"""Seeds that `better` needs over seeds against three or more baselines."""

UNITS = 20
"""Units that `trend` and `rank` need where the unit is not the seed."""

SMALLER = "smaller than claimed"


def decide(claim: Claim, records: Sequence[Record], *, data: str, designed: bool = False) -> Verdict:
    """Judge a claim on one data set from a run's records.

    The verdict depends on the records alone and not on their order; the bootstrap's seed is fixed.

    Args:
        claim: The claim as its card declares it.
        records: The run's records; other data sets, metrics and arms among them are left out.
        data: Name of the data set. Data sets are never pooled.
        designed: Whether the data were generated so that the claim must hold. The figures are then computed, but the
            word is ``designed``.

    Returns:
        The verdict. Of each comparison, ``low`` and ``high`` are the plain 95 % interval; ``test_low`` is the end
        *holds* is read from and ``test_high`` the end *fails* is read from (the other way round for a ratio of at most
        r; both ends of the 90 % interval for `equivalent`). A ratio is given as it is, everything else oriented so
        that positive favours the paper.
    """
    chosen = select(claim, records, data)
    try:
        found = _judge(claim, chosen, data)
    except UnpairedError as error:
        found = _Judgement("unclear", str(error))
    if designed:
        found = replace(found, word="designed", reason=wording.designed(found.reason))
    return Verdict(
        claim=claim.id,
        data=data,
        word=found.word,
        reason=found.reason,
        note=found.note,
        units=_unit_count(claim, chosen),
        seeds=len({record.seed for record in chosen}),
        comparisons=found.comparisons,
    )


@dataclass(frozen=True)
class _Judgement:
    word: Literal["holds", "fails", "unclear", "designed"]
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    note: str = ""


def _judge(claim: Claim, records: Sequence[Record], data: str) -> _Judgement:
    if claim.kind is Kind.BOUND:
        return _judge_bound(claim, records, data)
    paired = pair(claim, records, data)
    if claim.kind is Kind.EQUAL:
        return _judge_equal(claim, paired)
    return _judge_intervals(claim, paired)


def _unit_count(claim: Claim, records: Sequence[Record]) -> int:
    """Units of replication: seeds, a bound's trials, or distinct unit labels."""
    subject = [record for record in records if record.arm == claim.subject]
    if claim.replication == "seed":
        return len({record.seed for record in subject})
    if claim.kind is Kind.BOUND:
        return sum(record.trials for record in subject)
    return len({record.unit for record in subject})


# --- kinds judged by intervals ------------------------------------------------------------------------------------


def _judge_intervals(claim: Claim, paired: Paired) -> _Judgement:
    readings = read(claim, contrasts(claim, paired))
    comparisons = tuple(_comparison(claim, reading) for reading in readings)
    obstacle = _diverged(paired) or _undefined(claim, readings) or _shortage(claim, paired)
    if obstacle:
        return _Judgement("unclear", obstacle, comparisons)
    word = word_of(claim, readings)
    note = SMALLER if word == "holds" and smaller_than_claimed(claim, readings) else ""
    return _Judgement(word, wording.sentence(claim, word, readings), comparisons, note)


def _comparison(claim: Claim, reading: Reading) -> Comparison:
    contrast, plain = reading.contrast, reading.plain
    test = reading.for_holds
    if claim.kind is not Kind.EQUIVALENT:
        test = Interval(test.low, reading.for_fails.high)
    low, high = sorted(as_measured(claim, end) for end in plain)
    test_low, test_high = sorted(as_measured(claim, end) for end in test)
    return Comparison(
        baseline=contrast.name,
        estimate=as_measured(claim, contrast.estimate.value),
        low=low,
        high=high,
        test_low=test_low,
        test_high=test_high,
        units=contrast.units,
        differences=tuple(as_measured(claim, each) for each in contrast.differences),
    )


def _diverged(paired: Paired) -> str:
    names = [
        f"{arm} on {at}"
        for arm, by_seed in paired.arms.items()
        for points in by_seed
        for at in points.where(np.isnan(points.y))
    ]
    return f"Diverged: {listed(names)}; so the claim cannot be judged." if names else ""


def _undefined(claim: Claim, readings: Sequence[Reading]) -> str:
    names = dict.fromkeys(
        unit
        for reading in readings
        for unit, value in zip(reading.contrast.units, reading.contrast.differences, strict=True)
        if math.isnan(value)
    )
    return f"The {claim.kind} is undefined where nothing varies: {listed(list(names))}." if names else ""


def _shortage(claim: Claim, paired: Paired) -> str:
    """Say which number of seeds or units is below what a verdict needs."""
    seeds = len(paired.seeds)
    if claim.replication == "seed":
        return _shortage_of_seeds(claim, seeds)
    timing = claim.kind is Kind.RATIO and paired.seeds == (None,)
    if seeds == 1 and not (timing or claim.for_this_model):
        return f"One model was measured and the claim is not about this model only; it needs at least {SEEDS} seeds."
    if 1 < seeds < SEEDS:
        return f"Where the unit is the {claim.replication}, at least {SEEDS} seeds are needed; there are {seeds}."
    units = min(len(set(points.units)) for points in paired.of(claim.subject))
    needed = UNITS if claim.kind in ACROSS else 2 if paired.shared else 1
    if units < needed:
        return f"At least {needed} units ({claim.replication}) are needed; there are {units}."
    return ""


def _shortage_of_seeds(claim: Claim, seeds: int) -> str:
    needed, against = 2, ""
    if claim.kind is Kind.BETTER or claim.kind in ACROSS:
        needed = SEEDS
    if claim.kind is Kind.BETTER and len(claim.baselines) >= 3:
        needed, against = SEEDS_FOR_MANY_BASELINES, f" against {len(claim.baselines)} baselines"
    if seeds >= needed:
        return ""
    return f"A claim of kind {claim.kind} over seeds needs at least {needed} of them{against}; there are {seeds}."


# --- exact kinds --------------------------------------------------------------------------------------------------


def _judge_equal(claim: Claim, paired: Paired) -> _Judgement:
    points = paired.of(claim.subject)
    labels = tuple(name for own in points for name in own.labels())
    places = [place(own.seed, key) for own in points for key in own.keys]
    errors = {baselines: _errors(claim, paired, baselines) for baselines in compared(claim)}
    # From the best to the worst; inf stands for NaN, which is worse than any error.
    ranked = sorted(errors, key=lambda baselines: float(errors[baselines].max()))
    deciding = ranked[0] if claim.quantifier == "any" else ranked[-1]
    worst = int(errors[deciding].argmax())
    largest = float(errors[deciding][worst])
    return _Judgement(
        "holds" if largest <= (claim.margin or 0.0) else "fails",
        wording.largest_error(claim, deciding, largest, places[worst], len(places)),
        tuple(_exactly(baselines, found, labels) for baselines, found in errors.items()),
    )


def _errors(claim: Claim, paired: Paired, baselines: tuple[str, ...]) -> FloatArray:
    """Size of the value, or of its difference from the baseline, at every point; inf where an arm is not finite."""
    arms = [np.concatenate([points.y for points in paired.of(arm)]) for arm in (claim.subject, *baselines)]
    finite = np.isfinite(arms).all(axis=0)
    subject, *others = (np.where(finite, values, 0.0) for values in arms)
    expected = np.mean(others, axis=0) if others else 0.0
    return np.where(finite, np.abs(subject - expected), math.inf)


def _exactly(baselines: tuple[str, ...], errors: FloatArray, labels: tuple[str, ...]) -> Comparison:
    shown = np.where(np.isfinite(errors), errors, math.nan)
    largest = float(shown.max())
    return Comparison(
        baseline=name_of(baselines),
        estimate=largest,
        low=largest,
        high=largest,
        test_low=largest,
        test_high=largest,
        units=labels,
        differences=tuple(shown.tolist()),
    )


def _judge_bound(claim: Claim, records: Sequence[Record], data: str) -> _Judgement:
    own = unpaired(claim, records, data)
    places = [place(record.seed, (record.unit, record.x)) for record in own]
    for at, record in zip(places, own, strict=True):
        if not math.isfinite(record.value):
            return _Judgement("unclear", f"Diverged: {record.arm} on {at}; so the claim cannot be judged.")
        if not (0 <= record.value <= record.trials and record.value.is_integer()):
            problem = f"{record.value:g} on {at} is no number of violations in {record.trials:,} trials."
            return _Judgement("unclear", f"{record.arm}: {problem}")
    events, trials = sum(int(record.value) for record in own), sum(record.trials for record in own)
    low, high = rate_interval(events, trials)
    shown = Comparison(
        baseline=None,
        estimate=events / trials,
        low=low,
        high=high,
        test_low=low,
        test_high=high,
        units=tuple(label(record.seed, (record.unit, record.x)) for record in own),
        differences=tuple(record.value for record in own),
    )
    first = next((at for at, record in zip(places, own, strict=True) if record.value), "")
    return _Judgement("fails" if events else "holds", wording.violations(events, trials, first), (shown,))
