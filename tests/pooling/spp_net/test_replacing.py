"""A torchvision network with a pyramid takes any size, and keeps all weights but one layer's."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import alexnet, vgg11

from cenote.errors import ArgumentError
from cenote.pooling import NewWeightsWarning, SpatialPyramidPool2d, replace_head_with_spp


def test_alexnet_takes_any_size_and_keeps_its_other_weights() -> None:
    model = alexnet(num_classes=3).eval().double()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.warns(NewWeightsWarning, match=r"classifier\.1 has new random weights"):
        report = replace_head_with_spp(model, (3, 2, 1))
    assert report.in_features == (9216, 256 * 14)
    assert "AdaptiveAvgPool2d" in str(report)
    after = model.state_dict()
    changed = {name for name in before if name not in after or not torch.equal(after[name], before[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert isinstance(model.avgpool, SpatialPyramidPool2d)
    for size in ((63, 63), (100, 171)):
        assert model(torch.randn(1, 3, *size, dtype=torch.float64)).shape == (1, 3)
    with pytest.raises(ArgumentError, match="has a pyramid already"):
        replace_head_with_spp(model)


@pytest.mark.filterwarnings("ignore::cenote.pooling.spp_net.replacing.NewWeightsWarning")
def test_the_last_pooling_goes_unless_it_is_to_stay() -> None:
    maps = []
    for keep in (False, True):
        with torch.device("meta"):
            model = vgg11(num_classes=2, init_weights=False)
            report = replace_head_with_spp(model, (2, 1), keep_last_pooling=keep)
        assert report.in_features == (25088, 512 * 5)
        maps.append(model.features(torch.empty(1, 3, 64, 64, device="meta")).shape[2])
    assert maps == [4, 2]
