"""CPU kernels of poset pooling over non-overlapping 2×2 windows.

Each kernel visits a range of output rows, so that several threads share one call, and reads its input once. The
forward kernels are compiled for each poset: which of the sixteen subsets of a window are up-sets is a constant of the
code, so that only those are summed, and LLVM turns the loop over columns (or channels) into vector code without
branches. The compiled code is kept on disk beside this file, or in numba's cache folder where that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array
from torch import Tensor

from cenote.pooling.order_theory.sharing import share

_VECTOR = 32
"""Bytes that the kernel of sums handles at once: one register of the common processors, or two."""

_AHEAD = 4096
"""Bytes ahead of the window that are fetched: hardware stops at the end of a page, and two rows in turn mislead it."""

_BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32, torch.float64: torch.int64}
"""The backward pass copies values without looking at them, so it moves them as integers of the same width."""

SUPPORTED = frozenset(_BITS)
"""The dtypes the kernels take."""


def forward(x: Tensor, up_sets: Iterable[int], *, with_masks: bool) -> tuple[Tensor, Tensor]:
    """Pool 2×2 windows of ``x`` with stride 2.

    Args:
        x: (B, C, H, W) on the CPU, dense in NCHW or channels-last order, H and W even, a dtype of ``SUPPORTED``.
        up_sets: The up-sets of the poset as bit masks of window positions (top left, top right, bottom left, right).
        with_masks: Whether to return the winning up-sets.

    Returns:
        The maxima (B, C, H/2, W/2) in the memory format of ``x``, and the winning up-sets as uint8 bit masks in the
        same order (empty without ``with_masks``). bfloat16 is summed in float32.
    """
    batch, channels, height, width = x.shape
    last = not x.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    shape = (batch, channels, height // 2, width // 2)
    out = torch.empty(shape, dtype=x.dtype, memory_format=layout)
    masks = torch.empty(shape if with_masks else (0, 0, 0, 0), dtype=torch.uint8, memory_format=layout)
    rows = _rows(x, last), _rows(out, last), _rows(masks, last) if with_masks else None
    kernels = _forward_kernels(sum(1 << up_set for up_set in up_sets))
    lanes = _VECTOR // x.element_size()
    if last:
        share(kernels.channels, x.numel(), batch * height // 2, (*rows, channels))
    elif not with_masks and x.dtype is not torch.bfloat16 and width // 2 >= lanes:
        share(kernels.sums, x.numel(), batch * channels * height // 2, (*rows[:2], lanes))
    else:
        share(kernels.columns, x.numel(), batch * channels * height // 2, rows)
    return out, masks


def backward(grad: Tensor, masks: Tensor) -> Tensor:
    """Send each output's gradient to the members of its up-set.

    Args:
        grad: (B, C, H/2, W/2) on the CPU, a dtype of ``SUPPORTED``.
        masks: (B, C, H/2, W/2), the bit masks of ``forward``, dense in NCHW or channels-last order.

    Returns:
        (B, C, H, W) in the memory format of ``masks``.
    """
    batch, channels, height, width = grad.shape
    last = not masks.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    grad = grad.contiguous(memory_format=layout)
    out = torch.empty((batch, channels, 2 * height, 2 * width), dtype=grad.dtype, memory_format=layout)
    bits = _BITS[grad.dtype]
    rows = _rows(grad.view(bits), last), _rows(masks, last), _rows(out.view(bits), last)
    if last:
        share(_backward_channels, out.numel(), batch * height, (*rows, channels))
    else:
        share(_backward_columns, out.numel(), batch * channels * height, rows)
    return out


def _rows(x: Tensor, last: bool) -> npt.NDArray[Any]:
    """View a dense tensor as one row of memory per image row (in NCHW: per image row and channel)."""
    x = x.detach()
    if last:
        x = x.permute(0, 2, 3, 1)
        x = x.reshape(x.shape[0] * x.shape[1], x.shape[2] * x.shape[3])
    else:
        x = x.reshape(x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])
    return (x.view(torch.uint16) if x.dtype is torch.bfloat16 else x).numpy()


# --- numbers ------------------------------------------------------------------------------------------------------


@intrinsic
def _float_of_bits(typing_context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def _bits_of_float(typing_context: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


def _load(value: Any) -> Any:
    """Read a stored value; 16 bits are a bfloat16 and are widened to float32."""


@overload(_load, inline="always")
def _load_typed(value: Any) -> Any:
    def widen(value: Any) -> Any:
        return _float_of_bits(types.uint32(value) << types.uint32(16))  # type: ignore[call-arg]

    def keep(value: Any) -> Any:
        return value

    return widen if value == types.uint16 else keep


def _store(row: Any, index: Any, value: Any) -> Any:
    """Write a value; a float32 going into 16 bits is rounded to the nearest bfloat16, ties to even."""


@overload(_store, inline="always")
def _store_typed(row: Any, index: Any, value: Any) -> Any:
    def narrow(row: Any, index: Any, value: Any) -> Any:
        bits: Any = _bits_of_float(value)  # type: ignore[call-arg]
        odd = (bits >> types.uint32(16)) & types.uint32(1)
        rounded = types.uint16((bits + types.uint32(0x7FFF) + odd) >> types.uint32(16))
        row[index] = rounded if value == value else types.uint16(0x7FC0)

    def keep(row: Any, index: Any, value: Any) -> Any:
        row[index] = value

    return narrow if row.dtype == types.uint16 else keep


# --- forward ------------------------------------------------------------------------------------------------------

_CODE = tuple(np.float32(mask) for mask in range(16))
"""Bit masks as floats: as wide as the values beside them, so both travel through the same vector lanes."""


@njit(inline="always")
def _try(best: Any, mask: Any, total: Any, code: int, allowed: int) -> Any:
    """Take an up-set whose sum is strictly larger; NaN is not."""
    take = ((allowed >> code) & 1 != 0) & (total > best)
    mask = _CODE[code] if take else mask
    best = total if take else best
    return best, mask


@njit(inline="always")
def _best_up_set(w: Any, x: Any, y: Any, z: Any, allowed: int) -> Any:
    """Return the largest sum over the up-sets of a window, and the bit mask of the first up-set that reaches it.

    Subsets come by size, then lexicographically; bit m of ``allowed`` says whether mask m is an up-set. The full set
    is one in every poset and is compared with ``<=``: if any value is NaN so is its sum, the comparison is false, and
    NaN wins.
    """
    wx, yz = w + x, y + z
    best, mask = _CODE[0], _CODE[0]  # the empty set has sum 0
    best, mask = _try(best, mask, w, 1, allowed)
    best, mask = _try(best, mask, x, 2, allowed)
    best, mask = _try(best, mask, y, 4, allowed)
    best, mask = _try(best, mask, z, 8, allowed)
    best, mask = _try(best, mask, wx, 3, allowed)
    best, mask = _try(best, mask, w + y, 5, allowed)
    best, mask = _try(best, mask, w + z, 9, allowed)
    best, mask = _try(best, mask, x + y, 6, allowed)
    best, mask = _try(best, mask, x + z, 10, allowed)
    best, mask = _try(best, mask, yz, 12, allowed)
    best, mask = _try(best, mask, wx + y, 7, allowed)
    best, mask = _try(best, mask, wx + z, 11, allowed)
    best, mask = _try(best, mask, w + yz, 13, allowed)
    best, mask = _try(best, mask, x + yz, 14, allowed)
    full = wx + yz
    mask = mask if full <= best else _CODE[15]
    best = best if full <= best else full
    return best, mask


@intrinsic(prefer_literal=True)
def _pool_lanes(typing_context: Any, top: Any, bottom: Any, values: Any, column: Any, allowed: Any) -> Any:
    """Write a vector of sums from ``values[column]`` on, equal to those of ``_best_up_set`` to the last bit.

    Left to itself, LLVM checks in every row whether the arrays overlap, does the last columns one by one, and brings
    the four corners of the windows into order before it adds; here only the result is put in order. Fewer sums are
    compared as well: each is a sum over the upper pair plus one over the lower, and rounding keeps order, so that the
    largest of a product of subsets is the largest of one plus the largest of the other. ``bottom`` must follow ``top``
    in memory.
    """
    number = values.dtype
    width = number.bitwidth // 8
    lanes = _VECTOR // width
    near = 16 // width  # shuffling is cheap within 16 bytes
    slots = [divmod(slot, near) for slot in range(lanes)]
    left = [lanes * (2 * at // near) + near * block + 2 * at % near for block, at in slots]
    products = _products(allowed.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(number), lanes)
        zero = ir.Constant(vector, [0.0] * lanes)
        start = arguments[3]

        def offset(factor: int, plus: int) -> Any:
            return builder.add(builder.mul(start, start.type(factor)), start.type(plus))

        def pointer(array: int, index: Any, kind: Any = vector) -> Any:
            data = make_array(signature.args[array])(context, builder, arguments[array]).data  # type: ignore[no-untyped-call]
            return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())

        def fetch_ahead() -> None:
            byte, integer = ir.IntType(8), ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), integer, integer, integer])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
            for line in (0, 64):  # two lines of the cache are one vector of windows
                address = pointer(0, offset(4, (_AHEAD + line) // width), byte)
                builder.call(prefetch, [address, integer(0), integer(3), integer(1)])  # to read, and soon, data

        def shuffle(first: Any, second: Any, order: list[int]) -> Any:
            return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))

        def pairs(array: int) -> tuple[Any, Any]:
            near_half, far_half = (builder.load(pointer(array, offset(2, at)), align=width) for at in (0, lanes))
            return shuffle(near_half, far_half, left), shuffle(near_half, far_half, [at + 1 for at in left])

        def larger(best: Any, total: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", total, best), total, best)

        def largest(pair: tuple[Any, Any], subsets: list[int]) -> Any:
            sums = zero, pair[0], pair[1], builder.fadd(*pair)
            return reduce(larger, (sums[subset] for subset in subsets))

        fetch_ahead()
        upper, lower = pairs(0), pairs(1)
        best = zero
        for uppers, lowers in products:
            best = larger(best, builder.fadd(largest(upper, uppers), largest(lower, lowers)))
        full = builder.fadd(builder.fadd(*upper), builder.fadd(*lower))
        best = builder.select(builder.fcmp_ordered("<=", full, best), best, full)
        best = shuffle(best, best, [left.index(2 * lane) for lane in range(lanes)])
        builder.store(best, pointer(2, start), align=width)
        return context.get_dummy_value()

    return types.void(top, bottom, values, column, allowed), generate


def _products(allowed: int) -> list[tuple[list[int], list[int]]]:
    """Write the up-sets as products: every one of these subsets of the upper pair with every one of the lower."""
    partners = [tuple(lower for lower in range(4) if allowed >> (upper + 4 * lower) & 1) for upper in range(4)]
    return [
        ([upper for upper in range(4) if partners[upper] == lowers], list(lowers))
        for lowers in sorted(set(partners) - {()})
    ]


class _Forward(NamedTuple):
    """The kernels of one poset."""

    sums: Callable[..., None]
    """NCHW, rows at least one vector wide, without masks."""
    columns: Callable[..., None]
    """NCHW."""
    channels: Callable[..., None]
    """Channels-last."""


@cache
def _forward_kernels(allowed: int) -> _Forward:
    @njit(nogil=True, cache=True)
    def sums(x: Any, out: Any, lanes: int, start: int, stop: int) -> None:
        for row in range(start, stop):
            top, bottom, values = x[2 * row], x[2 * row + 1], out[row]
            last = values.shape[0] - lanes
            for column in range(0, last, lanes):
                _pool_lanes(top, bottom, values, column, allowed)  # type: ignore[call-arg]
            _pool_lanes(top, bottom, values, last, allowed)  # type: ignore[call-arg]  # overlaps the one before

    @njit(nogil=True, cache=True)
    def columns(x: Any, out: Any, masks: Any, start: int, stop: int) -> None:
        for row in range(start, stop):
            top, bottom, values = x[2 * row], x[2 * row + 1], out[row]
            chosen = None if masks is None else masks[row]
            for column in range(values.shape[0]):
                w, x_ = _load(top[2 * column]), _load(top[2 * column + 1])
                y, z = _load(bottom[2 * column]), _load(bottom[2 * column + 1])
                best, mask = _best_up_set(w, x_, y, z, allowed)
                _store(values, column, best)
                if chosen is not None:
                    chosen[column] = types.uint8(mask)

    @njit(nogil=True, cache=True)
    def channels(x: Any, out: Any, masks: Any, channels: int, start: int, stop: int) -> None:
        for row in range(start, stop):
            for column in range(out.shape[1] // channels):
                left, right, end = 2 * column * channels, (2 * column + 1) * channels, (2 * column + 2) * channels
                here = slice(column * channels, (column + 1) * channels)
                a, b = x[2 * row, left:right], x[2 * row, right:end]
                c, d = x[2 * row + 1, left:right], x[2 * row + 1, right:end]
                values = out[row, here]
                chosen = None if masks is None else masks[row, here]
                for index in range(channels):
                    w, x_, y, z = _load(a[index]), _load(b[index]), _load(c[index]), _load(d[index])
                    best, mask = _best_up_set(w, x_, y, z, allowed)
                    _store(values, index, best)
                    if chosen is not None:
                        chosen[index] = types.uint8(mask)

    return _Forward(sums, columns, channels)


# --- backward -----------------------------------------------------------------------------------------------------


@njit(inline="always")
def _keep(grad: Any, masks: Any, position: Any, out: Any) -> None:
    """Copy the gradient's bits where the position is in the up-set, zero bits elsewhere."""
    for index in range(out.shape[0]):
        out[index] = grad[index] & -types.int64((masks[index] >> position) & 1)


@njit(nogil=True, cache=True)
def _backward_channels(grad: Any, masks: Any, out: Any, channels: int, start: int, stop: int) -> None:
    for row in range(start, stop):
        for column in range(grad.shape[1] // channels):
            here = slice(column * channels, (column + 1) * channels)
            left, right, end = 2 * column * channels, (2 * column + 1) * channels, (2 * column + 2) * channels
            _keep(grad[row, here], masks[row, here], 0, out[2 * row, left:right])
            _keep(grad[row, here], masks[row, here], 1, out[2 * row, right:end])
            _keep(grad[row, here], masks[row, here], 2, out[2 * row + 1, left:right])
            _keep(grad[row, here], masks[row, here], 3, out[2 * row + 1, right:end])


@njit(inline="always")
def _join(left: Any, right: Any, row: Any) -> None:
    for column in range(left.shape[0]):
        row[2 * column] = left[column]
        row[2 * column + 1] = right[column]


@njit(nogil=True, cache=True)
def _backward_columns(grad: Any, masks: Any, out: Any, start: int, stop: int) -> None:
    left, right = np.empty(grad.shape[1], grad.dtype), np.empty(grad.shape[1], grad.dtype)
    for row in range(start, stop):
        _keep(grad[row], masks[row], 0, left)
        _keep(grad[row], masks[row], 1, right)
        _join(left, right, out[2 * row])
        _keep(grad[row], masks[row], 2, left)
        _keep(grad[row], masks[row], 3, right)
        _join(left, right, out[2 * row + 1])
