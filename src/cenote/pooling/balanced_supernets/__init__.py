"""Balanced Mixture of SuperNets (arXiv 2306.11982): where a network should pool."""

from cenote.pooling.balanced_supernets.backbones import resnet_units
from cenote.pooling.balanced_supernets.balancing import balanced_assignment
from cenote.pooling.balanced_supernets.configurations import blocks_to_config, config_to_blocks, pool_configs
from cenote.pooling.balanced_supernets.costs import (
    FlopsBudget,
    LatencyBudget,
    TrainingMemory,
    count_flops,
    measure_latencies,
    training_memory,
)
from cenote.pooling.balanced_supernets.network_units import NetworkUnits, network_units
from cenote.pooling.balanced_supernets.rank_statistics import RankStatistics, rank_statistics
from cenote.pooling.balanced_supernets.search import PoolingSearch, Ranked
from cenote.pooling.balanced_supernets.supernet import SuperNet

__all__ = [
    "FlopsBudget",
    "LatencyBudget",
    "NetworkUnits",
    "PoolingSearch",
    "RankStatistics",
    "Ranked",
    "SuperNet",
    "TrainingMemory",
    "balanced_assignment",
    "blocks_to_config",
    "config_to_blocks",
    "count_flops",
    "measure_latencies",
    "network_units",
    "pool_configs",
    "rank_statistics",
    "resnet_units",
    "training_memory",
]
