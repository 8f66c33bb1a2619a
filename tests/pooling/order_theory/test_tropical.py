"""Tropical polynomials and rational functions against the functions they stand for, qhull and posets' definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import (
    OrderPolytope,
    Polytope,
    Poset,
    TropicalPolynomial,
    TropicalRational,
    all_posets,
    labelled_posets,
    poset_of_polynomial,
    poset_polynomial,
)

from .brute_force import CLOSED_FORMS, SIXTEEN, Floats, best


@st.composite
def polynomials(draw: st.DrawFn, variables: int = 2, most: int = 6) -> TropicalPolynomial:
    """A few monomials with small exponents and coefficients in eighths, whose sums are exact."""
    count = draw(st.integers(1, most))
    exponents = draw(st.lists(st.lists(st.integers(0, 3), min_size=variables, max_size=variables), min_size=count,
                              max_size=count))  # fmt: skip
    coefficients = draw(st.lists(st.integers(-16, 16), min_size=count, max_size=count))
    return TropicalPolynomial(exponents, np.array(coefficients) / 8)


def somewhere(variables: int, count: int = 200) -> Floats:
    """Places at all scales, in eighths."""
    x = np.random.default_rng(variables).standard_normal((count, variables))
    return np.round(8 * x * np.logspace(-1, 2, count)[:, None]) / 8


X = somewhere(2)

# --- values and arithmetic ----------------------------------------------------------------------------------------


def test_a_polynomial_by_hand() -> None:
    f = TropicalPolynomial([[0, 0], [2, 1], [0, 1]], [1.5, 0, -1])
    assert f([1, 2]) == 4
    assert f([[-9, 1], [0, 3]]).tolist() == [1.5, 3]
    assert str(f) == "max(1.5, -1 + x2, 2x1 + x2)"
    assert list(f) == [((0, 0), 1.5), ((0, 1), -1.0), ((2, 1), 0.0)]
    assert TropicalPolynomial.zero(2)([[1, 2]]).tolist() == [-np.inf]


@settings(deadline=None)
@given(polynomials(), polynomials(), st.integers(0, 3))
def test_operations_are_those_of_functions(f: TropicalPolynomial, g: TropicalPolynomial, power: int) -> None:
    assert np.array_equal((f + g)(X), np.maximum(f(X), g(X)))
    assert np.array_equal((f * g)(X), f(X) + g(X))
    assert np.array_equal((f**power)(X), power * f(X))


@settings(deadline=None)
@given(polynomials(), polynomials(), polynomials())
def test_the_semiring(f: TropicalPolynomial, g: TropicalPolynomial, h: TropicalPolynomial) -> None:
    zero, one = TropicalPolynomial.zero(2), TropicalPolynomial.constant(2, 0)
    assert f + zero == f == f * one == f + f
    assert len(f * zero) == 0
    assert f + g == g + f
    assert f * g == g * f
    assert f * (g + h) == f * g + f * h


def test_tensors_keep_dtype_and_have_the_gradient_of_one_monomial() -> None:
    f = TropicalPolynomial([[0, 0], [2, 1]], [1.5, 0])
    x = torch.tensor([[1.0, 2.0], [-1.0, 0.0]], requires_grad=True)
    out = f(x)
    assert out.dtype is torch.float32
    assert out.tolist() == [4.0, 1.5]
    (flow,) = torch.autograd.grad(out.sum(), x)
    assert flow.tolist() == [[2, 1], [0, 0]]
    assert TropicalPolynomial.zero(2)(x).tolist() == [-np.inf, -np.inf]


# --- simplification -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(polynomials(most=10))
def test_simplifying_keeps_the_function_and_only_what_is_needed(f: TropicalPolynomial) -> None:
    simple = f.simplified()
    assert np.array_equal(simple(X), f(X))
    assert simple.simplified() == simple
    assert simple.equals(f)
    for left_out in range(len(simple)):
        rest = [index for index in range(len(simple)) if index != left_out]
        without = TropicalPolynomial(simple.exponents[rest], simple.coefficients[rest])
        assert not without.equals(f)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-20, 20)), min_size=1, max_size=9))
def test_monomials_in_one_variable_are_those_of_the_upper_hull(terms: list[tuple[int, int]]) -> None:
    """A monomial counts if some x makes it the single largest; between breakpoints the largest does not change."""
    f = TropicalPolynomial([[power] for power, _ in terms], [float(height) for _, height in terms])
    lines = list(f)
    breaks = sorted((c - d) / (b[0] - a[0]) for (a, c), (b, d) in itertools.permutations(lines, 2))
    middles = [(a + b) / 2 for a, b in itertools.pairwise(breaks) if b - a > 1e-9]
    trials = [breaks[0] - 1, *middles, breaks[-1] + 1] if breaks else [0.0]
    winners = {max(lines, key=lambda line: line[1] + line[0][0] * x) for x in trials}
    assert set(f.simplified()) == winners


@pytest.mark.parametrize("variables", [2, 3, 4])
def test_newton_polytopes_as_qhull_finds_them(variables: int) -> None:
    for seed in range(10):
        exponents = np.random.default_rng(seed).integers(0, 6, (25, variables))
        polytope = TropicalPolynomial(exponents).newton_polytope()
        hull = ConvexHull(exponents)
        expected = np.unique(exponents[hull.vertices], axis=0)
        assert np.array_equal(polytope.vertices, expected)


@settings(deadline=None, max_examples=40)
@given(polynomials(), polynomials())
def test_products_and_sums_on_newton_polytopes(f: TropicalPolynomial, g: TropicalPolynomial) -> None:
    first, second = f.newton_polytope(), g.newton_polytope()
    assert (f * g).newton_polytope() == first.minkowski_sum(second)
    assert (f + g).newton_polytope() == first.convex_envelope(second)
    np.testing.assert_allclose(first.minkowski_sum(second).support(X), first.support(X) + second.support(X))
    np.testing.assert_allclose(
        first.convex_envelope(second).support(X), np.maximum(first.support(X), second.support(X))
    )


def test_max_and_average_pooling_are_no_order_polytopes() -> None:
    """The simplex of unit vectors, a single point, and the mixture that is between them."""
    simplex, point = Polytope(np.eye(4)), Polytope(np.full((1, 4), 0.25))
    mixed = Polytope(simplex.points / 2).minkowski_sum(Polytope(point.points / 2))
    x = somewhere(4)
    np.testing.assert_allclose(mixed.support(x), x.max(-1) / 2 + x.mean(-1) / 2, atol=1e-12)
    for each in (simplex, point):
        with pytest.raises(ArgumentError):
            OrderPolytope.from_vertices(each.vertices)


# --- rational functions -------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(*[polynomials(most=4) for _ in range(4)], st.integers(-2, 2))
def test_operations_of_rationals_are_those_of_functions(
    f: TropicalPolynomial, g: TropicalPolynomial, h: TropicalPolynomial, k: TropicalPolynomial, power: int
) -> None:
    first, second = TropicalRational(f, g), TropicalRational(h, k)
    u, v = f(X) - g(X), h(X) - k(X)
    assert np.array_equal((first + second)(X), np.maximum(u, v))
    assert np.array_equal((first * second)(X), u + v)
    assert np.array_equal((first / second)(X), u - v)
    assert np.array_equal((first**power)(X), power * u)
    assert np.array_equal(first.simplified()(X), u)
    assert first.equals(TropicalRational(f * h, g * h))


@settings(deadline=None)
@given(polynomials(most=5), polynomials(most=5))
def test_a_factor_is_divided_out(f: TropicalPolynomial, g: TropicalPolynomial) -> None:
    quotient = TropicalRational(f * g, g)
    assert quotient.polynomial() == f.simplified()
    assert quotient.simplified() == TropicalRational(f.simplified())


@settings(deadline=None)
@given(polynomials(variables=1, most=4), polynomials(variables=1, most=4))
def test_a_quotient_in_one_variable_is_a_polynomial_if_it_is_convex_and_never_falls(
    f: TropicalPolynomial, g: TropicalPolynomial
) -> None:
    """Slopes of the quotient, between the breakpoints of both, decide."""
    breaks = {
        (c - d) / (b[0] - a[0]) for each in (f, g) for (a, c), (b, d) in itertools.permutations(each, 2) if a != b
    }
    ends = np.array([min(breaks, default=0) - 2, *sorted(breaks), max(breaks, default=0) + 2])
    values = f(ends[:, None]) - g(ends[:, None])
    slopes = np.diff(values) / np.diff(ends)
    wide = np.diff(ends) > 1e-9
    convex = (np.diff(slopes[wide]) > -1e-6).all() and slopes[wide][0] > -1e-6
    if convex:
        np.testing.assert_allclose(TropicalRational(f, g).polynomial()(ends[:, None]), values, atol=1e-9)
    else:
        with pytest.raises(ArgumentError, match="is no polynomial: the denominator does not divide"):
            TropicalRational(f, g).polynomial()


def test_rationals_that_differ_in_one_corner_are_not_equal() -> None:
    f = TropicalPolynomial([[0, 0], [1, 0], [0, 1], [1, 1]])
    g = TropicalPolynomial([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, 1e-3])
    assert not TropicalRational(f).equals(TropicalRational(g))
    assert TropicalRational(f * g, g * g).equals(TropicalRational(f, g))


# --- posets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(16))
def test_the_sixteen_polynomials_are_the_filters(index: int) -> None:
    x = somewhere(4)
    f = poset_polynomial(Poset(4, SIXTEEN[index]))
    assert np.array_equal(f(x), CLOSED_FORMS[index](*x.T))
    assert np.array_equal(f(x), best(x, SIXTEEN[index])[0])


def test_a_poset_is_found_again_from_its_polynomial_and_newton_polytope() -> None:
    for poset in (*labelled_posets(4), *all_posets(5)):
        f = poset_polynomial(poset)
        assert poset_of_polynomial(f) == poset
        assert f.simplified() == f, "every up-set is the only largest one somewhere"
        assert f.newton_polytope().points.tolist() == sorted(OrderPolytope(poset).vertices.tolist())


@pytest.mark.parametrize(
    ("exponents", "coefficients", "said"),
    [
        ([[0], [2]], None, r"polynomial max\(0, 2x1\) is no poset's: an exponent is more than 1"),
        ([[0], [1]], [0, 1], "a coefficient is not 0"),
        ([[1, 0], [0, 1]], None, "its exponents as vertices are not those of an order polytope: the order they"),
        ([[0, 0], [1, 1]], None, "two coordinates are equal in all"),
        (np.zeros((0, 2)), None, "-∞ is no poset's"),
    ],
)
def test_polynomials_of_no_poset(exponents: list[list[int]], coefficients: list[float] | None, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        poset_of_polynomial(TropicalPolynomial(exponents, coefficients))


# --- errors -------------------------------------------------------------------------------------------------------


def test_wrong_arguments() -> None:
    f = TropicalPolynomial([[0, 1]])
    with pytest.raises(ArgumentError, match=r"^exponents must be non-negative integers of shape \(M, N\), got \[\[-1"):
        TropicalPolynomial([[-1]])
    with pytest.raises(ArgumentError, match="exponents must be non-negative integers"):
        TropicalPolynomial([[0.5]])
    with pytest.raises(ArgumentError, match=r"^coefficients must be 1 finite numbers"):
        TropicalPolynomial([[1]], [np.inf])
    with pytest.raises(ArgumentError, match=r"^x must have shape \(…, 2\), got \(3,\)$"):
        f([1, 2, 3])
    with pytest.raises(ArgumentTypeError, match=r"x must be a floating-point tensor, got torch\.int64"):
        f(torch.tensor([1, 2]))
    with pytest.raises(ArgumentError, match="the polynomials have 2 and 1 variables"):
        f + TropicalPolynomial([[1]])
    with pytest.raises(ArgumentTypeError, match="tropical polynomials go with each other, got int"):
        f + 1  # type: ignore[operator]
    with pytest.raises(ArgumentTypeError, match="tropical rationals go with each other, got TropicalPolynomial"):
        TropicalRational(f) * f  # type: ignore[operator]
    with pytest.raises(ArgumentError, match="power must be a non-negative integer, got -1"):
        f**-1
    with pytest.raises(ArgumentError, match="denominator must have a monomial, got the tropical zero"):
        TropicalRational(f, TropicalPolynomial.zero(2))
    with pytest.raises(ArgumentError, match="denominator must have 2 variables as the numerator has, got 1"):
        TropicalRational(f, TropicalPolynomial([[1]]))
    with pytest.raises(ArgumentError, match="index must be 0 to 1, got 2"):
        TropicalPolynomial.variable(2, 2)
    with pytest.raises(ArgumentError, match="the tropical zero has no monomial"):
        TropicalPolynomial.zero(2).newton_polytope()
    big = TropicalPolynomial(np.indices((20, 20)).reshape(2, -1).T)
    with pytest.raises(ArgumentError, match="the product of 400 and 400 monomials has more than 100,000"):
        big * big
    with pytest.raises(ArgumentError, match=r"^points must be finite numbers of shape \(M, N\) with M ≥ 1"):
        Polytope(np.zeros((0, 2)))
    with pytest.raises(ArgumentError, match="other must have dimension 2, got 3"):
        Polytope([[0, 0]]).minkowski_sum(Polytope([[0, 0, 0]]))
