"""COCO's layout: ``images/<split>``, with boxes as instances, as panoptic segments or in YOLO's text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data.detection import (
    DetectionSplit,
    ObjectDetection,
    clipped,
    left_out_note,
    objects_of,
    read_image,
    without_degenerate,
)
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in

FOLDERS = ("", "coco", "coco128")
"""Where it lies under a root, the root itself first."""

SPLITS = (("train2017", "val2017"), ("train", "val"), ("train2017", "train2017"))
"""Names of the training and test splits; the last is COCO128 as it is downloaded, which has one split."""

_LAYOUT = (
    "images/train2017 and images/val2017 with annotations/instances_<split>.json, labels/<split>/*.txt (YOLO) or "
    "annotations/panoptic_<split>.json; or train2017 and val2017 with annotations/instances_<split>.json"
)
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})

Row = tuple[float, float, float, float, int, bool]


def load(root: Path | None = None) -> ObjectDetection:
    """Load a data set in COCO's layout.

    Boxes are read from the first of these that a split has: ``annotations/instances_<split>.json``; YOLO's
    ``labels/<split>/*.txt`` with the class names of ``detection_classes.yaml`` or ``data.yaml``;
    ``annotations/panoptic_<split>.json``, of which the things are taken. An image without a line in these has no
    object. Crowds count as difficult. As COCO's archives unpack, with ``train2017`` beside ``annotations``, it is read
    too.

    Args:
        root: The folder with ``images``, or one above; else ``CENOTE_DATA``.

    Raises:
        DataNotFoundError: If there is no such folder.
        DataFormatError: If an annotation or an image is missing or damaged.
    """
    roots = data_roots(root)
    for place in roots:
        for name in FOLDERS:
            splits = splits_of(place / name)
            if splits is not None:
                return read_folder(place / name, *splits)
    raise DataNotFoundError(
        f"data set 'coco' not found: {looked_in(roots)}; set {ROOT_VARIABLE} or --data-root to a folder with {_LAYOUT}"
    )


def splits_of(folder: Path) -> tuple[str, str] | None:
    """Return the names of a folder's training and test split, or None if it is not in the layout."""
    for splits in SPLITS:
        if all(_images(folder, split).is_dir() for split in splits):
            return splits
    return None


def _images(folder: Path, split: str) -> Path:
    """Where a split's images lie: as YOLO's tools put them, or as COCO's own archives unpack."""
    above = (folder / "annotations" / f"instances_{split}.json").is_file() and not (folder / "images").is_dir()
    return folder / split if above else folder / "images" / split


def read_folder(folder: Path, train: str = "train2017", test: str = "val2017") -> ObjectDetection:
    """Read a folder in COCO's layout.

    Raises:
        DataFormatError: If an annotation or an image is missing or damaged.
    """
    splits = [_read_split(folder, split) for split in dict.fromkeys((train, test))]
    classes = splits[0].classes
    if splits[-1].classes != classes:
        raise DataFormatError(f"{folder}: {train} and {test} name other classes")
    notes = [splits[0].source, *left_out_note(sum(s.left_out for s in splits), sum(s.boxes for s in splits))]
    if train == test:
        notes.append("There is one split: it is tested on the images it trains on.")
    elif shared := len(set(splits[0].split.names) & set(splits[1].split.names)):
        notes.append(f"{shared:,} of {len(splits[1].split):,} test images have the name of a training image.")
    return ObjectDetection("coco", classes, splits[0].split, splits[-1].split, " ".join(notes))


@dataclass(frozen=True)
class _Split:
    split: DetectionSplit
    classes: tuple[str, ...]
    source: str
    left_out: int
    boxes: int


def _read_split(folder: Path, split: str) -> _Split:
    place = _images(folder, split)
    paths = sorted(path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise DataFormatError(f"{place}: has no images ({', '.join(sorted(_SUFFIXES))})")
    classes, rows, source = _annotations(folder, split, paths)
    objects, left_out, total = [], 0, 0
    for path in paths:
        every = objects_of(rows.get(path.stem, ()))
        kept, degenerate = without_degenerate(clipped(every, *_size(path)))
        objects.append(kept)
        left_out, total = left_out + degenerate, total + len(every)
    images = DetectionSplit(tuple(path.stem for path in paths), tuple(objects), lambda index: read_image(paths[index]))
    return _Split(images, classes, source, left_out, total)


def _annotations(
    folder: Path, split: str, paths: Sequence[Path]
) -> tuple[tuple[str, ...], Mapping[str, list[Row]], str]:
    for kind in ("instances", "panoptic"):
        file = folder / "annotations" / f"{kind}_{split}.json"
        if kind == "panoptic" and (folder / "labels" / split).is_dir():
            classes = _yolo_classes(folder)
            return classes, dict(_yolo_rows(folder / "labels" / split, paths, len(classes))), "Boxes from YOLO's text."
        if file.is_file():
            return (*_read_json(file), f"Boxes from {file.name}.")
    raise DataFormatError(f"{folder}: has images of {split} but no boxes; needs {_LAYOUT}")


# --- JSON ---------------------------------------------------------------------------------------------------------


def _read_json(file: Path) -> tuple[tuple[str, ...], dict[str, list[Row]]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        things = [each for each in content["categories"] if each.get("isthing", 1)]
        positions = {each["id"]: index for index, each in enumerate(sorted(things, key=lambda each: each["id"]))}
        stems = {each["id"]: Path(each["file_name"]).stem for each in content["images"]}
        rows: dict[str, list[Row]] = {stem: [] for stem in stems.values()}
        for image, item in _items(content["annotations"]):
            if item["category_id"] in positions:  # of a panoptic file also what is no thing, such as sky
                rows[stems[image]].append(_row(item, positions[item["category_id"]]))
        names = tuple(str(each["name"]) for each in sorted(things, key=lambda each: each["id"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFormatError(f"{file}: is not in COCO's form ({type(error).__name__}: {error})") from error
    return names, rows


def _items(annotations: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The image and the object of each annotation, of which a panoptic one has several."""
    for each in annotations:
        for item in each.get("segments_info", [each]):
            yield each["image_id"], item


def _row(item: Mapping[str, Any], label: int) -> Row:
    x, y, width, height = (float(value) for value in item["bbox"])
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise ValueError(f"a box is {item['bbox']}")
    return x, y, x + width, y + height, label, bool(item.get("iscrowd", 0))


# --- YOLO ---------------------------------------------------------------------------------------------------------


def _yolo_classes(folder: Path) -> tuple[str, ...]:
    file = next((folder / name for name in ("detection_classes.yaml", "data.yaml") if (folder / name).is_file()), None)
    if file is None:
        raise DataFormatError(f"{folder}: has labels/ but no detection_classes.yaml or data.yaml with the class names")
    names, inside = {}, False
    # Two forms of one list are in use; neither needs a YAML parser.
    for line in file.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "names" and value.strip().startswith("["):
            listed = value.strip().strip("[]").split(",")
            return tuple(name.strip().strip("'\"") for name in listed)
        if inside and key.strip().isdigit():
            names[int(key)] = value.strip().strip("'\"")
        elif line.strip():
            inside = key.strip() == "names"
    if sorted(names) != list(range(len(names))) or not names:
        raise DataFormatError(f"{file}: needs 'names:' with the classes 0, 1, …, a line each")
    return tuple(names[index] for index in range(len(names)))


def _yolo_rows(folder: Path, paths: Sequence[Path], classes: int) -> Iterator[tuple[str, list[Row]]]:
    for path in paths:
        file = folder / f"{path.stem}.txt"
        if not file.is_file():
            continue
        width, height = _size(path)
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        yield path.stem, [_yolo_row(line, width, height, classes, file) for line in lines]


def _yolo_row(words: Sequence[str], width: int, height: int, classes: int, file: Path) -> Row:
    try:
        label = int(words[0])
        x, y, w, h = (float(word) for word in words[1:5])
    except (ValueError, IndexError):
        raise DataFormatError(f"{file}: needs 'class x y width height' in each line, got {' '.join(words)!r}") from None
    if not 0 <= label < classes or not all(math.isfinite(value) for value in (x, y, w, h)):
        raise DataFormatError(f"{file}: class {label} is not one of 0 to {classes - 1}, or a number is not finite")
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height, label, False


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception as error:  # as in read_image
        raise DataFormatError(f"{path}: the image cannot be decoded ({error})") from error
