"""EmoPain in the two layouts people have it in, on files made in them: nothing of the data set is here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab import data
from cenote.lab.data import SensorRecordings

MUSCLES, RATINGS, EXERCISES, MOTION = 78, 82, 110, 134


def matrix(frames: int = 30) -> np.ndarray:
    """A recording whose columns hold their own number, with muscles, no rating and no exercise."""
    values = np.tile(np.arange(160.0), (frames, 1))
    values[:, RATINGS:MOTION] = 0
    return values


def write(root: Path, group: str, name: str, values: np.ndarray) -> None:
    folder = root / f"randomised {group}"
    folder.mkdir(exist_ok=True)
    savemat(folder / f"{name}.mat", {"recording": values})


def load(root: Path) -> SensorRecordings:
    return data.load("emopain", root)


def rated(*marks: tuple[int, int, int]) -> np.ndarray:
    """A recording of one exercise; a mark is rater, behaviour and value of frame 3."""
    values = matrix()
    values[:, EXERCISES] = 1
    for rater, behaviour, value in marks:
        values[3, RATINGS + 7 * rater + behaviour] = value
    return values


# --- the owners' layout -------------------------------------------------------------------------------------------


def test_columns_are_muscles_then_angles_then_energies(tmp_path: Path) -> None:
    write(tmp_path, "P", "P01_normal", rated())
    found = load(tmp_path)
    (recording,) = found.recordings
    assert recording.values[0].tolist() == [*range(78, 82), *range(134, 160)]
    assert [sensor.kind for sensor in found.sensors] == ["emg"] * 4 + ["angle"] * 13 + ["energy"] * 13
    assert found.rate == 60
    assert recording.subject == "PP01"


def test_exercises_are_cut_out_and_belong_to_their_subject(tmp_path: Path) -> None:
    values = matrix()
    values[2:10, EXERCISES + 5] = 1
    values[12:15, EXERCISES + 5] = 1  # the same exercise again
    values[20:30, EXERCISES + 23] = 1  # to the last frame
    write(tmp_path, "C", "C02_normal", values)
    write(tmp_path, "C", "C02_difficult", rated())
    write(tmp_path, "P", "C02_normal", rated())
    found = load(tmp_path).recordings
    assert [len(each) for each in found] == [30, 8, 3, 10, 30]
    assert [each.subject for each in found] == ["CC02"] * 4 + ["PC02"]


@pytest.mark.parametrize(
    ("marks", "protective"),
    [
        ([], 0),
        ([(0, 3, 1)], 0),
        ([(0, 3, 1), (2, 3, 1)], 1),
        ([(0, 3, 1), (2, 4, 1)], 0),
        ([(1, 0, 1)], 0),
        ([(1, 0, 2)], 1),
        ([(1, 2, 2)], 0),
        ([(3, 6, 1), (0, 6, 2)], 1),
    ],
    ids=[
        "nobody", "one", "two-agree", "two-disagree", "one-on-the-first", "one-sure-on-the-first",
        "one-sure-elsewhere", "the-last-column",
    ],
)  # fmt: skip
def test_two_raters_or_a_sure_one_make_a_frame_protective(
    tmp_path: Path, marks: list[tuple[int, int, int]], protective: int
) -> None:
    write(tmp_path, "P", "P01", rated(*marks))
    (recording,) = load(tmp_path).recordings
    assert recording.labels["protective"].tolist() == [protective if frame == 3 else 0 for frame in range(30)]


def test_the_flag_of_the_first_exercise_is_no_rating(tmp_path: Path) -> None:
    """The released reader that starts a column later takes it for the last behaviour of the last rater."""
    write(tmp_path, "P", "P01", rated((0, 6, 1)))
    (recording,) = load(tmp_path).recordings
    assert not recording.labels["protective"].any()


def test_people_without_muscles_are_left_out(tmp_path: Path) -> None:
    silent = rated()
    silent[:, MUSCLES:RATINGS] = 0
    write(tmp_path, "P", "P01", silent)
    with pytest.raises(DataFormatError, match="holds no exercise of a person whose muscles were recorded"):
        load(tmp_path)
    write(tmp_path, "P", "P02", rated())
    assert load(tmp_path).subjects == ("PP02",)


# --- windows as the released code stores them ---------------------------------------------------------------------


def test_windows_are_recordings_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "emopain").mkdir()
    for number, subject, label in ((10, 1, 1), (2, 0, 0), (0, 0, 1)):
        content = {"data": np.full((180, 30), number), "label": label, "id": subject}
        savemat(tmp_path / "emopain" / f"{number}.mat", content)
    found = load(tmp_path).recordings
    assert [each.name for each in found] == ["0", "2", "10"]
    assert [each.subject for each in found] == ["0", "0", "1"]
    assert [set(each.labels["protective"].tolist()) for each in found] == [{1}, {0}, {1}]
    assert found[2].values.shape == (180, 30)
    assert found[2].values.dtype == np.float32


# --- what cannot be read ------------------------------------------------------------------------------------------


def test_missing_data_say_that_they_are_licensed_and_whom_to_ask(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"'emopain' not found.*licensed.*apply to its owners.*CENOTE_DATA"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"label": 1, "id": 1}, "has no data; a window needs data, label and id"),
        ({"data": np.zeros((180, 30)), "id": 1}, "has no label"),
        ({"data": np.zeros((180, 26)), "label": 1, "id": 1}, r"data has shape \(180, 26\), needs \(T, 30\)"),
    ],
)
def test_a_window_in_another_form_is_refused(tmp_path: Path, content: dict[str, object], message: str) -> None:
    savemat(tmp_path / "0.mat", content)
    with pytest.raises(DataFormatError, match=rf"0\.mat: {message}"):
        load(tmp_path)


def test_a_matrix_in_another_form_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "P", "P01", matrix()[:, :100])
    with pytest.raises(
        DataFormatError, match=r"P01\.mat: needs one matrix with at least 160 columns, holds \(30, 100\)"
    ):
        load(tmp_path)


def test_a_file_that_is_not_matlabs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.mat").write_bytes(b"nothing")
    with pytest.raises(DataFormatError, match=r"0\.mat: is no MATLAB file"):
        load(tmp_path)
