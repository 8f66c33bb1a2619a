"""Orders as bit masks: ``above[a]`` has bit b set where a < b. What ``Poset`` computes, on plain integers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache, reduce
from math import comb
from operator import or_

import numpy as np
import numpy.typing as npt
from numba import njit

from cenote.errors import ArgumentError

MAX_UP_SETS = 4096
"""Posets with more up-sets than this are counted, not listed."""

MAX_PRIME = 20
"""Points of a part, neither disjoint union nor ordinal sum, whose linear extensions are counted over its 2ⁿ sets."""

Above = tuple[int, ...]


def points(mask: int) -> Iterator[int]:
    """Return the points of a set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def mask_of(members: Iterable[int]) -> int:
    """Return the set of these points."""
    return sum(1 << point for point in members)


def union(masks: Iterable[int]) -> int:
    """Return the union of sets."""
    return reduce(or_, masks, 0)


def below(above: Above) -> Above:
    """Return the converse relation: for each point the set of points below it."""
    return tuple(mask_of(a for a in range(len(above)) if above[a] >> b & 1) for b in range(len(above)))


# --- closure ------------------------------------------------------------------------------------------------------


def closure(n: int, pairs: Iterable[tuple[int, int]]) -> Above:
    """Return the transitive closure of pairs a < b.

    Raises:
        ArgumentError: If they contain a cycle; the error names it.
    """
    above = [0] * n
    for a, b in pairs:
        above[a] |= 1 << b
    direct = tuple(above)
    for middle in range(n):
        for point in range(n):
            if above[point] >> middle & 1:
                above[point] |= above[middle]
    for point in range(n):
        if above[point] >> point & 1:
            cycle = " < ".join(str(step + 1) for step in _cycle(direct, point))
            raise ArgumentError(f"relations contain the cycle {cycle}; an order has none")
    return tuple(above)


def _cycle(direct: Sequence[int], start: int) -> list[int]:
    """A shortest path from a point back to itself, by breadth-first search."""
    paths = [[start]]
    for path in paths:
        for step in points(direct[path[-1]]):
            if step == start:
                return [*path, start]
            if not any(step in seen for seen in paths):
                paths.append([*path, step])
    raise AssertionError("called for a point that lies on no cycle")


# --- up-sets ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def up_set_masks(above: Above) -> tuple[int, ...]:
    """Return the up-sets by size, then lexicographically.

    Raises:
        ArgumentError: If there are more than ``MAX_UP_SETS``.
    """
    count = count_up_sets(above)
    if count > MAX_UP_SETS:
        raise ArgumentError(
            f"poset on {len(above)} points has {count:,} up-sets; at most {MAX_UP_SETS:,} can be listed"
        )
    masks = [0]
    for point in sorted(range(len(above)), key=lambda point: above[point].bit_count()):  # the points above come first
        masks += [mask | 1 << point for mask in masks if above[point] & ~mask == 0]
    return tuple(sorted(masks, key=lambda mask: (mask.bit_count(), tuple(points(mask)))))


@lru_cache(maxsize=1024)
def count_up_sets(above: Above) -> int:
    """Return the number of up-sets, exactly and without listing them."""
    under = below(above)
    related = [over | beneath for over, beneath in zip(above, under, strict=True)]

    @cache
    def count(inside: int) -> int:
        if not inside:
            return 1
        part = _component(inside, related)
        if part != inside:
            return count(part) * count(inside & ~part)
        pivot = max(points(inside), key=lambda point: (related[point] & inside).bit_count())
        with_pivot = inside & ~(above[pivot] | 1 << pivot)
        without_pivot = inside & ~(under[pivot] | 1 << pivot)
        return count(with_pivot) + count(without_pivot)

    return count((1 << len(above)) - 1)


def _component(inside: int, related: Sequence[int]) -> int:
    """The connected component of the lowest point."""
    found, waiting = 0, inside & -inside
    while waiting:
        found |= waiting
        waiting = union(related[point] for point in points(waiting)) & inside & ~found
    return found


# --- linear extensions --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def count_linear_extensions(above: Above) -> int:
    """Return the exact number of linear extensions.

    Disjoint unions and ordinal sums are taken apart, where the numbers multiply (with a binomial coefficient for the
    union); what remains is counted over its down-sets.

    Raises:
        ArgumentError: If a part that cannot be taken apart has more than ``MAX_PRIME`` points.
    """
    full = (1 << len(above)) - 1
    related = [over | beneath for over, beneath in zip(above, below(above), strict=True)]
    unrelated = [full & ~(mask | 1 << point) for point, mask in enumerate(related)]

    def count(inside: int) -> int:
        size = inside.bit_count()
        if size <= 1:
            return 1
        part = _component(inside, related)
        if part != inside:
            return comb(size, part.bit_count()) * count(part) * count(inside & ~part)
        part = _component(inside, unrelated)
        if part != inside:
            return count(part) * count(inside & ~part)
        if size > MAX_PRIME:
            raise ArgumentError(
                f"poset has a part of {size} points that is neither a disjoint union nor an ordinal sum; "
                f"linear extensions are counted for parts of at most {MAX_PRIME}"
            )
        return int(_count_over_down_sets(np.array(below(restrict(above, inside)), dtype=np.int64)))

    return count(full)


@njit(cache=True)
def _count_over_down_sets(below: npt.NDArray[np.int64]) -> int:
    """The number of ways to build each down-set point by point, sizes ascending with the masks."""
    n = len(below)
    ways = np.zeros(1 << n, np.int64)
    ways[0] = 1
    for down_set in range(1 << n):
        if ways[down_set]:
            for point in range(n):
                if not down_set >> point & 1 and below[point] & ~down_set == 0:
                    ways[down_set | 1 << point] += ways[down_set]
    return int(ways[-1])


def restrict(above: Above, inside: int) -> Above:
    """Return the order among some of the points, renumbered in their order."""
    members = list(points(inside))
    return tuple(mask_of(j for j, b in enumerate(members) if above[a] >> b & 1) for a in members)


# --- isomorphism --------------------------------------------------------------------------------------------------


def isomorphism(first: Above, second: Above) -> tuple[int, ...] | None:
    """Return an order isomorphism, as the image of each point, or None.

    Points of both orders are coloured alike until colours tell of each point how many points of each colour are above
    and below; where that leaves a choice, one point is matched with each of its colour in turn.
    """
    n = len(first)
    if n != len(second):
        return None
    both = (*first, *(mask << n for mask in second))
    return _match(both, below(both), [0] * (2 * n))


def _match(above: Above, under: Above, colours: list[int]) -> tuple[int, ...] | None:
    n = len(above) // 2
    colours = _refine(above, under, colours)
    if sorted(colours[:n]) != sorted(colours[n:]):
        return None
    cells = [[point for point in range(n) if colours[point] == colour] for colour in set(colours[:n])]
    cell = min((cell for cell in cells if len(cell) > 1), key=len, default=None)
    if cell is None:
        return tuple(colours.index(colours[point], n) - n for point in range(n))
    for image in (point for point in range(n, 2 * n) if colours[point] == colours[cell[0]]):
        chosen = list(colours)
        chosen[cell[0]] = chosen[image] = 2 * n  # a colour of their own
        found = _match(above, under, chosen)
        if found is not None:
            return found
    return None


def _refine(above: Above, under: Above, colours: list[int]) -> list[int]:
    while True:
        seen = [
            (
                colours[point],
                tuple(sorted(colours[other] for other in points(above[point]))),
                tuple(sorted(colours[other] for other in points(under[point]))),
            )
            for point in range(len(above))
        ]
        ranks = {key: rank for rank, key in enumerate(sorted(set(seen)))}
        finer = [ranks[key] for key in seen]
        if len(set(finer)) == len(set(colours)):
            return finer
        colours = finer
