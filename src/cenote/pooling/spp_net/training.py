"""Fit a detector to images with boxes: convolutions on crops, then head and regression on windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.spp_net.convolutions import ConvStack
from cenote.pooling.spp_net.detector import SPPDetector
from cenote.pooling.spp_net.extraction import MEAN, STD, SharedMap, WindowFeatures, as_input, warp
from cenote.pooling.spp_net.heads import BoxRegression, LinearSVMHead, SoftmaxHead, WindowHead
from cenote.pooling.spp_net.pretraining import Pretraining, State, pretrain
from cenote.pooling.spp_net.proposals import propose
from cenote.pooling.spp_net.sampling import Windows, around_objects, label_windows, sample_windows


class AnnotatedImages(Protocol):
    """Images with boxes, such as a split of ``cenote.lab.data.ObjectDetection``."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image (H, W, 3)."""
        ...


class Boxed(Protocol):
    """The objects of one image: boxes (N, 4), their classes (N,), and which are difficult (N,)."""

    @property
    def boxes(self) -> npt.NDArray[np.float64]: ...  # noqa: D102
    @property
    def labels(self) -> npt.NDArray[np.int64]: ...  # noqa: D102
    @property
    def difficult(self) -> npt.NDArray[np.bool_]: ...  # noqa: D102


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector is built and trained; ArgumentError if a value is out of range.

    The defaults are the paper's geometry at half its pixels and half its stride, so that a window has as many cells.
    """

    levels: tuple[int, ...] = (6, 3, 2, 1)
    """Bins along a side of each grid."""
    scales: tuple[int, ...] = (480,)
    """Shorter sides to which an image is resized."""
    widths: tuple[int, ...] = (32, 64, 96, 64)
    """Channels of the convolutions."""
    strides: tuple[int, ...] = (2, 2, 2, 1)
    """Strides of the convolutions."""
    side: int = 112
    """Side of a crop, and of a window at its scale."""
    small_side: int = 88
    """Side of a crop in every other epoch."""
    hidden: int = 256
    """Width of the head's hidden layer."""
    proposals: int = 500
    """Proposed windows of an image."""
    crops: int = 24
    """Windows of an image that the convolutions learn from, a third of them background."""
    epochs: int = 6
    """Passes over these crops."""
    batch: int = 32
    """Crops of a step."""
    learning_rate: float = 1e-3
    """Of convolutions and head, at the start of a cosine."""
    windows: int = 64
    """Windows of an image that the head learns from."""
    steps: int = 1500
    """Batches of 128 windows for the head."""
    head: Literal["softmax", "svm"] = "softmax"
    """The head: softmax as it was fine-tuned, or SVMs on its hidden layer as in the paper."""
    regression: bool = True
    """Whether boxes are moved by regression."""
    seed: int = 0
    """Of weights, windows and batches."""

    def __post_init__(self) -> None:
        for name in ("side", "small_side", "hidden", "proposals", "crops", "epochs", "batch", "windows", "steps"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.head not in ("softmax", "svm"):
            raise ArgumentError(f"head must be 'softmax' or 'svm', got {self.head!r}")
        if not self.learning_rate > 0:
            raise ArgumentError(f"learning_rate must be positive, got {self.learning_rate}")


Proposals = Sequence[npt.NDArray[np.float64]]
"""The proposed windows of each image."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


def convolutions_of(settings: DetectorSettings) -> ConvStack:
    """Return untrained convolutions; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return ConvStack(settings.widths, settings.strides)


def propose_all(images: AnnotatedImages, settings: DetectorSettings, progress: Progress) -> Proposals:
    """Propose windows of every image; they depend on no seed."""
    found = []
    for index in range(len(images)):
        found.append(propose(images.image(index), settings.proposals))
        progress("proposals", index + 1, len(images))
    return found


def train_convolutions(
    convolutions: nn.Module,
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: Proposals,
    settings: DetectorSettings,
    *,
    progress: Progress,
    resume: State | None = None,
    on_epoch: Callable[[int, float, State], None] | None = None,
) -> None:
    """Train convolutions in place to tell crops of objects and of the background apart, at two sizes in turn.

    Args:
        convolutions: Map images (B, 3, H, W) to maps.
        images: The training images.
        objects: Their objects.
        proposals: Their proposed windows.
        settings: How to train.
        progress: Called as images are cropped and epochs end.
        resume: State of the last whole epoch.
        on_epoch: Called with the state after each epoch.
    """
    crops, labels = _crops(images, objects, proposals, settings, progress)
    recipe = Pretraining(settings.epochs, settings.batch, settings.learning_rate, (settings.side, settings.small_side))

    def report(epoch: int, loss: float, state: State) -> None:
        progress(f"convolutions, loss {loss:.3f}", epoch + 1, settings.epochs)
        if on_epoch is not None:
            on_epoch(epoch, loss, state)

    pretrain(
        convolutions, crops, labels, recipe, levels=settings.levels, seed=settings.seed, resume=resume, on_epoch=report
    )
    for parameter in convolutions.parameters():  # they rest from here on
        parameter.requires_grad_(False)


def _crops(
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: Proposals,
    settings: DetectorSettings,
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Windows of all images as uint8 (N, 3, side, side), with their labels (N,)."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    crops, labels = [], []
    for index, (own, proposed) in enumerate(zip(objects, proposals, strict=True)):
        image = images.image(index)
        rng = np.random.default_rng([settings.seed, index, settings.crops])
        drawn = _drawn_windows(image, own, proposed, settings.crops, rng)
        pixels = warp(as_input(image, nn.Identity()), drawn.tensor, settings.side)
        crops.append(((pixels * std + mean) * 255).round().clamp(0, 255).to(torch.uint8))
        labels.append(torch.from_numpy(drawn.labels))
        progress("crops", index + 1, len(objects))
    return torch.cat(crops), torch.cat(labels)


def _drawn_windows(
    image: npt.NDArray[np.uint8], own: Boxed, proposed: npt.NDArray[np.float64], count: int, rng: np.random.Generator
) -> Windows:
    """Windows of an image to learn from: two thirds around objects, the others of the background."""
    easy = ~own.difficult
    boxes = around_objects(own.boxes[easy], 3, image.shape[0], image.shape[1], rng)
    every = np.concatenate([boxes, proposed])
    labelled = label_windows(every, own.boxes[easy], own.labels[easy], 1 + int(own.labels.max(initial=0)))
    return sample_windows(labelled, 2 * count // 3, count - 2 * count // 3, rng)


class Fitted(NamedTuple):
    """What was fitted to the windows of images."""

    head: WindowHead
    softmax: SoftmaxHead
    regression: BoxRegression | None


def fit_head(
    features: WindowFeatures,
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    proposals: Proposals,
    classes: int,
    settings: DetectorSettings,
    *,
    progress: Progress,
) -> Fitted:
    """Fit a head, and the regression of boxes, to the features of windows.

    Args:
        features: Computes the features, with convolutions that are trained.
        images: The training images.
        objects: Their objects.
        proposals: Their proposed windows.
        classes: Number of classes.
        settings: How to train.
        progress: Called as images are done.
    """
    parts, windows = [], []
    for index, (own, proposed) in enumerate(zip(objects, proposals, strict=True)):
        rng = np.random.default_rng([settings.seed, index])
        easy = ~own.difficult
        every = np.concatenate([own.boxes[easy], proposed])
        labelled = label_windows(every, own.boxes[easy], own.labels[easy], classes)
        third = settings.windows // 3
        drawn = sample_windows(labelled, third, settings.windows - third, rng)
        windows.append(drawn)
        parts.append(features(images.image(index), drawn.tensor))
        progress("windows", index + 1, len(objects))
    together, labels = torch.cat(parts), torch.from_numpy(np.concatenate([each.labels for each in windows]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        softmax = SoftmaxHead(together.shape[1], classes, settings.hidden)
    softmax.fit(together, labels, seed=settings.seed, steps=settings.steps, learning_rate=settings.learning_rate)
    softmax.eval().requires_grad_(False)
    regression = _regression(together, windows, labels, classes) if settings.regression else None
    head: WindowHead = softmax
    if settings.head == "svm":
        head = _svm(softmax, parts, windows, classes, settings.seed)
    return Fitted(head, softmax, regression)


def _regression(features: Tensor, windows: Sequence[Windows], labels: Tensor, classes: int) -> BoxRegression:
    shows = labels > 0
    boxes, objects = (
        torch.from_numpy(np.concatenate([getattr(each, name) for each in windows])).float()[shows]
        for name in ("boxes", "objects")
    )
    return BoxRegression.fit(features[shows], boxes, objects, labels[shows] - 1, classes)


def _svm(
    softmax: SoftmaxHead, parts: Sequence[Tensor], windows: Sequence[Windows], classes: int, seed: int
) -> StackedSVM:
    """SVMs on the hidden layer; the objects themselves are the positives."""
    hidden = [softmax.hidden(each) for each in parts]
    overlaps = [torch.from_numpy(each.overlaps) for each in windows]
    exact = [each.max(dim=1).values > 1 - 1e-9 for each in overlaps]
    positives = torch.cat([each[rows] for each, rows in zip(hidden, exact, strict=True)])
    labels = torch.cat([torch.from_numpy(each.labels)[rows] - 1 for each, rows in zip(windows, exact, strict=True)])
    svm = LinearSVMHead.fit(zip(hidden, overlaps, strict=True), (positives, labels), classes, seed=seed)
    return StackedSVM(softmax, svm)


class StackedSVM:
    """SVMs that read the hidden layer of a softmax head, as the paper's read fc7.

    Args:
        softmax: Whose hidden layer is read.
        svm: Scores it.
    """

    def __init__(self, softmax: SoftmaxHead, svm: LinearSVMHead) -> None:
        self.softmax = softmax
        self.svm = svm

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return the distance to each class's plane, (N, K)."""
        return self.svm.scores(self.softmax.hidden(features))


def shared_map(convolutions: nn.Module, settings: DetectorSettings) -> SharedMap:
    """Return the windows' features from one shared map at these settings."""
    return SharedMap(convolutions, settings.levels, settings.scales, expected_side=settings.side)


def train_detector(
    images: AnnotatedImages,
    objects: Sequence[Boxed],
    classes: Sequence[str],
    settings: DetectorSettings | None = None,
    *,
    progress: Progress | None = None,
) -> SPPDetector:
    """Train an ``SPPDetector`` from scratch: convolutions on crops, then the head and the regression on windows.

    SVMs (``head="svm"``) learn from the same sample of windows as the softmax head whose hidden layer they read; the
    paper's see all proposals, which ``fit_svm_head`` gives them.

    Args:
        images: The training images, such as the ``train`` split of a data set with boxes.
        objects: Their objects, in the same order.
        classes: Names of the classes.
        settings: How to train; the defaults if left out.
        progress: Called with what is done, how much of it, and of how much.

    Raises:
        ArgumentError: If there is no image, no object or no class.
    """
    settings, progress = settings or DetectorSettings(), progress or silent
    if not len(images) or len(images) != len(objects) or not sum(len(each.labels) for each in objects):
        raise ArgumentError(f"images and objects must be as many, at least one, got {len(images)} and {len(objects)}")
    proposals = propose_all(images, settings, progress)
    convolutions = convolutions_of(settings)
    train_convolutions(convolutions, images, objects, proposals, settings, progress=progress)
    detector = empty_detector(convolutions, classes, settings)
    fitted = fit_head(detector.features, images, objects, proposals, len(classes), settings, progress=progress)
    detector.head, detector.regression = fitted.head, fitted.regression
    return detector


def silent(*_: object) -> None:
    """Report nothing."""


def empty_detector(convolutions: nn.Module, classes: Sequence[str], settings: DetectorSettings) -> SPPDetector:
    """Return a detector without a head."""
    return SPPDetector(convolutions, settings.levels, classes, settings.scales, expected_side=settings.side)
