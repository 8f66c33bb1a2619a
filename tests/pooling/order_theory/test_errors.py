"""Arguments of another kind give one sentence that names the argument and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import networkx as nx
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
    labelled_posets,
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
    "size": (lambda: Poset(any_of(2.0)), "n must be an integer, got 2.0"),
    "relations of text": (lambda: Poset(4, any_of("1<2")), "relations must be pairs (a, b) of points, got '1<2'; "),
    "relations of a number": (lambda: Poset(4, any_of(5)), "relations must be pairs (a, b) of points, got 5; "),
    "relations of a graph": (lambda: Poset(3, any_of(nx.DiGraph([(0, 1)]))), "got <networkx.classes.digraph.DiGraph"),
    "relation to a half": (lambda: Poset(2, any_of([(0, 1.5)])), "pairs (a, b) of integers, got (0, 1.5) among them"),
    "relation to a truth": (lambda: Poset(2, any_of([(0, True)])), "of integers, got (0, True) among them"),
    "relation of three": (lambda: Poset(4, any_of([(0, 1, 2)])), "pairs (a, b) of integers, got (0, 1, 2) among them"),
    "relation of one": (lambda: Poset(4, any_of([0, 1])), "pairs (a, b) of integers, got 0 among them"),
    "Hasse number": (lambda: Poset.from_hasse(any_of(5)), "text must be a str, got 5"),
    "Hasse size": (lambda: Poset.from_hasse("1<2", any_of("3")), "n must be an integer, got '3'"),
    "graph": (lambda: Poset.from_graph(any_of(3)), "graph must be a directed graph such as a networkx.DiGraph, got 3"),
    "class of graphs": (lambda: Poset.from_graph(any_of(nx.DiGraph)), "graph must be a directed graph such as"),
    "antichain": (lambda: Poset.antichain(any_of(2.5)), "n must be an integer, got 2.5"),
    "chain": (lambda: Poset.chain(any_of("3")), "n must be an integer, got '3'"),
    "disjoint": (lambda: C2.disjoint(any_of("N")), "other must be a Poset, got 'N'; Poset.from_hasse reads text"),
    "ordinal": (lambda: C2.ordinal(any_of(None)), "other must be a Poset, got None"),
    "lexicographic": (lambda: C2.lexicographic(any_of([C2, 2])), "part 1 must be a Poset, got 2"),
    "lexicographic parts": (lambda: C2.lexicographic(any_of(C2)), "parts must be a Sequence, got Poset.from_hasse"),
    "compose": (lambda: C2.compose(0, any_of(2)), "part must be a Poset, got 2"),
    "compose at": (lambda: C2.compose(any_of("0"), C2), "point must be an integer, got '0'"),
    "isomorphism": (lambda: C2.isomorphism(any_of(2)), "other must be a Poset, got 2"),
    "isomorphic": (lambda: C2.is_isomorphic(any_of("N")), "other must be a Poset, got 'N'"),
    "relabel": (lambda: C2.relabel(any_of(3)), "names must be integers, got 3"),
    "relabel by text": (lambda: C2.relabel(any_of(["a", "b"])), "each of names must be an integer, got 'a'"),
    "restrict": (lambda: C2.restrict(any_of(0)), "members must be integers, got 0"),
    "restrict to text": (lambda: C2.restrict(any_of("01")), "members must be integers, got '01'"),
    "less": (lambda: C2.less(0, any_of(1.0)), "b must be an integer, got 1.0"),
    "minimal points": (lambda: C2.minimal_of(any_of((0, 1))), "up_set must be an integer, got (0, 1)"),
    "posets of n": (lambda: labelled_posets(any_of(2.0)), "n must be an integer, got 2.0"),
    "dilation": (lambda: OrderPolytope(C2).ehrhart(any_of(True)), "t must be an integer, got True"),
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


OUTSIDE: dict[str, tuple[Callable[[], Any], str]] = {
    "relation": (lambda: Poset(2, [(0, 2)]), "relations name the pair (0, 2), but the points are 0 to 1"),
    "relation of nothing": (lambda: Poset(0, [(0, 1)]), "but the points are none, since the poset is empty"),
    "negative size": (lambda: Poset.chain(-1), "n must be at least 0, got -1"),
    "negative size of text": (lambda: Poset.from_hasse("", -1), "n must be at least 0, got -1"),
    "less": (lambda: C2.less(0, 2), "b must be 0 to 1, got 2"),
    "less from the end": (lambda: C2.less(-1, 0), "a must be 0 to 1, got -1"),
    "restrict": (lambda: C2.restrict([0, 5]), "members must be points, 0 to 1, got (0, 5)"),
    "compose": (lambda: C2.compose(2, C2), "point must be 0 to 1, got 2"),
    "relabel": (lambda: C2.relabel([0, 0]), "names must be a permutation of 0 to 1, got (0, 0)"),
    "minimal points": (lambda: C2.minimal_of(4), "up_set must be a bit mask of 2 points, got 4"),
    "point far away": (lambda: Poset.from_hasse("1<3000000000"), "leaves out point 2;"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_outside_is_said(name: str) -> None:
    call, words = OUTSIDE[name]
    with pytest.raises(ArgumentError, match=re.escape(words)):
        call()


def test_numpy_integers_are_points() -> None:
    """Also beyond the 64 bits of numpy's own arithmetic."""
    pairs = np.column_stack([np.arange(69), np.arange(1, 70)])
    assert Poset(np.int64(70), pairs) == Poset.chain(70)  # type: ignore[arg-type]
    assert Poset.chain(70).restrict(np.arange(68, 70)) == C2
    assert Poset.chain(70).less(np.int64(3), np.int64(68))


def test_directions_of_another_dimension() -> None:
    with pytest.raises(ArgumentError, match=re.escape("x must have shape (…, 1), got (3,)")):
        SEGMENT.support([1, 2, 3])
