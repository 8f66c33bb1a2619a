"""Pooling thousands of windows from one map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_pool

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.spp_net.projection import WindowProjection
from cenote.pooling.spp_net.pyramid import LEVELS, check_levels

CHUNK = 500
"""Windows pooled at a time: 50 bins of 256 channels are 26 MB."""

EXPECTED_SIDE = 224
"""Side of the square whose area a window should have at its scale, in pixels."""


def spp_roi_pool(
    features: Tensor,
    boxes: Sequence[Tensor],
    projection: WindowProjection,
    levels: Sequence[int] = LEVELS,
    chunk: int = CHUNK,
) -> Tensor:
    """Pool windows of images from their maps, each over the bins of a spatial pyramid.

    The convolutions ran once over the image; a window is a rectangle of cells of the map, which gives what
    ``spatial_pyramid_pool2d`` gives of that rectangle (arXiv 1406.4729, Section 4.1). Windows that fall on the same
    cells are pooled once. The kernel is ``torchvision.ops.roi_pool`` on whole cells; ``roi_align`` is another operator.

    Args:
        features: The maps.
        boxes: For each map its windows x1, y1, x2, y2 in pixels of the image that the map was computed from, between
            pixel edges counted from 0. Cut them at the image's border first.
        projection: Which cells a window has.
        levels: Bins along a side of each grid, in the order in which they are concatenated.
        chunk: Windows pooled at a time, which bounds the memory in use.

    Shapes:
        features is (B, C, H, W), boxes holds B tensors (N_b, 4), and the result is (Σ N_b, C · Σ n²).

    Raises:
        ArgumentError: If boxes are not (N, 4) for each map, not finite or turned round, a map has no cell or a NaN, or
            ``levels`` or ``chunk`` is out of range.
        ArgumentTypeError: If features are not a floating-point tensor.

    Example:
        >>> from cenote.pooling import ReleasedProjection
        >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> windows = torch.tensor([[0.0, 0.0, 32.0, 32.0], [0.0, 0.0, 64.0, 64.0]])
        >>> spp_roi_pool(features, [windows], ReleasedProjection(stride=16), levels=(2, 1)).tolist()
        [[5.0, 6.0, 9.0, 10.0, 10.0], [5.0, 7.0, 13.0, 15.0, 15.0]]
    """
    levels = check_levels(levels)
    _check_features(features)
    if len(boxes) != len(features):
        raise ArgumentError(f"boxes must have one tensor for each of the {len(features)} maps, got {len(boxes)}")
    if chunk < 1:
        raise ArgumentError(f"chunk must be at least 1, got {chunk}")
    parts = [features.new_empty(0, 5)]
    for index, each in enumerate(boxes):
        cells = projection.project(check_boxes(each).to(features.device), (features.shape[2], features.shape[3]))
        number = torch.full((len(cells), 1), index, dtype=torch.int64, device=cells.device)
        parts.append(torch.cat([number, cells], dim=1))
    return _pool_cells(features, torch.cat(parts[1:] or parts), levels, chunk)


def _pool_cells(features: Tensor, cells: Tensor, levels: Sequence[int], chunk: int) -> Tensor:
    """Pool rectangles of cells (N, 5), index of the map first, each of them once."""
    # The kernel knows no bfloat16; a maximum is exact in any format that holds its input.
    wide = features if features.dtype in (torch.float32, torch.float64) else features.float()
    if torch.compiler.is_compiling():  # how many differ depends on the data
        return _pool(wide, cells, levels).to(features.dtype)
    different, inverse = torch.unique(cells, dim=0, return_inverse=True)
    pooled = [_pool(wide, part, levels) for part in different.split(chunk)]
    return torch.cat(pooled)[inverse].to(features.dtype)


def _pool(features: Tensor, cells: Tensor, levels: Sequence[int]) -> Tensor:
    windows = cells.to(features.dtype)
    return torch.cat([roi_pool(features, windows, level, 1.0).flatten(1) for level in levels], dim=1)


def nearest_scale(
    boxes: Tensor, short_side: int, scales: Sequence[int], expected_side: float = EXPECTED_SIDE
) -> Tensor:
    """Return for each box the position in ``scales`` at which its area comes nearest to the expected square.

    Scale s resizes the image so that its shorter side is s; a box of area A there has the side √A s / short_side. The
    released code takes the s nearest to expected · short_side / √A, with 208 = 13 · 16 for the expected side.

    Args:
        boxes: x1, y1, x2, y2 in pixels of the image, (N, 4).
        short_side: Shorter side of the image.
        scales: The scales to choose from.
        expected_side: Side of the square.
    """
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=1).sqrt()
    wanted = expected_side * short_side / sides
    distances = (torch.tensor(scales, dtype=wanted.dtype, device=boxes.device) - wanted[:, None]).abs()
    return distances.argmin(dim=1)


def check_boxes(boxes: Tensor) -> Tensor:
    """Return boxes (N, 4) as a floating-point tensor.

    Raises:
        ArgumentError: If they are not (N, 4), not finite, or end before they begin.
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ArgumentError(f"boxes must have the shape (N, 4), x1, y1, x2, y2 each, got {tuple(boxes.shape)}")
    boxes = boxes if boxes.is_floating_point() else boxes.float()
    if torch.compiler.is_compiling():
        return boxes
    broken = ~boxes.isfinite().all(dim=1)
    if broken.any():
        raise ArgumentError(f"boxes must be finite, box {int(broken.nonzero()[0])} is {boxes[broken][0].tolist()}")
    turned = (boxes[:, 2:] < boxes[:, :2]).any(dim=1)
    if turned.any():
        row = int(turned.nonzero()[0])
        raise ArgumentError(f"boxes must have x1 ≤ x2 and y1 ≤ y2, box {row} is {boxes[row].tolist()}")
    return boxes


def _check_features(features: Tensor) -> None:
    if not isinstance(features, Tensor) or not features.is_floating_point():
        raise ArgumentTypeError(
            "features must be a floating-point tensor, got "
            f"{features.dtype if isinstance(features, Tensor) else type(features).__name__}"
        )
    if features.dim() != 4 or not features.shape[2] or not features.shape[3]:
        raise ArgumentError(f"features must have the shape (B, C, H, W) with H, W ≥ 1, got {tuple(features.shape)}")
    # roi_pool passes over a NaN as if it were the smallest value, and would hide it.
    if not torch.compiler.is_compiling() and bool(features.isnan().any()):
        raise ArgumentError("features must not be NaN")
