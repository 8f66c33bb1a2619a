"""The five PoolFormers of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from cenote.pooling.poolformer.mixers import Mixer
from cenote.pooling.poolformer.network import BlockOptions, Head, Patch, PoolFormer

SMALL, MEDIUM = (64, 128, 320, 512), (96, 192, 384, 768)
"""Channels of the stages of S12, S24 and S36, and of M36 and M48."""


class PoolFormerOptions(BlockOptions, total=False):
    """Arguments of ``PoolFormer`` that a variant leaves to the caller, or that replace its own."""

    num_classes: int
    mixer: Mixer | Sequence[Mixer]
    norm: str | Sequence[str]
    layer_scale: float | None
    drop_path: float
    features_only: bool
    image_size: int | tuple[int, int] | None
    positions: bool | Sequence[bool]
    in_channels: int
    patch: Patch
    head: Head
    feature_norms: bool


def poolformer_s12(**options: Unpack[PoolFormerOptions]) -> PoolFormer:
    """Return PoolFormer-S12: 12 blocks, 11.9 M parameters, 1.8 G multiply-adds at 224 × 224 pixels.

    Source: arXiv 2111.11418, Table 1.

    Args:
        **options: Arguments of ``PoolFormer`` that replace its own, such as ``num_classes`` or ``features_only``.

    Shapes:
        Images (B, 3, H, W), H and W from 32.

    Raises:
        ArgumentError: As ``PoolFormer``.
        ArgumentTypeError: As ``PoolFormer``.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in poolformer_s12().parameters())
        11915176
    """
    return PoolFormer((2, 2, 6, 2), SMALL, **_with_defaults(options, 1e-5, 0.1))


def poolformer_s24(**options: Unpack[PoolFormerOptions]) -> PoolFormer:
    """Return PoolFormer-S24: 24 blocks, 21.4 M parameters, 3.4 G multiply-adds at 224 × 224 pixels.

    Source: arXiv 2111.11418, Table 1. Arguments, shapes and errors are those of ``poolformer_s12``.

    Shapes:
        Images (B, 3, H, W), H and W from 32.

    Raises:
        ArgumentError: As ``PoolFormer``.
        ArgumentTypeError: As ``PoolFormer``.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in poolformer_s24().parameters())
        21388968
    """
    return PoolFormer((4, 4, 12, 4), SMALL, **_with_defaults(options, 1e-5, 0.1))


def poolformer_s36(**options: Unpack[PoolFormerOptions]) -> PoolFormer:
    """Return PoolFormer-S36: 36 blocks, 30.9 M parameters, 5.0 G multiply-adds at 224 × 224 pixels.

    Source: arXiv 2111.11418, Table 1. Arguments, shapes and errors are those of ``poolformer_s12``.

    Shapes:
        Images (B, 3, H, W), H and W from 32.

    Raises:
        ArgumentError: As ``PoolFormer``.
        ArgumentTypeError: As ``PoolFormer``.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in poolformer_s36().parameters())
        30862760
    """
    return PoolFormer((6, 6, 18, 6), SMALL, **_with_defaults(options, 1e-6, 0.2))


def poolformer_m36(**options: Unpack[PoolFormerOptions]) -> PoolFormer:
    """Return PoolFormer-M36: 36 blocks, 56.2 M parameters, 8.8 G multiply-adds at 224 × 224 pixels.

    Source: arXiv 2111.11418, Table 1. Arguments, shapes and errors are those of ``poolformer_s12``.

    Shapes:
        Images (B, 3, H, W), H and W from 32.

    Raises:
        ArgumentError: As ``PoolFormer``.
        ArgumentTypeError: As ``PoolFormer``.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in poolformer_m36().parameters())
        56172520
    """
    return PoolFormer((6, 6, 18, 6), MEDIUM, **_with_defaults(options, 1e-6, 0.3))


def poolformer_m48(**options: Unpack[PoolFormerOptions]) -> PoolFormer:
    """Return PoolFormer-M48: 48 blocks, 73.5 M parameters, 11.6 G multiply-adds at 224 × 224 pixels.

    Source: arXiv 2111.11418, Table 1. Arguments, shapes and errors are those of ``poolformer_s12``.

    Shapes:
        Images (B, 3, H, W), H and W from 32.

    Raises:
        ArgumentError: As ``PoolFormer``.
        ArgumentTypeError: As ``PoolFormer``.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in poolformer_m48().parameters())
        73473448
    """
    return PoolFormer((8, 8, 24, 8), MEDIUM, **_with_defaults(options, 1e-6, 0.4))


def _with_defaults(options: PoolFormerOptions, layer_scale: float, drop_path: float) -> PoolFormerOptions:
    defaults: PoolFormerOptions = {"layer_scale": layer_scale, "drop_path": drop_path}
    return {**defaults, **options}
