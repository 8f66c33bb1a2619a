"""EmoPain: people with chronic low back pain and without, in full-body motion capture with four back muscles.

Its owners give it out on application, so it is never on a hub. Two layouts are read: their own (``randomised C`` and
``randomised P``, a matrix a recording at 60 Hz) and the windows that the code released with arXiv 2406.16913 makes of
it (``*.mat`` with ``data``, ``label`` and ``id``). In both the four muscles stand before the angles and the energies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in
from cenote.lab.data.sensors import Recording, Sensor, SensorRecordings

FOLDERS = ("emopain", "EmoPain", "")
"""Where it lies under a root."""

GROUPS = {"randomised C": "C", "randomised P": "P"}
"""Folders of the people without pain and with, and what their names begin with here."""

RATE = 60.0
TASKS = {"protective": ("not protective", "protective")}

EMG, RATED, EXERCISES, MOTION = slice(78, 82), slice(82, 110), slice(110, 134), slice(134, 160)
"""Columns of a matrix, from 0: muscles; ratings; flags of the exercises; 13 angles and 13 energies.

The released code has two readers of the ratings that disagree by one column; this is the one that leaves no gap and
takes no flag of an exercise for a rating.
"""

RATERS, BEHAVIOURS = 4, 7

SENSORS = (
    *(Sensor(f"muscle {number}", "emg", f"back muscle {number}") for number in range(1, 5)),
    *(Sensor(f"angle {number}", "angle", f"joint {number}") for number in range(1, 14)),
    *(Sensor(f"energy {number}", "energy", f"joint {number}") for number in range(1, 14)),
)

_WINDOW_NAME = re.compile(r"(\d+)\.mat")


def load(root: Path | None = None) -> SensorRecordings:
    """Load EmoPain: each exercise a recording, with a label a frame that says whether it is protective.

    A frame is protective if for any behaviour two raters mark it, or one rater gives the first behaviour a 2. People
    whose muscles were not recorded are left out.

    Args:
        root: The folder of the data set, or one above; else ``CENOTE_DATA``.

    Raises:
        DataNotFoundError: If there is no such folder; says where to apply for the data.
        DataFormatError: If a file is damaged or has another shape.
    """
    roots = data_roots(root)
    for place in roots:
        for folder in FOLDERS:
            here = place / folder
            if any((here / group).is_dir() for group in GROUPS):
                return _data_set(tuple(_exercises(here)), here)
            if here.is_dir() and _windows(here):
                return _data_set(tuple(_read_window(path) for path in _windows(here)), here)
    raise DataNotFoundError(
        f"data set 'emopain' not found: {looked_in(roots)}; it is licensed and cannot be downloaded: apply to its "
        f"owners, the EmoPain project of University College London, then set {ROOT_VARIABLE} or --data-root to the "
        f"folder with {' and '.join(GROUPS)}, or with the windows 0.mat, 1.mat, … that the released code makes of them"
    )


def _data_set(recordings: tuple[Recording, ...], folder: Path) -> SensorRecordings:
    if not recordings:
        raise DataFormatError(f"{folder}: holds no exercise of a person whose muscles were recorded")
    return SensorRecordings("emopain", SENSORS, RATE, TASKS, recordings)


# --- the owners' layout -------------------------------------------------------------------------------------------


def _exercises(folder: Path) -> Iterator[Recording]:
    for group, letter in GROUPS.items():
        for path in sorted((folder / group).glob("*.mat")):
            matrix = _matrix(path)
            if matrix[:, EMG].any():
                yield from _exercises_of(matrix, f"{letter}{path.stem.partition('_')[0]}", path.stem)


def _exercises_of(matrix: NDArray[np.float64], subject: str, name: str) -> Iterator[Recording]:
    """Cut a matrix at the flags of its exercises; what is done between them is not labelled."""
    values = np.concatenate([matrix[:, EMG], matrix[:, MOTION]], axis=1).astype(np.float32)
    labels = _protective(matrix[:, RATED])
    for exercise in range(EXERCISES.start, EXERCISES.stop):
        flags = np.concatenate([[0], matrix[:, exercise] == 1, [0]]).astype(np.int8)
        starts, ends = np.flatnonzero(np.diff(flags) == 1), np.flatnonzero(np.diff(flags) == -1)
        for start, end in zip(starts, ends, strict=True):
            frames = slice(start, end)
            own = f"{subject} {name} exercise {exercise - EXERCISES.start} from {start}"
            yield Recording(own, subject, values[frames], {"protective": labels[frames]})


def _protective(ratings: NDArray[np.float64]) -> NDArray[np.int64]:
    """Label each frame from its ratings (T, 28), behaviour by behaviour for one rater after the other."""
    each = ratings.reshape(-1, RATERS, BEHAVIOURS)
    agreed = ((each > 0).sum(axis=1) >= 2).any(axis=1)
    sure = (each[:, :, 0] == 2).any(axis=1)
    protective: NDArray[np.int64] = (agreed | sure).astype(np.int64)
    return protective


def _matrix(path: Path) -> NDArray[np.float64]:
    found = [value for key, value in _read(path).items() if not key.startswith("__")]
    fitting = [value for value in found if getattr(value, "ndim", 0) == 2 and value.shape[1] >= MOTION.stop]
    if len(fitting) != 1:
        shapes = ", ".join(str(getattr(value, "shape", type(value).__name__)) for value in found) or "nothing"
        raise DataFormatError(f"{path}: needs one matrix with at least {MOTION.stop} columns, holds {shapes}")
    matrix: NDArray[np.float64] = np.asarray(fitting[0], np.float64)
    return matrix


# --- windows as the released code stores them ---------------------------------------------------------------------


def _windows(folder: Path) -> list[Path]:
    numbered = [(int(match[1]), path) for path in folder.glob("*.mat") if (match := _WINDOW_NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered)]


def _read_window(path: Path) -> Recording:
    content = _read(path)
    if missing := [key for key in ("data", "label", "id") if np.size(content.get(key, ())) == 0]:
        raise DataFormatError(f"{path}: has no {', '.join(missing)}; a window needs data, label and id")
    values = np.asarray(content["data"], np.float32)
    if values.ndim != 2 or values.shape[1] != len(SENSORS):
        raise DataFormatError(f"{path}: data has shape {values.shape}, needs (T, {len(SENSORS)})")
    label, subject = (int(np.ravel(content[key])[0]) for key in ("label", "id"))
    return Recording(path.stem, str(subject), values, {"protective": np.full(len(values), label, np.int64)})


def _read(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(path)
    except Exception as error:  # scipy raises what its parser meets: ValueError, TypeError, MatReadError, …
        raise DataFormatError(f"{path}: is no MATLAB file that can be read ({error})") from error
    return content
