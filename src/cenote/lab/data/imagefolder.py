"""A folder of one's own images, one folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError
from cenote.lab.data.image_files import ImageFiles, split_of
from cenote.lab.data.images import ImageClassification, ImageSplit
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as an image, as in torchvision's ``ImageFolder``."""

_LAYOUT = "train/<class>/*.png|jpg|… and test/<class>/… (or val/<class>/…)"


def load(root: Path | None = None, image_size: int = 64) -> ImageClassification:
    """Load images from ``train/<class>/`` and ``test/<class>/`` (or ``val/<class>/``), in colour.

    Each image is turned upright by its EXIF orientation, cropped around its centre to a square and resized. Classes are
    the folders under ``train``, in alphabetical order; images may lie in folders below. ImageNet's folders are read as
    they are, with those of ``val`` sorted into classes. A split whose pixels take more than 2 GiB is not held in memory
    but decoded batch by batch, each time it is used.

    Args:
        root: The folder with ``train``, or one with ``imagefolder/train``; else ``CENOTE_DATA``.
        image_size: Height and width in pixels.

    Raises:
        ArgumentError: If ``image_size`` is not a whole number from 1.
        DataNotFoundError: If there is no such folder.
        DataFormatError: If a split, a class or an image is missing or damaged; for an image of a split that is not held
            in memory, when it is decoded.
    """
    if not isinstance(image_size, int) or image_size < 1:
        raise ArgumentError(f"image_size: got {image_size!r}, needs a whole number of pixels, at least 1")
    folder = _find(root)
    test_folder = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if test_folder is None:
        raise DataFormatError(f"{folder}: has a 'train' folder but neither 'test' nor 'val'; needs {_LAYOUT}")
    classes = _class_names(folder / "train")
    unknown = set(_class_names(test_folder)) - set(classes)
    if unknown:
        raise DataFormatError(f"{test_folder}: has classes that 'train' has not: {', '.join(sorted(unknown))}")
    return ImageClassification(
        name="imagefolder",
        classes=classes,
        train=_read_split(folder / "train", classes, image_size),
        test=_read_split(test_folder, classes, image_size),
        note=f"Centre squares of one's own images, resized to {image_size}×{image_size}.",
    )


def _find(root: Path | None) -> Path:
    roots = data_roots(root)
    for place in roots:
        for folder in (place, place / "imagefolder"):
            if (folder / "train").is_dir():
                return folder
    # A folder of this name, or one the user named, was meant: say what is wrong with it.
    meant = [place / "imagefolder" for place in roots if (place / "imagefolder").is_dir()]
    if root is not None:
        meant.append(roots[0])
    if meant:
        raise DataFormatError(
            f"{meant[0]}: has no 'train' folder, so nothing says which images are for training and which for testing "
            f"({looked_in(meant[:1])}); needs {_LAYOUT}"
        )
    raise DataNotFoundError(
        f"data set 'imagefolder' not found: {looked_in(roots)}; set {ROOT_VARIABLE} or --data-root to a folder with "
        f"{_LAYOUT}"
    )


def _class_names(split: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in split.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not names:
        raise DataFormatError(f"{split}: has no folders; needs one per class")
    return names


def _read_split(split: Path, classes: tuple[str, ...], size: int) -> ImageSplit:
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = _image_names(split, name)
        if not found and (split / name).is_dir():
            raise DataFormatError(f"{split / name}: has no images ({', '.join(sorted(SUFFIXES))})")
        names += found
        labels += [label] * len(found)
    return split_of(ImageFiles(split, names, size), np.array(labels, np.int64))


def _image_names(split: Path, name: str) -> list[str]:
    """The images in a class's folder and below, from the split on, without what file managers hide there."""
    paths = sorted(path.relative_to(split) for path in (split / name).rglob("*") if path.suffix.lower() in SUFFIXES)
    return [str(path) for path in paths if not any(part.startswith(".") for part in path.parts[1:])]
