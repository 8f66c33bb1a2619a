"""Pooling along one axis: the others keep every value of their own."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError

Axis = Literal["time", "sensor"]

AXES = {"time": -2, "sensor": -1}
"""Axes of maps (…, T, S) by name."""


def oriented_avg_pool(x: Tensor, axis: Axis | int = "time") -> Tensor:
    """Average over one axis alone (arXiv 2406.16913, the oriented pooling of feature maps).

    ``y[c, s] = mean over t of x[c, t, s]`` for time (the paper's TAP: a value a sensor remains), and
    ``y[c, t] = mean over s of x[c, t, s]`` for sensors (SAP: a value a frame remains). Any other axis by its number.

    Shapes:
        ``x``: (…, T, S); the result has one axis fewer: (…, S) or (…, T).

    Args:
        x: Feature maps, time before sensors; any tensor with an axis of that number.
        axis: ``"time"``, ``"sensor"``, or the number of an axis.

    Raises:
        ArgumentError: If there is no such axis, or it is empty: there is no mean of nothing.
        ArgumentTypeError: If ``x`` is not a tensor of floating-point or complex numbers.

    Example:
        >>> import torch
        >>> maps = torch.randn(8, 16, 42, 30)
        >>> oriented_avg_pool(maps).shape, oriented_avg_pool(maps, "sensor").shape
        (torch.Size([8, 16, 30]), torch.Size([8, 16, 42]))
    """
    if not isinstance(x, Tensor) or not (x.is_floating_point() or x.is_complex()):
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(f"x: got {got}, allowed is a tensor of floating-point or complex numbers")
    number = AXES.get(axis) if isinstance(axis, str) else axis
    if not isinstance(number, int) or isinstance(number, bool):
        raise ArgumentError(f"axis: got {axis!r}, allowed are 'time', 'sensor' and the number of an axis")
    if not -x.dim() <= number < x.dim():
        raise ArgumentError(f"axis: got {axis!r} for {x.dim()} axes, allowed is {-x.dim()} to {x.dim() - 1}")
    if x.shape[number] == 0:
        raise ArgumentError(f"x: got shape {tuple(x.shape)}, needs at least one value along the axis {axis!r}")
    return x.mean(dim=number)
