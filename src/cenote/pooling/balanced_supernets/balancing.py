"""Which SuperNet trains which configuration: a softmax of accuracies, balanced so that all are used equally."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from cenote.errors import ArgumentError

FloatArray: TypeAlias = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""Divergence from uniform use, in nats, at which balancing stops."""


def balanced_assignment(
    accuracies: npt.ArrayLike, temperature: float = 1.0, *, tolerance: float = TOLERANCE
) -> FloatArray:
    """Return the probability of each model for each configuration, balanced over the models.

    P = softmax over m of T · W[a, m] prefers the model that does best on a configuration; iterative proportional
    fitting then scales its columns until all models are used alike: with q the mean of P over a, P is divided by q and
    its rows are normalised, until KL(q ‖ uniform) is at most the tolerance.

    Source: arXiv 2306.11982, balancing of the mixture.

    Args:
        accuracies: Running accuracy W of each configuration in each model, (A, M).
        temperature: T; at 0 every model is as likely as another.
        tolerance: Largest divergence that is left.

    Returns:
        Probabilities (A, M); rows sum to 1, columns to A / M up to the tolerance.

    Raises:
        ArgumentError: If the accuracies are no finite matrix, the temperature is negative, or the tolerance is not
            positive.

    Example:
        >>> balanced_assignment([[0.9, 0.5], [0.9, 0.5]], temperature=100).round(3)
        array([[0.5, 0.5],
               [0.5, 0.5]])
        >>> balanced_assignment([[0.9, 0.5], [0.9, 0.7]], temperature=100).round(2)
        array([[1.  , 0.  ],
               [0.01, 0.99]])
    """
    matrix = np.asarray(accuracies, dtype=np.float64)
    if not temperature >= 0:
        raise ArgumentError(f"temperature must be 0 or more, got {temperature}")
    scores = temperature * matrix
    return assign(scores, balance(scores, tolerance))


def balance(scores: FloatArray, tolerance: float = TOLERANCE) -> FloatArray:
    """Return what to subtract from each model's scores so that the softmax uses all models alike.

    Dividing by one marginal after the other, with rows normalised in between, is dividing by their product; so the
    marginals of a fit are kept as the sum of their logarithms, (M,). In logarithms no score is too far from another.

    Args:
        scores: (A, M).
        tolerance: Largest KL(q ‖ uniform) that is left.

    Raises:
        ArgumentError: If the scores are no finite matrix, or the tolerance is not positive.
    """
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ArgumentError(f"accuracies must be a finite (A, M) matrix, got shape {scores.shape}")
    if not tolerance > 0:
        raise ArgumentError(f"tolerance must be positive, got {tolerance}")
    paths, models = scores.shape
    log_marginals = np.zeros(models)
    # Every turn lowers mean_a logsumexp_m(scores - log_marginals) + mean_m(log_marginals) by KL(uniform ‖ q) or more,
    # and that cannot fall below the mean score; so the loop ends.
    while True:
        log_q = logsumexp(_log_softmax(scores - log_marginals), axis=0) - np.log(paths)
        if divergence_from_uniform(log_q) <= tolerance:
            return log_marginals
        log_marginals = log_marginals + log_q


def assign(scores: FloatArray, log_marginals: FloatArray) -> FloatArray:
    """Return the softmax over models of scores (A, M) divided by marginals of an earlier fit, given as logarithms."""
    probabilities: FloatArray = np.exp(_log_softmax(scores - log_marginals))
    return probabilities


def divergence_from_uniform(log_q: FloatArray) -> float:
    """Return KL(q ‖ uniform) in nats for a distribution given as logarithms, (M,)."""
    return float(np.exp(log_q) @ (log_q + np.log(log_q.size)))


def temperature_at(epoch: int, epochs: int, ends: tuple[float, float]) -> float:
    """Return the temperature of an epoch: from the first end in the first epoch linearly to the other in the last."""
    first, last = ends
    return first if epochs == 1 else first + (last - first) * epoch / (epochs - 1)


def _log_softmax(scores: FloatArray) -> FloatArray:
    normalised: FloatArray = scores - logsumexp(scores, axis=1, keepdims=True)
    return normalised
