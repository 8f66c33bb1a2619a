"""Cases of set aggregations for the contract every paper inherits."""

from __future__ import annotations

import torch
from torch import Tensor

from cenote.pooling import (
    AttSets,
    BilinearAggregation,
    GRUAggregation,
    MaxAggregation,
    MeanAggregation,
    SetTransformerAggregation,
    SumAggregation,
    voxel_iou,
)
from tests.conformance.case import Case, Inputs, normal

COUNTS = torch.tensor([True, False, True, True])


def masked(*shape: int) -> Inputs:
    """Sets, and a mask that leaves the second member of every set out."""

    def make(batch: int) -> tuple[Tensor, ...]:
        (sets,) = normal(*shape)(batch)
        return sets, COUNTS[: shape[0]].expand(batch, -1).clone()

    return make


def grids(batch: int) -> tuple[Tensor, ...]:
    (values,) = normal(2, 3)(batch)
    return values.sigmoid(), values > 0.2


MODULES = (
    Case("vectors", AttSets, normal(3, 4), {"dim": 4}, nan="refused"),
    Case("masked", AttSets, masked(4, 3), {"dim": 3, "out_elems": 2, "bias": True}, nan="refused"),
    Case("maps", AttSets, masked(3, 2, 2, 3), {"dim": 2, "kind": "conv2d"}, nan="refused"),
    Case("volumes", AttSets, normal(2, 2, 2, 1, 2), {"dim": 2, "kind": "conv3d", "kernel_size": 1}, nan="refused"),
    Case("vectors", MaxAggregation, normal(3, 4), nan="refused"),
    Case("masked-maps", MaxAggregation, masked(4, 2, 1, 2), nan="refused"),
    Case("vectors", MeanAggregation, normal(3, 4), nan="refused"),
    Case("masked-maps", MeanAggregation, masked(4, 2, 1, 2), nan="refused"),
    Case("vectors", SumAggregation, normal(3, 4), nan="refused"),
    Case("masked-maps", SumAggregation, masked(4, 2, 1, 2), nan="refused"),
    Case("vectors", GRUAggregation, normal(3, 4), {"dim": 4}, nan="refused"),
    Case("masked", GRUAggregation, masked(4, 2), {"dim": 2}, nan="refused"),
    Case("vectors", BilinearAggregation, normal(3, 3), {"dim": 3}, nan="refused"),
    Case("masked", BilinearAggregation, masked(4, 4), {"dim": 4, "rank": 2}, nan="refused"),
    Case("vectors", SetTransformerAggregation, normal(3, 4), {"dim": 4}, nan="refused"),
    Case("masked", SetTransformerAggregation, masked(4, 2), {"dim": 2, "heads": 1}, nan="refused"),
)

FUNCTIONS = (
    Case("grids", voxel_iou, grids, nan="refused", differentiable=False, widens=True),
    Case("lower", voxel_iou, grids, {"threshold": 0.2}, nan="refused", differentiable=False, widens=True),
)

CASES = MODULES + FUNCTIONS
