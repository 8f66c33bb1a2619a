"""Order polytopes against qhull, linear programmes and counted lattice points."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import OrderPolytope, Poset, all_posets, labelled_posets
from cenote.pooling.order_theory.four_points import HASSE

from .brute_force import UP_SETS_OF_SIXTEEN, Floats, linear_program
from .test_poset_algebra import posets, relations

LINEAR_EXTENSIONS_OF_SIXTEEN = (6, 24, 12, 2, 8, 8, 6, 2, 4, 6, 3, 4, 5, 1, 2, 3)
FACETS_OF_SIXTEEN = (7, 8, 7, 6, 7, 7, 6, 6, 6, 7, 6, 8, 7, 5, 6, 6)

UP_TO_FIVE = [poset for n in range(6) for poset in all_posets(n)]


# --- volume and facets --------------------------------------------------------------------------------------------


def assert_hull_agrees(poset: Poset) -> None:
    """Qhull's volume, and its facets with simplices of one plane taken together."""
    polytope = OrderPolytope(poset)
    if poset.n < 2:  # qhull wants two dimensions
        assert (polytope.volume, len(polytope.facets.bounds)) == (1, 2 * poset.n)
        return
    hull = ConvexHull(polytope.vertices)
    assert hull.volume == pytest.approx(float(polytope.volume), abs=1e-12)
    assert len(hull.vertices) == len(polytope.vertices)
    planes = np.unique(np.round(hull.equations, 6) + 0.0, axis=0)
    ours = np.column_stack([polytope.facets.matrix, -polytope.facets.bounds])
    ours = ours / np.linalg.norm(polytope.facets.matrix, axis=1, keepdims=True)
    assert np.allclose(np.unique(np.round(ours, 6) + 0.0, axis=0), planes)
    assert len(planes) == len(polytope.facets.bounds)


def test_volume_facets_and_vertices_as_qhull_finds_them() -> None:
    for poset in UP_TO_FIVE:
        assert_hull_agrees(poset)


@pytest.mark.slow
def test_volume_facets_and_vertices_as_qhull_finds_them_on_six_points() -> None:
    for poset in all_posets(6):
        assert_hull_agrees(poset)


@pytest.mark.parametrize("index", range(16))
def test_the_table_of_the_sixteen(index: int) -> None:
    polytope = OrderPolytope(Poset.from_hasse(HASSE[index]))
    assert len(polytope.vertices) == UP_SETS_OF_SIXTEEN[index]
    assert polytope.volume == Fraction(LINEAR_EXTENSIONS_OF_SIXTEEN[index], 24)
    assert len(polytope.facets.bounds) == FACETS_OF_SIXTEEN[index]


def test_facets_are_the_covers_with_a_bottom_and_a_top_added() -> None:
    for poset in UP_TO_FIVE:
        bounded = Poset(1).ordinal(poset).ordinal(Poset(1))
        expected = len(bounded.covers) if poset.n else 0
        assert len(OrderPolytope(poset).facets.bounds) == expected


# --- lattice points -----------------------------------------------------------------------------------------------


def count_maps(poset: Poset, values: int, *, strict: bool = False) -> int:
    """Order-preserving maps into {0, …, values-1}, by trying all."""
    maps = np.indices((values,) * poset.n).reshape(poset.n, values**poset.n)
    fine = np.ones(values**poset.n, bool)
    for a, b in relations(poset):
        fine &= (maps[a] < maps[b]) if strict else (maps[a] <= maps[b])
    return int(fine.sum())


def assert_ehrhart_agrees(poset: Poset, most: int) -> None:
    polytope = OrderPolytope(poset)
    assert [polytope.ehrhart(t) for t in range(most + 1)] == [count_maps(poset, t + 1) for t in range(most + 1)]
    for t in range(1, most + 1):  # the inside of t·O(P)
        assert polytope.ehrhart(-t) == (-1) ** poset.n * count_maps(poset, t - 1, strict=True)
    assert polytope.ehrhart_polynomial()[-1] == polytope.volume
    assert len(polytope.ehrhart_polynomial()) == poset.n + 1


def test_ehrhart_polynomial_counts_order_preserving_maps() -> None:
    for poset in UP_TO_FIVE:
        assert_ehrhart_agrees(poset, 3)


@pytest.mark.slow
def test_ehrhart_polynomial_counts_order_preserving_maps_on_six_points() -> None:
    for poset in all_posets(6):
        assert_ehrhart_agrees(poset, 6)


def test_lattice_points_of_multiples_by_the_inequalities() -> None:
    for poset in UP_TO_FIVE:
        if poset.n <= 4:
            for t in range(1, 4):
                lattice = np.array(list(itertools.product(range(-1, t + 2), repeat=poset.n)))
                inside = OrderPolytope(poset).contains(lattice / t)
                assert inside.sum() == OrderPolytope(poset).ehrhart(t)


@pytest.mark.parametrize("n", [1, 5, 10])
def test_ehrhart_polynomials_in_closed_form(n: int) -> None:
    """(t+1)ⁿ for the antichain, a binomial coefficient for the chain."""
    for t in (0, 1, 2, 7, 50):
        assert OrderPolytope(Poset.antichain(n)).ehrhart(t) == (t + 1) ** n
        assert OrderPolytope(Poset.chain(n)).ehrhart(t) == math.comb(t + n, n)


# --- support and membership ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(posets(most=6), st.integers(0, 2**32 - 1))
def test_support_is_the_linear_programme(poset: Poset, seed: int) -> None:
    if not poset.n:
        assert OrderPolytope(poset).support(np.zeros((3, 0))).tolist() == [0, 0, 0]
        return
    x = np.random.default_rng(seed).standard_normal((5, poset.n))
    polytope = OrderPolytope(poset)
    np.testing.assert_allclose(polytope.support(x), linear_program(x, poset.covers), rtol=0, atol=1e-9)
    np.testing.assert_allclose(polytope.support(x), polytope.polytope.support(x), rtol=0, atol=1e-12)
    for row, value in zip(x, polytope.support(x), strict=True):
        best = polytope.best_up_set(row)
        assert best in poset.up_sets()
        assert row[list(best)].sum() == pytest.approx(value, abs=1e-12)


def test_best_up_set_is_the_smallest_of_equals() -> None:
    for poset in all_posets(4):
        for x in itertools.product((-1.0, 0.0, 1.0), repeat=4):
            sums = {up_set: sum(x[point] for point in up_set) for up_set in poset.up_sets()}
            best = [up_set for up_set, total in sums.items() if total == max(sums.values())]
            smallest = set.intersection(*map(set, best))  # largest sums are closed under intersection
            assert set(OrderPolytope(poset).best_up_set(x)) == smallest


def test_best_up_set_of_a_poset_with_too_many_up_sets_to_list() -> None:
    generator = np.random.default_rng(0)
    poset = Poset(30, [(a, b) for a in range(30) for b in range(a + 1, 30) if generator.random() < 0.06])
    assert poset.count_up_sets() > 4096
    for _ in range(5):
        x: Floats = generator.standard_normal(30)
        best = list(OrderPolytope(poset).best_up_set(x))
        assert all(b in best for a, b in poset.covers if a in best)
        assert x[best].sum() == pytest.approx(linear_program(x[None], poset.covers)[0], abs=1e-9)
    with pytest.raises(ArgumentError, match="at most 4,096 can be listed"):
        OrderPolytope(poset).support(np.zeros(30))


def test_membership_in_facets_and_hull_is_the_same() -> None:
    generator = np.random.default_rng(0)
    for poset in all_posets(4):
        y = generator.random((8, 4)) * 1.2 - 0.1
        y[:4] = generator.dirichlet(np.ones(poset.count_up_sets()), 4) @ OrderPolytope(poset).vertices
        inside = OrderPolytope(poset).contains(y)
        assert inside[:4].all()
        assert np.array_equal(inside, OrderPolytope(poset).polytope.contains(y))
    edge = OrderPolytope(Poset.chain(2))
    assert edge.contains([0.5 + 1e-3, 0.5], tolerance=1e-2)
    assert not edge.contains([0.5 + 1e-3, 0.5])
    assert not edge.contains([np.nan, 0.5])


def test_a_linear_programme_over_the_facets_has_the_vertices_value() -> None:
    x = np.array([1.5, -2.0, 0.25, -0.5])
    for poset in all_posets(4):
        matrix, bounds = OrderPolytope(poset).facets
        answer = linprog(-x, A_ub=matrix, b_ub=bounds, bounds=(None, None))
        assert -answer.fun == pytest.approx(OrderPolytope(poset).support(x).item(), abs=1e-9)


# --- identities and the way back ----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(posets(most=6), st.integers(0, 2**32 - 1))
def test_the_dual_poset_reflects_the_support_function(poset: Poset, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((4, poset.n))
    expected = x.sum(-1) + OrderPolytope(poset).support(-x)
    np.testing.assert_allclose(OrderPolytope(poset.dual()).support(x), expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(posets(most=6), st.integers(0, 2**32 - 1), st.data())
def test_more_relations_make_a_smaller_filter(poset: Poset, seed: int, data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(list(itertools.islice(poset.linear_extensions(), 20))))
    extra = data.draw(st.integers(0, poset.n))
    more = Poset(poset.n, [*poset.covers, *itertools.pairwise(line[:extra])])
    x = np.random.default_rng(seed).standard_normal((8, poset.n))
    assert (OrderPolytope(more).support(x) <= OrderPolytope(poset).support(x) + 1e-12).all()


def test_a_poset_is_found_again_from_its_vertices() -> None:
    for poset in [*labelled_posets(4), *UP_TO_FIVE]:
        shuffled = np.random.default_rng(poset.n).permutation(OrderPolytope(poset).vertices)
        assert OrderPolytope.from_vertices(shuffled) == OrderPolytope(poset)


@pytest.mark.parametrize(
    ("vertices", "said"),
    [
        ([[0, 2]], r"vertices must be zeros and ones of shape \(V, N\), got shape \(1, 2\)"),
        ([0, 1], r"got shape \(2,\)"),
        ([[0, 0], [1, 1]], "two coordinates are equal in all of them"),
        ([[1, 0], [0, 1]], r"the order they respect, '1, 2', has 4 up-sets, and 2 different vertices were given"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "8 up-sets, and 4 different"),
    ],
)
def test_vertices_of_no_order_polytope(vertices: list[list[int]], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        OrderPolytope.from_vertices(vertices)


def test_wrong_arguments() -> None:
    polytope = OrderPolytope(Poset.chain(3))
    with pytest.raises(ArgumentError, match=r"^x must have shape \(…, 3\), got \(2,\)$"):
        polytope.support([1, 2])
    with pytest.raises(ArgumentError, match=r"^y must have shape \(…, 3\), got \(\)$"):
        polytope.contains(0.5)
    with pytest.raises(ArgumentError, match=r"^x must be 3 finite numbers"):
        polytope.best_up_set([1, np.inf, 0])
    with pytest.raises(ArgumentTypeError, match=r"^t must be an integer, got 0\.5$"):
        polytope.ehrhart(0.5)  # type: ignore[arg-type]
