"""The pictures of a search on one's own images: assignment, shared weights against alone, and fronts of cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Drawing

from cenote.lab import plots
from cenote.pooling.balanced_supernets.comparing import Comparison, Placement
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
    searched = found.searched
    if found.brute_forced:
        measured = [each for each in searched if math.isfinite(each.test)]
        names = [each.name for each in measured]
        truth, scores = ([100 * value for value in values] for values in _alone_and_shared(measured))
        panel = Panel(f"M = {found.models.shape[1]}", np.array(truth), np.array(scores), lit=True)
        yield "shared.png", scatter([panel], names)
    default = "" if found.default is None else blocks_text(found.default)
    kind = "test accuracy, trained alone (%)" if found.brute_forced else "validation accuracy, shared weights (%)"
    costs = (
        ("flops.png", "million operations an image", [1e-6 * each.cost.flops for each in searched]),
        ("latency.png", "milliseconds an image", [1e3 * each.cost.seconds for each in searched]),
    )
    for name, xlabel, values in costs:
        points = [_point(each, cost, alone=found.brute_forced) for each, cost in zip(searched, values, strict=True)]
        yield name, fronts(points, default, xlabel, kind)


def _assignment(found: Comparison) -> Drawing:
    scores = np.array([each.score for each in found.searched])
    rows = np.sort(np.argsort(-scores, kind="stable")[:ROWS])
    drawing = heat_maps(
        found.assignment[rows], found.steps[rows].astype(np.float64), [found.searched[row].name for row in rows]
    )
    if len(rows) < len(found.searched):
        drawing.suptitle(f"The {len(rows)} placements with the best scores, of {len(found.searched):,}", fontsize=9)
    return drawing


def _alone_and_shared(searched: Sequence[Placement]) -> tuple[list[float], list[float]]:
    return [each.test for each in searched], [each.score for each in searched if each.score is not None]


def _point(placement: Placement, cost: float, *, alone: bool) -> Point:
    values = [each.test for each in placement.alone] if alone else [placement.score or 0.0]
    percent = [100 * value for value in values]
    return Point(placement.name, cost, float(np.mean(percent)), min(percent), max(percent))
