"""Fashion-MNIST in every layout people have, against pixels written by hand and torchvision's reader."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets.mnist import read_image_file, read_label_file

from cenote.errors import DataFormatError
from cenote.lab.data import load
from cenote.lab.data.fashion_mnist import CLASSES

IMAGES, LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)


def write_idx(folder: Path, prefix: str, pixels: np.ndarray, labels: list[int], gzipped: bool = False) -> None:
    """Two files as yann.lecun.com describes them: magic, sizes as big-endian integers, bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        (IMAGES, struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes()),
        (LABELS, struct.pack(">II", 0x801, len(labels)) + bytes(labels)),
    ):
        if gzipped:
            (folder / (name.format(prefix) + ".gz")).write_bytes(gzip.compress(content))
        else:
            (folder / name.format(prefix)).write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path, pixels: np.ndarray) -> Path:
    folder = tmp_path / "fashion-mnist"
    write_idx(folder, "train", pixels[:3], [9, 0, 1])
    write_idx(folder, "t10k", pixels[3:], [2, 3])
    return folder


@pytest.mark.parametrize("place", ["fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_idx_layouts(tmp_path: Path, pixels: np.ndarray, place: str, gzipped: bool) -> None:
    write_idx(tmp_path / place, "train", pixels[:3], [9, 0, 1], gzipped)
    write_idx(tmp_path / place, "t10k", pixels[3:], [2, 3], gzipped)
    data = load("fashion-mnist", tmp_path)
    np.testing.assert_array_equal(data.train.images, pixels[:3, :, :, None])
    np.testing.assert_array_equal(data.test.images, pixels[3:, :, :, None])
    assert data.train.labels.tolist() == [9, 0, 1]
    assert data.test.labels.tolist() == [2, 3]
    assert data.note == "Has 3 of 60,000 training and 2 of 10,000 test images."
    assert data.train.images.flags.writeable


def test_idx_agrees_with_torchvision(tmp_path: Path, folder: Path) -> None:
    data = load("fashion-mnist", tmp_path)
    np.testing.assert_array_equal(
        data.train.images[..., 0], read_image_file(str(folder / IMAGES.format("train"))).numpy()
    )
    np.testing.assert_array_equal(data.train.labels, read_label_file(str(folder / LABELS.format("train"))).numpy())


@pytest.mark.parametrize("place", ["fashion-mnist/fashion_mnist", "fashion_mnist/fashion_mnist"])
def test_hub_layout(
    tmp_path: Path, pixels: np.ndarray, place: str, write_table: Callable[..., None], encode: Callable[..., bytes]
) -> None:
    encoded = [encode(image[..., None]) for image in pixels]
    spelled_by_the_hub = ["T - shirt / top", *CLASSES[1:]]
    folder = tmp_path / place
    write_table(folder / "train-00000-of-00001.parquet", encoded[:3], [9, 0, 1], "image", spelled_by_the_hub)
    write_table(folder / "test-00000-of-00001.parquet", encoded[3:], [2, 3], "image", spelled_by_the_hub)
    data = load("fashion-mnist", tmp_path)
    np.testing.assert_array_equal(data.train.images, pixels[:3, :, :, None])
    np.testing.assert_array_equal(data.test.images, pixels[3:, :, :, None])
    assert data.test.labels.tolist() == [2, 3]


class TestDamage:
    """Each error names the file."""

    def expect(self, root: Path, message: str) -> None:
        with pytest.raises(DataFormatError, match=message):
            load("fashion-mnist", root)

    def test_missing_file(self, tmp_path: Path, folder: Path) -> None:
        (folder / LABELS.format("t10k")).unlink()
        self.expect(tmp_path, r"fashion-mnist: has neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte\.gz")

    def test_truncated(self, tmp_path: Path, folder: Path) -> None:
        path = folder / IMAGES.format("train")
        path.write_bytes(path.read_bytes()[:-1])
        self.expect(tmp_path, r"train-images-idx3-ubyte: has 2,367 bytes, its header says 2,368")

    def test_truncated_header(self, tmp_path: Path, folder: Path) -> None:
        path = folder / IMAGES.format("train")
        path.write_bytes(path.read_bytes()[:10])
        self.expect(tmp_path, r"train-images-idx3-ubyte: ends inside its header, after 10 of 16 bytes")

    @pytest.mark.parametrize("cut", [5, 200])
    def test_truncated_gzip(self, tmp_path: Path, folder: Path, cut: int) -> None:
        path = folder / IMAGES.format("train")
        whole = gzip.compress(path.read_bytes())
        path.unlink()
        path.with_name(path.name + ".gz").write_bytes(whole[:cut])
        self.expect(tmp_path, r"train-images-idx3-ubyte\.gz: cannot be read")

    def test_not_gzip(self, tmp_path: Path, folder: Path) -> None:
        path = folder / LABELS.format("train")
        path.rename(path.with_name(path.name + ".gz"))
        self.expect(tmp_path, r"train-labels-idx1-ubyte\.gz: cannot be read")

    def test_labels_in_the_place_of_images(self, tmp_path: Path, folder: Path) -> None:
        (folder / IMAGES.format("train")).write_bytes((folder / LABELS.format("train")).read_bytes())
        self.expect(tmp_path, r"train-images-idx3-ubyte: starts with 00 00 08 01, an IDX file of it with 00 00 08 03")

    def test_empty_file(self, tmp_path: Path, folder: Path) -> None:
        (folder / IMAGES.format("train")).write_bytes(b"")
        self.expect(tmp_path, r"train-images-idx3-ubyte: starts with ")

    def test_other_size(self, tmp_path: Path, folder: Path) -> None:
        write_idx(folder, "train", np.zeros((2, 28, 30), np.uint8), [0, 1])
        self.expect(tmp_path, r"train-images-idx3-ubyte: its images are 28×30, needs 28×28")

    def test_other_number_of_labels(self, tmp_path: Path, folder: Path, pixels: np.ndarray) -> None:
        write_idx(folder, "train", pixels, [0, 1])
        self.expect(tmp_path, r"train-labels-idx1-ubyte: has 2 labels for 5 images")

    def test_unknown_label(self, tmp_path: Path, folder: Path, pixels: np.ndarray) -> None:
        write_idx(folder, "train", pixels[:2], [0, 10])
        self.expect(tmp_path, r"train-labels-idx1-ubyte: labels reach from 0 to 10, allowed are 0 to 9")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="fashion-mnist: Debian's dataset-fashion-mnist is not installed")
def test_debians_package_is_found_without_a_root(tmp_path: Path) -> None:
    data = load("fashion-mnist")
    # Facts of Xiao et al. (1708.07747), table 1: 70,000 images, 7,000 of each class, 1,000 of them for testing.
    assert np.bincount(data.train.labels).tolist() == [6_000] * 10
    assert np.bincount(data.test.labels).tolist() == [1_000] * 10
    assert data.note == ""
    raw = tmp_path / IMAGES.format("t10k")
    raw.write_bytes(gzip.decompress((DEBIAN / (raw.name + ".gz")).read_bytes()))
    np.testing.assert_array_equal(data.test.images[..., 0], read_image_file(str(raw)).numpy())


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="fashion-mnist: Debian's dataset-fashion-mnist is not installed")
def test_a_data_root_comes_before_debians_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENOTE_DATA", os.fspath(folder.parent))
    assert len(load("fashion-mnist").train) == 3
