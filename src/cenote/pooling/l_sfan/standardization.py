"""Mean and standard deviation of each sensor, measured on the windows a model learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Standardization:
    """What windows are brought to mean 0 and standard deviation 1 with, sensor by sensor.

    Attributes:
        mean: Of each sensor, (S,).
        std: Of each sensor, (S,); 1 for a sensor that never changes, so that it becomes 0 and not NaN.
    """

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]

    @classmethod
    def of(cls, windows: npt.NDArray[Any]) -> Self:
        """Measure windows (N, T, S), or one recording (T, S).

        Raises:
            ArgumentError: If there is nothing to measure.
        """
        if windows.size == 0:
            raise ArgumentError(f"windows: got shape {windows.shape}, needs at least one value of each sensor")
        frames = windows.reshape(-1, windows.shape[-1])
        std = frames.std(axis=0, dtype=np.float64)
        return cls(frames.mean(axis=0, dtype=np.float64), np.where(std > 0, std, 1.0))

    def apply(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return standardised windows.

        Raises:
            ArgumentError: If they have another number of sensors.
        """
        if windows.shape[-1] != len(self.mean):
            raise ArgumentError(f"windows: got {windows.shape[-1]} sensors, allowed is {len(self.mean)} as measured")
        return ((windows - self.mean) / self.std).astype(np.float32)
