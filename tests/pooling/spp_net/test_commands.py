"""``cenote detect`` as a user meets it."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cenote.errors import RunError
from cenote.lab import data
from cenote.lab.style import PALETTE
from cenote.pooling.spp_net import commands
from cenote.pooling.spp_net.training import DetectorSettings
from tests.pooling.calling import Verb

BLOTS = data.load("blots")

QUICK = ("--epochs", "2", "--steps", "5", "--proposals", "30", "--side", "32", "--levels", "2,1", "--scales", "96")


VERB = Verb("detect")
call, refused = VERB.call, VERB.refused


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight made-up photographs in Pascal VOC's layout."""
    folder = tmp_path_factory.mktemp("voc")
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    for split, chosen in (("train", range(6)), ("test", range(6, 8))):
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(f"{index}" for index in chosen))
    for index in range(8):
        Image.fromarray(BLOTS.train.image(index)).save(folder / "JPEGImages" / f"{index}.png")
        objects = BLOTS.train.objects[index]
        rows = "".join(
            f"<object><name>{BLOTS.classes[label]}</name><bndbox><xmin>{box[0] + 1}</xmin><ymin>{box[1] + 1}</ymin>"
            f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
            for box, label in zip(objects.boxes, objects.labels, strict=True)
        )
        size = "<size><width>128</width><height>96</height></size>"
        (folder / "Annotations" / f"{index}.xml").write_text(f"<annotation>{size}{rows}</annotation>")
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "detector"
    printed = call("train", str(folder), "--out", str(out), *QUICK)
    assert "recall of the proposals" in printed
    return out


def test_training_leaves_a_detector_a_report_and_pictures(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {"detector.json", "detector.safetensors", "report.md", "test-1.png", "test-2.png"}
    report = (trained / "report.md").read_text()
    assert "Trained on 6 images, tested on 2" in report
    assert "| mean |" in report
    with Image.open(trained / "test-1.png") as image:
        assert image.width > 400


def test_a_trained_detector_draws_what_it_finds(trained: Path, folder: Path, tmp_path: Path) -> None:
    images = folder / "JPEGImages"
    call("run", str(trained), str(images / "6.png"), str(images / "7.png"), "--out", str(tmp_path), "--score", "0.01")
    found = json.loads((tmp_path / "detections.json").read_text())
    assert set(found) == {str(images / "6.png"), str(images / "7.png")}
    boxes = [each for each in found.values() for each in each]
    assert boxes
    assert all(each["class"] in BLOTS.classes and len(each["box"]) == 4 for each in boxes)
    assert {path.name for path in tmp_path.glob("*.png")} == {"6.png", "7.png"}


def test_an_interrupted_training_goes_on_and_ends_alike(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = commands.fit_head

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "fit_head", killed)
    with pytest.raises(AssertionError):  # the command line ends with another exit code
        call("train", str(folder), "--out", str(tmp_path), *QUICK)
    assert {path.name for path in tmp_path.iterdir()} == {"epoch.safetensors", "training.json"}
    assert "other settings or images" in refused("train", str(folder), "--out", str(tmp_path), *QUICK, "--seed", "1")
    monkeypatch.setattr(commands, "fit_head", fit)
    assert "goes on after epoch 2 of 2" in call("train", str(folder), "--out", str(tmp_path), *QUICK)
    for name in ("detector.json", "detector.safetensors"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_svms_are_trained_saved_and_shown_from_their_own_score(folder: Path, tmp_path: Path) -> None:
    """Their scores are distances, of which 0.5 would be half way into the class."""
    out, seen = tmp_path / "detector", tmp_path / "seen"
    call("train", str(folder), "--out", str(out), *QUICK, "--head", "svm")
    assert '"svm_scale"' in (out / "detector.json").read_text()
    image = str(folder / "JPEGImages" / "6.png")
    printed = call("run", str(out), image, "--out", str(seen), "--score=-0.9")
    (all_found,) = json.loads((seen / "detections.json").read_text()).values()
    assert f"{len(all_found)} objects in 1 image" in printed
    call("run", str(out), image, "--out", str(seen))
    (sure,) = json.loads((seen / "detections.json").read_text()).values()
    assert sure == [each for each in all_found if each["score"] >= 0]
    assert len(all_found) > len(sure)


def test_annotated_boxes_are_counted_and_drawn(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "shown"
    printed = call("show", str(folder), "--out", str(out), "--split", "test", "--count", "5")
    assert {path.name for path in out.iterdir()} == {"6-boxes.png", "7-boxes.png"}
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.split()[0] in BLOTS.classes}
    for label, name in enumerate(BLOTS.classes):
        own = [len(BLOTS.train.objects[index].of(label)) for index in range(8)]
        counts = [sum(own[:6]), sum(map(bool, own[:6])), sum(own[6:]), sum(map(bool, own[6:]))]
        assert rows[name] == [str(count) for count in counts]
    with Image.open(out / "6-boxes.png") as image:
        drawn = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert {tuple(bytes.fromhex(PALETTE[label][1:])) for label in set(BLOTS.train.objects[6].labels)} <= drawn


def test_no_image_is_overwritten(trained: Path, folder: Path, tmp_path: Path) -> None:
    photograph = tmp_path / "a.png"
    photograph.write_bytes((folder / "JPEGImages" / "6.png").read_bytes())
    before = photograph.read_bytes()
    words = refused("run", str(trained), str(tmp_path), "--out", str(tmp_path / "b" / ".."))
    assert "would overwrite the image" in words
    assert photograph.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_images_of_any_kind_and_size_are_read(trained: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 71, 4), np.uint8)
    Image.fromarray(pixels[..., 0]).save(images / "grey.jpg")
    Image.fromarray(pixels).save(images / "transparent.png")
    Image.fromarray(pixels[:1, :1, :3]).save(images / "pixel.bmp")
    Image.fromarray(pixels[:2, :, :3]).save(images / "line.webp")
    (images / "notes.txt").write_text("no image")
    call("run", str(trained), str(images), "--out", str(tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {Path(name).stem for name in found} == {"grey", "transparent", "pixel", "line"}


def test_a_damaged_image_is_named_before_anything_is_written(trained: Path, folder: Path, tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    (images / "a.png").write_bytes((folder / "JPEGImages" / "6.png").read_bytes())
    (images / "b.png").write_bytes((folder / "JPEGImages" / "7.png").read_bytes()[:900])
    assert "b.png: the image cannot be decoded" in refused("run", str(trained), str(images), "--out", str(out))
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "JPEGImages" / "7.png").write_bytes(b"no image")  # a test image, which is needed last
    assert "7.png: the image cannot be decoded" in refused("train", str(copy), "--out", str(out), *QUICK)
    Image.fromarray(BLOTS.train.image(7)[:48, :64]).save(copy / "JPEGImages" / "7.png")
    for command in (("train", *QUICK), ("show", "--split", "test")):
        words = refused(command[0], str(copy), "--out", str(out), *command[1:])
        assert "image 7: is 64 × 48 pixels, but its boxes reach to" in words
    assert not out.exists() or not list(out.iterdir())


def test_images_without_objects_and_classes_without_test_images_are_no_error(folder: Path, tmp_path: Path) -> None:
    """Class by class: what no test image shows has no figure, and the report says so."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    keep_only(copy, "0", None)
    keep_only(copy, "6", BLOTS.classes[0])
    keep_only(copy, "7", BLOTS.classes[0])
    call("train", str(copy), "--out", str(tmp_path / "out"), *QUICK, "--head", "svm")
    report = (tmp_path / "out" / "report.md").read_text()
    assert f"No test image shows {', '.join(BLOTS.classes[1:])}: nothing is known of them." in report
    for index in range(6):
        keep_only(copy, str(index), None)
    keep_only(copy, "6", None)
    keep_only(copy, "7", None)
    assert "no training image of" in refused("train", str(copy), "--out", str(tmp_path / "new"), *QUICK)


def keep_only(folder: Path, stem: str, name: str | None) -> None:
    """Drop all objects of an annotation but those of one class."""
    file = folder / "Annotations" / f"{stem}.xml"
    tree = ElementTree.parse(file)
    for each in tree.findall("object"):
        if each.findtext("name") != name:
            tree.getroot().remove(each)
    tree.write(file)


def test_what_cannot_be_is_said(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "new")
    image = str(folder / "JPEGImages" / "6.png")
    for arguments, words in (
        (("train", str(tmp_path), "--out", out), "is in neither layout"),
        (("train", str(tmp_path / "no"), "--out", out), "no does not exist"),
        (("show", image, "--out", out), "6.png is a file"),
        (("run", str(trained), image, "--out", out, "--score", "nan"), "--score must be finite, got nan"),
        (("train", str(folder), "--out", str(trained)), "holds a trained detector"),
        (("train", str(folder), "--out", out, "--scales", "a"), "--scales must be whole numbers"),
        (("train", str(folder), "--out", out, "--head", "tree"), "--head must be softmax or svm"),
        (("show", str(folder), "--out", out, "--split", "val"), "--split must be train or test, got 'val'"),
        (("run", str(tmp_path), image, "--out", out), "holds no trained detector"),
        (("run", str(trained), str(tmp_path / "no.png"), "--out", out), "is not an image"),
        (("run", str(trained), image, image, "--out", out), "names of their own"),
    ):
        assert words in refused(*arguments)
    assert not (tmp_path / "new").exists()


def test_a_damaged_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    settings = DetectorSettings()
    found = data.load("voc", folder)
    assert commands._begin(tmp_path, settings, found) is None
    (tmp_path / commands.CHECKPOINT).write_bytes(b"no tensors")
    with pytest.raises(RunError, match=r"epoch\.safetensors is damaged"):
        commands._begin(tmp_path, settings, found)


def test_coco_is_recognised(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        (tmp_path / "images" / split).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images" / split / "1.png")
        (tmp_path / "labels" / split).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("names: ['a', 'b']\n")
    assert commands.read_folder(tmp_path).classes == ("a", "b")
