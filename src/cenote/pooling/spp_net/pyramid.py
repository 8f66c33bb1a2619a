"""The pooling layer: a map of any size becomes a vector of one length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError

LEVELS = (6, 3, 2, 1)
"""The paper's 50 bins, in the order in which its detector concatenates them."""

Mode = Literal["max", "avg"]
"""What a bin gives: its largest value, as in the paper, or its mean."""

_POOLS: dict[str, Callable[[Tensor, int], Tensor]] = {"max": F.adaptive_max_pool2d, "avg": F.adaptive_avg_pool2d}


def spatial_pyramid_pool2d(x: Tensor, levels: Sequence[int] = LEVELS, mode: Mode = "max") -> Tensor:
    """Pool a map over the bins of several grids and return them as one vector.

    On a map of height h, level n has the bins i, j = 0 … n - 1 with rows ⌊i h / n⌋ to ⌈(i + 1) h / n⌉ - 1 and columns
    likewise (arXiv 1406.4729, Appendix A). No bin is empty, even where h < n: values then repeat. A level's bins
    stand together, channel by channel and row by row; levels follow each other as they are listed.

    Differs from the paper: its main text pools with a sliding window of ⌈h / n⌉ and stride ⌊h / n⌋, which is the same
    for h = 13 and n = 1, 2, 3, 6, but gives 9 bins a side for h = 10 and n = 6. The bins are right for every size.

    Args:
        x: Floating-point maps with H, W ≥ 1.
        levels: Bins along a side of each grid, each at least 1.
        mode: What a bin gives.

    Shapes:
        x is (B, C, H, W), the result (B, C · Σ n²).

    Raises:
        ArgumentError: If ``levels`` is empty or has a number below 1, ``mode`` is unknown, or x has another number of
            dimensions or no cell.
        ArgumentTypeError: If x is not a floating-point tensor, or a level not a whole number.

    Example:
        >>> x = torch.arange(12.0).reshape(1, 1, 3, 4)
        >>> spatial_pyramid_pool2d(x, levels=(2, 1)).tolist()
        [[5.0, 7.0, 9.0, 11.0, 11.0]]
    """
    levels = check_levels(levels)
    _check_mode(mode)
    _check_maps(x)
    return torch.cat([_POOLS[mode](x, level).flatten(1) for level in levels], dim=1)


class SpatialPyramidPool2d(nn.Module):
    """``spatial_pyramid_pool2d`` as a layer between the last convolution and the first linear layer.

    It has no weights, but the linear layer behind it is of use with the same levels in the same order only. They are
    kept in ``state_dict``, and loading a state with others is refused (arXiv 1406.4729: the released networks
    concatenate 1, 2, 3, 6 for classification and 6, 3, 2, 1 for detection).

    Args:
        levels: Bins along a side of each grid, in the order in which they are concatenated.
        mode: What a bin gives: ``max``, as in the paper, or ``avg``.

    Shapes:
        (B, C, H, W) → (B, C · Σ n²) for every H, W ≥ 1.

    Raises:
        ArgumentError: If ``levels`` is empty or has a number below 1, or ``mode`` is unknown.
        ArgumentTypeError: If a level is not a whole number.

    Example:
        >>> layer = SpatialPyramidPool2d(levels=(4, 2, 1))
        >>> {tuple(layer(torch.randn(2, 8, *size)).shape) for size in ((13, 13), (10, 17), (1, 1))}
        {(2, 168)}
        >>> nn.Linear(layer.out_features(8), 10).in_features
        168
    """

    def __init__(self, levels: Sequence[int] = LEVELS, mode: Mode = "max") -> None:
        super().__init__()
        self.levels = check_levels(levels)
        _check_mode(mode)
        self.mode = mode

    @property
    def bins(self) -> int:
        """Number of bins over all levels, Σ n²."""
        return count_bins(self.levels)

    def out_features(self, channels: int) -> int:
        """Return the length of the vector for maps with this many channels.

        Raises:
            ArgumentError: If there is no channel.
        """
        if channels < 1:
            raise ArgumentError(f"channels must be at least 1, got {channels}")
        return channels * self.bins

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors (B, C · Σ n²) of maps (B, C, H, W)."""
        return spatial_pyramid_pool2d(x, self.levels, self.mode)

    def extra_repr(self) -> str:
        """Show the levels in their order."""
        return f"levels={self.levels}, mode={self.mode!r}"

    def get_extra_state(self) -> Tensor:
        """Return the levels in their order; a tensor, so that safetensors takes it."""
        return torch.tensor(self.levels, dtype=torch.int64)

    def set_extra_state(self, state: Tensor) -> None:
        """Compare the levels of a loaded state with the layer's own.

        Raises:
            ArgumentError: If they differ: weights behind the layer would meet other bins.
        """
        loaded = tuple(int(level) for level in state.tolist())
        if loaded != self.levels:
            raise ArgumentError(f"levels of the loaded weights are {loaded}, those of the layer {self.levels}")


def group_by_size(images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Group images of different sizes into batches of one size each, since a batch has one size only.

    Stands in for the batches of the paper's multi-size training (arXiv 1406.4729, Section 2.3), where all images of a
    batch share one size.

    Args:
        images: Images (C, H, W) of any sizes.

    Shapes:
        Each group is a pair of positions (B,) in ``images`` and a batch (B, C, H, W); groups stand in the order of
        their first image.

    Raises:
        ArgumentError: If an image has another number of dimensions.

    Example:
        >>> sizes = [(3, 8, 8), (3, 6, 9), (3, 8, 8)]
        >>> for at, batch in group_by_size([torch.zeros(size) for size in sizes]):
        ...     print(at.tolist(), tuple(batch.shape))
        [0, 2] (2, 3, 8, 8)
        [1] (1, 3, 6, 9)
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        if image.dim() != 3:
            raise ArgumentError(f"images must have the shape (C, H, W), image {index} has {tuple(image.shape)}")
        places.setdefault(tuple(image.shape), []).append(index)
    return [
        (torch.tensor(indices, device=images[indices[0]].device), torch.stack([images[index] for index in indices]))
        for indices in places.values()
    ]


def count_bins(levels: Sequence[int]) -> int:
    """Return the number of bins of a pyramid."""
    return sum(level * level for level in levels)


def check_levels(levels: Sequence[int]) -> tuple[int, ...]:
    """Return the levels as a tuple.

    Raises:
        ArgumentError: If there is none, or one is below 1.
        ArgumentTypeError: If one is not a whole number.
    """
    for level in levels:
        if not isinstance(level, int) or isinstance(level, bool):
            raise ArgumentTypeError(f"levels must be whole numbers, got {level!r}")
    if not levels or min(levels) < 1:
        raise ArgumentError(f"levels must be at least one number from 1 up, got {tuple(levels)}")
    return tuple(levels)


def _check_mode(mode: str) -> None:
    if mode not in get_args(Mode):
        raise ArgumentError(f"mode must be 'max' or 'avg', got {mode!r}")


def _check_maps(x: Tensor) -> None:
    if isinstance(x, list | tuple):
        raise ArgumentTypeError(
            "x must be one tensor (B, C, H, W), got a sequence; images of different sizes make a batch for each size, "
            "see group_by_size"
        )
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ArgumentTypeError(
            f"x must be a floating-point tensor, got {x.dtype if isinstance(x, Tensor) else type(x).__name__}"
        )
    if x.dim() != 4:
        raise ArgumentError(f"x must have the shape (B, C, H, W), got {tuple(x.shape)}")
    if not x.shape[2] or not x.shape[3]:
        raise ArgumentError(
            f"x must have at least one cell, got {tuple(x.shape)}; the image is smaller than the convolutions "
            "before it allow"
        )
