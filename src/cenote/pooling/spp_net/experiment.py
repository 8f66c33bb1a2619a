"""Does a spatial pyramid classify better, at one size and at many, and detect as well as R-CNN in less time?

Data sets with labels decide on classification, data sets with boxes on detection and speed. All arms of a seed have the
same convolutions to start from, the same images, order, views and schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import nn

from cenote.catalog.results import DataSource, Figure, Record
from cenote.lab.classification import ClassificationSettings, subset
from cenote.lab.data import DetectionSplit, ImageClassification, ObjectDetection
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.training import TrainingSettings, accuracy, train
from cenote.lab.wording import counted
from cenote.pooling.spp_net.average_precision import Ranked, image_shares, mean_average_precision, rank
from cenote.pooling.spp_net.classifier import Pooling, TrainingViews, View, classifier
from cenote.pooling.spp_net.detector import Detections, Detector
from cenote.pooling.spp_net.extraction import CroppedWindows, WindowFeatures
from cenote.pooling.spp_net.proposals import recall
from cenote.pooling.spp_net.timing import Race, race, random_boxes, total
from cenote.pooling.spp_net.training import (
    DetectorSettings,
    Proposals,
    convolutions_of,
    fit_head,
    propose_all,
    shared_map,
    silent,
    train_convolutions,
)

WITH_BOXES = frozenset({"bccd", "blots", "coco", "voc"})
"""Data sets that decide on detection and speed; the others decide on classification."""

SHOWN = frozenset({"bccd", "blots"})
"""Data sets whose terms allow their images in a published picture."""

CROP, SMALLER = 7 / 8, 6 / 7
"""Side of a crop as part of the image's (the paper's 224 of 256), and the smaller size as part of the crop's."""

TEST_SIZES = (0.625, 0.75, 0.875, 1.0, 1.25, 1.5)
"""Sides to which whole test images are resized, as parts of their own: 20, 24, 28, 32, 40, 48 for images of 32."""

DETECTION, SPEED = "detection", "speed"
"""Arms of the trials that measure both detectors, or time both."""


class _Arm(NamedTuple):
    """How an arm of the classification pools and what sizes it trains at."""

    pooling: Pooling
    fewer_bins: bool = False
    alternates: bool = False
    small: bool = False
    back: bool = False


ARMS = {
    "plain-pooling": _Arm("plain"),
    "spp-single-size": _Arm("pyramid"),
    "spp-multi-size": _Arm("pyramid", alternates=True),
    "pyramid with fewer bins": _Arm("pyramid", fewer_bins=True),
    "smaller size only": _Arm("pyramid", small=True),
    "smaller size resized back": _Arm("pyramid", alternates=True, back=True),
}
CONTROLS = ("pyramid with fewer bins", "smaller size only", "smaller size resized back")


class SppSettings(ClassificationSettings):
    """Settings of the comparisons; those of the detector begin with ``detector_`` and ``race_``."""

    levels: tuple[int, ...] = Field(default=(3, 2, 1), description="Bins along a side of each grid of the classifier.")
    widths: tuple[int, ...] = Field(default=(24, 48, 64), description="Channels of the classifier's convolutions.")
    strides: tuple[int, ...] = Field(default=(1, 2, 2), description="Strides of the classifier's convolutions.")
    hidden: int = Field(default=64, ge=1, description="Width of the classifier's hidden layer.")
    learning_rate: float = Field(default=3e-3, gt=0, description="Peak of the classifier's schedule, of AdamW.")
    detector_train: int = Field(default=10_000, ge=2, description="Training images with boxes, at most.")
    detector_test: int = Field(default=10_000, ge=2, description="Test images with boxes, at most.")
    detector_scale: int = Field(default=480, ge=8, description="Shorter side of the image for the shared map.")
    detector_side: int = Field(default=112, ge=8, description="Side of a crop in pixels.")
    detector_levels: tuple[int, ...] = Field(default=(6, 3, 2, 1), description="Bins along a side of each grid.")
    detector_widths: tuple[int, ...] = Field(default=(32, 64, 96, 64), description="Channels of its convolutions.")
    detector_proposals: int = Field(default=400, ge=1, description="Proposed windows of an image.")
    detector_crops: int = Field(default=12, ge=3, description="Windows of an image the convolutions learn from.")
    detector_epochs: int = Field(default=4, ge=1, description="Passes over these windows.")
    detector_rate: float = Field(default=1e-3, gt=0, description="Learning rate of its convolutions and heads.")
    detector_windows: int = Field(default=48, ge=3, description="Windows of an image the heads learn from.")
    detector_steps: int = Field(default=800, ge=1, description="Batches of 128 windows for each head.")
    race_boxes: int = Field(default=2000, ge=1, description="Windows whose scoring is timed.")
    race_scale: int = Field(default=688, ge=8, description="Shorter side of the image for the timed shared map.")
    race_side: int = Field(default=224, ge=8, description="Side of the timed crops in pixels.")
    race_repeats: int = Field(default=2, ge=1, description="Timed passes of both detectors, in turns, after a warm-up.")

    def detector(self, seed: int) -> DetectorSettings:
        """Return how the detectors of a seed are trained."""
        return DetectorSettings(
            levels=self.detector_levels,
            scales=(self.detector_scale,),
            widths=self.detector_widths,
            side=self.detector_side,
            small_side=round(180 / 224 * self.detector_side),
            proposals=self.detector_proposals,
            crops=self.detector_crops,
            epochs=self.detector_epochs,
            learning_rate=self.detector_rate,
            windows=self.detector_windows,
            steps=self.detector_steps,
            seed=seed,
        )


def trials(settings: SppSettings) -> list[Trial]:
    """Return one training per labelled data set, seed and arm, and two trials per data set with boxes and seed."""
    work = []
    for data in settings.data:
        for seed in settings.seed_range:
            arms = (DETECTION,) if data in WITH_BOXES else ARMS
            work += [Trial(data, arm, seed) for arm in arms]
    boxed = [data for data in settings.data if data in WITH_BOXES]
    return work + [Trial(data, SPEED, seed, alone=True) for data in boxed for seed in settings.seed_range]


def measure(trial: Trial, settings: SppSettings, context: Context) -> Iterable[Record]:
    """Train and test one classifier, or both detectors, or time them."""
    assert trial.seed is not None
    if trial.arm == DETECTION:
        return _detection(trial, trial.seed, settings, context)
    if trial.arm == SPEED:
        return _speed(trial, trial.seed, settings, context)
    return _classification(trial, trial.seed, settings, subset(trial.data, settings, context))


# --- classification -----------------------------------------------------------------------------------------------


def network(arm: str, settings: SppSettings, data: ImageClassification, seed: int) -> nn.Sequential:
    """Return an untrained classifier; equal seeds give equal convolutions in every arm."""
    side, _, channels = data.train.image_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return classifier(
            ARMS[arm].pooling,
            image_side=crop_of(side),
            channels=channels,
            classes=len(data.classes),
            widths=settings.widths,
            strides=settings.strides,
            levels=settings.levels[1:] if ARMS[arm].fewer_bins else settings.levels,
            hidden=settings.hidden,
        )


def crop_of(side: int) -> int:
    """Return the side of a crop of images of this side."""
    return round(CROP * side)


def _classification(trial: Trial, seed: int, settings: SppSettings, data: ImageClassification) -> Iterator[Record]:
    arm, side = ARMS[trial.arm], data.train.image_shape[0]
    crop = crop_of(side)
    small = round(SMALLER * crop)
    model = network(trial.arm, settings, data, seed)
    views = TrainingViews(model, crop, small if arm.small else crop, back=arm.back)

    def next_size(epoch: int, _: float) -> None:
        if arm.alternates:
            views.side = crop if epoch % 2 else small

    recipe = TrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer="adamw",
        learning_rate=settings.learning_rate,
        warmup_fraction=0.1,
        augmentation=settings.augmentation(trial.data),
    )
    log = train(views, data.train.images, data.train.labels, recipe, seed=seed, on_epoch=next_size)

    def score(view: View) -> float:
        if log.diverged:
            return float("nan")
        return accuracy(view, data.test.images, data.test.labels, log.normalization)

    centre = score(View(model, crop))
    yield trial.record("accuracy", centre)
    if arm.pooling == "plain":
        return
    sizes = {round(part * side): score(View(model, side=round(part * side))) for part in TEST_SIZES}
    for size, value in sizes.items():
        yield trial.record("accuracy_at_size", value, unit=f"size-{size}", x=float(size))
    yield trial.record("any_size_accuracy", float(np.mean(list(sizes.values()))))
    if trial.arm == "spp-multi-size":
        yield trial.record("accuracy", sizes[side], arm="full-image")
        yield trial.record("accuracy", centre, arm="centre-crop")


# --- detection ----------------------------------------------------------------------------------------------------


def boxed(name: str, settings: SppSettings, context: Context) -> ObjectDetection:
    """Load a data set with boxes and as many of its images as the settings ask for; once per process."""

    def load() -> ObjectDetection:
        data: ObjectDetection = context.load(name)
        return data.subset(settings.detector_train, settings.detector_test)

    return context.remember((name, settings.detector_train, settings.detector_test), load)


def _proposals(name: str, settings: SppSettings, context: Context) -> tuple[Proposals, Proposals]:
    data, detector = boxed(name, settings, context), settings.detector(0)
    return context.remember(
        (name, "proposals", detector.proposals, len(data.train), len(data.test)),
        lambda: (propose_all(data.train, detector, silent), propose_all(data.test, detector, silent)),
    )


def _detection(trial: Trial, seed: int, settings: SppSettings, context: Context) -> Iterator[Record]:
    data, recipe = boxed(trial.data, settings, context), settings.detector(seed)
    learned, tested = _proposals(trial.data, settings, context)
    convolutions = convolutions_of(recipe)
    objects = data.train.objects
    train_convolutions(convolutions, data.train, objects, learned, recipe, progress=silent)
    arms: dict[str, WindowFeatures] = {
        "spp-net": shared_map(convolutions, recipe),
        "r-cnn": CroppedWindows(convolutions, recipe.levels, recipe.side),
    }
    for arm, features in arms.items():
        fitted = fit_head(features, data.train, objects, learned, len(data.classes), recipe, progress=silent)
        detector = Detector(features, data.classes, fitted.head, fitted.regression)
        found = [_found(detector, data.test, index, boxes) for index, boxes in enumerate(tested)]
        first = seed == settings.first_seed
        yield from _scores(trial, arm, _ranked(found, data), data, curves=first)
        if arm == "spp-net" and first and trial.data in SHOWN:
            yield from _kept_boxes(trial, found, data)
    for label, name in enumerate(data.classes):
        own = [each.of(label).boxes for each in data.test.objects]
        yield trial.record("proposal_recall", recall(tested, own), arm="spp-net", unit=name)


def _found(detector: Detector, split: DetectionSplit, index: int, boxes: np.ndarray) -> Detections:
    return detector.detect(split.image(index), boxes, score=0.02, most=200)


def _ranked(found: Sequence[Detections], data: ObjectDetection) -> list[Ranked]:
    ranked = []
    for label in range(len(data.classes)):
        own = [each.of(label) for each in data.test.objects]
        hard = [each.difficult for each in own]
        ranked.append(rank([each.of(label) for each in found], [each.boxes for each in own], difficult=hard))
    return ranked


def _scores(
    trial: Trial, arm: str, ranked: Sequence[Ranked], data: ObjectDetection, *, curves: bool
) -> Iterator[Record]:
    for name, share in zip(data.test.names, image_shares(ranked), strict=True):
        yield trial.record("map", float(share), arm=arm, unit=name)
    yield trial.record("map_11_points", mean_average_precision(ranked, "11-point"), arm=arm)
    for name, each in zip(data.classes, ranked, strict=True):
        yield trial.record("average_precision", each.average_precision(), arm=arm, unit=name)
        if not curves or not len(each.hits):
            continue
        reached, precision = each.curve()
        for row in np.unique(np.linspace(0, len(reached) - 1, 60).astype(int)):
            yield trial.record("precision", float(precision[row]), arm=arm, unit=f"{name} {row}", x=float(reached[row]))


def _kept_boxes(trial: Trial, found: Sequence[Detections], data: ObjectDetection, images: int = 2) -> Iterator[Record]:
    """Keep the surest boxes of the first test images, for the picture: corners and score a record each."""
    for index, each in enumerate(found[:images]):
        sure = np.flatnonzero(each.scores >= 0.5)
        for row in sure:
            unit = f"{data.test.names[index]} {data.classes[each.labels[row]]} {row}"
            for corner, value in zip(("x1", "y1", "x2", "y2"), each.boxes[row], strict=True):
                yield trial.record(f"box_{corner}", float(value), arm="spp-net", unit=unit)


# --- speed --------------------------------------------------------------------------------------------------------


def _speed(trial: Trial, seed: int, settings: SppSettings, context: Context) -> Iterator[Record]:
    prepared = _race(trial.data, seed, settings, context)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        prepared.run_shared()  # the first pass sets up kernels for its shapes
        passes = [(prepared.run_shared(), prepared.run_cropped()) for _ in range(settings.race_repeats)]
    finally:
        torch.set_num_threads(before)
    for arm, runs in zip(("spp-net", "r-cnn"), zip(*passes, strict=True), strict=True):
        fastest = min(runs, key=total)
        yield trial.record("latency", 1e3 * total(fastest), arm=arm)
        for part, seconds in fastest.items():
            yield trial.record(f"{part}_latency", 1e3 * seconds, arm=arm)
    yield trial.record("pixel_bound", prepared.pixel_bound(), arm="spp-net")


def _race(name: str, seed: int, settings: SppSettings, context: Context) -> Race:
    data = boxed(name, settings, context)
    image = data.test.image(seed % len(data.test))
    boxes = random_boxes(settings.race_boxes, image.shape[0], image.shape[1], seed)
    return race(image, boxes, scales=(settings.race_scale,), side=settings.race_side, seed=seed)


# --- data and pictures --------------------------------------------------------------------------------------------


def sources(settings: SppSettings, context: Context) -> Iterator[DataSource]:
    """Describe the images the run reads."""
    for name in settings.data:
        data = boxed(name, settings, context) if name in WITH_BOXES else subset(name, settings, context)
        yield DataSource(
            name=name,
            checksum=data.checksum(),
            size=f"{len(data.train):,} training and {len(data.test):,} test images",
            note=data.note,
        )


def figures(settings: SppSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw accuracy and sizes per labelled data set; precision, time and boxes per data set with boxes."""
    from cenote.pooling.spp_net import pictures

    for name in settings.data:
        if name not in WITH_BOXES:
            yield from pictures.draw_accuracy(name, records, folder, order=tuple(ARMS), controls=CONTROLS)
            yield from pictures.draw_sizes(name, records, folder)
            continue
        data = boxed(name, settings, context)
        yield from pictures.draw_precision(name, data.classes, records, folder)
        yield from pictures.draw_times(name, records, folder)
        if name in SHOWN:
            yield from pictures.draw_boxes(name, data, records, folder)
            yield from pictures.draw_pyramid(name, data.test.image(0), settings.detector(0), folder)


def differs(settings: SppSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    labelled = [name for name in settings.data if name not in WITH_BOXES]
    return (
        "The paper trains on ImageNet 2012 at 224 and 180 pixels; this is "
        f"{counted(len(settings.widths), 'convolution')} on at most {settings.train_images:,} images of "
        f"{', '.join(labelled) or 'no labelled set'} for "
        f"{counted(settings.epochs, 'epoch')}, crops of 7/8 of the image and 6/7 of that, "
        f"with {counted(settings.seeds, 'seed')}.",
        "The networks have neither local response normalisation nor dropout, and learn by AdamW along one cosine "
        "instead of three steps.",
        "The classifiers are tested by one view, the centre crop, not by ten.",
        "The convolutions of the detectors learn from crops of the training images at two sizes, not from ImageNet; "
        "shared map and crops use the same weights, and each has its own head and box regression.",
        f"The {settings.detector_proposals:,} windows of an image come from Felzenszwalb's segments and grids, not "
        "from Selective Search; both detectors look at the same ones.",
        "Heads are softmax with a hidden layer, fine-tuned as the paper's fc layers; the SVMs that follow in the "
        "paper are here, but not in this comparison.",
        "The unit of the detection claim is the image: its share of the mean average precision over the whole curve, "
        "by the jackknife. The paper's 11-point average is recorded beside it.",
        "What is timed has random weights and random windows, which do not change the time; both sides run on one "
        "thread of a CPU, crops in batches of 32.",
    )


TINY = SppSettings(
    data=("digits", "blots"), seeds=1, train_images=40, test_images=20, epochs=2, widths=(4, 8), strides=(1, 2),
    hidden=8, batch_size=20, shift=0, detector_train=6, detector_test=4, detector_scale=96, detector_side=32,
    detector_levels=(3, 2, 1), detector_widths=(8, 8, 8, 8), detector_proposals=40, detector_crops=6,
    detector_epochs=1, detector_windows=12, detector_steps=5, race_boxes=20, race_scale=96, race_side=32,
    race_repeats=1,
)  # fmt: skip

experiment = Experiment(
    settings=SppSettings,
    presets={
        "tiny": TINY,
        "smoke": SppSettings(
            data=("digits", "blots"),
            seeds=8,
            train_images=400,
            test_images=300,
            epochs=6,
            widths=(8, 16),
            strides=(1, 2),
            hidden=32,
            batch_size=20,
            shift=0,
            detector_train=24,
            detector_test=72,
            detector_scale=96,
            detector_side=32,
            detector_levels=(3, 2, 1),
            detector_widths=(8, 16, 16, 16),
            detector_proposals=40,
            detector_crops=12,
            detector_epochs=3,
            detector_rate=3e-3,
            detector_windows=16,
            detector_steps=100,
            race_boxes=200,
            race_scale=138,
            race_side=45,
        ),
        "laptop": SppSettings(
            data=("cifar10", "bccd"),
            seeds=8,
            train_images=10_000,
            test_images=3_000,
            epochs=6,
            shift=0,
        ),
        "paper": SppSettings(
            data=("imagefolder", "voc"),
            seeds=8,
            train_images=1_281_167,
            test_images=50_000,
            epochs=90,
            batch_size=128,
            levels=(6, 3, 2, 1),
            widths=(96, 256, 384, 384, 256),
            strides=(2, 2, 1, 1, 1),
            hidden=4096,
            detector_scale=688,
            detector_side=224,
            detector_proposals=2000,
            detector_widths=(96, 256, 384, 256),
            detector_windows=128,
            detector_steps=300_000,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
    designed=frozenset({"blots"}),
)
