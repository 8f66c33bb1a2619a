"""What is not allowed gets one sentence that names the argument, what came and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cenote.errors import ArgumentError
from cenote.pooling import (
    LSFAN,
    Standardization,
    WindowAugmentation,
    WindowStream,
    WindowTraining,
    leave_one_subject_out,
    oriented_avg_pool,
    sensor_importance,
    sliding_windows,
    subject_folds,
)
from cenote.pooling.l_sfan.baselines import SummaryLogistic

X, Y, GROUPS = np.random.default_rng(0).normal(size=(8, 20, 3)), np.arange(8) % 2, np.arange(8) // 4


def evaluate(x: Any = X, y: Any = Y, groups: Any = GROUPS) -> object:
    return leave_one_subject_out(SummaryLogistic, x, y, groups)


CALLS: tuple[tuple[Callable[[], object], str], ...] = (
    (lambda: LSFAN(nhead=4), "nhead: got 4, which does not divide 30; choose from 1, 2, 3, 5, 6, 10, 15, 30"),
    (lambda: LSFAN(nhead=0), "nhead: got 0"),
    (lambda: LSFAN(n_frames=15), "n_frames: got 15, allowed is 16 or more"),
    (lambda: LSFAN(n_sensors=0), "n_sensors: got 0"),
    (lambda: LSFAN(num_classes=0), "num_classes: got 0"),
    (lambda: LSFAN(channels=(2, 4, 8)), r"channels: got \(2, 4, 8\), allowed is four numbers from 1"),  # type: ignore[arg-type]
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
