"""Arms learn alike: the stages move what they say they move, and the rate is the best one."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from cenote.pooling import AttSets
from cenote.pooling.attsets.faset import step
from cenote.pooling.attsets.learning import (
    Training,
    schedule,
    train_at_best_rate,
    train_attention,
    train_base,
    train_sets,
)
from cenote.pooling.attsets.networks import GridDecoder, VectorEncoder, ViewNetwork
from cenote.pooling.attsets.sets import NotFiniteError


def network() -> ViewNetwork:
    torch.manual_seed(0)
    return ViewNetwork(VectorEncoder(6, 8, 8), AttSets(8), GridDecoder(8, 8, (4,)))


def batches(count: int = 12, views: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(5, views, 6, generator=generator), torch.rand(5, 4, generator=generator)) for _ in range(count)
    ]


def moved(before: nn.Module, after: nn.Module) -> set[str]:
    old, new = before.state_dict(), after.state_dict()
    return {name.partition(".")[0] for name in old if not torch.equal(old[name], new[name])}


@pytest.mark.parametrize(
    ("train", "views", "parts"),
    [
        (train_sets, 3, {"encoder", "aggregation", "decoder"}),
        (train_base, 1, {"encoder", "decoder"}),
        (train_attention, 3, {"aggregation"}),
    ],
)
def test_each_training_moves_its_own_weights(train, views: int, parts: set[str]) -> None:  # type: ignore[no-untyped-def]
    model = network()
    training = train(before := copy.deepcopy(model), batches(views=views), 12, 1e-2)
    assert training.fine
    assert len(training.losses) == 12
    assert moved(model, before) == parts


def test_a_base_is_the_same_by_either_way() -> None:
    """Single views give the attention no gradient, so training all weights on them trains the base."""
    one, other = network(), network()
    first, second = train_base(one, batches(views=1), 12, 1e-2), train_sets(other, batches(views=1), 12, 1e-2)
    assert first.losses == pytest.approx(second.losses, rel=1e-5)
    assert "aggregation" not in moved(one, other)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("train", [train_sets, train_attention])
@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_a_training_on_what_is_not_finite_is_not_fine(train, wrong: float) -> None:  # type: ignore[no-untyped-def]
    assert not train(network(), [(torch.full((5, 3, 6), wrong), torch.rand(5, 4))], 1, 1e-2).fine


# --- the learning rate --------------------------------------------------------------------------------------------


def test_the_best_rate_is_kept() -> None:
    """By the score alone, each rate from the same start on the same batches; the start stays as it was."""
    start = network()
    untouched = copy.deepcopy(start)
    expected = {}
    for rate in (1e-3, 1e-2, 1e-1):
        train_sets(model := copy.deepcopy(start), batches(), 12, rate)
        expected[rate] = model
    wanted = expected[1e-2].state_dict()

    def score(model: ViewNetwork) -> float:
        return -sum(float((value - wanted[name]).abs().sum()) for name, value in model.state_dict().items())

    tuned = train_at_best_rate(train_sets, start, batches, 12, (1e-1, 1e-2, 1e-3), score)
    assert tuned.rate == 1e-2
    assert not moved(tuned.model, expected[1e-2])
    assert not moved(start, untouched)
    assert tuned.scores == {rate: score(model) for rate, model in expected.items()}
    assert len(tuned.training.losses) == 12


def made(outcomes: dict[float, Training]):  # type: ignore[no-untyped-def]
    return lambda model, batches, steps, rate: outcomes[rate]


FINE, BROKEN = Training(True, [1.0]), Training(False, [math.nan])


@pytest.mark.parametrize(
    ("outcomes", "scores", "kept"),
    [
        ({1.0: BROKEN, 2.0: FINE, 3.0: FINE}, [0.2, 0.1], 2.0),
        ({1.0: FINE, 2.0: BROKEN, 3.0: FINE}, [0.2, 0.3], 3.0),
        ({1.0: BROKEN, 2.0: BROKEN, 3.0: FINE}, [0.0], 3.0),
        ({1.0: FINE, 2.0: FINE, 3.0: FINE}, [0.5, 0.5, 0.4], 1.0),
        ({1.0: BROKEN, 2.0: BROKEN, 3.0: BROKEN}, [], 1.0),
    ],
)
def test_rates_at_which_training_diverges_have_no_score(
    outcomes: dict[float, Training], scores: list[float], kept: float
) -> None:
    waiting = iter(scores)
    tuned = train_at_best_rate(made(outcomes), network(), batches, 1, (1.0, 2.0, 3.0), lambda _: next(waiting))
    assert tuned.rate == kept
    assert tuned.training is outcomes[kept]
    assert [rate for rate, score in tuned.scores.items() if math.isnan(score)] == [
        rate for rate, outcome in outcomes.items() if outcome is BROKEN
    ]
    assert not list(waiting)


def test_a_network_whose_answers_are_not_finite_has_no_score() -> None:
    def score(model: ViewNetwork) -> float:
        raise NotFiniteError("x must be finite")

    tuned = train_at_best_rate(made({1.0: FINE}), network(), batches, 1, (1.0,), score)
    assert math.isnan(tuned.scores[1.0])


# --- the optimiser ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_does_not_depend_on_the_memory_order_of_weights(fused: bool) -> None:
    """A fused optimiser reads weights, gradients and moments in the order in which they lie."""
    torch.manual_seed(0)
    images, scale = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(4, 3, 3, 3, dtype=torch.float64)
    found = []
    for order in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(1)
        layer = nn.Conv2d(3, 4, 3).double().to(memory_format=order)
        optimizer = Adam(layer.parameters(), 0.1, fused=fused)
        for _ in range(3):
            # The second term's gradient is in the usual order, whatever that of the weight is.
            loss = layer(images).pow(2).mean() + (layer.weight * scale).sum()
            step(list(layer.parameters()), optimizer, loss)
        found.append(layer.weight.detach().contiguous())
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


# --- the schedule -------------------------------------------------------------------------------------------------


def rates(steps: int, done: int = 0) -> list[float]:
    """The learning rates of the steps that are left."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = Adam([weight], 0.5)
    following = schedule(optimizer, steps, done)
    found = []
    for _ in range(done, steps):
        found.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.ones(1)
        optimizer.step()
        following.step()
    return found


def test_the_rate_rises_over_a_tenth_and_falls_along_a_cosine() -> None:
    found = rates(100)
    assert found[:10] == pytest.approx([0.05 * step for step in range(1, 11)])
    assert found[10] == 0.5
    assert found[55] == pytest.approx(0.25)
    assert found[10:] == sorted(found[10:], reverse=True)
    assert 0 < found[-1] < 0.001


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 20])
def test_any_number_of_steps_has_a_rate_and_none_of_them_is_lost(steps: int) -> None:
    found = rates(steps)
    assert max(found) == 0.5
    assert min(found) > 0
    for done in range(1, steps):
        assert rates(steps, done) == pytest.approx(found[done:])
