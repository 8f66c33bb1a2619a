"""Evaluate on people a model has not learned from: each left out in turn, a new model for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError
from cenote.pooling.l_sfan.leaks import Fold, Isolation, check_copies, check_raw, check_subjects
from cenote.pooling.l_sfan.standardization import Standardization


class Classifier(Protocol):
    """What is evaluated: scikit-learn's two calls, on windows (N, T, S)."""

    def fit(self, windows: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], /) -> Any:
        """Learn from windows with labels (N,)."""

    def predict_proba(self, windows: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (N, K)."""


Normalize = Callable[[npt.NDArray[np.float32]], Standardization]
"""Measures the windows a fold learns from."""

OnFold = Callable[[Fold, Any, npt.NDArray[np.float32]], None]
"""Is told each fold, its trained model and its normalised test windows."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What was predicted for each window by a model that had not learned from its subject.

    Attributes:
        probabilities: (N, K); NaN where a training diverged.
        labels: What is right, (N,).
        groups: The subject of each window, (N,).
        folds: The splits.
    """

    probabilities: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[Any]
    folds: tuple[Fold, ...]

    @property
    def diverged(self) -> bool:
        """Whether some training did not end in numbers."""
        return not np.isfinite(self.probabilities).all()

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """The likeliest class of each window, (N,)."""
        likeliest: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return likeliest

    def by_subject(self) -> dict[Any, npt.NDArray[np.float64]]:
        """Return the mean probability of each class for each subject: what a person as a whole looks like."""
        return {
            group: self.probabilities[self.groups == group].mean(axis=0)
            for group in dict.fromkeys(self.groups.tolist())
        }


def subject_folds(groups: npt.ArrayLike, count: int | None = None) -> tuple[Fold, ...]:
    """Return folds that each leave subjects out: one of them, or with ``count`` folds every count-th.

    Args:
        groups: The subject of each window, (N,).
        count: Number of folds, from 2 to the number of subjects, which is taken if None.

    Raises:
        ArgumentError: If there are fewer than two subjects, or the count does not fit them.

    Example:
        >>> print(*(fold.name for fold in subject_folds(["a", "a", "b", "c", "c"])))
        a b c
        >>> for fold in subject_folds(["a", "a", "b", "c", "c"], count=2):
        ...     print(f"{fold.name}: {len(fold.test)} windows")
        a, c: 4 windows
        b: 1 windows
    """
    each = np.asarray(groups)
    subjects = list(dict.fromkeys(each.tolist()))
    if len(subjects) < 2:
        raise ArgumentError(f"groups: got {len(subjects)} subjects, needs at least two: one is left out")
    if count is not None and not 2 <= count <= len(subjects):
        raise ArgumentError(f"count: got {count}, allowed is 2 to the number of subjects, {len(subjects)}")
    number = count or len(subjects)
    folds = []
    for start in range(number):
        names = subjects[start::number]
        out = np.isin(each, names)
        folds.append(Fold(", ".join(map(str, names)), np.flatnonzero(~out), np.flatnonzero(out)))
    return tuple(folds)


def leave_one_subject_out(
    model_fn: Callable[[], Classifier],
    X: npt.ArrayLike,  # noqa: N803  # as scikit-learn names it
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    folds: Sequence[Fold] | None = None,
    origins: npt.ArrayLike | None = None,
    normalize: Normalize = Standardization.of,
    on_fold: OnFold | None = None,
) -> LeftOut:
    """Predict each subject's windows by a new model that has learned from the others alone.

    What the released code of arXiv 2406.16913 lets through is refused: a fold whose model shares storage with another
    fold's, whose normalisation is another's, that is tested on augmented copies, or that has seen its subjects.

    Args:
        model_fn: Builds an untrained classifier with ``fit`` and ``predict_proba``, such as ``WindowClassifier``;
            called once a fold.
        X: Windows as they were recorded, (N, T, S).
        y: Labels from 0 to K - 1, (N,).
        groups: The subject of each window, (N,).
        folds: Splits to use instead of leaving out one subject each, such as ``subject_folds(groups, 5)``.
        origins: For windows with augmented copies, which window each was made from, (N,).
        normalize: Measures a fold's training windows.
        on_fold: Is told each fold with its trained model and its normalised test windows.

    Raises:
        LeakError: If a fold would see what it is tested on; says how.
        ArgumentError: If shapes do not fit, a sensor has values that are not finite, or a fold learns from no window of
            some class.

    Example:
        >>> from cenote.pooling.l_sfan.baselines import SummaryLogistic
        >>> draws = np.random.default_rng(0)
        >>> y = np.arange(60) % 2
        >>> X = draws.normal(size=(60, 20, 3)) + y[:, None, None]
        >>> left_out = leave_one_subject_out(SummaryLogistic, X, y, groups=np.arange(60) // 20)
        >>> float((left_out.predictions == y).mean()) > 0.9
        True
    """
    windows, labels, subjects = _checked(X, y, groups)
    splits = subject_folds(subjects) if folds is None else tuple(folds)
    _check_folds(splits, len(labels))
    copies = None if origins is None else np.asarray(origins)
    if copies is not None and copies.shape != labels.shape:
        raise ArgumentError(f"origins: got shape {copies.shape}, allowed is {labels.shape}: one for each window")
    check_subjects(splits, subjects)
    check_copies(windows, subjects, splits, copies)
    check_raw(windows, subjects)
    isolation = Isolation()
    probabilities = np.full((len(labels), int(labels.max()) + 1), np.nan)
    for fold in splits:
        check_classes(fold, labels)
        model = model_fn()
        isolation.model(fold.name, model)
        normalization = normalize(windows[fold.train])
        isolation.normalization(fold.name, normalization, windows[fold.train])
        predicted = run_fold(model, windows, labels, fold, normalization, on_fold)
        if np.shape(predicted) != (len(fold.test), probabilities.shape[1]):
            raise ArgumentError(
                f"model_fn: its model predicts {np.shape(predicted)} for {len(fold.test)} windows, needed are "
                f"{(len(fold.test), probabilities.shape[1])}: a probability for each class of y"
            )
        probabilities[fold.test] = predicted
        isolation.model(fold.name, model, fitted=True)
    tested = np.sort(np.concatenate([fold.test for fold in splits]))
    return LeftOut(probabilities[tested], labels[tested], subjects[tested], splits)


def run_fold(
    model: Classifier,
    windows: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    fold: Fold,
    normalization: Standardization,
    on_fold: OnFold | None = None,
) -> npt.NDArray[np.float64]:
    """Train on one side of a fold and return the probabilities (N, K) of the other, without any check."""
    model.fit(normalization.apply(windows[fold.train]), labels[fold.train])
    tested = normalization.apply(windows[fold.test])
    if on_fold is not None:
        on_fold(fold, model, tested)
    return model.predict_proba(tested)


def check_classes(fold: Fold, labels: npt.NDArray[np.int64]) -> None:
    """Check that a fold learns from windows of every class.

    Raises:
        ArgumentError: If a class is missing.
    """
    missing = sorted(set(labels.tolist()) - set(labels[fold.train].tolist()))
    if missing:
        raise ArgumentError(
            f"y: fold {fold.name} learns from no window of class {', '.join(map(str, missing))}; every class needs two "
            "subjects in different folds"
        )


def _check_folds(folds: tuple[Fold, ...], count: int) -> None:
    if not folds:
        raise ArgumentError("folds: got none, needs at least one")
    for fold in folds:
        for side in (fold.train, fold.test):
            if not len(side) or side.min() < 0 or side.max() >= count:
                got = f"{side.min()} to {side.max()}" if len(side) else "none"
                raise ArgumentError(f"folds: fold {fold.name} has windows {got}, allowed is 0 to {count - 1}")


def _checked(
    windows: npt.ArrayLike, labels: npt.ArrayLike, groups: npt.ArrayLike
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[Any]]:
    x, y, subjects = np.asarray(windows, np.float32), np.asarray(labels), np.asarray(groups)
    if x.ndim != 3 or x.size == 0:
        raise ArgumentError(f"X: got shape {x.shape}, allowed is a non-empty (N, T, S)")
    for name, each in (("y", y), ("groups", subjects)):
        if each.shape != x.shape[:1]:
            raise ArgumentError(f"{name}: got shape {each.shape}, allowed is {x.shape[:1]}: one for each window")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise ArgumentError(f"y: got {y.dtype} from {y.min()}, allowed are integers from 0")
    classes = np.unique(y).tolist()
    if classes != list(range(max(2, len(classes)))):
        raise ArgumentError(f"y: got classes {', '.join(map(str, classes))}, allowed are 0 to K - 1 for K from 2")
    if any(subject != subject for subject in subjects.tolist()):
        raise ArgumentError("groups: got NaN, allowed is the name or number of a subject")
    broken = np.flatnonzero(~np.isfinite(x).all(axis=(0, 1))).tolist()
    if broken:
        raise ArgumentError(
            f"X: sensors {', '.join(map(str, broken))} have values that are not finite; leave out these sensors or "
            "windows"
        )
    return x, y.astype(np.int64), subjects
