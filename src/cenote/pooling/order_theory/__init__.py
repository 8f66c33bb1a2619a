"""Order Theory in the Context of Machine Learning (arXiv 2412.06097): pooling by the order of a window's entries."""

from cenote.pooling.order_theory.pooling import NonNegativeInputWarning, PosetPool2d, poset_pool2d
from cenote.pooling.order_theory.poset import Poset
from cenote.pooling.order_theory.replacing import PoolingReplacement, replace_pooling

__all__ = [
    "NonNegativeInputWarning",
    "PoolingReplacement",
    "Poset",
    "PosetPool2d",
    "poset_pool2d",
    "replace_pooling",
]
