"""Trains the same small network on any number of processes and writes down what must not depend on their number.

``python train_on_processes.py OUTPUT PROCESSES STORE`` spawns gloo processes that meet in the file STORE;
``torchrun --nproc-per-node PROCESSES train_on_processes.py OUTPUT`` leaves the meeting to torch and accelerate.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from cenote.lab.training import Augmentation, TrainingSettings, train


def measure() -> dict[str, Any]:
    """Weights after 20 steps in float64, gradients of the first step in float32, and whether a wild rate is noticed."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (44, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 4, 44)

    def settings(**changes: Any) -> TrainingSettings:
        common: dict[str, Any] = {
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "weight_decay": 1e-3,
            "warmup_fraction": 0.2,
            "label_smoothing": 0.1,
            "augmentation": Augmentation(flip=True, shift=2),
        }
        return TrainingSettings(**common | changes)

    exact = network()
    # In two goes, as one continues with a trained model.
    logs = [train(exact, images, labels, settings(precision="fp64"), seed=seed) for seed in (3, 4)]
    single = network()
    with _FirstGradients() as first:
        train(single, images, labels, settings(epochs=1), seed=3)
    masks = _Masks()
    train(masks, np.zeros_like(images), labels, settings(epochs=1), seed=3)
    wild = train(network(), images, labels, settings(learning_rate=1e30), seed=3)
    return {
        "weights": exact.state_dict(),
        "losses": [loss for log in logs for loss in log.losses],
        "steps": sum(log.steps for log in logs),
        "gradients": first.gradients,
        "masks": gathered(masks.first),
        "wild": (wild.diverged, wild.steps),
        "processes": torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1,
    }


def network() -> nn.Module:
    """Without batch norm, whose statistics are each process's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        )


class _Masks(nn.Module):
    """Keeps what dropout left of the first images it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Linear(100, 4)
        self.first: torch.Tensor | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = nn.functional.dropout(torch.ones(len(images), 100), training=self.training)
        self.first = left[:4] if self.first is None else self.first
        return self.classify(left)


def gathered(tensor: torch.Tensor | None) -> list[torch.Tensor]:
    """The tensor of each process."""
    assert tensor is not None
    if not torch.distributed.is_initialized():
        return [tensor]
    parts = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, tensor)
    return parts


class _FirstGradients:
    """Keeps the gradients that the first step of any optimizer sees."""

    def __enter__(self) -> _FirstGradients:
        self.gradients: list[torch.Tensor] = []
        self._hook = register_optimizer_step_pre_hook(self._look)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hook.remove()

    def _look(self, optimizer: Optimizer, *arguments: object) -> None:
        if not self.gradients:
            self.gradients = [weight.grad.clone() for group in optimizer.param_groups for weight in group["params"]]


def work(rank: int, processes: int, store: str, output: str) -> None:
    local = {"RANK": rank, "WORLD_SIZE": processes, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": processes}
    os.environ.update({name: str(value) for name, value in local.items()})
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
    write(output)


def write(output: str) -> None:
    torch.set_num_threads(1)
    measured = measure()
    if torch.distributed.get_rank() == 0:
        torch.save(measured, output)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    # Everything is on the disk. Tearing the interpreter down can meet a thread of gloo's that has not ended yet, which
    # aborts the process ("terminate called without an active exception").
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        write(sys.argv[1])
    else:
        output, processes, store = sys.argv[1:]
        torch.multiprocessing.spawn(work, (int(processes), store, output), nprocs=int(processes))
