"""The pictures of a search on one's own images: assignment, shared weights against alone, and fronts of cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from cenote.lab import plots
from cenote.pooling.balanced_supernets.comparing import Comparison, Cost, Placement
from cenote.pooling.balanced_supernets.configurations import blocks_text
from cenote.pooling.balanced_supernets.pictures import Panel, Point, fronts, heat_maps, scatter

ROWS = 40
"""Placements in the picture of the assignment: those with the best scores."""


def draw_search(found: Comparison, folder: Path) -> tuple[str, ...]:
    """Draw what a search found; return the names of the files.

    Shared weights against networks trained alone are drawn where every placement was trained alone, and the fronts then
    show test accuracy alone; else they show accuracy with shared weights.

    Args:
        found: What was found.
        folder: Where the files go.

    Raises:
        StorageError: If a file cannot be written.
    """
    drawn = dict(_pictures(found))
    for name, drawing in drawn.items():
        plots.save(drawing, folder / name)
    return tuple(drawn)


def _pictures(found: Comparison) -> Iterator[tuple[str, Drawing]]:
    yield "assignment.png", _assignment(found)
    # What diverged alone has no place in a picture of accuracies alone; the command names it.
    searched = [each for each in found.searched if not found.brute_forced or math.isfinite(each.test)]
    names = [each.name for each in searched]
    if found.brute_forced:
        truth, scores = ([100 * value for value in values] for values in _alone_and_shared(searched))
        panel = Panel(f"M = {found.models.shape[1]}", np.array(truth), np.array(scores), lit=True)
        yield "shared.png", scatter([panel], names)
    default = "" if found.default is None else blocks_text(found.default)
    kind = "test accuracy, trained alone (%)" if found.brute_forced else "validation accuracy, shared weights (%)"
    beyond = [each for each in found.placements if each.score is None and each.blocks == found.default]
    costs: tuple[tuple[str, str, Callable[[Cost], float]], ...] = (
        ("flops.png", "million operations an image", lambda cost: 1e-6 * cost.flops),
        ("latency.png", "milliseconds an image", lambda cost: 1e3 * cost.seconds),
    )
    for name, xlabel, scaled in costs:
        points, over = (
            [_point(each, scaled(each.cost), alone=found.brute_forced) for each in group]
            for group in (searched, beyond)
        )
        yield name, fronts(points, default, xlabel, kind, pick=blocks_text(found.pick), over_budget=over)


def _assignment(found: Comparison) -> Drawing:
    scores = np.array([each.score for each in found.searched])
    rows = np.sort(np.argsort(-scores, kind="stable")[:ROWS])
    title = f"best {ROWS} of {len(scores)} placements" if len(scores) > ROWS else ""
    return heat_maps(
        found.assignment[rows], found.steps[rows].astype(np.float64), [found.searched[row].name for row in rows], title
    )


def _alone_and_shared(searched: Sequence[Placement]) -> tuple[list[float], list[float]]:
    return [each.test for each in searched], [each.score for each in searched if each.score is not None]


def _point(placement: Placement, cost: float, *, alone: bool) -> Point:
    shared = math.nan if placement.score is None else placement.score
    # A default over the budget may never have been trained.
    values = [each.test for each in placement.alone] or [math.nan] if alone else [shared]
    percent = [100 * value for value in values]
    return Point(placement.name, cost, float(np.mean(percent)), min(percent), max(percent))
