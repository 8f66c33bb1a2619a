"""Compositions of posets, polynomials, polytopes and networks against the lexicographic sum by its definition."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
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

from .brute_force import Order

ONE = Poset(1)
C2, A2 = Poset.chain(2), Poset.antichain(2)
N = Poset.from_hasse("1<2>3<4")

Composition = tuple[Poset, list[Poset]]


MOST = 9
"""Points of a composition: the brute force looks at all 512 sets of them."""


def random_compositions(count: int, seed: int) -> list[Composition]:
    """Posets on two to four points, of parts on one to four, with at most ``MOST`` points in all."""
    generator = np.random.default_rng(seed)
    named = {n: labelled_posets(n) for n in range(1, 5)}

    def draw(n: int) -> Poset:
        return named[n][generator.integers(len(named[n]))]

    compositions: list[Composition] = []
    while len(compositions) < count:
        sizes = generator.choice([1, 2, 2, 3, 3, 4], generator.integers(2, 5)).tolist()
        if sum(sizes) <= MOST:
            compositions.append((draw(len(sizes)), [draw(size) for size in sizes]))
    return compositions


def by_definition(poset: Poset, parts: list[Poset]) -> tuple[int, Order]:
    """Number of points and relations of the lexicographic sum: pairs of places, compared part by part."""
    places = [(i, x) for i, part in enumerate(parts) for x in range(part.n)]
    pairs = itertools.product(enumerate(places), repeat=2)
    return len(places), frozenset(
        (s, t) for (s, (i, x)), (t, (j, y)) in pairs if (parts[i].less(x, y) if i == j else poset.less(i, j))
    )


def all_up_sets(points: int, relations: Order) -> npt.NDArray[np.int64]:
    """The sets, of all 2ⁿ, that no relation leads out of, as rows of zeros and ones in lexicographic order."""
    rows = np.array(list(itertools.product((0, 1), repeat=points)))
    closed = [rows[:, a] <= rows[:, b] for a, b in relations]
    return rows[np.all(closed, axis=0)] if closed else rows


def test_the_random_compositions_are_no_trivial_ones() -> None:
    """Parts of one point change nothing: most draws have at least two others, and few compositions are small."""
    compositions = random_compositions(1000, seed=0)
    others = np.array([sum(part.n > 1 for part in parts) for _, parts in compositions])
    points = np.array([sum(part.n for part in parts) for _, parts in compositions])
    related = np.array([any(part.covers for part in parts) and bool(poset.covers) for poset, parts in compositions])
    assert (others >= 2).sum() >= 800
    assert (points >= 6).sum() >= 650
    assert related.sum() >= 700
    assert {poset.n for poset, _ in compositions} == {2, 3, 4}


def test_the_lexicographic_sum_is_the_one_of_the_definition() -> None:
    """1,000 random compositions, pair by pair; and point by point, which makes the same."""
    for poset, parts in random_compositions(1000, seed=0):
        points, relations = by_definition(poset, parts)
        whole = poset.lexicographic(parts)
        pairs = itertools.product(range(points), repeat=2)
        assert whole.n == points
        assert {(a, b) for a, b in pairs if whole.less(a, b)} == relations
        partial = poset
        for point in reversed(range(poset.n)):  # the last first, so that the names of those before stay
            partial = partial.compose(point, parts[point])
        assert partial == whole


def test_polynomials_compose_as_posets_do() -> None:
    """1,000 random compositions: the monomials are the up-sets of the definition, the values the largest sums."""
    generator = np.random.default_rng(1)
    for poset, parts in random_compositions(1000, seed=0):
        up_sets = all_up_sets(*by_definition(poset, parts))
        f = compose_polynomials(poset, [poset_polynomial(part) for part in parts])
        assert np.array_equal(f.exponents, up_sets)
        assert not f.coefficients.any()
        x = generator.standard_normal((3, up_sets.shape[1]))
        np.testing.assert_allclose(f(x), (x @ up_sets.T).max(-1), rtol=0, atol=1e-12)


def test_polytopes_compose_as_posets_do() -> None:
    """1,000 random compositions: corners are the up-sets of the definition, support their largest sums."""
    generator = np.random.default_rng(2)
    for poset, parts in random_compositions(1000, seed=1):
        up_sets = all_up_sets(*by_definition(poset, parts))
        composed = compose_polytopes(poset, [OrderPolytope(part).polytope for part in parts])
        assert np.array_equal(composed.points, up_sets)  # corners of a cube, so each is a vertex of the hull
        x = generator.standard_normal((3, up_sets.shape[1]))
        np.testing.assert_allclose(composed.support(x), (x @ up_sets.T).max(-1), rtol=0, atol=1e-12)


def test_composed_polytopes_hold_the_order_preserving_maps() -> None:
    """Membership in the hull, by a linear program, against the inequalities of the definition."""
    generator = np.random.default_rng(3)
    found = []
    for poset, parts in random_compositions(40, seed=2):
        points, relations = by_definition(poset, parts)
        composed = compose_polytopes(poset, [OrderPolytope(part).polytope for part in parts])
        assert np.array_equal(composed.vertices, all_up_sets(points, relations))
        line = np.argsort(all_up_sets(points, relations).sum(0))  # sorted values along it are order-preserving
        inside, outside = generator.random((2, points)), generator.uniform(-0.5, 1.5, (2, points))
        inside[:, line] = np.sort(inside, axis=1)
        for y in (*inside, *outside):
            expected = all(y[a] <= y[b] for a, b in relations) and 0 <= y.min() <= y.max() <= 1
            assert composed.contains(y).item() == expected
            found.append(expected)
    assert 80 <= sum(found) <= 120


def test_networks_compose_as_posets_do() -> None:
    """Eighths are exact in float64, so that the values are equal, not near."""
    generator = np.random.default_rng(4)
    for poset, parts in random_compositions(500, seed=3):
        up_sets = all_up_sets(*by_definition(poset, parts))
        network = compose_networks(poset, [poset_network(part) for part in parts])
        x = generator.integers(-80, 81, (40, up_sets.shape[1])) / 8
        assert np.array_equal(network(torch.from_numpy(x)).numpy()[:, 0], (x @ up_sets.T).max(-1))


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
