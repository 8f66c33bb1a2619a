"""The detection pipeline: proposals, features of windows, a head, suppression of doubles, moved boxes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.spp_net.convolutions import ConvStack  # noqa: F401  # the example of SPPDetector
from cenote.pooling.spp_net.extraction import SharedMap, WindowFeatures
from cenote.pooling.spp_net.heads import BoxRegression, WindowHead
from cenote.pooling.spp_net.projection import WindowProjection
from cenote.pooling.spp_net.proposals import check_image, propose
from cenote.pooling.spp_net.pyramid import LEVELS
from cenote.pooling.spp_net.windows import EXPECTED_SIDE, check_boxes


class ClippedBoxesWarning(UserWarning):
    """Some boxes reached beyond the image and were cut at its border."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in an image, surest first.

    Attributes:
        boxes: x1, y1, x2, y2 between pixel edges counted from 0, (N, 4).
        scores: (N,).
        labels: Positions in the detector's classes, (N,).
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, label: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the boxes and scores of one class."""
        mine = self.labels == label
        return self.boxes[mine], self.scores[mine]


class Detector:
    """Scores windows of an image and keeps the best of each class; how their features come about is left open.

    Args:
        features: Computes the features of windows.
        classes: Names of the classes.
        head: Scores the features; without one only features can be computed.
        regression: Moves boxes before doubles are suppressed; none if left out.

    Raises:
        ArgumentError: If there is no class.
    """

    def __init__(
        self,
        features: WindowFeatures,
        classes: Sequence[str],
        head: WindowHead | None = None,
        regression: BoxRegression | None = None,
    ) -> None:
        if not classes or isinstance(classes, str):
            raise ArgumentError(f"classes must be at least one name in a list, got {classes!r}")
        self.features = features
        self.classes = tuple(classes)
        self.head = head
        self.regression = regression

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        boxes: npt.ArrayLike | Tensor | None = None,
        *,
        score: float = 0.05,
        overlap: float = 0.3,
        most: int = 100,
    ) -> Detections:
        """Find objects in an image.

        Args:
            image: uint8 of shape (H, W, 3), of any size the convolutions take.
            boxes: Windows to look at, (N, 4); proposed if left out.
            score: Least score of what is returned.
            overlap: Of two boxes of a class that overlap by more, the less sure one is dropped.
            most: Largest number returned.

        Raises:
            ArgumentError: If the detector has no head, the image has another shape or is too small, or boxes are not
                (N, 4), finite and ordered.
            ArgumentTypeError: If the image is not uint8.

        Warns:
            ClippedBoxesWarning: If boxes reach beyond the image; they are cut at its border.
        """
        windows = self.windows(image, boxes)
        return self.choose(windows, self.features(image, windows), image, score=score, overlap=overlap, most=most)

    def windows(self, image: npt.NDArray[np.uint8], boxes: npt.ArrayLike | Tensor | None) -> Tensor:
        """Return the windows to look at, (N, 4) in float32 and within the image.

        Raises:
            ArgumentError: If boxes are not (N, 4), finite and ordered, or the image has another shape.
            ArgumentTypeError: If the image is not uint8.
        """
        check_image(image)
        if boxes is None:
            return torch.from_numpy(propose(image)).float()
        given = check_boxes(boxes if isinstance(boxes, Tensor) else _as_tensor(boxes)).float()
        height, width = image.shape[:2]
        clipped = torch.minimum(given.clamp(min=0), given.new_tensor([width, height, width, height]))
        if not torch.equal(clipped, given):
            outside = int((clipped != given).any(1).sum())
            text = f"{outside} of {len(given)} boxes reach beyond the image of {height} × {width} and are cut"
            warnings.warn(text, ClippedBoxesWarning, stacklevel=3)
        return clipped

    def choose(
        self,
        windows: Tensor,
        features: Tensor,
        image: npt.NDArray[np.uint8],
        *,
        score: float = 0.05,
        overlap: float = 0.3,
        most: int = 100,
    ) -> Detections:
        """Score windows (N, 4) by their features (N, D) and keep the best; see ``detect``.

        Raises:
            ArgumentError: If the detector has no head.
        """
        if self.head is None:
            raise ArgumentError("the detector has no head yet; fit one or load a trained detector")
        scores = self.head.scores(features).float()
        height, width = image.shape[:2]
        border = windows.new_tensor([width, height, width, height])
        found: list[tuple[Tensor, Tensor, int]] = []
        for label in range(len(self.classes)):
            likely = (scores[:, label] >= score).nonzero()[:, 0]
            boxes = windows[likely]
            if self.regression is not None:
                moved = self.regression.move(features[likely], boxes, label)
                boxes = torch.minimum(moved.clamp(min=0), border)
            kept = nms(boxes, scores[likely, label], overlap)
            found.append((boxes[kept], scores[likely, label][kept], label))
        return _surest(found, most)


class SPPDetector(Detector):
    """Detects objects with convolutions that run once over the image, whatever its size.

    Windows are pooled from the shared map over a spatial pyramid and read by a linear head (arXiv 1406.4729, Section
    4). ``train_detector`` fits convolutions and head; both can be given, too.

    Args:
        backbone: Convolutions, images (1, 3, H, W) to maps (1, C, h, w).
        levels: Bins along a side of each grid.
        classes: Names of the classes.
        scales: Shorter sides to which an image is resized; with several, each window is pooled where its area comes
            nearest to ``expected_side`` squared. The paper's are 688, or 480, 576, 688, 864, 1200.
        projection: Which cells a window has; needed where the backbone is not a ``ConvStack``.
        expected_side: Side a window should have at its scale, in pixels.
        head: Scores features; one is fitted by ``train_detector``.
        regression: Moves boxes.

    Raises:
        ArgumentError: If a number is out of range, there is no class, or the projection is left out and not known.
        ArgumentTypeError: If a level is not a whole number.

    Example:
        >>> image = np.zeros((120, 160, 3), np.uint8)
        >>> detector = SPPDetector(ConvStack(), levels=(3, 2, 1), classes=("cell",), scales=(240,))
        >>> windows = detector.windows(image, [[10, 10, 60, 60], [0, 0, 160, 120]])
        >>> tuple(detector.features(image, windows).shape)
        (2, 896)
    """

    def __init__(
        self,
        backbone: nn.Module,
        levels: Sequence[int] = LEVELS,
        classes: Sequence[str] = ("object",),
        scales: Sequence[int] = (688,),
        projection: WindowProjection | None = None,
        expected_side: float = EXPECTED_SIDE,
        head: WindowHead | None = None,
        regression: BoxRegression | None = None,
    ) -> None:
        super().__init__(SharedMap(backbone, levels, scales, projection, expected_side), classes, head, regression)
        self.backbone = backbone


def _as_tensor(boxes: npt.ArrayLike) -> Tensor:
    try:
        array = np.asarray(boxes, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"boxes must be numbers of shape (N, 4) ({error})") from error
    return torch.from_numpy(np.ascontiguousarray(array))


def _surest(found: Sequence[tuple[Tensor, Tensor, int]], most: int) -> Detections:
    boxes = torch.cat([each for each, _, _ in found]).double().numpy()
    scores = torch.cat([each for _, each, _ in found]).double().numpy()
    labels = np.concatenate([np.full(len(each), label, np.int64) for _, each, label in found])
    order = np.argsort(-scores, kind="stable")[:most]
    return Detections(boxes[order], scores[order], labels[order])
