"""A shared map beside a crop for every window: the same convolutions, pooling and linear layer, on one thread.

    python benchmarks/spp_net.py                 # 2,000 windows, about five minutes; ZF-5 takes its time
    python benchmarks/spp_net.py --windows 200 --repeats 1 --busy

Scores 2,000 windows of a 640 × 480 image. The shared map has its shorter side at 688 pixels, or at each of five
scales; crops have 224 × 224 pixels and go in batches of 32. Time covers resizing the image or cutting and warping the
windows, convolutions, pooling over levels 6, 3, 2, 1 and a linear layer of 256; finding windows is left out on both
sides. Beside the ratio of the convolutions stands the ratio of the pixels, which is what sharing can save, and beside
ZF-5's the ratio of multiplications. ``cold`` is the first pass of a shape, in which kernels are set up.
The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cenote.lab.timing import machine_load, require_idle
from cenote.pooling.spp_net.convolutions import ConvStack
from cenote.pooling.spp_net.projection import ReleasedProjection
from cenote.pooling.spp_net.timing import PARTS, Race, race, random_boxes, total, zf5

ONE_SCALE, FIVE_SCALES = (688,), (480, 576, 688, 864, 1200)
TOTAL_TARGET, BOUND_TARGET = 24.0, 0.9

Seconds = Mapping[str, float]


def main(
    windows: Annotated[int, typer.Option(help="Windows of the image.")] = 2000,
    repeats: Annotated[int, typer.Option(help="Passes of each side, in turns; the fastest counts.")] = 3,
    zf_windows: Annotated[int, typer.Option(help="Windows for ZF-5, 0 to leave it out.")] = 256,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print both sides' times, parts and ratios at one scale and at five."""
    console = Console(width=120)
    torch.set_num_threads(1)
    if not busy:
        require_idle(0.5)
    console.print(
        f"busy cores before: {machine_load().busy_cores:.2f}; 640 × 480 image, one thread, fastest of {repeats}"
    )
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    table = Table(title="seconds for all windows", title_justify="left")
    for column in (
        "convolutions",
        "windows",
        "scales",
        "side",
        "cold",
        "cut",
        "conv",
        "pool",
        "fc",
        "total",
        "ratio",
        "of bound",
    ):
        table.add_column(column)
    for name, stack, count in (("32/64/96/64", ConvStack(), windows), ("ZF-5", zf5(), zf_windows)):
        if count:
            add_rows(table, name, stack, image, random_boxes(count, 480, 640, seed=0), repeats)
    console.print(table)
    console.print(
        f"targets at one scale of 32/64/96/64: total ≥ {TOTAL_TARGET:g}, convolutions ≥ {BOUND_TARGET:g} of the bound"
    )


def add_rows(table: Table, name: str, stack: nn.Sequential, image: np.ndarray, boxes: Tensor, repeats: int) -> None:
    """Time the crops once, and the shared map at one scale and at five."""
    rule = ReleasedProjection(16, centre=21) if name == "ZF-5" else None
    races = [race(image, boxes, convolutions=stack, scales=each, projection=rule) for each in (ONE_SCALE, FIVE_SCALES)]
    cold = [total(each.run_shared()) for each in races]
    shared: list[list[Seconds]] = [[], []]
    cropped: list[Seconds] = []
    for _ in range(repeats):
        cropped.append(races[0].run_cropped())
        for times, each in zip(shared, races, strict=True):
            times.append(each.run_shared())
    slow = fastest(cropped)
    row(table, name, len(boxes), "", "crops", None, slow, "", "")
    for each, times, first in zip(races, shared, cold, strict=True):
        fast = fastest(times)
        bound = ceiling(each, name)
        share = slow["conv"] / fast["conv"] / bound
        said = f"{share:.2f} of {bound:.0f}"
        row(
            table,
            name,
            len(boxes),
            f"{len(each.shared.scales)}",
            "map",
            first,
            fast,
            f"{total(slow) / total(fast):.1f}",
            said,
        )


def ceiling(each: Race, name: str) -> float:
    """Ratio of the pixels, or of ZF-5's multiplications: its unpadded layers lose less of a large image's border."""
    if name != "ZF-5":
        return each.pixel_bound()
    height, width = each.image.shape[:2]
    sizes = [
        (round(height * s / min(height, width)), round(width * s / min(height, width))) for s in each.shared.scales
    ]
    crops = len(each.boxes) * multiplications(each.shared.convolutions, (each.cropped.side, each.cropped.side))
    return crops / sum(multiplications(each.shared.convolutions, size) for size in sizes)


def multiplications(stack: nn.Module, size: tuple[int, int]) -> float:
    """Multiplications of all convolutions on one image."""
    counted = 0.0
    x = torch.empty(1, 3, *size, device="meta")
    for layer in stack.children():
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight
            x = nn.functional.conv2d(x, torch.empty_like(weight, device="meta"), None, layer.stride, layer.padding)
            counted += float(weight[0].numel()) * x.numel()
        elif isinstance(layer, nn.MaxPool2d):
            x = layer(x)
    return counted


def fastest(runs: Sequence[Seconds]) -> Seconds:
    return min(runs, key=total)


def row(
    table: Table,
    name: str,
    windows: int,
    scales: str,
    side: str,
    cold: float | None,
    spent: Seconds,
    ratio: str,
    share: str,
) -> None:
    parts = [f"{spent[part]:.3f}" for part in PARTS]
    first = "" if cold is None else f"{cold:.3f}"
    table.add_row(name, f"{windows:,}", scales, side, first, *parts, f"{total(spent):.3f}", ratio, share)


if __name__ == "__main__":
    typer.run(main)
