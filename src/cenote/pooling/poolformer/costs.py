"""What a network costs, without running it."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Count the multiply-adds of one image (C, H, W) with torch's counter, on shapes alone.

    Convolutions and matrix products count, attention's among them; additions do not, so pooling counts 0, nor do norms
    and activations. These are the conventions of the counter the paper used.
    """
    shapes = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter:  # with gradients on: the fused layers of inference are not counted
        shapes(torch.empty(1, *image_shape, device="meta"))
    return int(counter.get_total_flops()) // 2
