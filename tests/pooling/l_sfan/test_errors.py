"""What is not allowed gets one sentence that names the argument, what came and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import (
    LSFAN,
    Standardization,
    WindowAugmentation,
    WindowClassifier,
    WindowStream,
    WindowTraining,
    leave_one_subject_out,
    oriented_avg_pool,
    sensor_importance,
    sliding_windows,
    subject_folds,
)
from cenote.pooling.l_sfan.baselines import StackedLSTM, SummaryLogistic
from cenote.pooling.l_sfan.leaks import Fold

X, Y, GROUPS = np.random.default_rng(0).normal(size=(8, 20, 3)), np.arange(8) % 2, np.arange(8) // 4


ALL = np.arange(8)


class Halves(SummaryLogistic):
    """A classifier with one class too many."""

    def predict_proba(self, windows: np.ndarray) -> np.ndarray:
        return np.full((len(windows), 3), 1 / 3)


def evaluate(x: Any = X, y: Any = Y, groups: Any = GROUPS, model_fn: Any = SummaryLogistic, **options: Any) -> object:
    return leave_one_subject_out(model_fn, x, y, groups, **options)


def fitted(windows: Any, labels: Any) -> object:
    return WindowClassifier(LSFAN(3, 20, nhead=1), WindowTraining(epochs=1)).fit(windows, labels)


CALLS: tuple[tuple[Callable[[], object], str], ...] = (
    (lambda: LSFAN(nhead=4), "nhead: got 4, which does not divide 30; choose from 1, 2, 3, 5, 6, 10, 15, 30"),
    (lambda: LSFAN(nhead=0), "nhead: got 0"),
    (lambda: LSFAN(n_frames=15), "n_frames: got 15, allowed is a whole number from 16"),
    (lambda: LSFAN(n_sensors=0), "n_sensors: got 0"),
    (lambda: LSFAN(num_classes=0), "num_classes: got 0"),
    (lambda: LSFAN(channels=(2, 4, 8)), r"channels: got \(2, 4, 8\), allowed is four whole numbers from 1"),  # type: ignore[arg-type]
    (lambda: LSFAN(pool="max"), "pool: got 'max', allowed is 'tap' or 'sap'"),  # type: ignore[arg-type]
    (lambda: LSFAN()(torch.zeros(2, 180, 29)), r"x: got shape \(2, 180, 29\), allowed is \(B, T, 30\)"),
    (lambda: LSFAN()(torch.zeros(2, 2, 180, 30)), r"x: got shape \(2, 2, 180, 30\)"),
    (lambda: LSFAN()(torch.zeros(2, 15, 30)), "x: got 15 frames, allowed is 16 or more"),
    (lambda: LSFAN(pool="sap", nhead=6)(torch.zeros(2, 179, 30)), "x: got 179 frames, allowed is 180"),
    (lambda: oriented_avg_pool(torch.zeros(2, 3), "space"), "axis: got 'space'"),  # type: ignore[arg-type]
    (lambda: oriented_avg_pool(torch.zeros(2, 3), 2), "axis: got 2 for 2 axes, allowed is -2 to 1"),
    (lambda: oriented_avg_pool(torch.zeros(3), "time"), "axis: got 'time' for 1 axes"),
    (lambda: oriented_avg_pool(torch.zeros(2, 0, 3)), r"x: got shape \(2, 0, 3\), needs at least one value"),
    (lambda: sliding_windows(np.zeros(5), 2, 1), r"x: got \(5,\), allowed is \(T, S\)"),
    (lambda: sliding_windows(np.zeros((5, 2)), 0, 1), "length: got 0"),
    (lambda: sliding_windows(np.zeros((5, 2)), 2, 0), "step: got 0"),
    (lambda: sliding_windows(np.zeros((5, 2)), 2, 1, vote=0), "vote: got 0, allowed is more than 0, up to 1"),
    (lambda: sliding_windows(np.zeros((5, 2)), 2, 1, [0, 1]), r"labels: got shape \(2,\), allowed is \(5,\)"),
    (lambda: sliding_windows(np.zeros((2, 2)), 2, 1, [0.5, 1]), "labels: got float64, allowed are integers"),
    (lambda: sliding_windows(np.zeros((2, 2)), 2, 1, [0, -1]), "labels: got -1"),
    (lambda: evaluate(x=X[0]), r"X: got shape \(20, 3\), allowed is a non-empty \(N, T, S\)"),
    (lambda: evaluate(y=Y[1:]), r"y: got shape \(7,\), allowed is \(8,\)"),
    (lambda: evaluate(groups=GROUPS[1:]), r"groups: got shape \(7,\)"),
    (lambda: LSFAN(n_sensors=6.5), "n_sensors: got 6.5, allowed is a whole number from 1"),  # type: ignore[arg-type]
    (lambda: LSFAN(channels=3), "channels: got 3"),  # type: ignore[arg-type]
    (lambda: LSFAN(ff=0), "ff: got 0, allowed is None or a whole number from 1"),
    (lambda: LSFAN(dropout=2), "dropout: got 2, allowed is 0 up to, but not, 1"),
    (lambda: oriented_avg_pool(torch.zeros(2, 3), True), "axis: got True"),
    (lambda: oriented_avg_pool(torch.zeros(2, 3), 1.5), "axis: got 1.5"),  # type: ignore[arg-type]
    (lambda: evaluate(y=np.zeros(8, int)), "y: got classes 0, allowed are 0 to K - 1 for K from 2"),
    (lambda: evaluate(y=Y * 2), "y: got classes 0, 2, allowed"),
    (lambda: evaluate(groups=np.where(GROUPS == 0, np.nan, 1.0)), "groups: got NaN"),
    (lambda: evaluate(folds=[]), "folds: got none"),
    (lambda: evaluate(folds=[Fold("all", ALL, ALL + 1)]), "folds: fold all has windows 1 to 8, allowed is 0 to 7"),
    (lambda: evaluate(folds=[Fold("all", ALL, ALL[:0])]), "folds: fold all has windows none"),
    (lambda: evaluate(origins=[1, 2]), r"origins: got shape \(2,\), allowed is \(8,\)"),
    (lambda: evaluate(model_fn=Halves), r"model_fn: its model predicts \(4, 3\) for 4 windows, needed are \(4, 2\)"),
    (lambda: fitted(X[0], Y), r"windows: got shape \(20, 3\)"),
    (lambda: fitted(X[:0], Y[:0]), r"windows: got shape \(0, 20, 3\)"),
    (lambda: fitted(X, Y[1:]), r"labels: got shape \(7,\), allowed is \(8,\)"),
    (lambda: fitted(X, Y - 1), "labels: got int64 such as"),
    (lambda: fitted(X, Y.astype(str)), "labels: got <U"),
    (lambda: fitted(X, Y * 0), "labels: got class 0 alone"),
    (lambda: fitted(X, Y + 1), "labels: got 2, allowed is 0 to 1, the classes of the module"),
    (lambda: evaluate(y=Y - 1), "y: got int64 from -1"),
    (lambda: evaluate(y=Y / 2), "y: got float64"),
    (lambda: evaluate(x=np.where(np.arange(3) == 1, np.nan, X)), "X: sensors 1 have values that are not finite"),
    (lambda: evaluate(groups=np.zeros(8)), "groups: got 1 subjects, needs at least two"),
    (lambda: evaluate(y=GROUPS), "y: fold 0 learns from no window of class 0; every class needs two subjects"),
    (lambda: subject_folds(GROUPS, 1), "count: got 1, allowed is 2 to the number of subjects, 2"),
    (lambda: subject_folds(GROUPS, 3), "count: got 3"),
    (lambda: Standardization.of(np.zeros((0, 4, 2))), r"windows: got shape \(0, 4, 2\)"),
    (lambda: Standardization.of(X).apply(X[..., :2]), "windows: got 2 sensors, allowed is 3"),
    (lambda: WindowTraining(epochs=0), "epochs: got 0"),
    (lambda: WindowTraining(batch_size=0), "batch_size: got 0"),
    (lambda: WindowTraining(learning_rate=0), "learning_rate: got 0"),
    (lambda: WindowAugmentation(jitter=(-0.1,)), "jitter: got"),
    (lambda: WindowAugmentation(wiped=(0.0,)), "wiped: got"),
    (lambda: sensor_importance(LSFAN(), np.zeros((0, 180, 30))), r"x: got shape \(0, 180, 30\)"),
    (lambda: sensor_importance(LSFAN(), np.zeros((1, 180, 30)), 2), "target: got 2, allowed is 0 to 1"),
    (lambda: sensor_importance(LSFAN(), np.full((1, 180, 30), np.nan)), "x: has values that are not finite"),
    (lambda: WindowStream(SummaryLogistic(), 9.5, 1), "length: got 9.5"),  # type: ignore[arg-type]
    (lambda: WindowStream(SummaryLogistic(), 9, 1).push([[np.inf]]), "frames: have values that are not finite"),
    (
        lambda: WindowStream(SummaryLogistic(), 9, 1, Standardization.of(X)).push(np.zeros((2, 2))),
        r"frames: got shape \(2, 2\), allowed is \(T, 3\)",
    ),
    (lambda: WindowStream(SummaryLogistic(), True, 1), "length: got True"),
    (lambda: WindowStream(SummaryLogistic(), 9, True), "step: got True"),
    (lambda: WindowStream(SummaryLogistic(), 0, 1), "length: got 0"),
    (lambda: WindowStream(SummaryLogistic(), 1, 0), "step: got 0"),
    (lambda: WindowStream(SummaryLogistic(), 9, 1).push([1.0]), r"frames: got shape \(1,\), allowed is \(T, S\)"),
)


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message[:40] for _, message in CALLS])
def test_what_is_not_allowed_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        call()


def test_a_stream_does_not_change_its_number_of_sensors() -> None:
    stream = WindowStream(SummaryLogistic(), 9, 1)
    stream.push(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match=r"frames: got shape \(2, 4\), allowed is \(T, 3\)"):
        stream.push(np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: oriented_avg_pool(torch.zeros(2, 3, dtype=torch.int64)), "x: got torch.int64, allowed is a tensor"),
        (lambda: oriented_avg_pool(np.zeros((2, 3))), "x: got ndarray, allowed is a tensor"),  # type: ignore[arg-type]
        (lambda: sensor_importance(StackedLSTM(3, 2), X), "model: got StackedLSTM, allowed is an LSFAN"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_another_type_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentTypeError, match=message):
        call()
