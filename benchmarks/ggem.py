"""Grouped generalised mean pooling beside mean pooling and the obvious way, on one machine, in one process, in turns.

    python benchmarks/ggem.py            # about three minutes
    python benchmarks/ggem.py --quick

The tokens are those of a ViT-Tiny at 224 pixels. Ratios are to ``x.mean(1)``: the median of paired repeats with a 95 %
interval. Beside them stand the limit, which is one logarithm and one exponential of every entry in place, and the
naive way, ``clamp``, ``pow``, ``mean``, ``pow``. Then the share of a ViT-Tiny's forward pass, whose target is 1 %. The
benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import timm
import torch
import typer
from _tables import begin, table
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cenote.lab.timing import time_interleaved
from cenote.pooling.ggem.pooling import GGeM

BATCH, TOKENS, CHANNELS, GROUPS = 32, 196, 192, 3
SHARE_OF_VIT = 0.01
RATIO_TO_MEAN = 3.0


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
            console.print(_table(dtype, backward, repeats))
    console.print(_share_of_vit(repeats))


def _table(dtype: torch.dtype, backward: bool, repeats: int) -> Table:
    torch.manual_seed(0)
    x = torch.randn(BATCH, TOKENS, CHANNELS).to(dtype).requires_grad_(backward)
    layer = GGeM(CHANNELS, GROUPS).requires_grad_(backward)
    buffer = torch.rand(BATCH, TOKENS, CHANNELS)
    functions = {"mean": _call(lambda: x.mean(1), backward)}
    functions["GGeM"] = _call(lambda: layer(x), backward)
    functions["naive: clamp, pow, mean, pow"] = _call(lambda: naive(x, layer.p), backward)
    functions["limit: log and exp in place"] = lambda: buffer.log_().exp_()
    timings = time_interleaved(functions, repeats=repeats, min_seconds=0.2, warmup=2)
    direction = "forward+backward" if backward else "forward"
    return table(f"{str(dtype).removeprefix('torch.')} {direction}", timings, "mean", RATIO_TO_MEAN, ["GGeM"])


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


def naive(x: Tensor, p: Tensor) -> Tensor:
    """The obvious way, in the dtype of the tokens."""
    each = p.to(x.dtype).repeat_interleave(CHANNELS // GROUPS)
    return x.clamp_min(1e-6).pow(each).mean(1).pow(1 / each)


if __name__ == "__main__":
    typer.run(main)
