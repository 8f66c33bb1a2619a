"""Training for a comparison: on single views, on sets, the attention alone; at the learning rate that is best."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cenote.pooling.attsets.faset import FASetTrainer, step
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.sets import NotFiniteError

Batches = Iterable[tuple[Tensor, Tensor]]
"""Views (B, N, …), each batch with the probabilities wanted."""


_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


class Training(NamedTuple):
    """What became of a training.

    Attributes:
        fine: Whether loss, features and weights stayed finite.
        losses: Loss of each step.
    """

    fine: bool
    losses: list[float]


Train = Callable[[nn.Module, Batches, int, float], Training]
"""Takes a network, batches, the number of steps and the learning rate."""


class Tuned(NamedTuple):
    """What came of a training at several learning rates.

    Attributes:
        model: The network at the rate that was kept.
        training: Its training.
        rate: That rate.
        scores: What each rate scored on the objects set apart; NaN where training diverged.
    """

    model: ViewNetwork
    training: Training
    rate: float
    scores: Mapping[float, float]


def train_sets(model: nn.Module, batches: Batches, steps: int, rate: float) -> Training:
    """Train all weights on batches of sets with Adam and binary cross-entropy.

    Args:
        model: Takes views (B, N, …) and returns logits.
        batches: Views with the probabilities wanted.
        steps: Batches that are taken.
        rate: The highest learning rate of its ``schedule``.

    Returns:
        Whether it went well, and the losses; training ends where one, a feature or a weight is not finite.
    """
    weights = list(model.parameters())
    optimizer = Adam(weights, rate, fused=True)
    model.train()

    def take(views: Tensor, targets: Tensor) -> float:
        return step(weights, optimizer, loss(model(views), targets))

    return _train(model, take, optimizer, batches, steps)


def train_base(model: nn.Module, batches: Batches, steps: int, rate: float) -> Training:
    """Take FASet's first stage: as ``train_sets``, but all weights except those of the attention, on single views."""
    trainer = FASetTrainer(model, None, steps, 0, learning_rate=rate)
    take = partial(trainer.step_base, loss=loss)
    return _train(model, take, trainer.base_optimizer, batches, steps)


def train_attention(model: nn.Module, batches: Batches, steps: int, rate: float) -> Training:
    """Take FASet's second stage: as ``train_sets``, but the weights of the attention alone."""
    trainer = FASetTrainer(model, None, 0, steps, attention_rate=rate)
    take = partial(trainer.step_attention, loss=loss)
    return _train(model, take, trainer.attention_optimizer, batches, steps)


def _train(
    model: nn.Module, take: Callable[[Tensor, Tensor], float], optimizer: Adam, batches: Batches, steps: int
) -> Training:
    rate, losses = schedule(optimizer, steps), list[float]()
    try:
        for _, (views, targets) in zip(range(steps), batches, strict=False):
            losses.append(take(views, targets))
            if not math.isfinite(losses[-1]):
                return Training(False, losses)
            rate.step()
    except NotFiniteError:
        return Training(False, losses)
    return Training(has_finite_weights(model), losses)


def train_at_best_rate(
    train: Train,
    start: ViewNetwork,
    batches: Callable[[], Batches],
    steps: int,
    rates: Sequence[float],
    score: Callable[[ViewNetwork], float],
) -> Tuned:
    """Train a network once at each learning rate, and keep what came of the best.

    Args:
        train: How it is trained.
        start: The network, which stays as it is.
        batches: Makes the batches: the same for every rate.
        steps: Batches that are taken.
        rates: Learning rates.
        score: Tells how good a trained network is, on objects that it did not learn from; the more, the better.

    Returns:
        The network that was kept; that of the first rate if training diverged at all of them.
    """
    scores: dict[float, float] = {}
    kept: Tuned | None = None
    best = -math.inf
    for rate in rates:
        model = copy.deepcopy(start)
        training = train(model, batches(), steps, rate)
        scores[rate] = math.nan
        if training.fine:
            with contextlib.suppress(NotFiniteError):
                scores[rate] = score(model)
        reached = -math.inf if math.isnan(scores[rate]) else scores[rate]
        if kept is None or reached > best:
            kept, best = Tuned(model, training, rate, scores), reached
    assert kept is not None, "there is at least one rate"
    return kept


def has_finite_weights(model: nn.Module) -> bool:
    """Whether all weights are finite: the last step of a training shows in no loss."""
    return all(bool(weight.isfinite().all()) for weight in model.parameters())


def schedule(optimizer: Optimizer, steps: int, done: int = 0) -> LambdaLR:
    """Return a schedule under which the learning rate rises over a tenth of the steps and then falls along a cosine.

    The rise lets a GRU learn at rates that suit the others; with the fall, what is frozen after a stage has come to
    rest.

    Args:
        optimizer: At the highest rate.
        steps: All steps of the stage.
        done: Steps that were taken before.
    """
    rising = max(1, round(_WARM_UP * steps))

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2

    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])  # asked for where a schedule does not begin
    return LambdaLR(optimizer, share, last_epoch=done - 1)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of a batch, mean over cells."""
    return F.binary_cross_entropy_with_logits(logits, targets)
