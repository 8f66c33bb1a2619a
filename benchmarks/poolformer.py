"""PoolFormer-S12 beside timm's with the same weights, and mixers against the number of tokens; one process, in turns.

    python benchmarks/poolformer.py                  # some minutes; attention over 112² tokens takes its time
    python benchmarks/poolformer.py --png mixers.png
    python benchmarks/poolformer.py --quick --batch 1 --side 64 --largest 28 --busy

Forward pass and training step (loss, gradients, AdamW) of eight images of 224 pixels. Either network runs in both
memory layouts, and the faster layout of each is compared: the median of paired repeats with a 95 % interval. The
target is timm's time, the aim 0.8 of it. Below stands what bounds it: the parts of our forward pass, each alone and
from warm memory. Both networks need the same matrix products and strided convolutions, so the ratio cannot fall below
their share of timm's time.

Then the mixers alone, on maps of 64 channels with 14² to 112² tokens, with the slope in the log-log plot: 1 is linear
in the tokens, 2 quadratic. A copy is the limit of whatever reads and writes its map. The benchmark refuses to run on a
busy machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import timm
import torch
import torch.nn.functional as F
import typer
from _tables import begin, table
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cenote.lab import plots
from cenote.lab.timing import Timings, time_interleaved
from cenote.pooling import PoolFormer, load_timm_state_dict, poolformer_s12
from cenote.pooling.poolformer.mixers import Surroundings, build_mixer

TARGET, AIM = 1.0, 0.8
SIDES, CHANNELS, HEAD_DIM, MAPS = (14, 28, 56, 112), 64, 16, 4
COPY = "limit: a copy"
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}

Call = Callable[[], object]
Timer = Callable[[Mapping[str, Call]], Timings]


def main(
    quick: Annotated[bool, typer.Option(help="Fewer and shorter repeats.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images of a pass.")] = 8,
    side: Annotated[int, typer.Option(min=32, help="Height and width of the images.")] = 224,
    largest: Annotated[int, typer.Option(min=SIDES[1], help="Leave out mixers' maps larger than this.")] = SIDES[-1],
    png: Annotated[Path | None, typer.Option(help="Draw the mixers' times to this file.")] = None,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print forward pass, what bounds it, training step, and the mixers with their slopes."""
    console = Console(width=110)
    begin(console, f"images {(batch, 3, side, side)}", busy)
    timed = partial(time_interleaved, repeats=7 if quick else 11, min_seconds=0.01 if quick else 0.2)
    torch.manual_seed(0)
    images = torch.randn(batch, 3, side, side)
    _forward(console, images, timed)
    steps = {name: _step(*each) for name, each in networks(images).items()}
    console.print(_compared("training step", timed(steps)))
    sides = [each for each in SIDES if each <= largest]
    times = {each: _time_mixers(each, timed) for each in sides}
    console.print(_mixers(times))
    if png is not None:
        plots.save(_drawn(times), png)


# --- the network --------------------------------------------------------------------------------------------------


def networks(images: Tensor) -> dict[str, tuple[nn.Module, Tensor]]:
    """Return both networks with equal weights and the images, in both layouts; their logits are held to each other."""
    peer = timm.create_model("poolformer_s12", drop_path_rate=0.1)
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    for layout, memory_format in LAYOUTS.items():
        for name, model in (("timm", timm.create_model("poolformer_s12", drop_path_rate=0.1)), ("cenote", ours(peer))):
            model.load_state_dict(peer.state_dict())
            laid_out = images.contiguous(memory_format=memory_format)
            found[f"{name}, {layout}"] = (model.to(memory_format=memory_format), laid_out)
    with torch.no_grad():
        logits = [model.eval()(x) for model, x in found.values()]
    for each in logits[1:]:
        torch.testing.assert_close(each, logits[0], rtol=0, atol=1e-4)
    return found


def ours(peer: nn.Module) -> PoolFormer:
    """Return our network with timm's weights and timm's head."""
    return load_timm_state_dict(poolformer_s12(head="timm"), peer.state_dict())


@torch.no_grad()
def _forward(console: Console, images: Tensor, timed: Timer) -> None:
    both = networks(images)
    console.print(_compared("forward", timed({name: partial(model, x) for name, (model, x) in both.items()})))
    model, x = both["cenote, channels last"]
    assert isinstance(model, PoolFormer)
    peer, laid_out = both["timm, channels last"]
    functions: dict[str, Call] = {"timm": partial(peer, laid_out), "cenote": partial(model, x)}
    functions |= {name: partial(_all, calls) for name, calls in parts(model, x).items()}
    timings = timed(functions)
    shown = Table(title="parts of the forward pass, channels last", title_justify="left")
    for column in ("what", "ms", "of timm's time", "of ours"):
        shown.add_column(column)
    for name in functions:
        shares = [f"{timings.ratio(name, whole).median:.2f}" for whole in ("timm", "cenote")]
        shown.add_row(name, f"{1e3 * timings.median(name):.2f}", *shares)
    console.print(shown)
    floor = sum(timings.median(name) for name in ("matrix products", "strided convolutions")) / timings.median("timm")
    console.print(
        f"Matrix products and strided convolutions, which both networks need, are {floor:.2f} of timm's time: the "
        f"ratio cannot be below. The aim is {AIM:g}.\n"
    )


def parts(model: PoolFormer, images: Tensor) -> dict[str, list[Call]]:
    """Return the calls that a forward pass consists of, by kind, each with an input of its own size."""
    maps = model.forward_features(images)
    calls: dict[str, list[Call]] = {
        name: [] for name in ("matrix products", "strided convolutions", "GELU", "norms", "pooling", "scales and skips")
    }
    calls["strided convolutions"].append(partial(model.stem, images))
    for before, stage in zip(maps, list(model.stages)[1:], strict=False):
        calls["strided convolutions"].append(partial(stage.downsample, before))
    for x, stage in zip(maps, model.stages, strict=True):
        for block in stage.blocks:
            hidden = block.mlp.fc1(x)
            calls["matrix products"] += [partial(block.mlp.fc1, x), partial(block.mlp.fc2, hidden)]
            calls["GELU"].append(partial(torch.ops.aten.gelu.out, hidden, out=torch.empty_like(hidden)))
            calls["norms"] += [partial(block.norm1, x), partial(block.norm2, x)]
            calls["pooling"].append(partial(block.token_mixer, x))
            for scale in (block.layer_scale1, block.layer_scale2):
                calls["scales and skips"].append(partial(torch.addcmul, x, x, scale.factors()))
    return calls


def _all(calls: Sequence[Call]) -> None:
    for call in calls:
        call()


def _step(model: nn.Module, images: Tensor) -> Call:
    """Return a training step that leaves the weights as they are, so that every step is alike."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    labels = torch.arange(len(images))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _compared(title: str, timings: Timings) -> Table:
    """The faster layout of each network against the other's."""
    best = {
        side: min((name for name in timings.seconds if name.startswith(side)), key=timings.median)
        for side in ("timm", "cenote")
    }
    return table(title, timings, best["timm"], TARGET, [best["cenote"]])


# --- mixers -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _time_mixers(side: int, timed: Timer) -> Timings:
    torch.manual_seed(0)
    x = torch.randn(MAPS, CHANNELS, side, side).contiguous(memory_format=torch.channels_last)
    block = Surroundings(CHANNELS, (side, side), head_dim=HEAD_DIM)
    mixers = {name: build_mixer(name, block).eval() for name in ("identity", "pool", "dwconv", "attention")}
    functions: dict[str, Call] = {name: partial(mixer, x) for name, mixer in mixers.items()}
    heads = torch.randn(3, MAPS, CHANNELS // HEAD_DIM, side * side, HEAD_DIM)
    functions["attention without projections"] = partial(F.scaled_dot_product_attention, *heads)
    functions[COPY] = partial(torch.empty_like(x).copy_, x)
    return timed(functions)


def _mixers(times: Mapping[int, Timings]) -> Table:
    title = f"mixers, ms for {MAPS} maps of {CHANNELS} channels, channels last; heads of {HEAD_DIM}"
    shown = Table(title=title, title_justify="left")
    for column in ("mixer", *(f"{side}²" for side in times), "slope", "of all repeats", "of the last step"):
        shown.add_column(column)
    sides = list(times)
    for name in times[sides[0]].seconds:
        all_sizes, last = slopes(times, name, sides), slopes(times, name, sides[-2:])
        medians = [f"{1e3 * timings.median(name):.3f}" for timings in times.values()]
        spread = f"{min(all_sizes):.2f} – {max(all_sizes):.2f}"
        shown.add_row(name, *medians, f"{np.median(all_sizes):.2f}", spread, f"{np.median(last):.2f}")
    return shown


def slopes(times: Mapping[int, Timings], name: str, sides: Sequence[int]) -> list[float]:
    """Return the least-squares slope of log time over log tokens, once for each repeat."""
    tokens = np.log([side**2 for side in sides])
    by_side = [times[side].seconds[name] for side in sides]
    return [float(np.polyfit(tokens, np.log(seconds), 1)[0]) for seconds in zip(*by_side, strict=True)]


def _drawn(times: Mapping[int, Timings]) -> Figure:
    tokens = [float(side**2) for side in times]
    series = {
        name: plots.Line(tokens, [1e3 * timings.median(name) for timings in times.values()])
        for name in times[min(times)].seconds
    }
    return plots.lines(series, xlabel="tokens", ylabel="time", unit="ms", log_x=True, log_y=True)


if __name__ == "__main__":
    typer.run(main)
