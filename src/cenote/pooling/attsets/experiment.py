"""Does one vector of many views rebuild a shape better if attention makes it, and does training it apart help?

One encoder and one decoder, trained on single views, then with every aggregation on sets: all weights for the
aggregations, the attention alone for FASet. All arms of a seed see the same views in the same order, start from the
same encoder and decoder, and take as many steps; each is trained at the same few learning rates, on single views and on
sets, and keeps the network that is best on training objects set apart. The threshold is the same for all.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.catalog.results import DataSource, Figure, Record
from cenote.lab.data import ImageClassification, MultiViewShapes
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.timing import time_interleaved
from cenote.lab.wording import counted
from cenote.pooling.attsets.aggregators import aggregate
from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.comparing import (
    SingleAnswers,
    encode_all,
    overlaps,
    permutation_spread,
    probabilities,
    with_aggregation,
)
from cenote.pooling.attsets.learning import (
    Train,
    Training,
    Tuned,
    train_at_best_rate,
    train_attention,
    train_base,
    train_sets,
)
from cenote.pooling.attsets.networks import ViewNetwork, small_halves
from cenote.pooling.attsets.r2n2 import FEATURES, R2N2Decoder, R2N2Encoder
from cenote.pooling.attsets.sets import NotFiniteError
from cenote.pooling.attsets.settings import SHAPES, AttSetsSettings
from cenote.pooling.attsets.tasks import Read, Task, as_numbers, picture_task, window_task

FASET = "attsets-faset"

FROZEN_MEAN, FROZEN_MAX, SINGLE_ANSWERS = "frozen base, mean", "frozen base, max", "mean of single answers"

CONTROLS = (FROZEN_MEAN, FROZEN_MAX, SINGLE_ANSWERS)
"""Arms that were trained on single views alone."""

INERT = ("attsets", "max", "mean", "sum")
"""Aggregations that give back a set of one as it is, and so share the base trained on single views."""

OTHERS = ("gru", "bilinear", "set-transformer")
"""Aggregations with weights that act on a set of one too: each has a base of its own."""

ARMS = (FASET, *INERT, *OTHERS)

ONE_BASE = "one base"
"""Arm of the trial that trains all that share a base."""

COST = "cost"
"""Arm of the trial that times the aggregations."""


# --- data and network ---------------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """A task, what learning rates are chosen on, the shape of one view and that of one target."""

    task: Task
    apart: Task
    view: tuple[int, ...]
    target: tuple[int, ...]


def problem(name: str, settings: AttSetsSettings, context: Context) -> Problem:
    """Return what is learned on a data set; once per process."""

    def make() -> Problem:
        data = dataset(name, settings, context)
        task = _pictures(data, settings) if isinstance(data, MultiViewShapes) else _windows(data, settings)
        task, apart = task.set_apart(min(settings.set_apart, len(task.targets) // 2))
        return Problem(task, apart, tuple(task.test_views.shape[2:]), tuple(task.targets.shape[1:]))

    return context.remember((name, settings), make)


def dataset(name: str, settings: AttSetsSettings, context: Context) -> ImageClassification | MultiViewShapes:
    """Load a data set, and as many of its objects or images as the settings ask for and it has."""
    options: dict[str, int] = {}
    if name == "furniture":
        options = {"image_size": settings.image_size, "resolution": settings.resolution}
    data: ImageClassification | MultiViewShapes = context.load(name, **options)
    train, test = min(settings.train_objects, len(data.train)), min(settings.test_objects, len(data.test))
    return data.subset(train, test)


def _pictures(data: MultiViewShapes, settings: AttSetsSettings) -> Task:
    grids = [np.stack([split.grid(index) for index in range(len(split))]) for split in (data.train, data.test)]
    read: list[Read] = [data.train.views, data.test.views]
    if data.name == "furniture":  # drawn once and kept; a tree of files may be larger than memory
        read[0] = [data.train.views(index) for index in range(len(data.train))].__getitem__
    return picture_task(read[0], grids[0], read[1], grids[1], settings.most)


def _windows(data: ImageClassification, settings: AttSetsSettings) -> Task:
    grey = [
        F.avg_pool2d(torch.from_numpy(split.images).float().mean(3) / 255, settings.shrink)
        for split in (data.train, data.test)
    ]
    return window_task(grey[0], grey[1], settings.most, settings.window, settings.noise)


def network(arm: str, settings: AttSetsSettings, shapes: Problem, seed: int) -> ViewNetwork:
    """Return an untrained network; equal seeds give equal encoders and decoders."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, decoder, dim = _halves(settings, shapes)
        return ViewNetwork(encoder, aggregate(arm, dim, rank=settings.rank, heads=settings.heads), decoder)


def _halves(settings: AttSetsSettings, shapes: Problem) -> tuple[nn.Module, nn.Module, int]:
    if settings.network == "r2n2":
        return R2N2Encoder(), R2N2Decoder(), FEATURES
    encoder, decoder = small_halves(
        shapes.view, shapes.target, dim=settings.dim, hidden=settings.hidden, widths=settings.widths
    )
    return encoder, decoder, settings.dim


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: AttSetsSettings) -> list[Trial]:
    """Return four trainings per data set and seed, and one timing."""
    arms = (ONE_BASE, *OTHERS)
    trainings = [Trial(data, arm, seed) for data in settings.data for seed in settings.seed_range for arm in arms]
    return [*trainings, Trial(settings.data[0], COST, alone=True)]


def measure(trial: Trial, settings: AttSetsSettings, context: Context) -> Iterable[Record]:
    """Train a base and the aggregations on it, or time all aggregations."""
    if trial.arm == COST:
        return _times(trial, settings)
    assert trial.seed is not None
    shapes = problem(trial.data, settings, context)
    measured = _on_one_base if trial.arm == ONE_BASE else _on_its_own
    return measured(trial, trial.seed, settings, shapes)


def _on_one_base(trial: Trial, seed: int, settings: AttSetsSettings, shapes: Problem) -> Iterator[Record]:
    start = network("attsets", settings, shapes, seed)
    base, training, *_ = first = _tune_base(train_base, start, seed, settings, shapes)
    yield from _rates(trial, ONE_BASE, "single", first)
    apart = SingleAnswers(base.encoder, base.aggregation, base.decoder)
    untrained = (with_aggregation(base, "mean"), with_aggregation(base, "max"), apart)
    for arm, model in zip(CONTROLS, untrained, strict=True):
        yield from _scores(trial, arm, model, settings, shapes.task, not training.fine)
    for group in settings.train_views:
        tuned = _tune(train_attention, base, training, seed, group, settings, shapes)
        yield from _learned(trial, settings.arm(FASET, group), tuned, settings, shapes.task)
        yield from _single_views(trial, settings.arm(FASET, group), base, tuned, shapes.task)
        if tuned.training.fine and seed == settings.first_seed and group == settings.train_views[0]:
            yield from _shown(trial, tuned.model, settings, shapes.task)
        for name in INERT:
            tuned = _tune(train_sets, with_aggregation(base, name), training, seed, group, settings, shapes)
            yield from _learned(trial, settings.arm(name, group), tuned, settings, shapes.task)


def _on_its_own(trial: Trial, seed: int, settings: AttSetsSettings, shapes: Problem) -> Iterator[Record]:
    start = network(trial.arm, settings, shapes, seed)
    base, training, *_ = first = _tune_base(train_sets, start, seed, settings, shapes)
    yield from _rates(trial, trial.arm, "single", first)
    for group in settings.train_views:
        tuned = _tune(train_sets, base, training, seed, group, settings, shapes)
        yield from _learned(trial, settings.arm(trial.arm, group), tuned, settings, shapes.task)


def _singles(task: Task, settings: AttSetsSettings, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    return task.batches(settings.single_batch, (1, 1), seed)


def _sets(task: Task, seed: int, views: tuple[int, int], settings: AttSetsSettings) -> Iterator[tuple[Tensor, Tensor]]:
    return task.batches(settings.set_batch, views, 1_000_000 + seed)


def _tune_base(train: Train, start: ViewNetwork, seed: int, settings: AttSetsSettings, shapes: Problem) -> Tuned:
    """Train a copy of a network on single views, at the rate that is best for those."""

    def singles() -> Iterator[tuple[Tensor, Tensor]]:
        return _singles(shapes.task, settings, seed)

    score = _on_objects_apart((1,), settings, shapes)
    return train_at_best_rate(train, start, singles, settings.single_steps, settings.single_rates, score)


def _tune(
    train: Train, base: ViewNetwork, before: Training, seed: int, group: int, settings: AttSetsSettings, shapes: Problem
) -> Tuned:
    """Train a copy of a base on sets, at the rate that is best for sets of these sizes; not one that diverged."""
    if not before.fine:
        return Tuned(base, before, math.nan, dict.fromkeys(settings.set_rates, math.nan))

    def sets() -> Iterator[tuple[Tensor, Tensor]]:
        return _sets(shapes.task, seed, settings.bounds(group), settings)

    score = _on_objects_apart((group,) if group else settings.views, settings, shapes)
    return train_at_best_rate(train, base, sets, settings.set_steps, settings.set_rates, score)


def _on_objects_apart(
    counts: tuple[int, ...], settings: AttSetsSettings, shapes: Problem
) -> Callable[[ViewNetwork], float]:
    """Return what gives a network its mean overlap, over numbers of views, with the objects set apart."""
    views, targets = shapes.apart.test_views[:, : max(counts)], shapes.apart.test_targets

    def score(model: ViewNetwork) -> float:
        found = overlaps(model, encode_all(model, views), targets, counts, settings.threshold)
        return float(np.mean([*found.values()]))

    return score


def _learned(trial: Trial, arm: str, tuned: Tuned, settings: AttSetsSettings, task: Task) -> Iterator[Record]:
    """Record how an arm learned on sets, and how well it rebuilds test objects."""
    last = tuned.training.losses[-max(1, len(tuned.training.losses) // 10) :]
    loss = float(np.mean(last)) if tuned.training.fine else math.nan
    yield trial.record("training_loss", loss, arm=arm)  # of the last tenth of the steps
    yield from _rates(trial, arm, "set", tuned)
    yield from _scores(trial, arm, tuned.model, settings, task, not tuned.training.fine)


def _rates(trial: Trial, arm: str, stage: str, tuned: Tuned) -> Iterator[Record]:
    """Record which learning rate was kept, and the overlap with the objects set apart at each."""
    yield trial.record(f"{stage}_rate", tuned.rate if tuned.training.fine else math.nan, arm=arm)
    for rate, score in tuned.scores.items():
        yield trial.record(f"{stage}_iou_apart", score, arm=arm, x=math.log10(rate))


def _single_views(trial: Trial, arm: str, base: ViewNetwork, tuned: Tuned, task: Task) -> Iterator[Record]:
    """Record how far the answer to one view has moved from the base's."""
    ones, moved = task.test_views[:, :1], math.nan
    if tuned.training.fine:
        before, after = (probabilities(model, encode_all(model, ones)) for model in (base, tuned.model))
        moved = float((after - before).abs().max())
    yield trial.record("single_view_change", moved, arm=arm)


def _scores(
    trial: Trial, arm: str, model: ViewNetwork, settings: AttSetsSettings, task: Task, broken: bool
) -> Iterator[Record]:
    """Record the overlap by the number of views, at both ends, its late gain, and the effect of the views' order."""
    found = dict.fromkeys(settings.views, math.nan)
    spread = math.nan
    if not broken:
        features = encode_all(model, task.test_views)
        with contextlib.suppress(NotFiniteError):  # a diverged arm keeps its NaN
            found = overlaps(model, features, task.test_targets, settings.views, settings.threshold)
            spread = permutation_spread(model, features[: settings.spread_objects], settings.spread_orders)
    for count, value in found.items():
        yield trial.record("iou", value, arm=arm, x=math.log2(count))
    yield trial.record("iou_of_one_view", found[1], arm=arm)
    yield trial.record("iou_of_most_views", found[settings.most], arm=arm)
    yield trial.record("iou_gain_of_late_views", found[settings.most] - found[settings.early], arm=arm)
    yield trial.record("permutation_spread", spread, arm=arm)


def _shown(trial: Trial, model: ViewNetwork, settings: AttSetsSettings, task: Task) -> Iterator[Record]:
    """Record what is predicted of the first test objects, and how much each of their views weighs.

    A row of predicted cells is one whole number, whose binary digits they are; rows without any are left out.
    """
    features = encode_all(model, task.test_views[: settings.shown_objects])
    assert isinstance(model.aggregation, AttSets)
    with torch.no_grad():
        weights = model.aggregation(features, return_weights=True)[1].mean(2) * settings.most
    for index, row in enumerate(weights.tolist()):
        for view, weight in enumerate(row):
            yield trial.record("view_weight", weight, arm=FASET, unit=f"object-{index} view-{view}")
    for count in (1, settings.most):
        cells = probabilities(model, features[:, :count]) > settings.threshold
        rows = (cells.double() * 2.0 ** torch.arange(cells.shape[-1])).sum(-1).flatten(1)
        for index, row in rows.nonzero().tolist():
            unit = f"object-{index} row-{row}"
            yield trial.record("predicted_row", float(rows[index, row]), arm=FASET, unit=unit, x=float(count))


def _times(trial: Trial, settings: AttSetsSettings) -> Iterator[Record]:
    """Time the aggregation of one set of the most views, in turns."""
    features = torch.randn(1, settings.most, settings.timing_dim, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules = {
            name: aggregate(name, settings.timing_dim, rank=settings.rank, heads=settings.heads)
            for name in (*INERT, *OTHERS)
        }
    with torch.no_grad():
        passes = {name: (lambda module=module: module(features)) for name, module in modules.items()}
        timings = time_interleaved(passes, repeats=settings.timing_repeats, min_seconds=settings.timing_seconds)
    for arm, times in timings.seconds.items():
        for repeat, seconds in enumerate(times):
            yield trial.record("latency", 1e3 * seconds, arm=arm, unit=f"repeat-{repeat}")


# --- data and pictures --------------------------------------------------------------------------------------------


def sources(settings: AttSetsSettings, context: Context) -> Iterator[DataSource]:
    """Describe what the run reads."""
    for name in settings.data:
        data = dataset(name, settings, context)
        what = "objects" if isinstance(data, MultiViewShapes) else "images"
        yield DataSource(
            name=name,
            checksum=data.checksum(),
            size=f"{len(data.train):,} training and {len(data.test):,} test {what}",
            note=data.note,
        )


def figures(settings: AttSetsSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw the overlap by the number of views, the effect of their order, and what was predicted of some objects."""
    from cenote.pooling.attsets import pictures

    groups = {group: tuple(settings.arm(name, group) for name in ARMS) for group in settings.train_views}
    for name in settings.data:
        task = problem(name, settings, context).task
        shown = slice(settings.shown_objects)
        views = as_numbers(task.test_views[shown]).numpy()
        drawn = pictures.Shown(views, task.test_targets[shown].numpy(), settings.most)
        yield from pictures.draw(name, groups, CONTROLS, drawn, records, folder)


def differs(settings: AttSetsSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    sizes = ", ".join(str(each) if each else f"1 to {settings.most}" for each in settings.train_views)
    said = [
        "The paper rebuilds objects of ShapeNet, ModelNet40, LSM and Blobby from photographs and renderings; here are "
        f"{', '.join(settings.data)}, at most {settings.train_objects:,} objects or images to learn from, with "
        f"{counted(settings.seeds, 'seed')}.",
        f"All arms take {settings.single_steps:,} steps on single views and {settings.set_steps:,} on sets of {sizes} "
        f"views, at learning rates that fall to 0 along a cosine. Each arm takes, seed by seed, the best of "
        f"{_listed(settings.single_rates)} on single views and of {_listed(settings.set_rates)} on sets, by the mean "
        f"IoU, at the number of views trained on, of up to {settings.set_apart} objects set apart from those to learn "
        "from. The paper trains for 30 and then 20 epochs at 1e-4.",
        f"A cell counts as predicted above {settings.threshold:g}, fixed beforehand for all arms; the threshold of the "
        "paper's tables is not known. Training views are neither cropped nor mirrored at random.",
        "All seeds learn from the same objects and are tested on the same ones: the intervals cover weights and "
        "batches, not the choice of objects.",
        f"The second-order baseline is one bilinear pooling of {settings.rank} projected features in the place of the "
        "paper's three; set-transformer is not in the paper.",
    ]
    if any(name not in SHAPES for name in settings.data):
        low, high = settings.window
        said.append(
            f"Images are seen through windows of {low} to {high} pixels with noise of {settings.noise:g}, shrunk "
            f"{counted(settings.shrink, 'time')}; what is rebuilt is which pixels are bright, no body in space."
        )
    if settings.network == "small":
        said.append("Encoder and decoder are far smaller than the paper's, whose own network the preset paper has.")
    return said


def _listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)


experiment = Experiment(
    settings=AttSetsSettings,
    presets={
        "tiny": AttSetsSettings(
            data=("furniture",),
            seeds=1,
            train_objects=8,
            test_objects=4,
            views=(1, 2, 4),
            train_views=(4,),
            dim=16,
            hidden=16,
            widths=(4, 8),
            rank=4,
            image_size=16,
            resolution=8,
            shrink=1,
            window=(2, 5),
            single_steps=3,
            set_steps=2,
            single_batch=4,
            set_batch=2,
            spread_objects=3,
            spread_orders=3,
            shown_objects=1,
            single_rates=(1e-3,),
            set_rates=(1e-3, 1e-2),
            set_apart=2,
            timing_dim=16,
            timing_repeats=2,
            timing_seconds=0.002,
        ),
        "smoke": AttSetsSettings(
            data=("digits",),
            seeds=8,
            train_objects=1_000,
            test_objects=200,
            views=(1, 2, 4, 8, 16, 24),
            train_views=(24,),
            dim=64,
            hidden=128,
            shrink=1,
            window=(2, 6),
            single_steps=150,
            set_steps=40,
            single_rates=(3e-3,),
            set_rates=(1e-3, 1e-2),
            timing_seconds=0.01,
        ),
        "laptop": AttSetsSettings(
            data=("furniture", "mnist-5k"),
            seeds=8,
            train_objects=4_000,  # with 1,000 to test on, all of mnist-5k; of the furniture there are 1,600 and 400
            test_objects=1_000,
            single_steps=3_000,
            set_steps=400,
        ),
        "paper": AttSetsSettings(
            data=("shapenet-r2n2",),
            seeds=8,
            train_objects=35_000,
            test_objects=9_000,
            train_views=(24, 2, 8, 16, 0),
            network="r2n2",
            single_steps=250_000,
            set_steps=170_000,
            single_batch=96,
            set_batch=4,
            single_rates=(1e-4,),
            set_rates=(1e-4,),
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
)
