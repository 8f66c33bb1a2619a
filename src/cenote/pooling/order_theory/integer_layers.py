"""A layer of integer weights: x ↦ max(Ax + b, t)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.checks import real_numbers

_MOST = 2.0**53
"""Above it float64 does not hold every integer."""


class IntegerLayer(nn.Module):
    """A linear map with integer weights and a floor under each output: max(Ax + b, t).

    A threshold of -∞ is no floor: that output is linear. Networks of integer weights are ``nn.Sequential``s of these
    layers. Weight, bias and threshold are buffers: the networks are made, not trained. The weight stays integer under
    ``.to(dtype)``; values are computed in the dtype of the input, so float64 input of moderate size gives exact
    sums of integers.

    Source: arXiv 2412.06097 (integer-valued networks); L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        weight: A, integers, (O, I).
        bias: b, (O,); 0 by default.
        threshold: t, one number or (O,), each a real number or -∞.

    Shapes:
        x: (…, I).
        returns: (…, O).

    Raises:
        ArgumentError: If weights are no integers, or shapes do not fit, or a bias or threshold is NaN or +∞.
        ArgumentTypeError: If one is not made of real numbers.

    Example:
        >>> maximum = nn.Sequential(IntegerLayer([[1, -1], [0, 1]], threshold=[0, -torch.inf]),
        ...                         IntegerLayer([[1, 1]], threshold=-torch.inf))
        >>> maximum(torch.tensor([[2.0, 5.0], [4.0, 3.0]])).tolist()
        [[5.0], [4.0]]
    """

    weight: Tensor
    bias: Tensor
    threshold: Tensor

    def __init__(
        self,
        weight: npt.ArrayLike | Tensor,
        bias: npt.ArrayLike | Tensor | None = None,
        threshold: npt.ArrayLike | Tensor = 0.0,
    ) -> None:
        super().__init__()
        matrix = real_numbers("weight", weight)
        if matrix.ndim != 2 or not is_integer(matrix).all():
            raise ArgumentError(f"weight must be integers of shape (O, I), got {weight!r}")
        outputs = len(matrix)
        offsets = np.zeros(outputs) if bias is None else real_numbers("bias", bias)
        if offsets.shape != (outputs,) or not np.isfinite(offsets).all():
            raise ArgumentError(f"bias must be {outputs} finite numbers, one an output, got {bias!r}")
        floors = real_numbers("threshold", threshold)
        if floors.shape not in ((), (outputs,)) or np.isnan(floors).any() or (floors == np.inf).any():
            raise ArgumentError(f"threshold must be a number or {outputs} numbers, real or -∞, got {threshold!r}")
        self.register_buffer("weight", torch.from_numpy(matrix.astype(np.int64)))
        self.register_buffer("bias", torch.from_numpy(offsets))
        self.register_buffer("threshold", torch.from_numpy(np.broadcast_to(floors, (outputs,)).copy()))

    def forward(self, x: Tensor) -> Tensor:
        """Return max(Ax + b, t).

        Raises:
            ArgumentError: If the last dimension of ``x`` is not I.
            ArgumentTypeError: If ``x`` is not floating point.
        """
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise ArgumentTypeError(f"x must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
        if x.shape[-1:] != self.weight.shape[1:]:
            raise ArgumentError(f"x must have shape (…, {self.weight.shape[1]}), got {tuple(x.shape)}")
        values = F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        return torch.maximum(values, self.threshold.to(x.dtype))

    def extra_repr(self) -> str:
        """Say the layer's size and how many outputs have a floor."""
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, floors={int((self.threshold > -torch.inf).sum())}"


def is_integer(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which numbers are integers that float64 holds exactly."""
    whole: npt.NDArray[np.bool_] = (np.abs(values) <= _MOST) & (np.rint(values) == values)
    return whole
