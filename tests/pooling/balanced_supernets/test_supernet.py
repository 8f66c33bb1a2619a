"""A SuperNet is the network of each of its configurations, normalised by the batch at hand."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cenote.pooling import PosetPool2d, SuperNet, pool_configs, resnet_units
from cenote.pooling.balanced_supernets.supernet import EveryOther2d, pooled_network
from tests.pooling.balanced_supernets.problem import backbone, images


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("config", pool_configs(4, 2))
def test_a_configuration_is_the_network_written_out(config: tuple[int, ...]) -> None:
    supernet = SuperNet(backbone())
    x, _ = images(6, seed=1)
    maps = x
    for unit, pooled in zip(supernet.units, config, strict=True):
        maps = unit(F.max_pool2d(maps, 2) if pooled else maps)
    assert torch.equal(supernet(x, config), supernet.head(maps))
    assert maps.shape[2:] == (2, 2)


def test_batch_norms_have_no_weights_and_normalise_by_the_batch_in_evaluation_too() -> None:
    units = backbone()
    for norm in norms(units):
        norm.eps = 0.25
    supernet = SuperNet(units).eval()
    own = norms(supernet)
    assert len(own) == len(norms(units)) == 8
    assert all(norm.weight is None and norm.running_mean is None and norm.eps == 0.25 for norm in own)
    seen = {}
    own[0].register_forward_hook(lambda _, given, out: seen.update(given=given[0], out=out))
    supernet(images(6, seed=2)[0], (0, 1, 0, 1))
    given = seen["given"]
    mean, variance = given.mean((0, 2, 3), keepdim=True), given.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(seen["out"], (given - mean) / (variance + 0.25).sqrt())


def test_the_units_given_stay_as_they_are() -> None:
    units = backbone()
    before = copy.deepcopy(units.state_dict())
    supernet = SuperNet(units)
    F.cross_entropy(supernet(*images(6, 3)[:1], (0, 1, 1, 0)), images(6, 3)[1]).backward()
    with torch.no_grad():
        for weight in supernet.parameters():
            weight.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in units.state_dict().items())
    assert all(weight.grad is None for weight in units.parameters())


def test_a_network_of_one_configuration_keeps_its_batch_norms_and_its_units() -> None:
    units = backbone()
    network = pooled_network(units, (0, 1, 0, 1))
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == ["Sequential", "_Max", "ResidualUnit", "ResidualUnit", "_Max", "ResidualUnit", "Sequential"]
    assert all(norm.weight is not None and norm.track_running_stats for norm in norms(network))
    assert network[0] is units[0]


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("max", lambda x: F.max_pool2d(x, 2)),
        ("avg", lambda x: F.avg_pool2d(x, 2)),
        ("stride", lambda x: x[:, :, ::2, ::2]),
        (PosetPool2d("N"), PosetPool2d("N")),
    ],
)
def test_any_pooling_can_be_the_step(pool, expected) -> None:  # type: ignore[no-untyped-def]
    supernet = SuperNet(nn.Sequential(nn.Identity(), nn.Identity(), nn.Identity()), pool)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(supernet(x, (0, 1)), expected(x))


def test_every_other_pixel_is_what_a_stride_keeps() -> None:
    x, kernel = torch.randn(2, 3, 7, 8), torch.randn(4, 3, 3, 3)
    torch.testing.assert_close(F.conv2d(x, kernel, stride=2, padding=1), EveryOther2d()(F.conv2d(x, kernel, padding=1)))


def test_resnet20_has_the_papers_units() -> None:
    units = resnet_units()
    assert len(units) - 1 == 10
    x = torch.randn(1, 3, 32, 32)
    shapes = []
    for unit in units[:-1]:
        x = unit(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(width, 32, 32) for width in (16,) * 4 + (32,) * 3 + (64,) * 3]
    weights = {sum(w.numel() for w in pooled_network(units, c).parameters()) for c in pool_configs(10, 2)}
    assert len(weights) == 1  # only the operations differ between placements
