"""Every trap of the lower-limb recordings, on files made to hold it and, where they are, on the real ones."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab import data
from cenote.lab.data import Recording, SensorRecordings
from cenote.lab.data.lower_limb_emg import SENSORS

REAL = os.environ.get("CENOTE_DATA", "")
"""Read before the fixture of this folder takes it away."""

needs_real = pytest.mark.skipif(
    not (Path(REAL) / "lower_limb_emg").is_dir(), reason="needs lower_limb_emg under CENOTE_DATA"
)

HEADER = "File Name: x.log\nChannel 1: 'RF', 400 values, engineering units: mV, no filters.\n\n"
Write = Callable[..., None]


def samples(seed: int, count: int = 400) -> np.ndarray:
    """Muscles in mV and an angle whose larger excursion is positive."""
    draws = np.random.default_rng(seed)
    angle = 40 * np.sin(np.arange(count) / 60) ** 2 + seed
    return np.column_stack([draws.normal(0, 0.05, (count, 4)).round(4), angle.round(1)])


def rows(values: np.ndarray, marker: str = "") -> str:
    return "".join("\t".join(f"{value:g}" for value in row) + marker + "\n" for row in values)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write one file of the data set: its name, its samples, what stands behind them, and a sixth column."""
    for group in "AN":
        (tmp_path / f"{group}_TXT").mkdir()

    def one(name: str, values: np.ndarray, *, tail: str = "\t\t\t\t\n", marker: str = "", packed: bool = False) -> None:
        text = (HEADER + rows(values, marker) + tail).encode("latin-1")
        path = tmp_path / f"{name[-4]}_TXT" / f"{name}.txt"
        if packed:
            path.with_name(f"{name}.txt.gz").write_bytes(gzip.compress(text))
        else:
            path.write_bytes(text)

    return one


def load(root: Path) -> SensorRecordings:
    return data.load("lower-limb-emg", root)


def only(root: Path) -> Recording:
    (recording,) = load(root).recordings
    return recording


# --- what is read -------------------------------------------------------------------------------------------------


def test_frames_are_blocks_of_20_samples(write: Write, tmp_path: Path) -> None:
    values = samples(1, 415)  # 15 samples are no block
    write("3Asen", values)
    recording = only(tmp_path)
    blocks = values[:400].reshape(20, 20, 5)
    angle = blocks[:, :, 4].mean(axis=1)
    assert recording.values.shape == (20, 6)
    np.testing.assert_allclose(recording.values[:, 0], angle, rtol=1e-6)
    np.testing.assert_allclose(recording.values[:, 1], np.log1p(np.gradient(angle) ** 2), rtol=1e-5, atol=1e-6)
    envelope = np.log(np.sqrt((blocks[:, :, :4] ** 2).mean(axis=1)) + 1e-4)
    np.testing.assert_allclose(recording.values[:, 2:], envelope, rtol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_names_give_subject_and_labels(write: Write, tmp_path: Path, packed: bool) -> None:
    for seed, name in enumerate(("10Npie", "2Amar", "2Asen")):
        write(name, samples(seed), packed=packed)
    found = {each.name: each for each in load(tmp_path).recordings}
    assert list(found) == ["2Amar", "2Asen", "10Npie"]
    assert [each.subject for each in found.values()] == ["A2", "A2", "N10"]
    assert [each.labels["movement"][0] for each in found.values()] == [0, 2, 1]
    assert [each.labels["pathology"][0] for each in found.values()] == [1, 1, 0]
    assert all(len(set(labels.tolist())) == 1 for each in found.values() for labels in each.labels.values())


# --- the traps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tail",
    ["\t\t\t\t7.5\n\t\t\t\t7.5\n\t\t\t\t\n", "0.0007\t-0.003\t0.0067\t-0.003\t\n\t\t\t\t\n"],
    ids=["rows-with-the-angle-alone", "a-row-without-angle"],
)
def test_rows_without_all_channels_are_left_out(write: Write, tmp_path: Path, tail: str) -> None:
    write("1Nmar", samples(1))
    expected = only(tmp_path).values
    write("1Nmar", samples(1), tail=tail)
    np.testing.assert_array_equal(only(tmp_path).values, expected)


def test_a_marker_column_is_not_read(write: Write, tmp_path: Path) -> None:
    write("9Amar", samples(1))
    expected = only(tmp_path).values
    write("9Amar", samples(1), marker="\t31", tail="\t\t\t\t\t\n")
    np.testing.assert_array_equal(only(tmp_path).values, expected)


def test_a_stretched_angle_is_the_angle_at_50_hz(write: Write, tmp_path: Path) -> None:
    """Held for 20 samples or moving within them: nothing of the recorder's own rate is left."""
    moving = samples(1)
    moving[:, 4] = 10 + np.arange(400) / 10
    held = moving.copy()
    held[:, 4] = np.repeat(moving[:, 4].reshape(20, 20).mean(axis=1), 20)
    write("1Asen", moving)
    angle = only(tmp_path).values[:, 0]
    write("1Asen", held)
    np.testing.assert_allclose(only(tmp_path).values[:, 0], angle, atol=0.01)  # files have six digits


def test_the_larger_excursion_is_positive_in_every_recording(write: Write, tmp_path: Path) -> None:
    upright, turned = samples(1), samples(2)
    turned[:, 4] *= -1
    write("7Npie", upright)
    write("7Nmar", turned)
    for recording in load(tmp_path).recordings:
        assert recording.values[:, 0].max() > 35
        assert recording.values[:, 0].min() > -1


def test_men_with_the_same_data_are_one_and_the_copy_is_left_out(write: Write, tmp_path: Path) -> None:
    for name, seed in (("1Npie", 1), ("1Nmar", 2), ("2Npie", 1), ("2Nmar", 3), ("3Npie", 4)):
        write(name, samples(seed), tail="\t\t\t\t\n" if name != "2Npie" else "\t\t\t\t1\n")
    found = load(tmp_path)
    assert [(each.name, each.subject) for each in found.recordings] == [
        ("1Nmar", "N1"), ("1Npie", "N1"), ("2Nmar", "N1"), ("3Npie", "N3"),
    ]  # fmt: skip
    assert "2Npie = 1Npie" in found.note


# --- what cannot be read ------------------------------------------------------------------------------------------


def test_a_folder_without_files_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"hold no files such as 1Amar\.txt"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (samples(1)[:, :4], "has 0 rows with 5 numbers separated by tabs, needs at least 40"),
        (samples(1)[:39], "has 39 rows with 5 numbers"),
    ],
)
def test_a_file_without_enough_rows_is_refused(write: Write, tmp_path: Path, values: np.ndarray, message: str) -> None:
    write("1Amar", values)
    with pytest.raises(DataFormatError, match=rf"1Amar\.txt: {message}"):
        load(tmp_path)


def test_a_truncated_archive_is_refused(write: Write, tmp_path: Path) -> None:
    write("1Amar", samples(1), packed=True)
    path = tmp_path / "A_TXT" / "1Amar.txt.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataFormatError, match=r"1Amar\.txt\.gz: cannot be read .*truncated"):
        load(tmp_path)


def test_a_missing_folder_says_where_the_data_come_from(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"'lower-limb-emg' not found: looked in .*, which is empty; .*UCI"):
        load(tmp_path)


# --- the real files -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> SensorRecordings:
    return data.load("lower-limb-emg", REAL)


def counted(recordings: Sequence[Recording], length: int = 150, step: int = 37) -> int:
    return sum((len(each) - length) // step + 1 for each in recordings)


@needs_real
def test_the_real_set_has_the_known_windows(real: SensorRecordings) -> None:
    """As counted independently: 1,521 windows of three seconds, 469, 473 and 579 a movement, .679 with a pathology."""
    assert real.sensors == SENSORS
    assert len(real.subjects) == 21
    assert counted(real.recordings) == 1521
    by_movement = [[each for each in real.recordings if each.labels["movement"][0] == label] for label in range(3)]
    assert [counted(own) for own in by_movement] == [469, 473, 579]
    abnormal = [each for each in real.recordings if each.labels["pathology"][0]]
    assert counted(abnormal) / 1521 == pytest.approx(0.679, abs=5e-4)


@needs_real
def test_the_real_set_has_no_copies_and_no_turned_angles(real: SensorRecordings) -> None:
    names = {each.name for each in real.recordings}
    assert "2Nmar" in names
    assert not {"2Npie", "2Nsen"} & names
    assert {each.subject for each in real.recordings if each.name in ("1Nmar", "2Nmar")} == {"N1"}
    assert len({each.values.tobytes() for each in real.recordings}) == len(names)
    assert all(each.values[:, 0].max() > -each.values[:, 0].min() for each in real.recordings)


@needs_real
def test_the_steps_of_the_real_angles_no_longer_tell_the_groups_apart(real: SensorRecordings) -> None:
    """In the files, the share of samples equal to the one before is above one half for most of a group only."""
    still = {
        group: [float((np.diff(each.values[:, 0]) == 0).mean()) for each in real.recordings if each.name[-4] == group]
        for group in "AN"
    }
    assert max(still["N"]) < 0.5
    apart = min(max(still["A"]), max(still["N"])) - max(min(still["A"]), min(still["N"]))
    assert apart > 0, f"the groups do not overlap: {still}"
