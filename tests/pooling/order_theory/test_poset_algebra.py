"""Antichains, linear extensions, sums, compositions, isomorphisms, against networkx, definitions and known counts."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import Poset, bitmasks


@st.composite
def posets(draw: st.DrawFn, most: int = 7) -> Poset:
    """Any order: pairs that agree with a random line of the points."""
    n = draw(st.integers(0, most))
    line = draw(st.permutations(range(n)))
    pairs = [(a, b) for a, b in itertools.combinations(line, 2)]
    return Poset(n, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else [])


def graph(poset: Poset) -> nx.DiGraph:
    found = nx.DiGraph()
    found.add_nodes_from(range(poset.n))
    found.add_edges_from(poset.covers)
    return found


def relations(poset: Poset) -> set[tuple[int, int]]:
    return {(a, b) for a in range(poset.n) for b in range(poset.n) if poset.less(a, b)}


def crown(n: int) -> Poset:
    """Minimal points 0…n-1 and maximal ones n…2n-1, each below all but its own."""
    return Poset(2 * n, [(a, n + b) for a in range(n) for b in range(n) if a != b])


# --- reading ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(posets())
def test_a_graph_is_read_as_networkx_closes_it(poset: Poset) -> None:
    assert relations(Poset.from_graph(graph(poset))) == set(nx.transitive_closure_dag(graph(poset)).edges)


def test_nodes_of_a_graph_are_numbered_as_they_come() -> None:
    assert Poset.from_graph(nx.DiGraph([("shirt", "tie"), ("tie", "jacket"), ("shirt", "jacket")])) == Poset.chain(3)


def test_graphs_that_are_no_order() -> None:
    with pytest.raises(ArgumentError, match="cycle 1 < 2 < 3 < 1"):
        Poset.from_graph(nx.DiGraph([(0, 1), (1, 2), (2, 0)]))
    with pytest.raises(ArgumentTypeError, match="graph must be directed, got Graph"):
        Poset.from_graph(nx.Graph([(0, 1)]))


# --- antichains and linear extensions -----------------------------------------------------------------------------


@settings(deadline=None)
@given(posets())
def test_antichains_are_those_of_networkx(poset: Poset) -> None:
    found = [tuple(sorted(antichain)) for antichain in nx.antichains(nx.transitive_closure_dag(graph(poset)))]
    assert sorted(poset.antichains()) == sorted(found)
    assert poset.count_up_sets() == len(found)


@settings(deadline=None)
@given(posets())
def test_an_antichain_generates_the_up_set_beside_it(poset: Poset) -> None:
    for antichain, up_set in zip(poset.antichains(), poset.up_sets(), strict=True):
        generated = {b for b in range(poset.n) for a in antichain if a == b or poset.less(a, b)}
        assert generated == set(up_set)


@settings(deadline=None)
@given(posets(most=6))
def test_linear_extensions_are_the_topological_sorts(poset: Poset) -> None:
    found = sorted(tuple(line) for line in nx.all_topological_sorts(graph(poset))) if poset.n else [()]
    assert list(poset.linear_extensions()) == found
    assert poset.count_linear_extensions() == len(found)


@pytest.mark.parametrize(
    ("poset", "count"),
    [
        (Poset.antichain(20), math.factorial(20)),
        (Poset.antichain(40), math.factorial(40)),
        (Poset.chain(60), 1),
        (Poset.antichain(2000), math.factorial(2000)),
        (Poset.chain(2000), 1),
        (Poset(20, [(i, i + 10) for i in range(10)]), math.factorial(20) // 2**10),
        # The fence on n points has the n-th Euler number of linear extensions (Stanley, Enumerative Combinatorics 1.6).
        (Poset(20, [(i, i + 1) if i % 2 == 0 else (i + 1, i) for i in range(19)]), 370371188237525),
        # The grid 2 × n has the n-th Catalan number.
        (
            Poset(20, [(2 * i, 2 * i + 1) for i in range(10)] + [(i, i + 2) for i in range(18)]),
            math.comb(20, 10) // 11,
        ),
    ],
    ids=["20 points", "40 points", "chain of 60", "2,000 points", "chain of 2,000", "ten chains of 2", "fence", "grid"],
)
def test_linear_extensions_of_known_posets(poset: Poset, count: int) -> None:
    assert poset.count_linear_extensions() == count


def test_linear_extensions_of_a_crown_that_cannot_be_taken_apart() -> None:
    """Minimal points come in any order. Before the last of them only its partner can come, right before it."""
    n = 10
    partner_after, partner_before = (
        math.factorial(n),
        math.factorial(n - 1),
    )  # lines of the maximal points that are left
    assert crown(n).count_linear_extensions() == math.factorial(n) * (partner_after + partner_before)


def test_thousands_of_points_have_a_first_line() -> None:
    lines = Poset.chain(1500).linear_extensions()
    assert next(lines) == tuple(range(1500))
    assert next(lines, None) is None


def test_too_large_a_part_says_its_size() -> None:
    with pytest.raises(ArgumentError, match="a part of 22 points that is neither a disjoint union nor an ordinal sum"):
        crown(11).count_linear_extensions()


# --- sums and compositions ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(posets(most=4), st.data())
def test_lexicographic_sum_by_its_definition(poset: Poset, data: st.DataObject) -> None:
    parts = [data.draw(posets(most=3)) for _ in range(poset.n)]
    places = [(i, x) for i, part in enumerate(parts) for x in range(part.n)]
    expected = {
        (s, t)
        for s, (i, x) in enumerate(places)
        for t, (j, y) in enumerate(places)
        if (parts[i].less(x, y) if i == j else poset.less(i, j))
    }
    assert relations(poset.lexicographic(parts)) == expected


@settings(deadline=None)
@given(posets(most=4), posets(most=3), posets(most=3), st.data())
def test_partial_composition_is_associative_and_has_a_unit(p: Poset, q: Poset, r: Poset, data: st.DataObject) -> None:
    """The axioms of an operad: composing in sequence and in parallel."""
    one = Poset(1)
    assert one.compose(0, p) == p
    for i in range(p.n):
        assert p.compose(i, one) == p
        for j in range(q.n):
            assert p.compose(i, q).compose(i + j, r) == p.compose(i, q.compose(j, r))
        for k in range(i + 1, p.n):
            assert p.compose(i, q).compose(k + q.n - 1, r) == p.compose(k, r).compose(i, q)


@settings(deadline=None)
@given(posets(most=4), posets(most=4))
def test_disjoint_and_ordinal_sum(p: Poset, q: Poset) -> None:
    moved = {(p.n + a, p.n + b) for a, b in relations(q)}
    between = set(itertools.product(range(p.n), range(p.n, p.n + q.n)))
    assert relations(p.disjoint(q)) == relations(p) | moved
    assert relations(p.ordinal(q)) == relations(p) | moved | between
    assert p.disjoint(q).count_up_sets() == p.count_up_sets() * q.count_up_sets()
    assert p.ordinal(q).count_up_sets() == p.count_up_sets() + q.count_up_sets() - 1


@settings(deadline=None)
@given(posets())
def test_the_dual_turns_every_relation_round(poset: Poset) -> None:
    assert relations(poset.dual()) == {(b, a) for a, b in relations(poset)}
    assert (poset.dual().minimal, poset.dual().maximal) == (poset.maximal, poset.minimal)
    assert set(poset.minimal) == set(range(poset.n)) - {b for _, b in relations(poset)}


@settings(deadline=None)
@given(posets(), st.data())
def test_restriction_keeps_the_relations_among_its_points(poset: Poset, data: st.DataObject) -> None:
    members = sorted(data.draw(st.sets(st.sampled_from(range(poset.n))))) if poset.n else []
    number = {point: index for index, point in enumerate(members)}
    expected = {(number[a], number[b]) for a, b in relations(poset) if a in number and b in number}
    assert relations(poset.restrict(reversed(members))) == expected


def test_wrong_parts_and_points() -> None:
    with pytest.raises(ArgumentError, match="parts must be as many as the points, 2, got 1"):
        Poset.chain(2).lexicographic([Poset(1)])
    with pytest.raises(ArgumentError, match="point must be 0 to 1, got 2"):
        Poset.chain(2).compose(2, Poset(1))
    with pytest.raises(ArgumentError, match=r"members must be points, 0 to 1, got \(-1, 0\)"):
        Poset.chain(2).restrict([0, -1])


# --- isomorphism --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(posets(), st.data())
def test_a_relabelled_poset_is_isomorphic_by_the_names_returned(poset: Poset, data: st.DataObject) -> None:
    other = poset.relabel(data.draw(st.permutations(range(poset.n))))
    names = poset.isomorphism(other)
    assert names is not None
    assert poset.relabel(names) == other


@settings(deadline=None, max_examples=300)
@given(posets(most=5), posets(most=5))
def test_isomorphism_agrees_with_networkx(p: Poset, q: Poset) -> None:
    assert p.is_isomorphic(q) == nx.is_isomorphic(graph(p), graph(q))


def two_of(kind: type[nx.Graph]) -> Iterator[Poset]:
    """Graphs as posets of height one: points below the edges they are in."""
    hexagon, triangles = nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    for each in (hexagon, triangles):
        yield Poset(12, [(v, 6 + e) for e, edge in enumerate(kind(each).edges) for v in edge])


def test_posets_whose_points_look_alike_everywhere_are_told_apart() -> None:
    """A hexagon and two triangles: in both, every point is in two edges and every edge has two points."""
    hexagon, triangles = two_of(nx.Graph)
    assert not hexagon.is_isomorphic(triangles)


def test_symmetric_posets_are_matched_without_trying_all_permutations() -> None:
    """Which are 10! or 20!."""
    rng = random.Random(0)
    for poset in (crown(10), Poset(20, [(i, i + 10) for i in range(10)]), Poset.antichain(20)):
        names = list(range(20))
        rng.shuffle(names)
        assert poset.is_isomorphic(poset.relabel(names))


@pytest.mark.slow
def test_as_many_points_to_match_as_recursion_would_not_reach() -> None:
    poset = Poset(1100, [(0, 1)])
    assert poset.is_isomorphic(Poset(1100, [(1099, 5)]))
    assert not poset.is_isomorphic(Poset.antichain(1100))


def test_points_of_a_mask() -> None:
    assert list(bitmasks.points(0b10110)) == [1, 2, 4]
    assert bitmasks.mask_of([4, 1, 2]) == 0b10110
