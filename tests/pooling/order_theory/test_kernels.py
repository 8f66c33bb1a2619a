"""The compiled kernels: against the path of every other window, in other dtypes, layouts, threads and processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from cenote.pooling.order_theory import Poset, kernels, operators, poset_pool2d, sharing

from .brute_force import SIXTEEN, Order, best, windows_of

ANTICHAIN, N, CHAIN, DIAMOND = 1, 12, 13, 14
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


def exact(*shape: int, bits: int = 10, seed: int = 0) -> Tensor:
    """Signed multiples of 2^-bits, mostly within ±2; sums of a window's values are exact in float32 and float64."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x * 2**bits).round() / 2**bits


def brute_force(x: Tensor, relations: Order) -> tuple[Tensor, Tensor]:
    """Values and winning up-sets (as bit masks) of 2×2 windows, in float64."""
    values, members = best(windows_of(x.double().numpy(), (2, 2), (2, 2), ceil_mode=False), relations)
    return torch.from_numpy(values), torch.from_numpy(members @ (1, 2, 4, 8)).to(torch.uint8)


def spread(masks: Tensor, upstream: Tensor) -> Tensor:
    """Put the upstream gradient where a window's bit mask has the position."""
    out = upstream.new_zeros((*upstream.shape[:2], 2 * upstream.shape[2], 2 * upstream.shape[3]))
    for position, (row, column) in enumerate(np.ndindex(2, 2)):
        out[:, :, row::2, column::2] = torch.where(masks >> position & 1 == 1, upstream, torch.zeros_like(upstream))
    return out


# --- against the general path -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(16))
def test_the_kernel_equals_the_general_path_bit_for_bit(index: int) -> None:
    """On numbers whose sums need no rounding: the two add in different orders."""
    up_sets = Poset(4, SIXTEEN[index]).up_set_masks()
    x = exact(2, 3, 8, 10, bits=20, seed=index)
    fast, fast_masks = kernels.forward(x, up_sets, with_masks=True)
    general, general_masks = operators._choose(x, up_sets, (2, 2), (2, 2), with_masks=True)
    assert torch.equal(fast.view(torch.int64), general.view(torch.int64))
    assert torch.equal(fast_masks, general_masks)


def test_on_other_numbers_kernel_and_general_path_differ_by_rounding_only() -> None:
    up_sets = Poset(4, SIXTEEN[N]).up_set_masks()
    x = torch.randn(8, 8, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fast, fast_masks = kernels.forward(x, up_sets, with_masks=True)
    general, general_masks = operators._choose(x, up_sets, (2, 2), (2, 2), with_masks=True)
    size = torch.nn.functional.avg_pool2d(x.abs(), 2, divisor_override=1)
    assert ((fast - general).abs() <= 6 * 2**-53 * size).all()  # three additions each, half a unit of rounding apiece
    assert torch.equal(fast_masks, general_masks)


def _each_compiled(index: int) -> object:
    """A poset's two kernels take seconds to compile: those with the most and the fewest up-sets always, others slow."""
    return pytest.param(index, marks=() if index in (ANTICHAIN, N, CHAIN) else pytest.mark.slow)


@pytest.mark.parametrize("index", [_each_compiled(index) for index in range(16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_without_masks_equal_those_with_them_to_the_last_bit(index: int, dtype: torch.dtype) -> None:
    """With rounding, ties, NaN, infinities of both signs, zeros of both signs; widths around the vector's."""
    up_sets = Poset(4, SIXTEEN[index]).up_set_masks()
    bits = torch.int32 if dtype is torch.float32 else torch.int64
    for width in (2, 8, 14, 16, 18, 30, 32, 62):
        generator = torch.Generator().manual_seed(width)
        x = torch.randn(2, 3, 6, width, generator=generator, dtype=dtype)
        special = torch.tensor([0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf")], dtype=dtype)
        chosen = special[torch.randint(len(special), x.shape, generator=generator)]
        x = torch.where(torch.rand(x.shape, generator=generator) < 0.3, chosen, x)
        alone, _ = kernels.forward(x, up_sets, with_masks=False)
        beside, _ = kernels.forward(x, up_sets, with_masks=True)
        assert torch.equal(alone.isnan(), beside.isnan())
        assert torch.equal(alone.nan_to_num(7.5).view(bits), beside.nan_to_num(7.5).view(bits))


# --- dtypes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "layout", "index"),
    [
        (torch.float32, "NCHW", N),
        (torch.float32, "channels-last", N),
        (torch.bfloat16, "NCHW", DIAMOND),
        (torch.bfloat16, "channels-last", N),
        (torch.float16, "NCHW", N),
        (torch.float16, "channels-last", DIAMOND),
    ],
)
def test_lower_precision_is_the_exact_sum_rounded_once(dtype: torch.dtype, layout: str, index: int) -> None:
    """The inputs' sums are exact in float32, so float64 brute force rounded to the dtype is the one right answer."""
    x = exact(2, 5, 8, 6).to(dtype).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    upstream = exact(2, 5, 4, 3, seed=1).to(dtype)
    out = poset_pool2d(x, index)
    (flow,) = torch.autograd.grad(out, x, upstream)
    values, masks = brute_force(x.detach(), SIXTEEN[index])
    assert out.dtype is flow.dtype is dtype
    assert torch.equal(out, values.to(dtype))
    assert torch.equal(flow, spread(masks, upstream))
    assert out.is_contiguous(memory_format=LAYOUTS[layout])
    assert flow.is_contiguous(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_overlapping_windows_in_lower_precision(dtype: torch.dtype) -> None:
    x = exact(1, 2, 5, 6).to(dtype)
    values, _ = best(windows_of(x.double().numpy(), (2, 2), (1, 1)), SIXTEEN[N])
    assert torch.equal(poset_pool2d(x, N, stride=1), torch.from_numpy(values).to(dtype))


def test_halves_are_not_summed_in_halves() -> None:
    """57344 + 57344 is infinite in float16; the whole window sums to 8192."""
    x = torch.tensor([[[[57344.0, 57344.0], [-57344.0, -49152.0]]]], dtype=torch.float16)
    assert poset_pool2d(x, "chain").item() == 8192


def test_float32_is_within_the_rounding_of_three_additions() -> None:
    x = torch.randn(4, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    out = poset_pool2d(x, N)
    unit = 2.0**-24
    size = torch.nn.functional.avg_pool2d(x.abs().double(), 2, divisor_override=1)
    bound = 3 * unit / (1 - 3 * unit) * size
    assert ((out.double() - brute_force(x, SIXTEEN[N])[0]).abs() <= bound).all()


def test_bfloat16_specials() -> None:
    inf, nan = float("inf"), float("nan")
    windows = [[nan, 1, 1, 1], [-inf, 2, 3, 4], [inf, 0, 0, 0], [inf, -inf, 0, 0], [-1, -1, -1, -1], [3e38, 3e38, 0, 0]]
    x = torch.tensor(windows, dtype=torch.bfloat16).reshape(1, -1, 2, 2).contiguous(memory_format=torch.channels_last)
    out = poset_pool2d(x.requires_grad_(), "N").detach().float().flatten()
    np.testing.assert_array_equal(out, [nan, 9, inf, nan, 0, inf])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_backward_kernel_copies_the_bits_of_the_gradient(dtype: torch.dtype, layout: str) -> None:
    upstream = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    upstream[0, 0, 0, :4] = torch.tensor([float("nan"), float("inf"), -0.0, torch.finfo(dtype).tiny], dtype=dtype)
    masks = torch.randint(0, 16, (2, 3, 4, 5), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    out = kernels.backward(upstream, masks.contiguous(memory_format=LAYOUTS[layout]))
    bits = {torch.float32: torch.int32, torch.float64: torch.int64, torch.bfloat16: torch.int16}[dtype]
    assert torch.equal(out.contiguous().view(bits), spread(masks, upstream).view(bits))
    assert out.is_contiguous(memory_format=LAYOUTS[layout])


# --- layouts ------------------------------------------------------------------------------------------------------


def test_channels_last_stays_channels_last_and_changes_no_bit() -> None:
    x = torch.randn(3, 5, 7, 6, generator=torch.Generator().manual_seed(0))  # odd height
    results = {}
    for layout, memory_format in LAYOUTS.items():
        leaf = x.contiguous(memory_format=memory_format).requires_grad_()
        out = poset_pool2d(leaf, N)
        (flow,) = torch.autograd.grad(out, leaf, torch.ones_like(out))
        assert out.is_contiguous(memory_format=memory_format)
        assert poset_pool2d(leaf, N, 2, 1).is_contiguous(memory_format=memory_format)
        results[layout] = out, flow, poset_pool2d(leaf, N, 2, 1)
    assert all(torch.equal(*pair) for pair in zip(*results.values(), strict=True))


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x.transpose(2, 3), id="transposed"),
        pytest.param(lambda x: x[:, 1::2], id="every other channel"),
        pytest.param(lambda x: x[:, :, 1:7, 2:8], id="crop"),
        pytest.param(lambda x: x.flip(3)[..., ::2], id="every other column"),
        pytest.param(lambda x: x[:1].expand(4, -1, -1, -1), id="expanded batch"),
        pytest.param(lambda x: x[:, :, :1, :1].expand(-1, -1, 4, 6), id="expanded map"),
        pytest.param(lambda x: x.contiguous(memory_format=torch.channels_last)[:, 1:3], id="channels-last, cut"),
        pytest.param(lambda x: x.permute(2, 3, 0, 1), id="axes exchanged"),
        pytest.param(lambda x: x[:, :1].contiguous(memory_format=torch.channels_last), id="one channel"),
    ],
)
def test_views_give_what_their_copies_give(view: object) -> None:
    assert callable(view)
    x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    seen = view(x)
    copy = view(x.detach()).clone(memory_format=torch.contiguous_format).requires_grad_()
    out, expected = poset_pool2d(seen, N), poset_pool2d(copy, N)
    upstream = exact(*out.shape, seed=1).float()
    (flow,) = torch.autograd.grad(out, seen, upstream.transpose(0, 1).contiguous().transpose(0, 1))
    (copied,) = torch.autograd.grad(expected, copy, upstream)
    assert torch.equal(out, expected)
    assert torch.equal(flow, copied)


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("arguments", [{}, {"stride": 1}, {"kernel_size": (1, 4)}, {"padding": 1}])
def test_one_byte_an_output_is_kept_for_the_backward_pass(arguments: dict[str, int], layout: str) -> None:
    kept: list[Tensor] = []
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        out = poset_pool2d(x, N, **arguments)
    assert sum(tensor.untyped_storage().nbytes() for tensor in kept) == out.numel()


# --- threads and processes ----------------------------------------------------------------------------------------


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def large(seed: int) -> Tensor:
    """Enough values that the kernels share them out."""
    return exact(2, 4, 96, 96, seed=seed)


@pytest.mark.usefixtures("two_threads")
def test_several_threads_at_once() -> None:
    def work(seed: int) -> bool:
        x = large(seed).requires_grad_()
        out = poset_pool2d(x, N)
        (flow,) = torch.autograd.grad(out, x, torch.ones_like(out))
        values, masks = brute_force(x.detach(), SIXTEEN[N])
        return torch.equal(out, values) and torch.equal(flow, spread(masks, torch.ones_like(out)))

    kernels._forward_kernels.cache_clear()  # all threads find the kernel missing
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))
    assert sharing._pool is not None, "the input was too small to be shared out"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.usefixtures("two_threads")
def test_a_forked_child_pools_after_its_parent_used_the_threads() -> None:
    x = large(0).requires_grad_()
    expected = poset_pool2d(x, N).detach().numpy()
    assert sharing._pool is not None
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that waits for its parent's threads would wait for ever
        try:
            os._exit(0 if np.array_equal(poset_pool2d(x, N).detach().numpy(), expected) else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert np.array_equal(poset_pool2d(x, N).detach().numpy(), expected)
