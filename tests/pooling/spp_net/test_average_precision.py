"""Average precision against worked examples and torchvision; the jackknife against the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from cenote.errors import ArgumentError
from cenote.pooling import average_precision
from cenote.pooling.spp_net.average_precision import (
    Ranked,
    image_shares,
    intersection_over_union,
    mean_average_precision,
    rank,
)

A, B, FAR = [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]


def test_the_example_of_voc_2007() -> None:
    """Hits 1, 0, 1 of two objects: precision 1 up to recall 1/2, then 2/3."""
    found = [([A, FAR, B], [0.9, 0.8, 0.7])]
    assert average_precision(found, [[A, B]], interpolation="11-point") == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert average_precision(found, [[A, B]]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_second_hit_is_a_false_positive_and_a_difficult_object_is_nothing() -> None:
    twice = [([A, A, B], [0.9, 0.8, 0.7])]
    assert average_precision(twice, [[A, B]]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(twice, [[A, B]], difficult=[[True, False]]) == 1.0
    assert math.isnan(average_precision(twice, [[A, B]], difficult=[[True, True]]))


def test_a_detection_goes_to_the_object_it_overlaps_most() -> None:
    """A box that lies on A more than on its neighbour is no hit of the neighbour, though it overlaps that by half."""
    neighbour = [0, 3, 10, 13]
    found = [([A, [0, 1, 10, 11]], [0.9, 0.8])]
    ranked = rank(found, [[A, neighbour]])
    assert ranked.hits.tolist() == [True, False]


def test_nothing_found_is_zero_and_nothing_to_find_is_nan() -> None:
    assert average_precision([([], [])], [[A]]) == 0.0
    assert math.isnan(average_precision([([A], [0.5])], [[]]))


def test_overlaps_are_those_of_torchvision() -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 50, (2, 30, 2)), axis=0)
    boxes = np.concatenate([corners[0], corners[1]], axis=1)
    expected = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes[::2])).numpy()
    np.testing.assert_allclose(intersection_over_union(boxes, boxes[::2]), expected, atol=1e-12)
    assert intersection_over_union(np.array([[5.0, 5, 5, 5]]), np.array([[5.0, 5, 5, 5]])).item() == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: average_precision([], [[A]]), "as many images, got 0, 1"),
        (lambda: average_precision([([A], [])], [[A]]), "a score for each box, got 0 for 1"),
        (lambda: average_precision([([A], [math.nan])], [[A]]), "a score that is NaN"),
        (lambda: average_precision([([A[:3]], [1.0])], [[A]]), r"boxes of shape \(N, 4\), got \(1, 3\)"),
        (lambda: average_precision([([A], [1.0])], [[A]], difficult=[[True, True]]), "image 0 has 2"),
        (lambda: average_precision([([A], [1.0])], [[A]], interpolation="12"), "got '12'"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_said(call: object, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call()  # type: ignore[operator]


def many_images(images: int = 60) -> list[Ranked]:
    rng = np.random.default_rng(1)
    ranked = []
    for quality in (2.0, 0.7):
        truth = rng.random(8 * images) < 0.4
        scores = rng.normal(size=8 * images) + quality * truth
        order = np.argsort(-scores)
        place = np.repeat(np.arange(images), 8)
        objects = np.bincount(place[truth], minlength=images) + rng.integers(0, 2, images)
        ranked.append(Ranked(scores[order], truth[order], place[order], objects))
    return ranked


def resampled(each: Ranked, chosen: np.ndarray) -> Ranked:
    """The ranking of images drawn with replacement."""
    times = np.bincount(chosen, minlength=len(each.objects))
    rows = np.repeat(np.arange(len(each.images)), times[each.images])
    return Ranked(each.scores[rows], each.hits[rows], each.images[rows], each.objects * times)


def test_shares_of_images_have_the_mean_and_the_spread_of_the_measure() -> None:
    ranked = many_images()
    shares = image_shares(ranked)
    assert shares.mean() == pytest.approx(mean_average_precision(ranked), abs=0.01)
    rng = np.random.default_rng(2)
    drawn = [
        mean_average_precision([resampled(each, chosen) for each in ranked])
        for chosen in rng.integers(0, len(shares), (400, len(shares)))
    ]
    assert shares.std(ddof=1) / math.sqrt(len(shares)) == pytest.approx(np.std(drawn), rel=0.2)
