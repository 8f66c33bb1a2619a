"""CIFAR-10 in every layout people have, against pixels written by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data import load
from cenote.lab.data.cifar import CLASSES

Writer = Callable[..., None]
Encoder = Callable[..., bytes]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path, write_table: Writer, encode: Encoder, pixels: np.ndarray) -> Path:
    """The hub's layout: five training images in two files, three test images."""
    plain = tmp_path / "cifar10" / "plain_text"
    encoded = [encode(image) for image in pixels]
    write_table(plain / "train-00000-of-00002.parquet", encoded[:3], [0, 1, 9], classes=CLASSES)
    write_table(plain / "train-00001-of-00002.parquet", encoded[3:5], [3, 4], classes=CLASSES)
    write_table(plain / "test-00000-of-00001.parquet", encoded[5:], [7, 8, 2], classes=CLASSES)
    return plain


def test_hub_layout(tmp_path: Path, folder: Path, pixels: np.ndarray) -> None:
    data = load("cifar10", tmp_path)
    np.testing.assert_array_equal(data.train.images, pixels[:5])
    np.testing.assert_array_equal(data.test.images, pixels[5:])
    assert data.train.labels.tolist() == [0, 1, 9, 3, 4]
    assert data.test.labels.tolist() == [7, 8, 2]
    assert data.classes[9] == "truck"
    assert data.note == "Has 5 of 50,000 training and 3 of 10,000 test images."
    assert data.train.images.flags.writeable  # torch.from_numpy warns about arrays that are not


def test_jpeg_bytes_are_said_in_the_note(tmp_path: Path, folder: Path, write_table: Writer, encode: Encoder) -> None:
    # A flat mid-grey has no frequencies and no rounding: JPEG returns it exactly.
    grey = np.full((32, 32, 3), 128, np.uint8)
    write_table(folder / "test-00000-of-00001.parquet", [encode(grey, "JPEG")], [5])
    data = load("cifar10", tmp_path)
    np.testing.assert_array_equal(data.test.images[0], grey)
    assert data.note.startswith("JPEG-coded copy of CIFAR-10, not bit-equal to the original.")


def test_other_png_modes_become_rgb(tmp_path: Path, folder: Path, write_table: Writer, encode: Encoder) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (32, 32, 1), np.uint8)
    write_table(folder / "test-00000-of-00001.parquet", [encode(grey)], [5])
    np.testing.assert_array_equal(load("cifar10", tmp_path).test.images[0], np.repeat(grey, 3, axis=2))


def write_binary(folder: Path, pixels: np.ndarray) -> None:
    """The source's records, byte by byte: the label, then the red, green and blue planes row by row."""
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    for index, name in enumerate(names):
        record = bytes([index + 1])
        for channel in range(3):
            record += pixels[index, :, :, channel].tobytes()
        (folder / name).write_bytes(record)


@pytest.mark.parametrize("place", ["cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_binary_layout(tmp_path: Path, pixels: np.ndarray, place: str) -> None:
    write_binary(tmp_path / place, pixels)
    data = load("cifar10", tmp_path)
    np.testing.assert_array_equal(data.train.images, pixels[:5])
    np.testing.assert_array_equal(data.test.images, pixels[5:6])
    assert data.train.labels.tolist() == [1, 2, 3, 4, 5]
    assert data.test.labels.tolist() == [6]


def test_binary_files_are_checked(tmp_path: Path, pixels: np.ndarray) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    write_binary(folder, pixels)
    whole = (folder / "test_batch.bin").read_bytes()
    (folder / "test_batch.bin").write_bytes(whole[:-1])
    with pytest.raises(DataFormatError, match=r"test_batch\.bin: has 3,072 bytes, not a multiple of 3,073"):
        load("cifar10", tmp_path)
    (folder / "test_batch.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataFormatError, match=r"test_batch\.bin: labels reach from 10 to 10, allowed are 0 to 9"):
        load("cifar10", tmp_path)
    (folder / "test_batch.bin").write_bytes(b"")
    with pytest.raises(DataFormatError, match=r"test_batch\.bin: holds no images"):
        load("cifar10", tmp_path)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataFormatError, match=r"data_batch_3\.bin: is missing"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "cifar10/cifar-10-batches-py"])
def test_pickles_are_refused_with_the_way_out(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    # Unpickling this would raise; that the error is ours shows that nobody tried.
    (tmp_path / place / "data_batch_1").write_bytes(b"cos\nabort\n(tR.")
    with pytest.raises(DataFormatError, match=r"pickles; these are not loaded.*cifar-10-batches-bin"):
        load("cifar10", tmp_path)


def test_pickles_do_not_hide_a_readable_copy_elsewhere(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "cifar-10-batches-py").mkdir(parents=True)
    (other / "cifar-10-batches-py" / "test_batch").write_bytes(b"")
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path))
    assert len(load("cifar10", other).train) == 5


def test_the_root_comes_before_the_environment(
    tmp_path: Path, folder: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_binary(tmp_path / "other" / "cifar-10-batches-bin", pixels)
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path))
    assert load("cifar10").train.labels.tolist() == [0, 1, 9, 3, 4]
    assert load("cifar10", tmp_path / "other").train.labels.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("no_hub")
def test_not_found_says_what_was_looked_for_and_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "coco").mkdir(parents=True)
    (tmp_path / "root" / "cifar-10-python.tar.gz").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path / "empty"))
    with pytest.raises(DataNotFoundError) as caught:
        load("cifar10", tmp_path / "root")
    message = str(caught.value)
    assert message.startswith("data set 'cifar10' not found: looked in ")
    assert f"{tmp_path / 'root'}, which holds cifar-10-python.tar.gz, coco/" in message
    assert f"{tmp_path / 'empty'}, which is empty" in message
    assert "the hub cannot be reached, asked for uoft-cs/cifar10 plain_text" in message
    assert "set CENOTE_DATA or --data-root to a folder with cifar10/plain_text/*.parquet" in message


@pytest.mark.usefixtures("no_hub")
def test_not_found_without_any_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"not found: no data root is set \(CENOTE_DATA, --data-root\)"):
        load("cifar10")
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataNotFoundError, match=r"nowhere, which is not a folder"):
        load("cifar10")


class TestDamage:
    """Each error names the file."""

    def test_truncated_file(self, tmp_path: Path, folder: Path) -> None:
        path = folder / "test-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DataFormatError, match=r"test-00000-of-00001\.parquet: cannot be read as parquet"):
            load("cifar10", tmp_path)

    def test_damaged_in_the_middle(self, tmp_path: Path, folder: Path) -> None:
        path = folder / "test-00000-of-00001.parquet"
        content = bytearray(path.read_bytes())
        content[4:4000] = bytes(3996)
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=r"test-00000-of-00001\.parquet"):
            load("cifar10", tmp_path).test.images  # noqa: B018

    def test_missing_split(self, tmp_path: Path, folder: Path) -> None:
        (folder / "test-00000-of-00001.parquet").unlink()
        with pytest.raises(DataFormatError, match=r"plain_text: has no test-\*\.parquet"):
            load("cifar10", tmp_path)

    def test_missing_shard(self, tmp_path: Path, folder: Path) -> None:
        (folder / "train-00000-of-00002.parquet").unlink()
        with pytest.raises(DataFormatError, match=r"plain_text: has 1 of the 2 files of split 'train'"):
            load("cifar10", tmp_path)

    def test_damaged_image_is_named_by_file_and_row(
        self, tmp_path: Path, folder: Path, write_table: Writer, encode: Encoder, pixels: np.ndarray
    ) -> None:
        good = encode(pixels[0])
        write_table(folder / "train-00001-of-00002.parquet", [good, good[: len(good) // 2]], [0, 1])
        with pytest.raises(DataFormatError, match=r"train-00001-of-00002\.parquet, row 1: the image cannot be decoded"):
            load("cifar10", tmp_path).train.images  # noqa: B018

    def test_wrong_size(self, tmp_path: Path, folder: Path, write_table: Writer, encode: Encoder) -> None:
        write_table(folder / "test-00000-of-00001.parquet", [encode(np.zeros((32, 28, 3), np.uint8))], [0])
        with pytest.raises(DataFormatError, match=r"row 0: the image is 28×32, needs 32×32"):
            load("cifar10", tmp_path).checksum()

    @pytest.mark.parametrize(
        ("contents", "labels", "options", "message"),
        [
            ([None], [0], {}, r"row 0 holds no image bytes"),
            ([b""], [0], {}, r"row 0 holds no image bytes"),
            ([b"x"], [None], {}, r"1 rows have no label"),
            ([b"x", b"x"], [0, 10], {}, r"labels reach from 0 to 10, allowed are 0 to 9"),
            ([b"x"], [-1], {}, r"labels reach from -1 to -1"),
            ([], [], {}, r"holds no images"),
            ([b"x"], [0], {"image": "image"}, r"has no column 'img', only image, label"),
            ([b"x"], [0], {"classes": ["apple", "pear"]}, r"its classes are apple, pear; this data set's are airplane"),
        ],
    )
    def test_wrong_table(
        self,
        tmp_path: Path,
        folder: Path,
        write_table: Writer,
        contents: list,
        labels: list,
        options: dict,
        message: str,
    ) -> None:
        write_table(folder / "test-00000-of-00001.parquet", contents, labels, **options)
        with pytest.raises(DataFormatError, match=rf"test-00000-of-00001\.parquet: {message}"):
            load("cifar10", tmp_path)

    def test_wrong_column_types(self, tmp_path: Path, folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = folder / "test-00000-of-00001.parquet"
        pq.write_table(pa.table({"img": [b"x"], "label": [0]}), path)
        with pytest.raises(DataFormatError, match=r"column 'img' is binary, needs struct<bytes, path>"):
            load("cifar10", tmp_path)
        pq.write_table(pa.table({"img": [{"bytes": b"x", "path": ""}], "label": ["cat"]}), path)
        with pytest.raises(DataFormatError, match=r"column 'label' is string, needs integers"):
            load("cifar10", tmp_path)


REAL = os.environ.get("CENOTE_DATA", "")


@pytest.mark.skipif(
    not (REAL and (Path(REAL) / "cifar10" / "plain_text").is_dir()), reason="cifar10 is not under CENOTE_DATA"
)
def test_the_real_set() -> None:
    import pyarrow.parquet as pq

    data = load("cifar10", Path(REAL))
    # Facts of Krizhevsky (2009), chapter 3: 60,000 images, 6,000 of each class, 1,000 of them for testing.
    assert np.bincount(data.train.labels).tolist() == [5_000] * 10
    assert np.bincount(data.test.labels).tolist() == [1_000] * 10
    assert "Has" not in data.note
    small = data.subset(train=100, test=100)
    assert small.train.images.shape == small.test.images.shape == (100, 32, 32, 3)
    assert 30 < small.train.images.std() < 90  # photographs, neither flat nor noise
    # Where file names begin with the class ('frog_3879.jpg'), they are a second witness of the labels.
    paths = sorted((Path(REAL) / "cifar10" / "plain_text").glob("test-*.parquet"))
    names = [cell["path"] for path in paths for cell in pq.read_table(path, columns=["img"])["img"].to_pylist()]
    for name, label in zip(names, data.test.labels, strict=True):
        assert name is None or "_" not in name or name.startswith(data.classes[label])
