"""Compositions of posets, polynomials, polytopes and networks against the lexicographic sum by its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import (
    IntegerLayer,
    OrderPolytope,
    Polytope,
    Poset,
    TropicalPolynomial,
    all_posets,
    compose_networks,
    compose_polynomials,
    compose_polytopes,
    labelled_posets,
    network_of_tropical,
    poset_network,
    poset_polynomial,
)

from .brute_force import Order, best

ONE = Poset(1)
C2, A2 = Poset.chain(2), Poset.antichain(2)
N = Poset.from_hasse("1<2>3<4")

Composition = tuple[Poset, list[Poset]]


def random_compositions(count: int, seed: int) -> list[Composition]:
    """Posets on one to four points, of parts on one to three."""
    generator = np.random.default_rng(seed)
    outer = [poset for n in range(1, 5) for poset in labelled_posets(n)]
    inner = [poset for n in range(1, 4) for poset in labelled_posets(n)]
    chosen = [outer[index] for index in generator.integers(len(outer), size=count)]
    return [(poset, [inner[i] for i in generator.integers(len(inner), size=poset.n)]) for poset in chosen]


def lexicographic(poset: Poset, parts: list[Poset]) -> tuple[int, Order]:
    """Number of points and relations of the lexicographic sum, by its definition."""
    places = [(i, x) for i, part in enumerate(parts) for x in range(part.n)]
    pairs = itertools.product(enumerate(places), repeat=2)
    return len(places), frozenset(
        (s, t) for (s, (i, x)), (t, (j, y)) in pairs if (parts[i].less(x, y) if i == j else poset.less(i, j))
    )


def test_polynomials_compose_as_posets_do() -> None:
    """1,000 random compositions, at random places, against the largest sum over up-sets of the lexicographic sum."""
    generator = np.random.default_rng(1)
    for poset, parts in random_compositions(1000, seed=0):
        points, relations = lexicographic(poset, parts)
        if points > 6:  # the brute force tries all subsets
            parts = [part if index < 1 else ONE for index, part in enumerate(parts)]
            points, relations = lexicographic(poset, parts)
        x = generator.standard_normal((3, points))
        f = compose_polynomials(poset, [poset_polynomial(part) for part in parts])
        np.testing.assert_allclose(f(x), best(x, relations)[0], rtol=0, atol=1e-12)


def test_polytopes_compose_as_posets_do() -> None:
    for poset, parts in random_compositions(25, seed=1):
        composed = compose_polytopes(poset, [OrderPolytope(part).polytope for part in parts])
        assert composed == OrderPolytope(poset.lexicographic(parts)).polytope


def test_networks_compose_as_posets_do() -> None:
    generator = np.random.default_rng(2)
    for poset, parts in random_compositions(25, seed=2):
        whole = poset.lexicographic(parts)
        network = compose_networks(poset, [poset_network(part) for part in parts])
        x = generator.integers(-80, 81, (40, whole.n)) / 8
        assert np.array_equal(network(torch.from_numpy(x)).numpy()[:, 0], OrderPolytope(whole).support(x))


def test_the_three_actions_agree_on_what_is_no_poset() -> None:
    """Any polynomials: the Newton polytope of the composition is that of the polytopes, the network has its values."""
    generator = np.random.default_rng(3)
    for poset in all_posets(3):
        parts = [TropicalPolynomial(generator.integers(0, 3, (3, 2))) for _ in range(3)]
        f = compose_polynomials(poset, parts)
        assert f.newton_polytope() == compose_polytopes(poset, [part.newton_polytope() for part in parts])
        x = generator.integers(-80, 81, (40, 6)) / 8
        network = compose_networks(poset, [network_of_tropical(part) for part in parts])
        assert np.array_equal(network(torch.from_numpy(x)).numpy()[:, 0], f(x))


def test_antichain_and_chain_are_sum_and_envelope() -> None:
    """The antichain: the Minkowski sum of copies in spaces of their own. The chain: the hull of 0 × M and K × 1."""
    k, m = Polytope([[0, 0], [2, 1], [0.5, 3]]), Polytope([[0.0], [0.5]])
    left = Polytope(np.column_stack([k.points, np.zeros(3)]))
    right = Polytope(np.column_stack([np.zeros((2, 2)), m.points]))
    assert compose_polytopes(A2, [k, m]) == left.minkowski_sum(right)
    raised = Polytope(np.column_stack([k.points, np.ones(3)]))
    whole = raised.convex_envelope(right).convex_envelope(Polytope(np.zeros((1, 3))))
    assert compose_polytopes(C2, [k, m]) == whole


@pytest.mark.parametrize(
    ("parts", "vertices", "facets", "extensions"),
    [([C2, ONE, ONE, ONE], 11, 8, 9), ([ONE, A2, ONE, ONE], 12, 10, 14), ([A2, C2, A2, C2], 30, 14, 212)],
)
def test_numbers_of_compositions_of_the_n(parts: list[Poset], vertices: int, facets: int, extensions: int) -> None:
    whole = N.lexicographic(parts)
    polytope = compose_polytopes(N, [OrderPolytope(part).polytope for part in parts])
    assert len(polytope.vertices) == vertices
    assert len(OrderPolytope(whole).facets.bounds) == facets
    assert whole.count_linear_extensions() == extensions
    if whole.n == 5:
        hull = ConvexHull(polytope.vertices)
        assert len(np.unique(np.round(hull.equations, 6) + 0.0, axis=0)) == facets
        assert hull.volume == pytest.approx(extensions / 120)


def test_the_unit_and_associativity_on_polynomials() -> None:
    point = poset_polynomial(ONE)
    for poset in all_posets(4):
        assert compose_polynomials(poset, [point] * 4) == poset_polynomial(poset)
        assert compose_polynomials(ONE, [poset_polynomial(poset)]) == poset_polynomial(poset)
    inner, outer = [poset_polynomial(part) for part in (C2, A2, ONE)], Poset.from_hasse("1<2, 3")
    once = compose_polynomials(N, [compose_polynomials(outer, inner), point, point, point])
    at_once = compose_polynomials(N.compose(0, outer), [*inner, point, point, point])
    assert once == at_once


def test_wrong_parts() -> None:
    for compose in (compose_polynomials, compose_polytopes, compose_networks):
        with pytest.raises(ArgumentError, match="parts must be as many as the points, 2, got 0"):
            compose(C2, [])
    with pytest.raises(ArgumentError, match="parts must have one output each, but part 1 has 2"):
        compose_networks(C2, [IntegerLayer([[1]]), IntegerLayer([[1], [1]])])
