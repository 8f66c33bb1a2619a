"""Order polytopes: vertices, facets, volume, lattice points, and the way back to the poset."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import factorial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import points
from cenote.pooling.order_theory.checks import integer, need, real_numbers
from cenote.pooling.order_theory.hulls import Floats
from cenote.pooling.order_theory.polytope import Polytope
from cenote.pooling.order_theory.poset import Poset


class Inequalities(NamedTuple):
    """The points y with ``matrix @ y <= bounds``."""

    matrix: npt.NDArray[np.int64]
    """(K, N), one row an inequality."""
    bounds: npt.NDArray[np.int64]
    """(K,)."""


class OrderPolytope:
    """The order polytope of a poset: the order-preserving maps into the interval from 0 to 1.

        O(P) = {y in [0, 1]ⁿ : y_a ≤ y_b whenever a ≤ b}

    Its vertices are the indicator vectors of the up-sets, and its support function is the poset's filter.

    Source: arXiv 2412.06097; R. Stanley, Two poset polytopes, 1986, for facets and volume.

    Args:
        poset: The poset.

    Raises:
        ArgumentTypeError: If ``poset`` is no ``Poset``.

    Example:
        >>> polytope = OrderPolytope(Poset.from_hasse("1<2>3<4"))
        >>> len(polytope.vertices), len(polytope.facets.bounds), polytope.volume
        (8, 7, Fraction(5, 24))
        >>> print(*(polytope.ehrhart(t) for t in range(4)))
        1 8 31 85
    """

    def __init__(self, poset: Poset) -> None:
        self.poset = need("poset", poset, Poset)

    @classmethod
    def from_vertices(cls, vertices: npt.ArrayLike) -> OrderPolytope:
        """Return the order polytope with these vertices: a < b where every vertex with y_a = 1 has y_b = 1.

        Args:
            vertices: (V, N), in any order.

        Raises:
            ArgumentError: If they are not the vertices of an order polytope; the error says what is wrong.
        """
        array = real_numbers("vertices", vertices)
        if array.ndim != 2 or not np.isin(array, (0, 1)).all():
            raise ArgumentError(f"vertices must be zeros and ones of shape (V, N), got shape {array.shape}")
        given = {bitmasks.mask_of(np.flatnonzero(row).tolist()) for row in array}
        ones = array.astype(bool)
        forced = [
            (a, b) for a in range(array.shape[1]) for b in range(array.shape[1]) if a != b and ones[ones[:, a], b].all()
        ]
        if any((b, a) in set(forced) for a, b in forced):
            raise ArgumentError("vertices are not those of an order polytope: two coordinates are equal in all of them")
        poset = Poset(array.shape[1], forced)
        if len(given) != poset.count_up_sets() or given != set(poset.up_set_masks()):
            raise ArgumentError(
                f"vertices are not those of an order polytope: the order they respect, {poset.hasse()!r}, has "
                f"{poset.count_up_sets()} up-sets, and {len(given)} different vertices were given"
            )
        return cls(poset)

    @property
    def dimension(self) -> int:
        """Number of points of the poset, N."""
        return self.poset.n

    @cached_property
    def vertices(self) -> npt.NDArray[np.int64]:
        """The indicator vectors of the up-sets (V, N), by size, then lexicographically."""
        masks = self.poset.up_set_masks()
        return np.array([[mask >> point & 1 for point in range(self.dimension)] for mask in masks], dtype=np.int64)

    @property
    def facets(self) -> Inequalities:
        """One inequality a facet: y_a ≤ y_b for covers a < b, 0 ≤ y_a for minimal a, y_b ≤ 1 for maximal b."""
        unit = np.eye(self.dimension, dtype=np.int64)
        rows = [unit[a] - unit[b] for a, b in self.poset.covers]
        rows += [-unit[a] for a in self.poset.minimal]
        rows += [unit[b] for b in self.poset.maximal]
        bounds = np.zeros(len(rows), np.int64)
        bounds[len(rows) - len(self.poset.maximal) :] = 1
        return Inequalities(np.array(rows, np.int64).reshape(len(rows), self.dimension), bounds)

    @property
    def volume(self) -> Fraction:
        """The exact volume e(P) / n!, where e(P) is the number of linear extensions."""
        return Fraction(self.poset.count_linear_extensions(), factorial(self.dimension))

    @property
    def polytope(self) -> Polytope:
        """The same set as the convex hull of its vertices."""
        return Polytope(self.vertices)

    # --- lattice points -------------------------------------------------------------------------------------------

    def ehrhart(self, t: int) -> int:
        """Return the number of lattice points in t·O(P): of order-preserving maps into {0, 1, …, t}.

        At negative t the polynomial counts, up to the sign (-1)ⁿ, the strictly order-preserving maps into -t-1 values,
        which are the lattice points inside of -t·O(P) (Ehrhart's reciprocity).

        Raises:
            ArgumentTypeError: If ``t`` is not an integer.
        """
        dilation, value = integer("t", t), Fraction(0)
        for coefficient in reversed(self.ehrhart_polynomial()):
            value = value * dilation + coefficient
        return int(value)

    def ehrhart_polynomial(self) -> tuple[Fraction, ...]:
        """Return the coefficients of the Ehrhart polynomial, lowest power first; the last one is the volume.

        It is the order polynomial at t+1, found from its values at t = 0, …, n: a map into {0, …, t} is a chain of t
        up-sets, each in the one before.

        Raises:
            ArgumentError: If the poset has more than ``bitmasks.MAX_UP_SETS`` up-sets.

        Example:
            >>> print(*OrderPolytope(Poset.chain(2)).ehrhart_polynomial())
            1 3/2 1/2
        """
        return self._ehrhart

    @cached_property
    def _ehrhart(self) -> tuple[Fraction, ...]:
        differences = _chain_counts(self.poset)
        coefficients = [Fraction(0)] * (self.dimension + 1)
        falling = [Fraction(1)]  # the coefficients of binomial(t, k)
        for k in range(self.dimension + 1):
            for power, factor in enumerate(falling):
                coefficients[power] += differences[0] * factor
            differences = [after - before for before, after in pairwise(differences)]
            raised = [Fraction(0), *falling]
            falling = [(raised[i] - k * (falling[i] if i <= k else 0)) / (k + 1) for i in range(k + 2)]
        return tuple(coefficients)

    # --- points and directions ------------------------------------------------------------------------------------

    def contains(self, y: npt.ArrayLike, tolerance: float = 1e-9) -> npt.NDArray[np.bool_]:
        """Return whether points satisfy every facet's inequality up to ``tolerance``.

        Shapes: (…, N) to (…).

        Raises:
            ArgumentError: If the last dimension is not N.
        """
        wanted = _rows_of(y, self.dimension, "y")
        matrix, bounds = self.facets
        return np.asarray((wanted @ matrix.T <= bounds + tolerance).all(-1))

    def support(self, x: npt.ArrayLike) -> Floats:
        """Return the largest x·y over the polytope, which is the poset's filter at x.

        Shapes: (…, N) to (…).

        Raises:
            ArgumentError: If the last dimension is not N, or the poset has more than ``bitmasks.MAX_UP_SETS`` up-sets;
                ``best_up_set`` needs no list of them.
        """
        values: Floats = (_rows_of(x, self.dimension, "x") @ self.vertices.T).max(-1)
        return values

    def best_up_set(self, x: npt.ArrayLike) -> tuple[int, ...]:
        """Return the smallest up-set with the largest sum of x, without listing up-sets.

        It is a closure of largest weight: what gains flows to what it forces, and the up-sets generated by the gains
        that cannot be used up remain (J.-C. Picard, Maximal closure of a graph, 1976).

        Shapes: (N,).

        Raises:
            ArgumentError: If ``x`` is not N finite numbers.
        """
        values = _rows_of(x, self.dimension, "x")
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ArgumentError(f"x must be {self.dimension} finite numbers, got {x!r}")
        above = bitmasks.closure(self.poset.n, self.poset.covers)
        return tuple(points(_maximal_closure(above, values.tolist())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderPolytope) and self.poset == other.poset

    def __hash__(self) -> int:
        return hash(self.poset)

    def __repr__(self) -> str:
        return f"OrderPolytope({self.poset!r})"


def _rows_of(array: npt.ArrayLike, dimension: int, name: str) -> Floats:
    rows = real_numbers(name, array)
    if rows.shape[-1:] != (dimension,):
        raise ArgumentError(f"{name} must have shape (…, {dimension}), got {rows.shape}")
    return rows


def _chain_counts(poset: Poset) -> list[int]:
    """For t = 0, …, n the number of chains F_1 ⊆ … ⊆ F_t of up-sets, equal ones allowed.

    Each step sums, for every up-set, over all in it. Point by point, smaller points first: what lacks the point lies in
    the up-set less everything up to the point.
    """
    up_to = [mask | 1 << point for point, mask in enumerate(bitmasks.below(bitmasks.closure(poset.n, poset.covers)))]
    order = sorted(range(poset.n), key=lambda point: up_to[point].bit_count())
    chains = dict.fromkeys(poset.up_set_masks(), 1)
    full = (1 << poset.n) - 1
    counts = [chains[full]]
    for _ in range(poset.n):
        for point in order:
            chains = {
                mask: count + (chains[mask & ~up_to[point]] if mask >> point & 1 else 0)
                for mask, count in chains.items()
            }
        counts.append(chains[full])
    return counts


def _maximal_closure(above: bitmasks.Above, values: list[float]) -> int:
    """Send what is positive along shortest paths to what is negative above it, until nothing more can be sent."""
    n = len(values)
    sent: dict[tuple[int, int], float] = {}
    left = list(values)
    gains = [point for point in range(n) if values[point] > 0]
    while True:
        reached, path = _search(above, sent, left, gains)
        if path is None:
            return bitmasks.union(above[point] | 1 << point for point in gains if reached >> point & 1)
        amount = min(
            left[path[0]], -left[path[-1]], *(sent[b, a] for a, b in zip(path[1::2], path[2::2], strict=False))
        )
        left[path[0]] -= amount
        left[path[-1]] += amount
        for a, b in zip(path[::2], path[1::2], strict=True):
            sent[a, b] = sent.get((a, b), 0.0) + amount
        for a, b in zip(path[1::2], path[2::2], strict=False):
            sent[b, a] -= amount


def _search(
    above: bitmasks.Above, sent: dict[tuple[int, int], float], left: list[float], gains: list[int]
) -> tuple[int, list[int] | None]:
    """What the gains that are left reach, and a shortest path from one to a loss that is left, if there is any."""
    paths = deque([gain] for gain in gains if left[gain] > 0)
    reached = bitmasks.mask_of(path[0] for path in paths)
    while paths:
        path = paths.popleft()
        gain = path[-1]
        for loss in points(above[gain] & ~reached):
            if loss in gains:
                continue
            if left[loss] < 0:
                return reached, [*path, loss]
            reached |= 1 << loss
            for other in gains:
                if not reached >> other & 1 and sent.get((other, loss), 0.0) > 0:
                    reached |= 1 << other
                    paths.append([*path, loss, other])
    return reached, None
