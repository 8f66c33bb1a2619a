"""Which windows a detector learns from: those that overlap an object by half, and others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cenote.pooling.spp_net.average_precision import intersection_over_union

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

POSITIVE = 0.5
"""Least overlap of a window that shows an object."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of an image with the object that each overlaps most.

    Attributes:
        boxes: (N, 4).
        labels: 0 for the background, 1 + k for class k, (N,).
        objects: The object of each window, (N, 4); the window itself where there is none.
        overlaps: Largest overlap with the objects of each class, (N, K).
    """

    boxes: Floats
    labels: Labels
    objects: Floats
    overlaps: Floats

    def take(self, rows: Labels) -> Windows:
        """Return the windows of these rows."""
        return Windows(self.boxes[rows], self.labels[rows], self.objects[rows], self.overlaps[rows])

    @property
    def tensor(self) -> Tensor:
        """The boxes as float32."""
        return torch.from_numpy(self.boxes).float()


def label_windows(boxes: Floats, objects: Floats, labels: Labels, classes: int) -> Windows:
    """Give each window the class of the object it overlaps most, if by at least half.

    Args:
        boxes: (N, 4).
        objects: (M, 4).
        labels: Class of each object, from 0, (M,).
        classes: Number of classes.
    """
    overlaps = intersection_over_union(boxes, objects)
    by_class = np.stack([overlaps[:, labels == k].max(axis=1, initial=0.0) for k in range(classes)], axis=1)
    if not len(objects):
        return Windows(boxes, np.zeros(len(boxes), np.int64), boxes, by_class)
    best = overlaps.argmax(axis=1)
    shows = overlaps.max(axis=1) >= POSITIVE
    found = np.where(shows, labels[best] + 1, 0)
    return Windows(boxes, found, np.where(shows[:, None], objects[best], boxes), by_class)


def sample_windows(windows: Windows, foreground: int, background: int, rng: np.random.Generator) -> Windows:
    """Draw at most so many windows that show objects and others, of the latter half that touch an object by 0.1.

    Classes take turns, so that a rare one is not lost among a frequent one's windows.
    """
    shows = _in_turns(windows.labels, rng)[:foreground]
    nothing = rng.permutation(np.flatnonzero(windows.labels == 0))
    touching = windows.overlaps[nothing].max(axis=1, initial=0.0) >= 0.1
    near = nothing[touching][: background // 2]
    far = nothing[~touching][: background - len(near)]
    return windows.take(np.sort(np.concatenate([shows, near, far]).astype(np.int64)))


def _in_turns(labels: Labels, rng: np.random.Generator) -> Labels:
    """Rows of windows that show an object: the first of each class, the second of each, and so on."""
    rows = rng.permutation(np.flatnonzero(labels > 0))
    turn = np.zeros(len(rows), np.int64)
    for label in np.unique(labels[rows]):
        mine = labels[rows] == label
        turn[mine] = np.arange(mine.sum())
    return rows[np.argsort(turn, kind="stable")].astype(np.int64)


def around_objects(objects: Floats, copies: int, height: int, width: int, rng: np.random.Generator) -> Floats:
    """Return objects and shifted, stretched copies of each, held within the image; most overlap it by half."""
    size = objects[:, 2:] - objects[:, :2]
    centre = (objects[:, :2] + objects[:, 2:]) / 2
    moved = [objects]
    for _ in range(copies):
        middle = centre + size * rng.uniform(-0.15, 0.15, centre.shape)
        half = size * np.exp(rng.uniform(-0.2, 0.2, size.shape)) / 2
        moved.append(np.concatenate([middle - half, middle + half], axis=1))
    boxes = np.concatenate(moved).clip(0, [width, height, width, height])
    large: Floats = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= 2]
    return large
