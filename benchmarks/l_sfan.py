"""L-SFAN beside the stacked LSTM it is compared with, on one machine, in one process, in turns.

    python benchmarks/l_sfan.py            # about a minute
    python benchmarks/l_sfan.py --quick

Windows are the paper's, 180 frames of 30 sensors, one at a time and 64 together. Ratios are to the LSTM of the
experiment, two layers of 32 units: the median of paired repeats with a 95 % interval. Beside it stands one of 64 units.
The limit is the four convolutions and their poolings alone, which every variant computes. Then parameters and bytes of
the weights on disk, and a recording of ten minutes at 60 Hz that goes through a stream in pieces: its answers against
those of its windows, and how many times faster than real time. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import typer
from _tables import begin, table
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from torch import nn

from cenote.lab.timing import time_interleaved
from cenote.pooling.l_sfan.baselines import StackedLSTM
from cenote.pooling.l_sfan.network import LSFAN
from cenote.pooling.l_sfan.streaming import WindowStream
from cenote.pooling.l_sfan.training import WindowClassifier
from cenote.pooling.l_sfan.windows import sliding_windows

FRAMES, SENSORS, CLASSES, STEP, RATE = 180, 30, 2, 45, 60
LSTM, LIMIT = "LSTM, 2 × 32 units", "limit: the convolutions alone"
LARGEST_DIFFERENCE = 1e-5
"""Between the probabilities of a stream and of the windows, in float32."""


def main(
    quick: Annotated[bool, typer.Option(help="Fewer repeats.")] = False,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print windows a second at batch 1 and 64, sizes on disk, and the stream against the windows."""
    console = Console(width=110)
    begin(console, f"windows of {FRAMES} × {SENSORS}", busy)
    torch.manual_seed(0)
    models: dict[str, nn.Module] = {
        LSTM: StackedLSTM(SENSORS, CLASSES),
        "LSTM, 2 × 64 units": StackedLSTM(SENSORS, CLASSES, hidden=64),
        "l-sfan": LSFAN(SENSORS, FRAMES, CLASSES),
        "cnn-tap": LSFAN(SENSORS, FRAMES, CLASSES, attention=False),
        "cnn-sap": LSFAN(SENSORS, FRAMES, CLASSES, pool="sap", attention=False),
    }
    for model in models.values():
        model.eval()
    for batch in (1, 64):
        _compare(console, models, batch, repeats=5 if quick else 11)
    console.print(_sizes(models))
    _stream(console, WindowClassifier(models["l-sfan"]), minutes=1 if quick else 10)


@torch.no_grad()
def _compare(console: Console, models: dict[str, nn.Module], batch: int, repeats: int) -> None:
    x = torch.randn(batch, FRAMES, SENSORS)
    whole = models["l-sfan"]
    assert isinstance(whole, LSFAN)
    functions = {name: (lambda model=model: model(x)) for name, model in models.items()}
    functions[LIMIT] = lambda: whole.cnn(x.unsqueeze(1))
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.2, warmup=2)
    console.print(table(f"batch {batch}", timings, LSTM, 1.0, ["l-sfan"]))
    speeds = ", ".join(f"{name} {batch / timings.median(name):,.0f}" for name in models)
    console.print(
        f"Windows a second: {speeds}. l-sfan takes {timings.ratio('l-sfan', LIMIT).median:.2f} times the limit; a "
        f"window is due every {STEP / RATE:g} s.\n"
    )


def _sizes(models: dict[str, nn.Module]) -> Table:
    shown = Table(title="weights", title_justify="left")
    for column in ("what", "parameters", "bytes on disk", "ratio to the LSTM"):
        shown.add_column(column)
    bytes_of = {name: len(save(model.state_dict())) for name, model in models.items()}
    for name, model in models.items():
        count = sum(weight.numel() for weight in model.parameters())
        shown.add_row(name, f"{count:,}", f"{bytes_of[name]:,}", f"{bytes_of[name] / bytes_of[LSTM]:.3f}")
    return shown


def _stream(console: Console, classifier: WindowClassifier, minutes: int) -> None:
    """A recording in pieces of a step against its windows, and of a length that fits nothing."""
    recording = np.random.default_rng(0).normal(size=(60 * RATE * minutes, SENSORS)).astype(np.float32)
    windows = sliding_windows(recording, FRAMES, STEP).values
    expected = classifier.predict_proba(windows)

    def streamed(size: int) -> np.ndarray:
        stream = WindowStream(classifier, FRAMES, STEP)
        pieces = (recording[start : start + size] for start in range(0, len(recording), size))
        return np.array([answer.probabilities for piece in pieces for answer in stream.push(piece)])

    for size in (STEP, 101):
        answers = streamed(size)
        difference = float(np.abs(answers - expected).max())
        verdict = "the same" if difference <= LARGEST_DIFFERENCE and len(answers) == len(windows) else "DIFFERENT"
        console.print(
            f"stream in pieces of {size} frames: {len(answers):,} answers, {verdict} as those of the windows (largest "
            f"difference {difference:.1e})"
        )
    timings = time_interleaved({"stream": lambda: streamed(STEP)}, repeats=3)
    console.print(f"{60 * minutes / timings.median('stream'):,.0f} times faster than real time")


if __name__ == "__main__":
    typer.run(main)
