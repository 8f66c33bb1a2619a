"""Pyramid, windows and projection against brute force and torchvision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import roi_pool

from cenote.pooling import (
    PaperProjection,
    ReleasedProjection,
    SpatialPyramidPool2d,
    group_by_size,
    spatial_pyramid_pool2d,
    spp_roi_pool,
)
from cenote.pooling.spp_net.windows import nearest_scale


def brute_force(x: Tensor, levels: tuple[int, ...], mode: str) -> Tensor:
    """The appendix's bins, one by one."""
    batch, channels, height, width = x.shape
    parts = []
    for n in levels:
        for c in range(channels):
            for i in range(n):
                for j in range(n):
                    rows = slice(math.floor(i * height / n), math.ceil((i + 1) * height / n))
                    columns = slice(math.floor(j * width / n), math.ceil((j + 1) * width / n))
                    cells = x[:, c, rows, columns].reshape(batch, -1)
                    parts.append(cells.amax(1) if mode == "max" else cells.mean(1))
    return torch.stack(parts, dim=1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 15),
    st.integers(1, 15),
    st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["max", "avg"]),
)
def test_every_size_and_level_has_the_appendix_bins(
    height: int, width: int, levels: tuple[int, ...], mode: str
) -> None:
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    pooled = spatial_pyramid_pool2d(x, levels, mode)  # type: ignore[arg-type]
    torch.testing.assert_close(pooled, brute_force(x, levels, mode), rtol=0, atol=1e-12)


def test_gradients_reach_the_largest_cell_of_each_bin() -> None:
    for size in ((1, 1), (2, 5), (7, 3)):
        x = torch.randn(1, 2, *size, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda y: spatial_pyramid_pool2d(y, (6, 3, 2, 1)), (x,))


def test_weights_with_other_levels_are_refused() -> None:
    state = nn.Sequential(SpatialPyramidPool2d((6, 3, 2, 1)), nn.Linear(50, 2)).state_dict()
    other = nn.Sequential(SpatialPyramidPool2d((1, 2, 3, 6)), nn.Linear(50, 2))
    with pytest.raises(ValueError, match=r"levels of the loaded weights are \(6, 3, 2, 1\), those of the layer"):
        other.load_state_dict(state)


def test_the_state_fits_into_safetensors() -> None:
    from safetensors.torch import load, save

    layer = SpatialPyramidPool2d((3, 1))
    layer.load_state_dict(load(save(layer.state_dict())))
    assert repr(layer) == "SpatialPyramidPool2d(levels=(3, 1), mode='max')"


def test_groups_hold_every_image_once() -> None:
    images = [torch.full((1, *size), float(index)) for index, size in enumerate([(2, 3), (3, 2), (2, 3), (1, 1)])]
    found = {int(at): image for places, batch in group_by_size(images) for at, image in zip(places, batch, strict=True)}
    assert sorted(found) == [0, 1, 2, 3]
    assert all(torch.equal(found[index], image) for index, image in enumerate(images))
    assert group_by_size([]) == []


# --- windows ------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_a_window_gives_what_the_pyramid_gives_of_its_cells(height: int, width: int, data: st.DataObject) -> None:
    features = torch.randn(2, 3, height, width)
    corners = [data.draw(st.tuples(st.floats(0, 16 * width), st.floats(0, 16 * height))) for _ in range(2)]
    box = torch.tensor([[*map(min, *corners), *map(max, *corners)]], dtype=torch.float64)
    for projection in (ReleasedProjection(16), PaperProjection(16)):
        ((x1, y1, x2, y2),) = projection.project(box, (height, width)).tolist()
        assert 0 <= x1 <= x2 < width
        assert 0 <= y1 <= y2 < height
        expected = spatial_pyramid_pool2d(features[1:, :, y1 : y2 + 1, x1 : x2 + 1], (3, 2, 1))
        pooled = spp_roi_pool(features, [box[:0], box], projection, (3, 2, 1))
        assert torch.equal(pooled, expected)


def test_windows_are_those_of_roi_pool_where_it_rounds_to_the_same_cells() -> None:
    features = torch.randn(1, 4, 10, 13)
    box = torch.tensor([[2.0, 1.0, 8.0, 6.0]])
    whole_cells = ReleasedProjection(stride=1, slack=0)
    edges = box + torch.tensor([0.0, 0.0, 1.0, 1.0])
    pooled = spp_roi_pool(features, [edges], whole_cells, (3,))
    assert torch.equal(pooled, roi_pool(features, [box], 3, 1.0).flatten(1))


def test_equal_windows_are_pooled_once_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from cenote.pooling.spp_net import windows

    pooled: list[int] = []

    def counted(features: Tensor, cells: Tensor, size: int, scale: float) -> Tensor:
        pooled.append(len(cells))
        return roi_pool(features, cells, size, scale)  # type: ignore[no-any-return]

    monkeypatch.setattr(windows, "roi_pool", counted)
    features = torch.randn(1, 2, 6, 6)
    boxes = torch.tensor([[0.0, 0, 50, 50], [40, 40, 96, 96], [1, 0, 51, 50], [0, 0, 50, 50]])
    result = spp_roi_pool(features, [boxes], ReleasedProjection(16), (2, 1), chunk=1)
    assert pooled == [1, 1] * 2
    assert torch.equal(result[0], result[2])
    assert torch.equal(result[0], result[3])
    assert not torch.equal(result[0], result[1])


def test_the_released_rule_by_hand() -> None:
    """The released formula, pixels and cells counted from 1, worked out box by box."""
    rule = ReleasedProjection(stride=16, centre=21, slack=6.5)
    boxes = torch.tensor([[17.0, 33.0, 180.0, 95.0], [100.0, 100.0, 101.0, 101.0]])
    expected = []
    for x1, y1, x2, y2 in boxes.tolist():
        first = [math.floor((edge + 1 - 21 + 6.5) / 16 + 0.5) + 1 for edge in (x1, y1)]
        last = [math.ceil((edge - 21 - 6.5) / 16 - 0.5) + 1 for edge in (x2, y2)]
        cells = []
        for low, high in zip(first, last, strict=True):
            if low > high:
                low = high = (low + high) // 2
            cells.append((max(low, 1) - 1, max(high, 1) - 1))
        expected.append([cells[0][0], cells[1][0], cells[0][1], cells[1][1]])
    assert rule.project(boxes, (13, 13)).tolist() == expected


def test_the_scale_with_the_nearest_area_is_taken() -> None:
    scales = (480, 576, 688, 864, 1200)
    boxes = torch.tensor([[0.0, 0, 224, 224], [0, 0, 90, 90], [0, 0, 10, 10], [0, 0, 400, 300]])
    by_hand = [min(range(5), key=lambda k: abs(scales[k] - 224 * 480 / math.sqrt(w * h))) for w, h in
               ((224, 224), (90, 90), (10, 10), (400, 300))]  # fmt: skip
    assert nearest_scale(boxes, 480, scales).tolist() == by_hand == [0, 4, 4, 0]
