"""Do several balanced SuperNets rank the places of poolings better than one, and is their pick better than the default?

Every placement is trained alone, for every seed, and tested: the truth. The searches see the same training images and
choose on the same validation images as the brute force; all of them take the same number of steps. Nothing is chosen on
test images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from torch import nn

from cenote.catalog.results import DataSource, Figure, Record
from cenote.lab import classification
from cenote.lab.classification import ClassificationSettings, subset
from cenote.lab.data import ImageClassification, ImageSplit
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.timing import time_interleaved
from cenote.lab.training import Batches, Normalization, TrainingSettings, accuracy
from cenote.lab.wording import counted
from cenote.pooling.balanced_supernets import published
from cenote.pooling.balanced_supernets.backbones import RESNET20, resnet_units
from cenote.pooling.balanced_supernets.configurations import (
    Blocks,
    blocks_at_width_changes,
    blocks_text,
    config_to_blocks,
    pool_configs,
)
from cenote.pooling.balanced_supernets.costs import count_flops, measure_latencies, training_memory
from cenote.pooling.balanced_supernets.rank_statistics import kendall_tau, pearson, regret, spearman
from cenote.pooling.balanced_supernets.search import PoolingSearch, Select

SINGLE, MIXTURE, ALIKE = "single-supernet", "mixture-of-4", "four drawn alike"
DEFAULT, BRUTE_FORCE = "default-placement", "brute-force-best"
CONTROLS = (ALIKE,)


class _Arm(NamedTuple):
    """How many models a search has, and whether their assignment is learned."""

    models: int
    learned: bool = True


SEARCHES = {SINGLE: _Arm(1), MIXTURE: _Arm(4), ALIKE: _Arm(4, learned=False)}

EVERY_ONE = "every placement alone"
"""What the searches are timed against."""

COST = "cost"
"""Arm of the trial that times searches and placements."""

PUBLISHED = "published-resnet20"
"""In the place of a data set: the accuracies that the authors released."""

SELECTS: tuple[Select, ...] = ("best_model", "mean", "expected")


class BalancedSettings(ClassificationSettings):
    """Settings of the comparison; half of the training images are learned from, the other half validates."""

    widths: tuple[int, ...] = Field(description="Channels of each unit; the default placement pools where they change.")
    pools: int = Field(default=2, ge=1, description="Poolings to be placed.")
    search_epochs: int = Field(ge=1, description="Passes of each search over its half of the training images.")
    learning_rate: float = Field(default=0.1, gt=0, description="At the first step, of SGD; of searches and networks.")
    last_rate: float = Field(default=0.001, gt=0, description="Learning rate at the last step, along a cosine.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD.")
    weight_decay: float = Field(default=0.0, ge=0, description="Of all weights.")
    temperature: float = Field(default=100.0, ge=0, description="Of the assignment in the last epoch; 1 in the first.")
    ema: float = Field(default=0.9, ge=0, lt=1, description="Share of a running accuracy that stays at an update.")
    timing_images: int = Field(
        default=64,
        ge=2,
        description="Images of each half in the searches and the brute force that are timed.",
    )
    timing_repeats: int = Field(default=6, ge=2, description="Interleaved repetitions of what is timed.")

    @property
    def images(self) -> tuple[str, ...]:
        """The data sets that are trained on."""
        return tuple(name for name in self.data if name != PUBLISHED)

    @property
    def placements(self) -> tuple[Blocks, ...]:
        """All placements."""
        return tuple(config_to_blocks(config) for config in pool_configs(len(self.widths), self.pools))

    @property
    def default(self) -> Blocks:
        """Where such a network usually pools."""
        return blocks_at_width_changes(self.widths)

    @field_validator("widths")
    @classmethod
    def _wide_enough(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if not widths or min(widths) < 1:
            raise ValueError(f"widths must be numbers from 1 up, got {list(widths)}")
        return widths

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if len(self.default) != self.pools + 1:
            raise ValueError(f"widths must change {self.pools} times, as often as is pooled; got {list(self.widths)}")
        if min(self.train_images // 2, self.timing_images) < self.batch_size:
            raise ValueError("batch_size must be at most timing_images and half of train_images")
        return self


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: BalancedSettings) -> list[Trial]:
    """Return a training for each data set, seed and placement, a search for each arm, and a timing per data set."""
    arms = [*map(blocks_text, settings.placements), *SEARCHES]
    work = [Trial(data, arm, seed) for data in settings.images for seed in settings.seed_range for arm in arms]
    work += [Trial(data, COST, alone=True) for data in settings.images]
    return work + [Trial(PUBLISHED, "released") for data in settings.data if data == PUBLISHED]


def measure(trial: Trial, settings: BalancedSettings, context: Context) -> Iterable[Record]:
    """Train one placement alone, or search, or time both, or record what was published."""
    if trial.data == PUBLISHED:
        return _published(trial)
    data = subset(trial.data, settings, context)
    if trial.arm == COST:
        return _costs(trial, settings, data)
    assert trial.seed is not None
    if trial.arm in SEARCHES:
        return _searched(trial, trial.seed, settings, data)
    return _trained_alone(trial, trial.seed, settings, data)


class Halves(NamedTuple):
    """The training images: half to learn from, half to validate."""

    train: ImageSplit
    val: ImageSplit
    normalization: Normalization

    @classmethod
    def of(cls, data: ImageClassification, size: int | None = None) -> Halves:
        """Split the training images, which are in an order that balances the classes, or as many of each half."""
        half = len(data.train) // 2
        size = half if size is None else min(size, half)
        train, val = (data.train.take(np.arange(start, start + size)) for start in (0, half))
        return cls(train, val, Normalization.of(train.images))

    def batches(self, settings: BalancedSettings, data: str, seed: int) -> tuple[Batches, Batches]:
        """Return loaders of both halves; the images to learn from are varied."""
        loaders = []
        for split, varied in ((self.train, True), (self.val, False)):
            recipe = TrainingSettings(epochs=1, batch_size=settings.batch_size, channels_last=True)
            if varied:
                recipe = replace(recipe, augmentation=settings.augmentation(data))
            loaders.append(Batches(split.images, split.labels, self.normalization, recipe, seed=seed))
        return loaders[0], loaders[1]

    def accuracy(self, network: nn.Module, split: ImageSplit, settings: BalancedSettings) -> float:
        """Return a network's accuracy on a split; in small batches, whose maps fit the processor's cache."""
        size = settings.batch_size
        return accuracy(network, split.images, split.labels, self.normalization, batch_size=size)


def search_of(arm: str, settings: BalancedSettings, data: ImageClassification, seed: int) -> PoolingSearch:
    """Return the search of an arm; all arms of a seed begin with the same first model."""
    models, learned = SEARCHES[arm]
    channels, classes = data.train.image_shape[2], len(data.classes)
    return PoolingSearch(
        lambda: resnet_units(settings.widths, channels=channels, classes=classes),
        settings.pools,
        models,
        temperature=(1.0, settings.temperature) if learned else (0.0, 0.0),
        ema=settings.ema,
        learning_rate=(settings.learning_rate, settings.last_rate),
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        seed=seed,
    )


def _trained_alone(trial: Trial, seed: int, settings: BalancedSettings, data: ImageClassification) -> Iterator[Record]:
    halves = Halves.of(data)
    train, _ = halves.batches(settings, trial.data, seed)
    (blocks,) = (each for each in settings.placements if blocks_text(each) == trial.arm)
    network = search_of(SINGLE, settings, data, seed).retrain(train, settings.epochs, blocks=blocks)
    for metric, split in (("validation_accuracy", halves.val), ("test_accuracy", data.test)):
        yield trial.record(metric, halves.accuracy(network, split, settings))


def _searched(trial: Trial, seed: int, settings: BalancedSettings, data: ImageClassification) -> Iterator[Record]:
    search = search_of(trial.arm, settings, data, seed)
    search.fit(*Halves.of(data).batches(settings, trial.data, seed), settings.search_epochs)
    names = [blocks_text(config_to_blocks(config)) for config in search.configs_]
    matrices = {
        "model_accuracy": search.score_matrix_,
        "assignment": search.assignment_,
        "training_steps": search.steps_,
    }
    for metric, matrix in matrices.items():
        for name, row in zip(names, matrix, strict=True):
            for model, value in enumerate(row):
                yield trial.record(metric, float(value), unit=name, x=float(model))
    for select in SELECTS:
        for name, value in zip(names, search.scores(select), strict=True):
            yield trial.record(f"score_{select}", float(value), unit=name)


def _costs(trial: Trial, settings: BalancedSettings, data: ImageClassification) -> Iterator[Record]:
    height, width, channels = data.train.image_shape
    shape = (1, channels, height, width)
    search = search_of(SINGLE, settings, data, seed=0)
    networks = {blocks_text(blocks): search.network(blocks) for blocks in settings.placements}
    seconds = measure_latencies(list(networks.values()), shape, repeats=5 * settings.timing_repeats)
    for (name, network), row in zip(networks.items(), seconds, strict=True):
        yield trial.record("flops", float(count_flops(network, shape)), arm=name)
        for repeat, value in enumerate(row):
            yield trial.record("latency_ms", 1e3 * value, arm=name, unit=f"repeat-{repeat}")
    largest = max(networks.values(), key=lambda network: count_flops(network, shape))
    for arm, (models, _) in SEARCHES.items():
        memory = training_memory(largest.train(), (settings.batch_size, channels, height, width), models=models)
        for part in ("weights", "momentum", "activations"):
            yield trial.record(f"{part}_bytes", float(getattr(memory, part)), arm=arm)
    yield from _seconds(trial, settings, data)


def _seconds(trial: Trial, settings: BalancedSettings, data: ImageClassification) -> Iterator[Record]:
    """Time brute force and searches on a few images, in turns, and scale them to all: both grow with the images."""
    halves = Halves.of(data, settings.timing_images)

    def search(arm: str) -> None:
        loaders = halves.batches(settings, trial.data, seed=0)
        search_of(arm, settings, data, seed=0).fit(*loaders, settings.search_epochs)

    def brute_force() -> None:
        own = search_of(SINGLE, settings, data, seed=0)
        for blocks in settings.placements:
            train, _ = halves.batches(settings, trial.data, seed=0)
            network = own.retrain(train, settings.epochs, blocks=blocks)
            halves.accuracy(network, halves.val, settings)

    timed = {EVERY_ONE: brute_force, SINGLE: lambda: search(SINGLE), MIXTURE: lambda: search(MIXTURE)}
    timings = time_interleaved(timed, repeats=settings.timing_repeats, min_seconds=settings.timing_seconds)
    scale = len(data.train) / 2 / len(halves.train)
    for arm, times in timings.seconds.items():
        for repeat, value in enumerate(times):
            yield trial.record("search_seconds", scale * value, arm=arm, unit=f"repeat-{repeat}")


def _published(trial: Trial) -> Iterator[Record]:
    """The released accuracies with shared weights, each at that of the placement trained alone."""
    arms = {1: SINGLE, 2: "mixture-of-2", 4: MIXTURE, 8: "mixture-of-8"}
    for models in published.MODELS:
        for row, shared in zip(published.TABLE, published.shared(models), strict=True):
            name = blocks_text(row.blocks)
            yield trial.record("shared_accuracy", float(shared), arm=arms[models], unit=name, x=row.means[0])


# --- what follows from all trials -----------------------------------------------------------------------------------


def alone(records: Iterable[Record], data: str, metric: str) -> dict[int, dict[str, float]]:
    """Return what the placements of a data set reached alone, by seed and placement."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        if record.data == data and record.metric == metric and record.seed is not None:
            found.setdefault(record.seed, {})[record.arm] = record.value
    return found


def derive(settings: BalancedSettings, records: Sequence[Record]) -> Iterator[Record]:
    """Hold the rankings of each search against the truth, and say how good each pick is when it is trained alone.

    The truth is the test accuracy of a placement, mean over all seeds. A pick's accuracy is that of the network of its
    own seed, as is the default's; the best of the brute force is chosen by validation accuracy, within each seed.
    """
    names = [blocks_text(blocks) for blocks in settings.placements]
    for data in settings.images:
        tested, validated = (alone(records, data, f"{split}_accuracy") for split in ("test", "validation"))
        truth = np.array([np.mean([by_name[name] for by_name in tested.values()]) for name in names])
        for seed in settings.seed_range:
            own = tested[seed]
            chosen = max(names, key=lambda name: validated[seed][name])
            default = blocks_text(settings.default)
            for arm, name in ((DEFAULT, default), (BRUTE_FORCE, chosen)):
                yield Trial(data, name, seed).record("accuracy", own[name], arm=arm)
            for arm in SEARCHES:
                yield from _against_truth(Trial(data, arm, seed), records, names, truth, own)


def _against_truth(
    trial: Trial, records: Sequence[Record], names: Sequence[str], truth: np.ndarray, own: Mapping[str, float]
) -> Iterator[Record]:
    for select in SELECTS:
        metric = f"score_{select}"
        found = {each.unit: each.value for each in records if each.trial == trial.key and each.metric == metric}
        scores = np.array([found[name] for name in names])
        ending = "" if select == SELECTS[0] else f"_{select}"
        diverged = not np.isfinite(scores).all()
        pick = names[int(scores.argmax())]
        yield trial.record(f"accuracy{ending}", float("nan") if diverged else own[pick])
        for name, statistic in (("kendall_tau", kendall_tau), ("spearman", spearman), ("pearson", pearson),
                                ("regret", regret)):  # fmt: skip
            value = float(np.nan_to_num(statistic(scores[None], truth[None])[0]))  # equals are in no order: 0
            yield trial.record(f"{name}{ending}", float("nan") if diverged else value)
        yield trial.record(f"mean_score{ending}", float(scores.mean()))


# --- data and pictures --------------------------------------------------------------------------------------------


def sources(settings: BalancedSettings, context: Context) -> Iterator[DataSource]:
    """Describe the images the run reads, and the released accuracies."""
    yield from classification.sources(settings.model_copy(update={"data": settings.images}), context)
    if PUBLISHED in settings.data:
        yield DataSource(
            name=PUBLISHED,
            checksum=hashlib.sha256(repr(published.TABLE).encode()).hexdigest(),
            size=f"{len(published.TABLE)} placements",
            note="Accuracies of ResNet-20 on CIFAR-10 as the authors released them, not measured here.",
        )


def figures(settings: BalancedSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw rankings, picks, assignments and fronts per data set, and the published rankings."""
    from cenote.pooling.balanced_supernets import pictures

    for name in settings.images:
        order = (MIXTURE, SINGLE, DEFAULT, BRUTE_FORCE, *CONTROLS)
        yield from pictures.draw_strips(name, records, folder, subject=MIXTURE, order=order, controls=CONTROLS)
        yield from pictures.draw_scatter(name, records, folder, searches=(SINGLE, MIXTURE))
        yield from pictures.draw_assignment(name, records, folder, arm=MIXTURE, seed=settings.first_seed)
        timed = (MIXTURE, SINGLE, EVERY_ONE)
        yield from pictures.draw_fronts(name, records, folder, default=blocks_text(settings.default), order=timed)
    if PUBLISHED in settings.data:
        yield from pictures.draw_published(folder)


def differs(settings: BalancedSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    widths = ", ".join(map(str, settings.widths))
    half = settings.train_images // 2
    return (
        "The paper searches the 36 placements of ResNet-20 on CIFAR-10 for 100 epochs and retrains for 1,000; this is "
        f"a residual network of {len(settings.widths)} units ({widths} channels) with {len(settings.placements)} "
        f"placements, searched for {counted(settings.search_epochs, 'epoch')} and trained alone for "
        f"{counted(settings.epochs, 'epoch')} on at most {half:,} images of {', '.join(settings.images)}, with "
        f"{counted(settings.seeds, 'seed')}.",
        "Networks trained alone learn from the same half of the training images as the searches, and the brute force "
        "chooses on the same other half; the paper trains its pick on both halves.",
        "One and four SuperNets take the same total number of steps, so each of four takes a quarter of them; whether "
        "the paper's mixtures trained longer is not known.",
        "The truth that rankings are held against is the test accuracy of the networks trained alone, mean over the "
        "seeds; the paper's is that of one or few trainings.",
        "How the paper makes its pick of the accuracies in several models is not known: a placement's score is its "
        "accuracy in its best model; mean and expected accuracy are recorded beside it.",
        "The learning rate falls at each step, and the temperature reaches its end in the last epoch.",
        f"Searches and brute force are timed on {settings.timing_images} images of each half, on one thread, and "
        "scaled to all images.",
    )


experiment = Experiment(
    settings=BalancedSettings,
    presets={
        "tiny": BalancedSettings(
            data=("digits", PUBLISHED),
            seeds=1,
            train_images=40,
            test_images=20,
            epochs=1,
            search_epochs=2,
            widths=(4, 8, 8, 16),
            batch_size=10,
            shift=0,
            timing_images=10,
            timing_repeats=2,
            timing_seconds=0.002,
        ),
        "smoke": BalancedSettings(
            data=("digits", PUBLISHED),
            seeds=8,
            train_images=400,
            test_images=400,
            epochs=4,
            search_epochs=6,
            widths=(4, 4, 8, 8, 16),
            batch_size=20,
            shift=0,
            timing_images=20,
            timing_repeats=3,
            timing_seconds=0.02,
        ),
        "laptop": BalancedSettings(
            data=("cifar10", "fashion-mnist", PUBLISHED),
            seeds=8,
            train_images=6_144,
            test_images=5_000,
            epochs=7,
            search_epochs=14,
            widths=(8, 8, 16, 16, 32, 32),
        ),
        "paper": BalancedSettings(
            data=("cifar10", "fashion-mnist", PUBLISHED),
            seeds=8,
            train_images=50_000,
            test_images=10_000,
            epochs=1000,
            search_epochs=100,
            widths=RESNET20,
            batch_size=128,
            shift=4,
            timing_images=128,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
    derive=derive,
)
