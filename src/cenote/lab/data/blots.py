"""Made-up photographs of blots in three sizes, for detection without a download; no evidence for any claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.lab.data.detection import DetectionSplit, ObjectDetection, Objects, objects_of

CLASSES = ("dark", "pale", "speck")
TRAIN, TEST, HEIGHT, WIDTH = 96, 72, 96, 128

_RADII = {"pale": (9, 13), "dark": (15, 21), "speck": (4, 6)}
_COLOURS = {"pale": (205, 130, 140), "dark": (110, 60, 150), "speck": (130, 80, 165)}
_COUNTS = {"pale": (3, 6), "dark": (1, 2), "speck": (0, 2)}


def load(root: Path | None = None) -> ObjectDetection:
    """Draw the images: blots on a light ground with noise, of the kinds a blood smear shows, always the same ones.

    Args:
        root: Not used; nothing is read.
    """
    drawn = [_draw(index) for index in range(TRAIN + TEST)]
    return ObjectDetection(
        "blots", CLASSES, _split(drawn[:TRAIN], 0), _split(drawn[TRAIN:], TRAIN), "Made-up images, not photographs."
    )


def _split(drawn: list[tuple[NDArray[np.uint8], Objects]], first: int) -> DetectionSplit:
    names = tuple(f"blots-{first + index:03d}" for index in range(len(drawn)))
    return DetectionSplit(names, tuple(objects for _, objects in drawn), lambda index: drawn[index][0])


def _draw(seed: int) -> tuple[NDArray[np.uint8], Objects]:
    # random_raw is the one stream numpy promises to keep.
    raw = iter(np.random.PCG64(seed).random_raw(400) / 2**64)
    image = np.full((HEIGHT, WIDTH, 3), (232, 214, 210), np.float64)
    rows = []
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for label, name in enumerate(CLASSES):
        for _ in range(_between(_COUNTS[name], next(raw))):
            height, width = (_between(_RADII[name], next(raw)) for _ in range(2))
            top, left = next(raw) * (HEIGHT - 2 * height), next(raw) * (WIDTH - 2 * width)
            inside = ((y - top - height) / height) ** 2 + ((x - left - width) / width) ** 2 <= 1
            image[inside] = np.array(_COLOURS[name]) + 30 * (next(raw) - 0.5)
            rows.append((left, top, left + 2 * width, top + 2 * height, label, False))
    noise = (np.random.PCG64(10_000 + seed).random_raw(image.size) / 2**64).reshape(image.shape)
    return (image + 16 * (noise - 0.5)).clip(0, 255).astype(np.uint8), objects_of(rows)


def _between(ends: tuple[int, int], part: float) -> int:
    low, high = ends
    return low + int(part * (high - low + 1))
