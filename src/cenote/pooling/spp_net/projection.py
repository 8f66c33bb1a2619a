"""From a window of the image to a window of the map: the rule of the paper's text and that of its released code.

Windows of the image are boxes x1, y1, x2, y2 between pixel edges, counted from 0: the first pixel reaches from 0 to 1.
Windows of the map are the cells x1, y1, x2, y2 counted from 0, the last ones included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cenote.errors import ArgumentError


class WindowProjection(Protocol):
    """Says which cells of a map belong to a window of the image."""

    def project(self, boxes: Tensor, map_size: tuple[int, int]) -> Tensor:
        """Return the cells (N, 4) of boxes (N, 4), at least one for each."""
        ...


@dataclass(frozen=True)
class PaperProjection:
    """The rule of the paper's text (arXiv 1406.4729, Appendix A).

    The cell x′ of a map of stride S has its receptive field around the pixel S x′, if every layer is padded by half of
    its kernel. With x the first and the last pixel of the window, x′ = ⌊x / S⌋ + 1 for left and top, and x′ =
    ⌈x / S⌉ - 1 for right and bottom. A window without a cell gets the one in its middle.

    The rule leaves out a cell at each border, so the whole image is not the whole map.

    Args:
        stride: S, the product of the strides.

    Raises:
        ArgumentError: If the stride is not positive.

    Example:
        >>> PaperProjection(stride=16).project(torch.tensor([[0.0, 0.0, 224.0, 100.0]]), (14, 14)).tolist()
        [[1, 1, 13, 6]]
    """

    stride: float

    def __post_init__(self) -> None:
        _check_stride(self.stride)

    def project(self, boxes: Tensor, map_size: tuple[int, int]) -> Tensor:
        """Return the cells (N, 4) of boxes (N, 4), at least one for each."""
        first = torch.floor(boxes[:, :2] / self.stride) + 1
        last = torch.ceil((boxes[:, 2:] - 1) / self.stride) - 1
        return _cells(first, last, map_size)


@dataclass(frozen=True)
class ReleasedProjection:
    """The rule of the released code.

    With pixels and cells counted from 1, the first cell's receptive field around the pixel ``centre`` and a slack: for
    left and top x′ = ⌊(x - centre + slack) / S + 1/2⌋ + 1, for right and bottom x′ = ⌈(x - centre - slack) / S - 1/2⌉
    + 1. A window without a cell gets the one in its middle, and all are held within the map. The whole image is the
    whole map.

    The numbers are those seen in ports of the released code, whose network has centre 21 and slack 6.5 at stride 16;
    they could not be confirmed in the paper.

    Args:
        stride: S, the product of the strides.
        centre: Pixel, counted from 1, around which the first cell's receptive field lies: 1 where every layer is padded
            by half of its kernel, 21 for the released network.
        slack: By how many pixels a window shrinks at each side before it is rounded; 6.5 / 16 of the stride if left
            out.

    Raises:
        ArgumentError: If the stride is not positive, or the slack below 0.

    Example:
        >>> rule = ReleasedProjection(stride=16, centre=21)
        >>> rule.project(torch.tensor([[0.0, 0.0, 224.0, 100.0]]), (13, 13)).tolist()
        [[0, 0, 12, 5]]
    """

    stride: float
    centre: float = 1.0
    slack: float | None = None

    def __post_init__(self) -> None:
        _check_stride(self.stride)
        if self.slack is not None and not self.slack >= 0:
            raise ArgumentError(f"slack must be 0 or more, got {self.slack}")

    def project(self, boxes: Tensor, map_size: tuple[int, int]) -> Tensor:
        """Return the cells (N, 4) of boxes (N, 4), at least one for each."""
        slack = 6.5 / 16 * self.stride if self.slack is None else self.slack
        # Pixels counted from 1: the first one of a box is x1 + 1, the last one x2.
        first = torch.floor((boxes[:, :2] + 1 - self.centre + slack) / self.stride + 0.5)
        last = torch.ceil((boxes[:, 2:] - self.centre - slack) / self.stride - 0.5)
        return _cells(first, last, map_size)


def _cells(first: Tensor, last: Tensor, map_size: tuple[int, int]) -> Tensor:
    """Hold windows within the map; one that has no cell gets the one in its middle."""
    middle = torch.floor((first + last) / 2)
    crossed = first > last
    ends = torch.cat([torch.where(crossed, middle, first), torch.where(crossed, middle, last)], dim=1)
    height, width = map_size
    highest = torch.tensor([width - 1, height - 1, width - 1, height - 1], dtype=ends.dtype, device=ends.device)
    return torch.minimum(ends.clamp(min=0), highest).long()


def _check_stride(stride: float) -> None:
    if not stride > 0:
        raise ArgumentError(f"stride must be positive, got {stride}")
