"""Group Generalized Mean Pooling for Vision Transformer (arXiv 2212.04114): an exponent for each group."""

from cenote.pooling.ggem.pooling import GeM, GGeM, ggem_pool, token_weights
from cenote.pooling.ggem.replacing import VitPooling, no_decay_parameters, parameter_groups, replace_vit_pooling

__all__ = [
    "GGeM",
    "GeM",
    "VitPooling",
    "ggem_pool",
    "no_decay_parameters",
    "parameter_groups",
    "replace_vit_pooling",
    "token_weights",
]
