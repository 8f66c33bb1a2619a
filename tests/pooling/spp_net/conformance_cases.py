"""Cases of spatial pyramid pooling for the contract every paper inherits."""

from __future__ import annotations

import torch
from torch import Tensor

from cenote.pooling import (
    PaperProjection,
    ReleasedProjection,
    SoftmaxHead,
    SpatialPyramidPool2d,
    group_by_size,
    spatial_pyramid_pool2d,
    spp_roi_pool,
)
from cenote.pooling.spp_net.convolutions import ConvStack
from tests.conformance.case import Case, normal


def with_windows(batch: int) -> tuple[Tensor, ...]:
    """Maps of 4 × 5 cells, and two windows of each image of 64 × 80 pixels."""
    (maps,) = normal(2, 4, 5)(batch)
    windows = torch.tensor([[0, 0, 80, 64], [20, 10, 60, 50]])
    return maps, windows.expand(batch, -1, -1).clone()


CASES = (
    Case("three-levels", SpatialPyramidPool2d, normal(2, 5, 4), {"levels": (3, 2, 1)}),
    Case("mean", SpatialPyramidPool2d, normal(3, 2, 3), {"levels": (1, 2), "mode": "avg"}),
    Case("one-cell", SpatialPyramidPool2d, normal(3, 1, 1), {"levels": (2, 1)}),
    Case("three-levels", spatial_pyramid_pool2d, normal(2, 5, 4), {"levels": (3, 2, 1)}),
    Case("mean", spatial_pyramid_pool2d, normal(2, 3, 3), {"levels": (2,), "mode": "avg"}),
    Case("released", spp_roi_pool, with_windows,
         {"projection": ReleasedProjection(16), "levels": (2, 1)}, nan="refused", batched=False),
    Case("paper", spp_roi_pool, with_windows,
         {"projection": PaperProjection(16), "levels": (3, 1), "chunk": 1}, nan="refused", batched=False),
    Case("one-size", group_by_size, normal(1, 2, 2), {}, batched=False),
    Case("small", SoftmaxHead, normal(6), {"features": 6, "classes": 2, "hidden": 4}, bfloat16_tolerance=2**-5),
    Case("large", SoftmaxHead, normal(3), {"features": 3, "classes": 4, "hidden": 5}, bfloat16_tolerance=2**-5),
    Case("two-layers", ConvStack, normal(3, 5, 6), {"widths": (4, 3), "strides": (2, 1)}, bfloat16_tolerance=2**-5),
    Case("grey", ConvStack, normal(1, 3, 3),
         {"widths": (2,), "strides": (2,), "channels": 1}, bfloat16_tolerance=2**-5),
)  # fmt: skip
