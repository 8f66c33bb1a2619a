"""The look of every figure: colours, type, rows and the words beside them.

Figures are seven inches wide with nine-point type, so they stay readable at 700 pixels. They are made without pyplot
and without the caller's settings: no global state changes, and equal input gives equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

WIDTH = 7.0
DPI = 160

INK = "#1b2733"
QUIET = "#5f6c79"
FAINT = "#d5dbe1"
BAND = "#f3f5f7"
SUBJECT = "#0b6fae"
BASELINE = "#3d4853"
CONTROL = "#8a95a1"

PALETTE = ("#0b6fae", "#c8500a", "#00856a", "#a8548a", "#8a6d00", "#5b4fa0", "#3d4853")
"""Colours of lines, after Okabe and Ito, dark enough for type on white; dashes and markers differ too."""

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 9.5),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 9),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), QUIET),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
}

Values = Sequence[float] | NDArray[np.floating]


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style, whatever the caller's settings are."""
    # "default" undoes a user's matplotlibrc; matplotlib leaves the backend out of it.
    with style.context(["default", _STYLE]):
        yield


def scale_and_label(unit: str, label: str, hundredths: str = "%") -> tuple[float, str]:
    """Return the factor by which values are drawn, and the axis label with the unit this gives."""
    if unit == "fraction":
        return 100.0, f"{label} ({hundredths})"
    return 1.0, f"{label} ({unit})" if unit else label


def ticks(count: int) -> MaxNLocator:
    """Return at most this many round tick positions."""
    return MaxNLocator(count, steps=[1, 2, 5, 10])


def single_figure(height: float) -> tuple[Figure, Axes]:
    """Return a figure of the house's width with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def rows_figure(heights: Mapping[str, float], foot: float = 0.0) -> tuple[Figure, Axes]:
    """Return a figure with one horizontal row for each height, the first on top."""
    span = max(heights.values()) - min(heights.values())
    figure, axes = single_figure(height=0.36 * (span + 1) + 0.85 + foot)
    axes.set_ylim(max(heights.values()) + 0.6, min(heights.values()) - 0.6)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for y in heights.values():
        axes.axhspan(y - 0.46, y + 0.46, color=BAND, linewidth=0, zorder=0)
    axes.xaxis.set_major_locator(ticks(6))
    return figure, axes


def row_heights(arms: Sequence[str], controls: Sequence[str]) -> dict[str, float]:
    """Return the height of each row, the controls below a gap."""
    gap = 0.8 if arms and controls else 0.0
    heights = {name: float(index) for index, name in enumerate(arms)}
    return heights | {name: len(arms) + gap + index for index, name in enumerate(controls)}


def label_rows(axes: Axes, heights: Mapping[str, float], lit: set[str], controls: set[str]) -> None:
    """Name the rows: the lit ones in colour, the controls muted and under a heading."""
    axes.set_yticks(list(heights.values()), list(heights))
    for label, name in zip(axes.get_yticklabels(), heights, strict=True):
        if name in lit:
            label.set(color=SUBJECT, fontweight="bold")
        elif name in controls:
            label.set_color(QUIET)
    if controls:
        top = min(heights[name] for name in controls) - 0.7
        write_beside(axes, "controls", (0, top), (-4, 0), ("axes fraction", "data"), ha="right", fontstyle="italic")


def write_beside(
    axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], anchor: str | tuple[str, str], *,
    colour: str = QUIET, ha: str = "left", va: str = "center_baseline", fontstyle: str = "normal",
) -> None:  # fmt: skip
    """Write ``text`` at a distance in points from ``at``, inside or outside the axes."""
    note = axes.annotate(text, at, offset, anchor, "offset points", annotation_clip=False)
    note.set(color=colour, ha=ha, va=va, fontsize=9, fontstyle=fontstyle)


def mark_value(axes: Axes, value: float, text: str) -> None:
    """Draw a dashed vertical line with its name on top."""
    axes.axvline(value, color=INK, linewidth=1.0, dashes=(4, 3), zorder=2)
    write_beside(axes, text, (value, 1), (0, 3), ("data", "axes fraction"), ha="center", va="bottom")


def write_right(axes: Axes, y: float, text: str, colour: str) -> None:
    """Write into the column to the right of the axes."""
    write_beside(axes, text, (1, y), (6, 0), ("axes fraction", "data"), colour=colour)


def draw_interval(axes: Axes, low: float, high: float, y: float, colour: str) -> None:
    """Draw an interval as a thick line."""
    axes.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=3)
