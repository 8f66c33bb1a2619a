"""The mixer of PoolFormer: average pooling of stride 1 minus its input."""

from __future__ import annotations

from numbers import Integral

import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.poolformer.checks import check_map


class Pooling(nn.Module):
    """Mix positions by what their neighbourhood has more than they have: T(x) = mean over the window of x, minus x.

    A window that sticks out is averaged over the positions it has, so a constant map gives exactly 0, at the borders
    too. Minus x, since the block adds its input again: with a layer scale of 1 and no norm the block's output would
    be the pooled map. There are no parameters, and H·W positions cost H·W·size² additions.

    Source: arXiv 2111.11418, Section 3.2 and Algorithm 1.

    Args:
        size: Height and width of the window, odd.

    Shapes:
        (B, C, H, W) → (B, C, H, W), any H and W from 1.

    Raises:
        ArgumentError: If ``size`` is even or below 1; in a forward pass, if the input has not four dimensions.

    Example:
        >>> import torch
        >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
        >>> Pooling()(x)[0, 0].tolist()
        [[2.0, 1.5, 1.0], [0.5, 0.0, -0.5], [-1.0, -1.5, -2.0]]
    """

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        if not isinstance(size, Integral) or size < 1 or size % 2 == 0:
            raise ArgumentError(
                f"size must be an odd number from 1, got {size!r}: an even window has no centre, so maps would shift"
            )
        self.size: int = int(size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the window means of ``x`` minus ``x``."""
        check_map(x)
        means = F.avg_pool2d(x, self.size, stride=1, padding=self.size // 2, count_include_pad=False)
        return means.sub_(x)  # in place: no derivative needs the means

    def extra_repr(self) -> str:
        """Describe the layer in ``repr(model)``."""
        return f"size={self.size}"
