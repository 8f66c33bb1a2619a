"""Grad-CAM finds the sensor that decides, and is what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cenote.pooling import LSFAN, WindowClassifier, WindowTraining, sensor_importance
from cenote.pooling.l_sfan.importance import by_sensor


def test_importance_is_the_formula() -> None:
    """Written out with the gradient from a hook, map by map, for one window."""
    model = LSFAN(n_sensors=4, n_frames=24, nhead=2).eval()
    x = torch.randn(1, 24, 4)
    kept: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: object, out: torch.Tensor) -> None:
        out.retain_grad()
        kept.append(out)

    handle = model.cnn.register_forward_hook(keep)
    logits = model(x)
    handle.remove()
    logits[0, 1].backward()
    (maps,) = kept
    assert maps.grad is not None
    heat = torch.zeros(3, 4)
    for channel in range(16):
        heat += maps.grad[0, channel].mean() * maps[0, channel]
    heat = heat.relu().detach()
    found = sensor_importance(model, x.numpy(), target=1)
    assert found.shape == (24, 4)
    positions = (np.arange(24) + 0.5) * 3 / 24 - 0.5  # where each frame lies between the three rows
    for sensor in range(4):
        expected = np.interp(positions, np.arange(3), heat[:, sensor].numpy())
        np.testing.assert_allclose(found[:, sensor], expected, rtol=1e-5, atol=1e-7)


def test_it_is_the_mean_over_windows() -> None:
    model = LSFAN(n_sensors=4, n_frames=24, nhead=2)
    windows = np.random.default_rng(0).normal(size=(300, 24, 4))
    each = [sensor_importance(model, window[None]) for window in windows]
    np.testing.assert_allclose(sensor_importance(model, windows), np.mean(each, axis=0), rtol=1e-5, atol=1e-8)


def test_the_likeliest_class_is_taken_where_none_is_named() -> None:
    model = LSFAN(n_sensors=4, n_frames=24, nhead=2).eval()
    window = np.random.default_rng(1).normal(size=(1, 24, 4))
    likeliest = int(model(torch.from_numpy(window).float()).argmax())
    np.testing.assert_array_equal(sensor_importance(model, window), sensor_importance(model, window, likeliest))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_is(training: bool) -> None:
    model = LSFAN(n_sensors=4, n_frames=24, nhead=2).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():  # works where the caller has switched gradients off
        sensor_importance(model, np.ones((2, 24, 4)))
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_the_sensor_that_decides_is_found() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(120) % 2
    windows = draws.normal(size=(120, 32, 7)).astype(np.float32)
    windows[labels == 1, 10:22, 5] += 3
    torch.manual_seed(0)
    model = LSFAN(n_sensors=7, n_frames=32, nhead=1, attention=False)
    WindowClassifier(model, WindowTraining(epochs=20, batch_size=20, learning_rate=0.01)).fit(windows, labels)
    heat = sensor_importance(model, windows[labels == 1], target=1)
    share = by_sensor(heat)
    assert int(share.argmax()) in (4, 5, 6), "the convolutions look one sensor to either side"
    assert share[4:].sum() > 0.6
    assert heat[10:22].mean() > heat[:6].mean()


def test_shares_add_up_and_are_equal_where_nothing_matters() -> None:
    assert by_sensor(np.array([[1.0, 0.0], [2.0, 1.0]])).tolist() == [0.75, 0.25]
    assert by_sensor(np.zeros((3, 4))).tolist() == [0.25] * 4
