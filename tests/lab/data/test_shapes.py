"""Objects seen from several sides: binvox files, made-up furniture, and ShapeNet's layout."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError
from cenote.lab import data
from cenote.lab.data.binvox import read_binvox, write_binvox
from cenote.lab.data.boxes import occupied, render
from cenote.lab.data.furniture import KINDS, furniture
from cenote.lab.data.shapes import MultiViewShapes, ShapeSplit

# --- binvox -------------------------------------------------------------------------------------------------------


@given(grid=st.integers(1, 9).flatmap(lambda side: arrays.arrays(bool, (side, side, side))), scale=st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_a_grid_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, grid: np.ndarray, scale: float
) -> None:
    path = write_binvox(tmp_path_factory.mktemp("b") / "a.binvox", grid, translate=(0.5, -1.25, 3.0), scale=scale)
    back = read_binvox(path)
    np.testing.assert_array_equal(back.grid, grid)
    assert (back.translate, back.scale) == ((0.5, -1.25, 3.0), scale)


def test_trimesh_reads_the_same_cells(tmp_path: Path) -> None:
    binvox = pytest.importorskip("trimesh.exchange.binvox")
    grid = np.random.default_rng(0).random((12, 12, 12)) > 0.7
    grid[:7] = True  # runs of more than 255
    path = write_binvox(tmp_path / "a.binvox", grid, translate=(1.0, 2.0, 3.0), scale=2.0)
    theirs = binvox.load_binvox(io.BytesIO(path.read_bytes()))
    np.testing.assert_array_equal(theirs.matrix, grid)
    np.testing.assert_allclose(theirs.transform[:3, 3], (1, 2, 3))


HEADER = b"#binvox 1\ndim 2 2 2\ntranslate 0 0 0\nscale 1\ndata\n"

DAMAGED = {
    "magic": (b"#binvox 2\ndim 2 2 2\ndata\n\1\x08", "must begin with '#binvox 1', got b'#binvox 2'"),
    "empty": (b"", "must begin with"),
    "no data": (b"#binvox 1\ndim 2 2 2\n", "has no line 'data'"),
    "no size": (b"#binvox 1\nscale 1\ndata\n\1\x08", "header has no three sizes"),
    "size": (b"#binvox 1\ndim 2 2\ndata\n\1\x08", "header has no three sizes"),
    "not a cube": (b"#binvox 1\ndim 2 2 3\ndata\n\1\x0c", "three equal numbers from 1 to 1024, got 2 2 3"),
    "huge": (b"#binvox 1\ndim 9999 9999 9999\ndata\n\1\x08", "from 1 to 1024, got 9999"),
    "too few": (HEADER + b"\1\x07", "has 7 cells, its header says 8"),
    "too many": (HEADER + b"\1\x08\0\x01", "has 9 cells, its header says 8"),
    "odd": (HEADER + b"\1\x08\0", "pairs of a value"),
    "value": (HEADER + b"\2\x08", "pairs of a value, 0 or 1"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, name: str) -> None:
    content, words = DAMAGED[name]
    path = tmp_path / "damaged.binvox"
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"damaged\.binvox") as caught:
        read_binvox(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "grid", [np.zeros((2, 2, 3), bool), np.zeros((2, 2), bool), np.zeros((2, 2, 2)), np.zeros((0, 0, 0), bool)]
)
def test_what_is_no_cube_of_cells_is_not_written(tmp_path: Path, grid: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="boolean cube"):
        write_binvox(tmp_path / "a.binvox", grid)
    with pytest.raises(ArgumentError, match="finite"):
        write_binvox(tmp_path / "a.binvox", np.ones((2, 2, 2), bool), scale=float("nan"))
    assert not list(tmp_path.iterdir())


# --- boxes and furniture ------------------------------------------------------------------------------------------


def test_cells_are_those_whose_centre_lies_in_a_box() -> None:
    boxes = np.array([[[-0.5, -0.5, -0.5], [0.0, 0.5, 0.25]], [[0.1, 0.1, 0.1], [0.4, 0.2, 0.5]]])
    grid = occupied(boxes, 8)
    for cell in np.ndindex(8, 8, 8):
        centre = (np.array(cell) + 0.5) / 8 - 0.5
        inside = any((box[0] <= centre).all() and (centre < box[1]).all() for box in boxes)
        assert grid[cell] == inside


def test_a_picture_shows_what_lies_in_front() -> None:
    """From the front (azimuth 0, +z towards the camera) the silhouette is the grid's, seen along z."""
    boxes = np.array([[[-0.4, -0.3, -0.1], [0.1, 0.4, 0.2]], [[0.1, -0.3, -0.4], [0.3, 0.0, 0.4]]])
    picture = render(boxes, np.zeros(1), np.zeros(1), 60)[0, :, :, 0]
    at = 0.75 * ((np.arange(60) + 0.5) / 30 - 1)
    x, y = np.meshgrid(at, -at)
    seen = np.any([(b[0, 0] <= x) & (x < b[1, 0]) & (b[0, 1] <= y) & (y < b[1, 1]) for b in boxes], axis=0)
    np.testing.assert_array_equal(picture < 255, seen)
    near, far = picture[40, 35], picture[30, 20]
    assert near > far, "the box that is nearer is brighter"


def test_a_quarter_turn_of_the_camera_is_one_of_the_body() -> None:
    boxes = furniture(0)[1]
    turned = np.stack([-boxes[:, ::-1, 2], boxes[:, :, 1], boxes[:, :, 0]], axis=2)
    turned = np.stack([turned.min(1), turned.max(1)], axis=1)
    a = render(boxes, np.array([0.3 + np.pi / 2]), np.array([0.4]), 32)
    b = render(turned, np.array([0.3]), np.array([0.4]), 32)
    assert (np.abs(a.astype(int) - b.astype(int)) > 2).mean() < 0.35  # sides across x and z differ in brightness
    np.testing.assert_array_equal(a == 255, b == 255)


def test_furniture_is_always_the_same_and_no_two_objects_are() -> None:
    found = data.load("furniture").subset(24, 12)
    assert found.checksum() == data.load("furniture").subset(24, 12).checksum() == CHECKSUM
    assert {name.partition("-")[0] for name in found.test.names} == set(KINDS)
    whole = data.load("furniture")
    grids = [split.grid(index) for split in (whole.train, whole.test) for index in range(len(split))]
    assert len({np.packbits(grid).tobytes() for grid in grids}) == 1_600 + 400
    assert len({*whole.train.names, *whole.test.names}) == 1_600 + 400


CHECKSUM = "46d3a007225dd0cf246018e7fdb3b7758abffb3542e24dbb13320434715514b4"
"""Published runs read these objects."""


def test_furniture_fits_its_cube_and_its_pictures() -> None:
    found = data.load("furniture", image_size=24, resolution=24)
    for index in range(30):
        boxes = furniture(index)[1]
        assert (boxes[:, 0] < boxes[:, 1]).all()
        assert np.abs(boxes).max() <= 0.5
        grid, views = found.train.grid(index), found.train.views(index)
        assert grid.shape == (24, 24, 24)
        assert views.shape == (24, 24, 24, 1)
        assert grid.any()
        assert (views[:, [0, -1]] == 255).all(), "cut off above or below"
        assert (views[:, :, [0, -1]] == 255).all(), "cut off at a side"
        assert (views < 255).any((1, 2, 3)).all()


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="resolution must be at least 8, got 4"):
        data.load("furniture", resolution=4)
    with pytest.raises(ArgumentError, match="image_size must be at least 8, got 0"):
        data.load("furniture", image_size=0)


def test_no_object_is_in_both_splits() -> None:
    split = ShapeSplit(("a", "b"), lambda _: np.zeros((1, 2, 2, 1), np.uint8), lambda _: np.zeros((2, 2, 2), bool))
    with pytest.raises(ArgumentError, match="test: a is among the objects for training"):
        MultiViewShapes("x", split, split.first(1))


# --- ShapeNet -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes with five and two objects: ten views of 12×12 with a transparent edge, and grids of 4³."""
    rng = np.random.default_rng(0)
    for category, count in (("02828884", 5), ("03001627", 2)):
        for index in range(count):
            name = f"{category}/{index:02d}ab"
            folder = tmp_path / "ShapeNetRendering" / name / "rendering"
            folder.mkdir(parents=True)
            for view in range(10):
                pixels = rng.integers(0, 256, (12, 12, 4), np.uint8)
                pixels[..., 3] = 0
                pixels[4:8, 4:8, 3] = 255
                Image.fromarray(pixels).save(folder / f"{view:02d}.png")
            (tmp_path / "ShapeNetVox32" / name).mkdir(parents=True)
            write_binvox(tmp_path / "ShapeNetVox32" / name / "model.binvox", rng.random((4, 4, 4)) > 0.5)
    return tmp_path


def test_the_first_four_fifths_of_each_class_are_for_training(tree: Path) -> None:
    found = data.load("shapenet-r2n2", tree, image_size=12)
    assert found.train.names == (*(f"02828884/{index:02d}ab" for index in range(4)), "03001627/00ab")
    assert found.test.names == ("02828884/04ab", "03001627/01ab")
    assert found.train.views(0).shape == (10, 12, 12, 3)
    assert found.subset(1, 1).checksum() != found.checksum()


def test_what_is_transparent_is_grey_and_the_middle_is_cut(tree: Path) -> None:
    views = data.load("shapenet-r2n2", tree, image_size=8).train.views(0)
    path = tree / "ShapeNetRendering/02828884/00ab/rendering/03.png"
    with Image.open(path) as image:
        pixels = np.asarray(image)
    np.testing.assert_array_equal(views[3, 2:6, 2:6], pixels[4:8, 4:8, :3])
    assert (views[:, :2] == 240).all()
    with pytest.raises(DataFormatError, match=r"00.png: is 12×12 pixels, needs at least 13"):
        data.load("shapenet-r2n2", tree, image_size=13).train.views(0)


def test_what_is_missing_is_named(tree: Path, tmp_path: Path) -> None:
    (tree / "ShapeNetVox32/02828884/03ab/model.binvox").unlink()
    with pytest.raises(DataFormatError, match=r"02828884/03ab: has no model.binvox"):
        data.load("shapenet-r2n2", tree)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataNotFoundError, match=r"'shapenet-r2n2' not found: looked in .*which is empty"):
        data.load("shapenet-r2n2", empty)


SAMPLE = Path(os.environ.get("CENOTE_DATA", "")) / "shapenet_sample"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs shapenet_sample under CENOTE_DATA")
def test_the_real_sample() -> None:
    trimesh = pytest.importorskip("trimesh.exchange.binvox")
    found = data.load("shapenet-r2n2", SAMPLE)
    assert (len(found.train), len(found.test)) == (4, 2)
    for index, name in enumerate(found.train.names):
        assert found.train.views(index).shape == (24, 127, 127, 3)
        file = SAMPLE / "ShapeNetVox32" / name / "model.binvox"
        theirs = trimesh.load_binvox(io.BytesIO(file.read_bytes()))
        np.testing.assert_array_equal(found.train.grid(index), theirs.matrix)
