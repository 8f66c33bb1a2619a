"""The pictures of a run: accuracies, differences, and which entries of a window receive gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.data import ImageClassification
from cenote.pooling.order_theory.pooling import PosetPool2d

if TYPE_CHECKING:
    from cenote.pooling.order_theory.experiment import PosetSettings

SHOWN = frozenset({"mnist-5k", "digits", "fashion-mnist"})
"""Data sets whose terms allow their images in a published picture."""


def draw(
    name: str,
    settings: PosetSettings,
    records: Sequence[Record],
    data: ImageClassification,
    folder: Path,
    *,
    controls: Sequence[str],
    order: Sequence[str],
) -> Iterator[Figure]:
    """Draw the pictures of one data set into ``folder``.

    Args:
        name: The data set.
        settings: The run's settings.
        records: All records of the run.
        data: The images of the run, for the gradient maps.
        folder: Where the files go.
        controls: Arms drawn apart.
        order: All arms in the order of the rows.
    """
    accuracies = _by_arm(records, name, "accuracy", order)
    plots.save(
        plots.strip(
            accuracies, xlabel="test accuracy", unit="fraction", highlight={"poset"}, controls=frozenset(controls)
        ),
        folder / f"accuracy-{name}.png",
    )
    best = max((arm for arm in order if arm != "poset"), key=lambda arm: np.nanmean(accuracies[arm]))
    yield Figure(
        file=f"accuracy-{name}.png",
        title=f"Accuracy on {name}",
        caption=f"A dot is one training, a row one way of halving the maps; the same seed stands at the same height in "
        f"every row. The bar is the 95 % t interval of the mean over {settings.seeds} seeds.",
        alt=f"Mean test accuracy: poset {np.nanmean(accuracies['poset']):.1%}, best other arm {best} "
        f"{np.nanmean(accuracies[best]):.1%}.",
    )
    reach = _by_arm(records, name, "entries_with_gradient", [arm for arm in order if arm != "strided convolution"])
    plots.save(
        plots.strip(
            reach,
            xlabel="entries of a 2×2 window that receive gradient",
            highlight={"poset"},
            controls=frozenset(controls) & reach.keys(),
        ),
        folder / f"gradient-{name}.png",
    )
    yield Figure(
        file=f"gradient-{name}.png",
        title=f"Where the gradient goes on {name}",
        caption="Entries of the batch norm's output, before the ReLU, that a gradient at the halved map reaches: mean "
        "over windows, layers and test images, for each seed. The ReLU stops the gradient of negative entries.",
        alt="; ".join(f"{arm} {np.mean(values):.2f} entries" for arm, values in reach.items()) + ".",
    )
    if name in SHOWN:
        yield _gradient_maps(name, settings.poset, data, folder)


def _gradient_maps(name: str, poset: str, data: ImageClassification, folder: Path) -> Figure:
    """Show which pixels of a signed map receive gradient under several poolings."""
    pixels = torch.from_numpy(data.test.images[0]).permute(2, 0, 1)[None].float() / 255
    pixels = pixels.mean(1, keepdim=True)
    signed = pixels - F.avg_pool2d(pixels, 5, stride=1, padding=2, count_include_pad=False)
    poolings = {
        "max": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
        "average": nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)),
        "antichain": PosetPool2d("antichain"),
        poset: PosetPool2d(poset),
        "diamond": PosetPool2d("diamond"),
        "chain": PosetPool2d("chain"),
    }
    maps = {"signed map": signed / signed.abs().max()}
    for label, pooling in poolings.items():
        x = signed.clone().requires_grad_()
        (maps[label],) = torch.autograd.grad(pooling(x).sum(), x)
    shares = {label: float((maps[label] != 0).float().mean()) for label in poolings}
    titles = ["signed map"] + [f"{label}: {share:.0%}" for label, share in shares.items()]
    images = [map_[0, 0].detach().numpy() for map_ in maps.values()]
    plots.save(
        plots.grid(images, titles=titles, cmap="RdBu_r", columns=4, label="value, or gradient received", centre=0.0),
        folder / f"gradient-maps-{name}.png",
    )
    return Figure(
        file=f"gradient-maps-{name}.png",
        title="Which pixels receive gradient",
        caption="The first test image less its local mean, and the gradient that each pooling of it passes back to "
        "every pixel; the title gives the share of pixels that receive any. No training is involved.",
        alt="Share of pixels that receive gradient: " + ", ".join(f"{k} {v:.0%}" for k, v in shares.items()) + ".",
    )


def _by_arm(records: Sequence[Record], data: str, metric: str, arms: Sequence[str]) -> dict[str, list[float]]:
    """Values over seeds, by arm."""
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    for record in records:
        if record.data == data and record.metric == metric and record.arm in found:
            found[record.arm].append(record.value)
    return found
