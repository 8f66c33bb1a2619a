"""How many points of a window receive gradient, on average over random windows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.poset import Poset

_CHUNK = 1 << 17


class Reach(NamedTuple):
    """An expected number of points, and its standard error: 0 where it is exact."""

    mean: float
    standard_error: float


def expected_reach(poset: Poset, samples: int = 1 << 19, seed: int = 0) -> Reach:
    """Return the expected size of the best up-set of a window of independent standard normal values.

    Turning signs turns the best up-set into the complement of the dual's, so the expectations of a poset and its dual
    add up to n; for a poset isomorphic to its dual it is n/2 exactly, whatever the symmetric continuous distribution.
    For the others it is estimated by random windows.

    Source: arXiv 2412.06097 (updates "with more precision"); the expectation is ours.

    Args:
        poset: The poset.
        samples: Random windows, at least 2.
        seed: Seed of the windows.

    Raises:
        ArgumentError: If ``samples`` is less than 2, or the poset has more than ``bitmasks.MAX_UP_SETS`` up-sets.

    Example:
        >>> expected_reach(Poset.chain(4))
        Reach(mean=2.0, standard_error=0.0)
    """
    if samples < 2:
        raise ArgumentError(f"samples must be at least 2, got {samples}")
    if poset.is_isomorphic(poset.dual()):
        return Reach(poset.n / 2, 0.0)
    vertices = OrderPolytope(poset).vertices.astype(np.float32)
    sizes = vertices.sum(1, dtype=np.float64)
    generator = np.random.default_rng(seed)
    counts = np.zeros(len(sizes))
    for start in range(0, samples, _CHUNK):
        x = generator.standard_normal((min(_CHUNK, samples - start), poset.n), dtype=np.float32)
        counts += np.bincount((x @ vertices.T).argmax(1), minlength=len(sizes))
    mean = float(counts @ sizes) / samples
    variance = float(counts @ (sizes - mean) ** 2) / (samples - 1)
    return Reach(mean, math.sqrt(variance / samples))
