"""Bad input gives one error that names the argument, what came and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import (
    ClippedBoxesWarning,
    ConvStack,
    LinearSVMHead,
    PaperProjection,
    ReleasedProjection,
    SoftmaxHead,
    SpatialPyramidPool2d,
    SPPDetector,
    group_by_size,
    propose,
    replace_head_with_spp,
    spatial_pyramid_pool2d,
    spp_roi_pool,
)
from cenote.pooling.spp_net.proposals import grid_boxes

X = torch.rand(1, 2, 4, 4)
RULE = ReleasedProjection(16)
IMAGE = np.zeros((40, 60, 3), np.uint8)


def pool(boxes: Any, features: Any = X, **options: Any) -> torch.Tensor:
    return spp_roi_pool(features, [boxes], RULE, **options)


def detector(**options: Any) -> SPPDetector:
    return SPPDetector(ConvStack((4,), (2,)), (2, 1), ("cell",), (40,), **options)


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no level": (
        lambda: SpatialPyramidPool2d(()),
        ArgumentError,
        "levels must be at least one number from 1 up, got ()",
    ),
    "level 0": (lambda: SpatialPyramidPool2d((3, 0)), ArgumentError, "got (3, 0)"),
    "half a level": (lambda: SpatialPyramidPool2d((1.5,)), ArgumentTypeError, "whole numbers, got 1.5"),  # type: ignore[arg-type]
    "mode": (lambda: SpatialPyramidPool2d(mode="sum"), ArgumentError, "mode must be 'max' or 'avg', got 'sum'"),  # type: ignore[arg-type]
    "channels": (lambda: SpatialPyramidPool2d().out_features(0), ArgumentError, "channels must be at least 1, got 0"),
    "many sizes": (lambda: spatial_pyramid_pool2d([X, X]), ArgumentTypeError, "see group_by_size"),  # type: ignore[arg-type]
    "integers": (lambda: spatial_pyramid_pool2d(X.int()), ArgumentTypeError, "got torch.int32"),
    "dimensions": (lambda: spatial_pyramid_pool2d(X[0]), ArgumentError, "shape (B, C, H, W), got (2, 4, 4)"),
    "no cell": (lambda: spatial_pyramid_pool2d(X[:, :, :0]), ArgumentError, "at least one cell, got (1, 2, 0, 4)"),
    "grouped batch": (lambda: group_by_size([X]), ArgumentError, "image 0 has (1, 2, 4, 4)"),
    "box shape": (lambda: pool(torch.zeros(3, 5)), ArgumentError, "shape (N, 4), x1, y1, x2, y2 each, got (3, 5)"),
    "box turned": (
        lambda: pool(torch.tensor([[0.0, 0, 1, 1], [5, 0, 4, 1]])),
        ArgumentError,
        "box 1 is [5.0, 0.0, 4.0",
    ),
    "box nan": (lambda: pool(torch.tensor([[0.0, 0, 1, torch.nan]])), ArgumentError, "boxes must be finite, box 0"),
    "boxes of maps": (lambda: spp_roi_pool(X, [], RULE), ArgumentError, "for each of the 1 maps, got 0"),
    "chunk": (lambda: pool(torch.zeros(1, 4), chunk=0), ArgumentError, "chunk must be at least 1, got 0"),
    "map nan": (lambda: pool(torch.zeros(1, 4), X / 0 * 0), ArgumentError, "features must not be NaN"),
    "map type": (lambda: pool(torch.zeros(1, 4), X.int()), ArgumentTypeError, "got torch.int32"),
    "map shape": (lambda: pool(torch.zeros(1, 4), X[0]), ArgumentError, "(B, C, H, W) with H, W ≥ 1, got (2, 4, 4)"),
    "stride": (lambda: PaperProjection(0), ArgumentError, "stride must be positive, got 0"),
    "slack": (lambda: ReleasedProjection(1, slack=-1), ArgumentError, "slack must be 0 or more, got -1"),
    "image type": (lambda: propose(IMAGE.astype(float)), ArgumentTypeError, "image must be uint8, got float64"),  # type: ignore[arg-type]
    "image shape": (lambda: propose(IMAGE[..., 0]), ArgumentError, "shape (H, W, 3), got (40, 60)"),
    "image empty": (lambda: detector().windows(IMAGE[:0], []), ArgumentError, "got (0, 60, 3)"),
    "count": (lambda: propose(IMAGE, 0), ArgumentError, "at least 1, got 0 and 120"),
    "grid": (lambda: grid_boxes(4, 4, (2.0,)), ArgumentError, "sides must lie in (0, 1]"),
    "grid of nothing": (lambda: grid_boxes(0, 4), ArgumentError, "at least 1, got 0 and 4"),
    "classes": (lambda: SPPDetector(ConvStack(), classes="cell"), ArgumentError, "in a list, got 'cell'"),
    "scales": (lambda: SPPDetector(ConvStack(), scales=()), ArgumentError, "scales must be at least one number"),
    "projection": (lambda: SPPDetector(nn.Conv2d(3, 4, 3)), ArgumentError, "projection must be given"),
    "no head": (lambda: detector().detect(IMAGE, [[0, 0, 9, 9]]), ArgumentError, "has no head yet"),
    "boxes of words": (lambda: detector().windows(IMAGE, [["a"] * 4]), ArgumentTypeError, "boxes must be numbers"),
    "boxes of a detector": (lambda: detector().windows(IMAGE, [0, 0, 9, 9]), ArgumentError, "got (4,)"),
    "widths": (lambda: ConvStack((4, 4), (2,)), ArgumentError, "as many numbers from 1 up"),
    "head": (lambda: SoftmaxHead(0, 1), ArgumentError, "at least 1, got (0, 1, 256)"),
    "svm": (lambda: LinearSVMHead(torch.ones(2, 3), torch.ones(3), 1.0), ArgumentError, "(K, D) and (K,)"),
    "model": (lambda: replace_head_with_spp(nn.Linear(1, 1)), ArgumentTypeError, "VGG or AlexNet, got Linear"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    call, error, words = WRONG[name]
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_an_image_smaller_than_the_convolutions_allow_is_told_the_least_size() -> None:
    unpadded = nn.Sequential(nn.Conv2d(3, 4, 7, 2), nn.Conv2d(4, 4, 5, 2))
    small = SPPDetector(unpadded, (2, 1), ("cell",), (10,), projection=ReleasedProjection(4, centre=8))
    with pytest.raises(ArgumentError, match=r"10 × 15 pixels leave the map without a cell.* at least 15 pixels a side"):
        small.features(IMAGE, torch.tensor([[0.0, 0.0, 9.0, 9.0]]))


def test_boxes_beyond_the_image_are_cut_with_a_warning() -> None:
    with pytest.warns(ClippedBoxesWarning, match="1 of 2 boxes reach beyond the image of 40 × 60"):
        windows = detector().windows(IMAGE, [[-5, 0, 70, 39], [0, 0, 60, 40]])
    assert windows.tolist() == [[0, 0, 60, 39], [0, 0, 60, 40]]
