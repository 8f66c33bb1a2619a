"""A folder of one's own images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError
from cenote.lab.data import load


def flat(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    flat(tmp_path / "train" / "cat" / "b.png", (10, 20, 30))
    flat(tmp_path / "train" / "cat" / "a.PNG", (40, 50, 60))
    flat(tmp_path / "train" / "ant" / "more" / "c.bmp", (70, 80, 90))
    flat(tmp_path / "test" / "cat" / "d.png", (1, 2, 3), size=(20, 10))
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / "cat" / "._b.png").write_bytes(b"what macOS leaves on foreign disks")
    (tmp_path / "train" / ".cache").mkdir()
    flat(tmp_path / "train" / "ant" / ".thumbnails" / "c.png", (0, 0, 0))
    return tmp_path


def test_classes_labels_and_pixels(root: Path) -> None:
    data = load("imagefolder", root, image_size=4)
    assert data.classes == ("ant", "cat")
    assert data.train.labels.tolist() == [0, 1, 1]
    assert data.train.images.shape == (3, 4, 4, 3)
    # Resizing a flat image leaves its colour.
    assert [tuple(image[0, 0]) for image in data.train.images] == [(70, 80, 90), (40, 50, 60), (10, 20, 30)]
    assert data.test.labels.tolist() == [1]
    np.testing.assert_array_equal(data.test.images, np.broadcast_to(np.uint8([1, 2, 3]), (1, 4, 4, 3)))


def test_same_images_as_torchvision(root: Path) -> None:
    from torchvision.datasets import ImageFolder

    (root / "train" / "cat" / "._b.png").unlink()  # torchvision reads hidden files too
    (root / "train" / ".cache").rmdir()
    (root / "train" / "ant" / ".thumbnails" / "c.png").unlink()
    theirs = ImageFolder(str(root / "train"))
    ours = load("imagefolder", root, image_size=8)
    assert tuple(theirs.classes) == ours.classes
    for (image, label), mine, mine_label in zip(theirs, ours.train.images, ours.train.labels, strict=True):
        assert label == mine_label
        np.testing.assert_array_equal(np.asarray(image), mine)


def test_the_middle_is_kept(root: Path) -> None:
    # Left third red, middle third green, right third blue: the centre square is the green one.
    stripes = np.zeros((6, 18, 3), np.uint8)
    for channel in range(3):
        stripes[:, 6 * channel : 6 * channel + 6, channel] = 200
    Image.fromarray(stripes).save(root / "test" / "cat" / "d.png")
    np.testing.assert_array_equal(load("imagefolder", root, image_size=6).test.images[0], stripes[:, 6:12])


def test_exif_orientation_is_applied(root: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90° clockwise
    image.save(root / "test" / "cat" / "d.png", exif=exif)
    np.testing.assert_array_equal(load("imagefolder", root, image_size=6).test.images[0], np.rot90(pixels, -1))


def test_grey_becomes_colour(root: Path) -> None:
    Image.new("L", (8, 8), 77).save(root / "test" / "cat" / "d.png")
    assert (load("imagefolder", root, image_size=8).test.images == 77).all()


def test_val_stands_in_for_test(root: Path) -> None:
    (root / "test").rename(root / "val")
    assert load("imagefolder", root).test.images.shape == (1, 64, 64, 3)


def test_a_folder_called_imagefolder_is_found(root: Path, tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path_factory.mktemp("place")
    root.rename(place / "imagefolder")
    expected = load("imagefolder", place / "imagefolder").checksum()
    assert load("imagefolder", place).checksum() == expected
    monkeypatch.setenv("CENOTE_DATA", str(place))
    assert load("imagefolder").checksum() == expected


@pytest.mark.parametrize("size", [0, -1, 2.5, "64"])
def test_image_size_is_checked(root: Path, size: object) -> None:
    with pytest.raises(ArgumentError, match=r"^image_size: got .*, needs a whole number of pixels, at least 1$"):
        load("imagefolder", root, image_size=size)


class TestWrongFolder:
    """Each error names the folder or file and says what is needed."""

    def test_no_root(self) -> None:
        with pytest.raises(DataNotFoundError, match=r"'imagefolder' not found: no data root is set.*train/<class>/"):
            load("imagefolder")

    def test_data_root_without_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cifar10").mkdir()
        monkeypatch.setenv("CENOTE_DATA", str(tmp_path))
        with pytest.raises(DataNotFoundError, match=r"'imagefolder' not found: .*which holds cifar10/"):
            load("imagefolder")

    @pytest.mark.parametrize("folder", [".", "imagefolder"])
    def test_classes_without_a_split(self, tmp_path: Path, folder: str) -> None:
        flat(tmp_path / folder / "cat" / "a.png", (0, 0, 0))
        with pytest.raises(DataFormatError, match=r"has no 'train' folder.*which holds cat/.*needs train/<class>/"):
            load("imagefolder", tmp_path)

    def test_no_test_part(self, root: Path) -> None:
        (root / "test").rename(root / "holdout")
        with pytest.raises(DataFormatError, match=r"has a 'train' folder but neither 'test' nor 'val'"):
            load("imagefolder", root)

    def test_images_without_classes(self, tmp_path: Path) -> None:
        flat(tmp_path / "train" / "a.png", (0, 0, 0))
        flat(tmp_path / "test" / "a.png", (0, 0, 0))
        with pytest.raises(DataFormatError, match=r"(train|test): has no folders; needs one per class"):
            load("imagefolder", tmp_path)

    def test_class_without_images(self, root: Path) -> None:
        (root / "train" / "dog").mkdir()
        with pytest.raises(DataFormatError, match=r"train/dog: has no images \(\.bmp, "):
            load("imagefolder", root)

    def test_class_only_in_test(self, root: Path) -> None:
        flat(root / "test" / "dog" / "a.png", (0, 0, 0))
        with pytest.raises(DataFormatError, match=r"test: has classes that 'train' has not: dog"):
            load("imagefolder", root)

    @pytest.mark.parametrize("keep", [0, 20, 200])
    def test_damaged_image(self, root: Path, keep: int) -> None:
        path = root / "train" / "cat" / "b.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(DataFormatError, match=r"train/cat/b\.png: the image cannot be decoded"):
            load("imagefolder", root)
