"""The mixture in training: several SuperNets, each with its optimizer, and the accuracies that assign them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.balancing import FloatArray, assign, balance, temperature_at
from cenote.pooling.balanced_supernets.configurations import Config
from cenote.pooling.balanced_supernets.supernet import SuperNet
from cenote.pooling.balanced_supernets.training import (
    Loader,
    Recipe,
    batches_of,
    count_right,
    momentum_of,
    randomness_of,
    restore_momentum,
    take_step,
)

State = dict[str, Tensor]
"""A search between two epochs as tensors by name, which safetensors can hold."""

_PATHS, _MODELS = 1, 2  # streams of their own: the configurations drawn must not depend on the number of models


class Mixture:
    """M SuperNets with one running accuracy W[a, m] for each configuration and model.

    At the start of an epoch the assignment is balanced, and the marginals of that are kept for the epoch. At each step
    a configuration is drawn uniformly, a model from its row of the assignment; the model takes a step with it on a
    batch, and its accuracy on a validation batch enters W.

    Source: arXiv 2306.11982. Everything drawn depends on the seed and the epoch alone, so a search that is taken up
    again ends as it would have.

    Args:
        build: Returns the SuperNet of an index, with its initial weights.
        models: M.
        configs: The configurations.
        recipe: How each model is trained; the schedule runs over all steps, whichever model takes them.
        temperature: Factor of W in the softmax in the first and in the last epoch; with (0, 0) models are drawn alike.
        ema: Share of W that stays at an update.
        seed: Decides configurations, models and the networks' own randomness.
    """

    def __init__(
        self,
        build: Callable[[int], SuperNet],
        models: int,
        configs: Sequence[Config],
        recipe: Recipe,
        *,
        temperature: tuple[float, float],
        ema: float,
        seed: int,
    ) -> None:
        self.supernets = [build(index) for index in range(models)]
        self.optimizers = [recipe.optimizer(supernet) for supernet in self.supernets]
        self.configs = tuple(configs)
        self.recipe = recipe
        self.temperature = temperature
        self.ema = ema
        self.seed = seed
        self.accuracies: FloatArray = np.ones((len(configs), models))
        self.steps: npt.NDArray[np.int64] = np.zeros((len(configs), models), np.int64)
        """How often each model was trained with each configuration."""

    def train_epoch(
        self, epoch: int, epochs: int, train: Iterable[tuple[Tensor, Tensor]], steps: int, val: Loader
    ) -> float:
        """Train for an epoch and return its mean loss.

        Args:
            epoch: From 0.
            epochs: Number of epochs of the search.
            train: The batches of the epoch, on the models' device.
            steps: Their number.
            val: Validation batches; begun anew each epoch, and as often as they run out.
        """
        scale = temperature_at(epoch, epochs, self.temperature)
        log_marginals = balance(scale * self.accuracies)
        paths = self._generator(epoch, _PATHS).integers(len(self.configs), size=steps)
        draws = self._generator(epoch, _MODELS).random(steps)
        total = torch.zeros((), device=self._device)
        with randomness_of(self.seed, epoch):
            checks = _endless(val, epoch, self._device)
            # The batches come first, so that they are asked until they end: loaders clean up behind the last.
            for step, (batch, path, draw) in enumerate(zip(train, paths, draws, strict=False), epoch * steps):
                probabilities = assign(scale * self.accuracies[[path]], log_marginals)[0]
                model = _drawn(probabilities, draw)
                total += self._train(model, self.configs[path], batch, self.recipe.rate(step, epochs * steps))
                seen = self._validate(model, self.configs[path], *next(checks))
                self.accuracies[path, model] = self.ema * self.accuracies[path, model] + (1 - self.ema) * seen
                self.steps[path, model] += 1
        return total.item() / steps

    def _train(self, model: int, config: Config, batch: tuple[Tensor, Tensor], rate: float) -> Tensor:
        images, labels = batch
        supernet = self.supernets[model].train()
        return take_step(self.optimizers[model], rate, supernet(images, config), labels)

    @torch.no_grad()
    def _validate(self, model: int, config: Config, images: Tensor, labels: Tensor) -> float:
        """Accuracy on a batch; 0 where the model has diverged, so that it is drawn no more than it must."""
        right = count_right(self.supernets[model].eval()(images, config), labels)
        return 0.0 if np.isnan(right) else right / len(labels)

    def assignment(self, scale: float) -> FloatArray:
        """Return the probability of each model for each configuration, balanced, at a temperature, (A, M)."""
        return assign(scale * self.accuracies, balance(scale * self.accuracies))

    @torch.no_grad()
    def evaluate(self, val: Loader, epoch: int) -> FloatArray:
        """Return the accuracy of each configuration in each model, (A, M), all on the same batches; NaN if diverged."""
        right, count = np.zeros(self.accuracies.shape), 0
        for images, labels in batches_of(val, epoch, self._device):
            for model, supernet in enumerate(self.supernets):
                supernet.eval()
                for path, config in enumerate(self.configs):
                    right[path, model] += count_right(supernet(images, config), labels)
            count += len(labels)
        return right / count

    def _generator(self, epoch: int, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, epoch, stream))

    @property
    def _device(self) -> torch.device:
        return next(self.supernets[0].parameters()).device

    # --- between two epochs ---------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return all that training changes: weights, momentum, accuracies and counts."""
        state = {"accuracies": torch.from_numpy(self.accuracies.copy()), "steps": torch.from_numpy(self.steps.copy())}
        for model, (supernet, optimizer) in enumerate(zip(self.supernets, self.optimizers, strict=True)):
            state |= {f"model.{model}.{name}": each.detach().clone() for name, each in supernet.state_dict().items()}
            state |= {f"momentum.{model}.{index}": each for index, each in momentum_of(optimizer).items()}
        return state

    def restore(self, state: State) -> None:
        """Put a state back.

        Raises:
            ArgumentError: If it is of a search with other configurations, models or units.
        """
        _check_state(state, self.state())
        self.accuracies = state["accuracies"].numpy().copy()
        self.steps = state["steps"].numpy().copy()
        for model, (supernet, optimizer) in enumerate(zip(self.supernets, self.optimizers, strict=True)):
            supernet.load_state_dict(state_under(f"model.{model}.", state))
            restore_momentum(optimizer, state_under(f"momentum.{model}.", state))


def _drawn(probabilities: FloatArray, draw: float) -> int:
    """The model at a uniform draw from [0, 1); rounding may leave the sum of the probabilities below the draw."""
    place = int(np.searchsorted(np.cumsum(probabilities), draw, side="right"))
    return min(place, len(probabilities) - 1)


def _endless(val: Loader, epoch: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for turn in itertools.count(epoch):
        yield from batches_of(val, turn, device)


def _check_state(state: State, own: State) -> None:
    for name, each in own.items():
        if name.startswith("momentum."):
            continue
        if name not in state or state[name].shape != each.shape:
            got = f"shape {tuple(state[name].shape)}" if name in state else "nothing"
            raise ArgumentError(f"resume: the state is of another search: {name} is {got}, needs {tuple(each.shape)}")


def state_under(prefix: str, state: State) -> State:
    """Return what a state holds under names with a prefix, without it."""
    return {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
