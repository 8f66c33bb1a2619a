"""FASet: encoder and decoder learn from single views, the attention from sets, and neither moves the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real

import torch
from torch import Tensor, nn
from torch.optim import Adam

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.sets import check_count

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes predictions and targets, equally many of each, and returns one number."""


def faset_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the two sets of parameters that FASet trains apart: the base, and the attention of all ``AttSets``.

    Source: arXiv 1808.00758, algorithm 1.

    Args:
        model: A network with at least one ``AttSets`` in it.

    Returns:
        Θ_base and Θ_att, which share no parameter.

    Shapes:
        Those of the parameters.

    Raises:
        ArgumentError: If the model has no attention, nothing else, or a parameter that is part of both.

    Example:
        >>> base, attention = faset_parameters(nn.Sequential(nn.Linear(3, 4), AttSets(4)))
        >>> len(base), tuple(attention[0].shape)
        (2, (4, 4))
    """
    attentions = [module for module in model.modules() if isinstance(module, AttSets)]
    if not attentions:
        raise ArgumentError(f"model must have an AttSets to be trained apart, got {type(model).__name__} without one")
    inside = {id(module) for each in attentions for module in each.modules()}
    # Module by module, since a parameter that two modules share is listed once only by model.parameters().
    attention = _own_parameters(module for module in model.modules() if id(module) in inside)
    base = _own_parameters(module for module in model.modules() if id(module) not in inside)
    shared = {id(weight) for weight in base} & {id(weight) for weight in attention}
    if shared:
        raise ArgumentError(f"model must not share parameters between attention and base, got {len(shared)} shared")
    if not base:
        raise ArgumentError("model must have parameters beside its attention, got none")
    return base, attention


@dataclass
class FASetLog:
    """What a training did.

    Attributes:
        base_losses: Loss of each step of the base, on single views.
        attention_losses: Loss of each step of the attention, on sets.
    """

    base_losses: list[float] = field(default_factory=list)
    attention_losses: list[float] = field(default_factory=list)

    @property
    def diverged(self) -> bool:
        """Whether a loss was infinite or NaN, where training stopped."""
        return not all(map(math.isfinite, (*self.base_losses, *self.attention_losses)))


class FASetTrainer:
    """Trains the base on single views (stage 1) and then the attention on sets (stage 2).

    Stage 1 takes every view for a set of its own, whose target is its object's. Stage 2 leaves the base as it would be
    used: frozen, in evaluation mode, so that not even the statistics of a batch norm move. Each stage has an optimiser
    (Adam) with its own parameters and asks autograd for their gradients only. Parameters that require no gradient when
    the trainer is made, as those of a pretrained encoder that is kept, stay as they are; a module of such parameters
    alone also stays in its mode, so that in evaluation mode no statistics move. The last step decides the mode in which
    the rest is left.

    Source: arXiv 1808.00758, algorithm 1; its learning rate is 1e-4.

    Args:
        model: Takes views (B, N, …) and returns one prediction for each set; has an ``AttSets``.
        n_views: Views of a set in stage 2, drawn anew for every step; a pair draws their number between two bounds,
            None takes all views of a batch.
        stage1_steps: Steps of the base.
        stage2_steps: Steps of the attention.
        interleave: Whether the stages take turns step by step ("option 2" of the released code) in the place of one
            after the other.
        learning_rate: Of the base.
        attention_rate: Of the attention; that of the base if left out.
        seed: Decides which views are drawn.

    Raises:
        ArgumentError: If the model has no attention, a number is not allowed, or a stage with steps has no parameter
            that requires a gradient.
        ArgumentTypeError: If a number of views or steps is not a whole one, or a learning rate no number.

    Example:
        >>> from cenote.pooling.attsets.networks import ViewNetwork
        >>> model = ViewNetwork(nn.Linear(6, 4), AttSets(4), nn.Linear(4, 2))
        >>> batches = [(torch.randn(8, 5, 6), torch.randn(8, 2))] * 6
        >>> trainer = FASetTrainer(model, n_views=5, stage1_steps=4, stage2_steps=2)
        >>> len(trainer.fit(batches, nn.functional.mse_loss).attention_losses)
        2
    """

    def __init__(
        self,
        model: nn.Module,
        n_views: int | tuple[int, int] | None,
        stage1_steps: int,
        stage2_steps: int,
        interleave: bool = False,
        *,
        learning_rate: float = 1e-4,
        attention_rate: float | None = None,
        seed: int = 0,
    ) -> None:
        self.base, self.attention = ([each for each in part if each.requires_grad] for part in faset_parameters(model))
        self.n_views = None if n_views is None else _bounds(n_views)
        for name, steps in (("stage1_steps", stage1_steps), ("stage2_steps", stage2_steps)):
            if steps != 0:  # a stage may be left out, as where its part is trained already
                check_count(name, steps)
        for name, rate in (("learning_rate", learning_rate), ("attention_rate", attention_rate)):
            if rate is not None:
                _check_rate(name, rate)
        for name, steps, part in (
            ("stage1_steps", stage1_steps, self.base),
            ("stage2_steps", stage2_steps, self.attention),
        ):
            if steps and not part:
                raise ArgumentError(
                    f"{name} must be 0 where none of the stage's parameters requires a gradient, got {steps}"
                )
        self.model = model
        self._kept_modes = _modes_of_frozen(model)
        self.stage1_steps, self.stage2_steps = stage1_steps, stage2_steps
        self.interleave = interleave
        # As groups, since a group may be empty and a list of parameters may not.
        self.base_optimizer = Adam([{"params": self.base}], learning_rate)
        self.attention_optimizer = Adam([{"params": self.attention}], attention_rate or learning_rate)
        self._generator = torch.Generator().manual_seed(seed)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss) -> FASetLog:
        """Train in place.

        Sets have no mask here: all sets of a batch have as many views, all of which count. Where objects have different
        numbers of views, group them by number, or draw as many of each.

        Args:
            batches: Views (B, N, …) with targets (B, …), one pair a step, or one for both stages where they take turns.
            loss: The training loss.

        Returns:
            The losses of both stages; ends with the first that is not finite, whose step is not taken.

        Raises:
            ArgumentError: If there are fewer batches than steps, fewer views in one than in a set, views are no sets,
                or their number is not that of the targets.
            ArgumentTypeError: If views or targets are no tensors.
        """
        log, waiting = FASetLog(), iter(batches)
        for number, stages in enumerate(self._plan()):
            try:
                views, targets = next(waiting)
            except StopIteration:
                raise ArgumentError(f"batches must be one for each step; they ended after {number}") from None
            if "base" in stages:
                log.base_losses.append(self.step_base(views, targets, loss))
            if "attention" in stages:
                log.attention_losses.append(self.step_attention(views, targets, loss))
            if log.diverged:
                break
        return log

    def step_base(self, views: Tensor, targets: Tensor, loss: Loss) -> float:
        """Take a step of the base on every view of a batch as a set of one; returns the loss before it.

        Raises:
            ArgumentError: If views are no sets, or their number is not that of the targets.
            ArgumentTypeError: If views or targets are no tensors.
        """
        _check_batch(views, targets)
        self.model.train()
        for module, mode in self._kept_modes:
            module.training = mode
        singles = views.flatten(0, 1).unsqueeze(1)
        repeated = targets.repeat_interleave(views.shape[1], 0)
        return step(self.base, self.base_optimizer, loss(self.model(singles), repeated))

    def step_attention(self, views: Tensor, targets: Tensor, loss: Loss) -> float:
        """Take a step of the attention on sets of a batch's views; returns the loss before it.

        Raises:
            ArgumentError: If the batch has fewer views than a set, views are no sets, or their number is not that of
                the targets.
            ArgumentTypeError: If views or targets are no tensors.
        """
        _check_batch(views, targets)
        self.model.eval()
        return step(self.attention, self.attention_optimizer, loss(self.model(self._drawn(views)), targets))

    def _plan(self) -> Iterator[tuple[str, ...]]:
        first, second = ["base"] * self.stage1_steps, ["attention"] * self.stage2_steps
        if not self.interleave:
            yield from ((stage,) for stage in first + second)
            return
        for number in range(max(len(first), len(second))):
            yield tuple(first[number : number + 1] + second[number : number + 1])

    def _drawn(self, views: Tensor) -> Tensor:
        if self.n_views is None:
            return views
        low, high = self.n_views
        if views.shape[1] < high:
            raise ArgumentError(f"n_views must be at most the {views.shape[1]} views of a batch, got {high}")
        count = int(torch.randint(low, high + 1, (), generator=self._generator))
        chosen = torch.randperm(views.shape[1], generator=self._generator)[:count]
        return views[:, chosen.to(views.device)]


def _own_parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    found = {id(weight): weight for module in modules for weight in module.parameters(recurse=False)}
    return list(found.values())


def _modes_of_frozen(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """The modules inside of those whose parameters are all frozen, with their modes."""
    found: dict[int, tuple[nn.Module, bool]] = {}
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            found |= {id(inner): (inner, inner.training) for inner in module.modules()}
    return list(found.values())


def step(weights: Sequence[nn.Parameter], optimizer: Adam, loss: Tensor) -> float:
    """Move these weights alone, none if the loss is not finite: no other one is even given a gradient."""
    value = loss.item()
    if math.isfinite(value):
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None and gradient.stride() != weight.stride():
                # A fused optimiser takes for granted that both are in one memory order.
                gradient = torch.empty_like(weight).copy_(gradient)
            weight.grad = gradient
        optimizer.step()
        optimizer.zero_grad()
    return value


def _check_rate(name: str, rate: float) -> None:
    if not isinstance(rate, Real) or isinstance(rate, bool):
        raise ArgumentTypeError(f"{name} must be a number, got {rate!r}")
    if not 0 < rate < math.inf:
        raise ArgumentError(f"{name} must be a positive number, got {rate}")


def _check_batch(views: Tensor, targets: Tensor) -> None:
    for name, each in (("views", views), ("targets", targets)):
        if not isinstance(each, Tensor):
            raise ArgumentTypeError(f"{name} must be a tensor, got {type(each).__name__}")
    if views.dim() < 3:
        raise ArgumentError(f"views must be sets (B, N, …), got shape {tuple(views.shape)}")
    if targets.dim() == 0 or len(targets) != len(views):
        raise ArgumentError(f"targets must be one for each of the {len(views)} sets, got shape {tuple(targets.shape)}")


def _bounds(n_views: int | tuple[int, int]) -> tuple[int, int]:
    bounds = n_views if isinstance(n_views, tuple) else (n_views, n_views)
    if len(bounds) != 2:
        raise ArgumentTypeError(f"n_views must be a number or a pair of bounds, got {n_views!r}")
    for bound in bounds:
        check_count("n_views", bound)
    if bounds[0] > bounds[1]:
        raise ArgumentError(f"n_views must have its lower bound first, got {n_views}")
    return bounds
