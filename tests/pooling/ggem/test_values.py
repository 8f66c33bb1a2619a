"""Values of generalised mean pooling against closed forms, torch's own pooling and the formula in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling import GeM, GGeM, ggem_pool, token_weights

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def positive(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).add(0.05).to(dtype)


def by_the_formula(x: Tensor, p: float, eps: float = 1e-6) -> Tensor:
    return x.clamp_min(eps).pow(p).mean(1).pow(1 / p)


# --- closed forms -------------------------------------------------------------------------------------------------


def test_one_is_the_mean_of_the_clamped_values() -> None:
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    torch.testing.assert_close(ggem_pool(x, 1.0), x.clamp_min(1e-6).mean(1), **EXACT)
    assert not torch.allclose(ggem_pool(x, 1.0), x.mean(1), atol=0.1)


def test_two_is_the_root_mean_square() -> None:
    x = positive(3, 7, 4)
    torch.testing.assert_close(ggem_pool(x, 2.0), x.square().mean(1).sqrt(), **EXACT)


def test_zero_is_the_geometric_mean_of_scipy() -> None:
    x = positive(3, 7, 4)
    expected = torch.from_numpy(stats.gmean(x.numpy(), axis=1))
    torch.testing.assert_close(ggem_pool(x, 0.0, allow_negative_p=True), expected, **EXACT)


@pytest.mark.parametrize("p", [-30.0, -1.0, 0.01, 0.5, 3.0, 7.3])
def test_any_other_is_the_power_mean_of_scipy(p: float) -> None:
    x = positive(3, 7, 4)
    expected = torch.from_numpy(stats.pmean(x.numpy(), p, axis=1))
    torch.testing.assert_close(ggem_pool(x, p, allow_negative_p=True), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_infinite_exponents_are_exactly_maximum_and_minimum(dtype: torch.dtype) -> None:
    x = positive(3, 7, 4, dtype=dtype)
    assert torch.equal(ggem_pool(x, math.inf), x.amax(1))
    assert torch.equal(ggem_pool(x, -math.inf, allow_negative_p=True), x.amin(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_near_zero_the_second_order_is_followed(dtype: torch.dtype) -> None:
    """ln y = mean(ln x) + p·var(ln x)/2 + O(p²), where the formula itself divides 0 by 0 in float32."""
    x = positive(3, 50, 4)
    logs = x.log()
    for p in (1e-2, 1e-3, 2e-4, 1e-9, -4e-4, -1e-3):
        expected = (logs.mean(1) + p / 2 * logs.var(1, correction=0)).exp()
        actual = ggem_pool(x.to(dtype), p, allow_negative_p=True).double()
        torch.testing.assert_close(actual, expected, rtol=2e-4 if dtype is torch.float32 else 5e-5, atol=0)


@given(
    values=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9),
    exponents=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
)
@settings(max_examples=60, deadline=None)
def test_the_mean_grows_with_the_exponent_and_stays_between_minimum_and_maximum(
    values: list[float], exponents: tuple[float, float]
) -> None:
    x = torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1)
    low, high = (float(ggem_pool(x, p, allow_negative_p=True)) for p in sorted(exponents))
    assert low <= high * (1 + 1e-9)
    assert min(values) * (1 - 1e-9) <= low
    assert high <= max(values) * (1 + 1e-9)


def test_scaling_scales_and_copies_change_nothing() -> None:
    x = positive(2, 5, 3)
    torch.testing.assert_close(ggem_pool(4 * x, 3.0), 4 * ggem_pool(x, 3.0), **EXACT)
    torch.testing.assert_close(ggem_pool(torch.cat([x, x], 1), 3.0), ggem_pool(x, 3.0), **EXACT)
    torch.testing.assert_close(ggem_pool(x.flip(1), 3.0), ggem_pool(x, 3.0), **EXACT)


# --- other people's pooling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, 3, 5.5])
def test_maps_against_torchs_lp_pooling(p: float) -> None:
    """``LPPool2d`` sums where a mean divides by the number of pixels."""
    x = positive(2, 3, 4, 6)
    expected = nn.LPPool2d(p, (4, 6))(x).flatten(1) * 24 ** (-1 / p)
    torch.testing.assert_close(GeM(p).double()(x), expected, **EXACT)


def test_gem_against_the_usual_one_liner() -> None:
    x = torch.randn(2, 3, 4, 6)
    expected = F.avg_pool2d(x.clamp(min=1e-6).pow(3.0), (4, 6)).pow(1 / 3.0).flatten(1)
    torch.testing.assert_close(GeM()(x), expected, rtol=1e-5, atol=1e-6)


# --- groups, layouts, masks ---------------------------------------------------------------------------------------


def test_groups_are_a_loop_over_contiguous_channels() -> None:
    x, p = positive(2, 5, 12), (0.5, 1.0, 3.0, 20.0)
    parts = [GeM(each).double()(part) for each, part in zip(p, x.chunk(4, dim=2), strict=True)]
    torch.testing.assert_close(GGeM(12, 4, p).double()(x), torch.cat(parts, dim=1), **EXACT)


def test_maps_are_tokens_laid_out() -> None:
    maps, layer = positive(2, 6, 3, 4), GGeM(6, 3, (1.0, 2.0, 5.0)).double()
    tokens = maps.flatten(2).transpose(1, 2)
    torch.testing.assert_close(layer(maps), layer(tokens), **EXACT)
    torch.testing.assert_close(layer(maps.contiguous(memory_format=torch.channels_last)), layer(tokens), **EXACT)
    torch.testing.assert_close(ggem_pool(maps.permute(0, 2, 3, 1), layer.p, dim=(1, 2)), layer(tokens), **EXACT)
    torch.testing.assert_close(ggem_pool(maps.flatten(2), layer.p, dim=-1), layer(tokens), **EXACT)


@pytest.mark.parametrize("negative", ["clamp", "relu", "shift", "signed"])
@pytest.mark.parametrize("p", [0.5, 3.0])
def test_a_masked_token_is_a_token_that_is_not_there(negative: str, p: float) -> None:
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    keep = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    dirty = x.masked_fill(~keep.unsqueeze(2), float("nan")).requires_grad_()
    layer = GeM(p, negative=negative).double()  # type: ignore[arg-type]
    pooled = layer(dirty, mask=keep)
    expected = torch.cat([layer(sample[rows].unsqueeze(0)) for sample, rows in zip(x, keep, strict=True)])
    torch.testing.assert_close(pooled, expected, **EXACT)
    gradient, slope = torch.autograd.grad(pooled.sum(), (dirty, layer.raw_p))
    assert gradient.isfinite().all()
    assert slope.isfinite().all()
    assert not gradient[~keep].any()


@pytest.mark.parametrize("p", [-math.inf, -2.0, 3e-4, math.inf])
def test_masks_with_extreme_exponents(p: float) -> None:
    x, keep = positive(2, 4, 3), torch.tensor([True, False, True, True]).expand(2, -1)
    expected = ggem_pool(x[:, [0, 2, 3]], p, allow_negative_p=True)
    torch.testing.assert_close(ggem_pool(x, p, keep, allow_negative_p=True), expected, **EXACT)


def test_a_mask_of_a_map_has_its_shape() -> None:
    maps = positive(2, 3, 4, 5)
    keep = torch.zeros(2, 4, 5, dtype=torch.bool)
    keep[:, 1:3, 2:] = True
    torch.testing.assert_close(ggem_pool(maps, 3.0, keep), ggem_pool(maps[:, :, 1:3, 2:], 3.0), **EXACT)


# --- negative values ----------------------------------------------------------------------------------------------


def test_relu_pools_the_positive_part_plus_epsilon() -> None:
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    actual = ggem_pool(x, 3.0, eps=0.1, negative="relu")
    torch.testing.assert_close(actual, (x.relu() + 0.1).pow(3).mean(1).pow(1 / 3), **EXACT)


def test_shift_follows_a_shift_of_the_input_and_has_the_mean() -> None:
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    torch.testing.assert_close(ggem_pool(x, 1.0, negative="shift"), x.mean(1), **EXACT)
    for move in (-5.0, 20.0):
        torch.testing.assert_close(
            ggem_pool(x + move, 3.0, negative="shift"), ggem_pool(x, 3.0, negative="shift") + move, rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("p", [1.0, 3.0, 5.0])
def test_signed_is_the_odd_root_of_the_mean_odd_power(p: float) -> None:
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    mean = x.pow(p).mean(1)
    torch.testing.assert_close(
        ggem_pool(x, p, negative="signed"), mean.sign() * mean.abs().pow(1 / p), rtol=1e-9, atol=1e-9
    )


def test_signed_values_that_cancel_give_zero_and_a_finite_gradient() -> None:
    x = torch.tensor([[[2.0], [-2.0]]], requires_grad=True)
    pooled = ggem_pool(x, 3.0, negative="signed")
    assert pooled.item() == 0
    (gradient,) = torch.autograd.grad(pooled.sum(), x)
    assert gradient.isfinite().all()
    assert (gradient > 0).all()


@pytest.mark.parametrize("negative", ["clamp", "shift", "signed"])
def test_all_ways_agree_where_nothing_is_negative(negative: str) -> None:
    """``shift`` where the smallest value is 0."""
    x = positive(2, 5, 3)
    x[:, 0] = 0
    expected = by_the_formula(x, 3.0)
    torch.testing.assert_close(ggem_pool(x, 3.0, negative=negative), expected, rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


# --- range and precision ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.3, 3.0, 60.0])
def test_half_precision_errs_by_its_own_rounding_only(dtype: torch.dtype, p: float) -> None:
    """Powers of these values lie far outside of the formats; the pooled value differs by one rounding."""
    x = (100 * positive(2, 196, 8)).to(dtype)
    expected = torch.from_numpy(stats.pmean(x.double().numpy(), p, axis=1))
    distance = ((ggem_pool(x, p).double() - expected) / expected).abs().max()
    assert distance <= torch.finfo(dtype).eps / 2 + 1e-5


def test_autocast_changes_nothing() -> None:
    x, layer = torch.randn(2, 9, 4), GGeM(4, 2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer(x)
    assert torch.equal(inside, layer(x))


@pytest.mark.parametrize("p", [1e4, 1e6, 1e9, 1e20])
def test_huge_exponents_in_float32_stay_at_the_maximum(p: float) -> None:
    x = positive(2, 50, 4, dtype=torch.float32).requires_grad_()
    exponent = torch.tensor(p, requires_grad=True)
    pooled = ggem_pool(x, exponent)
    torch.testing.assert_close(pooled, x.amax(1), rtol=1e-3, atol=0)
    gradients = torch.autograd.grad(pooled.sum(), (x, exponent))
    assert all(gradient.isfinite().all() for gradient in gradients)
    torch.testing.assert_close(gradients[0].sum((0, 1)), torch.full((4,), 2.0), rtol=1e-2, atol=0)


@pytest.mark.parametrize("scale", [1e-5, 1e10, 1e25])
def test_extreme_values_in_float32_neither_over_nor_underflow(scale: float) -> None:
    x = scale * positive(2, 9, 4, dtype=torch.float32)
    expected = scale * ggem_pool(x.double() / scale, 3.0, eps=1e-12)
    torch.testing.assert_close(ggem_pool(x, 3.0, eps=1e-12).double(), expected, rtol=1e-5, atol=0)


def test_one_token_and_no_sample() -> None:
    x = positive(3, 1, 4)
    for p in (0.2, 3.0, math.inf):
        torch.testing.assert_close(ggem_pool(x, p), x[:, 0], **EXACT)
    assert ggem_pool(x[:0], 3.0).shape == (0, 4)


# --- token weights ------------------------------------------------------------------------------------------------


def test_token_weights_are_the_gradient_averaged_over_a_group() -> None:
    x = torch.randn(2, 6, 8, dtype=torch.float64, requires_grad=True)
    p = torch.tensor([1.0, 4.0], dtype=torch.float64)
    keep = torch.ones(2, 6, dtype=torch.bool)
    keep[0, 2] = False
    (gradient,) = torch.autograd.grad(ggem_pool(x, p, keep).sum(), x)
    expected = gradient.reshape(2, 6, 2, 4).mean(3)
    torch.testing.assert_close(token_weights(x, p, keep), expected, **EXACT)


def test_token_weights_of_a_map_lie_as_the_map() -> None:
    maps = positive(2, 4, 3, 5)
    p = torch.tensor([2.0, 3.0])
    weights = token_weights(maps, p)
    assert weights.shape == (2, 2, 3, 5)
    pooled = ggem_pool(maps, p)[:, :2, None, None]
    by_hand = (maps[:, :2] / pooled).pow(1.0).mean(1) / 15  # (x/y)^(p-1)/N of the first group
    torch.testing.assert_close(weights[:, 0], by_hand, **EXACT)
    torch.testing.assert_close(token_weights(maps.movedim(1, 3), p, dim=(1, 2)), weights.movedim(1, 3), **EXACT)


# --- the layers ---------------------------------------------------------------------------------------------------


def test_softplus_starts_where_it_is_told_and_stays_above_one() -> None:
    layer = GGeM(4, 4, (1.001, 1.5, 3.0, 200.0), parametrization="softplus")
    torch.testing.assert_close(layer.p, torch.tensor([1.001, 1.5, 3.0, 200.0]), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        layer.raw_p.fill_(-50.0)
    assert (layer.p >= 1).all()
    with pytest.raises(ArgumentError, match="above 1"):
        GGeM(4, 1, 1.0, parametrization="softplus")


def test_a_fixed_exponent_is_kept_in_the_state_but_not_learned() -> None:
    fixed = GGeM(4, 2, (2.0, 5.0), learn_p=False)
    assert not list(fixed.parameters())
    other = GGeM(4, 2, learn_p=False)
    other.load_state_dict(fixed.state_dict())
    assert other.p.tolist() == [2.0, 5.0]


def test_learning_can_find_the_exponent() -> None:
    """The exponent that made the targets is the only minimum."""
    x = positive(64, 20, 2)
    layer, targets = GeM(3.0).double(), by_the_formula(x, 4.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(120):
        optimizer.zero_grad()
        F.mse_loss(layer(x), targets).backward()
        optimizer.step()
    assert layer.p.item() == pytest.approx(4.0, abs=0.01)


def test_numpy_and_torch_agree_on_what_a_group_is() -> None:
    """Channel c belongs to group ⌊c·G/D⌋."""
    x, p = positive(1, 5, 6), np.array([1.0, 2.0, 3.0])
    each = p[np.arange(6) * 3 // 6]
    expected = np.array([stats.pmean(x[0, :, c].numpy(), each[c]) for c in range(6)])
    assert ggem_pool(x, torch.from_numpy(p))[0].numpy() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("p", [0.0, 5e-4, 1.0, 3.0, torch.inf])
def test_an_infinite_token_makes_the_mean_infinite(p: float) -> None:
    """As in the formula; the other channel is what it is without the infinity."""
    x = torch.tensor([[[1.0, 2.0], [torch.inf, 4.0], [3.0, 1.0]]])
    pooled = ggem_pool(x, p, allow_negative_p=True)
    assert pooled[0, 0] == torch.inf
    assert torch.equal(pooled[:, 1], ggem_pool(x[..., 1:], p, allow_negative_p=True)[:, 0])
    without = ggem_pool(x, p, torch.tensor([[True, False, True]]), allow_negative_p=True)
    torch.testing.assert_close(without, ggem_pool(x[:, [0, 2]], p, allow_negative_p=True))


def test_an_infinite_token_does_not_count_below_zero() -> None:
    """inf to a negative power is 0: two of three tokens are summed, and three divide."""
    x = torch.tensor([[[1.0], [torch.inf], [3.0]]], dtype=torch.float64)
    expected = ((1.0**-2 + 3.0**-2) / 3) ** -0.5
    assert ggem_pool(x, -2.0, allow_negative_p=True).item() == pytest.approx(expected, rel=1e-12)
    assert ggem_pool(x, -torch.inf, allow_negative_p=True).item() == 1.0
    assert ggem_pool(x[:, 1:2], -2.0, allow_negative_p=True).item() == torch.inf


def test_a_dimension_counted_from_the_end_is_the_same() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(ggem_pool(x, dim=(-2, -1)), ggem_pool(x))
    assert torch.equal(ggem_pool(x[0], dim=-2), ggem_pool(x[0]))


def test_exponents_may_be_numpys_or_torchs() -> None:
    for p in ((1.0, 2.5), np.array([1.0, 2.5], np.float32), torch.tensor([1.0, 2.5])):
        assert GGeM(4, 2, p).p.tolist() == [1.0, 2.5]  # type: ignore[arg-type]
    assert GGeM(4, 2, np.float32(2.5)).p.tolist() == [2.5, 2.5]  # type: ignore[arg-type]
