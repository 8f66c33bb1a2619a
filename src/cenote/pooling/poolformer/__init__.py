"""MetaFormer Is Actually What You Need for Vision (arXiv 2111.11418): PoolFormer, a block whose mixer is a socket."""

from cenote.pooling.poolformer.block import MetaFormerBlock
from cenote.pooling.poolformer.loading import load_official_state_dict, load_timm_state_dict
from cenote.pooling.poolformer.network import PoolFormer
from cenote.pooling.poolformer.pooling import Pooling
from cenote.pooling.poolformer.variants import (
    poolformer_m36,
    poolformer_m48,
    poolformer_s12,
    poolformer_s24,
    poolformer_s36,
)

__all__ = [
    "MetaFormerBlock",
    "PoolFormer",
    "Pooling",
    "load_official_state_dict",
    "load_timm_state_dict",
    "poolformer_m36",
    "poolformer_m48",
    "poolformer_s12",
    "poolformer_s24",
    "poolformer_s36",
]
