"""Polytopes as convex hulls of points, and what the operations on tropical polynomials do to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.checks import need, real_numbers
from cenote.pooling.order_theory.hulls import Floats, upper_vertices


class Polytope:
    """The convex hull of finitely many points.

    ``newton_polytope`` of a tropical polynomial gives one. The tropical product goes with ``minkowski_sum`` and the
    tropical sum with ``convex_envelope``.

    Source: arXiv 2412.06097 (Newton polytopes of poset networks).

    Args:
        points: (M, N), finite, at least one; those that are no vertices do no harm.

    Raises:
        ArgumentError: If ``points`` is not of that form.
        ArgumentTypeError: If it is not made of real numbers.

    Example:
        >>> square = Polytope([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])
        >>> square.vertices.tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        >>> square.minkowski_sum(square).contains([1.5, 2]).item()
        True
    """

    def __init__(self, points: npt.ArrayLike) -> None:
        array = real_numbers("points", points)
        if array.ndim != 2 or not len(array) or not np.isfinite(array).all():
            raise ArgumentError(f"points must be finite numbers of shape (M, N) with M ≥ 1, got shape {array.shape}")
        self.points = np.unique(array + 0.0, axis=0)  # + 0.0 makes -0.0 one with 0.0

    @property
    def dimension(self) -> int:
        """Dimension of the space it lies in."""
        return int(self.points.shape[1])

    @cached_property
    def vertices(self) -> Floats:
        """The vertices (V, N), in lexicographic order."""
        return self.points[upper_vertices(self.points)]

    def support(self, x: npt.ArrayLike) -> Floats:
        """Return max x·y over the polytope.

        Shapes: (…, N) to (…).

        Raises:
            ArgumentError: If the last dimension is not N.
            ArgumentTypeError: If ``x`` is not made of real numbers.
        """
        rows = real_numbers("x", x)
        if rows.shape[-1:] != (self.dimension,):
            raise ArgumentError(f"x must have shape (…, {self.dimension}), got {rows.shape}")
        values: Floats = (rows @ self.points.T).max(-1)
        return values

    def contains(self, y: npt.ArrayLike, tolerance: float = 1e-9) -> npt.NDArray[np.bool_]:
        """Return whether points lie in the polytope, or as near to it in every coordinate as ``tolerance``.

        Shapes: (…, N) to (…).

        Raises:
            ArgumentError: If the last dimension is not N.
        """
        wanted = real_numbers("y", y)
        if wanted.shape[-1:] != (self.dimension,):
            raise ArgumentError(f"y must have shape (…, {self.dimension}), got {wanted.shape}")
        rows = wanted.reshape(-1, self.dimension)
        return np.array([self._has(row, tolerance) for row in rows], dtype=np.bool_).reshape(wanted.shape[:-1])

    def minkowski_sum(self, other: Polytope) -> Polytope:
        """Return the set of sums of a point of each.

        Raises:
            ArgumentError: If the dimensions differ.
        """
        self._check_dimension(other)
        return Polytope((self.points[:, None] + other.points[None]).reshape(-1, self.dimension))

    def convex_envelope(self, other: Polytope) -> Polytope:
        """Return the convex hull of both.

        Raises:
            ArgumentError: If the dimensions differ.
        """
        self._check_dimension(other)
        return Polytope(np.concatenate([self.points, other.points]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polytope) and np.array_equal(self.vertices, other.vertices)

    def __hash__(self) -> int:
        return hash((self.vertices.shape, self.vertices.tobytes()))

    def __repr__(self) -> str:
        return f"Polytope({self.vertices.tolist()})"

    def _has(self, y: Floats, tolerance: float) -> bool:
        """Look for the weights of a convex combination that comes as near as asked."""
        if not np.isfinite(y).all():
            return False
        answer = linprog(
            np.zeros(len(self.points)),
            A_ub=np.vstack([self.points.T, -self.points.T]),
            b_ub=np.concatenate([y + tolerance, tolerance - y]),
            A_eq=np.ones((1, len(self.points))),
            b_eq=[1.0],
            options={"primal_feasibility_tolerance": 1e-10},
        )
        return bool(answer.status == 0)

    def _check_dimension(self, other: Polytope) -> None:
        if need("other", other, Polytope).dimension != self.dimension:
            raise ArgumentError(f"other must have dimension {self.dimension}, got {other.dimension}")


def product_of(parts: Sequence[Polytope]) -> Polytope:
    """Return the Cartesian product, in the space of all coordinates one after the other."""
    rows = [np.concatenate([np.zeros(0), *choice]) for choice in product(*(part.points for part in parts))]
    return Polytope(np.array(rows))
