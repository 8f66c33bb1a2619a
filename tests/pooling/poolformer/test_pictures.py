"""What the pictures are drawn from, and that their names can be read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from cenote.catalog.results import Record
from cenote.lab import plots
from cenote.pooling.poolformer import pictures
from cenote.pooling.poolformer.ablation import ARMS, CONTROLS


def record(arm: str, metric: str, value: float, unit: str | None = None) -> Record:
    return Record(trial=f"digits/{arm}", data="digits", arm=arm, metric=metric, value=value, unit=unit)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    kept: list[Figure] = []
    save = plots.save

    def watched(figure: Figure, path: Path) -> Path:
        kept.append(figure)
        return save(figure, path)

    monkeypatch.setattr(plots, "save", watched)
    return kept


# --- receptive fields ---------------------------------------------------------------------------------------------


def field(arm: str, shares: Any) -> list[Record]:
    return [record(arm, "receptive_field", share, f"{row} {column}") for (row, column), share in np.ndenumerate(shares)]


def drawn_fields(records: Sequence[Record], folder: Path) -> list[Any]:
    return list(pictures.draw_fields("digits", records, folder, order=ARMS))


def test_a_field_is_drawn_as_a_multiple_of_an_even_share(saved: list[Figure], tmp_path: Path) -> None:
    """Half of one pixel's sum in one of four is twice an even share: log₁₀ 2. Arms stand in their order."""
    spread, even = np.array([[0.5, 0.25], [0.25, 0.0]]), np.full((2, 2), 0.25)
    (figure,) = drawn_fields([*field("identity-mixer", even), *field("pool-mixer", spread)], tmp_path)
    first, second, *_ = saved[0].axes
    assert [axes.get_title() for axes in (first, second)] == ["pool-mixer", "identity-mixer"]
    np.testing.assert_allclose(first.images[0].get_array(), [[np.log10(2), 0], [0, -3]], atol=1e-12)
    np.testing.assert_allclose(second.images[0].get_array(), np.zeros((2, 2)), atol=1e-12)
    low, high = first.images[0].get_clim()
    assert low == -high  # an even share is the middle of the colours
    assert figure.alt == "Share of the pixels that hold half of the gradient: pool-mixer 25%, identity-mixer 50%."
    assert (tmp_path / figure.file).is_file()


def test_a_field_that_is_nowhere_finite_is_left_out(tmp_path: Path) -> None:
    broken = field("pool-mixer", np.full((2, 2), np.nan))
    assert not drawn_fields(broken, tmp_path)
    (figure,) = drawn_fields([*broken, *field("attention-mixer", np.full((2, 2), 0.25))], tmp_path)
    assert "pool-mixer" not in figure.alt


# --- costs and scales ---------------------------------------------------------------------------------------------


def test_numbers_of_the_cost_picture_can_be_read(saved: list[Figure], tmp_path: Path) -> None:
    """All arms have the same cost and nearly the same accuracy; each number still stands alone in its panel."""
    records = [
        record(arm, metric, value)
        for place, arm in enumerate(ARMS)
        for metric, value in {"accuracy": 0.4 + place / 1000, **dict.fromkeys(pictures.COSTS, 1000.0)}.items()
    ]
    records.append(record("pool-mixer", "accuracy", 0.1))
    (figure,) = pictures.draw_costs("digits", records, tmp_path, order=ARMS, controls=tuple(CONTROLS))
    assert figure.alt.startswith("pool-mixer 25.0% with 1,000 parameters, 0.00 M multiply-adds, 1000 ms; identity")
    saved[0].draw_without_rendering()
    for axes in saved[0].axes:
        notes = [note for note in axes.texts if isinstance(note, Annotation)]
        assert sorted(int(note.get_text()) for note in notes) == list(range(1, len(ARMS) + 1))
        boxes = [Text.get_window_extent(note).padded(-0.5) for note in notes]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        assert all(axes.bbox.padded(25).contains(*corner) for box in boxes for corner in box.corners())
    explained = [text.get_text() for text in saved[0].texts]
    assert explained == [word for place, arm in enumerate(ARMS, start=1) for word in (str(place), arm)]


def test_layer_scales_have_a_tick_at_whole_blocks(saved: list[Figure], tmp_path: Path) -> None:
    records = [
        record(arm, "mixer_scale_of_block", value, f"block-{block}")
        for arm, value in (("identity-mixer", 0.1), ("pool-mixer", 0.2))
        for block in (10, 1, 2)
    ]
    (figure,) = pictures.draw_layer_scales("digits", records, tmp_path, order=ARMS)
    (axes,) = saved[0].axes
    assert [list(np.asarray(line.get_xdata())) for line in axes.lines[:2]] == [[1, 2, 10]] * 2
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert figure.alt == "Mean over the blocks: pool-mixer 0.200, identity-mixer 0.100."
