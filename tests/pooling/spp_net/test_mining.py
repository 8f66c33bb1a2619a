"""SVMs see every proposal that is no object, once; against brute force over boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.lab import data
from cenote.lab.data.detection import Objects, objects_of
from cenote.pooling import ConvStack, LinearSVMHead, SoftmaxHead, SPPDetector, fit_svm_head
from cenote.pooling.spp_net.average_precision import intersection_over_union
from cenote.pooling.spp_net.mining import _unlike
from cenote.pooling.spp_net.proposals import propose

BLOTS = data.load("blots").train.first(5)
CLASSES = data.load("blots").classes
PROPOSALS = [propose(BLOTS.image(index), 60) for index in range(len(BLOTS))]


@pytest.fixture
def detector() -> SPPDetector:
    """One with random weights, which is all that the SVMs need."""
    found = SPPDetector(ConvStack((6, 8), (2, 2)), (2, 1), CLASSES, (96,), expected_side=40)
    found.backbone.requires_grad_(False)
    found.head = SoftmaxHead(8 * 5, len(CLASSES), hidden=12).eval().requires_grad_(False)
    return found


def hidden(detector: SPPDetector, index: int, boxes: np.ndarray) -> Tensor:
    assert isinstance(detector.head, SoftmaxHead)
    return detector.head.hidden(detector.features(BLOTS.image(index), torch.from_numpy(boxes).float())).detach()


def negatives(boxes: np.ndarray, own: Objects, label: int) -> list[int]:
    """Rows of the proposals far from the class's objects, without those like one before them."""
    rows: list[int] = []
    for row, box in enumerate(boxes):
        if intersection_over_union(box[None], own.of(label).boxes).max(initial=0) >= 0.3:
            continue
        if all(intersection_over_union(box[None], boxes[None, each]).item() <= 0.7 for each in rows):
            rows.append(row)
    return rows


def test_every_proposal_that_is_no_object_is_a_negative(detector: SPPDetector) -> None:
    """Each class by itself, on negatives that are counted out one by one."""
    head = fit_svm_head(detector, BLOTS, BLOTS.objects, PROPOSALS, seed=3)
    assert head.softmax is detector.head
    labels = torch.from_numpy(np.concatenate([each.labels for each in BLOTS.objects]))
    objects = torch.cat([hidden(detector, index, each.boxes) for index, each in enumerate(BLOTS.objects)])
    images = []
    for index, own in enumerate(BLOTS.objects):
        overlaps = torch.ones(len(PROPOSALS[index]), len(CLASSES))
        for label in range(len(CLASSES)):
            overlaps[negatives(PROPOSALS[index], own, label), label] = 0
        images.append((hidden(detector, index, PROPOSALS[index]), overlaps))
    expected = LinearSVMHead.fit(images, (objects, labels), len(CLASSES), seed=3)
    torch.testing.assert_close(head.svm.weight, expected.weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(head.svm.bias, expected.bias, rtol=1e-5, atol=1e-7)


def test_negatives_that_are_alike_are_left_out() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 6], [0, 4, 10, 13]])
    overlaps = torch.tensor([[0.0, 0.9], [0.0, 0.2], [0.29, 0.0], [0.3, 0.0]])
    kept = _unlike(boxes, overlaps) < 0.3
    # The first class keeps one of two that share 0.9; for the second class the first box is an object.
    assert kept.T.tolist() == [[True, False, True, False], [False, True, True, True]]


def test_a_difficult_object_is_neither_an_object_nor_background(detector: SPPDetector) -> None:
    """Without the windows on it the SVMs are those of images in which these were not proposed."""
    hard, windows = [], []
    for own, boxes in zip(BLOTS.objects, PROPOSALS, strict=True):
        last = np.arange(len(own)) == len(own) - 1
        hard.append(Objects(own.boxes, np.zeros_like(own.labels), last))
        covered = intersection_over_union(boxes, own.boxes[last]).max(axis=1) >= 0.3
        windows.append(boxes[~covered])
    easy = [Objects(each.boxes[~each.difficult], each.labels[~each.difficult], each.difficult[~each.difficult])
            for each in hard]  # fmt: skip
    first = fit_svm_head(detector, BLOTS, hard, PROPOSALS)
    second = fit_svm_head(detector, BLOTS, easy, windows)
    torch.testing.assert_close(first.svm.weight, second.svm.weight, rtol=1e-5, atol=1e-7)
    assert sum(map(len, windows)) < sum(map(len, PROPOSALS))


def test_a_class_without_an_object_is_never_found(detector: SPPDetector) -> None:
    without = [own.of(0) for own in BLOTS.objects]
    detector.head = fit_svm_head(detector, BLOTS, without)  # it proposes windows itself
    scores = detector.head.scores(detector.features(BLOTS.image(0), torch.from_numpy(PROPOSALS[0]).float()))
    assert scores[:, 0].isfinite().all()
    assert (scores[:, 1:] == -torch.inf).all()
    assert set(detector.detect(BLOTS.image(0), PROPOSALS[0], score=-1e9).labels) == {0}
    again = fit_svm_head(detector, BLOTS, without)  # of a head with SVMs the softmax below it is read
    assert torch.equal(again.svm.weight, detector.head.svm.weight)


def test_what_cannot_be_is_said(detector: SPPDetector) -> None:
    nothing = [objects_of([])] * len(BLOTS)
    with pytest.raises(ArgumentError, match="objects must have at least one that is not difficult"):
        fit_svm_head(detector, BLOTS, nothing, PROPOSALS)
    with pytest.raises(ArgumentError, match="as many, got 5, 5, 4"):
        fit_svm_head(detector, BLOTS, BLOTS.objects, PROPOSALS[:4])
    detector.head = None
    with pytest.raises(ArgumentError, match="must have a softmax head"):
        fit_svm_head(detector, BLOTS, BLOTS.objects, PROPOSALS)
