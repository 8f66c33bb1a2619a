"""Leave subjects out in several sittings: the folds that are done are kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from cenote.catalog.files import write_bytes_atomic
from cenote.errors import RunError
from cenote.pooling.l_sfan.leaks import Fold
from cenote.pooling.l_sfan.leaving_out import Classifier, LeftOut, leave_one_subject_out
from cenote.pooling.progress import Progress


def leave_out_in_sittings(
    build: Callable[[], Classifier],
    windows: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[Any],
    folds: Sequence[Fold],
    path: Path,
    progress: Progress,
) -> LeftOut:
    """Do as ``leave_one_subject_out`` does, without the folds that an earlier call has done.

    Args:
        build: Builds an untrained classifier.
        windows: (N, T, S).
        labels: (N,).
        groups: The subject of each window, (N,).
        folds: The splits, which test every window once.
        path: The file of what is done; for other windows, folds or classifiers it must be another one.
        progress: Told how many folds are done.

    Raises:
        RunError: If the file is damaged.
    """
    done = _read(path)
    if done:
        progress("subjects left out", len(done), len(folds))

    def keep(fold: Fold, model: Any, tested: npt.NDArray[np.float32]) -> None:
        done[fold.name] = model.predict_proba(tested)
        write_bytes_atomic(path, write_arrays(done))
        progress("subjects left out", len(done), len(folds))

    rest = [fold for fold in folds if fold.name not in done]
    if rest:
        leave_one_subject_out(build, windows, labels, groups, folds=rest, on_fold=keep)
    probabilities = np.full((len(labels), int(labels.max()) + 1), np.nan)
    for fold in folds:
        probabilities[fold.test] = done[fold.name]
    return LeftOut(probabilities, labels, groups, tuple(folds))


def _read(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    if not path.exists():
        return {}
    try:
        return dict(read_arrays(path.read_bytes()))
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it to begin anew") from error
