"""Finite partially ordered sets."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, count, pairwise
from typing import Protocol

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import points
from cenote.pooling.order_theory.checks import integer, integers, need


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
        ArgumentTypeError: If ``n`` is not an integer, or ``relations`` are no pairs of integers.

    Example:
        >>> diamond = Poset.from_hasse("1<2<4, 1<3<4")
        >>> diamond.n, diamond.covers
        (4, ((0, 1), (0, 2), (1, 3), (2, 3)))
        >>> diamond.up_sets()
        ((), (3,), (1, 3), (2, 3), (1, 2, 3), (0, 1, 2, 3))
    """

    def __init__(self, n: int, relations: Iterable[tuple[int, int]] = ()) -> None:
        self.n = _count("n", n)
        pairs = _pairs(relations)
        for a, b in pairs:
            if not (0 <= a < self.n and 0 <= b < self.n):
                raise ArgumentError(f"relations name the pair ({a}, {b}), but the points are {_span(self.n)}")
        self._above = bitmasks.closure(self.n, pairs)

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
            ArgumentTypeError: If ``text`` is no text, or ``n`` not an integer.
        """
        need("text", text, str)
        points_given = None if n is None else _count("n", n)
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
        if points_given is not None and largest > points_given:
            raise ArgumentError(f"poset {text!r} names point {largest}, but has {points_given} points")
        if points_given is None and len(named) < largest:
            left_out = next(point for point in count(1) if point not in named)
            raise ArgumentError(
                f"poset {text!r} leaves out point {left_out}; name points without relations too, as in '1<2, 3, 4'"
            )
        return cls(largest if points_given is None else points_given, pairs)

    @classmethod
    def from_graph(cls, graph: DirectedGraph) -> Poset:
        """Read a directed acyclic graph, whose edges a → b mean a < b, such as a ``networkx.DiGraph``.

        Point i is the graph's i-th node, whatever the nodes are.

        Raises:
            ArgumentError: If the graph contains a cycle.
            ArgumentTypeError: If it is no graph, or not a directed one.
        """
        if not _is_graph(graph):
            raise ArgumentTypeError(f"graph must be a directed graph such as a networkx.DiGraph, got {graph!r}")
        if not graph.is_directed():
            raise ArgumentTypeError(f"graph must be directed, got {type(graph).__name__}")
        numbers = {node: number for number, node in enumerate(graph.nodes)}
        return cls(len(numbers), [(numbers[a], numbers[b]) for a, b, *_ in graph.edges])

    @classmethod
    def antichain(cls, n: int) -> Poset:
        """Return the poset of n points without relations.

        Raises:
            ArgumentError: If ``n`` is negative.
            ArgumentTypeError: If ``n`` is not an integer.
        """
        return cls(n)

    @classmethod
    def chain(cls, n: int) -> Poset:
        """Return the total order 1 < 2 < … < n.

        Raises:
            ArgumentError: If ``n`` is negative.
            ArgumentTypeError: If ``n`` is not an integer.
        """
        return cls(n, pairwise(range(_count("n", n))))

    @cached_property
    def covers(self) -> tuple[tuple[int, int], ...]:
        """The edges of the Hasse diagram: pairs a < b with nothing between, sorted."""
        further = (bitmasks.union(self._above[over] for over in points(mask)) for mask in self._above)
        nearest = (mask & ~beyond for mask, beyond in zip(self._above, further, strict=True))
        return tuple((a, b) for a, mask in enumerate(nearest) for b in points(mask))

    def less(self, a: int, b: int) -> bool:
        """Whether a < b.

        Raises:
            ArgumentError: If one is not a point.
            ArgumentTypeError: If one is not an integer.
        """
        return bool(self._above[self._point("a", a)] >> self._point("b", b) & 1)

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
        """Return the exact number of up-sets (which is the number of antichains) without listing them.

        Disjoint unions and ordinal sums are taken apart; what remains is split at one point after another.

        Raises:
            ArgumentError: If that leads to more than ``bitmasks.MAX_SETS`` different sets of points.
        """
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
        """Return the minimal points of a set, both as bit masks: of an up-set, the antichain that generates it.

        Raises:
            ArgumentError: If the set has a point that the poset has not.
            ArgumentTypeError: If it is not an integer.
        """
        mask = integer("up_set", up_set)
        if not 0 <= mask < 1 << self.n:
            raise ArgumentError(f"up_set must be a bit mask of {self.n} points, got {mask}")
        return mask & ~bitmasks.union(self._above[point] for point in points(mask))

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
        line: list[int] = []
        used = first = 0
        while True:
            if len(line) == self.n:
                yield tuple(line)
            free = (point for point in range(first, self.n) if not used >> point & 1 and not below[point] & ~used)
            point = next(free, None)
            if point is not None:
                line.append(point)
                used, first = used | 1 << point, 0
            elif line:  # nothing else may stand here: take the last one back and look behind it
                last = line.pop()
                used, first = used ^ 1 << last, last + 1
            else:
                return

    # --- other posets ---------------------------------------------------------------------------------------------

    def dual(self) -> Poset:
        """Return the order turned upside down."""
        return Poset(self.n, [(b, a) for a, b in self.covers])

    def restrict(self, members: Iterable[int]) -> Poset:
        """Return the order among some points, renumbered from 0 in ascending order.

        Raises:
            ArgumentError: If a member is not a point.
            ArgumentTypeError: If ``members`` are no integers.
        """
        inside = sorted(set(integers("members", members)))
        if inside and not 0 <= inside[0] <= inside[-1] < self.n:
            raise ArgumentError(f"members must be points, {_span(self.n)}, got {tuple(inside)}")
        above = bitmasks.restrict(self._above, bitmasks.mask_of(inside))
        return Poset(len(inside), [(a, b) for a, mask in enumerate(above) for b in points(mask)])

    def disjoint(self, other: Poset) -> Poset:
        """Return the disjoint union; the points of ``other`` follow those of this poset.

        Raises:
            ArgumentTypeError: If ``other`` is no ``Poset``.
        """
        return ANTICHAIN_OF_TWO.lexicographic([self, need("other", other, Poset)])

    def ordinal(self, other: Poset) -> Poset:
        """Return the ordinal sum: this poset with all of ``other`` above it.

        Raises:
            ArgumentTypeError: If ``other`` is no ``Poset``.
        """
        return CHAIN_OF_TWO.lexicographic([self, need("other", other, Poset)])

    def lexicographic(self, parts: Sequence[Poset]) -> Poset:
        """Return the lexicographic sum: point i replaced by ``parts[i]``, related to the others as i is.

        This is the composition of the operad of posets. The points of the parts follow one another.

        Source: arXiv 2412.06097; arXiv 2406.07370.

        Raises:
            ArgumentError: If there are not as many parts as points.
            ArgumentTypeError: If ``parts`` is no sequence of posets.

        Example:
            >>> Poset.chain(2).lexicographic([Poset.antichain(2), Poset.antichain(1)]).hasse()
            '1<3, 2<3'
        """
        for number, part in enumerate(need("parts", parts, Sequence)):  # type: ignore[type-abstract]
            need(f"part {number}", part, Poset)
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
            ArgumentTypeError: If ``point`` is not an integer, or ``part`` no ``Poset``.
        """
        place, one = self._point("point", point), Poset(1)
        need("part", part, Poset)
        return self.lexicographic([part if other == place else one for other in range(self.n)])

    def isomorphism(self, other: Poset) -> tuple[int, ...] | None:
        """Return ``names`` with ``self.relabel(names) == other``, or None if the two are not isomorphic.

        Raises:
            ArgumentTypeError: If ``other`` is no ``Poset``.
        """
        return bitmasks.isomorphism(self._above, need("other", other, Poset)._above)

    def is_isomorphic(self, other: Poset) -> bool:
        """Whether the two are the same order up to the names of the points.

        Raises:
            ArgumentTypeError: If ``other`` is no ``Poset``.
        """
        return self.isomorphism(other) is not None

    def relabel(self, names: Sequence[int]) -> Poset:
        """Return the same order with point i renamed to ``names[i]``.

        Raises:
            ArgumentError: If ``names`` is not a permutation of the points.
            ArgumentTypeError: If ``names`` are no integers.
        """
        new = integers("names", names)
        if sorted(new) != list(range(self.n)):
            raise ArgumentError(f"names must be a permutation of 0 to {self.n - 1}, got {tuple(new)}")
        return Poset(self.n, [(new[a], new[b]) for a, b in self.covers])

    def hasse(self) -> str:
        """Return a Hasse string that ``from_hasse`` reads back."""
        related = {point for pair in self.covers for point in pair}
        parts = [f"{a + 1}<{b + 1}" for a, b in self.covers]
        return ", ".join(parts + [str(point + 1) for point in range(self.n) if point not in related])

    def _point(self, name: str, value: int) -> int:
        point = integer(name, value)
        if not 0 <= point < self.n:
            raise ArgumentError(f"{name} must be {_span(self.n)}, got {point}")
        return point

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poset) and self._above == other._above

    def __hash__(self) -> int:
        return hash(self._above)

    def __repr__(self) -> str:
        return f"Poset.from_hasse({self.hasse()!r})"


def _alternates(tokens: Sequence[str]) -> bool:
    return all(token[0] in "0123456789" for token in tokens[::2]) and all(token in "<>" for token in tokens[1::2])


def _count(name: str, value: int) -> int:
    number = integer(name, value)
    if number < 0:
        raise ArgumentError(f"{name} must be at least 0, got {number}")
    return number


def _pairs(relations: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Relations as pairs of ``int``."""
    if isinstance(relations, str) or not isinstance(relations, Iterable) or _is_graph(relations):
        raise ArgumentTypeError(
            f"relations must be pairs (a, b) of points, got {relations!r}; Poset.from_hasse reads text and "
            "Poset.from_graph a graph"
        )
    pairs = []
    for pair in relations:
        try:
            a, b = pair
            pairs.append((integer("a", a), integer("b", b)))
        except (TypeError, ValueError):
            raise ArgumentTypeError(f"relations must be pairs (a, b) of integers, got {pair!r} among them") from None
    return pairs


def _is_graph(value: object) -> bool:
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("nodes", "edges", "is_directed"))


def _span(n: int) -> str:
    return f"0 to {n - 1}" if n else "none, since the poset is empty"


ANTICHAIN_OF_TWO = Poset.antichain(2)
CHAIN_OF_TWO = Poset.chain(2)
