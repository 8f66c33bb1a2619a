"""Image files as an array whose pixels are decoded where it is indexed."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cenote.errors import DataFormatError
from cenote.lab.data.images import ImageSplit

MEMORY_LIMIT = 2 << 30
"""Bytes of pixels up to which a split is decoded once and kept: 14,266 images of 224×224, 174,762 of 64×64."""

_DECODERS = min(32, os.cpu_count() or 1)


class ImageFiles:
    """Image files as a ``uint8`` array (N, H, W, 3), of which only what is asked for is ever in memory.

    It has the part of an array's interface that training and evaluation use: a shape, a length, and indexing with a
    position, a slice or an array of positions, which decodes those images in threads and returns an ordinary array.
    Each image is turned upright by its EXIF orientation, cropped around its centre to a square and resized.

    Attributes:
        folder: The folder that the files' names start from.
        names: Names of the files under the folder; a million of them take 100 MB.
        image_size: Height and width in pixels.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, folder: Path, names: Sequence[str], image_size: int) -> None:
        self.folder = folder
        self.names = names
        self.image_size = image_size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (N, H, W, 3)."""
        return len(self.names), self.image_size, self.image_size, 3

    @property
    def size(self) -> int:
        """Number of values, which is the number of bytes they would take."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the decoded image at a position (H, W, 3), or the images at several (B, H, W, 3).

        Raises:
            DataFormatError: If one of them cannot be decoded; names the file.
            IndexError: If there is no such position, or the key is neither position, slice nor array of positions.
        """
        positions = np.arange(len(self))[key]
        images = np.empty((positions.size, *self.shape[1:]), np.uint8)

        def decode(place: int) -> None:
            images[place] = read_image(self.folder / self.names[int(positions.flat[place])], self.image_size)

        with ThreadPoolExecutor(_DECODERS) as pool:  # Pillow decodes and resizes without the lock
            for _ in pool.map(decode, range(len(images))):  # raises what a decoder raises, and cancels the rest
                pass
        return images.reshape(*positions.shape, *self.shape[1:])

    def take(self, indices: NDArray[np.int64]) -> ImageFiles:
        """Return the files at these positions, in this order; decodes none."""
        return ImageFiles(self.folder, [self.names[index] for index in indices.tolist()], self.image_size)


class ImageFileSplit(ImageSplit):
    """A split too large for memory: its images are ``ImageFiles``, and ``take`` decodes only a part that fits."""

    def take(self, indices: NDArray[np.int64]) -> ImageSplit:
        """Return the images at these positions, in this order; decoded if they fit into memory."""
        files = cast(ImageFiles, self.images)
        return split_of(files.take(indices), self.labels[indices])


def split_of(files: ImageFiles, labels: NDArray[np.int64]) -> ImageSplit:
    """Return a split of image files: decoded if its pixels fit into ``MEMORY_LIMIT``, else decoded batch by batch.

    Raises:
        DataFormatError: If it is decoded and an image is damaged.
    """
    if files.size <= MEMORY_LIMIT:
        return ImageSplit(files[:], labels)
    # A split's images are declared as the array they are nearly always; image files offer what is used of it.
    return ImageFileSplit(cast(NDArray[np.uint8], files), labels)


def read_image(path: Path, size: int, ground: int | None = None) -> NDArray[np.uint8]:
    """Return the centre square of an image, upright, in colour and resized: (H, W, 3).

    Args:
        path: The file.
        size: Height and width in pixels.
        ground: Grey that shows where the image is transparent; if left out, whatever colour the file has there.

    Raises:
        DataFormatError: If it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if ground is not None:
                below = Image.new("RGBA", upright.size, (ground,) * 3 + (255,))
                upright = Image.alpha_composite(below, upright.convert("RGBA"))
            upright = upright.convert("RGB")
    except Exception as error:  # Pillow's plugins raise what their parsers meet: OSError, SyntaxError, struct.error, …
        raise DataFormatError(f"{path}: the image cannot be decoded ({error}); it may be truncated") from error
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC))
