"""The MetaFormer block: norm, mixer, skip; norm, channel MLP, skip."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.poolformer.checks import check_map
from cenote.pooling.poolformer.linear import PointwiseConv
from cenote.pooling.poolformer.mixers import Mixer, Surroundings, build_mixer
from cenote.pooling.poolformer.norms import build_norm


class MetaFormerBlock(nn.Module):
    """Mix positions, then channels, each behind a norm and beside a skip.

    x ← x + λ₁ · mixer(norm(x)),  x ← x + λ₂ · MLP(norm(x)),  with one learned λ a channel.

    The mixer is a socket: every map of (B, C, H, W) to the same shape fits. Small initial λ make a deep network start
    near the identity; in a short training they also keep every mixer from being used, so choose about 0.1 there.

    Source: arXiv 2111.11418, Section 3.1.

    Args:
        dim: C, the number of channels.
        mixer: ``pool``, ``identity``, ``random``, ``dwconv``, ``attention`` or ``spatial``; a module, of which the
            block takes a copy; a function of maps; or a class of modules that is called with ``dim``.
        norm: ``gn1`` over channels and positions (the paper's), ``ln`` over channels, ``bn`` or ``none``.
        mlp_ratio: Hidden channels of the MLP as a multiple of ``dim``; None leaves the MLP and its norm out.
        layer_scale: The λ to start from; None has none.
        drop_path: Probability that a sample leaves a branch out in training.
        dropout: Probability that the MLP drops a value in training.
        activation: Class of the MLP's activation.
        skip: Whether the branches are added to their input; without, they replace it.
        resolution: H and W of the maps, for mixers that are built for one.
        pool_size: Window of the mixer ``pool``.
        head_dim: Channels of a head of the mixer ``attention``.

    Shapes:
        (B, C, H, W) → (B, C, H, W).

    Raises:
        ArgumentError: If a name is unknown or a number is out of range; in a forward pass, if the input is no map of
            ``dim`` channels.
        ArgumentTypeError: If the mixer is no mixer, or the input no floating-point tensor.

    Example:
        >>> block = MetaFormerBlock(16, mixer=lambda x: x.flip(3), layer_scale=0.1)
        >>> block(torch.randn(2, 16, 7, 5)).shape
        torch.Size([2, 16, 7, 5])
    """

    def __init__(
        self,
        dim: int,
        mixer: Mixer = "pool",
        norm: str = "gn1",
        *,
        mlp_ratio: float | None = 4.0,
        layer_scale: float | None = 1e-5,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        activation: Callable[[], nn.Module] = nn.GELU,
        skip: bool = True,
        resolution: tuple[int, int] | None = None,
        pool_size: int = 3,
        head_dim: int = 32,
    ) -> None:
        super().__init__()
        if dim < 1:
            raise ArgumentError(f"dim must be 1 or more, got {dim}")
        _check_probability("drop_path", drop_path)
        self.dim, self.skip = dim, skip
        self.norm1 = build_norm(norm, dim)
        self.token_mixer = build_mixer(mixer, Surroundings(dim, resolution, pool_size, head_dim))
        self.layer_scale1 = _scale(dim, layer_scale)
        self.drop_path1 = DropPath(drop_path)
        self.mlp: ChannelMlp | None = None
        if mlp_ratio is not None:
            self.norm2 = build_norm(norm, dim)
            self.mlp = ChannelMlp(dim, mlp_ratio, activation, dropout)
            self.layer_scale2 = _scale(dim, layer_scale)
            self.drop_path2 = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output.

        Raises:
            ArgumentError: If ``x`` is no map of ``dim`` channels, or the mixer changes its shape.
            ArgumentTypeError: If ``x`` is no floating-point tensor.
        """
        check_map(x, self.dim)
        mixed = self.token_mixer(self.norm1(x))
        if mixed.shape != x.shape:
            raise ArgumentError(
                f"mixer must keep the shape {tuple(x.shape)} of the map, it returned {tuple(mixed.shape)}"
            )
        x = self._joined(x, self.drop_path1(mixed), self.layer_scale1)
        if self.mlp is None:
            return x
        return self._joined(x, self.drop_path2(self.mlp(self.norm2(x))), self.layer_scale2)

    def _joined(self, x: Tensor, branch: Tensor, scale: LayerScale | nn.Identity) -> Tensor:
        if not self.skip:
            scaled: Tensor = scale(branch)
            return scaled
        if isinstance(scale, LayerScale):
            return torch.addcmul(x, branch, scale.factors())  # one pass over memory instead of two
        return x + branch


class ChannelMlp(nn.Module):
    """Mix the channels of each position: linear, activation, linear.

    Args:
        dim: C, the number of channels.
        ratio: Hidden channels as a multiple of ``dim``.
        activation: Class of the activation.
        dropout: Probability that a value is dropped in training, behind either linear map.

    Shapes:
        (B, C, H, W) → (B, C, H, W).

    Raises:
        ArgumentError: If there would be no hidden channel, or the probability is none.
    """

    def __init__(
        self, dim: int, ratio: float = 4.0, activation: Callable[[], nn.Module] = nn.GELU, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if ratio <= 0 or int(ratio * dim) < 1:
            raise ArgumentError(f"mlp_ratio must give at least one hidden channel of {dim}, got {ratio}")
        _check_probability("dropout", dropout)
        self.fc1 = PointwiseConv(dim, int(ratio * dim))
        self.act = activation()
        self.fc2 = PointwiseConv(int(ratio * dim), dim)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return what the MLP makes of ``x``."""
        hidden = self._activated(self.fc1(x))
        hidden = F.dropout(hidden, self.dropout, self.training)
        return F.dropout(self.fc2(hidden), self.dropout, self.training)

    def _activated(self, hidden: Tensor) -> Tensor:
        """Overwrite the hidden values, the largest map of the network, where nobody else holds them."""
        watched = any(module._forward_hooks for module in (self.fc1, self.act))
        if torch.is_grad_enabled() or watched or type(self.act) is not nn.GELU or self.act.approximate != "none":
            activated: Tensor = self.act(hidden)
            return activated
        overwritten: Tensor = torch.ops.aten.gelu_(hidden)
        return overwritten


class LayerScale(nn.Module):
    """Multiply each channel by a learned factor.

    Args:
        dim: C, the number of channels.
        start: What all factors start from.

    Shapes:
        (B, C, H, W) → (B, C, H, W).
    """

    def __init__(self, dim: int, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled map."""
        return x * self.factors()

    def factors(self) -> Tensor:
        """Return the factors (C, 1, 1), as they are broadcast over a map."""
        return self.scale.view(-1, 1, 1)


class DropPath(nn.Module):
    """In training, drop a sample's map with a probability and scale the others up; also called stochastic depth.

    Args:
        probability: At least 0, below 1.

    Shapes:
        (B, C, H, W) → (B, C, H, W).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, in training with some samples dropped."""
        if not self.training or not self.probability:
            return x
        kept = 1 - self.probability
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(kept).div_(kept)

    def extra_repr(self) -> str:
        """Describe the layer in ``repr(model)``."""
        return f"{self.probability:g}"


def _scale(dim: int, start: float | None) -> LayerScale | nn.Identity:
    return nn.Identity() if start is None else LayerScale(dim, start)


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ArgumentError(f"{name} must be a probability below 1, got {value}")
