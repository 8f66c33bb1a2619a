"""Retrieval and dependence of the heads against scikit-learn, numpy and cases by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cenote.errors import ArgumentError
from cenote.pooling.ggem.features import head_correlation, head_dependence, mean_average_precision


def test_mean_average_precision_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 5)), rng.integers(0, 4, 60)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = [average_precision_score(labels[20:] == labels[i], unit[20:] @ unit[i]) for i in range(20)]
    assert mean_average_precision(features, labels, 20) == pytest.approx(np.mean(expected), rel=1e-12)


def test_mean_average_precision_by_hand() -> None:
    """Hits at ranks 1 and 3: (1/1 + 2/3) / 2; lengths do not count."""
    angles = np.array([0.0, 0.1, 0.2, 0.3])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array([[1.0], [9.0], [0.1], [4.0]])
    assert mean_average_precision(features, np.array([1, 1, 0, 1]), 1) == pytest.approx(5 / 6)


def test_queries_without_a_hit_do_not_count() -> None:
    features = np.eye(4)
    assert mean_average_precision(features, np.array([0, 1, 1, 1]), 2) == 1.0
    assert math.isnan(mean_average_precision(features, np.array([0, 1, 1, 1]), 1))


def test_head_correlation_is_the_mean_of_numpys_over_pairs_of_heads() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    table = np.abs(np.corrcoef(features.T))
    expected = np.mean([table[a, b] for a in range(6) for b in range(6) if a // 2 != b // 2])
    assert head_correlation(features, 3) == pytest.approx(expected, rel=1e-12)


def test_constant_channels_are_left_out() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 4)).astype(np.float32)
    features[:, 1] = 1e-6
    kept = head_correlation(features, 2)
    table = np.abs(np.corrcoef(features[:, [0, 2, 3]].T.astype(np.float64)))
    assert kept == pytest.approx(table[0, 1:].mean(), rel=1e-6)
    features[:, :2] = 1e-6
    assert math.isnan(head_correlation(features, 2))


def test_what_is_not_finite_gives_nan() -> None:
    features = np.ones((6, 4))
    features[3, 2] = np.nan
    assert math.isnan(mean_average_precision(features, np.zeros(6, np.int64), 2))
    assert math.isnan(head_correlation(features, 2))


@pytest.mark.parametrize("queries", [0, 6])
def test_queries_leave_a_gallery(queries: int) -> None:
    with pytest.raises(ArgumentError, match="queries must be 1 to 5 of 6 samples"):
        mean_average_precision(np.ones((6, 4)), np.zeros(6, np.int64), queries)


@pytest.mark.parametrize("heads", [1, 3])
def test_heads_divide_the_channels(heads: int) -> None:
    with pytest.raises(ArgumentError, match=f"divide the 4 channels, got {heads}"):
        head_correlation(np.ones((6, 4)), heads)


def test_the_dependence_of_two_heads_is_numpys_over_their_channels() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    table = np.abs(np.corrcoef(features.T))
    matrix = head_dependence(features, 3)
    for row, column in itertools.product(range(3), repeat=2):
        pairs = [table[a, b] for a in range(6) for b in range(6) if (a // 2, b // 2) == (row, column) and a != b]
        assert matrix[row, column] == pytest.approx(np.mean(pairs), rel=1e-12)
    features[:, 2:4] = 1.0
    assert np.array_equal(np.isnan(head_dependence(features, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    features[0, 0] = np.inf
    assert np.isnan(head_dependence(features, 3)).all()
