"""What every way to make one vector of a set asks of the set, its mask and its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError


class NotFiniteError(ArgumentError):
    """A feature or a prediction is infinite or NaN, as after a training that diverged."""


class SetAggregation(nn.Module, ABC):
    """Base of all aggregations: checks the set, takes masked members out, and refuses features that are not finite.

    A subclass says in ``aggregate`` what becomes of the members that count.

    Attributes:
        dim: Features D of a member, or None where any number goes.
        maps: Number of dimensions a member may have behind its features, such as (0, 2, 3).
    """

    def __init__(self, dim: int | None = None, maps: tuple[int, ...] = (0,)) -> None:
        super().__init__()
        if dim is not None:
            check_count("dim", dim)
        self.dim = dim
        self.maps = maps

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Make one vector, or one map, of each set; what an aggregation does to it stands in its class.

        Args:
            x: Sets of N members, floating point.
            mask: Boolean, True for members that count; all do if left out.

        Returns:
            One vector or map for each set, in the dtype of ``x``.

        Shapes:
            x: (B, N, D), and where maps are allowed (B, N, D, H, W) or (B, N, D, H, W, Z). mask: (B, N).
            Returns (B, D), (B, D, H, W) or (B, D, H, W, Z).

        Raises:
            ArgumentError: If a set has no member, none that counts, another number of features or dimensions, or
                features that count and are not finite. Values are looked at on the CPU, outside of
                ``torch.compile``, only; elsewhere a set without members gives NaN.
            ArgumentTypeError: If ``x`` is not a floating-point tensor or the mask not boolean.
        """
        check_set(x, mask, self.dim, self.maps)
        x = without_masked(x, mask)
        return nan_if_empty(finite(self.aggregate(x, mask), x), mask)

    @abstractmethod
    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Make one vector of each set, whose masked members are 0."""


def check_set(x: Tensor, mask: Tensor | None, dim: int | None, maps: tuple[int, ...]) -> None:
    """Check a set and its mask.

    Raises:
        ArgumentError: If a set has no member or none that counts, or a shape does not fit.
        ArgumentTypeError: If ``x`` is not a floating-point tensor or the mask not boolean.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        came = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(f"x must be a floating-point tensor, got {came}")
    if x.dim() - 3 not in maps:
        shapes = " or ".join("(" + ", ".join(("B", "N", "D", "H", "W", "Z")[: 3 + each]) + ")" for each in maps)
        raise ArgumentError(f"x must be sets {shapes}, got shape {tuple(x.shape)}")
    if x.shape[1] == 0:
        raise ArgumentError(f"x must have at least one member in a set, got shape {tuple(x.shape)}")
    if dim is not None and x.shape[2] != dim:
        raise ArgumentError(f"x must have {dim} features, got {x.shape[2]} in shape {tuple(x.shape)}")
    if mask is not None:
        _check_mask(mask, x)


def without_masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the set with 0 in the place of masked members: NaN times a weight of 0 would be NaN."""
    return x if mask is None else x.masked_fill(~beside(mask, x), 0.0)


def beside(mask: Tensor, x: Tensor) -> Tensor:
    """Return the mask (B, N) with as many dimensions as the set."""
    return mask.reshape(*mask.shape, *(1,) * (x.dim() - 2))


def nan_if_empty(aggregated: Tensor, mask: Tensor | None) -> Tensor:
    """Return what was aggregated, NaN for sets of which no member counts; where the mask can be read there is none."""
    if mask is None or can_look_at(mask):
        return aggregated
    empty = ~mask.any(1)
    return aggregated.masked_fill(empty.reshape(-1, *(1,) * (aggregated.dim() - 1)), float("nan"))


def finite(aggregated: Tensor, x: Tensor, otherwise: str = "") -> Tensor:
    """Return what was aggregated, unless a feature made it other than finite.

    Looks at the result, which is a fraction of the size of the set, and at the set only where that is not finite.

    Args:
        aggregated: The result.
        x: The set it was made of.
        otherwise: What is wrong if all features are finite and the result is not; nothing if left out, as with sums
            that are too large.

    Raises:
        NotFiniteError: If so; names the first such feature.
    """
    if can_look_at(aggregated) and not bool(aggregated.isfinite().all()):
        broken = (~x.isfinite()).nonzero()
        if len(broken):
            where = tuple(broken[0].tolist())
            raise NotFiniteError(f"x must be finite where it counts, got {x[where].item()} at {where}")
        if otherwise:
            raise NotFiniteError(otherwise)
    return aggregated


def check_count(name: str, count: int) -> None:
    """Check a number of something.

    Raises:
        ArgumentError: If it is below 1.
        ArgumentTypeError: If it is not a whole number.
    """
    if not isinstance(count, Integral) or isinstance(count, bool):
        raise ArgumentTypeError(f"{name} must be a whole number, got {count!r}")
    if count < 1:
        raise ArgumentError(f"{name} must be at least 1, got {count}")


def can_look_at(values: Tensor) -> bool:
    """Whether values can be read without breaking a graph or waiting for an accelerator."""
    return values.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.compiler.is_exporting())


def _check_mask(mask: Tensor, x: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        raise ArgumentTypeError(f"mask must be a boolean tensor, got {getattr(mask, 'dtype', type(mask).__name__)}")
    if mask.shape != x.shape[:2]:
        raise ArgumentError(f"mask must have shape {tuple(x.shape[:2])}, got {tuple(mask.shape)}")
    if can_look_at(mask) and not bool(mask.any(1).all()):
        row = int((~mask.any(1)).nonzero()[0])
        raise ArgumentError(f"mask must keep at least one member of every set; it keeps none of set {row}")
