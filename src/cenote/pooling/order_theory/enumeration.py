"""Every poset on n points, up to isomorphism or with named points."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import permutations

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import Above, points
from cenote.pooling.order_theory.checks import integer
from cenote.pooling.order_theory.poset import Poset

MOST_POINTS = 8
"""Posets on more points are not enumerated: there are 183,231 classes on nine, and 2,567,284 on ten."""


def all_posets(n: int) -> tuple[Poset, ...]:
    """Return one poset of every isomorphism class on n points.

    Every poset on n points is one on n-1 points and a new maximal point, which lies above some down-set; of the posets
    so made, the first of each class is kept. There are 1, 1, 2, 5, 16, 63, 318, 2045, 16999 classes for n = 0, …, 8
    (OEIS A000112). In each poset the points are numbered along a linear extension, so a < b implies that a's number is
    the smaller.

    Source: arXiv 2412.06097 takes the sixteen classes on four points.

    Args:
        n: Number of points, 0 to ``MOST_POINTS``. Seven take seconds, eight a minute.

    Raises:
        ArgumentError: If ``n`` is negative or more than ``MOST_POINTS``.
        ArgumentTypeError: If ``n`` is not an integer.

    Example:
        >>> print(*(poset.hasse() for poset in all_posets(3)), sep="; ")
        1, 2, 3; 1<3, 2; 1<3, 2<3; 1<2, 1<3; 1<2, 2<3
    """
    _check(n, MOST_POINTS)
    return tuple(_as_poset(above) for above in _classes(n))


def labelled_posets(n: int) -> tuple[Poset, ...]:
    """Return every poset on the points 0, 1, …, n-1: each class with its points named in all ways.

    There are 1, 1, 3, 19, 219, 4231, 130023 for n = 0, …, 6 (OEIS A001035). Isomorphic ones stand side by side, classes
    in the order of ``all_posets``.

    Source: arXiv 2412.06097; a filter of a window belongs to a poset with named points, not to its class.

    Args:
        n: Number of points, 0 to 6.

    Raises:
        ArgumentError: If ``n`` is negative or more than 6.
        ArgumentTypeError: If ``n`` is not an integer.

    Example:
        >>> print(*(poset.hasse() for poset in labelled_posets(2)), sep="; ")
        1, 2; 1<2; 2<1
        >>> len(labelled_posets(4))
        219
    """
    _check(n, 6)
    names = list(permutations(range(n)))
    return tuple(poset for above in _classes(n) for poset in dict.fromkeys(map(_as_poset(above).relabel, names)))


def _check(n: int, most: int) -> None:
    if not 0 <= integer("n", n) <= most:
        raise ArgumentError(f"n must be 0 to {most}, got {n}: the posets on more points are too many to list")


@cache
def _classes(n: int) -> tuple[Above, ...]:
    if n == 0:
        return ((),)
    alike: defaultdict[tuple[object, ...], list[Above]] = defaultdict(list)
    found = []
    for smaller in _classes(n - 1):
        for down_set in _down_sets(smaller):
            above = _with_top(smaller, down_set)
            rivals = alike[_invariant(above)]
            if all(bitmasks.isomorphism(above, rival) is None for rival in rivals):
                rivals.append(above)
                found.append(above)
    return tuple(found)


def _down_sets(above: Above) -> list[int]:
    return list(bitmasks.up_set_masks(bitmasks.below(above)))


def _with_top(above: Above, down_set: int) -> Above:
    """Add a point above a down-set."""
    top = 1 << len(above)
    return (*(mask | top if down_set >> point & 1 else mask for point, mask in enumerate(above)), 0)


def _invariant(above: Above) -> tuple[object, ...]:
    """What isomorphic posets share, cheaply: the numbers above and below each point and its neighbours."""
    under = bitmasks.below(above)
    degrees = [(up.bit_count(), down.bit_count()) for up, down in zip(above, under, strict=True)]
    return tuple(
        sorted(
            (
                degrees[point],
                tuple(sorted(degrees[other] for other in points(above[point]))),
                tuple(sorted(degrees[other] for other in points(under[point]))),
            )
            for point in range(len(above))
        )
    )


def _as_poset(above: Above) -> Poset:
    return Poset(len(above), [(a, b) for a, mask in enumerate(above) for b in points(mask)])
