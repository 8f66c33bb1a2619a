"""Train an image classifier on images in memory or on disk, on one process or several.

The loop is ``accelerate``'s, so that the same call runs on a CPU, on a GPU or on several of them. The global batches,
their augmentation and so the gradients are the same for any number of processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import GradientAccumulationPlugin
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cenote.errors import RunError
from cenote.lab.batches import (
    Augmentation,
    Batches,
    Images,
    Labels,
    Normalization,
    as_tensor,
    check_images,
    check_labels,
    require,
)

__all__ = [
    "Augmentation",
    "Batches",
    "Normalization",
    "TrainingLog",
    "TrainingSettings",
    "accuracy",
    "one_cycle",
    "predict",
    "train",
]

Precision = Literal["fp32", "bf16", "fp64"]
OptimizerName = Literal["sgd", "adamw"]

STEPS_BETWEEN_CHECKS = 16
"""How often the loss is looked at: a look at every step would stall a GPU and, over processes, cost a reduction."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a classifier is trained; ArgumentError if a value is out of range or two contradict each other."""

    epochs: int
    """Passes over the training images."""
    batch_size: int = 128
    """Images a step over all processes together; an incomplete last batch is dropped."""
    optimizer: OptimizerName = "sgd"
    """``sgd`` is torch's SGD, ``adamw`` its AdamW with betas (0.9, 0.999)."""
    learning_rate: float = 0.1
    """Peak of the schedule."""
    weight_decay: float = 0.0
    """Decay of every parameter, biases included, as torch's optimizers apply it."""
    momentum: float = 0.0
    """Momentum of ``sgd``; ``adamw`` has none."""
    warmup_fraction: float = 0.0
    """Part of all steps in which the learning rate rises linearly; from there it falls to 0 along a cosine."""
    label_smoothing: float = 0.0
    """Weight of the uniform distribution mixed into the targets."""
    precision: Precision = "fp32"
    """``bf16`` keeps float32 weights and computes the forward pass under autocast; ``fp64`` is for exact checks."""
    channels_last: bool = False
    """Keep images and convolution weights in NHWC memory order, which convolutions are often faster in."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is done to a training image each time it is seen."""

    def __post_init__(self) -> None:
        for argument, allowed, fits in (
            ("epochs", "1 or more", self.epochs >= 1),
            ("batch_size", "1 or more", self.batch_size >= 1),
            ("optimizer", "'sgd' or 'adamw'", self.optimizer in get_args(OptimizerName)),
            ("learning_rate", "a positive number", 0 < self.learning_rate < math.inf),
            ("weight_decay", "0 or more", 0 <= self.weight_decay < math.inf),
            ("momentum", "0 or more, below 1", 0 <= self.momentum < 1),
            ("momentum", f"0 with optimizer {self.optimizer!r}", self.optimizer == "sgd" or self.momentum == 0),
            ("warmup_fraction", "0 or more, below 1", 0 <= self.warmup_fraction < 1),
            ("label_smoothing", "0 or more, below 1", 0 <= self.label_smoothing < 1),
            ("precision", "'fp32', 'bf16' or 'fp64'", self.precision in get_args(Precision)),
        ):
            require(fits, argument, repr(getattr(self, argument)), allowed)

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights and the input."""
        return torch.float64 if self.precision == "fp64" else torch.float32


@dataclass(frozen=True)
class TrainingLog:
    """What a training did."""

    losses: tuple[float, ...]
    """Mean training loss of each epoch; NaN for the one in which it diverged."""
    steps: int
    """Steps taken by the optimizer."""
    seconds: float
    """Time spent training, calls of ``on_epoch`` left out."""
    diverged: bool
    """Whether the loss or a weight became infinite or NaN; training stops there, and the model is of no use."""
    normalization: Normalization
    """What the images were normalised with; what the model has to be evaluated with."""


def train(
    model: nn.Module,
    images: Images,
    labels: Labels,
    settings: TrainingSettings,
    *,
    seed: int,
    normalization: Normalization | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    groups: Callable[[nn.Module], Sequence[Mapping[str, Any]]] | None = None,
) -> TrainingLog:
    """Train a classifier in place with softmax cross-entropy.

    The same seed gives the same weights, bit for bit, on a CPU with the same number of threads. The caller's random
    state and accelerator are as before afterwards. Over several processes, started by torchrun or (on GPUs)
    ``accelerate launch``, the gradient is the mean over the global batch; batch norm sees its own process's part only.

    Args:
        model: Maps (B, C, H, W) to logits (B, K). Its weights are cast and moved as the settings and the device ask.
        images: uint8 of shape (N, H, W, C): an array, or ``ImageFiles``, which are decoded batch by batch.
        labels: Integers from 0 to K - 1 of shape (N,).
        settings: How to train.
        seed: Decides order, augmentation and the model's own randomness, such as dropout; not its initial weights.
        normalization: What to normalise with; measured on the images if left out.
        on_epoch: Called with the epoch from 0 and its mean loss after each epoch.
        groups: Returns the optimizer's parameter groups, of the model once it has its dtype; the schedule scales the
            rates they name. By default one group of all weights with the settings' rate and decay.

    Returns:
        The losses, and what is needed to evaluate the model.

    Raises:
        ArgumentError: If images, labels and settings do not fit together or the model's output does not fit the labels.
        ArgumentTypeError: If images are not uint8 or labels not integers.
        RunError: If torch.distributed runs several processes and ``accelerate`` was not told.
    """
    check_images(images)
    check_labels(labels, len(images))
    require(seed >= 0, "seed", seed, "0 or more")
    normalization = normalization or Normalization.of(images)
    with _accelerator(settings.precision) as accelerator, _own_randomness(seed, accelerator.process_index):
        process, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device
        batches = Batches(
            images, labels, normalization, settings, seed=seed, process=process, processes=processes, device=device
        )
        steps, classes = settings.epochs * len(batches), int(labels.max()) + 1
        loop = _Loop(model, settings, accelerator, steps=steps, classes=classes, groups=groups)
        losses = []
        for epoch in range(settings.epochs):
            losses.append(loop.run(batches))
            if math.isnan(losses[-1]):
                break
            if on_epoch is not None:
                on_epoch(epoch, losses[-1])
    # The last step can break the weights after a loss that was still finite.
    diverged = math.isnan(losses[-1]) or not all(weight.isfinite().all() for weight in model.parameters())
    return TrainingLog(tuple(losses), loop.steps, loop.seconds, diverged, normalization)


def predict(
    model: nn.Module, images: Images, normalization: Normalization, *, batch_size: int = 500
) -> npt.NDArray[Any]:
    """Return the logits (N, K) of uint8 images (N, H, W, C), with the model in evaluation mode and left as it was.

    Computes in the data type and on the device of the model's weights; every process predicts all images.

    Raises:
        ArgumentError: If the images have another shape or other channels than in training.
        ArgumentTypeError: If they are not uint8.
    """
    check_images(images)
    require(batch_size >= 1, "batch_size", batch_size, "1 or more")
    weight = next(model.parameters(), torch.empty(0))
    logits = []
    # no_grad and not inference_mode: what a model caches here may be needed by autograd in a later training.
    with _evaluation_mode(model), torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = as_tensor(images[start : start + batch_size]).to(weight.device)
            logits.append(model(normalization.apply(batch, weight.dtype).contiguous()))
    # numpy has no bfloat16.
    dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
    array: npt.NDArray[Any] = torch.cat(logits).to("cpu", dtype).numpy()
    return array


def accuracy(
    model: nn.Module, images: Images, labels: Labels, normalization: Normalization, *, batch_size: int = 500
) -> float:
    """Return the fraction of images whose largest logit is at the label; NaN if a logit is NaN, as after divergence.

    Raises:
        ArgumentError: If images and labels do not fit together or the images have other channels than in training.
        ArgumentTypeError: If images are not uint8 or labels not integers.
    """
    check_images(images)
    check_labels(labels, len(images))
    logits = predict(model, images, normalization, batch_size=batch_size)
    if np.isnan(logits).any():
        return math.nan
    return float(np.mean(logits.argmax(axis=1) == labels))


def one_cycle(step: int, *, steps: int, warmup_fraction: float) -> float:
    """Return the learning rate of a step as a fraction of its peak.

    With w = round(warmup_fraction * steps): (step + 1) / (w + 1) up to step w, where it is 1, and from there
    (1 + cos(pi * (step - w) / (steps - w))) / 2. No step is taken with a learning rate of 0.

    Example:
        >>> [round(one_cycle(step, steps=6, warmup_fraction=1 / 3), 3) for step in range(6)]
        [0.333, 0.667, 1.0, 0.854, 0.5, 0.146]
    """
    warmup = min(round(warmup_fraction * steps), steps - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


class _Loop:
    """A model, its optimizer and its schedule, prepared by accelerate and stepped together."""

    def __init__(
        self,
        model: nn.Module,
        settings: TrainingSettings,
        accelerator: Accelerator,
        *,
        steps: int,
        classes: int,
        groups: Callable[[nn.Module], Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        model.to(dtype=settings.dtype)
        model.to(memory_format=torch.channels_last if settings.channels_last else torch.contiguous_format)
        model.zero_grad()
        optimizer = _optimizer((groups or _all_weights)(model), settings)
        schedule = partial(one_cycle, steps=steps, warmup_fraction=settings.warmup_fraction)
        prepared = accelerator.prepare(_Shell(model, classes), optimizer, LambdaLR(optimizer, schedule))
        self.model, self.optimizer, self.schedule = prepared
        self.accelerator = accelerator
        self.label_smoothing = settings.label_smoothing
        self.steps = 0
        self.seconds = 0.0

    def run(self, batches: Batches) -> float:
        """Train for one epoch and return its mean loss, or stop early and return NaN where it is not finite."""
        start = time.perf_counter()
        self.model.train()
        total = torch.zeros((), device=self.accelerator.device)
        mean = math.nan
        for step, (images, labels) in enumerate(batches, 1):
            total = total + self._step(images, labels)
            if step % STEPS_BETWEEN_CHECKS == 0 or step == len(batches):
                # Every process sees the same mean, so all stop at the same step and none waits for the others.
                mean = self.accelerator.reduce(total, "mean").item() / step
                if not math.isfinite(mean):
                    break
        self.seconds += time.perf_counter() - start
        return mean if math.isfinite(mean) else math.nan

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.steps += 1
        return loss.detach()


class _Shell(nn.Module):
    """Goes to accelerate in the model's place: the marks and the autocast it sets on a module go with the shell."""

    def __init__(self, model: nn.Module, classes: int) -> None:
        super().__init__()
        self.model = model
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        fits = logits.ndim == 2 and len(logits) == len(images) and logits.shape[1] >= self.classes
        # Asked here, since on a GPU a label out of range kills the process.
        require(fits, "model", f"logits of shape {tuple(logits.shape)}", f"({len(images)}, {self.classes}) or wider")
        return logits


def _all_weights(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]


def _optimizer(groups: Sequence[Mapping[str, Any]], settings: TrainingSettings) -> Optimizer:
    weights = [dict(group) for group in groups]
    rate, decay = settings.learning_rate, settings.weight_decay
    # Fused: a small network has many small parameters, and a loop over them in Python would cost a tenth of its step.
    if settings.optimizer == "adamw":
        return AdamW(weights, lr=rate, weight_decay=decay, fused=True)
    return SGD(weights, lr=rate, momentum=settings.momentum, weight_decay=decay, fused=True)


@contextmanager
def _accelerator(precision: Precision) -> Iterator[Accelerator]:
    """Lend an accelerator of this precision and leave accelerate's global state as it was.

    accelerate keeps one precision for the whole process and refuses another; its own tests clear that state with the
    same private method. ``PartialState``, which holds the device and the process group, stays.
    """
    singletons = (AcceleratorState, GradientState)
    before = [dict(singleton._shared_state) for singleton in singletons]
    for singleton in singletons:
        singleton._reset_state()
    try:
        accelerator = Accelerator(
            mixed_precision="bf16" if precision == "bf16" else "no",
            # Without this, the processes of torchrun on a machine without GPU would know nothing of each other.
            cpu=not torch.accelerator.is_available(),
            # Batches are split here; without this the schedule would advance once per process.
            dataloader_config=DataLoaderConfiguration(split_batches=True),
            # Explicit, since the default is read from the environment.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        )
        _check_processes(accelerator)
        yield accelerator
    finally:
        for singleton, state in zip(singletons, before, strict=True):
            singleton._reset_state()
            singleton._shared_state.update(state)


@contextmanager
def _own_randomness(seed: int, process: int) -> Iterator[None]:
    """Seed the global generators, which dropout draws from, and put the caller's state back afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        # Another stream for each process: the parts of a batch must not share their dropout masks.
        torch.manual_seed(int(np.random.SeedSequence((seed, process)).generate_state(1)[0]))
        yield


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        # One by one: a caller may hold some modules, such as frozen batch norms, in evaluation mode.
        for module, training in modes:
            module.training = training


def _check_processes(accelerator: Accelerator) -> None:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    processes = torch.distributed.get_world_size() if distributed else 1
    if processes != accelerator.num_processes:
        raise RunError(
            f"torch.distributed runs {processes} processes, accelerate knows of {accelerator.num_processes}; start "
            "them with torchrun, or set RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE as it does"
        )
