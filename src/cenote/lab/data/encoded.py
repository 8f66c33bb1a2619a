"""Images kept as the bytes of their files and decoded when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cenote.errors import DataFormatError
from cenote.lab.data.images import ImageSplit

_FORMATS = ("JPEG", "PNG")
_JPEG = b"\xff\xd8"
_MODES = {1: "L", 3: "RGB"}


class EncodedSplit(ImageSplit):
    """A split whose images are decoded on first use; ``take``, and so a subset, decodes only what it returns.

    All 60,000 images of CIFAR-10 take about ten seconds of one core, a subset of 2,000 a third of one. A damaged image
    therefore raises ``DataFormatError`` where the images are used, not where the data set is loaded.

    Attributes:
        encoded: Each image as the bytes of a JPEG or PNG file.
        files: Where the images are from: the name of each source and how many it holds, in order.
    """

    encoded: Sequence[bytes]
    files: Sequence[tuple[str, int]]
    _image_shape: tuple[int, int, int]

    def __init__(
        self,
        encoded: Sequence[bytes],
        labels: NDArray[np.int64],
        image_shape: tuple[int, int, int],
        files: Sequence[tuple[str, int]],
    ) -> None:
        # The parent is a frozen dataclass: it has no other way to set an attribute.
        vars(self).update(encoded=encoded, labels=labels, _image_shape=image_shape, files=files)

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """All images, ``uint8`` of shape ``(N, H, W, C)``."""
        return self._decode(np.arange(len(self)))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ``(H, W, C)`` of one image."""
        return self._image_shape

    @property
    def is_jpeg(self) -> bool:
        """Whether any image is JPEG-coded, and so not what its author had."""
        return any(content.startswith(_JPEG) for content in self.encoded)

    def take(self, indices: NDArray[np.int64]) -> ImageSplit:
        """Return the decoded images at these positions, in this order."""
        if "images" in vars(self):
            return super().take(indices)
        return ImageSplit(self._decode(indices), self.labels[indices])

    def _decode(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        # One thread: for images this small Pillow spends its time in Python, and threads only wait for each other.
        images = np.empty((len(indices), *self._image_shape), np.uint8)
        for position, index in enumerate(indices):
            images[position] = self._decode_one(int(index))
        return images

    def _decode_one(self, index: int) -> NDArray[np.uint8]:
        height, width, channels = self._image_shape
        try:
            with Image.open(io.BytesIO(self.encoded[index]), formats=_FORMATS) as image:
                pixels = np.asarray(image if image.mode == _MODES[channels] else image.convert(_MODES[channels]))
        except Exception as error:  # Pillow's plugins raise what their parsers meet: OSError, SyntaxError, …
            raise DataFormatError(f"{self._source(index)}: the image cannot be decoded ({error})") from error
        if pixels.shape[:2] != (height, width):
            raise DataFormatError(
                f"{self._source(index)}: the image is {pixels.shape[1]}×{pixels.shape[0]}, needs {width}×{height}"
            )
        return pixels.reshape(self._image_shape)

    def _source(self, index: int) -> str:
        row = index
        for name, count in self.files:
            if row < count:
                return f"{name}, row {row}"
            row -= count
        raise IndexError(index)
