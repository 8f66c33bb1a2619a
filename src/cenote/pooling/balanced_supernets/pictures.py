"""The pictures of a run: rankings, picks, accuracy with shared weights and alone, assignment, and fronts of cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.labels import Point as Mark
from cenote.lab.labels import label_points
from cenote.lab.style import BASELINE, CONTROL, INK, QUIET, SUBJECT, WIDTH, house_style, single_figure, ticks
from cenote.pooling.balanced_supernets import published
from cenote.pooling.balanced_supernets.configurations import blocks_text
from cenote.pooling.balanced_supernets.rank_statistics import RankStatistics, kendall_tau, rank_statistics

FloatArray = npt.NDArray[np.float64]

NAMED = 12
"""Placements up to which each dot has its name."""


class Panel(NamedTuple):
    """Scores against the truth: one dot a placement."""

    title: str
    truth: FloatArray
    scores: FloatArray
    lit: bool = False


class Point(NamedTuple):
    """A placement with its cost and its accuracy, both with ends of a range."""

    name: str
    cost: float
    accuracy: float
    low: float
    high: float


# --- rankings and picks -------------------------------------------------------------------------------------------


def draw_strips(
    data: str, records: Sequence[Record], folder: Path, *, subject: str, order: Sequence[str], controls: Sequence[str]
) -> Iterator[Figure]:
    """Draw how well each search ranks, and the accuracy of each pick, a dot for each seed.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the files go.
        subject: The arm that is in colour.
        order: All arms in the order of the rows.
        controls: Arms drawn apart.
    """
    shown = (
        ("kendall_tau", "tau", "Kendall τ with the truth", "", "How well the searches rank"),
        ("accuracy", "accuracy", "test accuracy of the pick, trained alone", "fraction", "How good the picks are"),
    )
    for metric, file, xlabel, unit, title in shown:
        found = _by_arm(records, data, metric)
        values = {arm: found[arm] for arm in order if arm in found}
        own = frozenset(controls) & set(values)
        strip = plots.strip(values, xlabel=xlabel, unit=unit, highlight={subject}, controls=own)
        plots.save(strip, folder / f"{file}-{data}.png")
        means = ", ".join(
            f"{arm} {np.mean(each):.1%}" if unit else f"{arm} {np.mean(each):.2f}" for arm, each in values.items()
        )
        yield Figure(
            file=f"{file}-{data}.png",
            title=f"{title} on {data}",
            caption="A dot is one seed; the same seed stands at the same height in all rows. The bar is the 95 % t "
            "interval of the mean.",
            alt=f"Means of the {xlabel}: {means}.",
        )


def draw_scatter(data: str, records: Sequence[Record], folder: Path, *, searches: Sequence[str]) -> Iterator[Figure]:
    """Draw the accuracy of each placement with shared weights against that of networks trained alone.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
        searches: The arms, a panel each; the last is in colour.
    """
    tested = _by_arm(records, data, "test_accuracy")
    truth = np.array([np.mean(values) for values in tested.values()])
    panels = []
    for arm in searches:
        scores = _by_unit(records, data, arm, "score_best_model")
        own = np.array([np.mean(scores[name]) for name in tested])
        panels.append(Panel(arm, 100 * truth, 100 * own, lit=arm == searches[-1]))
    file = f"shared-{data}.png"
    plots.save(scatter(panels, list(tested)), folder / file)
    yield Figure(
        file=file,
        title=f"Shared weights against networks of their own on {data}",
        caption="A dot is one placement, mean over seeds: across its test accuracy trained alone, up its validation "
        "accuracy with shared weights, in the model that does best. τ is that of the means."
        + _spreads(list(tested.values())),
        alt="Validation accuracy with shared weights over test accuracy alone: "
        + ", ".join(f"{panel.title} τ {_tau(panel)}" for panel in panels)
        + f", of {len(tested)} placements.",
    )


def _spreads(accuracies: Sequence[Sequence[float]]) -> str:
    """How far placements lie apart, and the seeds of one placement."""
    if min(map(len, accuracies)) < 2:
        return ""
    placements = np.std([np.mean(each) for each in accuracies], ddof=1)
    seeds = np.sqrt(np.mean([np.var(each, ddof=1) for each in accuracies]))
    return (
        f" Trained alone, placements spread by {100 * placements:.1f} points (standard deviation of means), seeds "
        f"of one placement by {100 * seeds:.1f}."
    )


def draw_published(folder: Path) -> Iterator[Figure]:
    """Draw the accuracies that the authors released, and how well they rank."""
    truth = published.stand_alone()
    found = {models: rank_statistics(published.shared(models), truth) for models in published.MODELS}
    panels = [
        Panel(f"{models} SuperNets" if models > 1 else "1 SuperNet", truth, published.shared(models), lit=models == 4)
        for models in published.MODELS
    ]
    plots.save(scatter(panels, [blocks_text(row.blocks) for row in published.TABLE]), folder / "published.png")
    yield Figure(
        file="published.png",
        title="The released accuracies of ResNet-20 on CIFAR-10",
        caption="A dot is one of the 36 placements, as the authors released them: across its accuracy trained alone, "
        "up that with shared weights. " + " ".join(_described(models, each) for models, each in found.items()),
        alt="Kendall τ of accuracies with shared weights and alone: "
        + ", ".join(f"{each.kendall.value:.3f} with {models} SuperNets" for models, each in found.items())
        + ".",
    )


def _described(models: int, found: RankStatistics) -> str:
    pick = published.TABLE[found.pick]
    return (
        f"M = {models}: τ {found.kendall}, Spearman {found.spearman}, Pearson {found.pearson}; best is "
        f"{blocks_text(pick.blocks)} with {pick.means[0]:.2f} alone (rank {found.true_rank}), regret {found.regret}."
    )


@house_style()
def scatter(panels: Sequence[Panel], names: Sequence[str]) -> Drawing:
    """Return scores against the truth, at most three panels in a row; few placements are named.

    Args:
        panels: One for each search.
        names: Of the placements.
    """
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Drawing(figsize=(WIDTH, 4.4 if len(panels) == 1 else rows * WIDTH / columns * 0.95), layout="constrained")
    FigureCanvasAgg(figure)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.scatter(panel.truth, panel.scores, s=16, color=SUBJECT if panel.lit else BASELINE, zorder=3)
        axes.set_title(f"{panel.title}: τ = {_tau(panel)}", pad=4)
        axes.grid()
        axes.margins(0.12)
        axes.xaxis.set_major_locator(ticks(4))
        axes.yaxis.set_major_locator(ticks(5))
    figure.supxlabel("accuracy trained alone (%)", fontsize=9.5)
    figure.supylabel("accuracy with shared weights (%)", fontsize=9.5)
    if len(names) <= NAMED:
        figure.draw_without_rendering()
        for axes, panel in zip(figure.axes, panels, strict=True):
            dots = zip(names, panel.truth.tolist(), panel.scores.tolist(), strict=True)
            label_points(axes, {name: Mark(x, y, QUIET) for name, x, y in dots}, size=6.5)
    return figure


def _tau(panel: Panel) -> str:
    tau = float(kendall_tau(panel.scores[None], panel.truth[None])[0])
    return "undefined" if np.isnan(tau) else f"{tau:.2f}"


# --- assignment ---------------------------------------------------------------------------------------------------


def draw_assignment(data: str, records: Sequence[Record], folder: Path, *, arm: str, seed: int) -> Iterator[Figure]:
    """Draw the probability of each model for each placement, and how often they were trained together.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
        arm: The search.
        seed: Its seed.
    """
    tables: dict[str, dict[str, dict[float, float]]] = {"assignment": {}, "training_steps": {}}
    for record in records:
        if (record.data, record.arm, record.seed) == (data, arm, seed) and record.metric in tables:
            assert record.unit is not None
            assert record.x is not None
            tables[record.metric].setdefault(record.unit, {})[record.x] = record.value
    names = list(tables["assignment"])
    probabilities, steps = (np.array([list(row.values()) for row in table.values()]) for table in tables.values())
    file = f"assignment-{data}.png"
    plots.save(heat_maps(probabilities, steps, names), folder / file)
    use = ", ".join(f"{share:.0%}" for share in steps.sum(axis=0) / steps.sum())
    yield Figure(
        file=file,
        title=f"Which SuperNet has which placement on {data}",
        caption=f"{arm}, seed {seed}: the probability of each model at the end of the search, whose columns are "
        f"balanced, and the training steps they took together. The models took {use} of all steps.",
        alt=f"Two tables of {len(names)} placements and {probabilities.shape[1]} models; each model took nearly the "
        f"same share of the steps: {use}.",
    )


@house_style()
def heat_maps(probabilities: FloatArray, steps: FloatArray, names: Sequence[str], title: str = "") -> Drawing:
    """Return the assignment (A, M) and the steps (A, M) as two tables of colours and numbers.

    Args:
        probabilities: Of each model for each placement.
        steps: Trainings of each placement in each model.
        names: Of the placements.
        title: Above both.
    """
    figure = Drawing(figsize=(WIDTH, 0.26 * len(names) + (1.3 if title else 1.0)), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=9.5)
    shown = ((probabilities, "probability", "{:.2f}", 1.0), (steps, "training steps", "{:.0f}", float(steps.max())))
    for index, (table, title, form, top) in enumerate(shown):
        axes = figure.add_subplot(1, 2, index + 1)
        axes.imshow(table, cmap="Blues", vmin=0, vmax=1.25 * top, aspect="auto", interpolation="nearest")
        for (row, column), value in np.ndenumerate(table):
            colour = "white" if value > 0.8 * top else INK
            axes.text(column, row, form.format(value), ha="center", va="center_baseline", fontsize=8, color=colour)
        axes.set_title(title, pad=4)
        axes.set_xticks(range(table.shape[1]), [f"model {column + 1}" for column in range(table.shape[1])])
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names))
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


# --- cost ---------------------------------------------------------------------------------------------------------


def draw_fronts(
    data: str, records: Sequence[Record], folder: Path, *, default: str, order: Sequence[str]
) -> Iterator[Figure]:
    """Draw accuracy over operations and over latency, and the time of searches and brute force.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the files go.
        default: Name of the usual placement.
        order: What was timed, in the order of the rows; the first is in colour.
    """
    tested = _by_arm(records, data, "test_accuracy")
    costs = (
        ("flops", 1e-6, "FLOPs", "million operations an image"),
        ("latency_ms", 1.0, "latency", "milliseconds an image, one thread"),
    )
    for metric, scale, word, xlabel in costs:
        cost = {arm: scale * float(np.median(values)) for arm, values in _by_arm(records, data, metric).items()}
        points = [
            Point(name, cost[name], 100 * float(np.mean(values)), 100 * min(values), 100 * max(values))
            for name, values in tested.items()
        ]
        front = pareto(points)
        file = f"{metric.partition('_')[0]}-{data}.png"
        plots.save(fronts(points, default, xlabel), folder / file)
        yield Figure(
            file=file,
            title=f"Accuracy and {word} of each placement on {data}",
            caption="All placements have the same weights. Mean test accuracy over seeds with the range of the seeds; "
            "on the line are those that no cheaper one beats. The default is drawn hollow." + _left_out(points),
            alt=f"Of {len(points)} placements from {min(cost.values()):.3g} to {max(cost.values()):.3g} {xlabel}, no "
            f"cheaper one beats {', '.join(f'{point.name} ({point.accuracy:.1f} %)' for point in front)}.",
        )
    yield _times(data, records, folder, order)


def _left_out(points: Sequence[Point]) -> str:
    """Which placements have no accuracy to be drawn at; nothing where all have one."""
    names = [point.name for point in points if not math.isfinite(point.accuracy)]
    return f" Not drawn, as a training diverged: {', '.join(names)}." if names else ""


def _times(data: str, records: Sequence[Record], folder: Path, order: Sequence[str]) -> Figure:
    found = _by_arm(records, data, "search_seconds")
    seconds = {arm: found[arm] for arm in order}
    values = {arm: float(np.median(each)) for arm, each in seconds.items()}
    spans = {arm: (min(each), max(each)) for arm, each in seconds.items()}
    file = f"time-{data}.png"
    bars = plots.bars(values, xlabel="time of the search", unit="s", intervals=spans, highlight={order[0]})
    plots.save(bars, folder / file)
    ratio = values[order[-1]] / values[order[0]]
    memory = []
    for arm in order[:-1]:
        parts = (_by_arm(records, data, f"{part}_bytes")[arm][0] for part in ("weights", "momentum", "activations"))
        memory.append(f"{arm} {' + '.join(f'{part / 2**20:.2f}' for part in parts)} MiB")
    return Figure(
        file=file,
        title=f"What a search costs on {data}",
        caption="Medians of interleaved repeats on few images, scaled to all, one thread; the whisker is their range. "
        f"Memory of weights, momentum and the activations of one step: {'; '.join(memory)}.",
        alt=f"Training every placement takes {ratio:.1f} times as long as {order[0]}: "
        + ", ".join(f"{arm} {value:,.0f} s" for arm, value in values.items())
        + ".",
    )


def pareto(points: Sequence[Point]) -> list[Point]:
    """Return the points that no cheaper one, and no other of the same cost, reaches in accuracy, cheapest first.

    Points without an accuracy are left out.
    """
    front: list[Point] = []
    known = (point for point in points if math.isfinite(point.accuracy))  # a NaN would keep all dearer ones out
    for point in sorted(known, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


@house_style()
def fronts(
    points: Sequence[Point],
    default: str,
    xlabel: str,
    ylabel: str = "test accuracy (%)",
    *,
    pick: str = "",
    over_budget: Sequence[Point] = (),
) -> Drawing:
    """Return accuracy over cost, with the front of those that no cheaper one beats; of many, only these are named.

    Args:
        points: The placements, accuracies in per cent; those that are NaN are not drawn.
        default: Name of the usual one.
        xlabel: What the cost is, with its unit.
        ylabel: What the accuracy is of.
        pick: Name of the one that was picked.
        over_budget: More of them, which cannot be on the front; a line at its cost where the accuracy is not known.
    """
    figure, axes = single_figure(height=3.6)
    points, best = [point for point in points if math.isfinite(point.accuracy)], pareto(points)
    axes.plot([point.cost for point in best], [point.accuracy for point in best], color=SUBJECT, linewidth=1.4)
    roles = {name: role for name, role in ((default, "default"), (pick, "pick")) if name}
    if default and default == pick:
        roles[pick] = "default and pick"
    marks: dict[str, Mark] = {}
    for point in points:
        _draw_point(axes, point, SUBJECT if point in best else CONTROL, hollow=point.name == default)
        if len(points) <= NAMED or point in best or point.name in roles:
            marks[_named(point, roles.get(point.name, ""))] = Mark(point.cost, point.accuracy)
    for point in over_budget:
        name = _named(point, ", ".join(filter(None, (roles.get(point.name), "over budget"))))
        if math.isfinite(point.accuracy):
            _draw_point(axes, point, CONTROL, hollow=point.name == default)
            marks[name] = Mark(point.cost, point.accuracy)
        else:
            axes.axvline(point.cost, color=CONTROL, linewidth=1.0, linestyle="--")
            axes.annotate(name, (point.cost, 0.02), (-4, 0), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="right", fontsize=8, color=INK)  # fmt: skip
    axes.grid()
    axes.margins(x=0.12, y=0.08)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.draw_without_rendering()
    label_points(axes, marks)
    return figure


def _draw_point(axes: Axes, point: Point, colour: str, *, hollow: bool) -> None:
    axes.plot([point.cost] * 2, [point.low, point.high], color=colour, linewidth=1.0, alpha=0.5)
    axes.plot(
        point.cost, point.accuracy, "o", color=colour, markersize=6, markerfacecolor="white" if hollow else colour
    )


def _named(point: Point, role: str) -> str:
    return f"{point.name} ({role})" if role else point.name


# --- records ------------------------------------------------------------------------------------------------------


def _by_arm(records: Sequence[Record], data: str, metric: str) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.data == data and record.metric == metric:
            found[record.arm].append(record.value)
    return found


def _by_unit(records: Sequence[Record], data: str, arm: str, metric: str) -> Mapping[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if (record.data, record.arm, record.metric) == (data, arm, metric) and record.unit is not None:
            found[record.unit].append(record.value)
    return found
