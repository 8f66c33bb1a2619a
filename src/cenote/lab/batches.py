"""Images on their way into a model: varied, normalised, and in batches that processes share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.lab.data.image_files import ImageFiles
from cenote.lab.data.images import blocks

if TYPE_CHECKING:
    from cenote.lab.training import TrainingSettings

Images = npt.NDArray[np.uint8]
"""An array, or ``ImageFiles``, of which no more than a few batches are in memory at a time."""

Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image each time it is seen."""

    flip: bool = False
    """Mirror left and right with probability 1/2."""
    shift: int = 0
    """Pad with this many black pixels on each side and crop back at random: shifts by up to as many pixels."""

    def __post_init__(self) -> None:
        require(self.shift >= 0, "shift", self.shift, "0 or more")


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of the training pixels per channel, on the scale from 0 (black) to 1 (white)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Images) -> Self:
        """Measure uint8 images of shape (N, H, W, C); exact, since it counts in integers.

        A channel without variance gets the standard deviation 1, so that it becomes 0 and not NaN.

        Raises:
            ArgumentError: If the images have another shape or none is given.
            ArgumentTypeError: If they are not uint8.
        """
        check_images(images)
        grey, count = np.arange(256), math.prod(images.shape[:3])
        histograms = np.zeros((images.shape[-1], 256), np.int64)
        for block in blocks(images):  # image files are decoded once, and bincount works on 64-bit copies
            for channel, histogram in enumerate(histograms):
                histogram += np.bincount(block[..., channel].ravel(), minlength=256)
        mean, std = [], []
        for histogram in histograms:
            total, squares = int(histogram @ grey), int(histogram @ grey**2)
            mean.append(total / count / 255)
            std.append(math.sqrt(count * squares - total**2) / count / 255 or 1.0)
        return cls(tuple(mean), tuple(std))

    def apply(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Turn uint8 (B, H, W, C) into normalised (B, C, H, W), which lies in memory as it came: channels last.

        Raises:
            ArgumentError: If the images have another number of channels.
        """
        batch, height, width, channels = images.shape
        require(channels == len(self.mean), "images", f"{channels} channels", f"{len(self.mean)} as in training")
        # Over whole rows of pixels: broadcasting over the few channels alone takes five times as long.
        factors = [[1 / (255 * std), -mean / std] for mean, std in zip(self.mean, self.std, strict=True)]
        scale, offset = torch.tensor(factors, dtype=dtype, device=images.device).repeat(width, 1).unbind(1)
        rows = images.reshape(batch, height, width * channels).to(dtype).mul_(scale).add_(offset)
        return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


class Batches:
    """Shuffled, augmented, normalised global batches, of which each process takes its slice.

    Order and augmentation come from two generators of the seed on the CPU and are drawn for the global batch, so they
    depend neither on the number of processes nor on the device. Each iteration is one epoch and draws anew.

    Args:
        images: uint8 of shape (N, H, W, C); the device keeps them as they are. ``ImageFiles`` are decoded batch by
            batch instead, the next one while the last one is used.
        labels: Integers of shape (N,).
        normalization: What to normalise with.
        settings: Batch size, augmentation, data type and memory order.
        seed: Decides order and augmentation.
        process: Index of this process of ``processes``.
        processes: Number of processes.
        device: Where the batches are wanted.

    Raises:
        ArgumentError: If the batch size or the shift does not fit the images, or the batch size the processes.
    """

    def __init__(
        self,
        images: Images,
        labels: Labels,
        normalization: Normalization,
        settings: TrainingSettings,
        *,
        seed: int,
        process: int = 0,
        processes: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        count, height, width, _ = images.shape
        size, shift = settings.batch_size, settings.augmentation.shift
        require(size <= count, "batch_size", size, f"at most the number of images, {count}")
        require(size % processes == 0, "batch_size", size, f"a multiple of the number of processes, {processes}")
        require(shift < min(height, width), "shift", shift, f"less than the images' {height} x {width} pixels")
        self._images = images
        self._settings = settings
        self._device = torch.device(device)
        self._resident = None if isinstance(images, ImageFiles) else self._crops(images)
        self._labels = as_tensor(labels.astype(np.int64)).to(self._device)
        self._normalization = normalization
        self._mine = slice(process * size // processes, (process + 1) * size // processes)
        # Seeds of their own: equal ones would tie the augmentation to the order.
        order_seed, augmentation_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
        self._order = torch.Generator().manual_seed(order_seed)
        self._draws = torch.Generator().manual_seed(augmentation_seed)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._labels) // self._settings.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process's part of each batch of one epoch: images (B, C, H, W) and labels (B,)."""
        size = self._settings.batch_size
        order = torch.randperm(len(self._labels), generator=self._order)
        parts = [order[start : start + size][self._mine] for start in range(0, len(self) * size, size)]
        for part, (crops, rows) in zip(parts, self._cropped(parts), strict=True):
            images = self._normalization.apply(self._augmented(crops, rows), self._settings.dtype)
            yield images if self._settings.channels_last else images.contiguous(), self._labels[part.to(self._device)]

    def _cropped(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, for each part of the images, crops that contain it and the rows where it is."""
        if self._resident is not None:
            yield from ((self._resident, part.to(self._device)) for part in parts)
            return
        for images in _one_ahead(self._images, parts):
            yield self._crops(images), torch.arange(len(images), device=self._device)

    def _crops(self, images: Images) -> Tensor:
        """Return a view of every crop of every image, (N, 1 + 2 shift, 1 + 2 shift, H, W, C): one gather crops them."""
        (count, height, width, channels), shift = images.shape, self._settings.augmentation.shift
        padded = torch.zeros(count, height + 2 * shift, width + 2 * shift, channels, dtype=torch.uint8)
        padded[:, shift : shift + height, shift : shift + width] = as_tensor(images)
        return padded.to(self._device).unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)

    def _augmented(self, crops: Tensor, rows: Tensor) -> Tensor:
        size, augmentation = self._settings.batch_size, self._settings.augmentation
        corners = torch.randint(2 * augmentation.shift + 1, (2, size), generator=self._draws)
        top, left = corners[:, self._mine].to(self._device)
        images = crops[rows, top, left]
        if not augmentation.flip:
            return images
        flipped = (torch.rand(size, generator=self._draws) < 0.5)[self._mine].to(self._device)
        return torch.where(flipped[:, None, None, None], images.flip(2), images)


def _one_ahead(images: Images, parts: Iterable[Tensor]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the images of each part, decoding those of the next meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for part in parts:
            following = pool.submit(images.__getitem__, part.numpy())
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def as_tensor(array: npt.NDArray[Any]) -> Tensor:
    """Return a tensor that shares memory where torch can: it takes no read-only arrays and no negative strides."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def check_images(images: Images) -> None:
    """Check that images are uint8 of shape (N, H, W, C) and at least one.

    Raises:
        ArgumentError: If the shape is another.
        ArgumentTypeError: If the dtype is another.
    """
    if images.dtype != np.uint8:
        raise ArgumentTypeError(f"images: got {images.dtype}, allowed is uint8")
    require(images.ndim == 4 and images.size > 0, "images", f"shape {images.shape}", "a non-empty (N, H, W, C)")


def check_labels(labels: Labels, count: int) -> None:
    """Check that there is an integer from 0 for each image.

    Raises:
        ArgumentError: If there are more or fewer, or one is negative.
        ArgumentTypeError: If they are no integers.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise ArgumentTypeError(f"labels: got {labels.dtype}, allowed are integers")
    require(labels.shape == (count,), "labels", f"shape {labels.shape}", f"({count},), one for each image")
    require(bool(labels.min() >= 0), "labels", labels.min(), "0 or more")


def require(condition: bool, argument: str, got: object, allowed: str) -> None:
    """Raise an ``ArgumentError`` about an argument unless the condition holds."""
    if not condition:
        raise ArgumentError(f"{argument}: got {got}, allowed is {allowed}")
