"""What a trained detector finds on images whose objects are known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cenote.pooling.spp_net.average_precision import Ranked, mean_average_precision, rank
from cenote.pooling.spp_net.detector import Detections, SPPDetector
from cenote.pooling.spp_net.heads import SoftmaxHead
from cenote.pooling.spp_net.proposals import propose, recall
from cenote.pooling.spp_net.training import AnnotatedImages, Boxed, Progress

_MOST = 200
"""Boxes kept of an image; those of all images are ranked, so more than are worth drawing."""


@dataclass(frozen=True)
class Row:
    """How well one class is found, or all of them on average.

    Attributes:
        name: The class; ``mean`` for the mean over classes.
        all_points: Average precision, the area under the whole curve.
        eleven_points: Average precision as Pascal VOC measured it until 2009.
        recall: Part of the objects that some proposal overlaps by half; none for the mean.
    """

    name: str
    all_points: float
    eleven_points: float
    recall: float | None


@dataclass(frozen=True)
class Measurement:
    """What was found on a list of images.

    Attributes:
        classes: Names of the classes.
        found: The detections in each image.
        ranked: The ranked detections of each class.
        recalls: Recall of the proposals for each class.
        milliseconds: Median time for the windows of an image, without proposing them.
    """

    classes: tuple[str, ...]
    found: tuple[Detections, ...]
    ranked: tuple[Ranked, ...]
    recalls: tuple[float, ...]
    milliseconds: float

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes that no image shows, so that nothing is known of them."""
        return tuple(name for name, each in zip(self.classes, self.ranked, strict=True) if not each.objects.sum())

    def rows(self) -> Iterator[Row]:
        """Return a row for each class that has an object, then one for the mean."""
        for name, each, found in zip(self.classes, self.ranked, self.recalls, strict=True):
            if each.objects.sum():
                yield Row(name, each.average_precision(), each.average_precision("11-point"), found)
        both = mean_average_precision(self.ranked), mean_average_precision(self.ranked, "11-point")
        yield Row("mean", *both, None)


def measure_detector(
    detector: SPPDetector,
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: int,
    *,
    progress: Progress,
) -> Measurement:
    """Detect objects in images and compare them with the known ones at an overlap of 0.5.

    Args:
        detector: One with a head.
        images: The images.
        objects: Their objects, in the same order.
        proposals: Proposed windows of an image.
        progress: Called as images are done.
    """
    least, _ = score_limits(detector)
    found, windows, seconds = [], [], []
    for index in range(len(images)):
        image = images.image(index)
        windows.append(propose(image, proposals))
        start = time.perf_counter()
        found.append(detector.detect(image, windows[-1], score=least, most=_MOST))
        seconds.append(time.perf_counter() - start)
        progress("testing", index + 1, len(images))
    ranked, recalls = [], []
    for label in range(len(detector.classes)):
        own = [each.labels == label for each in objects]
        boxes = [each.boxes[mine] for each, mine in zip(objects, own, strict=True)]
        hard = [each.difficult[mine] for each, mine in zip(objects, own, strict=True)]
        ranked.append(rank([each.of(label) for each in found], boxes, difficult=hard))
        recalls.append(recall(windows, [box[~each] for box, each in zip(boxes, hard, strict=True)]))
    median = 1e3 * float(np.median(seconds))
    return Measurement(detector.classes, tuple(found), tuple(ranked), tuple(recalls), median)


def score_limits(detector: SPPDetector) -> tuple[float, float]:
    """Return the scores from which a box is ranked, and from which it is shown.

    A softmax head scores by probability, SVMs by the distance to their plane.
    """
    return (0.02, 0.5) if isinstance(detector.head, SoftmaxHead) else (-1.0, 0.0)


def surer_than(found: Detections, score: float) -> Detections:
    """Return the detections with at least this score."""
    kept = found.scores >= score
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])
