"""``cenote detect``: train a detector on a folder of images with boxes, and run it on images."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.errors import ArgumentError, RunError
from cenote.lab import plots
from cenote.lab.data import ObjectDetection, coco, voc
from cenote.lab.data.detection import read_image
from cenote.pooling.spp_net.average_precision import Ranked, mean_average_precision, rank
from cenote.pooling.spp_net.detector import Detections, SPPDetector
from cenote.pooling.spp_net.pictures import Box, picture
from cenote.pooling.spp_net.pretraining import State
from cenote.pooling.spp_net.proposals import propose, recall
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
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


@app.callback()
def detect() -> None:
    """Train a detector, and find objects in images."""


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
    data = read_folder(folder)
    resume = _begin(out, settings, data)
    with _progress() as progress:
        detector = _trained(data, settings, out, resume, progress)
        measured = _measure(detector, data, settings, progress)
    # The pictures come first: a folder with a detector is a finished one.
    for index, (image, found) in enumerate(measured.shown):
        _draw(out / f"test-{index + 1}.png", image, found, detector.classes)
    write_text_atomic(out / "report.md", _report(data, settings, measured))
    write_files_atomic({out / name: content for name, content in dump_detector(detector, settings).items()})
    for name in (CHECKPOINT, STARTED):
        (out / name).unlink(missing_ok=True)
    console = Console(highlight=False)
    console.print(_table(data, measured))
    console.print(f"detector, report and pictures: {out}", soft_wrap=True)


@app.command("run")
def run_command(
    detector: Annotated[Path, typer.Argument(help="Folder of a trained detector.")],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and detections.json.")],
    score: Annotated[float, typer.Option(help="Least score of a box.")] = 0.5,
    proposals: Annotated[int, typer.Option(min=1, help="Proposed windows of an image.")] = 2000,
) -> None:
    """Find objects in images, and draw their boxes."""
    trained = load_detector(detector)
    paths = _images(images)
    names = [path.stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(f"images must have names of their own, since pictures are named after them: {twice[0]}")
    _make_folder(out)
    found: dict[str, Any] = {}
    with _progress() as progress:
        for index, path in enumerate(paths):
            image = read_image(path)
            each = trained.detect(image, propose(image, proposals), score=score)
            found[str(path)] = _as_json(each, trained.classes)
            _draw(out / f"{path.stem}.png", image, each, trained.classes)
            progress("images", index + 1, len(paths))
    write_text_atomic(out / "detections.json", json.dumps(found, indent=2) + "\n")
    total = sum(len(each) for each in found.values())
    Console(highlight=False).print(f"{total} boxes in {len(paths)} images: {out}", soft_wrap=True)


# --- reading ------------------------------------------------------------------------------------------------------


def read_folder(folder: Path) -> ObjectDetection:
    """Read a folder in Pascal VOC's or COCO's layout, whichever it is in.

    Raises:
        ArgumentError: If it is in neither.
        DataFormatError: If a file is missing or damaged.
    """
    if (folder / "Annotations").is_dir():
        return voc.read_folder(folder, "voc")
    splits = coco.splits_of(folder)
    if splits is not None:
        return coco.read_folder(folder, *splits)
    raise ArgumentError(
        f"folder: {folder} is in neither layout; needs Annotations/, JPEGImages/ and ImageSets/Main/ as Pascal VOC "
        "has, or images/train2017, images/val2017 and annotations/ or labels/ as COCO has"
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


# --- training -----------------------------------------------------------------------------------------------------


def _begin(out: Path, settings: DetectorSettings, data: ObjectDetection) -> State | None:
    """Make the folder, or return the state of the training that was interrupted in it."""
    _make_folder(out)
    asked = {"settings": dataclasses.asdict(settings), "classes": list(data.classes), "images": list(data.train.names)}
    text = json.dumps(asked, indent=2)
    if (out / CONFIG).exists():
        raise RunError(f"{out} holds a trained detector; name another folder with --out, or remove it")
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
    proposals = propose_all(data.train, settings, progress)
    convolutions = convolutions_of(settings)

    def keep(_: int, __: float, state: State) -> None:
        write_bytes_atomic(out / CHECKPOINT, write_tensors(state))

    train_convolutions(
        convolutions, data.train, data.train.objects, proposals, settings,
        progress=progress, resume=resume, on_epoch=keep,
    )  # fmt: skip
    detector = empty_detector(convolutions, data.classes, settings)
    fitted = fit_head(
        detector.features, data.train, data.train.objects, proposals, len(data.classes), settings, progress=progress
    )
    detector.head, detector.regression = fitted.head, fitted.regression
    return detector


# --- measuring ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Measured:
    ranked: list[Ranked]
    recalls: list[float]
    milliseconds: float
    shown: list[tuple[np.ndarray[Any, np.dtype[np.uint8]], Detections]]


def _measure(detector: SPPDetector, data: ObjectDetection, settings: DetectorSettings, progress: Progress) -> _Measured:
    found, proposals, shown, seconds = [], [], [], []
    least = 0.02 if settings.head == "softmax" else -1.0
    for index in range(len(data.test)):
        image = data.test.image(index)
        proposals.append(propose(image, settings.proposals))
        start = time.perf_counter()
        found.append(detector.detect(image, proposals[-1], score=least, most=200))
        seconds.append(time.perf_counter() - start)
        if index < _PICTURES:
            sure = found[-1].scores >= (0.5 if settings.head == "softmax" else 0.0)
            shown.append((image, Detections(found[-1].boxes[sure], found[-1].scores[sure], found[-1].labels[sure])))
        progress("testing", index + 1, len(data.test))
    ranked, recalls = [], []
    for label in range(len(data.classes)):
        own = [each.of(label) for each in data.test.objects]
        boxes = [each.boxes for each in own]
        ranked.append(rank([each.of(label) for each in found], boxes, difficult=[each.difficult for each in own]))
        recalls.append(recall(proposals, boxes))
    return _Measured(ranked, recalls, 1e3 * float(np.median(seconds)), shown)


def _rows(data: ObjectDetection, measured: _Measured) -> Iterator[tuple[str, str, str, str]]:
    for name, each, found in zip(data.classes, measured.ranked, measured.recalls, strict=True):
        if each.objects.sum():
            values = (each.average_precision(), each.average_precision("11-point"))
            yield name, f"{values[0]:.3f}", f"{values[1]:.3f}", f"{found:.3f}"
    both = [mean_average_precision(measured.ranked, "all-points"), mean_average_precision(measured.ranked, "11-point")]
    yield "mean", f"{both[0]:.3f}", f"{both[1]:.3f}", ""


_COLUMNS = ("class", "AP", "AP, 11 points", "recall of the proposals")


def _table(data: ObjectDetection, measured: _Measured) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "class" else "right")
    for row in _rows(data, measured):
        table.add_row(*row)
    return table


def _report(data: ObjectDetection, settings: DetectorSettings, measured: _Measured) -> str:
    lines = [
        "# A detector and what it finds",
        "",
        f"Trained on {len(data.train):,} images, tested on {len(data.test):,} at an overlap of 0.5.",
        *([data.note] if data.note else []),
        f"Scoring {settings.proposals:,} windows of an image takes {measured.milliseconds:,.0f} ms (median, "
        f"{torch.get_num_threads()} threads). No class can have a higher AP than its proposals have recall, unless box "
        "regression brings a window closer.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| --- | ---: | ---: | ---: |",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in _rows(data, measured)),
        "",
        *(f"![Boxes found in test image {index + 1}](test-{index + 1}.png)" for index in range(len(measured.shown))),
        "",
        "Settings:",
        "",
        "```json",
        json.dumps(dataclasses.asdict(settings), indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _draw(path: Path, image: np.ndarray[Any, np.dtype[np.uint8]], found: Detections, classes: Sequence[str]) -> None:
    boxes = [
        Box(box, classes[label], float(score))
        for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True)
    ]
    plots.save(picture([(image, boxes, f"{len(boxes)} found")], classes), path)


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


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show how far a step is: a bar on a terminal, a line a tenth elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:

        def say(what: str, done: int, total: int) -> None:
            if done == total or 10 * done // total > 10 * (done - 1) // total:
                console.print(f"{what}: {done} of {total}", soft_wrap=True)

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        kind = ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal kind
            if what.partition(",")[0] != kind:
                kind = what.partition(",")[0]
                bar.reset(task)
            bar.update(task, description=what, completed=done, total=total)

        yield show
