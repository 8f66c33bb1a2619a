"""The released accuracies give the figures that are printed of them, by scipy's statistics and by ours."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cenote.catalog.loading import get_card
from cenote.catalog.settings import EnvironmentSettings
from cenote.errors import ArgumentError
from cenote.lab.experiment import Context, Trial
from cenote.lab.verdict import decide
from cenote.pooling import config_to_blocks, pool_configs, rank_statistics
from cenote.pooling.balanced_supernets import experiment, published
from cenote.pooling.balanced_supernets.rank_statistics import kendall_tau, pearson, regret, spearman

PRINTED = {
    1: (0.143, 0.233, 0.306, (4, 2, 4), 90.34, 18, 1.67, 80.90),
    2: (0.312, 0.473, 0.553, (4, 3, 3), 90.52, 15, 1.49, 82.36),
    4: (0.597, 0.757, 0.835, (5, 2, 3), 90.96, 8, 1.05, 83.08),
    8: (0.530, 0.709, 0.814, (5, 2, 3), 90.96, 8, 1.05, 83.15),
}
"""Kendall, Spearman, Pearson, pick, its accuracy, its rank, regret, mean score."""


@pytest.mark.parametrize("models", PRINTED)
def test_statistics_of_the_released_accuracies(models: int) -> None:
    kendall, rho, r, pick, accuracy, rank, lost, mean = PRINTED[models]
    truth, scores = published.stand_alone(), published.shared(models)
    found = rank_statistics(scores, truth, resamples=500)
    assert found.kendall.value == pytest.approx(kendall, abs=0.01)
    assert found.spearman.value == pytest.approx(rho, abs=0.01)
    assert found.pearson.value == pytest.approx(r, abs=0.01)
    assert found.regret.value == pytest.approx(lost, abs=0.01)
    assert published.TABLE[found.pick].blocks == pick
    assert truth[found.pick] == pytest.approx(accuracy, abs=0.01)
    assert found.true_rank == rank
    assert scores.mean() == pytest.approx(mean, abs=0.01)
    for each in (found.kendall, found.spearman, found.pearson, found.regret):
        assert each.low <= each.value <= each.high
        assert each.low < each.high


def test_the_table_has_every_placement_once_in_order() -> None:
    blocks = [config_to_blocks(config) for config in pool_configs(10, 2)]
    assert [row.blocks for row in published.TABLE] == blocks
    truth = published.stand_alone()
    assert (truth.max(), truth.min(), round(float(np.median(truth)), 2)) == (92.012, 87.447, 90.28)
    default = truth[blocks.index(published.DEFAULT)]
    assert (truth > default).sum() == 14


def test_the_table_is_what_was_released() -> None:
    root = EnvironmentSettings().data
    if root is None or not (root / "balanced_supernets").is_dir():
        pytest.skip("CENOTE_DATA has no balanced_supernets")
    with (root / "balanced_supernets" / "resnet20_pooling_positions.csv").open(encoding="utf-8") as file:
        rows = [list(map(float, row)) for row in list(csv.reader(file))[1:]]
    typed = [[*row.blocks, *(x for pair in zip(row.means, row.deviations, strict=True) for x in pair)]
             for row in published.TABLE]  # fmt: skip
    assert typed == rows


def test_the_claim_about_the_released_accuracies_is_judged_on_them_alone() -> None:
    claim = get_card("balanced-supernets").claim("released-accuracies-rank-better")
    records = list(experiment.measure(Trial(experiment.PUBLISHED, "released"), experiment.experiment.presets["tiny"],
                                      Context()))  # fmt: skip
    verdict = decide(claim, records, data=experiment.PUBLISHED)
    (comparison,) = verdict.comparisons
    assert comparison.estimate == pytest.approx(0.597 - 0.143, abs=0.002)
    assert claim.figure == pytest.approx(comparison.estimate, abs=0.002)
    assert (verdict.units, verdict.seeds) == (36, 1)
    swapped = [record.model_copy(update={"arm": {"mixture-of-4": "single-supernet",
                                                 "single-supernet": "mixture-of-4"}.get(record.arm, record.arm)})
               for record in records]  # fmt: skip
    assert decide(claim, swapped, data=experiment.PUBLISHED).word != "holds"


# --- the statistics -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_statistics_are_scipys(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        for statistic in (kendall_tau, spearman, pearson):
            assert math.isnan(statistic(x[None], y[None])[0])
        return
    assert kendall_tau(x[None], y[None])[0] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert spearman(x[None], y[None])[0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert pearson(x[None], y[None])[0] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_rows_are_compared_one_by_one() -> None:
    x, y = np.random.default_rng(0).random((2, 4, 7))
    for statistic in (kendall_tau, spearman, pearson, regret):
        single = [statistic(x[row : row + 1], y[row : row + 1])[0] for row in range(4)]
        np.testing.assert_allclose(statistic(x, y), single)


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    truth, scores = published.stand_alone(), published.shared(4)
    found = rank_statistics(scores, truth, resamples=4000).pearson
    other = stats.bootstrap(
        (scores, truth), lambda x, y, axis: stats.pearsonr(x, y, axis=axis).statistic, paired=True,
        vectorized=True, n_resamples=4000, method="percentile", rng=1,
    ).confidence_interval  # fmt: skip
    assert found.low == pytest.approx(other.low, abs=0.015)
    assert found.high == pytest.approx(other.high, abs=0.015)


def test_regret_is_what_the_pick_lacks() -> None:
    found = rank_statistics([3.0, 1.0, 2.0], [0.5, 0.9, 0.7])
    assert (found.pick, found.true_rank) == (0, 3)
    assert found.regret.value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("scores", "truth", "options", "words"),
    [
        ([1.0], [1.0], {}, "at least 2"),
        ([1.0, 2.0], [1.0], {}, r"as many finite numbers, at least 2, got \(2,\) and \(1,\)"),
        ([1.0, float("nan")], [1.0, 2.0], {}, "finite"),
        ([1.0, 2.0], [1.0, 2.0], {"level": 1.0}, "level must be between 0 and 1"),
        ([1.0, 2.0], [1.0, 2.0], {"resamples": 0}, "resamples at least 1"),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    scores: list[float], truth: list[float], options: dict[str, float], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        rank_statistics(scores, truth, **options)  # type: ignore[arg-type]
