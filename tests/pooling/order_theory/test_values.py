"""Values of the filters against brute force, a linear program, closed forms and identities of order polytopes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import Poset, PosetPool2d, poset_pool2d

from .brute_force import (
    CLOSED_FORMS,
    SIXTEEN,
    Floats,
    Order,
    Pair,
    all_labelled_orders,
    best,
    linear_program,
    order,
    windows_of,
)

INDICES = range(16)
GRID = Poset(9, [(3 * r + c, 3 * r + c + 1) for r in range(3) for c in range(2)] + [(p, p + 3) for p in range(6)])


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape)


def filter_values(windows: Floats, poset: Poset | int | str) -> Floats:
    """The filter on (N, 4) windows, each an image of its own."""
    return poset_pool2d(torch.from_numpy(windows).reshape(-1, 1, 2, 2), poset, stride=1).numpy().ravel()


@pytest.mark.parametrize("index", INDICES)
def test_the_sixteen_equal_brute_force_linear_program_and_closed_form(index: int) -> None:
    x = normal(2, 3, 7, 9, seed=index)  # odd sizes: the last windows stick out
    out = poset_pool2d(torch.from_numpy(x).requires_grad_(), index).detach().numpy()
    windows = windows_of(x, (2, 2), (2, 2))
    assert out.shape == (2, 3, 4, 5)
    np.testing.assert_allclose(out, best(windows, SIXTEEN[index])[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(out, linear_program(windows, SIXTEEN[index]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(out, CLOSED_FORMS[index](*np.moveaxis(windows, -1, 0)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", INDICES)
def test_the_sixteen_in_overlapping_windows_over_padding(index: int) -> None:
    x = normal(1, 2, 4, 5, seed=index)
    out = poset_pool2d(torch.from_numpy(x), index, stride=1, padding=1).numpy()
    windows = windows_of(x, (2, 2), (1, 1), (1, 1))
    assert out.shape == (1, 2, 5, 6)
    np.testing.assert_allclose(out, best(windows, SIXTEEN[index])[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(out, linear_program(windows, SIXTEEN[index]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "poset"),
    [
        ((3, 3), (2, 2), (1, 1), GRID),
        ((3, 3), (1, 1), (0, 1), GRID),
        ((3, 3), (3, 2), (0, 0), Poset.chain(9)),
        ((3, 3), (2, 2), (1, 1), Poset.antichain(9)),
        ((1, 4), (1, 4), (0, 2), Poset(4, order("12", "32", "34"))),
        ((4, 1), (3, 1), (2, 0), Poset(4, order("13", "14", "23", "24"))),
        ((2, 3), (3, 2), (1, 1), Poset.from_hasse("1<2<3, 4>5>6, 1<4")),
        ((2, 2), (2, 2), (1, 0), Poset(4, SIXTEEN[12])),
        ((2, 2), (3, 5), (0, 1), Poset(4, SIXTEEN[14])),
        ((1, 1), (2, 1), (0, 0), Poset(1)),
    ],
)
def test_any_window(kernel: Pair, stride: Pair, padding: Pair, poset: Poset, ceil_mode: bool) -> None:
    x = normal(2, 2, 6, 7)
    layer = PosetPool2d(poset, kernel, stride, padding, ceil_mode=ceil_mode)
    out = layer(torch.from_numpy(x).requires_grad_()).detach().numpy()
    windows = windows_of(x, kernel, stride, padding, ceil_mode=ceil_mode)
    np.testing.assert_allclose(out, best(windows, poset.covers)[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(out, linear_program(windows, poset.covers), rtol=0, atol=1e-12)


def test_maps_have_the_size_that_torch_gives_its_poolings() -> None:
    checked = 0
    for kernel, stride, size, ceil_mode in itertools.product((2, 3, 4), (1, 2, 5), range(1, 8), (True, False)):
        for padding in range(kernel // 2 + 1):
            x = torch.zeros(1, 1, size, size, dtype=torch.float16)  # has no kernel, which would have to be compiled
            try:
                expected = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode).shape
            except RuntimeError:  # torch's way of saying that the map is too small
                with pytest.raises(ArgumentError, match=rf"^x has height {size}, too small for kernel_size "):
                    poset_pool2d(x, "chain", kernel, stride, padding, ceil_mode=ceil_mode)
                continue
            assert poset_pool2d(x, "chain", kernel, stride, padding, ceil_mode=ceil_mode).shape == expected
            checked += 1
    assert checked > 250


# --- identities ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", INDICES)
def test_after_a_relu_every_filter_is_sum_pooling(index: int) -> None:
    """In value and in the gradient at the ReLU's input: exactly, since eighths add up without rounding."""
    x = torch.randint(-40, 41, (2, 3, 7, 8), generator=torch.Generator().manual_seed(index)).double() / 8

    def pooled_and_gradient(pool: str) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x.clone().requires_grad_()
        active = torch.relu(leaf)
        if pool == "poset":
            out = poset_pool2d(active, index)
        else:
            out = F.avg_pool2d(active, 2, ceil_mode=True, divisor_override=1)
        weights = torch.arange(1.0, out.numel() + 1, dtype=torch.float64).reshape(out.shape)
        (flow,) = torch.autograd.grad((out * weights).sum(), leaf)
        return out, flow

    for ours, torchs in zip(pooled_and_gradient("poset"), pooled_and_gradient("sum"), strict=True):
        assert torch.equal(ours, torchs)


@pytest.mark.parametrize("index", INDICES)
def test_the_dual_order_reflects_the_filter(index: int) -> None:
    """The complements of up-sets are the up-sets of the dual: f_P*(x) = Σ x_i + f_P(-x)."""
    windows = normal(200, 4, seed=index)
    dual = Poset(4, [(b, a) for a, b in SIXTEEN[index]])
    expected = windows.sum(-1) + filter_values(-windows, index)
    np.testing.assert_allclose(filter_values(windows, dual), expected, rtol=0, atol=1e-12)


def test_the_filters_of_all_labelled_orders_are_ordered_as_the_orders_are() -> None:
    """219 distinct filters; f_Q ≤ f_P everywhere exactly if Q has all relations of P.

    The sixteen windows of ones and minus ones decide: f_P is the number of ones if and only if they are an up-set.
    """
    orders = all_labelled_orders()
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    windows = np.concatenate([signs, normal(50, 4)])
    values = np.array([filter_values(windows, Poset(4, relations)) for relations in orders])
    assert len(np.unique(values[:, : len(signs)], axis=0)) == 219
    below = (values[:, None] <= values[None] + 1e-12).all(-1)
    extends = np.array([[q >= p for p in orders] for q in orders])
    assert np.array_equal(below, extends)


@pytest.mark.parametrize("placement", list(itertools.permutations(range(4))))
def test_point_i_stands_at_window_position_placement_i(placement: tuple[int, ...]) -> None:
    windows = normal(40, 4)
    relations: Order = frozenset((placement[a], placement[b]) for a, b in SIXTEEN[12])
    x = torch.from_numpy(windows).reshape(-1, 1, 2, 2)
    expected = best(windows, relations)[0]
    for out in (poset_pool2d(x, "N", stride=1, placement=placement), PosetPool2d("N", 2, 1, placement=placement)(x)):
        np.testing.assert_allclose(out.numpy().ravel(), expected, rtol=0, atol=1e-12)


def test_scale_is_a_factor() -> None:
    x = torch.from_numpy(normal(1, 1, 4, 4))
    plain = poset_pool2d(x, "diamond", stride=1)
    assert torch.equal(poset_pool2d(x, "diamond", stride=1, scale=0.25), plain / 4)
    assert torch.equal(PosetPool2d("diamond", stride=1, scale=0.25)(x), plain / 4)


# --- special values -----------------------------------------------------------------------------------------------

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("stride", [2, 1])  # the kernel, and the path of every other window
@pytest.mark.parametrize(
    ("poset", "window", "expected"),
    [
        ("antichain", (NAN, -1, -1, -1), NAN),
        ("chain", (-1, NAN, -1, -9), NAN),
        ("N", (-1, -1, NAN, -1), NAN),
        ("N", (5, 5, 5, NAN), NAN),
        ("N", (NAN, INF, 0, 0), NAN),
        ("antichain", (INF, -INF, 0, 0), NAN),
        ("chain", (INF, 0, 0, -INF), NAN),
        ("antichain", (INF, -1, -2, -3), INF),
        ("chain", (INF, -1, -2, -3), INF),
        ("N", (1, INF, INF, 1), INF),
        ("antichain", (-INF, 1, -1, 2), 3),
        ("chain", (1, 2, 3, -INF), 0),
        ("N", (-INF, 1, 2, 3), 6),
        ("N", (-INF, -INF, -INF, -INF), 0),
    ],
)
def test_nan_and_infinities(stride: int, poset: str, window: tuple[float, ...], expected: float) -> None:
    x = torch.tensor(window, dtype=torch.float64).reshape(1, 1, 2, 2).requires_grad_()
    out = poset_pool2d(x, poset, stride=stride)
    np.testing.assert_equal(out.item(), expected)
    if expected != expected:
        (flow,) = torch.autograd.grad(out, x)
        assert flow.tolist() == [[[[1, 1], [1, 1]]]]  # the whole window made the NaN


def test_one_nan_spoils_its_own_window_only() -> None:
    x = torch.from_numpy(normal(1, 2, 6, 6)).requires_grad_()
    spoiled = x.detach().clone()
    spoiled[0, 1, 2, 5] = NAN
    changed = poset_pool2d(x, "N").ne(poset_pool2d(spoiled.requires_grad_(), "N"))
    assert changed.nonzero().tolist() == [[0, 1, 1, 2]]
