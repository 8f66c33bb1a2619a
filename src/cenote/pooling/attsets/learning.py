"""Training for a comparison: on single views, on sets, the attention alone; at the learning rate that is best."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from cenote.pooling.attsets.faset import FASetLog, FASetTrainer, step
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.sets import NotFiniteError

Batches = Iterable[tuple[Tensor, Tensor]]
"""Views (B, N, …), each batch with the probabilities wanted."""


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
        scores: What each rate scored on the objects held out; NaN where training diverged.
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
        rate: Learning rate.

    Returns:
        Whether it went well, and the losses; training ends where one, a feature or a weight is not finite.
    """
    model.train()
    weights, losses = list(model.parameters()), list[float]()
    optimizer = Adam(weights, rate, fused=True)
    try:
        for _, (views, targets) in zip(range(steps), batches, strict=False):
            losses.append(step(weights, optimizer, loss(model(views), targets)))
            if not math.isfinite(losses[-1]):
                return Training(False, losses)
    except NotFiniteError:
        return Training(False, losses)
    return Training(has_finite_weights(model), losses)


def train_base(model: nn.Module, batches: Batches, steps: int, rate: float) -> Training:
    """Take FASet's first stage: as ``train_sets``, but all weights except those of the attention, on single views."""
    trainer = FASetTrainer(model, None, steps, 0, learning_rate=rate)
    return _one_stage(trainer, batches, lambda log: log.base_losses)


def train_attention(model: nn.Module, batches: Batches, steps: int, rate: float) -> Training:
    """Take FASet's second stage: as ``train_sets``, but the weights of the attention alone."""
    trainer = FASetTrainer(model, None, 0, steps, learning_rate=rate)
    return _one_stage(trainer, batches, lambda log: log.attention_losses)


def _one_stage(trainer: FASetTrainer, batches: Batches, losses: Callable[[FASetLog], list[float]]) -> Training:
    try:
        log = trainer.fit(batches, loss)
    except NotFiniteError:
        return Training(False, [])
    return Training(not log.diverged and has_finite_weights(trainer.model), losses(log))


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


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of a batch, mean over cells."""
    return F.binary_cross_entropy_with_logits(logits, targets)
