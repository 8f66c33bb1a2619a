"""Train one network of one placement so that a training that is interrupted goes on behind its last whole epoch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import SGD

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.mixture import State, state_under
from cenote.pooling.balanced_supernets.training import (
    Loader,
    Recipe,
    batches_of,
    memory_format_of,
    momentum_of,
    randomness_of,
    restore_momentum,
    take_step,
)


def train_resumably(
    network: nn.Module,
    train: Loader,
    epochs: int,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    resume: State | None = None,
    on_epoch: Callable[[int, float, State], None] | None = None,
) -> bool:
    """Train a network in place, bit for bit as ``train_network`` does, and hand out its state between epochs.

    Args:
        network: Images (B, C, H, W) → logits (B, K).
        train: The batches; what they are in an epoch must depend on its number alone, which ``set_epoch`` tells.
        epochs: Passes over them.
        recipe: How to train.
        seed: Decides the network's own randomness, such as dropout.
        device: Where the network is trained.
        resume: A state that was handed out.
        on_epoch: Called with the epoch from 0, its mean loss and the state after each epoch.

    Returns:
        Whether the training converged; it stops at a loss that is not finite.

    Raises:
        ArgumentError: If the state is of another network.
    """
    network.to(device).train()
    optimizer, steps = recipe.optimizer(network), epochs * len(train)
    begin = 0 if resume is None else int(resume["epoch"]) + 1
    network.to(memory_format=memory_format_of(next(batches_of(train, begin, device))[0]))
    if resume is not None:
        _restore(network, optimizer, resume)
    for epoch in range(begin, epochs):
        with randomness_of(seed, epoch):
            total = torch.zeros((), device=device)
            for step, (images, labels) in enumerate(batches_of(train, epoch, device), epoch * len(train)):
                total += take_step(optimizer, recipe.rate(step, steps), network(images), labels)
        loss = total.item() / len(train)
        if not math.isfinite(loss):
            return False
        if on_epoch is not None:
            on_epoch(epoch, loss, _state(network, optimizer, epoch))
    return True


def _state(network: nn.Module, optimizer: SGD, epoch: int) -> State:
    state = {f"network.{name}": each.detach().clone() for name, each in network.state_dict().items()}
    state |= {f"momentum.{index}": each for index, each in momentum_of(optimizer).items()}
    return state | {"epoch": torch.tensor(epoch)}


def _restore(network: nn.Module, optimizer: SGD, state: State) -> None:
    try:
        network.load_state_dict(state_under("network.", state))
        restore_momentum(optimizer, state_under("momentum.", state))
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise ArgumentError(f"resume: the state is of another network: {error}") from error
