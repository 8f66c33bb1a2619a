"""Poset pooling: the largest sum over up-sets of a window."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.four_points import name_of, resolve_poset
from cenote.pooling.order_theory.operators import Pair, pool
from cenote.pooling.order_theory.poset import Poset

_DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})

MAX_POINTS = 63
"""Largest window, in points: a chosen up-set is remembered as the bits of one integer."""


class NonNegativeInputWarning(UserWarning):
    """A poset filter sees only non-negative input, where every poset gives the sum of the window."""


def poset_pool2d(
    x: Tensor,
    poset: Poset | int | str = "N",
    kernel_size: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    *,
    ceil_mode: bool = True,
    placement: Sequence[int] | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Pool windows with the filter of a poset: f_P(x) = max over up-sets F of P of the sum of x_i for i in F.

    The empty up-set counts, with sum 0. The points of the poset are the positions of the window in row-major order.
    The gradient goes, whole, to every member of the maximising up-set; on ties the up-set with the fewest points
    wins, then the lexicographically first. Zeros of the padding add nothing to any sum. A window that contains NaN
    (or infinities of both signs) gives NaN. float16 and bfloat16 are summed in float32. Derivatives of every order, in
    both directions, and ``torch.func`` are supported; for the backward pass an output keeps one byte in windows of up
    to eight points, two up to fifteen, else eight.

    Give it signed input: on non-negative input every poset gives the sum of the window (``PosetPool2d`` warns of it).

    Source: arXiv 2412.06097, the order polytope's tropical polynomial; the sixteen filters of Table 9 by index.

    Differs from the paper: windows, strides and padding of any size; derivatives of every order. The released code
    has 2×2 windows with stride 2 and one placement per poset.

    Args:
        x: Input, floating point.
        poset: A ``Poset``; an index 0…15 of the paper's sixteen posets on four points; a name (``"antichain"``,
            ``"chain"``, ``"N"``, ``"diamond"``, …); or a Hasse string such as ``"1<2<4, 1<3<4"``.
        kernel_size: Size of the window; its area is the number of points of the poset.
        stride: Step of the window; ``kernel_size`` by default.
        padding: Rows and columns of zeros on each side, at most half of the window.
        ceil_mode: Whether a window may stick out at the bottom and the right, where it reads zeros. The paper's
            released code does so for odd sizes; torch's poolings do not by default.
        placement: Where the points go: point i of the poset is window position ``placement[i]``. Row-major by
            default.
        scale: Factor on the output; 1/4 makes the full up-set of a 2×2 window the average.

    Returns:
        The pooled map, in the dtype and memory format of ``x``.

    Shapes:
        x: (B, C, H, W). Returns (B, C, H', W') with H' = ⌈(H + 2p - k) / s⌉ + 1 (⌊…⌋ without ``ceil_mode``), less
        one if the last window would start in the padding.

    Raises:
        ArgumentError: If the poset does not have as many points as the window, has too many up-sets, or is unknown;
            if sizes are not positive, the padding exceeds half of the window, ``scale`` is not finite, or a map has no
            place for a window.
        ArgumentTypeError: If ``x`` is not a tensor of float16, bfloat16, float32 or float64.

    Example:
        >>> x = torch.tensor([[[[1.0, -2.0], [3.0, -1.0]]]])
        >>> poset_pool2d(x, "antichain").item(), poset_pool2d(x, "chain").item()
        (4.0, 2.0)
        >>> poset_pool2d(torch.relu(x), "chain").item()  # after a ReLU every poset gives the sum
        4.0
    """
    geometry = _Geometry(kernel_size, stride, padding, ceil_mode)
    up_sets = _up_sets(poset, geometry.points, placement)
    return _pool_checked(x, up_sets, geometry.arguments, _checked_scale(scale))


class PosetPool2d(nn.Module):
    """Pooling layer without parameters: the largest sum over up-sets of a poset whose points are the window.

    Put it where input is signed, before the activation: on non-negative input all posets give the sum of the window,
    and the layer says so once (``NonNegativeInputWarning``). The output of a window of n points can be n times as
    large as its input; follow it with a normalisation or pass ``scale``.

    Source: arXiv 2412.06097. Arguments, errors and the rule for ties are those of ``poset_pool2d``.

    Shapes:
        (B, C, H, W) → (B, C, H', W'); a 2×2 window with the default stride gives H' = ⌈H/2⌉, W' = ⌈W/2⌉.

    Raises:
        ArgumentError: At construction, if poset, window and placement do not fit together.

    Example:
        >>> layer = PosetPool2d("diamond")
        >>> layer(torch.randn(2, 3, 8, 8)).shape
        torch.Size([2, 3, 4, 4])
    """

    def __init__(
        self,
        poset: Poset | int | str = "N",
        kernel_size: int | Sequence[int] = 2,
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        *,
        ceil_mode: bool = True,
        placement: Sequence[int] | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self._geometry = _Geometry(kernel_size, stride, padding, ceil_mode)
        self.poset = _placed(resolve_poset(poset, self._geometry.points), placement)
        self._up_sets = self.poset.up_set_masks()
        self.scale = _checked_scale(scale)
        self._input_seen = False

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x`` (B, C, H, W)."""
        if not self._input_seen and not torch.compiler.is_compiling():
            self._look_at(x)
        return _pool_checked(x, self._up_sets, self._geometry.arguments, self.scale)

    def extra_repr(self) -> str:
        """Describe the layer in ``repr(model)``."""
        return f"{name_of(self.poset)!r}, {self._geometry}, scale={self.scale:g}"

    @property
    def kernel_size(self) -> Pair:
        """Size of the window."""
        return self._geometry.kernel

    @property
    def stride(self) -> Pair:
        """Step of the window."""
        return self._geometry.stride

    @property
    def padding(self) -> Pair:
        """Rows and columns of zeros on each side."""
        return self._geometry.padding

    @property
    def ceil_mode(self) -> bool:
        """Whether a window may stick out at the bottom and the right."""
        return self._geometry.ceil_mode

    def _look_at(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or x.dtype not in _DTYPES or x.numel() == 0:
            return
        self._input_seen = True
        low, high = torch.aminmax(x.detach())
        if low >= 0 and high > 0:
            warnings.warn(
                "the input of PosetPool2d is non-negative: every poset filter equals sum pooling there, because the "
                "full window is then the largest up-set; put the layer before the activation",
                NonNegativeInputWarning,
                stacklevel=_callers_level(),
            )


class _Geometry:
    """Window, stride and padding, checked."""

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: int | Sequence[int],
        ceil_mode: bool,
    ) -> None:
        self.kernel = _pair("kernel_size", kernel_size, least=1)
        self.stride = self.kernel if stride is None else _pair("stride", stride, least=1)
        self.padding = _pair("padding", padding, least=0)
        self.ceil_mode = ceil_mode
        self.points = self.kernel[0] * self.kernel[1]
        if any(2 * p > k for p, k in zip(self.padding, self.kernel, strict=True)):
            raise ArgumentError(f"padding must be at most half of the window {self.kernel}, got {self.padding}")
        if self.points > MAX_POINTS:
            raise ArgumentError(
                f"kernel_size {self.kernel} has {self.points} points; at most {MAX_POINTS} are possible"
            )

    @property
    def arguments(self) -> tuple[Pair, Pair, Pair, bool]:
        """The arguments as plain values, which torch.fx can write into a graph."""
        return self.kernel, self.stride, self.padding, self.ceil_mode

    def __str__(self) -> str:
        return f"kernel_size={self.kernel}, stride={self.stride}, padding={self.padding}, ceil_mode={self.ceil_mode}"

    def margins(self, axis: int, size: int) -> tuple[int, int]:
        """Zeros before and after an axis of this size (a negative number is dropped from the end by the windows)."""
        kernel, stride, padding = self.kernel[axis], self.stride[axis], self.padding[axis]
        room = size + 2 * padding - kernel
        count = (-(-room // stride) if self.ceil_mode else room // stride) + 1
        if self.ceil_mode and (count - 1) * stride >= size + padding:
            count -= 1
        if count < 1:
            name = ("height", "width")[axis]
            raise ArgumentError(
                f"x has {name} {size}, too small for kernel_size {self.kernel} and padding {self.padding}"
            )
        return padding, max(0, (count - 1) * stride + kernel - size - padding)


@torch.fx.wrap  # a traced model calls it as it is, since it looks at shapes
def _pool_checked(x: Tensor, up_sets: Sequence[int], arguments: tuple[Pair, Pair, Pair, bool], scale: float) -> Tensor:
    if not isinstance(x, Tensor) or x.dtype not in _DTYPES:
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(f"x must be a tensor of float16, bfloat16, float32 or float64, got {kind}")
    if x.dim() != 4:
        raise ArgumentError(f"x must have four dimensions (B, C, H, W), got shape {tuple(x.shape)}")
    geometry = _Geometry(*arguments)
    top, bottom = geometry.margins(0, x.shape[2])
    left, right = geometry.margins(1, x.shape[3])
    padded = F.pad(x, (left, right, top, bottom)) if top or bottom or left or right else x
    out = pool(padded, up_sets, geometry.kernel, geometry.stride)
    return out if scale == 1.0 else out * scale


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _up_sets(poset: Poset | int | str, points: int, placement: Sequence[int] | None) -> tuple[int, ...]:
    return _placed(resolve_poset(poset, points), placement).up_set_masks()


def _checked_scale(scale: float) -> float:
    if not isinstance(scale, int | float) or not math.isfinite(scale):
        raise ArgumentError(f"scale must be a finite number, got {scale!r}")
    return scale


def _callers_level() -> int:
    """How far above the call of ``warn`` the first line outside of torch and of this package is."""
    level, frame = 1, inspect.currentframe()
    frame = frame.f_back if frame else None
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("torch", "cenote"):
        level, frame = level + 1, frame.f_back
    return level


def _placed(poset: Poset, placement: Sequence[int] | None) -> Poset:
    if placement is None:
        return poset
    if sorted(placement) != list(range(poset.n)):
        raise ArgumentError(f"placement must be a permutation of 0 to {poset.n - 1}, got {tuple(placement)}")
    return poset.relabel(placement)


def _pair(name: str, value: int | Sequence[int], *, least: int) -> Pair:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(size, int) and size >= least for size in pair):
        raise ArgumentError(f"{name} must be one or two integers of at least {least}, got {value!r}")
    return pair[0], pair[1]
