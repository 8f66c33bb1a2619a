"""The five PoolFormers of the paper."""

from __future__ import annotations

from typing import Any

from cenote.pooling.poolformer.network import PoolFormer

SMALL, MEDIUM = (64, 128, 320, 512), (96, 192, 384, 768)
"""Channels of the stages of S12, S24 and S36, and of M36 and M48."""


def poolformer_s12(**options: Any) -> PoolFormer:
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
    return _variant((2, 2, 6, 2), SMALL, options, layer_scale=1e-5, drop_path=0.1)


def poolformer_s24(**options: Any) -> PoolFormer:
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
    return _variant((4, 4, 12, 4), SMALL, options, layer_scale=1e-5, drop_path=0.1)


def poolformer_s36(**options: Any) -> PoolFormer:
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
    return _variant((6, 6, 18, 6), SMALL, options, layer_scale=1e-6, drop_path=0.2)


def poolformer_m36(**options: Any) -> PoolFormer:
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
    return _variant((6, 6, 18, 6), MEDIUM, options, layer_scale=1e-6, drop_path=0.3)


def poolformer_m48(**options: Any) -> PoolFormer:
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
    return _variant((8, 8, 24, 8), MEDIUM, options, layer_scale=1e-6, drop_path=0.4)


def _variant(depths: tuple[int, ...], dims: tuple[int, ...], options: dict[str, Any], **own: float) -> PoolFormer:
    return PoolFormer(depths, dims, **{**own, **options})
