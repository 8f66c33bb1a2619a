"""The pictures of a run: overlap by the number of views, the effect of their order, and what was rebuilt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots


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


def draw(
    data: str,
    groups: Mapping[int, Sequence[str]],
    control: str,
    shown: Shown,
    records: Sequence[Record],
    folder: Path,
) -> Iterator[Figure]:
    """Draw all pictures of a data set.

    Args:
        data: The data set.
        groups: By the number of views of a training set (0 where it is drawn), the arms in their order.
        control: The arm without training on sets.
        shown: Test objects whose predictions were kept.
        records: All records of the run.
        folder: Where the files go.
    """
    own = [record for record in records if record.data == data]
    for group, arms in groups.items():
        yield _overlaps(data, group, arms, control, shown.most, own, folder)


def _overlaps(
    data: str, group: int, arms: Sequence[str], control: str, most: int, records: Sequence[Record], folder: Path
) -> Figure:
    values: dict[str, dict[float, list[float]]] = {arm: defaultdict(list) for arm in (*arms, control)}
    for record in records:
        if record.metric == "iou" and record.arm in values and record.x is not None:
            values[record.arm][2**record.x].append(record.value)
    series = {
        arm: plots.Line(sorted(found), [float(np.mean(found[x])) for x in sorted(found)])
        for arm, found in values.items()
    }
    sizes = f"of {group} views" if group else f"of 1 to {most} views"
    file = f"overlap-{group or 'any'}-{data}.png"
    plots.save(plots.lines(series, xlabel="views", ylabel="mean IoU", unit="fraction", log_x=True), folder / file)
    return Figure(
        file=file,
        title=f"Overlap by the number of views on {data}, trained on sets {sizes}",
        caption="A line is one aggregation, mean over the seeds. Encoder, decoder and steps are the same for all; of "
        "attsets-faset the attention alone was trained on sets, of the others all weights.",
        alt=f"Mean intersection over union at {most} views: "
        + ", ".join(f"{arm} {found.y[-1]:.1%}" for arm, found in series.items())
        + ".",
    )
