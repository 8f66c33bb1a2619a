"""What several modules of this paper ask of their input."""

from __future__ import annotations

from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError


def check_map(x: Tensor, channels: int | None = None) -> None:
    """Refuse what is no map (B, C, H, W) of floating-point numbers, or has another number of channels."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ArgumentTypeError(f"x must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.dim() != 4:
        raise ArgumentError(f"x must have four dimensions (B, C, H, W), got shape {tuple(x.shape)}")
    if channels is not None and x.shape[1] != channels:
        raise ArgumentError(f"x must have {channels} channels, got {x.shape[1]} in shape {tuple(x.shape)}")


def check_choice(name: str, value: object, choices: object) -> None:
    """Refuse a name that is not among the choices, and list them."""
    if value not in tuple(choices):  # type: ignore[arg-type]
        allowed = ", ".join(map(repr, choices))  # type: ignore[call-overload]
        raise ArgumentError(f"{name} must be one of {allowed}, got {value!r}")
