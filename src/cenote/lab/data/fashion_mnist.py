"""Fashion-MNIST (Xiao et al. 2017) as the source's IDX files and in the hub's parquet layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cenote.errors import DataFormatError
from cenote.lab.data.idx import read_idx
from cenote.lab.data.images import ImageClassification, ImageSplit, check_labels
from cenote.lab.data.parquet import ImageTable
from cenote.lab.data.places import HubRepository, Layout, PublicDataSet

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
REPOSITORY = "zalando-datasets/fashion_mnist"

_SHAPE = (28, 28, 1)
_TABLE = ImageTable(image="image", label="label", shape=_SHAPE, classes=CLASSES)


def load(root: Path | None = None) -> ImageClassification:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images, 28×28 in grey, ten classes.

    Reads the four ``*-ubyte`` files, gzipped or not, under ``fashion-mnist/`` (the source's layout and that of Debian's
    package ``dataset-fashion-mnist``) or ``FashionMNIST/raw/`` (torchvision's), or the hub's
    ``fashion_mnist/*.parquet`` under ``fashion-mnist/`` or, as a clone is called, ``fashion_mnist/``.

    Args:
        root: Folder with data sets; else ``CENOTE_DATA``, else Debian's package, else the hub.

    Raises:
        DataNotFoundError: If no place has it.
        DataFormatError: If a file is missing or damaged.
    """
    return _DATA_SET.load(root)


def _from_idx(folder: Path) -> ImageClassification:
    return ImageClassification("fashion-mnist", CLASSES, _read_pair(folder, "train"), _read_pair(folder, "t10k"))


def _read_pair(folder: Path, prefix: str) -> ImageSplit:
    images_path = _plain_or_gzipped(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _plain_or_gzipped(folder, f"{prefix}-labels-idx1-ubyte")
    images = read_idx(images_path, dimensions=3)[..., np.newaxis]
    labels = read_idx(labels_path, dimensions=1).astype(np.int64)
    if images.shape[1:] != _SHAPE:
        raise DataFormatError(f"{images_path}: its images are {images.shape[1]}×{images.shape[2]}, needs 28×28")
    if len(images) != len(labels):
        raise DataFormatError(f"{labels_path}: has {len(labels):,} labels for {len(images):,} images")
    check_labels(labels, len(CLASSES), labels_path)
    return ImageSplit(images, labels)


def _plain_or_gzipped(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataFormatError(f"{folder}: has neither {name} nor {name}.gz")


def _from_parquet(folder: Path) -> ImageClassification:
    train, test = _TABLE.read(folder, "train"), _TABLE.read(folder, "test")
    return ImageClassification("fashion-mnist", CLASSES, train, test)


def _from_hub(tables: Mapping[str, Any]) -> ImageClassification:
    train, test = _TABLE.take(tables, "train", REPOSITORY), _TABLE.take(tables, "test", REPOSITORY)
    return ImageClassification("fashion-mnist", CLASSES, train, test)


_DATA_SET = PublicDataSet(
    name="fashion-mnist",
    layouts=(
        Layout("fashion-mnist", "*-ubyte*", _from_idx),
        Layout("FashionMNIST/raw", "*-ubyte*", _from_idx),
        Layout("fashion-mnist/fashion_mnist", "*.parquet", _from_parquet),
        Layout("fashion_mnist/fashion_mnist", "*.parquet", _from_parquet),
    ),
    repository=HubRepository(REPOSITORY, "fashion_mnist", _from_hub),
    sizes=(60_000, 10_000),
    system_roots=(Path("/usr/share/datasets"),),
)
