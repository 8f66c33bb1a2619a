"""``cenote recognise``: learn from a folder of sensor recordings what people do, and recognise it in others."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cenote.catalog.files import write_text_atomic
from cenote.errors import ArgumentError
from cenote.lab import plots
from cenote.lab.data.recording_files import RecordingFile, files_in, open_recording
from cenote.lab.data.recording_folder import Columns, read_folder
from cenote.lab.wording import counted
from cenote.pooling.l_sfan.commands.reporting import columns_of, importance_table, score_table, write_row
from cenote.pooling.l_sfan.commands.running import Watched, answers_in, one_thread, rows_of
from cenote.pooling.l_sfan.commands.training import Job, Wishes
from cenote.pooling.l_sfan.pictures import heat_map
from cenote.pooling.l_sfan.recogniser import Recogniser, load_recogniser
from cenote.pooling.progress import show_progress

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

STANDARD_INPUT = Path("-")


@app.callback()
def recognise() -> None:
    """Learn from recordings of body-worn sensors what people do, judged on people left out, and recognise it."""


@app.command("train")
def train_command(
    folder: Annotated[Path, typer.Argument(help="A CSV file a recording: a row a frame, a column a sensor.")],
    out: Annotated[Path, typer.Option(help="Folder for the recogniser, its report, predictions and pictures.")],
    rate: Annotated[float, typer.Option(help="Frames a second.")],
    subject: Annotated[str, typer.Option(help="Column that says who was recorded.")] = "subject",
    label: Annotated[str, typer.Option(help="Column that says what is done in a frame.")] = "label",
    leave_out: Annotated[str, typer.Option(help="Columns that are no sensors, with commas between.")] = "time",
    network: Annotated[
        str, typer.Option(help="l-sfan, cnn-tap without attention, or cnn-sap over sensors.")
    ] = "l-sfan",
    seconds: Annotated[float, typer.Option(help="Length of a window.")] = 3.0,
    overlap: Annotated[float, typer.Option(help="Part of a window that the next one repeats.")] = 0.75,
    folds: Annotated[int, typer.Option(min=0, help="Folds of subjects; 0 leaves out one subject each.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training windows.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows of a training step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = 3e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and variants of the windows.")] = 0,
) -> None:
    """Leave each subject out to see how well it works, then learn from all; goes on where it was interrupted."""
    wishes = Wishes(network, rate, seconds, overlap, folds, epochs, batch_size, learning_rate, seed)
    others = tuple(filter(None, (name.strip() for name in leave_out.split(","))))
    with show_progress() as progress:
        job = Job(read_folder(folder, Columns(subject, label, others), progress), wishes, out)
        scores = job.run(progress)
    console = Console(highlight=False, markup=False)
    console.print(score_table(scores))
    for note in job.notes:
        console.print(note, soft_wrap=True)
    console.print(f"recogniser, report, predictions and pictures: {out}", soft_wrap=True)


@app.command("run")
def run_command(
    recogniser: Annotated[Path, typer.Argument(help="Folder of a trained recogniser.")],
    recordings: Annotated[list[Path], typer.Argument(help="CSV files or folders of them; - is what comes in.")],
    out: Annotated[Path | None, typer.Option(help="CSV file for the answers; the terminal if left out.")] = None,
    importance: Annotated[
        Path | None, typer.Option(help="PNG file for a picture of which sensors decide, and when.")
    ] = None,
) -> None:
    """Recognise what is done in recordings, window after window, as soon as each is complete."""
    for option, path, suffix in (("--out", out, ".csv"), ("--importance", importance, ".png")):
        if path is not None and (path.suffix != suffix or not path.resolve().parent.is_dir()):
            raise ArgumentError(f"{option}: got {path}, allowed is a {suffix} file in a folder that is there")
    trained = load_recogniser(recogniser)
    places = _places(recordings, {path.resolve() for path in (out, importance) if path is not None})
    watched = Watched(trained, importance is not None)
    lines = [write_row(columns_of(trained.design))]
    if out is None:
        typer.echo(lines[0], nl=False)
    with one_thread():
        for row in _answers(places, trained, watched):
            lines.append(write_row(row))
            if out is None:
                typer.echo(lines.pop(), nl=False)
    console = Console(highlight=False, markup=False, stderr=out is None)
    if importance is not None and not watched.count:
        raise ArgumentError("--importance: no recording is as long as a window, so that there is nothing to draw")
    if out is not None:
        write_text_atomic(out, "".join(lines))
    console.print(f"{counted(watched.count, 'window')} in {counted(len(places), 'recording')}", soft_wrap=True)
    if importance is not None:
        plots.save(heat_map(watched.mean().T, trained.design.sensors), importance)
        console.print(importance_table(trained.design.sensors, watched.mean()))


def _answers(places: dict[str, Path], trained: Recogniser, watched: Watched) -> Iterator[Sequence[str]]:
    for name, path in places.items():
        if path == STANDARD_INPUT:
            yield from rows_of(name, answers_in(RecordingFile(sys.stdin, name), trained, watched, live=True), trained)
        else:
            with open_recording(path, name) as file:
                yield from rows_of(name, answers_in(file, trained, watched), trained)


def _places(recordings: Sequence[Path], written: set[Path]) -> dict[str, Path]:
    """The recordings by name; a file in a folder is named from the folder."""
    places: dict[str, Path] = {}
    for place in recordings:
        inside = files_in(place) if place.is_dir() else {"-" if place == STANDARD_INPUT else str(place): place}
        if twice := sorted(inside.keys() & places.keys()):
            raise ArgumentError(f"recordings: two are called {twice[0]}; give each once")
        places |= inside
    for path in places.values():
        if path != STANDARD_INPUT and not path.is_file():
            raise ArgumentError(f"recordings: {path} does not exist, nor is it - for what comes in")
        if path.resolve() in written:
            raise ArgumentError(f"--out {path} would overwrite a recording; name another file")
    return places
