"""CIFAR-10 (Krizhevsky 2009) in the hub's parquet layout and in the source's binary layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from cenote.errors import DataFormatError
from cenote.lab.data.encoded import EncodedSplit
from cenote.lab.data.images import ImageClassification, ImageSplit, check_labels
from cenote.lab.data.parquet import ImageTable
from cenote.lab.data.places import HubRepository, Layout, PublicDataSet

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
REPOSITORY = "uoft-cs/cifar10"

_SHAPE = (32, 32, 3)
_RECORD = 1 + 32 * 32 * 3
_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TABLE = ImageTable(image="img", label="label", shape=_SHAPE, classes=CLASSES)


def load(root: Path | None = None) -> ImageClassification:
    """Load CIFAR-10: 50,000 training and 10,000 test images, 32×32 in colour, ten classes.

    Reads ``cifar10/plain_text/*.parquet`` (the hub's layout) or ``cifar-10-batches-bin/*.bin`` (the source's binary
    version, also under ``cifar10/``). The source's Python version consists of pickles, which run code when loaded, and
    is refused.

    Args:
        root: Folder with data sets; else ``CENOTE_DATA``, else the hub.

    Raises:
        DataNotFoundError: If no place has it.
        DataFormatError: If a file is damaged, or only the Python version is there.
    """
    return _DATA_SET.load(root)


def _from_parquet(folder: Path) -> ImageClassification:
    return _from_encoded(_TABLE.read(folder, "train"), _TABLE.read(folder, "test"))


def _from_hub(tables: Mapping[str, Any]) -> ImageClassification:
    return _from_encoded(_TABLE.take(tables, "train", REPOSITORY), _TABLE.take(tables, "test", REPOSITORY))


def _from_encoded(train: EncodedSplit, test: EncodedSplit) -> ImageClassification:
    lossy = train.is_jpeg or test.is_jpeg
    note = "JPEG-coded copy of CIFAR-10, not bit-equal to the original." if lossy else ""
    return ImageClassification("cifar10", CLASSES, train, test, note)


def _from_binary(folder: Path) -> ImageClassification:
    batches = [_read_batch(folder / name) for name in _BATCHES]
    train = ImageSplit(
        np.concatenate([batch.images for batch in batches]), np.concatenate([batch.labels for batch in batches])
    )
    return ImageClassification("cifar10", CLASSES, train, _read_batch(folder / "test_batch.bin"))


def _read_batch(path: Path) -> ImageSplit:
    """Records of one label byte and 3,072 pixel bytes: the red plane, the green, the blue."""
    if not path.is_file():
        raise DataFormatError(f"{path}: is missing; the binary version has {', '.join(_BATCHES)} and test_batch.bin")
    content = np.fromfile(path, np.uint8)
    if content.size % _RECORD:
        raise DataFormatError(f"{path}: has {content.size:,} bytes, not a multiple of {_RECORD:,}; it may be truncated")
    records = content.reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    check_labels(labels, len(CLASSES), path)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return ImageSplit(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def _refuse_pickles(folder: Path) -> NoReturn:
    raise DataFormatError(
        f"{folder}: holds the Python version of CIFAR-10, which are pickles; these are not loaded because a pickle can "
        "run code. Use the binary version (cifar-10-binary.tar.gz, folder cifar-10-batches-bin) or the hub's parquet"
    )


_DATA_SET = PublicDataSet(
    name="cifar10",
    layouts=(
        Layout("cifar10/plain_text", "*.parquet", _from_parquet),
        Layout("cifar-10-batches-bin", "*.bin", _from_binary),
        Layout("cifar10/cifar-10-batches-bin", "*.bin", _from_binary),
    ),
    repository=HubRepository(REPOSITORY, "plain_text", _from_hub),
    sizes=(50_000, 10_000),
    refused=(
        Layout("cifar-10-batches-py", "*_batch*", _refuse_pickles),
        Layout("cifar10/cifar-10-batches-py", "*_batch*", _refuse_pickles),
    ),
)
