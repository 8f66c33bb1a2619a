"""The findings that quote the published run say what its records hold."""

from __future__ import annotations

import numpy as np
import pytest

from cenote.catalog.results import Result, published

MOST, ONE = "iou_of_most_views", "iou_of_one_view"


@pytest.fixture(scope="module")
def result() -> Result:
    return next(each for each in published("attsets") if each.run_id == "20261128-122241-laptop-3864")


def values(result: Result, data: str, metric: str, arm: str) -> np.ndarray:
    """Return the values by seed."""
    found = {r.seed: r.value for r in result.records if (r.data, r.metric, r.arm) == (data, metric, arm)}
    assert len(found) == 8
    return np.array([found[seed] for seed in sorted(found)])


def test_the_gru_does_not_learn_on_furniture(result: Result) -> None:
    trained_on_24 = np.sort(values(result, "furniture", MOST, "gru"))
    assert 0.10 < trained_on_24[0] < trained_on_24[5] < 0.14
    assert trained_on_24[6:].round(2).tolist() == [0.26, 0.38]
    for arm in ("gru, sets of 2", "gru, sets of 1 to 24"):
        for metric in (MOST, ONE):
            assert values(result, "furniture", metric, arm).min() > 0.10
            assert values(result, "furniture", metric, arm).max() < 0.17
    gru, faset = (values(result, "mnist-5k", MOST, arm) for arm in ("gru", "attsets-faset"))
    assert (gru.min().round(2), gru.max().round(2)) == (0.58, 0.60)
    assert faset.mean().round(2) == 0.70


def test_what_training_apart_gains_and_costs(result: Result) -> None:
    def ahead(data: str, metric: str, arm: str) -> float:
        difference = values(result, data, metric, "attsets-faset") - values(result, data, metric, arm)
        return round(100 * float(difference.mean()), 1)

    assert [ahead("furniture", metric, "attsets") for metric in (ONE, MOST)] == [3.7, -3.7]
    assert [ahead("mnist-5k", metric, "attsets") for metric in (ONE, MOST)] == [3.0, -1.1]
    assert [ahead(data, MOST, "max") for data in ("furniture", "mnist-5k")] == [-2.4, -0.7]
