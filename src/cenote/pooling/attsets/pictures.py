"""The pictures of a run: overlap by views and by learning rates, the effect of the order, and what was rebuilt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.intervals import PairedT
from cenote.lab.strips import Shown as Strip
from cenote.lab.strips import draw_strip
from cenote.lab.style import INK, WIDTH, house_style
from cenote.pooling.attsets.voxel_pictures import Rebuilt, Weighed, draw_rebuilt, draw_weights, grid_iou

Curves = dict[str, dict[int, list[float]]]
"""By arm and number of views, the overlap of each seed, in the order of the seeds."""

_LEVEL = 0.95
"""Of the intervals that decide which differences are marked."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Test objects that are drawn.

    Attributes:
        views: Their views as the network sees them, (K, V, C, H, W).
        truth: Their grids, (K, …).
        most: The largest number of views.
    """

    views: NDArray[np.float32]
    truth: NDArray[np.bool_]
    most: int

    def pictures(self) -> NDArray[np.float32]:
        """Return the views as they are looked at, (K, V, H, W) or (K, V, H, W, 3).

        Of an image behind a window that is its first channel; pictures of bodies are dark on white again.
        """
        if self.truth.ndim == 3:
            return self.views[:, :, 0]
        seen = 1 - np.moveaxis(self.views, 2, -1)
        return seen[..., 0] if seen.shape[-1] == 1 else seen


def draw(
    data: str,
    groups: Mapping[int, Sequence[str]],
    controls: Sequence[str],
    shown: Shown,
    records: Sequence[Record],
    folder: Path,
) -> Iterator[Figure]:
    """Draw all pictures of a data set.

    Args:
        data: The data set.
        groups: By the number of views of a training set (0 where it is drawn), the arms in their order, that of FASet
            first.
        controls: The arms without training on sets.
        shown: Test objects whose predictions were kept.
        records: All records of the run.
        folder: Where the files go.
    """
    own = [record for record in records if record.data == data]
    sizes_of = {group: f"of {group} views" if group else f"of 1 to {shown.most} views" for group in groups}
    for group, arms in groups.items():
        curves, sizes = _curves(own, (*arms, *controls)), sizes_of[group]
        yield _overlaps(data, f"{group or 'any'}", sizes, arms[0], controls, curves, folder)
        yield _differences(data, f"{group or 'any'}", sizes, arms[0], curves, folder)
    group, first = next(iter(groups.items()))
    yield _rates(data, sizes_of[group], first, own, folder)
    yield draw_strip(
        Strip("permutation_spread", "order", "largest change of a probability", "Effect of the views' order"),
        data, own, folder, subject=first[0], order=(*first, *controls), controls=controls,
        caption="The largest change of any predicted probability over random orders of the views, in float64. A dot is "
        "one training; the GRU alone reads a sequence.",
    )  # fmt: skip
    if any(record.metric == "view_weight" for record in own):
        yield _weights(data, shown, own, folder)
        yield _rebuilt(data, shown, own, folder)


# --- overlap by the number of views -------------------------------------------------------------------------------


def _curves(records: Sequence[Record], arms: Sequence[str]) -> Curves:
    curves: Curves = {arm: defaultdict(list) for arm in arms}
    for record in sorted(records, key=lambda record: -1 if record.seed is None else record.seed):
        if record.metric == "iou" and record.arm in curves and record.x is not None:
            curves[record.arm][round(2**record.x)].append(record.value)
    return curves


def _line(points: Sequence[tuple[float, list[float]]], *, band: bool) -> plots.Line:
    """Return the mean over the seeds at each place, on demand with a band from the smallest to the largest."""
    means, low, high = ([float(pick(values)) for _, values in points] for pick in (np.mean, np.min, np.max))
    return plots.Line([float(x) for x, _ in points], means, *((low, high) if band else (None, None)))


def _overlaps(
    data: str, group: str, sizes: str, subject: str, controls: Sequence[str], curves: Curves, folder: Path
) -> Figure:
    series = {arm: _line(sorted(found.items()), band=arm == subject) for arm, found in curves.items()}
    others = [arm for arm in curves if arm != subject and arm not in controls]
    file = f"overlap-{group}-{data}.png"
    drawn = plots.lines(series, xlabel="views", ylabel="mean IoU", unit="fraction", log_x=True, highlight=subject)
    plots.save(drawn, folder / file)
    last = max(max(found) for found in curves.values())
    return Figure(
        file=file,
        title=f"Overlap by the number of views on {data}, trained on sets {sizes}",
        caption="A line is one aggregation, mean over the seeds; the band goes from the smallest to the largest seed "
        f"of {subject}. Encoder, decoder and steps on single views are the same for all. Of {subject} the attention "
        f"alone was then trained on sets, of {', '.join(others)} all weights; nothing of the controls: "
        f"{'; '.join(controls)}.",
        alt=f"Mean intersection over union at {last} views: "
        + ", ".join(f"{arm} {line.y[-1]:.1%}" for arm, line in series.items())
        + ".",
    )


def _differences(data: str, group: str, sizes: str, subject: str, curves: Curves, folder: Path) -> Figure:
    """Draw by how much the subject wins or loses, against every other arm and at every number of views."""
    counts = sorted(curves[subject])
    others = [arm for arm in curves if arm != subject]
    paired = [
        [PairedT(100 * (np.array(curves[subject][count]) - np.array(curves[arm][count]))) for count in counts]
        for arm in others
    ]
    gains = np.array([[each.value for each in row] for row in paired])
    sure = np.array([[_excludes_zero(each) for each in row] for row in paired])
    file = f"differences-{group}-{data}.png"
    plots.save(_cells(gains, sure, others, [str(count) for count in counts]), folder / file)
    lost = [f"{others[row]} at {counts[column]}" for row, column in np.argwhere(sure & (gains < 0))]
    return Figure(
        file=file,
        title=f"Where {subject} wins and loses on {data}, trained on sets {sizes}",
        caption=f"Mean IoU of {subject} less that of each row, in points, by the number of views; blue where it is "
        f"ahead, red where it is behind. Framed are differences whose {_LEVEL:.0%} interval over the seeds, paired "
        "because arms of a seed share data and start, excludes 0; each cell for itself.",
        alt=f"Of {gains.size} cells {subject} is ahead in {int((sure & (gains > 0)).sum())} and behind in {len(lost)} "
        "by more than the seeds explain" + (f": behind {', '.join(lost)}." if lost else "."),
    )


def _excludes_zero(difference: PairedT) -> bool:
    low, high = difference.interval(_LEVEL)
    return low > 0 or high < 0  # neither where the interval is not known


@house_style()
def _cells(gains: NDArray[np.float64], sure: NDArray[np.bool_], rows: Sequence[str], columns: Sequence[str]) -> Drawing:
    figure = Drawing(figsize=(WIDTH, 0.3 * len(rows) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    finite = np.abs(gains[np.isfinite(gains)])
    limit = max(float(finite.max()) if len(finite) else 0.0, 1e-9)
    axes.imshow(gains, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    for (row, column), gain in np.ndenumerate(gains):
        text = (f"{gain:+.1f}" if abs(gain) >= 0.05 else "0") if np.isfinite(gain) else "–"
        colour = "white" if abs(gain) > 0.7 * limit else INK
        axes.text(column, row, text, ha="center", va="center_baseline", fontsize=8, color=colour)
        if sure[row, column]:
            axes.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1))
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("views")
    return figure


def _rates(data: str, sizes: str, arms: Sequence[str], records: Sequence[Record], folder: Path) -> Figure:
    """Draw what each arm scored at each learning rate, of which it kept the best."""
    found: dict[str, dict[float, list[float]]] = {arm: defaultdict(list) for arm in arms}  # by rate
    chosen: dict[str, list[float]] = {arm: [] for arm in arms}
    for record in records:
        if record.metric == "set_iou_apart" and record.arm in found and record.x is not None:
            found[record.arm][10**record.x].append(record.value)
        elif record.metric == "set_rate" and record.arm in chosen and np.isfinite(record.value):
            chosen[record.arm].append(record.value)
    series = {arm: _line(sorted(scores.items()), band=arm == arms[0]) for arm, scores in found.items()}
    file = f"rates-{data}.png"
    drawn = plots.lines(
        series, xlabel="learning rate on sets", ylabel="mean IoU", unit="fraction", log_x=True, highlight=arms[0]
    )
    plots.save(drawn, folder / file)
    return Figure(
        file=file,
        title=f"Overlap by the learning rate on {data}, trained on sets {sizes}",
        caption="Training objects that were set apart, with as many views as a set; mean over the seeds, and for "
        f"{arms[0]} from the smallest to the largest of them; a training that diverged leaves a gap. In each seed "
        "every arm keeps the rate that is best here for it, and is tested on other objects with that one alone.",
        alt="Learning rates that were kept: "
        + "; ".join(f"{arm} {_counted_rates(rates)}" for arm, rates in chosen.items())
        + ".",
    )


def _counted_rates(rates: Sequence[float]) -> str:
    """Write how often each rate was kept: ``0.001 (5), 0.003 (3)``."""
    return ", ".join(f"{rate:g} ({rates.count(rate)})" for rate in sorted(set(rates))) or "none"


# --- what was rebuilt ---------------------------------------------------------------------------------------------


def _weights(data: str, shown: Shown, records: Sequence[Record], folder: Path) -> Figure:
    weights = np.full(shown.views.shape[:2], np.nan)
    for record in records:
        if record.metric == "view_weight" and record.unit is not None:
            weights[_numbers(record.unit)] = record.value
    objects = [
        Weighed(f"object {index + 1}", views, own)
        for index, (views, own) in enumerate(zip(shown.pictures(), weights, strict=True))
    ]
    file = f"weights-{data}.png"
    plots.save(draw_weights(objects), folder / file)
    ends = ", ".join(f"{own.min():.2f} to {own.max():.2f} times an even share" for own in weights)
    return Figure(
        file=file,
        title=f"What each view weighs on {data}",
        caption="The views of test objects, and below each the weight that FASet's attention gives it, mean over the "
        "features, as a multiple of an even share; first seed. Each feature weighs the views in its own way, which the "
        "mean does not show.",
        alt=f"Weights of the views, object by object: {ends}.",
    )


def _rebuilt(data: str, shown: Shown, records: Sequence[Record], folder: Path) -> Figure:
    grids = {count: rebuilt_cells(records, count, shown.truth.shape) for count in (1, shown.most)}
    rows = []
    overlaps = []
    for index, (views, truth) in enumerate(zip(shown.pictures(), shown.truth, strict=True)):
        found = {count: grid_iou(grid[index], truth) for count, grid in grids.items()}
        titles = [f"{count} view{'' if count == 1 else 's'}: IoU {value:.2f}" for count, value in found.items()]
        rows.append(Rebuilt(views[0], [truth, *(grid[index] for grid in grids.values())], ["view", "truth", *titles]))
        overlaps.append(" and ".join(f"{value:.2f} from {count}" for count, value in found.items()))
    file = f"rebuilt-{data}.png"
    plots.save(draw_rebuilt(rows), folder / file)
    return Figure(
        file=file,
        title=f"Test objects of {data}, rebuilt",
        caption="The first view of a test object, its true cells, and what FASet rebuilds from that view and from "
        f"{shown.most}; first seed.",
        alt=f"Intersection over union, object by object: {'; '.join(overlaps)}.",
    )


def rebuilt_cells(records: Sequence[Record], count: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the grids (K, …) that records of ``predicted_row`` keep of a number of views.

    A row of cells is one whole number, whose binary digits they are; rows without any have no record.
    """
    cells = np.zeros((shape[0], int(np.prod(shape[1:-1])), shape[-1]), bool)
    for record in records:
        if record.metric == "predicted_row" and record.x == count and record.unit is not None:
            cells[_numbers(record.unit)] = np.array([int(record.value) >> bit & 1 for bit in range(shape[-1])], bool)
    return cells.reshape(shape)


def _numbers(unit: str) -> tuple[int, ...]:
    """The numbers of a unit such as ``object-0 view-3``."""
    return tuple(int(part.rpartition("-")[2]) for part in unit.split())
