"""AttSets and FASet (arXiv 1808.00758): one vector of any number of views, whatever their order."""

from cenote.pooling.attsets.aggregators import (
    BilinearAggregation,
    GRUAggregation,
    MaxAggregation,
    MeanAggregation,
    SetTransformerAggregation,
    SumAggregation,
    aggregate,
)
from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.faset import FASetLog, FASetTrainer, faset_parameters
from cenote.pooling.attsets.overlap import voxel_iou

__all__ = [
    "AttSets",
    "BilinearAggregation",
    "FASetLog",
    "FASetTrainer",
    "GRUAggregation",
    "MaxAggregation",
    "MeanAggregation",
    "SetTransformerAggregation",
    "SumAggregation",
    "aggregate",
    "faset_parameters",
    "voxel_iou",
]
