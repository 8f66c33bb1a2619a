"""Hasse diagrams: where points and edges go, and a drawing in characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from cenote.pooling.order_theory.poset import Poset

Place = tuple[float, int]
"""Position in a row, with the row's middle at 0, and level, counted from the bottom."""

_SWEEPS = 12
_ROWS = 3
"""Lines between levels; an edge to the next column, or half way to it where rows are shifted, then has slope 1."""


class Diagram(NamedTuple):
    """Places of the points, and of the bends of each edge from its lower to its upper end."""

    places: dict[int, Place]
    edges: dict[tuple[int, int], tuple[Place, ...]]


def lay_out(poset: Poset) -> Diagram:
    """Place a poset's points on levels, so that edges go upwards and cross little.

    A point is as far down as what is below it lets it be, then as near to what is above it. An edge that passes levels
    has a place on each. Rows are ordered by the means of their neighbours' positions, upwards and downwards in turns
    (K. Sugiyama and others, 1981); the order with the fewest crossings is kept.

    Example:
        >>> lay_out(Poset.from_hasse("1<2<3")).places
        {0: (0.0, 0), 1: (0.0, 1), 2: (0.0, 2)}
    """
    levels = _levels(poset)
    nodes, chains = dict(levels), {}
    for a, b in poset.covers:
        bends = [max(nodes) + 1 + step for step in range(levels[b] - levels[a] - 1)]
        nodes |= {bend: levels[a] + 1 + step for step, bend in enumerate(bends)}
        chains[a, b] = [a, *bends, b]
    steps = [step for chain in chains.values() for step in pairwise(chain)]
    rows = _order([[node for node in nodes if nodes[node] == level] for level in range(_height(nodes))], steps)
    places = {
        node: (index - (len(row) - 1) / 2, level) for level, row in enumerate(rows) for index, node in enumerate(row)
    }
    edges = {edge: tuple(places[node] for node in chain) for edge, chain in chains.items()}
    return Diagram({point: places[point] for point in range(poset.n)}, edges)


def draw_text(poset: Poset) -> str:
    r"""Return the Hasse diagram in characters; points are numbered from 1.

    Example:
        >>> print(draw_text(Poset.from_hasse("1<2>3<4")))
        2   4
        |\  |
        | \ |
        |  \|
        1   3
    """
    if not poset.n:
        return ""
    diagram = lay_out(poset)
    left = min(x for x, _ in _all_places(diagram))
    top = max(level for _, level in _all_places(diagram))
    apart = 4 if all((x - left) % 1 == 0 for x, _ in _all_places(diagram)) else 8

    def at(place: Place) -> tuple[int, int]:
        return (top - place[1]) * (_ROWS + 1), round((place[0] - left) * apart)

    width = max(at(place)[1] for place in _all_places(diagram)) + len(str(poset.n))
    canvas = [[" "] * width for _ in range(top * (_ROWS + 1) + 1)]
    for path in diagram.edges.values():
        for bend in path[1:-1]:
            row, column = at(bend)
            canvas[row][column] = "|"
        for lower, upper in pairwise(path):
            (row, column), (stop, end) = at(lower), at(upper)
            sign = "|" if column == end else "/" if column < end else "\\"
            for step in range(1, row - stop):
                canvas[row - step][column + round((end - column) * step / (row - stop))] = sign
    for point, place in diagram.places.items():
        row, column = at(place)
        canvas[row][column : column + len(str(point + 1))] = str(point + 1)
    return "\n".join("".join(line).rstrip() for line in canvas)


def _all_places(diagram: Diagram) -> list[Place]:
    return [*diagram.places.values(), *(place for path in diagram.edges.values() for place in path)]


def _height(nodes: dict[int, int]) -> int:
    return max(nodes.values(), default=-1) + 1


def _levels(poset: Poset) -> dict[int, int]:
    line = next(poset.linear_extensions())
    levels = dict.fromkeys(range(poset.n), 0)
    for point in line:
        levels[point] = max((levels[a] + 1 for a, b in poset.covers if b == point), default=0)
    for point in reversed(line):
        levels[point] = min((levels[b] - 1 for a, b in poset.covers if a == point), default=levels[point])
    return levels


def _order(rows: list[list[int]], steps: Sequence[tuple[int, int]]) -> list[list[int]]:
    best = [list(row) for row in rows]
    for sweep in range(_SWEEPS):
        upwards = sweep % 2 == 0
        for level in range(1, len(rows)) if upwards else range(len(rows) - 2, -1, -1):
            near = {node: place for place, node in enumerate(rows[level - 1 if upwards else level + 1])}
            beside = {node: [near[a if node == b else b] for a, b in steps if _joins(node, a, b, near)]
                      for node in rows[level]}  # fmt: skip
            here = {node: place for place, node in enumerate(rows[level])}
            rows[level].sort(key=lambda n: sum(beside[n]) / len(beside[n]) if beside[n] else here[n])
        if _crossings(rows, steps) < _crossings(best, steps):
            best = [list(row) for row in rows]
    return best


def _joins(node: int, a: int, b: int, near: dict[int, int]) -> bool:
    return (node == b and a in near) or (node == a and b in near)


def _crossings(rows: Sequence[Sequence[int]], steps: Sequence[tuple[int, int]]) -> int:
    place = {node: (level, index) for level, row in enumerate(rows) for index, node in enumerate(row)}
    ends = [(place[a], place[b]) for a, b in steps]
    return sum(
        a[0] == c[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0 for (a, b), (c, d) in combinations(ends, 2)
    )  # the lower ends on one level, so the upper ones too
