"""Two measures of pooled features: how well they retrieve, and how much attention heads repeat each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError


def mean_average_precision(
    features: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], queries: int
) -> float:
    """Rank the gallery by cosine similarity for each query and average the precision at every hit.

    The first ``queries`` samples are the queries and the others the gallery; a hit has the query's label. The average
    precision of a query is the mean over its R hits, at the ranks k_1 < … < k_R, of j / k_j. Equal similarities keep
    the gallery's order; a query without a hit in the gallery does not count.

    Args:
        features: (N, D); a feature of length 0 is similar to nothing.
        labels: (N,).
        queries: Number of queries, at least 1 and below N.

    Returns:
        The mean over queries; NaN if a feature is not finite, or no query has a hit.

    Raises:
        ArgumentError: If the number of queries leaves no query or no gallery.

    Example:
        >>> features = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [1.0, 1.0]])
        >>> mean_average_precision(features, np.array([7, 8, 8, 7]), queries=1)  # the only hit at rank 2
        0.5
    """
    if not 1 <= queries < len(features):
        raise ArgumentError(f"queries must be 1 to {len(features) - 1} of {len(features)} samples, got {queries}")
    if not np.isfinite(features).all():
        return math.nan
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(features.dtype).tiny)
    order = np.argsort(-(unit[:queries] @ unit[queries:].T), axis=1, kind="stable")
    hits = labels[queries:][order] == labels[:queries, None]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    counts = hits.sum(axis=1)
    if not counts.any():
        return math.nan
    return float(np.mean((precisions * hits).sum(axis=1)[counts > 0] / counts[counts > 0]))


def head_correlation(features: NDArray[np.floating[Any]], heads: int) -> float:
    """Return the mean absolute correlation, over samples, between channels of different heads.

    The channels of a head are a contiguous block, as attention concatenates them. Channels without variance, such as
    one that is clamped everywhere, correlate with nothing and are left out.

    Args:
        features: Pooled features (N, D), before any norm that mixes channels.
        heads: Number of heads, at least 2, a divisor of D.

    Returns:
        A number from 0 (no linear dependence) to 1; NaN if a feature is not finite or fewer than two heads vary.

    Raises:
        ArgumentError: If ``heads`` is below 2 or does not divide D.

    Example:
        >>> round(head_correlation(np.array([[0.0, 0.0], [1.0, -2.0], [2.0, -4.0]]), heads=2), 6)
        1.0
    """
    correlations, head = _correlations(features, heads)
    other = head[:, None] != head[None, :]
    return float(correlations[other].mean()) if other.any() else math.nan


def head_dependence(features: NDArray[np.floating[Any]], heads: int) -> NDArray[np.float64]:
    """Return the mean absolute correlation between the channels of each two heads, (heads, heads).

    What ``head_correlation`` averages, head by head; the diagonal has that between different channels of one head.
    Arguments and errors are those of ``head_correlation``.

    Returns:
        A symmetric matrix; NaN where a feature is not finite or there are no two channels that vary.

    Raises:
        ArgumentError: As ``head_correlation``.

    Example:
        >>> head_dependence(np.eye(4), heads=2).round(3)  # any two of these channels correlate by -1/3
        array([[0.333, 0.333],
               [0.333, 0.333]])
    """
    correlations, head = _correlations(features, heads)
    different = ~np.eye(len(head), dtype=bool)
    matrix = np.full((heads, heads), math.nan)
    for row in range(heads):
        for column in range(heads):
            pairs = different & (head[:, None] == row) & (head[None, :] == column)
            if pairs.any():
                matrix[row, column] = correlations[pairs].mean()
    return matrix


def _correlations(features: NDArray[np.floating[Any]], heads: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the absolute correlations of the channels that vary, and the head of each; none if one is not finite."""
    channels = features.shape[1]
    if heads < 2 or channels % heads:
        raise ArgumentError(f"heads must be at least 2 and divide the {channels} channels, got {heads}")
    if not np.isfinite(features).all():
        return np.zeros((0, 0)), np.zeros(0, np.int64)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=0)
    # A constant channel of float32 has a variance of rounding alone.
    varies = lengths > 1e-6 * np.linalg.norm(features.astype(np.float64), axis=0)
    unit = centred[:, varies] / lengths[varies]
    return np.abs(unit.T @ unit), (np.arange(channels) // (channels // heads))[varies]
