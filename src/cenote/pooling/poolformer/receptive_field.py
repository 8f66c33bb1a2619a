"""Which pixels move the centre of a network's last map: the effective receptive field."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.pooling.poolformer.network import PoolFormer


def effective_receptive_field(model: PoolFormer, images: Tensor, *, most_bins: int | None = None) -> Tensor:
    """Return how strongly each pixel moves the centre position of the last stage's map.

    The mean over images of Σ_c |∂ Σ_k y_k / ∂ x_c|, y the channels of the map at its centre, as a share of the sum over
    all pixels. A norm over positions lets every pixel move every position a little, whatever the mixer does.

    Args:
        model: A network, used in evaluation mode and left as it was.
        images: (B, C, H, W), normalised as in training.
        most_bins: Average pixels to at most this many rows and columns.

    Returns:
        Non-negative shares (H, W) that add up to 1.

    Raises:
        ArgumentError: If there is no image.
    """
    if not len(images):
        raise ArgumentError("images must be at least one, got none")
    training = model.training
    model.eval()
    try:
        pixels = images.detach().clone().requires_grad_()
        with torch.enable_grad():
            last = model.forward_features(pixels)[-1]
            centre = last[:, :, last.shape[2] // 2, last.shape[3] // 2]
            (gradient,) = torch.autograd.grad(centre.sum(), pixels)
    finally:
        model.train(training)
    field = gradient.abs().sum(1).mean(0)
    if most_bins is not None:
        size = min(field.shape[0], most_bins), min(field.shape[1], most_bins)
        field = F.adaptive_avg_pool2d(field[None, None], size)[0, 0]
    return field / field.sum()
