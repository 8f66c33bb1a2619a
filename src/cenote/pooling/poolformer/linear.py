"""The linear maps of a MetaFormer, with the initial weights of the paper's released code."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """A 1×1 convolution, computed as a linear map of the channels, which is faster where they lie last in memory.

    Args:
        inside: C, channels of the input.
        outside: C', channels of the output.

    Shapes:
        (B, C, H, W) → (B, C', H, W).
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``."""
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def linear(inside: int, outside: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear map whose weights are drawn from a normal distribution of width 0.02, biases 0."""
    layer = nn.Linear(inside, outside, bias=bias)
    _initialise(layer)
    return layer


def _initialise(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
