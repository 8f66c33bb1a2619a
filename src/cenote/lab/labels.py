"""Names beside points and at the ends of curves, moved apart where they would overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from cenote.lab.style import INK

_GAP, _MARK = 5.0, 2.5
"""Points between the middle of a mark and its name, and to its edge."""

_CHARACTER = 0.64
"""Width of a character of the house's type as a multiple of its size; digits are the widest."""

_STEPS = 24
"""How many half lines a name may be moved up or down."""


class Point(NamedTuple):
    """A mark in data coordinates, and the colour of its name."""

    x: float
    y: float
    colour: str = INK


class _Place(NamedTuple):
    """Where a name may stand, in points: its side, its height above its point, its box, the line that joins them."""

    right: bool
    rise: float
    box: Bbox
    line: Path


def label_points(axes: Axes, points: Mapping[str, Point], *, size: float = 8.0) -> None:
    """Write each name beside its point, where it covers no other name and no point; a line joins distant ones.

    Lines do not cross and do not run through names where there is a place for that; where there is none at all, a
    name stands right of its point. Limits and place of the axes must be settled before.

    Args:
        axes: Where the points have been drawn.
        points: By name; one that is not finite has no label.
        size: Of the type, in points.
    """
    scale = 72 / axes.figure.dpi
    at = {
        name: tuple(map(float, scale * axes.transData.transform((point.x, point.y))))
        for name, point in points.items()
        if math.isfinite(point.x) and math.isfinite(point.y)
    }
    inside = Bbox(scale * axes.bbox.get_points()).padded(_GAP)
    marks = [Bbox.from_bounds(x, y, 0, 0).padded(_MARK) for x, y in at.values()]
    placed: list[_Place] = []
    for name, (x, y) in sorted(at.items(), key=lambda item: -item[1][1]):
        candidates = list(_places(x, y, _CHARACTER * size * len(name), size))
        free = [each for each in candidates if _is_free(each.box, inside, marks, placed)]
        place = next((each for each in free if not _is_crossed(each, placed)), (free or candidates)[0])
        placed.append(place)
        _write(axes, name, points[name], place, size)


def _places(x: float, y: float, width: float, height: float) -> Iterator[_Place]:
    """Places right and left of a point, the nearest first; the higher, the farther to the side."""
    for step in range(_STEPS + 1):
        for rise in (step * height / 2, -step * height / 2)[: 2 if step else 1]:
            for right in (True, False):
                near = x + _run(rise) if right else x - _run(rise)
                box = Bbox.from_bounds(near if right else near - width, y + rise - height / 2, width, height)
                yield _Place(right, rise, box, Path([(x, y), (near, y + rise)]))


def _run(rise: float) -> float:
    return _GAP + 0.5 * abs(rise)


def _is_free(box: Bbox, inside: Bbox, marks: Sequence[Bbox], placed: Sequence[_Place]) -> bool:
    within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return within and not any(box.overlaps(other) for other in (*marks, *(each.box for each in placed)))


def _is_crossed(place: _Place, placed: Sequence[_Place]) -> bool:
    return any(
        place.line.intersects_bbox(other.box, filled=False)
        or other.line.intersects_bbox(place.box, filled=False)
        or _cross(place.line, other.line)
        for other in placed
    )


def _cross(line: Path, other: Path) -> bool:
    """Whether lines cross; those of points that lie on each other meet there, which is no crossing."""
    meet = np.allclose(np.asarray(line.vertices)[0], np.asarray(other.vertices)[0], rtol=0, atol=0.5)
    return not meet and bool(line.intersects_path(other, filled=False))


def _write(axes: Axes, name: str, point: Point, place: _Place, size: float) -> None:
    offset = (_run(place.rise) if place.right else -_run(place.rise), place.rise)
    leader = {"arrowstyle": "-", "color": point.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": _MARK}
    axes.annotate(
        name, (point.x, point.y), offset, textcoords="offset points", fontsize=size, color=point.colour,
        ha="left" if place.right else "right", va="center_baseline",
        arrowprops=leader if abs(place.rise) > size / 2 else None,
    )  # fmt: skip


def label_ends(axes: Axes, tips: Mapping[str, Point]) -> None:
    """Write each name right of the axes at the height of its point, moved apart where they would overlap.

    Args:
        axes: Where the curves have been drawn.
        tips: The last point of each curve by its name.
    """
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {name: float(to_axes.transform((tip.x, tip.y))[1]) for name, tip in tips.items()}
    for name, height in _spread_out(heights, gap=0.058).items():
        tip = tips[name]
        leader = {"arrowstyle": "-", "color": tip.colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            name, (tip.x, tip.y), (1.03, height), "data", "axes fraction", leader, color=tip.colour, va="center"
        )


def _spread_out(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Move heights apart, keeping their order, until neighbours differ by ``gap``."""
    names = sorted(heights, key=heights.__getitem__)
    moved = np.array([heights[name] for name in names])
    for _ in range(200):
        lack = np.clip(gap - np.diff(moved), 0, None) / 2
        moved[:-1] -= lack
        moved[1:] += lack
    return dict(zip(names, moved.tolist(), strict=True))
