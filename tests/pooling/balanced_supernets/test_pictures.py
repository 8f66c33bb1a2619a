"""What the pictures of a search on one's own images show is what was found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from cenote.catalog.results import Record
from cenote.pooling.balanced_supernets.comparing import Alone, Comparison, Cost, Placement
from cenote.pooling.balanced_supernets.pictures import Point, draw_fronts, fronts, pareto
from cenote.pooling.balanced_supernets.search_pictures import _pictures

BLOCKS = ((1, 1, 2), (1, 2, 1), (2, 1, 1))


def compared(
    scores: Sequence[float | None], tests: Sequence[float | None], default: tuple[int, ...] | None = BLOCKS[0]
) -> Comparison:
    """Three placements of 1, 2 and 3 million operations and as many milliseconds; the second is the pick."""
    placements = tuple(
        Placement(
            blocks,
            Cost(1_000_000 * (row + 1), 0.001 * (row + 1)),
            score,
            () if test is None else (Alone(blocks, 0, test, test, 1.0),),
        )
        for row, (blocks, score, test) in enumerate(zip(BLOCKS, scores, tests, strict=True))
    )
    count = sum(score is not None for score in scores)
    assignment = np.linspace(0.1, 0.6, 2 * count).reshape(count, 2)
    steps = np.arange(2 * count).reshape(count, 2) + 7
    return Comparison(placements, BLOCKS[1], default, assignment, steps, assignment, 2.0)


def pictures(found: Comparison) -> dict[str, Figure]:
    return dict(_pictures(found))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def dots(figure: Figure) -> list[tuple[float, float]]:
    """The placements of a front: markers, one each."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    return [(float(np.ravel(line.get_xdata())[0]), float(np.ravel(line.get_ydata())[0])) for line in lines]


def front(figure: Figure) -> list[tuple[float, float]]:
    line = figure.axes[0].lines[0]  # drawn first
    return list(zip(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist(), strict=True))


def rounded(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(round(x, 9), round(y, 9)) for x, y in points]


def test_the_heat_maps_are_the_assignment_and_the_steps() -> None:
    found = compared((0.5, 0.7, 0.6), (None,) * 3)
    figure = pictures(found)["assignment.png"]
    probability, steps = (axes.images[0].get_array() for axes in figure.axes)
    np.testing.assert_array_equal(np.asarray(probability), found.assignment)
    np.testing.assert_array_equal(np.asarray(steps), found.steps)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["[1,1,2]", "[1,2,1]", "[2,1,1]"]
    assert figure.get_suptitle() == ""


def test_of_many_placements_the_heat_maps_show_the_best_and_say_so() -> None:
    placements = tuple(Placement((1, row + 1), Cost(1, 1.0), row / 100, ()) for row in range(50))
    matrix = np.arange(100.0).reshape(50, 2) / 100
    found = Comparison(placements, (1, 50), None, matrix, np.ones((50, 2), np.int64), matrix, 1.0)
    figure = pictures(found)["assignment.png"]
    np.testing.assert_array_equal(np.asarray(figure.axes[0].images[0].get_array()), matrix[10:])
    assert figure.get_suptitle() == "best 40 of 50 placements"


def test_shared_weights_stand_over_networks_alone() -> None:
    drawn = pictures(compared((0.5, 0.7, 0.6), (0.4, 0.8, 0.9)))
    (dotted,) = drawn["shared.png"].axes[0].collections
    np.testing.assert_allclose(np.asarray(dotted.get_offsets()), [(40, 50), (80, 70), (90, 60)])
    assert "shared.png" not in pictures(compared((0.5, 0.7, 0.6), (0.4, 0.8, None)))


def test_the_fronts_are_of_cost_and_of_the_accuracy_there_is() -> None:
    alone = pictures(compared((0.5, 0.7, 0.6), (0.4, 0.8, 0.7)))
    for name in ("flops.png", "latency.png"):
        assert rounded(dots(alone[name])) == [(1, 40), (2, 80), (3, 70)]
        assert rounded(front(alone[name])) == [(1, 40), (2, 80)]
        assert sorted(texts(alone[name])) == ["[1,1,2] (default)", "[1,2,1] (pick)", "[2,1,1]"]
        assert alone[name].axes[0].get_ylabel() == "test accuracy, trained alone (%)"
    shared = pictures(compared((0.5, 0.7, 0.6), (None, 0.8, None), default=BLOCKS[1]))["flops.png"]
    assert rounded(dots(shared)) == [(1, 50), (2, 70), (3, 60)]
    assert "[1,2,1] (default and pick)" in texts(shared)
    assert shared.axes[0].get_ylabel() == "validation accuracy, shared weights (%)"


def test_a_default_over_the_budget_is_drawn_but_not_on_the_front() -> None:
    alone = pictures(compared((0.5, 0.7, None), (0.4, 0.8, 0.9), default=BLOCKS[2]))["flops.png"]
    assert rounded(dots(alone)) == [(1, 40), (2, 80), (3, 90)]
    assert rounded(front(alone)) == [(1, 40), (2, 80)]
    assert "[2,1,1] (default, over budget)" in texts(alone)
    shared = pictures(compared((0.5, 0.7, None), (None, 0.8, 0.9), default=BLOCKS[2]))["flops.png"]
    assert rounded(dots(shared)) == [(1, 50), (2, 70)]
    assert list(shared.axes[0].lines[-1].get_xdata()) == [3, 3]  # its accuracy with shared weights is not known
    assert "[2,1,1] (default, over budget)" in texts(shared)
    untrained = pictures(compared((0.5, 0.7, None), (0.4, 0.8, None), default=BLOCKS[2]))["flops.png"]
    assert rounded(dots(untrained)) == [(1, 40), (2, 80)]
    assert list(untrained.axes[0].lines[-1].get_xdata()) == [3, 3]


def test_what_diverged_alone_is_left_out() -> None:
    drawn = pictures(compared((0.5, 0.7, 0.6), (math.nan, 0.8, 0.9)))
    (dotted,) = drawn["shared.png"].axes[0].collections
    np.testing.assert_allclose(np.asarray(dotted.get_offsets()), [(80, 70), (90, 60)])
    assert rounded(front(drawn["flops.png"])) == [(2, 80), (3, 90)]


def test_a_point_without_accuracy_is_not_on_a_front_and_hides_no_other() -> None:
    points = [Point(name, cost, accuracy, accuracy, accuracy)
              for name, cost, accuracy in (("a", 1.0, math.nan), ("b", 2.0, 50.0), ("c", 3.0, 60.0))]  # fmt: skip
    assert [point.name for point in pareto(points)] == ["b", "c"]
    figure = fronts(points, "a", "cost")
    assert front(figure) == dots(figure) == [(2, 50), (3, 60)]
    assert sorted(texts(figure)) == ["b", "c"]


def measured(arm: str, metric: str, value: float) -> Record:
    return Record(trial="one", data="digits", arm=arm, metric=metric, value=value, seed=0)


@pytest.mark.parametrize("first", [50.0, math.nan])
def test_the_caption_of_a_front_names_what_diverged(first: float, tmp_path: Path) -> None:
    records = [measured("[1,1,2]", "test_accuracy", first / 100), measured("[1,2,1]", "test_accuracy", 0.75)]
    records += [measured(name, metric, 1.0 + row) for row, name in enumerate(("[1,1,2]", "[1,2,1]"))
                for metric in ("flops", "latency_ms")]  # fmt: skip
    drawn = draw_fronts("digits", records, tmp_path, default="[1,2,1]", order=())
    for figure in itertools.islice(drawn, 2):  # behind them are the times of searches
        said = "Not drawn, as a training diverged: [1,1,2]." in figure.caption
        assert said == math.isnan(first)
        assert figure.alt.endswith("beats [1,2,1] (75.0 %)." if said else "beats [1,1,2] (50.0 %), [1,2,1] (75.0 %).")
