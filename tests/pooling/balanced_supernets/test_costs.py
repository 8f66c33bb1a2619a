"""Operations are counted as by hand, budgets keep what they allow, and memory is added up."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling import (
    FlopsBudget,
    LatencyBudget,
    blocks_to_config,
    count_flops,
    measure_latencies,
    resnet_units,
    training_memory,
)
from cenote.pooling.balanced_supernets.costs import within
from cenote.pooling.balanced_supernets.supernet import pooled_network


def by_hand(widths: tuple[int, ...], blocks: tuple[int, ...], side: int, channels: int, classes: int) -> int:
    """Multiplications with their additions: convolutions 3×3 and 1×1 at each resolution, and the linear layer."""
    total, inside = 0, channels
    for unit, (outside, pooled) in enumerate(zip(widths, blocks_to_config(blocks), strict=True)):
        side //= 2 if pooled else 1
        total += 9 * inside * outside * side**2
        if unit:
            total += 9 * outside * outside * side**2
            total += inside * outside * side**2 if inside != outside else 0
        inside = outside
    return 2 * (total + inside * classes)


@pytest.mark.parametrize("blocks", [(1, 1, 4), (2, 2, 2), (4, 1, 1), (3, 3), (6,)])
def test_operations_are_those_of_the_convolutions_and_the_head(blocks: tuple[int, ...]) -> None:
    widths = (4, 4, 6, 6, 8, 8)
    network = pooled_network(resnet_units(widths, channels=2, classes=5), blocks_to_config(blocks))
    assert count_flops(network, (1, 2, 16, 16)) == by_hand(widths, blocks, 16, 2, 5)
    assert count_flops(network, (3, 2, 16, 16)) == 3 * by_hand(widths, blocks, 16, 2, 5)
    assert network.training  # left in the mode it was in


def test_resnet20s_placements_span_a_factor_of_eight() -> None:
    units = resnet_units()
    early, late = (
        count_flops(pooled_network(units, blocks_to_config(blocks)), (1, 3, 32, 32)) / 2e6
        for blocks in ((1, 1, 8), (8, 1, 1))
    )
    assert early == pytest.approx(18, abs=0.7)  # millions of multiplications
    assert late == pytest.approx(149, abs=3)


def test_latencies_are_one_for_each_network_and_repeat_and_late_poolings_take_longer() -> None:
    units = resnet_units((16,) * 4)
    networks = [pooled_network(units, blocks_to_config(blocks)) for blocks in ((1, 1, 2), (4,))]
    seconds = measure_latencies(networks, (1, 3, 96, 96), repeats=7)
    assert seconds.shape == (2, 7)
    assert (seconds > 0).all()
    fast, slow = np.median(seconds, axis=1)
    assert slow > fast  # eight times the operations


def test_a_budget_keeps_what_costs_no_more() -> None:
    assert within(FlopsBudget(20), np.array([10.0, 20.0, 21.0])) == [0, 1]
    with pytest.raises(ArgumentError, match=r"no placement keeps FlopsBudget\(limit=5\); the cheapest costs 10"):
        within(FlopsBudget(5), np.array([10.0, 20.0]))


def test_a_latency_budget_measures_medians() -> None:
    networks = [nn.Conv2d(1, 1, 1), nn.Conv2d(1, 8, 3)]
    costs = LatencyBudget(limit=1.0, repeats=3).costs(networks, (1, 1, 8, 8))
    assert costs.shape == (2,)
    assert within(LatencyBudget(1.0), costs) == [0, 1]


@pytest.mark.parametrize("budget", [FlopsBudget, LatencyBudget])
@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_limits_that_allow_nothing_are_refused(budget: type, limit: float) -> None:
    with pytest.raises(ArgumentError, match="limit must be positive"):
        budget(limit)


def test_numbers_that_measure_nothing_are_refused() -> None:
    with pytest.raises(ArgumentError, match="repeats must be at least 1, got 0"):
        LatencyBudget(1.0, repeats=0)
    with pytest.raises(ArgumentError, match="networks and repeats must be at least 1, got 0 and 3"):
        measure_latencies([], (1, 1, 8, 8), repeats=3)


def test_memory_is_added_up() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 3))
    memory = training_memory(layers, (5, 1, 8, 8), models=3)
    weights = 4 * (18 + 72 * 3 + 3)
    assert (memory.weights, memory.momentum) == (3 * weights, 3 * weights)
    # The input, for the convolution's gradient, and the ReLU's output, which the linear layer keeps too.
    assert memory.activations == 4 * 5 * (64 + 72)
    assert memory.total == 6 * weights + memory.activations
    assert training_memory(layers, (5, 1, 8, 8)).activations == memory.activations  # only one model takes a step
