"""The findings that quote the published run say what its records hold."""

from __future__ import annotations

import numpy as np
import pytest

from cenote.catalog.results import Result, published
from cenote.lab.intervals import PairedT
from cenote.pooling.l_sfan.experiment import CLAIMED, FINE, SUMMARY


@pytest.fixture(scope="module")
def result() -> Result:
    return next(each for each in published("l-sfan") if each.run_id == "20261128-122715-laptop-f5e1")


def by_subject(result: Result, metric: str, arm: str) -> np.ndarray:
    """Return the mean over the seeds for each subject."""
    found: dict[str | None, list[float]] = {}
    for record in result.records:
        if (record.metric, record.arm) == (metric, arm):
            found.setdefault(record.unit, []).append(record.value)
    return np.array([np.mean(each) for each in found.values()])


@pytest.mark.parametrize(
    ("metric", "leak", "mean", "low", "high"),
    [
        ("mcc", "windows split at random", 0.11, -0.04, 0.25),
        ("pathology_mcc", "windows split at random", 0.66, 0.38, 0.95),
        ("mcc", "extractor shared by folds", 0.07, -0.03, 0.17),
        ("mcc", "normalised over all", 0.00, -0.01, 0.01),
    ],
)
def test_what_the_leaks_add(result: Result, metric: str, leak: str, mean: float, low: float, high: float) -> None:
    added = by_subject(result, f"{metric}_added", f"l-sfan, {leak}")
    assert len(added) == 21
    estimate = PairedT(added)
    assert [round(each, 2) for each in (estimate.value, *estimate.interval(0.95))] == [mean, low, high]


def test_the_recorder_gives_the_group_away(result: Result) -> None:
    right = {arm: by_subject(result, "pathology_subject_recognised", arm).sum() for arm in (*CLAIMED, FINE)}
    assert right.pop(FINE) == 19
    assert max(right.values()) == 16


def test_mean_and_spread_are_enough(result: Result) -> None:
    pooled = {arm: by_subject(result, "pooled_mcc", arm).mean() for arm in (SUMMARY, "l-sfan")}
    assert {arm: round(float(value), 2) for arm, value in pooled.items()} == {SUMMARY: 0.88, "l-sfan": 0.86}
