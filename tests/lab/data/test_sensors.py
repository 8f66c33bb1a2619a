"""Recordings of sensors check what they are given; the made-up ones are drawn as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cenote.errors import ArgumentError
from cenote.lab import data
from cenote.lab.data import Recording, Sensor, SensorRecordings

SENSORS = (Sensor("a", "angle", "knee"), Sensor("b", "emg", "thigh"))


def recording(name: str = "one", frames: int = 4, **labels: list[int]) -> Recording:
    each = {task: np.array(values, np.int64) for task, values in (labels or {"move": [0, 1, 1, 0]}).items()}
    return Recording(name, "s", np.arange(2.0 * frames, dtype=np.float32).reshape(frames, 2), each)


def made(*recordings: Recording) -> SensorRecordings:
    return SensorRecordings("made", SENSORS, 2.0, {"move": ("rest", "go")}, recordings)


def test_size_and_subjects() -> None:
    whole = made(recording("one"), replace(recording("two"), subject="t"))
    assert whole.subjects == ("s", "t")
    assert whole.size() == "2 recordings of 2 subjects, 2 sensors, 0.1 minutes at 2 Hz"


def test_the_checksum_sees_names_subjects_values_and_labels() -> None:
    one = recording()
    changed = [
        replace(one, name="x"),
        replace(one, subject="x"),
        replace(one, values=one.values + np.float32(0.01)),
        replace(one, labels={"move": np.array([0, 1, 1, 1])}),
    ]
    sums = {made(each).checksum() for each in (one, *changed)}
    assert len(sums) == 5
    assert made(replace(one, values=one.values + np.float32(1e-6))).checksum() in sums, "the last bits do not count"


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ((), "got 0 with 0 names"),
        ((recording(), recording()), "got 2 with 1 names"),
        ((replace(recording(), values=np.zeros((4, 3), np.float32)),), r"one has shape \(4, 3\), needs \(4, 2\)"),
        ((replace(recording(), values=np.full((4, 2), [0, np.nan], np.float32)),), "values that are not finite in b"),
        ((recording(move=[0, 1]),), "one needs one label of move for each frame"),
        ((recording(other=[0, 0, 0, 0]),), "one needs one label of move"),
        ((recording(move=[0, 2, 0, 0]),), "labels of move in one reach from 0 to 2, allowed are 0 to 1"),
        ((recording(move=[0, -1, 0, 0]),), "reach from -1 to 0"),
    ],
)
def test_what_does_not_fit_is_refused(recordings: tuple[Recording, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        made(*recordings)


# --- made-up recordings -------------------------------------------------------------------------------------------


def test_equal_arguments_draw_equal_recordings() -> None:
    first = data.load("guarded-motion", n_subjects=2, n_sensors=8)
    assert first.checksum() == data.load("guarded-motion", n_subjects=2, n_sensors=8).checksum()
    assert first.checksum() != data.load("guarded-motion", n_subjects=2, n_sensors=8, seed=1).checksum()
    assert len(first.recordings) == 16
    assert [sensor.kind for sensor in first.sensors] == ["angle"] * 2 + ["energy"] * 2 + ["emg"] * 4


def test_guarded_movement_is_smaller_slower_and_tenser() -> None:
    drawn = data.load("guarded-motion", n_subjects=12, noise=0.0)
    free, guarded = (
        np.array([each.values for each in drawn.recordings if each.labels["protective"][0] == label])
        for label in (0, 1)
    )
    trunk = [float(np.ptp(each[:, :, 0], axis=1).mean()) for each in (free, guarded)]
    assert 0.6 < trunk[1] / trunk[0] < 0.8
    speed = [float(each[:, :, 13:26].max(axis=(1, 2)).mean()) for each in (free, guarded)]
    assert speed[1] < 0.6 * speed[0]
    second_pair = [float(each[:, :, 28:].mean()) for each in (free, guarded)]
    assert second_pair[1] > 1.5 * second_pair[0]


def test_without_severity_the_label_says_nothing() -> None:
    drawn = data.load("guarded-motion", n_subjects=40, severity=0.0, recordings=2)
    means = np.array([each.values.mean(axis=0) for each in drawn.recordings])
    apart = means[1::2].mean(axis=0) - means[::2].mean(axis=0)
    assert (np.abs(apart) < 4 * means.std(axis=0) / np.sqrt(20)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_subjects": 1}, "n_subjects: got 1, allowed is 2 or more"),
        ({"n_sensors": 7}, "n_sensors: got 7, allowed is an even number from 6"),
        ({"severity": -1}, "severity: got -1"),
        ({"onset_jitter": 0.6}, "onset_jitter: got 0.6"),
        ({"noise": -0.1}, "noise: got -0.1"),
        ({"recordings": 1}, "recordings: got 1"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        data.load("guarded-motion", **options)
