"""What a block can mix positions with: the mixers of the paper's ablation by name, or any map of maps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.poolformer.checks import check_choice, check_map
from cenote.pooling.poolformer.linear import linear
from cenote.pooling.poolformer.pooling import Pooling

Mixer = str | Callable[..., Any]
"""A name of ``MIXERS``; a module or function from (B, C, H, W) to the same shape; or a class of such modules."""


class Attention(nn.Module):
    """Multi-head self-attention over all positions of a map: softmax(q kᵀ / √d) v, without biases of q, k and v.

    Source: arXiv 2111.11418, hybrid stages.

    Args:
        dim: C, the number of channels.
        head_dim: d, the channels of a head.

    Shapes:
        (B, C, H, W) → (B, C, H, W).

    Raises:
        ArgumentError: If ``head_dim`` does not divide ``dim``.
    """

    def __init__(self, dim: int, head_dim: int = 32) -> None:
        super().__init__()
        if head_dim < 1 or dim % head_dim:
            raise ArgumentError(f"head_dim must divide the {dim} channels of the map, got {head_dim}")
        self.heads = dim // head_dim
        self.qkv = linear(dim, 3 * dim, bias=False)
        self.proj = linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return what attention makes of ``x``."""
        check_map(x, self.proj.in_features)
        qkv = self.qkv(_tokens(x)).unflatten(2, (3, self.heads, -1))  # (B, N, 3, heads, d)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        return _map(self.proj(attended.transpose(1, 2).flatten(2)), x)


class RandomMixing(nn.Module):
    """Mix all positions by a frozen matrix softmax(W), W uniform in [0, 1), drawn once and the same for all channels.

    Source: arXiv 2111.11418, ablation of the mixer.

    Args:
        resolution: H and W of the maps it will get; the matrix has H·W rows.

    Shapes:
        (B, C, H, W) → (B, C, H, W), H and W as built.
    """

    matrix: Tensor

    def __init__(self, resolution: tuple[int, int]) -> None:
        super().__init__()
        self.resolution = resolution
        positions = resolution[0] * resolution[1]
        self.register_buffer("matrix", torch.rand(positions, positions).softmax(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed map.

        Raises:
            ArgumentError: If the map has another height or width than built for.
        """
        _check_resolution(x, self.resolution, "random")
        tokens = _tokens(x)
        return _map(torch.matmul(self.matrix.to(tokens.dtype), tokens), x)


class SpatialLinear(nn.Module):
    """Mix all positions by one learned linear map, the same for all channels: y_n = Σ_m W_nm x_m + b_n.

    Source: arXiv 2111.11418, hybrid stages ("spatial FC").

    Args:
        resolution: H and W of the maps it will get; the matrix has H·W rows.

    Shapes:
        (B, C, H, W) → (B, C, H, W), H and W as built.
    """

    def __init__(self, resolution: tuple[int, int]) -> None:
        super().__init__()
        self.resolution = resolution
        positions = resolution[0] * resolution[1]
        self.fc = linear(positions, positions)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed map.

        Raises:
            ArgumentError: If the map has another height or width than built for.
        """
        _check_resolution(x, self.resolution, "spatial")
        mixed = torch.matmul(self.fc.weight, _tokens(x)) + self.fc.bias.unsqueeze(1)
        return _map(mixed, x)


class DepthwiseConv(nn.Conv2d):
    """Mix positions by a learned window of each channel: a depthwise convolution of stride 1, padded with zeros.

    Source: arXiv 2111.11418, ablation of the mixer.

    Args:
        dim: C, the number of channels.
        size: Height and width of the window, odd.

    Shapes:
        (B, C, H, W) → (B, C, H, W).
    """

    def __init__(self, dim: int, size: int = 3) -> None:
        super().__init__(dim, dim, size, padding=size // 2, groups=dim)


class _Function(nn.Module):
    """A function of maps as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.function(x)
        return mixed


class Surroundings(NamedTuple):
    """What a mixer may need to know of the block it stands in."""

    dim: int
    """C, the number of channels."""
    resolution: tuple[int, int] | None = None
    """H and W of the block's maps, where they are fixed."""
    pool_size: int = 3
    head_dim: int = 32

    def fixed(self, mixer: str) -> tuple[int, int]:
        """Return H and W, or refuse a mixer that has to know them."""
        if self.resolution is None:
            raise ArgumentError(
                f"mixer {mixer!r} is built for maps of one height and width: a network needs image_size for it, a "
                "block resolution"
            )
        return self.resolution


MIXERS: dict[str, Callable[[Surroundings], nn.Module]] = {
    "pool": lambda block: Pooling(block.pool_size),
    "identity": lambda block: nn.Identity(),
    "random": lambda block: RandomMixing(block.fixed("random")),
    "dwconv": lambda block: DepthwiseConv(block.dim),
    "attention": lambda block: Attention(block.dim, block.head_dim),
    "spatial": lambda block: SpatialLinear(block.fixed("spatial")),
}
"""The mixers of the paper by name. ``identity`` hands on the block's normalised input: no positions are mixed."""


def build_mixer(mixer: Mixer, block: Surroundings) -> nn.Module:
    """Return a block's own mixer.

    Args:
        mixer: A name of ``MIXERS``; a class of modules, or a ``functools.partial`` of one, that is called with the
            number of channels; a module, of which the block gets a copy; or a function of maps.
        block: Where it will stand.

    Raises:
        ArgumentError: If there is no mixer of this name, or it does not fit the block.
        ArgumentTypeError: If it is something else.
    """
    if isinstance(mixer, str):
        check_choice("mixer", mixer, MIXERS)
        return MIXERS[mixer](block)
    if isinstance(mixer, nn.Module):
        return copy.deepcopy(mixer)
    made_for_a_width = isinstance(mixer, type) or (isinstance(mixer, partial) and isinstance(mixer.func, type))
    if made_for_a_width:
        built = mixer(block.dim)
        if isinstance(built, nn.Module):
            return built
    elif callable(mixer):
        return _Function(mixer)
    raise ArgumentTypeError(f"mixer must be a name, a module, a class of modules or a function of maps, got {mixer!r}")


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H·W, C), without a copy where channels lie last in memory."""
    return x.flatten(2).transpose(1, 2)


def _map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H·W, C) → (B, C, H, W), in the memory order that ``_tokens`` undoes."""
    return tokens.transpose(1, 2).reshape(like.shape)


def _check_resolution(x: Tensor, resolution: tuple[int, int], mixer: str) -> None:
    check_map(x)
    if tuple(x.shape[2:]) != resolution:
        raise ArgumentError(
            f"x must be a map of {resolution[0]} × {resolution[1]} positions, which mixer {mixer!r} was built for, "
            f"got shape {tuple(x.shape)}"
        )
