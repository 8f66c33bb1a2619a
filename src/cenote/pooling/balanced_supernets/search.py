"""Search for where to pool: train the mixture, rank the placements by shared weights, retrain one of them alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Self, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.backbones import Backbone, fresh_units
from cenote.pooling.balanced_supernets.balancing import FloatArray
from cenote.pooling.balanced_supernets.configurations import (
    Blocks,
    Config,
    blocks_text,
    blocks_to_config,
    config_to_blocks,
    pool_configs,
)
from cenote.pooling.balanced_supernets.costs import Budget, within
from cenote.pooling.balanced_supernets.mixture import Mixture, State
from cenote.pooling.balanced_supernets.supernet import (
    Pool,
    SuperNet,
    check_units,
    pool_module,
    pooled_network,
)
from cenote.pooling.balanced_supernets.training import (
    Loader,
    Recipe,
    batches_of,
    check_apart,
    memory_format_of,
    order_of,
    randomness_of,
    restore_order,
    train_network,
)

Select: TypeAlias = Literal["best_model", "mean", "expected"]
"""How a placement's accuracies in all models become one score."""

_ORDER, _WEIGHTS = 3, 4  # streams of the seed beside the mixture's


class Ranked(NamedTuple):
    """A placement with its score."""

    blocks: Blocks
    """Number of units at each resolution."""
    score: float
    """Accuracy on the validation images with shared weights."""


class PoolingSearch:
    """Search for the best places of poolings between the units of a network.

    A mixture of M networks with shared weights is trained: at each step one configuration is drawn and one model takes
    a step with it. Which model belongs to which configuration is learned from validation accuracies and balanced, so
    that all models are used alike. ``n_models=1`` is single-path one-shot search (SPOS).

    Source: arXiv 2306.11982. Differs from the paper: how its final pick is made of the accuracies is not known, so
    ``ranking`` takes all three ways that suggest themselves; the learning rate falls at each step.

    Args:
        backbone: The units, which keep height and width, and behind them the head that turns the last map into logits;
            or a function that returns them with new weights. Of a sequence the weights are drawn anew.
        n_pools: Number of poolings K to be placed between the L units.
        n_models: M.
        temperature: Factor of the running accuracies in the softmax, in the first and in the last epoch.
        ema: Share of a running accuracy that stays at an update.
        pool: ``max``, ``avg``, ``stride``, or a module that halves a map, such as ``PosetPool2d``.
        constraint: Leaves out placements over a budget.
        learning_rate: At the first and at the last step, along a cosine; of SGD.
        momentum: Of SGD.
        weight_decay: Of all weights.
        seed: Decides weights, configurations and models; not the order of the batches, which is the loaders'.
        device: Where the models are trained.

    Attributes:
        configs_: The configurations that were searched, (A, L).
        score_matrix_: Validation accuracy of each configuration in each model, (A, M).
        assignment_: Probability of each model for each configuration, (A, M).
        steps_: Training steps of each configuration in each model, (A, M).
        losses_: Mean loss of each epoch.

    Shapes:
        Batches of images (B, C, H, W) and labels (B,); the weights follow the first batch's memory order.

    Raises:
        ArgumentError: If a number is out of range, there are as many poolings as units, or the backbone is no sequence
            of units and a head.

    Example:
        >>> from cenote.pooling.balanced_supernets.backbones import resnet_units
        >>> batches = [(torch.randn(8, 3, 16, 16), torch.randint(10, (8,))) for _ in range(4)]
        >>> search = PoolingSearch(lambda: resnet_units((4, 4, 8, 8)), n_pools=2, n_models=2)
        >>> search.fit(batches[:2], batches[2:], epochs=2).score_matrix_.shape
        (3, 2)
        >>> network = search.retrain(batches[:2], epochs=1)
    """

    configs_: tuple[Config, ...]
    score_matrix_: FloatArray
    assignment_: FloatArray
    steps_: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    losses_: tuple[float, ...]

    def __init__(
        self,
        backbone: Backbone,
        n_pools: int,
        n_models: int = 4,
        *,
        temperature: tuple[float, float] = (1.0, 100.0),
        ema: float = 0.9,
        pool: Pool = "max",
        constraint: Budget | None = None,
        learning_rate: tuple[float, float] = (0.1, 0.001),
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if n_models < 1:
            raise ArgumentError(f"n_models must be at least 1, got {n_models}")
        if not 0 <= ema < 1:
            raise ArgumentError(f"ema must be 0 or more and below 1, got {ema}")
        if not all(0 <= end < math.inf for end in temperature):
            raise ArgumentError(f"temperature must be two numbers from 0 up, got {temperature}")
        if seed < 0:
            raise ArgumentError(f"seed must be 0 or more, got {seed}")
        pool_module(pool)
        self.seed = seed
        self._build = fresh_units(backbone)
        self.recipe = Recipe(learning_rate, momentum, weight_decay)
        units = self._new_units(0)
        self.all_configs = pool_configs(len(units) - 1, n_pools)
        self.n_pools = n_pools
        self.n_models = n_models
        self.temperature = temperature
        self.ema = ema
        self.pool = pool
        self.constraint = constraint
        self.device = torch.device(device)
        self._mixture: Mixture | None = None
        self._loaders: tuple[Loader, Loader] | None = None

    # --- the search -----------------------------------------------------------------------------------------------

    def fit(
        self,
        train: Loader,
        val: Loader,
        epochs: int,
        *,
        resume: State | None = None,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> Self:
        """Train the mixture and rank the placements.

        The steps are those of one network: each batch trains one model. Equal numbers of epochs are equal costs,
        whatever the number of models.

        Args:
            train: Batches to learn from, such as a ``DataLoader``.
            val: Batches of other images: one of them is looked at after each step, and all at the end. The last
                ranking normalises by batch, so they should have equal sizes.
            epochs: Passes over ``train``.
            resume: ``state()`` of the same search between two epochs; continues as if it had not been interrupted.
            on_epoch: Called with the epoch from 0 and its mean loss after each epoch.

        Raises:
            ArgumentError: If there are no epochs or batches, images are seen to be in both, they are too small for the
                poolings, a unit changes the size of its map, no placement keeps the budget, or the state is of another
                search.
        """
        if epochs < 1:
            raise ArgumentError(f"epochs must be at least 1, got {epochs}")
        for name, loader in (("train", train), ("val", val)):
            if not len(loader):
                raise ArgumentError(f"{name} has no batch; its batches may be larger than its data set")
        check_apart(train, val)
        self._loaders = (train, val)
        self._mixture, losses = None, []
        if resume is not None:
            losses = resume["losses"].tolist()
            restore_order(train, val, resume)
            self.losses_ = tuple(losses)
            if len(losses) >= epochs:  # interrupted behind its last epoch
                self._mixture = self._prepare(next(self._begin(train, epochs))[0], resume)
        for epoch in range(len(losses), epochs):
            batches = self._begin(train, epoch)
            if self._mixture is None:
                first = next(batches)
                self._mixture = self._prepare(first[0], resume)
                batches = itertools.chain([first], batches)
            losses.append(self._mixture.train_epoch(epoch, epochs, batches, len(train), val))
            self.losses_ = tuple(losses)
            if not math.isfinite(losses[-1]):
                break
            if on_epoch is not None:
                on_epoch(epoch, losses[-1])
        self._finish(val, epochs)
        return self

    def _begin(self, train: Loader, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Begin an epoch's batches; an order that is drawn from the global generator depends on seed and epoch."""
        with randomness_of(self.seed, epoch, _ORDER):
            batches = batches_of(train, epoch, self.device)
            return itertools.chain([next(batches)], batches)

    def _prepare(self, images: Tensor, resume: State | None) -> Mixture:
        """Look at the units once an image is known, leave out what the budget forbids, and build the mixture."""
        units = self._new_units(0).to(self.device).eval()
        check_units(units, self.n_pools, images, self.pool)
        self.configs_ = self.all_configs
        if self.constraint is not None:
            networks = [pooled_network(units, config, self.pool).eval() for config in self.all_configs]
            channels, height, width = images.shape[1:]
            kept = within(self.constraint, self.constraint.costs(networks, (1, channels, height, width)))
            self.configs_ = tuple(self.all_configs[index] for index in kept)
        memory_format = memory_format_of(images)
        mixture = Mixture(
            lambda index: self.supernet(index).to(self.device, memory_format=memory_format),  # type: ignore[call-overload]
            self.n_models,
            self.configs_,
            self.recipe,
            temperature=self.temperature,
            ema=self.ema,
            seed=self.seed,
        )
        if resume is not None:
            mixture.restore(resume)
        return mixture

    def _finish(self, val: Loader, epochs: int) -> None:
        assert self._mixture is not None
        self.assignment_ = self._mixture.assignment(self.temperature[1])
        self.steps_ = self._mixture.steps
        with randomness_of(self.seed, epochs):
            self.score_matrix_ = self._mixture.evaluate(val, epochs)

    def state(self) -> State:
        """Return the search between two epochs, for ``fit(resume=...)``: tensors by name, which safetensors can hold.

        Raises:
            ArgumentError: If ``fit`` has not begun.
        """
        if self._mixture is None or self._loaders is None:
            raise ArgumentError("the search has no state before fit")
        losses = torch.tensor(self.losses_, dtype=torch.float64)
        return self._mixture.state() | {"losses": losses} | order_of(*self._loaders)

    # --- what was found -------------------------------------------------------------------------------------------

    def scores(self, select: Select = "best_model") -> FloatArray:
        """Return the score of each configuration, (A,).

        Args:
            select: ``best_model`` takes the accuracy in the model that does best on the configuration, ``mean`` the
                mean over the models, ``expected`` the mean weighted by the assignment.

        Raises:
            ArgumentError: If there is no such way, or the search has not been fitted.
        """
        if select not in get_args(Select):
            raise ArgumentError(f"select must be {', '.join(map(repr, get_args(Select)))}, got {select!r}")
        if not hasattr(self, "score_matrix_"):
            raise ArgumentError("the search has no scores before fit")
        if select == "best_model":
            best: FloatArray = self.score_matrix_.max(axis=1)
            return best
        weights = self.assignment_ if select == "expected" else np.full_like(self.assignment_, 1 / self.n_models)
        weighted: FloatArray = (weights * self.score_matrix_).sum(axis=1)
        return weighted

    def ranking(self, select: Select = "best_model") -> tuple[Ranked, ...]:
        """Return the placements from the best score to the worst; of equal ones the one that pools first comes first.

        Args:
            select: How the accuracies in all models become one; see ``scores``.

        Raises:
            ArgumentError: If there is no such way, or the search has not been fitted.
        """
        scores = self.scores(select)
        order = np.argsort(-scores, kind="stable")
        return tuple(Ranked(config_to_blocks(self.configs_[row]), float(scores[row])) for row in order)

    @property
    def best_(self) -> Blocks:
        """The placement with the best score in its best model, as the number of units at each resolution."""
        return self.ranking()[0].blocks

    # --- networks -------------------------------------------------------------------------------------------------

    def retrain(
        self,
        train: Loader,
        epochs: int,
        *,
        blocks: Blocks | None = None,
        seed: int | None = None,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> nn.Sequential:
        """Train a network of one placement from new weights, with batch norms of its own.

        Args:
            train: Batches to learn from; they may now be all there are.
            epochs: Passes over them.
            blocks: The placement as the number of units at each resolution; ``best_`` if left out.
            seed: Decides weights and the network's own randomness; the search's seed if left out.
            on_epoch: Called with the epoch from 0 and its mean loss after each epoch.

        Returns:
            The network in evaluation mode: an ``nn.Sequential`` of units and poolings.

        Raises:
            ArgumentError: If there are no epochs or batches, or the placement is not one of this search.
        """
        if epochs < 1 or not len(train):
            raise ArgumentError(f"epochs and batches must be at least 1, got {epochs} and {len(train)}")
        seed = self.seed if seed is None else seed
        network = self.network(blocks or self.best_, seed=seed)
        train_network(network, train, epochs, self.recipe, seed=seed, device=self.device, on_epoch=on_epoch)
        return network.eval()

    def network(self, blocks: Blocks, *, seed: int | None = None) -> nn.Sequential:
        """Return an untrained network of one placement: an ``nn.Sequential`` of units and poolings.

        Args:
            blocks: The placement as the number of units at each resolution.
            seed: Decides the weights; the search's seed if left out. Placements have equal weights.

        Raises:
            ArgumentError: If the placement is not one of this search.
        """
        config = blocks_to_config(blocks)
        if config not in self.all_configs:
            example = blocks_text(config_to_blocks(self.all_configs[0]))
            raise ArgumentError(f"blocks: {blocks_text(blocks)} is no placement of this search, such as {example}")
        return pooled_network(self._new_units(0, seed), config, self.pool)

    def supernet(self, index: int = 0) -> SuperNet:
        """Return the untrained SuperNet of an index; that of index 0 is the same for every number of models."""
        return SuperNet(self._new_units(index), self.pool)

    def _new_units(self, index: int, seed: int | None = None) -> nn.Sequential:
        with randomness_of(self.seed if seed is None else seed, index, _WEIGHTS):
            return self._build()
