"""Made-up furniture: chairs, tables and shelves of boxes, their grids, and pictures of them from random sides."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError
from cenote.lab.data.boxes import occupied, render
from cenote.lab.data.shapes import MultiViewShapes, ShapeSplit

KINDS = ("chair", "table", "shelf")
TRAIN, TEST = 1_600, 400
VIEWS = 24

NOTE = "Made-up objects of boxes with random measures, drawn from random sides; no photographs."

TOLD_APART = 16
"""Cells along a side of the grids that no two objects share."""

_ELEVATIONS = (np.radians(-5.0), np.radians(45.0))


def load(root: Path | None = None, image_size: int = 32, resolution: int = 16) -> MultiViewShapes:
    """Draw the objects, always the same ones, of which no two fill the same of 16³ cells.

    Args:
        root: Not used; nothing is read.
        image_size: Side of a picture in pixels.
        resolution: Cells along a side of the grids.

    Raises:
        ArgumentError: If a number is below 8.
    """
    for name, number in (("image_size", image_size), ("resolution", resolution)):
        if number < 8:
            raise ArgumentError(f"{name} must be at least 8, got {number}")
    seeds = _seeds()
    train, test = (_split(part, image_size, resolution) for part in (seeds[:TRAIN], seeds[TRAIN:]))
    return MultiViewShapes("furniture", train, test, NOTE)


def furniture(seed: int) -> tuple[str, NDArray[np.float64]]:
    """Return the kind of an object and its boxes (K, 2, 3), within the cube from -1/2 to 1/2; y is up."""
    random = _Uniform(seed)
    kind = KINDS[seed % len(KINDS)]
    boxes = np.array({"chair": _chair, "table": _table, "shelf": _shelf}[kind](random), dtype=np.float64)
    middle = (boxes[:, 0].min(0) + boxes[:, 1].max(0)) / 2
    return kind, boxes - middle


class _Uniform:
    """Numbers of a seed. random_raw is the one stream numpy promises to keep."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def __call__(self, low: float, high: float) -> float:
        return float(low + (high - low) * (int(self._bits.random_raw()) / 2**64))

    def chance(self, probability: float) -> bool:
        return self(0, 1) < probability


Box = tuple[tuple[float, float, float], tuple[float, float, float]]


@cache
def _seeds() -> tuple[int, ...]:
    """The first seeds whose objects differ from all before: else some would be learned from and tested on."""
    found: dict[bytes, int] = {}
    seeds = count()
    while len(found) < TRAIN + TEST:
        seed = next(seeds)
        found.setdefault(occupied(furniture(seed)[1], TOLD_APART).tobytes(), seed)
    return tuple(found.values())


def _split(seeds: tuple[int, ...], image_size: int, resolution: int) -> ShapeSplit:
    def views(index: int) -> NDArray[np.uint8]:
        seed = seeds[index]
        # A stream of its own, so that measures and sides do not depend on each other.
        random = _Uniform(1_000_000 + seed)
        azimuth = np.array([random(0, 2 * np.pi) for _ in range(VIEWS)])
        elevation = np.array([random(*_ELEVATIONS) for _ in range(VIEWS)])
        return render(furniture(seed)[1], azimuth, elevation, image_size)

    def grid(index: int) -> NDArray[np.bool_]:
        return occupied(furniture(seeds[index])[1], resolution)

    names = tuple(f"{KINDS[seed % len(KINDS)]}-{seed:04d}" for seed in seeds)
    return ShapeSplit(names, views, grid)


def _chair(random: _Uniform) -> list[Box]:
    width, depth = random(0.35, 0.6), random(0.35, 0.6)
    seat, height = random(0.25, 0.45), random(0.65, 0.95)
    thick, leg = random(0.07, 0.12), random(0.07, 0.1)
    back = random(0.07, 0.12)
    boxes = [((0, seat, 0), (width, seat + thick, depth)), *_legs(width, depth, seat, leg)]
    if random.chance(0.5):
        boxes.append(((0, seat, 0), (width, height, back)))
    else:  # two posts and a rail
        rail = random(0.08, 0.25)
        boxes += [((0, seat, 0), (leg, height, back)), ((width - leg, seat, 0), (width, height, back))]
        boxes.append(((0, height - rail, 0), (width, height, back)))
    if random.chance(0.5):
        boxes += _arms(width, depth, seat + thick, random(0.12, 0.25), leg)
    return boxes


def _arms(width: float, depth: float, seat: float, height: float, thick: float) -> list[Box]:
    top = seat + height
    sides = ((0.0, thick), (width - thick, width))
    rails: list[Box] = [((low, top - thick, 0), (high, top, depth)) for low, high in sides]
    posts: list[Box] = [((low, seat, depth - thick), (high, top, depth)) for low, high in sides]
    return rails + posts


def _table(random: _Uniform) -> list[Box]:
    width, depth, height = random(0.5, 0.95), random(0.35, 0.75), random(0.35, 0.65)
    thick, leg = random(0.07, 0.12), random(0.07, 0.11)
    top: Box = ((0, height - thick, 0), (width, height, depth))
    if random.chance(1 / 3):  # one foot in the middle
        foot, half = random(0.25, 0.45), random(0.05, 0.1)
        x, z = width / 2, depth / 2
        column: Box = ((x - half, 0, z - half), (x + half, height, z + half))
        plate: Box = ((x - foot / 2, 0, z - foot / 2), (x + foot / 2, thick, z + foot / 2))
        return [top, column, plate]
    boxes = [top, *_legs(width, depth, height, leg)]
    if random.chance(0.5):  # a board between the legs
        low = random(0.08, 0.25)
        boxes.append(((0, low, 0), (width, low + thick, depth)))
    return boxes


def _shelf(random: _Uniform) -> list[Box]:
    width, depth, height = random(0.4, 0.8), random(0.2, 0.4), random(0.6, 0.95)
    thick, boards = random(0.065, 0.1), int(random(2, 6))
    sides: list[Box] = [((0, 0, 0), (thick, height, depth)), ((width - thick, 0, 0), (width, height, depth))]
    steps = np.linspace(0, height - thick, boards)
    levels: list[Box] = [((0, float(low), 0), (width, float(low) + thick, depth)) for low in steps]
    if random.chance(0.5):
        levels.append(((0, 0, 0), (width, height, thick)))
    if random.chance(0.5):
        middle = random(0.35, 0.65) * width
        levels.append(((middle - thick / 2, 0, 0), (middle + thick / 2, height, depth)))
    return sides + levels


def _legs(width: float, depth: float, height: float, thick: float) -> list[Box]:
    return [((x, 0, z), (x + thick, height, z + thick)) for x in (0.0, width - thick) for z in (0.0, depth - thick)]
