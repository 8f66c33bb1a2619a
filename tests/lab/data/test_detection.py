"""Images with boxes: Pascal VOC's and COCO's layouts, made up small, and the real sets where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError
from cenote.lab import data
from cenote.lab.data import Objects
from cenote.lab.data.detection import objects_of

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)

OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>
<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def annotation(*objects: tuple[str, int, tuple[float, ...]]) -> str:
    text = "".join(OBJECT.format(name=name, difficult=hard, box=box) for name, hard, box in objects)
    return f"<annotation><size><width>40</width><height>30</height><depth>3</depth></size>{text}</annotation>"


def save_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(path)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (tmp_path / "Annotations").mkdir()
    (lists / "trainval.txt").write_text("a\nb 1\n")
    (lists / "test.txt").write_text("c\n")
    for stem in "abc":
        save_image(tmp_path / "JPEGImages" / f"{stem}.png")
    write(tmp_path, "a", annotation(("dog", 0, (1, 1, 40, 30)), ("cat", 1, (11, 6, 20, 10))))
    write(tmp_path, "b", annotation(("cat", 0, (5, 5, 5, 5))))
    write(tmp_path, "c", annotation(("cat", 0, (30, 20, 60, 29))))
    return tmp_path


def write(folder: Path, stem: str, text: str) -> None:
    (folder / "Annotations" / f"{stem}.xml").write_text(text)


# --- Pascal VOC ---------------------------------------------------------------------------------------------------


def test_pixels_counted_from_one_become_edges_counted_from_zero(voc: Path) -> None:
    found = data.load("voc", voc)
    assert found.classes == ("cat", "dog")
    assert found.train.names == ("a", "b")
    first = found.train.objects[0]
    assert first.boxes.tolist() == [[0, 0, 40, 30], [10, 5, 20, 10]]
    assert first.labels.tolist() == [1, 0]
    assert first.difficult.tolist() == [False, True]
    np.testing.assert_array_equal(found.train.image(1), PIXELS)


def test_boxes_without_area_are_left_out_and_said(voc: Path) -> None:
    found = data.load("voc", voc)
    assert [len(each) for each in found.train.objects] == [2, 0]
    assert found.note == "1 of 4 boxes has no area and is left out."


def test_boxes_are_held_within_the_image(voc: Path) -> None:
    assert data.load("voc", voc).test.objects[0].boxes.tolist() == [[29, 19, 40, 29]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation></annotation>", "a.xml: has no <size>"),
        ("<table><size><width>4</width><height>3</height></size></table>", "has no <object>"),
        ("<annotation><size><width>0</width><height>3</height></size></annotation>", "both must be at least 1"),
        (annotation(("", 0, (1, 1, 2, 2))), "an <object> has no <name>"),
        (annotation(("cat", 0, ("nan", 1, 2, 2))), "needs a number at <bndbox><xmin>, got 'nan'"),  # type: ignore[arg-type]
        (annotation(("cat", 0, (1, 1, 2, 2))).replace("<ymax>2</ymax>", ""), "<bndbox><ymax>, got nothing"),
        ("<annotation", "a.xml: is not XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><annotation/>", "declares a document type"),
    ],
)
def test_an_annotation_that_is_damaged_is_named(voc: Path, text: str, words: str) -> None:
    write(voc, "a", text)
    with pytest.raises(DataFormatError, match=words):
        data.load("voc", voc)


def test_what_is_missing_is_named(voc: Path) -> None:
    (voc / "JPEGImages" / "c.png").unlink()
    with pytest.raises(DataFormatError, match=r"has no image c"):
        data.load("voc", voc)
    (voc / "Annotations" / "b.xml").unlink()
    with pytest.raises(DataFormatError, match=r"b\.xml: is missing, but a list names its image"):
        data.load("voc", voc)
    (voc / "ImageSets" / "Main" / "test.txt").unlink()
    with pytest.raises(DataFormatError, match="has no lists of training and test images"):
        data.load("voc", voc)


def test_a_class_of_the_test_images_alone_is_refused(voc: Path) -> None:
    write(voc, "c", annotation(("bird", 0, (1, 1, 9, 9))))
    with pytest.raises(DataFormatError, match="classes that no training image has: bird"):
        data.load("voc", voc)


def test_an_image_that_is_damaged_is_named_when_it_is_read(voc: Path) -> None:
    (voc / "JPEGImages" / "a.png").write_bytes(b"no image")
    found = data.load("voc", voc)
    with pytest.raises(DataFormatError, match=r"a\.png: the image cannot be decoded"):
        found.train.image(0)


def test_an_image_with_more_than_8_bits_a_pixel_is_refused(voc: Path) -> None:
    """Pillow would make it white."""
    Image.fromarray(np.full((30, 40), 3000, np.uint16)).save(voc / "JPEGImages" / "a.png")
    with pytest.raises(DataFormatError, match=r"a\.png: has more than 8 bits a pixel \(I;16\); save it with 8"):
        data.load("voc", voc).train.image(0)


def test_no_folder_in_the_layout_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CENOTE_DATA", raising=False)
    for name in ("voc", "bccd", "coco"):
        with pytest.raises(DataNotFoundError, match=f"data set '{name}' not found: looked in .*which is empty"):
            data.load(name, tmp_path)


# --- COCO ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    for name in ("train2017/1.png", "train2017/2.png", "val2017/3.png"):
        save_image(tmp_path / "images" / name)
    (tmp_path / "annotations").mkdir()
    return tmp_path


def instances(folder: Path, split: str, stems: list[int], annotations: list[dict[str, object]]) -> None:
    content = {
        "images": [{"id": stem, "file_name": f"{stem}.png"} for stem in stems],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": annotations,
    }
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def test_instances_are_read_and_crowds_are_difficult(coco: Path) -> None:
    boxes: list[dict[str, object]] = [
        {"image_id": 1, "category_id": 7, "bbox": [4, 5, 10, 20], "iscrowd": 0},
        {"image_id": 1, "category_id": 3, "bbox": [30, 0, 30, 9], "iscrowd": 1},
        {"image_id": 1, "category_id": 3, "bbox": [30, 0, 0, 9], "iscrowd": 0},
    ]
    instances(coco, "train2017", [1, 2], boxes)
    instances(coco, "val2017", [3], [])
    found = data.load("coco", coco)
    assert found.classes == ("cat", "dog")
    assert found.train.objects[0].boxes.tolist() == [[4, 5, 14, 25], [30, 0, 40, 9]]
    assert found.train.objects[0].labels.tolist() == [1, 0]
    assert found.train.objects[0].difficult.tolist() == [False, True]
    assert [len(each) for each in (*found.train.objects, *found.test.objects)] == [2, 0, 0]
    assert found.note == "Boxes from instances_train2017.json. 1 of 3 boxes has no area and is left out."


def test_archives_of_coco_are_read_as_they_unpack(coco: Path) -> None:
    for split, stems in (("train2017", [1, 2]), ("val2017", [3])):
        instances(coco, split, stems, [{"image_id": stems[0], "category_id": 7, "bbox": [4, 5, 10, 20]}])
    before = data.load("coco", coco).checksum()
    for split in ("train2017", "val2017"):
        (coco / "images" / split).rename(coco / split)
    (coco / "images").rmdir()
    after = data.load("coco", coco)
    assert after.checksum() == before
    assert (len(after.train), len(after.test)) == (2, 1)


def test_test_images_that_are_training_images_are_said(coco: Path) -> None:
    save_image(coco / "images" / "val2017" / "2.png")
    for split, stems in (("train2017", [1, 2]), ("val2017", [2, 3])):
        instances(coco, split, stems, [])
    assert "1 of 2 test images have the name of a training image." in data.load("coco", coco).note


def test_yolo_boxes_are_read(coco: Path) -> None:
    (coco / "detection_classes.yaml").write_text("path: .\nnames:\n  0: person\n  1: 'bi cycle'\n")
    for split in ("train2017", "val2017"):
        (coco / "labels" / split).mkdir(parents=True)
    (coco / "labels" / "train2017" / "1.txt").write_text("1 0.5 0.5 0.5 0.2\n")
    found = data.load("coco", coco)
    assert found.classes == ("person", "bi cycle")
    np.testing.assert_allclose(found.train.objects[0].boxes, [[10, 12, 30, 18]])
    (coco / "labels" / "train2017" / "2.txt").write_text("2 0.5 0.5 0.5 0.2\n")
    with pytest.raises(DataFormatError, match=r"2\.txt: class 2 is not one of 0 to 1"):
        data.load("coco", coco)
    (coco / "labels" / "train2017" / "2.txt").write_text("0 0.5 0.5\n")
    with pytest.raises(DataFormatError, match=r"needs 'class x y width height' in each line, got '0 0.5 0.5'"):
        data.load("coco", coco)


def test_of_a_panoptic_file_the_things_are_taken(coco: Path) -> None:
    for split, stem in (("train2017", 1), ("val2017", 3)):
        segments = [{"category_id": 1, "bbox": [0, 0, 4, 4]}, {"category_id": 9, "bbox": [0, 0, 9, 9]}]
        content = {
            "images": [{"id": stem, "file_name": f"{stem}.png"}],
            "categories": [{"id": 1, "name": "person", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}],
            "annotations": [{"image_id": stem, "segments_info": segments}],
        }
        (coco / "annotations" / f"panoptic_{split}.json").write_text(json.dumps(content))
    found = data.load("coco", coco)
    assert found.classes == ("person",)
    assert found.test.objects[0].boxes.tolist() == [[0, 0, 4, 4]]


def test_damaged_json_is_named(coco: Path) -> None:
    file = coco / "annotations" / "instances_train2017.json"
    for text in ("{", "[]", '{"categories": [], "images": [{"id": 1}], "annotations": []}'):
        file.write_text(text)
        with pytest.raises(DataFormatError, match=r"instances_train2017\.json: is not in COCO's form"):
            data.load("coco", coco)
    file.unlink()
    with pytest.raises(DataFormatError, match="has images of train2017 but no boxes"):
        data.load("coco", coco)


# --- what all share -----------------------------------------------------------------------------------------------


def test_a_subset_keeps_images_and_objects_together() -> None:
    whole = data.load("blots")
    part = whole.subset(10, 1000)
    assert (len(part.train), len(part.test)) == (10, len(whole.test))
    for index, name in enumerate(part.train.names):
        there = whole.train.names.index(name)
        assert part.train.objects[index] is whole.train.objects[there]
        np.testing.assert_array_equal(part.train.image(index), whole.train.image(there))
    assert part.checksum() == data.load("blots").subset(10, 1000).checksum() != whole.checksum()


def test_blots_lie_in_their_boxes() -> None:
    """Outside all boxes there is ground, which is lighter than any blot."""
    found = data.load("blots").train
    for index in range(5):
        image = found.image(index).astype(float).sum(axis=2)
        outside = np.ones(image.shape, bool)
        for x1, y1, x2, y2 in found.objects[index].boxes:
            outside[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = False
        assert image[outside].min() > 600
        assert image.min() < 560


def test_objects_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"labels: got shape \(1,\), needs \(0,\)"):
        Objects(np.empty((0, 4)), np.zeros(1, np.int64), np.zeros(0, bool))
    with pytest.raises(ArgumentError, match=r"boxes: got shape \(3,\)"):
        Objects(np.zeros(3), np.zeros(3, np.int64), np.zeros(3, bool))
    assert len(objects_of([]).of(0)) == 0


ROOT = os.environ.get("CENOTE_DATA", "")
real = pytest.mark.skipif(not (Path(ROOT) / "bccd").is_dir() or not ROOT, reason="needs CENOTE_DATA with bccd")


@real
def test_bccd_as_published() -> None:
    found = data.load("bccd", ROOT)
    assert found.classes == ("Platelets", "RBC", "WBC")
    assert (len(found.train), len(found.test)) == (292, 72)
    counts = np.bincount(np.concatenate([each.labels for each in (*found.train.objects, *found.test.objects)]))
    assert counts.sum() == 4155 + 372 + 361 - 2
    assert found.note == "2 of 4,888 boxes have no area and are left out."
    assert found.test.image(0).shape == (480, 640, 3)


@pytest.mark.skipif(not ROOT or not (Path(ROOT) / "coco128").is_dir(), reason="needs CENOTE_DATA with coco128")
def test_coco128_as_published() -> None:
    found = data.load("coco", ROOT)
    assert len(found.classes) == 80
    assert (len(found.train), len(found.test)) == (128, 128)
    assert sum(not len(each) for each in found.train.objects) == 2
    assert found.note.startswith("Boxes from YOLO's text.")
