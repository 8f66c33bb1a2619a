"""A folder of recordings is read as it is written; whatever is wrong in it is named with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cenote.errors import ArgumentError, CenoteError, DataFormatError
from cenote.lab.data.recording_files import RecordingFile, files_in
from cenote.lab.data.recording_folder import TASK, Columns, read_folder

GOOD = "time,subject,label,knee,hip\n0,ann,walk,1.5,-2\n1,ann,,2.5,0\n2,ann,sit,2,1e-3\n"


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


# --- what is read -------------------------------------------------------------------------------------------------


def test_recordings_are_read_with_subject_labels_and_sensors(tmp_path: Path) -> None:
    other = "hip;knee;label;subject\n7;8;sit;bob\n\n9;6;sit;bob\n"  # another order, separator, and no clock
    found = read_folder(written(tmp_path, a=GOOD, deeper__b=other))
    assert found.sensors == ("knee", "hip")
    assert found.classes == ("sit", "walk")
    assert found.subjects == ("ann", "bob")
    first, second = found.recordings
    assert (first.name, second.name) == ("a.csv", "deeper/b.csv")
    np.testing.assert_array_equal(first.values, np.array([[1.5, -2], [2.5, 0], [2, 1e-3]], np.float32))
    np.testing.assert_array_equal(second.values, [[8, 7], [6, 9]])
    assert first.labels[TASK].tolist() == [2, 0, 1]
    assert second.labels[TASK].tolist() == [1, 1]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    text = "who\twhat\tknee\tnote\nann\twalk\t1\tx\nann\twalk\t3\ty\n"
    found = read_folder(written(tmp_path, a=text), Columns("who", "what", ("note",)))
    assert found.sensors == ("knee",)
    assert found.recordings[0].subject == "ann"


def test_a_mark_at_the_start_and_windows_line_ends_are_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.CSV").write_bytes(b"\xef\xbb\xbfknee,subject,label\r\n1,ann,walk\r\n2,ann,walk\r\n")
    found = read_folder(tmp_path)
    assert found.sensors == ("knee",)
    assert found.recordings[0].values.tolist() == [[1], [2]]


def test_long_recordings_are_read_in_pieces_without_a_seam(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(10_000, 2)).astype(np.float32)
    rows = "".join(f"ann,walk,{float(a)!r},{float(b)!r}\n" for a, b in values)
    found = read_folder(written(tmp_path, a="subject,label,knee,hip\n" + rows))
    np.testing.assert_array_equal(found.recordings[0].values, values)


def test_rows_come_as_they_are_written() -> None:
    """A piece is there before the next line is: another program may still be writing."""
    asked = []

    def lines() -> Iterator[str]:
        for number, line in enumerate(["knee\n", "1\n", "2\n", "3\n"]):
            asked.append(number)
            yield line

    pieces = RecordingFile(lines(), "now").pieces(1)
    assert next(pieces).numbers(["knee"]).tolist() == [[1]]
    assert asked == [0, 1]


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a.csv: is empty; needs a first line that names the columns"),
        ("subject,label,,knee\n", "a.csv: line 1 has no name for column 3"),
        ("subject,label,knee,knee\n", "a.csv: line 1 names 1 columns twice: knee"),
        ("subject,knee\nann,1\n", "a.csv: line 1 has no column 'label'; there are subject, knee"),
        ("subject,label,time\nann,walk,1\n", "a.csv: line 1 names no sensor"),
        ("subject,label,knee\n", "a.csv: has no frame below its first line"),
        ("subject,label,knee\nann,walk,1\nann,walk\n", "a.csv: line 3 has 2 cells, allowed is 3"),
        (
            "subject,label,knee\nann,walk,1\n\nann,walk,x\n",
            "a.csv: line 4, column 'knee': got 'x', allowed is a finite",
        ),
        ("subject,label,knee,hip\nann,walk,1,\n", "a.csv: line 2, column 'hip': got '', allowed is a finite number"),
        ("subject,label,knee\nann,walk,nan\n", "line 2, column 'knee': got 'nan'"),
        ("subject,label,knee\nann,walk,1e39\n", "line 2, column 'knee': got '1e39'"),
        ('subject,label,knee\nann,walk,"1,5"\n', "line 2, column 'knee': got '1,5'"),
        ("subject,label,knee\nann,walk,1\nbob,walk,1\n", "line 3, column 'subject': got 'bob', before it was 'ann'"),
        ("subject,label,knee\n,walk,1\n", "line 2, column 'subject': got ''; allowed is one name in all rows"),
        ("subject,label,age\nann,walk,40\nann,walk,40\n", "column 'age' never changes within a recording"),
        ("subject,label,n\n" + "".join(f"a,w,{n}\n" for n in range(10)), "column 'n' only rises in every recording"),
    ],
)
def test_a_damaged_recording_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataFormatError) as refused:
        read_folder(written(tmp_path, a=text))
    assert words in str(refused.value)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    for before in (b"", b"subject,label,knee\nann,walk,1\n"):
        (tmp_path / "a.csv").write_bytes(before + b"ann,walk,\xff\n")
        with pytest.raises(DataFormatError, match=r"a\.csv: .*UTF-8"):
            read_folder(tmp_path)


def test_recordings_with_other_sensors_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path, a=GOOD, b="subject,label,knee,toe\nbob,sit,1,2\n")
    with pytest.raises(DataFormatError, match=r"b\.csv: line 1 has other sensors than a\.csv, .* differ in hip, toe"):
        read_folder(folder)


def test_folders_without_recordings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    refusals: list[tuple[Path, str]] = [
        (tmp_path / "no", "does not exist"),
        (tmp_path / "notes.txt", "is a file"),
        (tmp_path, "holds no .csv file"),
    ]
    for folder, words in refusals:
        with pytest.raises(ArgumentError, match=words):
            files_in(folder)


def test_a_column_has_one_purpose() -> None:
    with pytest.raises(CenoteError, match="each column has one purpose"):
        Columns("who", "who")
