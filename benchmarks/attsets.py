"""AttSets beside torch's GRU and the other aggregations, from 1 to 256 members of a set; one process, in turns.

    python benchmarks/attsets.py                  # some minutes; the GRU over 64 sets of 256 takes its time
    python benchmarks/attsets.py --png aggregations.png
    python benchmarks/attsets.py --quick --dim 64 --largest 16 --busy

Forward pass over sets of random vectors of 1,024 features, one set and 64 sets at a time, in milliseconds a set. The
target is the GRU's time, as the paper calls its module efficient; it is met where the whole interval is. Three peers
are not cenote's: torch's nn.GRU as it is, the formula of AttSets as one would write it down, without masks or checks,
and, if it is installed, PyTorch Geometric's SoftmaxAggregation, whose weights are a diagonal: one number for each
feature in the place of a product. The limit is what any aggregation has to do, to read each feature once; with
AttSets the product with its weights comes before that, which stands alone below it. Then the parameters, and the
memory a training step keeps for its backward pass, a set. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from _tables import begin
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cenote.lab import plots
from cenote.lab.timing import Timings, time_interleaved
from cenote.pooling import AttSets, aggregate

COUNTS, BATCHES = (1, 2, 4, 8, 16, 24, 64, 256), (1, 64)
NAMES = ("attsets", "gru", "set-transformer", "bilinear", "mean", "max", "sum")
BARE_GRU, FORMULA, PYG = "peer: torch.nn.GRU", "peer: softmax(linear(x), 1) * x", "peer: PyG's SoftmaxAggregation"
READ, PRODUCT = "limit: a read of the features", "of attsets: the product with its weights"
RANK = 32
TARGET = 1.0

Call = Callable[[], object]


def main(
    quick: Annotated[bool, typer.Option(help="Fewer and shorter repeats.")] = False,
    dim: Annotated[int, typer.Option(min=4, help="Features of a member, a multiple of 4.")] = 1024,
    largest: Annotated[int, typer.Option(min=COUNTS[1], help="Leave out sets of more members.")] = COUNTS[-1],
    png: Annotated[Path | None, typer.Option(help="Draw the times of one set at a time to this file.")] = None,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print the time a set of each aggregation, its ratio to the GRU's, and its memory."""
    console = Console(width=150)
    begin(console, f"vectors of {dim:,} features", busy)
    torch.manual_seed(0)
    modules: dict[str, nn.Module] = {name: aggregate(name, dim, rank=min(RANK, dim)).eval() for name in NAMES}
    modules |= peers(dim)
    counts = [count for count in COUNTS if count <= largest]
    repeats, seconds = (7, 0.005) if quick else (11, 0.1)
    for batch in BATCHES:
        times = {
            count: time_interleaved(
                calls(modules, torch.randn(batch, count, dim)), repeats=repeats, min_seconds=seconds
            )
            for count in counts
        }
        console.print(_times(times, batch))
        console.print(_ratios(times, batch))
        if png is not None and batch == 1:
            plots.save(_drawn(times), png)
    console.print(_memory(modules, dim, counts[-1]))


class LastState(nn.GRU):
    """torch's GRU as it is, which returns its last state."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Read sets (B, N, D)."""
        state: Tensor = super().forward(x)[1]
        return state[0]


class Formula(nn.Module):
    """AttSets in one line."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool sets (B, N, D)."""
        return (torch.softmax(self.linear(x), 1) * x).sum(1)


class Diagonal(nn.Module):
    """PyTorch Geometric's softmax over sets that lie one behind the other, with a learned number for each feature."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        from torch_geometric.nn.aggr import SoftmaxAggregation

        self.pool = SoftmaxAggregation(learn=True, channels=dim)
        self._index: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Pool sets (B, N, D)."""
        batch, count = x.shape[:2]
        if (batch, count) not in self._index:  # made once: whoever uses the package has it with the data
            self._index[batch, count] = torch.arange(batch).repeat_interleave(count)
        pooled: Tensor = self.pool(x.flatten(0, 1), self._index[batch, count], dim_size=batch)
        return pooled


def peers(dim: int) -> dict[str, nn.Module]:
    """Return what others offer, by name."""
    found: dict[str, nn.Module] = {BARE_GRU: LastState(dim, dim, batch_first=True), FORMULA: Formula(dim)}
    if importlib.util.find_spec("torch_geometric") is not None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit")  # which it uses as it is imported
            found[PYG] = Diagonal(dim)
    return {name: module.eval() for name, module in found.items()}


def calls(modules: Mapping[str, nn.Module], x: Tensor) -> dict[str, Call]:
    """Return what is timed on a batch of sets, by name."""
    attention = modules["attsets"]
    assert isinstance(attention, AttSets)
    found: dict[str, Call] = {name: partial(_without_gradient, module, x) for name, module in modules.items()}
    found[PRODUCT] = partial(_without_gradient, attention.scores, x.flatten(0, 1))
    found[READ] = partial(torch.sum, x)
    return found


@torch.no_grad()
def _without_gradient(module: nn.Module, x: Tensor) -> object:
    return module(x)


def kept_for_backward(module: nn.Module, x: Tensor) -> int:
    """Return the bytes that a forward pass with gradients keeps beside its input and the weights."""
    known = {each.untyped_storage().data_ptr() for each in (x, *module.parameters())}
    kept: dict[int, Tensor] = {}  # holds the tensors, so that no storage is given out twice

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in known:
            kept[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    return sum(each.untyped_storage().nbytes() for each in kept.values())


# --- tables -------------------------------------------------------------------------------------------------------


def _times(times: Mapping[int, Timings], batch: int) -> Table:
    sets = "one set" if batch == 1 else f"{batch} sets"
    shown = Table(title=f"{sets} at a time: ms a set, by its members", title_justify="left")
    for column in ("aggregation", *map(str, times)):
        shown.add_column(column)
    for name in next(iter(times.values())).seconds:
        shown.add_row(name, *(f"{1e3 * timings.median(name) / batch:.4f}" for timings in times.values()))
    return shown


def _ratios(times: Mapping[int, Timings], batch: int) -> Table:
    title = f"attsets, {batch} at a time: target ≤ {TARGET:g} × gru; a 95 % interval in brackets"
    shown = Table(title=title, title_justify="left")
    known = {"× nn.GRU": BARE_GRU, "× the formula": FORMULA, "× PyG's": PYG, "× a read": READ, "× the product": PRODUCT}
    timed = next(iter(times.values())).seconds
    known = {column: name for column, name in known.items() if name in timed}
    for column in ("members", "× gru", "", *known):
        shown.add_column(column)
    for count, timings in times.items():
        ratio = timings.ratio("attsets", "gru")
        others = [f"{timings.ratio('attsets', name).median:.2f}" for name in known.values()]
        said = f"{ratio.median:.3f} ({ratio.low:.3f} – {ratio.high:.3f})"
        shown.add_row(str(count), said, "within" if ratio.high <= TARGET else "MISSED", *others)
    return shown


def _memory(modules: Mapping[str, nn.Module], dim: int, count: int) -> Table:
    features = 4 * count * dim
    title = f"memory for a set of {count}, whose features take {features / 2**20:.2f} MiB"
    shown = Table(title=title, title_justify="left")
    for column in ("aggregation", "parameters", "kept for the backward pass, MiB", "× the features"):
        shown.add_column(column)
    for name, module in modules.items():
        kept = kept_for_backward(module, torch.randn(1, count, dim, requires_grad=True))
        parameters = sum(weight.numel() for weight in module.parameters())
        shown.add_row(name, f"{parameters:,}", f"{kept / 2**20:.2f}", f"{kept / features:.2f}")
    return shown


def _drawn(times: Mapping[int, Timings]) -> Figure:
    series = {
        name: plots.Line([float(count) for count in times], [1e3 * timings.median(name) for timings in times.values()])
        for name in next(iter(times.values())).seconds
    }
    return plots.lines(
        series, xlabel="members", ylabel="time of one set", unit="ms", log_x=True, log_y=True, highlight="attsets"
    )


if __name__ == "__main__":
    typer.run(main)
