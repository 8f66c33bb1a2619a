"""The network has the paper's shapes and numbers of parameters, and equals what torch says of its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cenote.pooling import LSFAN, WindowAugmentation, WindowClassifier, WindowTraining, oriented_avg_pool
from cenote.pooling.l_sfan.baselines import StackedLSTM, SummaryLogistic
from cenote.pooling.l_sfan.network import convolutions, frames_after
from cenote.pooling.l_sfan.training import class_weights


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


# --- shapes and counts --------------------------------------------------------------------------------------------


def test_parameter_counts_are_those_of_the_paper() -> None:
    """Counted on the released models; 5,700 of theirs are a copy that no gradient reaches."""
    assert parameters(convolutions()) == 1620
    assert parameters(LSFAN(attention=False)) == 2582
    assert parameters(LSFAN(pool="sap", attention=False)) == 2966
    assert parameters(LSFAN()) == 8282
    assert parameters(nn.TransformerEncoderLayer(30, 5, 30)) == 5700


def test_every_parameter_is_used() -> None:
    model = LSFAN()
    model(torch.randn(4, 180, 30)).square().sum().backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not idle
    assert len(model.state_dict()) == len(set(model.state_dict()))


@pytest.mark.parametrize(("frames", "left"), [(180, 42), (150, 34), (16, 1), (17, 1), (20, 2), (19, 1)])
def test_the_convolutions_leave_these_frames(frames: int, left: int) -> None:
    maps = LSFAN(n_sensors=7, attention=False).maps(torch.randn(2, frames, 7))
    assert maps.shape == (2, 16, left, 7)
    assert frames_after(frames) == left


@pytest.mark.parametrize("one_map", [False, True])
def test_windows_may_have_a_map_axis(one_map: bool) -> None:
    model, x = LSFAN(n_sensors=6, nhead=3).eval(), torch.randn(3, 150, 6)
    expected = model(x)
    assert expected.shape == (3, 2)
    assert torch.equal(model(x.unsqueeze(1)) if one_map else model(x.clone()), expected)


@pytest.mark.parametrize("frames", [16, 60, 180, 333])
def test_pooling_over_time_takes_windows_of_any_length(frames: int) -> None:
    assert LSFAN(n_sensors=6, nhead=3)(torch.randn(2, frames, 6)).shape == (2, 2)


# --- pooling ------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(shape=st.lists(st.integers(1, 4), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_pooling_is_numpys_mean_along_the_axis(shape: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=shape)
    for axis, number in (("time", -2), ("sensor", -1), *((axis, axis) for axis in range(-len(shape), len(shape)))):
        np.testing.assert_allclose(oriented_avg_pool(torch.from_numpy(x), axis), x.mean(axis=number), atol=1e-12)


def test_each_axis_keeps_the_other() -> None:
    """A sensor's value after TAP is its own alone; a frame's after SAP likewise."""
    maps = torch.randn(1, 2, 5, 4)
    changed = maps.clone()
    changed[..., 3, 2] += 1
    assert (oriented_avg_pool(changed, "time") != oriented_avg_pool(maps, "time"))[0].any(0).tolist() == [0, 0, 1, 0]
    assert (oriented_avg_pool(changed, "sensor") != oriented_avg_pool(maps, "sensor"))[0].any(0).tolist() == [
        0, 0, 0, 1, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(("pool", "axis"), [("tap", 2), ("sap", 3)])
def test_the_network_is_its_parts(pool: str, axis: int) -> None:
    """Convolutions, a mean, torch's transformer layer with maps as tokens, and a linear layer."""
    model = LSFAN(n_sensors=6, n_frames=36, nhead=2, pool=pool, num_classes=3).eval()  # type: ignore[arg-type]
    x = torch.randn(4, 36, 6)
    tokens = model.cnn(x[:, None]).mean(dim=axis)
    layer = nn.TransformerEncoderLayer(6, 2, 6, 0.2, batch_first=True).eval()
    layer.load_state_dict(model.encoder.state_dict())
    expected = layer(tokens).flatten(1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)


# --- training -----------------------------------------------------------------------------------------------------


def separable(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    windows = draws.normal(size=(count, 24, 4)).astype(np.float32)
    windows[labels == 1, :, 1] += 1.5
    return windows, labels


@pytest.mark.parametrize("kind", ["l-sfan", "cnn-sap", "lstm", "logistic"])
def test_classifiers_learn_what_is_easy(kind: str) -> None:
    torch.manual_seed(0)
    windows, labels = separable()
    networks = {
        "l-sfan": lambda: LSFAN(4, 24, nhead=2),
        "cnn-sap": lambda: LSFAN(4, 24, pool="sap", attention=False),
        "lstm": lambda: StackedLSTM(4, 2, hidden=8),
    }
    training = WindowTraining(epochs=12, batch_size=10, learning_rate=0.01)
    model = SummaryLogistic() if kind == "logistic" else WindowClassifier(networks[kind](), training)
    probabilities = model.fit(windows, labels).predict_proba(separable(seed=1)[0])
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_seed_decides_and_the_callers_random_state_stays() -> None:
    windows, labels = separable(20)

    def trained(seed: int) -> np.ndarray:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            model = LSFAN(4, 24, nhead=2)
        before = torch.get_rng_state()
        fitted = WindowClassifier(model, WindowTraining(epochs=1, batch_size=8), seed=seed).fit(windows, labels)
        assert torch.equal(torch.get_rng_state(), before)
        return fitted.predict_proba(windows)

    assert np.array_equal(trained(1), trained(1))
    assert not np.array_equal(trained(1), trained(2))


def test_a_divergence_is_said_and_gives_no_numbers() -> None:
    windows, labels = separable(20)
    model = WindowClassifier(LSFAN(4, 24, nhead=2), WindowTraining(epochs=3, batch_size=8, learning_rate=1e30))
    assert np.isnan(model.fit(windows, labels).predict_proba(windows)).all()
    assert model.diverged


def test_no_windows_have_no_probabilities() -> None:
    model = WindowClassifier(LSFAN(4, 24, nhead=2))
    assert model.predict_proba(np.zeros((0, 24, 4))).shape == (0, 2)


def test_class_weights_are_one_less_the_share() -> None:
    torch.testing.assert_close(class_weights(torch.tensor([0, 0, 0, 2]), 3), torch.tensor([0.25, 1.0, 0.75]))


# --- augmentation -------------------------------------------------------------------------------------------------


def vary(augmentation: WindowAugmentation, windows: torch.Tensor) -> torch.Tensor:
    return augmentation.vary(windows, torch.Generator().manual_seed(0))


def test_jitter_has_the_asked_spread_and_nothing_else_changes() -> None:
    moved = vary(WindowAugmentation(jitter=(0.1,), wiped=()), torch.ones(400, 30, 6)) - 1
    spread = moved.flatten(1).std(dim=1)
    kept = spread == 0
    assert 0.4 < kept.float().mean() < 0.6
    assert spread[~kept].mean() == pytest.approx(0.1, rel=0.02)


def test_wiping_takes_one_rectangle() -> None:
    wiped = vary(WindowAugmentation(jitter=(), wiped=(0.5,)), torch.ones(200, 30, 6)) == 0
    touched = wiped.flatten(1).any(dim=1)
    assert 0.4 < touched.float().mean() < 0.6
    for window in wiped[touched]:
        rows, columns = window.any(dim=1), window.any(dim=0)
        assert (int(rows.sum()), int(columns.sum())) == (15, 3)
        assert torch.equal(window, rows[:, None] & columns)
        assert int(rows.nonzero()[-1] - rows.nonzero()[0]) == 14
    assert wiped[touched].any(dim=0).all(), "no place is left out"


def test_copies_know_their_origin() -> None:
    windows = np.arange(5, dtype=np.float32)[:, None, None] * 10 + np.ones((5, 8, 4), np.float32)
    copies, origins = WindowAugmentation().copies(windows, seed=0)
    assert copies.shape == (35, 8, 4)
    assert np.array_equal(copies[:5], windows)
    assert np.bincount(origins).tolist() == [7] * 5
    assert np.array_equal(np.rint(np.median(copies, axis=(1, 2)) / 10).astype(int), origins)
