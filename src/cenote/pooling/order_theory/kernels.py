"""CPU kernels of poset pooling over non-overlapping 2×2 windows.

Each kernel visits a range of output rows, so that several threads share one call, and reads its input once. The
forward kernels are compiled for each poset: which of the sixteen subsets of a window are up-sets is a constant of the
code, so that only those are summed, and LLVM turns the loop over columns (or channels) into vector code without
branches. The compiled code is kept on disk beside this file, or in numba's cache folder where that cannot be written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload
from torch import Tensor

_PARALLEL_FROM = 1 << 15
"""Inputs with fewer values are faster in the calling thread than shared out."""

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
    columns_kernel, channels_kernel = _forward_kernels(sum(1 << up_set for up_set in up_sets))
    if last:
        _share(channels_kernel, x.numel(), batch * height // 2, (*rows, channels))
    else:
        _share(columns_kernel, x.numel(), batch * channels * height // 2, rows)
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
        _share(_backward_channels, out.numel(), batch * height, (*rows, channels))
    else:
        _share(_backward_columns, out.numel(), batch * channels * height, rows)
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


# --- sharing rows out over threads --------------------------------------------------------------------------------
# numba's own thread pools are either not safe to call from several threads at once or not safe after a fork; the
# kernels release the interpreter lock, so a plain pool of Python threads does the same work without either trap.

_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="cenote-poset-pool")
        return _pool


def _forget_threads() -> None:
    """Threads do not survive a fork; the child starts its own."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _share(kernel: Callable[..., None], work: int, rows: int, arguments: tuple[Any, ...]) -> None:
    """Call ``kernel(*arguments, start, stop)`` over all rows, in as many threads as torch uses."""
    parts = min(torch.get_num_threads(), rows) if work >= _PARALLEL_FROM else 1
    if parts <= 1:
        kernel(*arguments, 0, rows)
        return
    edges = [rows * part // parts for part in range(parts + 1)]
    waiting = [_threads().submit(kernel, *arguments, edges[part], edges[part + 1]) for part in range(1, parts)]
    kernel(*arguments, 0, edges[1])
    for future in waiting:
        future.result()


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


@cache
def _forward_kernels(allowed: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Compile the kernels of one poset, for NCHW and for channels-last."""

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

    return columns, channels


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
