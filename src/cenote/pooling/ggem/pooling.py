"""Generalised mean pooling of tokens and maps, with one exponent for each group of channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.ggem.negatives import Negative, Problem, way
from cenote.pooling.ggem.power_mean import slopes

Parametrization = Literal["free", "softplus"]


def ggem_pool(
    x: Tensor,
    p: Tensor | float = 3.0,
    mask: Tensor | None = None,
    *,
    dim: int | Sequence[int] | None = None,
    eps: float = 1e-6,
    negative: Negative = "clamp",
    allow_negative_p: bool = False,
) -> Tensor:
    """Pool tokens by a power mean: y_c = ((1/N) Σ_i max(x_ic, ε)^p)^{1/p} with the p of the group of channel c.

    p = 1 is the mean of the clamped values, p = inf exactly the maximum, p = 0 the geometric mean. On signed input
    the clamp removes the negative part, so p = 1 is not the plain mean there; ``negative`` has other ways. Computed
    in float32 for float16 and bfloat16, with derivatives of every order in ``x`` and ``p``.

    Source: arXiv 2212.04114; with one exponent it is GeM, arXiv 1711.02512.

    Differs from the paper: exponents below 10⁻³ in size are joined to the geometric mean, where the formula has none;
    infinite and (on request) negative exponents, masks and other ways of treating negative values are additions.

    Args:
        x: Tokens or maps, floating point.
        p: One exponent, or a tensor of G exponents, which the D channels share in G contiguous groups.
        mask: Boolean, True for tokens that count, in the shape of the batch and the pooled dimensions.
        dim: Dimensions that are pooled, all but the batch and the channels: 1 for tokens and (2, 3) for maps if left
            out; 2 pools (B, D, N), and (1, 2) maps that have their channels last.
        eps: ε, a positive floor under the values.
        negative: ``clamp`` lifts values to ε; ``relu`` pools max(x, 0) + ε; ``shift`` measures from the sample's
            smallest value and takes the shift back; ``signed`` averages sgn(x)·|x|^p and takes the signed root.
        allow_negative_p: Whether p ≤ 0 is allowed; p = -inf is exactly the minimum.

    Returns:
        The pooled channels, in the dtype of ``x``.

    Shapes:
        x: (B, N, D) or (B, D, H, W). p: () or (G,), G a divisor of D. mask: (B, N) or (B, H, W). Returns (B, D).

    Raises:
        ArgumentError: If G does not divide D, there is no token or a sample has none that counts, p is NaN, or not
            positive without ``allow_negative_p``, or another argument has a value that is not allowed. The values of
            a mask and of a tensor p are looked at on the CPU, outside of ``torch.compile``, only; elsewhere a sample
            without tokens gives NaN.
        ArgumentTypeError: If ``x`` is not a floating-point tensor, the mask is not boolean, or ``p``, ``dim`` or
            ``eps`` is no number of its kind.

    Example:
        >>> x = torch.tensor([[[1.0, 1.0], [7.0, 7.0]]])  # two tokens with two channels
        >>> ggem_pool(x, torch.tensor([1.0, 2.0])).tolist()  # mean and root mean square
        [[4.0, 5.0]]
        >>> ggem_pool(x, torch.inf).tolist()
        [[7.0, 7.0]]
    """
    return way(negative)(_problem(x, p, dim, eps, mask, negative, allow_negative_p))


def token_weights(
    x: Tensor,
    p: Tensor | float = 3.0,
    mask: Tensor | None = None,
    *,
    dim: int | Sequence[int] | None = None,
    eps: float = 1e-6,
    allow_negative_p: bool = False,
) -> Tensor:
    """Say how strongly each token moves the pooled vector: ∂y_c/∂x_ic = (1/N)(x_ic / y_c)^{p-1}, mean over a group.

    With p = 1 each token has the weight 1/N, times the share of its channels that are not clamped; the larger p, the
    more the tokens with large values weigh. Values below ε weigh nothing, nor do masked tokens.

    Source: arXiv 2212.04114, the gradient of the pooling. Arguments and errors are those of ``ggem_pool`` with the
    way ``clamp`` of treating negatives.

    Shapes:
        x: (B, N, D) or (B, D, H, W). p: () or (G,). mask: (B, N) or (B, H, W). Returns (B, N, G) or (B, G, H, W).

    Raises:
        ArgumentError: As ``ggem_pool``.
        ArgumentTypeError: As ``ggem_pool``.

    Example:
        >>> x = torch.tensor([[[1.0], [7.0]]])
        >>> token_weights(x, 1.0).flatten().tolist()
        [0.5, 0.5]
        >>> print(*(f"{weight:.2f}" for weight in token_weights(x, 2.0).flatten().tolist()))  # 1 and 7 over 2·5
        0.10 0.70
    """
    problem = _problem(x, p, dim, eps, mask, "clamp", allow_negative_p)
    channel = 3 - problem.axis
    groups = torch.as_tensor(p).numel()
    weights = slopes(**problem._asdict())
    means = weights.unflatten(channel, (groups, weights.shape[channel] // groups)).mean(channel + 1)  # type: ignore[no-untyped-call]
    laid_out: Tensor = means.unflatten(problem.axis, [x.shape[d] for d in _pooled(x, dim)])
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return laid_out.contiguous(memory_format=torch.channels_last) if last else laid_out


class GGeM(nn.Module):
    """Group generalised mean pooling: tokens or maps into one vector, with one learned exponent a group of channels.

    For a vision transformer the number of heads is the paper's choice of ``groups``: heads write contiguous channels,
    though output projection and MLP mix them again, so that groups and heads agree only roughly. Keep weight decay
    away from the exponents (``parameter_groups``), since it would pull them to 0.

    Source: arXiv 2212.04114. The formula is that of ``ggem_pool``; an initial exponent of 3 is the usage of GeM, the
    paper's own is not known.

    Args:
        dim: D, the number of channels; None takes any number that G divides.
        groups: G, the number of groups of contiguous channels.
        p: The exponent to start from, or one for each group.
        eps: ε, a positive floor under the values.
        learn_p: Whether the exponents are parameters; otherwise they are buffers.
        negative: How negative values are treated: ``clamp``, ``relu``, ``shift`` or ``signed``, as in ``ggem_pool``.
        parametrization: ``free`` learns p itself; ``softplus`` learns ρ of p = 1 + ln(1 + e^ρ), which stays above 1.
        allow_negative_p: Whether p ≤ 0 is allowed.

    Shapes:
        x: (B, N, D) or (B, D, H, W). mask: (B, N) or (B, H, W). Returns (B, D).

    Raises:
        ArgumentError: If G does not divide D, the number of exponents is not G, or one is not allowed; in a forward
            pass as ``ggem_pool``, so also where learning has driven a free exponent to 0.
        ArgumentTypeError: If ``dim``, ``groups``, ``p`` or ``eps`` is no number of its kind.

    Example:
        >>> pool = GGeM(dim=192, groups=3)
        >>> pool(torch.randn(2, 196, 192)).shape, pool.p.tolist()
        (torch.Size([2, 192]), [3.0, 3.0, 3.0])
    """

    def __init__(
        self,
        dim: int | None,
        groups: int,
        p: float | Sequence[float] = 3.0,
        eps: float = 1e-6,
        learn_p: bool = True,
        negative: Negative = "clamp",
        parametrization: Parametrization = "free",
        allow_negative_p: bool = False,
    ) -> None:
        super().__init__()
        _check_count("groups", groups)
        if dim is not None:
            _check_count("dim", dim)
            _check_groups(groups, dim)
        if parametrization not in ("free", "softplus"):
            raise ArgumentError(f"parametrization must be 'free' or 'softplus', got {parametrization!r}")
        _check_eps(eps)
        way(negative)
        self.dim, self.groups, self.eps, self.negative = dim, groups, eps, negative
        self.parametrization, self.allow_negative_p = parametrization, allow_negative_p
        raw = self._raw(_one_a_group(p, groups))
        if learn_p:
            self.raw_p = nn.Parameter(raw)
        else:
            self.register_buffer("raw_p", raw)

    @property
    def p(self) -> Tensor:
        """The exponents, (G,)."""
        return 1 + F.softplus(self.raw_p) if self.parametrization == "softplus" else self.raw_p

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pool ``x`` over the tokens that ``mask`` counts (all if left out).

        Raises:
            ArgumentError: As ``ggem_pool``, and if ``x`` has another number of channels than ``dim``.
            ArgumentTypeError: As ``ggem_pool``.
        """
        if self.dim is not None and isinstance(x, Tensor) and x.dim() in (3, 4):
            channels = x.shape[2 if x.dim() == 3 else 1]
            if channels != self.dim:
                raise ArgumentError(f"x must have {self.dim} channels, got {channels} in shape {tuple(x.shape)}")
        return ggem_pool(
            x, self.p, eps=self.eps, mask=mask, negative=self.negative, allow_negative_p=self.allow_negative_p
        )

    def extra_repr(self) -> str:
        """Describe the layer in ``repr(model)``."""
        dim = "" if self.dim is None else f"{self.dim}, "
        learned = "learned" if isinstance(self.raw_p, nn.Parameter) else "fixed"
        return f"{dim}groups={self.groups}, p {learned}, eps={self.eps:g}, negative={self.negative!r}"

    def _raw(self, p: Tensor) -> Tensor:
        _check_signs(p, self.negative, self.allow_negative_p)
        if self.parametrization == "free":
            return p
        if not bool(((p > 1) & p.isfinite()).all()):
            raise ArgumentError(f"p must be above 1 and finite with parametrization 'softplus', got {p.tolist()}")
        return (p - 1) + torch.log(-torch.expm1(1 - p))  # the inverse of softplus, without overflow


class GeM(GGeM):
    """Generalised mean pooling: one learned exponent for all channels, however many there are.

    Source: arXiv 1711.02512; the ungrouped baseline of arXiv 2212.04114. Arguments, shapes and errors are those of
    ``GGeM`` with one group.

    Shapes:
        x: (B, N, D) or (B, D, H, W). mask: (B, N) or (B, H, W). Returns (B, D).

    Raises:
        ArgumentError: As ``GGeM``.
        ArgumentTypeError: As ``GGeM``.

    Example:
        >>> GeM()(torch.randn(2, 512, 7, 7)).shape
        torch.Size([2, 512])
    """

    def __init__(
        self,
        p: float = 3.0,
        eps: float = 1e-6,
        learn_p: bool = True,
        negative: Negative = "clamp",
        parametrization: Parametrization = "free",
        allow_negative_p: bool = False,
    ) -> None:
        super().__init__(None, 1, p, eps, learn_p, negative, parametrization, allow_negative_p)


# --- checking -----------------------------------------------------------------------------------------------------


def _problem(
    x: Tensor,
    p: Tensor | float,
    dim: int | Sequence[int] | None,
    eps: float,
    mask: Tensor | None,
    negative: str,
    allow_negative_p: bool,
) -> Problem:
    """Check the arguments and bring them into the form of the core: three dimensions and an exponent a channel."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ArgumentTypeError(f"x must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    pooled = _pooled(x, dim)
    _check_eps(eps)
    if 0 in [x.shape[d] for d in pooled]:
        raise ArgumentError(f"x must have at least one token, got shape {tuple(x.shape)} and dim {pooled}")
    axis = 2 if pooled[0] == 2 else 1
    flat = x.flatten(pooled[0], pooled[-1])
    channels = flat.shape[3 - axis]
    exponents = _real_tensor(p).to(x.device) if isinstance(p, Tensor) else x.new_tensor(_real(p), dtype=torch.float64)
    if exponents.dim() > 1 or exponents.numel() == 0:
        raise ArgumentError(f"p must be one number or a vector of them, got shape {tuple(exponents.shape)}")
    exponents = exponents.reshape(-1)
    _check_groups(len(exponents), channels)
    if _can_look_at(exponents):
        _check_signs(exponents, negative, allow_negative_p)
    each = exponents.unsqueeze(1).expand(-1, channels // len(exponents)).reshape(-1)
    keep = None if mask is None else _checked_mask(mask, x, pooled)
    return Problem(flat, each, eps, keep, axis, allow_negative_p)


def _pooled(x: Tensor, dim: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the pooled dimensions: neighbours, so that a view can make them one."""
    defaults = {3: (1,), 4: (2, 3)}
    if x.dim() not in defaults:
        raise ArgumentError(f"x must be tokens (B, N, D) or maps (B, D, H, W), got shape {tuple(x.shape)}")
    if dim is None:
        return defaults[x.dim()]
    given = tuple(dim) if isinstance(dim, Sequence) and not isinstance(dim, str) else (dim,)
    if not all(isinstance(d, int) and not isinstance(d, bool) for d in given):
        raise ArgumentTypeError(f"dim must be a whole number or a sequence of them, got {dim!r}")
    pooled = tuple(sorted(d + x.dim() if d < 0 else d for d in given))
    allowed = ((1,), (2,)) if x.dim() == 3 else ((1, 2), (2, 3))
    if pooled not in allowed:
        raise ArgumentError(f"dim must be {' or '.join(map(str, allowed))} for {x.dim()} dimensions, got {dim}")
    return pooled


def _checked_mask(mask: Tensor, x: Tensor, pooled: tuple[int, ...]) -> Tensor:
    expected = (x.shape[0], *(x.shape[d] for d in pooled))
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        raise ArgumentTypeError(f"mask must be a boolean tensor, got {getattr(mask, 'dtype', type(mask).__name__)}")
    if mask.shape != expected:
        raise ArgumentError(f"mask must have shape {expected}, got {tuple(mask.shape)}")
    keep = mask.flatten(1)
    if _can_look_at(keep) and not bool(keep.any(1).all()):
        sample = int((~keep.any(1)).nonzero()[0])
        raise ArgumentError(f"mask must keep at least one token of every sample; it keeps none of sample {sample}")
    return keep


def _check_count(name: str, count: int) -> None:
    if not isinstance(count, Integral) or isinstance(count, bool):
        raise ArgumentTypeError(f"{name} must be a whole number, got {count!r}")
    if count < 1:
        raise ArgumentError(f"{name} must be at least 1, got {count}")


def _check_groups(groups: int, channels: int) -> None:
    if channels % groups:
        divisors = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
        raise ArgumentError(f"groups must divide the {channels} channels, got {groups}; allowed are {divisors}")


def _check_eps(eps: float) -> None:
    if not isinstance(eps, Real) or isinstance(eps, bool):
        raise ArgumentTypeError(f"eps must be a positive number, got {eps!r}")
    if not (math.isfinite(eps) and eps > 0):
        raise ArgumentError(f"eps must be a positive number, got {eps}")


def _check_signs(p: Tensor, negative: str, allow_negative_p: bool) -> None:
    if bool(p.isnan().any()):
        raise ArgumentError(f"p must not be NaN, got {p.tolist()}")
    if negative == "signed" and (allow_negative_p or bool(p.isinf().any())):
        raise ArgumentError("p must be positive and finite with negative 'signed': other powers of 0 have no sign")
    if not allow_negative_p and not bool((p > 0).all()):
        raise ArgumentError(f"p must be positive, got {p.tolist()}; pass allow_negative_p=True for other exponents")


def _one_a_group(p: float | Sequence[float] | Tensor, groups: int) -> Tensor:
    given = p.tolist() if isinstance(p, Tensor) else p
    values = list(given) if isinstance(given, Iterable) else [given] * groups
    exponents = torch.tensor([_real(value) for value in values], dtype=torch.float32)
    if len(exponents) != groups:
        raise ArgumentError(f"p must be one number or {groups}, one for each group, got {len(exponents)}")
    return exponents


def _real(p: object) -> float:
    if not isinstance(p, Real) or isinstance(p, bool):
        raise ArgumentTypeError(f"p must be a number, got {p!r}")
    return float(p)


def _real_tensor(p: Tensor) -> Tensor:
    if p.is_complex() or p.dtype is torch.bool:
        raise ArgumentTypeError(f"p must be a tensor of real numbers, got {p.dtype}")
    return p


def _can_look_at(values: Tensor) -> bool:
    """Whether values can be read without breaking a graph or waiting for an accelerator."""
    return values.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.compiler.is_exporting())
