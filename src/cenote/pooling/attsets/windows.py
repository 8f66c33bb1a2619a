"""An image seen through windows: each view shows a part of it, with noise, and where that part lies."""

from __future__ import annotations

import torch
from torch import Tensor

from cenote.errors import ArgumentError


def window_views(
    images: Tensor, count: int, sides: tuple[int, int], noise: float, generator: torch.Generator
) -> Tensor:
    """Show each image through square windows of random sides and places.

    Args:
        images: Grey values, (B, S, S).
        count: Views V of each image.
        sides: Smallest and largest side of a window in pixels, at most S.
        noise: Standard deviation of what is added to the pixels of a window.
        generator: Where the windows and the noise come from.

    Returns:
        (B, V, 2, S, S): the pixels in the window, 0 outside of it; and 1 in the window, 0 outside of it.

    Raises:
        ArgumentError: If a window would be larger than the image or empty.
    """
    low, high = sides
    extent = images.shape[-1]
    if not 1 <= low <= high <= extent:
        raise ArgumentError(f"sides must be two numbers from 1 to {extent}, the smaller first, got {sides}")
    shape = (len(images), count, 1)
    side = torch.randint(low, high + 1, shape, generator=generator)
    seen = torch.ones((*shape[:2], extent, extent), dtype=torch.bool)
    along = torch.arange(extent)
    for axis in (3, 2):
        start = (torch.rand(shape, generator=generator) * (extent - side + 1)).long()
        seen &= ((along >= start) & (along < start + side)).unsqueeze(5 - axis)
    pixels = images.unsqueeze(1) + noise * torch.randn(seen.shape, generator=generator)
    return torch.stack([torch.where(seen, pixels, 0.0), seen.to(pixels.dtype)], 2)
