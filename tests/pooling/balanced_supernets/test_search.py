"""The search is SPOS for one model, draws and updates as it says, and ends the same when it is interrupted."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from cenote.pooling import FlopsBudget, PoolingSearch, SuperNet, balanced_assignment, pool_configs
from cenote.pooling.balanced_supernets.balancing import assign, balance
from cenote.pooling.balanced_supernets.training import seed_of
from tests.pooling.balanced_supernets.problem import backbone, images, loader

CONFIGS = pool_configs(4, 2)


def fitted(models: int = 2, epochs: int = 3, **options: Any) -> PoolingSearch:
    return PoolingSearch(backbone, 2, models, **options).fit(loader(), loader(24, seed=9), epochs)


def weights_of(search: PoolingSearch) -> list[torch.Tensor]:
    return [value for name, value in search.state().items() if name.startswith("model.")]


# --- one model ----------------------------------------------------------------------------------------------------


def single_path_one_shot(seed: int, epochs: int) -> tuple[nn.Module, np.ndarray]:
    """Single-path one-shot search, written out: a uniform path and a step, nothing else."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, 0, 4))
        units = backbone()
    for unit in units.modules():
        for name, child in list(unit.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(unit, name, nn.BatchNorm2d(child.num_features, affine=False, track_running_stats=False))
    units.to(memory_format=torch.channels_last)
    pool, train = nn.MaxPool2d(2), loader(own=True)

    def logits(x: torch.Tensor, path: tuple[int, ...]) -> torch.Tensor:
        for unit, pooled in zip(units[:-1], path, strict=True):
            x = unit(pool(x) if pooled else x)
        return units[-1](x)

    optimizer = torch.optim.SGD(units.parameters(), lr=0.1, momentum=0.9, fused=True)
    step, steps = 0, epochs * len(train)
    for epoch in range(epochs):
        paths = np.random.default_rng((seed, epoch, 1)).integers(len(CONFIGS), size=len(train))
        for path, (x, y) in zip(paths, train, strict=True):
            loss = F.cross_entropy(logits(x, CONFIGS[path]), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = 0.001 + (0.1 - 0.001) * (1 + np.cos(np.pi * step / (steps - 1))) / 2
            optimizer.step()
            step += 1
    right = np.zeros(len(CONFIGS))
    with torch.no_grad():
        for x, y in loader(24, seed=9, batch=24):
            for row, config in enumerate(CONFIGS):
                right[row] += (logits(x, config).argmax(1) == y).sum().item()
    return units, right / 24


def test_one_model_is_single_path_one_shot_search_bit_for_bit() -> None:
    search = PoolingSearch(backbone, 2, n_models=1, seed=5)
    search.fit(loader(own=True), loader(24, seed=9, batch=24), epochs=3)
    expected, scores = single_path_one_shot(seed=5, epochs=3)
    state = weights_of(search)
    assert len(state) == len(list(expected.parameters())) == 10
    for mine, theirs in zip(state, expected.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    np.testing.assert_array_equal(search.assignment_, np.ones((3, 1)))
    # The whole validation set is one batch, so its order does not matter but for rounding.
    np.testing.assert_allclose(search.score_matrix_[:, 0], scores, atol=1e-12)


# --- several models -----------------------------------------------------------------------------------------------


def test_steps_go_to_the_models_that_the_balanced_assignment_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replays every draw from what was trained and how each validation batch was answered.

    The balance is that of the accuracies at the start of the epoch, the softmax that of those at the step.
    """
    labels = {pixels.numpy().tobytes(): int(label) for pixels, label in zip(*images(24, 9), strict=True)}
    seen: list[tuple[int, tuple[int, ...], bool, float]] = []
    original = SuperNet.forward

    def watched(self: SuperNet, x: torch.Tensor, config: tuple[int, ...] | None = None) -> torch.Tensor:
        logits = original(self, x, config)
        right = 0.0
        if not self.training:
            own = [labels[each.contiguous().numpy().tobytes()] for each in x]
            right = (logits.argmax(1) == torch.tensor(own)).sum().item() / len(own)
        seen.append((id(self), config or (), self.training, right))
        return logits

    monkeypatch.setattr(SuperNet, "forward", watched)
    search = PoolingSearch(backbone, 2, 3, seed=2, temperature=(5.0, 60.0), ema=0.8)
    kept: list[np.ndarray] = []
    search.fit(loader(), loader(24, seed=9), 4, on_epoch=lambda *_: kept.append(search.state()["accuracies"].numpy()))
    models = {identity: index for index, identity in enumerate(map(id, search._mixture.supernets))}  # type: ignore[union-attr]
    counts, accuracies = np.zeros((3, 3), int), np.ones((3, 3))
    for epoch in range(4):
        scale = 5 + 55 * epoch / 3
        offsets = balance(scale * accuracies)
        paths = np.random.default_rng((2, epoch, 1)).integers(3, size=4)
        draws = np.random.default_rng((2, epoch, 2)).random(4)
        for step, (path, draw) in enumerate(zip(paths, draws, strict=True), start=4 * epoch):
            model = int(np.searchsorted(np.cumsum(assign(scale * accuracies, offsets)[path]), draw))
            training, validating = seen[2 * step : 2 * step + 2]
            assert [training[2], validating[2]] == [True, False]
            for identity, config, *_ in (training, validating):
                assert (models[identity], CONFIGS.index(config)) == (model, path)
            counts[path, model] += 1
            accuracies[path, model] = 0.8 * accuracies[path, model] + 0.2 * validating[3]
        np.testing.assert_allclose(kept[epoch], accuracies)
    np.testing.assert_array_equal(search.steps_, counts)
    np.testing.assert_allclose(search.assignment_, balanced_assignment(accuracies, 60.0))
    assert (accuracies[counts == 0] == 1).all()  # what was never tried keeps its first, best value


def test_a_running_accuracy_is_the_moving_average_of_validation_batches() -> None:
    """One step an epoch, so each accuracy can be computed from the state in between."""
    val = loader(12, seed=9, batch=12)
    search = PoolingSearch(backbone, 2, 2, seed=3, ema=0.7)
    states: list[dict[str, torch.Tensor]] = []
    search.fit(loader(12), val, 5, on_epoch=lambda *_: states.append(search.state()))
    before = np.ones((3, 2))
    for state in states:
        now = state["accuracies"].numpy()
        ((path, model),) = np.argwhere(now != before).tolist() or [[-1, -1]]
        supernet = search.supernet(0)
        supernet.load_state_dict({k.removeprefix(f"model.{model}."): v for k, v in state.items()
                                  if k.startswith(f"model.{model}.")})  # fmt: skip
        ((x, y),) = val
        seen = (supernet.eval()(x, CONFIGS[path]).argmax(1) == y).double().mean().item()
        assert now[path, model] == pytest.approx(0.7 * before[path, model] + 0.3 * seen, abs=1e-9)
        before = now


def test_models_have_optimizers_and_weights_of_their_own() -> None:
    search = fitted(models=2)
    state = search.state()
    first, second = ([v for k, v in state.items() if k.startswith(f"model.{m}.")] for m in range(2))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert sum(name.startswith("momentum.0.") for name in state) == len(first)
    starts = [PoolingSearch(backbone, 2, models, seed=7).supernet(0).state_dict() for models in (1, 4)]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])
    assert not torch.equal(*(PoolingSearch(backbone, 2).supernet(i).units[0][0].weight for i in range(2)))  # type: ignore[index]


def test_models_drawn_alike_ignore_the_accuracies() -> None:
    search = fitted(models=4, epochs=6, temperature=(0.0, 0.0))
    np.testing.assert_allclose(search.assignment_, np.full((3, 4), 0.25))
    draws = np.concatenate([np.random.default_rng((0, epoch, 2)).random(4) for epoch in range(6)])
    assert search.steps_.sum(axis=0).tolist() == np.bincount((4 * draws).astype(int), minlength=4).tolist()


# --- what comes out -----------------------------------------------------------------------------------------------


def test_scores_and_rankings_by_hand() -> None:
    search = fitted(models=2)
    search.score_matrix_ = np.array([[0.5, 0.9], [0.8, 0.8], [0.9, 0.1]])
    search.assignment_ = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(search.scores(), [0.9, 0.8, 0.9])
    np.testing.assert_allclose(search.scores("mean"), [0.7, 0.8, 0.5])
    np.testing.assert_allclose(search.scores("expected"), [0.6, 0.8, 0.9])
    assert [place.blocks for place in search.ranking()] == [(1, 1, 2), (2, 1, 1), (1, 2, 1)]
    assert search.best_ == (1, 1, 2)
    assert [place.score for place in search.ranking("expected")] == pytest.approx([0.9, 0.8, 0.6])


def test_the_search_learns() -> None:
    search = PoolingSearch(backbone, 2, 2).fit(loader(240), loader(120, seed=9), epochs=6)
    assert search.losses_[-1] < search.losses_[0]
    assert search.scores().max() > 0.6  # chance is a third


def test_the_score_matrix_is_of_all_validation_images() -> None:
    val = loader(20, seed=9, batch=8)
    search = PoolingSearch(backbone, 2, 2).fit(loader(), val, epochs=1)
    np.testing.assert_allclose(search.score_matrix_ * 20, np.round(search.score_matrix_ * 20), atol=1e-9)


def test_retraining_gives_a_plain_network_with_new_weights() -> None:
    search = fitted()
    untrained = search.network(search.best_)
    network = search.retrain(loader(120), epochs=4)
    assert not network.training
    assert [type(layer) for layer in network] == [type(layer) for layer in untrained]
    again = search.retrain(loader(120), epochs=4)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    assert search.network((2, 1, 1))[0][0].weight.equal(search.network((1, 1, 2))[0][0].weight)  # type: ignore[index]
    other = search.retrain(loader(120), epochs=1, blocks=(2, 1, 1), seed=11)
    assert [type(layer).__name__ for layer in other].index("_Max") == 2
    x, y = loader(90, seed=4).dataset.tensors  # type: ignore[attr-defined]
    assert (network(x).argmax(1) == y).double().mean() > 0.6


def test_a_budget_leaves_out_what_costs_more() -> None:
    costs = FlopsBudget(1).costs([PoolingSearch(backbone, 2).network(b) for b in ((1, 1, 2), (1, 2, 1), (2, 1, 1))],
                                 (1, 1, 8, 8))  # fmt: skip
    search = fitted(constraint=FlopsBudget(float(costs[1])), epochs=1)
    assert search.configs_ == CONFIGS[:2]
    assert search.score_matrix_.shape == search.assignment_.shape == (2, 2)


def test_a_sequence_is_drawn_anew_and_stays_as_it_is() -> None:
    given = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1),
                          nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))  # fmt: skip
    before = copy.deepcopy(given.state_dict())
    search = PoolingSearch(given, 1, 2, pool="avg").fit(loader(), loader(24, seed=9), 1)
    assert search.score_matrix_.shape == (2, 2)
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    drawn = [search.supernet(index).units[0].weight for index in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])  # type: ignore[arg-type]
    assert not torch.equal(drawn[0], drawn[2])  # type: ignore[arg-type]
    assert not torch.equal(drawn[0], before["0.weight"])  # type: ignore[arg-type]


# --- the same again -----------------------------------------------------------------------------------------------


def backbone_with_dropout() -> nn.Sequential:
    units = backbone()
    units[1] = nn.Sequential(units[1], nn.Dropout(0.3))
    return units


@pytest.mark.parametrize("own", [False, True], ids=["global generator", "own generators"])
def test_equal_seeds_give_equal_searches_and_leave_the_global_state_alone(own: bool) -> None:
    found = []
    for _ in range(2):
        torch.rand(1)  # what was drawn before does not matter
        before = torch.get_rng_state()
        search = PoolingSearch(backbone_with_dropout, 2, 2, seed=3)
        search.fit(loader(own=own), loader(24, seed=9, own=own), 2)
        assert torch.equal(torch.get_rng_state(), before)
        found.append(search)
    assert all(torch.equal(a, b) for a, b in zip(*map(weights_of, found), strict=True))
    np.testing.assert_array_equal(found[0].score_matrix_, found[1].score_matrix_)
    other = PoolingSearch(backbone_with_dropout, 2, 2, seed=4).fit(loader(own=own), loader(24, seed=9, own=own), 2)
    assert not torch.equal(weights_of(other)[0], weights_of(found[0])[0])


@pytest.mark.parametrize("own", [False, True], ids=["global generator", "own generators"])
@pytest.mark.parametrize("stop", [1, 2, 4])
def test_an_interrupted_search_ends_as_it_would_have(own: bool, stop: int) -> None:
    class CutError(Exception):
        pass

    def start() -> tuple[PoolingSearch, Any, Any]:
        search = PoolingSearch(backbone_with_dropout, 2, 2, seed=3)
        return search, loader(own=own), loader(24, seed=9, own=own)

    search, train, val = start()
    whole = search.fit(train, val, 4)
    search, train, val = start()
    states: list[dict[str, torch.Tensor]] = []

    def interrupt(epoch: int, loss: float) -> None:
        states.append(search.state())
        if epoch + 1 == stop:
            raise CutError

    with pytest.raises(CutError):
        search.fit(train, val, 4, on_epoch=interrupt)
    read = safetensors.torch.load(
        safetensors.torch.save({name: each.contiguous() for name, each in states[-1].items()})
    )
    search, train, val = start()
    resumed = search.fit(train, val, 4, resume=read)
    assert resumed.losses_ == whole.losses_
    assert all(torch.equal(a, b) for a, b in zip(weights_of(resumed), weights_of(whole), strict=True))
    for name in ("score_matrix_", "assignment_", "steps_"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))


def test_a_loader_is_told_each_epoch() -> None:
    class Told:
        epochs: list[int]

        def __init__(self) -> None:
            self.epochs = []
            self.batches = list(loader())

        def set_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

        def __len__(self) -> int:
            return len(self.batches)

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(self.batches)

    train = Told()
    PoolingSearch(backbone, 2, 1).fit(train, loader(24, seed=9), 3)
    assert train.epochs == [0, 1, 2]


def test_a_search_that_diverges_says_so() -> None:
    search = fitted(learning_rate=(1e38, 1e38), epochs=4)
    assert not np.isfinite(search.losses_[-1])
    assert len(search.losses_) < 4
    assert np.isnan(search.score_matrix_).any()
