"""The paper's theorems put to the test: every check counts the instances on which a theorem fails.

What is expected comes from the definitions, pair by pair and subset by subset, not from the methods that are checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.enumeration import labelled_posets
from cenote.pooling.order_theory.hulls import Floats
from cenote.pooling.order_theory.networks import IntegerLayer, network_of_tropical, tropical_of_network
from cenote.pooling.order_theory.operad import compose_networks, compose_polynomials, compose_polytopes
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope import Polytope
from cenote.pooling.order_theory.poset import Poset
from cenote.pooling.order_theory.poset_networks import poset_network
from cenote.pooling.order_theory.tropical import TropicalPolynomial, poset_of_polynomial, poset_polynomial

MOST_POINTS = 9
"""Points of a random composition: all 512 sets of them are looked at."""

_PLACES = 40
"""Points at which functions are compared; their coordinates are eighths, whose sums are exact."""

_TOLERANCE = 1e-9

_WIDTHS = ((1, 3, 1), (2, 3, 1), (3, 2, 1), (2, 2, 2, 1), (1, 2, 2, 2, 1))
"""Inputs, then outputs of each layer, of the random networks."""

_THRESHOLDS = (-np.inf, 0.0, 0.5, -1.25)


# --- posets, polynomials and polytopes, one to one ----------------------------------------------------------------


def posets_not_recovered(posets: Sequence[Poset]) -> int:
    """Count the posets that differ from the one found in their polynomial or in their order polytope.

    Polynomial and polytope are made from the up-sets by definition, and the polynomial is compared with
    ``poset_polynomial``'s.

    Source: arXiv 2412.06097: posets, order polytopes and their tropical polynomials correspond one to one.
    """
    return sum(not _is_recovered(poset) for poset in posets)


def _is_recovered(poset: Poset) -> bool:
    up_sets = _up_sets(poset.n, [(a, b) for a in range(poset.n) for b in range(poset.n) if poset.less(a, b)])
    polynomial = TropicalPolynomial(up_sets)
    try:
        found = poset_of_polynomial(polynomial), OrderPolytope.from_vertices(Polytope(up_sets).vertices).poset
    except ArgumentError:
        return False
    return polynomial == poset_polynomial(poset) and found == (poset, poset)


def _up_sets(points: int, relations: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """The sets, of all 2ⁿ, that no relation leads out of, as rows of zeros and ones."""
    rows = np.array(list(product((0, 1), repeat=points)), np.int64).reshape(2**points, points)
    closed = np.ones(len(rows), bool)
    for a, b in relations:
        closed &= rows[:, a] <= rows[:, b]
    return rows[closed]


# --- networks of integer weights and tropical rational functions --------------------------------------------------


def networks_not_returned(count: int, generator: np.random.Generator) -> int:
    """Count the random networks of integer weights that differ from their rational function, or it from its network.

    Networks and functions are compared at random points, and the functions of the two networks everywhere.

    Source: arXiv 2412.06097; L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.
    """
    return sum(not _is_returned(_random_network(generator), generator) for _ in range(count))


def _random_network(generator: np.random.Generator) -> list[IntegerLayer]:
    widths = _WIDTHS[generator.integers(len(_WIDTHS))]
    return [
        IntegerLayer(
            generator.integers(-2, 3, (outputs, inputs)),
            generator.integers(-8, 9, outputs) / 8,
            generator.choice(_THRESHOLDS, outputs),
        )
        for inputs, outputs in pairwise(widths)
    ]


def _is_returned(layers: Sequence[IntegerLayer], generator: np.random.Generator) -> bool:
    (function,) = tropical_of_network(nn.Sequential(*layers))
    network = network_of_tropical(function)
    x = _places(function.variables, generator)
    values = x
    for layer in layers:
        weight, bias, threshold = (part.numpy() for part in (layer.weight, layer.bias, layer.threshold))
        values = np.maximum(values @ weight.T + bias, threshold)
    (found,) = tropical_of_network(network)
    same = all(_equal(each, values[:, 0]) for each in (function(x), _values(network, x)))
    return same and found.equals(function)


# --- the operad of posets -----------------------------------------------------------------------------------------


class Composition(NamedTuple):
    """A poset and what is put in the place of its points."""

    poset: Poset
    parts: list[Poset]


def compositions_that_differ(count: int, generator: np.random.Generator) -> int:
    """Count the random compositions whose polynomial, polytope or network is not that of the composed poset.

    The composed poset is the lexicographic sum by its definition; its up-sets give the exponents of the polynomial, the
    corners of the polytope and the values of the network.

    Source: arXiv 2412.06097: the operad of posets acts on networks, polynomials and polytopes.
    """
    return sum(not _composes(random_composition(generator), generator) for _ in range(count))


def random_composition(generator: np.random.Generator) -> Composition:
    """Draw a poset on two to four points and parts on one to four, with at most ``MOST_POINTS`` points in all."""
    while True:
        sizes = generator.integers(1, 5, generator.integers(2, 5)).tolist()
        if sum(sizes) <= MOST_POINTS:
            poset, *parts = (_random_poset(size, generator) for size in (len(sizes), *sizes))
            return Composition(poset, parts)


def _random_poset(n: int, generator: np.random.Generator) -> Poset:
    posets = _NAMED[n]
    return posets[generator.integers(len(posets))]


_NAMED = {n: labelled_posets(n) for n in range(1, 5)}


def _composes(composition: Composition, generator: np.random.Generator) -> bool:
    poset, parts = composition
    up_sets = _up_sets_of_sum(poset, parts)
    polynomial = compose_polynomials(poset, [poset_polynomial(part) for part in parts])
    polytope = compose_polytopes(poset, [OrderPolytope(part).polytope for part in parts])
    network = compose_networks(poset, [poset_network(part) for part in parts])
    x = _places(up_sets.shape[1], generator)
    return (
        polynomial == TropicalPolynomial(up_sets)
        and np.array_equal(polytope.points, up_sets)  # corners of a cube, so each is a vertex of the hull
        and _equal(_values(network, x), (x @ up_sets.T).max(-1))
    )


def _up_sets_of_sum(poset: Poset, parts: Sequence[Poset]) -> npt.NDArray[np.int64]:
    """The up-sets of the lexicographic sum: places in one part are related as in it, others as their parts are."""
    places = [(i, x) for i, part in enumerate(parts) for x in range(part.n)]
    relations = [
        (s, t)
        for s, (i, x) in enumerate(places)
        for t, (j, y) in enumerate(places)
        if (parts[i].less(x, y) if i == j else poset.less(i, j))
    ]
    return _up_sets(len(places), relations)


# --- values -------------------------------------------------------------------------------------------------------


def _places(variables: int, generator: np.random.Generator) -> Floats:
    eighths: Floats = generator.integers(-80, 81, (_PLACES, variables)) / 8
    return eighths


def _values(network: nn.Module, x: Floats) -> Floats:
    values: Floats = network(torch.from_numpy(x)).numpy()[:, 0]
    return values


def _equal(values: Floats, expected: Floats) -> bool:
    return bool((np.abs(values - expected) <= _TOLERANCE).all())
