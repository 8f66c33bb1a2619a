"""The two pipelines taken apart: cutting, convolutions, pooling and linear layers, each on the same windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.pooling.spp_net.convolutions import ConvStack
from cenote.pooling.spp_net.extraction import CroppedWindows, SharedMap, as_input, resize_image, warp
from cenote.pooling.spp_net.pyramid import spatial_pyramid_pool2d

PARTS = ("cut", "conv", "pool", "fc")
"""Resizing the image or cutting and warping the windows, convolutions, pooling, linear layer."""


@dataclass(frozen=True)
class Race:
    """The same convolutions and linear layer for an image's shared map and for crops of its windows.

    Attributes:
        shared: The map that is pooled.
        cropped: The crops, in batches.
        linear: Reads the pooled features.
        image: (H, W, 3).
        boxes: The windows (N, 4).
    """

    shared: SharedMap
    cropped: CroppedWindows
    linear: nn.Module
    image: npt.NDArray[np.uint8]
    boxes: Tensor

    @torch.no_grad()
    def run_shared(self) -> dict[str, float]:
        """Return the seconds of each part for the shared map."""
        start = perf_counter()
        pixels = as_input(self.image, self.shared.convolutions)
        resized = [resize_image(pixels, scale) for scale in self.shared.scales]
        cut = perf_counter()
        maps = [self.shared.convolutions(each) for each in resized]
        convolved = perf_counter()
        features = self.shared.pool(maps, self.boxes, (self.image.shape[0], self.image.shape[1]))
        pooled = perf_counter()
        self.linear(features)
        return {"cut": cut - start, "conv": convolved - cut, "pool": pooled - convolved, "fc": perf_counter() - pooled}

    @torch.no_grad()
    def run_cropped(self) -> dict[str, float]:
        """Return the seconds of each part for the crops."""
        spent = dict.fromkeys(PARTS, 0.0)
        pixels = as_input(self.image, self.cropped.convolutions)
        for each in torch.split(self.boxes, self.cropped.batch):
            start = perf_counter()
            crops = warp(pixels, each, self.cropped.side)
            cut = perf_counter()
            maps = self.cropped.convolutions(crops)
            convolved = perf_counter()
            features = spatial_pyramid_pool2d(maps, self.cropped.levels)
            pooled = perf_counter()
            self.linear(features)
            spent["cut"] += cut - start
            spent["conv"] += convolved - cut
            spent["pool"] += pooled - convolved
            spent["fc"] += perf_counter() - pooled
        return spent

    def pixel_bound(self) -> float:
        """Return how many pixels the crops have for each one of the resized image, over all scales."""
        height, width = self.image.shape[:2]
        shared = sum(
            round(height * scale / min(height, width)) * round(width * scale / min(height, width))
            for scale in self.shared.scales
        )
        return float(len(self.boxes) * self.cropped.side**2 / shared)


def race(
    image: npt.NDArray[np.uint8],
    boxes: Tensor,
    *,
    convolutions: nn.Module | None = None,
    levels: tuple[int, ...] = (6, 3, 2, 1),
    scales: tuple[int, ...] = (688,),
    side: int = 224,
    hidden: int = 256,
    seed: int = 0,
    **shared: object,
) -> Race:
    """Return a race with random weights, which do not change how long anything takes.

    Args:
        image: (H, W, 3).
        boxes: Windows (N, 4).
        convolutions: Run by both; a ``ConvStack`` of stride 16 if left out.
        levels: Bins along a side of each grid.
        scales: Shorter sides of the image for the shared map.
        side: Side of the crops.
        hidden: Width of the linear layer.
        seed: Of the weights.
        **shared: What ``SharedMap`` takes besides.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stack = (convolutions or ConvStack()).eval().requires_grad_(False)
        channels = stack(torch.zeros(1, 3, side, side)).shape[1]
        linear = nn.Linear(channels * sum(level**2 for level in levels), hidden).requires_grad_(False)
    return Race(
        SharedMap(stack, levels, scales, expected_side=side, **shared),  # type: ignore[arg-type]
        CroppedWindows(stack, levels, side),
        nn.Sequential(linear, nn.ReLU()),
        image,
        boxes,
    )


def random_boxes(count: int, height: int, width: int, seed: int, least: int = 20) -> Tensor:
    """Return boxes (N, 4) with sides of at least so many pixels, uniform in the image."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.uniform(0, 1, (2, count, 2)), axis=0)
    low, high = ends * (np.array([width, height]) - least)
    return torch.from_numpy(np.concatenate([low, high + least], axis=1)).float()


def total(seconds: Mapping[str, float]) -> float:
    """Return the sum of the parts."""
    return sum(seconds.values())


class LocalResponse(nn.Module):
    """ZF-5's local response normalisation over 5 channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised maps (B, C, H, W)."""
        return F.local_response_norm(x, 5, alpha=1e-4, beta=0.75)


def zf5() -> nn.Sequential:
    """Return the convolutions of ZF-5 with random weights: stride 16, first cell around pixel 21, 256 channels."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 7, 2, 1), nn.ReLU(), LocalResponse(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(96, 256, 5, 2), nn.ReLU(), LocalResponse(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
