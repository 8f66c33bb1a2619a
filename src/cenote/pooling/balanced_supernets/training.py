"""Training steps and epochs on batches from any loader: SGD with momentum along a cosine, and accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader, Subset

from cenote.errors import ArgumentError


class Loader(Protocol):
    """Batches of images (B, C, H, W) and labels (B,), such as a ``DataLoader``; each iteration is an epoch.

    Where it has ``set_epoch``, it is told each epoch's number, as torch's distributed samplers are.
    """

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; ArgumentError if a value is out of range."""

    learning_rate: tuple[float, float] = (0.1, 0.001)
    """At the first step and, along a cosine, at the last."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 0.0
    """Of all weights."""

    def __post_init__(self) -> None:
        if not all(0 < rate < math.inf for rate in self.learning_rate):
            raise ArgumentError(f"learning_rate must be two positive numbers, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ArgumentError(f"momentum must be 0 or more and below 1, got {self.momentum}")
        if not 0 <= self.weight_decay < math.inf:
            raise ArgumentError(f"weight_decay must be 0 or more, got {self.weight_decay}")

    def optimizer(self, network: nn.Module) -> SGD:
        """Return a new optimizer of a network's weights."""
        first, _ = self.learning_rate
        # Fused: a small network has many small weights, and a loop over them in Python would cost a tenth of its step.
        return SGD(network.parameters(), lr=first, momentum=self.momentum, weight_decay=self.weight_decay, fused=True)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, from 0."""
        first, last = self.learning_rate
        done = step / (steps - 1) if steps > 1 else 0.0
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def take_step(optimizer: SGD, rate: float, logits: Tensor, labels: Tensor) -> Tensor:
    """Take a step of softmax cross-entropy at a learning rate; return the loss."""
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.detach()


def momentum_of(optimizer: SGD) -> dict[str, Tensor]:
    """Return copies of an optimizer's momentum by the index of the weight, as far as steps were taken."""
    buffers = {str(index): kept.get("momentum_buffer") for index, kept in optimizer.state_dict()["state"].items()}
    return {index: each.clone() for index, each in buffers.items() if each is not None}


def restore_momentum(optimizer: SGD, momentum: Mapping[str, Tensor]) -> None:
    """Put back what ``momentum_of`` returned, from any memory order."""
    weights = optimizer.param_groups[0]["params"]
    # A fused step walks through weight and momentum side by side, and a file need not have kept the memory order.
    state = {int(index): {"momentum_buffer": torch.empty_like(weights[int(index)]).copy_(moment)}
             for index, moment in momentum.items()}  # fmt: skip
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def train_network(
    network: nn.Module,
    train: Loader,
    epochs: int,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
) -> tuple[float, ...]:
    """Train a network of one configuration in place.

    Args:
        network: Images (B, C, H, W) → logits (B, K).
        train: The batches.
        epochs: Passes over them.
        recipe: How to train.
        seed: Decides the network's own randomness, such as dropout.
        device: Where the network is trained.
        on_epoch: Called with the epoch from 0 and its mean loss after each epoch.

    Returns:
        Mean loss of each epoch; it ends with NaN or infinity where the training diverged.
    """
    network.to(device).train()
    optimizer, steps = recipe.optimizer(network), epochs * len(train)
    losses = []
    for epoch in range(epochs):
        with randomness_of(seed, epoch):
            total = torch.zeros((), device=device)
            for step, (images, labels) in enumerate(batches_of(train, epoch, device), epoch * len(train)):
                if step == 0:
                    network.to(memory_format=memory_format_of(images))
                total += take_step(optimizer, recipe.rate(step, steps), network(images), labels)
        losses.append(total.item() / len(train))
        if not math.isfinite(losses[-1]):
            break
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
    return tuple(losses)


@torch.no_grad()
def accuracy(network: nn.Module, batches: Loader, device: torch.device | str = "cpu") -> float:
    """Return the share of images whose largest logit is at the label, in evaluation mode; NaN if a logit is NaN."""
    network.eval()
    right, count = 0.0, 0
    for images, labels in batches_of(batches, 0, device):
        right += count_right(network(images), labels)
        count += len(labels)
    return right / count


def count_right(logits: Tensor, labels: Tensor) -> float:
    """Return the number of images whose largest logit is at the label; NaN if a logit is NaN."""
    if logits.isnan().any():
        return math.nan
    return float((logits.argmax(dim=1) == labels).sum().item())


def batches_of(loader: Loader, epoch: int, device: torch.device | str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch on a device."""
    set_epoch = getattr(loader, "set_epoch", None)
    if set_epoch is not None:
        set_epoch(epoch)
    for images, labels in loader:
        yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def memory_format_of(images: Tensor) -> torch.memory_format:
    """Return how a batch lies in memory, so that the weights can lie likewise."""
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


@contextmanager
def randomness_of(*numbers: int) -> Iterator[None]:
    """Seed torch's global generators by numbers, and put the caller's state back afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed_of(*numbers))
        yield


def seed_of(*numbers: int) -> int:
    """Return a seed of its own for each sequence of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def check_apart(train: Loader, val: Loader) -> None:
    """Raise ArgumentError where images of the one are seen to be in the other.

    Looks at loaders of the same data set, whole or as ``Subset``; images that were copied are not recognised.
    """
    if train is val:
        raise ArgumentError("val must not be train: accuracies of images that were learned from rank nothing")
    if not (isinstance(train, DataLoader) and isinstance(val, DataLoader)):
        return
    (mine, own), (yours, other) = _rows(train.dataset), _rows(val.dataset)
    if mine is not yours:
        return
    shared = own & other
    if shared:
        raise ArgumentError(f"train and val must have no image in common, but share {len(shared):,} of their data set")


def _rows(dataset: object) -> tuple[object, set[int]]:
    """The data set behind subsets, and the rows of it that are left."""
    rows: list[int] | range | None = None
    while isinstance(dataset, Subset):
        rows = list(dataset.indices) if rows is None else [dataset.indices[row] for row in rows]
        dataset = dataset.dataset
    if rows is None:
        rows = range(len(dataset)) if hasattr(dataset, "__len__") else range(0)
    return dataset, set(rows)


def order_of(train: Loader, val: Loader) -> dict[str, Tensor]:
    """Return the states of the loaders' own generators by name; others draw their order from the global one."""
    generators = {name: getattr(each, "generator", None) for name, each in (("train", train), ("val", val))}
    return {f"order.{name}": each.get_state() for name, each in generators.items() if each is not None}


def restore_order(train: Loader, val: Loader, state: Mapping[str, Tensor]) -> None:
    """Put back the states that ``order_of`` returned."""
    for name, loader in (("train", train), ("val", val)):
        generator = getattr(loader, "generator", None)
        if generator is not None and f"order.{name}" in state:
            generator.set_state(state[f"order.{name}"])
