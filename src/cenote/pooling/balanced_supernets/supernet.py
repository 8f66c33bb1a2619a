"""Units with poolings between them: one network for every configuration, or a network of its own for one."""

from __future__ import annotations

import copy
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.configurations import Config

Pool: TypeAlias = Literal["max", "avg", "stride"] | nn.Module
"""How a map is halved: by a name, or by a module that does it, such as ``PosetPool2d``."""


class SuperNet(nn.Module):
    """Units that all configurations share: the configuration is an argument of the forward pass.

    Batch norms are replaced by ones that have no scale and shift and always normalise by the batch at hand, also in
    evaluation: running statistics would mix those of all configurations, which differ.

    Source: arXiv 2306.11982.

    Args:
        units: The units, which keep height and width, and behind them the head, which turns the last map into logits.
            Copied, so the weights given are the initial ones and stay as they are.
        pool: Halves a map before a unit: ``max`` or ``avg`` over 2 × 2 pixels, ``stride`` keeps every other pixel, a
            module does it in its own way; one copy serves all places.

    Shapes:
        Images (B, C, H, W) → logits (B, K).

    Raises:
        ArgumentError: If there is not at least a unit and a head, or no pooling has this name.

    Example:
        >>> from cenote.pooling.balanced_supernets.backbones import resnet_units
        >>> supernet = SuperNet(resnet_units(widths=(4, 4, 8)))
        >>> images = torch.randn(2, 3, 16, 16)
        >>> supernet(images, (0, 1, 0)).shape == supernet(images, (0, 0, 1)).shape == (2, 10)
        True
    """

    def __init__(self, units: nn.Sequential, pool: Pool = "max") -> None:
        super().__init__()
        check_sequence(units)
        *own, head = with_batch_statistics(copy.deepcopy(units)).children()
        self.units = nn.ModuleList(own)
        self.head = head
        self.pool = pool_module(pool)

    def forward(self, images: Tensor, config: Config | None = None) -> Tensor:
        """Return the logits; without a configuration nothing is pooled."""
        maps = images
        for unit, pooled in zip(self.units, config or (0,) * len(self.units), strict=True):
            maps = unit(self.pool(maps) if pooled else maps)
        logits: Tensor = self.head(maps)
        return logits


def pooled_network(units: nn.Sequential, config: Config, pool: Pool = "max") -> nn.Sequential:
    """Return a network of one configuration: the units and the head themselves, with poolings between them.

    Args:
        units: The units and behind them the head. Not copied, and with their own batch norms.
        config: A bit for each unit, 1 where its input is pooled.
        pool: Halves a map; see ``SuperNet``. Each place has a copy of its own.
    """
    check_sequence(units)
    layers: list[nn.Module] = []
    for unit, pooled in zip(units[:-1], config, strict=True):
        layers += [pool_module(pool), unit] if pooled else [unit]
    return nn.Sequential(*layers, units[-1])


class EveryOther2d(nn.Module):
    """Keeps every other row and column, from the first: what a stride of 2 keeps."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (B, C, ⌈H / 2⌉, ⌈W / 2⌉)."""
        return maps[:, :, ::2, ::2]


def pool_module(pool: Pool) -> nn.Module:
    """Return a new module for a pooling.

    Raises:
        ArgumentError: If no pooling has this name.
    """
    if isinstance(pool, nn.Module):
        return copy.deepcopy(pool)
    named: dict[str, type[nn.Module]] = {"avg": _Avg, "max": _Max, "stride": EveryOther2d}
    if pool not in named:
        raise ArgumentError(f"pool must be {', '.join(map(repr, named))} or a module, got {pool!r}")
    return named[pool]()


class _Max(nn.MaxPool2d):
    def __init__(self) -> None:
        super().__init__(2)


class _Avg(nn.AvgPool2d):
    def __init__(self) -> None:
        super().__init__(2)


def with_batch_statistics(module: nn.Module) -> nn.Module:
    """Replace the batch norms in a module by ones of the batch at hand, without scale and shift; return it."""
    if isinstance(module, _BatchNorm):
        kind = next(base for base in type(module).__mro__ if base.__module__.startswith("torch.nn"))
        plain: nn.Module = kind(module.num_features, eps=module.eps, affine=False, track_running_stats=False)
        return plain.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, with_batch_statistics(child))
    return module


def check_sequence(units: nn.Sequential) -> None:
    """Raise ArgumentError where a sequence is not at least a unit and a head."""
    if not isinstance(units, nn.Sequential) or len(units) < 2:
        got = f"{len(units)} modules" if isinstance(units, nn.Sequential) else type(units).__name__
        raise ArgumentError(f"units must be an nn.Sequential of at least one unit and a head, got {got}")


@torch.no_grad()
def check_units(units: nn.Sequential, n_pools: int, images: Tensor, pool: Pool = "max") -> None:
    """Look at the size of the map behind each unit.

    Args:
        units: The units and behind them the head.
        n_pools: Number of poolings.
        images: Some images (B, C, H, W).
        pool: Halves a map.

    Raises:
        ArgumentError: If the images are not (B, C, H, W) or too small to be halved as often, a unit changes height or
            width, or the pooling does not halve.
    """
    if images.ndim != 4:
        raise ArgumentError(f"images must be of shape (B, C, H, W), got {tuple(images.shape)}")
    side = min(images.shape[2:])
    if side < 2**n_pools:
        raise ArgumentError(
            f"images are {images.shape[2]} × {images.shape[3]} pixels; {n_pools} poolings need at least {2**n_pools} a "
            "side"
        )
    maps = images[:2]
    _check_halves(pool_module(pool).eval().to(images.device), maps)
    for index, unit in enumerate(units[:-1]):
        before, maps = maps.shape[2:], unit(maps)
        if maps.shape[2:] != before:
            sizes = " to ".join(" × ".join(map(str, size)) for size in (before, maps.shape[2:]))
            raise ArgumentError(
                f"units: unit {index} changes the size of its map from {sizes}; the search places the poolings, so "
                "give its convolutions and poolings a stride of 1"
            )


def _check_halves(pool: nn.Module, maps: Tensor) -> None:
    halved = pool(maps).shape[2:]
    if any(after not in (before // 2, -(-before // 2)) for before, after in zip(maps.shape[2:], halved, strict=True)):
        raise ArgumentError(
            f"pool must halve height and width, but it turns {tuple(maps.shape[2:])} into {tuple(halved)}"
        )
