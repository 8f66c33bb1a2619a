"""Networks of torchvision and timm taken apart compute what they would with strides of 1, and others are refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import network_units
from cenote.pooling.balanced_supernets.network_units import check_norms, sequence_units
from tests.pooling.balanced_supernets.problem import backbone

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "torchvision resnet18": (lambda: models.resnet18(num_classes=3), (3, 2, 2, 2)),
    "torchvision resnet50": (lambda: models.resnet50(num_classes=3, width_per_group=8), (4, 4, 6, 3)),
    "torchvision vgg11": (lambda: models.vgg11(num_classes=3), (1, 1, 2, 2, 2)),
    "timm resnet18": (lambda: timm.create_model("resnet18", num_classes=3), (3, 2, 2, 2)),
    "timm resnet18d": (lambda: timm.create_model("resnet18d", num_classes=3), (3, 2, 2, 2)),
    "timm seresnet18": (lambda: timm.create_model("seresnet18", num_classes=3), (3, 2, 2, 2)),
    "timm vgg11_bn": (lambda: timm.create_model("vgg11_bn", num_classes=3), (1, 1, 2, 2, 2)),
}


def with_strides_of_one(model: nn.Module) -> nn.Module:
    """The model itself, whose own forward pass is called, with strides and poolings switched off."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            layer.kernel_size, layer.stride, layer.padding = 1, 1, 0
    return model


@pytest.mark.parametrize("name", MODELS)
def test_the_units_compute_what_the_network_does_with_strides_of_one(name: str) -> None:
    make, default = MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().eval()
    taken = network_units(copy.deepcopy(model))
    assert taken.default == default
    assert sum(default) == len(taken.units) - 1
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(taken.units.eval()(images), with_strides_of_one(model)(images))


@pytest.mark.parametrize("name", ["torchvision resnet18", "timm resnet18d"])
def test_all_weights_of_the_network_are_in_its_units(name: str) -> None:
    model = MODELS[name][0]()
    weights = sorted(weight.numel() for weight in model.parameters())
    assert sorted(weight.numel() for weight in network_units(model).units.parameters()) == weights


def test_the_dropout_of_timms_head_stays() -> None:
    taken = network_units(timm.create_model("resnet18", num_classes=3, drop_rate=0.25))
    assert [layer.p for layer in taken.units[-1].modules() if isinstance(layer, nn.Dropout)] == [0.25]


class Other(models.ResNet):
    """A network that may compute something else."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.mobilenet_v2(),
        lambda: timm.create_model("convnext_atto"),
        lambda: Other(models.resnet.BasicBlock, [1, 1, 1, 1]),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3)),
    ],
)
def test_other_networks_are_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(ArgumentTypeError, match=r"model must be a ResNet or VGG of torchvision or timm, got \w+ of"):
        network_units(make())


def test_a_stride_without_a_known_form_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"model: unit \d+\.aa \(BlurPool2d\) has a stride of 2"):
        network_units(timm.create_model("resnetblur50", num_classes=3))


# --- sequences of one's own -----------------------------------------------------------------------------------------


def test_the_usual_placement_of_a_sequence_is_where_its_maps_get_wider() -> None:
    units = backbone()
    taken = sequence_units(units, torch.randn(2, 1, 8, 8))
    assert taken.units is units
    assert units.training
    assert taken.default == (2, 2)


def test_images_that_a_unit_does_not_take_are_named() -> None:
    with pytest.raises(ArgumentError, match=re.escape("units: unit 0 does not take images of shape (2, 3, 8, 8)")):
        sequence_units(backbone(), torch.randn(2, 3, 8, 8))


def test_a_norm_that_does_more_is_refused() -> None:
    class ActiveNorm(nn.BatchNorm2d):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return super().forward(maps).relu()

    units = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), ActiveNorm(2), nn.Flatten())
    with pytest.raises(ArgumentError, match=r"units: 1 \(ActiveNorm\) is a batch norm of another kind"):
        check_norms(units)
    check_norms(backbone())
