"""Labelled images in memory: what every image-classification loader returns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, ArgumentTypeError, DataFormatError

ORDER_SEED = 0
"""Seed of the fixed order behind splits and subsets; published runs depend on it, so it never changes."""


BLOCK = 1 << 22
"""Pixels that are looked at together where all images are: 83 images of 224×224, or 5,349 of 28×28."""


@dataclass(frozen=True, eq=False, repr=False)
class ImageSplit:
    """Images with their labels.

    Attributes:
        images: ``uint8`` of shape ``(N, H, W, C)``.
        labels: ``int64`` of shape ``(N,)``: positions in the data set's ``classes``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, array, dtype in (("images", self.images, np.uint8), ("labels", self.labels, np.int64)):
            if array.dtype != dtype:
                raise ArgumentTypeError(f"{name}: got dtype {array.dtype}, needs {np.dtype(dtype)}")
        if self.images.ndim != 4:
            raise ArgumentError(f"images: got shape {self.images.shape}, needs (N, H, W, C)")
        if self.labels.shape != self.images.shape[:1]:
            raise ArgumentError(f"labels: got shape {self.labels.shape}, needs {self.images.shape[:1]}: one per image")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} images of shape {self.image_shape})"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ``(H, W, C)`` of one image."""
        return self.images.shape[1:]

    def take(self, indices: NDArray[np.int64]) -> ImageSplit:
        """Return a copy of the images at these positions, in this order."""
        return ImageSplit(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class ImageClassification:
    """A data set for image classification.

    Attributes:
        name: The name it was loaded by.
        classes: Names of the classes; a label is a position in this tuple.
        train: What a model learns from.
        test: What it is measured on.
        note: What a reader of a result must know about this copy of the data, empty if nothing.
    """

    name: str
    classes: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit
    note: str = ""

    def __post_init__(self) -> None:
        if self.train.image_shape != self.test.image_shape:
            raise ArgumentError(
                f"test: its images have shape {self.test.image_shape}, those for training {self.train.image_shape}"
            )
        for name, split in (("train", self.train), ("test", self.test)):
            if len(split) and not 0 <= split.labels.min() <= split.labels.max() < len(self.classes):
                raise ArgumentError(
                    f"{name}: labels reach from {split.labels.min()} to {split.labels.max()}, "
                    f"allowed are 0 to {len(self.classes) - 1}"
                )

    def checksum(self) -> str:
        """Return the SHA-256 over shapes, images and labels as hexadecimal digits.

        Images stored as JPEG are decoded before they are hashed, so another JPEG decoder may give another checksum.
        """
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update(repr(split.images.shape).encode())
            for block in blocks(split.images):
                digest.update(np.ascontiguousarray(block).data)
            digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
        return digest.hexdigest()

    def subset(self, train: int | None = None, test: int | None = None) -> ImageClassification:
        """Return the first images of a fixed, class-balanced shuffle of each split.

        The same numbers always give the same images, and a bigger subset contains every smaller one. Each class has the
        same number of images, give or take one, until a class runs out.

        Args:
            train: Number of training images; None keeps the split as it is.
            test: Number of test images; None keeps the split as it is.

        Raises:
            ArgumentError: If a number is below 1 or above what the split has.
        """
        return replace(self, train=_first("train", self.train, train), test=_first("test", self.test, test))


def _first(name: str, split: ImageSplit, count: int | None) -> ImageSplit:
    if count is None:
        return split
    if not 1 <= count <= len(split):
        raise ArgumentError(f"{name}: asked for {count:,} images, allowed are 1 to {len(split):,}")
    return split.take(balanced_order(split.labels)[:count])


def blocks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield images some at a time, which bounds the memory of whatever is computed from all of them."""
    size = max(1, BLOCK // (images.shape[1] * images.shape[2] or 1))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def check_labels(labels: NDArray[np.int64], classes: int, source: str | Path) -> None:
    """Check that a file has labels and that each is one of the classes.

    Raises:
        DataFormatError: If not; names the source.
    """
    if not len(labels):
        raise DataFormatError(f"{source}: holds no images")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataFormatError(
            f"{source}: labels reach from {labels.min()} to {labels.max()}, allowed are 0 to {classes - 1}"
        )


def balanced_order(labels: NDArray[np.int64], seed: int = ORDER_SEED) -> NDArray[np.int64]:
    """Shuffle so that every beginning has the same number of each class, give or take one, until a class runs out.

    Args:
        labels: Class of each item, shape ``(N,)``.
        seed: Another seed gives another shuffle.

    Returns:
        Positions in ``labels``, shape ``(N,)``.
    """
    keys = _keys(len(labels), seed)
    return np.lexsort((keys, _rank_in_class(labels, keys)))


def stratified_order(labels: NDArray[np.int64], seed: int = ORDER_SEED) -> NDArray[np.int64]:
    """Shuffle so that every beginning has the classes in nearly the proportions of the whole.

    Args:
        labels: Class of each item, shape ``(N,)``.
        seed: Another seed gives another shuffle.

    Returns:
        Positions in ``labels``, shape ``(N,)``.
    """
    keys = _keys(len(labels), seed)
    sizes = np.bincount(labels)[labels]
    return np.lexsort((keys, (_rank_in_class(labels, keys) + 0.5) / sizes))


def _keys(count: int, seed: int) -> NDArray[np.uint64]:
    # NumPy promises that a bit generator's raw stream never changes; it does not promise that of Generator.permutation.
    return np.random.PCG64(seed).random_raw(count)


def _rank_in_class(labels: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Position of each item among the items of its class when these are sorted by key."""
    order = np.lexsort((keys, labels))
    sizes = np.bincount(labels, minlength=1)
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    return ranks
