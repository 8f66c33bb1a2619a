"""The cases in which PoolFormer is held to the contract of tests/conformance."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cenote.pooling import MetaFormerBlock, PoolFormer, Pooling
from tests.conformance.case import Case, normal


def _turned(x: Tensor) -> Tensor:
    return x.flip(2)


def _block(name: str, *shape: int, **arguments: Any) -> Case:
    return Case(name, MetaFormerBlock, normal(*(shape or (4, 3, 2))), {"dim": 4, "layer_scale": 0.5, **arguments})


def _network(name: str, *shape: int, **arguments: Any) -> Case:
    own = {"depths": (1, 1), "dims": (2, 3), "num_classes": 2, "patch": (2, 2, 0), "layer_scale": 0.5, **arguments}
    return Case(name, PoolFormer, normal(*(shape or (3, 4, 4))), own, bfloat16_tolerance=2**-4)


CASES = (
    Case("three", Pooling, normal(2, 4, 3)),
    Case("five", Pooling, normal(2, 5, 2), {"size": 5}),
    _block("pool"),
    _block("attention", mixer="attention", head_dim=2, norm="ln"),
    _block("random", mixer="random", resolution=(3, 2), norm="bn", skip=False),
    _block("function", 6, 3, 2, dim=6, mixer=_turned, norm="none", mlp_ratio=None, layer_scale=None),
    _block("all", activation=nn.ReLU, pool_size=5, mlp_ratio=1.0, drop_path=0.2, dropout=0.2),
    _network("pool"),
    _network("depthwise", 1, 5, 4, mixer="dwconv", depths=(1,), dims=(4,), norm="ln", in_channels=1, head="timm",
        num_classes=3, layer_scale=None, patch=(3, 2, 1)),
    _network(
        "features", mixer=("pool", "spatial"), features_only=True, feature_norms=True, image_size=4, positions=True,
        drop_path=0.0,
    ),
)  # fmt: skip
