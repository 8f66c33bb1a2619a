"""Networks and poolings by what a person types: a torchvision or timm name, or the place of a function."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError, CenoteError
from cenote.pooling.balanced_supernets.configurations import blocks_to_config
from cenote.pooling.balanced_supernets.network_units import (
    NetworkUnits,
    check_norms,
    network_units,
    sequence_units,
)
from cenote.pooling.balanced_supernets.supernet import Pool, check_units, pooled_network

NAMED_POOLS = ("max", "avg", "stride")


def units_named(
    name: str, images: Tensor, classes: int, pools: int = 0, pool: Pool = "max"
) -> Callable[[], NetworkUnits]:
    """Return a function that builds the units of a named network with new weights at each call.

    Args:
        name: A torchvision name, else a timm name, or with ``torchvision:`` or ``timm:`` before it; or
            ``package.module:function`` or ``file.py:function`` of a function that returns an ``nn.Sequential`` of units
            and a head, or a ResNet or VGG. It is called with the numbers of channels and classes where it has
            parameters for them: ``channels``, ``in_chans`` or ``in_channels``, and ``classes`` or ``num_classes``.
        images: Some images (B, C, H, W).
        classes: Number of classes.
        pools: Number of poolings it is to work with; its earliest and its latest placement are tried.
        pool: The pooling.

    Raises:
        ArgumentError: If there is no such network, or it cannot be built, has no units, or does not take the images.
    """
    channels = images.shape[1]
    make = _listed(name) if library_of(name) or ":" not in name else _imported("MODEL", name)
    options = {
        parameter: classes if parameter.endswith("classes") else channels
        for parameter in ("channels", "in_chans", "in_channels", "classes", "num_classes")
        if parameter in _parameters(make)
    }

    def build() -> NetworkUnits:
        made = make(**options)
        if isinstance(made, nn.Sequential):
            return sequence_units(made, images)
        taken = network_units(made)
        _take_channels(taken.units, channels)
        return taken

    _try_out(name, build, images, classes, pools, pool)
    return build


def library_of(name: str) -> str | None:
    """Return which library a network is taken of, torchvision or timm; None if of neither, as a function's place."""
    from torchvision import models

    asked, colon, listed = name.rpartition(":")
    if asked not in ("", "torchvision", "timm") or (colon and not asked):
        return None
    if asked != "timm" and listed in models.list_models(module=models):
        return "torchvision"
    if asked != "torchvision" and (timm := _timm()) is not None and timm.is_model(listed):
        return "timm"
    return None


def _listed(name: str) -> Callable[..., nn.Module]:
    from torchvision import models

    library, listed = library_of(name), name.rpartition(":")[2]
    if library == "torchvision":
        return lambda num_classes: models.get_model(listed, weights=None, num_classes=num_classes)
    timm = _timm()
    if library == "timm":
        return lambda num_classes, in_chans: timm.create_model(listed, num_classes=num_classes, in_chans=in_chans)
    places = "torchvision has (timm is not installed)" if timm is None else "torchvision and timm have"
    raise ArgumentError(
        f"MODEL: {places} no model {name!r}; give one of their ResNets or VGGs, such as resnet18, or {_PLACE}"
    )


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        return None


_PLACE = "package.module:function or file.py:function"


def _imported(argument: str, name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(":")
    try:
        found = _of_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"{argument}: {module!r} cannot be imported: {error}; a package must be installed or on PYTHONPATH, and a "
            "file does not see the files beside it"
        ) from error
    except Exception as error:  # a person's own code is run, which may fail in any way
        raise ArgumentError(f"{argument}: {module!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(target := getattr(found, attribute, None)):
        what = "is no function" if hasattr(found, attribute) else f"is not in {module}"
        raise ArgumentError(f"{argument}: {attribute!r} {what}; give {_PLACE}")
    return cast(Callable[..., Any], target)


def _of_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_where_to_pool_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: dataclasses look their own module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(make).parameters
    except ValueError:  # built into Python
        return {}


def _take_channels(units: nn.Sequential, channels: int) -> None:
    """Give the first convolution of a network for colour images as many channels as the images have."""
    for parent in units[0].modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Conv2d):
                if layer.in_channels != channels:
                    setattr(parent, name, _convolution_for(layer, channels))
                return


def _convolution_for(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    fresh = nn.Conv2d(
        channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        padding=cast(Any, layer.padding),
        bias=layer.bias is not None,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    return fresh


@torch.no_grad()
def _try_out(
    name: str, build: Callable[[], NetworkUnits], images: Tensor, classes: int, pools: int, pool: Pool
) -> None:
    """Build and pass the images through, so that what does not fit is known before hours of training."""
    try:
        units = build().units
        check_norms(units)
        check_units(units, 0, images)
        blocks = len(units) - pools - 1
        ends = [(*(1,) * pools, blocks), (blocks, *(1,) * pools)] if 0 < pools < len(units) - 1 else []
        configs = [blocks_to_config(each) for each in ends] or [(0,) * (len(units) - 1)]
        logits = [pooled_network(units, config, pool).eval()(images) for config in configs]
    except CenoteError as error:
        raise ArgumentError(f"MODEL {name}: {error}") from error
    except Exception as error:
        raise ArgumentError(
            f"MODEL {name}: cannot be built and given images of shape {tuple(images.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    for each in logits:
        if each.ndim != 2 or each.shape[1] < classes:
            raise ArgumentError(f"MODEL {name}: gives {tuple(each.shape)}, needs logits of {classes} classes")


def pool_named(name: str) -> Pool:
    """Return a pooling by its name.

    Args:
        name: ``max``, ``avg``, ``stride``; ``poset:`` and a poset, such as ``poset:N``, whose sums over four entries
            are divided by 4; or the place of a function without arguments that returns a module.

    Raises:
        ArgumentError: If there is no such pooling.
    """
    if name in NAMED_POOLS:
        return cast(Pool, name)
    kind, colon, poset = name.partition(":")
    if not colon:
        raise ArgumentError(f"--pooling must be {', '.join(NAMED_POOLS)}, poset:N or {_PLACE}, got {name!r}")
    make = (lambda: _poset_pooling(poset)) if kind == "poset" else _imported("--pooling", name)
    try:
        pool = make()
    except Exception as error:
        raise ArgumentError(f"--pooling {name}: cannot be built: {error}") from error
    if not isinstance(pool, nn.Module):
        raise ArgumentError(f"--pooling {name}: returns {type(pool).__name__}, needs a module that halves a map")
    return pool


def _poset_pooling(poset: str) -> nn.Module:
    from cenote.pooling.order_theory.pooling import PosetPool2d  # with kernels that are compiled

    return PosetPool2d(int(poset) if poset.isdigit() else poset, scale=0.25)
