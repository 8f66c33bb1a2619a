"""What a search cannot work with gets one clear error before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from cenote.errors import ArgumentError
from cenote.pooling import FlopsBudget, PoolingSearch, SuperNet, resnet_units
from tests.pooling.balanced_supernets.problem import backbone, images, loader

HEAD = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_pools": 4}, "n_pools must be below the number of units, got 4 for 4"),
        ({"n_pools": 0}, "n_pools must be at least 1, got 0"),
        ({"n_models": 0}, "n_models must be at least 1, got 0"),
        ({"ema": 1.0}, "ema must be 0 or more and below 1, got 1.0"),
        ({"temperature": (1.0, float("inf"))}, "temperature must be two numbers from 0 up"),
        ({"temperature": (-1.0, 100.0)}, "temperature must be two numbers from 0 up"),
        ({"pool": "median"}, "pool must be 'avg', 'max', 'stride' or a module, got 'median'"),
        ({"learning_rate": (0.1, 0.0)}, "learning_rate must be two positive numbers"),
        ({"momentum": 1.0}, "momentum must be 0 or more and below 1"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"backbone": nn.Linear(2, 2)}, "backbone must be an nn.Sequential of units and a head, or a function"),
        ({"backbone": nn.Sequential(nn.Linear(2, 2))}, "at least one unit and a head, got 1 modules"),
    ],
)
def test_arguments_that_make_no_search(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        PoolingSearch(**({"backbone": backbone, "n_pools": 2} | arguments))


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


def test_weights_that_cannot_be_drawn_anew_are_named() -> None:
    units = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Sequential(nn.ReLU(), Bare()), HEAD)
    with pytest.raises(ArgumentError, match=r"weights of 1\.1 \(Bare\) cannot be drawn anew.*give a function"):
        PoolingSearch(units, 1)


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), "unit 1 changes the size of its map from 8 × 8 to 4 × 4"),
        (nn.MaxPool2d(2), "unit 1 changes the size of its map from 8 × 8 to 4 × 4"),
        (nn.Conv2d(4, 4, 3), "unit 1 changes the size of its map from 8 × 8 to 6 × 6"),
    ],
)
def test_units_that_change_the_size_themselves_are_named(unit: nn.Module, words: str) -> None:
    units = nn.Sequential(nn.Conv2d(1, 4, 1), unit, nn.ReLU(), HEAD)
    with pytest.raises(ArgumentError, match=words):
        PoolingSearch(units, 1).fit(loader(), loader(24, seed=9), 1)


def test_images_too_small_for_so_many_poolings() -> None:
    small = DataLoader(TensorDataset(*images(12, seed=0, side=3)), 6)
    with pytest.raises(ArgumentError, match=r"images are 3 × 3 pixels; 2 poolings need at least 4 a side"):
        PoolingSearch(backbone, 2).fit(small, loader(24, seed=9), 1)


def test_batches_that_are_no_images() -> None:
    vectors = [(torch.zeros(4, 6), torch.zeros(4, dtype=torch.int64))]
    with pytest.raises(ArgumentError, match=r"images must be of shape \(B, C, H, W\), got \(4, 6\)"):
        PoolingSearch(backbone, 2).fit(vectors, loader(24, seed=9), 1)


def test_a_pooling_that_does_not_halve() -> None:
    with pytest.raises(ArgumentError, match=r"pool must halve height and width, but it turns \(8, 8\) into \(2, 2\)"):
        PoolingSearch(backbone, 2, pool=nn.MaxPool2d(4)).fit(loader(), loader(24, seed=9), 1)


def test_a_budget_that_nothing_keeps() -> None:
    with pytest.raises(ArgumentError, match="constraint: no placement keeps"):
        PoolingSearch(backbone, 2, constraint=FlopsBudget(10)).fit(loader(), loader(24, seed=9), 1)


def test_images_to_validate_that_are_learned_from() -> None:
    train = loader()
    data = train.dataset
    with pytest.raises(ArgumentError, match="val must not be train"):
        PoolingSearch(backbone, 2).fit(train, train, 1)
    with pytest.raises(ArgumentError, match="share 48 of their data set"):
        PoolingSearch(backbone, 2).fit(train, DataLoader(data, 12), 1)
    first, second = Subset(data, range(30)), Subset(data, range(24, 48))
    with pytest.raises(ArgumentError, match="share 6 of their data set"):
        PoolingSearch(backbone, 2).fit(DataLoader(first, 12), DataLoader(second, 12), 1)
    nested = Subset(Subset(data, range(24, 48)), range(6, 24))
    search = PoolingSearch(backbone, 2, 1).fit(DataLoader(first, 12), DataLoader(nested, 12), 1)
    assert search.score_matrix_.shape == (3, 1)


def test_nothing_to_train_on() -> None:
    with pytest.raises(ArgumentError, match="epochs must be at least 1, got 0"):
        PoolingSearch(backbone, 2).fit(loader(), loader(24, seed=9), 0)
    with pytest.raises(ArgumentError, match="train has no batch"):
        PoolingSearch(backbone, 2).fit([], loader(24, seed=9), 1)
    with pytest.raises(ArgumentError, match="val has no batch"):
        PoolingSearch(backbone, 2).fit(loader(), [], 1)


def test_what_comes_after_fit_needs_it() -> None:
    search = PoolingSearch(backbone, 2)
    for ask in (search.ranking, search.scores, search.state, lambda: search.best_):
        with pytest.raises(ArgumentError, match="before fit"):
            ask()  # type: ignore[operator]
    with pytest.raises(ArgumentError, match="select must be 'best_model', 'mean', 'expected', got 'median'"):
        search.scores("median")  # type: ignore[arg-type]


def test_placements_of_another_search() -> None:
    search = PoolingSearch(backbone, 2)
    with pytest.raises(ArgumentError, match=r"\[3,3\] is no placement of this search, such as \[1,1,2\]"):
        search.network((3, 3))
    with pytest.raises(ArgumentError, match="epochs and batches must be at least 1, got 0 and 4"):
        search.retrain(loader(), 0, blocks=(1, 1, 2))


def test_states_of_another_search() -> None:
    state = PoolingSearch(backbone, 2, 2)
    state.fit(loader(), loader(24, seed=9), 1)
    with pytest.raises(ArgumentError, match="resume: the state is of another search"):
        PoolingSearch(backbone, 2, 3).fit(loader(), loader(24, seed=9), 2, resume=state.state())
    wider = PoolingSearch(lambda: resnet_units((4, 4, 8, 16), channels=1, classes=3), 2, 2)
    with pytest.raises(ArgumentError, match=r"resume: the state is of another search: model\.0\."):
        wider.fit(loader(), loader(24, seed=9), 2, resume=state.state())


def test_a_supernet_of_no_sequence() -> None:
    with pytest.raises(ArgumentError, match="at least one unit and a head, got Linear"):
        SuperNet(nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="widths, channels and classes must be at least 1"):
        resnet_units((4, 0))
