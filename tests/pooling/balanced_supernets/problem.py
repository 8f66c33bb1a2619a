"""A small search problem: images whose class is the brightness of a stripe, in loaders that shuffle."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cenote.pooling import resnet_units

WIDTHS = (4, 4, 8, 8)


def backbone() -> nn.Sequential:
    return resnet_units(WIDTHS, channels=1, classes=3)


def images(count: int, seed: int, side: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    pixels = torch.randn(count, 1, side, side, generator=generator)
    pixels[torch.arange(count), 0, labels] += 1.5
    return pixels, labels


def loader(count: int = 48, seed: int = 0, batch: int = 12, *, own: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    """A shuffled loader; with a generator of its own, or one that draws from the global one."""
    generator = torch.Generator().manual_seed(seed) if own else None
    return DataLoader(TensorDataset(*images(count, seed)), batch, shuffle=True, generator=generator)
