"""Images with boxes: what every detection loader returns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, DataFormatError
from cenote.lab.data.images import ORDER_SEED


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image.

    Attributes:
        boxes: ``float64`` x1, y1, x2, y2 in pixels between pixel edges, counted from 0, shape ``(N, 4)``: the first
            pixel of an image reaches from 0 to 1.
        labels: ``int64`` positions in the data set's ``classes``, shape ``(N,)``.
        difficult: Objects that count neither as found nor as missed, ``bool``, shape ``(N,)``.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ArgumentError(f"boxes: got shape {self.boxes.shape}, needs (N, 4)")
        for name, each in (("labels", self.labels), ("difficult", self.difficult)):
            if each.shape != self.boxes.shape[:1]:
                raise ArgumentError(f"{name}: got shape {each.shape}, needs {self.boxes.shape[:1]}: one for each box")

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, label: int) -> Objects:
        """Return the objects of one class."""
        mine = self.labels == label
        return Objects(self.boxes[mine], self.labels[mine], self.difficult[mine])


@dataclass(frozen=True, eq=False)
class DetectionSplit:
    """Images of any sizes with their objects; an image is decoded each time it is asked for.

    Attributes:
        names: Name of each image.
        objects: The objects of each image.
        read: Returns the image of an index, ``uint8`` of shape ``(H, W, 3)``.
    """

    names: tuple[str, ...]
    objects: tuple[Objects, ...]
    read: Callable[[int], NDArray[np.uint8]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return an image, ``uint8`` of shape ``(H, W, 3)``.

        Raises:
            DataFormatError: If it cannot be decoded.
        """
        return self.read(index)

    def first(self, count: int) -> DetectionSplit:
        """Return the first images of a fixed shuffle, all of them where there are fewer."""
        order = np.argsort(np.random.PCG64(ORDER_SEED).random_raw(len(self)), kind="stable")[:count]
        chosen = [int(index) for index in order]
        return DetectionSplit(
            tuple(self.names[index] for index in chosen),
            tuple(self.objects[index] for index in chosen),
            lambda index: self.read(chosen[index]),
        )


@dataclass(frozen=True, eq=False)
class ObjectDetection:
    """A data set for object detection.

    Attributes:
        name: The name it was loaded by.
        classes: Names of the classes; a label is a position in this tuple.
        train: What a detector learns from.
        test: What it is measured on.
        note: What a reader of a result must know about this copy of the data, empty if nothing.
    """

    name: str
    classes: tuple[str, ...]
    train: DetectionSplit
    test: DetectionSplit
    note: str = ""

    def __post_init__(self) -> None:
        for name, split in (("train", self.train), ("test", self.test)):
            labels = np.concatenate([np.empty(0, np.int64), *(each.labels for each in split.objects)])
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
                raise ArgumentError(f"{name}: labels reach to {labels.max()}, allowed are 0 to {len(self.classes) - 1}")

    def subset(self, train: int, test: int) -> ObjectDetection:
        """Return the first images of a fixed shuffle of each split, all of them where there are fewer."""
        return ObjectDetection(self.name, self.classes, self.train.first(train), self.test.first(test), self.note)

    def checksum(self) -> str:
        """Return the SHA-256 over names, decoded images and objects as hexadecimal digits."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            for index, (name, objects) in enumerate(zip(split.names, split.objects, strict=True)):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(split.image(index)).data)
                digest.update(np.ascontiguousarray(objects.boxes, dtype="<f8").data)
                digest.update(np.ascontiguousarray(objects.labels, dtype="<i8").data)
                digest.update(objects.difficult.tobytes())
        return digest.hexdigest()


def objects_of(rows: Sequence[tuple[float, float, float, float, int, bool]]) -> Objects:
    """Return objects of rows x1, y1, x2, y2, label, difficult."""
    return Objects(
        np.array([row[:4] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[4] for row in rows], np.int64),
        np.array([row[5] for row in rows], bool),
    )


def without_degenerate(objects: Objects) -> tuple[Objects, int]:
    """Return the objects whose box has an area, and how many have none."""
    real = (objects.boxes[:, 2:] > objects.boxes[:, :2]).all(axis=1)
    return Objects(objects.boxes[real], objects.labels[real], objects.difficult[real]), int((~real).sum())


def clipped(objects: Objects, width: int, height: int) -> Objects:
    """Return the objects with their boxes held within the image."""
    return Objects(objects.boxes.clip(0, [width, height, width, height]), objects.labels, objects.difficult)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image in colour, as it lies in the file: boxes were drawn without regard to its EXIF orientation.

    Raises:
        DataFormatError: If it cannot be decoded, or is grey with more than 8 bits a pixel.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":  # Pillow would cut values at 255, and show white
                raise DataFormatError(f"{path}: has more than 8 bits a pixel ({image.mode}); save it with 8")
            return np.asarray(image.convert("RGB"))
    except DataFormatError:
        raise
    except Exception as error:  # Pillow's plugins raise what their parsers meet: OSError, SyntaxError, struct.error, …
        raise DataFormatError(f"{path}: the image cannot be decoded ({error}); it may be truncated") from error


def left_out_note(count: int, total: int) -> Iterator[str]:
    """Say how many boxes have no area, if any."""
    if count:
        yield f"{count} of {total:,} boxes {'has no area and is' if count == 1 else 'have no area and are'} left out."
