"""ShapeNet as 3D-R2N2 rendered it: 24 views of 137×137 pixels and a grid of 32³ cells for each object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError
from cenote.lab.data.binvox import read_binvox
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in
from cenote.lab.data.shapes import MultiViewShapes, ShapeSplit

RENDERINGS, GRIDS = "ShapeNetRendering", "ShapeNetVox32"
FOLDERS = ("", "shapenet", "ShapeNet", "shapenet_sample")
"""Where the two folders lie under a root."""

TRAIN_SHARE = 0.8
"""The first part of a class's objects, by their names, is for training, as in the paper's code."""

BACKGROUND = 240
"""Grey that shows where a rendering is transparent, as in the paper's test images."""


def load(root: Path | None = None, image_size: int = 127) -> MultiViewShapes:
    """Load the objects of all classes that have both renderings and a grid.

    Args:
        root: The folder with ``ShapeNetRendering`` and ``ShapeNetVox32``, or the one that holds it; else
            ``CENOTE_DATA``.
        image_size: Side of the square cut from the middle of each rendering, in pixels.

    Raises:
        ArgumentError: If ``image_size`` is below 1.
        DataNotFoundError: If the folders are not there.
        DataFormatError: If an object has no grid or no views; for damaged files, when they are read.
    """
    if image_size < 1:
        raise ArgumentError(f"image_size must be at least 1, got {image_size}")
    folder = _find(root)
    train, test = [], []
    for category in sorted(path for path in (folder / RENDERINGS).iterdir() if path.is_dir()):
        objects = sorted(path.name for path in category.iterdir() if path.is_dir())
        _check_complete(folder, category.name, objects)
        cut = int(TRAIN_SHARE * len(objects))
        train += [f"{category.name}/{name}" for name in objects[:cut]]
        test += [f"{category.name}/{name}" for name in objects[cut:]]
    if not train or not test:
        raise DataFormatError(f"{folder / RENDERINGS}: needs at least two objects of a class, to train and to test")
    note = f"{len(train):,} objects for training and {len(test):,} for testing; the first 80 % of each class by name."
    return MultiViewShapes("shapenet-r2n2", _split(folder, train, image_size), _split(folder, test, image_size), note)


def read_view(path: Path, image_size: int) -> NDArray[np.uint8]:
    """Return the middle of a rendering over a grey ground, (image_size, image_size, 3).

    Raises:
        DataFormatError: If it cannot be decoded or is smaller.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            ground = Image.new("RGBA", image.size, (BACKGROUND,) * 3 + (255,))
            pixels = np.asarray(Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB"))
    except Exception as error:  # Pillow's plugins raise what their parsers meet: OSError, SyntaxError, struct.error, …
        raise DataFormatError(f"{path}: the image cannot be decoded ({error}); it may be truncated") from error
    top, left = ((side - image_size) // 2 for side in pixels.shape[:2])
    if top < 0 or left < 0:
        raise DataFormatError(f"{path}: is {pixels.shape[1]}×{pixels.shape[0]} pixels, needs at least {image_size}")
    return pixels[top : top + image_size, left : left + image_size]


def _find(root: Path | None) -> Path:
    roots = data_roots(root)
    for place in roots:
        for name in FOLDERS:
            if (place / name / RENDERINGS).is_dir() and (place / name / GRIDS).is_dir():
                return place / name
    raise DataNotFoundError(
        f"data set 'shapenet-r2n2' not found: {looked_in(roots)}; set {ROOT_VARIABLE} or --data-root to a folder with "
        f"{RENDERINGS} and {GRIDS}, as http://cvgl.stanford.edu/data2/ has them under ShapeNet's terms"
    )


def _check_complete(folder: Path, category: str, objects: list[str]) -> None:
    for name in objects:
        if not (folder / GRIDS / category / name / "model.binvox").is_file():
            raise DataFormatError(f"{folder / GRIDS / category / name}: has no model.binvox")
        if not any((folder / RENDERINGS / category / name / "rendering").glob("*.png")):
            raise DataFormatError(f"{folder / RENDERINGS / category / name}: has no rendering/*.png")


def _split(folder: Path, names: list[str], image_size: int) -> ShapeSplit:
    def views(index: int) -> NDArray[np.uint8]:
        files = sorted((folder / RENDERINGS / names[index] / "rendering").glob("*.png"))
        return np.stack([read_view(file, image_size) for file in files])

    def grid(index: int) -> NDArray[np.bool_]:
        return read_binvox(folder / GRIDS / names[index] / "model.binvox").grid

    return ShapeSplit(tuple(names), views, grid)
