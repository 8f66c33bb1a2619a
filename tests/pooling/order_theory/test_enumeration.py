"""Enumerated posets against known counts, networkx and the definition."""

from __future__ import annotations

import itertools
import math
import time

import networkx as nx
import pytest

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import Poset, all_posets, enumeration, labelled_posets
from cenote.pooling.order_theory.four_points import HASSE

from .brute_force import all_labelled_orders

CLASSES = (1, 1, 2, 5, 16, 63, 318, 2045)
"""OEIS A000112."""

LABELLED = (1, 1, 3, 19, 219, 4231)
"""OEIS A001035."""


def graph(poset: Poset) -> nx.DiGraph:
    found = nx.DiGraph(poset.covers)
    found.add_nodes_from(range(poset.n))
    return found


@pytest.mark.parametrize("n", range(7))
def test_as_many_classes_as_known(n: int) -> None:
    posets = all_posets(n)
    assert len(posets) == CLASSES[n]
    assert all(poset.n == n and all(a < b for a, b in poset.covers) for poset in posets)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "seconds"), [(6, 5.0), (7, 120.0)])
def test_classes_are_listed_in_time(n: int, seconds: float) -> None:
    """From nothing, with an empty cache, in processor time, which other processes do not lengthen."""
    enumeration._classes.cache_clear()
    start = time.process_time()
    assert len(all_posets(n)) == CLASSES[n]
    assert time.process_time() - start < seconds


@pytest.mark.parametrize("n", range(6))
def test_no_two_classes_are_isomorphic_by_networkx(n: int) -> None:
    """Hasse diagrams as graphs; only those with equal degree sequences can be isomorphic at all."""

    def degrees(found: nx.DiGraph) -> list[tuple[int, int]]:
        return sorted((found.in_degree(node), found.out_degree(node)) for node in found)

    graphs = sorted((degrees(found), index, found) for index, found in enumerate(map(graph, all_posets(n))))
    for _, group in itertools.groupby(graphs, key=lambda entry: entry[0]):
        for (_, _, first), (_, _, second) in itertools.combinations(group, 2):
            assert not nx.is_isomorphic(first, second)


@pytest.mark.parametrize("n", range(5))
def test_orbits_of_the_classes_add_up_to_the_labelled_posets(n: int) -> None:
    """A class has n! / |Aut| labelled posets; networkx finds the automorphisms."""
    sizes = []
    for poset in all_posets(n):
        matcher = nx.isomorphism.DiGraphMatcher(graph(poset), graph(poset))
        sizes.append(math.factorial(n) // sum(1 for _ in matcher.isomorphisms_iter()))
    assert sum(sizes) == LABELLED[n]


def test_the_sixteen_of_the_paper_are_the_classes_on_four_points() -> None:
    paper = [Poset.from_hasse(text) for text in HASSE]
    for poset in all_posets(4):
        assert sum(poset.is_isomorphic(other) for other in paper) == 1


@pytest.mark.parametrize("n", range(6))
def test_as_many_labelled_posets_as_known(n: int) -> None:
    posets = labelled_posets(n)
    assert len(posets) == len(set(posets)) == LABELLED[n]


def test_labelled_posets_on_four_points_by_the_definition() -> None:
    assert set(labelled_posets(4)) == {Poset(4, relations) for relations in all_labelled_orders()}


def test_what_cannot_be_enumerated() -> None:
    with pytest.raises(ArgumentError, match=r"^n must be 0 to 8, got 9: "):
        all_posets(9)
    with pytest.raises(ArgumentError, match=r"^n must be 0 to 6, got -1: "):
        labelled_posets(-1)
    with pytest.raises(ArgumentTypeError, match=r"^n must be an integer, got 2\.5$"):
        all_posets(2.5)  # type: ignore[arg-type]
