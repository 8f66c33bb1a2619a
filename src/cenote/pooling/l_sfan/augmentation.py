"""Variants of a window: noise on every sensor, or a rectangle of it wiped out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cenote.errors import ArgumentError


@dataclass(frozen=True)
class WindowAugmentation:
    """How training windows are varied: each is kept, shaken or partly wiped, every variant as likely as another.

    The paper stores six variants beside each window (arXiv 2406.16913), drawn in raw units before normalisation; here
    one is drawn each time a window is seen, in standard deviations, so that all sensors are shaken alike.

    Attributes:
        jitter: Standard deviations of the noise, a variant each.
        wiped: Parts of the frames and of the sensors that the wiped rectangle spans, a variant each.
    """

    jitter: tuple[float, ...] = (0.05, 0.1, 0.15)
    wiped: tuple[float, ...] = (0.05, 0.1, 0.15)

    def __post_init__(self) -> None:
        if any(not 0 <= size < math.inf for size in self.jitter):
            raise ArgumentError(f"jitter: got {self.jitter}, allowed are numbers from 0")
        if any(not 0 < part <= 1 for part in self.wiped):
            raise ArgumentError(f"wiped: got {self.wiped}, allowed are parts above 0 and up to 1")

    def vary(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        """Return a variant of each window (B, T, S), drawn on the CPU from the generator."""
        count, frames, sensors = windows.shape
        kinds = 1 + len(self.jitter) + len(self.wiped)
        kind = torch.randint(kinds, (count,), generator=generator)
        size = torch.tensor([0.0, *self.jitter, *[0.0] * len(self.wiped)])[kind]
        part = torch.tensor([0.0, *[0.0] * len(self.jitter), *self.wiped])[kind]
        noise = size[:, None, None] * torch.randn(windows.shape, generator=generator)
        rows = _spans(frames, part, torch.rand(count, generator=generator))
        columns = _spans(sensors, part, torch.rand(count, generator=generator))
        kept = ~(rows[:, :, None] & columns[:, None, :])
        return (windows + noise.to(windows)) * kept.to(windows)

    def copies(
        self, windows: npt.NDArray[np.float32], seed: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return the windows with as many variants of each as there are kinds, and which window each comes from.

        Args:
            windows: (N, T, S).
            seed: Decides the variants.

        Returns:
            (M, T, S), the windows themselves first, and the index of the window that each was made from, (M,).
        """
        generator = torch.Generator().manual_seed(seed)
        times = len(self.jitter) + len(self.wiped)
        drawn = [self.vary(torch.from_numpy(windows), generator).numpy() for _ in range(times)]
        return np.concatenate([windows, *drawn]), np.tile(np.arange(len(windows)), 1 + times)


def _spans(length: int, part: Tensor, place: Tensor) -> Tensor:
    """For each sample a run of ``part`` of the positions, at least one unless ``part`` is 0, (B, length)."""
    size = torch.where(part > 0, (part * length).round().clamp(min=1), 0.0)
    start = (place * (length - size + 1)).floor()
    positions = torch.arange(length)
    return (positions >= start[:, None]) & (positions < (start + size)[:, None])
