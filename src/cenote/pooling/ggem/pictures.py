"""The pictures of a run: accuracy, retrieval, the exponents as they learn, and which tokens of an image weigh most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cenote.catalog.results import Figure, Record
from cenote.lab import plots


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
        ("accuracy", "accuracy", "test accuracy", "fraction", "Accuracy"),
        ("map", "retrieval", "mean average precision", "fraction", "Retrieval"),
        ("head_correlation", "heads", "mean |correlation| between heads", "", "Dependence of the heads"),
    )
    for metric, file, xlabel, unit, title in shown:
        values: dict[str, list[float]] = {arm: [] for arm in order}
        for record in records:
            if record.data == data and record.metric == metric:
                values[record.arm].append(record.value)
        strip = plots.strip(values, xlabel=xlabel, unit=unit, highlight={"ggem"}, controls=frozenset(controls))
        plots.save(strip, folder / f"{file}-{data}.png")
        written = "{:.1%}" if unit == "fraction" else "{:.3f}"
        means = ", ".join(f"{arm} {written.format(np.mean(each))}" for arm, each in values.items())
        yield Figure(
            file=f"{file}-{data}.png",
            title=f"{title} on {data}",
            caption=f"A dot is one training, a row one way of pooling; the same seed stands at the same height in all "
            f"rows. The bar is the 95 % t interval of the mean over {seeds} seeds.",
            alt=f"Means of the {xlabel}: {means}.",
        )


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


def draw_token_weights(
    data: str, images: NDArray[np.uint8], records: Sequence[Record], folder: Path
) -> Iterator[Figure]:
    """Draw test images, each beside the weights that a trained GGeM gives to its tokens.

    Args:
        data: The data set, whose terms must allow its images in a published picture.
        images: The test images whose weights are recorded, (N, H, W, C).
        records: All records of the run.
        folder: Where the file goes.
    """
    weights: dict[int, dict[int, float]] = defaultdict(dict)
    for record in records:
        if record.data == data and record.metric == "token_weight" and record.unit is not None:
            image, token = (int(part.partition("-")[2]) for part in record.unit.split())
            weights[image][token] = record.value
    maps = {index: _square(each) for index, each in sorted(weights.items())}
    maps = {index: each for index, each in maps.items() if each.size and np.isfinite(each).all()}
    if not maps:
        return
    panels: list[ArrayLike] = []
    titles: list[str] = []
    for index, weight in maps.items():
        panels += [_in_colour(images[index]), weight]
        titles += [f"test image {index + 1}", f"{weight.min():.2g} to {weight.max():.2g}"]
    file = f"token-weights-{data}.png"
    grid = plots.grid(panels, titles=titles, columns=4, label="weight of a token, mean pooling = 1")
    plots.save(grid, folder / file)
    spread = ", ".join(f"image {index + 1} {each.max() / each.mean():.1f}" for index, each in maps.items())
    yield Figure(
        file=file,
        title=f"Which tokens weigh most on {data}",
        caption="Test images and the weights of their tokens in the pooled vector, (x/y)^(p-1) where x is not clamped, "
        "mean over the channels; one trained GGeM, the first seed. Mean pooling gives 1 to every token.",
        alt=f"Largest weight of a token, as a multiple of the image's mean weight: {spread}.",
    )


def _square(weights: dict[int, float]) -> NDArray[np.floating[Any]]:
    """Lay a square image's tokens out as they lay in it; empty if they make no square."""
    side = round(len(weights) ** 0.5)
    values = np.array([weights[place] for place in sorted(weights)])
    return values.reshape(side, side) if side * side == len(weights) else np.zeros((0, 0))


def _in_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
