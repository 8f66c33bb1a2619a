"""Intervals of paired measurements: t, bootstrap over units, and bootstrap over units and seeds together.

A statistic is a function of the units' weights (how often each was drawn), so that one bootstrap serves means, slopes
and rank correlations. Estimates know their value and their interval at any level; nothing here knows about claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatArray: TypeAlias = NDArray[np.float64]

Statistic: TypeAlias = Callable[[FloatArray], FloatArray]
"""Weights of the units, (R, N), to one value for each row, (R,); NaN where a row leaves it undefined."""

RESAMPLES = 4_000
"""Draws of a bootstrap; its seed is fixed, so the same records always get the same interval."""

_CHUNK = 2**20  # weights held at once: 8 MiB
_BLOCK = 512  # rows of a sign matrix held at once


class Interval(NamedTuple):
    """A closed interval; both ends are NaN where it cannot be formed."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Upper end minus lower end."""
        return self.high - self.low


class Estimate(Protocol):
    """A value with its interval at any level."""

    @property
    def value(self) -> float:
        """The point estimate."""

    def interval(self, level: float) -> Interval:
        """Return the two-sided interval at ``level``, such as 0.95."""


@dataclass(frozen=True)
class PairedT:
    """Mean of paired differences with the interval of Student's t.

    Differences that are all the same give an interval without width: arms without variance are compared exactly.

    Attributes:
        differences: One difference or statistic for each unit, (N,).
    """

    differences: FloatArray

    @cached_property
    def value(self) -> float:
        """The mean of the differences."""
        # About the first one, so that equal differences give exactly themselves.
        return float(self.differences[0] + (self.differences - self.differences[0]).mean())

    @cached_property
    def standard_error(self) -> float:
        """Standard error of the mean; NaN for one unit."""
        count = self.differences.size
        if count < 2:
            return math.nan
        return float((self.differences - self.differences[0]).std(ddof=1)) / math.sqrt(count)

    def interval(self, level: float) -> Interval:
        """Return the two-sided t interval at ``level``; NaN for one unit."""
        half = _t_quantile(level, self.differences.size - 1) * self.standard_error
        return Interval(self.value - half, self.value + half)


@dataclass(frozen=True)
class Bootstrap:
    """A statistic with its percentile interval, corrected for small samples.

    Percentile intervals are too short where there are five seeds. So one seed and one unit fewer than there are is
    drawn, which makes the spread of the draws unbiased (McCarthy and Snowden 1985), and the interval is stretched about
    the estimate from the normal to the t distribution, with Satterthwaite's degrees of freedom.

    Attributes:
        value: The statistic of the whole sample.
        deviations: Statistic of each resample minus ``value``, (R,).
        freedom: Degrees of freedom of the spread.
    """

    value: float
    deviations: FloatArray
    freedom: float

    def interval(self, level: float) -> Interval:
        """Return the two-sided interval at ``level``."""
        tail = (1 - level) / 2
        stretch = _t_quantile(level, self.freedom) / float(special.ndtri(1 - tail))
        low, high = np.quantile(self.deviations, [tail, 1 - tail])
        return Interval(self.value + stretch * float(low), self.value + stretch * float(high))


@dataclass(frozen=True)
class Wider:
    """Two estimates of the same value; at each level the wider of their intervals."""

    first: Estimate
    second: Estimate

    @property
    def value(self) -> float:
        """The point estimate."""
        return self.first.value

    def interval(self, level: float) -> Interval:
        """Return the wider of the two intervals at ``level``."""
        first, second = self.first.interval(level), self.second.interval(level)
        return first if first.width >= second.width else second


def bootstrap_units(statistic: Statistic, units: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Bootstrap:
    """Bootstrap a statistic over the units of one model.

    Args:
        statistic: Function of the units' weights.
        units: Number of units, at least 2.
        resamples: Number of draws.
        seed: Seed of the draws.
    """
    drawn = [_defined(statistic(weights)) for weights in _weights(seed, 1, units, resamples)]
    value = whole(statistic, units)
    return Bootstrap(value, np.concatenate(drawn) - value, units - 1)


def bootstrap_two_way(
    statistics: Sequence[Statistic],
    units: Sequence[int],
    *,
    shared: bool,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Bootstrap the mean over seeds of a statistic of units.

    Seeds are drawn independently of the units. Units that the seeds share are drawn once for all of them, so what a
    unit has in common between seeds is not mistaken for independent evidence; otherwise each seed draws its own.

    Args:
        statistics: One function of the units' weights for each seed, at least 2.
        units: Number of units of each seed.
        shared: Whether the seeds share their units; their numbers are then equal.
        resamples: Number of draws.
        seed: Seed of the draws.
    """
    by_seed = np.array([whole(statistic, count) for statistic, count in zip(statistics, units, strict=True)])
    drawn = _drawn_statistics(seed, statistics, units, shared=shared, resamples=resamples)  # (R, seeds)
    seeds, rows = len(statistics), np.arange(resamples)[:, None]
    chosen = np.random.default_rng((seed, 0)).integers(seeds, size=(resamples, max(seeds - 1, 1)))
    if not shared:  # a seed chosen twice draws its units anew; the rows are independent, so another row will do
        rows = (rows + np.arange(chosen.shape[1])) % resamples
    means = drawn[rows, chosen].mean(axis=1)
    value = PairedT(by_seed).value
    variance = (float(by_seed.var(ddof=1)) / seeds, float(drawn.mean(axis=1).var()))
    free_units = units[0] - 1 if shared else sum(units) - seeds
    return Bootstrap(value, means - value, _satterthwaite(variance, (seeds - 1, free_units)))


def mean_of(values: ArrayLike) -> Statistic:
    """Return the weighted mean of ``values`` (N,) as a function of the weights."""
    array = np.asarray(values, dtype=np.float64)
    centred = array - array[0]

    def statistic(weights: FloatArray) -> FloatArray:
        mean: FloatArray = array[0] + weights @ centred / _totals(weights)
        return mean

    return statistic


def slope_of(x: ArrayLike, y: ArrayLike) -> Statistic:
    """Return the least-squares slope of ``y`` on ``x``, both (N,), as a function of the weights."""
    across, up = (np.asarray(values, dtype=np.float64) for values in (x, y))
    across, up = across - across.mean(), up - up[0]
    smallest = 1e-12 * float(np.square(across).mean())

    def statistic(weights: FloatArray) -> FloatArray:
        total = _totals(weights)
        mean_x, mean_y = weights @ across / total, weights @ up / total
        variance = weights @ across**2 / total - mean_x**2
        covariance = weights @ (across * up) / total - mean_x * mean_y
        return _divide(covariance, np.where(variance > smallest, variance, 0.0))

    return statistic


def kendall_of(x: ArrayLike, y: ArrayLike) -> Statistic:
    """Return Kendall's tau-b of ``x`` and ``y``, both (N,), as a function of the weights.

    A pair counts the product of its weights; a unit drawn twice is tied with itself and so counts nothing.
    """
    across, up = (np.asarray(values, dtype=np.float64) for values in (x, y))

    def statistic(weights: FloatArray) -> FloatArray:
        concordant, apart_x, apart_y = (np.zeros(len(weights)) for _ in range(3))
        for start in range(0, across.size, _BLOCK):
            rows = slice(start, start + _BLOCK)
            sign_x = np.sign(across[:, None] - across[rows])
            sign_y = np.sign(up[:, None] - up[rows])
            mine = weights[:, rows]
            concordant += (mine * (weights @ (sign_x * sign_y))).sum(axis=1)
            apart_x += (mine * (weights @ np.abs(sign_x))).sum(axis=1)
            apart_y += (mine * (weights @ np.abs(sign_y))).sum(axis=1)
        return _divide(concordant, np.sqrt(apart_x * apart_y))

    return statistic


def whole(statistic: Statistic, units: int) -> float:
    """Return the statistic of the whole sample: every unit once."""
    return float(statistic(np.ones((1, units)))[0])


def log_ratios(subject: ArrayLike, baseline: ArrayLike) -> FloatArray:
    """Return log(subject / baseline) of each pair; both (N,) and positive."""
    quotient = np.asarray(subject, dtype=np.float64) / np.asarray(baseline, dtype=np.float64)
    logs: FloatArray = np.log(quotient)
    return logs


def bonferroni(level: float, comparisons: int) -> float:
    """Return the level each of several intervals needs so that together they keep ``level``."""
    return 1 - (1 - level) / comparisons


def rule_of_three(trials: int) -> float:
    """Return the 95 % upper bound 3/N of a rate that was never seen in N trials."""
    return min(1.0, 3 / trials)


def rate_interval(events: int, trials: int, level: float = 0.95) -> Interval:
    """Return the Clopper-Pearson interval of a rate; without events the rule of three."""
    if events == 0:
        return Interval(0.0, rule_of_three(trials))
    tail = (1 - level) / 2
    low = float(special.betaincinv(events, trials - events + 1, tail))
    high = 1.0 if events == trials else float(special.betaincinv(events + 1, trials - events, 1 - tail))
    return Interval(low, high)


def _drawn_statistics(
    seed: int, statistics: Sequence[Statistic], units: Sequence[int], *, shared: bool, resamples: int
) -> FloatArray:
    """Statistic of every seed in every draw of units, (R, seeds)."""
    if shared:
        parts = [
            np.stack([statistic(weights) for statistic in statistics], axis=1)
            for weights in _weights(seed, 1, units[0], resamples)
        ]
        return _defined(np.concatenate(parts))
    columns = [
        np.concatenate([statistic(weights) for weights in _weights(seed, stream, count, resamples)])
        for stream, (statistic, count) in enumerate(zip(statistics, units, strict=True), start=1)
    ]
    return _defined(np.stack(columns, axis=1))


def _weights(seed: int, stream: int, units: int, resamples: int) -> Iterator[FloatArray]:
    """Yield how often each unit is drawn, in chunks of rows; streams are independent, stream 0 is the seeds' own."""
    rows = max(1, _CHUNK // units)
    for index, start in enumerate(range(0, resamples, rows)):
        yield _chunk((seed, stream, index), units, min(rows, resamples - start))


@lru_cache(maxsize=8)
def _chunk(seed: tuple[int, ...], units: int, rows: int) -> FloatArray:
    """One chunk of weights; kept, since every comparison of a claim draws the same."""
    draws = max(units - 1, 1)
    drawn = np.random.default_rng(seed).integers(units, size=(rows, draws)) + np.arange(rows)[:, None] * units
    weights = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
    weights.setflags(write=False)
    return weights


def _defined(values: FloatArray) -> FloatArray:
    """A resample without two different values shows no association; 0 never helps a claim."""
    return np.where(np.isnan(values), 0.0, values)


def _totals(weights: FloatArray) -> FloatArray:
    totals: FloatArray = weights @ np.ones(weights.shape[1])  # several times faster than a sum over short rows
    return totals


def _divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    result = np.full_like(numerator, math.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _satterthwaite(variances: Sequence[float], freedom: Sequence[int]) -> float:
    """Degrees of freedom of a sum of independent estimates of variance."""
    spread = sum(variance**2 / max(free, 1) for variance, free in zip(variances, freedom, strict=True))
    return sum(variances) ** 2 / spread if spread > 0 else 1.0


def _t_quantile(level: float, freedom: float) -> float:
    return float(special.stdtrit(freedom, (1 + level) / 2)) if freedom > 0 else math.nan
