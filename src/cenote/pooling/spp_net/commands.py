"""``cenote detect``: train a detector on a folder of images with boxes, and run it on images."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.console import Console
from rich.table import Table
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.errors import ArgumentError, DataFormatError, RunError
from cenote.lab import plots
from cenote.lab.data import DetectionSplit, ObjectDetection, coco, voc
from cenote.lab.data.detection import read_image
from cenote.lab.wording import counted
from cenote.pooling.progress import show_progress
from cenote.pooling.spp_net.detector import Detections, SPPDetector
from cenote.pooling.spp_net.measuring import Measurement, measure_detector, score_limits, surer_than
from cenote.pooling.spp_net.mining import fit_svm_head
from cenote.pooling.spp_net.pictures import Box, boxes_of, picture
from cenote.pooling.spp_net.pretraining import State
from cenote.pooling.spp_net.proposals import propose
from cenote.pooling.spp_net.saving import CONFIG, dump_detector, load_detector
from cenote.pooling.spp_net.training import (
    DetectorSettings,
    Progress,
    convolutions_of,
    empty_detector,
    fit_head,
    propose_all,
    train_convolutions,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

CHECKPOINT, STARTED = "epoch.safetensors", "training.json"
"""State of the last whole epoch, and what was asked for; both go when the detector is there."""

_PICTURES = 4
"""Test images that are drawn in a report."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


@app.callback()
def detect() -> None:
    """Look at a folder of images with boxes, train a detector on it, and find objects in images."""


@app.command("show")
def show_command(
    folder: Annotated[Path, typer.Argument(help="Images with boxes, in Pascal VOC's or COCO's layout.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    split: Annotated[str, typer.Option(help="train or test.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Images to draw, of a fixed shuffle.")] = 8,
) -> None:
    """Count the objects of a folder and draw the annotated boxes of some images, to see whether they are read right."""
    if split not in ("train", "test"):
        raise ArgumentError(f"--split must be train or test, got {split!r}")
    data = read_folder(folder)
    drawn = (data.train if split == "train" else data.test).first(count)
    _make_folder(out)
    with show_progress() as progress:
        for index, name in enumerate(drawn.names):
            image = _checked_image(drawn, index)
            boxes = boxes_of(drawn.objects[index], data.classes)
            # A name of its own, so that an image that lies in the same folder is not overwritten.
            path = out / f"{Path(name).name}-boxes.png"
            plots.save(picture([(image, boxes, f"{name}: {len(boxes)} annotated")], data.classes), path)
            progress("pictures", index + 1, len(drawn))
    console = Console(highlight=False, markup=False)
    console.print(_table(("class", "objects to train on", "in images", "to test on", "in images"), _counts(data)))
    if data.note:
        console.print(data.note)
    console.print(f"{counted(len(drawn), 'picture')}: {out}", soft_wrap=True)


@app.command("train")
def train_command(
    folder: Annotated[Path, typer.Argument(help="Images with boxes, in Pascal VOC's or COCO's layout.")],
    out: Annotated[Path, typer.Option(help="Folder for the detector, its report and pictures.")],
    head: Annotated[str, typer.Option(help="softmax, or svm as in the paper.")] = "softmax",
    scales: Annotated[str, typer.Option(help="Shorter sides of the image, such as 480,576,688,864,1200.")] = "480",
    levels: Annotated[str, typer.Option(help="Bins along a side of each grid.")] = "6,3,2,1",
    proposals: Annotated[int, typer.Option(min=1, help="Proposed windows of an image.")] = 500,
    epochs: Annotated[int, typer.Option(min=1, help="Passes of the convolutions over their crops.")] = 6,
    side: Annotated[int, typer.Option(min=8, help="Side of a crop, and of a window at its scale, in pixels.")] = 112,
    steps: Annotated[int, typer.Option(min=1, help="Batches of 128 windows for the head.")] = 1500,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, windows and batches.")] = 0,
) -> None:
    """Train a detector, measure it on the test images, and draw what it finds; goes on where it was interrupted."""
    if head not in ("softmax", "svm"):
        raise ArgumentError(f"--head must be softmax or svm, got {head!r}")
    settings = DetectorSettings(
        levels=_numbers("--levels", levels),
        scales=_numbers("--scales", scales),
        side=side,
        small_side=max(1, round(180 / 224 * side)),
        proposals=proposals,
        epochs=epochs,
        steps=steps,
        head=head,  # type: ignore[arg-type]
        seed=seed,
    )
    if (out / CONFIG).exists():
        raise RunError(f"{out} holds a trained detector; name another folder with --out, or remove it")
    data = read_folder(folder)
    if not sum(len(each) for each in data.train.objects):
        raise ArgumentError(f"folder: no training image of {folder} has an object")
    with show_progress() as progress:
        _look_through(data, progress)  # before anything is written, and not after hours
        resume = _begin(out, settings, data)
        detector = _trained(data, settings, out, resume, progress)
        measured = measure_detector(detector, data.test, data.test.objects, settings.proposals, progress=progress)
    # The pictures come first: a folder with a detector is a finished one.
    for index in range(min(_PICTURES, len(data.test))):
        _draw_test(out / f"test-{index + 1}.png", data, index, surer_than(measured.found[index], _shown_from(detector)))
    write_text_atomic(out / "report.md", _report(data, settings, measured))
    write_files_atomic({out / name: content for name, content in dump_detector(detector, settings).items()})
    for name in (CHECKPOINT, STARTED):
        (out / name).unlink(missing_ok=True)
    console = Console(highlight=False, markup=False)
    console.print(_table(_COLUMNS, _rows(measured)))
    console.print(f"detector, report and pictures: {out}", soft_wrap=True)


@app.command("run")
def run_command(
    detector: Annotated[Path, typer.Argument(help="Folder of a trained detector.")],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and detections.json.")],
    score: Annotated[
        float | None, typer.Option(help="Least score of a box; 0.5 for softmax, 0 for svm if left out.")
    ] = None,
    proposals: Annotated[int, typer.Option(min=1, help="Proposed windows of an image.")] = 2000,
) -> None:
    """Find objects in images, and draw their boxes."""
    if score is not None and not math.isfinite(score):
        raise ArgumentError(f"--score must be finite, got {score}")
    trained = load_detector(detector)
    least = _shown_from(trained) if score is None else score
    paths = _images(images)
    pictures = _picture_paths(paths, out)
    found: dict[str, Any] = {}
    with show_progress() as progress:
        for index, path in enumerate(paths):  # a damaged one is named before anything is written
            read_image(path)
            progress("reading", index + 1, len(paths))
        _make_folder(out)
        for index, (path, target) in enumerate(zip(paths, pictures, strict=True)):
            image = read_image(path)
            each = trained.detect(image, propose(image, proposals), score=least)
            found[str(path)] = _as_json(each, trained.classes)
            boxes = _found_boxes(each, trained.classes)
            plots.save(picture([(image, boxes, f"{len(boxes)} found")], trained.classes), target)
            progress("images", index + 1, len(paths))
    write_text_atomic(out / "detections.json", json.dumps(found, indent=2) + "\n")
    objects = counted(sum(len(each) for each in found.values()), "object")
    console = Console(highlight=False, markup=False)
    console.print(f"{objects} in {counted(len(paths), 'image')}: {out}", soft_wrap=True)


# --- reading ------------------------------------------------------------------------------------------------------


def read_folder(folder: Path) -> ObjectDetection:
    """Read a folder in Pascal VOC's or COCO's layout, whichever it is in.

    Raises:
        ArgumentError: If there is no such folder, or it is in neither.
        DataFormatError: If a file is missing or damaged.
    """
    if not folder.is_dir():
        raise ArgumentError(f"folder: {folder} {'is a file' if folder.exists() else 'does not exist'}")
    if (folder / "Annotations").is_dir():
        return voc.read_folder(folder, "voc")
    splits = coco.splits_of(folder)
    if splits is not None:
        return coco.read_folder(folder, *splits)
    raise ArgumentError(
        f"folder: {folder} is in neither layout; needs Annotations/, JPEGImages/ and ImageSets/Main/ as Pascal VOC "
        "has, or images/train2017 and images/val2017, or these without images/, and annotations/ or labels/ as COCO has"
    )


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise ArgumentError(f"{option} must be whole numbers from 1 up with commas between, got {text!r}")
    return numbers


def _images(places: Sequence[Path]) -> list[Path]:
    paths: list[Path] = []
    for place in places:
        inside = sorted(path for path in place.glob("*") if path.suffix.lower() in _SUFFIXES) if place.is_dir() else []
        paths += inside or [place]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ArgumentError(f"images: {missing[0]} is not an image, nor a folder that holds one")
    return paths


def _picture_paths(paths: Sequence[Path], out: Path) -> list[Path]:
    """Where each picture goes, which must be none of the images."""
    twice = [name for name, count in Counter(path.stem for path in paths).items() if count > 1]
    if twice:
        raise ArgumentError(f"images must have names of their own, since pictures are named after them: {twice[0]}")
    pictures = [out / f"{path.stem}.png" for path in paths]
    lost = {path.resolve() for path in paths} & {path.resolve() for path in pictures}
    if lost:
        raise ArgumentError(f"--out {out} would overwrite the image {min(lost)}; name another folder")
    return pictures


def _look_through(data: ObjectDetection, progress: Progress) -> None:
    """Decode every image once, so that a damaged one is known before the work begins."""
    total = len(data.train) + len(data.test)
    for split, before in ((data.train, 0), (data.test, len(data.train))):
        for index in range(len(split)):
            _checked_image(split, index)
            progress("reading", before + index + 1, total)


def _checked_image(split: DetectionSplit, index: int) -> npt.NDArray[np.uint8]:
    """An image whose boxes lie within it: in Pascal VOC's layout it is the annotation that says how large it is.

    Raises:
        DataFormatError: If it cannot be decoded, or is smaller than its boxes.
    """
    image = split.image(index)
    right, bottom = split.objects[index].boxes[:, 2:].max(axis=0, initial=0.0)
    height, width = image.shape[:2]
    if right > width or bottom > height:
        raise DataFormatError(
            f"image {split.names[index]}: is {width} × {height} pixels, but its boxes reach to {right:g} × {bottom:g}; "
            "they were drawn on another size of it"
        )
    return image


def _counts(data: ObjectDetection) -> Iterator[tuple[str, ...]]:
    """A row for each class: its objects and the images that show one, of both splits; then the sums."""
    for label, name in enumerate(data.classes):
        own = [[len(each.of(label)) for each in split.objects] for split in (data.train, data.test)]
        yield name, *(f"{count:,}" for each in own for count in (sum(each), sum(map(bool, each))))
    yield (
        "all",
        *(
            f"{count:,}"
            for split in (data.train, data.test)
            for count in (sum(map(len, split.objects)), sum(len(each) > 0 for each in split.objects))
        ),
    )


# --- training -----------------------------------------------------------------------------------------------------


def _begin(out: Path, settings: DetectorSettings, data: ObjectDetection) -> State | None:
    """Make the folder, or return the state of the training that was interrupted in it."""
    _make_folder(out)
    asked = {"settings": dataclasses.asdict(settings), "classes": list(data.classes), "images": list(data.train.names)}
    text = json.dumps(asked, indent=2)
    if not (out / STARTED).exists():
        write_text_atomic(out / STARTED, text)
        return None
    if (out / STARTED).read_text(encoding="utf-8") != text:
        raise RunError(f"{out} holds a training with other settings or images; name another folder with --out")
    try:
        return read_tensors((out / CHECKPOINT).read_bytes()) if (out / CHECKPOINT).exists() else None
    except SafetensorError as error:
        raise RunError(f"{out / CHECKPOINT} is damaged ({error}); remove it to begin anew") from error


def _trained(
    data: ObjectDetection, settings: DetectorSettings, out: Path, resume: State | None, progress: Progress
) -> SPPDetector:
    """Train convolutions, from the state that was kept if there is one, then the head."""
    if resume is not None:
        done = int(resume["epoch"]) + 1
        Console(stderr=True, highlight=False).print(f"goes on after epoch {done} of {settings.epochs}")
    proposals = propose_all(data.train, settings, progress)
    convolutions = convolutions_of(settings)

    def keep(_: int, __: float, state: State) -> None:
        write_bytes_atomic(out / CHECKPOINT, write_tensors(state))

    train_convolutions(
        convolutions, data.train, data.train.objects, proposals, settings,
        progress=progress, resume=resume, on_epoch=keep,
    )  # fmt: skip
    detector = empty_detector(convolutions, data.classes, settings)
    sampled = dataclasses.replace(settings, head="softmax")  # SVMs read its hidden layer
    fitted = fit_head(
        detector.features, data.train, data.train.objects, proposals, len(data.classes), sampled, progress=progress
    )
    detector.head, detector.regression = fitted.head, fitted.regression
    if settings.head == "svm":
        detector.head = fit_svm_head(
            detector, data.train, data.train.objects, proposals, seed=settings.seed, progress=progress
        )
    return detector


# --- the report ---------------------------------------------------------------------------------------------------


_COLUMNS = ("class", "AP", "AP, 11 points", "recall of the proposals")


def _rows(measured: Measurement) -> Iterator[tuple[str, ...]]:
    for row in measured.rows():
        found = "" if row.recall is None else f"{row.recall:.3f}"
        yield row.name, f"{row.all_points:.3f}", f"{row.eleven_points:.3f}", found


def _table(columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column == "class" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _report(data: ObjectDetection, settings: DetectorSettings, measured: Measurement) -> str:
    lines = [
        "# A detector and what it finds",
        "",
        f"Trained on {len(data.train):,} images, tested on {len(data.test):,} at an overlap of 0.5.",
        *([data.note] if data.note else []),
        *_unseen(measured.missing),
        f"Scoring {settings.proposals:,} windows of an image takes {measured.milliseconds:,.0f} ms (median, "
        f"{counted(torch.get_num_threads(), 'thread')}). No class can have a higher AP than its proposals have recall, "
        "unless box regression brings a window closer.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| --- | ---: | ---: | ---: |",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in _rows(measured)),
        "",
        *(
            f"![Boxes annotated and found in test image {index + 1}](test-{index + 1}.png)"
            for index in range(min(_PICTURES, len(data.test)))
        ),
        "",
        "Settings:",
        "",
        "```json",
        json.dumps(dataclasses.asdict(settings), indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _unseen(names: Sequence[str], most: int = 8) -> Iterator[str]:
    """Say of which classes nothing was measured, if of any."""
    if names:
        others = f" and {counted(len(names) - most, 'other')}" if len(names) > most else ""
        yield f"No test image shows {', '.join(names[:most])}{others}: nothing is known of them."


def _draw_test(path: Path, data: ObjectDetection, index: int, found: Detections) -> None:
    """Draw the annotated boxes of a test image beside those that were found."""
    image, truth = data.test.image(index), boxes_of(data.test.objects[index], data.classes)
    title = f"{data.test.names[index]}: {len(truth)} annotated"
    panels = [(image, truth, title), (image, _found_boxes(found, data.classes), f"{len(found)} found")]
    plots.save(picture(panels, data.classes), path)


def _found_boxes(found: Detections, classes: Sequence[str]) -> list[Box]:
    rows = zip(found.boxes, found.labels, found.scores, strict=True)
    return [Box(box, classes[label], float(score)) for box, label, score in rows]


def _shown_from(detector: SPPDetector) -> float:
    _, shown = score_limits(detector)
    return shown


def _as_json(found: Detections, classes: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"class": classes[label], "score": round(float(score), 4), "box": [round(float(value), 1) for value in box]}
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True)
    ]


# --- terminal -----------------------------------------------------------------------------------------------------


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"--out {out} cannot be made: {error.strerror}") from error
