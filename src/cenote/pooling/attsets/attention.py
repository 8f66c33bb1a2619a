"""AttSets: every feature of a set chooses by a softmax over the members which of them it comes from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.attsets.sets import (
    SetAggregation,
    beside,
    check_count,
    check_set,
    finite,
    nan_if_empty,
    without_masked,
)

Kind = Literal["fc", "conv2d", "conv3d"]

_MAPS: dict[str, int] = {"fc": 0, "conv2d": 2, "conv3d": 3}
"""Dimensions of a member behind its features."""

_OVERFLOW = "the scores of x must be finite numbers; its features, or the weights of the layer, are too large"


class AttSets(SetAggregation):
    """Pool a set by attention of one layer: y^d = Σ_n s_n^d x_n^d with s^d = softmax_n((W x_n)^d).

    Every feature d has a softmax of its own over the members, in the place of one weight a member. One member comes
    out as it went in, bit for bit, whatever W is; W = 0 gives the mean; W = t·1 approaches the maximum as t grows.
    The order of the members does not matter, nor does it matter if all of them come twice.

    Source: arXiv 1808.00758, section 3.2.

    Differs from the paper: masks are an addition; the layer has no bias by default, since a number added to all
    members leaves the softmax as it is. The kernel of the convolutions is not known; here it is 3.

    Args:
        dim: Features D of a member.
        out_elems: Times M that the features are pooled, each with weights of its own.
        bias: Whether the layer has a bias; it has no effect and no gradient.
        kind: ``fc`` for vectors; ``conv2d`` and ``conv3d`` for maps and volumes, whose scores come from a convolution.
        kernel_size: Odd side of that convolution's kernel; ``fc`` has none.

    Shapes:
        x: (B, N, D), with ``conv2d`` (B, N, D, H, W), with ``conv3d`` (B, N, D, H, W, Z). mask: (B, N).
        Returns (B, M·D), (B, M·D, H, W) or (B, M·D, H, W, Z), and the weights with N behind B.

    Raises:
        ArgumentError: If an argument has a value that is not allowed.
        ArgumentTypeError: If a number is not a whole one.

    Example:
        >>> views = torch.randn(2, 5, 16)  # five views of each of two objects
        >>> AttSets(16)(views).shape
        torch.Size([2, 16])
        >>> one = views[:, :1]
        >>> torch.equal(AttSets(16)(one), one[:, 0])
        True
    """

    def __init__(
        self, dim: int, out_elems: int = 1, bias: bool = False, kind: Kind = "fc", kernel_size: int = 3
    ) -> None:
        if kind not in _MAPS:
            raise ArgumentError(f"kind must be one of {', '.join(map(repr, _MAPS))}, got {kind!r}")
        check_count("out_elems", out_elems)
        check_count("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ArgumentError(f"kernel_size must be odd, so that maps keep their size, got {kernel_size}")
        super().__init__(dim, (_MAPS[kind],))
        self.out_elems = out_elems
        self.kind = kind
        self.scores = _layer(kind, dim, out_elems * dim, bias, kernel_size)
        nn.init.xavier_uniform_(self.scores.weight)
        if self.scores.bias is not None:
            nn.init.zeros_(self.scores.bias)

    def forward(  # type: ignore[override]
        self, x: Tensor, mask: Tensor | None = None, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Pool each set.

        Args:
            x: Sets of N members, floating point.
            mask: Boolean, True for members that count; all do if left out.
            return_weights: Whether to return the weights s too: what each pooled feature took of each member.

        Returns:
            The pooled sets in the dtype of ``x``; with ``return_weights`` also the weights, 0 for masked members.

        Raises:
            ArgumentError: If a set has no member, none that counts, another number of features or dimensions, or
                features that count and are not finite or so large that their scores are not. Values are looked at
                on the CPU, outside of ``torch.compile``, only; elsewhere a set without members gives NaN.
            ArgumentTypeError: If ``x`` is not a floating-point tensor or the mask not boolean.
        """
        check_set(x, mask, self.dim, self.maps)
        x = without_masked(x, mask)
        if not return_weights:
            return nan_if_empty(self.aggregate(x, mask), mask)
        weights = self._weights(x, mask)
        return nan_if_empty(self._weighted(x, weights), mask), weights

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Take the weighted mean of the members that count, without checks of their shapes.

        Source: arXiv 1808.00758, section 3.2.

        Args:
            x: Sets of N members, 0 where masked.
            mask: Boolean, True for members that count; all do if left out.

        Shapes:
            Those of the class.

        Raises:
            ArgumentError: If features that count are not finite, or so large that their scores are not.
        """
        return self._weighted(x, self._weights(x, mask))

    def _weighted(self, x: Tensor, weights: Tensor) -> Tensor:
        members = x if self.out_elems == 1 else x.repeat(1, 1, self.out_elems, *(1,) * (x.dim() - 3))
        # A weighted mean of finite members is finite: if this one is not, its weights are not.
        return finite((weights * members).sum(1), x, _OVERFLOW)

    def _weights(self, x: Tensor, mask: Tensor | None) -> Tensor:
        scores = self.scores(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        if mask is not None:
            scores = scores.masked_fill(~beside(mask, x), float("-inf"))
        return torch.softmax(scores, 1)

    def extra_repr(self) -> str:
        """Say what is not seen from the layer."""
        return f"dim={self.dim}, out_elems={self.out_elems}, kind={self.kind!r}"


def _layer(kind: Kind, dim: int, out: int, bias: bool, kernel_size: int) -> nn.Linear | nn.Conv2d | nn.Conv3d:
    if kind == "fc":
        return nn.Linear(dim, out, bias)
    convolution = nn.Conv2d if kind == "conv2d" else nn.Conv3d
    return convolution(dim, out, kernel_size, padding=kernel_size // 2, bias=bias)
