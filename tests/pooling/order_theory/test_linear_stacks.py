"""Stacks of torch's own layers against the networks and functions made of them, and the way back."""

from __future__ import annotations

import re
from itertools import pairwise

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
    compose_networks,
    integer_network,
    linear_network,
    network_of_tropical,
    poset_network,
    poset_of_polynomial,
    poset_polynomial,
    tropical_of_network,
)

from .test_networks import INF, eighths, random_network


def linear(weight: list[list[float]], bias: list[float] | None = None, dtype: torch.dtype = torch.float32) -> nn.Linear:
    matrix = torch.tensor(weight, dtype=dtype)
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(matrix)
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def random_stack(sizes: list[int], seed: int) -> nn.Sequential:
    """Linear maps with a ReLU, a threshold, both or neither behind each."""
    generator = np.random.default_rng(seed)
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        bias = (generator.integers(-8, 9, outputs) / 8).tolist() if generator.random() < 0.7 else None
        parts.append(linear(generator.integers(-2, 3, (outputs, inputs)).tolist(), bias, torch.float64))
        level = float(generator.choice([-1.25, 0.5]))
        behind = [[], [nn.ReLU()], [nn.Threshold(level, level)], [nn.ReLU(), nn.Threshold(level, level), nn.Identity()]]
        parts += behind[int(generator.integers(len(behind)))]
    return nn.Sequential(*parts)


# --- stacks to functions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[2, 1], [2, 3, 2], [3, 2, 2, 1], [2, 2, 2, 2]], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_stacks_are_the_tropical_functions_they_compute(sizes: list[int], seed: int) -> None:
    stack = random_stack(sizes, seed)
    x = eighths(200, sizes[0], seed)
    with torch.no_grad():
        expected = stack(torch.from_numpy(x)).numpy()
    assert np.array_equal(integer_network(stack)(torch.from_numpy(x)).numpy(), expected)
    for column, function in zip(expected.T, tropical_of_network(integer_network(stack)), strict=True):
        np.testing.assert_allclose(function(x), column, rtol=0, atol=1e-9)


def test_a_stack_by_hand() -> None:
    """|x| = ReLU(x) + ReLU(-x)."""
    stack = nn.Sequential(linear([[1], [-1]]), nn.ReLU(), linear([[1, 1]]))
    (absolute,) = tropical_of_network(integer_network(stack))
    x = TropicalRational(TropicalPolynomial.variable(1, 0))
    assert absolute.equals(x + x**-1)


def test_one_layer_for_a_map_and_all_floors_behind_it() -> None:
    stack = nn.Sequential(linear([[1, 2]]), nn.Sequential(nn.ReLU(), nn.Identity(), nn.Threshold(0.5, 0.5), nn.ReLU()))
    (layer,) = integer_network(stack)
    assert layer.threshold.tolist() == [0.5]
    floored = nn.Sequential(IntegerLayer([[1], [1]], threshold=[-1, 2]), nn.ReLU())
    assert [layer.threshold.tolist() for layer in integer_network(floored)] == [[0, 2]]


def test_a_floor_may_come_first() -> None:
    stack = nn.Sequential(nn.ReLU(), linear([[1, -1]], [0.5]))
    x = eighths(50, 2)
    expected = np.maximum(x, 0) @ [1, -1] + 0.5
    assert np.array_equal(integer_network(stack)(torch.from_numpy(x)).numpy()[:, 0], expected)
    assert [layer.threshold.tolist() for layer in integer_network(stack)] == [[0, 0], [-INF]]


def test_a_single_layer_and_other_dtypes() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        (function,) = tropical_of_network(integer_network(linear([[3, 0]], [0.5], dtype)))
        assert function([[2.0, 9.0]]).tolist() == [6.5]


def test_stacks_are_parts_of_compositions() -> None:
    ramp = nn.Sequential(linear([[1]]), nn.ReLU())
    whole = compose_networks(Poset.chain(2), [integer_network(ramp)] * 2)
    x = eighths(60, 2)
    expected = poset_polynomial(Poset.chain(2))(x)
    assert np.array_equal(whole(torch.from_numpy(x)).numpy()[:, 0], expected)


# --- functions to stacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 3, 1), (2, 3, 2), (3, 2, 2, 1), (2, 4, 4, 4, 2)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_stacks_of_random_networks_compute_the_same(sizes: tuple[int, ...], seed: int) -> None:
    network = random_network(sizes, seed)
    stack = linear_network(network, torch.float64)
    assert {type(part) for part in stack} <= {nn.Linear, nn.ReLU}
    x = torch.from_numpy(eighths(200, sizes[0], seed))
    with torch.no_grad():
        assert torch.equal(stack(x), network(x))
        assert torch.equal(integer_network(stack)(x), network(x))


def test_a_rational_function_becomes_a_stack_that_learns() -> None:
    f = TropicalRational(TropicalPolynomial([[0, 0], [2, 1]], [1.5, 0]), TropicalPolynomial([[1, 0], [0, 1]]))
    stack = linear_network(network_of_tropical(f))
    x = torch.from_numpy(eighths(100, 2)).float()
    np.testing.assert_array_equal(stack(x).detach().numpy()[:, 0], f(x.numpy()))
    assert tropical_of_network(integer_network(stack))[0].equals(f)
    stack(x).sum().backward()
    assert all(weight.grad is not None for weight in stack.parameters())


def test_from_every_poset_on_four_points_to_a_stack_and_back() -> None:
    for poset in all_posets(4):
        (function,) = tropical_of_network(integer_network(linear_network(poset_network(poset))))
        assert poset_of_polynomial(function.polynomial()) == poset


def test_no_more_layers_than_needed() -> None:
    relu = IntegerLayer([[1, -1]], [0.5])
    assert [type(part) for part in linear_network(relu)] == [nn.Linear, nn.ReLU]
    lines = nn.Sequential(*(IntegerLayer([[2]], threshold=-INF) for _ in range(3)))
    (line,) = linear_network(lines)
    assert line.weight.item() == 8
    # What passes a layer unchanged, and cannot be negative, needs one ReLU there; what can be needs two.
    passing = nn.Sequential(IntegerLayer([[1], [-1]]), IntegerLayer([[1, 0], [1, 1]], threshold=[-INF, 2]))
    assert [part.out_features for part in linear_network(passing) if isinstance(part, nn.Linear)] == [2, 2, 2]
    signed = IntegerLayer([[1], [1]], threshold=[-INF, 2])
    assert [part.out_features for part in linear_network(signed) if isinstance(part, nn.Linear)] == [3, 2]


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            nn.Sequential(linear([[1, 2]]), nn.ReLU(), linear([[1], [0.5]])),
            "the Linear '2' must have integer weights, but 1 of 2 are not: weight[1, 0] is 0.5",
        ),
        (linear([[float("nan")]]), "the Linear must have integer weights, but 1 of 1 are not: weight[0, 0] is nan"),
        (linear([[1e30]]), "weight[0, 0] is 1e+30"),
        (linear([[1]], [INF]), "the Linear must have a finite bias, got [inf]"),
        (
            nn.Sequential(linear([[1], [1]]), nn.ReLU(), nn.Sequential(linear([[1, 1, 1]]))),
            "layer 1 has 2 outputs, but layer 2 has 3 inputs",
        ),
        (nn.Sequential(nn.ReLU(), nn.ReLU()), "must have a linear map, since a ReLU does not say how many inputs"),
        (nn.Sequential(nn.Identity()), "must have at least one layer, got none"),
        (
            nn.Sequential(linear([[1]]), nn.Threshold(1.0, 20.0)),
            "the Threshold '1' must have a value equal to its threshold and finite, as max(x, t) has; got threshold "
            "1.0 and value 20.0",
        ),
    ],
)
def test_stacks_that_are_none(network: nn.Module, said: str) -> None:
    for read in (integer_network, linear_network):
        with pytest.raises(ArgumentError, match=re.escape(said)):
            read(network)


def test_modules_that_are_not_read() -> None:
    nested = nn.Sequential(linear([[1]]), nn.Sequential(nn.LeakyReLU()))
    with pytest.raises(ArgumentTypeError, match=r"network must be made of Linear, ReLU, .*, got the LeakyReLU '1\.0'"):
        integer_network(nested)
    with pytest.raises(ArgumentTypeError, match="network must be a Module, got 3"):
        integer_network(3)  # type: ignore[arg-type]


def test_dtypes_that_do_not_hold_the_weights() -> None:
    network = nn.Sequential(IntegerLayer([[2**13 + 1]]), IntegerLayer([[3]]))
    with pytest.raises(ArgumentError, match=r"dtype must hold the weights of layer 1, up to 8,193, got torch\.float16"):
        linear_network(network, torch.float16)
    with pytest.raises(ArgumentTypeError, match=r"dtype must be a floating-point type, got torch\.int64"):
        linear_network(network, torch.int64)
