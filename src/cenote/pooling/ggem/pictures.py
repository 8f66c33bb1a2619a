"""The pictures of a run: accuracy, retrieval, the exponents as they learn, and which tokens of an image weigh most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from numpy.typing import ArrayLike, NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.data import ImageClassification
from cenote.lab.strips import Shown, draw_strip
from cenote.lab.style import house_style

_OVERLAY = 0.6
"""How much of an image its weights cover."""


def draw_scores(
    data: str, seeds: int, records: Sequence[Record], folder: Path, *, order: Sequence[str], controls: Sequence[str]
) -> Iterator[Figure]:
    """Draw accuracy, mean average precision and dependence of the heads, a dot for each training.

    Args:
        data: The data set.
        seeds: Number of seeds.
        records: All records of the run.
        folder: Where the files go.
        order: All arms in the order of the rows.
        controls: Arms drawn apart.
    """
    shown = (
        Shown("accuracy", "accuracy", "test accuracy", "Accuracy"),
        Shown("map", "retrieval", "mean average precision", "Retrieval"),
        Shown("head_correlation", "heads", "mean |correlation| between heads", "Dependence of the heads", unit=""),
    )
    caption = (
        "A dot is one training, a row one way of pooling; the same seed stands at the same height in all rows. The bar "
        f"is the 95 % t interval of the mean over {seeds} seeds."
    )
    for each in shown:
        yield draw_strip(each, data, records, folder, subject="ggem", order=order, controls=controls, caption=caption)


def draw_exponents(data: str, records: Sequence[Record], folder: Path) -> Iterator[Figure]:
    """Draw how the exponents of GGeM's groups and of GeM move, as means over seeds with the range of the seeds.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
    """
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.data == data and record.metric == "exponent" and record.unit is not None and record.x is not None:
            number = int(record.unit.removeprefix("group-")) + 1
            name = "gem" if record.arm == "gem" else f"ggem, group {number}"
            values[name][record.x].append(record.value)
    series = {}
    for name, by_epoch in sorted(values.items()):
        epochs = sorted(by_epoch)
        columns = [[function(by_epoch[epoch]) for epoch in epochs] for function in (np.mean, np.min, np.max)]
        series[name] = plots.Line(epochs, *(np.array(column, dtype=float) for column in columns))
    file = f"exponents-{data}.png"
    plots.save(plots.lines(series, xlabel="epoch", ylabel="exponent p"), folder / file)
    ends = ", ".join(f"{name} {line.y[-1]:.2f}" for name, line in series.items())
    yield Figure(
        file=file,
        title=f"Learned exponents on {data}",
        caption="Mean over seeds of the exponent of each group; the band goes from the smallest to the largest seed. "
        "Every exponent starts at the same value; 1 would be the mean of the tokens, a large one their maximum.",
        alt=f"Exponents after the last epoch, mean over seeds: {ends}.",
    )


def draw_dependence(data: str, records: Sequence[Record], folder: Path, *, order: Sequence[str]) -> Iterator[Figure]:
    """Draw how much the pooled channels of each two heads correlate, a matrix for each way of pooling.

    Args:
        data: The data set.
        records: All records of the run.
        folder: Where the file goes.
        order: The arms that are drawn, in this order.
    """
    values: dict[str, dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.data == data and record.metric == "head_dependence" and record.unit is not None:
            row, column = (int(part.partition("-")[2]) for part in record.unit.split())
            values[record.arm][row, column].append(record.value)
    matrices = {arm: _symmetric(values[arm]) for arm in order if values[arm]}
    if not matrices:
        return
    means = {arm: float(np.nanmean(each[~np.eye(len(each), dtype=bool)])) for arm, each in matrices.items()}
    titles = [f"{arm}\n{mean:.3f}" for arm, mean in means.items()]
    plot = plots.grid(list(matrices.values()), titles=titles, columns=len(titles), label="mean |correlation|")
    for axes, matrix in zip(plot.axes, matrices.values(), strict=False):
        _name_heads(axes, len(matrix))
    plot.axes[0].set_ylabel("head", labelpad=1)
    file = f"dependence-{data}.png"
    plots.save(plot, folder / file)
    yield Figure(
        file=file,
        title=f"Which heads depend on each other on {data}",
        caption="Mean absolute correlation, over the test images, between the pooled channels of two heads; on the "
        "diagonal between different channels of one head. Mean over seeds. The titles give the mean over the pairs of "
        "different heads, which the claim is about.",
        alt="Mean |correlation| between different heads: "
        + ", ".join(f"{arm} {mean:.3f}" for arm, mean in means.items())
        + ".",
    )


def _symmetric(pairs: Mapping[tuple[int, int], Sequence[float]]) -> NDArray[np.float64]:
    heads = 1 + max(column for _, column in pairs)
    matrix = np.full((heads, heads), np.nan)
    for (row, column), values in pairs.items():
        matrix[row, column] = matrix[column, row] = np.mean(values)
    return matrix


@house_style()
def _name_heads(axes: Axes, heads: int) -> None:
    """Number the rows and columns."""
    axes.set_axis_on()
    places = range(0, heads, max(1, heads // 4))
    axes.set_xticks(places, [str(place + 1) for place in places])
    axes.set_yticks(places, [str(place + 1) for place in places])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("head", labelpad=1)


def draw_token_weights(
    name: str, data: ImageClassification, count: int, records: Sequence[Record], folder: Path
) -> Iterator[Figure]:
    """Draw test images, each beside the weights that a trained GGeM gives to its tokens, laid over the image.

    Args:
        name: The data set, whose terms must allow its images in a published picture.
        data: Its images.
        count: How many of the first test images are drawn, those whose weights are recorded.
        records: All records of the run.
        folder: Where the file goes.
    """
    weights: dict[int, dict[int, float]] = defaultdict(dict)
    for record in records:
        if record.data == name and record.metric == "token_weight" and record.unit is not None:
            image, token = (int(part.partition("-")[2]) for part in record.unit.split())
            weights[image][token] = record.value
    maps = {index: _square(each) for index, each in sorted(weights.items()) if index < count}
    maps = {index: each for index, each in maps.items() if each.size and np.isfinite(each).all()}
    if not maps:
        return
    file = f"token-weights-{name}.png"
    plots.save(_overlaid(data, maps), folder / file)
    spread = ", ".join(f"image {index + 1} {each.max() / each.mean():.1f}" for index, each in maps.items())
    yield Figure(
        file=file,
        title=f"Which tokens weigh most on {name}",
        caption="Test images, and over each the weights of its tokens in the pooled vector, (x/y)^(p-1) where x is not "
        "clamped, mean over the channels; the titles give the class, and the smallest and the largest weight. One "
        "trained GGeM, the first seed. Mean pooling gives 1 to every token, which is white.",
        alt=f"Largest weight of a token, as a multiple of the image's mean weight: {spread}.",
    )


@house_style()
def _overlaid(data: ImageClassification, maps: Mapping[int, NDArray[np.floating]]) -> Plot:
    """Each image, and beside it the same image in grey under the weights of its tokens."""
    panels: list[ArrayLike] = []
    titles: list[str] = []
    for index, weight in maps.items():
        panels += [_in_colour(data.test.images[index]), weight]
        titles += [data.classes[data.test.labels[index]], f"weights {weight.min():.2g} to {weight.max():.2g}"]
    height, width = data.test.image_shape[:2]
    figure = plots.grid(
        panels, titles=titles, cmap="RdBu_r", columns=4, label="weight of a token, mean pooling = 1", centre=1.0
    )
    for index, axes in zip(maps, figure.axes[1 : len(panels) : 2], strict=True):
        (tokens,) = axes.images
        tokens.set(extent=(-0.5, width - 0.5, height - 0.5, -0.5), alpha=_OVERLAY, zorder=1)
        # Light, so that the colours of the weights are seen on dark places too.
        axes.imshow(127 + data.test.images[index].mean(axis=2) / 2, cmap="gray", vmin=0, vmax=255, zorder=0)
    bar = figure.axes[-1]
    bar.collections[0].set_alpha(_OVERLAY)
    bar.set_ylim(bottom=0)  # no weight is negative
    return figure


def _square(weights: dict[int, float]) -> NDArray[np.floating[Any]]:
    """Lay a square image's tokens out as they lay in it; empty if they make no square."""
    side = round(len(weights) ** 0.5)
    values = np.array([weights[place] for place in sorted(weights)])
    return values.reshape(side, side) if side * side == len(weights) else np.zeros((0, 0))


def _in_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
