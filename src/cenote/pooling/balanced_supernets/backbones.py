"""Sequences of units with new weights: the paper's residual networks, or a sequence of one's own drawn anew."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.supernet import check_sequence

Backbone: TypeAlias = nn.Sequential | Callable[[], nn.Sequential]
"""Units and behind them a head, or a function that returns them with new weights at each call."""

RESNET20 = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
"""Widths of ResNet-20's ten units."""


def resnet_units(widths: Sequence[int] = RESNET20, *, channels: int = 3, classes: int = 10) -> nn.Sequential:
    """Return a residual network for small images as units that keep height and width, and a head behind them.

    The first unit is a convolution 3×3, the others are residual blocks of two, with a convolution 1×1 beside them where
    the width changes. Widths belong to the units, wherever the maps are pooled, so all placements have equal weights.

    Source: arXiv 2306.11982, ResNet-20 at the default widths.

    Args:
        widths: Channels of each unit.
        channels: Channels of the image.
        classes: Number of classes.

    Shapes:
        Images (B, channels, H, W) → logits (B, classes); each unit (B, C, H, W) → (B, C', H, W).

    Raises:
        ArgumentError: If there is no width or a number is below 1.

    Example:
        >>> units = resnet_units()
        >>> len(units) - 1, sum(weight.numel() for weight in units.parameters())
        (10, 272474)
    """
    if not widths or min(*widths, channels, classes) < 1:
        raise ArgumentError(
            f"widths, channels and classes must be at least 1, got {tuple(widths)}, {channels}, {classes}"
        )
    units: list[nn.Module] = [nn.Sequential(_convolution(channels, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU())]
    units += [ResidualUnit(inside, outside) for inside, outside in itertools.pairwise(widths)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(*units, head)


class ResidualUnit(nn.Module):
    """Two convolutions 3×3 beside the identity, or beside a convolution 1×1 where the width changes."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = _convolution(inside, outside)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = _convolution(outside, outside)
        self.second_norm = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module = nn.Identity()
        if inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same height and width."""
        inner = F.relu(self.first_norm(self.first(maps)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


def _convolution(inside: int, outside: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


def fresh_units(backbone: Backbone) -> Callable[[], nn.Sequential]:
    """Return a function that returns the units with new weights, drawn from torch's global generator.

    Raises:
        ArgumentError: If the backbone is a sequence without a unit and a head, or with weights that cannot be drawn
            anew.
    """
    if not isinstance(backbone, nn.Sequential):
        if isinstance(backbone, nn.Module) or not callable(backbone):
            raise ArgumentError(
                f"backbone must be an nn.Sequential of units and a head, or a function that returns one, got "
                f"{type(backbone).__name__}"
            )
        return backbone
    check_sequence(backbone)
    for name, module in backbone.named_modules():
        if next(module.parameters(recurse=False), None) is not None and not hasattr(module, "reset_parameters"):
            raise ArgumentError(
                f"backbone: the weights of {name} ({type(module).__name__}) cannot be drawn anew, since it has no "
                "reset_parameters; give a function that returns the units with new weights"
            )

    def build() -> nn.Sequential:
        fresh = copy.deepcopy(backbone)
        for module in fresh.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        return fresh

    return build
