"""Paired records to estimates: the subject against each baseline, oriented so that positive favours the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cenote.catalog.card import Claim, Kind
from cenote.lab.intervals import (
    Estimate,
    FloatArray,
    PairedT,
    Statistic,
    Wider,
    bootstrap_two_way,
    bootstrap_units,
    kendall_of,
    log_ratios,
    mean_of,
    slope_of,
    whole,
)
from cenote.lab.pairing import ACROSS, Paired, Points, UnpairedError, label, listed


@dataclass(frozen=True)
class Contrast:
    """The subject against one baseline, the mean of several, or none.

    Attributes:
        baselines: Empty where the claim is about the subject alone; several stand for their mean.
        estimate: Mean of the differences or statistics; of the oriented log ratios for a ratio.
        units: Labels of the units the differences belong to.
        differences: Oriented difference or statistic of each unit.
    """

    baselines: tuple[str, ...]
    estimate: Estimate
    units: tuple[str, ...]
    differences: tuple[float, ...]

    @property
    def name(self) -> str | None:
        """The baseline as a report names it."""
        return name_of(self.baselines)


def orientation(claim: Claim) -> int:
    """Return −1 where the paper claims a smaller metric, slope or ratio, else 1."""
    return -1 if claim.lower_is_better else 1


def compared(claim: Claim) -> list[tuple[str, ...]]:
    """Return the baselines of each comparison: one by one, all together for their mean, or none."""
    if claim.quantifier == "mean" and claim.baselines:
        return [claim.baselines]
    return [(name,) for name in claim.baselines] or [()]


def name_of(baselines: tuple[str, ...]) -> str | None:
    """Name the baselines of one comparison as a report does: 'mean of a, b'; None where there are none."""
    if len(baselines) > 1:
        return f"mean of {', '.join(baselines)}"
    return baselines[0] if baselines else None


def as_measured(claim: Claim, value: float) -> float:
    """Turn an oriented log ratio back into the ratio; other values are shown oriented, as they are."""
    return math.exp(orientation(claim) * value) if claim.kind is Kind.RATIO else value


def contrasts(claim: Claim, paired: Paired) -> list[Contrast]:
    """Estimate every comparison of a claim.

    Raises:
        UnpairedError: If a ratio has a value that is not positive.
    """
    if claim.kind is Kind.RATIO:
        _check_positive(paired)
    return [_contrast(claim, paired, baselines) for baselines in compared(claim)]


def _contrast(claim: Claim, paired: Paired, baselines: tuple[str, ...]) -> Contrast:
    """Reduce each seed to its units' numbers, or to one statistic of all its points."""
    if claim.kind in ACROSS and (claim.replication == "seed" or not _repeated(paired, claim.subject)):
        return _across(claim, paired, baselines)
    together = _by_unit(claim, paired, baselines) if claim.kind in ACROSS else _differences(claim, paired, baselines)
    units = [tuple(dict.fromkeys(points.units)) for points in paired.of(claim.subject)]
    sizes = [len(own) for own in units]
    estimate: Estimate = PairedT(together)
    if claim.replication != "seed" and (len(sizes) > 1 or claim.kind in ACROSS):
        by_seed = np.split(together, np.cumsum(sizes)[:-1])
        means = np.array([PairedT(values).value for values in by_seed])
        estimate = _resampled(means, [mean_of(values) for values in by_seed], sizes, shared=paired.shared)
    labels = (label(seed, (unit, None)) for seed, own in zip(paired.seeds, units, strict=True) for unit in own)
    return Contrast(baselines, estimate, tuple(labels), tuple(together.tolist()))


def _across(claim: Claim, paired: Paired, baselines: tuple[str, ...]) -> Contrast:
    """A slope or rank correlation over all points of a seed; the seeds' statistics are the units shown."""
    statistics = [_association(claim, paired, baselines, index) for index in range(len(paired.seeds))]
    sizes = [len(points.units) for points in paired.of(claim.subject)]
    by_seed = np.array([whole(statistic, size) for statistic, size in zip(statistics, sizes, strict=True)])
    units = tuple(label(seed, (None, None)) for seed in paired.seeds)
    estimate: Estimate = PairedT(by_seed)
    if claim.replication != "seed":
        estimate = _resampled(by_seed, statistics, sizes, shared=paired.shared)
    return Contrast(baselines, estimate, units, tuple(by_seed.tolist()))


def _resampled(by_seed: FloatArray, statistics: Sequence[Statistic], sizes: Sequence[int], *, shared: bool) -> Estimate:
    """Units of one model by bootstrap; of several, the wider of both ways and the paired t over seeds."""
    if not np.isfinite(by_seed).all():
        return PairedT(np.full(1, np.nan))
    if len(statistics) == 1:
        return bootstrap_units(statistics[0], sizes[0])
    return Wider(bootstrap_two_way(statistics, sizes, shared=shared), PairedT(by_seed))


def _association(claim: Claim, paired: Paired, baselines: tuple[str, ...], index: int) -> Statistic:
    """The oriented statistic of the subject under one seed, less the mean of the baselines' own."""
    sign = orientation(claim)
    subject, *others = (
        _statistic(claim, points.x, points.y)
        for points in (paired.of(arm)[index] for arm in (claim.subject, *baselines))
    )

    def statistic(weights: FloatArray) -> FloatArray:
        value = subject(weights)
        if others:
            value = value - np.mean([other(weights) for other in others], axis=0)
        return sign * value

    return statistic


def _statistic(claim: Claim, x: FloatArray, y: FloatArray) -> Statistic:
    return slope_of(x, y) if claim.kind is Kind.TREND else kendall_of(x, y)


def _differences(claim: Claim, paired: Paired, baselines: tuple[str, ...]) -> FloatArray:
    """The oriented difference or log ratio of every unit of every seed."""
    subject, *others = (np.concatenate([points.y for points in paired.of(arm)]) for arm in (claim.subject, *baselines))
    baseline = np.mean(others, axis=0)
    oriented: FloatArray = log_ratios(subject, baseline) if claim.kind is Kind.RATIO else subject - baseline
    return orientation(claim) * oriented


def _by_unit(claim: Claim, paired: Paired, baselines: tuple[str, ...]) -> FloatArray:
    """The slope or rank correlation within each unit, where units were measured at several positions."""

    def own(arm: str) -> FloatArray:
        values = [
            whole(_statistic(claim, points.x[rows], points.y[rows]), len(rows))
            for points in paired.of(arm)
            for rows in _rows_of_units(points).values()
        ]
        return np.array(values)

    value = own(claim.subject)
    if baselines:
        value = value - np.mean([own(name) for name in baselines], axis=0)
    return orientation(claim) * value


def _rows_of_units(points: Points) -> dict[str | None, list[int]]:
    rows: dict[str | None, list[int]] = {}
    for row, unit in enumerate(points.units):
        rows.setdefault(unit, []).append(row)
    return rows


def _repeated(paired: Paired, subject: str) -> bool:
    """Whether units were measured at several positions, so that each has its own slope or correlation."""
    return any(len(set(points.units)) < len(points.units) for points in paired.of(subject))


def _check_positive(paired: Paired) -> None:
    for arm, by_seed in paired.arms.items():
        for points in by_seed:
            if places := points.where(points.y <= 0):
                raise UnpairedError(f"{arm} is not positive on {listed(places)}, but a ratio needs positive values.")
