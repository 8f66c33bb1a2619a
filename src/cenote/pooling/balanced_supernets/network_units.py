"""ResNets and VGGs of torchvision and timm as sequences of units without strides, between which poolings can go."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.balanced_supernets.configurations import Blocks, blocks_at_width_changes, config_to_blocks
from cenote.pooling.balanced_supernets.supernet import check_sequence


@dataclass(frozen=True, eq=False)
class NetworkUnits:
    """A network as a sequence, and where it pools by itself.

    Attributes:
        units: Units that keep height and width, and behind them the head.
        default: Number of units at each resolution of the network as it was.
    """

    units: nn.Sequential
    default: Blocks


def network_units(model: nn.Module) -> NetworkUnits:
    """Take a ResNet or VGG of torchvision or timm apart into units that keep the size of their map, and a head.

    Of a ResNet the first unit is the first convolution with its norm and activation, without the stride and the max
    pooling that follow, and each block is one more; of a VGG each convolution with what follows it is one. All strides
    become 1. What a block's shortcut averaged before its convolution it now passes on. The max pooling behind a VGG's
    last unit goes too, since its head pools to a fixed size.

    Source: arXiv 2306.11982, whose ResNet-18 for CIFAR has the 56 placements of 3 poolings between 9 units.

    Args:
        model: ``torchvision.models.ResNet`` or ``VGG``, or timm's. Its layers are taken over, not copied.

    Shapes:
        The sequence takes images (B, C, H, W) of any size and gives logits (B, K).

    Raises:
        ArgumentTypeError: If the model is another network.
        ArgumentError: If a layer with a stride has no form without one, such as a blurring pooling.

    Example:
        >>> from torchvision.models import resnet18
        >>> taken = network_units(resnet18(num_classes=10))
        >>> len(taken.units) - 1, taken.default
        (9, (3, 2, 2, 2))
    """
    take = _TAKEN.get(f"{type(model).__module__}.{type(model).__qualname__}")
    if take is None:
        raise ArgumentTypeError(
            f"model must be a ResNet or VGG of torchvision or timm, got {type(model).__name__} of "
            f"{type(model).__module__}; give the units of another network as an nn.Sequential with the head behind them"
        )
    units, head, halved = take(model)
    for index, unit in enumerate(units):
        _take_strides_out(unit, f"unit {index}")
    return NetworkUnits(nn.Sequential(*units, head), config_to_blocks([0, *map(int, halved[1:])]))


_Parts = tuple[list[nn.Module], nn.Module, list[bool]]
"""Units, head, and before which units the network halves its map."""


def _resnet_of_torchvision(model: Any) -> _Parts:
    first = nn.Sequential(model.conv1, model.bn1, model.relu)
    return _with_blocks(first, model, nn.Sequential(model.avgpool, nn.Flatten(), model.fc))


def _resnet_of_timm(model: Any) -> _Parts:
    first = nn.Sequential(model.conv1, model.bn1, model.act1)
    dropout = nn.Dropout(float(model.drop_rate))
    return _with_blocks(first, model, nn.Sequential(model.global_pool, dropout, model.fc))


def _with_blocks(first: nn.Module, model: Any, head: nn.Module) -> _Parts:
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    blocks = list(itertools.chain.from_iterable(stages))
    return [first, *blocks], head, [False, *(any(map(_has_stride, block.modules())) for block in blocks)]


def _vgg_of_torchvision(model: Any) -> _Parts:
    return _with_convolutions(model, nn.Sequential(model.avgpool, nn.Flatten(), model.classifier))


def _vgg_of_timm(model: Any) -> _Parts:
    return _with_convolutions(model, nn.Sequential(model.pre_logits, model.head))


def _with_convolutions(model: Any, head: nn.Module) -> _Parts:
    units: list[list[nn.Module]] = []
    halved: list[bool] = []
    pooled = False
    for layer in model.features.children():
        if isinstance(layer, nn.MaxPool2d):
            pooled = True
            continue
        if isinstance(layer, nn.Conv2d):
            units.append([])
            halved.append(pooled)
            pooled = False
        units[-1].append(layer)
    return [nn.Sequential(*layers) for layers in units], head, halved


_TAKEN: Mapping[str, Callable[[nn.Module], _Parts]] = {
    "torchvision.models.resnet.ResNet": _resnet_of_torchvision,
    "torchvision.models.vgg.VGG": _vgg_of_torchvision,
    "timm.models.resnet.ResNet": _resnet_of_timm,
    "timm.models.vgg.VGG": _vgg_of_timm,
}
"""By the full name of a class, exactly: a subclass may compute something else. So timm need not be installed."""


def _has_stride(module: nn.Module) -> bool:
    """Whether a layer halves its map; blocks carry a stride too, which their layers have."""
    stride = getattr(module, "stride", 1)
    return not any(module.children()) and stride not in (None, 1, (1, 1))


def _take_strides_out(unit: nn.Module, path: str) -> None:
    for name, layer in unit.named_children():
        if not _has_stride(layer):
            _take_strides_out(layer, f"{path}.{name}")
        elif isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
        elif isinstance(layer, nn.AvgPool2d) and layer.kernel_size in (layer.stride, (layer.stride, layer.stride)):
            setattr(unit, name, nn.Identity())
        else:
            raise ArgumentError(
                f"model: {path}.{name} ({type(layer).__name__}) has a stride of {layer.stride} and no form without one "
                "that is known here"
            )


# --- sequences of one's own -----------------------------------------------------------------------------------------


@torch.no_grad()
def sequence_units(units: nn.Sequential, images: Tensor) -> NetworkUnits:
    """Return a sequence of one's own with its usual placement: a pooling before each unit that has more channels.

    Args:
        units: The units and behind them the head; left in the mode they are in. Of a subclass only its modules are
            taken.
        images: Some images (B, C, H, W).

    Raises:
        ArgumentError: If there is not at least a unit and a head, they do not take such images, or a subclass calls
            its modules otherwise than one after the other.
    """
    check_sequence(units)
    if type(units).forward is not nn.Sequential.forward:
        raise ArgumentError(
            f"units: {type(units).__name__} has a forward of its own, but the search calls its modules one after the "
            "other; return a plain nn.Sequential"
        )
    if type(units) is not nn.Sequential:
        units = nn.Sequential(*units)  # a slice of a subclass would call its __init__
    training, maps, widths = units.training, images, []
    units.eval()
    try:
        for unit in units[:-1]:
            maps = unit(maps)
            widths.append(maps.shape[1])
    except RuntimeError as error:
        raise ArgumentError(
            f"units: unit {len(widths)} does not take images of shape {tuple(images.shape)}: {error}"
        ) from error
    units.train(training)
    return NetworkUnits(units, blocks_at_width_changes(widths))


def check_norms(units: nn.Sequential) -> None:
    """Raise ArgumentError where a batch norm does more than one, which a SuperNet's would not."""
    for name, module in _norms(units):
        if not type(module).__module__.startswith("torch.nn"):
            raise ArgumentError(
                f"units: {name} ({type(module).__name__}) is a batch norm of another kind than torch's; in a SuperNet "
                "what it does beside would be lost, so write it as a batch norm and a layer behind"
            )


def _norms(units: nn.Sequential) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in units.named_modules() if isinstance(module, _BatchNorm))
