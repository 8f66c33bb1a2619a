"""Findings about the paper: what its main text says against its appendix and the released code."""

from __future__ import annotations

import math

import pytest
import torch

from cenote.pooling import PaperProjection, ReleasedProjection


def sliding(side: int, bins: int) -> list[tuple[int, int]]:
    """The windows that ⌈a / n⌉ wide at stride ⌊a / n⌋ fit on a map, as first and last cell."""
    window, stride = math.ceil(side / bins), side // bins
    return [(start, start + window - 1) for start in range(0, side - window + 1, stride)]


def bins_of(side: int, bins: int) -> list[tuple[int, int]]:
    return [(i * side // bins, math.ceil((i + 1) * side / bins) - 1) for i in range(bins)]


def test_the_sliding_window_of_the_main_text_is_wrong_for_some_sizes() -> None:
    for bins in (1, 2, 3, 6):
        assert sliding(13, bins) == bins_of(13, bins)
    assert len(sliding(10, 6)) == 9
    assert len(sliding(7, 4)) == 6
    assert sliding(10, 4)[-1][1] == 8
    for bins in (3, 4, 6):
        assert sliding(14, bins)[-1][1] < 13
    for side in range(1, 40):
        for bins in range(1, 8):
            own = bins_of(side, bins)
            assert len(own) == bins
            assert set(range(side)) == {cell for first, last in own for cell in range(first, last + 1)}


@pytest.mark.parametrize("cells", [1, 2, 13, 40])
def test_the_rule_of_the_text_loses_the_border_of_the_map(cells: int) -> None:
    whole = torch.tensor([[0.0, 0.0, 16.0 * cells, 16.0 * cells]])
    size = (cells, cells)
    assert ReleasedProjection(16).project(whole, size).tolist() == [[0, 0, cells - 1, cells - 1]]
    expected = [min(1, cells - 1)] * 2 + [cells - 1] * 2
    assert PaperProjection(16).project(whole, size).tolist() == [expected]
