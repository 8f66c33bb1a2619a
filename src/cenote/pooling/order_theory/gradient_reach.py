"""How many points of a window receive gradient, on average over random windows, and how often none does."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.poset import Poset

_CHUNK = 1 << 17


class Expectation(NamedTuple):
    """An expected value, and its standard error: 0 where it is exact."""

    mean: float
    standard_error: float


def expected_reach(poset: Poset, samples: int = 1 << 19, seed: int = 0) -> Expectation:
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
        Expectation(mean=2.0, standard_error=0.0)
    """
    _check_samples(samples)
    if poset.is_isomorphic(poset.dual()):
        return Expectation(poset.n / 2, 0.0)
    vertices = OrderPolytope(poset).vertices
    return _mean(vertices.sum(1, dtype=np.float64), _best_vertices(vertices, samples, seed))


def no_update_probability(poset: Poset, samples: int = 1 << 19, seed: int = 0) -> Expectation:
    """Return how likely the empty up-set is the best of a window of standard normal values: no point is updated.

    Where every component is a chain it is exact, whatever the symmetric continuous distribution: the sums from the top
    of a chain of k points are a random walk, which stays below 0 with the probability C(2k, k) / 4^k (E. Sparre
    Andersen, 1954). For the others it depends on the distribution, and is estimated by random windows.

    Source: arXiv 2412.06097 (updates "with more precision"); the probability is ours.

    Args:
        poset: The poset.
        samples: Random windows, at least 2.
        seed: Seed of the windows.

    Raises:
        ArgumentError: If ``samples`` is less than 2, or the poset has more than ``bitmasks.MAX_UP_SETS`` up-sets.

    Example:
        >>> no_update_probability(Poset.antichain(4)).mean == 1 / 16
        True
        >>> no_update_probability(Poset.chain(4)).mean == 35 / 128
        True
    """
    _check_samples(samples)
    chains = _chain_lengths(poset)
    if chains is not None:
        return Expectation(math.prod(math.comb(2 * k, k) / 4**k for k in chains), 0.0)
    vertices = OrderPolytope(poset).vertices
    empty = (vertices.sum(1, dtype=np.float64) == 0).astype(np.float64)
    return _mean(empty, _best_vertices(vertices, samples, seed))


def _chain_lengths(poset: Poset) -> list[int] | None:
    """The numbers of points of the components if all are chains: no point covers two, and none is covered by two."""
    above, below = dict(poset.covers), {b: a for a, b in poset.covers}
    if not len(above) == len(below) == len(poset.covers):
        return None
    lengths = []
    for point in range(poset.n):
        if point not in below:
            lengths.append(1)
            while point in above:
                point = above[point]
                lengths[-1] += 1
    return lengths


def _best_vertices(vertices: npt.NDArray[np.integer], samples: int, seed: int) -> npt.NDArray[np.float64]:
    """Count how often each vertex is the best of a random window."""
    matrix = vertices.astype(np.float32)
    generator = np.random.default_rng(seed)
    counts = np.zeros(len(matrix))
    for start in range(0, samples, _CHUNK):
        x = generator.standard_normal((min(_CHUNK, samples - start), matrix.shape[1]), dtype=np.float32)
        counts += np.bincount((x @ matrix.T).argmax(1), minlength=len(matrix))
    return counts


def _mean(values: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]) -> Expectation:
    samples = counts.sum()
    mean = float(counts @ values) / samples
    variance = float(counts @ (values - mean) ** 2) / (samples - 1)
    return Expectation(float(mean), math.sqrt(variance / samples))


def _check_samples(samples: int) -> None:
    if samples < 2:
        raise ArgumentError(f"samples must be at least 2, got {samples}")
