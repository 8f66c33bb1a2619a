"""Finite partially ordered sets."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import points


class DirectedGraph(Protocol):
    """What ``Poset.from_graph`` reads of a ``networkx.DiGraph``."""

    @property
    def nodes(self) -> Iterable[Hashable]:
        """The points."""

    @property
    def edges(self) -> Iterable[tuple[Hashable, Hashable]]:
        """Pairs a < b."""

    def is_directed(self) -> bool:
        """Whether edges have a direction."""


class Poset:
    """A finite poset on the points 0, 1, …, n-1.

    Relations may be given by any pairs whose transitive closure is the order, such as the edges of a directed acyclic
    graph; pairs that follow from others are allowed and make no difference. In Hasse strings and in print the points
    are numbered from 1, as in the paper. Posets are equal if they are the same order on the same points;
    ``is_isomorphic`` forgets the points' names.

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
        self._above = bitmasks.closure(n, pairs)

    @classmethod
    def from_hasse(cls, text: str, n: int | None = None) -> Poset:
        """Read a Hasse string: chains of points numbered from 1, separated by commas or semicolons.

        ``"1<2<4, 1<3<4"`` is the diamond, ``"1<2>3<4"`` the N, ``"1<2, 3, 4"`` one relation and two lone points.

        Args:
            text: The chains. They name every point.
            n: Number of points, where the text need not name those without relations.

        Raises:
            ArgumentError: If the text is not of this form, contains a cycle, names more than n points, or (without n)
                leaves one out.
        """
        pairs: list[tuple[int, int]] = []
        named: set[int] = set()
        for chain in re.split(r"[,;]", text) if text.strip() else []:
            tokens = re.findall(r"[0-9]+|[<>]|\S", chain)
            if not tokens or len(tokens) % 2 == 0 or not _alternates(tokens):
                raise ArgumentError(
                    f"poset {text!r} is not a Hasse string such as '1<2<4, 1<3<4'; see {chain.strip()!r}"
                )
            numbers = [int(token) for token in tokens[::2]]
            if min(numbers) < 1:
                raise ArgumentError(f"poset {text!r}: points are numbered from 1, got 0")
            named.update(numbers)
            for left, sign, right in zip(numbers, tokens[1::2], numbers[1:], strict=False):
                pairs.append((left - 1, right - 1) if sign == "<" else (right - 1, left - 1))
        largest = max(named, default=0)
        if n is not None and largest > n:
            raise ArgumentError(f"poset {text!r} names point {largest}, but has {n} points")
        if n is None and len(named) < largest:
            left_out = min(set(range(1, largest)) - named)
            raise ArgumentError(
                f"poset {text!r} leaves out point {left_out}; name points without relations too, as in '1<2, 3, 4'"
            )
        return cls(largest if n is None else n, pairs)

    @classmethod
    def from_graph(cls, graph: DirectedGraph) -> Poset:
        """Read a directed acyclic graph, whose edges a → b mean a < b, such as a ``networkx.DiGraph``.

        Point i is the graph's i-th node, whatever the nodes are.

        Raises:
            ArgumentError: If the graph contains a cycle.
            ArgumentTypeError: If the graph is not directed.
        """
        if not graph.is_directed():
            raise ArgumentTypeError(f"graph must be directed, got {type(graph).__name__}")
        numbers = {node: number for number, node in enumerate(graph.nodes)}
        return cls(len(numbers), [(numbers[a], numbers[b]) for a, b in graph.edges])

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
            for b in points(self._above[a])
            if not any(self._above[c] >> b & 1 for c in points(self._above[a]))
        )

    def less(self, a: int, b: int) -> bool:
        """Whether a < b."""
        return bool(self._above[a] >> b & 1)

    @property
    def minimal(self) -> tuple[int, ...]:
        """The points with nothing below them."""
        return tuple(point for point, under in enumerate(bitmasks.below(self._above)) if not under)

    @property
    def maximal(self) -> tuple[int, ...]:
        """The points with nothing above them."""
        return tuple(point for point, over in enumerate(self._above) if not over)

    # --- up-sets, antichains, linear extensions -------------------------------------------------------------------

    def count_up_sets(self) -> int:
        """Return the exact number of up-sets (which is the number of antichains) without listing them."""
        return bitmasks.count_up_sets(self._above)

    def up_set_masks(self) -> tuple[int, ...]:
        """Return the up-sets as bit masks (bit i is point i), by size, then lexicographically.

        Raises:
            ArgumentError: If there are more than ``bitmasks.MAX_UP_SETS``; the error says how many.
        """
        return bitmasks.up_set_masks(self._above)

    def up_sets(self) -> tuple[tuple[int, ...], ...]:
        """Return the up-sets as sorted tuples of points, by size, then lexicographically.

        Raises:
            ArgumentError: If there are more than ``bitmasks.MAX_UP_SETS``; the error says how many.
        """
        return tuple(tuple(points(mask)) for mask in self.up_set_masks())

    def minimal_of(self, up_set: int) -> int:
        """Return the minimal points of a set, both as bit masks: of an up-set, the antichain that generates it."""
        return up_set & ~bitmasks.union(self._above[point] for point in points(up_set))

    def antichains(self) -> tuple[tuple[int, ...], ...]:
        """Return the antichains as sorted tuples, each the minimal points of the up-set with the same index.

        Raises:
            ArgumentError: If there are more than ``bitmasks.MAX_UP_SETS``; the error says how many.
        """
        return tuple(tuple(points(self.minimal_of(mask))) for mask in self.up_set_masks())

    def count_linear_extensions(self) -> int:
        """Return the exact number of linear extensions: orders of all points in one line that contain this one.

        Raises:
            ArgumentError: If the poset has a part of more than ``bitmasks.MAX_PRIME`` points that is neither a
                disjoint union nor an ordinal sum.
        """
        return bitmasks.count_linear_extensions(self._above)

    def linear_extensions(self) -> Iterator[tuple[int, ...]]:
        """Yield the linear extensions, lexicographically, each from its bottom to its top."""
        below = bitmasks.below(self._above)

        def extend(line: tuple[int, ...], used: int) -> Iterator[tuple[int, ...]]:
            if len(line) == self.n:
                yield line
            for point in range(self.n):
                if not used >> point & 1 and below[point] & ~used == 0:
                    yield from extend((*line, point), used | 1 << point)

        return extend((), 0)

    # --- other posets ---------------------------------------------------------------------------------------------

    def dual(self) -> Poset:
        """Return the order turned upside down."""
        return Poset(self.n, [(b, a) for a, b in self.covers])

    def restrict(self, members: Iterable[int]) -> Poset:
        """Return the order among some points, renumbered from 0 in ascending order.

        Raises:
            ArgumentError: If a member is not a point.
        """
        inside = sorted(set(members))
        if inside and not 0 <= inside[0] <= inside[-1] < self.n:
            raise ArgumentError(f"members must be points, 0 to {self.n - 1}, got {tuple(inside)}")
        pairs = [(i, j) for i, a in enumerate(inside) for j, b in enumerate(inside) if self.less(a, b)]
        return Poset(len(inside), pairs)

    def disjoint(self, other: Poset) -> Poset:
        """Return the disjoint union; the points of ``other`` follow those of this poset."""
        return ANTICHAIN_OF_TWO.lexicographic([self, other])

    def ordinal(self, other: Poset) -> Poset:
        """Return the ordinal sum: this poset with all of ``other`` above it."""
        return CHAIN_OF_TWO.lexicographic([self, other])

    def lexicographic(self, parts: Sequence[Poset]) -> Poset:
        """Return the lexicographic sum: point i replaced by ``parts[i]``, related to the others as i is.

        This is the composition of the operad of posets. The points of the parts follow one another.

        Source: arXiv 2412.06097; arXiv 2406.07370.

        Raises:
            ArgumentError: If there are not as many parts as points.

        Example:
            >>> Poset.chain(2).lexicographic([Poset.antichain(2), Poset.antichain(1)]).hasse()
            '1<3, 2<3'
        """
        if len(parts) != self.n:
            raise ArgumentError(f"parts must be as many as the points, {self.n}, got {len(parts)}")
        starts = list(accumulate((part.n for part in parts), initial=0))
        blocks = [range(start, stop) for start, stop in pairwise(starts)]
        inner = [(start + a, start + b) for start, part in zip(starts, parts, strict=False) for a, b in part.covers]
        outer = [(x, y) for a in range(self.n) for b in points(self._above[a]) for x in blocks[a] for y in blocks[b]]
        return Poset(starts[-1], inner + outer)

    def compose(self, point: int, part: Poset) -> Poset:
        """Return the partial composition: one point replaced by a poset; later points move up by its size less one.

        Raises:
            ArgumentError: If ``point`` is not a point.
        """
        if not 0 <= point < self.n:
            raise ArgumentError(f"point must be 0 to {self.n - 1}, got {point}")
        return self.lexicographic([part if other == point else Poset(1) for other in range(self.n)])

    def isomorphism(self, other: Poset) -> tuple[int, ...] | None:
        """Return ``names`` with ``self.relabel(names) == other``, or None if the two are not isomorphic."""
        return bitmasks.isomorphism(self._above, other._above)

    def is_isomorphic(self, other: Poset) -> bool:
        """Whether the two are the same order up to the names of the points."""
        return self.isomorphism(other) is not None

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
    return all(token[0] in "0123456789" for token in tokens[::2]) and all(token in "<>" for token in tokens[1::2])


ANTICHAIN_OF_TWO = Poset.antichain(2)
CHAIN_OF_TWO = Poset.chain(2)
