"""``cenote reconstruct``: learn to rebuild bodies from images of them, and rebuild others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cenote.catalog.files import write_text_atomic
from cenote.errors import ArgumentError
from cenote.lab import plots
from cenote.lab.data.binvox import write_binvox
from cenote.lab.data.gltf import write_gltf
from cenote.lab.wording import counted
from cenote.pooling.attsets.commands.job import Job, Wishes, check_apart, check_threshold, make_folder
from cenote.pooling.attsets.commands.measuring import Measurement, guess, measure
from cenote.pooling.attsets.commands.network import Kind, load_network
from cenote.pooling.attsets.commands.objects import Collection, Entry, find_objects
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.voxel_pictures import Rebuilt, Weighed, draw_rebuilt, draw_weights, grid_iou
from cenote.pooling.devices import check_device
from cenote.pooling.progress import show_progress

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

REBUILT = "reconstructions.json"

_IMAGES = "-images"
"""Behind the name of an object: the picture of its images with their weights."""

_PICTURES = 4
"""Test objects that are drawn in a report."""

_CENTRED = (-0.5, -0.5, -0.5)
"""Where the corner of a rebuilt cube of side 1 lies."""


@app.callback()
def reconstruct() -> None:
    """Learn the bodies of objects from images of them, and rebuild others from any number of images."""


@app.command("train")
def train_command(
    folder: Annotated[Path, typer.Argument(help="A folder for each object: images and a .binvox file.")],
    out: Annotated[Path, typer.Option(help="Folder for the network, its report and pictures.")],
    network: Annotated[str, typer.Option(help="small, or r2n2 as in the paper.")] = "small",
    image_size: Annotated[
        int | None, typer.Option(min=8, help="Side that images are brought to; 64, or 127 for r2n2.")
    ] = None,
    features: Annotated[int, typer.Option(min=1, help="Features of an image in the small network.")] = 128,
    hidden: Annotated[int, typer.Option(min=1, help="Width of its hidden layers.")] = 256,
    steps: Annotated[int, typer.Option(min=1, help="Steps of encoder and decoder, on single images.")] = 4000,
    set_steps: Annotated[int, typer.Option(min=1, help="Steps of the attention, on sets.")] = 500,
    views: Annotated[int, typer.Option(min=2, help="Images of a set, at most; 2 or more are drawn.")] = 24,
    batch_size: Annotated[int, typer.Option(min=1, help="Single images of a step.")] = 32,
    set_batch_size: Annotated[int, typer.Option(min=1, help="Sets of a step.")] = 8,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest one of Adam, behind a warm-up; 0.003, or 0.0001 for r2n2.")
    ] = None,
    attention_rate: Annotated[
        float | None, typer.Option(help="That of the attention; three times as high if left out.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Probability above which a cell is predicted.")] = 0.4,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and batches.")] = 0,
    device: Annotated[str, typer.Option(help="Where the network is trained, such as cpu or cuda.")] = "cpu",
) -> None:
    """Train a network on objects with known grids, measure it on every fifth, and draw what it rebuilds.

    Encoder and decoder learn from single images, then the attention alone from sets of them. Interrupted, the same
    command goes on behind the last state that was kept and ends as it would have.
    """
    wishes = Wishes(
        cast(Kind, network), image_size, features, hidden, steps, set_steps, views, batch_size, set_batch_size,
        learning_rate, attention_rate, threshold, seed, device,
    )  # fmt: skip
    with show_progress() as progress:
        job = Job(wishes, folder, out, progress)
        trained = job.fit()
        measured = measure(trained, job.train, job.test, threshold, device, progress)
    # The pictures come first: a folder with a network is a finished one.
    for index in range(min(_PICTURES, len(job.test))):
        _draw_test(out / f"test-{index + 1}.png", trained, job.test, index, wishes)
    job.close(trained, _report(job, measured), measured.as_json())
    console = Console(highlight=False, markup=False)
    console.print(_table(_COLUMNS, _rows(measured)))
    console.print(_constant(measured), soft_wrap=True)
    console.print(f"network, report and pictures: {out}", soft_wrap=True)


@app.command("run")
def run_command(
    network: Annotated[Path, typer.Argument(help="Folder of a trained network.")],
    folders: Annotated[list[Path], typer.Argument(help="A folder of images for each object, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for grids, meshes and pictures.")],
    threshold: Annotated[
        float | None,
        typer.Option(help="Probability above which a cell is predicted; that of the training if left out."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the network answers, such as cpu or cuda.")] = "cpu",
) -> None:
    """Rebuild objects from all of their images: as binvox, glTF and pictures."""
    if threshold is not None:
        check_threshold(threshold)
    check_device(device)
    trained = load_network(network)
    least = trained.threshold if threshold is None else threshold
    for folder in folders:
        check_apart(out, folder)
    entries = [entry for folder in folders for entry in find_objects(folder)]
    names = _file_names(entries)
    told: dict[str, Any] = {}
    with show_progress() as progress:
        # Every file is read before anything is written, so that a damaged one leaves nothing half done.
        objects = Collection(entries, trained.plan.image_size, progress, trained.plan.resolution, others=True)
        make_folder(out)
        rebuilding = trained.network.to(device)
        for index, name in enumerate(names):
            told[name] = _rebuild(rebuilding, objects, index, least, out / name, device)
            progress("objects", index + 1, len(names))
    write_text_atomic(out / REBUILT, json.dumps(told, indent=2) + "\n")
    console = Console(highlight=False, markup=False)
    console.print(_table(("object", "images", "cells", "IoU"), _told_rows(told)))
    for entry, size in objects.other_sizes.items():
        console.print(
            f"{entry.name}: no IoU, as its grid has {size} cells along a side and the network rebuilds "
            f"{trained.plan.resolution}",
            soft_wrap=True,
        )
    console.print(f"{counted(len(told), 'object')}: {out}", soft_wrap=True)


# --- a rebuilt object ---------------------------------------------------------------------------------------------


def _rebuild(
    network: ViewNetwork, objects: Collection, index: int, threshold: float, stem: Path, device: str
) -> dict[str, Any]:
    """Rebuild one object and write its files; return what is said of it."""
    entry, truth, views = objects.entries[index], objects.grids[index], objects.views(index)
    found = guess(network, views, device)
    cells = found.probabilities > threshold
    write_binvox(_with(stem, ".binvox"), cells, translate=_CENTRED)
    write_gltf(_with(stem, ".gltf"), cells, translate=_CENTRED)
    told: dict[str, Any] = {"folder": str(entry.folder), "images": len(views), "cells": int(cells.sum())}
    grids, titles = [cells], [f"{cells.sum():,} cells from {counted(len(views), 'image')}"]
    if truth is not None:
        told["iou"] = round(grid_iou(cells, truth), 4)
        grids, titles = [truth, cells], ["truth", f"{titles[0]}: IoU {told['iou']:.2f}"]
    rebuilt = Rebuilt(_bright(views)[0], grids, [entry.images[0].name, *titles])
    plots.save(draw_rebuilt([rebuilt], truth=None if truth is None else 0), _with(stem, ".png"))
    plots.save(draw_weights([Weighed(entry.name, _bright(views), found.weights)]), _with(stem, f"{_IMAGES}.png"))
    told["weights"] = {path.name: round(float(each), 4) for path, each in zip(entry.images, found.weights, strict=True)}
    return told


def _bright(views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images as they are drawn, in 0…1."""
    return (views / 255).astype(np.float32)


def _file_names(entries: Sequence[Entry]) -> list[str]:
    """What the files of each object are called, to which their endings are added."""
    names = [entry.name.replace("/", "-") for entry in entries]
    pictures = Counter(picture for name in names for picture in (name, f"{name}{_IMAGES}"))
    if twice := [picture for picture, count in pictures.items() if count > 1]:
        raise ArgumentError(f"folders: files are named after the objects, and two would be called {twice[0]}")
    return names


def _with(stem: Path, ending: str) -> Path:
    """The path with an ending, whatever dots are in the name."""
    return stem.with_name(stem.name + ending)


# --- the report ---------------------------------------------------------------------------------------------------

_COLUMNS = ("images", "test objects", "IoU", "IoU of the mean")


def _rows(measured: Measurement) -> Iterator[tuple[str, ...]]:
    for row in measured.rows:
        yield str(row.images), f"{row.objects:,}", f"{row.iou:.3f}", f"{row.iou_of_mean:.3f}"


def _told_rows(told: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, each in told.items():
        yield name, str(each["images"]), f"{each['cells']:,}", f"{each['iou']:.3f}" if "iou" in each else ""


def _table(columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column == "object" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _constant(measured: Measurement) -> str:
    return (
        "One and the same grid for every object, the mean of those for training, has an IoU of "
        f"{measured.constant:.3f}; what is not above that was not learned from the images."
    )


def _report(job: Job, measured: Measurement) -> str:
    drawn = range(min(_PICTURES, len(job.test)))
    lines = [
        "# Bodies rebuilt from images",
        "",
        f"Trained on {counted(len(job.train), 'object')}, tested on {counted(len(job.test), 'other')}, every fifth by "
        f"name. A cell counts as predicted above a probability of {job.wishes.threshold:g}. The last column has the "
        "mean of the images in the place of attention, with the same encoder and decoder.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "| ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(row) + " |" for row in _rows(measured)),
        "",
        _constant(measured),
        "",
        *(f"![A test object, its truth, and what is rebuilt](test-{index + 1}.png)" for index in drawn),
    ]
    return "\n".join(lines) + "\n"


def _draw_test(path: Path, network: ViewNetwork, test: Collection, index: int, wishes: Wishes) -> None:
    """Draw a test object beside what is rebuilt from one image and from all."""
    views, truth = test.views(index), test.targets()[index]
    grids, titles = [truth], [test.entries[index].name, "truth"]
    for count in dict.fromkeys((1, len(views))):
        cells = guess(network, views[:count], wishes.device).probabilities > wishes.threshold
        grids.append(cells)
        titles.append(f"{counted(count, 'image')}: IoU {grid_iou(cells, truth):.2f}")
    plots.save(draw_rebuilt([Rebuilt(_bright(views)[0], grids, titles)]), path)
