"""What a power mean does with negative values: four ways to give every entry a power."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.pooling.ggem.power_mean import power_mean

_STEEP = 1e-3
"""Result of ``signed``, relative to the largest size, below which its root is replaced by a line."""

_TINY = 1e-30
"""Keeps the end of that line above underflow in float32."""

Negative = Literal["clamp", "relu", "shift", "signed"]


class Problem(NamedTuple):
    """A power mean to be taken, in the notation of ``power_mean``."""

    x: Tensor
    p: Tensor
    floor: float
    keep: Tensor | None
    axis: int
    either_sign: bool


def clamp(problem: Problem) -> Tensor:
    """Lift values below ε to ε; they get no gradient. The paper's way."""
    return power_mean(**problem._asdict())


def relu(problem: Problem) -> Tensor:
    """Pool max(x, 0) + ε, so that values between 0 and ε keep their order."""
    return power_mean(**problem._replace(x=problem.x.clamp_min(0) + problem.floor)._asdict())


def shift(problem: Problem) -> Tensor:
    """Pool the distance from the sample's smallest value plus ε, and take the shift back: p = 1 is then the mean."""
    x, keep = problem.x, problem.keep
    counted = x if keep is None else x.masked_fill(~keep.unsqueeze(3 - problem.axis), torch.inf)
    low = counted.amin((1, 2), keepdim=True) - problem.floor
    return power_mean(**problem._replace(x=x - low)._asdict()) + low.squeeze(1)


def signed(problem: Problem) -> Tensor:
    """Average sgn(x)·|x|^p, then take the signed root: for odd p the mean of x^p. 0 where the parts cancel.

    As the average passes 0 its root is infinitely steep for p > 1: it is a straight line through 0 where the result is
    below a thousandth of the largest size. Sizes below ε count as ε.
    """
    x, p, floor, keep, axis, _ = problem
    wide = x if x.dtype is torch.float64 else x.float()
    mask = None if keep is None else keep.unsqueeze(3 - axis)
    if mask is not None:
        wide = wide.masked_fill(~mask, 0)
    p = p.to(wide.dtype).unsqueeze(-1) if axis == 2 else p.to(wide.dtype)
    sizes = wide.abs().clamp_min(floor)
    largest = sizes.detach().amax(axis, keepdim=True)
    powers = wide.sign() * (p * (sizes / largest).log()).exp()
    mean = powers.sum(axis, keepdim=True) / (x.shape[axis] if mask is None else mask.sum(axis, keepdim=True))
    edge = (_STEEP**p).clamp_min(_TINY)
    root = mean.sign() * mean.abs().clamp_min(edge).pow(1 / p)
    line = mean / edge * edge.pow(1 / p)
    return (largest * torch.where(mean.abs() < edge, line, root)).squeeze(axis).to(x.dtype)


WAYS: Final[Mapping[str, Callable[[Problem], Tensor]]] = {
    "clamp": clamp, "relu": relu, "shift": shift, "signed": signed,
}  # fmt: skip


def way(name: str) -> Callable[[Problem], Tensor]:
    """Return the way of this name.

    Raises:
        ArgumentError: If there is none.
    """
    if name not in WAYS:
        raise ArgumentError(f"negative must be one of {', '.join(map(repr, WAYS))}, got {name!r}")
    return WAYS[name]
