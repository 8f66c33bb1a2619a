"""What was found about the paper and its released code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_score

from cenote.pooling import LSFAN, LeftOut, WindowClassifier, WindowTraining, leave_one_subject_out
from cenote.pooling.l_sfan.released import (
    ReleasedSpatialPool,
    normalised_over_all,
    released_macro_f1,
    released_spatial_pool,
    shared_extractor,
    split_at_random,
)
from cenote.pooling.l_sfan.scores import macro_f1


def lawless(subjects: int = 6, each: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People whose labels have nothing in common: each has a signature of their own on one of the sensors."""
    draws = np.random.default_rng(0)
    groups = np.repeat(np.arange(subjects), each)
    labels = np.tile(np.arange(each) % 2, subjects)
    windows = draws.normal(size=(subjects * each, 24, 6)).astype(np.float32)
    for subject in range(subjects):
        signature = 2 * np.sign(draws.normal(size=6)) * (subject % 2 * 2 - 1)
        own = (groups == subject) & (labels == 1)
        windows[own] += signature * (np.arange(6) == subject)
    return windows, labels, groups


def network(epochs: int = 8) -> WindowClassifier:
    torch.manual_seed(0)
    training = WindowTraining(epochs, batch_size=20, learning_rate=0.01, augmentation=None)
    return WindowClassifier(LSFAN(6, 24, nhead=2), training)


@pytest.fixture(scope="module")
def honest() -> tuple[LeftOut, list[int]]:
    """Each left out by a new network, and the training steps that the network of each fold has seen."""
    steps: list[int] = []
    left_out = leave_one_subject_out(
        network, *lawless(),
        on_fold=lambda fold, model, tested: steps.append(int(model.module.cnn[1].num_batches_tracked)),
    )  # fmt: skip
    return left_out, steps


# --- the shared extractor -----------------------------------------------------------------------------------------


def test_a_shared_extractor_has_learned_from_the_subject_left_out(honest: tuple[LeftOut, list[int]]) -> None:
    """Its batch norm counts on from fold to fold, and has seen everybody when the second subject is tested."""
    windows, labels, groups = lawless()
    built: list[WindowClassifier] = []

    def build() -> WindowClassifier:
        built.append(network())
        return built[-1]

    shared_extractor(build, windows, labels, groups)
    convolutions = [model.module.cnn for model in built]
    assert len({id(each) for each in convolutions}) == 1
    steps = 8 * 5  # a fold learns from 100 windows, 20 at a time
    assert int(convolutions[0][1].num_batches_tracked) == 6 * steps
    assert honest[1] == [steps] * 6


def test_a_shared_extractor_gives_other_answers_from_the_second_fold_on(honest: tuple[LeftOut, list[int]]) -> None:
    windows, labels, groups = lawless()
    fresh = honest[0].probabilities
    shared = shared_extractor(network, windows, labels, groups).probabilities
    np.testing.assert_array_equal(shared[groups == 0], fresh[groups == 0])
    assert all((shared[groups == subject] != fresh[groups == subject]).any() for subject in range(1, 6))


def test_windows_split_at_random_learn_the_subjects_themselves(honest: tuple[LeftOut, list[int]]) -> None:
    """Where the people have nothing in common, a person left out cannot be recognised; one that is known can."""
    windows, labels, groups = lawless()
    leaky = split_at_random(network, windows, labels, groups)
    assert (honest[0].predictions == labels).mean() < 0.65
    assert (leaky.predictions == labels).mean() > 0.8


def test_normalising_over_all_moves_the_windows_left_out() -> None:
    windows, labels, groups = lawless()
    windows[groups == 3] += 50
    fresh = leave_one_subject_out(lambda: network(1), windows, labels, groups).probabilities
    leaky = normalised_over_all(lambda: network(1), windows, labels, groups).probabilities
    assert leaky.shape == fresh.shape
    assert (leaky[groups == 3] != fresh[groups == 3]).any()


# --- pooling ------------------------------------------------------------------------------------------------------


def test_the_released_spatial_pooling_pools_time() -> None:
    maps = torch.randn(2, 16, 42, 30)
    released = released_spatial_pool(maps)
    proper = maps.mean(dim=3)
    assert released.shape == proper.shape == (2, 16, 42)
    shuffled = maps[:, :, torch.randperm(42)]
    torch.testing.assert_close(released_spatial_pool(shuffled), released)
    assert not torch.allclose(shuffled.mean(dim=3), proper)
    over_time = maps.mean(dim=2)
    for column in range(42):  # each column is the mean over time of one sensor or of two neighbours
        first, last = column * 30 // 42, -(-(column + 1) * 30 // 42)
        assert last - first <= 2
        torch.testing.assert_close(released[:, :, column], over_time[:, :, first:last].mean(dim=2))


def test_the_released_spatial_network_is_as_large_as_the_proper_one() -> None:
    shape = {"n_sensors": 6, "n_frames": 150, "pool": "sap", "attention": False}
    released, proper = ReleasedSpatialPool(**shape), LSFAN(**shape)
    released.load_state_dict(proper.state_dict())
    x = torch.randn(3, 150, 6)
    assert released(x).shape == (3, 2)
    assert not torch.allclose(released.eval()(x), proper.eval()(x))


def test_attention_is_between_maps_and_not_between_sensors() -> None:
    layer = LSFAN(n_sensors=6, n_frames=60, nhead=3).eval().encoder
    pooled = torch.randn(2, 16, 6)
    out = layer(pooled)
    order = torch.randperm(16)
    torch.testing.assert_close(layer(pooled[:, order]), out[:, order])
    turned = torch.tensor([1, 0, 2, 3, 4, 5])
    assert not torch.allclose(layer(pooled[:, :, turned]), out[:, :, turned], atol=1e-3)


# --- the score ----------------------------------------------------------------------------------------------------


def test_the_released_macro_f1_takes_precision_for_recall() -> None:
    """One of ten positive windows found and no false alarm: its class gets the full score."""
    confusion = np.array([[10.0, 0.0], [9.0, 1.0]])
    truth, taken = np.repeat([0, 1], 10), np.repeat([0, 1], [19, 1])
    ours = f1_score(truth, taken, average=None)
    precision = precision_score(truth, taken)
    assert precision == 1
    assert released_macro_f1(confusion) == pytest.approx((ours[0] + precision) / 2)
    assert macro_f1(confusion) == pytest.approx(ours.mean())
    assert released_macro_f1(confusion) > macro_f1(confusion) + 0.4


@pytest.mark.parametrize("seed", range(5))
def test_the_released_macro_f1_is_that_of_scikit_learn_with_the_mistake(seed: int) -> None:
    truth, taken = np.random.default_rng(seed).integers(0, 2, (2, 60))
    confusion = np.bincount(2 * truth + taken, minlength=4).reshape(2, 2).astype(float)
    precision = precision_score(truth, taken)
    assert released_macro_f1(confusion) == pytest.approx((f1_score(truth, taken, pos_label=0) + precision) / 2)
