"""Where objects may be: boxes around segments of the image, and a grid of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError, ArgumentTypeError, MissingExtraError

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float64]

SEGMENT_SCALES = (100.0, 300.0)
"""Felzenszwalb's preference for large segments, small to large; each gives a segmentation of its own."""

MARGINS = (1.0, 1.3)
"""Each segment's box is proposed at these sizes: annotators draw boxes with air around a small object."""

GRID_SIDES = (0.4, 0.2, 0.13, 0.085)
"""Sides of the grid's boxes as parts of the image's shorter side, large ones first."""


def propose(image: Image, count: int = 2000, *, working_side: int = 120) -> Boxes:
    """Propose boxes that may hold an object: segments and their neighbours merged, then grids from coarse to fine.

    Stands in for Selective Search, which the paper takes its 2,000 windows from (arXiv 1406.4729, Section 4.1): the
    same first step (Felzenszwalb's segments), one round of merging instead of a hierarchy, and grids for what has no
    edge of its own.

    Args:
        image: uint8 of shape (H, W, 3).
        count: Boxes returned at most; of a grid that does not fit whole, every so many boxes are taken.
        working_side: The image is shrunk to about this shorter side before it is segmented.

    Returns:
        Boxes x1, y1, x2, y2 between pixel edges, (N, 4), no two alike to the pixel.

    Raises:
        ArgumentError: If the image has another shape, or a number is below 1.
        ArgumentTypeError: If the image is not uint8.
        MissingExtraError: If scikit-image is not installed.

    Example:
        >>> image = np.full((120, 160, 3), 255, np.uint8)
        >>> image[30:70, 50:110] = (200, 0, 0)
        >>> recall([propose(image, 50)], [np.array([[50, 30, 110, 70]])], iou=0.8)
        1.0
    """
    check_image(image)
    if count < 1 or working_side < 1:
        raise ArgumentError(f"count and working_side must be at least 1, got {count} and {working_side}")
    boxes = _unlike(segment_boxes(image, working_side=working_side))[:count]
    for side in GRID_SIDES:
        grid = grid_boxes(image.shape[0], image.shape[1], (side,))
        left = min(count - len(boxes), len(grid))
        boxes = _unlike(np.concatenate([boxes, grid[np.linspace(0, len(grid) - 1, left).astype(int)]]))
    return boxes if len(boxes) else np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])


def grid_boxes(height: int, width: int, sides: Sequence[float] = GRID_SIDES, overlap: float = 0.6) -> Boxes:
    """Return squares of several sizes, each row and column shifted by a part of the side.

    Args:
        height: Of the image.
        width: Of the image.
        sides: Sides of the squares as parts of the shorter side.
        overlap: Part of a square that it shares with the next one.

    Raises:
        ArgumentError: If a side is not between 0 and 1, the overlap not from 0 to below 1, or the image empty.
    """
    if height < 1 or width < 1:
        raise ArgumentError(f"height and width must be at least 1, got {height} and {width}")
    if not sides or not all(0 < side <= 1 for side in sides) or not 0 <= overlap < 1:
        raise ArgumentError(f"sides must lie in (0, 1] and overlap in [0, 1), got {tuple(sides)} and {overlap}")
    boxes = []
    for part in sides:
        side = part * min(height, width)
        rows, columns = (
            np.linspace(0, length - side, 1 + int(np.ceil((length - side) / (side * (1 - overlap)))))
            for length in (height, width)
        )
        y, x = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
        boxes.append(np.stack([x, y, x + side, y + side], axis=1))
    return np.concatenate(boxes)


def segment_boxes(image: Image, scales: Sequence[float] = SEGMENT_SCALES, *, working_side: int = 120) -> Boxes:
    """Return the boxes around Felzenszwalb's segments and around every two that touch, with and without a margin.

    Args:
        image: uint8 of shape (H, W, 3).
        scales: Preference for large segments; each gives a segmentation of its own.
        working_side: The image is shrunk until its shorter side is this long.

    Raises:
        ArgumentError: If the image has another shape.
        ArgumentTypeError: If the image is not uint8.
        MissingExtraError: If scikit-image is not installed.
    """
    check_image(image)
    try:
        from skimage.segmentation import felzenszwalb
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "proposals need scikit-image; install it with: pip install 'cenote[pooling]'"
        ) from error
    height, width = image.shape[:2]
    step = max(1, round(min(height, width) / working_side))
    small = image[::step, ::step].astype(np.float64) / 255
    found = []
    for scale in scales:
        labels = felzenszwalb(small, scale=scale, sigma=0.8, min_size=20, channel_axis=2)
        own = _around(labels)
        first, second = (own[labels] for labels in _touching(labels))
        merged = np.concatenate([np.minimum(first[:, :2], second[:, :2]), np.maximum(first[:, 2:], second[:, 2:])], 1)
        found += [own, merged]
    boxes = step * np.concatenate(found)
    return np.concatenate([_widened(boxes, margin).clip(0, [width, height, width, height]) for margin in MARGINS])


def recall(proposals: Sequence[Boxes], objects: Sequence[Boxes], iou: float = 0.5) -> float:
    """Return the part of all objects that some proposal overlaps enough; a detector cannot find more.

    Args:
        proposals: For each image its boxes.
        objects: For each image its objects.
        iou: Least intersection over union.
    """
    from cenote.pooling.spp_net.average_precision import intersection_over_union

    best = [
        intersection_over_union(np.asarray(wanted, np.float64).reshape(-1, 4), boxes).max(axis=1, initial=0.0)
        for boxes, wanted in zip(proposals, objects, strict=True)
    ]
    together = np.concatenate(best) if best else np.empty(0)
    return float(np.mean(together >= iou)) if len(together) else float("nan")


def check_image(image: Image) -> None:
    """Check that an image is uint8 of shape (H, W, 3).

    Raises:
        ArgumentError: If it has another shape.
        ArgumentTypeError: If it has another type.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ArgumentTypeError(f"image must be uint8, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArgumentError(f"image must have the shape (H, W, 3), got {image.shape}")


def _around(labels: npt.NDArray[np.int64]) -> Boxes:
    """The box around each label, in the order of the labels."""
    from scipy.ndimage import find_objects

    slices = find_objects(labels + 1)
    return np.array([[x.start, y.start, x.stop, y.stop] for y, x in slices], np.float64)


def _touching(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The pairs of labels that lie side by side somewhere."""
    sides = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    pairs = np.concatenate([np.stack([a[a != b], b[a != b]], axis=1) for a, b in sides])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _widened(boxes: Boxes, factor: float) -> Boxes:
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([centre - factor * half, centre + factor * half], axis=1)


def _unlike(boxes: Boxes) -> Boxes:
    """Drop boxes that were there before, and those thinner than four pixels."""
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= 4]
    _, first = np.unique(boxes.round(), axis=0, return_index=True)
    return boxes[np.sort(first)]
