"""The comparison is fair, counts what it says it counts, and gives the same figures twice."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cenote.catalog.loading import get_card
from cenote.catalog.results import Record, Result
from cenote.lab.experiment import Context
from cenote.lab.runner import run
from cenote.lab.training import Normalization
from cenote.pooling.order_theory import NonNegativeInputWarning, experiment
from cenote.pooling.order_theory.experiment import ARMS, COST, SmallNet, halvings, reached_entries

TINY = experiment.experiment.presets["tiny"]

WINDOWS = np.array([[2, -1, -3, 1], [-1, -2, -3, -4], [1, 2, 3, 4], [-5, 1, 2, -4]])
"""The best up-sets of N, 1<2>3<4, by hand: {1,2,4} with sum 2, none, all with sum 10, {2} with sum 1."""

IMAGE = WINDOWS.reshape(4, 2, 2).transpose(1, 0, 2).reshape(2, 8)


@pytest.fixture(autouse=True)
def one_control_is_degenerate() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonNegativeInputWarning)
        yield


def network(arm: str) -> SmallNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return SmallNet(arm, "N", width=2, channels=1, classes=3)


# --- the arms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("poset", [2, 0, 10, 1]),
        ("max", [2, 0, 4, 2]),
        ("average", [0.75, 0, 2.5, 0.75]),
        ("mixed", [1.375, 0, 3.25, 1.375]),
        ("sum", [3, 0, 10, 3]),
        ("poset after ReLU", [3, 0, 10, 3]),
        ("poset / 4", [0.5, 0, 2.5, 0.25]),
    ],
)
def test_each_way_of_halving_by_hand(arm: str, expected: list[float]) -> None:
    signed = torch.from_numpy(IMAGE).float().reshape(1, 1, 2, 8)
    assert halvings("N")[arm]()(signed).flatten().tolist() == expected


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_makes_non_negative_maps_of_half_the_size(arm: str) -> None:
    maps: list[Tensor] = []
    model = network(arm)
    for halving in model.halvings:
        halving.register_forward_hook(lambda _, __, out: maps.append(out))
    x = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert model(x).shape == (4, 3)
    assert [out.shape[1:] for out in maps] == [(2, 16, 16), (4, 8, 8), (8, 4, 4)]
    assert all((out >= 0).all() and (out > 0).any() for out in maps)


def test_a_poset_after_relu_is_sum_pooling_in_the_whole_network() -> None:
    x = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def logits_and_gradients(arm: str) -> list[Tensor]:
        model = network(arm).double()
        logits = model(x)
        return [logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))]

    for ours, torchs in zip(logits_and_gradients("poset after ReLU"), logits_and_gradients("sum"), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-9)


# --- which entries receive gradient -------------------------------------------------------------------------------


class Halving(nn.Module):
    """A network of one stage that hands grey values, less 128, to a way of halving."""

    def __init__(self, arm: str) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Identity()])
        self.norms = nn.ModuleList([nn.Identity()])
        self.halvings = nn.ModuleList([halvings("N")[arm]()])


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("poset", [3, 0, 4, 1]),
        ("poset / 4", [3, 0, 4, 1]),
        ("max", [1, 0, 1, 1]),
        ("average", [2, 0, 4, 2]),
        ("mixed", [2, 0, 4, 2]),
        ("sum", [2, 0, 4, 2]),
        ("poset after ReLU", [2, 0, 4, 2]),
    ],
)
def test_reached_entries_are_counted_before_the_relu(arm: str, expected: list[float]) -> None:
    grey = (IMAGE + 128).astype(np.uint8).reshape(1, 2, 8, 1)
    (counts,) = reached_entries(Halving(arm), grey, Normalization((128 / 255,), (1 / 255,)))  # type: ignore[arg-type]
    assert counts.tolist() == [[[expected]]]


def test_reached_entries_of_strided_convolution_are_its_positive_outputs() -> None:
    grey = (IMAGE + 128).astype(np.uint8).reshape(1, 2, 8, 1)
    stage = Halving("strided convolution")
    (counts,) = reached_entries(stage, grey, Normalization((128 / 255,), (1 / 255,)))  # type: ignore[arg-type]
    assert np.array_equal(counts[0, 0], IMAGE > 0)


# --- the run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    result, folder = run(get_card("order-theory"), "tiny", root=tmp_path_factory.mktemp("runs"), jobs=1)
    return result, folder.path


def test_the_tiny_run_has_every_record(tiny: tuple[Result, Path]) -> None:
    result, path = tiny
    measured = [(record.arm, record.metric, record.seed, record.unit) for record in result.records]
    per_arm = ("accuracy", "entries_with_gradient", "windows_without_gradient")
    expected = [(arm, metric, 0, None) for arm in ARMS for metric in per_arm]
    expected += [("poset", "extra_parameters", 0, None)]
    expected += [(arm, "forward_backward_ms", None, f"repeat-{repeat}") for arm in ARMS for repeat in (0, 1)]
    points = ("1 point", "2 points", "3 points", "4 points")
    expected += [("one to one", "not_recovered", None, unit) for unit in points]
    expected += [("round trip", "not_returned", 0, None), ("composition", "compositions_that_differ", 0, None)]
    assert sorted(measured, key=str) == sorted(expected, key=str)
    assert {record.data for record in result.records} == {"mnist-5k", "posets"}
    assert result.verdicts == ()
    assert result.figures
    assert all((path / figure.file).stat().st_size > 1000 for figure in result.figures)


def test_the_tiny_run_measures_what_can_be(tiny: tuple[Result, Path]) -> None:
    values = {(record.arm, record.metric): record.value for record in tiny[0].records}
    for arm in ARMS:
        assert (values[arm, "accuracy"] * TINY.test_images) % 1 == 0
        assert values[arm, "forward_backward_ms"] > 0
        most = {"max": 1, "strided convolution": 1}.get(arm, 4)
        none = values[arm, "windows_without_gradient"]
        assert 1 - none - 1e-9 <= values[arm, "entries_with_gradient"] <= most * (1 - none) + 1e-9
    assert values["poset", "extra_parameters"] == 0


def test_arms_start_from_the_same_weights_and_a_second_run_gives_the_same_figures(
    tiny: tuple[Result, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[dict[str, Tensor]] = []
    train = experiment.train

    def watched(model: nn.Module, *args: object, **kwargs: object) -> object:
        starts.append({name: value.clone() for name, value in model.state_dict().items()})
        return train(model, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "train", watched)
    context, again = Context(), list[Record]()
    for trial in experiment.trials(TINY):
        if trial.arm != COST:
            again += experiment.measure(trial, TINY, context)
    assert len(starts) == len(ARMS)
    assert all(start.keys() == starts[0].keys() for start in starts)
    assert all(torch.equal(start[name], starts[0][name]) for start in starts for name in start)
    assert again == [record for record in tiny[0].records if record.metric != "forward_backward_ms"]


def test_theorems_are_tested_on_as_many_instances_as_the_card_declares(tiny: tuple[Result, Path]) -> None:
    """The numbers of a published run, and what a tiny one makes of them."""
    settings = experiment.experiment.presets["laptop"]
    card = get_card("order-theory")
    assert card.claim("networks-are-rational").units == settings.seeds * settings.networks
    assert card.claim("operad-acts").units == settings.seeds * settings.compositions
    tried = {(record.metric, record.unit): record.trials for record in tiny[0].records if record.data == "posets"}
    assert tried["not_recovered", "4 points"] == 219
    assert sum(trials for (metric, _), trials in tried.items() if metric == "not_recovered") == 242
    assert card.claim("one-to-one").units == 242
    assert tried["not_returned", None] == TINY.networks
    assert tried["compositions_that_differ", None] == TINY.compositions
    assert not any(record.value for record in tiny[0].records if record.data == "posets")


def test_a_run_on_posets_alone_trains_nothing() -> None:
    settings = TINY.model_copy(update={"data": ("posets",), "seeds": 2})
    keys = [trial.key for trial in experiment.trials(settings)]
    assert keys == ["posets/one to one"] + [
        f"posets/{arm}/seed-{seed}" for arm in ("round trip", "composition") for seed in (0, 1)
    ]
    assert [source.name for source in experiment.sources(settings, Context())] == ["posets"]


def test_other_seeds_start_from_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[Tensor] = []

    class Started(Exception):  # noqa: N818
        """Ends a trial before its training, which is not needed."""

    def start(model: SmallNet, *_: object, **__: object) -> None:
        starts.append(model.head.weight.detach())
        raise Started

    monkeypatch.setattr(experiment, "train", start)
    context = Context()
    for trial in experiment.trials(TINY.model_copy(update={"seeds": 3})):
        if trial.arm == "poset":
            with pytest.raises(Started):
                list(experiment.measure(trial, TINY, context))
    assert len(starts) == 3
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(starts, 2))
