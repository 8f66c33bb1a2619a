"""Poset pooling by its definition, in numpy and without the package: the answer the tests compare with.

An order is a set of pairs ``(a, b)``, 0-based, meaning a < b; what follows by transitivity need not be there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse
import torch
import torch.nn.functional as F

Order = frozenset[tuple[int, int]]
Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]


def order(*relations: str) -> Order:
    """``order("12", "24")`` is 1 < 2 < 4, numbered from 1 as in the paper."""
    return frozenset((int(a) - 1, int(b) - 1) for a, b in relations)


SIXTEEN = (
    order("14", "24", "34"),
    order(),
    order("12"),
    order("13", "23", "34"),
    order("13", "23"),
    order("12", "13"),
    order("12", "34"),
    order("12", "23", "24"),
    order("12", "23"),
    order("12", "13", "14"),
    order("12", "13", "34"),
    order("13", "14", "23", "24"),
    order("12", "32", "34"),
    order("12", "23", "34"),
    order("12", "24", "13", "34"),
    order("13", "34", "24"),
)
"""The orders of the released code, by its index."""

UP_SETS_OF_SIXTEEN = (9, 16, 12, 6, 10, 10, 9, 6, 8, 9, 7, 7, 8, 5, 6, 7)


def _r(x: Floats) -> Floats:
    return np.maximum(x, 0)


CLOSED_FORMS: tuple[Callable[[Floats, Floats, Floats, Floats], Floats], ...] = (
    lambda a, b, c, d: _r(d + _r(a) + _r(b) + _r(c)),
    lambda a, b, c, d: _r(a) + _r(b) + _r(c) + _r(d),
    lambda a, b, c, d: _r(b + _r(a)) + _r(c) + _r(d),
    lambda a, b, c, d: _r(d + _r(c + _r(a) + _r(b))),
    lambda a, b, c, d: _r(c + _r(a) + _r(b)) + _r(d),
    lambda a, b, c, d: np.maximum(_r(b) + _r(c), a + b + c) + _r(d),
    lambda a, b, c, d: _r(b + _r(a)) + _r(d + _r(c)),
    lambda a, b, c, d: np.maximum(_r(c) + _r(d), b + c + d + _r(a)),
    lambda a, b, c, d: _r(c + _r(b + _r(a))) + _r(d),
    lambda a, b, c, d: np.maximum(_r(b) + _r(c) + _r(d), a + b + c + d),
    lambda a, b, c, d: np.maximum(_r(b) + _r(d + _r(c)), a + b + c + d),
    lambda a, b, c, d: np.maximum(_r(c) + _r(d), c + d + _r(a) + _r(b)),
    lambda a, b, c, d: np.maximum(_r(b + _r(a)) + _r(d), b + c + d + _r(a)),
    lambda a, b, c, d: _r(d + _r(c + _r(b + _r(a)))),
    lambda a, b, c, d: _r(d + np.maximum(_r(b) + _r(c), a + b + c)),
    lambda a, b, c, d: _r(d + _r(b) + _r(c + _r(a))),
)
"""The sixteen filters written out, with a top left, b top right, c bottom left, d bottom right."""


def up_sets(points: int, relations: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Sets that contain, with a point, everything above it: by size, then lexicographically."""
    relations = list(relations)
    subsets = itertools.chain.from_iterable(itertools.combinations(range(points), k) for k in range(points + 1))
    return [subset for subset in subsets if all(b in subset for a, b in relations if a in subset)]


def best(windows: Floats, relations: Iterable[tuple[int, int]]) -> tuple[Floats, Floats]:
    """The largest sum over up-sets of (…, n) windows, and the first up-set that reaches it as zeros and ones."""
    points = windows.shape[-1]
    members = np.zeros((len(sets := up_sets(points, relations)), points))
    for row, up_set in zip(members, sets, strict=True):
        row[list(up_set)] = 1
    sums = np.stack([windows[..., row == 1].sum(-1) for row in members], -1)
    return sums.max(-1), members[sums.argmax(-1)]  # numpy's argmax is the first


def linear_program(windows: Floats, relations: Iterable[tuple[int, int]]) -> Floats:
    """Maximise x·y over the order polytope, 0 ≤ y ≤ 1 and y_a ≤ y_b for a < b, in all windows at once."""
    flat = windows.reshape(-1, windows.shape[-1])
    below = np.zeros((len(pairs := sorted(relations)), flat.shape[1]))
    for row, (a, b) in zip(below, pairs, strict=True):
        row[[a, b]] = 1, -1
    blocks = scipy.sparse.kron(scipy.sparse.identity(len(flat)), below)
    solution = scipy.optimize.linprog(
        -flat.ravel(), A_ub=blocks, b_ub=np.zeros(blocks.shape[0]), bounds=(0, 1), method="highs-ds"
    )
    assert solution.success
    return (flat * solution.x.reshape(flat.shape)).sum(-1).reshape(windows.shape[:-1])


def windows_of(x: Floats, kernel: Pair, stride: Pair, padding: Pair = (0, 0), *, ceil_mode: bool = True) -> Floats:
    """Cut (B, C, H, W) into (B, C, H', W', kH·kW) windows, zeros outside; sizes as of torch's max pooling."""
    out = F.max_pool2d(torch.from_numpy(x), kernel, stride, padding, ceil_mode=ceil_mode).shape
    wide = np.pad(x, [(0, 0), (0, 0)] + [(p, k + s) for p, k, s in zip(padding, kernel, stride, strict=True)])
    views = np.lib.stride_tricks.sliding_window_view(wide, kernel, axis=(2, 3))
    views = views[:, :, :: stride[0], :: stride[1]][:, :, : out[2], : out[3]]
    return views.reshape(*views.shape[:4], -1)


def gradient(
    x: Floats, relations: Iterable[tuple[int, int]], kernel: Pair, stride: Pair, padding: Pair, upstream: Floats
) -> Floats:
    """Add each window's upstream gradient to the members of its first best up-set."""
    _, members = best(windows_of(x, kernel, stride, padding), relations)
    out = np.zeros([size + 4 * k for size, k in zip(x.shape[2:], kernel, strict=True)])
    out = np.broadcast_to(out, (*x.shape[:2], *out.shape)).copy()
    for row, column in np.ndindex(members.shape[2:4]):
        top, left = row * stride[0], column * stride[1]
        flow = members[:, :, row, column] * upstream[:, :, row, column, None]
        out[:, :, top : top + kernel[0], left : left + kernel[1]] += flow.reshape(*x.shape[:2], *kernel)
    return out[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]]


def all_labelled_orders() -> list[Order]:
    """Every strict order on four points: the transitive, antisymmetric ones among the 4,096 sets of pairs."""
    pairs = list(itertools.permutations(range(4), 2))
    subsets: Iterable[Sequence[tuple[int, int]]] = itertools.chain.from_iterable(
        itertools.combinations(pairs, size)
        for size in range(7)  # a total order has six pairs
    )
    return [frozenset(subset) for subset in subsets if _is_order(set(subset))]


def _is_order(pairs: set[tuple[int, int]]) -> bool:
    return all((b, a) not in pairs for a, b in pairs) and all(
        (a, d) in pairs for a, b in pairs for c, d in pairs if b == c
    )
