"""How much a predicted grid and the true one overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.attsets.sets import NotFiniteError, can_look_at


def voxel_iou(probabilities: Tensor, truth: Tensor, threshold: float = 0.4) -> Tensor:
    """Return the intersection over the union of each predicted grid and its truth: |P ∧ T| / |P ∨ T|, P = p > t.

    Source: arXiv 1808.00758, section 5, whose released demonstration takes 0.25 for t; 0.4 is 3D-R2N2's.

    Args:
        probabilities: Predicted probability of each cell.
        truth: Boolean, True for cells that are occupied.
        threshold: t, above which a cell counts as predicted.

    Returns:
        A number from 0 to 1 for each grid; 1 where both are empty. In float32, or float64 where the probabilities are.

    Shapes:
        probabilities: (B, …). truth: (B, …). Returns (B,).

    Raises:
        ArgumentError: If the shapes differ, a probability is NaN (looked at on the CPU only, outside of
            ``torch.compile``), or the threshold is not between 0 and 1.
        ArgumentTypeError: If the probabilities are not floating point or the truth not boolean.

    Example:
        >>> voxel_iou(torch.tensor([[0.9, 0.6, 0.1]]), torch.tensor([[True, False, False]])).tolist()
        [0.5]
    """
    _check(probabilities, truth, threshold)
    predicted, occupied = (probabilities > threshold).flatten(1), truth.flatten(1)
    union = (predicted | occupied).sum(1)
    # Counts of cells are beyond what half precision tells apart.
    overlap = (predicted & occupied).sum(1).to(torch.promote_types(probabilities.dtype, torch.float32))
    return torch.where(union == 0, 1.0, overlap / union.clamp(min=1))


def _check(probabilities: Tensor, truth: Tensor, threshold: float) -> None:
    if not probabilities.is_floating_point():
        raise ArgumentTypeError(f"probabilities must be a floating-point tensor, got {probabilities.dtype}")
    if truth.dtype is not torch.bool:
        raise ArgumentTypeError(f"truth must be a boolean tensor, got {truth.dtype}")
    if truth.shape != probabilities.shape or truth.dim() < 2:
        raise ArgumentError(
            f"truth must have the shape (B, …) of the probabilities, {tuple(probabilities.shape)}, "
            f"got {tuple(truth.shape)}"
        )
    if not 0 < threshold < 1:
        raise ArgumentError(f"threshold must be between 0 and 1, got {threshold}")
    if can_look_at(probabilities) and bool(probabilities.isnan().any()):
        raise NotFiniteError("probabilities must be numbers, got NaN")
