"""What the code released with arXiv 2406.16913 does instead, and other leaks, kept to measure what they add.

None of this is for use: ``leave_one_subject_out`` refuses the first two protocols, and the third has no subjects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn import functional as F

from cenote.pooling.l_sfan.leaks import Fold
from cenote.pooling.l_sfan.leaving_out import LeftOut, check_classes, run_fold, subject_folds
from cenote.pooling.l_sfan.network import LSFAN
from cenote.pooling.l_sfan.standardization import Standardization
from cenote.pooling.l_sfan.training import WindowClassifier

Evaluate = Callable[
    [Callable[[], WindowClassifier], npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[Any], int | None],
    LeftOut,
]
"""Evaluates what the first argument builds on windows with labels and subjects, in that many folds."""


class ReleasedSpatialPool(LSFAN):
    """The network without attention whose "spatial" pooling averages over time.

    The released code asks for an adaptive pooling to one row and as many columns as there are frames. That averages
    over the rows, which are time, and stretches the sensors to the number of frames.
    """

    def classify(self, maps: Tensor) -> Tensor:
        """Return the logits (B, K) of feature maps (B, C, T, S)."""
        logits: Tensor = self.head(released_spatial_pool(maps).flatten(1))
        return logits


def released_spatial_pool(maps: Tensor) -> Tensor:
    """Average maps (B, C, T, S) over time and stretch the sensors to T columns, (B, C, T)."""
    return F.adaptive_avg_pool2d(maps, (1, maps.shape[2])).squeeze(2)


def released_macro_f1(confusion: npt.NDArray[np.float64]) -> float:
    """Return what the released code calls macro-F1 of two classes.

    It takes the precision of class 1 for its recall, so that the F1 of class 1 is its precision.
    """
    (kept, false), (missed, hits) = confusion
    first = 2 * kept / max(2 * kept + false + missed, 1)
    return float((first + hits / max(hits + false, 1)) / 2)


def shared_extractor(
    model_fn: Callable[[], WindowClassifier],
    windows: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[Any],
    count: int | None = None,
) -> LeftOut:
    """Leave out one subject after the other with one set of convolutions for all, as the released code does.

    Those of a fold go on from where the fold before left them, which has learned from the subject now left out.
    """
    folds = subject_folds(groups, count)
    shared: nn.Sequential | None = None
    probabilities = []
    for fold in folds:
        check_classes(fold, labels)
        model = model_fn()
        assert isinstance(model.module, LSFAN)
        shared = shared or model.module.cnn
        model.module.cnn = shared
        normalization = Standardization.of(windows[fold.train])
        probabilities.append(run_fold(model, windows, labels, fold, normalization))
    return _joined(folds, probabilities, labels, groups)


def normalised_over_all(
    model_fn: Callable[[], WindowClassifier],
    windows: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[Any],
    count: int | None = None,
) -> LeftOut:
    """Leave out one subject after the other, after the windows of all were normalised together."""
    folds = subject_folds(groups, count)
    normalization = Standardization.of(windows)
    for fold in folds:
        check_classes(fold, labels)
    probabilities = [run_fold(model_fn(), windows, labels, fold, normalization) for fold in folds]
    return _joined(folds, probabilities, labels, groups)


def split_at_random(
    model_fn: Callable[[], WindowClassifier],
    windows: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[Any],
    count: int | None = None,
) -> LeftOut:
    """Leave out one part of the windows after the other, whoever they are from: overlapping ones are on both sides.

    There are as many parts as subjects, so that as much is learned from as when a subject is left out; which window is
    in which part does not depend on the seed.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(len(labels)), kind="stable")
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels)) % (count or len(np.unique(groups)))
    folds = subject_folds(place)
    probabilities = [
        run_fold(model_fn(), windows, labels, fold, Standardization.of(windows[fold.train])) for fold in folds
    ]
    return _joined(folds, probabilities, labels, groups)


def _joined(
    folds: tuple[Fold, ...],
    probabilities: list[npt.NDArray[np.float64]],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[Any],
) -> LeftOut:
    together = np.empty((len(labels), probabilities[0].shape[1]))
    for fold, each in zip(folds, probabilities, strict=True):
        together[fold.test] = each
    return LeftOut(together, labels, groups, folds)
