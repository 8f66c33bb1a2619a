"""Orders against networkx, definitions and counts known in closed form."""

from __future__ import annotations

import itertools
import math
import pickle

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import Poset, bitmasks, four_points
from cenote.pooling.order_theory.four_points import resolve_poset

from .brute_force import SIXTEEN, UP_SETS_OF_SIXTEEN, Order, all_labelled_orders, up_sets


@st.composite
def acyclic_relations(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """Edges along a random ranking of at most seven points; they may repeat and follow from one another."""
    points = draw(st.integers(0, 7))
    ranking = draw(st.permutations(range(points)))
    forward = list(itertools.combinations(ranking, 2))
    return points, draw(st.lists(st.sampled_from(forward), max_size=14)) if forward else []


def digraph(points: int, relations: list[tuple[int, int]]) -> nx.DiGraph:
    graph = nx.DiGraph(relations)
    graph.add_nodes_from(range(points))
    return graph


@settings(deadline=None, max_examples=100)
@given(acyclic_relations())
def test_agrees_with_networkx(case: tuple[int, list[tuple[int, int]]]) -> None:
    points, relations = case
    poset, graph = Poset(points, relations), digraph(points, relations)
    assert set(poset.covers) == set(nx.transitive_reduction(graph).edges)
    closure = set(nx.transitive_closure_dag(graph).edges)
    assert {(a, b) for a in range(points) for b in range(points) if poset.less(a, b)} == closure
    antichains = list(nx.antichains(graph))
    assert poset.count_up_sets() == len(antichains)
    above = [set(antichain).union(*(nx.descendants(graph, a) for a in antichain)) for antichain in antichains]
    assert sorted(map(sorted, above)) == sorted(map(list, poset.up_sets()))


@settings(deadline=None, max_examples=60)
@given(acyclic_relations())
def test_up_sets_come_by_size_then_lexicographically(case: tuple[int, list[tuple[int, int]]]) -> None:
    poset = Poset(*case)
    assert list(poset.up_sets()) == up_sets(*case)
    assert [sum(1 << point for point in up_set) for up_set in poset.up_sets()] == list(poset.up_set_masks())


@settings(deadline=None, max_examples=60)
@given(acyclic_relations())
def test_round_trips(case: tuple[int, list[tuple[int, int]]]) -> None:
    points, relations = case
    poset = Poset(points, relations)
    same = [
        Poset.from_hasse(poset.hasse(), points),
        Poset(points, poset.covers),
        Poset(points, reversed(relations)),
        poset.relabel(range(points)),
        eval(repr(poset), {"Poset": Poset}),
        pickle.loads(pickle.dumps(poset)),
    ]
    assert all(other == poset and hash(other) == hash(poset) for other in same)


def test_relabelling_moves_every_relation() -> None:
    for names in itertools.permutations(range(4)):
        moved = Poset.from_hasse("1<2>3<4").relabel(names)
        assert set(moved.covers) == {(names[0], names[1]), (names[2], names[1]), (names[2], names[3])}


def boxes(*sides: int) -> Poset:
    """The product of chains with these lengths."""
    points = {point: index for index, point in enumerate(itertools.product(*map(range, sides)))}
    steps = [tuple(int(axis == other) for other in range(len(sides))) for axis in range(len(sides))]
    ups = [(p, tuple(map(sum, zip(p, step, strict=True)))) for p in points for step in steps]
    return Poset(len(points), [(points[a], points[b]) for a, b in ups if b in points])


@pytest.mark.parametrize(
    ("poset", "count"),
    [
        pytest.param(Poset(0), 1, id="no points: the empty set"),
        pytest.param(Poset.antichain(25), 2**25, id="antichain: all subsets"),
        pytest.param(Poset.chain(63), 64, id="chain: one per length"),
        pytest.param(Poset(60, [(2 * i, 2 * i + 1) for i in range(30)]), 3**30, id="thirty chains of two: 3^30"),
        pytest.param(boxes(5, 5), math.comb(10, 5), id="5×5 grid: lattice paths"),
        pytest.param(boxes(3, 3, 3), 980, id="3×3×3 box: plane partitions (MacMahon)"),
        pytest.param(boxes(2, 2, 2, 2), 168, id="subsets of four: Dedekind number"),
        pytest.param(boxes(2, 2, 2, 2, 2), 7581, id="subsets of five: Dedekind number"),
    ],
)
def test_up_sets_are_counted_without_listing(poset: Poset, count: int) -> None:
    assert poset.count_up_sets() == count


def test_up_sets_of_thousands_of_points_are_counted() -> None:
    """Parts that lie as deep as there are points; the up-sets of a fence are Fibonacci numbers."""
    assert Poset.antichain(2000).count_up_sets() == 2**2000
    assert Poset.chain(2000).count_up_sets() == 2001
    fibonacci = [1, 2]
    while len(fibonacci) <= 1010:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    fence = Poset(1010, [(i, i + 1) if i % 2 == 0 else (i + 1, i) for i in range(1009)])
    assert fence.count_up_sets() == fibonacci[1010]


def test_points_added_below_all_and_beside_all_in_turns() -> None:
    """One more up-set for a point under all; twice as many for a point beside all."""
    count, poset = 1, Poset(600, [(i, j) for i in range(0, 600, 2) for j in range(i)])
    for i in range(600):
        count = 2 * count if i % 2 else count + 1
    assert poset.count_up_sets() == count


def test_counting_gives_up_after_so_many_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitmasks, "MAX_SETS", 30)
    bitmasks.count_up_sets.cache_clear()
    said = r"^poset on 25 points has up-sets of too many shapes to be counted; at most 30 sets of points are looked at$"
    with pytest.raises(ArgumentError, match=said):
        boxes(5, 5).count_up_sets()


def test_long_cycles_are_named_by_their_ends() -> None:
    with pytest.raises(ArgumentError, match=r"the cycle 1 < 2 < .* < 18 < … < 2000 < 1; an order has none$"):
        Poset(2000, [(i, (i + 1) % 2000) for i in range(2000)])


def test_too_many_up_sets_are_not_listed() -> None:
    assert len(Poset.antichain(12).up_set_masks()) == 4096
    with pytest.raises(ArgumentError, match=r"^poset on 13 points has 8,192 up-sets; at most 4,096 can be listed$"):
        Poset.antichain(13).up_sets()
    with pytest.raises(ArgumentError, match=r"^poset on 25 points has 33,554,432 up-sets; "):
        Poset.antichain(25).up_set_masks()


# --- the sixteen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(16))
def test_index_name_and_hasse_string_mean_the_order_of_the_released_code(index: int) -> None:
    expected = Poset(4, SIXTEEN[index])
    name = four_points.NAMES[index]
    for given_as in (index, name, name.upper(), f" {name} ", expected, expected.hasse(), four_points.HASSE[index]):
        assert resolve_poset(given_as) == expected
    assert expected.count_up_sets() == UP_SETS_OF_SIXTEEN[index]


def test_the_sixteen_are_one_of_each_kind_of_order_on_four_points() -> None:
    def kind(relations: Order) -> tuple[tuple[int, int], ...]:
        closed = {(a, b) for a in range(4) for b in range(4) if Poset(4, relations).less(a, b)}
        return min(tuple(sorted((names[a], names[b]) for a, b in closed)) for names in itertools.permutations(range(4)))

    labelled = all_labelled_orders()
    assert len(labelled) == 219
    assert len({kind(relations) for relations in labelled}) == 16
    assert len({kind(relations) for relations in SIXTEEN}) == 16


def test_chain_and_antichain_fit_every_window() -> None:
    assert resolve_poset("Chain", 9) == Poset(9, [(i, i + 1) for i in range(8)])
    assert resolve_poset("antichain", 6) == Poset(6)
    assert resolve_poset("total order", 3) == Poset.from_hasse("1<2<3")


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1<2<3<1", "relations contain the cycle 1 < 2 < 3 < 1; an order has none"),
        ("1<2, 2>3, 3>4, 4>2", "relations contain the cycle 2 < 4 < 3 < 2; an order has none"),
        ("1<2, 2<1, 1<3, 3<4<1", "relations contain the cycle 1 < 2 < 1; an order has none"),
        ("1<1", "relations contain the cycle 1 < 1; an order has none"),
        ("1<2<", "poset '1<2<' is not a Hasse string such as '1<2<4, 1<3<4'; see '1<2<'"),
        ("1<2, a<3", "poset '1<2, a<3' is not a Hasse string such as '1<2<4, 1<3<4'; see 'a<3'"),
        ("1<2,, 3", "poset '1<2,, 3' is not a Hasse string such as '1<2<4, 1<3<4'; see ''"),
        ("1 2", "poset '1 2' is not a Hasse string such as '1<2<4, 1<3<4'; see '1 2'"),
        ("0<1", "poset '0<1': points are numbered from 1, got 0"),
    ],
)
def test_bad_hasse_strings(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Poset.from_hasse(text)
    assert str(caught.value) == message


def test_a_hasse_string_names_no_more_points_than_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"^poset '1<5' names point 5, but has 4 points$"):
        Poset.from_hasse("1<5", 4)


def test_bad_points() -> None:
    with pytest.raises(ArgumentError, match=r"^n must be at least 0, got -1$"):
        Poset(-1)
    for n in (2.0, True, "4", None):
        with pytest.raises(ArgumentTypeError, match=rf"^n must be an integer, got {n!r}$"):
            Poset(n)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"^relations name the pair \(0, 3\), but the points are 0 to 2$"):
        Poset(3, [(0, 1), (0, 3)])
    with pytest.raises(ArgumentError, match=r"^names must be a permutation of 0 to 3, got \(0, 1, 2, 2\)$"):
        Poset(4).relabel((0, 1, 2, 2))


def test_an_unknown_name_lists_the_names_and_suggests_the_nearest() -> None:
    with pytest.raises(ArgumentError) as caught:
        resolve_poset("dimond")
    message = str(caught.value)
    assert message.startswith("unknown poset 'dimond'; the nearest is 'diamond'; the names are dual claw, antichain, ")
    assert message.endswith("; or give a Hasse string such as '1<2, 3<4'")
    assert all(name in message for name in four_points.NAMES)
    with pytest.raises(ArgumentError, match=r"^unknown poset 'xyzzy'; the names are dual claw, antichain, "):
        resolve_poset("xyzzy")


@pytest.mark.parametrize("index", [-1, 16])
def test_an_index_outside_the_sixteen(index: int) -> None:
    with pytest.raises(ArgumentError, match=rf"^poset index must be 0 to 15, got {index}$"):
        resolve_poset(index)


@pytest.mark.parametrize("value", [None, 1.0, True, (0, 1)])
def test_a_poset_of_another_type(value: object) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        resolve_poset(value)  # type: ignore[arg-type]
    assert str(caught.value) == f"poset must be a Poset, an index, a name or a Hasse string, got {value!r}"


@pytest.mark.parametrize(
    ("poset", "points", "message"),
    [
        ("1<2", 4, "poset '1<2' has 2 points, but the window has 4; "),
        ("N", 9, "poset '1<2, 3<2, 3<4' has 4 points, but the window has 9; "),
        (Poset.chain(9), 4, "poset '1<2, 2<3, 3<4, 4<5, 5<6, 6<7, 7<8, 8<9' has 9 points, but the window has 4; "),
    ],
)
def test_a_wrong_number_of_points(poset: Poset | str, points: int, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        resolve_poset(poset, points)
    assert str(caught.value) == message + "in a Hasse string name points without relations too, as in '1<2, 3, 4'"


@pytest.mark.parametrize("text", ["²<3", "٣<4", "1<²"])
def test_digits_are_those_of_ascii(text: str) -> None:
    with pytest.raises(ArgumentError, match="is not a Hasse string"):
        Poset.from_hasse(text)


def test_points_left_out_are_named_unless_their_number_is_given() -> None:
    with pytest.raises(ArgumentError, match="poset '2<4' leaves out point 1; name points without relations too"):
        Poset.from_hasse("2<4")
    assert Poset.from_hasse("2<4", n=5) == Poset(5, [(1, 3)])
