"""Gradients against the brute-force maximiser, the rule for ties, and numerical derivatives of both orders."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cenote.pooling.order_theory import Poset, poset_pool2d

from .brute_force import SIXTEEN, Floats, Pair, best, gradient, windows_of

INDICES = range(16)
TIES = np.array(list(itertools.product((-2.0, -1.0, 0.0, 1.0, 2.0), repeat=4)))
"""All windows of five small integers: 625, most with several up-sets of the largest sum, the zero window among them."""


def flow(x: Tensor, upstream: Tensor, pool: Callable[[Tensor], Tensor]) -> Floats:
    leaf = x.detach().requires_grad_()  # keeps the layout
    out = pool(leaf)
    (grad,) = torch.autograd.grad(out, leaf, upstream.reshape(out.shape))
    return grad.numpy()


@pytest.mark.parametrize("index", INDICES)
def test_off_ties_the_gradient_goes_to_the_members_of_the_best_up_set(index: int) -> None:
    rng = np.random.default_rng(index)
    x, upstream = rng.standard_normal((2, 3, 7, 8)), rng.standard_normal((2, 3, 4, 4))
    grad = flow(torch.from_numpy(x), torch.from_numpy(upstream), lambda x: poset_pool2d(x, index))
    assert np.array_equal(grad, gradient(x, SIXTEEN[index], (2, 2), (2, 2), (0, 0), upstream))


@pytest.mark.parametrize("index", INDICES)
def test_on_ties_the_fewest_points_win_then_the_lexicographically_first(index: int) -> None:
    value, members = best(TIES, SIXTEEN[index])
    assert members[(TIES == 0).all(-1)].tolist() == [[0, 0, 0, 0]]
    images = torch.from_numpy(TIES).reshape(-1, 1, 2, 2)
    side_by_side = images.permute(1, 2, 0, 3).reshape(1, 1, 2, -1)
    ones = torch.ones(len(TIES), dtype=torch.float64)
    kernel = flow(side_by_side, ones, lambda x: poset_pool2d(x, index)).reshape(2, -1, 2).transpose(1, 0, 2)
    general = flow(images, ones, lambda x: poset_pool2d(x, index, stride=1))
    assert np.array_equal(kernel.reshape(-1, 4), members)
    assert np.array_equal(general.reshape(-1, 4), members)
    assert np.array_equal(poset_pool2d(images, index, stride=1).numpy().ravel(), value)


def test_ties_in_channels_last() -> None:
    _, members = best(TIES, SIXTEEN[12])
    x = torch.from_numpy(TIES).float().reshape(1, -1, 2, 2).contiguous(memory_format=torch.channels_last)
    grad = flow(x, torch.ones(1, len(TIES), 1, 1), lambda x: poset_pool2d(x, "N"))
    assert np.array_equal(grad.reshape(-1, 4), members)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "poset"),
    [
        ((2, 2), (1, 1), (0, 0), Poset(4, SIXTEEN[12])),
        ((2, 2), (2, 2), (1, 1), Poset(4, SIXTEEN[9])),
        ((3, 3), (2, 2), (1, 1), Poset.from_hasse("1<5<9, 3<5<7, 2<8, 4, 6")),
        ((1, 4), (1, 2), (0, 2), Poset(4, SIXTEEN[14])),
        ((4, 4), (4, 4), (0, 0), Poset.chain(16)),
        ((2, 8), (2, 8), (0, 0), Poset(16, [(i, i + 8) for i in range(8)] + [(i, i + 1) for i in range(7)])),
    ],
)
def test_ties_over_padding_in_overlapping_and_in_large_windows(
    kernel: Pair, stride: Pair, padding: Pair, poset: Poset
) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(-1, 2, (2, 2, 8, 8)).astype(np.float64)
    upstream = rng.integers(1, 9, windows_of(x, kernel, stride, padding).shape[:4]).astype(np.float64)
    grad = flow(
        torch.from_numpy(x), torch.from_numpy(upstream), lambda x: poset_pool2d(x, poset, kernel, stride, padding)
    )
    assert np.array_equal(grad, gradient(x, poset.covers, kernel, stride, padding, upstream))


def test_rows_and_columns_that_no_window_reads_get_no_gradient() -> None:
    x = np.abs(np.random.default_rng(2).standard_normal((1, 2, 5, 7)))
    grad = flow(
        torch.from_numpy(x),
        torch.ones(1, 2, 2, 3, dtype=torch.float64),
        lambda x: poset_pool2d(x, "N", ceil_mode=False),
    )
    expected = np.ones_like(x)
    expected[:, :, 4], expected[:, :, :, 6] = 0, 0
    assert np.array_equal(grad, expected)


# --- numerical derivatives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "poset"),
    [
        pytest.param((2, 2, 4, 6), 2, None, 0, 12, id="2×2"),
        pytest.param((1, 2, 5, 3), 2, None, 0, 9, id="2×2 on odd maps"),
        pytest.param((1, 2, 4, 4), 2, 1, 0, 14, id="overlapping"),
        pytest.param((1, 2, 5, 5), 3, 2, 1, Poset.from_hasse("1<5<9, 3<5<7, 2<8, 4, 6"), id="3×3/2 over padding"),
        pytest.param((1, 2, 3, 8), (1, 4), None, 0, 13, id="1×4"),
        pytest.param((0, 2, 4, 4), 2, None, 0, 12, id="no images"),
    ],
)
def test_numerical_derivatives_of_both_orders(
    shape: tuple[int, ...], kernel: int | Pair, stride: int | None, padding: int, poset: int | Poset
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)

    def pool(x: Tensor) -> Tensor:
        return poset_pool2d(x, poset, kernel, stride, padding)

    full = x.numel() > 0  # torch's check of batches divides by the number of inputs
    assert torch.autograd.gradcheck(pool, x, check_forward_ad=True, check_batched_forward_grad=full)
    assert torch.autograd.gradgradcheck(pool, x, check_fwd_over_rev=True, check_rev_over_rev=True)
    assert torch.autograd.gradgradcheck(lambda x: pool(x) ** 3, x)


def test_second_derivatives_in_channels_last_are_those_in_nchw() -> None:
    """Exactly: products of small integers need no rounding."""
    draws = torch.Generator().manual_seed(4)
    x, direction = torch.randint(-9, 10, (2, 2, 3, 4, 6), generator=draws).float()

    def second_derivative(memory_format: torch.memory_format) -> Tensor:
        leaf = x.contiguous(memory_format=memory_format).requires_grad_()
        (first,) = torch.autograd.grad(poset_pool2d(leaf, "N").pow(3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first * direction).sum(), leaf)
        return second

    nchw, last = second_derivative(torch.contiguous_format), second_derivative(torch.channels_last)
    assert nchw.abs().sum() > 0
    assert torch.equal(nchw, last)


def test_third_derivative_of_the_cubed_filter_is_the_outer_product_of_the_up_set() -> None:
    """On its region the filter is Σ_{i∈F} x_i, so a sixth of its cube has the third derivative 1_F ⊗ 1_F ⊗ 1_F."""
    window = torch.tensor([0.5, 2.0, -1.0, 3.0], dtype=torch.float64)  # N: the best of 1<2>3<4 is {1, 2, 4}

    def sixth_of_cube(window: Tensor) -> Tensor:
        return poset_pool2d(window.reshape(1, 1, 2, 2), "N").pow(3).sum() / 6

    third = torch.autograd.functional.jacobian(
        lambda window: torch.autograd.functional.hessian(sixth_of_cube, window, create_graph=True), window
    )
    member = torch.tensor([1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(third, torch.einsum("i,j,k->ijk", member, member, member), rtol=0, atol=1e-12)


# --- torch.func ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), None), ((2, 2), 1), ((1, 4), 3)])
def test_derivatives_forwards_and_backwards_agree(kernel: Pair, stride: int | None) -> None:
    x = torch.randn(2, 2, 4, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def pool(x: Tensor) -> Tensor:
        return poset_pool2d(x, "N", kernel, stride)

    forwards, backwards = torch.func.jacfwd(pool)(x), torch.func.jacrev(pool)(x)
    assert set(forwards.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(forwards, backwards)
    value, tangent = torch.func.jvp(pool, (x,), (torch.ones_like(x),))
    assert torch.equal(value, pool(x))
    assert torch.equal(tangent, forwards.sum((-4, -3, -2, -1)))


def test_a_dual_number_carries_its_tangent() -> None:
    with torch.autograd.forward_ad.dual_level(), torch.no_grad():
        x = torch.tensor([[[[1.0, -2.0], [3.0, -1.0]]]])
        out = poset_pool2d(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)), "antichain")
        assert torch.autograd.forward_ad.unpack_dual(out).tangent.item() == 2


@pytest.mark.parametrize("dim", [0, 2, 4])
def test_vmap_is_a_loop(dim: int) -> None:
    x = torch.randn(2, 3, 4, 6, 5, generator=torch.Generator().manual_seed(6)).movedim(-1, dim)

    def slope(x: Tensor) -> Tensor:
        return torch.func.grad(lambda x: poset_pool2d(x, "N").pow(2).sum())(x)

    for function in (lambda x: poset_pool2d(x, "N"), slope):
        expected = torch.stack([function(each) for each in x.unbind(dim)])
        torch.testing.assert_close(torch.func.vmap(function, in_dims=dim)(x), expected, rtol=1e-6, atol=1e-6)
