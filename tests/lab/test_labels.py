"""Names beside points: each reads its own point, and none covers another."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from cenote.lab.labels import Point, label_points

NUMBERS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=15)


def panel() -> Axes:
    figure = Figure(figsize=(3, 3.5), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(gridspec_kw={"left": 0.15, "right": 0.95, "bottom": 0.15, "top": 0.95})
    axes.set(xlim=(-0.2, 1.2), ylim=(-0.2, 1.2))
    return axes


def notes(axes: Axes) -> list[Annotation]:
    axes.figure.draw_without_rendering()
    return [note for note in axes.texts if isinstance(note, Annotation)]


def box(note: Annotation) -> Bbox:
    """That of the letters alone; an annotation's own box takes in its line."""
    return Text.get_window_extent(note)


@given(NUMBERS)
@settings(max_examples=12, deadline=None)
def test_no_name_covers_another_or_a_point(places: list[tuple[float, float]]) -> None:
    axes = panel()
    points = {str(number): Point(*place) for number, place in enumerate(places, start=1)}
    label_points(axes, points)
    written = notes(axes)
    assert {note.get_text(): note.xy for note in written} == {name: point[:2] for name, point in points.items()}
    for one, other in itertools.combinations(written, 2):
        assert not box(one).padded(-0.5).overlaps(box(other).padded(-0.5))
    for note, (x, y) in itertools.product(written, places):
        assert not box(note).contains(*axes.transData.transform((x, y)))


def test_a_name_alone_stands_right_of_its_point_without_a_line() -> None:
    axes = panel()
    label_points(axes, {"7": Point(0.5, 0.5, "#ff0000")})
    (note,) = notes(axes)
    x, y = axes.transData.transform((0.5, 0.5))
    assert x < box(note).x0 < x + 15 * axes.figure.dpi / 72
    assert box(note).y0 < y < box(note).y1
    assert note.arrowprops is None
    assert note.get_color() == "#ff0000"


def test_points_that_lie_on_each_other_have_a_line_each_and_none_crosses() -> None:
    axes = panel()
    label_points(axes, {str(number): Point(0.5, 0.5 + 0.002 * number) for number in range(6)})
    written = notes(axes)
    lines = [note for note in written if note.arrowprops is not None]
    assert len(lines) >= 4
    for right in ("left", "right"):  # on either side the names keep the order of their points
        side = sorted(
            (note for note in written if note.get_horizontalalignment() == right), key=lambda note: note.xy[1]
        )
        heights = [box(note).y0 for note in side]
        assert heights == sorted(heights)


@pytest.mark.parametrize("nowhere", [Point(math.nan, 0.5), Point(0.5, math.inf)])
def test_a_point_that_is_nowhere_has_no_name(nowhere: Point) -> None:
    axes = panel()
    label_points(axes, {"1": nowhere, "2": Point(0.5, 0.5)})
    assert [note.get_text() for note in notes(axes)] == ["2"]
