"""Weights of timm's and of the paper's released models, from a state dict or a local file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.poolformer.network import PoolFormer

Source = Mapping[str, Any] | str | PathLike[str]

_WRAPPERS = ("state_dict", "model", "state_dict_ema")
"""Keys under which training scripts keep a state in a larger file."""

_SHOWN = 5
"""How many names of each kind an error lists."""


def load_timm_state_dict(model: PoolFormer, source: Source) -> PoolFormer:
    """Load the weights of one of timm's ``poolformer_*`` models; all of them must fit.

    timm's own names are those of ``PoolFormer``. Its head averages before it normalises: build the model with
    ``head="timm"`` for its logits; the features of all stages are the same with either head. With ``features_only`` the
    head's weights are left out.

    Source: arXiv 2111.11418, as in timm.

    Args:
        model: Filled in place.
        source: A state dict, or the path of a local ``.safetensors``, ``.pth`` or ``.pth.tar`` file.

    Returns:
        The model.

    Shapes:
        Every tensor as in the model; a 1×1 convolution may come as the matrix of a linear map.

    Raises:
        ArgumentError: If names or shapes do not fit, which are then listed, or the file cannot be read. The model is
            unchanged.
        ArgumentTypeError: If the source is neither a state dict nor a path.

    Example:
        >>> from cenote.pooling import poolformer_s12
        >>> trained = poolformer_s12(num_classes=10).state_dict()  # or timm's model.state_dict()
        >>> model = load_timm_state_dict(poolformer_s12(num_classes=10, head="timm"), trained)
    """
    return _load(model, _read(source))


def load_official_state_dict(model: PoolFormer, source: Source) -> PoolFormer:
    """Load the weights of a model of the paper's released code (``sail-sg/poolformer``); all of them must fit.

    Build the model with ``head="official"``, the default. With ``features_only`` the classifier's weights are left
    out, and the norms of the detection code go to ``feature_norms``.

    Source: arXiv 2111.11418, its released code.

    Args:
        model: Filled in place.
        source: A state dict, or the path of a local ``.pth.tar``, ``.pth`` or ``.safetensors`` file.

    Returns:
        The model.

    Shapes:
        Every tensor as in the model.

    Raises:
        ArgumentError: If names or shapes do not fit, which are then listed, or the file cannot be read. The model is
            unchanged.
        ArgumentTypeError: If the source is neither a state dict nor a path.

    Example:
        >>> from cenote.pooling import poolformer_s12
        >>> try:
        ...     load_official_state_dict(poolformer_s12(), "poolformer_s12.pth.tar")
        ... except ValueError as error:
        ...     print(error)
        source: poolformer_s12.pth.tar cannot be read (there is no such file)
    """
    state = _read(source)
    return _load(model, {_renamed(name): tensor for name, tensor in state.items()})


def _renamed(name: str) -> str:
    """The name of a weight of the released code in ours: stages are at even places of its ``network``."""
    name = re.sub(r"layer_scale_([12])$", r"layer_scale\1.scale", name)
    name = re.sub(r"^patch_embed\.proj\.", "stem.conv.", name)
    name = re.sub(r"^head\.", "head.fc.", name)
    name = re.sub(r"^norm\.", "head.norm.", name)
    name = re.sub(r"^norm(\d+)\.", lambda match: f"norms.{int(match[1]) // 2}.", name)
    name = re.sub(r"^network\.(\d+)\.proj\.", lambda match: f"stages.{(int(match[1]) + 1) // 2}.downsample.conv.", name)
    return re.sub(r"^network\.(\d+)\.(\d+)\.", lambda match: f"stages.{int(match[1]) // 2}.blocks.{match[2]}.", name)


# --- reading ------------------------------------------------------------------------------------------------------


def _read(source: Source) -> Mapping[str, Tensor]:
    if isinstance(source, str | PathLike):
        return _unwrapped(_read_file(Path(source)), str(source))
    if not isinstance(source, Mapping):
        raise ArgumentTypeError(f"source must be a state dict or a path, got {type(source).__name__}")
    return _unwrapped(source, "the state dict")


def _read_file(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)  # tensors only: a pickle could run code
    except FileNotFoundError:
        raise ArgumentError(f"source: {path} cannot be read (there is no such file)") from None
    except Exception as error:  # a damaged file raises errors of many kinds
        kind = "" if isinstance(error, OSError | SafetensorError) else f"{type(error).__name__}: "
        first = (str(error).splitlines() or [""])[0]
        raise ArgumentError(f"source: {path} cannot be read ({kind}{first})") from error


def _unwrapped(found: object, where: str) -> Mapping[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise ArgumentError(f"source: {where} holds no state dict of tensors")
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


# --- fitting ------------------------------------------------------------------------------------------------------


def _load(model: PoolFormer, state: Mapping[str, Tensor]) -> PoolFormer:
    if model.features_only:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    own = model.state_dict()
    fitting = {name: _shaped(tensor, own[name]) for name, tensor in state.items() if name in own}
    problems = [
        *_listed("missing", own.keys() - state.keys()),
        *_listed("unexpected", state.keys() - own.keys()),
        *_listed(
            "of another shape",
            (
                f"{name} {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
                for name, tensor in fitting.items()
                if tensor.shape != own[name].shape
            ),
        ),
    ]
    if problems:
        raise ArgumentError(f"source does not fit the model: {'; '.join(problems)}")
    model.load_state_dict(fitting, strict=True)
    return model


def _shaped(tensor: Tensor, own: Tensor) -> Tensor:
    """The matrix of a linear map as the kernel of a 1×1 convolution, or the other way round."""
    pointwise = tensor.shape[:2] == own.shape[:2] and tensor.numel() == own.numel()
    return tensor.reshape(own.shape) if pointwise and tensor.dim() >= 2 else tensor


def _listed(what: str, names: Iterable[str]) -> Iterator[str]:
    found = sorted(names)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield f"{what}: {', '.join(found[:_SHOWN])}{more}"
