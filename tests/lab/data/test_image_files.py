"""Image files as an array, in ImageNet's layout, against the arrays they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cenote.errors import DataFormatError
from cenote.lab.batches import Batches
from cenote.lab.data import ImageClassification, image_files, images, load
from cenote.lab.data.image_files import ImageFiles, read_image
from cenote.lab.training import Augmentation, Normalization, TrainingSettings, accuracy, predict, train

SYNSETS = ("n01440764", "n01443537", "n02102040")
SIZE = 8


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ILSVRC 2012 as on disk: ``train/<synset>/<synset>_<number>.JPEG`` and ``val/<synset>/ILSVRC2012_val_*.JPEG``.

    Sizes differ; one image is grey and one, as in the original, is a PNG by another name.
    """
    root = tmp_path_factory.mktemp("imagenet")
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for place, synset in enumerate(SYNSETS):
            folder = root / split / synset
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = generator.integers(9, 24, 2)
                pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
                name = synset if split == "train" else "ILSVRC2012_val"
                path = folder / f"{name}_{place * count + number:08}.JPEG"
                if (place, number) == (0, 1):
                    Image.fromarray(pixels[..., 0]).save(path, "JPEG")
                else:
                    Image.fromarray(pixels).save(path, "PNG" if (place, number) == (1, 1) else "JPEG")
    return root


@pytest.fixture
def both(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ImageClassification, ImageClassification]:
    """The data set in memory and the same on disk."""
    whole = load("imagefolder", imagenet, image_size=SIZE)
    monkeypatch.setattr(image_files, "MEMORY_LIMIT", 0)
    return whole, load("imagefolder", imagenet, image_size=SIZE)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files in the order they are decoded."""
    names: list[str] = []

    def read(path: Path, size: int) -> np.ndarray:
        names.append(path.name)
        return read_image(path, size)

    monkeypatch.setattr(image_files, "read_image", read)
    return names


def test_a_small_folder_is_in_memory_and_a_large_one_on_disk(both: tuple[ImageClassification, ...]) -> None:
    whole, lazy = both
    assert isinstance(whole.train.images, np.ndarray)
    assert isinstance(lazy.train.images, ImageFiles)
    assert whole.classes == lazy.classes == SYNSETS
    assert np.array_equal(whole.train.labels, lazy.train.labels)
    assert lazy.train.image_shape == whole.train.image_shape == (SIZE, SIZE, 3)
    assert lazy.train.images.shape == whole.train.images.shape
    assert (lazy.train.images.size, lazy.train.images.ndim) == (whole.train.images.size, 4)
    assert repr(lazy.train) == "ImageFileSplit(18 images of shape (8, 8, 3))"


@pytest.mark.parametrize(
    "key", [0, -1, slice(2, 5), slice(None), slice(4, 4), np.array([7, 0, 7]), np.array([], np.int64)], ids=str
)
def test_indexing_is_that_of_the_array(both: tuple[ImageClassification, ...], key: Any) -> None:
    whole, lazy = both
    expected = whole.train.images[key]
    found = lazy.train.images[key]
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_no_other_indexing(both: tuple[ImageClassification, ...]) -> None:
    for key in (18, (0, 1), np.array([18])):
        with pytest.raises(IndexError):
            both[1].train.images[key]


def test_only_what_is_asked_for_is_decoded(imagenet: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]) -> None:
    monkeypatch.setattr(image_files, "MEMORY_LIMIT", 5 * SIZE * SIZE * 3)
    data = load("imagefolder", imagenet, image_size=SIZE)
    assert not decoded
    larger = data.subset(train=9, test=6)
    assert not decoded
    assert isinstance(larger.train.images, ImageFiles)
    small = data.subset(train=5, test=1)
    assert isinstance(small.train.images, np.ndarray)
    assert len(decoded) == 6
    np.testing.assert_array_equal(small.train.images, larger.train.images[:5])


def test_subsets_and_checksums_are_those_of_the_arrays(
    both: tuple[ImageClassification, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lazy = both
    assert lazy.checksum() == whole.checksum()
    part, lazy_part = whole.subset(train=7, test=4), lazy.subset(train=7, test=4)
    np.testing.assert_array_equal(lazy_part.train.images[:], part.train.images)
    assert lazy_part.checksum() == part.checksum() != whole.checksum()
    monkeypatch.setattr(images, "BLOCK", 2 * SIZE * SIZE)
    assert lazy.checksum() == whole.checksum()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def test_training_on_disk_is_training_in_memory(both: tuple[ImageClassification, ...]) -> None:
    """Bit for bit, with the order, the augmentation, the normalisation and the evaluation."""
    settings = TrainingSettings(epochs=3, batch_size=4, augmentation=Augmentation(flip=True, shift=2))
    outcomes = []
    for data in both:
        model = network()
        log = train(model, data.train.images, data.train.labels, settings, seed=1)
        logits = predict(model, data.test.images, log.normalization, batch_size=2)
        scored = accuracy(model, data.test.images, data.test.labels, log.normalization)
        outcomes.append((log.losses, log.normalization, logits.tolist(), scored))
    assert outcomes[0] == outcomes[1]


def test_a_process_decodes_its_part_and_one_batch_ahead(
    both: tuple[ImageClassification, ...], decoded: list[str]
) -> None:
    _, lazy = both
    normalization = Normalization((0.0,) * 3, (1.0,) * 3)
    settings = TrainingSettings(epochs=1, batch_size=4)
    files, labels = lazy.train.images, lazy.train.labels
    batches = iter(Batches(files, labels, normalization, settings, seed=0, process=1, processes=2))
    first, _ = next(batches)
    assert first.shape == (2, 3, SIZE, SIZE)
    assert len(decoded) <= 4, "two images of this batch, and two of the next"
    assert sum(len(images) for images, _ in batches) == 6
    assert len(decoded) == 8


@pytest.mark.parametrize("use", [ImageClassification.checksum, lambda data: Normalization.of(data.train.images)])
def test_each_file_is_decoded_once_in_a_pass(
    both: tuple[ImageClassification, ...], decoded: list[str], use: Callable[[ImageClassification], object]
) -> None:
    use(both[1])
    assert len(decoded) == len(set(decoded)) in (18, 27)


def test_a_damaged_file_is_named_where_it_is_used(imagenet: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(imagenet / split)
    (tmp_path / "train").unlink()
    for path in sorted((imagenet / "train").rglob("*.JPEG")):
        copy = tmp_path / path.relative_to(imagenet)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes()[: 60 if path.name.endswith("07.JPEG") else None])
    monkeypatch.setattr(image_files, "MEMORY_LIMIT", 0)
    data = load("imagefolder", tmp_path, image_size=SIZE)
    said = r"train/n01443537/n01443537_00000007\.JPEG: the image cannot be decoded"
    data.train.images[:7]
    settings = TrainingSettings(epochs=1, batch_size=6)
    known = Normalization((0.0,) * 3, (1.0,) * 3)
    for use in (
        data.checksum,
        lambda: data.train.images[6:9],
        lambda: train(network(), data.train.images, data.train.labels, settings, seed=0, normalization=known),
    ):
        with pytest.raises(DataFormatError, match=said):
            use()


def test_a_ground_shows_through_where_an_image_is_transparent(tmp_path: Path) -> None:
    """Without a ground the colours that the file has there are taken."""
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0] = 90
    pixels[:, :2, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    over = read_image(tmp_path / "a.png", 4, ground=200)
    assert over[0].tolist() == [[90, 0, 0]] * 2 + [[200, 200, 200]] * 2
    assert read_image(tmp_path / "a.png", 4)[0].tolist() == [[90, 0, 0]] * 4
