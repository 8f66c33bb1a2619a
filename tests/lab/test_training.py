import copy
import math
import os
import pickle
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.optimizer import register_optimizer_step_pre_hook

from cenote.errors import ArgumentError, ArgumentTypeError, RunError
from cenote.lab.training import (
    STEPS_BETWEEN_CHECKS,
    Augmentation,
    Batches,
    Normalization,
    TrainingSettings,
    accuracy,
    one_cycle,
    predict,
    train,
)

SCRIPT = Path(__file__).with_name("train_on_processes.py")
AS_THEY_ARE = Normalization((0.0,), (1 / 255,))
"""Leaves the grey values from 0 to 255."""


def network(*, batch_norm: bool = False, dropout: float = 0.0, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8) if batch_norm else nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )


def noise(count: int = 40, *, channels: int = 3, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    return images, rng.integers(0, 3, count)


def numbered(count: int, *, height: int = 5, width: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Image i is black but for one pixel of value i + 1 in the middle; its label is i."""
    images = np.zeros((count, height, width, 1), np.uint8)
    images[:, height // 2, width // 2, 0] = np.arange(1, count + 1)
    return images, np.arange(count)


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"epochs": 2, "batch_size": 8, "learning_rate": 0.05} | changes)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    states = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in states)


class Watch:
    """Keeps what goes into and comes out of a module."""

    def __init__(self, module: nn.Module) -> None:
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        module.register_forward_hook(self._look)

    def _look(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.inputs.append(inputs[0])
        self.outputs.append(output)


@pytest.fixture
def rates() -> Iterator[list[float]]:
    """The learning rate of every step of any optimizer."""
    seen: list[float] = []

    def look(optimizer: Optimizer, *arguments: object) -> None:
        seen.append(optimizer.param_groups[0]["lr"])

    hook = register_optimizer_step_pre_hook(look)
    yield seen
    hook.remove()


# Learning


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_learns_a_separable_problem_by_heart(optimizer: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    images = rng.integers(0, 100, (60, 6, 6, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 100  # the class is the bright channel
    model = network()
    plan = settings(epochs=20, batch_size=10, optimizer=optimizer, learning_rate={"sgd": 0.3, "adamw": 0.03}[optimizer])
    log = train(model, images, labels, plan, seed=0)
    assert log.losses[0] > 0.3
    assert log.losses[-1] < 0.05
    assert accuracy(model, images, labels, log.normalization) == 1.0
    assert (log.steps, len(log.losses), log.diverged) == (120, 20, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.9, "weight_decay": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.1, "label_smoothing": 0.2},
        {"warmup_fraction": 0.3},
    ],
)
def test_equals_a_loop_written_out_in_torch(changes: dict[str, Any]) -> None:
    plan = settings(precision="fp64", **changes)
    images, labels = noise()
    model, expected = network(), network().double()
    train(model, images, labels, plan, seed=4)

    if plan.optimizer == "adamw":
        optimizer: Optimizer = torch.optim.AdamW(expected.parameters(), lr=0.05, weight_decay=plan.weight_decay)
    else:
        optimizer = torch.optim.SGD(
            expected.parameters(), lr=0.05, momentum=plan.momentum, weight_decay=plan.weight_decay
        )
    schedule = torch_schedule(optimizer, warmup=round(plan.warmup_fraction * 10), steps=10)
    batches = Batches(images, labels, Normalization.of(images), plan, seed=4)
    for _ in range(plan.epochs):
        for batch, targets in batches:
            optimizer.zero_grad()
            log_probabilities = expected(batch).log_softmax(1)
            one_hot = F.one_hot(targets, 3).double() * (1 - plan.label_smoothing) + plan.label_smoothing / 3
            (-(one_hot * log_probabilities).sum(1).mean()).backward()
            optimizer.step()
            schedule.step()
    for trained, weight in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(trained, weight, rtol=0, atol=1e-12)


def torch_schedule(optimizer: Optimizer, *, warmup: int, steps: int) -> Any:
    """The same schedule from torch's own pieces, which compute it by recursion."""
    fall = CosineAnnealingLR(optimizer, T_max=steps - warmup)
    if warmup == 0:
        return fall
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, fall], milestones=[warmup])


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.2, 0.5])
def test_schedule_is_that_of_torch(warmup_fraction: float, rates: list[float]) -> None:
    images, labels = noise()
    train(network(), images, labels, settings(epochs=4, warmup_fraction=warmup_fraction), seed=0)
    trained = rates.copy()
    rates.clear()
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.05)
    schedule = torch_schedule(optimizer, warmup=int(warmup_fraction * 20), steps=20)
    for _ in range(20):
        optimizer.step()
        schedule.step()
    assert len(trained) == 20
    assert trained == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize(("steps", "warmup_fraction"), [(1, 0.0), (1, 0.9), (2, 0.99), (100, 0.1)])
def test_schedule_reaches_its_peak_and_never_stands_at_zero(steps: int, warmup_fraction: float) -> None:
    factors = [one_cycle(step, steps=steps, warmup_fraction=warmup_fraction) for step in range(steps)]
    assert max(factors) == 1.0
    assert min(factors) > 0.0


def test_label_smoothing_closed_form() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 3)

    images, _ = noise(8)
    plan = settings(epochs=1, label_smoothing=0.3)
    loss = train(Fixed(), images, np.full(8, 2), plan, seed=0).losses[0]
    log_probabilities = np.array([1.0, -2.0, 0.5]) - np.log(np.exp([1.0, -2.0, 0.5]).sum())
    assert loss == pytest.approx(-0.7 * log_probabilities[2] - 0.1 * log_probabilities.sum(), rel=1e-6)


# Seeds and state


def test_same_seed_same_bits_whatever_the_callers_random_state() -> None:
    images, labels = noise()
    plan = settings(optimizer="adamw", augmentation=Augmentation(flip=True, shift=1))
    first, second, other = (network(batch_norm=True, dropout=0.3) for _ in range(3))
    torch.manual_seed(1)
    train(first, images, labels, plan, seed=2)
    torch.manual_seed(99)
    train(second, images, labels, plan, seed=2)
    train(other, images, labels, plan, seed=3)
    assert same_weights(first, second)
    assert not same_weights(first, other)


def test_callers_random_state_stays() -> None:
    images, labels = noise()
    torch.manual_seed(1)
    before, numpy_before = torch.get_rng_state(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    train(network(dropout=0.5), images, labels, settings(), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert pickle.dumps(np.random.get_state()) == numpy_before  # noqa: NPY002


def test_dropout_follows_the_seed() -> None:
    images, labels = np.zeros((8, 6, 6, 3), np.uint8), np.zeros(8, int)
    plan = settings(epochs=1)

    def mask(seed: int) -> Tensor:
        """What dropout leaves of images that are all the same, so that their order does not matter."""
        model = network(dropout=0.5)
        watch = Watch(model[3])
        train(model, images, labels, plan, seed=seed)
        return watch.outputs[0]

    assert torch.equal(mask(0), mask(0))
    assert not torch.equal(mask(0), mask(1))


def test_order_and_augmentation_follow_the_seed() -> None:
    images, labels = numbered(100)
    plan = settings(batch_size=100, augmentation=Augmentation(shift=2))
    (first, order), *_ = Batches(images, labels, AS_THEY_ARE, plan, seed=0)
    (second, other_order), *_ = Batches(images, labels, AS_THEY_ARE, plan, seed=1)
    assert not torch.equal(order, other_order)
    assert not torch.equal(first > 0, second > 0)


def test_trains_in_training_mode_whatever_mode_the_model_came_in() -> None:
    images, labels = noise()
    training, evaluating = network(batch_norm=True, dropout=0.3), network(batch_norm=True, dropout=0.3).eval()
    train(training, images, labels, settings(), seed=0)

    def leave_in_evaluation_mode(epoch: int, loss: float) -> None:
        evaluating.eval()

    train(evaluating, images, labels, settings(), seed=0, on_epoch=leave_in_evaluation_mode)
    assert same_weights(training, evaluating)


def test_each_group_learns_at_its_own_rate() -> None:
    """Weights in no group stay; a plain step of SGD goes as far as its group's rate says."""
    images, labels = noise(8)

    def moved(rate: float) -> list[Tensor]:
        model = network()
        before = [weight.detach().clone() for weight in model.parameters()]
        head = list(model[-1].parameters())
        train(
            model,
            images,
            labels,
            settings(epochs=1, learning_rate=0.5),
            seed=0,
            groups=lambda _: [{"params": head, "lr": rate}],
        )
        return [weight.detach() - old for weight, old in zip(model.parameters(), before, strict=True)]

    slow, fast = moved(1e-3), moved(2e-3)
    assert not any(change.any() for change in slow[:-2])
    for one, other in zip(slow[-2:], fast[-2:], strict=True):
        torch.testing.assert_close(2 * one, other, rtol=1e-3, atol=1e-7)
        assert one.any()


def test_gradients_left_on_the_model_are_not_used() -> None:
    images, labels = noise()
    clean, littered = network(), network()
    littered(torch.ones(1, 3, 6, 6)).sum().backward()
    for model in (clean, littered):
        train(model, images, labels, settings(), seed=0)
        assert all(weight.grad is None for weight in model.parameters())
    assert same_weights(clean, littered)


def test_evaluating_after_an_epoch_does_not_change_the_training() -> None:
    images, labels = noise()
    seen: list[tuple[int, float]] = []
    watched, alone = network(batch_norm=True, dropout=0.3), network(batch_norm=True, dropout=0.3)

    def evaluate(epoch: int, loss: float) -> None:
        seen.append((epoch, loss))
        accuracy(watched, images, labels, Normalization.of(images))

    log = train(watched, images, labels, settings(), seed=0, on_epoch=evaluate)
    train(alone, images, labels, settings(), seed=0)
    assert seen == list(enumerate(log.losses))
    assert same_weights(watched, alone)


def test_callers_accelerator_stays() -> None:
    AcceleratorState._reset_state()
    try:
        mine = Accelerator(mixed_precision="bf16", gradient_accumulation_steps=3)
        images, labels = noise()
        train(network(), images, labels, settings(), seed=0)
        assert mine.mixed_precision == "bf16"
        assert mine.gradient_accumulation_steps == 3
    finally:
        AcceleratorState._reset_state()
        GradientState._reset_state()


def test_environment_of_the_launcher_does_not_change_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = noise()
    plain, launched = network(), network()
    train(plain, images, labels, settings(), seed=0)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    train(launched, images, labels, settings(), seed=0)
    assert same_weights(plain, launched)


# Precision and memory order


def test_precision_can_change_from_call_to_call() -> None:
    images, labels = noise(16)
    expected = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}
    for precision in ("fp32", "bf16", "bf16", "fp64", "fp32"):
        model = network()
        watch = Watch(model[0])
        train(model, images, labels, settings(precision=precision), seed=0)
        assert {output.dtype for output in watch.outputs} == {expected[precision]}
        assert {weight.dtype for weight in model.parameters()} == {
            torch.float64 if precision == "fp64" else torch.float32
        }


def test_model_is_free_of_accelerate_afterwards() -> None:
    images, labels = noise(16)
    model = network()
    attributes = set(vars(model))
    train(model, images, labels, settings(precision="bf16"), seed=0)
    assert set(vars(model)) == attributes
    watch = Watch(model[0])
    model(torch.zeros(1, 3, 6, 6))
    assert watch.outputs[-1].dtype == torch.float32, "autocast ended with the training"
    train(model, images, labels, settings(precision="bf16"), seed=0)
    assert watch.outputs[-1].dtype == torch.bfloat16, "and is back in a second one"


@pytest.mark.parametrize("channels_last", [True, False])
def test_memory_order_is_the_one_asked_for(channels_last: bool) -> None:
    images, labels = noise(16)
    model = network()
    watch = Watch(model[0])
    train(model, images, labels, settings(channels_last=channels_last), seed=0)
    order, other = torch.channels_last, torch.contiguous_format
    if not channels_last:
        order, other = other, order
    for tensor in (*watch.inputs, *watch.outputs, model[0].weight):
        assert tensor.is_contiguous(memory_format=order)
        assert not tensor.is_contiguous(memory_format=other)


def test_channels_last_takes_the_pixels_as_they_lie() -> None:
    images, labels = noise(8)
    batch, _ = next(iter(Batches(images, labels, Normalization.of(images), settings(channels_last=True), seed=0)))
    assert batch.stride() == (6 * 6 * 3, 1, 6 * 3, 3)


# Divergence


def test_divergence_is_reported_and_stops_the_training() -> None:
    images, labels = noise(1000)
    model = network()
    log = train(model, images, labels, settings(epochs=5, learning_rate=1e30), seed=0)
    assert log.diverged
    assert math.isnan(log.losses[-1])
    assert (len(log.losses), log.steps) == (1, STEPS_BETWEEN_CHECKS)
    assert math.isnan(accuracy(model, images, labels, log.normalization))


def test_weights_broken_by_the_last_step_count_as_divergence() -> None:
    images, labels = noise(8)
    log = train(network(), images, labels, settings(epochs=1, learning_rate=1e39), seed=0)
    assert math.isfinite(log.losses[0]), "the loss of the only step was computed before it"
    assert log.diverged


# Batches


def test_normalization_is_mean_and_standard_deviation() -> None:
    images, _ = noise(1500, size=3)
    images[..., 1] //= 3
    expected = images.astype(np.float64) / 255
    normalization = Normalization.of(images)
    assert normalization.mean == pytest.approx(expected.mean((0, 1, 2)).tolist(), rel=1e-12)
    assert normalization.std == pytest.approx(expected.std((0, 1, 2)).tolist(), rel=1e-12)
    normal = normalization.apply(torch.from_numpy(images), torch.float64)
    np.testing.assert_allclose(
        normal.numpy(),
        ((expected - expected.mean((0, 1, 2))) / expected.std((0, 1, 2))).transpose(0, 3, 1, 2),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("grey", range(0, 256, 15))
def test_channel_without_variance_becomes_zero(grey: int) -> None:
    images = np.full((7, 3, 3, 1), grey, np.uint8)
    normalization = Normalization.of(images)
    assert (normalization.mean, normalization.std) == (pytest.approx((grey / 255,)), (1.0,))
    assert normalization.apply(torch.from_numpy(images)).abs().max() < 1e-6


def test_epochs_are_permutations_without_the_incomplete_batch() -> None:
    images, labels = numbered(22)
    batches = Batches(images, labels, AS_THEY_ARE, settings(batch_size=5), seed=0)
    epochs = [[batch_labels.tolist() for _, batch_labels in batches] for _ in range(2)]
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [5] * 4 == [5] * len(batches)
        assert len({label for batch in epoch for label in batch}) == 20
    assert epochs[0] != epochs[1]
    assert any(batch != sorted(batch) for batch in epochs[0]), "shuffled"


def test_shift_moves_the_pixel_uniformly_and_keeps_image_and_label_together() -> None:
    images, labels = numbered(250)
    plan = settings(batch_size=250, augmentation=Augmentation(shift=2))
    batches = Batches(images, labels, AS_THEY_ARE, plan, seed=0)
    counts = np.zeros((5, 7), int)
    for _ in range(10):
        (batch, targets), *_ = batches
        pixels = batch[:, 0].round().int()
        where = pixels.nonzero()
        assert where[:, 0].tolist() == list(range(250)), "a shift by 2 of 5 x 7 keeps the middle in sight"
        assert torch.equal(pixels[tuple(where.T)], targets.int() + 1)
        np.add.at(counts, (where[:, 1].numpy(), where[:, 2].numpy()), 1)
    # 2,500 draws on 25 places: 100 each with a standard deviation of 9.8; 5 of them leave one failure in a million.
    assert (np.abs(counts[:, 1:6] - 100) < 49).all()
    assert counts[:, [0, 6]].sum() == 0


def test_what_a_shift_brings_in_is_black() -> None:
    images = np.full((16, 4, 4, 1), 200, np.uint8)
    plan = settings(batch_size=16, augmentation=Augmentation(shift=3))
    (batch, _), *_ = Batches(images, np.zeros(16, int), AS_THEY_ARE, plan, seed=0)
    assert set(batch.round().unique().tolist()) == {0.0, 200.0}


def test_flip_mirrors_about_half_of_the_images() -> None:
    images, _ = noise(400, channels=1)
    plan = settings(batch_size=400, augmentation=Augmentation(flip=True))
    (batch, targets), *_ = Batches(images, np.arange(400), AS_THEY_ARE, plan, seed=0)
    straight = torch.from_numpy(images[targets.numpy(), :, :, 0])
    kept = (batch[:, 0].round() == straight).all((1, 2))
    mirrored = (batch[:, 0].round() == straight.flip(2)).all((1, 2))
    assert (kept ^ mirrored).all()
    assert 150 <= int(kept.sum()) <= 250, "binomial(400, 1/2): five standard deviations"


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_same_global_batches(processes: int) -> None:
    images, labels = noise(30)
    plan = settings(augmentation=Augmentation(flip=True, shift=2))
    normalization = Normalization.of(images)
    whole = Batches(images, labels, normalization, plan, seed=6)
    parts = [
        Batches(images, labels, normalization, plan, seed=6, process=process, processes=processes)
        for process in range(processes)
    ]
    for _ in range(2):
        for (batch, targets), *shares in zip(whole, *parts, strict=True):
            assert torch.equal(torch.cat([share[0] for share in shares]), batch)
            assert torch.equal(torch.cat([share[1] for share in shares]), targets)


def test_read_only_and_reversed_arrays_are_welcome() -> None:
    images, labels = noise()
    model, expected = network(), network()
    train(expected, images[::-1].copy(), labels[::-1].copy(), settings(), seed=0)
    images.flags.writeable = False
    labels.flags.writeable = False
    train(model, images[::-1], labels[::-1], settings(), seed=0)
    assert same_weights(model, expected)
    assert accuracy(model, images, labels, Normalization.of(images)) <= 1.0


# Evaluation


def test_prediction_keeps_every_image_and_leaves_the_modes_alone() -> None:
    images, _ = noise(7)
    model = network(batch_norm=True, dropout=0.5)
    model.train()
    model[1].eval()
    before = copy.deepcopy(model)
    normalization = Normalization.of(images)
    logits = predict(model, images, normalization, batch_size=3)
    assert [module.training for module in model.modules()] == [module.training for module in before.modules()]
    assert same_weights(model, before)
    pixels = ((images / 255 - normalization.mean) / normalization.std).transpose(0, 3, 1, 2)
    expected = before.eval()(torch.from_numpy(pixels).float())
    assert logits.shape == (7, 3)
    np.testing.assert_allclose(logits, expected.detach().numpy(), rtol=0, atol=1e-5)


def test_accuracy_counts() -> None:
    class Grey(nn.Module):
        """Predicts the class written in the first pixel."""

        def forward(self, images: Tensor) -> Tensor:
            return F.one_hot(images[:, 0, 0, 0].round().long(), 10).float()

    images, labels = numbered(9)
    images[:, 0, 0, 0] = [0, 1, 2, 3, 4, 9, 9, 9, 8]
    assert accuracy(Grey(), images, labels, AS_THEY_ARE, batch_size=4) == pytest.approx(6 / 9)


# Several processes


@pytest.fixture(scope="module")
def one_process() -> dict[str, Any]:
    measured: dict[str, Any] = runpy.run_path(str(SCRIPT))["measure"]()
    return measured


def run_processes(command: list[str], output: Path) -> dict[str, Any]:
    local = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, env=os.environ | local, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = torch.load(output)
    return measured


def assert_matches_one_process(several: dict[str, Any], one: dict[str, Any]) -> None:
    assert (one["processes"], several["processes"]) == (1, 2)
    assert one["steps"] == several["steps"] == 20
    assert several["losses"] == pytest.approx(one["losses"], rel=1e-9)
    for name, weight in one["weights"].items():
        assert weight.dtype == torch.float64
        assert (several["weights"][name] - weight).abs().max() < 1e-9, name
    for gradient, expected in zip(several["gradients"], one["gradients"], strict=True):
        assert expected.dtype == torch.float32
        assert (gradient - expected).norm() <= 1e-5 * expected.norm()
    assert not torch.equal(*several["masks"]), "each process drops others"
    assert one["wild"] == several["wild"] == (True, 5), "all stop, and none waits for another"


@pytest.mark.skipif(sys.platform == "win32", reason="the processes meet on the loopback interface by its Linux name")
def test_two_processes_match_one(one_process: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "two.pt"
    command = [sys.executable, str(SCRIPT), str(output), "2", str(tmp_path / "store")]
    assert_matches_one_process(run_processes(command, output), one_process)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the processes meet on the loopback interface by its Linux name")
def test_torchrun_matches_one_process(one_process: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "two.pt"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert_matches_one_process(run_processes([*launcher, str(SCRIPT), str(output)], output), one_process)


def test_processes_accelerate_does_not_know_of_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    images, labels = noise()
    with pytest.raises(RunError, match="runs 2 processes, accelerate knows of 1"):
        train(network(), images, labels, settings(), seed=0)


# Bad input


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("optimizer", "lion"),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -0.1),
        ("momentum", 1.0),
        ("warmup_fraction", 1.0),
        ("label_smoothing", 1.0),
        ("precision", "fp16"),
    ],
)
def test_bad_settings_are_named(argument: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}: got .*, allowed is "):
        settings(**{argument: value})


def test_contradicting_settings_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^momentum: got 0\.9, allowed is 0 with optimizer 'adamw'$"):
        settings(optimizer="adamw", momentum=0.9)
    with pytest.raises(ArgumentError, match="shift: got -1"):
        Augmentation(shift=-1)


@pytest.mark.parametrize(
    ("images", "labels", "changes", "message"),
    [
        (np.zeros((8, 6, 6), np.uint8), np.zeros(8, int), {}, r"images: got shape \(8, 6, 6\),"),
        (np.zeros((0, 6, 6, 3), np.uint8), np.zeros(0, int), {}, "images: got shape"),
        (np.zeros((8, 6, 6, 3), np.uint8), np.zeros(7, int), {}, r"labels: got shape \(7,\),"),
        (np.zeros((8, 6, 6, 3), np.uint8), np.full(8, -1), {}, "labels: got -1"),
        (np.zeros((8, 6, 6, 3), np.uint8), np.full(8, 3), {}, r"model: got logits of shape \(8, 3\), .*\(8, 4\)"),
        (np.zeros((7, 6, 6, 3), np.uint8), np.zeros(7, int), {}, "batch_size: got 8, .* 7$"),
        (
            np.zeros((8, 6, 6, 3), np.uint8),
            np.zeros(8, int),
            {"augmentation": Augmentation(shift=6)},
            "shift: got 6, .* 6 x 6",
        ),
    ],
)
def test_data_that_does_not_fit_is_named(
    images: np.ndarray, labels: np.ndarray, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        train(network(), images, labels, settings(**changes), seed=0)


def test_types_that_do_not_fit_are_named() -> None:
    images, labels = noise()
    with pytest.raises(ArgumentTypeError, match=r"^images: got float64, allowed is uint8"):
        train(network(), images / 255, labels, settings(), seed=0)
    with pytest.raises(ArgumentTypeError, match=r"^labels: got float64, allowed are integers"):
        train(network(), images, labels / 2, settings(), seed=0)
    with pytest.raises(ArgumentError, match=r"^seed: got -1"):
        train(network(), images, labels, settings(), seed=-1)


def test_batch_size_must_be_shared_evenly() -> None:
    images, labels = noise()
    with pytest.raises(ArgumentError, match=r"^batch_size: got 8, allowed is a multiple of the number of processes, 3"):
        Batches(images, labels, Normalization.of(images), settings(), seed=0, processes=3)


def test_evaluation_refuses_other_channels_than_in_training() -> None:
    images, _ = noise()
    with pytest.raises(ArgumentError, match=r"^images: got 3 channels, allowed is 1 as in training"):
        predict(network(), images, AS_THEY_ARE)
