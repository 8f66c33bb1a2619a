"""The pictures of a run and of a detector: accuracy, test sizes, precision, time, boxes, and a pyramid over its map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.data import ObjectDetection, Objects
from cenote.lab.strips import Shown, draw_strip
from cenote.lab.style import INK, PALETTE, QUIET, WIDTH, house_style, single_figure
from cenote.pooling.spp_net.extraction import SharedMap
from cenote.pooling.spp_net.training import DetectorSettings, convolutions_of

PARTS = {"cut": "cutting, resizing", "conv": "convolutions", "pool": "pooling", "fc": "linear layer"}
DETECTORS = ("spp-net", "r-cnn")


class Box(NamedTuple):
    """A box to be drawn: its corners, what it shows, how sure that is, if it was found, and whether it is difficult."""

    corners: npt.NDArray[np.float64]
    label: str
    score: float | None = None
    difficult: bool = False


def boxes_of(objects: Objects, classes: Sequence[str]) -> list[Box]:
    """Return the annotated boxes of an image."""
    rows = zip(objects.boxes, objects.labels, objects.difficult, strict=True)
    return [Box(box, classes[label], difficult=bool(hard)) for box, label, hard in rows]


# --- classification -----------------------------------------------------------------------------------------------


def draw_accuracy(
    data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str], controls: Sequence[str]
) -> Iterator[Figure]:
    """Draw the accuracy at one size and the mean over sizes, a dot for each training.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the files go.
        order: All arms in the order of the rows.
        controls: Arms drawn apart.
    """
    shown = (
        Shown("accuracy", "accuracy", "test accuracy of the centre crop", "Accuracy at the training size"),
        Shown("any_size_accuracy", "any-size", "test accuracy, mean of six sizes", "Accuracy over six test sizes"),
    )
    caption = (
        "A dot is one training; the same seed stands at the same height in all rows. The bar is the 95 % t interval of "
        "the mean."
    )
    for each in shown:
        yield draw_strip(
            each, data, records, folder, subject="spp-multi-size", order=order, controls=controls, caption=caption
        )


def draw_sizes(data: str, records: Sequence[Record], folder: Path) -> Iterator[Figure]:
    """Draw the accuracy of whole images at each test size, as means over seeds with the range of the seeds.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
    """
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.data == data and record.metric == "accuracy_at_size" and record.x is not None:
            values[record.arm][record.x].append(record.value)
    series = {}
    for arm, by_size in values.items():
        sizes = sorted(by_size)
        columns = [np.array([function(by_size[size]) for size in sizes]) for function in (np.mean, np.min, np.max)]
        series[arm] = plots.Line(sizes, *columns)
    file = f"sizes-{data}.png"
    drawn = plots.lines(series, xlabel="side of the test image (pixels)", ylabel="test accuracy", unit="fraction")
    plots.save(drawn, folder / file)
    ends = ", ".join(f"{arm} {line.y[0]:.1%} to {line.y[-1]:.1%}" for arm, line in series.items())
    yield Figure(
        file=file,
        title=f"One network, six sizes, on {data}",
        caption="Whole test images resized to each side, and classified by one and the same network. Mean over seeds; "
        "the band goes from the smallest to the largest seed.",
        alt=f"Accuracy from the smallest to the largest test image: {ends}.",
    )


# --- detection ----------------------------------------------------------------------------------------------------


def draw_precision(data: str, classes: Sequence[str], records: Sequence[Record], folder: Path) -> Iterator[Figure]:
    """Draw precision against recall for each class and both detectors, of the first seed.

    Args:
        data: The data set.
        classes: Its classes.
        records: All records of the run.
        folder: Where the file goes.
    """
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    curves: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        if record.data != data or record.unit is None:
            continue
        if record.metric == "average_precision":
            means[record.arm, record.unit].append(record.value)
        elif record.metric == "precision" and record.x is not None:
            curves[record.arm, record.unit.rpartition(" ")[0]].append((record.x, record.value))
    file = f"precision-{data}.png"
    named = {key: f"{key[1]}, {key[0]}: AP {np.mean(means[key]):.2f}" for key in means}
    plots.save(_precision(classes, curves, named), folder / file)
    said = ", ".join(f"{name} {np.mean(each):.2f} ({arm})" for (arm, name), each in sorted(means.items()))
    yield Figure(
        file=file,
        title=f"Precision and recall on {data}",
        caption="The curves are those of the first seed; AP is the area under the whole curve, mean over seeds. Both "
        "detectors share proposals and convolutions.",
        alt=f"Average precision at an overlap of 0.5, mean over seeds: {said}.",
    )


@house_style()
def _precision(
    classes: Sequence[str],
    curves: Mapping[tuple[str, str], list[tuple[float, float]]],
    named: Mapping[tuple[str, str], str],
) -> Drawing:
    figure, axes = single_figure(height=3.6)
    for index, name in enumerate(classes):
        for arm, dashes in zip(DETECTORS, ("-", (0, (4, 2))), strict=True):
            points = np.array(sorted(curves.get((arm, name), []))).reshape(-1, 2)
            colour = PALETTE[index % len(PALETTE)]
            label = named.get((arm, name), f"{name}, {arm}")
            axes.plot(points[:, 0], points[:, 1], color=colour, linestyle=dashes, linewidth=1.6, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.grid()
    figure.legend(frameon=False, loc="outside right center")
    return figure


def draw_times(data: str, records: Sequence[Record], folder: Path) -> Iterator[Figure]:
    """Draw how the time of both detectors splits into convolutions, pooling and linear layer.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
    """
    spent: dict[str, dict[str, float]] = {arm: {} for arm in DETECTORS}
    for arm, own in spent.items():
        for part in PARTS:
            values = [r.value for r in records if (r.data, r.arm, r.metric) == (data, arm, f"{part}_latency")]
            own[part] = float(np.median(values))
    file = f"time-{data}.png"
    plots.save(split_bars(spent), folder / file)
    totals = {arm: sum(each.values()) for arm, each in spent.items()}
    split = "; ".join(
        f"{arm} {totals[arm]:,.0f} ms, " + ", ".join(f"{PARTS[part]} {each[part]:,.0f}" for part in PARTS)
        for arm, each in spent.items()
    )
    yield Figure(
        file=file,
        title=f"Where the time goes, windows of an image of {data}",
        caption="Medians over seeds, one thread. The windows are the same; their proposal is not counted.",
        alt=f"r-cnn takes {totals['r-cnn'] / totals['spp-net']:.0f} times as long as spp-net: {split}.",
    )


@house_style()
def split_bars(spent: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Return a bar for each detector, its milliseconds split into parts; each bar is as long, its sum stands beside it.

    Args:
        spent: Milliseconds by detector and part.
    """
    figure, axes = single_figure(height=2.1)
    for row, parts in enumerate(spent.values()):
        whole, start = sum(parts.values()), 0.0
        for index, (part, milliseconds) in enumerate(parts.items()):
            share = 100 * milliseconds / whole
            axes.barh(row, share, left=start, color=PALETTE[index], height=0.55, label="" if row else PARTS[part])
            if share > 9:
                axes.text(start + share / 2, row, f"{share:.0f} %", color="white", ha="center", va="center_baseline")
            start += share
        axes.text(101, row, f"{whole:,.0f} ms", va="center_baseline", color=INK)
    axes.set(xlim=(0, 100), ylim=(len(spent) - 0.5, -0.6), xlabel="share of the detector's own time (%)")
    axes.set_yticks(range(len(spent)), list(spent))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def draw_boxes(data: str, split: ObjectDetection, records: Sequence[Record], folder: Path) -> Iterator[Figure]:
    """Draw the surest boxes of the first test images, first seed, beside the true ones.

    Args:
        data: The data set, whose terms must allow its images in a published picture.
        split: Its images.
        records: All records of the run.
        folder: Where the file goes.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.data == data and record.metric.startswith("box_") and record.unit is not None:
            found[record.unit.partition(" ")[0]][record.unit].append(record.value)
    panels = []
    for index, name in enumerate(split.test.names[:2]):
        true = boxes_of(split.test.objects[index], split.classes)
        own = [Box(np.array(corners), unit.split(" ")[1]) for unit, corners in found[name].items()]
        image = split.test.image(index)
        panels += [(image, true, f"{name}: {len(true)} annotated"), (image, own, f"{len(own)} found")]
    file = f"boxes-{data}.png"
    plots.save(picture(panels, split.classes), folder / file)
    counts = "; ".join(title for _, _, title in panels)
    yield Figure(
        file=file,
        title=f"Boxes on {data}",
        caption="Left the annotated boxes, right those found with a probability of at least 0.5 by the detector of the "
        "first seed, of the first two test images.",
        alt=f"Boxes drawn over two test images, annotated and found: {counts}.",
    )


@house_style()
def picture(panels: Sequence[tuple[npt.NDArray[np.uint8], Sequence[Box], str]], classes: Sequence[str]) -> Drawing:
    """Return images with boxes, at most two in a row; difficult ones are dashed.

    A class has one colour, named below; with more classes than colours, boxes carry their names instead.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    aspect = max(image.shape[0] / image.shape[1] for image, _, _ in panels)
    side = WIDTH / columns
    figure = Drawing(figsize=(WIDTH, rows * (side * min(aspect, 1.5) + 0.3) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(classes)}
    named = len(classes) > len(PALETTE)
    seen: dict[str, Rectangle] = {}
    for index, (image, boxes, title) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(image, interpolation="nearest", extent=(0, image.shape[1], image.shape[0], 0))
        for box in sorted(boxes, key=_area, reverse=True):  # small ones stay in sight
            seen.setdefault(box.label, _draw_box(axes, box, colours[box.label], named=named))
        axes.set_title(title, pad=4, parse_math=False)  # a dollar in a name is a dollar
        axes.set_axis_off()
    if seen and not named:
        legend = {name: seen[name] for name in classes if name in seen}
        drawn = figure.legend(
            list(legend.values()), list(legend), loc="outside lower center", ncols=min(6, len(legend)), frameon=False
        )
        for text in drawn.get_texts():
            text.set_parse_math(False)
    return figure


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box.corners
    return float((x2 - x1) * (y2 - y1))


def _draw_box(axes: Axes, box: Box, colour: str, *, named: bool = False) -> Rectangle:
    x1, y1, x2, y2 = box.corners
    drawn = Rectangle(
        (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.3,
        linestyle="--" if box.difficult else "-",
        path_effects=[withStroke(linewidth=2.3, foreground="white", alpha=0.7)],  # seen on dark ground, too
    )  # fmt: skip
    axes.add_patch(drawn)
    said = [box.label] if named else []
    if box.score is not None:
        said.append(f"{box.score:.2f}")
    if said:
        plate = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        axes.annotate(" ".join(said), (x1, y1), (1.5, -1.5), "data", "offset points", color="white", fontsize=6,
                      va="top", parse_math=False, bbox=plate)  # fmt: skip
    return drawn


# --- the pyramid --------------------------------------------------------------------------------------------------


def draw_pyramid(data: str, image: npt.NDArray[np.uint8], settings: DetectorSettings, folder: Path) -> Iterator[Figure]:
    """Draw a window of an image, its cells on the map, and the bins of each level over them.

    Args:
        data: The data set, whose terms must allow its images in a published picture.
        image: (H, W, 3).
        settings: Of the detector.
        folder: Where the file goes.
    """
    shared = SharedMap(convolutions_of(settings), settings.levels, settings.scales, expected_side=settings.side)
    with torch.no_grad():
        (features,) = shared.maps(image)
    height, width = image.shape[:2]
    window = np.array([0.2 * width, 0.15 * height, 0.67 * width, 0.77 * height])
    factor = settings.scales[0] / min(height, width)
    shown = features[0].mean(0).numpy()
    (cells,) = shared.projection.project(factor * torch.from_numpy(window)[None], shown.shape).tolist()
    levels = [*settings.levels, 1, 1][:3]
    file = f"pyramid-{data}.png"
    plots.save(_pyramid(image, window, shown, cells, levels), folder / file)
    columns, rows = cells[2] - cells[0] + 1, cells[3] - cells[1] + 1
    yield Figure(
        file=file,
        title="A pyramid over a window of the map",
        caption=f"The window has {rows} × {columns} of the map's {shown.shape[0]} × {shown.shape[1]} cells. Where a "
        "level does not divide them, neighbouring bins share cells (drawn darker) and none is left out. The map is the "
        "mean of the channels of untrained convolutions.",
        alt=f"A window and its {rows} by {columns} cells of the map, cut into {', '.join(map(str, levels))} bins a "
        "side, which overlap where they do not divide the cells.",
    )


@house_style()
def _pyramid(
    image: npt.NDArray[np.uint8],
    window: npt.NDArray[np.float64],
    shown: npt.NDArray[np.float32],
    cells: Sequence[int],
    levels: Sequence[int],
) -> Drawing:
    height, width = image.shape[:2]
    figure = Drawing(figsize=(WIDTH, 2 * (0.46 * WIDTH * height / width + 0.35)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(2, 2, 1)
    axes.imshow(image, extent=(0, width, height, 0))
    _draw_box(axes, Box(window, ""), PALETTE[1])
    axes.set_title("a window of the image", pad=4)
    axes.set_axis_off()
    for index, level in enumerate(levels):
        axes = figure.add_subplot(2, 2, index + 2)
        axes.imshow(
            shown, cmap="Greys", extent=(0, shown.shape[1], shown.shape[0], 0), interpolation="nearest", alpha=0.5
        )
        _draw_bins(axes, cells, level)
        axes.set_title(f"its {level} × {level} bins on the map", pad=4)
        axes.set_axis_off()
    return figure


def _draw_bins(axes: Axes, cells: Sequence[int], level: int) -> None:
    x1, y1, x2, y2 = cells
    edges = [
        [(start + i * length // level, start - (-(i + 1) * length // level)) for i in range(level)]
        for start, length in ((x1, x2 - x1 + 1), (y1, y2 - y1 + 1))
    ]
    for row, (top, bottom) in enumerate(edges[1]):
        for column, (left, right) in enumerate(edges[0]):
            colour = PALETTE[(row + column) % 2]
            axes.add_patch(
                Rectangle((left, top), right - left, bottom - top, facecolor=colour, alpha=0.45, linewidth=0)
            )
    axes.add_patch(Rectangle((x1, y1), x2 - x1 + 1, y2 - y1 + 1, fill=False, edgecolor=QUIET, linewidth=0.8))
