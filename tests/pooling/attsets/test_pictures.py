"""What the pictures are drawn from, and that nothing in them is mirrored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

from cenote.catalog.results import Record
from cenote.lab import plots
from cenote.pooling.attsets import pictures
from cenote.pooling.attsets.pictures import Shown, rebuilt_cells
from cenote.pooling.attsets.voxel_pictures import Rebuilt, Weighed, draw_rebuilt, draw_weights

ARMS = ("attsets-faset", "gru")
CONTROL, OTHER_CONTROL = CONTROLS = ("frozen base, mean", "mean of single answers")


def record(
    arm: str, metric: str, value: float, unit: str | None = None, x: float | None = None, seed: int = 0
) -> Record:
    return Record(trial=f"digits/{arm}", data="digits", arm=arm, metric=metric, value=value, unit=unit, x=x, seed=seed)


def curve(arm: str, *values: float, seed: int = 0) -> list[Record]:
    return [
        record(arm, "iou", value, x=math.log2(count), seed=seed)
        for count, value in zip((1, 3, 24), values, strict=True)
    ]


def rates(arm: str, *scores: float, kept: float = 0.01, seed: int = 0) -> list[Record]:
    return [
        *(record(arm, "set_iou_apart", score, x=-3.0 + i, seed=seed) for i, score in enumerate(scores)),
        record(arm, "set_rate", kept, seed=seed),
    ]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are saved, by the names of their files."""
    kept: dict[str, Figure] = {}
    save = plots.save

    def watched(figure: Figure, path: Path) -> Path:
        kept[path.name] = figure
        return save(figure, path)

    monkeypatch.setattr(plots, "save", watched)
    return kept


def test_wins_and_losses_are_paired_differences(saved: dict[str, Figure], tmp_path: Path) -> None:
    """Two seeds of 0.5 and 0.7, whose records come in any order, against another arm that is 0.05 behind, even and
    0.05 ahead under each seed; against a control the differences are 0.4 and 0.6, of which two seeds are not sure."""
    records = [
        *curve("attsets-faset", 0.5, 0.5, 0.5), *curve("attsets-faset", 0.7, 0.7, 0.7, seed=1),
        *curve("gru", 0.65, 0.7, 0.75, seed=1), *curve("gru", 0.45, 0.5, 0.55),
        *curve(CONTROL, 0.1, 0.2, 0.3), *curve(CONTROL, 0.1, 0.2, 0.3, seed=1),
        *curve(OTHER_CONTROL, 0.5, 0.5, 0.5), *curve(OTHER_CONTROL, 0.7, 0.7, 0.7, seed=1),
        *(record(arm, "permutation_spread", 0.0) for arm in (*ARMS, *CONTROLS)),
        *(each for arm in ARMS for each in rates(arm, 0.5, 0.6)),
    ]  # fmt: skip
    shown = Shown(np.zeros((1, 24, 2, 4, 4), np.float32), np.zeros((1, 4, 4), bool), 24)
    drawn = {each.file: each for each in pictures.draw("digits", {24: ARMS}, CONTROLS, shown, records, tmp_path)}
    assert set(drawn) == {
        "overlap-24-digits.png", "differences-24-digits.png", "rates-digits.png", "order-digits.png",
    }  # fmt: skip
    assert all((tmp_path / file).is_file() for file in drawn)
    (axes,) = saved["differences-24-digits.png"].axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[5, 0, -5], [50, 40, 30], [0, 0, 0]], atol=1e-9)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "24"]
    framed = [(patch.get_x() + 0.46, patch.get_y() + 0.44) for patch in axes.patches]
    np.testing.assert_allclose(framed, [(0, 0), (2, 0)])
    assert drawn["differences-24-digits.png"].alt == (
        "Of 9 cells attsets-faset is ahead in 1 and behind in 1 by more than the seeds explain: behind gru at 24."
    )
    caption = drawn["overlap-24-digits.png"].caption
    assert "then trained on sets, of gru all weights; nothing of the controls: frozen base, mean; mean of" in caption
    assert "attsets-faset 60.0%, gru 65.0%, frozen base, mean 30.0%" in drawn["overlap-24-digits.png"].alt


def test_rates_are_those_of_the_first_group(saved: dict[str, Figure], tmp_path: Path) -> None:
    other = "gru, sets of 1 to 24"
    records = [
        *(each for arm in (*ARMS, other, *CONTROLS) for each in curve(arm, 0.1, 0.2, 0.3)),
        *(record(arm, "permutation_spread", 0.0) for arm in (*ARMS, *CONTROLS)),
        *rates("attsets-faset", 0.5, 0.6), *rates("attsets-faset", 0.9, 0.8, kept=0.001, seed=1),
        *rates("gru", 0.3, 0.4), *rates("gru", 0.3, 0.5, seed=1), *rates(other, 0.1, 0.0, kept=0.001),
    ]  # fmt: skip
    groups = {24: ARMS, 0: ("attsets-faset", other)}
    shown = Shown(np.zeros((1, 24, 2, 4, 4), np.float32), np.zeros((1, 4, 4), bool), 24)
    drawn = {each.file: each for each in pictures.draw("digits", groups, CONTROLS, shown, records, tmp_path)}
    assert drawn["rates-digits.png"].alt == (
        "Learning rates that were kept: attsets-faset 0.001 (1), 0.01 (1); gru 0.01 (2)."
    )
    assert drawn["rates-digits.png"].title.endswith("sets of 24 views")
    (axes,) = saved["rates-digits.png"].axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose([line.get_xdata() for line in lines], [[1e-3, 1e-2]] * 2)
    np.testing.assert_allclose(sorted(line.get_ydata().tolist() for line in lines), [[30, 45], [70, 70]])


def test_rows_of_cells_come_back_from_their_numbers() -> None:
    """5 is binary 101, its last digit first; a row without a record is empty."""
    records = [
        record("attsets-faset", "predicted_row", 5.0, "object-1 row-2", 24.0),
        record("attsets-faset", "predicted_row", 1.0, "object-0 row-0", 1.0),
    ]
    cells = rebuilt_cells(records, 24, (2, 2, 2, 3))
    assert np.argwhere(cells).tolist() == [[1, 1, 0, 0], [1, 1, 0, 2]]


def test_what_was_rebuilt_is_drawn_beside_its_truth(saved: dict[str, Figure], tmp_path: Path) -> None:
    truth = np.zeros((1, 2, 4), bool)
    truth[0, 0, :2] = True
    views = np.zeros((1, 2, 2, 2, 4), np.float32)
    views[0, 0, 0, 1] = 0.5
    records = [
        *(each for arm in (*ARMS, *CONTROLS) for each in curve(arm, 0.1, 0.2, 0.3)),
        *(record(arm, "permutation_spread", 0.0) for arm in (*ARMS, *CONTROLS)),
        *(each for arm in ARMS for each in rates(arm, 0.5, 0.6)),
        record("attsets-faset", "view_weight", 0.5, "object-0 view-0"),
        record("attsets-faset", "view_weight", 1.5, "object-0 view-1"),
        record("attsets-faset", "predicted_row", 1.0, "object-0 row-0", 1.0),
        record("attsets-faset", "predicted_row", 3.0, "object-0 row-0", 2.0),
    ]
    shown = Shown(views, truth, 2)
    drawn = {each.file: each for each in pictures.draw("digits", {2: ARMS}, CONTROLS, shown, records, tmp_path)}
    assert drawn["rebuilt-digits.png"].alt == (
        "Intersection over union, object by object: 0.50 from 1 and 1.00 from 2."
    )
    assert drawn["weights-digits.png"].alt == (
        "Weights of the views, object by object: 0.50 to 1.50 times an even share."
    )
    strip, bars = saved["weights-digits.png"].axes
    np.testing.assert_allclose(strip.images[0].get_array(), np.concatenate([views[0, 0, 0], views[0, 1, 0]], axis=1))
    assert [bar.get_height() for bar in bars.patches] == [0.5, 1.5]
    titles = [axes.get_title() for axes in saved["rebuilt-digits.png"].axes]
    assert titles == ["view", "truth", "1 view: IoU 0.50", "2 views: IoU 1.00"]


def test_pictures_of_bodies_are_dark_on_white() -> None:
    views = np.zeros((1, 1, 3, 2, 2), np.float32)
    views[0, 0, 1, 0, 0] = 0.25
    seen = Shown(views, np.zeros((1, 2, 2, 2), bool), 1).pictures()
    assert seen.shape == (1, 1, 2, 2, 3)
    assert seen[0, 0, 0, 0].tolist() == [1.0, 0.75, 1.0]
    assert Shown(views[:, :, :1], np.zeros((1, 2, 2, 2), bool), 1).pictures().shape == (1, 1, 2, 2)


def test_a_body_stands_upright_and_is_not_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell at x, y (up), z is drawn at x, side - 1 - z and y, which turns the axes without a reflection."""
    drawn = []
    monkeypatch.setattr(Axes3D, "voxels", lambda _, cells, **__: drawn.append(cells))
    grid = np.zeros((4, 4, 4), bool)
    grid[0, 3, 1] = True
    draw_rebuilt([Rebuilt(np.ones((2, 2), np.float32), [grid], ["view", "body"])])
    assert np.argwhere(drawn[0]).tolist() == [[0, 2, 3]]


def test_an_empty_body_and_many_views_can_be_drawn(tmp_path: Path) -> None:
    empty = Rebuilt(np.ones((2, 2, 3), np.float32), [np.zeros((4, 4, 4), bool)], ["view", "nothing"])
    plots.save(draw_rebuilt([empty], truth=None), tmp_path / "empty.png")
    views = np.ones((40, 4, 4, 3), np.float32)
    figure = draw_weights([Weighed("many", views, np.ones(40))])
    assert len(figure.axes[1].patches) == 24
    plots.save(figure, tmp_path / "many.png")


def test_more_views_than_there_is_room_for_are_said_to_be_left_out() -> None:
    views = np.zeros((30, 4, 4), np.float32)
    for count, words in (
        (30, "first 24 of 30; weight below, 1 is an even share"),
        (9, "weight below, 1 is an even share"),
    ):
        figure = draw_weights([Weighed("object 1", views[:count], np.ones(count))])
        assert [axes.get_title(loc="right") for axes in figure.axes if axes.get_title(loc="right")] == [words]


def test_long_names_are_shortened_to_their_end() -> None:
    rebuilt = Rebuilt(
        np.zeros((4, 4), np.float32), [np.ones((4, 4), bool)], ["03001627/1a38407b3036795d19fb4103", "truth"]
    )
    titles = [axes.get_title() for axes in draw_rebuilt([rebuilt]).axes]
    assert titles == ["…07b3036795d19fb4103", "truth"]
