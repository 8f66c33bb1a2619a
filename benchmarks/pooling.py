"""Poset pooling beside max pooling, in turns; every table in a process of its own.

    python benchmarks/pooling.py            # all sixteen posets, about four minutes
    python benchmarks/pooling.py --quick    # three posets

Every figure is a ratio to ``torch.nn.functional.max_pool2d`` in the same memory format and dtype: the median of
paired repeats with a 95 % interval. Beside it stand the limit, which is the time of cloning the input; the naive way,
which stacks the sums of all up-sets and takes their maximum; and the way of the released code: the same stack, and a
backward pass that goes through the up-sets once more and adds the gradient to the members of each where it was the
largest. Targets against that way are a tenth of its time forward and a quarter with the backward pass.

A table has its own process because the gradients are 25 MB each: whether the allocator keeps such blocks or asks the
system for them anew at every call depends on what the process did before, and would otherwise make the second table
differ from the first. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from _tables import THREADS, begin, table
from rich.console import Console
from torch import Tensor

from cenote.lab.timing import Timings, time_interleaved
from cenote.pooling.order_theory.four_points import NAMES, resolve_poset
from cenote.pooling.order_theory.pooling import poset_pool2d

LOOP = "loop over N's up-sets, as released"
SHAPE = (32, 64, 56, 56)
CASES = {
    "NCHW float32 forward": (torch.contiguous_format, torch.float32, False, 0.1),
    "NCHW float32 forward+backward": (torch.contiguous_format, torch.float32, True, 0.4),
    "channels-last float32 forward": (torch.channels_last, torch.float32, False, 1.5),
    "channels-last float32 forward+backward": (torch.channels_last, torch.float32, True, 1.5),
    "channels-last bfloat16 forward+backward": (torch.channels_last, torch.bfloat16, True, 1.5),
}
"""Memory format, dtype, whether the backward pass counts, and the target."""


def main(
    quick: Annotated[bool, typer.Option(help="Time three posets instead of sixteen.")] = False,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print a table for every memory format, dtype and direction."""
    console = Console(width=110)
    begin(console, f"input {SHAPE}", busy)
    posets = (1, 12, 13) if quick else tuple(range(16))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for title, (*_, target) in CASES.items():
            timings = processes.submit(_time, title, posets, 7 if quick else 9).result()
            names = [name for name in timings.seconds if name[0].isdigit()]
            console.print(table(title, timings, "max_pool2d", target, names))
            faster, wanted = timings.ratio(LOOP, "12 N").median, 4 if CASES[title][2] else 10
            console.print(f"N is {faster:.1f} times as fast as the loop over its up-sets; the target is {wanted}.\n")
    console.print(f"memory kept for the backward pass: {kept_bytes():.2f} bytes per output")


def _time(case: str, posets: tuple[int, ...], repeats: int) -> Timings:
    layout, dtype, backward, _ = CASES[case]
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    x = torch.randn(SHAPE).to(dtype).contiguous(memory_format=layout)
    direction = partial(_forward_backward, x) if backward else partial(_forward, x)
    functions = {"max_pool2d": direction(partial(F.max_pool2d, kernel_size=2))}
    functions |= {f"{k} {NAMES[k]}": direction(partial(poset_pool2d, poset=k)) for k in posets}
    functions["limit: clone of the input"] = x.clone
    functions["naive: stack of N's up-sets"] = direction(partial(up_set_stack, poset="N"))
    functions[LOOP] = direction(lambda x: UpSetLoop.apply(x, resolve_poset("N").up_sets()))
    return time_interleaved(functions, repeats=repeats, min_seconds=0.2, warmup=2)


def _forward(x: Tensor, pooling: Callable[[Tensor], Tensor]) -> Callable[[], object]:
    return lambda: pooling(x)


def _forward_backward(x: Tensor, pooling: Callable[[Tensor], Tensor]) -> Callable[[], object]:
    x = x.clone().requires_grad_()
    grad = torch.randn_like(pooling(x).detach())
    return lambda: torch.autograd.grad(pooling(x), x, grad)


def up_set_stack(x: Tensor, poset: str) -> Tensor:
    """The obvious way: all sums side by side, then their maximum."""
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    points = (a, b, c, d)
    sums = [sum((points[i] for i in up_set), torch.zeros_like(a)) for up_set in resolve_poset(poset).up_sets()]
    return torch.stack(sums).amax(0)


class UpSetLoop(torch.autograd.Function):
    """The way of the released code, written anew: a stack of sums, and a loop over the up-sets with a mask of each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, up_sets: tuple[tuple[int, ...], ...]) -> Tensor:
        points = [x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
        sums = torch.stack([sum((points[i] for i in up_set), torch.zeros_like(points[0])) for up_set in up_sets])
        values, winners = sums.max(0)
        ctx.save_for_backward(winners)
        ctx.up_sets, ctx.shape = up_sets, x.shape
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (winners,) = ctx.saved_tensors
        out = grad.new_zeros(ctx.shape)
        for number, up_set in enumerate(ctx.up_sets):
            share = grad * (winners == number)
            for point in up_set:
                out[..., point // 2 :: 2, point % 2 :: 2] += share
        return out, None


def kept_bytes() -> float:
    """Bytes that autograd keeps for the backward pass, per output."""
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    x = torch.randn(SHAPE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = poset_pool2d(x, "N")
    return sum(kept) / out.numel()


if __name__ == "__main__":
    typer.run(main)
