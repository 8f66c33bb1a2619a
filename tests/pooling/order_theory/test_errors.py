"""Arguments of another kind give one sentence that names the argument and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import (
    IntegerLayer,
    OrderPolytope,
    Polytope,
    Poset,
    TropicalPolynomial,
    TropicalRational,
    compose_networks,
    compose_polynomials,
    compose_polytopes,
    is_series_parallel,
    network_of_tropical,
    poset_network,
    poset_of_polynomial,
    poset_polynomial,
    tropical_of_network,
)

C2 = Poset.chain(2)
SEGMENT = Polytope([[0.0], [1.0]])
X1 = TropicalPolynomial([[1]])
NO_POSET = "poset must be a Poset, got 'N'; Poset.from_hasse reads text"

# Wrong on purpose; Any keeps the type checker out of it.
any_of: Any = lambda value: value  # noqa: E731

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "network of text": (lambda: poset_network(any_of("N")), NO_POSET),
    "polytope of text": (lambda: OrderPolytope(any_of("N")), NO_POSET),
    "polynomial of text": (lambda: poset_polynomial(any_of("N")), NO_POSET),
    "structure of text": (lambda: is_series_parallel(any_of("N")), NO_POSET),
    "composition over text": (lambda: compose_polynomials(any_of("N"), [X1]), NO_POSET),
    "poset of a number": (lambda: poset_of_polynomial(any_of(3)), "polynomial must be a TropicalPolynomial, got 3"),
    "parts": (lambda: compose_polynomials(C2, any_of(3)), "parts must be a Sequence, got 3"),
    "part": (lambda: compose_polynomials(C2, any_of([X1, 2])), "part 1 must be a TropicalPolynomial, got 2"),
    "polytopes": (lambda: compose_polytopes(C2, any_of([OrderPolytope(C2)] * 2)), "part 0 must be a Polytope"),
    "networks": (lambda: compose_networks(C2, any_of([1, 2])), "part 0 must be a Module, got 1"),
    "function": (lambda: network_of_tropical(any_of(3)), "numerator must be a TropicalPolynomial, got 3"),
    "network": (lambda: tropical_of_network(any_of(3)), "network must be made of IntegerLayer, got a int"),
    "points": (lambda: Polytope(any_of("ab")), "points must be real numbers, got 'ab'"),
    "complex points": (lambda: Polytope(np.array([[1j]])), "points must be real numbers"),
    "rows": (lambda: Polytope(any_of([[1, 2], [3]])), "points must be real numbers in rows of one length"),
    "sum": (lambda: SEGMENT.minkowski_sum(any_of(3)), "other must be a Polytope, got 3"),
    "hull": (lambda: SEGMENT.convex_envelope(any_of(OrderPolytope(C2))), "other must be a Polytope"),
    "direction": (lambda: SEGMENT.support(any_of("a")), "x must be real numbers, got 'a'"),
    "membership": (lambda: OrderPolytope(C2).contains(any_of(["a", "b"])), "y must be real numbers"),
    "vertices": (lambda: OrderPolytope.from_vertices(any_of("ab")), "vertices must be real numbers, got 'ab'"),
    "exponents": (lambda: TropicalPolynomial(any_of("ab")), "exponents must be real numbers, got 'ab'"),
    "coefficients": (lambda: TropicalPolynomial([[1]], any_of("a")), "coefficients must be real numbers, got 'a'"),
    "variables": (lambda: TropicalPolynomial.zero(any_of("a")), "variables must be an int, got 'a'"),
    "index": (lambda: TropicalPolynomial.variable(2, any_of("a")), "index must be an int, got 'a'"),
    "value": (lambda: X1(any_of("a")), "x must be real numbers, got 'a'"),
    "comparison": (lambda: X1.equals(any_of(3)), "other must be a TropicalPolynomial, got 3"),
    "denominator": (lambda: TropicalRational(X1, any_of(3)), "denominator must be a TropicalPolynomial, got 3"),
    "weight": (lambda: IntegerLayer(any_of("ab")), "weight must be real numbers, got 'ab'"),
    "bias": (lambda: IntegerLayer([[1]], any_of("a")), "bias must be real numbers, got 'a'"),
    "threshold": (lambda: IntegerLayer([[1]], threshold=any_of("a")), "threshold must be real numbers, got 'a'"),
    "input": (lambda: IntegerLayer([[1]])(any_of(3)), "x must be a floating-point tensor, got int"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_of_another_kind_is_said(name: str) -> None:
    call, words = WRONG[name]
    with pytest.raises(ArgumentTypeError, match=re.escape(words)):
        call()


def test_directions_of_another_dimension() -> None:
    with pytest.raises(ArgumentError, match=re.escape("x must have shape (…, 1), got (3,)")):
        SEGMENT.support([1, 2, 3])
