"""The torch operators behind poset pooling: choose an up-set per window, gather its sum, scatter its gradient.

With M the up-set chosen in a window, the filter is the sum over M, which is linear in the input once M is fixed. So
the forward pass remembers M (a bit mask, one byte for windows of up to eight points), its gradient is ``scatter``, and
the gradient of ``scatter`` is ``gather``: derivatives of every order come from two operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from cenote.pooling.order_theory import kernels

Pair = tuple[int, int]


def pool(x: Tensor, up_sets: Sequence[int], kernel: Pair, stride: Pair) -> Tensor:
    """Return the largest sum over up-sets in each window.

    Args:
        x: (B, C, H, W), floating point.
        up_sets: Bit masks of window positions in row-major order, in the order of the tie rule; the first is empty,
            the last is the whole window.
        kernel: Window size; its product is the number of points.
        stride: Step of the window.

    Returns:
        (B, C, ⌊(H-kH)/sH⌋+1, ⌊(W-kW)/sW⌋+1), in the memory format of ``x``.
    """
    if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
        return _choose(x, up_sets, kernel, stride, with_masks=False)[0]  # exported graphs carry no operators of ours
    if not torch.compiler.is_compiling() and _is_differentiated(x):
        outputs = _Pool.apply(x, _Windows(list(kernel), list(stride), up_sets=tuple(up_sets)))
    else:
        outputs = _pool(x, list(up_sets), list(kernel), list(stride), torch.is_grad_enabled() and x.requires_grad)
    best: Tensor = outputs[0]
    return best


def _is_differentiated(x: Tensor) -> bool:
    """Whether a derivative in either direction may be asked for, so that the up-sets must be remembered."""
    tangent = forward_ad.unpack_dual(x).tangent  # type: ignore[no-untyped-call]
    return tangent is not None or (torch.is_grad_enabled() and x.requires_grad)


@torch.library.custom_op("cenote::poset_pool2d", mutates_args=())
def _pool(
    x: Tensor, up_sets: Sequence[int], kernel: Sequence[int], stride: Sequence[int], with_masks: bool
) -> tuple[Tensor, Tensor]:
    if _has_kernel(x, kernel, stride):
        even = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        return kernels.forward(even.contiguous(memory_format=_memory_format(x)), up_sets, with_masks=with_masks)
    best, masks = _choose(x, up_sets, kernel, stride, with_masks=with_masks)
    layout = _memory_format(x)
    return best.contiguous(memory_format=layout), masks.contiguous(memory_format=layout)


@torch.library.custom_op("cenote::poset_scatter2d", mutates_args=())
def _scatter(
    grad: Tensor, masks: Tensor, kernel: Sequence[int], stride: Sequence[int], height: int, width: int
) -> Tensor:
    tiled = height == grad.shape[2] * 2 and width == grad.shape[3] * 2
    if _has_kernel(grad, kernel, stride) and tiled and masks.dtype is torch.uint8:
        return kernels.backward(grad, masks)
    shape = (*grad.shape[:2], height, width)
    out = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=_memory_format(masks)).zero_()
    for point, view in enumerate(_views(out, kernel, stride)):
        view.add_(grad.where(_has(masks, point), 0))
    return out


@torch.library.custom_op("cenote::poset_gather2d", mutates_args=())
def _gather(x: Tensor, masks: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    out = torch.zeros_like(masks, dtype=x.dtype)
    for point, view in enumerate(_views(x, kernel, stride)):
        out.add_(view.where(_has(masks, point), 0))
    return out


# --- shapes, for tracing ------------------------------------------------------------------------------------------


@_pool.register_fake
def _(
    x: Tensor, up_sets: Sequence[int], kernel: Sequence[int], stride: Sequence[int], with_masks: bool
) -> tuple[Tensor, Tensor]:
    height, width = ((size - k) // s + 1 for size, k, s in zip(x.shape[2:], kernel, stride, strict=True))
    shape, layout = (x.shape[0], x.shape[1], height, width), _memory_format(x)
    out = x.new_empty(shape).contiguous(memory_format=layout)
    masks = x.new_empty(shape if with_masks else (0, 0, 0, 0), dtype=_mask_dtype(kernel))
    return out, masks.contiguous(memory_format=layout)


@_scatter.register_fake
def _(grad: Tensor, masks: Tensor, kernel: Sequence[int], stride: Sequence[int], height: int, width: int) -> Tensor:
    return grad.new_empty((grad.shape[0], grad.shape[1], height, width)).contiguous(memory_format=_memory_format(masks))


@_gather.register_fake
def _(x: Tensor, masks: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    return torch.empty_like(masks, dtype=x.dtype)


# --- derivatives --------------------------------------------------------------------------------------------------
# torch.compile takes the derivatives registered with the operators, and refuses functions with a forward derivative;
# everywhere else the functions below give derivatives in both directions, under torch.func too.


@dataclass(frozen=True)
class _Windows:
    """What stays the same while a tensor changes. Not a tuple, which torch.func would take apart."""

    kernel: list[int]
    stride: list[int]
    height: int = 0
    width: int = 0
    up_sets: tuple[int, ...] = ()


def _remember(ctx: Any, masks: Tensor, windows: _Windows) -> None:
    ctx.save_for_backward(masks)
    ctx.save_for_forward(masks)
    ctx.windows = windows


def _remember_pool(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, _, kernel, stride, _ = inputs
    _remember(ctx, output[1], _Windows(kernel, stride, *x.shape[2:]))
    ctx.set_materialize_grads(False)


def _remember_scatter(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, masks, kernel, stride, height, width = inputs
    _remember(ctx, masks, _Windows(kernel, stride, height, width))


def _remember_gather(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, masks, kernel, stride = inputs
    _remember(ctx, masks, _Windows(kernel, stride, *x.shape[2:]))


def _spread(ctx: Any, grad: Tensor | None) -> Tensor | None:
    """Send the gradient of each window to the members of its up-set."""
    if grad is None:
        return None
    (masks,), windows = ctx.saved_tensors, ctx.windows
    scatter = _scatter_as_registered if torch.compiler.is_compiling() else _Scatter.apply
    flow: Tensor = scatter(grad, masks, windows)
    return flow


def _collect(ctx: Any, x: Tensor) -> Tensor:
    """Sum each window over its up-set."""
    (masks,), windows = ctx.saved_tensors, ctx.windows
    gather = _gather_as_registered if torch.compiler.is_compiling() else _Gather.apply
    sums: Tensor = gather(x, masks, windows)
    return sums


def _scatter_as_registered(grad: Tensor, masks: Tensor, windows: _Windows) -> Tensor:
    flow: Tensor = _scatter(grad, masks, windows.kernel, windows.stride, windows.height, windows.width)
    return flow


def _gather_as_registered(x: Tensor, masks: Tensor, windows: _Windows) -> Tensor:
    sums: Tensor = _gather(x, masks, windows.kernel, windows.stride)
    return sums


_pool.register_autograd(lambda ctx, grad, _: (_spread(ctx, grad), None, None, None, None), setup_context=_remember_pool)
_scatter.register_autograd(
    lambda ctx, grad: (_collect(ctx, grad), None, None, None, None, None), setup_context=_remember_scatter
)
_gather.register_autograd(lambda ctx, grad: (_spread(ctx, grad), None, None, None), setup_context=_remember_gather)


class _Pool(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, windows: _Windows) -> tuple[Tensor, Tensor]:
        outputs: tuple[Tensor, Tensor] = _pool(x, windows.up_sets, windows.kernel, windows.stride, True)
        return outputs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, _Windows], output: tuple[Tensor, Tensor]) -> None:
        x, windows = inputs
        _remember(ctx, output[1], replace(windows, height=x.shape[2], width=x.shape[3]))
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, None]:
        return _spread(ctx, grad), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> tuple[Tensor, None]:
        return _collect(ctx, tangent), None


class _Scatter(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(grad: Tensor, masks: Tensor, windows: _Windows) -> Tensor:
        return _scatter_as_registered(grad, masks, windows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, _Windows], output: Tensor) -> None:
        _remember(ctx, *inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _collect(ctx, grad), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor | None:
        return _spread(ctx, tangent)


class _Gather(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, masks: Tensor, windows: _Windows) -> Tensor:
        return _gather_as_registered(x, masks, windows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, _Windows], output: Tensor) -> None:
        x, masks, windows = inputs
        _remember(ctx, masks, replace(windows, height=x.shape[2], width=x.shape[3]))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        return _spread(ctx, grad), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return _collect(ctx, tangent)


# --- torch.func.vmap: one more dimension of the batch -------------------------------------------------------------


@_pool.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, *arguments: Any) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    outputs = _pool(_fold(x, in_dims[0], info.batch_size), *arguments)
    return (_unfold(outputs[0], info.batch_size), _unfold(outputs[1], info.batch_size)), (0, 0)


@_scatter.register_vmap
def _(info: Any, in_dims: Any, grad: Tensor, masks: Tensor, *arguments: Any) -> tuple[Tensor, int]:
    folded = (_fold(each, dim, info.batch_size) for each, dim in zip((grad, masks), in_dims, strict=False))
    return _unfold(_scatter(*folded, *arguments), info.batch_size), 0


@_gather.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, masks: Tensor, *arguments: Any) -> tuple[Tensor, int]:
    folded = (_fold(each, dim, info.batch_size) for each, dim in zip((x, masks), in_dims, strict=False))
    return _unfold(_gather(*folded, *arguments), info.batch_size), 0


def _fold(x: Tensor, dim: int | None, size: int) -> Tensor:
    x = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
    return x.flatten(0, 1)


def _unfold(x: Tensor, size: int) -> Tensor:
    return x.reshape(size, x.shape[0] // size, *x.shape[1:])


# --- any window, any device ---------------------------------------------------------------------------------------


def _choose(
    x: Tensor, up_sets: Sequence[int], kernel: Sequence[int], stride: Sequence[int], *, with_masks: bool
) -> tuple[Tensor, Tensor]:
    """Try the up-sets one after the other; a strictly larger sum wins, and NaN wins with the whole window."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    points = list(_views(wide, kernel, stride))
    best = torch.zeros_like(points[0])
    masks = torch.zeros_like(best, dtype=_mask_dtype(kernel)) if with_masks else best.new_empty((0, 0, 0, 0))
    for up_set in up_sets[1:]:
        total = sum(point for index, point in enumerate(points) if up_set >> index & 1)
        assert isinstance(total, Tensor)
        take = ~(total <= best) if up_set == up_sets[-1] else total > best
        best = torch.where(take, total, best)
        masks = masks.masked_fill(take, up_set) if with_masks else masks
    return best.to(x.dtype), masks if with_masks else masks.to(_mask_dtype(kernel))


def _views(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Iterator[Tensor]:
    """For each window position, the view of ``x`` that holds it for every window."""
    height, width = ((size - k) // s + 1 for size, k, s in zip(x.shape[2:], kernel, stride, strict=True))
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            bottom, right = row + (height - 1) * stride[0] + 1, column + (width - 1) * stride[1] + 1
            yield x[:, :, row : bottom : stride[0], column : right : stride[1]]


def _has(masks: Tensor, point: int) -> Tensor:
    return masks.bitwise_and(1 << point) != 0


def _mask_dtype(kernel: Sequence[int]) -> torch.dtype:
    points = kernel[0] * kernel[1]
    return torch.uint8 if points <= 8 else torch.int16 if points <= 15 else torch.int64


def _has_kernel(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> bool:
    return x.device.type == "cpu" and x.dtype in kernels.SUPPORTED and list(kernel) == list(stride) == [2, 2]


def _memory_format(x: Tensor) -> torch.memory_format:
    """Channels-last where the input is and NCHW is not the same thing."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format
