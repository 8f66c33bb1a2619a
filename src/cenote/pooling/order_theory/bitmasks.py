"""Orders as bit masks: ``above[a]`` has bit b set where a < b. What ``Poset`` computes, on plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from math import factorial, prod
from operator import or_
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from cenote.errors import ArgumentError

MAX_UP_SETS = 4096
"""Posets with more up-sets than this are counted, not listed."""

MAX_PRIME = 20
"""Points of a part, neither disjoint union nor ordinal sum, whose linear extensions are counted over its 2ⁿ sets."""

MAX_SETS = 100_000
"""Sets of points that counting up-sets looks at before it gives up."""

_SHOWN = 20
"""Points of a cycle that an error names; of a longer one it names the first and the last."""

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
    under = [0] * len(above)
    for a, mask in enumerate(above):
        for b in points(mask):
            under[b] |= 1 << a
    return tuple(under)


def neighbours(above: Above) -> tuple[list[int], list[int]]:
    """Return for each point the points related to it, and those that are not."""
    full = (1 << len(above)) - 1
    related = [over | beneath for over, beneath in zip(above, below(above), strict=True)]
    return related, [full & ~(mask | 1 << point) for point, mask in enumerate(related)]


def components(inside: int, neighbours: Sequence[int]) -> list[int]:
    """Return the connected parts of some points, by their lowest ones."""
    parts = []
    while inside:
        part, waiting = 0, inside & -inside
        while waiting:
            part |= waiting
            waiting = union(neighbours[point] for point in points(waiting)) & inside & ~part
        parts.append(part)
        inside &= ~part
    return parts


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
            steps = [str(step + 1) for step in _cycle(direct, point)]
            if len(steps) > _SHOWN:
                steps[_SHOWN - 2 : -2] = ["…"]
            raise ArgumentError(f"relations contain the cycle {' < '.join(steps)}; an order has none")
    return tuple(above)


def _cycle(direct: Sequence[int], start: int) -> list[int]:
    """A shortest path from a point back to itself, by breadth-first search."""
    came_from = {start: start}
    for point in (waiting := [start]):
        for step in points(direct[point]):
            if step == start:
                path = [start, point]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if step not in came_from:
                came_from[step] = point
                waiting.append(step)
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
    """Return the number of up-sets, exactly and without listing them.

    An up-set of a disjoint union is one of each part; one of an ordinal sum is all of the parts above some part, and
    one of this part. What remains is split at a point, which an up-set has with all above it or lacks with all below.

    Raises:
        ArgumentError: If there are more than ``MAX_SETS`` parts to look at.
    """
    under = below(above)
    related, unrelated = neighbours(above)

    def split(inside: int) -> _Split:
        if not inside & (inside - 1):
            return _Split([], lambda _: 2 if inside else 1)
        parts = components(inside, related)
        if len(parts) > 1:
            return _Split(parts, prod)
        parts = components(inside, unrelated)
        if len(parts) > 1:
            return _Split(parts, lambda counts: sum(counts) - len(counts) + 1)  # the part's empty set is the next's all
        pivot = max(points(inside), key=lambda point: (related[point] & inside).bit_count())
        with_pivot = inside & ~(above[pivot] | 1 << pivot)
        without_pivot = inside & ~(under[pivot] | 1 << pivot)
        return _Split([with_pivot, without_pivot], sum)

    return _by_parts((1 << len(above)) - 1, split)


class _Split(NamedTuple):
    """The parts of a set, and how their numbers make that of the set."""

    parts: list[int]
    combine: Callable[[list[int]], int]


def _by_parts(whole: int, split: Callable[[int], _Split]) -> int:
    """The number of a set from those of its parts, without recursion: parts may lie thousands deep."""
    splits: dict[int, _Split] = {}
    known: dict[int, int] = {}
    waiting = [whole]
    while waiting:
        inside = waiting.pop()
        if inside in known:
            continue
        if inside not in splits:
            if len(splits) >= MAX_SETS:
                raise ArgumentError(
                    f"poset on {whole.bit_length()} points has up-sets of too many shapes to be counted; "
                    f"at most {MAX_SETS:,} sets of points are looked at"
                )
            splits[inside] = split(inside)
        parts, combine = splits[inside]
        missing = [part for part in parts if part not in known]
        if missing:
            waiting += [inside, *missing]
        else:
            known[inside] = combine([known[part] for part in parts])
    return known[whole]


# --- linear extensions --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def count_linear_extensions(above: Above) -> int:
    """Return the exact number of linear extensions.

    Disjoint unions and ordinal sums are taken apart, where the numbers multiply (with a multinomial coefficient for the
    union); what remains is counted over its down-sets.

    Raises:
        ArgumentError: If a part that cannot be taken apart has more than ``MAX_PRIME`` points.
    """
    related, unrelated = neighbours(above)

    def split(inside: int) -> _Split:
        size = inside.bit_count()
        if size <= 1:
            return _Split([], lambda _: 1)
        parts = components(inside, related)
        if len(parts) > 1:
            shuffles = factorial(size) // prod(factorial(part.bit_count()) for part in parts)
            return _Split(parts, lambda counts: shuffles * prod(counts))
        parts = components(inside, unrelated)
        if len(parts) > 1:
            return _Split(parts, prod)
        if size > MAX_PRIME:
            raise ArgumentError(
                f"poset has a part of {size} points that is neither a disjoint union nor an ordinal sum; "
                f"linear extensions are counted for parts of at most {MAX_PRIME}"
            )
        count = int(_count_over_down_sets(np.array(below(restrict(above, inside)), dtype=np.int64)))
        return _Split([], lambda _: count)

    return _by_parts((1 << len(above)) - 1, split)


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
    above = (*first, *(mask << n for mask in second))
    under = below(above)
    tries: list[Iterator[list[int]]] = [iter([[0] * (2 * n)])]  # one level a matched point, and there may be thousands
    while tries:
        chosen = next(tries[-1], None)
        if chosen is None:
            tries.pop()
            continue
        colours = _refine(above, under, chosen)
        if sorted(colours[:n]) != sorted(colours[n:]):
            continue
        cell = _smallest_choice(colours[:n])
        if cell is None:
            images = {colour: image for image, colour in enumerate(colours[n:])}
            return tuple(images[colour] for colour in colours[:n])
        tries.append(_matches(colours, cell))
    return None


def _smallest_choice(colours: Sequence[int]) -> list[int] | None:
    """The points of a colour that more than one point has, of the rarest such colour."""
    cells: dict[int, list[int]] = {}
    for point, colour in enumerate(colours):
        cells.setdefault(colour, []).append(point)
    return min((cell for cell in cells.values() if len(cell) > 1), key=len, default=None)


def _matches(colours: list[int], cell: list[int]) -> Iterator[list[int]]:
    """Match the first point of a cell with each of its colour in the other order."""
    size = len(colours)
    for image in range(size // 2, size):
        if colours[image] == colours[cell[0]]:
            chosen = list(colours)
            chosen[cell[0]] = chosen[image] = size  # a colour of their own
            yield chosen


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
