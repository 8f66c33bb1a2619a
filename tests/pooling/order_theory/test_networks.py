"""Networks of integer weights against direct evaluation, and the round trips from posets and back."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import (
    IntegerLayer,
    Poset,
    TropicalPolynomial,
    TropicalRational,
    all_posets,
    is_series_parallel,
    labelled_posets,
    network_of_tropical,
    poset_network,
    poset_of_polynomial,
    poset_polynomial,
    tropical_of_network,
)

from .brute_force import Floats, best
from .test_poset_algebra import crown

INF = float("inf")


def eighths(rows: int, columns: int, seed: int = 0) -> Floats:
    """Numbers whose sums are exact."""
    return np.random.default_rng(seed).integers(-80, 81, (rows, columns)) / 8


def random_network(sizes: tuple[int, ...], seed: int) -> nn.Sequential:
    generator = np.random.default_rng(seed)
    layers = []
    for inputs, outputs in pairwise(sizes):
        threshold = generator.choice([-INF, 0.0, 0.5, -1.25], outputs)
        weight, bias = generator.integers(-2, 3, (outputs, inputs)), generator.integers(-8, 9, outputs) / 8
        layers.append(IntegerLayer(weight, bias, threshold))
    return nn.Sequential(*layers)


def by_hand(network: nn.Sequential, x: Floats) -> Floats:
    for layer in network:
        assert isinstance(layer, IntegerLayer)
        x = np.maximum(x @ layer.weight.numpy().T + layer.bias.numpy(), layer.threshold.numpy())
    return x


# --- layers -------------------------------------------------------------------------------------------------------


def test_a_layer_by_hand() -> None:
    layer = IntegerLayer([[2, -1], [0, 3]], [0.5, 0], threshold=[-INF, 1])
    assert layer(torch.tensor([[1.0, 5.0], [2.0, -1.0]])).tolist() == [[-2.5, 15], [5.5, 1]]
    assert str(layer) == "IntegerLayer(2, 2, floors=1)"


def test_state_round_trips_exactly_and_weights_stay_integer() -> None:
    source, target = random_network((3, 4, 2), seed=0), random_network((3, 4, 2), seed=1)
    target.load_state_dict(source.state_dict())
    x = torch.from_numpy(eighths(20, 3))
    assert torch.equal(target(x), source(x))
    assert all(not part.is_floating_point() for name, part in source.half().state_dict().items() if "weight" in name)


def test_no_weight_is_trained() -> None:
    assert not list(poset_network(Poset.chain(3)).parameters())


# --- network to functions and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 3, 1), (2, 3, 2), (3, 2, 2, 1), (2, 2, 2, 2), (1, 2, 2, 2, 1)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_random_networks_are_tropical_rationals(sizes: tuple[int, ...], seed: int) -> None:
    network = random_network(sizes, seed)
    x = eighths(200, sizes[0])
    expected = by_hand(network, x)
    assert np.array_equal(network(torch.from_numpy(x)).numpy(), expected)
    functions = tropical_of_network(network)
    for column, function in zip(expected.T, functions, strict=True):
        np.testing.assert_allclose(function(x), column, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_rationals_become_networks_and_rationals_again(seed: int) -> None:
    generator = np.random.default_rng(seed)
    numerator = TropicalPolynomial(generator.integers(0, 3, (5, 2)), generator.integers(-8, 9, 5) / 8)
    denominator = TropicalPolynomial(generator.integers(0, 3, (3, 2)), generator.integers(-8, 9, 3) / 8)
    function = TropicalRational(numerator, denominator)
    network = network_of_tropical(function, numerator)
    x = eighths(200, 2)
    values = network(torch.from_numpy(x)).numpy()
    assert np.array_equal(values, np.column_stack([numerator(x) - denominator(x), numerator(x)]))
    found, whole = tropical_of_network(network)
    assert found.equals(function)
    assert whole.polynomial() == numerator.simplified()


@pytest.mark.parametrize(("monomials", "depth"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5)])
def test_depth_is_that_of_a_balanced_tree(monomials: int, depth: int) -> None:
    f = TropicalPolynomial([[k, k * k] for k in range(monomials)])
    assert len(network_of_tropical(f)) == depth


# --- posets -------------------------------------------------------------------------------------------------------


def assert_computes(network: nn.Module, poset: Poset) -> None:
    x = eighths(60, poset.n, seed=poset.n)
    values = network(torch.from_numpy(x)).numpy()
    assert values.shape == (60, 1)
    assert np.array_equal(values[:, 0], best(x, poset.covers)[0])


def test_poset_networks_compute_the_filters() -> None:
    for poset in (poset for n in range(1, 6) for poset in all_posets(n)):
        network = poset_network(poset)
        assert_computes(network, poset)
        for layer in network:
            assert isinstance(layer, IntegerLayer)
            assert not layer.bias.any()
            assert set(layer.threshold.tolist()) <= {0.0, -INF}
    for poset in all_posets(4):
        assert_computes(network_of_tropical(poset_polynomial(poset)), poset)


@pytest.mark.parametrize(
    ("poset", "depth"),
    [
        (Poset(1), 2),
        (Poset.antichain(9), 2),
        (Poset.chain(2), 3),
        (Poset.chain(8), 5),
        (Poset.chain(9), 6),
        (Poset.chain(2).disjoint(Poset.chain(4)), 4),
        (Poset.antichain(2).ordinal(Poset.antichain(2)), 3),
        (Poset.chain(2).lexicographic([Poset.chain(2).disjoint(Poset(1)), Poset(1)]), 4),
    ],
    ids=repr,
)
def test_depth_of_series_parallel_posets(poset: Poset, depth: int) -> None:
    """The ordinal sums on the longest path, taken two by two, a ReLU below and a linear layer above."""
    assert is_series_parallel(poset)
    assert len(poset_network(poset)) == depth
    assert_computes(poset_network(poset), poset)


def test_networks_of_large_posets() -> None:
    """Series-parallel ones have as many layers as they need, whatever their up-sets; others are refused by number."""
    wide = Poset(20, [(i, i + 10) for i in range(10)])
    assert len(poset_network(wide)) == 3
    x = eighths(30, 20)
    columns = np.maximum(x[:, 10:] + np.maximum(x[:, :10], 0), 0)
    assert np.array_equal(poset_network(wide)(torch.from_numpy(x)).numpy()[:, 0], columns.sum(1))
    with pytest.raises(ArgumentError, match=r"a part of 26 points .* with [0-9,]+ up-sets; .* at most 4,096"):
        poset_network(crown(13))
    assert poset_network(Poset(0))(torch.zeros(2, 0)).tolist() == [[0], [0]]


def test_weights_of_the_sixteen_are_small_integers() -> None:
    weights = [layer.weight for poset in all_posets(4) for layer in poset_network(poset)]
    assert max(int(weight.abs().max()) for weight in weights) <= 2


def test_series_parallel_means_without_an_n() -> None:
    """The definition by the forbidden part; 1, 2, 5, 15, 48 classes are series-parallel (OEIS A003430)."""
    n_shape = Poset.from_hasse("1<2>3<4")
    for size, count in zip(range(1, 6), (1, 2, 5, 15, 48), strict=True):
        found = [is_series_parallel(poset) for poset in all_posets(size)]
        assert sum(found) == count
        for poset, series_parallel in zip(all_posets(size), found, strict=True):
            fours = torch.combinations(torch.arange(size), 4).tolist() if size >= 4 else []
            assert series_parallel != any(poset.restrict(four).is_isomorphic(n_shape) for four in fours)


def assert_round_trip(poset: Poset) -> None:
    """Poset, polynomial, network, rational function, polynomial, poset."""
    f = poset_polynomial(poset)
    (function,) = tropical_of_network(poset_network(poset))
    assert function.polynomial() == f
    assert poset_of_polynomial(function.polynomial()) == poset


def test_round_trip_through_networks() -> None:
    """Every class on four points with its points named at random; all names are among the slow tests."""
    names = random.Random(0)
    for poset in all_posets(4):
        assert_round_trip(poset.relabel(names.sample(range(4), 4)))


@pytest.mark.slow
def test_round_trip_through_networks_of_all_labelled_posets() -> None:
    posets = labelled_posets(4)
    assert len(posets) == 219
    for poset in posets:
        assert_round_trip(poset)


@pytest.mark.parametrize("hasse", ["1<2>3<4", "1<2<4, 1<3<4", "1<2<3<4"])
def test_round_trip_through_the_tree_of_maxima(hasse: str) -> None:
    f = poset_polynomial(Poset.from_hasse(hasse))
    (function,) = tropical_of_network(network_of_tropical(f))
    assert function.polynomial() == f


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[0.5]],), r"weight must be integers of shape \(O, I\), got \[\[0\.5\]\]"),
        (([1, 2],), r"weight must be integers of shape \(O, I\)"),
        (([[1]], [1, 2]), r"bias must be 1 finite numbers, one an output, got \[1, 2\]"),
        (([[1]], [INF]), "bias must be 1 finite numbers"),
        (([[1]], None, INF), "threshold must be a number or 1 numbers, real or -∞, got inf"),
        (([[1]], None, [0, 0]), "threshold must be a number or 1 numbers"),
    ],
)
def test_layers_that_are_none(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        IntegerLayer(*arguments)


def test_inputs_that_are_none() -> None:
    layer = IntegerLayer([[1, 2]], [0.5])
    with pytest.raises(ArgumentError, match=r"x must have shape \(…, 2\), got \(4, 3\)"):
        layer(torch.zeros(4, 3))
    with pytest.raises(ArgumentTypeError, match=r"x must be a floating-point tensor, got torch\.int64"):
        layer(torch.zeros(4, 2, dtype=torch.int64))


def test_networks_that_are_none() -> None:
    with pytest.raises(ArgumentTypeError, match=r"network must be made of .*Sequential, got the Sigmoid '1'"):
        tropical_of_network(nn.Sequential(IntegerLayer([[1]]), nn.Sigmoid()))
    with pytest.raises(ArgumentError, match="network must have at least one layer, got none"):
        tropical_of_network(nn.Sequential())
    with pytest.raises(ArgumentError, match="layer 1 has 1 outputs, but layer 2 has 2 inputs"):
        tropical_of_network(nn.Sequential(IntegerLayer([[1]]), IntegerLayer([[1, 1]])))
    with pytest.raises(ArgumentError, match="functions must have one number of variables, got no function"):
        network_of_tropical()
    with pytest.raises(ArgumentError, match=r"functions must have one number of variables, got \[1, 2\]"):
        network_of_tropical(TropicalPolynomial([[1]]), TropicalPolynomial([[1, 1]]))
