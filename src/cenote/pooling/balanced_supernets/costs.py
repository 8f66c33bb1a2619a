"""What a placement costs: operations by counting, time by measuring, memory by adding up; and budgets over them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.balancing import FloatArray

Shape: TypeAlias = tuple[int, int, int, int]
"""Of images: (B, C, H, W)."""


class Budget(Protocol):
    """A limit that placements have to keep, such as ``FlopsBudget`` and ``LatencyBudget``."""

    @property
    def limit(self) -> float:
        """The largest cost that is allowed."""

    def costs(self, networks: Sequence[nn.Module], shape: Shape) -> FloatArray:
        """Return the cost of each network for images of a shape (B, C, H, W)."""


@dataclass(frozen=True)
class FlopsBudget:
    """At most so many operations an image.

    Source: arXiv 2306.11982 compares placements of equal weights; their operations differ.

    Attributes:
        limit: Operations; a multiplication and its addition are two.

    Raises:
        ArgumentError: If the limit is not positive.
    """

    limit: float

    def __post_init__(self) -> None:
        _check_limit(self.limit)

    def costs(self, networks: Sequence[nn.Module], shape: Shape) -> FloatArray:
        """Return the operations of each network for images of a shape (B, C, H, W)."""
        return np.array([count_flops(network, shape) for network in networks], dtype=np.float64)


@dataclass(frozen=True)
class LatencyBudget:
    """At most so many seconds an image, measured on the device at hand.

    Attributes:
        limit: Seconds of a forward pass of one image.
        repeats: Measurements of each network, in turns; the median counts.

    Raises:
        ArgumentError: If the limit is not positive or there is no measurement.
    """

    limit: float
    repeats: int = 15

    def __post_init__(self) -> None:
        _check_limit(self.limit)
        if self.repeats < 1:
            raise ArgumentError(f"repeats must be at least 1, got {self.repeats}")

    def costs(self, networks: Sequence[nn.Module], shape: Shape) -> FloatArray:
        """Return the seconds of each network for images of a shape (B, C, H, W)."""
        return np.median(measure_latencies(networks, shape, repeats=self.repeats), axis=1)


@torch.no_grad()
def count_flops(network: nn.Module, shape: Shape) -> int:
    """Return the operations of convolutions and matrix products in a forward pass, in evaluation mode.

    A multiplication and its addition are two operations. What goes over a map value by value, such as norms and
    poolings, does not count, as is usual.

    Source: arXiv 2306.11982 compares placements whose weights are equal and whose operations are not.

    Args:
        network: The network; left in the mode it was in.
        shape: Of the images.

    Shapes:
        Images (B, C, H, W), zeros.

    Example:
        >>> count_flops(nn.Conv2d(3, 8, 3, padding=1), (1, 3, 32, 32)) == 2 * 8 * 3 * 9 * 32 * 32
        True
    """
    counter = FlopCounterMode(display=False)
    training = network.training
    with counter:
        network.eval()(_blank(network, shape))
    network.train(training)
    return int(counter.get_total_flops())


@torch.no_grad()
def measure_latencies(networks: Sequence[nn.Module], shape: Shape, *, repeats: int = 15) -> FloatArray:
    """Return the seconds of forward passes, all networks in turns so that a slow moment meets all of them.

    Source: arXiv 2306.11982 compares placements whose weights are equal and whose time is not.

    Args:
        networks: The networks, on one device; put into evaluation mode.
        shape: Of the images.
        repeats: Passes of each network, after two that are not counted.

    Returns:
        Seconds (networks, repeats).

    Shapes:
        Images (B, C, H, W), zeros.

    Raises:
        ArgumentError: If there is no network or no repeat.

    Example:
        >>> measure_latencies([nn.Conv2d(3, 8, 3)], (1, 3, 32, 32), repeats=4).shape
        (1, 4)
    """
    if not networks or repeats < 1:
        raise ArgumentError(f"networks and repeats must be at least 1, got {len(networks)} and {repeats}")
    images = _blank(networks[0], shape)
    seconds = np.empty((len(networks), repeats + 2))
    for turn in range(repeats + 2):
        for index, network in enumerate(networks):
            network.eval()
            start = perf_counter()
            network(images)
            if images.device.type != "cpu":
                torch.accelerator.synchronize()
            seconds[index, turn] = perf_counter() - start
    return seconds[:, 2:]


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that training holds."""

    weights: int
    """Of all models."""
    momentum: int
    """Of all optimizers."""
    activations: int
    """Kept for the backward pass of one step: only one model takes it."""

    @property
    def total(self) -> int:
        """The sum of all three."""
        return self.weights + self.momentum + self.activations


def training_memory(network: nn.Module, shape: Shape, *, models: int = 1) -> TrainingMemory:
    """Return the bytes of weights, momentum and activations while one of several equal models takes a step.

    Source: arXiv 2306.11982; a mixture of M SuperNets has M sets of weights, and activations of one.

    Args:
        network: One of the models, in the mode it is in.
        shape: Of a training batch.
        models: Their number.

    Shapes:
        Images (B, C, H, W), zeros.

    Example:
        >>> memory = training_memory(nn.Conv2d(3, 8, 3, bias=False), (2, 3, 32, 32), models=4)
        >>> memory.weights == memory.momentum == 4 * 8 * 3 * 9 * 4
        True
    """
    weights = models * sum(weight.numel() * weight.element_size() for weight in network.parameters())
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # Held until the end, so that no place in memory is counted for two tensors.
        output = network(_blank(network, shape))
    activations = sum(kept.values())
    del output
    return TrainingMemory(weights, weights, activations)


def _blank(network: nn.Module, shape: Shape) -> Tensor:
    """Images on the device and of the data type of a network's weights."""
    weight = next(network.parameters(), torch.empty(0))
    return torch.zeros(shape, dtype=weight.dtype, device=weight.device)


def within(budget: Budget, costs: FloatArray) -> list[int]:
    """Return the positions of the costs that keep a budget.

    Raises:
        ArgumentError: If none does; says the least cost.
    """
    kept = [index for index, cost in enumerate(costs) if cost <= budget.limit]
    if not kept:
        raise ArgumentError(
            f"constraint: no placement keeps {budget}; the cheapest costs {costs.min():.4g}, the median one "
            f"{statistics.median(costs):.4g}"
        )
    return kept


def _check_limit(limit: float) -> None:
    if not limit > 0:
        raise ArgumentError(f"limit must be positive, got {limit}")
