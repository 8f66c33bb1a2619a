"""The classifiers of the experiment: the same convolutions, with a pyramid or the plain pooling of one size behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.spp_net.convolutions import ConvStack
from cenote.pooling.spp_net.pyramid import SpatialPyramidPool2d

Pooling = Literal["plain", "pyramid"]


def classifier(
    pooling: Pooling,
    *,
    image_side: int,
    channels: int,
    classes: int,
    widths: Sequence[int],
    strides: Sequence[int],
    levels: Sequence[int],
    hidden: int,
) -> nn.Sequential:
    """Return convolutions, a pooling, and two linear layers.

    Plain pooling has a window and a stride for one size of the map, so that it gives as many bins a side as the
    pyramid's finest level; another size breaks the linear layer. The finest level of a pyramid gives the same bins.

    Args:
        pooling: ``plain`` or ``pyramid``.
        image_side: Side of the images that plain pooling is made for.
        channels: Channels of the images.
        classes: Number of classes.
        widths: Channels of the convolutions.
        strides: Strides of the convolutions.
        levels: Bins along a side of each grid.
        hidden: Width of the hidden layer.

    Raises:
        ArgumentError: If no window and stride give as many bins as the finest level.
    """
    convolutions = ConvStack(widths, strides, channels)
    pyramid = SpatialPyramidPool2d(levels)
    layers: list[nn.Module] = [convolutions]
    if pooling == "plain":
        layers += [plain_pooling(map_side(image_side, strides), max(levels)), nn.Flatten()]
        inside = convolutions.out_channels * max(levels) ** 2
    else:
        layers.append(pyramid)
        inside = pyramid.out_features(convolutions.out_channels)
    return nn.Sequential(*layers, nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def plain_pooling(side: int, bins: int) -> nn.MaxPool2d:
    """Return the max pooling that gives this many bins a side on maps of one side, as the paper's text has it.

    Raises:
        ArgumentError: If window ⌈side / bins⌉ and stride ⌊side / bins⌋ give another number.
    """
    window, stride = math.ceil(side / bins), max(1, side // bins)
    if (side - window) // stride + 1 != bins:
        raise ArgumentError(f"levels: no window gives {bins} bins a side on a map of {side} × {side}")
    return nn.MaxPool2d(window, stride)


def map_side(image_side: int, strides: Sequence[int]) -> int:
    """Return the side of the map of a ``ConvStack``."""
    for stride in strides:
        image_side = math.ceil(image_side / stride)
    return image_side


class TrainingViews(nn.Module):
    """Shows a network random crops of its images while it trains, resized to ``side``; all images as they are else.

    The smaller size is a resized copy of the same crop, not a smaller crop (arXiv 1406.4729, Section 2.3).

    Args:
        network: What is trained.
        crop: Side of the crop.
        side: Side to which it is resized; may be changed between epochs.
        back: Whether it is resized to the crop's side again, so that the network sees one size only.
    """

    def __init__(self, network: nn.Module, crop: int, side: int, *, back: bool = False) -> None:
        super().__init__()
        self.network = network
        self.crop = crop
        self.side = side
        self.back = back

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of images (B, C, H, W)."""
        if self.training:
            height, width = x.shape[2:]
            views = x.unfold(2, self.crop, 1).unfold(3, self.crop, 1)
            tops, lefts = (torch.randint(length - self.crop + 1, (len(x),)) for length in (height, width))
            x = resized(views[torch.arange(len(x)), :, tops, lefts], self.side)
            x = resized(x, self.crop) if self.back else x
        logits: Tensor = self.network(x)
        return logits


class View(nn.Module):
    """Shows a network the centre of an image, or all of it at another size.

    Args:
        network: What classifies.
        crop: Side of the centre, the whole image if left out.
        side: Side to which it is resized, its own if left out.
    """

    def __init__(self, network: nn.Module, crop: int | None = None, side: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.crop = crop
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of images (B, C, H, W)."""
        if self.crop is not None:
            top, left = ((length - self.crop) // 2 for length in x.shape[2:])
            x = x[:, :, top : top + self.crop, left : left + self.crop]
        if self.side is not None:
            x = resized(x, self.side)
        logits: Tensor = self.network(x)
        return logits


def resized(x: Tensor, side: int) -> Tensor:
    """Return images at another side, smoothed where they shrink."""
    if x.shape[2:] == (side, side):
        return x.contiguous()
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True)
