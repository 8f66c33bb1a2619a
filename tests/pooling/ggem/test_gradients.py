"""Gradients of generalised mean pooling against differences and the formulas of the paper's setting."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from cenote.pooling import GGeM, ggem_pool
from cenote.pooling.ggem.power_mean import NEAR_ZERO

KEEP = torch.tensor([[True, True, False, True], [False, True, False, False]])


def inputs(p: list[float]) -> tuple[Tensor, Tensor]:
    x = torch.rand(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).add(0.1)
    return x.requires_grad_(), torch.tensor(p, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("p", [[3.0, 1.0], [0.3, 40.0], [-2.0, 6e-4], [-6e-4, 1.5]])
@pytest.mark.parametrize("keep", [None, KEEP], ids=["all", "masked"])
def test_first_and_second_derivatives_equal_differences(p: list[float], keep: Tensor | None) -> None:
    x, exponents = inputs(p)

    def pooled(x: Tensor, p: Tensor) -> Tensor:
        return ggem_pool(x, p, keep, allow_negative_p=True)

    assert gradcheck(pooled, (x, exponents), atol=1e-6)
    # Near 0 the slope is a difference over 1e-3: a step has to be larger than rounding over that.
    assert gradgradcheck(pooled, (x, exponents), eps=1e-4, atol=1e-4)


@pytest.mark.parametrize("negative", ["clamp", "relu", "shift", "signed"])
def test_derivatives_of_every_way_of_treating_negatives(negative: str) -> None:
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([1.7, 3.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x, p: ggem_pool(x, p, eps=1e-3, negative=negative), (x, p), atol=1e-5)  # type: ignore[arg-type]


def test_the_gradients_are_those_of_the_formulas() -> None:
    """∂y/∂x_i = (1/N)(x_i/y)^{p-1}, and ∂y/∂p = y·[Σ x^p ln x / (p Σ x^p) - ln(mean x^p) / p²]."""
    x, p = inputs([0.7, 5.0])
    y = ggem_pool(x, p)
    to_x, to_p = torch.autograd.grad(y.sum(), (x, p))
    each = p.repeat_interleave(2).detach()
    powers = x.detach() ** each
    torch.testing.assert_close(to_x, (x / y.unsqueeze(1)).pow(each - 1).detach() / 4, rtol=1e-12, atol=0)
    slope = y * ((powers * x.log()).sum(1) / (each * powers.sum(1)) - powers.mean(1).log() / each**2)
    torch.testing.assert_close(to_p, slope.detach().sum(0).reshape(2, 2).sum(1), rtol=1e-9, atol=0)
    assert (slope > 0).all()


def test_the_slope_in_the_exponent_is_zero_only_where_all_tokens_agree() -> None:
    x, p = torch.full((1, 5, 2), 0.7, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ggem_pool(x, p).sum(), p)
    assert slope.item() == pytest.approx(0.0, abs=1e-15)


def test_at_zero_the_slope_is_half_the_variance_of_the_logarithms() -> None:
    x, p = inputs([0.0, NEAR_ZERO / 2])
    y = ggem_pool(x, p, allow_negative_p=True)
    (slope,) = torch.autograd.grad(y.sum(), p)
    expected = (y * x.log().var(1, correction=0) / 2).detach().sum(0).reshape(2, 2).sum(1)
    torch.testing.assert_close(slope, expected, rtol=2e-3, atol=0)


@pytest.mark.parametrize("p", [0.1, 0.5, 3.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_at_the_floor(p: float, dtype: torch.dtype) -> None:
    """x^{p-1} is largest there for p < 1; values below the floor get no gradient at all."""
    eps = 2.0**-20
    x = torch.tensor([[[-3.0], [eps], [2 * eps], [1.0]]], dtype=dtype, requires_grad=True)
    exponent = torch.tensor(p, requires_grad=True)
    to_x, to_p = torch.autograd.grad(ggem_pool(x, exponent, eps=eps).sum(), (x, exponent))
    assert to_x.isfinite().all()
    assert to_p.isfinite()
    assert to_x[0, 0] == 0
    assert (to_x[0, 1:] > 0).all() or p > 1


def test_infinite_exponents_share_the_gradient_among_ties() -> None:
    x = torch.tensor([[[2.0], [5.0], [5.0], [1.0]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(ggem_pool(x, torch.inf).sum(), x)
    assert gradient.flatten().tolist() == [0.0, 0.5, 0.5, 0.0]


def test_only_the_input_is_kept_for_the_backward_pass() -> None:
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    layer, x = GGeM(32, 4), torch.randn(2, 64, 32, dtype=torch.bfloat16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(x)
    assert max(kept) == x.numel() * 2
    assert sum(kept) < 1.2 * x.numel() * 2


def test_func_transforms_see_the_same_gradient() -> None:
    x = torch.rand(2, 4, 3)
    expected = torch.autograd.grad(ggem_pool(leaf := x.clone().requires_grad_(), 3.0).sum(), leaf)[0]
    assert torch.equal(torch.func.grad(lambda x: ggem_pool(x, 3.0).sum())(x), expected)
