"""Train a network on windows behind the two calls that scikit-learn's classifiers have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.l_sfan.augmentation import WindowAugmentation


@dataclass(frozen=True)
class WindowTraining:
    """How a network is trained on windows; the defaults are the paper's (arXiv 2406.16913).

    Attributes:
        epochs: Passes over the windows.
        batch_size: Windows of a step.
        learning_rate: Of Adam, the same in every step.
        augmentation: How a window is varied each time it is seen; None leaves it as it is.
    """

    epochs: int = 5
    batch_size: int = 40
    learning_rate: float = 1e-3
    augmentation: WindowAugmentation | None = field(default_factory=WindowAugmentation)

    def __post_init__(self) -> None:
        for name, value, allowed, fits in (
            ("epochs", self.epochs, "1 or more", self.epochs >= 1),
            ("batch_size", self.batch_size, "1 or more", self.batch_size >= 1),
            ("learning_rate", self.learning_rate, "a positive number", 0 < self.learning_rate < math.inf),
        ):
            if not fits:
                raise ArgumentError(f"{name}: got {value}, allowed is {allowed}")


class WindowClassifier:
    """A network with ``fit`` and ``predict_proba``, as scikit-learn's classifiers have.

    A class counts by 1 less its share of the training windows, as in the paper. The same seed gives the same weights,
    and the caller's random state is as before. Unlike in scikit-learn ``fit`` goes on from the weights the module has.

    Args:
        module: Maps windows (B, T, S) to logits (B, K); trained in place, on the device it is on.
        training: How.
        seed: Decides the order of the windows, their variants and dropout.
    """

    def __init__(self, module: nn.Module, training: WindowTraining | None = None, *, seed: int = 0) -> None:
        self.module = module
        self.training = training or WindowTraining()
        self.seed = seed
        self.diverged = False

    def fit(self, windows: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Self:
        """Train on windows (N, T, S) with labels (N,) from 0 to K - 1.

        Sets ``diverged`` and stops where the loss is no longer finite.

        Raises:
            ArgumentError: If shapes do not fit, or labels are not integers, of one class, or more than the module has.
        """
        x, y = _checked(windows, labels)
        self.diverged = False
        order_seed, draw_seed, own_seed = np.random.SeedSequence(self.seed).generate_state(3).tolist()
        optimizer = torch.optim.Adam(self.module.parameters(), self.training.learning_rate)
        order = torch.Generator().manual_seed(order_seed)
        draws = torch.Generator().manual_seed(draw_seed)
        weights: Tensor | None = None
        self.module.train()
        device, _ = _place(self.module)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(own_seed)
            for batch, targets in self._batches(x, y, order, draws):
                logits = self.module(batch)
                if weights is None:
                    if y.max() >= logits.shape[1]:
                        allowed = f"0 to {logits.shape[1] - 1}, the classes of the module"
                        raise ArgumentError(f"labels: got {y.max()}, allowed is {allowed}")
                    weights = class_weights(y, logits.shape[1]).to(logits)
                loss = F.cross_entropy(logits, targets, weights)
                if not torch.isfinite(loss):
                    self.diverged = True
                    break
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        self.module.eval()
        return self

    def predict_proba(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (N, K); NaN after a divergence."""
        device, dtype = _place(self.module)
        parts = []
        self.module.eval()
        with torch.no_grad():
            for start in range(0, max(1, len(windows)), 256):
                batch = torch.from_numpy(np.array(windows[start : start + 256], np.float32)).to(device, dtype)
                parts.append(self.module(batch).double().softmax(dim=1).cpu().numpy())
        probabilities: npt.NDArray[np.float64] = np.concatenate(parts)
        return np.full_like(probabilities, np.nan) if self.diverged else probabilities

    def _batches(
        self, x: Tensor, y: Tensor, order: torch.Generator, draws: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        device, dtype = _place(self.module)
        for _ in range(self.training.epochs):
            for rows in torch.split(torch.randperm(len(x), generator=order), self.training.batch_size):
                batch = x[rows]
                if self.training.augmentation is not None:
                    batch = self.training.augmentation.vary(batch, draws)
                yield batch.to(device, dtype), y[rows].to(device)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return 1 less the share of each class, (K,): the paper's weights of the loss."""
    return 1 - torch.bincount(labels, minlength=classes) / len(labels)


def _checked(windows: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Tensor, Tensor]:
    x, y = np.array(windows, np.float32), np.asarray(labels)
    if x.ndim != 3 or x.size == 0:
        raise ArgumentError(f"windows: got shape {x.shape}, allowed is a non-empty (N, T, S)")
    if y.shape != x.shape[:1]:
        raise ArgumentError(f"labels: got shape {y.shape}, allowed is {x.shape[:1]}: one for each window")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise ArgumentError(f"labels: got {y.dtype} such as {y[0]!r}, allowed are integers from 0")
    if y.min() == y.max():
        raise ArgumentError(f"labels: got class {y[0]} alone, needs windows of at least two classes")
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


def _place(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module's weights are, and of which kind."""
    return next(((weight.device, weight.dtype) for weight in module.parameters()), (torch.device("cpu"), torch.float32))
