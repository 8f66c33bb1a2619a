"""Every placement is listed once, and the two ways to write it say the same."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.errors import ArgumentError
from cenote.pooling import blocks_to_config, config_to_blocks, pool_configs
from cenote.pooling.balanced_supernets.configurations import blocks_at_width_changes, blocks_text, count_configs

SIZES = [(units, pools) for units in range(2, 9) for pools in range(1, units)]


@pytest.mark.parametrize(("units", "pools"), SIZES)
def test_the_placements_are_all_bit_vectors_with_so_many_ones(units: int, pools: int) -> None:
    every = {bits for bits in itertools.product((0, 1), repeat=units) if bits[0] == 0 and sum(bits) == pools}
    configs = pool_configs(units, pools)
    assert set(configs) == every
    assert len(configs) == len(every) == math.comb(units - 1, pools) == count_configs(units, pools)


def test_the_papers_search_spaces_have_their_sizes() -> None:
    assert count_configs(10, 2) == 36  # ResNet-20
    assert count_configs(9, 3) == 56  # ResNet-18 on CIFAR


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_blocks_and_bits_are_each_others_inverse(blocks: list[int]) -> None:
    config = blocks_to_config(blocks)
    assert len(config) == sum(blocks)
    assert sum(config) == len(blocks) - 1
    assert config_to_blocks(config) == tuple(blocks)


def test_placements_are_in_the_order_of_their_blocks() -> None:
    blocks = [config_to_blocks(config) for config in pool_configs(7, 3)]
    assert blocks == sorted(blocks)


def test_the_usual_placement_is_where_the_width_changes() -> None:
    assert blocks_at_width_changes((8, 8, 16, 16, 32, 32)) == (2, 2, 2)
    assert blocks_at_width_changes((8,)) == (1,)
    assert blocks_text((5, 3, 2)) == "[5,3,2]"


@pytest.mark.parametrize(
    ("units", "pools", "words"),
    [
        (0, 1, "n_units must be at least 1, got 0"),
        (3, 0, "n_pools must be at least 1, got 0"),
        (3, 3, "n_pools must be below the number of units, got 3 for 3"),
        (2, 5, "n_pools must be below the number of units, got 5 for 2"),
    ],
)
def test_numbers_that_leave_no_placement_are_refused(units: int, pools: int, words: str) -> None:
    for function in (pool_configs, count_configs):
        with pytest.raises(ArgumentError, match=words):
            function(units, pools)


@pytest.mark.parametrize("config", [(), (1, 0), (0, 2), (0, 1, -1)])
def test_bits_that_are_no_placement_are_refused(config: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="config must be 0s and 1s that begin with 0"):
        config_to_blocks(config)


@pytest.mark.parametrize("blocks", [(), (3, 0), (-1,)])
def test_blocks_that_are_no_placement_are_refused(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="blocks must be numbers of units from 1 up"):
        blocks_to_config(blocks)
