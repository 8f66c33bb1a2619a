"""Which points of a finite set are vertices of their convex hull, or of the upper hull over given heights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import block_diag

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

TOLERANCE = 1e-9
"""A point counts as a vertex if it stands out by more than this, relative to the largest coordinate or height."""

_TRIALS = 512

_TOGETHER = 64
"""Points decided by one linear programme."""


def upper_vertices(places: Floats, heights: Floats | None = None) -> Booleans:
    """Return which points are vertices of the upper hull of (place, height): those that an affine function singles out.

    Point i is one if and only if ``heights[i] + places[i]·x`` is the strict maximum over all points for some x. Without
    heights these are the vertices of the convex hull. Most points are settled by looking: a winner in one of some
    fixed directions is a vertex, the midpoint of two others that are as high is none; a linear programme decides the
    rest.

    Args:
        places: (M, N), distinct.
        heights: (M,), finite; all 0 by default.
    """
    heights = np.zeros(len(places)) if heights is None else heights
    if not len(places):
        return np.zeros(0, bool)
    scale = max(1.0, float(np.abs(places).max(initial=0)), float(np.abs(heights).max()))
    found = _winners(places, heights, TOLERANCE * scale)
    undecided = np.flatnonzero(~found & ~_midpoints(places, heights))
    for start in range(0, len(undecided), _TOGETHER):
        some = undecided[start : start + _TOGETHER]
        found[some] = _stand_out(some, places, heights, TOLERANCE * scale)
    return found


def _winners(places: Floats, heights: Floats, tolerance: float) -> Booleans:
    """Points that win in one of some directions, fixed but without pattern, at near and at far."""
    found = np.zeros(len(places), bool)
    if len(places) == 1:
        return ~found
    directions = np.random.default_rng(0).standard_normal((_TRIALS, places.shape[1]))
    directions *= np.logspace(-1, 2, _TRIALS)[:, None]
    values = directions @ places.T + heights
    second, first = np.partition(values, len(places) - 2, axis=1)[:, -2:].T
    clear = first - second > tolerance * np.maximum(1, np.abs(directions).sum(1))
    found[values.argmax(1)[clear]] = True
    return found


def _midpoints(places: Floats, heights: Floats) -> Booleans:
    """Points half way between two others that are together at least twice as high; looked for among integers only."""
    found = np.zeros(len(places), bool)
    reach = int(np.abs(places).max(initial=0))
    radix = 6 * reach + 1.0  # twice a point less another has no coordinate beyond three times the reach
    if (places % 1).any() or radix ** places.shape[1] > 2.0**53:
        return found
    codes = places @ radix ** np.arange(places.shape[1])
    order = np.argsort(codes)
    for index, code in enumerate(codes):
        wanted = 2 * code - codes
        partners = order[np.searchsorted(codes, wanted, sorter=order).clip(max=len(codes) - 1)]
        there = (codes[partners] == wanted) & (wanted != code)
        found[index] = (heights + heights[partners] >= 2 * heights[index])[there].any()
    return found


def _stand_out(some: npt.NDArray[np.intp], places: Floats, heights: Floats, tolerance: float) -> Booleans:
    """Whether each of some points leads all others for some x: maximise its least lead over x, up to a lead of 1.

    The programmes have nothing in common; in one call they cost little more than one of them.
    """
    rows, bounds = [], []
    for index in some:
        others = np.arange(len(places)) != index
        rows.append(np.column_stack([places[others] - places[index], np.ones(others.sum())]))
        bounds.append(heights[index] - heights[others])
    columns = places.shape[1] + 1
    leads: Any = block_diag(rows, format="csr")  # linprog's types know no sparse matrices
    answer = linprog(
        np.tile([0.0] * (columns - 1) + [-1.0], len(some)),
        A_ub=leads,
        b_ub=np.concatenate(bounds),
        bounds=([(None, None)] * (columns - 1) + [(None, 1.0)]) * len(some),
    )
    if answer.x is None:
        raise ArithmeticError(f"linear programme over {len(places)} points was not solved: {answer.message}")
    return np.asarray(answer.x.reshape(len(some), columns)[:, -1] > tolerance)
