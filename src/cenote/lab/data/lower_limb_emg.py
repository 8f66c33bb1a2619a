"""UCI's "EMG dataset in lower limb": 22 men, three movements, four muscles and the angle of the knee.

The files give their group away in several ways that have nothing to do with movement, and two of the men share data.
What was recorded is brought to one form before anybody learns from it:

- Rows without all five channels are left out: ten files end in rows that hold the angle alone, three lack one.
- A sixth column, constant 31, stands in the files of three men, all of the group with a knee pathology: not read.
- The angle was recorded at 50 Hz and stretched to 1000 in most files of the healthy group and in none of the other, so
  that its smallest steps alone tell the groups apart: everything is brought to 50 Hz.
- The goniometer's sign differs between men, and for one man between recordings: each recording's larger excursion is
  made positive. That takes no label, but the whole recording, which a stream does not have.
- Recordings of two men that are the same in every row: the copy is left out, and both men count as one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in
from cenote.lab.data.sensors import Recording, Sensor, SensorRecordings

FOLDERS = ("lower_limb_emg", "SEMG_DB1", "EMG Dataset in Lower Limb", "")
"""Where it lies under a root."""

MOVEMENTS = {"mar": "gait", "pie": "standing flexion", "sen": "sitting extension"}
"""The movement by the end of a file's name: *marcha*, *de pie*, *sentado*."""

GROUPS = {"A": "knee pathology", "N": "none"}
TASKS = {"movement": tuple(MOVEMENTS.values()), "pathology": ("none", "knee pathology")}

SENSORS = (
    Sensor("knee angle", "angle", "knee"),
    Sensor("knee speed", "energy", "knee"),
    Sensor("rectus femoris", "emg", "rectus femoris"),
    Sensor("biceps femoris", "emg", "biceps femoris"),
    Sensor("vastus medialis", "emg", "vastus medialis"),
    Sensor("semitendinosus", "emg", "semitendinosus"),
)

CHANNELS = 5
"""Rectus femoris, biceps femoris, vastus medialis and semitendinosus in mV, then the knee in degrees."""

BLOCK, RATE = 20, 50.0
"""Samples of 1 kHz in a frame, and frames a second."""

FLOOR = 1e-4
"""Added to an envelope before the logarithm, in mV: a seventh of the step of the recorder."""


def load(root: Path | None = None) -> SensorRecordings:
    """Load the recordings at 50 Hz: angle, log energy of its change, and log envelopes of four muscles.

    Args:
        root: The folder with ``A_TXT`` and ``N_TXT``, or one above; else ``CENOTE_DATA``.

    Raises:
        DataNotFoundError: If there is no such folder.
        DataFormatError: If a file is missing, damaged or has fewer than five channels.
    """
    return read_folder(_find(root))


def _find(root: Path | None) -> Path:
    roots = data_roots(root)
    for place in roots:
        for folder in FOLDERS:
            if all((place / folder / f"{group}_TXT").is_dir() for group in GROUPS):
                return place / folder
    raise DataNotFoundError(
        f"data set 'lower-limb-emg' not found: {looked_in(roots)}; set {ROOT_VARIABLE} or --data-root to a folder with "
        "A_TXT/*.txt and N_TXT/*.txt (UCI, 'EMG dataset in Lower Limb'; gzipped files are read as well)"
    )


def read_folder(folder: Path) -> SensorRecordings:
    """Read a folder in the layout of the data set.

    Raises:
        DataFormatError: If there are no files, or one is damaged or has fewer than five channels.
    """
    raw = [_read_file(path, group, stem) for group in GROUPS for path, stem in _files(folder, group)]
    if not raw:
        raise DataFormatError(f"{folder}: A_TXT and N_TXT hold no files such as 1Amar.txt or 11Nsen.txt.gz")
    single, copies = _without_copies(raw)
    recordings = tuple(_recording(each) for each in single)
    note = "Rows without all five channels, marker columns and the recordings' own rates are left out."
    if copies:
        note += f" {', '.join(copies)}: the same data in every row, so the two men count as one."
    return SensorRecordings("lower-limb-emg", SENSORS, RATE, TASKS, recordings, note)


# --- files --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Raw:
    """A file: its samples (N, 5) at 1 kHz."""

    name: str
    subject: str
    group: str
    movement: str
    samples: NDArray[np.float64]


def _files(folder: Path, group: str) -> Iterator[tuple[Path, str]]:
    """Yield the files of a group with their names' stems, ordered by number and movement."""
    paths = {}
    for path in (folder / f"{group}_TXT").iterdir():
        stem = path.name.removesuffix(".gz").removesuffix(".txt")
        number, ending = stem[:-4], stem[-4:]
        if path.name != stem and number.isdigit() and ending[:1] == group and ending[1:] in MOVEMENTS:
            paths[int(number), ending] = (path, stem)
    for key in sorted(paths):
        yield paths[key]


def _read_file(path: Path, group: str, stem: str) -> _Raw:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataFormatError(f"{path}: cannot be read ({error}); it may be truncated") from error
    rows = [row for line in data.decode("latin-1").splitlines() if (row := _numbers(line))]
    if len(rows) < 2 * BLOCK:
        raise DataFormatError(
            f"{path}: has {len(rows)} rows with {CHANNELS} numbers separated by tabs, needs at least {2 * BLOCK}"
        )
    return _Raw(stem, f"{group}{stem[:-4]}", group, stem[-3:], np.array(rows))


def _numbers(line: str) -> list[float] | None:
    """The five channels of a row, or None for a header and for a row that lacks one."""
    cells = line.split("\t")[:CHANNELS]
    if len(cells) < CHANNELS:
        return None
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _without_copies(raw: list[_Raw]) -> tuple[list[_Raw], list[str]]:
    """Leave out what another file has row by row; its subject then counts as the other one, in all recordings."""
    first: dict[str, _Raw] = {}
    same_as: dict[str, str] = {}
    kept, copies = [], []
    for each in raw:
        digest = hashlib.sha256(each.samples.tobytes()).hexdigest()
        other = first.setdefault(digest, each)
        if other is each:
            kept.append(each)
            continue
        copies.append(f"{each.name} = {other.name}")
        same_as[each.subject] = same_as.get(other.subject, other.subject)
    return [replace(each, subject=same_as.get(each.subject, each.subject)) for each in kept], copies


# --- from samples to frames ---------------------------------------------------------------------------------------


def _recording(raw: _Raw) -> Recording:
    angle = _upright(_frames(raw.samples[:, -1]))
    energy = np.log1p(np.gradient(angle) ** 2)
    envelopes = np.log(np.sqrt(_frames(raw.samples[:, :-1] ** 2)) + FLOOR)
    values = np.column_stack([angle, energy, envelopes]).astype(np.float32)
    labels = {"movement": list(MOVEMENTS).index(raw.movement), "pathology": int(raw.group == "A")}
    constant = {task: np.full(len(values), label, np.int64) for task, label in labels.items()}
    return Recording(raw.name, raw.subject, values, constant)


def _upright(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the angle so that its larger excursion from 0 is positive."""
    low, high = np.percentile(angle, [1, 99])  # the ends themselves may be a cable that was touched
    return angle if high >= -low else -angle


def _frames(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over each 20 samples along the first axis; an incomplete last block is dropped."""
    whole = len(samples) // BLOCK
    mean: NDArray[np.float64] = samples[: whole * BLOCK].reshape(whole, BLOCK, *samples.shape[1:]).mean(axis=1)
    return mean
