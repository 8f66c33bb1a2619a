"""``cenote where-to-pool``: search where a network should pool, on one's own images, and compare with where it does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cenote.catalog.numbers import MINUS
from cenote.lab.wording import counted
from cenote.pooling.balanced_supernets.commands.job import NETWORK, REPORT, Job
from cenote.pooling.balanced_supernets.commands.wishes import Wishes
from cenote.pooling.balanced_supernets.comparing import Comparison, Placement
from cenote.pooling.balanced_supernets.costs import TrainingMemory
from cenote.pooling.balanced_supernets.search_pictures import draw_search
from cenote.pooling.progress import show_progress

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_ROWS = 15
"""Placements in the table, beside those that are spoken of."""


@app.command()
def where_to_pool(
    model: Annotated[
        str,
        typer.Argument(
            help="A torchvision or timm ResNet or VGG, such as resnet18 or timm:resnet18, package.module:function or "
            "file.py:function."
        ),
    ],
    pools: Annotated[int, typer.Option(min=1, help="Poolings to be placed between the units.")],
    data: Annotated[str, typer.Option(help="Folder with train/<class>/ and test/<class>/, or a data set's name.")],
    out: Annotated[Path, typer.Option(help="Folder for what is found.")],
    budget: Annotated[
        str | None,
        typer.Option(
            help="Only placements up to flops=40M, where a multiplication and its addition are two, or latency=2.5ms, "
            "the median time of one image on --device."
        ),
    ] = None,
    supernets: Annotated[int, typer.Option(min=1, help="SuperNets in the mixture; 1 is SPOS.")] = 4,
    pooling: Annotated[
        str, typer.Option(help="max, avg, stride, poset:N, or package.module:function that returns a module.")
    ] = "max",
    default: Annotated[
        str | None, typer.Option(help="Usual placement, such as 4,3,3; the network's own if left out.")
    ] = None,
    brute_force: Annotated[bool, typer.Option(help="Train every placement alone too, to compare.")] = False,
    select: Annotated[str, typer.Option(help="best_model, mean or expected accuracy of the SuperNets.")] = "best_model",
    epochs: Annotated[int, typer.Option(min=1, help="Passes of the search over its images.")] = 30,
    retrain_epochs: Annotated[int, typer.Option(min=1, help="Passes of each network that is trained alone.")] = 30,
    retrainings: Annotated[int, typer.Option(min=1, help="Networks of each placement, a seed each.")] = 1,
    images: Annotated[int | None, typer.Option(min=4, help="Training images at most; all by default.")] = None,
    image_size: Annotated[
        int, typer.Option(min=2, help="Side that images of a folder are scaled to, and cropped about the middle.")
    ] = 32,
    batch_size: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Of SGD at the first step; falls to a hundredth.")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="Of all weights.")] = 0.0,
    temperature: Annotated[float, typer.Option(help="Of the assignment in the last epoch.")] = 100.0,
    ema: Annotated[float, typer.Option(help="Share of a running accuracy that stays at an update.")] = 0.9,
    flip: Annotated[bool, typer.Option(help="Mirror training images at random; never digits.")] = True,
    shift: Annotated[int, typer.Option(min=0, help="Shift training images by up to so many pixels.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, batches and draws.")] = 0,
    device: Annotated[str, typer.Option(help="Where networks are trained, such as cpu or cuda.")] = "cpu",
    data_root: Annotated[Path | None, typer.Option(help="Folder of data sets; CENOTE_DATA by default.")] = None,
) -> None:
    """Search where a network should pool, train the pick, and compare it with where the network pools by itself.

    Half of the training images are learned from and half choose; test images only measure. Interrupted, the same
    command goes on behind the last whole epoch and ends as it would have.
    """
    wishes = Wishes(
        model, pools, data, budget, supernets, pooling, default, brute_force, select, epochs, retrain_epochs,
        retrainings, images, image_size, batch_size, learning_rate, weight_decay, temperature, ema, flip, shift, seed,
        device,
    )  # fmt: skip
    wishes.check()
    console = Console(highlight=False, markup=False)
    with show_progress() as progress:
        job = Job(wishes, out, data_root, progress)
    console.print(_of_memory(job.memory(), wishes), soft_wrap=True)
    with show_progress() as job.progress:
        found = job.compare(job.search())
    drawn = draw_search(found, out)
    job.close(found)  # last: a folder with the report is a finished one
    console.print(_table(found))
    for sentence in _sentences(found, wishes):
        console.print(sentence, soft_wrap=True)
    written = [name for name in (REPORT, NETWORK, *drawn) if (out / name).exists()]
    console.print(f"{', '.join(written)}: {out}", soft_wrap=True)


# --- what is said ---------------------------------------------------------------------------------------------------


def _of_memory(memory: TrainingMemory, wishes: Wishes) -> str:
    total, weights, activations = (
        f"{part / 2**20:,.1f} MiB" for part in (memory.total, memory.weights + memory.momentum, memory.activations)
    )
    return (
        f"A step of the search holds up to about {total}: {weights} of weights and momentum of "
        f"{counted(wishes.supernets, 'SuperNet')}, {activations} of activations."
    )


def _table(found: Comparison) -> Table:
    """Show the best placements of the search, and those that are spoken of; alone is the mean on test images."""
    table = Table(box=None, pad_edge=False)
    for column in ("placement", "operations", "latency", "shared weights", "alone", ""):
        table.add_column(column, justify="left" if column in ("placement", "") else "right", no_wrap=True)
    ranked = sorted(found.placements, key=lambda each: -1.0 if each.score is None else each.score, reverse=True)
    for index, each in enumerate(ranked):
        said = _said_of(each, found)
        if index < _ROWS or said:
            table.add_row(
                each.name,
                f"{1e-6 * each.cost.flops:,.2f} M",
                f"{1e3 * each.cost.seconds:.2f} ms",
                "over budget" if each.score is None else f"{100 * each.score:.1f} %",
                _accuracy(each) if each.alone else "",
                ", ".join(said),
            )
    return table


def _said_of(placement: Placement, found: Comparison) -> list[str]:
    words = {"pick": found.pick, "default": found.default, "best alone": found.best}
    return [word for word, blocks in words.items() if blocks == placement.blocks]


def _accuracy(placement: Placement) -> str:
    return "diverged" if math.isnan(placement.test) else f"{100 * placement.test:.1f} %"


def _sentences(found: Comparison, wishes: Wishes) -> Iterator[str]:
    pick = found.placement(found.pick)
    networks = "one network" if wishes.retrainings == 1 else f"the mean of {wishes.retrainings} networks"
    if math.isnan(pick.test):
        yield f"Pick {pick.name}: its training alone diverged; take a lower --learning-rate and another --out."
    else:
        yield f"Pick {pick.name}: {_accuracy(pick)} of the test images, {networks} trained alone."
    if sum(each.score == pick.score for each in found.searched) > 1:
        yield "Other placements have the same score; of these the pick is the one that pools first."
    if found.default is None:
        yield (
            f"The network itself does not pool {counted(wishes.pools, 'time')} between its units, so there is no "
            "default to compare with; name one with --default."
        )
    else:
        yield from _against_default(pick, found.placement(found.default), wishes)
    if found.diverged and wishes.brute_force:
        names = ", ".join(each.name for each in found.diverged)
        yield f"Trainings alone of {names} diverged; what follows is of the other placements."
    if wishes.brute_force:
        yield from _against_brute_force(found)
    elif pick.alone:
        seconds = sum(own.seconds for own in pick.alone) * len(found.searched)
        count = len(found.searched)
        yield f"To train all {count} placements alone, with --brute-force, would take about {seconds:,.0f} s."


def _against_brute_force(found: Comparison) -> Iterator[str]:
    ranks = found.statistics()
    if ranks is None or found.best is None:
        yield "Fewer than two placements were trained alone to their end, so that there is no ranking to compare with."
        return
    best = found.placement(found.best)
    trained = sum(own.seconds for each in found.searched for own in each.alone)
    tau = f"{ranks.kendall}".replace("-", MINUS)
    ranked = (
        "Kendall τ undefined, as all scores or all accuracies are equal"
        if math.isnan(ranks.kendall.value)
        else (f"Kendall τ {tau}")
    )
    yield (
        f"Brute force chooses {best.name} with {_accuracy(best)}. Shared weights rank with {ranked}, regret "
        f"{100 * ranks.regret.value:.1f} points. The search took {found.search_seconds:,.0f} s, training every "
        f"placement alone {trained:,.0f} s."
    )


def _against_default(pick: Placement, default: Placement, wishes: Wishes) -> Iterator[str]:
    if pick == default:
        yield "It is the default."
        return
    if math.isnan(default.test):
        yield f"Default {default.name}: its training alone diverged."
        return
    if math.isnan(pick.test):
        yield f"Default {default.name}: {_accuracy(default)}."
        return
    points = f"{100 * (pick.test - default.test):+.1f}".replace("-", MINUS)
    times = pick.cost.flops / default.cost.flops
    said = f"The pick has {points} points at {times:.2f} times its operations."
    yield f"Default {default.name}: {_accuracy(default)}. {said}"
    if wishes.retrainings == 1:
        yield "One network of each says little: another seed may turn a small difference; see --retrainings."
