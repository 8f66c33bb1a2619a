"""Pascal VOC's layout: ``Annotations/*.xml``, ``ImageSets/Main/*.txt``, ``JPEGImages/*``."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data.detection import (
    DetectionSplit,
    ObjectDetection,
    Objects,
    clipped,
    left_out_note,
    objects_of,
    read_image,
    without_degenerate,
)
from cenote.lab.data.places import ROOT_VARIABLE, data_roots, looked_in

FOLDERS = ("", "voc", "VOC2007", "VOC2012", "VOCdevkit/VOC2007", "VOCdevkit/VOC2012")
"""Where a data set in this layout lies under a root, the root itself first."""

_LAYOUT = "Annotations/*.xml, JPEGImages/* and ImageSets/Main/trainval.txt (or train.txt) and test.txt (or val.txt)"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG")
_LARGEST_XML = 10_000_000


def load(root: Path | None = None) -> ObjectDetection:
    """Load a data set in Pascal VOC's layout.

    Trains on the images of ``trainval.txt`` (or ``train.txt``) and tests on those of ``test.txt``, or trains on
    ``train.txt`` and tests on ``val.txt``. Classes are the names found in the training images, in alphabetical order.

    Args:
        root: The folder with ``Annotations``, or one above; else ``CENOTE_DATA``.

    Raises:
        DataNotFoundError: If there is no such folder.
        DataFormatError: If a list, an annotation or an image is missing or damaged.
    """
    return read_folder(find(root, FOLDERS, "voc"), "voc")


def find(root: Path | None, folders: Sequence[str], name: str) -> Path:
    """Return the first of these folders under the data roots that is in the layout.

    Raises:
        DataNotFoundError: If none is.
    """
    roots = data_roots(root)
    for place in roots:
        for folder in folders:
            if (place / folder / "Annotations").is_dir() and (place / folder / "ImageSets" / "Main").is_dir():
                return place / folder
    raise DataNotFoundError(
        f"data set {name!r} not found: {looked_in(roots)}; set {ROOT_VARIABLE} or --data-root to a folder "
        f"with {_LAYOUT}"
    )


def read_folder(folder: Path, name: str) -> ObjectDetection:
    """Read a folder in Pascal VOC's layout.

    Raises:
        DataFormatError: If a list, an annotation or an image is missing or damaged.
    """
    train, test = _lists(folder)
    found = {stem: _read_annotation(folder / "Annotations" / f"{stem}.xml") for stem in dict.fromkeys([*train, *test])}
    classes = tuple(sorted({label for stem in train for label, *_ in found[stem][1]}))
    unknown = {label for stem in test for label, *_ in found[stem][1]} - set(classes)
    if unknown:
        raise DataFormatError(f"{folder}: test images have classes that no training image has: {', '.join(unknown)}")
    objects, left_out, total = {}, 0, 0
    for stem, ((width, height), rows) in found.items():
        every = objects_of([(*box, classes.index(label), hard) for label, box, hard in rows])
        objects[stem], degenerate = without_degenerate(clipped(every, width, height))
        left_out, total = left_out + degenerate, total + len(every)
    return ObjectDetection(
        name=name,
        classes=classes,
        train=_split(folder, train, objects),
        test=_split(folder, test, objects),
        note=" ".join(left_out_note(left_out, total)),
    )


def _lists(folder: Path) -> tuple[list[str], list[str]]:
    lists = folder / "ImageSets" / "Main"
    choices = (("trainval", "test"), ("train", "test"), ("train", "val"))
    for train, test in choices:
        if (lists / f"{train}.txt").is_file() and (lists / f"{test}.txt").is_file():
            return _read_list(lists / f"{train}.txt"), _read_list(lists / f"{test}.txt")
    raise DataFormatError(f"{lists}: has no lists of training and test images; needs {_LAYOUT}")


def _read_list(path: Path) -> list[str]:
    # A list of one class has a second column, 1, 0 or -1.
    names = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise DataFormatError(f"{path}: names no image")
    return names


def _split(folder: Path, stems: Sequence[str], objects: dict[str, Objects]) -> DetectionSplit:
    paths = [_image_path(folder / "JPEGImages", stem) for stem in stems]
    return DetectionSplit(tuple(stems), tuple(objects[stem] for stem in stems), lambda index: read_image(paths[index]))


def _image_path(folder: Path, stem: str) -> Path:
    for suffix in _SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise DataFormatError(f"{folder}: has no image {stem} ({', '.join(_SUFFIXES)}), which a list names")


_Row = tuple[str, tuple[float, float, float, float], bool]


def _read_annotation(path: Path) -> tuple[tuple[int, int], list[_Row]]:
    """Width and height, and label, box and difficulty of each object."""
    try:
        # Entities are never declared in these files; without a document type there is nothing to expand.
        text = path.read_bytes()
        if len(text) > _LARGEST_XML or b"<!DOCTYPE" in text:
            raise DataFormatError(f"{path}: is larger than 10 MB or declares a document type; VOC files do neither")
        tree = ET.fromstring(text)
    except FileNotFoundError:
        raise DataFormatError(f"{path}: is missing, but a list names its image") from None
    except ET.ParseError as error:
        raise DataFormatError(f"{path}: is not XML ({error})") from error
    if tree.find("size") is None:
        raise DataFormatError(f"{path}: has no <size>; needs <size><width>…</width><height>…</height></size>")
    if tree.find("object") is None and tree.tag != "annotation":
        raise DataFormatError(f"{path}: has no <object> and is no <annotation>; needs Pascal VOC's form")
    size = (int(_number(tree, "size/width", path)), int(_number(tree, "size/height", path)))
    if min(size) < 1:
        raise DataFormatError(f"{path}: <size> is {size[0]} × {size[1]}; both must be at least 1")
    return size, [_read_object(each, path) for each in tree.findall("object")]


def _read_object(element: ET.Element, path: Path) -> _Row:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataFormatError(f"{path}: an <object> has no <name>")
    x1, y1, x2, y2 = (_number(element, f"bndbox/{key}", path) for key in ("xmin", "ymin", "xmax", "ymax"))
    if x2 <= x1 or y2 <= y1:  # one pixel or none: no object, and it would get an area below
        return name, (x1, y1, x1, y1), False
    # Pixels are counted from 1 and the last one belongs to the box; here boxes lie between pixel edges from 0.
    return name, (x1 - 1, y1 - 1, x2, y2), (element.findtext("difficult") or "0").strip() == "1"


def _number(element: ET.Element, key: str, path: Path) -> float:
    text = element.findtext(key)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        shown = "nothing" if text is None else repr(text)
        raise DataFormatError(f"{path}: needs a number at <{key.replace('/', '><')}>, got {shown}")
    return value
