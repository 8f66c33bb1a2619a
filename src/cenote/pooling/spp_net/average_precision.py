"""Average precision as Pascal VOC measures it: 11 points (until 2009) or the whole curve (since 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError

Interpolation = Literal["all-points", "11-point"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """The detections of one class over all images, best first.

    Attributes:
        scores: Falling, (N,).
        hits: Whether each found an object that none before it had found, (N,).
        images: Index of the image of each, (N,).
        objects: Objects to be found in each image, difficult ones left out.
    """

    scores: Floats
    hits: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]

    def without(self, image: int) -> Ranked:
        """Return the same of all images but one."""
        kept = self.images != image
        objects = self.objects.copy()
        objects[image] = 0
        return Ranked(self.scores[kept], self.hits[kept], self.images[kept], objects)

    def curve(self) -> tuple[Floats, Floats]:
        """Return recall and precision after each detection."""
        found = np.cumsum(self.hits, dtype=np.float64)
        return found / max(int(self.objects.sum()), 1), found / np.arange(1, len(found) + 1)

    def average_precision(self, interpolation: Interpolation = "all-points") -> float:
        """Return the average precision; NaN where there is no object.

        Raises:
            ArgumentError: If the interpolation is unknown.
        """
        if interpolation not in get_args(Interpolation):
            raise ArgumentError(f"interpolation must be 'all-points' or '11-point', got {interpolation!r}")
        if not self.objects.sum():
            return float("nan")
        return interpolated(*self.curve(), interpolation)


def average_precision(
    detections: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    objects: Sequence[npt.ArrayLike],
    *,
    difficult: Sequence[npt.ArrayLike] | None = None,
    iou: float = 0.5,
    interpolation: Interpolation = "all-points",
) -> float:
    """Return the average precision of one class over images, as Pascal VOC defines it.

    Detections of all images are ranked by score. One is a hit if the object it overlaps most does so by at least
    ``iou`` and was not found before; a second hit on an object is a false positive. Difficult objects count neither as
    found nor as missed. Boxes lie between pixel edges, so no 1 is added to a width.

    Args:
        detections: For each image the boxes (N, 4) and their scores (N,).
        objects: For each image the boxes (M, 4) of the class.
        difficult: For each image which of its objects are difficult, (M,); none if left out.
        iou: Least intersection over union.
        interpolation: ``all-points``, the area under the curve made falling (VOC 2010 and later), or ``11-point``, the
            mean at recall 0, 0.1 … 1 (VOC 2007, the paper's).

    Returns:
        The average precision; NaN where there is no object to be found.

    Raises:
        ArgumentError: If the numbers of images, boxes and scores do not fit together, a score is NaN, or the
            interpolation is unknown.

    Example:
        >>> boxes = [[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30]]
        >>> found = [(boxes, [0.9, 0.8, 0.7])]
        >>> round(average_precision(found, [[boxes[0], boxes[2]]], interpolation="11-point"), 4)
        0.8485
    """
    return rank(detections, objects, difficult=difficult, iou=iou).average_precision(interpolation)


def image_shares(ranked: Sequence[Ranked]) -> Floats:
    """Return what each image adds to the mean average precision, as the jackknife's pseudo-values.

    With n images and the mean over classes θ, image i has n θ - (n - 1) θ₋ᵢ, where θ₋ᵢ is measured without it. Their
    mean estimates θ, and they can be compared image by image, as θ itself cannot.

    Args:
        ranked: The ranked detections of each class over the same images.
    """
    images = len(ranked[0].objects)
    whole = mean_average_precision(ranked)
    without = [mean_average_precision([each.without(image) for each in ranked]) for image in range(images)]
    return images * whole - (images - 1) * np.array(without)


def mean_average_precision(ranked: Sequence[Ranked], interpolation: Interpolation = "all-points") -> float:
    """Return the mean over the classes that have an object; NaN where none has.

    Raises:
        ArgumentError: If the interpolation is unknown.
    """
    values = [each.average_precision(interpolation) for each in ranked]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def rank(
    detections: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    objects: Sequence[npt.ArrayLike],
    *,
    difficult: Sequence[npt.ArrayLike] | None = None,
    iou: float = 0.5,
) -> Ranked:
    """Match one class's detections with its objects; see ``average_precision``.

    Raises:
        ArgumentError: If the numbers of images, boxes and scores do not fit together, or a score is NaN.
    """
    if len(detections) != len(objects) or (difficult is not None and len(difficult) != len(objects)):
        raise ArgumentError(f"detections and objects must be of as many images, got {len(detections)}, {len(objects)}")
    scores, hits, images, counts = [np.empty(0)], [np.empty(0, bool)], [np.empty(0, np.int64)], []
    for index, ((boxes, own), wanted) in enumerate(zip(detections, objects, strict=True)):
        truth = _boxes("objects", wanted)
        hard = np.zeros(len(truth), bool) if difficult is None else np.asarray(difficult[index], bool).reshape(-1)
        if len(hard) != len(truth):
            raise ArgumentError(f"difficult must have one value for each object, image {index} has {len(hard)}")
        values, outcome = _match(_boxes("detections", boxes), np.asarray(own, np.float64).reshape(-1), truth, hard, iou)
        scores.append(values)
        hits.append(outcome)
        images.append(np.full(len(values), index))
        counts.append(int((~hard).sum()))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Ranked(
        np.concatenate(scores)[order], np.concatenate(hits)[order], np.concatenate(images)[order], np.array(counts, int)
    )


def _match(
    boxes: Floats, scores: Floats, truth: Floats, difficult: npt.NDArray[np.bool_], iou: float
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Scores and hits of one image's detections; those on difficult objects are dropped."""
    if len(boxes) != len(scores):
        raise ArgumentError(f"detections must have a score for each box, got {len(scores)} for {len(boxes)}")
    if np.isnan(scores).any():
        raise ArgumentError("detections must not have a score that is NaN")
    order = np.argsort(-scores, kind="stable")
    overlaps = intersection_over_union(boxes[order], truth)
    found = np.zeros(len(truth), bool)
    kept, hits = [], []
    for row, position in zip(overlaps, order, strict=True):
        best = int(row.argmax()) if len(truth) else -1
        overlapping = best >= 0 and row[best] >= iou
        if overlapping and difficult[best]:
            continue
        hit = bool(overlapping and not found[best])
        if hit:
            found[best] = True
        kept.append(position)
        hits.append(hit)
    return scores[np.array(kept, int)], np.array(hits, bool)


def interpolated(recall: Floats, precision: Floats, interpolation: Interpolation) -> float:
    """Return the area under a curve whose precision is made falling, or its mean at eleven recalls."""
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation == "11-point":
        # A recall of 0.3 is stored as 0.29999… now and then; counts of objects are far coarser than this.
        starts = np.searchsorted(recall, np.linspace(0, 1, 11) - 1e-9)
        return float(np.mean([best_from_here[start] if start < len(recall) else 0.0 for start in starts]))
    return float(np.sum(np.diff(recall, prepend=0.0) * best_from_here))


def intersection_over_union(a: Floats, b: Floats) -> Floats:
    """Return the overlaps (N, M) of boxes (N, 4) with boxes (M, 4); 0 where both are empty."""
    corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    common = corner.clip(min=0).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).clip(min=0).prod(axis=1) for each in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - common
    overlaps: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return overlaps


def _boxes(argument: str, values: npt.ArrayLike) -> Floats:
    boxes = np.asarray(values, np.float64)
    if boxes.size == 0:
        return np.empty((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ArgumentError(f"{argument} must have boxes of shape (N, 4), got {boxes.shape}")
    return boxes
