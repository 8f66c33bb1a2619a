"""The pictures show what they say: windows counted by hand, poolings one can tell apart, no interval of one seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from cenote.catalog.results import Figure, Record
from cenote.lab import data, plots
from cenote.lab.data import ImageClassification
from cenote.lab.training import Normalization
from cenote.pooling.order_theory import experiment, pictures

WINDOWS = torch.tensor([[2.0, -1, -3, 1], [-1, -2, -3, -4], [1, 2, 3, 4], [-5, 1, 2, -4]])
"""Two of the four have both signs. The best up-sets of N, 1<2>3<4, there: {1,2,4} and {2}."""

MAP = WINDOWS.reshape(4, 2, 2).transpose(0, 1).reshape(1, 1, 2, 8)


@pytest.fixture(scope="module")
def digits() -> ImageClassification:
    return data.load("digits").subset(train=100, test=20)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Plot]:
    """The figures that are saved, by file, drawn by nobody."""
    kept: dict[str, Plot] = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.setdefault(path.name, figure))
    return kept


def drawn(images: ImageClassification, seeds: int, folder: Path) -> dict[str, Figure]:
    settings = experiment.experiment.presets["tiny"].model_copy(update={"seeds": seeds, "width": 4})
    records = [
        Record(trial="t", data="digits", arm=arm, metric=metric, value=0.5 + 0.01 * seed, seed=seed)
        for arm in experiment.ARMS
        for metric in ("accuracy", "entries_with_gradient")
        for seed in range(seeds)
    ]
    figures = pictures.draw(
        "digits", settings, records, images, folder, controls=experiment.CONTROLS, order=experiment.ARMS
    )
    return {figure.file: figure for figure in figures}


# --- what is counted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("max", [0, 1, 0, 0, 0]),
        ("average", [0, 0, 1, 0, 0]),
        ("antichain", [0, 0, 1, 0, 0]),
        ("N", [0, 0.5, 0, 0.5, 0]),
    ],
)
def test_shares_by_hand(pooling: str, expected: list[float]) -> None:
    received = pictures._received(pictures._poolings("N")[pooling], MAP)
    assert pictures.shares_reached(MAP, received).tolist() == expected


def test_without_a_window_of_both_signs_there_are_no_shares() -> None:
    assert pictures.shares_reached(MAP.abs(), torch.ones_like(MAP)).tolist() == [0, 0, 0, 0, 0]


def test_the_map_is_what_the_arms_of_the_run_pool_first(digits: ImageClassification) -> None:
    settings = experiment.experiment.presets["tiny"].model_copy(update={"first_seed": 3, "gradient_images": 8})
    seen: list[Tensor] = []
    model = experiment._network("poset", settings, digits, seed=3)
    model.halvings[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    pixels = Normalization.of(digits.train.images).apply(torch.from_numpy(digits.test.images[:8]))
    model(pixels)
    torch.testing.assert_close(pictures._first_map(settings, digits), seen[0].detach(), rtol=1e-5, atol=1e-6)


def test_the_part_that_is_shown_has_the_most_windows_of_both_signs() -> None:
    maps = torch.ones(2, 40, 40)
    maps[1, 20:30:2, 8:16:2] = -1  # windows (10…14, 4…7) of the second map
    channel, rows, columns = pictures._busiest(maps)
    assert channel == 1
    assert rows.start <= 20 < 30 <= rows.stop == rows.start + pictures.ZOOM
    assert columns.start <= 8 < 16 <= columns.stop == columns.start + pictures.ZOOM
    assert rows.start % 2 == columns.start % 2 == 0


# --- what is shown ------------------------------------------------------------------------------------------------


def test_no_two_panels_of_gradients_are_alike(
    digits: ImageClassification, tmp_path: Path, saved: dict[str, Plot]
) -> None:
    drawn(digits, 2, tmp_path)
    panels = [axes.images[0] for axes in saved["gradient-maps-digits.png"].axes if axes.images][1:]
    maps = [np.asarray(panel.get_array()) for panel in panels if np.asarray(panel.get_array()).ndim == 2]
    assert len(maps) == 6
    assert all((map_ >= 0).all() for map_ in maps)
    assert {panel.get_clim() for panel in panels[:6]} == {(0.0, 1.0)}
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(maps, 2))


def test_rows_of_shares_fill_the_axis(digits: ImageClassification, tmp_path: Path, saved: dict[str, Plot]) -> None:
    figures = drawn(digits, 2, tmp_path)
    (axes,) = saved["windows-digits.png"].axes
    assert len(axes.containers) == 5
    widths = np.array([[bar.get_width() for bar in container] for container in axes.containers])
    assert widths.sum(0) == pytest.approx(np.full(6, 100.0))
    assert len({tuple(row) for row in widths.T.round(6)}) == 5, "only average pooling and the antichain agree"
    assert "max 1 (100% of windows)" in figures["windows-digits.png"].alt


@pytest.mark.parametrize(
    ("seeds", "check"),
    [
        (1, lambda caption: "95 %" not in caption and "no interval" in caption),
        (8, lambda caption: "mean over 8 seeds, the bar its 95 % t interval" in caption),
    ],
)
def test_captions_promise_no_interval_of_one_seed(
    digits: ImageClassification, tmp_path: Path, saved: dict[str, Plot], seeds: int, check: Callable[[str], bool]
) -> None:
    figures = drawn(digits, seeds, tmp_path)
    assert list(saved) == list(figures)
    for name in ("accuracy-digits.png", "gradient-digits.png"):
        assert check(figures[name].caption)
    assert not any("1 seeds" in figure.caption for figure in figures.values())
