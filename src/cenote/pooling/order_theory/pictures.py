"""The pictures of a run: accuracies, differences, and which entries of a window receive gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure as Plot
from numpy.typing import NDArray
from torch import Tensor, nn

from cenote.catalog.results import Figure, Record
from cenote.lab import plots
from cenote.lab.data import ImageClassification
from cenote.lab.style import INK, QUIET, house_style, label_rows, row_heights, rows_figure
from cenote.lab.training import Normalization
from cenote.pooling.order_theory.experiment import PosetSettings, SmallNet
from cenote.pooling.order_theory.pooling import PosetPool2d

SHOWN = frozenset({"mnist-5k", "digits", "fashion-mnist"})
"""Data sets whose terms allow their images in a published picture."""

ZOOM = 12
"""Height and width of the part of a map that is shown, at most."""

_MOST_IMAGES = 200
_SHADES = ("#e9edf1", "#c6dbef", "#7fb2d9", "#3681bb", "#0a4a83")
"""Colours of windows by how many entries are reached, none to four; the numbers stand beside them."""


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
        data: The images of the run, for the gradients at a network's start.
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
        caption=f"A dot is one training, a row one way of halving the maps. {_mean_in_words(settings.seeds)}",
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
        caption="Entries of the batch norm's output, before the ReLU, that a gradient at the halved map reaches, on "
        "average over windows, layers and test images: a dot for each seed. The ReLU stops the gradient of negative "
        f"entries. {_mean_in_words(settings.seeds)}",
        alt="; ".join(f"{arm} {np.mean(values):.2f} entries" for arm, values in reach.items()) + ".",
    )
    signed = _first_map(settings, data)
    received = {label: _received(pooling, signed) for label, pooling in _poolings(settings.poset).items()}
    yield _shares(name, settings.poset, signed, received, folder)
    if name in SHOWN:
        yield _gradient_maps(name, signed, received, folder)


def _mean_in_words(seeds: int) -> str:
    """What the mark below the dots is."""
    if seeds == 1:
        return "With one seed there is no interval; the diamond stands on the dot."
    return (
        "The same seed stands at the same height in every row; the diamond is the mean over "
        f"{seeds} seeds, the bar its 95 % t interval."
    )


def _by_arm(records: Sequence[Record], data: str, metric: str, arms: Sequence[str]) -> dict[str, list[float]]:
    """Values over seeds, by arm."""
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    for record in records:
        if record.data == data and record.metric == metric and record.arm in found:
            found[record.arm].append(record.value)
    return found


# --- the gradient at the start of training ------------------------------------------------------------------------


def _first_map(settings: PosetSettings, data: ImageClassification) -> Tensor:
    """The first batch norm's output before any training: what every arm of the first seed pools first."""
    pixels = torch.from_numpy(data.test.images[: min(_MOST_IMAGES, settings.gradient_images)])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(settings.first_seed)
        model = SmallNet("max", settings.poset, settings.width, pixels.shape[-1], len(data.classes))
        signed: Tensor = model.norms[0](model.convolutions[0](Normalization.of(data.train.images).apply(pixels)))
    height, width = signed.shape[2:]
    return signed[..., : height // 2 * 2, : width // 2 * 2]


def _poolings(poset: str) -> Mapping[str, nn.Module]:
    """Max and average pooling behind a ReLU, and posets from no order to a total one, that of the run among them."""
    posets = dict.fromkeys(("antichain", poset, "diamond", "chain"))
    return {
        "max": nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
        "average": nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)),
        **{name: PosetPool2d(name) for name in posets},
    }


def _received(pooling: nn.Module, signed: Tensor) -> Tensor:
    """The gradient that a pooling passes back from ones."""
    x = signed.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(pooling(x).sum(), x)
    return gradient


def shares_reached(signed: Tensor, gradient: Tensor) -> NDArray[np.float64]:
    """Return the share of windows of which 0, 1, 2, 3 and 4 entries receive gradient.

    Only 2×2 windows with entries of both signs count: of a positive window all poolings but max reach all four entries,
    of a negative one none. Without such a window the shares are 0.
    """
    positive = 4 * F.avg_pool2d((signed > 0).double(), 2)
    reached = 4 * F.avg_pool2d((gradient != 0).double(), 2)
    counts = torch.bincount(reached[(positive > 0) & (positive < 4)].round().long(), minlength=5)
    shares: NDArray[np.float64] = (counts / max(1, int(counts.sum()))).double().numpy()
    return shares


def _shares(name: str, poset: str, signed: Tensor, received: Mapping[str, Tensor], folder: Path) -> Figure:
    shares = {label: shares_reached(signed, gradient) for label, gradient in received.items()}
    plots.save(_stacked(shares, poset), folder / f"windows-{name}.png")
    most = {label: int(each.argmax()) for label, each in shares.items()}
    return Figure(
        file=f"windows-{name}.png",
        title=f"How many entries of a window receive gradient on {name}",
        caption=f"Windows of the first layer's signed map before any training ({len(signed)} test images), by the "
        "number of entries that receive gradient. Only windows with entries of both signs are counted: in the others "
        "all poolings but max agree, and reach all four entries or none. Average pooling behind a ReLU reaches the "
        "same entries as the antichain, with a quarter of the gradient.",
        alt="Commonest number of entries reached: "
        + ", ".join(f"{label} {count} ({shares[label][count]:.0%} of windows)" for label, count in most.items())
        + ".",
    )


@house_style()
def _stacked(shares: Mapping[str, NDArray[np.float64]], poset: str) -> Plot:
    """One row for each pooling, cut by the number of entries."""
    heights = row_heights(list(shares), [])
    figure, axes = rows_figure(heights, foot=0.3)
    axes.grid(visible=False)
    for count, shade in enumerate(_SHADES):
        parts = np.array([100 * each[count] for each in shares.values()])
        starts = np.array([100 * each[:count].sum() for each in shares.values()])
        axes.barh(list(heights.values()), parts, left=starts, height=0.7, color=shade, label=f"{count}")
        for y, start, part in zip(heights.values(), starts, parts, strict=True):
            if part >= 4:
                colour = "white" if count >= 3 else INK
                axes.text(start + part / 2, y, f"{part:.0f}", ha="center", va="center_baseline", color=colour)
    axes.set_xlim(0, 100)
    label_rows(axes, heights, {poset}, set())
    axes.set_xlabel("windows with entries of both signs (%)")
    legend = figure.legend(loc="outside upper center", ncols=len(_SHADES), frameon=False, title="entries reached")
    legend.get_title().set_color(QUIET)
    return figure


def _gradient_maps(name: str, signed: Tensor, received: Mapping[str, Tensor], folder: Path) -> Figure:
    """Show which entries of one signed map receive gradient, near enough to see its windows."""
    place = _busiest(signed[0])
    values = signed[0][place].numpy()
    maps = {label: gradient[0][place].numpy() for label, gradient in received.items()}
    reach = np.abs(values).max() or 1.0
    picture = mpl.colormaps["RdBu_r"](0.5 + values / (2 * reach))[..., :3]
    shares = {label: float((each != 0).mean()) for label, each in maps.items()}
    titles = ["signed map"] + [f"{label}: {share:.0%}" for label, share in shares.items()]
    figure = plots.grid([picture, *maps.values()], titles=titles, cmap="Blues", columns=4, label="gradient received")
    for axes in figure.axes[: len(titles)]:
        axes.hlines(np.arange(0, values.shape[0] + 1, 2) - 0.5, *axes.get_xlim(), color=QUIET, linewidth=0.5)
        axes.vlines(np.arange(0, values.shape[1] + 1, 2) - 0.5, *axes.get_ylim(), color=QUIET, linewidth=0.5)
    plots.save(figure, folder / f"gradient-maps-{name}.png")
    return Figure(
        file=f"gradient-maps-{name}.png",
        title="Which entries receive gradient",
        caption="A part of the first layer's signed map of the first test image before any training (red is positive, "
        "blue negative), and the gradient that each pooling passes back to it. The lines part the 2×2 windows; the "
        "titles give the share of entries that receive gradient.",
        alt="Share of entries that receive gradient: " + ", ".join(f"{k} {v:.0%}" for k, v in shares.items()) + ".",
    )


def _busiest(maps: Tensor) -> tuple[int, slice, slice]:
    """The channel and part of ``maps`` (C, H, W) with the most windows of both signs, where poolings differ most."""
    positive = 4 * F.avg_pool2d((maps > 0).double(), 2)
    mixed = ((positive > 0) & (positive < 4)).double()
    side = tuple(min(ZOOM // 2, extent) for extent in mixed.shape[1:])
    counts = F.avg_pool2d(mixed, side, stride=1)
    channel, top, left = (int(index) for index in np.unravel_index(int(counts.argmax()), counts.shape))
    return channel, slice(2 * top, 2 * (top + side[0])), slice(2 * left, 2 * (left + side[1]))
