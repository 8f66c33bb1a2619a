"""The norms a block can have, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from cenote.pooling.poolformer.checks import check_choice


class GroupNorm1(nn.GroupNorm):
    """Normalise each sample over channels and positions together, then scale and shift each channel.

    The paper's "Modified LayerNorm": ``nn.LayerNorm`` over channels would normalise each position by itself.

    Source: arXiv 2111.11418, Section 3.2 and its released code.

    Args:
        dim: C, the number of channels.

    Shapes:
        (B, C, H, W) → (B, C, H, W).
    """

    def __init__(self, dim: int) -> None:
        super().__init__(1, dim)


class ChannelLayerNorm(nn.LayerNorm):
    """Normalise each position over its channels, as transformers do with tokens.

    Source: arXiv 2111.11418, ablation of the norm.

    Args:
        dim: C, the number of channels.

    Shapes:
        (B, C, H, W) → (B, C, H, W).
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "gn1": GroupNorm1,
    "ln": ChannelLayerNorm,
    "bn": nn.BatchNorm2d,
    "none": lambda dim: nn.Identity(),
}
"""The norms of the paper's ablation by name."""


def build_norm(norm: str, dim: int) -> nn.Module:
    """Return a norm of maps with ``dim`` channels.

    Raises:
        ArgumentError: If there is no norm of this name.
    """
    check_choice("norm", norm, NORMS)
    return NORMS[norm](dim)
