"""The strip of a metric: a dot for each training of each arm, with its file, its caption and its words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cenote.catalog.results import Figure, Record
from cenote.lab import plots


class Shown(NamedTuple):
    """What a strip shows."""

    metric: str
    """Name of the records."""
    file: str
    """Start of the file's name; the data set follows."""
    xlabel: str
    """What the values are, without the unit."""
    title: str
    """Title of the figure, to which the data set is added."""
    unit: str = "fraction"
    """Unit of the values; a fraction is drawn in per cent."""


def draw_strip(
    shown: Shown,
    data: str,
    records: Sequence[Record],
    folder: Path,
    *,
    subject: str,
    order: Sequence[str],
    controls: Collection[str],
    caption: str,
) -> Figure:
    """Draw the values of a metric on one data set, a row for each arm that has some.

    Args:
        shown: The metric and how it is called.
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
        subject: The arm in colour.
        order: All arms in the order of the rows.
        controls: Arms drawn apart.
        caption: Of the figure.

    Returns:
        The figure, whose text for those who do not see it gives the mean of each arm.

    Raises:
        ArgumentError: If no arm has a value.
        StorageError: If the file cannot be written.
    """
    values: dict[str, list[float]] = {arm: [] for arm in order}
    for record in records:
        if record.data == data and record.metric == shown.metric and record.arm in values:
            values[record.arm].append(record.value)
    values = {arm: each for arm, each in values.items() if each}
    strip = plots.strip(
        values,
        xlabel=shown.xlabel,
        unit=shown.unit,
        highlight={subject} & set(values),
        controls=frozenset(controls) & set(values),
    )
    file = f"{shown.file}-{data}.png"
    plots.save(strip, folder / file)
    means = ", ".join(f"{arm} {_mean(each, shown.unit)}" for arm, each in values.items())
    title = f"{shown.title} on {data}"
    return Figure(file=file, title=title, caption=caption, alt=f"Means of the {shown.xlabel}: {means}.")


def _mean(values: Sequence[float], unit: str) -> str:
    mean = float(np.mean(values))
    if not np.isfinite(mean):
        return "diverged"
    return f"{mean:.1%}" if unit == "fraction" else f"{mean:.3f}"
