"""``cenote detect`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cenote.cli import app
from cenote.errors import RunError
from cenote.lab import data
from cenote.pooling.spp_net import commands
from cenote.pooling.spp_net.training import DetectorSettings

BLOTS = data.load("blots")

QUICK = ("--epochs", "2", "--steps", "5", "--proposals", "30", "--side", "32", "--levels", "2,1", "--scales", "96")


def call(*arguments: str) -> str:
    outcome = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["detect", *arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def refused(*arguments: str) -> str:
    """The one sentence that a call is refused with, whatever the width of the terminal."""
    outcome = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["detect", *arguments])
    assert outcome.exit_code == 2, outcome.output
    return " ".join(outcome.stderr.split())


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
    call("train", str(folder), "--out", str(tmp_path), *QUICK)
    for name in ("detector.json", "detector.safetensors"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_what_cannot_be_is_said(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "new")
    image = str(folder / "JPEGImages" / "6.png")
    for arguments, words in (
        (("train", str(tmp_path), "--out", out), "is in neither layout"),
        (("train", str(folder), "--out", str(trained)), "holds a trained detector"),
        (("train", str(folder), "--out", out, "--scales", "a"), "--scales must be whole numbers"),
        (("train", str(folder), "--out", out, "--head", "tree"), "--head must be softmax or svm"),
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
