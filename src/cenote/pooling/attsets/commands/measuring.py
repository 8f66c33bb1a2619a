"""How well a network rebuilds objects it was not trained on, by the number of their images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.commands.objects import Collection
from cenote.pooling.attsets.comparing import with_aggregation
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.overlap import voxel_iou
from cenote.pooling.attsets.tasks import as_input
from cenote.pooling.progress import Progress

_PART = 32
"""Images that are encoded at once: an object may have any number of them."""


class Row(NamedTuple):
    """What a number of images gives.

    Attributes:
        images: How many of each object.
        objects: How many objects have them.
        iou: Mean overlap with the truth.
        iou_of_mean: The same with the mean of the views in the place of attention.
    """

    images: int
    objects: int
    iou: float
    iou_of_mean: float


@dataclass(frozen=True)
class Measurement:
    """What a network does on test objects.

    Attributes:
        rows: By the number of images.
        constant: Overlap of one and the same grid, the mean of the training objects, with each test object.
    """

    rows: tuple[Row, ...]
    constant: float

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {"test": [row._asdict() for row in self.rows], "iou_of_constant_grid": self.constant}


class Guess(NamedTuple):
    """What a network makes of the views of one object.

    Attributes:
        probabilities: Of each cell, (R, R, R).
        weights: Of each view, mean over the features, as a multiple of an even share, (V,).
    """

    probabilities: NDArray[np.float32]
    weights: NDArray[np.float64]


def measure(
    network: ViewNetwork, train: Collection, test: Collection, threshold: float, device: str, progress: Progress
) -> Measurement:
    """Measure a network on test objects, each with its first 1, 2, 4, … images and with all of the most.

    Args:
        network: In evaluation mode.
        train: The objects it learned from.
        test: Other ones.
        threshold: Probability above which a cell is predicted.
        device: Where the network is.
        progress: Told how many objects were measured.
    """
    averaging = with_aggregation(network, "mean")
    counts = tuple(_counts(int(test.counts.max())))
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    truths = torch.from_numpy(test.targets())
    for index in range(len(test)):
        truth = truths[index : index + 1]
        features = encode(network, test.views(index), device)
        for count in (each for each in counts if each <= test.counts[index]):
            pair = [
                float(voxel_iou(decode(model, features[:, :count]).cpu(), truth, threshold))
                for model in (network, averaging)
            ]
            found[count].append((pair[0], pair[1]))
        progress("measuring", index + 1, len(test))
    rows = tuple(
        Row(count, len(pairs), *(float(value) for value in np.mean(pairs, axis=0))) for count, pairs in found.items()
    )
    mean = torch.from_numpy(train.targets().mean(0, dtype=np.float32))
    return Measurement(rows, float(voxel_iou(mean.expand(truths.shape), truths, threshold).mean()))


def guess(network: ViewNetwork, views: NDArray[np.uint8], device: str) -> Guess:
    """Rebuild one object from its views (V, S, S, 3)."""
    features = encode(network, views, device)
    assert isinstance(network.aggregation, AttSets)
    with torch.no_grad():
        _, weights = network.aggregation(features, return_weights=True)
    shares = len(views) * weights[0].mean(1).double().cpu().numpy()
    return Guess(decode(network, features)[0].cpu().numpy(), shares)


@torch.no_grad()
def encode(network: ViewNetwork, views: NDArray[np.uint8], device: str) -> Tensor:
    """Return the features (1, V, D) of the views (V, S, S, C) of one object."""
    parts = (views[None, first : first + _PART] for first in range(0, len(views), _PART))
    return torch.cat([network.encode(as_input(part).to(device)) for part in parts], 1)


@torch.no_grad()
def decode(network: ViewNetwork, features: Tensor) -> Tensor:
    """Return the probability of each cell for sets of features."""
    return network.decode(features).sigmoid()


def _counts(most: int) -> Iterator[int]:
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most
