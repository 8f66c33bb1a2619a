"""The paper's sixteen accuracies, the filters' closed forms, and how far chance alone would spread such accuracies."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import studentized_range

from cenote.errors import ArgumentError

SEEDS: Final = 14
"""Trainings behind each row."""


class Row(NamedTuple):
    """A row of the table: one poset, by its index in the released code."""

    mean: float
    """Mean test accuracy over the seeds, in per cent."""
    std: float
    """Standard deviation over the seeds, in points."""
    seconds: int
    """Time of a run."""
    closed_form: str
    """The filter in its points ``{a}`` to ``{d}`` (1 to 4), with r the ReLU. Not in the table."""


TABLE: Final = (
    Row(78.78, 0.646, 2620, "r({d} + r({a}) + r({b}) + r({c}))"),
    Row(78.95, 0.510, 2455, "r({a}) + r({b}) + r({c}) + r({d})"),
    Row(78.79, 0.609, 2390, "r({b} + r({a})) + r({c}) + r({d})"),
    Row(78.94, 0.429, 2290, "r({d} + r({c} + r({a}) + r({b})))"),
    Row(78.91, 0.645, 2270, "r({c} + r({a}) + r({b})) + r({d})"),
    Row(78.92, 0.595, 2270, "max(r({b}) + r({c}), {a} + {b} + {c}) + r({d})"),
    Row(78.74, 0.566, 2235, "r({b} + r({a})) + r({d} + r({c}))"),
    Row(79.10, 0.449, 2180, "max(r({c}) + r({d}), {b} + {c} + {d} + r({a}))"),
    Row(79.01, 0.706, 2130, "r({c} + r({b} + r({a}))) + r({d})"),
    Row(79.00, 0.559, 2125, "max(r({b}) + r({c}) + r({d}), {a} + {b} + {c} + {d})"),
    Row(78.98, 0.507, 2080, "max(r({b}) + r({d} + r({c})), {a} + {b} + {c} + {d})"),
    Row(78.95, 0.742, 2065, "max(r({c}) + r({d}), {c} + {d} + r({a}) + r({b}))"),
    Row(78.92, 0.514, 2060, "max(r({b} + r({a})) + r({d}), {b} + {c} + {d} + r({a}))"),
    Row(78.92, 0.616, 2010, "r({d} + r({c} + r({b} + r({a}))))"),
    Row(78.96, 0.442, 2005, "r({d} + max(r({b}) + r({c}), {a} + {b} + {c}))"),
    Row(78.81, 0.678, 2005, "r({d} + r({b}) + r({c} + r({a})))"),
)
"""Table 9 of arXiv 2412.06097: a quaternion network on CIFAR-10, 80 epochs, 656,394 parameters in every row."""


def closed_form(index: int, names: tuple[str, str, str, str] = ("a", "b", "c", "d")) -> str:
    """Return the filter of one of the sixteen posets as text; ``names`` are those of its points 1 to 4.

    Example:
        >>> closed_form(13)
        'r(d + r(c + r(b + r(a))))'
    """
    return TABLE[index].closed_form.format(**dict(zip("abcd", names, strict=True)))


def largest_difference() -> float:
    """Return the difference of the best and the worst printed mean, in points."""
    means = [row.mean for row in TABLE]
    return max(means) - min(means)


def simultaneous_half_width(level: float = 0.95) -> float:
    """Return how far two of the printed means must lie apart to be told apart, in points.

    The half-width of Tukey's simultaneous intervals for all 120 differences, q·√(s²/14), with s² the mean of the
    sixteen variances and q the quantile of the studentized range with 16 groups and 208 degrees of freedom. The seeds
    were the same for all rows; print gives no way to use that, so rows count as independent. A difference below the
    half-width does not show that two filters are equally good.

    Raises:
        ArgumentError: If ``level`` is not between 0 and 1.

    Example:
        >>> print(f"{simultaneous_half_width():.2f} against {largest_difference():.2f}")
        0.76 against 0.36
    """
    if not 0 < level < 1:
        raise ArgumentError(f"level must be between 0 and 1, got {level}")
    variance = float(np.mean([row.std**2 for row in TABLE]))
    quantile = float(studentized_range.ppf(level, len(TABLE), len(TABLE) * (SEEDS - 1)))
    return quantile * math.sqrt(variance / SEEDS)
