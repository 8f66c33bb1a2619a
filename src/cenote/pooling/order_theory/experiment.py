"""Does poset pooling classify better than max, average and mixed pooling?

One small convolutional network, trained once for every way of halving its maps, with the same initial weights, images,
order, augmentation and schedule for every arm of a seed. Each way receives the signed output of the batch norm and
returns non-negative maps: poset filters do so by themselves, the others through the ReLU that usually precedes them.
"""

from __future__ import annotations

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
from cenote.lab.data import ImageClassification
from cenote.lab.experiment import Context, Experiment, Settings, Trial
from cenote.lab.timing import time_interleaved
from cenote.lab.training import Augmentation, Normalization, TrainingSettings, accuracy, train
from cenote.pooling.order_theory.four_points import resolve_poset
from cenote.pooling.order_theory.pooling import NonNegativeInputWarning, PosetPool2d

CLAIMED = ("poset", "max", "average", "mixed")
CONTROLS = ("strided convolution", "sum", "poset after ReLU", "poset / 4")
ARMS = CLAIMED + CONTROLS

COST = "cost"
"""Arm of the trial that times all arms in turns."""


class PosetSettings(Settings):
    """Settings of the comparison."""

    poset: str = Field(description="The poset of every poset arm, fixed before anything was run.")
    train_images: int = Field(ge=10, description="Training images, equally many a class.")
    test_images: int = Field(ge=10, description="Test images, equally many a class.")
    epochs: int = Field(ge=1, description="Passes over the training images.")
    width: int = Field(
        ge=1, description="Channels of the first convolution; the second has twice, the third four times."
    )
    batch_size: int = Field(default=128, ge=2, description="Images of a training step.")
    learning_rate: float = Field(default=0.05, gt=0, description="Peak of the schedule, of SGD with momentum 0.9.")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay of all parameters.")
    flip: bool = Field(default=True, description="Mirror training images at random; not used on digits.")
    shift: int = Field(default=2, ge=0, description="Shift training images at random by up to this many pixels.")
    gradient_images: int = Field(default=200, ge=1, description="Test images whose gradients are looked at.")
    timing_repeats: int = Field(default=16, ge=2, description="Interleaved repetitions of each arm's passes.")
    timing_seconds: float = Field(default=0.05, gt=0, description="Length of one repetition.")

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
    """Return one training per data set, seed and arm, and one timing per data set."""
    trainings = [Trial(data, arm, seed) for data in settings.data for seed in settings.seed_range for arm in ARMS]
    return trainings + [Trial(data, COST, alone=True) for data in settings.data]


def measure(trial: Trial, settings: PosetSettings, context: Context) -> Iterator[Record]:
    """Train one arm and measure it, or time all arms."""
    data = _subset(trial.data, settings, context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonNegativeInputWarning)  # one of the controls is there to be degenerate
        if trial.arm == COST:
            yield from _cost(trial, settings, data)
        else:
            yield from _training(trial, settings, data)


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
        yield trial.record("extra_parameters", float(_parameters(model) - _parameters(rival)))


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
        augmentation=Augmentation(flip=settings.flip and data not in ("mnist-5k", "digits"), shift=settings.shift),
    )


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


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


def _cost(trial: Trial, settings: PosetSettings, data: ImageClassification) -> Iterator[Record]:
    """Time forward and backward pass of every arm on one batch, in turns, with one thread."""
    images = Normalization.of(data.train.images).apply(torch.from_numpy(data.train.images[: settings.batch_size]))
    labels = torch.from_numpy(data.train.labels[: settings.batch_size])
    passes = {arm: _both_passes(_network(arm, settings, data, seed=0), images, labels) for arm in ARMS}
    timings = time_interleaved(passes, repeats=settings.timing_repeats, min_seconds=settings.timing_seconds)
    for arm in ARMS:
        for repeat, seconds in enumerate(timings.seconds[arm]):
            yield trial.record("forward_backward_ms", 1e3 * seconds, arm=arm, unit=f"repeat-{repeat}")


def _both_passes(model: SmallNet, images: Tensor, labels: Tensor) -> Callable[[], None]:
    model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]

    return run


# --- data and pictures --------------------------------------------------------------------------------------------


def _subset(name: str, settings: PosetSettings, context: Context) -> ImageClassification:
    def load() -> ImageClassification:
        data: ImageClassification = context.load(name)
        return data.subset(min(settings.train_images, len(data.train)), min(settings.test_images, len(data.test)))

    return context.remember((name, settings.train_images, settings.test_images), load)


def sources(settings: PosetSettings, context: Context) -> Iterator[DataSource]:
    """Describe the images the run reads."""
    for name in settings.data:
        data = _subset(name, settings, context)
        yield DataSource(
            name=name,
            checksum=data.checksum(),
            size=f"{len(data.train):,} training and {len(data.test):,} test images",
            note=data.note,
        )


def figures(settings: PosetSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw accuracy and gradient reach per data set, and where the gradient goes in one image."""
    from cenote.pooling.order_theory import pictures

    for name in settings.data:
        data = _subset(name, settings, context)
        yield from pictures.draw(name, settings, records, data, folder, controls=CONTROLS, order=ARMS)


def differs(settings: PosetSettings) -> Iterator[str]:
    """Say what differs from the paper."""
    widths = f"{settings.width}, {2 * settings.width} and {4 * settings.width}"
    yield (
        "The paper trains a quaternion network on all of CIFAR-10 for 80 epochs with RMSprop and 14 seeds; this is a "
        f"small convolutional network ({widths} channels) on at most {settings.train_images:,} images of "
        f"{', '.join(settings.data)} for {_counted(settings.epochs, 'epoch')} with SGD and "
        f"{_counted(settings.seeds, 'seed')}."
    )
    yield f"One poset, {settings.poset}, was fixed before anything was run; the paper prints all sixteen."
    yield (
        "The filter takes the place of batch norm's ReLU and the pooling. The paper's code suggests it after a ReLU, "
        "where every poset equals sum pooling: that is the control 'poset after ReLU'."
    )
    yield "Mixed pooling is the mean of max and average pooling; the paper does not say which mixed pooling it means."
    yield "Strided convolution gives the convolution before it a stride of 2, so it computes less than the other arms."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


experiment = Experiment(
    settings=PosetSettings,
    presets={
        "tiny": PosetSettings(
            data=("mnist-5k",),
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
        ),
        "smoke": PosetSettings(
            data=("mnist-5k",),
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
            data=("cifar10", "fashion-mnist"),
            seeds=8,
            poset="N",
            train_images=20_000,
            test_images=10_000,
            epochs=6,
            width=8,
            batch_size=64,
        ),
        "paper": PosetSettings(
            data=("cifar10", "fashion-mnist"),
            seeds=8,
            poset="N",
            train_images=50_000,
            test_images=10_000,
            epochs=80,
            width=64,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
)
