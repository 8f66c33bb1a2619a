"""The power mean over tokens, from tiny to infinite exponents, with derivatives of every order.

With d_i = ln(z_i / r) for a reference r (the largest value, or the smallest where p < 0), the mean is
y = r·exp(ln(Σ exp(p·d_i) / N) / p): no power over- or underflows, and r itself comes out exactly where p is infinite.
The backward pass keeps the input alone and computes the powers anew, so nothing of the input's size is stored.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

NEAR_ZERO = 1e-3
"""Below it 1/p magnifies rounding; ln y is then drawn as a straight line from the geometric mean, which is p = 0."""

_ALMOST_INFINITE = 1e30
"""Stands for ±inf, since inf·0 is NaN; a ratio below 1 to this power is 0 in every dtype."""


_CACHED = 1 << 17
"""Values that the backward pass works on at a time: its five buffers of them fit into the cache of a core."""


def power_mean(
    x: Tensor, p: Tensor, *, floor: float, keep: Tensor | None = None, axis: int = 1, either_sign: bool = False
) -> Tensor:
    """Return y = ((1/N) Σ_i max(x_i, floor)^p)^{1/p}, computed in float32 (float64 for float64).

    Entries below the floor get no gradient. In |p| < 10⁻³, ln y lies on the line between the geometric mean and the
    value at ±10⁻³, so that y is continuous and increases with p there too. An infinite entry makes the mean with
    p ≥ 0 infinite, and its gradient NaN.

    Args:
        x: Floating point; ``axis`` holds the tokens, the other one of dimensions 1 and 2 the channels.
        p: Exponent of each channel, (D,); ±inf gives the maximum and the minimum, 0 the geometric mean.
        floor: Positive lower bound of the values.
        keep: Which tokens count, (B, N); all by default.
        axis: 1 for (B, N, D), 2 for (B, D, N).
        either_sign: Whether ``p`` may be negative; costs one more pass.

    Returns:
        (B, D) in the dtype of ``x``.
    """
    y: Tensor = _PowerMean.apply(x, p.to(_wide(x)), _along(keep, axis), floor, axis, either_sign)
    return y.to(x.dtype)


def slopes(
    x: Tensor, p: Tensor, *, floor: float, keep: Tensor | None = None, axis: int = 1, either_sign: bool = False
) -> Tensor:
    """Return ∂y/∂x_i = (1/N)(x_i / y)^{p-1}, which is 0 below the floor and where ``keep`` is False.

    Arguments are those of ``power_mean``; returns a tensor like ``x``.
    """
    exponent, mask = p.to(_wide(x)), _along(keep, axis)
    reference = _reference(x.detach(), exponent, mask, floor, axis, either_sign)
    terms = _terms(x, exponent, reference, mask, floor, axis)
    log_ratio = torch.where(terms.share < 1, terms.mean_log.lerp(terms.log_mean, terms.share), terms.log_mean)
    return _slopes(terms, reference * log_ratio.exp()).to(x.dtype)


class _PowerMean(torch.autograd.Function):
    """The mean in float32 or float64; its backward pass is itself made of differentiable operations."""

    @staticmethod
    def forward(x: Tensor, p: Tensor, mask: Tensor | None, floor: float, axis: int, either_sign: bool) -> Tensor:
        return _value(x, p, _reference(x, p, mask, floor, axis, either_sign), mask, floor, axis).squeeze(axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, p, mask, ctx.floor, ctx.axis, _ = inputs
        ctx.save_for_backward(x, p, mask, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, p, mask, y = ctx.saved_tensors
        size = _samples_at_a_time(x)
        masks = itertools.repeat(None) if mask is None else torch.split(mask, size)
        y, grad = y.unsqueeze(ctx.axis), grad.unsqueeze(ctx.axis)
        samples = (torch.split(x, size), torch.split(y, size), torch.split(grad, size))
        parts = zip(*samples, masks, strict=False)
        to_x, to_p = [], []
        for values, means, flow, keep in parts:
            # The mean lies among the values, so it serves as the reference; whatever the reference is, it cancels.
            terms = _terms(values, p, means.detach(), keep, ctx.floor, ctx.axis)
            if ctx.needs_input_grad[0]:
                to_x.append((flow * _slopes(terms, means)).to(x.dtype))
            if ctx.needs_input_grad[1]:
                to_p.append((flow * means * _log_slope_in_p(terms)).sum((0, ctx.axis)))
        return torch.cat(to_x) if to_x else None, sum(to_p[1:], to_p[0]) if to_p else None, None, None, None, None


def _samples_at_a_time(x: Tensor) -> int:
    """Return how many samples' powers fit into a processor's cache; all of them where a compiler or a GPU fuses."""
    fuses = x.device.type != "cpu" or torch.compiler.is_compiling() or torch.compiler.is_exporting()
    return max(1, len(x) if fuses else _CACHED * torch.get_num_threads() // (x.shape[1] * x.shape[2] or 1))


# --- the parts of the formula -------------------------------------------------------------------------------------


def _value(x: Tensor, p: Tensor, reference: Tensor, mask: Tensor | None, floor: float, axis: int) -> Tensor:
    """Return the mean; in place in one buffer, since touching new memory takes longer than logarithms do."""
    exponent, share = _exponent_and_share(_broadcast(p, axis))
    buffer = x.to(p.dtype).clamp_min(floor).div_(reference).log_()
    if mask is not None:
        buffer.masked_fill_(~mask, 0)
    count = _count(x, mask, axis)
    mean_log = buffer.sum(axis, keepdim=True) / count
    buffer.mul_(exponent).exp_()
    if mask is not None:
        buffer.masked_fill_(~mask, 0)
    log_mean = (buffer.sum(axis, keepdim=True) / count).log() / exponent
    ratio = torch.where(share < 1, mean_log.lerp(log_mean, share), log_mean).exp()
    # inf / inf is NaN, yet a mean whose reference is infinite is infinite itself.
    return torch.where(reference.isinf(), reference, reference * ratio)


class _Terms(NamedTuple):
    """What the derivatives are made of; what depends on no token keeps the tokens' dimension."""

    axis: int
    values: Tensor
    """z, at or above the floor; a placeholder where masked."""
    below: Tensor
    """Whether an entry has no gradient: it lies below the floor, or is masked."""
    logs: Tensor
    """d = ln(z / r); 0 where masked."""
    powers: Tensor
    """exp(q·d); 0 where masked."""
    exponent: Tensor
    """q: p, kept away from 0 and from infinity."""
    share: Tensor
    """t: 1 where q = p; falls to 0 with |p| below ``NEAR_ZERO``."""
    total: Tensor
    """S = Σ exp(q·d)."""
    tokens: Tensor | int
    """N, without the masked tokens."""

    @property
    def log_mean(self) -> Tensor:
        """ln(S / N) / q: the logarithm of the mean with exponent q, relative to r."""
        return (self.total / self.tokens).log() / self.exponent

    @property
    def mean_log(self) -> Tensor:
        """The logarithm of the geometric mean, relative to r."""
        return self.logs.sum(self.axis, keepdim=True) / self.tokens


def _terms(x: Tensor, p: Tensor, reference: Tensor, mask: Tensor | None, floor: float, axis: int) -> _Terms:
    exponent, share = _exponent_and_share(_broadcast(p, axis))
    wide = x.to(p.dtype)
    below = wide < floor
    if mask is not None:
        wide, below = wide.masked_fill(~mask, 1), below | ~mask
    values = wide.clamp_min(floor)
    # The logarithm of the ratio, not a difference of logarithms: it is exact where p is large and the ratio near 1.
    logs = (values / reference).log_()
    if mask is not None:
        logs = logs.masked_fill(~mask, 0)
    powers = (exponent * logs).exp_()
    if mask is not None:
        powers = powers.masked_fill(~mask, 0)
    total = powers.sum(axis, keepdim=True)
    return _Terms(axis, values, below, logs, powers, exponent, share, total, _count(x, mask, axis))


def _slopes(terms: _Terms, y: Tensor) -> Tensor:
    """Return ∂y/∂z_i = w_i·y/z_i with w_i = z_i^p / Σ z^p, and 1/N for w_i at p = 0."""
    weights = (terms.powers * (terms.share / terms.total)).add_((1 - terms.share) / terms.tokens)
    return weights.mul_(y / terms.values).masked_fill_(terms.below, 0)


def _log_slope_in_p(terms: _Terms) -> Tensor:
    """Return ∂(ln y)/∂p = (Σ w_i·d_i - ln(S / N) / p) / p, and the slope of the line near p = 0."""
    weighted = (terms.powers * terms.logs).sum(terms.axis, keepdim=True) / terms.total
    log_mean = terms.log_mean
    rise = torch.where(terms.share < 1, log_mean - terms.mean_log, weighted - log_mean)
    return rise / terms.exponent


def _reference(x: Tensor, p: Tensor, mask: Tensor | None, floor: float, axis: int, either_sign: bool) -> Tensor:
    """Return the largest value of each channel, and the smallest where p is negative."""
    wide = x.to(p.dtype)
    largest = wide if mask is None else wide.masked_fill(~mask, 0)
    largest = largest.amax(axis, keepdim=True).clamp_min(floor)
    if not either_sign:
        return largest
    smallest = wide if mask is None else wide.masked_fill(~mask, torch.inf)
    smallest = smallest.amin(axis, keepdim=True).clamp_min(floor)
    return torch.where(_broadcast(p, axis) < 0, smallest, largest)


def _exponent_and_share(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return q and t: the exponent that is computed with, and its weight against the geometric mean."""
    nearest = torch.where(p < 0, -NEAR_ZERO, NEAR_ZERO).to(p.dtype)
    exponent = torch.where(p.abs() < NEAR_ZERO, nearest, p).clamp(-_ALMOST_INFINITE, _ALMOST_INFINITE)
    return exponent, (p.abs() / NEAR_ZERO).clamp_max(1)


def _count(x: Tensor, mask: Tensor | None, axis: int) -> Tensor | int:
    return x.shape[axis] if mask is None else mask.sum(axis, keepdim=True)


def _broadcast(p: Tensor, axis: int) -> Tensor:
    return p.unsqueeze(-1) if axis == 2 else p


def _along(keep: Tensor | None, axis: int) -> Tensor | None:
    return None if keep is None else keep.unsqueeze(3 - axis)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype is torch.float64 else torch.float32
