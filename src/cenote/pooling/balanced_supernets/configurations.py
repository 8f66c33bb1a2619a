"""Where a sequence of units can be pooled: bit vectors, and the number of units at each resolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

from cenote.errors import ArgumentError

Config: TypeAlias = tuple[int, ...]
"""A bit for each unit: 1 where its input is pooled first. The first is 0: the image itself is not pooled."""

Blocks: TypeAlias = tuple[int, ...]
"""Number of units at each resolution, from the finest: (4, 3, 3) pools before the fifth and the eighth of ten units."""


def pool_configs(n_units: int, n_pools: int) -> tuple[Config, ...]:
    """Return every way to put poolings between the units of a sequence, at most one between two units.

    There are C(n_units − 1, n_pools) of them, in the order of their blocks.

    Source: arXiv 2306.11982; ResNet-20 has 10 units and 2 poolings, so 36 configurations.

    Args:
        n_units: Length of the sequence.
        n_pools: Number of poolings.

    Raises:
        ArgumentError: If a number is below 1, or there are as many poolings as units.

    Example:
        >>> pool_configs(4, 2)
        ((0, 1, 1, 0), (0, 1, 0, 1), (0, 0, 1, 1))
        >>> len(pool_configs(10, 2))
        36
    """
    _check_numbers(n_units, n_pools)
    places = itertools.combinations(range(1, n_units), n_pools)
    return tuple(tuple(int(unit in chosen) for unit in range(n_units)) for chosen in places)


def count_configs(n_units: int, n_pools: int) -> int:
    """Return the number of configurations without listing them.

    Raises:
        ArgumentError: If a number is below 1, or there are as many poolings as units.
    """
    _check_numbers(n_units, n_pools)
    return math.comb(n_units - 1, n_pools)


def config_to_blocks(config: Sequence[int]) -> Blocks:
    """Return the number of units at each resolution.

    Args:
        config: A bit for each unit, 1 where its input is pooled.

    Raises:
        ArgumentError: If it is empty, has other numbers than 0 and 1, or begins with 1.

    Example:
        >>> config_to_blocks((0, 0, 0, 0, 1, 0, 0, 1, 0, 0))
        (4, 3, 3)
    """
    bits = tuple(config)
    if not bits or bits[0] != 0 or any(bit not in (0, 1) for bit in bits):
        raise ArgumentError(f"config must be 0s and 1s that begin with 0, got {list(bits)}")
    starts = [0, *(unit for unit, bit in enumerate(bits) if bit), len(bits)]
    return tuple(after - before for before, after in itertools.pairwise(starts))


def blocks_to_config(blocks: Sequence[int]) -> Config:
    """Return the bit for each unit.

    Args:
        blocks: Number of units at each resolution, from the finest.

    Raises:
        ArgumentError: If it is empty or a number is below 1.

    Example:
        >>> blocks_to_config((4, 3, 3))
        (0, 0, 0, 0, 1, 0, 0, 1, 0, 0)
    """
    numbers = tuple(blocks)
    if not numbers or any(number < 1 for number in numbers):
        raise ArgumentError(f"blocks must be numbers of units from 1 up, got {list(numbers)}")
    bits = [int(unit == 0) for number in numbers for unit in range(number)]
    return (0, *bits[1:])


def blocks_text(blocks: Sequence[int]) -> str:
    """Write blocks as the paper does.

    Example:
        >>> blocks_text((4, 3, 3))
        '[4,3,3]'
    """
    return f"[{','.join(map(str, blocks))}]"


def blocks_at_width_changes(widths: Sequence[int]) -> Blocks:
    """Return the usual placement: a pooling before every unit that has more channels than the one before it.

    Args:
        widths: Channels of each unit.

    Raises:
        ArgumentError: If there are none.

    Example:
        >>> blocks_at_width_changes((16, 16, 16, 16, 32, 32, 32, 64, 64, 64))
        (4, 3, 3)
    """
    return config_to_blocks([0, *(int(after > before) for before, after in itertools.pairwise(widths))][: len(widths)])


def _check_numbers(n_units: int, n_pools: int) -> None:
    if n_units < 1:
        raise ArgumentError(f"n_units must be at least 1, got {n_units}")
    if n_pools < 1:
        raise ArgumentError(f"n_pools must be at least 1, got {n_pools}")
    if n_pools >= n_units:
        raise ArgumentError(
            f"n_pools must be below the number of units, got {n_pools} for {n_units}: poolings stand between units"
        )
