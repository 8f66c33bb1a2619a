"""Finite partially ordered sets, as far as pooling needs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache

from cenote.errors import ArgumentError, ArgumentTypeError

MAX_UP_SETS = 4096
"""Posets with more up-sets than this are counted, not listed."""


class Poset:
    """A finite poset on the points 0, 1, …, n-1.

    Relations may be given by any pairs whose transitive closure is the order; pairs that follow from others are
    allowed and make no difference. In Hasse strings and in print the points are numbered from 1, as in the paper.

    Args:
        n: Number of points, at least 0.
        relations: Pairs ``(a, b)`` of points, 0-based, each meaning a < b.

    Raises:
        ArgumentError: If a pair names a point outside 0…n-1 or the relations contain a cycle (the error names it).
        ArgumentTypeError: If ``n`` is not an integer.

    Example:
        >>> diamond = Poset.from_hasse("1<2<4, 1<3<4")
        >>> diamond.n, diamond.covers
        (4, ((0, 1), (0, 2), (1, 3), (2, 3)))
        >>> diamond.up_sets()
        ((), (3,), (1, 3), (2, 3), (1, 2, 3), (0, 1, 2, 3))
    """

    def __init__(self, n: int, relations: Iterable[tuple[int, int]] = ()) -> None:
        if not isinstance(n, int) or isinstance(n, bool):
            raise ArgumentTypeError(f"n must be an integer, got {n!r}")
        if n < 0:
            raise ArgumentError(f"n must be at least 0, got {n}")
        pairs = [(a, b) for a, b in relations]
        for a, b in pairs:
            if not (0 <= a < n and 0 <= b < n):
                raise ArgumentError(f"relations name the pair ({a}, {b}), but the points are 0 to {n - 1}")
        self.n = n
        self._above = _closure(n, pairs)

    @classmethod
    def from_hasse(cls, text: str, n: int | None = None) -> Poset:
        """Read a Hasse string: chains of points numbered from 1, separated by commas or semicolons.

        ``"1<2<4, 1<3<4"`` is the diamond, ``"1<2>3<4"`` the N, ``"1<2, 3, 4"`` one relation and two lone points.

        Args:
            text: The chains.
            n: Number of points; the largest number in the text by default.

        Raises:
            ArgumentError: If the text is not of this form, or names more than n points, or contains a cycle.
        """
        pairs: list[tuple[int, int]] = []
        largest = 0
        for chain in re.split(r"[,;]", text) if text.strip() else []:
            tokens = re.findall(r"\d+|[<>]|\S", chain)
            if not tokens or len(tokens) % 2 == 0 or not _alternates(tokens):
                raise ArgumentError(
                    f"poset {text!r} is not a Hasse string such as '1<2<4, 1<3<4'; see {chain.strip()!r}"
                )
            points = [int(token) for token in tokens[::2]]
            if min(points) < 1:
                raise ArgumentError(f"poset {text!r}: points are numbered from 1, got 0")
            largest = max(largest, *points)
            for left, sign, right in zip(points, tokens[1::2], points[1:], strict=False):
                pairs.append((left - 1, right - 1) if sign == "<" else (right - 1, left - 1))
        if n is not None and largest > n:
            raise ArgumentError(f"poset {text!r} names point {largest}, but has {n} points")
        return cls(largest if n is None else n, pairs)

    @classmethod
    def antichain(cls, n: int) -> Poset:
        """Return the poset of n points without relations."""
        return cls(n)

    @classmethod
    def chain(cls, n: int) -> Poset:
        """Return the total order 1 < 2 < … < n."""
        return cls(n, [(point, point + 1) for point in range(n - 1)])

    @cached_property
    def covers(self) -> tuple[tuple[int, int], ...]:
        """The edges of the Hasse diagram: pairs a < b with nothing between, sorted."""
        return tuple(
            (a, b)
            for a in range(self.n)
            for b in _points(self._above[a])
            if not any(self._above[c] >> b & 1 for c in _points(self._above[a]))
        )

    def less(self, a: int, b: int) -> bool:
        """Whether a < b."""
        return bool(self._above[a] >> b & 1)

    def count_up_sets(self) -> int:
        """Return the exact number of up-sets (which is the number of antichains) without listing them."""
        return _count_up_sets(self._above)

    def up_set_masks(self) -> tuple[int, ...]:
        """Return the up-sets as bit masks (bit i is point i), by size, then lexicographically.

        Raises:
            ArgumentError: If there are more than ``MAX_UP_SETS``; the error says how many.
        """
        return _up_set_masks(self._above)

    def up_sets(self) -> tuple[tuple[int, ...], ...]:
        """Return the up-sets as sorted tuples of points, by size, then lexicographically.

        Raises:
            ArgumentError: If there are more than ``MAX_UP_SETS``; the error says how many.
        """
        return tuple(tuple(_points(mask)) for mask in self.up_set_masks())

    def relabel(self, names: Sequence[int]) -> Poset:
        """Return the same order with point i renamed to ``names[i]``.

        Raises:
            ArgumentError: If ``names`` is not a permutation of the points.
        """
        if sorted(names) != list(range(self.n)):
            raise ArgumentError(f"names must be a permutation of 0 to {self.n - 1}, got {tuple(names)}")
        return Poset(self.n, [(names[a], names[b]) for a, b in self.covers])

    def hasse(self) -> str:
        """Return a Hasse string that ``from_hasse`` reads back."""
        related = {point for pair in self.covers for point in pair}
        parts = [f"{a + 1}<{b + 1}" for a, b in self.covers]
        return ", ".join(parts + [str(point + 1) for point in range(self.n) if point not in related])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poset) and self._above == other._above

    def __hash__(self) -> int:
        return hash(self._above)

    def __repr__(self) -> str:
        return f"Poset.from_hasse({self.hasse()!r})"


def _alternates(tokens: Sequence[str]) -> bool:
    return all(token.isdigit() for token in tokens[::2]) and all(token in "<>" for token in tokens[1::2])


def _points(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _closure(n: int, pairs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """For each point the bit mask of the points above it."""
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
        for step in _points(direct[path[-1]]):
            if step == start:
                return [*path, start]
            if not any(step in seen for seen in paths):
                paths.append([*path, step])
    raise AssertionError("called for a point that lies on no cycle")


@lru_cache(maxsize=1024)
def _up_set_masks(above: tuple[int, ...]) -> tuple[int, ...]:
    count = _count_up_sets(above)
    if count > MAX_UP_SETS:
        raise ArgumentError(
            f"poset on {len(above)} points has {count:,} up-sets; at most {MAX_UP_SETS:,} can be listed"
        )
    masks = [0]
    for point in sorted(range(len(above)), key=lambda point: above[point].bit_count()):  # the points above come first
        masks += [mask | 1 << point for mask in masks if above[point] & ~mask == 0]
    return tuple(sorted(masks, key=lambda mask: (mask.bit_count(), tuple(_points(mask)))))


@lru_cache(maxsize=1024)
def _count_up_sets(above: tuple[int, ...]) -> int:
    below = tuple(sum(1 << a for a in range(len(above)) if above[a] >> b & 1) for b in range(len(above)))
    related = [above[point] | below[point] for point in range(len(above))]

    @cache
    def count(points: int) -> int:
        if not points:
            return 1
        part = _component(points, related)
        if part != points:
            return count(part) * count(points & ~part)
        pivot = max(_points(points), key=lambda point: (related[point] & points).bit_count())
        with_pivot = points & ~(above[pivot] | 1 << pivot)
        without_pivot = points & ~(below[pivot] | 1 << pivot)
        return count(with_pivot) + count(without_pivot)

    return count((1 << len(above)) - 1)


def _component(points: int, related: Sequence[int]) -> int:
    """The connected component of the lowest point."""
    found, waiting = 0, points & -points
    while waiting:
        found |= waiting
        waiting = sum(1 << p for p in range(len(related)) if any(related[p] >> q & 1 for q in _points(waiting)))
        waiting &= points & ~found
    return found
