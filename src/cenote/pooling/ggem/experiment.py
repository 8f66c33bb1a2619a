"""Does a vision transformer classify and retrieve better if it pools its tokens by grouped generalised means?

One small vision transformer, trained once for every way of pooling, with the same initial weights, images, order,
augmentation and schedule for every arm of a seed. The last norm stands behind the pooling in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from cenote.catalog.results import Figure, Record
from cenote.lab.classification import ClassificationSettings, parameters, sources, step_times, subset
from cenote.lab.data import ImageClassification
from cenote.lab.experiment import Context, Experiment, Trial
from cenote.lab.training import Normalization, TrainingSettings, train
from cenote.lab.wording import counted
from cenote.pooling.ggem.features import head_correlation, head_dependence, mean_average_precision
from cenote.pooling.ggem.pooling import GeM, GGeM, token_weights
from cenote.pooling.ggem.replacing import parameter_groups
from cenote.pooling.ggem.vit import Average, ClassToken, Maximum, PooledVit, SmallVit, TimmVit, timm_backbone

CLAIMED = ("ggem", "class-token", "average", "max", "gem")
CONTROLS = ("more groups", "an exponent a channel", "p fixed at 3", "p fixed at 1")
ARMS = CLAIMED + CONTROLS

FIRST_SEED = 9
"""Seeds 0 to 7 belong to the result before the exponents had a rate of their own, and 8 to a trial of that rate."""

COST = "cost"
"""Arm of the trial that times all arms in turns."""

SHOWN = frozenset({"mnist-5k", "digits", "fashion-mnist"})
"""Data sets whose terms allow their images in a published picture."""


class GgemSettings(ClassificationSettings):
    """Settings of the comparison."""

    patch: int = Field(default=4, ge=1, description="Height and width of a patch in pixels.")
    dim: int = Field(default=48, ge=2, description="Width of a token: a multiple of heads and of more_groups.")
    heads: int = Field(default=4, ge=2, description="Attention heads; ggem has as many groups.")
    layers: int = Field(default=2, ge=1, description="Transformer blocks.")
    more_groups: int = Field(default=16, ge=1, description="Groups of the control 'more groups'.")
    p: float = Field(default=3.0, gt=0, allow_inf_nan=False, description="Exponent that every learned arm starts from.")
    backbone: str = Field(
        default="", description="A timm vision transformer instead of the small one, such as timm:vit_tiny_patch16_224."
    )
    pretrained: bool = Field(default=False, description="Whether the backbone comes with its trained weights.")
    image_size: int = Field(
        default=64, ge=1, description="Height and width in pixels that images of an imagefolder are brought to."
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak of the schedule, of AdamW.")
    exponent_rate_factor: float = Field(
        default=10.0,
        gt=0,
        allow_inf_nan=False,
        description="How many times as fast as the weights every arm's exponents learn.",
    )
    queries: int = Field(default=1000, ge=1, description="Test images that search the others, at most half of them.")
    weighed_images: int = Field(default=4, ge=1, description="Test images whose token weights are kept.")

    def loader_options(self, data: str) -> dict[str, object]:
        """Return the resolution for a folder of images; other data sets have one of their own."""
        return {"image_size": self.image_size} if data == "imagefolder" else {}

    @field_validator("backbone")
    @classmethod
    def _from_timm(cls, backbone: str) -> str:
        if backbone and not (backbone.startswith("timm:") and backbone != "timm:"):
            raise ValueError(f"a backbone is written timm:NAME, got {backbone!r}")
        return backbone

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        for name, number in (("heads", self.heads), ("more_groups", self.more_groups)):
            if not self.backbone and self.dim % number:
                raise ValueError(f"dim must be a multiple of {name} ({number}); it is {self.dim}")
        if self.pretrained and not self.backbone:
            raise ValueError("pretrained needs a backbone")
        return self


# --- the network --------------------------------------------------------------------------------------------------


def pooling_of(arm: str, settings: GgemSettings, dim: int, heads: int) -> nn.Module:
    """Return what an arm pools tokens (B, N, D) with."""
    poolings: dict[str, Callable[[], nn.Module]] = {
        "ggem": lambda: GGeM(dim, heads, settings.p),
        "class-token": ClassToken,
        "average": Average,
        "max": Maximum,
        "gem": lambda: GeM(settings.p),
        "more groups": lambda: GGeM(dim, settings.more_groups, settings.p),
        "an exponent a channel": lambda: GGeM(dim, dim, settings.p),
        "p fixed at 3": lambda: GeM(3.0, learn_p=False),
        "p fixed at 1": lambda: GeM(1.0, learn_p=False),
    }
    return poolings[arm]()


class Network(NamedTuple):
    """A model and the number of its attention heads."""

    model: PooledVit
    heads: int


def network(arm: str, settings: GgemSettings, data: ImageClassification, seed: int) -> Network:
    """Return an untrained network; equal seeds give equal initial weights, since no pooling draws any."""
    height, width, channels = data.train.image_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.backbone:
            backbone = timm_backbone(
                settings.backbone.removeprefix("timm:"),
                image_size=height,
                channels=channels,
                classes=len(data.classes),
                pretrained=settings.pretrained,
            )
            heads = int(backbone.blocks[0].attn.num_heads)
            return Network(TimmVit(backbone, pooling_of(arm, settings, int(backbone.embed_dim), heads)), heads)
        small = SmallVit(
            pooling_of(arm, settings, settings.dim, settings.heads),
            image_size=(height, width),
            channels=channels,
            classes=len(data.classes),
            patch=settings.patch,
            dim=settings.dim,
            heads=settings.heads,
            layers=settings.layers,
        )
        return Network(small, settings.heads)


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: GgemSettings) -> list[Trial]:
    """Return one training per data set, seed and arm, and one timing per data set."""
    trainings = [Trial(data, arm, seed) for data in settings.data for seed in settings.seed_range for arm in ARMS]
    return trainings + [Trial(data, COST, alone=True) for data in settings.data]


def measure(trial: Trial, settings: GgemSettings, context: Context) -> Iterable[Record]:
    """Train one arm and measure it, or time all arms."""
    data = subset(trial.data, settings, context)
    if trial.arm != COST:
        return _training(trial, settings, data)
    return step_times(trial, {arm: network(arm, settings, data, seed=0).model for arm in ARMS}, data, settings)


def _training(trial: Trial, settings: GgemSettings, data: ImageClassification) -> Iterator[Record]:
    assert trial.seed is not None
    model, heads = network(trial.arm, settings, data, trial.seed)
    exponents = [_exponents(model)]
    log = train(
        model,
        data.train.images,
        data.train.labels,
        _recipe(trial.data, settings),
        seed=trial.seed,
        on_epoch=lambda *_: exponents.append(_exponents(model)),
        groups=lambda weights: parameter_groups(
            weights,
            learning_rate=settings.learning_rate,
            weight_decay=0.0,
            exponent_factor=settings.exponent_rate_factor,
        ),
    )
    seen = _see(model, data.test.images, log.normalization)
    yield from _scores(trial, settings, seen, data.test.labels, heads, diverged=log.diverged)
    if trial.arm in CLAIMED:
        yield from _dependence(trial, seen, heads)
    if trial.arm in ("ggem", "gem"):
        for epoch, values in enumerate(exponents):
            for group, value in enumerate(values):
                yield trial.record("exponent", value, unit=f"group-{group}", x=float(epoch))
    if trial.arm == "ggem":
        rival = network("average", settings, data, trial.seed).model
        assert isinstance(model.pooling, GGeM)
        surplus = parameters(model) - parameters(rival) - model.pooling.groups
        yield trial.record("parameters_beyond_groups", float(surplus))
        if trial.seed == settings.first_seed and trial.data in SHOWN:
            yield from _weights(trial, model, data.test.images[: settings.weighed_images], log.normalization)


def _recipe(data: str, settings: GgemSettings) -> TrainingSettings:
    return TrainingSettings(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer="adamw",
        learning_rate=settings.learning_rate,
        weight_decay=0.0,  # of no parameter in any arm: decay would pull the exponents, and only them, out of range
        warmup_fraction=0.1,
        augmentation=settings.augmentation(data),
    )


def _scores(
    trial: Trial, settings: GgemSettings, seen: Seen, labels: NDArray[np.int64], heads: int, *, diverged: bool
) -> Iterator[Record]:
    broken = diverged or not np.isfinite(seen.logits).all()
    correct = float(np.mean(seen.logits.argmax(axis=1) == labels))
    queries = min(settings.queries, len(labels) // 2)
    precision = mean_average_precision(seen.features, labels, queries)
    yield trial.record("accuracy", float("nan") if broken else correct)
    yield trial.record("map", float("nan") if broken else precision)
    yield trial.record("head_correlation", float("nan") if broken else head_correlation(seen.pooled, heads))


def _dependence(trial: Trial, seen: Seen, heads: int) -> Iterator[Record]:
    """Record how much the channels of each two heads depend on each other, once a pair; none after a divergence."""
    matrix = head_dependence(seen.pooled, heads)
    for row in range(heads):
        for column in range(row, heads):
            if np.isfinite(matrix[row, column]):
                yield trial.record("head_dependence", float(matrix[row, column]), unit=f"head-{row} head-{column}")


class Seen(NamedTuple):
    """What a network makes of images, (N, D) and (N, K)."""

    pooled: NDArray[np.float32]
    """Right behind the pooling."""
    features: NDArray[np.float32]
    """Behind the last norm: what the classifier reads, and what is searched with."""
    logits: NDArray[np.float32]


def _see(model: PooledVit, images: NDArray[np.uint8], normalization: Normalization) -> Seen:
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for tokens in _tokens(model, images, normalization):
        with torch.no_grad():
            pooled = model.pooling(tokens)
            features = model.norm(pooled)
            parts.append((pooled, features, model.head(features)))
    return Seen(*(torch.cat(column).float().cpu().numpy() for column in zip(*parts, strict=True)))


def _tokens(model: PooledVit, images: NDArray[np.uint8], normalization: Normalization) -> Iterator[Tensor]:
    """Yield the tokens of 500 images at a time."""
    model.eval()
    device = next(model.parameters()).device
    for start in range(0, len(images), 500):
        batch = normalization.apply(torch.from_numpy(images[start : start + 500]).to(device)).contiguous()
        with torch.no_grad():
            yield model.tokens(batch)


def _exponents(model: PooledVit) -> list[float]:
    values: list[float] = model.pooling.p.tolist() if isinstance(model.pooling, GGeM) else []
    return values


def _weights(
    trial: Trial, model: PooledVit, images: NDArray[np.uint8], normalization: Normalization
) -> Iterator[Record]:
    """Record the weight of every token, mean over channels, times the number of tokens."""
    assert isinstance(model.pooling, GGeM)
    (tokens,) = _tokens(model, images, normalization)
    with torch.no_grad():
        weights = token_weights(tokens, model.pooling.p, eps=model.pooling.eps).mean(2) * tokens.shape[1]
    for image, row in enumerate(weights.tolist()):
        for place, weight in enumerate(row):
            yield trial.record("token_weight", weight, unit=f"image-{image} token-{place}")


# --- data and pictures --------------------------------------------------------------------------------------------


def figures(settings: GgemSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw scores, dependence of heads and exponents per data set, and which tokens of some images weigh most."""
    from cenote.pooling.ggem import pictures

    for name in settings.data:
        yield from pictures.draw_scores(name, settings.seeds, records, folder, order=ARMS, controls=CONTROLS)
        yield from pictures.draw_dependence(name, records, folder, order=CLAIMED)
        yield from pictures.draw_exponents(name, records, folder)
        if name in SHOWN:
            data = subset(name, settings, context)
            yield from pictures.draw_token_weights(name, data, settings.weighed_images, records, folder)


def differs(settings: GgemSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    if settings.backbone:
        weights = "its trained weights" if settings.pretrained else "random weights"
        network = f"timm's {settings.backbone.removeprefix('timm:')} with {weights}"
    else:
        network = (
            f"a vision transformer of {counted(settings.layers, 'block')} with {settings.dim} channels and "
            f"{settings.heads} heads, from scratch"
        )
    return (
        f"The paper trains ViTs on ImageNet-1K; this is {network}, on at most {settings.train_images:,} images of "
        f"{', '.join(settings.data)} for {counted(settings.epochs, 'epoch')} with {counted(settings.seeds, 'seed')}.",
        "The paper's number of groups, initial exponents and optimizer settings are not known: ggem has one group a "
        f"head, every learned exponent starts at {settings.p:g} and learns {settings.exponent_rate_factor:g} times as "
        "fast as the weights, as is usual for GeM, and no parameter of any arm decays.",
        "The last norm stands behind the pooling in every arm, the class token's too; whether the paper pools before "
        "or after it is not known.",
        "Retrieval is by class among the test images, with what the classifier reads; the paper's retrieval "
        "benchmarks and its image-text learning are not measured.",
    )


experiment = Experiment(
    settings=GgemSettings,
    presets={
        "tiny": GgemSettings(
            data=("mnist-5k",),
            seeds=1,
            first_seed=FIRST_SEED,
            train_images=40,
            test_images=20,
            epochs=1,
            patch=7,
            dim=16,
            layers=1,
            batch_size=20,
            shift=1,
            weighed_images=2,
            timing_repeats=2,
            timing_seconds=0.002,
        ),
        "smoke": GgemSettings(
            data=("digits",),
            seeds=8,
            first_seed=FIRST_SEED,
            train_images=400,
            test_images=300,
            epochs=5,
            patch=2,
            dim=32,
            layers=1,
            batch_size=20,
            learning_rate=4e-3,
            shift=0,
            timing_repeats=3,
            timing_seconds=0.02,
        ),
        "laptop": GgemSettings(
            data=("cifar10", "fashion-mnist"),
            seeds=8,
            first_seed=FIRST_SEED,
            train_images=8_000,
            test_images=10_000,
            epochs=5,
        ),
        "paper": GgemSettings(
            data=("imagefolder",),
            seeds=8,
            first_seed=FIRST_SEED,
            train_images=1_281_167,
            test_images=50_000,
            epochs=100,
            backbone="timm:vit_base_patch16_224.mae",
            pretrained=True,
            image_size=224,
            batch_size=1024,
        ),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
)
