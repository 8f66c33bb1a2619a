"""One's own images for a search: half of those for training are learned from, half choose, and test images measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.lab import data as data_sets
from cenote.lab.classification import DIGITS
from cenote.lab.data import ImageClassification, ImageSplit
from cenote.lab.data.images import stratified_order
from cenote.lab.data.registry import Detection
from cenote.lab.training import Augmentation, Batches, Normalization, TrainingSettings, accuracy
from cenote.lab.wording import counted
from cenote.pooling.balanced_supernets.commands.wishes import Wishes
from cenote.pooling.balanced_supernets.training import seed_of


class EpochBatches:
    """Batches whose order and variation depend on the seed and the number of the epoch alone."""

    def __init__(self, split: ImageSplit, normalization: Normalization, recipe: TrainingSettings, seed: int) -> None:
        self._arguments = split.images, split.labels, normalization, recipe
        self._seed = seed
        self._epoch = 0
        self._count = len(split) // recipe.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next batches are of."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of the epoch."""
        return iter(Batches(*self._arguments, seed=seed_of(self._seed, self._epoch)))


@dataclass(frozen=True)
class OwnImages:
    """Half of the training images to learn from, half to choose by, and test images to measure."""

    name: str
    class_names: tuple[str, ...]
    train: ImageSplit
    val: ImageSplit
    test: ImageSplit
    checksum: str
    normalization: Normalization

    @classmethod
    def read(cls, wishes: Wishes, root: Path | None) -> Self:
        """Read and split the images.

        Raises:
            ArgumentError: If there is no such folder or data set, or batch size or shift do not fit its images.
            DataFormatError: If a file is missing or damaged.
        """
        found = _read(wishes.data, wishes.image_size, root)
        if len(found.classes) < 2:
            raise ArgumentError(f"--data {wishes.data}: has {counted(len(found.classes), 'class')}, needs 2 or more")
        order = stratified_order(found.train.labels)[: wishes.images]
        half = len(order) // 2
        if wishes.batch_size > half:
            raise ArgumentError(
                f"--batch-size must be at most half of the training images, {half:,}, got {wishes.batch_size}"
            )
        if wishes.shift >= min(found.train.image_shape[:2]):
            raise ArgumentError(f"--shift must be below the side of the images, got {wishes.shift}")
        train, val = found.train.take(order[:half]), found.train.take(order[half:])
        kept = dataclasses.replace(found, train=found.train.take(order)) if wishes.images else found
        return cls(
            found.name, tuple(found.classes), train, val, found.test, kept.checksum(), Normalization.of(train.images)
        )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def as_json(self) -> dict[str, Any]:
        """Return what a network's weights are of no use without: classes, shape and normalisation of the images."""
        height, width, channels = self.train.image_shape
        return {
            "classes": list(self.class_names),
            "shape": [channels, height, width],
            "mean": list(self.normalization.mean),
            "std": list(self.normalization.std),
            "trained_on": len(self.train),
        }

    def loaders(self, wishes: Wishes, seed: int) -> tuple[EpochBatches, EpochBatches]:
        """Return batches to learn from, which are varied, and to choose by."""
        varied = Augmentation(flip=wishes.flip and self.name not in DIGITS, shift=wishes.shift)
        recipe = TrainingSettings(epochs=1, batch_size=wishes.batch_size, channels_last=True)
        train = dataclasses.replace(recipe, augmentation=varied)
        return (
            EpochBatches(self.train, self.normalization, train, seed),
            EpochBatches(self.val, self.normalization, recipe, seed),
        )

    def accuracies(self, network: nn.Module, batch_size: int) -> tuple[float, float]:
        """Return a network's accuracy on the images to choose by and on the test images; NaN if it diverged."""
        val, test = (
            accuracy(network, split.images, split.labels, self.normalization, batch_size=batch_size)
            for split in (self.val, self.test)
        )
        return val, test

    def sample(self) -> Tensor:
        """Return two images as the networks see them, (2, C, H, W)."""
        return self.normalization.apply(torch.from_numpy(np.array(self.train.images[:2])))


def _read(place: str, image_size: int, root: Path | None) -> ImageClassification:
    folder = Path(place)
    if place in data_sets.names():
        options = {"image_size": image_size} if place == "imagefolder" else {}
        found = data_sets.load(place, root, **options)
    elif not folder.is_dir():
        raise ArgumentError(f"--data: {place!r} is neither a folder nor a data set; those are {', '.join(_names())}")
    elif not any((each / "train").is_dir() for each in (folder, folder / "imagefolder")):
        raise ArgumentError(f"--data {place}: has no folder train; needs train/<class>/ and test/<class>/ with images")
    else:
        found = data_sets.load("imagefolder", folder, image_size=image_size)
    if not isinstance(found, ImageClassification):
        raise ArgumentError(f"--data {place}: has boxes, not one label an image; choose from {', '.join(_names())}")
    return found


def _names() -> list[str]:
    return [name for name in data_sets.names() if name not in get_args(Detection)]
