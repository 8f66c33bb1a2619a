"""What comparisons of image classifiers share: settings, their data, the recipe's augmentation, the cost of a step.

An experiment's settings inherit from ``ClassificationSettings``; its ``sources`` is the one of this module, and its
trials call ``subset`` and ``step_times``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from cenote.catalog.results import DataSource, Record
from cenote.errors import ArgumentError
from cenote.lab.data import ImageClassification
from cenote.lab.experiment import Context, Settings, Trial
from cenote.lab.timing import time_interleaved
from cenote.lab.training import Augmentation, Normalization

DIGITS = frozenset({"mnist-5k", "digits"})
"""Data sets whose images mean something else, or nothing, when they are mirrored."""


class ClassificationSettings(Settings):
    """Settings of a comparison of image classifiers; an experiment adds those of its network and its recipe."""

    train_images: int = Field(ge=10, description="Training images, equally many a class.")
    test_images: int = Field(ge=10, description="Test images, equally many a class.")
    epochs: int = Field(ge=1, description="Passes over the training images.")
    batch_size: int = Field(default=64, ge=2, description="Images of a training step.")
    flip: bool = Field(default=True, description="Mirror training images at random; not used on digits.")
    shift: int = Field(default=2, ge=0, description="Shift training images at random by up to this many pixels.")
    timing_repeats: int = Field(default=16, ge=2, description="Interleaved repetitions of each arm's passes.")
    timing_seconds: float = Field(default=0.05, gt=0, description="Length of one repetition.")

    def augmentation(self, data: str) -> Augmentation:
        """Return how a data set's training images are varied."""
        return Augmentation(flip=self.flip and data not in DIGITS, shift=self.shift)

    def loader_options(self, data: str) -> dict[str, object]:
        """Return what a data set's loader is told beside its name; an experiment with such a setting overrides it."""
        return {}


def subset(name: str, settings: ClassificationSettings, context: Context) -> ImageClassification:
    """Load a data set, and as many of its images as the settings ask for and it has; once per process."""
    options = settings.loader_options(name)

    def load() -> ImageClassification:
        data = context.load(name, **options)
        if not isinstance(data, ImageClassification):
            raise ArgumentError(f"data: {name!r} is no set of images with one label each; it cannot be classified")
        return data.subset(min(settings.train_images, len(data.train)), min(settings.test_images, len(data.test)))

    return context.remember((name, *sorted(options.items()), settings.train_images, settings.test_images), load)


def sources(settings: ClassificationSettings, context: Context) -> Iterator[DataSource]:
    """Describe the images the run reads."""
    for name in settings.data:
        data = subset(name, settings, context)
        yield DataSource(
            name=name,
            checksum=data.checksum(),
            size=f"{len(data.train):,} training and {len(data.test):,} test images",
            note=data.note,
        )


def step_times(
    trial: Trial,
    models: Mapping[str, nn.Module],
    data: ImageClassification,
    settings: ClassificationSettings,
    *,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Iterator[Record]:
    """Time forward and backward pass of every arm's model on one training batch, in turns.

    Args:
        trial: The trial whose records these are.
        models: By arm, networks from images (N, C, H, W) to logits (N, K).
        data: The images, of which the first batch is taken.
        settings: Batch size, repeats and their length.
        memory_format: The layout of models and images, as in the training.

    Yields:
        ``forward_backward_ms`` of each arm, a record a repeat.
    """
    batch = data.train.images[: settings.batch_size]
    images = Normalization.of(data.train.images).apply(torch.from_numpy(batch)).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(data.train.labels[: settings.batch_size])
    passes = {arm: _both_passes(_laid_out(model, memory_format), images, labels) for arm, model in models.items()}
    timings = time_interleaved(passes, repeats=settings.timing_repeats, min_seconds=settings.timing_seconds)
    for arm, times in timings.seconds.items():
        for repeat, seconds in enumerate(times):
            yield trial.record("forward_backward_ms", 1e3 * seconds, arm=arm, unit=f"repeat-{repeat}")


def _laid_out(model: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    return model.to(memory_format=memory_format)


def _both_passes(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]

    return run


def parameters(model: nn.Module) -> int:
    """Return the number of a model's weights."""
    return sum(parameter.numel() for parameter in model.parameters())
