"""Does the layout of the block carry the accuracy, or the mixer inside it?

One small MetaFormer of twelve blocks, of which each arm changes one thing: the mixer, the norm, or what else the block
is made of. Arms of a seed have the same images, order, augmentation and schedule, and the same initial weights
wherever they share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from cenote.catalog.results import Figure, Record
from cenote.lab.classification import ClassificationSettings, parameters, sources, step_times, subset
from cenote.lab.data import ImageClassification
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.training import Normalization, TrainingSettings, accuracy, train
from cenote.lab.wording import counted
from cenote.pooling.poolformer.ablation import ARMS, CLAIMED, CONTROLS, Shape, build
from cenote.pooling.poolformer.block import MetaFormerBlock
from cenote.pooling.poolformer.costs import multiply_adds
from cenote.pooling.poolformer.network import PoolFormer
from cenote.pooling.poolformer.receptive_field import effective_receptive_field
from cenote.pooling.poolformer.variants import poolformer_m36

COST, COUNTS = "cost", "multiply-adds"
"""Arms of the trials that time all arms in turns, and that count what the paper's large models need."""

LOOKED_INTO = ("pool-mixer", "identity-mixer", "depthwise-mixer", "attention-mixer")
"""Arms whose receptive field and layer scales of each block are kept, of the first seed."""

FIELD_IMAGES, FIELD_BINS = 64, 16


class PoolFormerSettings(ClassificationSettings):
    """Settings of the ablation."""

    control_seeds: int = Field(default=3, ge=1, description="Seeds of the arms without verdict: the first ones.")
    depths: tuple[int, ...] = Field(default=(6, 6), description="Blocks of each stage.")
    dims: tuple[int, ...] = Field(default=(32, 64), description="Channels of each stage, multiples of head_dim.")
    patch: tuple[int, int, int] = Field(default=(4, 4, 0), description="Kernel, stride, padding of the first layer.")
    head_dim: int = Field(default=16, ge=1, description="Channels of an attention head.")
    layer_scale: float = Field(default=0.1, gt=0, allow_inf_nan=False, description="What layer scales start from.")
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="Probability of dropping the last block's branches.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak of the schedule, of AdamW.")
    weight_decay: float = Field(default=0.05, ge=0, description="Decay of weights, not of norms, biases and scales.")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Weight of the uniform distribution.")
    image_size: int = Field(default=224, ge=1, description="Height and width of the images of an imagefolder.")

    def loader_options(self, data: str) -> dict[str, object]:
        """Return the resolution for a folder of images; other data sets have one of their own."""
        return {"image_size": self.image_size} if data == "imagefolder" else {}

    @model_validator(mode="after")
    def _buildable(self) -> Self:
        if len(self.depths) != len(self.dims) or min(*self.depths, *self.dims) < 1:
            raise ValueError(f"depths and dims must be equally many numbers from 1, not {self.depths} and {self.dims}")
        if any(dim % self.head_dim for dim in self.dims):
            raise ValueError(f"dims must be multiples of head_dim ({self.head_dim}); they are {self.dims}")
        return self

    @property
    def shape(self) -> Shape:
        """What the networks of all arms have in common."""
        return Shape(self.depths, self.dims, self.patch, self.head_dim, self.layer_scale, self.drop_path)


def network(arm: str, settings: PoolFormerSettings, data: ImageClassification, seed: int) -> PoolFormer:
    """Return an arm's untrained network for these images."""
    height, width, channels = data.train.image_shape
    return build(arm, settings.shape, image_shape=(height, width, channels), classes=len(data.classes), seed=seed)


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: PoolFormerSettings) -> list[Trial]:
    """Return one training per data set, seed and arm, the counts of each seed, and one timing per data set."""
    work = []
    for data in settings.data:
        for number, seed in enumerate(settings.seed_range):
            arms = ARMS if number < settings.control_seeds else tuple(CLAIMED)
            work += [Trial(data, arm, seed) for arm in (*arms, COUNTS)]
    return work + [Trial(data, COST, alone=True) for data in settings.data]


def measure(trial: Trial, settings: PoolFormerSettings, context: Context) -> Iterable[Record]:
    """Train one arm and measure it, or count and time."""
    if trial.arm == COUNTS:
        return _counts(trial)
    data = subset(trial.data, settings, context)
    return _cost(trial, settings, data) if trial.arm == COST else _training(trial, settings, data)


def _training(trial: Trial, settings: PoolFormerSettings, data: ImageClassification) -> Iterator[Record]:
    assert trial.seed is not None
    model = network(trial.arm, settings, data, trial.seed)
    recipe = TrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer="adamw",
        learning_rate=settings.learning_rate,
        warmup_fraction=0.1,
        label_smoothing=settings.label_smoothing,
        channels_last=True,
        augmentation=settings.augmentation(trial.data),
    )
    log = train(
        model,
        data.train.images,
        data.train.labels,
        recipe,
        seed=trial.seed,
        groups=lambda weights: decay_groups(weights, settings.weight_decay),
    )
    test = data.test
    score = float("nan") if log.diverged else accuracy(model, test.images, test.labels, log.normalization)
    yield trial.record("accuracy", score)
    if log.diverged:
        return
    kept = trial.seed == settings.first_seed and trial.arm in LOOKED_INTO
    yield from _layer_scales(trial, model, each_block=kept)
    if kept:
        yield from _field(trial, model, data, log.normalization)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the optimizer's groups: matrices and kernels decay; norms, biases and layer scales do not."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]


def _layer_scales(trial: Trial, model: PoolFormer, *, each_block: bool) -> Iterator[Record]:
    """Record the mean size of the learned layer scales: whether mixers and MLPs are used at all."""
    blocks = [block for block in model.modules() if isinstance(block, MetaFormerBlock)]
    for branch in ("mixer", "mlp"):
        name = "layer_scale1" if branch == "mixer" else "layer_scale2"
        sizes = [float(getattr(block, name).scale.detach().abs().mean()) for block in blocks if hasattr(block, name)]
        if sizes:
            yield trial.record(f"{branch}_scale", sum(sizes) / len(sizes))
        for place, size in enumerate(sizes if each_block else (), start=1):
            yield trial.record(f"{branch}_scale_of_block", size, unit=f"block-{place}")


def _field(
    trial: Trial, model: PoolFormer, data: ImageClassification, normalization: Normalization
) -> Iterator[Record]:
    images = normalization.apply(torch.from_numpy(data.test.images[:FIELD_IMAGES]))
    field = effective_receptive_field(model, images, most_bins=FIELD_BINS)
    for row, shares in enumerate(field.tolist()):
        for column, share in enumerate(shares):
            yield trial.record("receptive_field", share, unit=f"{row} {column}")


def _counts(trial: Trial) -> Iterator[Record]:
    """Count the multiply-adds of the two models the paper compares; DeiT-B is twelve blocks of attention."""
    with torch.device("meta"):
        deit = PoolFormer((12,), (768,), mixer="attention", norm="ln", head_dim=64, layer_scale=None, patch=(16, 16, 0))
        models = {"poolformer-m36": poolformer_m36(), "deit-b": deit}
    for name, model in models.items():
        yield trial.record("macs", float(multiply_adds(model, (3, 224, 224))), arm=name)


def _cost(trial: Trial, settings: PoolFormerSettings, data: ImageClassification) -> Iterator[Record]:
    height, width, channels = data.train.image_shape
    models = {arm: network(arm, settings, data, seed=0) for arm in ARMS}
    for arm, model in models.items():
        yield trial.record("parameters", float(parameters(model)), arm=arm)
        yield trial.record("multiply_adds", float(multiply_adds(model, (channels, height, width))), arm=arm)
    yield from step_times(trial, models, data, settings, memory_format=torch.channels_last)


# --- data and pictures --------------------------------------------------------------------------------------------


def figures(
    settings: PoolFormerSettings, records: Sequence[Record], context: Context, folder: Path
) -> Iterator[Figure]:
    """Draw accuracy, accuracy against costs, the learned layer scales and the receptive fields per data set."""
    from cenote.pooling.poolformer import pictures

    for name in settings.data:
        yield from pictures.draw_all(name, records, folder, order=ARMS, controls=tuple(CONTROLS))


def differs(settings: PoolFormerSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    blocks = counted(sum(settings.depths), "block")
    return (
        f"The paper trains S12 on ImageNet-1K for 300 epochs; this is {blocks} in {len(settings.depths)} stages of "
        f"{' and '.join(map(str, settings.dims))} channels, on at most {settings.train_images:,} images of "
        f"{', '.join(settings.data)} for {counted(settings.epochs, 'epoch')}, with {counted(settings.seeds, 'seed')} "
        f"for the arms of the claims and {min(settings.control_seeds, settings.seeds)} for the others.",
        f"Layer scales start from {settings.layer_scale:g} instead of 1e-5: in so short a training, 1e-5 would leave "
        "every mixer unused and make all arms alike.",
        "Attention and spatial MLP take the place of the mixer in the same network instead of the networks DeiT and "
        "ResMLP, so that they cost more multiply-adds than pooling at equal depth and width.",
        "Weight decay is for matrices and kernels only, in every arm; there is no Mixup, CutMix or RandAugment.",
        "Multiply-adds are those of torch's counter, to which pooling counts 0; DeiT-B is counted without its "
        "class token.",
        "Without skip, layer scales stay: the norm behind them takes their size out again.",
    )


experiment = Experiment(
    settings=PoolFormerSettings,
    presets={
        "tiny": PoolFormerSettings(
            data=("mnist-5k",),
            seeds=1,
            control_seeds=1,
            train_images=40,
            test_images=20,
            epochs=1,
            batch_size=20,
            shift=0,
            depths=(1, 1),
            dims=(4, 8),
            patch=(7, 7, 0),
            head_dim=4,
            timing_repeats=2,
            timing_seconds=0.002,
        ),
        "smoke": PoolFormerSettings(
            data=("digits",),
            seeds=8,
            train_images=400,
            test_images=300,
            epochs=4,
            batch_size=40,
            shift=0,
            depths=(2, 2),
            dims=(16, 32),
            patch=(2, 2, 0),
            head_dim=8,
            learning_rate=6e-3,
            timing_repeats=3,
            timing_seconds=0.02,
        ),
        "laptop": PoolFormerSettings(
            data=("cifar10",), seeds=8, train_images=20_000, test_images=10_000, epochs=4, batch_size=128
        ),
        "paper": PoolFormerSettings(
            data=("imagefolder",),
            seeds=8,
            train_images=1_281_167,
            test_images=50_000,
            epochs=300,
            batch_size=4096,
            depths=(2, 2, 6, 2),
            dims=(64, 128, 320, 512),
            patch=(7, 4, 2),
            head_dim=32,
            layer_scale=1e-5,
            drop_path=0.1,
            learning_rate=4e-3,
            label_smoothing=0.1,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
)
