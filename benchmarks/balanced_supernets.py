"""What a search for pooling places costs beside training every placement, and what the mixture adds to a step.

    python benchmarks/balanced_supernets.py            # about five minutes
    python benchmarks/balanced_supernets.py --quick

The network is ResNet-20 on images of 32×32 pixels with 36 placements of 2 poolings, the batch 64. A step of the search
trains one model with one placement and validates it on a batch; a step of brute force trains one network, which is the
limit of a search that validates nothing. The peer is single-path one-shot search, the mixture with one model. For equal
epochs a search takes as many steps as one training and brute force 36 times as many: the ratio of both times stands
below the table. The mixture's models have weights and momentum of their own and share the memory of activations.
Balancing is timed by 1,000 updates, for accuracies as they occur and for a model that is best everywhere. The benchmark
refuses to run on a busy machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
import typer
from _tables import begin, table
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cenote.lab.timing import time_interleaved
from cenote.pooling import PoolingSearch, balanced_assignment, resnet_units, training_memory
from cenote.pooling.balanced_supernets.configurations import Config, config_to_blocks, pool_configs
from cenote.pooling.balanced_supernets.mixture import Mixture
from cenote.pooling.balanced_supernets.training import take_step

BATCH, SIDE, POOLS = 64, 32, 2
CONFIGS = pool_configs(10, POOLS)
BRUTE_FORCE, SPOS, MIXTURE, RANKING = "brute force", "SPOS", "mixture of 4", "ranking"
EPOCHS = 100
"""Of the paper's searches on CIFAR-10, over which the ranking at the end is spread."""
STEP_RATIO = 1.5
"""Target: validating a batch is a forward pass, a third of a training step, and the rest should be little."""
Configs = tuple[Config, ...]
Batches = list[tuple[Tensor, Tensor]]


def main(
    quick: Annotated[bool, typer.Option(help="Fewer repeats.")] = False,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
    tiny: Annotated[bool, typer.Option(help="A dry run: few small images; the figures mean nothing.")] = False,
) -> None:
    """Print the time of a step, the ratio of a search to brute force, memory, and the time of balancing."""
    console = Console(width=110)
    batch, side = (4, 8) if tiny else (BATCH, SIDE)
    begin(console, f"ResNet-20, images {(batch, 3, side, side)}, {len(CONFIGS)} placements", busy)
    _steps(console, CONFIGS[::9] if tiny else CONFIGS, batch, side, repeats=2 if tiny else 5 if quick else 9)
    console.print(_memory(batch, side))
    _balancing(console, updates=20 if tiny else 1000, repeats=2 if tiny else 7)


def _steps(console: Console, configs: Configs, batch: int, side: int, repeats: int) -> None:
    """Time an epoch of as many steps as there are placements: a search draws each once on average."""
    torch.manual_seed(0)
    data = [(torch.randn(batch, 3, side, side), torch.randint(10, (batch,))) for _ in configs]
    train, val = data, [(images.clone(), labels) for images, labels in data]
    functions = {
        BRUTE_FORCE: _alone(train, configs),
        SPOS: _epoch(train, val, configs, models=1),
        MIXTURE: _epoch(train, val, configs, models=4),
    }
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.01, warmup=1)
    console.print(
        table(
            f"{len(configs)} training steps, of which each placement has one or on average one",
            timings,
            BRUTE_FORCE,
            STEP_RATIO,
            [MIXTURE],
        )
    )
    ratio = timings.ratio(BRUTE_FORCE, MIXTURE).median
    # On one batch, as all would take minutes; a validation half has as many as an epoch has steps.
    one = {RANKING: _ranking(val[:1], configs, models=4), MIXTURE: functions[MIXTURE]}
    ranking = len(val) * time_interleaved(one, repeats=min(repeats, 3), min_seconds=0.01).ratio(RANKING, MIXTURE).median
    console.print(
        f"A step of the mixture takes {timings.ratio(MIXTURE, SPOS).median:.2f} times that of SPOS. At equal epochs "
        f"brute force takes {len(configs)} × {ratio:.2f} = {len(configs) * ratio:.1f} times the mixture's training; "
        f"with four times the epochs, so that each model trains as long, {len(configs) * ratio / 4:.1f} times. The "
        f"ranking at the end, of {len(configs)} placements in 4 models on as many validation images, takes as long as "
        f"{ranking:.1f} epochs; with it, over {EPOCHS} epochs, brute force takes "
        f"{len(configs) * ratio * EPOCHS / (EPOCHS + ranking):.1f} times as long as the search.\n"
    )


def _alone(train: Batches, configs: Configs) -> Callable[[], None]:
    """A training step of each placement's own network."""
    search = _search(1)
    networks = [search.network(config_to_blocks(config)).train() for config in configs]
    optimizers = [search.recipe.optimizer(network) for network in networks]

    def run() -> None:
        for network, optimizer, (images, labels) in zip(networks, optimizers, itertools.cycle(train), strict=False):
            take_step(optimizer, 0.01, network(images), labels)

    return run


def _epoch(train: Batches, val: Batches, configs: Configs, models: int) -> Callable[[], None]:
    """An epoch of the search, without the ranking at its end, which is timed by itself."""
    search = _search(models)
    mixture = Mixture(
        search.supernet, models, configs, search.recipe, temperature=search.temperature, ema=search.ema, seed=0
    )

    def run() -> None:
        mixture.train_epoch(0, 100, train, len(train), val)

    return run


def _ranking(val: Batches, configs: Configs, models: int) -> Callable[[], None]:
    """The evaluation of every placement in every model."""
    search = _search(models)
    mixture = Mixture(
        search.supernet, models, configs, search.recipe, temperature=search.temperature, ema=search.ema, seed=0
    )

    def run() -> None:
        mixture.evaluate(val, 0)

    return run


def _search(models: int) -> PoolingSearch:
    return PoolingSearch(resnet_units, POOLS, models)


def _memory(batch: int, side: int) -> Table:
    shown = Table(title="memory of the dearest placement's step, MiB", title_justify="left")
    for column in ("SuperNets", "weights", "momentum", "activations", "all"):
        shown.add_column(column)
    network = _search(1).network(config_to_blocks(CONFIGS[-1])).train()
    for models in (1, 2, 4, 8):
        memory = training_memory(network, (batch, 3, side, side), models=models)
        parts = (memory.weights, memory.momentum, memory.activations, memory.total)
        shown.add_row(str(models), *(f"{part / 2**20:.1f}" for part in parts))
    return shown


def _balancing(console: Console, updates: int, repeats: int) -> None:
    """Time balancing at the paper's highest temperature, for accuracies that are alike and that are adversarial."""
    draws = np.random.default_rng(0)
    alike = draws.normal(0.8, 0.02, (len(CONFIGS), 4))
    against = np.zeros((len(CONFIGS), 4))
    against[:, 0] = 1.0  # one model is best on every placement

    def balance(accuracies: np.ndarray) -> Callable[[], None]:
        def run() -> None:
            for _ in range(updates):
                balanced_assignment(accuracies, temperature=150.0)

        return run

    functions = {"alike": balance(alike), "one model is best everywhere": balance(against)}
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.01, warmup=1)
    for name in functions:
        use = balanced_assignment({"alike": alike}.get(name, against), temperature=150.0).mean(axis=0)
        console.print(
            f"balancing, accuracies {name}: {1e3 * timings.median(name):.0f} ms for {updates:,} updates; use of the "
            f"models {', '.join(f'{share:.3f}' for share in use)}"
        )


if __name__ == "__main__":
    typer.run(main)
