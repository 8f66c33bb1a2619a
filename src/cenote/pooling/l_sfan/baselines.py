"""What the network is compared with: a stacked LSTM, the mean and spread of each sensor, and its finest changes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn


class StackedLSTM(nn.Module):
    """Classify windows (B, T, S) by the last state of a stack of LSTM layers: logits (B, K).

    Args:
        n_sensors: S.
        num_classes: K.
        hidden: Units of each layer.
        layers: Number of layers.
    """

    def __init__(self, n_sensors: int, num_classes: int, hidden: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_sensors, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of windows (B, T, S)."""
        states, _ = self.lstm(x)
        logits: Tensor = self.head(states[:, -1])
        return logits


class SummaryLogistic:
    """Logistic regression on the mean and the standard deviation of each sensor over a window; no order in time."""

    def __init__(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, class_weight="balanced"))

    def fit(self, windows: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Self:
        """Fit to windows (N, T, S) with labels (N,)."""
        self.pipeline.fit(self.features(windows), labels)
        return self

    def predict_proba(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (N, K)."""
        probabilities: npt.NDArray[np.float64] = self.pipeline.predict_proba(self.features(windows))
        return probabilities

    def features(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return what is looked at of windows (N, T, S), (N, 2 S)."""
        each = np.asarray(windows, np.float64)
        return np.concatenate([each.mean(axis=1), each.std(axis=1)], axis=1)


class FineLogistic(SummaryLogistic):
    """Logistic regression on how each sensor changes from frame to frame, which shows the recorder, not the movement.

    Of each sensor: the part of frames that repeat the one before, and the spread of second differences as a part of
    the whole spread. A recording that was stretched or held shows in both.
    """

    def features(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return what is looked at of windows (N, T, S), (N, 2 S)."""
        each = np.asarray(windows, np.float64)
        repeated = (np.diff(each, axis=1) == 0).mean(axis=1)
        rough = np.diff(each, n=2, axis=1).std(axis=1) / np.maximum(each.std(axis=1), 1e-6)
        return np.concatenate([repeated, np.log(rough + 1e-6)], axis=1)
