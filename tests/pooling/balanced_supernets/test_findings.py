"""Findings about the paper, from the accuracies its authors released and the operations of its placements."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cenote.pooling.balanced_supernets import published

SIDE, WIDTHS = 32, (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)


def operations(blocks: tuple[int, ...]) -> float:
    """Multiplications and additions of ResNet-20's convolutions in millions, counted by hand."""
    sides = [SIDE >> level for level, units in enumerate(blocks) for _ in range(units)]
    total = 0
    for index, (side, width) in enumerate(zip(sides, WIDTHS, strict=True)):
        before = WIDTHS[index - 1] if index else 3
        total += 2 * 9 * before * width * side**2
        if index:
            total += 2 * 9 * width * width * side**2
        if index and before != width:
            total += 2 * before * width * side**2
    return total / 1e6


def cost(*blocks: int) -> float:
    return operations(blocks) / operations(published.DEFAULT)


def truth_of(*blocks: int) -> float:
    names = [row.blocks for row in published.TABLE]
    return float(published.stand_alone()[names.index(blocks)])


def test_the_best_released_score_of_four_supernets_is_not_the_papers_pick() -> None:
    names, scores = [row.blocks for row in published.TABLE], published.shared(4)
    assert names[int(scores.argmax())] == (5, 2, 3)
    assert scores.max() == pytest.approx(84.83, abs=0.005)
    assert scores[names.index((5, 3, 2))] == pytest.approx(84.35, abs=0.005)
    assert truth_of(5, 3, 2) == pytest.approx(91.55, abs=0.005)
    assert truth_of(5, 2, 3) == pytest.approx(90.96, abs=0.005)


def test_operations_alone_rank_better_than_one_or_two_supernets() -> None:
    truth = published.stand_alone()
    counted = [operations(row.blocks) for row in published.TABLE]
    taus = {models: stats.kendalltau(published.shared(models), truth).statistic for models in published.MODELS}
    own = stats.kendalltau(counted, truth).statistic
    assert own == pytest.approx(0.50, abs=0.005)
    assert taus[1] < taus[2] < own < taus[8] < taus[4]


def test_placements_that_beat_the_default_by_a_point_take_more_operations() -> None:
    assert cost(5, 3, 2) == pytest.approx(1.54, abs=0.005)
    assert cost(7, 1, 2) == pytest.approx(2.23, abs=0.005)
    within = [row.blocks for row in published.TABLE if cost(*row.blocks) <= 1]
    best = max(within, key=lambda blocks: truth_of(*blocks))
    assert best == (3, 4, 3)
    assert truth_of(*best) - truth_of(*published.DEFAULT) == pytest.approx(0.40, abs=0.01)
    above = np.array([cost(*row.blocks) for row in published.TABLE if truth_of(*row.blocks) >= 91.0])
    assert above.min() > 1
