"""Polytopes drawn in space: order polytopes of three points, and those of max, average, mixed and poset pooling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy.spatial import ConvexHull

from cenote.errors import ArgumentError
from cenote.lab.style import INK, QUIET, SUBJECT, WIDTH, house_style
from cenote.pooling.order_theory.hulls import Floats
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope import Polytope
from cenote.pooling.order_theory.poset import Poset

_AZIMUTH, _ELEVATION = 32, 18
_DECIMALS = 9  # faces of one plane differ by rounding alone


def poolings(poset: Poset) -> dict[str, Polytope]:
    """Return the polytopes whose support functions are max, average, mixed and poset pooling of three entries.

    Each of the four is x ↦ max of x·y over a polytope: the simplex of the unit vectors, its middle, the simplex half
    as large about the middle, and the order polytope.

    Source: arXiv 2412.06097 (pooling filters as tropical polynomials, and their Newton polytopes).

    Raises:
        ArgumentError: If ``poset`` has not three points.
    """
    if poset.n != 3:
        raise ArgumentError(f"poset must have 3 points, as many as a polytope in space has coordinates, got {poset.n}")
    units, middle = np.eye(3), np.full((1, 3), 1 / 3)
    return {
        "max": Polytope(units),
        "average": Polytope(middle),
        "mixed": Polytope((units + middle) / 2),
        f"poset {poset.hasse() or 'without relations'}": OrderPolytope(poset).polytope,
    }


@house_style()
def draw_side_by_side(polytopes: Mapping[str, Polytope]) -> Figure:
    """Draw polytopes in the unit cube beside each other, each under its name."""
    figure = Figure(figsize=(WIDTH, 2.35))
    FigureCanvasAgg(figure)
    for place, (name, polytope) in enumerate(polytopes.items()):
        width = 1 / len(polytopes)
        axes = figure.add_axes((place * width, 0.0, width, 0.9), projection="3d")
        assert isinstance(axes, Axes3D)
        draw_polytope(axes, polytope)
        figure.text((place + 0.5) * width, 0.97, name, ha="center", va="top", color=INK)
    return figure


def draw_polytope(axes: Axes3D, polytope: Polytope) -> None:
    """Draw a polytope of at most three coordinates between 0 and 1, inside the cube; its hidden edges are dashed.

    Args:
        axes: Where to; its look is set here.
        polytope: Coordinates it lacks are drawn as 0.
    """
    vertices = np.zeros((len(polytope.vertices), 3))
    vertices[:, : polytope.dimension] = polytope.vertices
    corners = np.array(list(product((0.0, 1.0), repeat=3)))
    for a, b in combinations(corners, 2):
        if np.abs(a - b).sum() == 1:
            axes.plot(*zip(a, b, strict=True), color=QUIET, linewidth=0.5, linestyle=(0, (2, 3)))
    seen, hidden = edges(vertices, _direction_of_view())
    for face in faces(vertices):
        axes.add_collection3d(Poly3DCollection([face], facecolor=SUBJECT, edgecolor=SUBJECT, alpha=0.18, linewidth=0))
    for edge in hidden:
        axes.plot(*edge.T, color=SUBJECT, linewidth=0.8, linestyle=(0, (3, 2.5)))
    for edge in seen:
        axes.plot(*edge.T, color=SUBJECT, linewidth=1.3)
    axes.plot(*vertices.T, "o", color=SUBJECT, markersize=3.2)
    for axis, name in enumerate(("y₁", "y₂", "y₃")):
        axes.text(*(1.2 * np.eye(3)[axis]), name, color=QUIET, ha="center", va="center", fontsize=8.5)
    axes.set_proj_type("ortho")  # so that one direction says of all faces which are seen
    axes.view_init(elev=_ELEVATION, azim=_AZIMUTH)
    axes.set_box_aspect((1, 1, 1), zoom=0.95)
    axes.set_axis_off()


def edges(vertices: npt.ArrayLike, towards: npt.ArrayLike) -> tuple[list[Floats], list[Floats]]:
    """Return the edges of a polytope in space that are seen, and those that it hides itself, each as (2, 3).

    An edge is seen from far away if one of its two faces is turned to the viewer. A polygon or a segment hides nothing.

    Args:
        vertices: (V, 3), all of them vertices.
        towards: The direction towards the viewer, (3,).

    Example:
        >>> cube = np.array(list(product((0, 1), repeat=3)))
        >>> [len(some) for some in edges(cube, (1, 1, 1))]  # three meet in the corner that is hidden
        [9, 3]
    """
    points = np.asarray(vertices, dtype=np.float64)
    if len(points) == 2:
        return [points], []
    middle, polygons = points.mean(axis=0), list(faces(points))
    visible: dict[tuple[tuple[float, ...], ...], bool] = {}
    for polygon in polygons:
        normal = np.cross(polygon[1] - polygon[0], polygon[2] - polygon[0])
        outward = normal * np.sign(normal @ (polygon[0] - middle))
        turned = len(polygons) == 1 or bool(outward @ np.asarray(towards) > 1e-9)
        for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            key = tuple(sorted((tuple(a.tolist()), tuple(b.tolist()))))
            visible[key] = visible.get(key, False) or turned
    seen = [np.array(key) for key, is_seen in visible.items() if is_seen]
    return seen, [np.array(key) for key, is_seen in visible.items() if not is_seen]


def _direction_of_view() -> Floats:
    elevation, azimuth = np.radians((_ELEVATION, _AZIMUTH))
    return np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])


def faces(vertices: npt.ArrayLike) -> Iterator[Floats]:
    """Yield the two-dimensional faces of a polytope in space, each as its corners in order around it.

    Args:
        vertices: (V, 3), all of them vertices. A polygon is its own only face; points and segments have none.

    Example:
        >>> [len(face) for face in faces(np.array(list(product((0, 1), repeat=3))))]  # a cube
        [4, 4, 4, 4, 4, 4]
    """
    points = np.asarray(vertices, dtype=np.float64)
    rank = np.linalg.matrix_rank(points - points[0], tol=1e-9)
    if rank < 2:
        return
    if rank == 2:
        yield _in_order(points)
        return
    hull = ConvexHull(points)
    planes: dict[tuple[float, ...], set[int]] = {}
    for plane, triangle in zip(hull.equations, hull.simplices, strict=True):  # a face may come in several triangles
        planes.setdefault(tuple(np.round(plane, _DECIMALS) + 0.0), set()).update(triangle.tolist())
    for corners in planes.values():
        yield _in_order(points[sorted(corners)])


def _in_order(polygon: Floats) -> Floats:
    """Sort a convex polygon's corners by the angle at which its middle sees them."""
    centred = polygon - polygon.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    angles = np.arctan2(centred @ directions[1], centred @ directions[0])
    ordered: Floats = polygon[np.argsort(angles)]
    return ordered
