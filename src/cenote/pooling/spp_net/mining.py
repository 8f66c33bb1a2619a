"""SVMs that see every proposed window of the training images, in one pass, and keep the hard ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from cenote.errors import ArgumentError
from cenote.pooling.spp_net.detector import SPPDetector
from cenote.pooling.spp_net.heads import LinearSVMHead, SoftmaxHead
from cenote.pooling.spp_net.proposals import propose
from cenote.pooling.spp_net.sampling import label_windows
from cenote.pooling.spp_net.training import AnnotatedImages, Boxed, Progress, Proposals, StackedSVM, silent

NEGATIVE = 0.3
"""A negative overlaps every object of the class by less."""

ALIKE = 0.7
"""A negative that overlaps one before it by more is left out."""


def fit_svm_head(
    detector: SPPDetector,
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: Proposals | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> StackedSVM:
    """Fit linear SVMs to the hidden layer of a detector's softmax head, with hard negatives of all proposed windows.

    Positives are the objects themselves. Negatives are the proposals that overlap every object of the class by less
    than 0.3; one that overlaps another by more than 0.7 is left out (arXiv 1406.4729, Section 4.1). One pass over the
    images collects those that the SVMs so far do not tell apart, see ``LinearSVMHead``. Difficult objects are no
    positives, and windows on them no negatives. A class without an object is never found.

    Differs from ``train_detector`` with ``head="svm"``, whose SVMs see the sample of windows that its softmax head
    learned from.

    Args:
        detector: One with a softmax head, or with SVMs on one; it is not changed.
        images: The training images.
        objects: Their objects, in the same order.
        proposals: Windows of each image; up to 2,000 are proposed if left out.
        seed: Decides the order in which the solver looks at windows.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The head, to be set as ``detector.head``.

    Raises:
        ArgumentError: If the detector has no softmax head, images, objects and proposals are not as many, there is no
            object, or a class has no negative.
    """
    progress = progress or silent
    softmax = detector.head.softmax if isinstance(detector.head, StackedSVM) else detector.head
    if not isinstance(softmax, SoftmaxHead):
        raise ArgumentError("detector must have a softmax head whose hidden layer the SVMs can read")
    if len(images) != len(objects) or (proposals is not None and len(proposals) != len(images)):
        given = (len(images), len(objects), *(() if proposals is None else (len(proposals),)))
        raise ArgumentError(f"images, objects and proposals must be as many, got {', '.join(map(str, given))}")
    positives, labels = _positives(detector, softmax, images, objects, progress)
    present, of_present = torch.unique(labels, return_inverse=True)
    if not len(present):
        raise ArgumentError("objects must have at least one that is not difficult, got none")
    negatives = _negatives(detector, softmax, images, objects, proposals, present.tolist(), progress)
    fitted = LinearSVMHead.fit(negatives, (positives, of_present), len(present), seed=seed)
    return StackedSVM(softmax, _with_absent(fitted, present, len(detector.classes)))


def _positives(
    detector: SPPDetector, softmax: SoftmaxHead, images: AnnotatedImages, objects: Sequence[Boxed], progress: Progress
) -> tuple[Tensor, Tensor]:
    """Hidden features of the objects, and their classes."""
    parts, labels = [torch.empty(0, softmax.first.out_features)], [torch.empty(0, dtype=torch.int64)]
    for index, own in enumerate(objects):
        easy = ~own.difficult
        if easy.any():
            boxes = torch.from_numpy(own.boxes[easy]).float()
            parts.append(softmax.hidden(detector.features(images.image(index), boxes)).detach())
            labels.append(torch.from_numpy(own.labels[easy]))
        progress("objects", index + 1, len(objects))
    return torch.cat(parts), torch.cat(labels)


def _negatives(
    detector: SPPDetector,
    softmax: SoftmaxHead,
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: Proposals | None,
    present: Sequence[int],
    progress: Progress,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Hidden features of each image's proposals, and their overlap with each class that has an object."""
    for index, own in enumerate(objects):
        image = images.image(index)
        windows = propose(image) if proposals is None else proposals[index]
        overlaps = label_windows(windows, own.boxes, own.labels, len(detector.classes)).overlaps[:, present]
        boxes = torch.from_numpy(windows).float()
        hidden = softmax.hidden(detector.features(image, boxes)).detach()
        yield hidden, _unlike(boxes, torch.from_numpy(overlaps))
        progress("hard negatives", index + 1, len(objects))


def _unlike(boxes: Tensor, overlaps: Tensor) -> Tensor:
    """Overlaps in which a negative that is like one before it counts as covered by an object, and so as no negative."""
    marked = torch.ones_like(overlaps)
    for k in range(overlaps.shape[1]):
        rows = (overlaps[:, k] < NEGATIVE).nonzero()[:, 0]
        order = -torch.arange(len(rows), dtype=boxes.dtype)  # the first of those alike is kept
        kept = rows[nms(boxes[rows], order, ALIKE)]
        marked[kept, k] = overlaps[kept, k]
    return marked


def _with_absent(svm: LinearSVMHead, present: Tensor, classes: int) -> LinearSVMHead:
    """The SVMs of all classes; one without an object scores below any threshold."""
    weight = svm.weight.new_zeros(classes, svm.weight.shape[1])
    bias = svm.bias.new_full((classes,), -np.inf)
    weight[present], bias[present] = svm.weight, svm.bias
    return LinearSVMHead(weight, bias, svm.scale)
