"""Findings that rest on the published run: when a new one says otherwise, the card has to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cenote.catalog import latest


def entries(data: str, arm: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Entries of a window that receive gradient, by seed."""
    result = latest("order-theory")
    assert result is not None
    found = {
        record.seed: record.value
        for record in result.records
        if (record.data, record.arm, record.metric) == (data, arm, "entries_with_gradient")
    }
    assert sorted(found, key=str) == list(range(8))
    return np.array([found[seed] for seed in range(8)])


@pytest.mark.parametrize("data", ["cifar10", "fashion-mnist"])
def test_fewer_entries_than_average_pooling_come_with_the_scale(data: str) -> None:
    """Sum pooling, which reaches the same entries of one network as average pooling does, reaches fewer trained."""
    average = entries(data, "average")
    assert stats.ttest_rel(entries(data, "sum"), average, alternative="less").pvalue < 0.01
    quarter = stats.ttest_rel(entries(data, "poset / 4"), average).confidence_interval()
    assert quarter.low < 0 < quarter.high
