"""Hasse diagrams as pictures: one with what there is to say about it, or many side by side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

from cenote.lab.style import INK, QUIET, SUBJECT, WIDTH, house_style, single_figure
from cenote.pooling.order_theory.filter_text import broken
from cenote.pooling.order_theory.hasse import Diagram, lay_out
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope_pictures import draw_polytope
from cenote.pooling.order_theory.poset import Poset

_LINE = 0.23
"""Inches from one line of facts to the next."""

_CHARACTER = 0.078
"""Inches that a character takes, about."""

_NAME = 1.37
"""Inches of the column of names."""


@house_style()
def draw_with_facts(poset: Poset, facts: Sequence[tuple[str, str]]) -> Figure:
    """Draw the Hasse diagram, for three points the order polytope too, and the facts beside them.

    Args:
        poset: The poset.
        facts: Names and texts; where one has no break but at a sign or a comma it is broken there.
    """
    diagram = lay_out(poset)
    breadth, levels = _extent(diagram)
    in_space = poset.n == 3
    column = 3.1 if in_space else min(3.1, max(1.3, 0.55 * breadth + 0.9))
    width = int((WIDTH - column - _NAME - 0.1) / _CHARACTER)
    texts = [(name, _wrapped(text.partition(" (vertices")[0], width)) for name, text in facts]
    rows = sum(len(wrapped) for _, wrapped in texts)
    height = max(_LINE * rows + 0.3, 0.5 * levels + 0.8)
    figure, axes = single_figure(height)
    figure.set_layout_engine("none")
    share = (1.15 if in_space else column) / WIDTH
    tall = min(height - 0.1, 0.95 * levels + 0.8)
    axes.set_position((0.0, 0.5 - tall / height / 2, share, tall / height))
    if in_space:
        space = figure.add_axes((share, 0.0, (column - 1.15) / WIDTH, 1.0), projection="3d")
        assert isinstance(space, Axes3D)
        draw_polytope(space, OrderPolytope(poset).polytope)
    _draw(axes, diagram, size=19)
    y = 0.5 + _LINE / 2 * (rows - 1) / height
    for name, wrapped in texts:
        figure.text(column / WIDTH, y, name, color=QUIET, va="center_baseline")
        for text in wrapped:
            figure.text((column + _NAME) / WIDTH, y, text, color=INK, va="center_baseline")
            y -= _LINE / height
    return figure


@house_style()
def draw_diagrams(posets: Mapping[str, Poset], columns: int = 8) -> Figure:
    """Draw Hasse diagrams side by side, each under its name.

    Args:
        posets: By name.
        columns: Diagrams in a row.
    """
    rows = math.ceil(len(posets) / columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows))
    FigureCanvasAgg(figure)
    diagrams = {name: lay_out(poset) for name, poset in posets.items()}
    for place, (name, diagram) in enumerate(diagrams.items()):
        row, column = divmod(place, columns)
        left, top = column / columns, 1 - row / rows
        axes = figure.add_axes((left, top - 0.97 / rows, 1 / columns, 0.72 / rows))
        _draw(axes, diagram, size=10)
        middle, reach = _extent(diagram)[1] / 2, max(3.0, _extent(diagram)[1]) / 2 + 0.4
        axes.set_ylim(middle - reach, middle + reach)
        index, _, called = name.rpartition(": ")
        title = "\n".join(filter(None, (index, *textwrap.wrap(called, 13))))
        figure.text(left + 0.5 / columns, top - 0.02 / rows, title, ha="center", va="top", fontsize=8.5, color=INK)
    return figure


def _draw(axes: Axes, diagram: Diagram, size: float) -> None:
    """Draw points of ``size`` typographic points, and the edges between them."""
    for path in diagram.edges.values():
        axes.plot(*zip(*path, strict=True), color=QUIET, linewidth=1.4 if size > 12 else 1.0, zorder=1)
    for point, (x, level) in diagram.places.items():
        axes.plot([x], [level], "o", color="white", markeredgecolor=SUBJECT, markeredgewidth=size / 12, markersize=size)
        axes.annotate(
            f"{point + 1}", (x, level), ha="center", va="center_baseline", color=INK, fontsize=9.5 if size > 12 else 7
        )
    breadth, levels = _extent(diagram)
    axes.set_xlim(-breadth / 2 - 0.5, breadth / 2 + 0.5)
    axes.set_ylim(-0.4, levels + 0.4)
    axes.set_axis_off()


def _extent(diagram: Diagram) -> tuple[float, int]:
    """The breadth, at least 1, and the highest level."""
    places = [*diagram.places.values(), *(place for path in diagram.edges.values() for place in path)]
    half = max([0.5, *(abs(x) for x, _ in places)])
    return 2 * half, max((level for _, level in places), default=0)


def _wrapped(text: str, width: int) -> list[str]:
    """Break text at words, a formula at its signs."""
    return broken(text, width) if any(sign in text for sign in (" + ", " - ")) else textwrap.wrap(text, width)
