"""The pictures of a run: scores with and without leaks, each subject, what is taken for what, which sensors decide."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from numpy.typing import NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.data import SensorRecordings
from cenote.lab.intervals import PairedT
from cenote.lab.style import house_style
from cenote.pooling.l_sfan.experiment import ARMS, CLAIMED, FINE, LEAKY, SCORES


def draw_all(
    data: SensorRecordings, task: str, prefix: str, records: Sequence[Record], folder: Path
) -> Iterator[Figure]:
    """Draw every picture of one task on one data set.

    Args:
        data: The recordings, which give classes and sensors their names.
        task: The task.
        prefix: What its metrics begin with.
        records: All records of the run.
        folder: Where the files go.
    """
    own = [record for record in records if record.data == data.name]
    place = f"{prefix.replace('_', '-')}{data.name}"
    named = f"{task} on {data.name}"
    yield from _scores(own, prefix, place, named, folder)
    yield from _leaks(own, prefix, place, named, folder)
    yield from _subjects(own, prefix, place, named, folder)
    yield from _confusions(own, prefix, place, named, folder, data.tasks[task])
    yield from _importance(own, prefix, place, named, folder, [sensor.name for sensor in data.sensors])


NAMES = {"mcc": "Matthews correlation", "macro_f1": "Macro-F1"}


def _scores(records: Sequence[Record], prefix: str, place: str, named: str, folder: Path) -> Iterator[Figure]:
    for metric in SCORES:
        title = NAMES[metric]
        values = {arm: each for arm in (*ARMS, FINE) if (each := _by_subject(records, prefix + metric, arm)).size}
        if not values:
            continue
        estimates = {arm: PairedT(each) for arm, each in values.items()}
        means = {arm: each.value for arm, each in estimates.items()}
        spans: dict[str, tuple[float, float]] = {arm: each.interval(0.95) for arm, each in estimates.items()}
        file = f"{metric.replace('_', '-')}-{place}.png"
        plots.save(plots.bars(means, xlabel=title, intervals=spans, highlight="l-sfan"), folder / file)
        yield Figure(
            file=file,
            title=f"{title}: {named}",
            caption="Every subject left out in turn. A bar is the mean of the subjects' shares, mean over the seeds; "
            "the line is the 95 % t interval over the subjects. Below the four networks the controls: other models, "
            "longer training, and evaluations with a leak, which learned from the subject that is judged.",
            alt=f"Mean {title}: "
            + ", ".join(f"{arm} {mean:.3f} ({spans[arm][0]:.3f} to {spans[arm][1]:.3f})" for arm, mean in means.items())
            + ".",
        )


def _leaks(records: Sequence[Record], prefix: str, place: str, named: str, folder: Path) -> Iterator[Figure]:
    for metric in SCORES:
        rows = []
        for arm in LEAKY:
            if (added := _by_subject(records, f"{prefix}{metric}_added", arm)).size:
                estimate = PairedT(added)
                rows.append((arm, estimate.value, *estimate.interval(0.95)))
        if not rows:
            continue
        file = f"leaks-{metric.replace('_', '-')}-{place}.png"
        plots.save(
            plots.forest(rows, xlabel=f"{NAMES[metric]} added by the leak", sides=("takes away", "adds")),
            folder / file,
        )
        yield Figure(
            file=file,
            title=f"How much a leak adds to {NAMES[metric]}: {named}",
            caption="The score of a model evaluated with a leak, less that of the same model and seed evaluated on "
            "subjects it has not learned from: mean over the subjects' shares, each the mean over its seeds, with the "
            "95 % t interval over the subjects.",
            alt="Added: "
            + ", ".join(f"{arm} {mean:+.3f} ({low:+.3f} to {high:+.3f})" for arm, mean, low, high in rows)
            + ".",
        )


def _subjects(records: Sequence[Record], prefix: str, place: str, named: str, folder: Path) -> Iterator[Figure]:
    hits = _by_unit(records, f"{prefix}subject_accuracy", "l-sfan")
    if not hits:
        return
    means = {subject: float(np.mean(each)) for subject, each in hits.items()}
    lowest = min(reversed(means), key=means.__getitem__)  # the last of several, as in the bars
    spans = {subject: (min(each), max(each)) for subject, each in hits.items()}
    file = f"subjects-{place}.png"
    plots.save(subject_bars(means, spans), folder / file)
    yield Figure(
        file=file,
        title=f"Each subject, left out: {named}",
        caption="Part of each subject's windows that l-sfan recognises when it has learned from the others: mean over "
        "seeds, the line from the lowest seed to the highest. The lowest subject is in colour.",
        alt=f"Recognised windows reach from {means[lowest]:.0%} ({lowest}) to {max(means.values()):.0%}, "
        f"with a median of {np.median(list(means.values())):.0%}.",
    )


def _confusions(
    records: Sequence[Record], prefix: str, place: str, named: str, folder: Path, classes: Sequence[str]
) -> Iterator[Figure]:
    tables = {}
    for arm in CLAIMED:
        if cells := _by_unit(records, f"{prefix}confusion", arm):
            table = np.zeros((len(classes), len(classes)))
            for unit, values in cells.items():
                row, column = map(int, unit.split())
                table[row, column] = np.sum(values)
            tables[arm] = table / table.sum(axis=1, keepdims=True).clip(min=1)
    if not tables:
        return
    plot = confusion_grid(tables, classes)
    file = f"confusion-{place}.png"
    plots.save(plot, folder / file)
    right = "; ".join(
        f"{arm} " + ", ".join(f"{name} {share:.0%}" for name, share in zip(classes, np.diag(table), strict=True))
        for arm, table in tables.items()
    )
    yield Figure(
        file=file,
        title=f"What is taken for what: {named}",
        caption="Rows are what a window is, columns what it is taken for, in per cent of the row, over all seeds; "
        "every window is judged by a model that has not learned from its subject.",
        alt=f"Recognised per class: {right}.",
    )


def _importance(
    records: Sequence[Record], prefix: str, place: str, named: str, folder: Path, sensors: Sequence[str]
) -> Iterator[Figure]:
    rows: dict[str, dict[float, float]] = defaultdict(dict)
    for record in records:
        if record.metric == f"{prefix}importance" and record.unit is not None and record.x is not None:
            rows[record.unit][record.x] = record.value
    shown = [sensor for sensor in sensors if sensor in rows]
    if not shown:
        return
    heat = np.array([[rows[sensor][step] for step in sorted(rows[sensor])] for sensor in shown])
    file = f"importance-{place}.png"
    plots.save(heat_map(heat, shown), folder / file)
    share = heat.sum(axis=1) / max(float(heat.sum()), 1e-12)
    ordered = sorted(zip(shown, share, strict=True), key=lambda item: -item[1])
    yield Figure(
        file=file,
        title=f"Which sensors decide: {named}",
        caption="Grad-CAM of l-sfan on the windows of subjects left out, mean over windows and folds of the first "
        "seed; the largest value is 1. From left to right the window's time.",
        alt="Parts of the importance: " + ", ".join(f"{sensor} {part:.0%}" for sensor, part in ordered[:6]) + ".",
    )


def subject_bars(hits: Mapping[str, float], spans: Mapping[str, tuple[float, float]] | None = None) -> Plot:
    """Return bars of the part of each subject's windows that is recognised, the best first, the lowest in colour."""
    ordered = dict(sorted(hits.items(), key=lambda item: -item[1]))
    label = "windows of the subject recognised"
    return plots.bars(ordered, xlabel=label, unit="fraction", intervals=spans, highlight=list(ordered)[-1])


@house_style()
def heat_map(importance: NDArray[np.floating], sensors: Sequence[str]) -> Plot:
    """Return a picture of importance (S, T), a row for each named sensor, time from left to right; the largest is 1."""
    height = max(2.6, 0.3 * len(sensors) + 0.9)
    plot = Plot(figsize=(6.4, height), layout="constrained")
    axes = plot.add_subplot()
    scaled = importance / max(float(importance.max()), 1e-12)
    extent = (0, 1, len(sensors) - 0.5, -0.5)
    image = axes.imshow(scaled, cmap="viridis", aspect="auto", vmin=0, vmax=1, extent=extent)
    axes.set_yticks(range(len(sensors)), list(sensors))
    axes.set_xticks([0, 0.5, 1], ["start", "middle", "end of the window"])
    first, _, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = plot.colorbar(image, ax=axes, fraction=0.03, pad=0.02, label="importance")
    bar.outline.set_visible(False)
    return plot


@house_style()
def confusion_grid(tables: Mapping[str, NDArray[np.floating]], classes: Sequence[str]) -> Plot:
    """Return a picture of tables (K, K), two side by side, with what a window is from top to bottom.

    Args:
        tables: Shares of the rows, by title.
        classes: Names of the K classes.
    """
    columns = min(2, len(tables))
    rows = math.ceil(len(tables) / columns)
    side = min(5.0, max(1.8, 0.62 * len(classes)))
    size = (columns * side + 1.6, rows * (side + 0.35) + 0.9)
    plot = Plot(figsize=size, layout="constrained")
    grid = plot.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(tables) :]:
        axes.set_visible(False)
    for axes, (title, table) in zip(grid.flat, tables.items(), strict=False):
        axes.imshow(table, cmap="Blues", vmin=0, vmax=1)
        axes.set_title(title, pad=4)
        _write_cells(axes, table)
        axes.set_yticks(range(len(classes)), list(classes))
        axes.set_xticks(range(len(classes)), [name.replace(" ", "\n") for name in classes])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("taken for")
    for axes in grid[:, 0]:
        axes.set_ylabel("what it is")
    return plot


def _write_cells(axes: Axes, table: NDArray[np.floating]) -> None:
    for (row, column), share in np.ndenumerate(table):
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.6 else "black")


def _by_subject(records: Sequence[Record], metric: str, arm: str) -> NDArray[np.float64]:
    """Return the mean over the seeds for each subject."""
    return np.array([np.mean(each) for each in _by_unit(records, metric, arm).values()])


def _by_unit(records: Sequence[Record], metric: str, arm: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        if record.metric == metric and record.arm == arm and record.unit is not None:
            found[record.unit].append(record.value)
    return dict(found)
