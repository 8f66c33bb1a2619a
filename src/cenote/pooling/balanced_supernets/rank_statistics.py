"""How well scores rank things whose true values are known: rank correlations and regret, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from cenote.errors import ArgumentError

FloatArray: TypeAlias = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A statistic with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class RankStatistics:
    """How well scores rank.

    Attributes:
        kendall: Kendall's tau-b.
        spearman: Spearman's rank correlation.
        pearson: Pearson's correlation of the values.
        regret: The best true value less that of the pick.
        pick: Position of the best score.
        true_rank: Rank of the pick by its true value, from 1.
    """

    kendall: Estimate
    spearman: Estimate
    pearson: Estimate
    regret: Estimate
    pick: int
    true_rank: int


def rank_statistics(
    scores: npt.ArrayLike, truth: npt.ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> RankStatistics:
    """Compare scores with true values, with percentile intervals of a bootstrap over the things ranked.

    The intervals say what would change with other placements of the same kind; trainings are not repeated. Resamples in
    which a statistic is undefined, since all their scores are equal, do not count.

    Source: arXiv 2306.11982 compares accuracies with shared weights and of networks trained alone.

    Args:
        scores: What is ranked by, (N,).
        truth: True values, (N,); more is better.
        level: Of the intervals.
        resamples: Draws of the bootstrap.
        seed: Of the draws.

    Raises:
        ArgumentError: If there are not two or more finite scores and as many true values, or level or resamples are out
            of range.

    Example:
        >>> found = rank_statistics([0.5, 0.6, 0.7, 0.9], [0.8, 0.7, 0.9, 0.95])
        >>> round(found.kendall.value, 3), found.pick, found.true_rank, found.regret.value
        (0.667, 3, 1, 0.0)
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (scores, truth))
    if x.ndim != 1 or x.shape != y.shape or x.size < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ArgumentError(f"scores and truth must be as many finite numbers, at least 2, got {x.shape} and {y.shape}")
    if not 0 < level < 1 or resamples < 1:
        raise ArgumentError(f"level must be between 0 and 1 and resamples at least 1, got {level} and {resamples}")
    rows = np.random.default_rng(seed).integers(x.size, size=(resamples, x.size))

    def estimate(statistic: Callable[[FloatArray, FloatArray], FloatArray]) -> Estimate:
        drawn = statistic(x[rows], y[rows])
        defined = drawn[~np.isnan(drawn)]
        ends = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]) if defined.size else (np.nan, np.nan)
        return Estimate(float(statistic(x[None], y[None])[0]), float(ends[0]), float(ends[1]))

    pick = int(x.argmax())
    return RankStatistics(
        kendall=estimate(kendall_tau),
        spearman=estimate(spearman),
        pearson=estimate(pearson),
        regret=estimate(regret),
        pick=pick,
        true_rank=1 + int((y > y[pick]).sum()),
    )


def kendall_tau(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """Return Kendall's tau-b of each row, (R, N) and (R, N) → (R,); NaN where nothing varies."""
    apart_x = np.sign(scores[:, :, None] - scores[:, None, :])
    apart_y = np.sign(truth[:, :, None] - truth[:, None, :])
    pairs = [np.einsum("rij,rij->r", *both) for both in ((apart_x, apart_y), (apart_x, apart_x), (apart_y, apart_y))]
    return _quotient(pairs[0], np.sqrt(pairs[1] * pairs[2]))


def spearman(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation of each row, (R, N) and (R, N) → (R,); NaN where nothing varies."""
    return pearson(rankdata(scores, axis=1), rankdata(truth, axis=1))


def pearson(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """Return Pearson's correlation of each row, (R, N) and (R, N) → (R,); NaN where nothing varies."""
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (scores, truth))
    return _quotient((x * y).sum(axis=1), np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1)))


def regret(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the best true value less that of the best score, of each row, (R, N) and (R, N) → (R,)."""
    picked = np.take_along_axis(truth, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    lost: FloatArray = truth.max(axis=1) - picked
    return lost


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    result = np.full_like(numerator, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
