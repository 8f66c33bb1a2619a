"""Convolutions learn to tell windows apart, at two sizes in turn; epochs can be interrupted and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.pooling.spp_net.pyramid import SpatialPyramidPool2d

State = dict[str, Tensor]


@dataclass(frozen=True)
class Pretraining:
    """How convolutions are trained.

    Attributes:
        epochs: Passes over the crops.
        batch: Crops of a step.
        learning_rate: At the start of a cosine, of Adam.
        sides: Sizes of the crops, taken in turn, an epoch each, as in the paper's multi-size training.
    """

    epochs: int
    batch: int
    learning_rate: float
    sides: tuple[int, ...]


def pretrain(
    convolutions: nn.Module,
    crops: Tensor,
    labels: Tensor,
    settings: Pretraining,
    *,
    levels: Sequence[int],
    seed: int,
    resume: State | None = None,
    on_epoch: Callable[[int, float, State], None] | None = None,
) -> float:
    """Train convolutions in place, with a pyramid and one linear layer behind them that is thrown away.

    Order and mirroring depend on the seed and the epoch alone, so a training that is taken up again from the state of
    its last whole epoch ends with the weights it would have had.

    Args:
        convolutions: Map (B, 3, s, s) to maps.
        crops: uint8 of shape (N, 3, S, S).
        labels: (N,), from 0.
        settings: How to train.
        levels: Bins along a side of each grid.
        seed: Decides the linear layer, order and mirroring.
        resume: The state of the last whole epoch, as it was given to ``on_epoch``.
        on_epoch: Called after each epoch with its number from 0, its mean loss and the state.

    Returns:
        Mean loss of the last epoch.
    """
    model = _classifier(convolutions, crops, int(labels.max()) + 1, levels, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = max(1, len(crops) // settings.batch)
    first = 0 if resume is None else _restore(model, optimizer, resume)
    loss = float("nan")
    for epoch in range(first, settings.epochs):
        losses = []
        for index, (images, wanted) in enumerate(_batches(crops, labels, settings, seed, epoch)):
            done = (epoch * steps + index) / (settings.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * (1 + np.cos(np.pi * done)) / 2
            error = F.cross_entropy(model(images), wanted)
            optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(error.detach()))
        loss = float(np.mean(losses))
        if on_epoch is not None:
            on_epoch(epoch, loss, _state(model, optimizer, epoch))
    return loss


def _classifier(convolutions: nn.Module, crops: Tensor, classes: int, levels: Sequence[int], seed: int) -> nn.Module:
    pyramid = SpatialPyramidPool2d(levels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with torch.no_grad():
            channels = convolutions(_normalised(crops[:1])).shape[1]
        return nn.Sequential(convolutions, pyramid, nn.Linear(pyramid.out_features(channels), classes))


def _batches(
    crops: Tensor, labels: Tensor, settings: Pretraining, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    side = settings.sides[epoch % len(settings.sides)]
    order = torch.randperm(len(crops), generator=generator)
    for start in range(0, max(1, len(crops) // settings.batch) * settings.batch, settings.batch):
        rows = order[start : start + settings.batch]
        images = crops[rows]
        for dim in (2, 3):
            mirrored = torch.rand(len(rows), generator=generator) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(dim), images)
        pixels = _normalised(images)
        if side != pixels.shape[3]:
            pixels = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
        yield pixels, labels[rows]


def _normalised(crops: Tensor) -> Tensor:
    from cenote.pooling.spp_net.extraction import MEAN, STD

    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    return (crops.float() / 255 - mean) / std


# --- the state of an epoch ----------------------------------------------------------------------------------------


def _state(model: nn.Module, optimizer: torch.optim.Adam, epoch: int) -> State:
    """Weights and Adam's moments as tensors by name, which safetensors can hold."""
    state = {f"weight.{index}": each.detach().clone() for index, each in enumerate(model.parameters())}
    for index, moments in optimizer.state_dict()["state"].items():
        state |= {f"{name}.{index}": value.clone() for name, value in moments.items()}
    return state | {"epoch": torch.tensor(epoch)}


def _restore(model: nn.Module, optimizer: torch.optim.Adam, state: State) -> int:
    """Put a state back and return the epoch that follows it."""
    count = len(list(model.parameters()))
    with torch.no_grad():
        for index, weight in enumerate(model.parameters()):
            weight.copy_(state[f"weight.{index}"])
    names = ("step", "exp_avg", "exp_avg_sq")
    moments = {index: {name: state[f"{name}.{index}"].clone() for name in names} for index in range(count)}
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(state["epoch"]) + 1
