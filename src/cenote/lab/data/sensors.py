"""Recordings of body-worn sensors: what every loader of movement data returns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError


@dataclass(frozen=True)
class Sensor:
    """One column of a recording.

    Attributes:
        name: What a picture calls it.
        kind: ``angle`` in degrees, ``energy`` of an angle's change, ``emg`` for the envelope of a muscle.
        part: The joint or muscle it belongs to.
    """

    name: str
    kind: Literal["angle", "energy", "emg"]
    part: str


@dataclass(frozen=True, eq=False)
class Recording:
    """One uninterrupted recording of one person.

    Attributes:
        name: Name of the recording, unique in its data set.
        subject: The person. People who share data have one name: they are one unit for any split.
        values: ``float32`` of shape ``(T, S)``, a column a sensor.
        labels: For each task a label a frame, ``int64`` of shape ``(T,)``.
    """

    name: str
    subject: str
    values: NDArray[np.float32]
    labels: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class SensorRecordings:
    """Recordings with a label a frame.

    Attributes:
        name: The name it was loaded by.
        sensors: What the columns are.
        rate: Frames a second.
        tasks: Names of the classes of each task, the main task first; a label is a position in them.
        recordings: The recordings.
        note: What a reader of a result must know about this copy of the data, empty if nothing.
    """

    name: str
    sensors: tuple[Sensor, ...]
    rate: float
    tasks: Mapping[str, tuple[str, ...]]
    recordings: tuple[Recording, ...]
    note: str = ""

    def __post_init__(self) -> None:
        names = [recording.name for recording in self.recordings]
        if not names or len(set(names)) != len(names):
            raise ArgumentError(f"recordings: got {len(names)} with {len(set(names))} names; needs some, a name each")
        for recording in self.recordings:
            self._check(recording)

    def _check(self, recording: Recording) -> None:
        expected = (len(recording), len(self.sensors))
        if recording.values.shape != expected:
            raise ArgumentError(f"recordings: {recording.name} has shape {recording.values.shape}, needs {expected}")
        fine = np.isfinite(recording.values)
        if not fine.all():
            broken = [sensor.name for index, sensor in enumerate(self.sensors) if not fine[:, index].all()]
            raise ArgumentError(
                f"recordings: {recording.name} has values that are not finite in {', '.join(broken)}; "
                "leave these frames or sensors out"
            )
        for task, classes in self.tasks.items():
            labels = recording.labels.get(task)
            if labels is None or labels.shape != recording.values.shape[:1]:
                raise ArgumentError(f"recordings: {recording.name} needs one label of {task} for each frame")
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
                raise ArgumentError(
                    f"recordings: labels of {task} in {recording.name} reach from {labels.min()} to {labels.max()}, "
                    f"allowed are 0 to {len(classes) - 1}"
                )

    @property
    def subjects(self) -> tuple[str, ...]:
        """The people, in the order in which they first appear."""
        return tuple(dict.fromkeys(recording.subject for recording in self.recordings))

    def size(self) -> str:
        """Say how much there is, for a reader."""
        frames = sum(map(len, self.recordings))
        return (
            f"{len(self.recordings):,} recordings of {len(self.subjects):,} subjects, {len(self.sensors)} sensors, "
            f"{frames / self.rate / 60:,.1f} minutes at {self.rate:g} Hz"
        )

    def checksum(self) -> str:
        """Return the SHA-256 over names, subjects, values and labels as hexadecimal digits.

        Values are rounded to a thousandth first: the last bits of a logarithm differ between machines.
        """
        digest = hashlib.sha256()
        for recording in self.recordings:
            digest.update(f"{recording.name}\0{recording.subject}\0".encode())
            digest.update(np.rint(1e3 * recording.values.astype(np.float64)).astype("<i8").tobytes())
            for task in self.tasks:
                digest.update(recording.labels[task].astype("<i8").tobytes())
        return digest.hexdigest()
