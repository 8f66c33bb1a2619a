"""The pictures of a report: every unit shown, the paper's method in colour, everything else in grey."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cenote.catalog.files import write_bytes_atomic
from cenote.catalog.results import Verdict
from cenote.errors import ArgumentError
from cenote.lab.labels import Point, label_ends
from cenote.lab.style import (
    BASELINE,
    CONTROL,
    DPI,
    INK,
    PALETTE,
    QUIET,
    SUBJECT,
    WIDTH,
    Values,
    draw_interval,
    house_style,
    label_rows,
    mark_value,
    row_heights,
    rows_figure,
    scale_and_label,
    single_figure,
    ticks,
    write_beside,
    write_right,
)

_DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1.5)), (0, (8, 2)), (0, (1, 2.5)))
_NOTHING = 1e-6
"""Share of the largest spread below which another is rounding."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class ForestRow(NamedTuple):
    """One row of ``forest``: an estimate with its interval; NaN where an arm diverged."""

    label: str
    estimate: float
    low: float
    high: float


class Line(NamedTuple):
    """One series of ``lines``; ``low`` and ``high`` are the edges of its band, if it has one."""

    x: Values
    y: Values
    low: Values | None = None
    high: Values | None = None


@house_style()
def save(figure: Figure, path: Path) -> Path:
    """Write ``figure`` as PNG to ``path``, whole or not at all; equal figures give equal bytes.

    Raises:
        ArgumentError: If ``path`` does not end in .png.
        StorageError: If it cannot be written.
    """
    if path.suffix != ".png":
        raise ArgumentError(f"path: figures are saved as .png, got {path.name!r}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_bytes_atomic(path, buffer.getvalue())
    return path


@house_style()
def strip(
    values: Mapping[str, Values],
    *,
    xlabel: str,
    unit: str = "",
    highlight: str | Collection[str] = (),
    controls: Collection[str] = frozenset(),
) -> Figure:
    """Every seed of every arm as a dot, with the mean and its 95 % t interval below the dots.

    A seed keeps its height within each row, so pairs can be followed from arm to arm. Rows stand in the mapping's
    order, controls last. A diverged seed (NaN) has no dot; its row says so and shows no mean.

    Args:
        values: The seeds' values of each arm.
        xlabel: What the values are, without the unit.
        unit: Unit of the values; ``fraction`` is drawn in per cent.
        highlight: The arm or arms the claim is about.
        controls: Arms that could explain the effect away; muted and grouped.

    Raises:
        ArgumentError: If there is no value, or ``highlight`` or ``controls`` name an arm that is not in ``values``.
    """
    lit = _names(highlight)
    _check_arms("values", values, highlight=lit, controls=set(controls))
    scale, label = scale_and_label(unit, xlabel)
    arms = {name: scale * np.asarray(seeds, dtype=float) for name, seeds in values.items()}
    heights = row_heights([name for name in arms if name not in controls], [name for name in arms if name in controls])
    figure, axes = rows_figure(heights)
    decimals = _decimals([_half_width(seeds) for seeds in arms.values()])
    for name, y in heights.items():
        colour = SUBJECT if name in lit else CONTROL if name in controls else BASELINE
        _strip_row(axes, arms[name], y, colour, decimals)
        if name in lit and np.isfinite(arms[name]).all():
            axes.axvline(float(arms[name].mean()), color=SUBJECT, linewidth=0.9, dashes=(4, 3), alpha=0.6, zorder=1)
    label_rows(axes, heights, lit, set(controls))
    write_right(axes, min(heights.values()) - 0.72, "mean ± 95 %", QUIET)
    axes.set_xlabel(label)
    return figure


@house_style()
def forest(
    rows: Verdict | Iterable[ForestRow | tuple[str, float, float, float]],
    *,
    margin: float | Collection[float] = (),
    unit: str = "",
    xlabel: str = "difference",
    reference: float = 0.0,
    sides: tuple[str, str] = ("favours the baseline", "favours the paper"),
) -> Figure:
    """Differences with their intervals against no difference and the margin.

    A filled mark has an interval that leaves ``reference`` out, a hollow one has not.

    Args:
        rows: A verdict, or label, estimate and interval of each row, oriented so that positive favours the paper.
        margin: Where the claim's margin lies on the axis: δ for a claimed gain, −δ for a loss that is allowed, both
            for an equivalence.
        unit: Unit of the differences; ``fraction`` is drawn in points of a hundred.
        xlabel: What the differences are, without the unit.
        reference: No effect: 0 for a difference, 1 for a ratio.
        sides: What lies to the left and to the right of it.

    Raises:
        ArgumentError: If there is no row.
    """
    table = _forest_rows(rows)
    if not table:
        raise ArgumentError("rows: at least one comparison is needed, got none")
    scale, label = scale_and_label(unit, xlabel, "points")
    margins = [scale * value for value in ([margin] if isinstance(margin, int | float) else margin)]
    scaled = [ForestRow(row.label, scale * row.estimate, scale * row.low, scale * row.high) for row in table]
    # Labels may repeat (one baseline on two data sets), so rows are keyed by position.
    figure, axes = rows_figure({str(index): float(index) for index in range(len(scaled))}, foot=0.25)
    _forest_limits(axes, scaled, [scale * reference, *margins])
    decimals = _decimals([(row.high - row.low) / 2 for row in scaled])
    for y, row in enumerate(scaled):
        _forest_row(axes, row, float(y), scale * reference, decimals)
    axes.axvline(scale * reference, color=INK, linewidth=1.0, zorder=1)
    for value in margins:
        mark_value(axes, value, f"margin {value:+g}".replace("-", "−") if reference == 0 else f"margin {value:g}")
    axes.set_yticks(range(len(scaled)), [row.label for row in scaled])
    write_beside(axes, f"← {sides[0]}", (0, 0), (0, -20), "axes fraction", va="top")
    write_beside(axes, f"{sides[1]} →", (1, 0), (0, -20), "axes fraction", va="top", ha="right")
    axes.set_xlabel(label, labelpad=16)
    return figure


@house_style()
def lines(
    series: Mapping[str, Line],
    *,
    xlabel: str,
    ylabel: str,
    unit: str = "",
    log_x: bool = False,
    log_y: bool = False,
    highlight: str | Collection[str] = (),
) -> Figure:
    """Curves with bands, each named at its right end; with ``highlight`` all others turn grey.

    Args:
        series: The curves; NaN leaves a gap.
        xlabel: What lies on the horizontal axis, with its unit.
        ylabel: What lies on the vertical axis, without the unit.
        unit: Unit of the values; ``fraction`` is drawn in per cent.
        log_x: Whether the horizontal axis is logarithmic.
        log_y: Whether the vertical axis is logarithmic.
        highlight: The curve or curves to look at.

    Raises:
        ArgumentError: If there is no value, the lengths of a series differ, or ``highlight`` is not in ``series``.
    """
    lit = _names(highlight)
    _check_arms("series", {name: line.y for name, line in series.items()}, highlight=lit)
    scale, label = scale_and_label(unit, ylabel)
    figure, axes = single_figure(height=3.9)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    axes.grid()
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(series)}
    if lit:
        colours = {name: SUBJECT if name in lit else QUIET for name in series}
    for index, (name, line) in enumerate(series.items()):
        _draw_line(axes, name, line, scale, colours[name], index)
    axes.margins(x=0.02)
    _tick_at_measurements(axes, {x for line in series.values() for x in line.x})
    _label_ends(axes, series, scale, colours)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(label)
    return figure


@house_style()
def grid(
    images: Sequence[ArrayLike],
    *,
    titles: Sequence[str],
    cmap: str = "viridis",
    columns: int = 4,
    label: str = "",
    centre: float | None = None,
) -> Figure:
    """Images side by side; maps (``H W``) share one colour scale, pictures (``H W 3``) are shown as they are.

    Args:
        images: Arrays ``H W`` of values, or ``H W 3`` of colours in 0…1 or uint8.
        titles: One title for each image.
        cmap: Colour map of the values.
        columns: Images in a row, at most.
        label: What the colours mean, with the unit.
        centre: The value in the middle of the colour map, for a map with two directions.

    Raises:
        ArgumentError: If there is no image, a shape does not fit, or images and titles differ in number.
    """
    arrays = [np.asarray(image) for image in images]
    _check_images(arrays, titles, columns)
    columns = min(columns, len(arrays))
    rows = math.ceil(len(arrays) / columns)
    side = min(2.6, 0.88 * WIDTH / columns)
    aspect = max(array.shape[0] / array.shape[1] for array in arrays)
    figure = Figure(figsize=(columns * side + 0.12 * WIDTH, rows * (side * aspect + 0.3)), layout="constrained")
    FigureCanvasAgg(figure)
    low, high = _colour_limits([array for array in arrays if array.ndim == 2], centre)
    coloured = None
    for index, (array, title) in enumerate(zip(arrays, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        image = axes.imshow(array, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title, pad=4)
        axes.set_axis_off()
        coloured = image if array.ndim == 2 else coloured
    if coloured is not None:
        bar = figure.colorbar(coloured, ax=figure.axes, fraction=0.03, pad=0.02, aspect=24, label=label)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(ticks(5))
    return figure


@house_style()
def bars(
    values: Mapping[str, float],
    *,
    xlabel: str,
    unit: str = "",
    intervals: Mapping[str, tuple[float, float]] | None = None,
    highlight: str | Collection[str] = (),
    limit: tuple[str, float] | None = None,
) -> Figure:
    """Costs as horizontal bars with their values, beside the limit that physics or the algorithm sets.

    Args:
        values: The cost of each arm; NaN is shown as diverged.
        xlabel: What the cost is, without the unit.
        unit: Unit of the cost; ``fraction`` is drawn in per cent.
        intervals: Lower and upper end of an interval, for the arms that have one.
        highlight: The arm or arms to look at.
        limit: Name and value of the limit.

    Raises:
        ArgumentError: If there is no value, or ``highlight`` or ``intervals`` name an arm that is not in ``values``.
    """
    lit, spans = _names(highlight), intervals or {}
    _check_arms("values", {name: [value] for name, value in values.items()}, highlight=lit, intervals=set(spans))
    scale, label = scale_and_label(unit, xlabel)
    heights = row_heights(list(values), [])
    figure, axes = rows_figure(heights)
    for name, y in heights.items():
        _bar(axes, y, scale * values[name], spans.get(name), scale, SUBJECT if name in lit else CONTROL)
    if limit is not None:
        mark_value(axes, scale * limit[1], limit[0])
    label_rows(axes, heights, lit, set())
    axes.set_xlabel(label)
    return figure


def _check_arms(argument: str, values: Mapping[str, Values], **named: set[str]) -> None:
    if not values:
        raise ArgumentError(f"{argument}: at least one arm is needed, got none")
    for name, seeds in values.items():
        if len(seeds) == 0:
            raise ArgumentError(f"{argument}: {name!r} has no value; give at least one")
    for key, names in named.items():
        if unknown := sorted(names - set(values)):
            raise ArgumentError(f"{key}: {', '.join(map(repr, unknown))} not in {argument}; it has {', '.join(values)}")


def _names(highlight: str | Collection[str]) -> set[str]:
    return {highlight} if isinstance(highlight, str) else set(highlight)


def _strip_row(axes: Axes, seeds: NDArray[np.float64], y: float, colour: str, decimals: int) -> None:
    offsets = np.linspace(-0.34, 0.08, len(seeds))
    axes.plot(seeds, y + offsets, "o", markersize=4.2, color=colour, alpha=0.55, markeredgewidth=0, zorder=3)
    diverged = int((~np.isfinite(seeds)).sum())
    if diverged:
        write_right(axes, y, f"diverged ({diverged} of {len(seeds)})", QUIET)
        return
    mean, half = float(seeds.mean()), _half_width(seeds)
    below = y + 0.26
    if math.isfinite(half):
        draw_interval(axes, mean - half, mean + half, below, colour)
    axes.plot([mean], [below], "D", color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.8, zorder=5)
    spread = f" ± {half:.{decimals}f}" if math.isfinite(half) else ""
    write_right(axes, y, f"{mean:.{decimals}f}{spread}", QUIET if colour == CONTROL else colour)


def _half_width(seeds: NDArray[np.float64]) -> float:
    """Half of the 95 % t interval of the mean; NaN with one value or a diverged one."""
    if len(seeds) < 2:
        return math.nan
    return float(stats.t.ppf(0.975, len(seeds) - 1) * seeds.std(ddof=1) / math.sqrt(len(seeds)))


def _decimals(spreads: Iterable[float]) -> int:
    """Decimals that give the typical spread two digits; one that is nothing beside the largest is not typical."""
    finite = [spread for spread in spreads if math.isfinite(spread) and spread > 0]
    known = [spread for spread in finite if spread > _NOTHING * max(finite)]
    return min(6, max(0, 1 - math.floor(math.log10(float(np.median(known)))))) if known else 2


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−").replace("inf", "∞")


def _forest_rows(rows: Verdict | Iterable[ForestRow | tuple[str, float, float, float]]) -> list[ForestRow]:
    if isinstance(rows, Verdict):
        return [ForestRow(each.baseline or rows.data, each.estimate, each.low, each.high) for each in rows.comparisons]
    return [ForestRow(*row) for row in rows]


def _forest_limits(axes: Axes, rows: Sequence[ForestRow], marks: Sequence[float]) -> None:
    seen = [value for row in rows for value in row[1:] if math.isfinite(value)] + list(marks)
    padding = 0.06 * (max(seen) - min(seen)) or 1.0
    axes.set_xlim(min(seen) - padding, max(seen) + padding)


def _forest_row(axes: Axes, row: ForestRow, y: float, reference: float, decimals: int) -> None:
    if math.isnan(row.estimate):
        write_right(axes, y, "diverged", QUIET)
        return
    left, right = axes.get_xlim()
    draw_interval(axes, max(row.low, left), min(row.high, right), y, SUBJECT)
    for end, marker in ((row.low, "<"), (row.high, ">")):
        if math.isinf(end):
            axes.plot([min(max(end, left), right)], [y], marker, color=SUBJECT, markersize=6, clip_on=False, zorder=3)
    fill = SUBJECT if row.low > reference or row.high < reference else "white"
    axes.plot([row.estimate], [y], "o", color=fill, mec=SUBJECT, markeredgewidth=1.6, markersize=7, zorder=4)
    interval = "" if math.isnan(row.low) else f" [{_signed(row.low, decimals)}, {_signed(row.high, decimals)}]"
    write_right(axes, y, _signed(row.estimate, decimals) + interval, INK)


def _draw_line(axes: Axes, name: str, line: Line, scale: float, colour: str, index: int) -> None:
    lengths = {len(part) for part in line if part is not None}
    if len(lengths) != 1:
        raise ArgumentError(f"series: the parts of {name!r} have lengths {sorted(lengths)}; they must be equal")
    if line.low is not None and line.high is not None:
        low, high = (scale * np.asarray(edge, dtype=float) for edge in (line.low, line.high))
        axes.fill_between(line.x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        line.x, scale * np.asarray(line.y, dtype=float), color=colour, linewidth=1.8,
        linestyle=_DASHES[index % len(_DASHES)], marker=_MARKERS[index % len(_MARKERS)], markersize=4.5,
        markeredgecolor="white", markeredgewidth=0.6,
    )  # fmt: skip


def _tick_at_measurements(axes: Axes, positions: set[float]) -> None:
    """Write the few positions of a logarithmic axis that were measured, and no fractions between whole numbers."""
    if axes.get_xscale() == "log" and len(positions) <= 10:
        axes.set_xticks(sorted(positions), [f"{x:g}" for x in sorted(positions)])
        axes.xaxis.minorticks_off()
    elif axes.get_xscale() == "linear" and all(float(x).is_integer() for x in positions):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _label_ends(axes: Axes, series: Mapping[str, Line], scale: float, colours: Mapping[str, str]) -> None:
    """Write each name beside the last finite point of its curve."""
    tips = {}
    for name, line in series.items():
        finite = [(x, scale * y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
        if finite:
            tips[name] = Point(*finite[-1], colours[name])
    label_ends(axes, tips)


def _check_images(arrays: Sequence[NDArray[np.generic]], titles: Sequence[str], columns: int) -> None:
    if not arrays or len(titles) != len(arrays) or columns < 1:
        raise ArgumentError(
            f"images, titles and columns: at least one image, a title for each and a column are needed, "
            f"got {len(arrays)} images, {len(titles)} titles, {columns} columns"
        )
    for array in arrays:
        if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})):
            raise ArgumentError(f"images: each has shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape}")


def _colour_limits(maps: Sequence[NDArray[np.generic]], centre: float | None) -> tuple[float | None, float | None]:
    values = np.concatenate([np.asarray(array, dtype=float).ravel() for array in maps]) if maps else np.zeros(0)
    values = values[np.isfinite(values)]
    if not values.size:
        return None, None
    low, high = float(values.min()), float(values.max())
    if centre is None:
        return low, high
    reach = max(high - centre, centre - low)
    return centre - reach, centre + reach


def _bar(axes: Axes, y: float, value: float, span: tuple[float, float] | None, scale: float, colour: str) -> None:
    if math.isnan(value):
        write_right(axes, y, "diverged", QUIET)
        return
    axes.barh([y], [value], height=0.62, color=colour)
    low, high = (scale * edge for edge in span) if span is not None else (value, value)
    if span is not None:
        axes.plot([low, high], [y, y], color=INK, linewidth=1.4)
    write_beside(axes, f"{value:.3g}", (max(value, high), y), (4, 0), "data", colour=INK)
