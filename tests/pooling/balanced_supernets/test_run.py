"""The findings that quote the published run say what its records hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from cenote.catalog.results import Result, published
from cenote.lab.intervals import PairedT
from cenote.pooling.balanced_supernets.experiment import ALIKE, MIXTURE, SINGLE

DATA = ("cifar10", "fashion-mnist")


@pytest.fixture(scope="module")
def result() -> Result:
    return next(each for each in published("balanced-supernets") if each.run_id == "20261128-130304-laptop-538f")


def values(result: Result, data: str, metric: str, arm: str) -> np.ndarray:
    """Return the values by seed."""
    found = {r.seed: r.value for r in result.records if (r.data, r.metric, r.arm) == (data, metric, arm)}
    return np.array([found[seed] for seed in sorted(found)])


def rounded(estimate: PairedT) -> list[float]:
    return [round(float(each), 2) for each in (estimate.value, *estimate.interval(0.95))]


def test_how_well_searches_rank(result: Result) -> None:
    taus = {arm: PairedT(values(result, "cifar10", "kendall_tau", arm)) for arm in (MIXTURE, SINGLE, ALIKE)}
    assert all(len(values(result, data, "kendall_tau", arm)) == 8 for data in DATA for arm in taus)
    assert rounded(taus[MIXTURE]) == [0.33, 0.23, 0.44]
    assert rounded(taus[SINGLE]) == [0.21, -0.01, 0.43]
    assert rounded(taus[ALIKE]) == [0.16, 0.00, 0.32]
    taus = {arm: PairedT(values(result, "fashion-mnist", "kendall_tau", arm)) for arm in (MIXTURE, SINGLE, ALIKE)}
    assert [rounded(each)[0] for each in taus.values()] == [0.12, 0.20, 0.03]
    assert all(each.interval(0.95).low < 0 < each.interval(0.95).high for each in taus.values())
    means = {(data, arm): values(result, data, "kendall_tau_mean", arm) for data in DATA for arm in (MIXTURE, ALIKE)}
    assert [round(float(each.mean()), 2) for each in means.values()] == [0.32, 0.22, 0.24, 0.24]
    assert rounded(PairedT(means["cifar10", MIXTURE] - means["cifar10", ALIKE]))[1:] == [-0.10, 0.29]


def test_the_best_placement_and_operations(result: Result) -> None:
    placements = sorted({r.arm for r in result.records if r.metric == "flops"})
    assert len(placements) == 10
    operations = {data: {p: values(result, data, "flops", p)[0] for p in placements} for data in DATA}
    accuracies = {data: {p: values(result, data, "test_accuracy", p).mean() for p in placements} for data in DATA}
    for data, ahead, tau in zip(DATA, (1.9, 0.8), (-0.16, 0.30), strict=True):
        best = max(placements, key=accuracies[data].__getitem__)
        assert best == "[3,1,2]"
        assert operations[data][best] / operations[data]["[2,2,2]"] == pytest.approx(1.5, abs=0.02)
        assert 100 * (accuracies[data][best] - accuracies[data]["[2,2,2]"]) == pytest.approx(ahead, abs=0.05)
        ranked = kendalltau(list(operations[data].values()), list(accuracies[data].values())).statistic
        assert ranked == pytest.approx(tau, abs=0.005)
