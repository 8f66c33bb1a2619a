"""Features of windows: pooled from one shared map (the paper), or computed of every window anew (R-CNN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from cenote.errors import ArgumentError
from cenote.pooling.spp_net.convolutions import ConvStack, run_convolutions
from cenote.pooling.spp_net.projection import ReleasedProjection, WindowProjection
from cenote.pooling.spp_net.proposals import check_image
from cenote.pooling.spp_net.pyramid import check_levels, spatial_pyramid_pool2d
from cenote.pooling.spp_net.windows import check_boxes, nearest_scale, spp_roi_pool

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, from black 0 to white 1: what images are normalised with."""


class WindowFeatures(Protocol):
    """Computes the features of windows of an image."""

    def __call__(self, image: npt.NDArray[np.uint8], boxes: Tensor) -> Tensor:
        """Return the features (N, D) of boxes (N, 4) of an image (H, W, 3)."""
        ...


class SharedMap:
    """Runs the convolutions once over the image, at one or several scales, and pools every window from the map.

    With several scales a window is pooled at the one where its area comes nearest to ``expected_side`` squared.

    Args:
        convolutions: Map images (1, 3, H, W) to maps (1, C, h, w).
        levels: Bins along a side of each grid.
        scales: Shorter sides to which the image is resized.
        projection: Which cells a window has; the released rule at the stride of a ``ConvStack`` if left out.
        expected_side: Side a window should have at its scale.

    Raises:
        ArgumentError: If a number is out of range, or the projection is left out and the stride not known.
        ArgumentTypeError: If a level is not a whole number.
    """

    def __init__(
        self,
        convolutions: nn.Module,
        levels: Sequence[int],
        scales: Sequence[int],
        projection: WindowProjection | None = None,
        expected_side: float = 224,
    ) -> None:
        if not scales or min(scales) < 1:
            raise ArgumentError(f"scales must be at least one number of pixels, got {tuple(scales)}")
        if projection is None:
            if not isinstance(convolutions, ConvStack):
                raise ArgumentError(
                    "projection must be given where the stride is not known: ReleasedProjection(stride, centre)"
                )
            projection = ReleasedProjection(convolutions.stride)
        self.convolutions = convolutions
        self.levels = check_levels(levels)
        self.scales = tuple(scales)
        self.projection = projection
        self.expected_side = expected_side

    def maps(self, image: npt.NDArray[np.uint8]) -> list[Tensor]:
        """Return the map (1, C, h, w) of an image at each scale."""
        pixels = as_input(image, self.convolutions)
        return [run_convolutions(self.convolutions, resize_image(pixels, scale)) for scale in self.scales]

    def pool(self, maps: Sequence[Tensor], boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Return the features (N, C · Σ n²) of boxes, each pooled from the map of its scale."""
        short = min(image_size)
        chosen = nearest_scale(boxes, short, self.scales, self.expected_side)
        features = maps[0].new_empty(len(boxes), maps[0].shape[1] * sum(level**2 for level in self.levels))
        for index, (scale, each) in enumerate(zip(self.scales, maps, strict=True)):
            mine = chosen == index
            if mine.any():
                scaled = boxes[mine] * (scale / short)
                features[mine] = spp_roi_pool(each, [scaled.to(each.dtype)], self.projection, self.levels)
        return features

    @torch.no_grad()
    def __call__(self, image: npt.NDArray[np.uint8], boxes: Tensor) -> Tensor:
        """Return the features (N, C · Σ n²) of boxes (N, 4) of an image."""
        check_image(image)
        return self.pool(self.maps(image), check_boxes(boxes), (image.shape[0], image.shape[1]))


class CroppedWindows:
    """Cuts out every window, warps it to a square and runs the convolutions on it, as R-CNN does; the baseline.

    Args:
        convolutions: Map crops (B, 3, side, side) to maps.
        levels: Bins along a side of each grid, pooled from a crop's whole map.
        side: Side of the square in pixels.
        batch: Crops at a time.

    Raises:
        ArgumentError: If a number is below 1.
        ArgumentTypeError: If a level is not a whole number.
    """

    def __init__(self, convolutions: nn.Module, levels: Sequence[int], side: int = 224, batch: int = 32) -> None:
        if min(side, batch) < 1:
            raise ArgumentError(f"side and batch must be at least 1, got {side} and {batch}")
        self.convolutions = convolutions
        self.levels = check_levels(levels)
        self.side = side
        self.batch = batch

    @torch.no_grad()
    def __call__(self, image: npt.NDArray[np.uint8], boxes: Tensor) -> Tensor:
        """Return the features (N, C · Σ n²) of boxes (N, 4) of an image."""
        check_image(image)
        pixels = as_input(image, self.convolutions)
        parts = [
            spatial_pyramid_pool2d(self.convolutions(warp(pixels, each, self.side)), self.levels)
            for each in torch.split(check_boxes(boxes), self.batch)
        ]
        return torch.cat(parts)


def warp(pixels: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Cut boxes (N, 4) out of an image (1, 3, H, W) and resize each to a square (N, 3, side, side).

    Bilinear, with four samples a pixel, so that large windows are smoothed as they shrink.
    """
    crops: Tensor = roi_align(pixels, [boxes.to(pixels)], side, 1.0, sampling_ratio=2, aligned=True)
    return crops


def as_input(image: npt.NDArray[np.uint8], module: nn.Module) -> Tensor:
    """Return an image (H, W, 3) as a normalised tensor (1, 3, H, W) in the module's dtype, on its device."""
    weight: Any = next(module.parameters(), torch.empty(0))
    pixels = (
        torch.from_numpy(np.require(image, requirements=["C", "W"]))
        .to(weight.device)
        .permute(2, 0, 1)[None]
        .to(weight.dtype)
    )
    mean, std = (torch.tensor(each, dtype=weight.dtype, device=weight.device)[:, None, None] for each in (MEAN, STD))
    return (pixels / 255 - mean) / std


def resize_image(pixels: Tensor, short_side: int) -> Tensor:
    """Return an image (1, 3, H, W) with this shorter side, smoothed where it shrinks."""
    height, width = pixels.shape[2:]
    factor = short_side / min(height, width)
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    if size == [height, width]:
        return pixels
    return F.interpolate(pixels, size, mode="bilinear", antialias=factor < 1)
