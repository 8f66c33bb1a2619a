"""The findings that quote the published run say what its records hold."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from cenote.catalog.results import Result, published
from cenote.lab.intervals import PairedT
from cenote.pooling.attsets.experiment import CONTROLS, FASET, INERT, OTHERS

MOST, ONE = "iou_of_most_views", "iou_of_one_view"


@pytest.fixture(scope="module")
def result() -> Result:
    return next(each for each in published("attsets") if each.run_id == "20261128-192522-laptop-880f")


def values(result: Result, data: str, metric: str, arm: str, x: float | None = None) -> np.ndarray:
    """Return the values by seed."""
    wanted = (data, metric, arm, x)
    found = {r.seed: r.value for r in result.records if (r.data, r.metric, r.arm, r.x) == wanted}
    assert len(found) == 8
    return np.array([found[seed] for seed in sorted(found)])


def test_what_is_trained_on_two_views_and_given_many(result: Result) -> None:
    def by_views(data: str, arm: str) -> dict[int, np.ndarray]:
        arm = f"{arm}, sets of 2" if arm not in CONTROLS else arm
        return {
            count: values(result, data, "iou", arm, math.log2(count)) for count in (1, 2, 3, 4, 5, 8, 12, 16, 20, 24)
        }

    def means(data: str, arm: str) -> list[float]:
        found = by_views(data, arm)
        return [round(float(found[count].mean()), 2) for count in (5, 24)]

    for data in ("furniture", "mnist-5k"):
        gru = by_views(data, "gru")
        falling = [float(gru[count].mean()) for count in (5, 8, 12, 16, 20, 24)]
        assert falling == sorted(falling, reverse=True)
        faset = by_views(data, FASET)
        for arm in (*INERT, *OTHERS, *CONTROLS):
            for count, found in by_views(data, arm).items():
                _, high = PairedT(faset[count] - found).interval(0.95)
                assert high >= 0, (data, arm, count)
    assert means("furniture", "gru") == [0.60, 0.52]
    assert means("mnist-5k", "gru") == [0.63, 0.48]
    assert means("furniture", "max") == [0.64, 0.59]
    assert [means(data, FASET)[1] for data in ("furniture", "mnist-5k")] == [0.69, 0.76]


def test_what_training_apart_gains_and_costs(result: Result) -> None:
    def ahead(data: str, metric: str, arm: str) -> float:
        difference = values(result, data, metric, FASET) - values(result, data, metric, arm)
        return round(100 * float(difference.mean()), 1)

    assert [ahead("furniture", metric, "attsets") for metric in (ONE, MOST)] == [4.3, -1.6]
    assert [ahead("mnist-5k", metric, "attsets") for metric in (ONE, MOST)] == [3.0, -0.8]
    assert ahead("furniture", MOST, "max") == -0.7
    assert ahead("mnist-5k", MOST, "mean") == -1.0


def test_the_attention_alone_wants_a_higher_rate(result: Result) -> None:
    chosen = {
        arm: Counter(
            float(rate) for data in ("furniture", "mnist-5k") for rate in values(result, data, "set_rate", arm)
        )
        for arm in (FASET, "attsets")
    }
    assert chosen[FASET] == {0.01: 14, 0.003: 2}
    assert max(chosen["attsets"]) == 0.003
    for data in ("furniture", "mnist-5k"):
        best = {
            arm: max(
                (0.0003, 0.001, 0.003, 0.01),
                key=lambda rate: values(result, data, "set_iou_apart", arm, math.log10(rate)).mean(),
            )
            for arm in (FASET, "attsets")
        }
        assert best[FASET] > best["attsets"], "no rate is best for both"
