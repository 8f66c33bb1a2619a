"""Objects seen from several sides with their grids of occupied cells: what every multi-view loader returns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError

Views = NDArray[np.uint8]
"""(V, H, W, C), in the order in which the source numbers them."""

Grid = NDArray[np.bool_]
"""(R, R, R), True where a cell is occupied; axes x, y (up) and z."""


@dataclass(frozen=True, eq=False)
class ShapeSplit:
    """Objects, whose views and grids are read or drawn where they are asked for.

    Attributes:
        names: Name of each object.
        views: Returns the views of the object at a position.
        grid: Returns its grid.
    """

    names: tuple[str, ...]
    views: Callable[[int], Views]
    grid: Callable[[int], Grid]

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int) -> ShapeSplit:
        """Return the first objects, all of them where there are fewer."""
        return replace(self, names=self.names[:count])


@dataclass(frozen=True, eq=False)
class MultiViewShapes:
    """A data set for reconstruction from several views.

    Attributes:
        name: The name it was loaded by.
        train: What a network learns from.
        test: What it is measured on; no object is in both.
        note: What a reader of a result must know about this copy of the data, empty if nothing.
    """

    name: str
    train: ShapeSplit
    test: ShapeSplit
    note: str = ""

    def __post_init__(self) -> None:
        both = set(self.train.names) & set(self.test.names)
        if both:
            raise ArgumentError(f"test: {min(both)} is among the objects for training, and {len(both) - 1} more are")

    def subset(self, train: int, test: int) -> MultiViewShapes:
        """Return the first objects of each split, all of them where there are fewer."""
        return replace(self, train=self.train.first(train), test=self.test.first(test))

    def checksum(self) -> str:
        """Return the SHA-256 over names, views and grids as hexadecimal digits."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            for index, name in enumerate(split.names):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(split.views(index)).data)
                digest.update(np.packbits(split.grid(index)).data)
        return digest.hexdigest()
