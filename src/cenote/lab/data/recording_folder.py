"""Your own recordings: a folder with a CSV file for each, and columns that say whose it is and what is done in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, DataFormatError
from cenote.lab.data.recording_files import RecordingFile, files_in, open_recording
from cenote.lab.data.sensors import Recording

TASK = "label"
"""The task of each recording's labels: 0 for a frame without one, else the position of the class, from 1."""

LEAST_FRAMES_OF_A_CLOCK = 10
"""Frames from which on a column that only rises is taken for a clock."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are for; every other one is a sensor.

    Attributes:
        subject: Who was recorded, the same in all rows of a file.
        label: What is done in a frame; an empty cell says nothing about it.
        left_out: Columns that are not read, if a file has them.
    """

    subject: str = "subject"
    label: str = "label"
    left_out: tuple[str, ...] = ("time",)

    def __post_init__(self) -> None:
        named = [self.subject, self.label, *self.left_out]
        if len(set(named)) != len(named):
            raise ArgumentError(f"columns: got {', '.join(named)}; each column has one purpose")

    def sensors(self, file: RecordingFile) -> tuple[str, ...]:
        """Return the columns of a file that are sensors.

        Raises:
            DataFormatError: If there is none, or subject or label are missing.
        """
        file.require((self.subject, self.label))
        sensors = tuple(name for name in file.columns if name not in (self.subject, self.label, *self.left_out))
        if not sensors:
            raise DataFormatError(f"{file.name}: line 1 names no sensor; there are {', '.join(file.columns)}")
        return sensors


@dataclass(frozen=True, eq=False)
class RecordingFolder:
    """What a folder of recordings holds.

    Attributes:
        sensors: Names of the columns of the values.
        classes: Labels as they are written, in alphabetical order.
        recordings: One for each file, with labels for ``TASK``.
    """

    sensors: tuple[str, ...]
    classes: tuple[str, ...]
    recordings: tuple[Recording, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who was recorded, in the order of the files."""
        return tuple(dict.fromkeys(recording.subject for recording in self.recordings))


def read_folder(
    folder: Path, columns: Columns | None = None, progress: Callable[[str, int, int], None] | None = None
) -> RecordingFolder:
    """Read all recordings of a folder.

    Args:
        folder: With CSV files, also in folders of its own.
        columns: What their columns are for.
        progress: Told how many files are read.

    Raises:
        ArgumentError: If there is no such folder or file.
        DataFormatError: If a file is not such a recording, or two have other sensors; says in which line.
    """
    purposes = columns or Columns()
    files = files_in(folder)
    read: list[_Read] = []
    for name, path in files.items():
        with open_recording(path, name) as file:
            read.append(_read(file, purposes, read[0] if read else None))
        if progress is not None:
            progress("reading", len(read), len(files))
    classes = tuple(sorted({label for each in read for label in each.labels} - {""}))
    numbers = {"": 0} | {label: number for number, label in enumerate(classes, start=1)}
    recordings = tuple(
        Recording(each.name, each.subject, each.values, {TASK: np.array([numbers[it] for it in each.labels], np.int64)})
        for each in read
    )
    found = RecordingFolder(read[0].sensors, classes, recordings)
    _check_sensors(found)
    return found


@dataclass(frozen=True, eq=False)
class _Read:
    name: str
    sensors: tuple[str, ...]
    subject: str
    values: NDArray[np.float32]
    labels: list[str]


def _read(file: RecordingFile, columns: Columns, first: _Read | None) -> _Read:
    sensors = columns.sensors(file)
    if first is not None:
        if set(sensors) != set(first.sensors):
            other = sorted(set(sensors) ^ set(first.sensors))
            raise DataFormatError(
                f"{file.name}: line 1 has other sensors than {first.name}, which differ in {', '.join(other)}; all "
                "recordings need the same, in any order"
            )
        sensors = first.sensors
    subject, labels, values = "", [], [np.empty((0, len(sensors)), np.float32)]
    for rows in file.pieces():
        for line, name in zip(rows.lines, rows.texts(columns.subject), strict=True):
            if not name or name != (subject or name):
                was = f", before it was {subject!r}" if subject else ""
                raise DataFormatError(
                    f"{file.name}: line {line}, column {columns.subject!r}: got {name!r}{was}; allowed is one name in "
                    "all rows: a file is a recording of one person"
                )
            subject = name
        labels += rows.texts(columns.label)
        values.append(rows.numbers(sensors))
    if not labels:
        raise DataFormatError(f"{file.name}: has no frame below its first line")
    return _Read(file.name, sensors, subject, np.concatenate(values), labels)


def _check_sensors(found: RecordingFolder) -> None:
    """Refuse columns that cannot be sensors, but can tell recordings or their places apart."""
    for place, name in enumerate(found.sensors):
        columns = [recording.values[:, place] for recording in found.recordings]
        if all(column.min() == column.max() for column in columns):
            raise _no_sensor(name, "never changes within a recording, so that it can only tell recordings apart")
        if _only_rises([column for column in columns if len(column) >= LEAST_FRAMES_OF_A_CLOCK]):
            raise _no_sensor(name, "only rises in every recording, as a clock or a counter does")


def _only_rises(columns: Sequence[NDArray[np.float32]]) -> bool:
    return bool(columns) and all((np.diff(column) > 0).all() for column in columns)


def _no_sensor(name: str, why: str) -> DataFormatError:
    return DataFormatError(f"column {name!r} {why}; leave it out with --leave-out {name}, or Columns(left_out=…)")
