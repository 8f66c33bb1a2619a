"""Grouped generalised mean pooling beside mean pooling and the obvious way, on one machine, in one process, in turns.

    python benchmarks/ggem.py            # about three minutes
    python benchmarks/ggem.py --quick

The tokens are those of a ViT-Tiny at 224 pixels. Ratios are to ``x.mean(1)``: the median of paired repeats with a 95 %
interval. Beside them stand the limit, which is one logarithm and one exponential of every entry in place, and two
peers: the line that GeM is usually written as, with one exponent, and the same with an exponent a channel. The target
of three times the mean cannot be met where the limit alone misses it: a mean adds each entry once, a power mean takes
its logarithm and its exponential, so below each table stands how GGeM compares with the limit and with the line. On
maps of positive values ``LPPool2d`` is defined too, for a fixed exponent; it gives the sum where GeM gives the mean.
Then the share of a ViT-Tiny's forward pass, whose target is 1 %. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import timm
import torch
import typer
from _tables import begin, table
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cenote.lab.timing import time_interleaved
from cenote.pooling.ggem.pooling import GeM, GGeM

BATCH, TOKENS, CHANNELS, GROUPS = 32, 196, 192, 3
SHARE_OF_VIT = 0.01
RATIO_TO_MEAN = 3.0
LIMIT = "limit: log and exp in place"
LINE = "the usual line of GeM"


def main(
    quick: Annotated[bool, typer.Option(help="Fewer repeats.")] = False,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print a table for each direction and dtype, and the share of a ViT-Tiny."""
    console = Console(width=110)
    begin(console, f"tokens {(BATCH, TOKENS, CHANNELS)}", busy)
    repeats = 7 if quick else 11
    for dtype in (torch.float32, torch.bfloat16):
        for backward in (False, True):
            _compare(console, dtype, backward, repeats)
    console.print(_maps(repeats))
    console.print(_share_of_vit(repeats))


def _compare(console: Console, dtype: torch.dtype, backward: bool, repeats: int) -> None:
    # 3.1, as learned exponents are: for exactly 3 torch multiplies instead of taking a power.
    torch.manual_seed(0)
    x = torch.randn(BATCH, TOKENS, CHANNELS).to(dtype).requires_grad_(backward)
    layer, p = GGeM(CHANNELS, GROUPS).requires_grad_(backward), torch.tensor(3.1).requires_grad_(backward)
    buffer = torch.rand(BATCH, TOKENS, CHANNELS)
    functions = {"mean": _call(lambda: x.mean(1), backward)}
    functions["GGeM"] = _call(lambda: layer(x), backward)
    functions[LINE] = _call(lambda: usual_line(x, p), backward)
    functions["the line, an exponent a channel"] = _call(
        lambda: usual_line(x, layer.p.repeat_interleave(CHANNELS // GROUPS)), backward
    )
    functions[LIMIT] = lambda: buffer.log_().exp_()
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.2, warmup=2)
    direction = "forward+backward" if backward else "forward"
    console.print(table(f"{str(dtype).removeprefix('torch.')} {direction}", timings, "mean", RATIO_TO_MEAN, ["GGeM"]))
    console.print(
        f"The limit alone takes {timings.ratio(LIMIT, 'mean').median:.1f} times the mean. GGeM takes "
        f"{timings.ratio('GGeM', LIMIT).median:.2f} times the limit and {timings.ratio('GGeM', LINE).median:.2f} times "
        "the usual line.\n"
    )


def _maps(repeats: int) -> Table:
    """Positive maps and one exponent, fixed, where torch has a pooling of its own."""
    torch.manual_seed(0)
    side = math.isqrt(TOKENS)
    x = torch.rand(BATCH, CHANNELS, side, side) + 0.1
    layer, peer = GeM(3.0, learn_p=False), nn.LPPool2d(3.0, side)
    torch.testing.assert_close(peer(x).flatten(1) / TOKENS ** (1 / 3), layer(x))
    functions = {"LPPool2d": lambda: peer(x), "GeM": lambda: layer(x), "mean": lambda: x.mean((2, 3))}
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.2, warmup=2)
    return table("float32 forward on positive maps, p = 3", timings, "LPPool2d", 1.0, ["GeM"])


def _share_of_vit(repeats: int) -> Table:
    model, layer = timm.create_model("vit_tiny_patch16_224").eval(), GGeM(CHANNELS, GROUPS)
    images, tokens = torch.randn(8, 3, 224, 224), torch.randn(8, TOKENS, CHANNELS)
    with torch.no_grad():
        timings = time_interleaved(
            {"ViT-Tiny, 8 images": lambda: model(images), "GGeM": lambda: layer(tokens)},
            repeats=repeats,
            min_seconds=0.2,
        )
    return table("share of a ViT-Tiny's forward pass", timings, "ViT-Tiny, 8 images", SHARE_OF_VIT, ["GGeM"])


def _call(pool: Callable[[], Tensor], backward: bool) -> Callable[[], object]:
    if not backward:
        return pool

    def step() -> None:
        pool().sum().backward()  # type: ignore[no-untyped-call]

    return step


def usual_line(x: Tensor, p: Tensor) -> Tensor:
    """What GeM is usually written as, in the dtype of the tokens."""
    p = p.to(x.dtype)
    return x.clamp(min=1e-6).pow(p).mean(-2).pow(1 / p)


if __name__ == "__main__":
    typer.run(main)
