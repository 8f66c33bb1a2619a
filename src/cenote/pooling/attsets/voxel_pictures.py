"""Grids of cells drawn in space beside the views they were rebuilt from, and what each view weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import NDArray

from cenote.lab.style import BASELINE, CONTROL, FAINT, INK, QUIET, SUBJECT, WIDTH, house_style, ticks
from cenote.pooling.attsets.overlap import voxel_iou

_AZIMUTH, _ELEVATION = -58, 22
_FEWEST_VIEWS, _MOST_VIEWS = 8, 24
"""Views that a strip has room for: fewer would be too large, more too small to be seen."""


class Weighed(NamedTuple):
    """The views of an object with what they weighed.

    Attributes:
        title: What is written above.
        views: Pictures in 0…1, (V, H, W) or (V, H, W, 3).
        weights: Mean weight of each view as a multiple of an even share, (V,).
    """

    title: str
    views: NDArray[np.float32]
    weights: NDArray[np.float64]


class Rebuilt(NamedTuple):
    """An object beside its truth.

    Attributes:
        view: Its first view in 0…1, (H, W) or (H, W, 3).
        grids: The grids to be drawn, (X, Y, Z) with y up or (H, W), each under its own title.
        titles: One for the view and one for each grid.
    """

    view: NDArray[np.float32]
    grids: Sequence[NDArray[np.bool_]]
    titles: Sequence[str]


@house_style()
def draw_rebuilt(objects: Sequence[Rebuilt], *, truth: int | None = 0) -> Figure:
    """Draw a row for each object: its first view, then its grids.

    Args:
        objects: At least one, all with as many grids.
        truth: Position of the true grid among the grids, which has a colour of its own; None if there is none.
    """
    columns = 1 + len(objects[0].grids)
    side = min(WIDTH / columns, 2.2)
    figure = Figure(figsize=(columns * side, len(objects) * (side + 0.25)), layout="constrained")
    FigureCanvasAgg(figure)
    for row, each in enumerate(objects):
        axes = figure.add_subplot(len(objects), columns, row * columns + 1)
        show_view(axes, each.view)
        axes.set_title(_shortened(each.titles[0], 20), color=QUIET, fontsize=8.5)
        for place, (grid, title) in enumerate(zip(each.grids, each.titles[1:], strict=True)):
            cell = (len(objects), columns, row * columns + place + 2)
            colour = BASELINE if place == truth else SUBJECT
            axes = figure.add_subplot(*cell, projection="3d" if grid.ndim == 3 else None)
            draw_grid(axes, grid, colour)
            axes.set_title(title, color=colour, fontsize=8.5)
    return figure


@house_style()
def draw_weights(objects: Sequence[Weighed]) -> Figure:
    """Draw the views of each object in a strip, and below each view a bar as high as its weight.

    Args:
        objects: At least one; of each the first 24 views are drawn.
    """
    room = min(max(_FEWEST_VIEWS, *(len(each.views) for each in objects)), _MOST_VIEWS)
    side = 0.9 * WIDTH / room
    figure = Figure(figsize=(WIDTH, (side + 0.95) * len(objects)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2 * len(objects), 1, squeeze=False, height_ratios=[side, 0.6] * len(objects))[:, 0]
    top = max(1.2, *(float(each.weights.max()) for each in objects))
    for each, strip, bars in zip(objects, rows[::2], rows[1::2], strict=True):
        views, weights = each.views[:_MOST_VIEWS], each.weights[:_MOST_VIEWS]
        width = views.shape[2]
        show_view(strip, np.concatenate(list(views), axis=1))
        strip.set(aspect="auto", xlim=(-0.5, room * width - 0.5))
        strip.set_title(_shortened(each.title, 60), color=INK, fontsize=8.5, loc="left", pad=3)
        drawn = f"first {len(views)} of {len(each.views)}; " if len(views) < len(each.views) else ""
        strip.set_title(f"{drawn}weight below, 1 is an even share", color=QUIET, fontsize=8.5, loc="right", pad=3)
        middles = (np.arange(len(views)) + 0.5) * width - 0.5
        bars.bar(middles, weights, 0.82 * width, color=np.where(weights > 1, SUBJECT, CONTROL))
        bars.axhline(1, color=QUIET, linewidth=0.8, dashes=(4, 3))
        bars.set(xlim=(-0.5, room * width - 0.5), ylim=(0, 1.05 * top), xticks=[])
        bars.yaxis.set_major_locator(ticks(2))
        bars.grid(axis="y")
        bars.spines["bottom"].set_color(FAINT)
    return figure


def grid_iou(cells: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return the intersection over the union of two grids."""
    return voxel_iou(torch.from_numpy(cells).float()[None], torch.from_numpy(truth)[None]).item()


def show_view(axes: Axes, view: NDArray[np.float32]) -> None:
    """Show a picture in 0…1 without axes."""
    axes.imshow(view, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()


def draw_grid(axes: Axes, grid: NDArray[np.bool_], colour: str) -> None:
    """Draw the occupied cells of a grid: a body (X, Y, Z) with y up into axes in space, an image (H, W) into others."""
    axes.set_axis_off()
    if grid.ndim == 2:
        shown = np.where(grid[..., None], _rgb(colour), 1.0)
        axes.imshow(shown, interpolation="nearest")
        return
    assert isinstance(axes, Axes3D)
    # matplotlib has z up: y becomes z, and z, turned around so that nothing is mirrored, becomes y.
    upright = grid.transpose(0, 2, 1)[:, ::-1]
    if upright.any():
        axes.voxels(upright, facecolors=colour, edgecolor=FAINT, linewidth=0.15)
    for set_limits, side in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), upright.shape, strict=True):
        set_limits(0, side)
    axes.set_proj_type("ortho")
    axes.view_init(elev=_ELEVATION, azim=_AZIMUTH)
    axes.set_box_aspect(upright.shape, zoom=0.98)


def _shortened(title: str, length: int) -> str:
    """Return a title, or its end where it is too long: names of objects differ there."""
    return title if len(title) <= length else f"…{title[1 - length :]}"


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
