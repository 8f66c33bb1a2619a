"""Does poset pooling classify better than max, average and mixed pooling, and do the theorems hold?

One small convolutional network, trained once for every way of halving its maps, with the same initial weights, images,
order, augmentation and schedule for every arm of a seed. Each way receives the signed output of the batch norm and
returns non-negative maps: poset filters do so by themselves, the others through the ReLU that usually precedes them.
The theorems are put to the test on posets, compositions and networks, which take the place of a data set.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from cenote.catalog.results import DataSource, Figure, Record
from cenote.lab import classification
from cenote.lab.classification import ClassificationSettings, parameters, step_times, subset
from cenote.lab.data import ImageClassification
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.training import Normalization, TrainingSettings, accuracy, train
from cenote.lab.wording import counted
from cenote.pooling.order_theory import theorems
from cenote.pooling.order_theory.enumeration import labelled_posets
from cenote.pooling.order_theory.four_points import resolve_poset
from cenote.pooling.order_theory.pooling import NonNegativeInputWarning, PosetPool2d

CLAIMED = ("poset", "max", "average", "mixed")
CONTROLS = ("strided convolution", "sum", "poset after ReLU", "poset / 4")
ARMS = CLAIMED + CONTROLS

COST = "cost"
"""Arm of the trial that times all arms in turns."""

POSETS = "posets"
"""In the place of a data set: what the theorems are tested on."""

ONE_TO_ONE, ROUND_TRIP, COMPOSITION = "one to one", "round trip", "composition"
"""Arms of the theorems; the first needs no seed, since it looks at every poset."""

NAMED_POINTS = range(1, 5)
"""Numbers of points whose labelled posets are all looked at: 1, 3, 19 and 219 of them."""


class PosetSettings(ClassificationSettings):
    """Settings of the comparison."""

    poset: str = Field(description="The poset of every poset arm, fixed before anything was run.")
    width: int = Field(
        ge=1, description="Channels of the first convolution; the second has twice, the third four times."
    )
    learning_rate: float = Field(default=0.05, gt=0, description="Peak of the schedule, of SGD with momentum 0.9.")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay of all parameters.")
    gradient_images: int = Field(default=200, ge=1, description="Test images whose gradients are looked at.")
    networks: int = Field(default=50, ge=1, description="Random networks of integer weights a seed.")
    compositions: int = Field(default=125, ge=1, description="Random compositions of posets a seed.")

    @property
    def images(self) -> tuple[str, ...]:
        """The data sets that are trained on."""
        return tuple(name for name in self.data if name != POSETS)

    @field_validator("poset")
    @classmethod
    def _known(cls, poset: str) -> str:
        resolve_poset(poset)
        return poset


# --- the network --------------------------------------------------------------------------------------------------


class Mixed(nn.Module):
    """Half max pooling, half average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        return (F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)) / 2


def halvings(poset: str) -> Mapping[str, Callable[[], nn.Module]]:
    """Return, by arm, what turns a batch norm's signed output into a non-negative map of half the size."""

    def activated(pool: nn.Module) -> nn.Module:
        return nn.Sequential(nn.ReLU(), pool)

    return {
        "poset": lambda: PosetPool2d(poset, ceil_mode=False),
        "max": lambda: activated(nn.MaxPool2d(2)),
        "average": lambda: activated(nn.AvgPool2d(2)),
        "mixed": lambda: activated(Mixed()),
        "strided convolution": nn.ReLU,
        "sum": lambda: activated(nn.AvgPool2d(2, divisor_override=1)),
        "poset after ReLU": lambda: activated(PosetPool2d(poset, ceil_mode=False)),
        "poset / 4": lambda: PosetPool2d(poset, ceil_mode=False, scale=0.25),
    }


class SmallNet(nn.Module):
    """Three times convolution, batch norm and halving; then the mean over the map and a linear layer."""

    def __init__(self, arm: str, poset: str, width: int, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        stride = 2 if arm == "strided convolution" else 1
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
            for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in widths[1:])
        self.halvings = nn.ModuleList(halvings(poset)[arm]() for _ in widths[1:])
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm, halving in zip(self.convolutions, self.norms, self.halvings, strict=True):
            x = halving(norm(convolution(x)))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def _network(arm: str, settings: PosetSettings, data: ImageClassification, seed: int) -> SmallNet:
    """Equal seeds give equal initial weights: no way of halving has weights of its own."""
    channels = data.train.images.shape[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallNet(arm, settings.poset, settings.width, channels, len(data.classes))


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: PosetSettings) -> list[Trial]:
    """Return one training per data set, seed and arm, one timing per data set, and the tests of the theorems."""
    work = [Trial(data, arm, seed) for data in settings.images for seed in settings.seed_range for arm in ARMS]
    work += [Trial(data, COST, alone=True) for data in settings.images]
    if POSETS in settings.data:
        work += [Trial(POSETS, ONE_TO_ONE)]
        work += [Trial(POSETS, arm, seed) for arm in (ROUND_TRIP, COMPOSITION) for seed in settings.seed_range]
    return work


def measure(trial: Trial, settings: PosetSettings, context: Context) -> Iterator[Record]:
    """Train one arm and measure it, or time all arms, or test a theorem."""
    if trial.data == POSETS:
        yield from _theorem(trial, settings)
        return
    data = subset(trial.data, settings, context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonNegativeInputWarning)  # one of the controls is there to be degenerate
        if trial.arm == COST:
            models = {arm: _network(arm, settings, data, seed=0) for arm in ARMS}
            yield from step_times(trial, models, data, settings, memory_format=torch.channels_last)
        else:
            yield from _training(trial, settings, data)


def _theorem(trial: Trial, settings: PosetSettings) -> Iterator[Record]:
    """Count the instances on which a theorem fails."""
    if trial.arm == ONE_TO_ONE:
        for points in NAMED_POINTS:
            posets = labelled_posets(points)
            failures = theorems.posets_not_recovered(posets)
            yield trial.record("not_recovered", failures, unit=counted(points, "point"), trials=len(posets))
        return
    assert trial.seed is not None
    generator = np.random.default_rng(trial.seed)
    if trial.arm == ROUND_TRIP:
        failures = theorems.networks_not_returned(settings.networks, generator)
        yield trial.record("not_returned", failures, trials=settings.networks)
    else:
        failures = theorems.compositions_that_differ(settings.compositions, generator)
        yield trial.record("compositions_that_differ", failures, trials=settings.compositions)


def _training(trial: Trial, settings: PosetSettings, data: ImageClassification) -> Iterator[Record]:
    assert trial.seed is not None
    model = _network(trial.arm, settings, data, trial.seed)
    log = train(model, data.train.images, data.train.labels, _recipe(trial.data, settings), seed=trial.seed)
    correct = accuracy(model, data.test.images, data.test.labels, log.normalization)
    yield trial.record("accuracy", float("nan") if log.diverged else correct)
    reached = reached_entries(model, data.test.images[: settings.gradient_images], log.normalization)
    yield trial.record("entries_with_gradient", float(np.mean([counts.mean() for counts in reached])))
    yield trial.record("windows_without_gradient", float(np.mean([(counts == 0).mean() for counts in reached])))
    if trial.arm == "poset":
        rival = _network("average", settings, data, trial.seed)
        yield trial.record("extra_parameters", float(parameters(model) - parameters(rival)))


def _recipe(data: str, settings: PosetSettings) -> TrainingSettings:
    return TrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer="sgd",
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        momentum=0.9,
        warmup_fraction=0.2,
        channels_last=True,
        augmentation=settings.augmentation(data),
    )


def reached_entries(
    model: SmallNet, images: np.ndarray, normalization: Normalization
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Count, per 2×2 window, the batch norm's outputs that a gradient at the halved map reaches.

    Args:
        model: A trained network; strided convolution, which has no windows, counts 0 or 1 for its one entry.
        images: uint8 (N, H, W, C).
        normalization: The training's.

    Returns:
        One array (N, C', H', W') for each halving.
    """
    reached = []
    model.eval()
    x = normalization.apply(torch.from_numpy(images)).contiguous(memory_format=torch.channels_last)
    for convolution, norm, halving in zip(model.convolutions, model.norms, model.halvings, strict=True):
        with torch.no_grad():
            signed = norm(convolution(x))
        signed.requires_grad_()
        halved = halving(signed)
        (flow,) = torch.autograd.grad(halved.sum(), signed)
        hit = (flow != 0).double()
        reached.append((hit if hit.shape == halved.shape else F.avg_pool2d(hit, 2) * 4).numpy())
        x = halved.detach()
    return reached


# --- data and pictures --------------------------------------------------------------------------------------------


def sources(settings: PosetSettings, context: Context) -> Iterator[DataSource]:
    """Describe the images the run reads, and the posets."""
    yield from classification.sources(settings.model_copy(update={"data": settings.images}), context)
    if POSETS in settings.data:
        posets = [poset for points in NAMED_POINTS for poset in labelled_posets(points)]
        yield DataSource(
            name=POSETS,
            checksum=hashlib.sha256("\n".join(poset.hasse() for poset in posets).encode()).hexdigest(),
            size=f"{len(posets)} posets; {settings.compositions} random compositions and {settings.networks} random "
            "networks a seed",
            note=f"All posets on {NAMED_POINTS[0]} to {NAMED_POINTS[-1]} named points, which the checksum is of; the "
            "rest is drawn from the seeds.",
        )


def figures(settings: PosetSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw accuracy and gradient reach per data set, and where the gradient goes in one image."""
    from cenote.pooling.order_theory import pictures

    for name in settings.images:
        data = subset(name, settings, context)
        yield from pictures.draw(name, settings, records, data, folder, controls=CONTROLS, order=ARMS)


def differs(settings: PosetSettings) -> Iterator[str]:
    """Say what differs from the paper."""
    widths = f"{settings.width}, {2 * settings.width} and {4 * settings.width}"
    yield (
        "The paper trains a quaternion network on all of CIFAR-10 for 80 epochs with RMSprop and 14 seeds; this is a "
        f"small convolutional network ({widths} channels) on at most {settings.train_images:,} images of "
        f"{', '.join(settings.images)} for {counted(settings.epochs, 'epoch')} with SGD and "
        f"{counted(settings.seeds, 'seed')}."
    )
    yield f"One poset, {settings.poset}, was fixed before anything was run; the paper prints all sixteen."
    yield (
        "The filter takes the place of batch norm's ReLU and the pooling. The paper's code suggests it after a ReLU, "
        "where every poset equals sum pooling: that is the control 'poset after ReLU'."
    )
    yield "Mixed pooling is the mean of max and average pooling; the paper does not say which mixed pooling it means."
    yield "Strided convolution gives the convolution before it a stride of 2, so it computes less than the other arms."
    if POSETS in settings.data:
        yield (
            "The paper proves its theorems; here they are tested, on every poset with up to four named points and on "
            f"random compositions of at most {theorems.MOST_POINTS} points and random networks of up to four layers."
        )


experiment = Experiment(
    settings=PosetSettings,
    presets={
        "tiny": PosetSettings(
            data=("mnist-5k", POSETS),
            seeds=1,
            poset="N",
            train_images=40,
            test_images=20,
            epochs=1,
            width=2,
            batch_size=20,
            gradient_images=5,
            timing_repeats=2,
            timing_seconds=0.002,
            networks=2,
            compositions=5,
        ),
        "smoke": PosetSettings(
            data=("mnist-5k", POSETS),
            seeds=8,
            poset="N",
            train_images=400,
            test_images=400,
            epochs=3,
            width=8,
            batch_size=32,
            gradient_images=40,
            timing_repeats=3,
            timing_seconds=0.02,
        ),
        "laptop": PosetSettings(
            data=("cifar10", "fashion-mnist", POSETS),
            seeds=8,
            poset="N",
            train_images=20_000,
            test_images=10_000,
            epochs=6,
            width=8,
            batch_size=64,
        ),
        "paper": PosetSettings(
            data=("cifar10", "fashion-mnist", POSETS),
            seeds=8,
            poset="N",
            train_images=50_000,
            test_images=10_000,
            epochs=80,
            width=64,
            batch_size=128,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
)
