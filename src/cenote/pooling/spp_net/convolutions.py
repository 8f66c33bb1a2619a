"""The convolutions of detector and baseline: a plain stack, padded so that a cell lies over its pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError


class ConvStack(nn.Sequential):
    """Convolutions 3×3, padded by 1, each followed by a ReLU, without normalisation as in 2014.

    Padded by half of its kernel, as the paper assumes where it projects windows (arXiv 1406.4729, Appendix A), a layer
    keeps a cell's receptive field around the pixel it stands for: the first cell of the map lies around the first
    pixel, and an image of any size has a map.

    Args:
        widths: Channels of each layer.
        strides: Stride of each layer.
        channels: Channels of the image.

    Shapes:
        (B, channels, H, W) → (B, widths[-1], ⌈H / S⌉, ⌈W / S⌉) with S the product of the strides.

    Raises:
        ArgumentError: If there are not as many strides as widths, or a number is below 1.

    Example:
        >>> stack = ConvStack(widths=(32, 64, 96, 64), strides=(2, 2, 2, 2))
        >>> stack.stride, tuple(stack(torch.zeros(1, 3, 480, 640)).shape)
        (16, (1, 64, 30, 40))
    """

    def __init__(
        self, widths: Sequence[int] = (32, 64, 96, 64), strides: Sequence[int] = (2, 2, 2, 2), channels: int = 3
    ):
        if not widths or len(widths) != len(strides) or min(*widths, *strides) < 1:
            raise ArgumentError(f"widths and strides must be as many numbers from 1 up, got {widths} and {strides}")
        layers: list[nn.Module] = []
        for (inside, outside), stride in zip(pairwise((channels, *widths)), strides, strict=True):
            convolution = nn.Conv2d(inside, outside, 3, stride, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            layers += [convolution, nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.stride = math.prod(strides)
        self.out_channels = widths[-1]


def run_convolutions(convolutions: nn.Module, images: Tensor) -> Tensor:
    """Return the maps (B, C, h, w) of images (B, 3, H, W).

    Raises:
        ArgumentError: If the images are smaller than the convolutions allow; says the least side.
    """
    try:
        maps: Tensor = convolutions(images)
    except RuntimeError as error:
        if _gives_a_map(convolutions, images, min(images.shape[2:])):
            raise  # it is not the size
        height, width = images.shape[2:]
        raise ArgumentError(
            f"image: {height} × {width} pixels leave the map without a cell; the convolutions need at least "
            f"{least_side(convolutions, images)} pixels a side"
        ) from error
    return maps


def least_side(convolutions: nn.Module, like: Tensor, limit: int = 1024) -> int:
    """Return the side of the smallest square image that has a map."""
    low, high = 0, 1
    while high < limit and not _gives_a_map(convolutions, like, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _gives_a_map(convolutions, like, middle) else (middle, high)
    return high


def _gives_a_map(convolutions: nn.Module, like: Tensor, side: int) -> bool:
    try:
        with torch.no_grad():
            maps = convolutions(like.new_zeros(1, like.shape[1], side, side))
    except RuntimeError:
        return False
    return bool(maps.numel())
