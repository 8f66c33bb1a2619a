"""What a network costs: the multiply-adds of one image."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Count the multiply-adds of one image (C, H, W) with torch's counter.

    Convolutions and matrix products count, attention's among them; additions do not, so pooling counts 0, nor do norms
    and activations. These are the conventions of the counter the paper used. A model on the meta device is counted
    without being computed.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        # The counter does not know the CPU's fused attention.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, *image_shape, device=device))
    finally:
        model.train(training)
    return int(counter.get_total_flops()) // 2
