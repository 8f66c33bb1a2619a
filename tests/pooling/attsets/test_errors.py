"""Bad input gives one error that names the argument, what came and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import (
    AttSets,
    BilinearAggregation,
    FASetTrainer,
    SetTransformerAggregation,
    aggregate,
    faset_parameters,
    voxel_iou,
)
from cenote.pooling.attsets.networks import GridDecoder, ImageEncoder, VolumeDecoder
from cenote.pooling.attsets.windows import window_views

X = torch.rand(2, 3, 6)
BROKEN = X.clone()
BROKEN[1, 2, 4] = torch.nan
NONE_OF_ONE = torch.tensor([[True, False, True], [False, False, False]])
P, T = torch.rand(2, 4), torch.rand(2, 4) > 0.5


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool, self.layer = AttSets(4), nn.Linear(4, 4)
        self.layer.weight = self.pool.scores.weight


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), AttSets(4))


def frozen(layer: int) -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 4), AttSets(4))
    model[layer].requires_grad_(False)
    return model


def steep() -> AttSets:
    """Its weights are finite and the scores of features from 0 to 1 are not."""
    pool = AttSets(6)
    nn.init.constant_(pool.scores.weight, 3e38)
    return pool


def fit(views: Any, targets: Any) -> object:
    return FASetTrainer(network(), 3, 1, 1).fit([(views, targets)] * 2, nn.functional.mse_loss)


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no member": (lambda: AttSets(6)(X[:, :0]), ArgumentError, "at least one member in a set, got shape (2, 0, 6)"),
    "features": (lambda: AttSets(5)(X), ArgumentError, "x must have 5 features, got 6 in shape (2, 3, 6)"),
    "dimensions": (lambda: AttSets(6)(X[0]), ArgumentError, "x must be sets (B, N, D), got shape (3, 6)"),
    "map": (lambda: AttSets(6, kind="conv2d")(X), ArgumentError, "x must be sets (B, N, D, H, W), got shape (2, 3, 6)"),
    "integers": (lambda: AttSets(6)(X.int()), ArgumentTypeError, "floating-point tensor, got torch.int32"),
    "no tensor": (lambda: aggregate("max", 6)([1.0]), ArgumentTypeError, "got list"),
    "not finite": (lambda: AttSets(6)(BROKEN), ArgumentError, "x must be finite where it counts, got nan at (1, 2, 4)"),
    "infinite": (lambda: aggregate("gru", 6)(X.masked_fill(X > 0.5, torch.inf)), ArgumentError, "got inf at"),
    "hidden infinity": (
        lambda: aggregate("max", 6)(X.masked_fill(X > 0.5, -torch.inf)), ArgumentError, "got -inf at"),
    "scores": (lambda: steep()(X), ArgumentError, "the scores of x must be finite numbers"),
    "empty row": (lambda: AttSets(6)(X, NONE_OF_ONE), ArgumentError, "it keeps none of set 1"),
    "mask type": (lambda: AttSets(6)(X, torch.ones(2, 3)), ArgumentTypeError, "mask must be a boolean tensor"),  # type: ignore[arg-type]
    "mask shape": (lambda: AttSets(6)(X, NONE_OF_ONE[:, :2]), ArgumentError, "mask must have shape (2, 3), got (2, 2)"),
    "dim": (lambda: AttSets(0), ArgumentError, "dim must be at least 1, got 0"),
    "real dim": (lambda: AttSets(2.0), ArgumentTypeError, "dim must be a whole number, got 2.0"),  # type: ignore[arg-type]
    "out": (lambda: AttSets(4, out_elems=0), ArgumentError, "out_elems must be at least 1, got 0"),
    "kind": (lambda: AttSets(4, kind="conv1d"), ArgumentError, "one of 'fc', 'conv2d', 'conv3d', got 'conv1d'"),  # type: ignore[arg-type]
    "kernel": (lambda: AttSets(4, kind="conv2d", kernel_size=2), ArgumentError, "kernel_size must be odd"),
    "rank": (lambda: BilinearAggregation(4, rank=5), ArgumentError, "rank must be at most dim (4), got 5"),
    "heads": (lambda: SetTransformerAggregation(6, heads=4), ArgumentError, "heads must divide the 6 features, got 4"),
    "name": (lambda: aggregate("median", 4), ArgumentError, "name must be one of attsets, max, mean, sum, gru"),
    "no attention": (lambda: faset_parameters(nn.Linear(2, 2)), ArgumentError, "got Linear without one"),
    "nothing else": (lambda: faset_parameters(AttSets(2)), ArgumentError, "parameters beside its attention, got none"),
    "shared": (lambda: faset_parameters(Tied()), ArgumentError, "must not share parameters"),
    "views": (lambda: FASetTrainer(network(), 0, 1, 1), ArgumentError, "n_views must be at least 1, got 0"),
    "bounds": (lambda: FASetTrainer(network(), (5, 2), 1, 1), ArgumentError, "lower bound first, got (5, 2)"),
    "steps": (lambda: FASetTrainer(network(), 2, -1, 1), ArgumentError, "stage1_steps must be at least 1, got -1"),
    "rate": (lambda: FASetTrainer(network(), 2, 1, 1, attention_rate=0.0), ArgumentError, "attention_rate must be"),
    "no rate": (
        lambda: FASetTrainer(network(), 2, 1, 1, learning_rate="1"),  # type: ignore[arg-type]
        ArgumentTypeError, "learning_rate must be a number, got '1'"),
    "no stage one": (lambda: FASetTrainer(frozen(0), 2, 3, 1), ArgumentError, "stage1_steps must be 0 where none of"),
    "no stage two": (lambda: FASetTrainer(frozen(1), 2, 3, 1), ArgumentError, "stage2_steps must be 0 where none of"),
    "no sets": (lambda: fit(X[0], torch.rand(3, 4)), ArgumentError, "views must be sets (B, N, …), got shape (3, 6)"),
    "targets": (lambda: fit(X, torch.rand(3, 4)), ArgumentError, "one for each of the 2 sets, got shape (3, 4)"),
    "no target": (lambda: fit(X, None), ArgumentTypeError, "targets must be a tensor, got NoneType"),
    "too few batches": (
        lambda: FASetTrainer(network(), 3, 1, 1).fit([(X, torch.rand(2, 4))], nn.functional.mse_loss),
        ArgumentError, "they ended after 1"),
    "too few views": (
        lambda: FASetTrainer(network(), 4, 0, 1).fit([(X, torch.rand(2, 4))], nn.functional.mse_loss),
        ArgumentError, "n_views must be at most the 3 views of a batch, got 4"),
    "grids": (lambda: voxel_iou(P, T[:, :3]), ArgumentError, "the probabilities, (2, 4), got (2, 3)"),
    "grid type": (lambda: voxel_iou(P, P), ArgumentTypeError, "truth must be a boolean tensor, got torch.float32"),
    "probabilities": (lambda: voxel_iou(T, T), ArgumentTypeError, "floating-point tensor, got torch.bool"),
    "threshold": (lambda: voxel_iou(P, T, 1.0), ArgumentError, "threshold must be between 0 and 1, got 1.0"),
    "widths": (lambda: ImageEncoder(4, 1, (2, 2, 2), 4), ArgumentError, "widths must be 1 to 2 numbers"),
    "grid shape": (lambda: GridDecoder(4, 4, (2, 0)), ArgumentError, "shape must be at least 1, got 0"),
    "doublings": (lambda: VolumeDecoder(4, 32, (4, 4)), ArgumentError, "to the resolution of 32, got 2 of them"),
    "window": (
        lambda: window_views(torch.rand(1, 4, 4), 2, (2, 5), 0.1, torch.Generator()),
        ArgumentError, "two numbers from 1 to 4, the smaller first, got (2, 5)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    call, error, words = WRONG[name]
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_a_masked_feature_need_not_be_finite() -> None:
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert AttSets(6)(BROKEN, mask).isfinite().all()


@pytest.mark.parametrize("name", ["attsets", "max", "mean", "sum", "gru", "bilinear", "set-transformer"])
def test_where_values_cannot_be_looked_at_a_set_without_members_is_nan(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    pooled = aggregate(name, 6, heads=2)(X, NONE_OF_ONE)
    assert isinstance(pooled, torch.Tensor)
    assert pooled[0].isfinite().all()
    assert pooled[1].isnan().all()


def test_features_too_large_to_sum_are_not_called_infinite() -> None:
    x = torch.full((1, 2, 3), 3e38)
    assert aggregate("sum", 3)(x).isinf().all()
