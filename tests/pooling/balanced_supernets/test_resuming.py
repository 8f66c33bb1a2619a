"""A network trained alone is that of ``retrain`` bit for bit, also when its training went on from a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from cenote.pooling import PoolingSearch
from cenote.pooling.balanced_supernets.mixture import State
from cenote.pooling.balanced_supernets.resuming import train_resumably
from cenote.pooling.balanced_supernets.training import Recipe, momentum_of, restore_momentum, seed_of
from tests.pooling.balanced_supernets.problem import backbone, images

EPOCHS = 4


class Told:
    """Batches, channels last, whose order depends on the number of the epoch."""

    def __init__(self) -> None:
        pixels, self.labels = images(48, seed=0)
        self.pixels = pixels.repeat(1, 2, 1, 1).contiguous(memory_format=torch.channels_last)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(48, generator=torch.Generator().manual_seed(seed_of(7, self.epoch)))
        for rows in order.split(12):
            yield self.pixels[rows].contiguous(memory_format=torch.channels_last), self.labels[rows]


def units() -> nn.Sequential:
    first, *behind, head = backbone()
    first[0] = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    return nn.Sequential(first, *behind, nn.Sequential(nn.Dropout(0.3), head))


def search() -> PoolingSearch:
    return PoolingSearch(units, 1, 1, seed=3)


def equal(network: nn.Module, other: nn.Module) -> bool:
    pairs = zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_training_that_goes_on_from_a_file_ends_as_retrain_does(stop: int) -> None:
    whole = search().retrain(Told(), EPOCHS, blocks=(2, 2))
    states: list[bytes] = []

    def keep(epoch: int, loss: float, state: State) -> None:
        assert loss > 0
        states.append(save({name: each.contiguous() for name, each in state.items()}))

    straight = search().network((2, 2))
    assert train_resumably(straight, Told(), EPOCHS, search().recipe, seed=3, on_epoch=keep)
    assert equal(straight, whole)
    assert len(states) == EPOCHS
    resumed = search().network((2, 2))
    assert train_resumably(resumed, Told(), EPOCHS, search().recipe, seed=3, resume=load(states[stop - 1]))
    assert equal(resumed, whole)


def test_a_training_that_diverges_says_so() -> None:
    network, recipe = search().network((2, 2)), Recipe((1e30, 1e30))
    assert not train_resumably(network, Told(), EPOCHS, recipe, seed=3)


def test_momentum_lies_in_memory_as_its_weight_does() -> None:
    layer = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    optimizer, moment = Recipe().optimizer(layer), torch.randn(4, 3, 3, 3)
    restore_momentum(optimizer, {"0": moment})
    (laid,) = (kept["momentum_buffer"] for kept in optimizer.state.values())
    assert laid.stride() == layer.weight.stride() != moment.stride()
    assert torch.equal(laid, moment)
    assert torch.equal(momentum_of(optimizer)["0"], moment)
