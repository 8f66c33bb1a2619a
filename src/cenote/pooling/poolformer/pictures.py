"""The pictures of a run: accuracy, accuracy against costs, learned layer scales and effective receptive fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.labels import Point, label_points
from cenote.lab.strips import Shown, draw_strip
from cenote.lab.style import BASELINE, CONTROL, SUBJECT, WIDTH, house_style, ticks

SUBJECT_ARM = "pool-mixer"

COSTS = {
    "parameters": ("parameters (thousands)", 1e-3),
    "multiply_adds": ("multiply-adds an image (millions)", 1e-6),
    "forward_backward_ms": ("training step (ms a batch)", 1.0),
}
"""Metrics of cost, with their label and the factor they are drawn with."""

_COLUMNS = 3
"""In which the arms' numbers are explained."""

_PANEL, _ROW = 3.6, 0.2
"""Inches of the panels with their axes, and of a line of the explanation."""


def draw_all(
    data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str], controls: Sequence[str]
) -> Iterator[Figure]:
    """Draw every picture of a data set.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the files go.
        order: All arms in the order of the rows.
        controls: Arms drawn apart.
    """
    own = [record for record in records if record.data == data]
    shown = Shown("accuracy", "accuracy", "test accuracy", "Accuracy of the ablation")
    yield draw_strip(
        shown, data, own, folder, subject=SUBJECT_ARM, order=order, controls=controls,
        caption="A dot is one training, a row one change to the same network; the same seed stands at the same height "
        "in all rows. The bar is the 95 % t interval of the mean. Rows below the gap have fewer seeds and no verdict.",
    )  # fmt: skip
    yield from draw_costs(data, own, folder, order=order, controls=controls)
    yield from draw_layer_scales(data, own, folder, order=order)
    yield from draw_fields(data, own, folder, order=order)


def draw_costs(
    data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str], controls: Sequence[str]
) -> Iterator[Figure]:
    """Draw mean accuracy against parameters, multiply-adds and measured time."""
    accuracies = {arm: _values(records, arm, "accuracy") for arm in order}
    means = {arm: float(np.mean(each)) for arm, each in accuracies.items() if each and np.isfinite(each).all()}
    costs = {
        metric: {arm: float(np.median(each)) for arm in means if (each := _values(records, arm, metric))}
        for metric in COSTS
    }
    if not all(costs.values()):
        return
    file = f"costs-{data}.png"
    plots.save(_scatter(means, costs, frozenset(controls)), folder / file)
    said = "; ".join(
        f"{arm} {mean:.1%} with {costs['parameters'][arm]:,.0f} parameters, "
        f"{costs['multiply_adds'][arm] / 1e6:.2f} M multiply-adds, {costs['forward_backward_ms'][arm]:.0f} ms"
        for arm, mean in means.items()
    )
    yield Figure(
        file=file,
        title=f"Accuracy against cost on {data}",
        caption="Mean accuracy of each arm against its parameters, its multiply-adds (pooling counts 0) and the median "
        "time of one training step. Numbers name the arms as listed below the panels.",
        alt=f"{said}.",
    )


@house_style()
def _scatter(means: Mapping[str, float], costs: Mapping[str, Mapping[str, float]], controls: frozenset[str]) -> Drawing:
    """A panel for each cost; arms have numbers, since their names would cover the panels."""
    colours = {arm: SUBJECT if arm == SUBJECT_ARM else CONTROL if arm in controls else BASELINE for arm in means}
    rows = -(-len(means) // _COLUMNS)
    height = _PANEL + _ROW * rows
    figure = Drawing(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    place = {"bottom": (0.6 + _ROW * rows) / height, "top": 1 - 0.08 / height, "left": 0.09, "right": 0.985}
    panels = figure.subplots(1, len(costs), sharey=True, gridspec_kw={**place, "wspace": 0.08})
    numbers = {arm: str(number) for number, arm in enumerate(means, start=1)}
    for axes, (metric, by_arm) in zip(panels, costs.items(), strict=True):
        label, factor = COSTS[metric]
        points = {numbers[arm]: Point(factor * cost, 100 * means[arm], colours[arm]) for arm, cost in by_arm.items()}
        for x, y, colour in points.values():
            axes.plot(x, y, "o", color=colour, markersize=4, zorder=4 if colour == SUBJECT else 3)
        axes.set_xlabel(label, fontsize=8.5)
        axes.margins(0.14, 0.06)
        axes.grid()
        axes.xaxis.set_major_locator(ticks(4))
        axes.yaxis.set_major_locator(ticks(8))
        axes.autoscale_view()
        label_points(axes, points)
    panels[0].set_ylabel("test accuracy (%)")
    _name_numbers(figure, numbers, colours, rows)
    return figure


def _name_numbers(figure: Drawing, numbers: Mapping[str, str], colours: Mapping[str, str], rows: int) -> None:
    """Write which arm has which number, column by column below the panels."""
    height = figure.get_figheight()
    for place, (arm, number) in enumerate(numbers.items()):
        column, row = divmod(place, rows)
        x, y = 0.08 + 0.32 * column, (_ROW * (rows - row) - 0.1) / height
        figure.text(x + 0.02, y, number, color=colours[arm], fontsize=8.5, ha="right")
        figure.text(x + 0.032, y, arm, color=colours[arm], fontsize=8.5)


def draw_layer_scales(data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str]) -> Iterator[Figure]:
    """Draw the mean size of the mixers' learned layer scales, block by block, of the first seed."""
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for record in records:
        if record.metric == "mixer_scale_of_block" and record.unit is not None:
            found[record.arm][float(record.unit.removeprefix("block-"))] = record.value
    if not found:
        return
    series = {
        arm: plots.Line(sorted(found[arm]), [found[arm][place] for place in sorted(found[arm])])
        for arm in order
        if arm in found
    }
    file = f"layer-scales-{data}.png"
    lines = plots.lines(series, xlabel="block", ylabel="mean |λ| of the mixer")
    plots.save(lines, folder / file)
    means = ", ".join(f"{arm} {np.mean(line.y):.3f}" for arm, line in series.items())
    yield Figure(
        file=file,
        title=f"How much the mixers are used on {data}",
        caption="Mean absolute layer scale of the mixer's branch after training, block by block; first seed. All start "
        "from the same value. Where branches grow, the mixer is used.",
        alt=f"Mean over the blocks: {means}.",
    )


def draw_fields(data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str]) -> Iterator[Figure]:
    """Draw which pixels move the centre of the last map, for several mixers, of the first seed."""
    found: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
    for record in records:
        if record.metric == "receptive_field" and record.unit is not None:
            row, column = map(int, record.unit.split())
            found[record.arm][row, column] = record.value
    maps = {arm: _map(found[arm]) for arm in order if arm in found}
    maps = {arm: each for arm, each in maps.items() if np.isfinite(each).all()}
    if not maps:
        return
    file = f"receptive-fields-{data}.png"
    relative = [np.log10(np.maximum(each * each.size, 1e-3)) for each in maps.values()]
    drawn = plots.grid(relative, titles=list(maps), columns=len(maps), label="log₁₀ (share / even)", centre=0.0)
    plots.save(drawn, folder / file)
    said = ", ".join(f"{arm} {_half(each):.0%}" for arm, each in maps.items())
    yield Figure(
        file=file,
        title=f"Effective receptive fields on {data}",
        caption="Mean absolute gradient of the centre of the last map with respect to the pixels, as a multiple of an "
        "even share; trained networks of the first seed. The norm over all positions reaches every pixel in every arm.",
        alt=f"Share of the pixels that hold half of the gradient: {said}.",
    )


def _values(records: Sequence[Record], arm: str, metric: str) -> list[float]:
    return [record.value for record in records if record.arm == arm and record.metric == metric]


def _map(shares: Mapping[tuple[int, int], float]) -> NDArray[np.float64]:
    array = np.zeros([1 + max(places) for places in zip(*shares, strict=True)])
    for place, share in shares.items():
        array[place] = share
    return array


def _half(field: NDArray[np.float64]) -> float:
    """The least share of the pixels that holds half of the sum."""
    ordered = np.sort(field.ravel())[::-1].cumsum()
    return float((np.searchsorted(ordered, ordered[-1] / 2) + 1) / field.size)
