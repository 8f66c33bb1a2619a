"""Order Theory in the Context of Machine Learning (arXiv 2412.06097): pooling by the order of a window's entries."""

from cenote.pooling.order_theory.enumeration import all_posets, labelled_posets
from cenote.pooling.order_theory.linear_stacks import integer_network, linear_network
from cenote.pooling.order_theory.networks import IntegerLayer, network_of_tropical, tropical_of_network
from cenote.pooling.order_theory.operad import compose_networks, compose_polynomials, compose_polytopes
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope import Polytope
from cenote.pooling.order_theory.pooling import NonNegativeInputWarning, PosetPool2d, poset_pool2d
from cenote.pooling.order_theory.poset import Poset
from cenote.pooling.order_theory.poset_networks import is_series_parallel, poset_network
from cenote.pooling.order_theory.rational import TropicalRational
from cenote.pooling.order_theory.replacing import PoolingReplacement, replace_pooling
from cenote.pooling.order_theory.tropical import TropicalPolynomial, poset_of_polynomial, poset_polynomial

__all__ = [
    "IntegerLayer",
    "NonNegativeInputWarning",
    "OrderPolytope",
    "Polytope",
    "PoolingReplacement",
    "Poset",
    "PosetPool2d",
    "TropicalPolynomial",
    "TropicalRational",
    "all_posets",
    "compose_networks",
    "compose_polynomials",
    "compose_polytopes",
    "integer_network",
    "is_series_parallel",
    "labelled_posets",
    "linear_network",
    "network_of_tropical",
    "poset_network",
    "poset_of_polynomial",
    "poset_polynomial",
    "poset_pool2d",
    "replace_pooling",
    "tropical_of_network",
]
